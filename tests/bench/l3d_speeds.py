"""Measured speed of a step of L3D beside its per-sample gradients, as a table: `python -m tests.bench.l3d_speeds`.

Both take turns in one run, so that their ratio holds.
"""

import json
from datetime import date

import numpy as np
import torch

from agentomy import kinds, networks
from agentomy.agents.l3d import L3D
from agentomy.networks.impala import ImpalaStack
from agentomy.networks.toy import Bottleneck, Smooth
from agentomy.seeds import Streams
from agentomy.tables import Table
from tests.bench.speeds import ROUNDS, interleaved, machine

STEPS = 20
PLANES = {
    "pixels": 9,
    "palette": "planes",
    "channels": [16, 16],
    "pools": [1],
    "hidden": 256,
    "actions": 5,
    "scale": "planes",
}
# name → (network, its output, shape of an input, divergence, subnetworks, rank), as at laptop scale
MODELS = {
    "A, 5-2-5": (Bottleneck, {"inputs": 5, "hidden": 2, "outputs": 5}, "values", (5,), "mse", 5, 1),
    "B, 10-5-10": (Bottleneck, {"inputs": 10, "hidden": 5, "outputs": 10}, "values", (10,), "mse", 10, 1),
    "C, 30-10-30": (Bottleneck, {"inputs": 30, "hidden": 10, "outputs": 30}, "values", (30,), "mse", 8, 3),
    "D, 5-5-5-5-5-5": (Smooth, {"sizes": [5] * 6, "activation": "gelu"}, "values", (5,), "mse", 5, 2),
    "maze agent, 125,526 parameters": (ImpalaStack, PLANES, "policy", (9, 9, 3), "kl", 12, 2),
}


def learner(network: type, arguments: dict, reading: str, shape: tuple, divergence: str, count: int, rank: int) -> L3D:
    """A decomposition of one network with random weights, one start."""
    description = {"use": networks.use(network), **arguments}
    stack = networks.build(description, 1)
    stack.draw([networks.generator(0)], *(["orthogonal"] if network is ImpalaStack else []))
    inputs = np.random.default_rng(0).uniform(size=(1000, *shape)).round()
    rows = kinds.subnetworks.SUBJECTS.table(
        run="bench",
        seed=np.array([0]),
        network=json.dumps(description),
        reading=reading,
        shape=json.dumps(shape),
        inputs=inputs.reshape(1, -1),
        **stack.arrays(),
    )
    options = {"epochs": 100, "batch": 32, "keep": 0.1, "divergence": divergence, "count": count, "rank": rank}
    return L3D(Table(kinds.subnetworks.SUBJECTS, rows=rows), [Streams("bench", "run", 0)], "cpu", **options)


def steps(agent: L3D) -> None:
    for _ in range(STEPS):
        agent.advance()


def gradients(agent: L3D) -> None:
    for _ in range(STEPS):
        agent.gradients(*agent.sample())


def main() -> None:
    torch.set_num_threads(1)
    print(f"{date.today()}, {machine()}; medians of {ROUNDS} rounds in which both take turns\n", flush=True)
    print("| L3D, batch of 32 | per-sample gradients alone, ms | one step, ms | ratio |")
    print("| --- | --- | --- | --- |")
    for name, model in MODELS.items():
        agent = learner(*model)
        took = interleaved(step=lambda agent=agent: steps(agent), alone=lambda agent=agent: gradients(agent))
        step, alone = (1000 * took[part] / STEPS for part in ("step", "alone"))
        print(f"| {name} | {alone:.2f} | {step:.2f} | {step / alone:.2f} |", flush=True)


if __name__ == "__main__":
    main()
