"""Measured speeds of TD3, as Markdown tables; all take turns in one run, so that their ratios hold.

Run it with the settings of the allocator that the Snakefile gives to its jobs. Stable-Baselines3's column needs
`pip install --no-deps stable-baselines3 cloudpickle` and is left out without it.
"""

import copy
from collections.abc import Callable
from datetime import date
from importlib.util import find_spec

import gymnasium
import numpy as np
import torch
from torch import nn

from agentomy import kinds
from agentomy.agents.td3 import TD3
from agentomy.descriptions import Task
from agentomy.seeds import Streams
from agentomy.tables import Table
from tests.bench.speeds import ROUNDS, interleaved, machine

TASK, RANDOM_STEPS, UPDATES = "HalfCheetah-v5", 1000, 40
SETTINGS = ((256, 256, 8), (256, 100, 8), (64, 64, 16))  # width, batch, seeds in a stack


def td3(width: int, batch: int, seeds: int) -> TD3:
    table = Table(kinds.paths.EPISODES, description=Task(use="control.mujoco", parameters={"task": TASK}))
    streams = [Streams("bench", "td3", seed) for seed in range(seeds)]
    options = {"widths": [width, width], "batch": batch, "learning_starts": RANDOM_STEPS, "updates": 30_000}
    agent = TD3(table, streams, "cpu", **options)
    agent.advance()  # with the random steps
    return agent


class PlainTD3:
    """The yardstick: TD3 of one seed in the plainest way."""

    def __init__(self, width: int, batch: int):
        self.env = gymnasium.make(TASK, disable_env_checker=True)
        self.env.action_space.seed(0)
        self.n, self.a = self.env.observation_space.shape[0], self.env.action_space.shape[0]
        self.batch, self.updates = batch, 0
        self.actor = nn.Sequential(self.mlp(self.n, width, self.a), nn.Tanh())
        self.critics = nn.ModuleList([self.mlp(self.n + self.a, width, 1) for _ in range(2)])
        self.target_actor, self.target_critics = copy.deepcopy(self.actor), copy.deepcopy(self.critics)
        self.actor_optimiser = torch.optim.Adam(self.actor.parameters(), 3e-4)
        self.critic_optimiser = torch.optim.Adam(self.critics.parameters(), 3e-4)
        sizes = (self.n, self.a, self.n, 1, 1)
        self.replay, self.stored = [torch.zeros(30_000, size) for size in sizes], 0
        self.observation, _ = self.env.reset(seed=0)
        for _ in range(RANDOM_STEPS):
            self.step(self.env.action_space.sample())

    @staticmethod
    def mlp(inputs: int, width: int, outputs: int) -> nn.Sequential:
        layers = (nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, outputs))
        return nn.Sequential(*layers)

    def step(self, action: np.ndarray) -> None:
        following, reward, terminated, truncated, _ = self.env.step(action)
        values = (self.observation, action, following, reward, not terminated)
        for kept, value in zip(self.replay, values, strict=True):
            kept[self.stored % len(kept)] = torch.as_tensor(value, dtype=torch.float32)
        self.stored += 1
        self.observation = self.env.reset()[0] if terminated or truncated else following

    def advance(self) -> None:
        with torch.no_grad():
            action = self.actor(torch.as_tensor(self.observation, dtype=torch.float32)).numpy()
        self.step((action + 0.1 * np.random.randn(self.a)).clip(-1, 1))
        self.learn()

    def learn(self) -> None:
        rows = torch.randint(min(self.stored, len(self.replay[0])), (self.batch,))
        observation, action, following, reward, nonterminal = (kept[rows] for kept in self.replay)
        with torch.no_grad():
            noise = (0.2 * torch.randn_like(action)).clamp(-0.5, 0.5)
            inputs = torch.cat([following, (self.target_actor(following) + noise).clamp(-1, 1)], dim=1)
            target = reward + 0.99 * nonterminal * torch.minimum(*(critic(inputs) for critic in self.target_critics))
        inputs = torch.cat([observation, action], dim=1)
        loss = sum(nn.functional.mse_loss(critic(inputs), target) for critic in self.critics)
        self.critic_optimiser.zero_grad()
        loss.backward()
        self.critic_optimiser.step()
        self.updates += 1
        if self.updates % 2 == 0:
            loss = -self.critics[0](torch.cat([observation, self.actor(observation)], dim=1)).mean()
            self.actor_optimiser.zero_grad()
            loss.backward()
            self.actor_optimiser.step()
            with torch.no_grad():
                for ours, theirs in ((self.target_actor, self.actor), (self.target_critics, self.critics)):
                    for old, new in zip(ours.parameters(), theirs.parameters(), strict=True):
                        old.mul_(0.995).add_(0.005 * new)


def baselines3(width: int, batch: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """Stable-Baselines3's TD3: `UPDATES` gradient updates alone, and with environment steps."""
    from stable_baselines3 import TD3 as Theirs

    options = {"policy_kwargs": {"net_arch": [width, width]}, "batch_size": batch, "learning_rate": 3e-4, "seed": 0}
    model = Theirs("MlpPolicy", gymnasium.make(TASK), buffer_size=30_000, learning_starts=RANDOM_STEPS, **options)
    model.learn(RANDOM_STEPS + 10)
    return (
        lambda: model.train(gradient_steps=UPDATES, batch_size=batch),
        lambda: model.learn(UPDATES, reset_num_timesteps=False),
    )


def products(width: int, batch: int, seeds: int, observations: int = 17, actions: int = 6) -> Callable[[], None]:
    """The matrix products of `UPDATES` updates of every seed and nothing else, on operands that are there already."""

    def shapes(inputs: int, outputs: int) -> list[tuple[int, int]]:
        return [(inputs, width), (width, width), (width, outputs)]

    actor, critic = shapes(observations, actions), shapes(observations + actions, 1)
    # (nets, rows, in, out): passes, then gradients of weights, then those that go further down
    every = [(seeds, batch, *shape) for shape in actor] + 2 * [(2 * seeds, batch, *shape) for shape in critic]
    every += [(2 * seeds, min(shape), batch, max(shape)) for shape in critic] + [
        (2 * seeds, batch, n, m) for m, n in critic[1:]
    ]
    second = [(seeds, batch, *shape) for shape in [*actor, *critic]]
    second += [(seeds, batch, n, m) for m, n in [(actions, width), *critic[1:], *actor[1:]]]
    second += [(seeds, min(shape), batch, max(shape)) for shape in actor]

    def operands(all_shapes: list) -> list[tuple[torch.Tensor, torch.Tensor]]:
        return [(torch.randn(k, rows, m), torch.randn(k, m, n)) for k, rows, m, n in all_shapes]

    every, second = operands(every), operands(second)

    def run() -> None:
        for update in range(UPDATES):
            for one, other in every + (second if update % 2 else []):
                torch.bmm(one, other)

    run.flops = UPDATES * sum(
        share * 2 * one.numel() * other.shape[2] for share, pairs in ((1, every), (0.5, second)) for one, other in pairs
    )
    return run


def repeated(function: Callable) -> Callable[[], None]:
    return lambda: [function() for _ in range(UPDATES)]


def main() -> None:
    torch.set_num_threads(1)
    print(f"{date.today()}, {machine()}; medians of {ROUNDS} rounds in which all take turns; with steps in brackets\n")
    print("| TD3, HalfCheetah | seed-updates/s | with steps | × plain loop | × SB3 | share of products alone |")
    print("| --- | --- | --- | --- | --- | --- |")
    for width, batch, seeds in SETTINGS:
        plain, one, stack = PlainTD3(width, batch), td3(width, batch, 1), td3(width, batch, seeds)
        alone = {1: products(width, batch, 1), seeds: products(width, batch, seeds)}
        runs = {"products_1": alone[1], f"products_{seeds}": alone[seeds]}
        for name, agent in (("plain", plain), ("one", one), ("stack", stack)):
            runs |= {name: repeated(agent.learn), f"{name}_steps": repeated(agent.advance)}
        if find_spec("stable_baselines3"):
            runs["sb3"], runs["sb3_steps"] = baselines3(width, batch)
        took = interleaved(**runs)
        for label, name, size in (
            ("plain loop", "plain", 1),
            ("Stable-Baselines3", "sb3", 1),
            ("1 seed", "one", 1),
            (f"{seeds} seeds", "stack", seeds),
        ):
            if name not in took:
                continue
            speed, whole = (size * UPDATES / took[part] for part in (name, f"{name}_steps"))
            beside = [
                f"{speed * took[rival] / UPDATES:.2f} ({whole * took[f'{rival}_steps'] / UPDATES:.2f})"
                if rival in took
                else ""
                for rival in ("plain", "sb3")
            ]
            share = took[f"products_{size}"] / took[name]
            cells = [
                f"{width}-{width}, batch {batch}, {label}",
                f"{speed:.0f}",
                f"{whole:.0f}",
                *beside,
                f"{share:.0%}",
            ]
            print(f"| {' | '.join(cells)} |", flush=True)
        rates = ", ".join(
            f"{size} seeds {run.flops / took[f'products_{size}'] / 1e9:.0f}" for size, run in alone.items()
        )
        print(f"| {width}-{width}, batch {batch}: products alone, GFLOP/s | {rates} | | | | |")


if __name__ == "__main__":
    main()
