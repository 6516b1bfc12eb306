"""Runs a module with restart files that are written all the time, so that a run need not be long to be killed twice.

`python -m tests.pipeline.saves_often MODULE ARGUMENT …`
"""

import runpy
import sys

from agentomy.agents import driver

if __name__ == "__main__":
    driver.SAVE_PAUSE, driver.SAVE_SHARE = 0.05, 0.5
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
