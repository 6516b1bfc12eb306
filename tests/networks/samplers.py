"""Small networks and Langevin samplers of them, in double precision."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from agentomy import networks
from agentomy.networks.langevin import Langevin
from agentomy.networks.stacked import MLP

torch.set_num_threads(1)
ROWS, INPUTS, CLASSES = 40, 5, 3


@pytest.fixture(autouse=True)
def double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def drawn(sizes: list[int], seeds: int = 1) -> MLP:
    return MLP(seeds, sizes).draw([networks.generator(seed) for seed in range(seeds)])


def data(seed: int = 0, rows: int = ROWS) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs [rows, 5] and labels [rows]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, INPUTS, generator=generator) + 0.7, torch.randint(CLASSES, (rows,), generator=generator)


def sampler(net: nn.Module, metric: str, **options) -> Langevin:
    seeds = len(next(net.parameters()))
    given = {"step": 0.01, "size": 1000, "batch": ROWS, "epsilon": 1e-3, "prior": "none"} | options
    return Langevin(net, [networks.generator(100 + seed) for seed in range(seeds)], metric=metric, **given)


def back(net: nn.Module, inputs: torch.Tensor, labels: torch.Tensor, optimiser: Langevin) -> None:
    optimiser.zero_grad()
    logits = net(inputs.expand(len(next(net.parameters())), *inputs.shape))
    loss = cross_entropy(logits.flatten(0, 1), labels.repeat(len(logits)), reduction="none")
    (loss.sum() / len(labels)).backward()
