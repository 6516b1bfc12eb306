"""Numbers in the prose of pages are those of the run that each names."""

import pytest

from tests.foundation.test_named_runs import row, run
from tests.pages import script

QUOTED, RUNS = script("quoted"), script("runs")


@pytest.fixture
def kept():
    rows = [
        row("C1", "fails", group="size", value=0.5, low=0.25, high=0.75, n=6, there=12),
        row("C1", "fails", "size", group="", value=0.5, low=0.25, high=0.75, n=6, there=12),
        row("C1", "reported", "size", group="untrained", value=-2.0, low=-3.0, high=-1.0),
    ]
    return [run("laptop", *rows)]


@pytest.mark.parametrize(
    ("what", "shown"),
    [
        ("toy C1", "0.5 [0.25, 0.75]"),
        ("toy C1 | size, untrained", "−2 [−3, −1]"),
        ("toy C1 | size, untrained | value", "−2"),
        ("toy C1 | size | n", "6 of 12"),
        ("toy C1 | verdict", "fails"),
    ],
)
def test_a_quote_is_what_the_run_has(kept, what, shown):
    text = QUOTED["filled"](f"It is <!-- laptop: {what} -->something else<!-- / -->.\n<!-- end -->\n", kept)
    assert text == f"It is <!-- laptop: {what} -->{shown}<!-- / -->.\n<!-- end -->\n"
    assert QUOTED["filled"](text, kept) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("It is <!-- desktop: toy C1 --><!-- / -->", "no run 'desktop'.*allowed: laptop"),
        ("It is <!-- laptop: toy C2 --><!-- / -->", "no claim 'toy C2'.*allowed: toy C1"),
        ("It is <!-- laptop: toy C1 | weight --><!-- / -->", "no test 'weight'; allowed: size, size, untrained"),
        ("It is\n  <!-- laptop: toy C1 -->0.5<!-- / -->", "begins a line"),
    ],
)
def test_what_is_not_there_cannot_be_quoted(kept, text, problem):
    with pytest.raises(ValueError, match=problem):
        QUOTED["filled"](text, kept)


@pytest.mark.parametrize("page", QUOTED["pages"](), ids=lambda page: page.stem)
def test_every_page_quotes_its_runs_as_they_are(page):
    text = page.read_text(encoding="utf-8")
    assert QUOTED["filled"](text, RUNS["read"]()) == text, "run `make docs`"
