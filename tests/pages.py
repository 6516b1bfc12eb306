"""The scripts in docs/, as `make docs` runs them: each finds its neighbours there."""

import runpy
import sys
from typing import Any

from tests.pipeline.trees import ROOT


def script(name: str) -> dict[str, Any]:
    """The names that a script defines, without what it does when it is run."""
    folder = str(ROOT / "docs")
    sys.path.insert(0, folder)
    try:
        return runpy.run_path(f"{folder}/{name}.py", run_name="page")
    finally:
        sys.path.remove(folder)
