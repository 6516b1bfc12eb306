"""What holds of the tests themselves."""

import ast

from tests.pipeline.trees import ROOT

LONGEST = 80  # characters of a name: one claim, read at a glance in a list of failures


def test_names_of_tests_are_short():
    long = [
        f"{file.relative_to(ROOT)}: {node.name}"
        for file in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and len(node.name) > LONGEST
    ]
    assert long == []
