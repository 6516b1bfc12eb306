"""Verdicts: of each test on each group, and of the whole claim, so that it errs with at most 5 % each way.

A claim holds if all its tests hold: it is false if one of them is, and that one holds by chance with at most 5 %,
however many there are (an intersection–union test, Berger 1982). So each is judged at the full level. A claim fails if
one of its tests fails. If it is true all of them are, and any may fail by chance: each has the level divided by their
number (Bonferroni). What is exact never errs, and takes no share; nor does a premise, without which a claim is open
whatever else is found, and which therefore fails none.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pandas as pd

from agentomy.judge.columns import NoRows, SelectionError
from agentomy.judge.intervals import Interval, Sample, counted, counted_differences, interval, linear, logarithmic
from agentomy.judge.looks import FIRST, Look
from agentomy.judge.power import Need, hardest, need, toward_holding
from agentomy.judge.results import FAILS, HOLDS, REPORTED, UNDECIDED, Result
from agentomy.judge.selection import Group, select
from agentomy.judge.stopping import stopped
from agentomy.judge.thresholds import FAIL, HOLD, OPEN
from agentomy.judge.written import EXACT, NOT_SAMPLED, Claim, Test
from agentomy.mistakes import unknown

NO_ROWS = "no rows"
WORDS = {HOLD: HOLDS, FAIL: FAILS, OPEN: UNDECIDED}
NOTHING = Need()
UNKNOWN = {"value": np.nan, "low": np.nan, "high": np.nan, "n": 0, "there": 0, "look": 0, "level": np.nan, "shared": 0}
TOTAL = 0.05  # the chance of a wrong verdict of a claim, on each side, over all looks


@dataclass(frozen=True)
class _Outcome:
    """A result, with what its claim has to know of it."""

    result: Result
    margin: float = np.inf  # from the threshold, in standard errors
    need: Need = NOTHING

    @property
    def verdict(self) -> str:
        return self.result.verdict


def judge(
    claim: Claim,
    tables: Mapping[str | None, pd.DataFrame | None],
    looks: Callable[[str, Group], Sequence[Look]],
    *,
    unjudged: Mapping[str, str] = MappingProxyType({}),
    seed: str = "seed",
    numbered: bool = False,
    complete: Callable[[str, Group], int | None] = lambda name, group: None,
) -> list[Result]:
    """The verdict of a claim, then those of its tests, group by group.

    `tables` are by the name that tests give (`from`); None stands for one that isn't made here. `looks` says when a
    group of a test is judged. Tests that are `unjudged` here are shown with that word for a verdict, as far as they
    have rows. `numbered`: seeds are 0, 1, 2, …, so that it is known if one is missing. `complete`: how many of the
    first seeds of a group are all there, where others are not of all that it is made of. A SelectionError's key is the
    place below the claim.
    """
    chosen = {name: _selected(name, test, tables, seed, name in unjudged) for name, test in claim.tests.items()}
    for name, groups in chosen.items():
        if claim.tests[name].unit == "seed":
            limits = [complete(name, group) for group in groups]
            chosen[name] = [
                group if limit is None else group.below(limit) for group, limit in zip(groups, limits, strict=True)
            ]
    judged = {name for name, test in claim.tests.items() if test.holds and name not in unjudged}
    share = sum(len(groups) for name, groups in chosen.items() if name in judged and _can_err(claim.tests[name]))
    outcomes = []
    for name, groups in chosen.items():
        test = claim.tests[name]
        for group in groups:
            if name in judged:
                planned = looks(name, group) if test.unit == "seed" else ()
                order = _numbered(name, group) if numbered and test.unit == "seed" else group.order
                outcome = _judged(name, test, group, planned, order, share if _can_err(test) else 1)
            else:
                outcome = _shown(name, test, group)
                outcome = replace(outcome, result=replace(outcome.result, verdict=unjudged.get(name, REPORTED)))
            outcomes.append(outcome)
        if not groups:
            verdict = unjudged.get(name, UNDECIDED if test.holds else REPORTED)
            words, holds = "" if name in unjudged else NO_ROWS, test.holds or ""
            outcomes.append(_Outcome(Result(name, "", test.unit, **UNKNOWN, holds=holds, verdict=verdict, words=words)))
    return [_whole(claim, outcomes), *(outcome.result for outcome in outcomes)]


def _can_err(test: Test) -> bool:
    """Whether a test can fail its claim by chance."""
    return test.unit not in EXACT and not test.premise


def _selected(
    name: str, test: Test, tables: Mapping[str | None, pd.DataFrame | None], seed: str, may_lack: bool
) -> list[Group]:
    try:
        if test.source not in tables:
            raise SelectionError("from", unknown("table", test.source, filter(None, tables)))
        frame = tables[test.source]
        return [] if frame is None else select(test, frame, seed)
    except SelectionError as error:
        if may_lack and isinstance(error, NoRows):
            return []
        raise error.below(f"tests.{name}") from None


def _numbered(name: str, group: Group) -> list[int]:
    """All seeds up to the last existing one."""
    if group.units[0] < 0:  # as of what is no run
        raise SelectionError(f"tests.{name}.where", f"found a row of seed {group.units[0]}; allowed: 0, 1, 2, …")
    return list(range(group.units[-1] + 1))


def sample_of(test: Test, group: Group) -> Sample:
    """What a sampled test measured, [units]."""
    rows, base = group.rows, group.base
    if test.count and base is None:
        return counted(rows["value"].to_numpy(), rows["count"].to_numpy())
    if test.count:
        return counted_differences(*(side[name].to_numpy() for side in (rows, base) for name in ("value", "count")))
    return logarithmic(_compared(test, group)) if test.interval == "log" else linear(_compared(test, group))


def _compared(test: Test, group: Group) -> np.ndarray:
    """Values [units] as they are compared; those that are no numbers are named later."""
    values = group.rows["value"].to_numpy()
    if group.base is None:
        return values
    other = group.base["value"].to_numpy()
    with np.errstate(all="ignore"):
        return values - other if test.less else values / other


def _judged(name: str, test: Test, group: Group, looks: Sequence[Look], order: list, tests: int) -> _Outcome:
    """A test with a threshold on a group; `tests` of the claim share the level of failing."""
    if test.unit in NOT_SAMPLED:
        return _known(name, test, group, tests)
    sample, threshold = sample_of(test, group), test.threshold
    if test.unit != "seed":  # judged once, on all that there are
        looks, order = (Look(sample.size, FIRST),), group.units
    ready = _ready(order, group.units)
    verdict, at, seen = stopped(sample.first(ready), looks, threshold, tests)
    taken = [look for look in looks if look.seeds <= ready]
    last = looks[(at or len(taken)) - 1] if taken else None
    n, level = (last.seeds, last.level) if last else (0, FIRST)
    if not n:  # shown, and not judged
        seen = interval(sample, *threshold.levels(level, level / tests))
    left = NOTHING
    if verdict == OPEN and test.unit == "seed":
        left = need(sample, [look for look in looks if look.seeds > ready], threshold, tests)
    result = Result(
        test=name,
        group=group.name,
        unit=test.unit,
        **_clipped(test, seen),
        n=n,
        there=sample.size,
        look=int(at) if test.unit == "seed" else 0,
        level=level,
        shared=0 if test.premise else tests,
        holds=test.holds,
        verdict=WORDS[int(verdict)],
        words=_in_median(test, sample.first(n)) if verdict else _why(test, group, sample, order, n, looks),
        needs="" if verdict else left.text,
    )
    used = sample.first(n) if n else sample
    return _Outcome(result, abs(toward_holding(used, threshold)) * np.sqrt(used.size), left)


def _known(name: str, test: Test, group: Group, tests: int) -> _Outcome:
    """A test on what is exact, or comes with an interval of 95 %: each end at the level of a first look."""
    seen, words = _given(test, group), ""
    verdict = int(test.threshold.verdict(np.float64(seen.low), np.float64(seen.high)))
    if not np.isfinite(seen).all():
        verdict, words = OPEN, "found " + ", ".join(dict.fromkeys(f"{number:.3g}" for number in seen))
    elif verdict == FAIL and test.unit == "given" and FIRST * tests > TOTAL:
        verdict, words = OPEN, f"its interval is of 95 %, too short to fail one of {tests} tests"
    needs = "" if verdict else NOTHING.text
    level, shared = (FIRST, 0 if test.premise else tests) if test.unit == "given" else (np.nan, 0)
    return _Outcome(
        Result(name, group.name, test.unit, *seen, 0, 0, 0, level, shared, test.holds, WORDS[verdict], words, needs)
    )


def _given(test: Test, group: Group) -> Interval:
    """The interval that comes with a value; an exact value is an interval of its own."""
    value = float(_compared(test, group)[0])
    if test.unit in EXACT:
        return Interval(value, value, value)
    return Interval(value, *(float(group.rows[end].iloc[0]) for end in ("low", "high")))


def _shown(name: str, test: Test, group: Group) -> _Outcome:
    """A test that is not judged: its value, with the usual 95 % interval over all existing units."""
    there, level, words = 0, np.nan, ""
    if test.unit in NOT_SAMPLED:
        seen = _given(test, group)
    else:
        sample = sample_of(test, group)
        there, level, words = sample.size, FIRST, _no_number(test, group, sample)
        seen = Interval(**_clipped(test, interval(sample, FIRST, FIRST)))
    return _Outcome(
        Result(name, group.name, test.unit, *seen, there, there, 0, level, 0, test.holds or "", REPORTED, words)
    )


def _ready(order: list, units: list) -> int:
    """The number of units before the first missing one."""
    here = set(units)
    return next((place for place, unit in enumerate(order) if unit not in here), len(order))


def _in_median(test: Test, sample: Sample) -> str:
    return f"in the median {test.unit}" if sample.equal else ""


def _why(test: Test, group: Group, sample: Sample, order: list, n: int, looks: Sequence[Look]) -> str:
    """Why a test is open, if it isn't that its interval takes in the threshold."""
    judged = sample.first(n)
    if odd := _no_number(test, group, judged if n else sample):
        return odd
    here = set(group.units)
    missing = [unit for unit in order[: order.index(group.units[-1])] if unit not in here]
    if missing:
        return f"{test.unit} {missing[0]} is missing"
    if not n:
        return f"{sample.size} of {looks[0].seeds} seeds"
    if n == 1:
        return f"one {test.unit}"
    return f"{n} equal {test.unit}s" if judged.equal else ""


def _no_number(test: Test, group: Group, sample: Sample) -> str:
    """The first unit whose value is no number, or has no logarithm."""
    odd = np.flatnonzero(~np.isfinite(sample.values))
    if not len(odd):
        return ""
    value = _compared(test, group)[odd[0]]
    why = f"{value:.3g}, which has no logarithm" if np.isfinite(value) else f"{value:.3g}".replace("nan", "NaN")
    return f"{test.unit} {group.units[odd[0]]} is {why}"


def _clipped(test: Test, seen: Interval) -> dict[str, float]:
    """The interval as it is shown: clipped to the values that are possible."""
    low, high = (0.0, 1.0) if test.count else test.within or (-np.inf, np.inf)
    if test.less:
        low, high = low - high, high - low
    elif test.over:
        low, high = -np.inf, np.inf
    return {name: float(np.clip(number, low, high)) for name, number in zip(Interval._fields, seen, strict=True)}


def _whole(claim: Claim, outcomes: list[_Outcome]) -> Result:
    """The verdict of the claim, shown as that of the test that decides it."""
    premises = [outcome for outcome in outcomes if claim.tests[outcome.result.test].premise]
    for verdict in (FAILS, UNDECIDED):  # a premise that fails stays so, whatever the open ones need
        if missing := [outcome for outcome in premises if outcome.verdict == verdict]:
            first = missing[hardest([outcome.need for outcome in missing])]
            why = f"its premise {'fails' if verdict == FAILS else 'is undecided'}"
            words = ", ".join(filter(None, [why, first.result.words]))
            needs = first.result.needs or NOTHING.text
            return replace(_for_claim(first), verdict=UNDECIDED, look=0, words=words, needs=needs)
    by = {
        verdict: [outcome for outcome in outcomes if outcome.verdict == verdict]
        for verdict in (FAILS, UNDECIDED, HOLDS)
    }
    if by[FAILS]:
        first = min(outcome.result.look for outcome in by[FAILS])
        at_first = [outcome for outcome in by[FAILS] if outcome.result.look == first]
        return _for_claim(max(at_first, key=lambda outcome: outcome.margin))
    if by[UNDECIDED]:
        return _for_claim(by[UNDECIDED][hardest([outcome.need for outcome in by[UNDECIDED]])])
    if by[HOLDS]:
        said = dict.fromkeys(outcome.result.words for outcome in by[HOLDS] if outcome.result.words)
        last = max(outcome.result.look for outcome in by[HOLDS])
        nearest = min(by[HOLDS], key=lambda outcome: (claim.tests[outcome.result.test].premise, outcome.margin))
        return replace(_for_claim(nearest), look=last, words=", ".join(said))
    reported = [outcome for outcome in outcomes if outcome.verdict == REPORTED]
    return _for_claim((reported or outcomes)[0])


def _for_claim(deciding: _Outcome) -> Result:
    label = ", ".join(filter(None, [deciding.result.test, deciding.result.group]))
    return replace(deciding.result, test="", group=label)
