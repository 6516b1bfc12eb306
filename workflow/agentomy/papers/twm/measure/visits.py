"""How evenly a sampling rule uses the interactions of a replay buffer."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa

from agentomy import kinds
from agentomy.tables import Table
from agentomy.values import NonNegative, Share


def by_age(
    visits: kinds.twm.VISITS, *, bands: list[Share], expected: dict[str, list[NonNegative]]
) -> kinds.twm.VISITS_BY_AGE:
    """Mean visits by age band, from the oldest, of each rule and simulation.

    `bands` are the ends of the bands as shares of the buffer, from 0 to 1; `expected` is rule → mean visits by band.
    """
    if bands[0] != 0 or bands[-1] != 1 or (np.diff(bands) <= 0).any():
        raise ValueError(f"visits: bands: found {bands}; allowed: rising shares from 0 to 1")
    pieces = []
    for sampler, seed, counts in simulations(visits):
        means = by_band(counts, bands)
        wanted = expected.get(sampler, [np.nan] * len(means))
        if len(wanted) != len(means):
            raise ValueError(f"visits: expected.{sampler}: found {len(wanted)} of {len(means)} bands")
        since, until = zip(*pairwise(map(float, bands)), strict=True)
        measured = {"since": since, "until": until, "visits": means, "over_expected": means / np.array(wanted)}
        columns = {name: np.array(values) for name, values in measured.items()}
        pieces.append(kinds.twm.VISITS_BY_AGE.table(sampler=sampler, simulation=seed, **columns))
    return pa.concat_tables(pieces)


def evenness(visits: kinds.twm.VISITS) -> kinds.twm.EVENNESS:
    """Entropy and variation of the visits of each rule and simulation."""
    return pa.concat_tables(
        kinds.twm.EVENNESS.table(
            sampler=sampler,
            simulation=np.array([seed]),
            entropy=entropy(counts),
            variation=counts.std() / counts.mean(),
        )
        for sampler, seed, counts in simulations(visits)
    )


def simulations(visits: Table) -> Iterator[tuple[str, int, np.ndarray]]:
    """(rule, number, visits [interactions]) of each simulation, from the oldest interaction."""
    for (sampler, seed), frame in visits.frame().groupby(["sampler", "seed"], sort=False):
        yield sampler, seed, frame.sort_values("interaction")["visits"].to_numpy()


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
