"""Any environment of gymnasium, by its id: with arguments, wrappers, and a limit of steps; and whole games in it."""

from typing import Any

import gymnasium
import numpy as np

from agentomy import kinds, names
from agentomy.values import Count

STEPS = 100_000  # of an episode whose environment has no limit of its own: one that never ends would never be played


def make(
    *,
    id: str,  # of gymnasium, such as LunarLander-v3; MODULE:ID is registered by a module of `modules`
    kwargs: dict[str, bool | int | float | str] | None = None,  # arguments of the environment
    wrappers: list[dict[str, bool | int | float | str]] | None = None,
    episodes: Count,
    max_episode_steps: Count | None = None,  # after so many an episode is cut off
    streams,
) -> kinds.paths.EPISODES:
    """Evaluation episodes of an environment of gymnasium.

    `wrappers` are classes around it, the innermost first, each with its arguments: {use: gymnasium.wrappers.NAME}, or
    of a module of the study.
    """
    env = environment(id, kwargs, wrappers, max_episode_steps)
    seeds = streams.numpy("episodes").integers(2**31, size=episodes)
    observations = np.stack([np.asarray(env.reset(seed=int(seed))[0], np.float64) for seed in seeds])
    env.close()
    return kinds.paths.EPISODES.table(episode=np.arange(episodes), reset_seed=seeds, observation=observations)


def environment(
    id: str,
    kwargs: dict[str, Any] | None = None,
    wrappers: list[dict[str, Any]] | None = None,
    max_episode_steps: int | None = None,
) -> gymnasium.Env:
    """The environment itself, as its table describes it."""
    try:
        env = gymnasium.make(id, max_episode_steps=max_episode_steps, disable_env_checker=True, **(kwargs or {}))
    except gymnasium.error.Error as error:
        raise ValueError(f"environment '{id}': {str(error).splitlines()[0]}") from None
    if env.spec is None or not env.spec.max_episode_steps:
        env = gymnasium.wrappers.TimeLimit(env, max_episode_steps or STEPS)
    env = Innermost(env)
    for wrapper in wrappers or []:
        arguments = dict(wrapper)
        env = names.outside(str(arguments.pop("use", "")), "gymnasium.wrappers")(env, **arguments)
    return env


class Innermost(gymnasium.Wrapper):
    """Between the environment and what is wrapped around it: its own rewards, and how its own episode ended.

    total: since it was set to 0. over: "terminated", "truncated", or "" while the episode goes on. begun: how often it
    was really reset, which a wrapper that makes an episode of each life does not.
    """

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        self.total, self.over, self.begun = 0.0, "", 0

    def reset(self, **given):
        self.begun, self.over = self.begun + 1, ""
        return self.env.reset(**given)

    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.total += float(reward)
        self.over = "terminated" if terminated else "truncated" if truncated else ""
        return observation, reward, terminated, truncated, info


class Game:
    """Whole games of an environment, whatever its wrappers make of rewards and episodes."""

    def __init__(self, env: gymnasium.Env):
        self.env, self.inner = env, env
        while not isinstance(self.inner, Innermost):
            self.inner = self.inner.env

    def reset(self, seed: int) -> np.ndarray:
        observation, _ = self.env.reset(seed=int(seed))
        self.inner.total, self.steps = 0.0, 0
        return np.asarray(observation)

    def step(self, action) -> tuple[np.ndarray, bool, str]:
        """Observation, whether an agent's memory begins anew (at a life's end), and how the game ended, if it did."""
        observation, _, terminated, truncated, _ = self.env.step(action)
        self.steps += 1
        over, anew = self.inner.over or ("truncated" if truncated else ""), False
        if terminated and not over:
            begun = self.inner.begun
            observation, _ = self.env.reset()
            anew = self.inner.begun == begun
            over = "" if anew else "terminated"
        return np.asarray(observation), anew, over

    @property
    def total(self) -> float:
        """The environment's own rewards since the game began."""
        return self.inner.total
