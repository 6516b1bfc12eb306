"""The page of promises has the counts that the tests have, and names tests that there are."""

import re
import runpy

from tests.pipeline.trees import ROOT

PAGE = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")


def test_the_page_has_the_counts_of_the_tests():
    assert runpy.run_path(str(ROOT / "docs" / "trust.py"), run_name="page")["page"]() == PAGE, "run `make docs`"


def test_the_tests_that_it_names_are_there():
    named = set(re.findall(r"`(tests/[^`]+)`", PAGE))
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).is_file()] == []
