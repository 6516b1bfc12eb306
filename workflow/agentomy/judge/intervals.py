"""What is known of a mean from a few seeds: Student's t on the scale where it fits, each end at a level of its own.

Arrays end in the axis of seeds, [..., n]; whatever is in front of it is done at once. What is said of seeds here goes
for any other unit that is sampled.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit, stdtrit

EQUAL = 1e-12  # relative: what differs by less differs by rounding


class Interval(NamedTuple):
    """A value and the ends of its interval, each [...]; an end that nothing bounds is infinite."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Scale:
    """Where means are taken: there and back again."""

    forth: Callable
    back: Callable


LINEAR, LOG, LOGIT = Scale(np.asarray, np.asarray), Scale(np.log, np.exp), Scale(logit, expit)


@dataclass(frozen=True)
class Sample:
    """What was measured, on its scale.

    `values` [..., n] are on the scale. `noise` [..., n] is the variance that counting alone gives each, if they were
    counted. `shares` [..., n] are the shares that logits were made of.
    """

    values: np.ndarray
    scale: Scale = LINEAR
    noise: np.ndarray | None = None
    shares: np.ndarray | None = None

    @property
    def size(self) -> int:
        return self.values.shape[-1]

    def first(self, seeds: int) -> "Sample":
        parts = (None if part is None else part[..., :seeds] for part in (self.noise, self.shares))
        return Sample(self.values[..., :seeds], self.scale, *parts)

    @property
    def mean(self) -> np.ndarray:
        """The mean; of equal seeds their value itself, without rounding."""
        return np.where(self.equal, self.values[..., 0], self.values.mean(-1))

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation between seeds, of at least what counting alone gives; NaN of one seed."""
        if self.size < 2:
            return np.full(self.values.shape[:-1], np.nan)
        with np.errstate(invalid="ignore"):  # of what is infinite it is NaN
            variance = self.values.var(-1, ddof=1)
        return np.sqrt(variance if self.noise is None else np.maximum(variance, self.noise.mean(-1)))

    @property
    def equal(self) -> np.ndarray:
        """Where all seeds have the same value, and no count bounds its error."""
        if self.noise is not None:
            return np.zeros(self.values.shape[:-1], dtype=bool)
        low, high = self.values.min(-1), self.values.max(-1)
        return np.isfinite(high - low) & (high - low <= EQUAL * np.maximum(abs(low), abs(high)))


def linear(values: np.ndarray) -> Sample:
    return Sample(np.asarray(values, dtype=np.float64))


def logarithmic(values: np.ndarray) -> Sample:
    """Geometric means. A value that is not positive has no logarithm and becomes NaN."""
    values = np.asarray(values, dtype=np.float64)
    return Sample(np.log(np.where(values > 0, values, np.nan)), LOG)


def counted(shares: np.ndarray, of: np.ndarray) -> Sample:
    """Shares counted of so many cases each, as empirical logits (Haldane 1956, Anscombe 1956)."""
    hits = np.asarray(shares, dtype=np.float64) * of
    yes, no = hits + 0.5, of - hits + 0.5
    return Sample(np.log(yes / no), LOGIT, 1 / yes + 1 / no, np.asarray(shares, dtype=np.float64))


def counted_differences(shares: np.ndarray, of: np.ndarray, less: np.ndarray, less_of: np.ndarray) -> Sample:
    """Differences of counted shares, pair by pair."""

    def noise(share, number):
        smoothed = (share * number + 0.5) / (number + 1)
        return smoothed * (1 - smoothed) / number

    shares, less = np.asarray(shares, dtype=np.float64), np.asarray(less, dtype=np.float64)
    return Sample(shares - less, noise=noise(shares, of) + noise(less, less_of))


def interval(sample: Sample, below: float, above: float) -> Interval:
    """The mean, on the sample's scale, and ends beyond which the truth lies with chances `below` and `above`.

    One seed has no interval: its ends are NaN. If all seeds are equal the interval is that of the sign test, for the
    median: n equal seeds bound it if ½ⁿ is within the level, and say nothing else. The interval of shares takes in
    their plain mean, so that a verdict is true of it as of the typical seed.
    """
    center, error = sample.mean, sample.spread / np.sqrt(sample.size)
    freedom = max(sample.size - 1, 1)  # the spread of one seed is NaN
    low = center - stdtrit(freedom, 1 - below) * error
    high = center + stdtrit(freedom, 1 - above) * error
    if (equal := sample.equal).any() and sample.size > 1:
        chance = 0.5**sample.size
        low = np.where(equal, center if chance <= below else -np.inf, low)
        high = np.where(equal, center if chance <= above else np.inf, high)
    value, low, high = (sample.scale.back(bound) for bound in (center, low, high))
    if sample.shares is not None:
        value = sample.shares.mean(-1)
        low, high = np.minimum(low, value), np.maximum(high, value)  # NaN stays
    return Interval(value, low, high)
