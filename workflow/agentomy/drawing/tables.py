"""Choosing the rows that a figure draws, and what figures say about them."""

import numpy as np
import pandas as pd

from agentomy.drawing import style
from agentomy.judge.intervals import interval, linear
from agentomy.judge.looks import FIRST
from agentomy.tables import Table


def non_empty(values: list | dict, what: str) -> list | dict:
    """The values, of which a figure needs at least one."""
    if not values:
        raise ValueError(f"no {what} to draw: the list is empty")
    return values


def seeds_text(table: Table, by: str = "run") -> str:
    """How many seeds a run has, or whatever the column `by` names; a range where they differ."""
    counts = table.frame([by, "seed"]).groupby(by)["seed"].nunique()
    low, high = int(counts.min()), int(counts.max())
    return style.seeds(high) if low == high else f"n = {low} to {high} training seeds"


LEGEND = {"loc": "outside upper center", "columnspacing": 1.2, "handletextpad": 0.5}


def thousands(value: float, _position: int = 0) -> str:
    """A tick of updates: 15000 as 15k, 2000000 as 2M."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


NOT_NEGATIVE, SHARE = (0.0, np.inf), (0.0, 1.0)  # what a quantity can be


def mean_interval(values: np.ndarray, possible: tuple[float, float] = (-np.inf, np.inf)) -> tuple[float, float, float]:
    """Mean and 95 % Student-t interval of values [seeds]; one seed has none (NaN), equal seeds one without length.

    The interval ends where values stop being `possible`: a share lies between 0 and 1.
    """
    mean, *ends = map(float, interval(linear(values), FIRST, FIRST))
    return mean, *(mean if np.isinf(end) else float(np.clip(end, *possible)) for end in ends)


BANDS = "bands: 95 % intervals over seeds (Student's t)"  # what `intervals` are, for the small print


def intervals(by_seed: pd.DataFrame) -> pd.DataFrame:
    """`mean`, `low` and `high` of each row of values [places, seeds]; see `mean_interval`.

    Where no value is negative, as in games that only give points, no interval goes below 0.
    """
    possible = NOT_NEGATIVE if by_seed.min(axis=None) >= 0 else (-np.inf, np.inf)
    rows = [mean_interval(values[np.isfinite(values)], possible) for values in by_seed.to_numpy()]
    return pd.DataFrame(rows, by_seed.index, ["mean", "low", "high"])
