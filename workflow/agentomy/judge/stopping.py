"""A test over planned looks: judged at each until it is decided, and what it says first stands."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from agentomy.judge.intervals import Interval, Sample, interval
from agentomy.judge.looks import Look
from agentomy.judge.thresholds import OPEN, Threshold


class Decision(NamedTuple):
    """The first decision over looks, arrays [...]: HOLD, OPEN or FAIL; the number of the look; what was seen there."""

    verdict: np.ndarray
    look: np.ndarray
    interval: Interval


def stopped(sample: Sample, looks: Sequence[Look], threshold: Threshold, tests: int) -> Decision:
    """Judge a sample at each look for which it has the seeds, until it is decided; `tests` share the level of failing.

    An undecided sample has the interval of the last look, or NaN if there was none.
    """
    shape = sample.values.shape[:-1]
    verdict, at = np.full(shape, OPEN), np.zeros(shape, dtype=int)
    seen = Interval(*(np.full(shape, np.nan) for _ in Interval._fields))
    for number, look in enumerate(looks, 1):
        if look.seeds > sample.size:
            break
        open_ = verdict == OPEN
        estimate = interval(sample.first(look.seeds), *threshold.levels(look.level, look.level / tests))
        seen = Interval(*(np.where(open_, new, old) for new, old in zip(estimate, seen, strict=True)))
        verdict = np.where(open_, threshold.verdict(estimate.low, estimate.high), verdict)
        at = np.where(open_ & (verdict != OPEN), number, at)
    return Decision(verdict, at, seen)
