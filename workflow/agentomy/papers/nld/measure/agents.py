"""Posterior samples of a Q-network: what they get by exploring, and where they disagree (beyond the paper)."""

import numpy as np
from scipy.stats import spearmanr

from agentomy import kinds
from agentomy.lenses.rows import table_of


def returns(rollouts: kinds.paths.ROLLOUTS) -> kinds.nld.RETURNS:
    """What agents get in evaluation episodes along learning, mean over episodes."""
    frame = rollouts.where(directions=-1).frame()
    means = frame.groupby(["run", "seed", "update"], sort=False)["return"].agg(["mean", "count"]).reset_index()
    return kinds.nld.RETURNS.table(
        **{name: means[name].to_numpy() for name in ("run", "seed", "update")},
        **{"return": means["mean"].to_numpy()},
        episodes=means["count"].to_numpy(),
    )


def doubt(doubt: kinds.nld.DOUBT) -> kinds.nld.DOUBTED:
    """Whether samples disagree where they have seldom been; means are over states, not over places."""
    rows = []
    for key, places in doubt.frame().groupby(["run", "seed"], sort=False):
        shares = places["visits"] / places["visits"].sum()
        value, deviation, dissent = ((shares * places[name]).sum() for name in ("value", "deviation", "dissent"))
        correlation = spearmanr(places["visits"], places["deviation"])[0] if len(places) > 2 else np.nan
        rows.append((*key, deviation, deviation / abs(value), dissent, correlation))
    return table_of(kinds.nld.DOUBTED, rows)
