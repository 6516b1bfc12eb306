"""Cheese channels: how many there are, what clamping them does, and what else they depend on (claims M10 to M12)."""

import numpy as np
import pandas as pd

from agentomy import kinds
from agentomy.lenses.rows import Row, comparison_rows
from agentomy.papers.maze.measure.edits import networks
from agentomy.selection import select
from agentomy.values import Share

CLAMPED = ("one", "several", "all", "random")


def of_channels(channels: kinds.maze_edits.CHANNELS, *, layer: str, threshold: Share) -> kinds.common.COMPARISON:
    """How many channels of a layer tell the cheese's position (claim M10), per seed.

    `cheese channels`: those with an AUC above the `threshold`, or below one less the threshold, as the sign says
    nothing of how well; `share of cheese channels`; `lower at the cheese`: how many of them; `largest AUC` of a channel
    or of its negative.
    The ending `untrained` means the untrained network.
    """
    rows: list[Row] = []
    for run, seed, ending, part in networks(select(channels, layer=layer, object="cheese").frame()):
        auc, negative = part["auc"], 1 - part["auc"]
        above = ((auc > threshold) | (negative > threshold)).sum()
        found = {
            "cheese channels": above,
            "share of cheese channels": above / len(part),
            "lower at the cheese": (negative > threshold).sum(),
            "largest AUC": max(auc.max(), negative.max()),
        }
        rows += [(run, seed, name + ending, value) for name, value in found.items()]
    return comparison_rows(rows)


def of_retargets(retargets: kinds.maze_edits.RETARGETS, levels: kinds.maze.LEVELS) -> kinds.common.COMPARISON:
    """How well clamped channels send a network to a target (claim M11), per seed; means are over levels and targets.

    - `path probability, EDIT`: mean normalised path probability;
    - `EDIT less none`: how much more than without an edit, and so for the steps of the expected order: `cheese less
      several`, `several less one`, `several less random`;
    - `channels, all`: how many the edit `all` clamps;
    - `correlation with cells off route, EDIT` of the path probability, and `correlation of gain with side, EDIT` of the
      maze, gain being what the probability has more than without an edit.
    """
    sides = dict(zip(levels.values("level"), levels.values("side"), strict=True))
    rows: list[Row] = []
    for run, seed, ending, part in networks(retargets.frame()):
        wide = part.pivot(index=["level", "target_x", "target_y"], columns="edit", values="probability")
        means = wide.mean()
        plain = part[part["edit"] == "none"].set_index(["level", "target_x", "target_y"]).loc[wide.index]
        side = pd.Series(wide.index.get_level_values("level").map(sides), wide.index)
        found = {f"path probability, {edit}": value for edit, value in means.items()}
        pairs = [(edit, "none") for edit in (*CLAMPED, "cheese")]
        pairs += [("cheese", "several"), ("several", "one"), ("several", "random")]
        found |= {f"{one} less {other}": means[one] - means[other] for one, other in pairs}
        found["channels, all"] = part.loc[part["edit"] == "all", "channels"].max()
        for edit in ("none", *CLAMPED, "cheese"):
            found[f"correlation with cells off route, {edit}"] = correlation(wide[edit], plain["off_route"])
        for edit in (*CLAMPED, "cheese"):
            found[f"correlation of gain with side, {edit}"] = correlation(wide[edit] - wide["none"], side)
        rows += [(run, seed, name + ending, value) for name, value in found.items()]
    return comparison_rows(rows)


def correlation(one: pd.Series, other: pd.Series) -> float:
    """Pearson's; NaN where one of the two does not vary."""
    with np.errstate(invalid="ignore"):
        return float(np.corrcoef(one, other)[0, 1])


def of_resampled(resampled: kinds.maze_edits.RESAMPLED) -> kinds.common.COMPARISON:
    """What the policy takes from channels beside the cheese's position (claim M12), per seed; means over levels.

    `change, WHICH, PLACE`: mean total variation with WHICH channels (cheese, other) from a level with its cheese at
    PLACE (same, other); `other / same, WHICH`; and `channels`, how many were changed.
    """
    rows: list[Row] = []
    for run, seed, ending, part in networks(resampled.frame()):
        means = part.groupby(["which", "place"])["change"].mean()
        found = {f"change, {which}, {place}": value for (which, place), value in means.items()}
        for which in ("cheese", "other"):
            found[f"other / same, {which}"] = means[which, "other"] / means[which, "same"]
        found["channels"] = part["channels"].max()
        rows += [(run, seed, name + ending, value) for name, value in found.items()]
    return comparison_rows(rows)
