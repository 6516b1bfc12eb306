"""What lenses found in an agent, among what they found in its untrained twins."""

import numpy as np
import pandas as pd

from agentomy import kinds
from agentomy.lenses.behaviour.measure import ranks


def probe_ranks(probed: kinds.inside.PROBED) -> kinds.behaviour.RANKS:
    """How well each label is read from each layer, among the untrained twins' layers."""
    frame = probed.where(labels="true").frame()
    frame = frame[frame["layer"] != kinds.inside.INPUT]
    return ranks(frame.rename(columns={"label": "quantity", "score": "value"}))


def saliency_ranks(salient: kinds.inside.SALIENT) -> kinds.behaviour.RANKS:
    """How concentrated saliency is, among that of the twins; of vectors also each entry's share.

    `layer` is the output. `entries` is the exponential of the entropy of shares: of how many entries it is, in effect.
    """
    rows = []
    for row in (row for group in salient.groups() for row in group.to_pylist()):
        shares = np.array(row["values"], float)
        positive = shares[shares > 0]
        numbers = {"entries": float(np.exp(-(positive * np.log(positive)).sum())), "largest share": shares.max()}
        if row["rows"] == 1:
            numbers |= {f"entry {number}": share for number, share in enumerate(shares)}
        identity = [row[name] for name in ("run", "seed", "update", "twin", "output")]
        rows += [(*identity, quantity, value) for quantity, value in numbers.items()]
    return ranks(pd.DataFrame(rows, columns=["run", "seed", "update", "twin", "layer", "quantity", "value"]))


def edit_ranks(effects: kinds.inside.ACTIVATION_EDITS) -> kinds.behaviour.RANKS:
    """How much each edit does beside a random one as long, among the twins: effect / (effect + random).

    That is 0.5 where both do the same, and does not depend on how large a head is: PPO begins with a hundred times
    smaller ones. `clamped, largest share`: of all that is done by holding one unit after the other, the share of the
    largest.
    """
    frame = effects.frame()
    both = frame["effect"] + frame["random"]
    frame["value"] = (frame["effect"] / both.where(both > 0)).fillna(0.5)
    whole = frame[frame["edit"] != "clamped"].assign(
        quantity=lambda part: part["edit"] + np.where(part["label"] == "", "", " " + part["label"])
    )
    by = ["run", "seed", "update", "twin", "layer"]
    clamped = frame[frame["edit"] == "clamped"].groupby(by, sort=False)["effect"]
    shares = (clamped.max() / clamped.sum().where(lambda sums: sums > 0)).fillna(0.0)
    units = shares.reset_index(name="value").assign(quantity="clamped, largest share")
    return ranks(pd.concat([whole[[*by, "quantity", "value"]], units]))


def group_ranks(grouped: kinds.inside.GROUPED) -> kinds.behaviour.RANKS:
    """How places of feature maps fall into groups, and how well features tell labels, among the untrained twins'.

    What is not defined, such as features of a label that nothing has, is left out.
    """
    frame = grouped.frame()
    frame = frame[(frame["layer"] != kinds.inside.INPUT) & frame["value"].notna()]
    parts = [frame["quantity"], frame["of"], frame["method"].replace("none", "")]
    frame["quantity"] = [", ".join(filter(None, words)) for words in zip(*parts, strict=True)]
    by = ["run", "seed", "layer", "quantity"]
    return ranks(frame.merge(frame.loc[frame["twin"] == -1, by], on=by))
