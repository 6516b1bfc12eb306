"""What the claims about our own world models are judged on: one value per run and seed (TWM)."""

import numpy as np

from agentomy import kinds
from agentomy.lenses.rows import Row, comparison_rows
from agentomy.values import Natural, NonNegative


def of_losses(losses: kinds.twm.MODEL_LOSSES) -> kinds.common.COMPARISON:
    """Losses of the last snapshot on fresh steps: `next_latent`, `reward`, `discount`.

    `QUANTITY - constant` and `QUANTITY - untrained`: less the best constant's and less the network's before training;
    `next_latent / constant`: as a share.
    """
    rows: list[Row] = []
    for (run, seed), frame in losses.frame().groupby(["run", "seed"], sort=False):
        last = frame[frame["update"] == frame["update"].max()]
        values = last.set_index(["model", "quantity"])["value"]
        for name in ("next_latent", "reward", "discount"):
            found = values["snapshot", name]
            rows.append((run, seed, name, found))
            rows += [
                (run, seed, f"{name} - {other}", found - values[other, name]) for other in ("constant", "untrained")
            ]
        rows.append((run, seed, "next_latent / constant", found_share(values)))
    return comparison_rows(rows)


def found_share(values) -> float:
    constant = values["constant", "next_latent"]
    return values["snapshot", "next_latent"] / constant if constant > 0 else np.nan


def of_entropy(log: kinds.common.LOG, *, low: NonNegative, high: NonNegative) -> kinds.common.COMPARISON:
    """The policy's entropy along learning, as a share of the largest, after pre-training.

    `late entropy`: mean over the last quarter of the joint updates; `least entropy`: the smallest at a log point;
    `out of bounds`: 1 if the late entropy is below `low` (collapsed) or above `high` (never commits), else 0.
    """
    rows: list[Row] = []
    for (run, seed), frame in log.frame().groupby(["run", "seed"], sort=False):
        wide = frame.pivot(index="update", columns="quantity", values="value").sort_index()
        joint = wide[wide["interactions"] > wide["interactions"].min()]
        entropy = joint["policy_entropy"]
        late = entropy.iloc[-max(1, len(entropy) // 4) :].mean()
        found = {
            "late entropy": late,
            "least entropy": entropy.min(),
            "out of bounds": float(not low <= late <= high),
        }
        rows += [(run, seed, name, value) for name, value in found.items()]
    return comparison_rows(rows)


def of_attention(attention: kinds.twm.ATTENTION) -> kinds.common.COMPARISON:
    """Mean attention of the untrained and of the trained transformer, each quantity ending with that word.

    `share of z` and so on: on tokens of a modality, mean over heads; `share beyond 1`: on steps before the last;
    `range of age`: largest less smallest mean age over heads, in steps.
    """
    rows: list[Row] = []
    for (run, seed), frame in attention.where(view="mean").frame().groupby(["run", "seed"], sort=False):
        for update, own in frame.groupby("update"):
            word = "untrained" if update == 0 else "trained"
            heads = own.groupby(["layer", "head"]).ngroups
            shares = own.groupby("modality")["weight"].sum() / heads
            ages = (own["weight"] * own["age"]).groupby([own["layer"], own["head"]]).sum()
            found = {f"share of {name}": value for name, value in shares.items()}
            found["share beyond 1"] = own.loc[own["age"] > 1, "weight"].sum() / heads
            found["range of age"] = ages.max() - ages.min()
            rows += [(run, seed, f"{name} {word}", value) for name, value in found.items()]
    return comparison_rows(rows)


def of_imagined(imagined: kinds.twm.IMAGINED, *, late: Natural) -> kinds.common.COMPARISON:
    """How much imagined pictures are like real ones in what is in them.

    A picture has a number of objects of each sort (of places with more than 0.5). `possible`: share of pictures at
    steps from `late` on whose numbers all lie between the least and the largest of the seed's real pictures; `sharp`:
    share of places, in those pictures, below 0.1 or above 0.9; `mean reward error`: mean reward imagined less the real.
    """
    rows: list[Row] = []
    for (run, seed), frame in imagined.frame().groupby(["run", "seed"], sort=False):
        own = imagined.where(run=run, seed=int(seed))
        channels = int(frame["channels"].iloc[0])
        pictures = own.array("picture").reshape(len(own), -1, channels)
        counts = (pictures > 0.5).sum(axis=1)
        real = (frame["source"] == "real").to_numpy()
        late_ones = ~real & (frame["step"] >= late).to_numpy()
        low, high = counts[real].min(axis=0), counts[real].max(axis=0)
        inside = ((counts[late_ones] >= low) & (counts[late_ones] <= high)).all(axis=1)
        sharp = (pictures[late_ones] < 0.1) | (pictures[late_ones] > 0.9)
        reward = frame["reward"].to_numpy()
        found = {"possible": inside.mean(), "sharp": sharp.mean()}
        found["mean reward error"] = reward[~real].mean() - reward[real].mean()
        rows += [(run, seed, name, float(value)) for name, value in found.items()]
    return comparison_rows(rows)
