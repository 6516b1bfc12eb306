"""Structural comparison: how well the states of a network and of the Bayes-optimal agent map onto each other."""

import numpy as np
import pandas as pd

from agentomy import kinds
from agentomy.lenses.pieces import Means, iter_groups
from agentomy.lenses.rows import table_of
from agentomy.papers.bayes.measure.divergence import kl


def simulation(maps: kinds.bayes.MAPS) -> kinds.bayes.SIMULATION:
    """State and output dissimilarity, Ds and Do, of every map (section 6.3).

    Ds is the mean squared error of the mapped state; normalised, it is divided by the target's variance, without
    which an untrained network, whose states hardly vary, would look best.
    """
    by = ("run", "family", "drive", "agent", "seed", "direction", "map")
    means = Means()
    columns = ("squared_error", "target_variance", "output", "mapped_output", "q_difference")
    for key, rows in iter_groups(maps, by, columns):
        _, family, _, _, _, direction, _ = key
        error, q_difference = rows.array("squared_error"), rows.array("q_difference")
        shape = (error.shape[1], -1)
        output, mapped = rows.array("output", *shape), rows.array("mapped_output", *shape)
        if family == "bandit":
            missed = return_difference(output[..., 0], mapped[..., 0], q_difference)
        else:
            # The Bayes-optimal side stands first: in R→B that is what is read from the mapped statistics.
            sides = (mapped, output) if direction == "R→B" else (output, mapped)
            missed = kl(family, *sides).mean(axis=1)
        means.add(key, error.mean(axis=1), rows.values("target_variance"), missed)
    result = means.result()
    state, variance, missed = np.array(list(result.values())).T
    return kinds.bayes.SIMULATION.table(
        **{name: np.array([key[i] for key in result]) for i, name in enumerate(by)},
        state_error=state,
        state_error_normalised=state / variance,
        output_error=missed,
    )


def return_difference(first: np.ndarray, second: np.ndarray, q_difference: np.ndarray) -> np.ndarray:
    """Absolute difference of two policies' expected return on the same states, per episode [E].

    From probabilities of arm 1 and Q*(arm 1) - Q*(arm 0), all [E, T].
    """
    return np.abs(((first - second) * q_difference).sum(axis=1))


def geometric_mean(values: pd.DataFrame) -> pd.Series:
    """Of each column."""
    return np.exp(np.log(values).mean())


def over_tasks(simulation: kinds.bayes.SIMULATION) -> kinds.bayes.OVER_TASKS:
    """How well the two machines map onto each other over all tasks, by the seeds that all tasks have (claims C5, C6).

    Inputs come from the prior or, in bandits, from the Gittins agent's pulls; the maps are mlp maps.
    """
    frame = simulation.where(map="mlp", drive=["prior", "gittins"], agent=["trained", "untrained"]).frame()
    errors = ["state_error_normalised", "output_error"]
    by_direction = frame.pivot(index=["agent", "seed", "run"], columns="direction", values=errors)
    rows = []
    for (agent, seed), tasks in by_direction.groupby(["agent", "seed"], sort=False):
        if len(tasks) == frame["run"].nunique():
            forward, reverse = (tasks.xs(direction, axis=1, level="direction")[errors] for direction in ("R→B", "B→R"))
            ratios, worse = geometric_mean(reverse / forward), (reverse > forward).mean()
            rows.append((agent, seed, len(tasks), geometric_mean(forward)[errors[0]], *ratios, *worse))
    if not rows:
        raise ValueError("simulation: no seed that all tasks have")
    return table_of(kinds.bayes.OVER_TASKS, rows)


def redundancy(states: kinds.bayes.STATES) -> kinds.bayes.REDUNDANCY:
    """Variance of the network state among equal sufficient statistics, as a share of its total variance (section 6.3).

    It is the floor of normalised Ds(B→R), whatever the map. Only tasks whose statistics are counts have rows: hardly
    any two states share statistics that are real numbers. Counts sum to the number of observations, so that equal
    statistics mean equal steps.
    """
    by = ("run", "agent", "seed")
    rows = []
    for key, piece in iter_groups(states, by, ("network", "bayes", "q_difference")):
        steps = piece.array("q_difference").shape[1]
        network, statistics = (piece.array(name, steps, -1) for name in ("network", "bayes"))
        if np.array_equal(statistics, np.rint(statistics)):
            flat = (array.reshape(-1, array.shape[-1]) for array in (network, statistics))
            rows.append((*key, variance_within(*flat)))
    if not rows:
        raise ValueError("states: no run whose sufficient statistics are counts")
    *keys, share = (np.array(column) for column in zip(*rows, strict=True))
    return kinds.bayes.REDUNDANCY.table(**dict(zip(by, keys, strict=True)), redundancy=share)


def variance_within(values: np.ndarray, labels: np.ndarray) -> float:
    """Share of the variance of values [rows, entries] that is left among rows of equal labels [rows, labels].

    Unbiased: 1 for values that do not depend on the labels, however small the groups. Rows that share their label
    with no other row say nothing about it and are left out; NaN if no two rows share a label.
    """
    _, group, counts = np.unique(labels, axis=0, return_inverse=True, return_counts=True)
    group = group.ravel()
    values = np.asarray(values, float)
    sums = pd.DataFrame(values).groupby(group).sum().to_numpy()
    squares = ((values - (sums / counts[:, None])[group]) ** 2).sum(axis=1)
    within = np.bincount(group, squares)
    shared = counts > 1
    if not shared.any():
        return np.nan
    expected = (counts[shared] * within[shared] / (counts[shared] - 1)).sum() / counts[shared].sum()
    return float(expected / values.var(axis=0, ddof=1).sum())
