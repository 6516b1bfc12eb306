"""Prediction tasks: sources with a conjugate prior, their episodes, and the Bayes-optimal predictor of each.

At step t = 1 … T a predictor has seen n = t - 1 observations and gives a distribution for the next one
(Mikulik et al. 2020). Log-losses are in nats. E is episodes, T steps, and a leading `...` is any batch.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import betaln, gammaln, psi, xlogy

from agentomy import descriptions, kinds
from agentomy.environments.conjugate import name_and_prior, require, require_episodes, sums_before
from agentomy.names import make, resolve
from agentomy.values import Beta, Count, Positive

_LOG_2_PI_E = np.log(2 * np.pi) + 1


@dataclass(frozen=True)
class Categorical:
    """Categories 0, 1, … with probabilities θ ~ Dirichlet(concentration); a Bernoulli source has two of them.

    Sufficient statistics: the count of each category.
    """

    concentration: tuple[float, ...]
    family: ClassVar[str] = "categorical"

    def __post_init__(self):
        object.__setattr__(self, "concentration", tuple(self.concentration))
        require(len(self.concentration) > 1, "categorical: concentration needs at least two entries")
        require(min(self.concentration) > 0, f"categorical: concentration must be positive, not {self.concentration}")

    @property
    def inputs(self) -> int:
        return len(self.concentration)

    @property
    def outputs(self) -> int:
        return len(self.concentration)

    def sample(self, rng: np.random.Generator, episodes: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw one θ an episode and its observations: probabilities [E, K], categories [E, T] as floats."""
        probabilities = rng.dirichlet(self.concentration, size=episodes)
        edges = np.cumsum(probabilities, axis=1)[:, None, :-1]
        return probabilities, (rng.random((episodes, steps, 1)) > edges).sum(-1).astype(float)

    def encode(self, observations: np.ndarray) -> np.ndarray:
        """Inputs of a network: one-hot [..., K], float32."""
        return (np.asarray(observations)[..., None] == np.arange(self.inputs)).astype(np.float32)

    def statistics(self, observations: np.ndarray) -> np.ndarray:
        """Counts before each step: [..., T] to [..., T, K]."""
        return sums_before(self.encode(observations).astype(float))

    def clip(self, statistics: np.ndarray) -> np.ndarray:
        """The nearest possible counts: none below zero."""
        return np.maximum(statistics, 0.0)

    def predictive(self, statistics: np.ndarray) -> np.ndarray:
        """Bayes-optimal probabilities [..., K] from counts [..., K]."""
        posterior = np.asarray(self.concentration) + statistics
        return posterior / posterior.sum(-1, keepdims=True)

    def expected_log_loss(self, steps: int) -> np.ndarray:
        """Expected log-loss of the Bayes-optimal predictor at each step [T], nats: counts are beta-binomial."""
        total = sum(self.concentration)
        losses = np.zeros(steps)
        for n in range(steps):
            counts = np.arange(n + 1)
            choose = gammaln(n + 1) - gammaln(counts + 1) - gammaln(n - counts + 1)
            for alpha in self.concentration:
                rest = total - alpha
                weight = np.exp(choose + betaln(alpha + counts, rest + n - counts) - betaln(alpha, rest))
                p = (alpha + counts) / (total + n)
                losses[n] -= weight @ xlogy(p, p)
        return losses

    def oracle_log_loss(self) -> float:
        """Expected log-loss per step of a predictor that knows θ, nats."""
        alpha = np.asarray(self.concentration, float)
        return float(psi(alpha.sum() + 1) - alpha @ psi(alpha + 1) / alpha.sum())


@dataclass(frozen=True)
class Exponential:
    """x ~ Exponential(rate λ) with λ ~ Gamma(shape, rate). Sufficient statistics: (n, Σx).

    A shape of at most 1 is refused: the first prediction would have no mean.
    """

    shape: float
    rate: float
    family: ClassVar[str] = "lomax"
    inputs: ClassVar[int] = 1
    outputs: ClassVar[int] = 2

    def __post_init__(self):
        require(self.shape > 1, f"exponential: shape must be above 1 for a finite mean, not {self.shape}")
        require(self.rate > 0, f"exponential: rate must be positive, not {self.rate}")

    def sample(self, rng: np.random.Generator, episodes: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw one λ an episode and its observations: rates [E, 1], observations [E, T]."""
        rates = rng.gamma(self.shape, 1 / self.rate, size=(episodes, 1))
        return rates, rng.standard_exponential((episodes, steps)) / rates

    def encode(self, observations: np.ndarray) -> np.ndarray:
        """log(1 + x) [..., 1], float32: observations are heavy-tailed under the prior."""
        return np.log1p(observations)[..., None].astype(np.float32)

    def statistics(self, observations: np.ndarray) -> np.ndarray:
        """(n, Σx) before each step: [..., T] to [..., T, 2]."""
        return sums_before(np.stack([np.ones_like(observations), observations], axis=-1))

    def clip(self, statistics: np.ndarray) -> np.ndarray:
        """The nearest possible statistics: neither below zero."""
        return np.maximum(statistics, 0.0)

    def predictive(self, statistics: np.ndarray) -> np.ndarray:
        """Bayes-optimal Lomax (shape, rate) [..., 2], of density a bᵃ / (b + x)ᵃ⁺¹."""
        return np.asarray(statistics) + [self.shape, self.rate]

    def expected_log_loss(self, steps: int) -> np.ndarray:
        """Expected log-loss of the Bayes-optimal predictor at each step [T], nats: mean entropy of its Lomax."""
        shape = self.shape + np.arange(steps)
        log_rate = np.log(self.rate) + psi(shape) - psi(self.shape)
        return log_rate - np.log(shape) + 1 + 1 / shape

    def oracle_log_loss(self) -> float:
        """Expected log-loss per step of a predictor that knows λ, nats."""
        return float(1 - psi(self.shape) + np.log(self.rate))


@dataclass(frozen=True)
class Gaussian:
    """x ~ N(μ, noise), the noise variance known, with μ ~ N(mean, variance). Sufficient statistics: (n, Σx)."""

    mean: float
    variance: float
    noise: float
    family: ClassVar[str] = "normal"
    inputs: ClassVar[int] = 1
    outputs: ClassVar[int] = 2

    def __post_init__(self):
        require(self.variance > 0, f"gaussian: variance must be positive, not {self.variance}")
        require(self.noise > 0, f"gaussian: noise (a variance) must be positive, not {self.noise}")

    def sample(self, rng: np.random.Generator, episodes: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw one μ an episode and its observations: means [E, 1], observations [E, T]."""
        means = rng.normal(self.mean, np.sqrt(self.variance), size=(episodes, 1))
        return means, means + np.sqrt(self.noise) * rng.standard_normal((episodes, steps))

    def encode(self, observations: np.ndarray) -> np.ndarray:
        """Observations [..., 1] standardised by the prior predictive, float32."""
        return ((observations - self.mean) / np.sqrt(self.variance + self.noise))[..., None].astype(np.float32)

    def statistics(self, observations: np.ndarray) -> np.ndarray:
        """(n, Σx) before each step: [..., T] to [..., T, 2]."""
        return sums_before(np.stack([np.ones_like(observations), observations], axis=-1))

    def clip(self, statistics: np.ndarray) -> np.ndarray:
        """The nearest possible statistics: n not below zero."""
        n, total = np.moveaxis(np.asarray(statistics), -1, 0)
        return np.stack([np.maximum(n, 0.0), total], axis=-1)

    def predictive(self, statistics: np.ndarray) -> np.ndarray:
        """Bayes-optimal normal (mean, standard deviation) [..., 2]."""
        n, total = np.moveaxis(np.asarray(statistics), -1, 0)
        variance = 1 / (1 / self.variance + n / self.noise)
        mean = variance * (self.mean / self.variance + total / self.noise)
        return np.stack([mean, np.sqrt(variance + self.noise)], axis=-1)

    def expected_log_loss(self, steps: int) -> np.ndarray:
        """Expected log-loss of the Bayes-optimal predictor at each step [T], nats."""
        variance = 1 / (1 / self.variance + np.arange(steps) / self.noise)
        return 0.5 * (_LOG_2_PI_E + np.log(variance + self.noise))

    def oracle_log_loss(self) -> float:
        """Log-loss per step of a predictor that knows μ, nats."""
        return float(0.5 * (_LOG_2_PI_E + np.log(self.noise)))


@dataclass(frozen=True)
class NormalGamma:
    """x ~ N(μ, 1/τ) with τ ~ Gamma(shape, rate) and μ ~ N(mean, 1/(kappa τ)). Statistics: (n, Σx, Σx²)."""

    mean: float
    kappa: float
    shape: float
    rate: float
    family: ClassVar[str] = "student_t"
    inputs: ClassVar[int] = 1
    outputs: ClassVar[int] = 3

    def __post_init__(self):
        for name in ("kappa", "shape", "rate"):
            require(getattr(self, name) > 0, f"normal_gamma: {name} must be positive, not {getattr(self, name)}")

    def sample(self, rng: np.random.Generator, episodes: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw one (μ, τ) an episode and its observations: parameters [E, 2], observations [E, T]."""
        precisions = rng.gamma(self.shape, 1 / self.rate, size=(episodes, 1))
        means = self.mean + rng.standard_normal((episodes, 1)) / np.sqrt(self.kappa * precisions)
        observations = means + rng.standard_normal((episodes, steps)) / np.sqrt(precisions)
        return np.concatenate([means, precisions], axis=1), observations

    def encode(self, observations: np.ndarray) -> np.ndarray:
        """Observations [..., 1] standardised by the prior predictive's location and scale, float32."""
        scale = np.sqrt(self.rate * (self.kappa + 1) / (self.shape * self.kappa))
        return ((observations - self.mean) / scale)[..., None].astype(np.float32)

    def statistics(self, observations: np.ndarray) -> np.ndarray:
        """(n, Σx, Σx²) before each step: [..., T] to [..., T, 3]."""
        return sums_before(np.stack([np.ones_like(observations), observations, observations**2], axis=-1))

    def clip(self, statistics: np.ndarray) -> np.ndarray:
        """The nearest possible statistics: n not below zero, and Σx² such that evidence never lowers the rate.

        The bound on Σx² is weaker than Cauchy's S²/n, which has no limit as a regressed n falls to zero.
        """
        n, total, squares = np.moveaxis(np.asarray(statistics), -1, 0)
        n = np.maximum(n, 0.0)
        least = (self.kappa * self.mean + total) ** 2 / (self.kappa + n) - self.kappa * self.mean**2
        return np.stack([n, total, np.maximum(squares, least)], axis=-1)

    def predictive(self, statistics: np.ndarray) -> np.ndarray:
        """Bayes-optimal Student t (degrees of freedom, location, scale) [..., 3]."""
        n, total, squares = np.moveaxis(np.asarray(statistics), -1, 0)
        kappa, shape = self.kappa + n, self.shape + n / 2
        mean = (self.kappa * self.mean + total) / kappa
        rate = self.rate + 0.5 * (squares + self.kappa * self.mean**2 - kappa * mean**2)
        return np.stack([2 * shape, mean, np.sqrt(rate * (kappa + 1) / (shape * kappa))], axis=-1)

    def expected_log_loss(self, steps: int) -> np.ndarray:
        """Expected log-loss of the Bayes-optimal predictor at each step [T], nats: mean entropy of its t."""
        n = np.arange(steps)
        kappa, shape = self.kappa + n, self.shape + n / 2
        standard = (shape + 0.5) * (psi(shape + 0.5) - psi(shape)) + 0.5 * np.log(2 * shape) + betaln(shape, 0.5)
        log_rate = np.log(self.rate) + psi(shape) - psi(self.shape)
        return standard + 0.5 * (log_rate + np.log((kappa + 1) / (shape * kappa)))

    def oracle_log_loss(self) -> float:
        """Expected log-loss per step of a predictor that knows μ and τ, nats."""
        return float(0.5 * (_LOG_2_PI_E - psi(self.shape) + np.log(self.rate)))


Task = Categorical | Exponential | Gaussian | NormalGamma

# Stage function → its task, made from the same prior; that of `bernoulli` is (a, b) of P(1) ~ Beta(a, b).
_TASKS = {
    "categorical": lambda concentration: Categorical(tuple(concentration)),
    "bernoulli": lambda prior: Categorical(tuple(prior)[::-1]),
    "exponential": Exponential,
    "gaussian": Gaussian,
    "normal_gamma": NormalGamma,
}


def previous(encoded: np.ndarray) -> np.ndarray:
    """Inputs of a network at each step [..., T, inputs]: the encoded observation of the step before, zeros at first."""
    inputs = np.zeros_like(encoded)
    inputs[..., 1:, :] = encoded[..., :-1, :]
    return inputs


def marginals(task: Categorical, statistics: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Posterior density [..., K, G] of each category's probability at places [G] in (0, 1), from counts [..., K].

    The marginals of a Dirichlet distribution are beta distributions.
    """
    alpha = np.asarray(task.concentration) + statistics
    rest = (alpha.sum(-1, keepdims=True) - alpha)[..., None]
    alpha = alpha[..., None]
    return np.exp((alpha - 1) * np.log(at) + (rest - 1) * np.log1p(-at) - betaln(alpha, rest))


def task(description: descriptions.Task) -> Task:
    """The task of an environment table, from what the table says about itself."""
    name, prior = name_and_prior(description)
    return make(resolve(_TASKS, name), **prior)


def _episodes(task: Task, steps: int, episodes: int, streams):
    require_episodes(steps, episodes)
    parameters, observations = task.sample(streams.numpy("episodes"), episodes, steps)
    return kinds.bayes.SEQUENCES.table(episode=np.arange(episodes), parameters=parameters, observations=observations)


def categorical(*, concentration: list[Positive], steps: Count, episodes: Count, streams) -> kinds.bayes.SEQUENCES:
    """Episodes of `steps` observations of a categorical source whose probabilities are Dirichlet(`concentration`)."""
    return _episodes(Categorical(tuple(concentration)), steps, episodes, streams)


def bernoulli(*, prior: Beta, steps: Count, episodes: Count, streams) -> kinds.bayes.SEQUENCES:
    """Episodes of `steps` observations of a Bernoulli source with P(1) ~ Beta(a, b); `prior` = [a, b]."""
    require(len(prior) == 2, f"bernoulli: prior is [a, b] of a beta distribution, not {prior}")
    return _episodes(Categorical(tuple(prior)[::-1]), steps, episodes, streams)


def exponential(*, shape: Positive, rate: Positive, steps: Count, episodes: Count, streams) -> kinds.bayes.SEQUENCES:
    """Episodes of `steps` observations of an exponential source whose rate is Gamma(`shape`, `rate`)."""
    return _episodes(Exponential(shape, rate), steps, episodes, streams)


def gaussian(
    *,
    mean: float,
    variance: Positive,
    noise: Positive,
    steps: Count,
    episodes: Count,
    streams,
) -> kinds.bayes.SEQUENCES:
    """Episodes of `steps` observations of a Gaussian source: variance `noise`, unknown mean N(`mean`, `variance`)."""
    return _episodes(Gaussian(mean, variance, noise), steps, episodes, streams)


def normal_gamma(
    *, mean: float, kappa: Positive, shape: Positive, rate: Positive, steps: Count, episodes: Count, streams
) -> kinds.bayes.SEQUENCES:
    """Episodes of `steps` observations of a Gaussian source whose mean and precision are unknown.

    They are Normal-Gamma(`mean`, `kappa`, `shape`, `rate`).
    """
    return _episodes(NormalGamma(mean, kappa, shape, rate), steps, episodes, streams)
