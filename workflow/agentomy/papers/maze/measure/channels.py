"""Cheese channels: how many there are, what clamping them does, and what else they depend on (claims M10 to M12)."""

import numpy as np
import pandas as pd
import pyarrow as pa

from agentomy import kinds
from agentomy.lenses.rows import untrained_and_trained
from agentomy.papers.maze.agents import NETWORKS
from agentomy.values import Share

CASE = ["level", "target_x", "target_y"]


def telling(channels: kinds.maze_edits.CHANNELS, *, threshold: Share) -> kinds.maze_edits.TELLING:
    """How many channels of each layer tell an object's position (claim M10), of trained and untrained networks.

    A channel tells it if its AUC is above the `threshold`, or that of its negative is: the sign says nothing of how
    well.
    """
    frame = untrained_and_trained(channels.frame())
    frame["negative"] = 1 - frame["auc"]
    frame["best"] = frame[["auc", "negative"]].max(axis=1)
    frame["tells"], frame["below"] = frame["best"] > threshold, frame["negative"] > threshold
    counts = frame.groupby([*NETWORKS, "agent", "layer", "object"], sort=False).agg(
        channels=("channel", "size"),
        telling=("tells", "sum"),
        lower=("below", "sum"),
        share=("tells", "mean"),
        largest_auc=("best", "max"),
    )
    return _rows(kinds.maze_edits.TELLING, counts.reset_index())


def retargeted(retargets: kinds.maze_edits.RETARGETS, levels: kinds.maze.LEVELS) -> kinds.maze_edits.RETARGETED:
    """How well clamped channels send a network to a target (claim M11), of trained and untrained networks."""
    frame = untrained_and_trained(retargets.frame())
    plain = frame[frame["edit"] == "none"][[*NETWORKS, *CASE, "probability"]]
    frame = frame.merge(plain, on=[*NETWORKS, *CASE], suffixes=("", "_without"), validate="many_to_one")
    frame["gain"] = frame["probability"] - frame["probability_without"]
    frame["side"] = frame["level"].map(levels.frame(["level", "side"]).set_index("level")["side"])
    groups = frame.groupby([*NETWORKS, "agent", "edit"], sort=False)
    numbers = groups.agg(channels=("channels", "max"), probability=("probability", "mean"), gain=("gain", "mean"))
    numbers["correlation_off_route"] = [correlation(rows["probability"], rows["off_route"]) for _, rows in groups]
    numbers["correlation_side"] = [correlation(rows["gain"], rows["side"]) for _, rows in groups]
    return _rows(kinds.maze_edits.RETARGETED, numbers.reset_index())


def correlation(first: pd.Series, second: pd.Series) -> float:
    """Pearson's correlation; NaN where one of the two does not vary."""
    with np.errstate(invalid="ignore"):
        return float(np.corrcoef(first, second)[0, 1])


def resampling(resampled: kinds.maze_edits.RESAMPLED) -> kinds.maze_edits.RESAMPLING:
    """What the policy takes from channels beside the cheese's position (claim M12), trained and untrained."""
    frame = untrained_and_trained(resampled.frame())
    by = [*NETWORKS, "agent", "which"]
    changes = frame.groupby([*by, "place"], sort=False)["change"].mean().unstack("place")
    changes["ratio"] = changes["other"] / changes["same"]
    changes["channels"] = frame.groupby(by, sort=False)["channels"].max()
    return _rows(kinds.maze_edits.RESAMPLING, changes.reset_index())


def _rows(kind, frame: pd.DataFrame) -> pa.Table:
    return kind.table(**{name: frame[name].to_numpy() for name in frame})
