"""Frames a second drawn off-screen, all of it and without shadows, reflections and multisampling; and a RAD update.

`python -m tests.bench.rendering`
"""

import numpy as np
import torch

from agentomy import kinds
from agentomy.agents.rad import RAD
from agentomy.descriptions import Task
from agentomy.environments.control import PixelControl
from agentomy.seeds import Streams
from agentomy.tables import Table
from tests.bench.speeds import ROUNDS, UPDATES, interleaved, machine, repeated

SIZES, STACKS = (48, 100), (1, 2)
TASK = {"domain": "cartpole", "task": "swingup", "action_repeat": 8}


def frames(size: int) -> None:
    drawn = {drawing: PixelControl(**TASK, image_size=size, drawing=drawing) for drawing in ("full", "fast")}
    for env in drawn.values():
        env.reset(seed=0)
    took = interleaved(**{name: lambda env=env: [env.frame() for _ in range(10)] for name, env in drawn.items()})
    for name, seconds in took.items():
        print(f"| {size} × {size}, {name} | {10 / seconds:.0f} | {took['full'] / seconds:.1f} |")


def learner(seeds: int) -> RAD:
    task = Task(use="control.dm_control", parameters={**TASK, "image_size": 48, "drawing": "fast", "episodes": 1})
    options = {"updates": 10**6, "image_size": 52, "filters": 16, "convolutions": 2, "width": 256, "batch": 32}
    streams = [Streams("bench", "run", seed) for seed in range(seeds)]
    agent = RAD(
        Table(kinds.paths.EPISODES, description=task),
        streams,
        "cpu",
        learning_starts=100,
        buffer_size=10_000,
        **options,
    )
    agent.advance()
    return agent


@np.errstate(all="raise")
def main() -> None:
    torch.set_num_threads(1)
    print(f"{machine()}; medians of {ROUNDS} rounds in which all take turns\n")
    print("| cartpole's camera | frames/s | beside full |\n| --- | --- | --- |")
    for size in SIZES:
        frames(size)
    took = interleaved(**{f"{seeds}": repeated(learner(seeds)) for seeds in STACKS})
    print("\n| RAD, 48 × 48, 16 filters, width 256, batch 32 | seed-updates/s |\n| --- | --- |")
    for seeds, seconds in took.items():
        print(f"| {seeds} seed{'s' * (seeds != '1')} | {int(seeds) * UPDATES / seconds:.0f} |")


if __name__ == "__main__":
    main()
