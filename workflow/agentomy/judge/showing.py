"""Verdicts as a reader sees them: on the terminal, as Markdown, in a page of HTML."""

import textwrap
from dataclasses import fields

import numpy as np
import pandas as pd
from tabulate import tabulate

from agentomy.judge.results import Result

ROUNDING = 1e-12  # of the largest of several numbers: what is smaller is a sum that ought to be 0
NOTE = (
    "Each end of an interval is of the level that decides. n is the number of seeds, or of other units, that were "
    "judged, then of those that there are where that is more; look is the number of the look at which it was decided. "
    "What is shown of a claim is its deciding test."
)


def parts(verdicts: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(one row a claim, one row a test and group) as a reader sees them: every cell is text.

    `verdicts` have columns claim, says and `COLUMNS`, perhaps paper and differs.
    """
    whole = verdicts["test"] == ""
    tests = _shown(verdicts[~whole]).drop(columns=["says", "paper"], errors="ignore")
    return _shown(verdicts[whole]).drop(columns="test"), tests


def _shown(verdicts: pd.DataFrame) -> pd.DataFrame:
    names = [field.name for field in fields(Result)]
    results = [Result(**dict(zip(names, row, strict=True))) for row in verdicts[names].itertuples(index=False)]
    claims = {name: verdicts[name].to_numpy() for name in ("claim", "says", "paper") if name in verdicts}
    differs = verdicts["differs"] if "differs" in verdicts else [""] * len(verdicts)
    tested = {
        "test": [result.test for result in results],
        "on": [result.group for result in results],
        "value [interval]": [with_interval(result) for result in results],
        "n": [counted(result) for result in results],
        "threshold": [result.holds for result in results],
        "verdict": [in_full(result, other) for result, other in zip(results, differs, strict=True)],
        "look": [str(result.look or "") for result in results],
        "to decide it": [result.needs for result in results],
    }
    return pd.DataFrame({**claims, **tested}, dtype=object)


def in_full(result: Result, differs: str) -> str:
    """A verdict with all that belongs to it; `differs`: in what the claim as tested is not the paper's."""
    return f"{result.said}; not as in the paper: {differs}" if differs and not result.test else result.said


def counted(result: Result) -> str:
    """The number of judged units, and the number of existing ones if it is larger."""
    return f"{result.n} of {result.there}" if result.n < result.there else str(result.n or "")


def with_interval(result: Result) -> str:
    """A value and its interval, three digits each; what is 0 but for rounding, beside the others, is shown as 0."""
    if np.isnan(result.value):
        return "–"
    numbers = np.array([result.value, result.low, result.high])
    sizes = np.abs(numbers[np.isfinite(numbers)])
    value, low, high = map(digits, np.where(np.abs(numbers) < ROUNDING * max(sizes, default=0), 0.0, numbers))
    if np.isnan(result.low) or result.low == result.high:
        return value
    return f"{value} [{low}, {high}]"


def digits(number: float) -> str:
    """A number with three digits."""
    return f"{number:.3g}".replace("inf", "∞").replace("-", "−")


def terminal(claims: pd.DataFrame, width: int) -> str:
    """The claims, one row each, as wide as the terminal."""
    claims = claims.drop(columns="paper", errors="ignore")
    rest = max(width - 110, 20)
    for name, room in {"says": rest, "on": 22, "verdict": 26}.items():
        claims[name] = [textwrap.fill(text, room) for text in claims[name]]
    return tabulate(claims, headers="keys", tablefmt="simple", showindex=False, disable_numparse=True)


def markdown(title: str, verdicts: pd.DataFrame, note: str = NOTE) -> str:
    """The claims, then every test."""
    claims, tests = (
        tabulate(
            part.map(lambda cell: cell.replace("|", "\\|")),
            headers="keys",
            tablefmt="github",
            showindex=False,
            disable_numparse=True,
        )
        for part in parts(verdicts)
    )
    return f"# {title}\n\n{claims}\n\n{note}\n\n## Every test\n\n{tests}\n"
