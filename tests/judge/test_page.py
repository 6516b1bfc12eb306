"""docs/verdicts.md shows what the judge gives today."""

import runpy

from tests.pipeline.trees import ROOT

SCRIPT = runpy.run_path(str(ROOT / "docs" / "verdicts.py"), run_name="page")


def test_the_page_is_what_is_computed():
    text = SCRIPT["PAGE"].read_text(encoding="utf-8")
    assert SCRIPT["page"](text) == text, "run `make docs`"
