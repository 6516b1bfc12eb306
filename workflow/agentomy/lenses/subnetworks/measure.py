"""What subnetworks of toy models are for, and how clean they are (L3D, sections 3 and 4)."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa

from agentomy import kinds
from agentomy.selection import select
from agentomy.tables import Kind, Table
from agentomy.values import Count

LIVE = 0.005  # P_act up to which a subnetwork counts as dead
Row = tuple[str, int, str, float]


def matched(
    impacts: kinds.subnetworks.IMPACTS,
    points: kinds.subnetworks.POINTS,
    models: kinds.common.COMPARISON,
    *,
    decompositions: dict[str, list[str]],  # model → the runs that decompose it
    block: Count = 1,  # features that are on and off together
) -> kinds.subnetworks.MATCHED:
    """Each subnetwork's block of features: that whose presence raises the mean impact most.

    Whether the model that was decomposed has learned its task is taken from `of_models`, seed by seed.
    """
    on = presence(points, block)
    learned = models.where(quantity="learned").frame().set_index(["run", "seed"])["value"]
    model_of = {run: model for model, runs in decompositions.items() for run in runs}
    rows = []
    for key, (impact, active) in by_run(impacts, [*model_of]):
        run, seed, _ = key
        if (model_of[run], seed) not in learned:
            raise ValueError(f"models: nothing is known of seed {seed} of run '{model_of[run]}'")
        ready = bool(learned[model_of[run], seed])
        # a block that is never on in these points is nobody's
        with_, without = (side.T @ impact / side.sum(axis=0).clip(1)[:, None] for side in (on, 1 - on))
        best = (with_ - without).argmax(axis=0)  # of each subnetwork
        total, inside = impact.sum(axis=0), (on[:, best] * impact).sum(axis=0)
        shares = np.divide(inside, total, out=np.zeros_like(total), where=total > 0)
        rows += [(*key, k, best[k], p, p > LIVE, shares[k], ready) for k, p in enumerate(active.mean(axis=0))]
    return _made(kinds.subnetworks.MATCHED, rows)


def by_run(impacts: Table, runs: list):
    """((run, seed, condition), (impact, active)) of these runs, each [samples, K] and in the order of the samples."""
    for run in runs:
        own = select(impacts, run=run)
        frame, arrays = own.frame(), [own.array(name).astype(float) for name in ("impact", "active")]
        for key, index in frame.groupby(["run", "seed", "condition"], sort=False).indices.items():
            yield key, tuple(array[index] for array in arrays)


def presence(points: Table, block: int) -> np.ndarray:
    """Which blocks are on in which of the decomposed points: 0 or 1, [samples, blocks]."""
    inputs = points.where(split="decomposed").array("inputs")
    return (inputs.reshape(len(inputs), -1, block) != 0).any(axis=2).astype(float)


def of_matches(
    matched: kinds.subnetworks.MATCHED,
    impacts: kinds.subnetworks.IMPACTS,
    points: kinds.subnetworks.POINTS,
    *,
    block: Count = 1,
) -> kinds.common.COMPARISON:
    """How well a decomposition found what there is; a quantity's name ends with the condition.

    So many features as `block` says are on and off together.

    - `loss`; of inputs with one or more blocks on `loss at one feature`, `loss at several`, and `several over one`;
    - `coverage`: share of blocks that are some live subnetwork's; `live`, `dead`: numbers of subnetworks;
    - `surplus`: live subnetworks beyond the blocks covered; `selectivity`: mean over live ones, `least selectivity`;
    - `selectivity of the strongest`: mean over blocks of that of the block's subnetwork with the largest P_act;
    - and, without a condition, `model has learned`: 1 or 0.
    """
    on = presence(points, block)
    own = select(impacts, run=list(matched.frame()["run"].unique()))
    rows = losses(own, on.sum(axis=1) > 1)
    for (run, seed, condition), group in matched.frame().groupby(["run", "seed", "condition"], sort=False):
        live = group[group["live"]]
        strongest = live.sort_values("active").groupby("block")["selectivity"].last()
        found = {
            "coverage": live["block"].nunique() / on.shape[1],
            "live": len(live),
            "dead": len(group) - len(live),
            "surplus": len(live) - live["block"].nunique(),
            "selectivity": live["selectivity"].mean(),
            "least selectivity": live["selectivity"].min(),
            "selectivity of the strongest": strongest.mean(),
        }
        rows += [(run, seed, f"{name} {condition}", value) for name, value in found.items()]
    ready = matched.frame().groupby(["run", "seed"], sort=False)["learned"].first()
    rows += [(run, seed, "model has learned", float(value)) for (run, seed), value in ready.items()]
    return _made(kinds.common.COMPARISON, rows)


def of_losses(impacts: kinds.subnetworks.IMPACTS) -> kinds.common.COMPARISON:
    """The loss of each decomposition, before and after learning: `loss` and the condition."""
    return _made(kinds.common.COMPARISON, losses(impacts))


def losses(impacts: Table, several: np.ndarray | None = None) -> list[Row]:
    """Σ missed / Σ size by run, seed and condition; also of inputs [samples] with one feature and with several."""
    rows: list[Row] = []
    for (run, seed, condition), group in impacts.frame().groupby(["run", "seed", "condition"], sort=False):
        group = group.sort_values("sample")
        left, size = (group[name].to_numpy() for name in ("missed", "size"))
        found = {"loss": left.sum() / size.sum()}
        if several is not None:
            one, more = (left[which].sum() / size[which].sum() for which in (~several, several))
            found |= {"loss at one feature": one, "loss at several": more, "several over one": more / one}
        rows += [(run, seed, f"{name} {condition}", value) for name, value in found.items()]
    return rows


def of_models(log: kinds.common.LOG, *, progress) -> kinds.common.COMPARISON:
    """How well the toy models have learned in the end, over the last hundredth of their updates.

    Means of the `mean squared error` and of how many attempts were `passed over`; `learned`: 1 if the error was what
    the run demands, or less, all along, else 0. Who has not learned is named in a line.
    """
    rows: list[Row] = []
    for path in log.paths:  # each says what its run demands
        one = Table(log.kind, [path])
        demanded = one.description.parameters["learned"]
        last = one.where(update=int(one.values("update").max())).frame()
        for (run, seed), values in last.pivot(index=["run", "seed"], columns="quantity", values="value").iterrows():
            learned = values["learned"] == 1
            if not learned:
                progress.say(
                    f"run {run}, seed {seed}: not learned; loss: found {values['loss']:.3g}; allowed: {demanded:g}"
                )
            found = {
                "mean squared error": values["loss"],
                "passed over": values["passed over"],
                "learned": float(learned),
            }
            rows += [(run, seed, name, value) for name, value in found.items()]
    return _made(kinds.common.COMPARISON, rows)


def of_rows(matched: kinds.subnetworks.MATCHED, subnetworks: kinds.subnetworks.SUBNETWORKS) -> kinds.common.COMPARISON:
    """How much of a subnetwork is one feature's, in models with an encoder and a decoder (claims 1 and 2).

    Means over live subnetworks: `encoder on one row`, share of the norm (not squared) that lies on the largest row;
    `decoder on one column`, `bias on one entry` (share of absolute values); `agreement`, share whose row, column
    and entry belong to one feature; and `cosine`, |cos| between that encoder row and the network's own.
    """
    live = matched.where(live=True).frame().set_index(["run", "seed", "condition"]).sort_index()
    rows: list[Row] = []
    for (run, seed, condition), tensors in by_network(subnetworks):
        if (run, seed, condition) not in live.index:  # of another model
            continue
        which = np.atleast_1d(live.loc[(run, seed, condition), "subnetwork"])
        encoder, decoder, bias = (tensors[name] for name in ("encoder", "decoder", "bias"))
        norms, columns = np.linalg.norm(encoder[1:][which], axis=2), np.linalg.norm(decoder[1:][which], axis=1)
        entries = np.abs(bias[1:][which])
        feature = norms.argmax(axis=1)
        own, theirs = encoder[0][feature], encoder[1:][which, feature]
        cosine = np.abs((own * theirs).sum(axis=1)) / (np.linalg.norm(own, axis=1) * np.linalg.norm(theirs, axis=1))
        found = {
            "encoder on one row": (norms.max(axis=1) / np.linalg.norm(norms, axis=1)).mean(),
            "decoder on one column": (columns.max(axis=1) / np.linalg.norm(columns, axis=1)).mean(),
            "bias on one entry": (entries.max(axis=1) / entries.sum(axis=1)).mean(),
            "agreement": ((columns.argmax(axis=1) == feature) & (entries.argmax(axis=1) == feature)).mean(),
            "cosine": cosine.mean(),
        }
        rows += [(run, seed, f"{name} {condition}", value) for name, value in found.items()]
    return _made(kinds.common.COMPARISON, rows)


def coefficients(
    subnetworks: kinds.subnetworks.SUBNETWORKS, points: kinds.subnetworks.POINTS, *, runs: list[str]
) -> kinds.subnetworks.COEFFICIENTS:
    """A read back from each subnetwork: the row of its encoder · decoder for the input with the largest encoder row."""
    true = points.where(split="unit").array("targets")
    rows = []
    for (run, seed, condition), tensors in by_network(select(subnetworks, run=runs)):
        for k, (encoder, decoder) in enumerate(zip(tensors["encoder"][1:], tensors["decoder"][1:], strict=True)):
            feature = np.linalg.norm(encoder, axis=1).argmax()
            found = (encoder @ decoder)[feature]
            found = found * (-1 if found.sum() < 0 else 1)  # v and -v are the same subnetwork
            rows += [
                (run, seed, condition, k, feature, output, value, true[feature, output])
                for output, value in enumerate(found)
            ]
    return _made(kinds.subnetworks.COEFFICIENTS, rows)


def of_coefficients(
    coefficients: kinds.subnetworks.COEFFICIENTS, matched: kinds.subnetworks.MATCHED
) -> kinds.common.COMPARISON:
    """Pearson's r between found and true coefficients over all live subnetworks, and r² (claim 6)."""
    keys = ["run", "seed", "condition"]
    frame = coefficients.frame().merge(matched.where(live=True).frame()[[*keys, "subnetwork"]])
    rows: list[Row] = []
    for (run, seed, condition), group in frame.groupby(keys, sort=False):
        r = np.corrcoef(group["found"], group["true"])[0, 1]
        rows += [(run, seed, f"r {condition}", r), (run, seed, f"r² {condition}", r**2)]
    return _made(kinds.common.COMPARISON, rows)


def by_network(subnetworks: Table):
    """((run, seed, condition), {tensor: entries [1 + K, *shape]}), the network's own first."""
    found: dict[tuple, dict[str, list]] = {}
    for rows in subnetworks.groups():
        for each in rows.to_pylist():
            place = found.setdefault((each["run"], each["seed"], each["condition"]), {}).setdefault(each["tensor"], [])
            place.append((each["subnetwork"], np.reshape(each["weights"], json.loads(each["shape"]))))
    for key, tensors in found.items():
        ordered = {name: sorted(entries, key=lambda entry: entry[0]) for name, entries in tensors.items()}
        yield key, {name: np.stack([entry for _, entry in entries]) for name, entries in ordered.items()}


def _made(kind: Kind, rows: list[tuple]) -> pa.Table:
    frame = pd.DataFrame(rows, columns=[column.name for column in kind.columns])
    return kind.table(**{name: frame[name].to_numpy() for name in frame})
