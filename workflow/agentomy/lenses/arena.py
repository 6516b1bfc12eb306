"""Evaluation episodes in a task's own simulator, all seeds of a stack and all episodes side by side."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from agentomy import kinds
from agentomy.environments import simulators
from agentomy.tables import Table


@dataclass
class Played:
    """Returns and lengths [S, E]; what was seen and done at each step of each episode, if it was kept."""

    returns: np.ndarray
    lengths: np.ndarray
    observations: list[list[list[np.ndarray]]]
    actions: list[list[list[np.ndarray]]]


class Arena:
    """The episodes of an environment table; all agents meet the same starts."""

    def __init__(self, episodes: Table, device: str, reset_seeds: np.ndarray | None = None):
        self.task, self.device = episodes.description, device
        self.reset_seeds = episodes.values("reset_seed") if reset_seeds is None else reset_seeds
        self.simulators: list[list[Any]] = []

    def play(self, stack, seeds: int, keep: bool = False) -> Played:
        """Let every network of a stack play every episode to its end by its greedy policy."""
        while len(self.simulators) < seeds:  # made once: to make one costs more than an episode
            rngs = [np.random.default_rng(0) for _ in self.reset_seeds]
            self.simulators.append([simulators.make(self.task, rng, evaluation=True) for rng in rngs])
        starts = [
            [simulator.reset(int(s)) for simulator, s in zip(row, self.reset_seeds, strict=True)]
            for row in self.simulators
        ]
        frames = getattr(stack, "frames", 1)  # an agent that sees pixels sees the last few
        seen = np.array(starts[:seeds])
        history = [seen] * frames
        shape = seen.shape[:2]
        returns, lengths, running = np.zeros(shape), np.zeros(shape, int), np.ones(shape, bool)
        kept: tuple[list, list] = tuple([[[] for _ in range(shape[1])] for _ in range(seeds)] for _ in range(2))
        while running.any():
            observation = seen if frames == 1 else np.concatenate(history, axis=2)
            actions = stack.act(self.tensor(observation, stack)).cpu().numpy()
            seen = seen.copy()
            for s, e in zip(*np.nonzero(running), strict=True):
                if keep:
                    kept[0][s][e].append(observation[s, e])
                    kept[1][s][e].append(actions[s, e])
                seen[s, e], reward, terminated, truncated = self.simulators[s][e].step(actions[s, e])
                returns[s, e] += reward
                lengths[s, e] += 1
                running[s, e] = not (terminated or truncated)
            history = [*history[1:], seen]
        return Played(returns, lengths, *kept)

    def tensor(self, observation: np.ndarray, stack) -> torch.Tensor:
        array = torch.from_numpy(np.ascontiguousarray(observation)).to(self.device)
        return array.to(next(stack.parameters()).dtype) if array.is_floating_point() else array

    def rows(self, stack, seed: np.ndarray, **columns) -> pa.Table:
        """`kinds.paths.ROLLOUTS` of a stack whose seeds are `seed`."""
        played, count = self.play(stack, len(seed)), len(self.reset_seeds)
        return kinds.paths.ROLLOUTS.table(
            **columns,
            seed=np.repeat(seed, count),
            episode=np.tile(np.arange(count), len(seed)),
            **{"return": played.returns.ravel()},
            length=played.lengths.ravel(),
        )
