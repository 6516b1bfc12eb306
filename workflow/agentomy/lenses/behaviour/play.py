"""Whole games of one agent, side by side: each episode has its own environment and its own seed from the beginning.

So short episodes do not crowd out long ones, and no step belongs to two episodes.
"""

from dataclasses import dataclass

import numpy as np
import torch

from agentomy.environments import simulators
from agentomy.environments.gym import Game
from agentomy.lenses.behaviour.subject import Subject
from agentomy.tables import Table


@dataclass
class Played:
    """Return and length of each game, how it ended; if kept, what the agent saw, and where its memory began anew."""

    returns: np.ndarray
    lengths: np.ndarray
    ended: list[str]
    seen: list[list[np.ndarray]]
    anew: list[list[bool]]


class Room:
    """The episodes of an environment table, for one agent after another."""

    def __init__(self, episodes: Table):
        self.task, self.seeds = episodes.description, episodes.values("reset_seed")
        self.games = [game_in(self.task) for _ in self.seeds]

    def play(self, subject: Subject, noise: torch.Generator | None = None, keep: bool = False) -> Played:
        """Let an agent play all games to their ends."""
        seen = np.stack([game.reset(seed) for game, seed in zip(self.games, self.seeds, strict=True)])
        count, state = len(self.games), subject.start(len(self.games))
        fresh, ended = subject.start(count), [""] * count
        kept: list[list[np.ndarray]] = [[] for _ in self.games]
        begun: list[list[bool]] = [[True] for _ in self.games]
        while not all(ended):
            actions, state = subject.act(seen, state, noise)
            for number, game in enumerate(self.games):
                if ended[number]:
                    continue
                if keep:
                    kept[number].append(seen[number].copy())
                seen[number], anew, ended[number] = game.step(actions[number])
                begun[number].append(anew)
                if anew and state is not None:
                    state[number] = fresh[number]
        totals = np.array([game.total for game in self.games], float)
        return Played(totals, np.array([game.steps for game in self.games]), ended, kept, begun)


class _Simulated:
    """Whole games in one of the pipeline's own simulators."""

    def __init__(self, task):
        self.simulator = simulators.make(task, np.random.default_rng(0), evaluation=True)

    def reset(self, seed: int) -> np.ndarray:
        self.total, self.steps = 0.0, 0
        return self.simulator.reset(int(seed))

    def step(self, action) -> tuple[np.ndarray, bool, str]:
        observation, reward, terminated, truncated = self.simulator.step(action)
        self.total, self.steps = self.total + reward, self.steps + 1
        return observation, False, "terminated" if terminated else "truncated" if truncated else ""


def game_in(task) -> Game | _Simulated:
    """A place to play in, of an environment table's task."""
    if task.use == "gym.make":
        return Game(simulators.make(task, np.random.default_rng(0)).env)
    return _Simulated(task)
