"""A gymnasium environment as agents use it: random numbers from a given stream, and a state that can be saved."""

from typing import Any

import gymnasium
import numpy as np
import pyarrow as pa

from agentomy import kinds

GOES_ON = -1  # in the place of an action: an episode ended in mid-game, and the next one goes on there


class Simulator:
    """One environment; `actions` is the number of discrete actions, or None where `low` and `high` bound them.

    Simulators have no common way to save their inner state. But an episode follows from its random numbers and actions.
    So a state holds the random state at the start of the episode, and the actions since. Where episodes are parts of a
    game (`mid_game` of the environment), it begins at the start of the game.
    """

    def __init__(self, env: gymnasium.Env, rng: np.random.Generator):
        self.env = env
        env.unwrapped.np_random = rng
        space = env.action_space
        discrete = isinstance(space, gymnasium.spaces.Discrete)
        self.actions = int(space.n) if discrete else None
        self.low, self.high = (None, None) if discrete else (space.low, space.high)
        self.observation_shape = env.observation_space.shape
        self._start, self._taken = rng.bit_generator.state, None

    def reset(self, seed: int | None = None) -> np.ndarray:
        """Begin an episode, with new random numbers if a seed is given. Returns the first observation."""
        if seed is None and getattr(self.env.unwrapped, "mid_game", False):
            self._taken.append(np.array(GOES_ON))
            return self.env.reset()[0]
        if seed is not None:
            self.env.unwrapped.np_random = np.random.Generator(np.random.PCG64(seed))
        return self._begin()

    def _begin(self) -> np.ndarray:
        self._start, self._taken = self.env.unwrapped.np_random.bit_generator.state, []
        return self.env.reset(options={"new_game": True})[0]

    def step(self, action) -> tuple[np.ndarray, float, bool, bool]:
        """Take a step. Returns observation, reward, terminated, truncated."""
        self._taken.append(np.array(action))
        observation, reward, terminated, truncated, _ = self.env.step(action)
        return observation, float(reward), bool(terminated), bool(truncated)

    def state(self) -> dict[str, Any]:
        return {"start": self._start, "taken": None if self._taken is None else np.array(self._taken)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state()`, bit for bit, by playing the episode so far again."""
        self.env.unwrapped.np_random.bit_generator.state = state["start"]
        self._start, self._taken = state["start"], None
        if state["taken"] is not None:
            self._begin()
            for action in state["taken"]:
                if self.actions and action == GOES_ON:
                    self.reset()
                else:
                    self.step(action)

    def close(self) -> None:
        self.env.close()


def starts(simulator: Simulator, episodes: int, rng: np.random.Generator) -> pa.Table:
    """`kinds.paths.EPISODES`: a reset seed for each of `episodes`, and how it begins."""
    seeds = rng.integers(2**31, size=episodes)
    observations = np.stack([simulator.reset(int(seed)) for seed in seeds])
    simulator.close()
    return kinds.paths.EPISODES.table(episode=np.arange(episodes), reset_seed=seeds, observation=observations)
