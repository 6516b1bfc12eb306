"""The inequality that a test states, such as "> 0"."""

import math
import operator
from dataclasses import dataclass

import numpy as np

COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
HOLD, OPEN, FAIL = 1, 0, -1


@dataclass(frozen=True)
class Threshold:
    """A side and a number."""

    side: str
    number: float

    @classmethod
    def read(cls, text: str) -> "Threshold":
        """From a text such as "<= 1e-3"; ValueError if it is none."""
        side, _, number = text.partition(" ")
        try:
            limit = float(number)
        except ValueError:
            limit = math.nan
        if side not in COMPARE or not math.isfinite(limit):
            raise ValueError("a comparison with a number, as in '< 1e-3'")
        return cls(side, limit)

    @property
    def upward(self) -> bool:
        return self.side.startswith(">")

    def levels(self, hold: float, fail: float) -> tuple[float, float]:
        """The levels of the lower and the upper end of an interval, of which one decides that the test holds."""
        return (hold, fail) if self.upward else (fail, hold)

    def met(self, values: np.ndarray) -> np.ndarray:
        return COMPARE[self.side](values, self.number)

    def verdict(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """HOLD or FAIL where the whole interval lies on one side, else OPEN, also where an end is NaN."""
        worse, better = (low, high) if self.upward else (high, low)
        known = ~(np.isnan(low) | np.isnan(high))
        return np.where(known & self.met(worse), HOLD, np.where(known & ~self.met(better), FAIL, OPEN))
