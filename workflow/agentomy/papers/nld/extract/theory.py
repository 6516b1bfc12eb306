"""What the formulas of natural Langevin dynamics promise, measured on trained networks (arXiv 1712.01076).

The last layer is taken as a model by itself. Its inputs are the features that the layers before it make of images.
Numbers are doubles.
"""

import numpy as np
import torch
from scipy.linalg import eigvals, solve_discrete_lyapunov
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from agentomy import kinds, networks
from agentomy.lenses.rows import table_of
from agentomy.lenses.snapshots import revived
from agentomy.networks.langevin import Langevin
from agentomy.networks.stacked import MLP, traced
from agentomy.papers.nld.extract.langevin import learn_metric, mean_loss, read, sampler
from agentomy.seeds import Streams
from agentomy.tables import Table
from agentomy.values import Count, Positive, Rate

USED = 0.05  # features are left out if they are not 0 for less than this share of the images


def invariance(
    parameters: kinds.common.PARAMETERS,
    images: kinds.nld.IMAGES,
    *,
    steps: Count,  # steps of the sampler
    train: Count,  # training images that are taken
    scaled: Positive,  # factor on the features
    shifted: float,  # what is added to the features
    run,
    streams,
) -> kinds.nld.INVARIANCE:
    """How far outputs move apart when features are scaled or shifted and a new last layer undoes that (claim 6).

    The formulas promise this only without prior and ε, and with a metric that starts with the first batch. The layer
    is new, because a trained one makes so few errors that a metric without ε takes enormous steps.
    """
    given, rows = parameters.description.parameters, []
    for seed, (weight, bias), features, labels in last_layers(parameters, images, train):
        generator = networks.generator(streams.entropy(f"weights {seed}"))
        weight = torch.randn(weight.shape, generator=generator, dtype=weight.dtype) / weight.shape[1] ** 0.5
        bias = torch.zeros_like(bias)
        changes = {
            "scaled": (features * scaled, weight / scaled, bias),
            "shifted": (features + shifted, weight, bias - shifted * weight.sum(dim=1)),
        }
        plain = followed(weight, bias, features, labels, given, steps, streams, seed)
        for change, (inputs, *changed) in changes.items():
            moved = followed(*changed, inputs, labels, given, steps, streams, seed)
            rows.append((run, given["method"], seed, change, steps, (moved - plain).abs().max().item()))
    return table_of(kinds.nld.INVARIANCE, rows)


def followed(
    weight: Tensor,
    bias: Tensor,
    features: Tensor,
    labels: Tensor,
    given: dict,
    steps: int,
    streams: Streams,
    seed: int,
) -> Tensor:
    """Logits [n, classes] of a layer after some steps on random batches."""
    layer = MLP(1, [features.shape[1], len(bias)]).double()
    layer.load_state_dict({"layer1.weight": weight.unsqueeze(0), "layer1.bias": bias.unsqueeze(0)})
    rng = streams.numpy(f"batches {seed}")
    generator = networks.generator(streams.entropy(f"noise {seed}"))
    options = {"step": given["step"], "size": len(labels), "batch": given["batch"], "epsilon": 0.0, "prior": "none"}
    optimiser = Langevin(layer, [generator], metric=given["method"], rate=1.0, **options)
    for _ in range(steps):
        rows = torch.from_numpy(rng.choice(len(labels), given["batch"], replace=False))
        optimiser.zero_grad()
        mean_loss(layer, features[rows], labels[rows]).backward()
        optimiser.step()
    return layer(features.unsqueeze(0)).detach()[0]


def stationary(
    parameters: kinds.common.PARAMETERS, images: kinds.nld.IMAGES, *, shares: list[Rate], train: Count, run, streams
) -> kinds.nld.STATIONARY:
    """The stationary distribution of a sampler beside the exact posterior, by step size (claim 7).

    The model is linear and predicts whether the digit is a 0: y = w · features + bias + noise of variance 1. A step
    with all images at once is θ ← A θ + b + noise of covariance Q, whose stationary covariance solves Σ = A Σ Aᵀ + Q.
    A, b and Q are those of real steps of the sampler, which does not know the posterior that is written down here.
    `train` images are taken; `shares` are step sizes, as shares of the largest step that is stable.
    """
    given, rows = parameters.description.parameters, []
    for seed, _, features, labels in last_layers(parameters, images, train):
        targets = (labels == 0).double()
        size, inputs = features.shape
        design = torch.cat([features, torch.ones(size, 1, dtype=torch.float64)], dim=1)
        precision = design.T @ design + torch.diag(torch.tensor([float(inputs)] * inputs + [1.0]).double())
        exact = torch.linalg.inv(precision)
        mean = exact @ (design.T @ targets)
        linear = LinearSampler(mean, features, targets, given, streams.numpy(f"batches {seed}"))
        identity = torch.eye(inputs + 1, dtype=torch.float64)
        largest = 2 / np.abs(eigvals(identity - linear.drift(1.0)[0])).max()
        for share in shares:
            step = share * largest
            stay, shift = linear.drift(step)
            root = torch.stack([linear.stepped(0 * axis, step, axis) - shift for axis in identity], dim=1)
            spread = solve_discrete_lyapunov(stay.numpy(), (root @ root.T).numpy())
            centre = torch.linalg.solve(identity - stay, shift)  # where a step changes nothing
            errors = ((centre - mean).norm() / mean.norm(), (torch.from_numpy(spread) - exact).norm() / exact.norm())
            rows.append((run, given["method"], seed, share, *map(float, errors)))
    return table_of(kinds.nld.STATIONARY, rows)


class LinearSampler:
    """A sampler of a linear model with n weights and a bias; it keeps the metric that it has at `mean` [n + 1]."""

    def __init__(self, mean: Tensor, features: Tensor, targets: Tensor, given: dict, rng: np.random.Generator):
        self.features, self.targets = features, targets
        self.layer = MLP(1, [features.shape[1], 1]).double()
        self.optimiser = sampler(self.layer, given, len(targets))
        self.put(mean)
        order = torch.from_numpy(rng.permutation(len(targets)))
        for number, rows in enumerate(order.split(given["batch"])[: len(order) // given["batch"]]):
            self.step(rows, rate=1 / (1 + number))
        self.optimiser.batch = len(targets)

    def put(self, place: Tensor) -> None:
        arrays = {"layer1.weight": place[:-1].view(1, 1, -1), "layer1.bias": place[-1:].view(1, 1)}
        self.layer.load_state_dict(arrays)

    def step(self, rows: Tensor | slice, **options: float) -> None:
        """A step on the mean of (w · features + bias - target)² / 2 over some rows."""
        for group in self.optimiser.param_groups:
            group.update(options)
        self.optimiser.zero_grad()
        errors = self.layer(self.features[rows].unsqueeze(0))[0, :, 0] - self.targets[rows]
        (errors.square().mean() / 2).backward()
        self.optimiser.step()

    def stepped(self, place: Tensor, step: float, normal: Tensor | None = None) -> Tensor:
        """The place that a step with all data leads to from a place [n + 1], without noise or with this one [n + 1]."""
        self.put(place)
        if normal is not None:
            drawn = iter((normal[:-1].view(1, 1, -1).clone(), normal[-1:].view(1, 1).clone()))
            self.optimiser.normal = lambda like: next(drawn)
        self.step(slice(None), lr=step, temperature=float(normal is not None), rate=0.0)
        return torch.cat([tensor.data.flatten() for tensor in self.layer.parameters()])

    def drift(self, step: float) -> tuple[Tensor, Tensor]:
        """A [n + 1, n + 1] and b [n + 1] of a step without noise, θ ← A θ + b."""
        identity = torch.eye(self.features.shape[1] + 1, dtype=torch.float64)
        shift = self.stepped(0 * identity[0], step)
        return torch.stack([self.stepped(axis, step) - shift for axis in identity], dim=1), shift


def operations(parameters: kinds.common.PARAMETERS, images: kinds.nld.IMAGES, *, run, streams) -> kinds.nld.OPERATIONS:
    """Floating-point operations of the matrix products of an update, and of back-propagation alone (claim 8)."""
    given = parameters.description.parameters
    inputs, labels = read(images, {"train": given["batch"]}, "cpu")["train"]
    *_, (_, seeds, stack) = revived(parameters, "cpu")
    optimiser = sampler(stack.current, given, len(labels))
    products = {torch.ops.aten.baddbmm_: in_place}  # averages are in place, which torch does not count
    counts = []
    for whole in (False, True):
        with FlopCounterMode(display=False, custom_mapping=products) as counter:
            if whole:
                learn_metric(optimiser, stack.current, inputs, labels, 0.5)
            else:
                mean_loss(stack.current, inputs, labels).backward()
        counts.append(counter.get_total_flops() / len(seeds))
    return table_of(kinds.nld.OPERATIONS, [(run, given["method"], seed, *counts) for seed in seeds])


def in_place(added: tuple, left: tuple, right: tuple, *rest, **more) -> int:
    """Operations of a batched product of arrays of these shapes, [S, n, k] and [S, k, m]."""
    return 2 * left[0] * left[1] * left[2] * right[2]


def last_layers(parameters: Table, images: Table, train: int):
    """(seed, (weight [classes, features], bias [classes]), features [n, features], labels [n]) of trained networks.

    Features that are hardly ever used are left out: a metric without ε would have no entry for them.
    """
    inputs, labels = read(images, {"train": train}, "cpu")["train"]
    *_, (_, seeds, stack) = revived(parameters, "cpu")
    layers: list[nn.Module] = stack.current.double().layers
    pairs = [(layer.weight.data, layer.bias.data) for layer in layers]
    features = traced(pairs[:-1], inputs.double().expand(len(seeds), *inputs.shape))[-1].relu()
    for seed, weight, bias, of_seed in zip(seeds.tolist(), *pairs[-1], features, strict=True):
        used = (of_seed != 0).double().mean(dim=0) >= USED
        yield seed, (weight[:, used], bias), of_seed[:, used], labels
