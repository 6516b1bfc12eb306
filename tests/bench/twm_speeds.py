"""Measured speeds of the world-model agent, as Markdown tables: `python -m tests.bench.twm_speeds [SIZE …]`.

One thread, by processor time: the machine may be shared. What is compared takes turns in one run, so that ratios hold:
imagination and its plain twin, and a stack of seeds and its seeds alone.
"""

import sys
import time
from collections.abc import Callable
from datetime import date
from statistics import median
from unittest.mock import patch

import numpy as np
import torch

from agentomy import kinds
from agentomy.agents.world_model import WorldModelAgent
from agentomy.environments import simulators
from agentomy.networks.imagination import DOUBT, Imagined, Start, imagine
from agentomy.networks.layers import Noise, uniform
from agentomy.networks.observation_model import choice, code
from agentomy.networks.world_model import WorldModel
from agentomy.seeds import Streams
from agentomy.tables import Table
from tests.agents.test_world_model_agent import BREAKOUT, Screens
from tests.bench.speeds import machine

# sequences × steps of an update of the world model, rollouts × steps of an imagination, and how often it is measured
SIZES = {"xs": ((16, 8), (64, 8), 15), "s": ((32, 8), (128, 10), 7), "paper": ((100, 16), (400, 15), 2)}
UNCACHED, TURNS = "s", 15  # the size at which the plain twin is measured, and how often
LIVED = 2000  # random steps
AIM = 2.5
STACKED, SEEDS = "xs", (0, 1, 2)  # the size at which a stack is measured beside its seeds alone


def agent(size: str, *seeds: int) -> WorldModelAgent:
    """An agent that has taken random steps: in MinAtar's Breakout, at the paper's size among random screens."""
    (batch, length), (rollouts, horizon), _ = SIZES[size]
    lived = {"interactions": LIVED, "prefill": LIVED, "pretraining_budget": 0.0}
    shapes = {"batch": batch, "length": length, "imagination_batch": rollouts, "horizon": horizon}
    episodes = Table(kinds.paths.EPISODES, description=BREAKOUT)
    make = simulators.make if size != "paper" else lambda source, rng: Screens(rng)
    streams = [Streams("bench", size, seed) for seed in seeds or (0,)]
    with patch.object(simulators, "make", make):
        learner = WorldModelAgent(episodes, streams, "cpu", size=size, **lived, **shapes)
    for actions in np.stack([rng.integers(learner.network["actions"], size=LIVED) for rng in learner.random], axis=1):
        learner.step_envs(actions)
    return learner


def dream(learner: WorldModelAgent, start: Start, how: Callable[..., Imagined] = imagine) -> Imagined:
    return how(learner.world, start, learner.restarts(), learner.horizon, learner.noise["imagination"])


@torch.no_grad()
def imagine_plainly(world: WorldModel, start: Start, restarts: torch.Tensor, horizon: int, noise: Noise) -> Imagined:
    """`imagine` of one seed without a memory: each step reads all steps since the start again.

    Not less than all of them would give the same: what a token looked like in the first layer depends on tokens that
    have since left the window.
    """
    codes, actions, rewards, ended = start
    luck = uniform((len(restarts), horizon, 1 + world.dynamics.latents[0]), noise)
    discounts, weights, read = [], [torch.ones_like(rewards[:, 0])], world.inputs_along(*start)
    for number in range(1, horizon + 1):
        action = choice(world.policy(read[:, -1]), luck[:, number - 1, 0])
        actions = torch.cat([actions, action.unsqueeze(1)], dim=1)
        prediction, _ = world.dynamics(codes, actions, rewards, ended)
        discounts.append(prediction.discount[:, -1].sigmoid())
        left = weights[-1] * discounts[-1]
        over = left < DOUBT
        expected = code(choice(prediction.latent[:, -1], luck[:, number - 1, 1:]), prediction.latent)
        following = torch.where(over.unsqueeze(1), restarts.roll(number, 0), expected)
        codes = torch.cat([codes, following.unsqueeze(1)], dim=1)
        rewards = torch.cat([rewards, prediction.reward[:, -1:]], dim=1)
        ended = torch.cat([ended, over.unsqueeze(1)], dim=1)
        weights.append(torch.where(over, 1.0, left))
        read = world.inputs_along(codes, actions, rewards, ended)
    told = (torch.stack(values, dim=1) for values in (discounts, weights[:-1]))
    return Imagined(codes[:, 1:], actions[:, 1:], rewards[:, 1:], next(told), ended[:, 1:], next(told), read[:, 1:])


def timed(run: Callable) -> tuple[float, object]:
    """Seconds of processor time, and what came out."""
    began = time.process_time()
    outcome = run()
    return time.process_time() - began, outcome


def updates(learner: WorldModelAgent, rounds: int) -> list[float]:
    """Median seconds of a world-model update, an imagination, and an actor-critic update."""
    taken = []
    for _ in range(rounds + 1):
        world, start = timed(learner.learn_world)
        imagining, imagined = timed(lambda start=start: dream(learner, start))
        policy, _ = timed(lambda imagined=imagined: learner.learn_behaviour(imagined))
        taken.append((world, imagining, policy))
    return [median(seconds) for seconds in zip(*taken[1:], strict=True)]


def uncached(learner: WorldModelAgent, rounds: int) -> list[float]:
    """Median seconds of an imagination, and of its plain twin, which must predict the same."""
    start, (noise,), ways = learner.learn_world(), learner.noise["imagination"], (imagine, imagine_plainly)
    before, restarts = noise.get_state(), learner.restarts()
    outcomes = []
    for way in ways:
        noise.set_state(before)
        outcomes.append(way(learner.world, start, restarts, learner.horizon, [noise]))
    for ours, plain in zip(*outcomes, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-4)
    taken = [[timed(lambda way=way: dream(learner, start, way))[0] for way in ways] for _ in range(rounds)]
    return [median(seconds) for seconds in zip(*taken, strict=True)]


def stacked(rounds: int) -> list[list[float]]:
    """Median seconds a seed and update, by part and in all: of seeds alone, one after another, and of their stack."""
    alone, together = [agent(STACKED, seed) for seed in SEEDS], agent(STACKED, *SEEDS)
    taken = [], []
    for _ in range(rounds):
        for place, learners in enumerate((alone, [together])):
            parts = np.sum([updates(learner, 4) for learner in learners], axis=0) / len(SEEDS)
            taken[place].append([*parts, parts.sum()])
    return [np.median(seconds, axis=0).tolist() for seconds in taken]


def main(*sizes: str) -> None:
    torch.set_num_threads(1)
    print(f"{date.today()}, {machine()}; one thread, medians of processor time\n", flush=True)
    print("| size | world-model update, s | imagination, s | actor-critic update, s | joint update, s | measured |")
    print("| --- | --- | --- | --- | --- | --- |")
    for size in sizes or SIZES:
        (batch, length), (rollouts, horizon), rounds = SIZES[size]
        took = [*updates(agent(size), rounds), 0.0]
        took[-1] = sum(took)
        name = f"{size}: {batch} × {length}, {rollouts} × {horizon}"
        print(f"| {name} | {' | '.join(f'{seconds:.3f}' for seconds in took)} | {rounds} times |", flush=True)
    ours, plain = uncached(agent(UNCACHED), TURNS)
    print(f"\n| imagination, size {UNCACHED}, in turns | s | ratio (aim: {AIM}) |\n| --- | --- | --- |")
    print(f"| keys and values kept | {ours:.3f} | 1 |")
    print(f"| all steps read again at each step | {plain:.3f} | {plain / ours:.2f} |")
    alone, together = stacked(TURNS)
    print(f"\n| joint update of each of {len(SEEDS)} seeds, size {STACKED} | ms alone | ms in a stack | ratio |")
    print("| --- | --- | --- | --- |")
    names = ("world model", "imagination", "actor and critic", "all")
    for name, one, other in zip(names, alone, together, strict=True):
        print(f"| {name} | {1e3 * one:.1f} | {1e3 * other:.1f} | {other / one:.2f} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
