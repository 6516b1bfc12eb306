"""World models brought back from snapshots, one seed after another, and what their policies live through."""

import math
from collections.abc import Container, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from agentomy import networks
from agentomy.descriptions import Task
from agentomy.environments import simulators
from agentomy.networks.acting import Player
from agentomy.networks.layers import Noise
from agentomy.networks.world_model import WorldModel
from agentomy.seeds import Streams
from agentomy.tables import Table, tensors


def worlds(
    parameters: Table, device: str, updates: Container[int] | None = None
) -> Iterator[tuple[int, int, WorldModel]]:
    """(update, seed, world model) of every snapshot, or of those at `updates`: seed by seed, along training."""
    description = parameters.description.network
    for file in [Table(parameters.kind, [path]) for path in parameters.paths] or [parameters]:
        seeds = next(file.groups(["seed"]))["seed"].to_pylist()
        for place, seed in enumerate(seeds):
            for rows in file.groups():
                update = rows["update"][0].as_py()
                if updates is None or update in updates:
                    yield update, seed, networks.build(description, 1, device).load(tensors(rows.slice(place, 1)))


def ends(parameters: Table) -> set[int]:
    """The updates of the first and the last snapshot."""
    updates = parameters.values("update")
    return {int(updates.min()), int(updates.max())}


@dataclass(frozen=True)
class Lived:
    """T steps one after another, which may cross the ends of episodes."""

    observations: Tensor  # and what was seen after the last step [T + 1, *shape]
    actions: Tensor  # [T]
    rewards: Tensor  # tanh of the reward, as the world model reads it
    terminated: Tensor  # whether the task ended with the step
    ended: Tensor  # whether the episode did, or was cut off

    def __len__(self) -> int:
        return len(self.actions)


def live(world: WorldModel, task: Task, steps: int, rng: np.random.Generator, noise: Noise, device: str) -> Lived:
    """Let the policy take this number of `steps` in the environment of a table."""
    simulator, player = simulators.make(task, rng), Player(world, 1, noise)
    seen, taken, reward, over = [simulator.reset()], [], 0.0, False
    for _ in range(steps):
        last = torch.tensor([reward], device=device), torch.tensor([over], device=device)
        action = int(player.act(torch.as_tensor(seen[-1], device=device)[None], *last))
        observation, reward, terminated, truncated = simulator.step(action)
        reward, over = math.tanh(reward), terminated or truncated
        seen.append(simulator.reset() if over else observation)
        taken.append((action, reward, terminated, over))
    simulator.close()
    actions, rewards, terminated, ended = zip(*taken, strict=True)
    return Lived(
        torch.as_tensor(np.stack(seen), device=device),
        torch.tensor(actions, device=device),
        torch.tensor(rewards, device=device),
        torch.tensor(terminated, device=device),
        torch.tensor(ended, device=device),
    )


def fresh(
    world: WorldModel, task: Task, steps: int, streams: Streams, snapshot: tuple[int, int], device: str
) -> tuple[Lived, Noise]:
    """Steps of a snapshot (its seed and update) with random numbers of its own; and more of these."""
    name = "seed {} update {}".format(*snapshot)
    noise = [networks.generator(streams.entropy(f"noise {name}"), device)]
    return live(world, task, steps, streams.numpy(f"life {name}"), noise, device), noise


def play(
    world: WorldModel, task: Task, reset_seeds: np.ndarray, noise: Noise, device: str
) -> tuple[np.ndarray, np.ndarray]:
    """Undiscounted returns and lengths [E] of whole episodes side by side, actions drawn from the policy.

    All run until the last has ended, so that short episodes count no more than long ones.
    """
    games = [simulators.make(task, np.random.default_rng(0), evaluation=True) for _ in reset_seeds]
    seen = np.stack([game.reset(int(seed)) for game, seed in zip(games, reset_seeds, strict=True)])
    returns, lengths, running = np.zeros(len(games)), np.zeros(len(games), int), np.ones(len(games), bool)
    player, rewards = Player(world, len(games), noise), np.zeros(len(games), np.float32)
    while running.any():
        actions = player.act(*(torch.as_tensor(values, device=device) for values in (seen, rewards, ~running))).tolist()
        for number in np.flatnonzero(running):
            seen[number], reward, terminated, truncated = games[number].step(actions[number])
            rewards[number] = math.tanh(reward)
            returns[number] += reward
            lengths[number] += 1
            running[number] = not (terminated or truncated)
    for game in games:
        game.close()
    return returns, lengths
