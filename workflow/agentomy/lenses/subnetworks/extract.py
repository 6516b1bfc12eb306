"""Subnetworks at work: what is in them, which inputs they act on, what moving along them does (L3D, section 2)."""

import json
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import torch

from agentomy import kinds
from agentomy.lenses.snapshots import first_and_last
from agentomy.networks.gradients import Gradients, largest, named, others
from agentomy.networks.readings import DISTRIBUTIONS
from agentomy.networks.subnetworks import Subnetworks
from agentomy.tables import Table
from agentomy.values import Count

# subnetworks that have not been learned are random directions
CONDITIONS = {"untrained": "random", "trained": "learned"}


def subnetworks(
    parameters: kinds.common.PARAMETERS, subjects: kinds.subnetworks.SUBJECTS, *, run, device
) -> kinds.subnetworks.SUBNETWORKS:
    """Every subnetwork, tensor by tensor, and the network's own weights."""
    for condition, seeds, net in before_and_after(parameters, device):
        gradients = Gradients(subjects, seeds.tolist(), "mse", None, device)
        for name, shape in net.shapes.items():
            entries = torch.cat([gradients.weights[name].flatten(1).unsqueeze(1), net.dense(name).flatten(2)], dim=1)
            for seed, weights in zip(seeds, entries.cpu().numpy(), strict=True):
                yield kinds.subnetworks.SUBNETWORKS.table(
                    run=run,
                    seed=int(seed),
                    condition=condition,
                    subnetwork=np.arange(-1, len(weights) - 1),
                    tensor=name,
                    shape=json.dumps(shape),
                    weights=weights,
                )


def impacts(
    parameters: kinds.common.PARAMETERS,
    subjects: kinds.subnetworks.SUBJECTS,
    *,
    references: Count,
    run,
    streams,
    device,
    progress,
) -> kinds.subnetworks.IMPACTS:
    """How strongly and how often each subnetwork takes part in each input's gradient, and how much is not rebuilt.

    Means over that many random `references`. Batches are as large as in learning, because the top-k is one threshold
    for a whole batch. The loss is Σ missed / Σ size.
    """
    trained_with = parameters.description.parameters
    for condition, seeds, net in before_and_after(parameters, device):
        gradients = Gradients(subjects, seeds.tolist(), trained_with["divergence"], trained_with["tensors"], device)
        rng, samples = streams.numpy("references"), gradients.samples
        sums: dict[str, np.ndarray] = {}
        for number in range(references):
            progress.step(number, references, "references", f"{run}, {condition}")
            for rows in np.array_split(rng.permutation(samples), max(1, samples // trained_with["batch"])):
                batch = [np.broadcast_to(indices, (len(seeds), len(rows))) for indices in (rows, others(rng, rows))]
                for name, values in measured(net, gradients, batch, trained_with["keep"]).items():
                    total = sums.setdefault(name, np.zeros((len(seeds), samples, *values.shape[2:])))
                    total[:, rows] += values / references
        for index, seed in enumerate(seeds):
            means = {name: total[index] for name, total in sums.items()}
            yield kinds.subnetworks.IMPACTS.table(
                run=run, seed=int(seed), condition=condition, sample=np.arange(samples), **means
            )


@torch.no_grad()
def measured(net: Subnetworks, gradients: Gradients, batch: list, keep: float) -> dict[str, np.ndarray]:
    """Impact and active [S, B, K], missed and size [S, B] of one batch."""
    per_sample = net.flat(gradients(*batch))
    inside = net.inside(per_sample)
    active = largest(inside, keep)
    errors = net.rebuilding(per_sample, (inside * active).unsqueeze(1))
    measures = {
        "impact": inside.abs(),
        "active": active,
        "missed": sum(error.square().sum(dim=3).squeeze(1) for _, error in errors),
        "size": sum(gradient.square().sum(dim=2) for gradient in per_sample),
    }
    return {name: values.double().cpu().numpy() for name, values in measures.items()}


def moved(
    parameters: kinds.common.PARAMETERS,
    subjects: kinds.subnetworks.SUBJECTS,
    *,
    deltas: list[float],
    count: Count,  # number of inputs, from the first on
    within: list[str] | None = None,  # the tensors that are moved, by the beginnings of their names; null: all
    run,
    device,
) -> kinds.subnetworks.MOVED:
    """Outputs after moving along each subnetwork by each delta, and without moving."""
    for condition, seeds, net in before_and_after(parameters, device):
        mover = Mover(net, subjects, seeds, count, within, device)
        steps = [(-1, 0.0, -1, 0.0), *((k, float(delta), -1, 0.0) for k in range(mover.count) for delta in deltas)]
        yield from mover.rows(steps, run, condition)


def moved_in_pairs(
    parameters: kinds.common.PARAMETERS,
    subjects: kinds.subnetworks.SUBJECTS,
    *,
    deltas: list[float],
    count: Count,
    run,
    device,
) -> kinds.subnetworks.MOVED:
    """The same for each pair of subnetworks, both moved by each delta, at the first `count` inputs."""
    for condition, seeds, net in before_and_after(parameters, device):
        mover = Mover(net, subjects, seeds, count, None, device)
        pairs = [(k, m) for k in range(mover.count) for m in range(k + 1, mover.count)]
        steps = [(k, float(d), m, float(e)) for k, m in pairs for d in deltas for e in deltas]
        yield from mover.rows(steps, run, condition)


class Mover:
    """f(x, W₀ + Σ δ v) for chosen subnetworks v, for a stack of networks and its first inputs."""

    def __init__(
        self, net: Subnetworks, subjects: Table, seeds: np.ndarray, count: int, within: list | None, device: str
    ):
        self.seeds, self.within = seeds, "all" if within is None else ", ".join(within)
        self.gradients = Gradients(subjects, seeds.tolist(), "mse", list(net.shapes), device)
        self.inputs = self.gradients.inputs[:, :count]
        chosen = named(self.gradients.weights, within)
        weights = self.gradients.weights
        dense = {name: net.dense(name) for name in chosen}
        self.directions = {
            name: entries.reshape(*entries.shape[:2], *weights[name].shape[1:]) for name, entries in dense.items()
        }
        self.count = next(iter(self.directions.values())).shape[1]
        self.distribution = subjects.arrow(["reading"])["reading"][0].as_py() in DISTRIBUTIONS

    def outputs(self, *moves: tuple[int, float]) -> np.ndarray:
        """[S, samples, outputs] after moves along (subnetwork, delta); values, or probabilities."""
        weights = dict(self.gradients.weights)
        for k, delta in moves:
            if k >= 0:
                weights |= {name: weights[name] + delta * along[:, k] for name, along in self.directions.items()}
        outputs = self.gradients.read(weights, self.inputs)
        return (torch.softmax(outputs, dim=-1) if self.distribution else outputs).cpu().numpy()

    def rows(self, steps: list[tuple[int, float, int, float]], run: str, condition: str) -> Iterator[pa.Table]:
        """A table for each step: seeds × samples."""
        samples = self.inputs.shape[1]
        for k, delta, second, second_delta in steps:
            outputs = self.outputs((k, delta), (second, second_delta))
            yield kinds.subnetworks.MOVED.table(
                run=run,
                seed=self.seeds.repeat(samples),
                condition=condition,
                within=self.within,
                subnetwork=k,
                delta=delta,
                second=second,
                second_delta=second_delta,
                sample=np.tile(np.arange(samples), len(self.seeds)),
                outputs=outputs.reshape(-1, outputs.shape[-1]),
            )


@torch.no_grad()
def before_and_after(parameters: Table, device: str) -> Iterator[tuple[str, np.ndarray, Subnetworks]]:
    """The subnetworks of all seeds, before and after learning."""
    for name, (seeds, net) in first_and_last(parameters, device).items():
        yield CONDITIONS[name], seeds, net.requires_grad_(False)
