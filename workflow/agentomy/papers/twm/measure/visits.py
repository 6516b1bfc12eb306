"""How evenly a sampling rule uses the interactions of a replay buffer."""

from itertools import pairwise

import numpy as np

from agentomy import kinds
from agentomy.lenses.rows import comparison_rows
from agentomy.values import NonNegative, Share


def evenness(
    visits: kinds.twm.VISITS, *, bands: list[Share], expected: dict[str, list[NonNegative]]
) -> kinds.common.COMPARISON:
    """Of each rule and seed, mean `visits 5–25 %` and such by age band, from the oldest; their entropy and variation.

    `bands` are the ends of the bands as shares of the buffer, from 0 to 1. `entropy`: of the histogram of visits, 1 if
    all are equal; `variation`: standard deviation over mean; `ratio 5–25 %` and such: mean visits over those that are
    `expected` (rule → mean visits by band).
    """
    if bands[0] != 0 or bands[-1] != 1 or (np.diff(bands) <= 0).any():
        raise ValueError(f"visits: bands: found {bands}; allowed: rising shares from 0 to 1")
    rows = []
    for (sampler, seed), own in visits.frame().groupby(["sampler", "seed"], sort=False):
        counts = own.sort_values("interaction")["visits"].to_numpy()
        means = by_band(counts, bands)
        names = [f"{100 * a:g}–{100 * b:g} %" for a, b in pairwise(bands)]
        found = {f"visits {name}": each for name, each in zip(names, means, strict=True)}
        found |= {"entropy": entropy(counts), "variation": counts.std() / counts.mean()}
        wanted = expected.get(sampler)
        if wanted is not None:
            if len(wanted) != len(means):
                raise ValueError(f"visits: expected.{sampler}: found {len(wanted)} of {len(means)} bands")
            found |= {f"ratio {name}": each / b for name, each, b in zip(names, means, wanted, strict=True)}
        rows += [(sampler, seed, name, value) for name, value in found.items()]
    return comparison_rows(rows)


def by_band(counts: np.ndarray, bands: list) -> np.ndarray:
    """Means [bands] of visits [interactions] by age."""
    edges = np.rint(np.array(bands) * len(counts)).astype(int)
    if (np.diff(edges) < 1).any():
        raise ValueError(f"visits: bands: found {bands} of {len(counts)} interactions; allowed: bands with some")
    return np.add.reduceat(counts, edges[:-1]) / np.diff(edges)


def entropy(counts: np.ndarray) -> float:
    """Entropy of visits as shares of all, over that of equal shares; 0 log 0 = 0."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum() / np.log(len(counts)))
