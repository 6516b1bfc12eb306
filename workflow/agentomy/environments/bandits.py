"""Two-armed bandits with a conjugate prior: their episodes, their posteriors, and what an agent observes.

An episode draws both arms from the prior; pulling an arm shows its reward only (Mikulik et al. 2020).
The rewards of both arms are drawn beforehand for every step, so that all agents meet the same luck.
E is episodes, T steps (pulls), and a leading `...` is any batch. Statistics hold two entries an arm.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from agentomy import descriptions, kinds
from agentomy.environments.conjugate import name_and_prior, require, require_episodes, sums_before
from agentomy.names import make, resolve
from agentomy.values import Beta, Count, Positive

ARMS = 2


class Bandit:
    """What the three bandits share; `statistics` are (n, Σ rewards) of arm 0, then of arm 1."""

    def evidence(self, actions: np.ndarray, rewards: np.ndarray) -> np.ndarray:
        """What each pull adds to the statistics [..., 4], from actions [...] and rewards received [...]."""
        return self._place(actions, np.ones_like(rewards, dtype=float), rewards)

    def statistics(self, actions: np.ndarray, rewards: np.ndarray) -> np.ndarray:
        """Statistics before each pull [..., T, 4], from actions [..., T] and rewards received [..., T]."""
        return sums_before(self.evidence(actions, rewards))

    def clip(self, statistics: np.ndarray) -> np.ndarray:
        """The nearest possible statistics: no negative number of pulls."""
        arms = self.per_arm(statistics)
        return np.stack([np.maximum(arms[..., 0], 0.0), arms[..., 1]], axis=-1).reshape(np.shape(statistics))

    def round(self, statistics: np.ndarray) -> np.ndarray:
        """The nearest possible statistics with whole numbers of pulls, for look-ups."""
        arms = self.per_arm(self.clip(statistics))
        return np.stack([np.rint(arms[..., 0]), arms[..., 1]], axis=-1).reshape(np.shape(statistics))

    def pulls(self, statistics: np.ndarray) -> np.ndarray:
        """Number of pulls of each arm [..., 2]."""
        return self.per_arm(statistics)[..., 0]

    def encode_reward(self, rewards: np.ndarray) -> np.ndarray:
        """The reward as a network's input."""
        return np.asarray(rewards)

    def prior_mean(self) -> np.ndarray:
        """Expected reward of each arm [2] before any pull."""
        return self.posterior_mean(np.zeros(2 * ARMS))

    @staticmethod
    def per_arm(statistics: np.ndarray) -> np.ndarray:
        """Statistics [..., 4] as [..., arm, 2]."""
        return np.reshape(statistics, (*np.shape(statistics)[:-1], ARMS, 2))

    @staticmethod
    def _place(actions: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        chosen = np.asarray(actions)[..., None] == np.arange(ARMS)
        pair = np.stack([first, second], axis=-1)
        return (chosen[..., None] * pair[..., None, :]).reshape(*pair.shape[:-1], 2 * ARMS)


@dataclass(frozen=True)
class Bernoulli(Bandit):
    """Rewards 0 or 1, P(1) = θ ~ Beta(a, b), prior = ((a, b) of arm 0, (a, b) of arm 1).

    Sufficient statistics: (successes, failures) of arm 0, then of arm 1.
    """

    prior: tuple[tuple[float, float], tuple[float, float]]
    reward_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __post_init__(self):
        shape = f"bernoulli: prior is [[a, b], [a, b]], one beta distribution an arm, not {self.prior}"
        require(len(self.prior) == ARMS and all(len(arm) == 2 for arm in self.prior), shape)
        object.__setattr__(self, "prior", tuple(map(tuple, self.prior)))  # hashable: optima are cached by task
        positive = all(value > 0 for arm in self.prior for value in arm)
        require(positive, f"bernoulli: prior must be positive, not {self.prior}")

    def sample(self, rng: np.random.Generator, episodes: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw arms and rewards: means [E, 2], rewards [E, T, 2]."""
        a, b = np.transpose(self.prior)
        means = rng.beta(a, b, size=(episodes, ARMS))
        return means, (rng.random((episodes, steps, ARMS)) < means[:, None]).astype(float)

    def evidence(self, actions: np.ndarray, rewards: np.ndarray) -> np.ndarray:
        """What each pull adds to the statistics [..., 4], from actions [...] and rewards received [...]."""
        rewards = np.asarray(rewards, float)
        return self._place(actions, rewards, 1 - rewards)

    def clip(self, statistics: np.ndarray) -> np.ndarray:
        """The nearest possible statistics: no negative count."""
        return np.maximum(statistics, 0.0)

    def round(self, statistics: np.ndarray) -> np.ndarray:
        """The nearest possible statistics: whole counts."""
        return np.maximum(np.rint(statistics), 0.0)

    def pulls(self, statistics: np.ndarray) -> np.ndarray:
        """Number of pulls of each arm [..., 2]."""
        return self.per_arm(statistics).sum(-1)

    def posterior_mean(self, statistics: np.ndarray) -> np.ndarray:
        """Expected reward of each arm [..., 2]."""
        posterior = self.per_arm(statistics) + np.asarray(self.prior)
        return posterior[..., 0] / posterior.sum(-1)

    def posterior_sample(self, statistics: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One draw of each arm's mean from its posterior [..., 2]."""
        posterior = self.per_arm(statistics) + np.asarray(self.prior)
        return rng.beta(posterior[..., 0], posterior[..., 1])

    def encode_reward(self, rewards: np.ndarray) -> np.ndarray:
        """±1, as a failure that is a 0 would look like the time before the first reward."""
        return 2 * np.asarray(rewards) - 1


@dataclass(frozen=True)
class Gaussian(Bandit):
    """Rewards N(μ, noise), the noise variance known, with μ ~ N(mean, variance) for both arms."""

    mean: float
    variance: float
    noise: float
    reward_range: ClassVar[tuple[float, float]] = (-np.inf, np.inf)

    def __post_init__(self):
        require(self.variance > 0, f"gaussian: variance must be positive, not {self.variance}")
        require(self.noise > 0, f"gaussian: noise (a variance) must be positive, not {self.noise}")

    def sample(self, rng: np.random.Generator, episodes: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw arms and rewards: means [E, 2], rewards [E, T, 2]."""
        means = rng.normal(self.mean, np.sqrt(self.variance), size=(episodes, ARMS))
        return means, means[:, None] + np.sqrt(self.noise) * rng.standard_normal((episodes, steps, ARMS))

    def posterior_variance(self, pulls: np.ndarray) -> np.ndarray:
        """Variance of μ after so many pulls of its arm [...]."""
        return 1 / (1 / self.variance + np.asarray(pulls) / self.noise)

    def posterior_mean(self, statistics: np.ndarray) -> np.ndarray:
        """Expected reward of each arm [..., 2]."""
        n, total = np.moveaxis(self.per_arm(statistics), -1, 0)
        return self.posterior_variance(n) * (self.mean / self.variance + total / self.noise)

    def posterior_sample(self, statistics: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One draw of each arm's mean from its posterior [..., 2]."""
        mean = self.posterior_mean(statistics)
        return mean + np.sqrt(self.posterior_variance(self.pulls(statistics))) * rng.standard_normal(mean.shape)


@dataclass(frozen=True)
class Exponential(Bandit):
    """Rewards Exponential(rate λ), of mean 1/λ, with λ ~ Gamma(shape, rate) for both arms.

    A shape of at most 1 is refused (no mean reward); above 2, mean rewards have a variance too.
    """

    shape: float
    rate: float
    reward_range: ClassVar[tuple[float, float]] = (0.0, np.inf)

    def __post_init__(self):
        require(self.shape > 1, f"exponential: shape must be above 1 for a finite mean, not {self.shape}")
        require(self.rate > 0, f"exponential: rate must be positive, not {self.rate}")

    def sample(self, rng: np.random.Generator, episodes: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw arms and rewards: means [E, 2], rewards [E, T, 2]."""
        means = self.rate / rng.standard_gamma(self.shape, size=(episodes, ARMS))
        return means, means[:, None] * rng.standard_exponential((episodes, steps, ARMS))

    def clip(self, statistics: np.ndarray) -> np.ndarray:
        """The nearest possible statistics: neither pulls nor sums below zero."""
        return np.maximum(statistics, 0.0)

    def posterior_mean(self, statistics: np.ndarray) -> np.ndarray:
        """Expected reward of each arm [..., 2]."""
        n, total = np.moveaxis(self.per_arm(statistics), -1, 0)
        return (self.rate + total) / (self.shape + n - 1)

    def posterior_sample(self, statistics: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One draw of each arm's mean from its posterior [..., 2]."""
        n, total = np.moveaxis(self.per_arm(statistics), -1, 0)
        return (self.rate + total) / rng.standard_gamma(self.shape + n)

    def encode_reward(self, rewards: np.ndarray) -> np.ndarray:
        """log(1 + reward): rewards are heavy-tailed under the prior."""
        return np.log1p(rewards)


def observe(actions: np.ndarray, encoded: np.ndarray) -> np.ndarray:
    """Observation after a pull [..., 3]: actions [...] one-hot and the reward, from the encoded ones [..., arms].

    Before the first pull an agent observes zeros.
    """
    chosen = np.asarray(actions)[..., None] == np.arange(ARMS)
    reward = np.where(chosen, encoded, 0).sum(axis=-1, keepdims=True)
    return np.concatenate([chosen, reward], axis=-1).astype(np.float32)


def _bernoulli(prior) -> Bernoulli:
    return Bernoulli(tuple(tuple(arm) for arm in prior))


# Stage function → its task, made from the same prior.
_TASKS = {"bernoulli": _bernoulli, "gaussian": Gaussian, "exponential": Exponential}


def task(description: descriptions.Task) -> Bandit:
    """The task of an environment table, from what the table says about itself."""
    name, prior = name_and_prior(description)
    return make(resolve(_TASKS, name), **prior)


def _episodes(task: Bandit, steps: int, episodes: int, streams):
    require_episodes(steps, episodes)
    means, rewards = task.sample(streams.numpy("episodes"), episodes, steps)
    return kinds.bayes.BANDITS.table(episode=np.arange(episodes), means=means, rewards=rewards)


def bernoulli(*, prior: list[Beta], steps: Count, episodes: Count, streams) -> kinds.bayes.BANDITS:
    """Episodes of two Bernoulli arms over `steps` pulls; `prior` = [[a, b], [a, b]], one beta distribution an arm."""
    return _episodes(_bernoulli(prior), steps, episodes, streams)


def gaussian(
    *,
    mean: float,
    variance: Positive,
    noise: Positive,
    steps: Count,
    episodes: Count,
    streams,
) -> kinds.bayes.BANDITS:
    """Episodes of two Gaussian arms over `steps` pulls, of known variance `noise` and means N(`mean`, `variance`)."""
    return _episodes(Gaussian(mean, variance, noise), steps, episodes, streams)


def exponential(*, shape: Positive, rate: Positive, steps: Count, episodes: Count, streams) -> kinds.bayes.BANDITS:
    """Episodes of two exponential arms over `steps` pulls; both rates are Gamma(`shape`, `rate`)."""
    return _episodes(Exponential(shape, rate), steps, episodes, streams)
