"""The exact optimum of a two-armed bandit of finitely many pulls, by dynamic programming over posteriors.

Bernoulli arms: over counts (s0, f0, s1, f1). Gaussian and exponential arms: for each number of pulls (n0, n1),
over one coordinate x on a grid, since adding a constant to both means (Gaussian) or multiplying both rates
(exponential) changes the value in the same way. There, values are measured from that of always pulling arm 0,

    Q*(0) = H μ0 + C0(x),    Q*(1) = H μ0 + (μ1 - μ0) + C1(x),    H = 1 + γ + … over the pulls that remain,

where μ are the posterior means. C0 and C1 are stored: what it is worth to have a choice afterwards.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from agentomy.environments import bandits
from agentomy.environments.expectations import after_exponential, after_normal
from agentomy.names import resolve

_NODES = 1 << 13


class Optimum:
    """Q* and V* of `steps` pulls with the given discount (1: none); statistics count the pulls made so far.

    One pull remains in statistics that count `steps` pulls or more, which only regressions produce.
    """

    def __init__(self, task: bandits.Bandit, steps: int, discount: float):
        self.task, self.steps, self.discount = task, steps, discount

    @property
    def value(self) -> float:
        """V* of a whole episode, reward."""
        return float(self.q(np.zeros(2 * bandits.ARMS)).max())

    def q(self, statistics: np.ndarray) -> np.ndarray:
        """Q* of pulling each arm [..., 2] (reward) from statistics [..., 4], which are rounded to a possible state."""
        statistics = self.task.round(statistics)
        q = self.task.posterior_mean(statistics)
        early = self.task.pulls(statistics).sum(-1) < self.steps
        q[early] = self._look_up(statistics[early])
        return q


def _pairs(steps: int) -> Iterator[tuple[int, int]]:
    """Pulls (n0, n1) of every state with a pull to come, the latest states first."""
    for n in range(steps - 1, -1, -1):
        for n0 in range(n + 1):
            yield n0, n - n0


class _BernoulliOptimum(Optimum):
    def __init__(self, task: bandits.Bernoulli, steps: int, discount: float):
        super().__init__(task, steps, discount)
        self.start = np.zeros((steps, steps), int)
        tables, rows = [], 0
        for n0, n1, q in _bernoulli_backward(task, steps, discount):
            self.start[n0, n1] = rows
            tables.append(q.reshape(-1, bandits.ARMS))
            rows += len(tables[-1])
        self.table = np.concatenate(tables)

    def _look_up(self, statistics: np.ndarray) -> np.ndarray:
        s0, f0, s1, f1 = np.moveaxis(statistics.astype(int), -1, 0)
        return self.table[self.start[s0 + f0, s1 + f1] + s0 * (s1 + f1 + 1) + s1]


def _bernoulli_backward(task: bandits.Bernoulli, steps: int, discount: float) -> Iterator[tuple[int, int, np.ndarray]]:
    """Yield n0, n1 and Q* [s0, s1, arm] of the states after so many pulls."""
    values = {(n0, steps - n0): np.zeros((n0 + 1, steps - n0 + 1)) for n0 in range(steps + 1)}
    for n0, n1 in _pairs(steps):
        s0, s1 = np.meshgrid(np.arange(n0 + 1.0), np.arange(n1 + 1.0), indexing="ij")
        statistics = np.stack([s0, n0 - s0, s1, n1 - s1], axis=-1)
        mean = task.posterior_mean(statistics)
        p0, p1 = mean[..., 0], mean[..., 1]
        after0, after1 = values[n0 + 1, n1], values[n0, n1 + 1]
        later0 = p0 * after0[1:] + (1 - p0) * after0[:-1]
        later1 = p1 * after1[:, 1:] + (1 - p1) * after1[:, :-1]
        q = mean + discount * np.stack([later0, later1], axis=-1)
        values[n0, n1] = q.max(axis=-1)
        yield n0, n1, q


class _GridOptimum(Optimum):
    """The optimum on a grid of one coordinate; each family has its coordinate, unit, and expectations."""

    def __init__(self, task: bandits.Gaussian | bandits.Exponential, steps: int, discount: float):
        super().__init__(task, steps, discount)
        self.grid, self.spacing = self._coordinates()
        self.row = np.zeros((steps, steps), int)
        self.gains = np.empty((steps * (steps + 1) // 2, bandits.ARMS, len(self.grid)))
        # Gain over pulling arm 0 always, in states of the pulls made.
        gain = {(n0, steps - n0): np.zeros_like(self.grid) for n0 in range(steps + 1)}
        for row, (n0, n1) in enumerate(_pairs(steps)):
            self.row[n0, n1] = row
            c0, c1 = self.gains[row]
            c0[:] = discount * self._after_arm_0(gain[n0 + 1, n1], n0)
            c1[:] = discount * self._after_arm_1(gain[n0, n1 + 1], n1)
            gain[n0, n1] = np.maximum(c0, self._difference(n0, n1) + c1)

    def _look_up(self, statistics: np.ndarray) -> np.ndarray:
        n0, n1 = np.moveaxis(self.task.pulls(statistics).astype(int), -1, 0)
        mean = self.task.posterior_mean(statistics)
        coordinate, unit = self._locate(statistics)
        position = (coordinate - self.grid[0]) / self.spacing
        node = np.clip(position.astype(int), 0, len(self.grid) - 2)
        share = (position - node)[..., None]  # outside 0 … 1 beyond the grid, where gains are linear
        row = self.row[n0, n1]
        gains = (1 - share) * self.gains[row, :, node] + share * self.gains[row, :, node + 1]
        remaining = self.steps - n0 - n1
        horizon = remaining if self.discount == 1 else (1 - self.discount**remaining) / (1 - self.discount)
        q = unit[..., None] * gains
        q[..., 0] += horizon * mean[..., 0]
        q[..., 1] += (horizon - 1) * mean[..., 0] + mean[..., 1]
        return q


class _GaussianOptimum(_GridOptimum):
    """x = μ0 - μ1. A pull after n others moves its arm's mean by a normal of variance v(n) - v(n + 1)."""

    def _coordinates(self) -> tuple[np.ndarray, float]:
        end = 8 * np.sqrt(2 * self.task.variance)
        return np.linspace(-end, end, _NODES, retstep=True)

    def _deviation(self, n: int) -> float:
        return np.sqrt(self.task.posterior_variance(n) - self.task.posterior_variance(n + 1))

    def _after_arm_0(self, gain: np.ndarray, n0: int) -> np.ndarray:
        return after_normal(gain, self.spacing, self._deviation(n0))

    def _after_arm_1(self, gain: np.ndarray, n1: int) -> np.ndarray:
        return after_normal(gain, self.spacing, self._deviation(n1))

    def _difference(self, n0: int, n1: int) -> np.ndarray:
        return -self.grid

    def _locate(self, statistics: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean = self.task.posterior_mean(statistics)
        return mean[..., 0] - mean[..., 1], np.ones(mean.shape[:-1])


class _ExponentialOptimum(_GridOptimum):
    """x = log(b0 / b1) of posteriors Gamma(a, b), in units of b1. A pull adds Exponential(a) to its arm's log b."""

    def _coordinates(self) -> tuple[np.ndarray, float]:
        return np.linspace(-12, 12, _NODES, retstep=True)

    def _after_arm_0(self, gain: np.ndarray, n0: int) -> np.ndarray:
        return after_exponential(gain, self.spacing, self.task.shape + n0)

    def _after_arm_1(self, gain: np.ndarray, n1: int) -> np.ndarray:
        # The unit grows with b1: E[eʷ f(x - w)], w ~ Exp(a), is a / (a - 1) times E f(x - w), w ~ Exp(a - 1).
        shape = self.task.shape + n1
        return shape / (shape - 1) * after_exponential(gain[::-1], self.spacing, shape - 1)[::-1]

    def _difference(self, n0: int, n1: int) -> np.ndarray:
        return 1 / (self.task.shape + n1 - 1) - np.exp(self.grid) / (self.task.shape + n0 - 1)

    def _locate(self, statistics: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rates = self.task.rate + self.task.per_arm(statistics)[..., 1]
        return np.log(rates[..., 0] / rates[..., 1]), rates[..., 1]


_OPTIMA = {
    bandits.Bernoulli: _BernoulliOptimum,
    bandits.Gaussian: _GaussianOptimum,
    bandits.Exponential: _ExponentialOptimum,
}


@lru_cache(maxsize=4)
def solve(task: bandits.Bandit, steps: int, discount: float = 1.0) -> Optimum:
    """Solve a bandit of `steps` pulls exactly (once per process)."""
    if steps < 1 or not 0 <= discount <= 1:
        raise ValueError(f"solve: found {steps} steps, discount {discount}; allowed: 1 or more, and from 0 to 1")
    return resolve(_OPTIMA, type(task))(task, steps, discount)
