"""About how many seeds would decide what is open: planned from the effect and the spread that were seen so far.

Both are guesses from a few seeds, so the number is one to plan by and no promise. Only looks decide, so it is one of
them, or it is said that seeds won't do it: beyond the last look, or where the value doesn't come from seeds alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import nctdtr, stdtrit

from agentomy.judge.intervals import Sample
from agentomy.judge.looks import Look
from agentomy.judge.thresholds import FAIL, HOLD, OPEN, Threshold

CHANCE = 0.8  # of being decided at the look that is named, if effect and spread are as they seem
CERTAIN = 100.0  # standard errors: here the distribution isn't asked
NOT_BY_SEEDS = "not by seeds"


@dataclass(frozen=True)
class Need:
    """Which way a test seems to go, and at how many seeds that would be decided; None if not by seeds."""

    toward: int = OPEN
    seeds: int | None = None
    known: bool = True  # whether a spread was seen; else `seeds` is the least that shows one

    @property
    def text(self) -> str:
        if self.seeds is None:
            return NOT_BY_SEEDS
        return f"about {self.seeds} seeds" if self.known else f"{self.seeds} seeds or more"


def seeds_of(text: str) -> int | None:
    """The number of seeds that the text of a need says; None if it says that seeds won't do."""
    return next((int(word) for word in text.split() if word.isdecimal()), None)


def need(sample: Sample, looks: Iterable[Look], threshold: Threshold, tests: int) -> Need:
    """What a sample [n] of an open test needs; `looks` are those that are still to come."""
    if not np.isfinite(sample.values).all():
        return Need()
    effect = toward_holding(sample, threshold)
    if sample.size < 2:
        return Need(OPEN, next((look.seeds for look in looks if look.seeds > 1), None), known=False)
    if sample.equal:
        toward = HOLD if threshold.met(sample.scale.back(sample.mean)) else FAIL
    else:
        toward = HOLD if effect > 0 else FAIL if effect < 0 else OPEN
    for look in looks if toward else ():
        level = look.level if toward == HOLD else look.level / tests
        if (0.5**look.seeds <= level) if sample.equal else _chance(abs(effect), look.seeds, level) >= CHANCE:
            return Need(toward, look.seeds)
    return Need(toward)


def toward_holding(sample: Sample, threshold: Threshold) -> float:
    """How far the mean lies from the threshold, toward holding, in standard deviations between seeds."""
    with np.errstate(all="ignore"):  # the logarithm of a threshold that is not positive
        distance = float(sample.mean - sample.scale.forth(threshold.number))
        effect = np.divide(distance if threshold.upward else -distance, sample.spread)
    return 0.0 if np.isnan(effect) else float(effect)


def _chance(effect: float, seeds: int, level: float) -> float:
    """The chance that a one-sided t test finds an effect of so many standard deviations."""
    away = effect * np.sqrt(seeds)
    needed = stdtrit(seeds - 1, 1 - level)
    return 1.0 if away > CERTAIN + needed else 1 - float(nctdtr(seeds - 1, away, needed))


def hardest(needs: Sequence[Need]) -> int:
    """The place of the open test that decides when the claim would be decided.

    If one seems to fail, the claim does as soon as one has failed: the easiest of those. Else it holds once all do.
    """

    def seeds(place: int) -> float:
        return np.inf if needs[place].seeds is None else needs[place].seeds

    failing = [place for place, of_test in enumerate(needs) if of_test.toward == FAIL]
    return min(failing, key=seeds) if failing else max(range(len(needs)), key=seeds)
