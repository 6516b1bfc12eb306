"""The study of Bayes-optimal agents in one table: a row per task."""

import numpy as np
import pandas as pd

from agentomy import kinds


def by_task(distance: kinds.bayes.DISTANCE, gap: kinds.bayes.GAP, optimum: kinds.bayes.OPTIMUM) -> kinds.bayes.SUMMARY:
    """Per task: what is optimal, what the trained networks reach, and how far that is, mean over seeds.

    The network's value is the exact optimum plus (minus) what it loses on the evaluation episodes, so that the luck
    of these episodes does not enter.
    """
    exact = optimum.frame().groupby(["run", "quantity"])["value"].mean()
    rows = []
    for run, frame in distance.frame().groupby("run", sort=False):
        first, last = _ends(frame)
        best = exact[run, "optimal log-loss"]
        rows.append(
            {
                **_row(run, frame),
                "optimum": best,
                "network": best + last["excess"].mean(),
                "distance": last["kl"].mean(),
                "distance_sampled": np.nan,
                "untrained": first["kl"].mean(),
                "agreement": np.nan,
            }
        )
    networks = gap.where(agent="network").frame()
    for run, frame in networks.groupby("run", sort=False):
        first, last = (part.groupby(["policy", "seed"])["gap"].sum().groupby("policy").mean() for part in _ends(frame))
        best = exact[run, "optimal return"]
        argmax = _ends(frame[frame["policy"] == "argmax"])[1]
        rows.append(
            {
                **_row(run, frame),
                "optimum": best,
                "network": best - last["argmax"],
                "distance": last["argmax"],
                "distance_sampled": last["sampled"],
                "untrained": first["argmax"],
                "agreement": argmax["agreement"].mean(),
            }
        )
    return kinds.bayes.SUMMARY.table(**{name: np.array([row[name] for row in rows]) for name in rows[0]})


def _row(run: str, frame: pd.DataFrame) -> dict:
    return {"run": run, "seeds": frame["seed"].nunique(), "updates": frame["update"].max()}


def _ends(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of the untrained networks, and of those at the end of training."""
    return tuple(frame[frame["update"] == end] for end in (frame["update"].min(), frame["update"].max()))
