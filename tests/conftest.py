"""Here so that pytest puts the repository on the path: tests import what they share as `tests.…`."""

import ast
import os
from functools import cache

import pytest
from hypothesis import settings

from agentomy.pipeline.source import definitions
from tests.schedule import Scheduler, turn

for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB"):
    os.environ[f"{library}_NUM_THREADS"] = "1"  # as the jobs do: with more, sums are rounded differently

parsed = cache(ast.parse)


def parse(text: bytes, path: str) -> ast.Module:
    """What `definitions.parse` gives: of the many copies of the package that tests make, a text is parsed once."""
    try:
        return parsed(text)
    except SyntaxError:
        return ast.parse(text, path)  # the error names the file


definitions.parse = parse

# A busy machine makes an example slow, never wrong: no deadlines. `make test` tries the same examples every time, so
# that it fails for what was changed; `make test-long` draws new ones, and prints how to try a failing one again.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("new", deadline=None, print_blob=True)
settings.load_profile("same")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: turn(item.nodeid))


@pytest.hookimpl(optionalhook=True)  # where pytest-xdist is not loaded, there is nothing to schedule
def pytest_xdist_make_scheduler(config, log):
    config.option.loadscopereorder = False
    return Scheduler(config, log)
