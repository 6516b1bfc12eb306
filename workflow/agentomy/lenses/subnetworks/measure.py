"""What subnetworks of toy models are for, and how clean they are (L3D, sections 3 and 4).

Where a number is about live subnetworks and none is live, it is NaN: the seed stays, and what is judged on it is open.
"""

import json
from collections.abc import Iterator

import numpy as np

from agentomy import kinds
from agentomy.lenses.rows import table_of
from agentomy.selection import select
from agentomy.tables import Table
from agentomy.values import Count

LIVE = 0.005  # a subnetwork is dead if its P_act is not above this
KEYS = ["run", "seed", "condition"]


def models(log: kinds.common.LOG, *, progress) -> kinds.subnetworks.MODELS:
    """How well the toy models have learned in the end, over the last hundredth of their updates.

    A model that has not learned is named in a line of the log.
    """
    rows = []
    for path in log.paths:  # each file says what its run demands
        log_of_run = Table(log.kind, [path])
        demanded = log_of_run.description.parameters["learned"]
        last = log_of_run.where(update=int(log_of_run.values("update").max())).frame()
        for (run, seed), values in last.pivot(index=["run", "seed"], columns="quantity", values="value").iterrows():
            learned = values["learned"] == 1  # all along the last hundredth
            if not learned:
                progress.say(
                    f"run {run}, seed {seed}: not learned; loss: found {values['loss']:.3g}; allowed: {demanded:g}"
                )
            rows.append((run, seed, values["loss"], values["passed over"], learned))
    return table_of(kinds.subnetworks.MODELS, rows)


def matched(
    impacts: kinds.subnetworks.IMPACTS,
    points: kinds.subnetworks.POINTS,
    models: kinds.subnetworks.MODELS,
    *,
    decompositions: dict[str, list[str]],  # model → the runs that decompose it
    block: Count = 1,  # features that are on and off together
) -> kinds.subnetworks.MATCHED:
    """Each subnetwork's block of features: the one whose presence raises the mean impact most.

    `models` says whether the model that was decomposed has learned its task, seed by seed.
    """
    on = presence(points, block)
    learned = models.frame().set_index(["run", "seed"])["learned"]
    model_of = {run: model for model, runs in decompositions.items() for run in runs}
    rows = []
    for key, (impact, active) in by_run(impacts, [*model_of]):
        run, seed, _ = key
        if (model_of[run], seed) not in learned:
            raise ValueError(f"models: nothing is known of seed {seed} of run '{model_of[run]}'")
        ready = bool(learned[model_of[run], seed])
        # a block that is never on in these points is no subnetwork's
        with_, without = (side.T @ impact / side.sum(axis=0).clip(1)[:, None] for side in (on, 1 - on))
        best = (with_ - without).argmax(axis=0)  # of each subnetwork
        total, inside = impact.sum(axis=0), (on[:, best] * impact).sum(axis=0)
        shares = np.divide(inside, total, out=np.zeros_like(total), where=total > 0)
        rows += [(*key, k, best[k], p, p > LIVE, shares[k], ready) for k, p in enumerate(active.mean(axis=0))]
    return table_of(kinds.subnetworks.MATCHED, rows)


def by_run(impacts: Table, runs: list) -> Iterator[tuple[tuple, tuple[np.ndarray, np.ndarray]]]:
    """((run, seed, condition), (impact, active)) of these runs, each [samples, K] and in the order of the samples."""
    for run in runs:
        rows = select(impacts, run=run)
        frame, arrays = rows.frame(), [rows.array(name).astype(float) for name in ("impact", "active")]
        for key, index in frame.groupby(KEYS, sort=False).indices.items():
            yield key, tuple(array[index] for array in arrays)


def presence(points: Table, block: int) -> np.ndarray:
    """Which blocks are on in which of the decomposed points: 0 or 1, [samples, blocks]."""
    inputs = points.where(split="decomposed").array("inputs")
    return (inputs.reshape(len(inputs), -1, block) != 0).any(axis=2).astype(float)


def quality(
    matched: kinds.subnetworks.MATCHED,
    impacts: kinds.subnetworks.IMPACTS,
    points: kinds.subnetworks.POINTS,
    *,
    block: Count = 1,  # features that are on and off together
) -> kinds.subnetworks.QUALITY:
    """How well a decomposition rebuilds gradients, and how many features or blocks its live subnetworks are for."""
    on = presence(points, block)
    several = on.sum(axis=1) > 1
    missed, size = sums(select(impacts, run=list(matched.frame()["run"].unique())))
    models_learned = matched.frame().groupby("run")["learned"].mean()  # a seed has as many rows as any other
    rows = []
    for key, group in matched.frame().groupby(KEYS, sort=False):
        loss, loss_at_one, loss_at_several = (
            loss_of(missed[key][inputs], size[key][inputs]) for inputs in (slice(None), ~several, several)
        )
        live = group[group["live"]]
        covered = live["block"].nunique()
        strongest = live.sort_values("active").groupby("block")["selectivity"].last()
        rows.append(
            (
                *key,
                *(loss, loss_at_one, loss_at_several, loss_at_several / loss_at_one),
                *(covered / on.shape[1], on.shape[1], len(live), len(group) - len(live), len(live) - covered),
                *(live["selectivity"].mean(), live["selectivity"].min(), strongest.mean()),
                group["learned"].iloc[0],
                models_learned[key[0]],
            )
        )
    return table_of(kinds.subnetworks.QUALITY, rows)


def losses(impacts: kinds.subnetworks.IMPACTS) -> kinds.subnetworks.GRADIENT_LOSSES:
    """The loss of each decomposition, Σ missed / Σ size over inputs."""
    missed, size = sums(impacts)
    return table_of(kinds.subnetworks.GRADIENT_LOSSES, [(*key, loss_of(missed[key], size[key])) for key in missed])


def loss_of(missed: np.ndarray, size: np.ndarray) -> float:
    """Σ missed / Σ size over inputs [samples]; NaN if there is none."""
    return missed.sum() / size.sum() if len(size) else np.nan


def sums(impacts: Table) -> tuple[dict, dict]:
    """(run, seed, condition) → missed and size of each input, in the order of the samples."""
    groups = impacts.frame().sort_values("sample", kind="stable").groupby(KEYS, sort=False)
    return tuple({key: group[name].to_numpy() for key, group in groups} for name in ("missed", "size"))


def cleanness(
    matched: kinds.subnetworks.MATCHED, subnetworks: kinds.subnetworks.SUBNETWORKS
) -> kinds.subnetworks.CLEANNESS:
    """How much of a subnetwork belongs to one feature, in models with an encoder and a decoder (claims 1 and 2)."""
    frame = matched.frame()
    tensors_of = dict(by_network(subnetworks))
    rows = []
    for key, group in frame.groupby(KEYS, sort=False):
        if key not in tensors_of:
            raise ValueError(f"subnetworks: none of run '{key[0]}', seed {key[1]}, {key[2]}")
        tensors, live = tensors_of[key], group.loc[group["live"], "subnetwork"].to_numpy()
        if not len(live):
            rows.append((*key, *[np.nan] * 5))
            continue
        encoder, decoder, bias = (tensors[name] for name in ("encoder", "decoder", "bias"))
        norms, columns = np.linalg.norm(encoder[1:][live], axis=2), np.linalg.norm(decoder[1:][live], axis=1)
        entries = np.abs(bias[1:][live])
        feature = norms.argmax(axis=1)
        of_network, of_subnetwork = encoder[0][feature], encoder[1:][live, feature]
        lengths = np.linalg.norm(of_network, axis=1) * np.linalg.norm(of_subnetwork, axis=1)
        rows.append(
            (
                *key,
                (norms.max(axis=1) / np.linalg.norm(norms, axis=1)).mean(),
                (columns.max(axis=1) / np.linalg.norm(columns, axis=1)).mean(),
                (entries.max(axis=1) / entries.sum(axis=1)).mean(),
                ((columns.argmax(axis=1) == feature) & (entries.argmax(axis=1) == feature)).mean(),
                (np.abs((of_network * of_subnetwork).sum(axis=1)) / lengths).mean(),
            )
        )
    return table_of(kinds.subnetworks.CLEANNESS, rows)


def coefficients(
    subnetworks: kinds.subnetworks.SUBNETWORKS, points: kinds.subnetworks.POINTS, *, runs: list[str]
) -> kinds.subnetworks.COEFFICIENTS:
    """A read back from each subnetwork: the row of its encoder · decoder for the input with the largest encoder row."""
    true = points.where(split="unit").array("targets")
    rows = []
    for key, tensors in by_network(select(subnetworks, run=runs)):
        for k, (encoder, decoder) in enumerate(zip(tensors["encoder"][1:], tensors["decoder"][1:], strict=True)):
            feature = np.linalg.norm(encoder, axis=1).argmax()
            row = (encoder @ decoder)[feature]
            row = row * (-1 if row.sum() < 0 else 1)  # v and -v are the same subnetwork
            rows += [(*key, k, feature, output, value, true[feature, output]) for output, value in enumerate(row)]
    return table_of(kinds.subnetworks.COEFFICIENTS, rows)


def recovered(
    coefficients: kinds.subnetworks.COEFFICIENTS, matched: kinds.subnetworks.MATCHED
) -> kinds.subnetworks.RECOVERED:
    """Pearson's r between found and true coefficients over all live subnetworks, and r² (claim 6)."""
    frame = coefficients.frame().merge(matched.frame(["run", "seed", "condition", "subnetwork", "live"]))
    rows = []
    for key, group in frame.groupby(KEYS, sort=False):
        live = group[group["live"]]
        r = np.corrcoef(live["found"], live["true"])[0, 1] if len(live) else np.nan
        rows.append((*key, r, r**2))
    return table_of(kinds.subnetworks.RECOVERED, rows)


def by_network(subnetworks: Table) -> Iterator[tuple[tuple, dict[str, np.ndarray]]]:
    """((run, seed, condition), {tensor: entries [1 + K, *shape]}); the first entry is the network's own."""
    networks: dict[tuple, dict[str, list]] = {}
    for rows in subnetworks.groups():
        for row in rows.to_pylist():
            tensors = networks.setdefault((row["run"], row["seed"], row["condition"]), {})
            entry = row["subnetwork"], np.reshape(row["weights"], json.loads(row["shape"]))
            tensors.setdefault(row["tensor"], []).append(entry)
    for key, tensors in networks.items():
        ordered = {name: sorted(entries, key=lambda entry: entry[0]) for name, entries in tensors.items()}
        yield key, {name: np.stack([entry for _, entry in entries]) for name, entries in ordered.items()}
