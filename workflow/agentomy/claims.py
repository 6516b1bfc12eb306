"""The claims of a study: judged on its metrics by `agentomy.judge`, and shown as Markdown, HTML and on the terminal.

The first look at a claim is at as many seeds as the study file gives the runs that it is about, whatever number a user
asks for: more seeds are later looks. "Not at this scale" is said of what the study file does not judge there, and of
nothing else; "untested" of a claim that nothing here can show.
"""

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import numpy as np
import pandas as pd
import pyarrow as pa

from agentomy import kinds
from agentomy.judge import showing
from agentomy.judge.columns import SelectionError, is_end
from agentomy.judge.looks import FIRST, Look, planned
from agentomy.judge.results import Result
from agentomy.judge.selection import Group, type_of
from agentomy.judge.verdicts import UNKNOWN, judge
from agentomy.judge.written import Test
from agentomy.mistakes import ConfigError
from agentomy.tables import Kind, Table

NOT_HERE, UNTESTED = "not at this scale", "untested"
Seeds = Mapping[str, Sequence[int]]  # run → the number of seeds that the study file gives it, and the size of a stack


@dataclass(frozen=True)
class Behind:
    """What a group of a test rests on: runs, and the looks at their seeds."""

    runs: tuple[str, ...]
    looks: tuple[Look, ...]


class Claim(Protocol):
    """A claim of a study, as `entries.Claim` has it; its tests say at which `scales` they are judged."""

    says: str
    paper: str
    differs: str | None
    untested: str | None
    tests: Mapping[str, Test]


def judged(
    metrics: Mapping[str, Table],
    study: str,
    claims: Mapping[str, Claim],
    scale: str,
    seeds: Mapping[str, Seeds],
    trained: Mapping[str, int] = MappingProxyType({}),
) -> pa.Table:
    """Judge every claim; returns `kinds.common.CLAIMS`.

    `seeds` are, for each metric, those of the runs that it is made of; `trained` how many seeds a run has.
    """
    rows = []
    for name, (results, _) in results_of(metrics, study, claims, scale, seeds, trained).items():
        claim = claims[name]
        said = {"claim": name, "says": claim.says, "paper": claim.paper, "differs": claim.differs or ""}
        rows += [{**said, **vars(result)} for result in results]
    names = ["claim", "says", "paper", "differs", *(field.name for field in fields(Result))]
    columns = {name: np.array([row[name] for row in rows], dtype=object) for name in names}
    return kinds.common.CLAIMS.table(study=np.array([study] * len(rows), dtype=object), **columns)


Judged = tuple[list[Result], dict[tuple[str, str], Behind]]  # with what each test and group that has looks rests on


def results_of(
    metrics: Mapping[str, Table],
    study: str,
    claims: Mapping[str, Claim],
    scale: str,
    seeds: Mapping[str, Seeds],
    trained: Mapping[str, int],
) -> dict[str, Judged]:
    """The verdict of each claim, then those of its tests, and the runs behind them."""
    frames = {name: table.frame() for name, table in metrics.items()}
    by_claim = {}
    for name, claim in claims.items():
        try:
            by_claim[name] = _judged(claim, metrics, frames, scale, seeds, trained)
        except SelectionError as error:
            raise ConfigError(f"{study}.yaml", f"claims.{name}.{error.key}", error.problem) from None
    return by_claim


def _judged(
    claim: Claim,
    metrics: Mapping[str, Table],
    frames: Mapping[str, pd.DataFrame],
    scale: str,
    seeds: Mapping[str, Seeds],
    trained: Mapping[str, int],
) -> Judged:
    if claim.untested:
        nothing = Result(f"untested: {claim.untested}", "", "", **UNKNOWN, holds="", verdict=UNTESTED)
        return [Result("", nothing.test, "", **UNKNOWN, holds="", verdict=UNTESTED), nothing], {}
    behind: dict[tuple[str, str], Behind] = {}

    def runs(name: str, group: Group) -> list[str]:
        test = claim.tests[name]
        of = seeds.get(test.source, {})
        named = _runs(test, group, metrics[test.source].kind, frames[test.source])
        return [run for run in of if run in named] or [*of]

    def looks(name: str, group: Group) -> tuple[Look, ...]:
        of, runs_behind = seeds[claim.tests[name].source], runs(name, group)
        if not runs_behind:  # made by no training: there is nothing to add later
            return (Look(len(group.units), FIRST),)
        schedule = planned(min(of[run][0] for run in runs_behind), math.lcm(*(of[run][1] for run in runs_behind)))
        behind[name, group.name] = Behind(tuple(runs_behind), schedule)
        return schedule

    def complete(name: str, group: Group) -> int | None:
        """A seed counts once all runs behind it have it."""
        return min((trained[run] for run in runs(name, group) if run in trained), default=None)

    elsewhere = {name: NOT_HERE for name, test in claim.tests.items() if scale not in test.scales}
    there = {test.source: frames.get(test.source) for test in claim.tests.values()}
    return judge(claim, there, looks, unjudged=elsewhere, numbered=True, complete=complete), behind


def _runs(test: Test, group: Group, kind: Kind, frame: pd.DataFrame) -> set[str]:
    """The runs that a group's rows name, and those that they are compared with."""
    columns = [column.name for column in kind.columns if column.names == "runs" or column.name == "run"]
    wanted = {**test.where, **{name: [cell] for name, cell in group.key.items()}}
    rows = frame
    for name, cells in wanted.items():
        if not is_end(type_of(frame[name]), cells):
            rows = rows[rows[name].isin(cells)]
    return {run for name in columns for run in [*rows[name].unique(), *filter(None, [test.pair.get(name)])]}


def parts(verdicts: pa.Table) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(one row a claim, one row a test and group), as a reader sees them."""
    return showing.parts(verdicts.to_pandas())


def markdown(study: str, verdicts: pa.Table) -> str:
    """The claims as Markdown: the verdicts, then every test."""
    return showing.markdown(f"Claims of `{study}`", verdicts.to_pandas(), NOTE)


NOTE = f"{showing.NOTE} Thresholds are those of the study file."


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


def show(path: str, times: Mapping[str, str] = MappingProxyType({})) -> None:
    """Print the verdicts of a study, as wide as the terminal; `times`: how long it takes to decide a claim."""
    claims, _ = parts(Table(kinds.common.CLAIMS, [path]).arrow())
    claims["to decide it"] = [
        ", ".join(filter(None, [need, times.get(claim)]))
        for claim, need in claims[["claim", "to decide it"]].to_numpy()
    ]
    width = shutil.get_terminal_size((140, 24)).columns
    print(f"\n{Path(path).parent.name}  ({path})\n")
    print(showing.terminal(claims, width) if len(claims) else "no claims")
