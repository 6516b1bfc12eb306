"""Numbers in the prose of pages, taken from the runs that are kept in docs/runs. `make docs`.

    homogeneity is <!-- laptop-decided: maze TG1 | homogeneity -->0.434 [0.294, 0.604]<!-- / -->

Between the comments stand the value and the interval of that test of claim TG1 of maze. A test is called as the tables
call it, with its group behind a comma; without one it is the test that decides the claim. `| value`, `| n` or
`| verdict` behind it gives these alone. A test that is gone is an error: what is said of it needs another sentence.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import runs

from agentomy.judge import showing
from agentomy.mistakes import unknown

ROOT = Path(__file__).parents[1]
QUOTE = re.compile(r"(?P<opening><!-- (?P<run>[\w-]+): (?P<what>[^>]*?) -->)(?P<text>[^<]*)(?P<closing><!-- / -->)")
SHOWN = {
    "value": lambda row: showing.digits(row["value"]),
    "n": showing.counted,
    "verdict": lambda row: row["verdict"],
}


class QuoteError(ValueError):
    """One line: which quote, what is wrong with it, what is allowed."""


def pages() -> list[Path]:
    return [
        ROOT / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted((ROOT / "docs" / "studies").glob("*.md")),
    ]


def filled(text: str, kept: Sequence[runs.Run]) -> str:
    """The page with all its quotes as these runs have them."""
    if line := re.search(r"^[ >]*<!-- [\w-]+: .*$", text, re.MULTILINE):
        # Markdown takes what begins a line with a comment for a block of HTML
        raise QuoteError(f"{line[0].strip()!r}: begins a line; allowed: behind a word")
    return QUOTE.sub(lambda match: f"{match['opening']}{_quoted(match, kept)}{match['closing']}", text)


def _quoted(match: re.Match, kept: Sequence[runs.Run]) -> str:
    try:
        run = runs.named(kept, match["run"])
        if run is None:
            raise QuoteError(unknown("run", match["run"], [run.name for run in kept]))
        place, *names = re.split(r"\s*\|\s*", match["what"])
        show = SHOWN[names.pop()] if names and names[-1] in SHOWN else showing.with_interval
        return show(_row(run, place, ", ".join(names)))
    except QuoteError as error:
        raise QuoteError(f"{match['opening']}: {error}") from None


def _row(run: runs.Run, place: str, test: str) -> pd.Series:
    """The row of a test, or of what decides the claim."""
    study, _, claim = place.partition(" ")
    rows = run.verdicts[(run.verdicts["study"] == study) & (run.verdicts["claim"] == claim)]
    if rows.empty:
        raise QuoteError(unknown("claim", place, run.claims["study"] + " " + run.claims["claim"]))
    whole = rows["test"] == ""
    if not test:
        return rows[whole].iloc[0]
    called = {runs.called(row): row for _, row in rows[~whole].iterrows()}
    if test not in called:
        raise QuoteError(unknown("test", test, called))
    return called[test]


def main() -> None:
    kept = runs.read()
    for page in pages():
        text = page.read_text(encoding="utf-8")
        page.write_text(filled(text, kept), encoding="utf-8")


if __name__ == "__main__":
    main()
