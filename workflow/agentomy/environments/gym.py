"""Any environment of gymnasium, by its id: with arguments, wrappers, and a limit of steps."""

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
    # classes around it, the innermost first, each with its arguments: {use: gymnasium.wrappers.FlattenObservation}
    wrappers: list[dict[str, bool | int | float | str]] | None = None,
    episodes: Count,
    max_episode_steps: Count | None = None,  # after so many an episode is cut off
    streams,
) -> kinds.paths.EPISODES:
    """Evaluation episodes of an environment of gymnasium."""
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
        made = gymnasium.make(id, max_episode_steps=max_episode_steps, disable_env_checker=True, **(kwargs or {}))
    except gymnasium.error.Error as error:
        raise ValueError(f"environment '{id}': {str(error).splitlines()[0]}") from None
    if made.spec is None or not made.spec.max_episode_steps:
        made = gymnasium.wrappers.TimeLimit(made, max_episode_steps or STEPS)
    for each in wrappers or []:
        arguments = dict(each)
        made = names.outside(str(arguments.pop("use", "")), "gymnasium.wrappers")(made, **arguments)
    return made
