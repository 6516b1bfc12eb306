"""Measured speed of sampling steps beside plain back-propagation, as a table: `python -m tests.bench.nld_speeds`.

All take turns in one run, so that their ratios hold.
"""

from datetime import date
from itertools import pairwise

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from agentomy import networks
from agentomy.networks.langevin import METRICS, Langevin
from agentomy.networks.stacked import MLP
from tests.bench.speeds import ROUNDS, interleaved, machine

STEPS, BATCH, SIZES = 40, 100, [784, 100, 100, 10]


def plain(inputs: torch.Tensor, labels: torch.Tensor, update: bool):
    """Back-propagation by torch's own layers; with gradient descent or without."""
    layers = [layer for pair in pairwise(SIZES) for layer in (nn.Linear(*pair), nn.ReLU())]
    net = nn.Sequential(*layers[:-1])
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)

    def steps() -> None:
        for _ in range(STEPS):
            optimiser.zero_grad()
            cross_entropy(net(inputs), labels).backward()
            if update:
                optimiser.step()

    return steps


def sampling(metric: str, inputs: torch.Tensor, labels: torch.Tensor, seeds: int, temperature: float = 1.0):
    net = MLP(seeds, SIZES).draw([networks.generator(seed) for seed in range(seeds)])
    noise = [networks.generator(seed) for seed in range(seeds)]
    options = {"step": 1e-3, "size": 30_000, "batch": BATCH, "epsilon": 1e-3, "temperature": temperature}
    optimiser = Langevin(net, noise, metric=metric, **options)
    inputs, labels = inputs.expand(seeds, *inputs.shape).contiguous(), labels.repeat(seeds)

    def steps() -> None:
        for _ in range(STEPS):
            optimiser.zero_grad()
            (cross_entropy(net(inputs).flatten(0, 1), labels, reduction="sum") / BATCH).backward()
            optimiser.step()

    return steps


def main() -> None:
    torch.set_num_threads(1)
    inputs = torch.rand(BATCH, SIZES[0]) * (torch.rand(BATCH, SIZES[0]) < 0.2)
    labels = torch.randint(SIZES[-1], (BATCH,))
    contestants = {
        "back-propagation alone": plain(inputs, labels, False),
        "gradient descent": plain(inputs, labels, True),
    }
    contestants |= {metric: sampling(metric, inputs, labels, 1) for metric in METRICS}
    contestants["qdop without noise"] = sampling("qdop", inputs, labels, 1, 0.0)
    contestants["qdop, three seeds at once, a seed"] = sampling("qdop", inputs, labels, 3)
    took = interleaved(**contestants)
    print(f"{date.today()}, {machine()}; medians of {ROUNDS} rounds in which all take turns\n")
    print("| 784-100-100-10, batch of 100 | one step, ms | over back-propagation |")
    print("| --- | --- | --- |")
    for name, seconds in took.items():
        milliseconds = 1000 * seconds / STEPS / (3 if "three" in name else 1)
        print(f"| {name} | {milliseconds:.2f} | {milliseconds / (1000 * took['back-propagation alone'] / STEPS):.2f} |")


if __name__ == "__main__":
    main()
