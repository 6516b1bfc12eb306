"""MinAtar (Young & Tian 2019): five Atari games on a 10 × 10 grid of objects."""

from typing import Any, Literal

import gymnasium
import numpy as np

from agentomy import kinds
from agentomy.environments.simulator import Simulator, starts

# channels that tell which way, or how fast, something moves: where it was, or which way it is about to go
TRAILS = {"trail", "speed1", "speed2", "speed3", "speed4", "speed5", "alien_left", "alien_right"}


class MinAtar(gymnasium.Env):
    """One game; observations are bool [10, 10, channels], actions 0 to 5 (n, l, u, r, d, f).

    Without `trails` a frame shows where things are and not how they move: to know that takes a memory.
    """

    def __init__(self, game: str, sticky: float = 0.1, ramping: bool = True, idle_limit: int = 0, trails: bool = True):
        from minatar import Environment

        self.game, self.idle_limit = (
            Environment(game, sticky_action_prob=sticky, difficulty_ramping=ramping),
            idle_limit,
        )
        channels = self.game.env.channels
        self.shown = [number for name, number in channels.items() if trails or name not in TRAILS]
        shape = (*self.game.state_shape()[:2], len(self.shown))
        self.action_space = gymnasium.spaces.Discrete(self.game.num_actions())
        self.observation_space = gymnasium.spaces.Box(0, 1, shape, bool)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        # The game draws its luck from our stream. Its memory of the last action must not outlive an episode: else
        # the next one would not follow from its seed and actions.
        self.game.random = self.game.env.random = np.random.RandomState(self.np_random.bit_generator)
        self.game.last_action = 0
        self.game.reset()
        self.steps, self.rewarded = 0, False
        return self.look(), {}

    def step(self, action: int):
        reward, terminated = self.game.act(int(action))
        self.steps += 1
        self.rewarded |= reward > 0
        idle = bool(self.idle_limit) and self.steps >= self.idle_limit and not self.rewarded
        return self.look(), float(reward), bool(terminated), idle and not terminated, {}

    def look(self) -> np.ndarray:
        return self.game.state()[:, :, self.shown]


def minatar(
    *,
    game: Literal["asterix", "breakout", "freeway", "seaquest", "space_invaders"],
    episodes: int,
    sticky: float = 0.1,  # probability that the last action is repeated instead
    ramping: bool = True,  # whether the game gets harder
    idle_limit: int = 1000,  # an episode without reward is cut here: a greedy agent can idle for ever
    trails: bool = True,  # whether frames show how things move
    streams,
) -> kinds.EPISODES:
    """Evaluation episodes of a MinAtar game."""
    rng = streams.numpy("episodes")
    return starts(Simulator(MinAtar(game, sticky, ramping, idle_limit, trails), rng), episodes, rng)
