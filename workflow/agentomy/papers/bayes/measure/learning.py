"""How networks come to be near the Bayes-optimal agents: which steps they learn when, and where they come to rest."""

import numpy as np
import pandas as pd
import pyarrow as pa

from agentomy import kinds
from agentomy.lenses.rows import UNTRAINED, table_of
from agentomy.tables import Table
from agentomy.values import Share

# ---- when each step is learned --------------------------------------------------------------------------------------


def acquisition_of_predictors(distance: kinds.bayes.DISTANCE, *, threshold: Share) -> kinds.bayes.ACQUISITION:
    """When each step of the episode is learned: the KL falls below `threshold` of the untrained network's."""
    return _acquisition(distance.frame(), "kl", threshold)


def acquisition_of_bandits(gap: kinds.bayes.GAP, *, threshold: Share) -> kinds.bayes.ACQUISITION:
    """When each pull is learned: the return it loses (argmax policy) falls below `threshold` of that at update 0."""
    return _acquisition(_argmax(gap), "gap", threshold)


def _argmax(gap: Table) -> pd.DataFrame:
    return gap.where(agent="network", policy="argmax").frame()


def _acquisition(frame: pd.DataFrame, column: str, threshold: float) -> pa.Table:
    """The first snapshot at which each step is below its level.

    The level is relative to the same step of the untrained network, so that learning all steps in proportion would
    give the same update for all. Steps at which the untrained network is nearly optimal already (such as the first
    one under a symmetric prior) would measure noise: no level lies below `threshold` of the mean over steps.
    """
    rows = []
    for (run, seed), curve in frame.groupby(["run", "seed"], sort=False):
        by_update = curve.pivot(index="update", columns="t", values=column).sort_index()
        values, updates = by_update.to_numpy(), by_update.index.to_numpy()
        level = threshold * np.maximum(values[0], values[0].mean())
        learned = values <= level
        first = np.where(learned.any(axis=0), updates[learned.argmax(axis=0)], np.nan)
        rows.append((run, seed, by_update.columns.to_numpy(), first, level))
    steps = [len(row[2]) for row in rows]
    return kinds.bayes.ACQUISITION.table(
        run=np.repeat([row[0] for row in rows], steps),
        seed=np.repeat([row[1] for row in rows], steps),
        t=np.concatenate([row[2] for row in rows]),
        update=np.concatenate([row[3] for row in rows]),
        level=np.concatenate([row[4] for row in rows]),
    )


def order(acquisition: kinds.bayes.ACQUISITION) -> kinds.bayes.ORDER:
    """Whether the steps of an episode are learned at different times, and whether early ones come first (claim C4).

    The rank correlation is positive if early steps come first.
    """
    rows = []
    for (run, seed), frame in acquisition.frame().groupby(["run", "seed"], sort=False):
        needed = frame[frame["update"] != UNTRAINED]
        learned = needed.dropna(subset="update")
        updates = learned["update"].to_numpy()
        spread, correlation = np.nan, np.nan
        if len(updates):
            spread, correlation = np.log10(updates.max() / updates.min()), 0.0
        if len(set(updates)) > 1:
            correlation = learned[["t", "update"]].rank().corr().to_numpy()[0, 1]
        rows.append((run, seed, spread, correlation, len(learned) / len(needed) if len(needed) else np.nan))
    return table_of(kinds.bayes.ORDER, rows)


# ---- where learning comes to rest -----------------------------------------------------------------------------------


def trend_of_predictors(distance: kinds.bayes.DISTANCE) -> kinds.bayes.TREND:
    """Whether predictors stay where they are: the trend of their KL, mean over steps (claim C8)."""
    return _trends(distance.frame().groupby(["run", "seed", "update"], sort=False)["kl"].mean())


def trend_of_bandits(gap: kinds.bayes.GAP) -> kinds.bayes.TREND:
    """Whether bandit agents stay where they are: the trend of the return that their argmax policy loses (claim C8)."""
    return _trends(_argmax(gap).groupby(["run", "seed", "update"], sort=False)["gap"].sum())


def _trends(curves: pd.Series) -> pa.Table:
    """From distances indexed by run, seed and update."""
    rows = []
    for key, curve in curves.groupby(["run", "seed"], sort=False):
        by_update = curve.droplevel(["run", "seed"]).sort_index()
        change, error = trend(by_update.index.to_numpy(), by_update.to_numpy())
        rows.append((*key, change, error, change / error if error > 0 else np.nan))
    return table_of(kinds.bayes.TREND, rows)


def trend(updates: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Relative change of the values over the last third of the updates, by a straight line, and its standard error.

    Both are shares of the mean value there. NaN with fewer than three points (a line through two has no noise).
    """
    late = 3 * updates >= 2 * updates.max()
    count = late.sum()
    if count < 3:
        return np.nan, np.nan
    x, y = updates[late] - updates[late].mean(), values[late] - values[late].mean()
    slope = (x @ y) / (x @ x)
    residual = y - slope * x
    error = np.sqrt((residual @ residual) / (count - 2) / (x @ x))
    third, level = updates.max() / 3, values[late].mean()
    return slope * third / level, error * third / level
