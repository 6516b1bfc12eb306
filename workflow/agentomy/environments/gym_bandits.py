"""The bandits as gymnasium environments, one episode at a time.

Importing this module registers them; `gymnasium.make("agentomy.environments.gym_bandits:agentomy/BernoulliBandit-v0")`
imports it by itself.
"""

import gymnasium
import numpy as np
import pyarrow as pa

from agentomy import kinds
from agentomy.environments import bandits
from agentomy.environments.simulator import Simulator, starts
from agentomy.values import Beta, Count, Positive


class BanditEnv(gymnasium.Env):
    """One bandit, `steps` pulls an episode: actions 0 and 1, observations as in `bandits.observe`.

    The info of `reset` tells the arms' means; `reset(options={"means": [2], "rewards": [T, 2]})` replays an episode
    of an environment table.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 (gymnasium's own declaration)

    def __init__(self, task: bandits.Bandit, steps: int):
        self.task, self.steps = task, steps
        self.action_space = gymnasium.spaces.Discrete(bandits.ARMS)
        low, high = np.zeros(bandits.ARMS + 1), np.ones(bandits.ARMS + 1)
        low[-1], high[-1] = task.encode_reward(np.array(task.reward_range))
        self.observation_space = gymnasium.spaces.Box(low.astype(np.float32), high.astype(np.float32))

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        super().reset(seed=seed)
        if options and "means" in options:
            self.means, self.rewards = np.asarray(options["means"]), np.asarray(options["rewards"])
        else:
            means, rewards = self.task.sample(self.np_random, 1, self.steps)
            self.means, self.rewards = means[0], rewards[0]
        self.t = 0
        return np.zeros(bandits.ARMS + 1, np.float32), {"means": self.means.copy()}

    def step(self, action: int):
        reward = self.rewards[self.t, action]
        observation = np.zeros(bandits.ARMS + 1, np.float32)
        observation[action] = 1
        observation[-1] = self.task.encode_reward(reward)
        self.t += 1
        # The horizon belongs to the task (the optimum depends on it), so the episode ends, it is not cut off.
        return observation, float(reward), self.t == len(self.rewards), False, {}


class BernoulliBandit(BanditEnv):
    """Two Bernoulli arms with beta priors, one (a, b) an arm."""

    def __init__(self, prior=((1.0, 1.0), (1.0, 1.0)), steps: int = 20):
        super().__init__(bandits.Bernoulli(tuple(tuple(arm) for arm in prior)), steps)


class GaussianBandit(BanditEnv):
    """Two Gaussian arms of known noise variance whose means are N(mean, variance)."""

    def __init__(self, mean: float = 0.0, variance: float = 1.0, noise: float = 1.0, steps: int = 20):
        super().__init__(bandits.Gaussian(mean, variance, noise), steps)


class ExponentialBandit(BanditEnv):
    """Two exponential arms whose rates are Gamma(shape, rate)."""

    def __init__(self, shape: float = 3.0, rate: float = 2.0, steps: int = 20):
        super().__init__(bandits.Exponential(shape, rate), steps)


# ---- episodes for lenses on any agent -------------------------------------------------------------------------------


def bernoulli(*, prior: list[Beta], steps: Count, episodes: Count, streams) -> kinds.paths.EPISODES:
    """Evaluation games of a Bernoulli bandit over `steps` pulls; `prior` is one beta distribution [a, b] an arm."""
    return _games(BernoulliBandit(prior, steps), episodes, streams)


def gaussian(
    *, mean: float, variance: Positive, noise: Positive, steps: Count, episodes: Count, streams
) -> kinds.paths.EPISODES:
    """Evaluation games of a Gaussian bandit over `steps` pulls: known variance `noise`, means N(`mean`, `variance`)."""
    return _games(GaussianBandit(mean, variance, noise, steps), episodes, streams)


def exponential(*, shape: Positive, rate: Positive, steps: Count, episodes: Count, streams) -> kinds.paths.EPISODES:
    """Evaluation games of an exponential bandit over `steps` pulls; both rates are Gamma(`shape`, `rate`)."""
    return _games(ExponentialBandit(shape, rate, steps), episodes, streams)


def _games(bandit: BanditEnv, episodes: int, streams) -> pa.Table:
    rng = streams.numpy("episodes")
    return starts(Simulator(bandit, rng), episodes, rng)


gymnasium.register("agentomy/BernoulliBandit-v0", entry_point=f"{__name__}:BernoulliBandit")
gymnasium.register("agentomy/GaussianBandit-v0", entry_point=f"{__name__}:GaussianBandit")
gymnasium.register("agentomy/ExponentialBandit-v0", entry_point=f"{__name__}:ExponentialBandit")
