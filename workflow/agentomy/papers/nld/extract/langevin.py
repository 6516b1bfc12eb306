"""Predictions of sampled classifiers, and the noise that their metric makes (arXiv 1712.01076)."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from agentomy import kinds
from agentomy.lenses.rows import table_of
from agentomy.lenses.snapshots import revived
from agentomy.networks.langevin import Langevin
from agentomy.tables import Table
from agentomy.values import Count, Natural

Images = dict[str, tuple[Tensor, Tensor]]  # part → inputs [n, pixels] from 0 to 1, labels [n]


def predictive(
    parameters: kinds.common.PARAMETERS,
    images: kinds.nld.IMAGES,
    *,
    burn_in: Natural,
    train: Count,
    run,
    device,
    progress,
) -> kinds.nld.PREDICTIVE:
    """Loss and accuracy of every snapshot, of the mean of its parameters, and of all snapshots so far together.

    The ensemble has the snapshots from `burn_in` updates on. The loss on training images is that of `train` images as
    they are, and of as many shifted ones.
    """
    parts = read(images, {"train": train, "shifted": train, "validation": None, "test": None}, device)
    given = parameters.description.parameters
    rows = []
    count = len(np.unique(parameters.values("update")))
    for number, (update, seeds, predictions) in enumerate(predicted(parameters, parts, burn_in, device)):
        progress.step(number, count, "snapshots", run)
        for (predictor, part), (kept, probabilities) in predictions.items():
            labels = parts[part][1]
            nll = -probabilities.gather(2, labels.expand(len(seeds), -1).unsqueeze(2)).log().mean(dim=(1, 2))
            accuracy = (probabilities.argmax(dim=2) == labels).double().mean(dim=1)
            options = (given["method"], given["step"], given["epsilon"])
            for seed, *values in zip(seeds, nll.tolist(), accuracy.tolist(), strict=True):
                rows.append((run, *options, seed, update, predictor, kept, part, *values))
    return table_of(kinds.nld.PREDICTIVE, rows)


@torch.no_grad()
def classes(
    parameters: kinds.common.PARAMETERS, images: kinds.nld.IMAGES, *, burn_in: Natural, run, device
) -> kinds.nld.CLASSES:
    """The probabilities that the three predictors give in the end to the classes of test images, upright and turned.

    The ensemble has the snapshots from `burn_in` updates on.
    """
    sums: dict[str, Tensor] = {}
    parts, kept = read(images, {"test": None, "rotated": None}, device), 0
    for update, seeds, stack in revived(parameters, device):  # noqa: B007  (the code below wants the last ones)
        if update >= burn_in:
            kept += 1
            for part, (inputs, _) in parts.items():
                sums[part] = sums.get(part, 0) + probabilities(stack.current, inputs)
    split, sample = images.values("split"), images.values("sample")
    for part, (inputs, labels) in parts.items():
        last, mean = probabilities(stack.current, inputs), probabilities(stack.mean, inputs)
        for predictor, by_seed in {"last": last, "mean": mean, "ensemble": sums[part] / kept}.items():
            for seed, of_images in zip(seeds.tolist(), by_seed, strict=True):
                predicted_by = {"run": run, "seed": seed, "predictor": predictor, "split": part}
                rows = {"sample": sample[split == part], "label": labels.cpu().numpy()}
                yield kinds.nld.CLASSES.table(**predicted_by, **rows, probabilities=of_images.cpu().numpy())


@torch.no_grad()
def predicted(parameters: Table, parts: Images, burn_in: int, device: str) -> Iterator[tuple]:
    """(update, seeds, {(predictor, part): (networks kept, probabilities [S, n, classes])}) of every snapshot.

    The ensemble is the mean of probabilities, not of logits.
    """
    sums: dict[str, Tensor] = {}
    kept = 0
    for update, seeds, stack in revived(parameters, device):
        kept += update >= burn_in
        predictions = {}
        for part, (inputs, _) in parts.items():
            last, mean = probabilities(stack.current, inputs), probabilities(stack.mean, inputs)
            predictions |= {("last", part): (kept, last), ("mean", part): (kept, mean)}
            if kept:
                sums[part] = sums.get(part, 0) + last
                predictions["ensemble", part] = (kept, sums[part] / kept)
        yield update, seeds, predictions


def probabilities(network: Any, inputs: Tensor) -> Tensor:
    """Probabilities of the classes [S, n, classes], at inputs [n, pixels]."""
    seeds = len(network.layers[0].weight)
    return torch.softmax(network(inputs.expand(seeds, *inputs.shape)).double(), dim=2)


def noise(
    parameters: kinds.common.PARAMETERS, images: kinds.nld.IMAGES, *, batches: Count, run, streams, device
) -> kinds.nld.NOISE:
    """The standard deviation of a step's noise on every weight, with the metric at the end of learning.

    The metric is the mean over so many `batches`, and no running mean: the network stands still.
    """
    inputs, labels = read(images, {"learned": None}, device)["learned"]
    always_zero = (inputs == 0).all(dim=0).cpu().numpy()
    *_, (_, seeds, stack) = revived(parameters, device)
    given = parameters.description.parameters
    optimiser = sampler(stack.current, given, len(labels))
    rng = streams.numpy("batches")
    for number in range(batches):
        rows = torch.from_numpy(rng.choice(len(labels), given["batch"], replace=False)).to(device)
        learn_metric(optimiser, stack.current, inputs[rows], labels[rows], 1 / (1 + number))
    size = (2 * given["step"] / len(labels)) ** 0.5
    for number, layer in enumerate(optimiser.layers):
        still, unit = (
            tuple(fill(tensor.data) for tensor in layer.parameters()) for fill in (torch.zeros_like, torch.ones_like)
        )
        deviations = optimiser.metric.move(optimiser.state[layer.weight], still, unit, 0.0, size)[0].cpu().numpy()
        first = number == 0
        for zero in (False, True) if first and always_zero.any() else (False,):
            columns = (always_zero == zero) if first else slice(None)
            yield kinds.nld.NOISE.table(
                run=run,
                method=given["method"],
                seed=seeds,
                layer=f"layer{number + 1}",
                always_zero=zero,
                deviations=deviations[:, :, columns].reshape(len(seeds), -1),
            )


def sampler(network: Any, given: dict, size: int) -> Langevin:
    """A sampler with the options that a run had, and a step of 0."""
    options = {name: given[name] for name in ("batch", "epsilon", "prior")}
    return Langevin(network, [], metric=given["method"], step=0.0, size=size, **options)


def learn_metric(optimiser: Langevin, network: Any, inputs: Tensor, labels: Tensor, rate: float) -> None:
    """Let a batch enter the running mean of the metric; with a step of 0 the network stays as it is."""
    for group in optimiser.param_groups:
        group["rate"] = rate
    optimiser.zero_grad()
    mean_loss(network, inputs, labels).backward()
    optimiser.step()


def mean_loss(network: Any, inputs: Tensor, labels: Tensor) -> Tensor:
    """Mean negative log-likelihood of labels [n] at inputs [n, …], summed over the stack."""
    logits = network(inputs.expand(len(network.layers[0].weight), *inputs.shape))
    losses = cross_entropy(logits.flatten(0, 1), labels.repeat(len(logits)), reduction="none")
    return losses.sum() / len(labels)


def read(images: Table, counts: dict[str, int | None], device: str) -> Images:
    """Some images of each part, or all (None).

    The training part is read in three ways: `train` has the images as they are, `shifted` their shifted copies (if
    there are any), evenly spread, and `learned` has both.
    """
    split, original = images.values("split"), images.values("sample") == images.values("origin")
    pixels, labels = images.array("pixels"), images.values("label")
    parts = {}
    for part, count in counts.items():
        if part in ("train", "shifted", "learned"):
            wanted = {"train": original, "shifted": ~original, "learned": True}[part]
            rows = np.flatnonzero((split == "train") & wanted)
        else:
            rows = np.flatnonzero(split == part)
        if part == "shifted" and count and count < len(rows):
            rows = rows[np.linspace(0, len(rows) - 1, count).astype(int)]
        if len(rows := rows[:count]):
            inputs = torch.from_numpy(pixels[rows].astype(np.float32) / 255)
            parts[part] = (inputs.to(device), torch.from_numpy(labels[rows]).to(device))
    return parts
