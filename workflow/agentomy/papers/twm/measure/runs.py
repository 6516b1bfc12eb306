"""What the claims about our own world models are judged on, by run and seed (TWM)."""

from collections.abc import Iterator

import pandas as pd
import pyarrow as pa

from agentomy import kinds
from agentomy.lenses.rows import untrained_and_trained
from agentomy.tables import Kind, Table
from agentomy.values import Natural, NonNegative


def fresh_losses(losses: kinds.twm.MODEL_LOSSES) -> kinds.twm.FRESH:
    """Losses of the last snapshot on fresh steps, beside those of the best constant prediction."""
    frame = losses.frame()
    last = frame[frame["update"] == frame.groupby(["run", "seed"])["update"].transform("max")]
    wide = last.pivot(index=["run", "seed", "quantity"], columns="model", values="value").reset_index()
    wide = wide[wide["quantity"] != "latent_entropy"]
    loss, constant = wide["snapshot"], wide["constant"]
    measured = {"loss": loss, "above_constant": loss - constant, "over_constant": loss / constant.where(constant > 0)}
    return kinds.twm.FRESH.table(**{name: wide[name].to_numpy() for name in ("run", "seed", "quantity")}, **measured)


def entropy(log: kinds.common.LOG, *, low: NonNegative, high: NonNegative) -> kinds.twm.ENTROPY:
    """The policy's entropy along learning after pre-training; it is out of bounds below `low` or above `high`.

    Below, the policy has collapsed; above, it never commits.
    """

    def of_seed(frame: pd.DataFrame) -> dict[str, float]:
        wide = frame.pivot(index="update", columns="quantity", values="value").sort_index()
        joint = wide.loc[wide["interactions"] > wide["interactions"].min(), "policy_entropy"]
        late = joint.iloc[-max(1, len(joint) // 4) :].mean()
        return {"late": late, "least": joint.min(), "out_of_bounds": float(not low <= late <= high)}

    return table(kinds.twm.ENTROPY, ({**key, **of_seed(frame)} for key, frame in grouped(log.frame())))


def modalities(attention: kinds.twm.ATTENTION) -> kinds.twm.ATTENDED:
    """Mean attention of the untrained and of the trained transformer on tokens of each modality."""
    return table(
        kinds.twm.ATTENDED,
        (
            {**key, "modality": modality, "share": share}
            for key, frame in grouped(averages(attention), "agent")
            for modality, share in (frame.groupby("modality")["weight"].sum() / heads(frame)).items()
        ),
    )


def ages(attention: kinds.twm.ATTENTION) -> kinds.twm.AGES:
    """How far back the untrained and the trained transformer attend, and how much its heads differ in that."""

    def of_network(frame: pd.DataFrame) -> dict[str, float]:
        by_head = (frame["weight"] * frame["age"]).groupby([frame["layer"], frame["head"]]).sum()
        beyond = frame.loc[frame["age"] > 1, "weight"].sum() / heads(frame)
        return {"beyond_last": beyond, "range": by_head.max() - by_head.min()}

    return table(kinds.twm.AGES, ({**key, **of_network(frame)} for key, frame in grouped(averages(attention), "agent")))


def dreamt(imagined: kinds.twm.IMAGINED, *, late: Natural) -> kinds.twm.DREAMT:
    """How much imagined pictures at steps from `late` on are like real ones in what is in them.

    A picture has a number of objects of each sort (of places with more than 0.5). It is possible if each of its numbers
    lies between the least and the largest of the seed's real pictures.
    """

    def of_seed(key: dict, frame: pd.DataFrame) -> dict[str, float]:
        rows = imagined.where(**key)
        pictures = rows.array("picture").reshape(len(rows), -1, int(frame["channels"].iloc[0]))
        counts = (pictures > 0.5).sum(axis=1)
        real, reward = (frame["source"] == "real").to_numpy(), frame["reward"].to_numpy()
        chosen = ~real & (frame["step"] >= late).to_numpy()
        low, high = counts[real].min(axis=0), counts[real].max(axis=0)
        return {
            "pictures": int(chosen.sum()),
            "possible": ((counts[chosen] >= low) & (counts[chosen] <= high)).all(axis=1).mean(),
            "sharp": ((pictures[chosen] < 0.1) | (pictures[chosen] > 0.9)).mean(),
            "reward_error": reward[~real].mean() - reward[real].mean(),
        }

    return table(kinds.twm.DREAMT, ({**key, **of_seed(key, frame)} for key, frame in grouped(imagined.frame())))


# ---- parts -----------------------------------------------------------------------------------------------------------


def averages(attention: Table) -> pd.DataFrame:
    """Mean attention, of the network before training and of the trained one."""
    return untrained_and_trained(attention.where(view="mean").frame())


def heads(frame: pd.DataFrame) -> int:
    return frame.groupby(["layer", "head"]).ngroups


def grouped(frame: pd.DataFrame, *more: str) -> Iterator[tuple[dict, pd.DataFrame]]:
    """The rows of each run and seed, and of each value of other columns."""
    names = ["run", "seed", *more]
    for key, rows in frame.groupby(names, sort=False):
        yield dict(zip(names, key, strict=True)), rows


def table(kind: Kind, rows: Iterator[dict]) -> pa.Table:
    frame = pd.DataFrame(list(rows))
    return kind.table(**{name: frame[name].to_numpy() for name in frame})
