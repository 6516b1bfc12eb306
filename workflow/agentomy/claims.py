"""Judges a study's claims: the mean over seeds and its 95 % interval, against the threshold of the study file.

A claim fails if any of its tests fails, and is undecided if any interval straddles its threshold, or if a test finds
no rows. It is undecided, too, if a premise does not hold, such as that the models that it speaks of have learned: then
nothing else decides. "Not at this scale" is said of what the study file does not judge there, and of nothing else.
"""

import operator
import shutil
import textwrap
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.special import stdtrit
from tabulate import tabulate

from agentomy import kinds
from agentomy.tables import Table

HOLDS, FAILS, UNDECIDED, REPORTED = "holds", "fails", "undecided", "reported"
NOT_HERE, UNTESTED = "not at this scale", "untested"
SEVERITY = {FAILS: 0, UNDECIDED: 1, HOLDS: 2, REPORTED: 3, NOT_HERE: 4, UNTESTED: 5}
NO_ROWS = "no rows"
COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@dataclass(frozen=True)
class Result:
    """One test on one group: the estimate over seeds and its verdict."""

    test: str
    group: str
    value: float
    low: float
    high: float
    seeds: int
    holds: str
    verdict: str

    @property
    def margin(self) -> float:
        """How far the interval stays from the threshold, relative to it: the smaller, the more it decides."""
        if not self.holds:
            return np.inf
        side, threshold = _threshold(self.holds)
        nearest = self.high if side in "<=" else self.low
        if np.isnan(nearest):  # of what is undecided, that of which least is known
            return -2.0 if np.isnan(self.value) else -1.0
        return abs(nearest - threshold) / (abs(threshold) or 1.0)


def judge(metrics: dict[str, Table], study: str, claims: dict, scale: str) -> pa.Table:
    """Judge every claim; returns `kinds.common.CLAIMS`.

    `claims` maps numbers to {says, paper, tests}; see `entries.ClaimTest` for what a test says.
    """
    frames = {name: table.frame() for name, table in metrics.items()}
    rows = []
    for number, claim in claims.items():
        premises = {name for name, test in claim["tests"].items() if test["premise"]}
        results = [
            result
            for name, test in claim["tests"].items()
            for result in _results(name, test, frames.get(test["from"]), scale)
        ] or [_nothing(f"untested: {claim['untested']}", UNTESTED)]
        for result in [_whole(results, premises), *results]:
            rows.append({"claim": number, "says": claim["says"], "paper": claim["paper"], **vars(result)})
    names = ["claim", "says", "paper", *(each.name for each in fields(Result))]
    columns = {name: np.array([row[name] for row in rows], dtype=object) for name in names}
    return kinds.common.CLAIMS.table(study=np.array([study] * len(rows), dtype=object), **columns)


def _results(name: str, test: dict, frame: pd.DataFrame | None, scale: str) -> list[Result]:
    here, holds = scale in test["scales"], test["holds"] or ""
    nothing = [_nothing(name, UNDECIDED, NO_ROWS, holds) if here else _nothing(name, NOT_HERE, holds=holds)]
    if frame is None:  # the metric belongs to another scale
        return nothing
    chosen = frame
    for column, wanted in test["where"].items():
        chosen = chosen[chosen[column].isin(wanted)]
    for column, wanted in test["where"].items() if here and len(frame) else ():
        # among all rows first, which is what a misspelt name lacks; then together with the other columns
        missing = sorted(set(wanted) - set(frame[column])) or sorted(set(wanted) - set(chosen[column]))
        if missing:  # else it would be dropped without a word
            raise ValueError(f"claims: test '{name}': '{test['from']}' has no row where {column} is {missing[0]!r}")
    frame = chosen
    groups = frame.groupby(test["each"] or (lambda row: ""), sort=False, dropna=False)
    results = []
    for group, rows in groups:
        value, low, high, seeds = _estimate(name, test, rows)
        verdict = verdict_of(low, high, test["holds"]) if here else NOT_HERE
        results.append(Result(name, str(group), value, low, high, seeds, holds, verdict))
    return results or nothing


def _nothing(name: str, verdict: str, group: str = "", holds: str = "") -> Result:
    """What is said of a test that has nothing to judge."""
    return Result(name, group, np.nan, np.nan, np.nan, 0, holds, verdict)


def _estimate(name: str, test: dict, rows: pd.DataFrame) -> tuple[float, float, float, int]:
    """Value, ends of its interval, number of seeds (0 if what is known is not by seed)."""
    kind, values = test["interval"], rows[test["value"]]
    by_seed = rows.groupby("seed")[test["value"]].mean() if "seed" in rows else values
    seeds = 0 if kind in ("exact", "given") and "seed" not in rows else len(by_seed)
    if kind == "given":
        if len(rows) != 1:
            raise ValueError(f"claims: test '{name}': found {len(rows)} rows; allowed: one, with the interval given")
        return *(float(rows[column].iloc[0]) for column in (test["value"], "low", "high")), seeds
    if kind == "exact":
        return *[float(by_seed.mean())] * 3, seeds
    return *interval(by_seed.to_numpy(), kind), seeds


def interval(values: np.ndarray, kind: str = "linear") -> tuple[float, float, float]:
    """Mean and 95 % Student-t interval of values [seeds]; on the logarithm (geometric mean) if kind is "log".

    One value has no interval: its ends are NaN.
    """
    values = np.log(values) if kind == "log" else np.asarray(values, dtype=np.float64)
    mean, count = values.mean(), len(values)
    half = stdtrit(count - 1, 0.975) * values.std(ddof=1) / np.sqrt(count) if count > 1 else np.nan
    ends = np.array([mean, mean - half, mean + half])
    return tuple(float(each) for each in (np.exp(ends) if kind == "log" else ends))


def verdict_of(low: float, high: float, holds: str | None) -> str:
    """Holds or fails if the whole interval lies on one side of the threshold, else undecided."""
    if not holds:
        return REPORTED
    side, threshold = _threshold(holds)
    inside = [COMPARE[side](end, threshold) for end in (low, high)]
    if np.isnan([low, high]).any() or inside[0] != inside[1]:
        return UNDECIDED
    return HOLDS if inside[0] else FAILS


def _threshold(holds: str) -> tuple[str, float]:
    side, number = holds.split()
    return side, float(number)


def _whole(results: list[Result], premises: set[str]) -> Result:
    """The verdict of a claim: that of its worst test, or of the one nearest to its threshold."""
    open_ones = [each for each in results if each.test in premises and each.verdict in (FAILS, UNDECIDED)]
    deciding = min(open_ones or results, key=lambda result: (SEVERITY[result.verdict], result.margin))
    label = ", ".join(filter(None, [deciding.test, deciding.group]))
    return replace(deciding, test="", group=label, verdict=UNDECIDED if open_ones else deciding.verdict)


def _shown(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Verdicts as a reader sees them."""
    ends = [
        "–"
        if np.isnan(value)
        else f"{value:.3g}" + ("" if np.isnan(low) or low == high else f" [{low:.3g}, {high:.3g}]")
        for value, low, high in zip(verdicts["value"], verdicts["low"], verdicts["high"], strict=True)
    ]
    return pd.DataFrame(
        {
            "claim": verdicts["claim"],
            "says": verdicts["says"],
            "paper": verdicts["paper"],
            "test": verdicts["test"],
            "on": verdicts["group"],
            "value [95 % interval]": ends,
            "n": verdicts["seeds"],
            "threshold": verdicts["holds"],
            "verdict": verdicts["verdict"],
        }
    )


def parts(verdicts: pa.Table) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(one row a claim, one row a test and group)"""
    frame = verdicts.to_pandas()
    whole = frame["test"] == ""
    return _shown(frame[whole]).drop(columns="test"), _shown(frame[~whole]).drop(columns=["says", "paper"])


NOTE = (
    "n is the number of training seeds, 0 where the value is not one by seed. The value of a claim is that of its "
    "deciding test: a premise that does not hold, else the one that fails, else the one that is undecided, else the "
    "one nearest to its threshold. Thresholds are those of the study file."
)


def markdown(study: str, verdicts: pa.Table) -> str:
    """The claims as Markdown: the verdicts, then every test."""
    claims, tests = (tabulate(part, headers="keys", tablefmt="github", showindex=False) for part in parts(verdicts))
    return f"# Claims of `{study}`\n\n{claims}\n\n{NOTE}\n\n## Every test\n\n{tests}\n"


def html(study: str, verdicts: pa.Table) -> str:
    """The claims as one self-contained page, for the report."""
    style = (
        "body{font:14px/1.45 sans-serif;margin:1.5em;max-width:75em}table{border-collapse:collapse;margin:1em 0}"
        "th,td{padding:.35em .7em;border-bottom:1px solid #ddd;text-align:left;vertical-align:top}"
        "th{border-bottom:2px solid #888}"
    )
    claims, tests = (part.to_html(index=False, border=0) for part in parts(verdicts))
    return (
        f"<!doctype html><meta charset='utf-8'><title>Claims of {study}</title><style>{style}</style>"
        f"<h1>Claims of {study}</h1>{claims}<p>{NOTE}</p><h2>Every test</h2>{tests}\n"
    )


def show(path: str) -> None:
    """Print the verdicts of a study, as wide as the terminal."""
    room = max(20, shutil.get_terminal_size((120, 24)).columns - 88)
    claims, _ = parts(Table(kinds.common.CLAIMS, [path]).arrow())
    claims = claims.drop(columns="paper")
    claims["says"] = [textwrap.fill(each, room) for each in claims["says"]]
    claims["on"] = [textwrap.fill(each, 24) for each in claims["on"]]
    print(f"\n{Path(path).parent.name}  ({path})\n")
    print(tabulate(claims, headers="keys", tablefmt="simple", showindex=False) if len(claims) else "no claims")
