"""The page of dependencies names everything that is imported, with the licence that it says it has."""

import ast
import re
import runpy
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.pipeline.trees import ROOT

PAGE = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
SCRIPT = runpy.run_path(str(ROOT / "docs" / "dependencies.py"), run_name="page")
CLUSTER = {"boto3"}  # installed in a folder of its own


def imported(file: Path) -> set[str]:
    """The top-level modules that a file imports, inside functions too."""
    modules = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules.add(node.module)
    return {name.partition(".")[0] for name in modules}


def test_the_page_is_what_the_installed_packages_say():
    assert SCRIPT["page"]() == PAGE, "run `make docs`"


@pytest.mark.parametrize("folder", ["workflow", "tests", "docs"])
def test_all_that_is_imported_is_on_the_page_with_its_licence(folder):
    files = [*(ROOT / folder).rglob("*.py")]
    ours = {"agentomy", "tests", *(file.stem for file in files)}
    names = set().union(*map(imported, files)) - set(sys.stdlib_module_names) - ours - CLUSTER
    owners = metadata.packages_distributions()
    rows = dict(re.findall(r"^\| (\S+) +\|.*\| (.*?) +\|$", PAGE, re.MULTILINE))
    listed = {SCRIPT["normal"](name): licence for name, licence in rows.items()}
    for name in names:
        assert any(listed.get(SCRIPT["normal"](owner), "not stated") != "not stated" for owner in owners[name]), name


def test_every_locked_package_is_on_the_page():
    for file in ("requirements", "requirements-dev"):
        for name in SCRIPT["locked"](file):
            assert re.search(
                rf"(?<![\w-]){re.escape(SCRIPT['normal'](name))}(?![\w-])", re.sub("[_.]", "-", PAGE.lower())
            )


def test_what_is_under_a_copyleft_is_named():
    """Who adds another such package writes what that means for a user."""
    strict = {name for name in SCRIPT["PURPOSES"] if re.search("GPL", SCRIPT["licence"](name))}
    assert strict == {"MinAtar", "ale-py"}
