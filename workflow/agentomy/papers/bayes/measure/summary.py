"""The study of Bayes-optimal agents in one table: a row per task."""

import numpy as np

from agentomy import kinds
from agentomy.lenses.rows import untrained_and_trained


def by_task(
    distance: kinds.bayes.DISTANCE, losses: kinds.bayes.LOSSES, optimum: kinds.bayes.OPTIMUM
) -> kinds.bayes.SUMMARY:
    """Per task: what is optimal, what the trained networks reach, and how far that is, mean over seeds.

    The network's value is the exact optimum plus (minus) what it loses on the evaluation episodes, so that the luck
    of these episodes does not enter.
    """
    exact = optimum.frame().groupby(["run", "quantity"])["value"].mean()
    rows = []
    for run, frame in distance.frame().groupby("run", sort=False):
        means = untrained_and_trained(frame).groupby("agent")[["kl", "excess"]].mean()
        rows.append(
            {
                "run": run,
                "optimum": exact[run, "optimal log-loss"],
                "network": exact[run, "optimal log-loss"] + means.loc["trained", "excess"],
                "distance": means.loc["trained", "kl"],
                "distance_sampled": np.nan,
                "untrained": means.loc["untrained", "kl"],
                "agreement": np.nan,
                "seeds": frame["seed"].nunique(),
                "updates": frame["update"].max(),
            }
        )
    for run, frame in losses.where(agent="network").frame().groupby("run", sort=False):
        means = untrained_and_trained(frame).groupby(["agent", "policy"])[["lost", "agreement"]].mean()
        argmax = means.loc["trained", "argmax"]
        rows.append(
            {
                "run": run,
                "optimum": exact[run, "optimal return"],
                "network": exact[run, "optimal return"] - argmax["lost"],
                "distance": argmax["lost"],
                "distance_sampled": means.loc[("trained", "sampled"), "lost"],
                "untrained": means.loc[("untrained", "argmax"), "lost"],
                "agreement": argmax["agreement"],
                "seeds": frame["seed"].nunique(),
                "updates": frame["update"].max(),
            }
        )
    return kinds.bayes.SUMMARY.table(**{name: np.array([row[name] for row in rows]) for name in rows[0]})
