"""Gittins indices of Bernoulli, Gaussian and exponential arms, to 1e-4 or better.

The index of an arm is the sure reward λ per pull for which an agent with discount γ is indifferent between
pulling it at least once more and taking λ for ever. Let A = (posterior mean - λ) / (1 - γ) be the worth of never
retiring, and R the worth of being allowed to retire. Playing on is worth A + γ E R(next), and

    R = max(-A, γ E R(next)),   so that the index is the λ at which A + γ E R(next) = 0.

The recursion starts so deep that the agent can choose there once and for all. Posteriors of Gaussian arms are
translates of one another and those of exponential arms are multiples, so that one λ is enough for them.
"""

from functools import lru_cache

import numpy as np

from agentomy.environments import bandits
from agentomy.environments.expectations import after_exponential, after_normal

_FORGOTTEN = 1e-3  # discount left at the depth where the recursion starts
_LAMBDAS = 2001  # grid of sure rewards for Bernoulli arms
_NODES = 1 << 15  # grid of posteriors for the others


class Indices:
    """Indices of both arms in every state that `steps` pulls can reach."""

    def __init__(self, task: bandits.Bandit, steps: int, discount: float):
        if not 0 < discount < 1:
            raise ValueError(f"Gittins indices need a discount between 0 and 1, not {discount}")
        self.task, self.steps = task, steps
        depth = steps + int(np.ceil(np.log(_FORGOTTEN) / np.log(discount)))
        match task:
            case bandits.Bernoulli():
                self.table = np.stack([_bernoulli(a, b, steps, depth, discount) for a, b in task.prior])
            case bandits.Gaussian():
                strength = task.noise / task.variance
                self.table = np.sqrt(task.noise) * _gaussian(strength, steps, depth, discount)
            case bandits.Exponential():
                self.table = _exponential(task.shape, steps, depth, discount)

    def index(self, statistics: np.ndarray) -> np.ndarray:
        """Index of each arm [..., 2] (reward) from statistics [..., 4], which are rounded to a possible state."""
        statistics = self.task.round(statistics)
        if isinstance(self.task, bandits.Bernoulli):
            s, f = np.moveaxis(np.minimum(self.task.per_arm(statistics), self.steps).astype(int), -1, 0)
            return self.table[np.arange(bandits.ARMS), s, f]
        n, total = np.moveaxis(self.task.per_arm(statistics), -1, 0)
        learned = self.table[np.minimum(n, self.steps).astype(int)]
        if isinstance(self.task, bandits.Gaussian):
            return self.task.posterior_mean(statistics) + learned
        return (self.task.rate + total) * learned


@lru_cache(maxsize=64)
def indices(task: bandits.Bandit, steps: int, discount: float) -> Indices:
    """Solve the indices of a task (once per process)."""
    return Indices(task, steps, discount)


@lru_cache(maxsize=64)
def _bernoulli(a: float, b: float, steps: int, depth: int, discount: float) -> np.ndarray:
    """Indices [steps + 1, steps + 1] after s successes and f failures, prior Beta(a, b)."""
    sure = np.linspace(0, 1, _LAMBDAS)
    table = np.empty((steps + 1, steps + 1))
    retire = None
    for n in range(depth, -1, -1):
        s = np.arange(n + 1)
        mean = ((a + s) / (a + b + n))[:, None]
        never = (mean - sure) / (1 - discount)
        later = 0.0 if retire is None else discount * (mean * retire[1:] + (1 - mean) * retire[:-1])
        retire = np.maximum(-never, later)
        kept = s[(s <= steps) & (n - s <= steps)]
        if len(kept):
            table[kept, n - kept] = _falling_root(sure, (never + later)[kept])
    return table


def _falling_root(grid: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Where each row of values [rows, nodes], falling along the grid, crosses zero, by linear interpolation."""
    last = np.clip((values > 0).sum(-1) - 1, 0, len(grid) - 2)
    row = np.arange(len(values))
    above, below = values[row, last], values[row, last + 1]
    return grid[last] + (grid[1] - grid[0]) * above / (above - below)


@lru_cache(maxsize=64)
def _gaussian(strength: float, steps: int, depth: int, discount: float) -> np.ndarray:
    """Index minus posterior mean [steps + 1] after n pulls, for noise 1 and a prior worth `strength` pulls; λ = 0."""
    mean, spacing = np.linspace(-_REACH / np.sqrt(strength), _REACH / np.sqrt(strength), _NODES, retstep=True)
    never = mean / (1 - discount)
    learned = np.empty(steps + 1)
    retire = np.maximum(-never, 0)
    for n in range(depth - 1, -1, -1):
        precision = strength + n
        later = discount * after_normal(retire, spacing, 1 / np.sqrt(precision * (precision + 1)))
        retire = np.maximum(-never, later)
        if n <= steps:
            learned[n] = _falling_root(-mean[::-1], (never + later)[None, ::-1])[0]
    return learned


_REACH = 7.0  # prior standard deviations either side


@lru_cache(maxsize=64)
def _exponential(shape: float, steps: int, depth: int, discount: float) -> np.ndarray:
    """Index at rate 1 [steps + 1] after n pulls, from the prior's shape; λ = 1, and the grid is y = log rate.

    A pull adds to y an Exponential(shape) variable: the predictive is Lomax.
    """
    # The grid begins where the index is 20 times the mean, and ends where no run of bad rewards gets the mean below λ.
    y, spacing = np.linspace(np.log(shape - 1) - 3, np.log(shape + depth) + 1, _NODES, retstep=True)
    learned = np.empty(steps + 1)
    retire = np.maximum(1 - np.exp(y) / (shape + depth - 1), 0) / (1 - discount)
    for n in range(depth - 1, -1, -1):
        never = (np.exp(y) / (shape + n - 1) - 1) / (1 - discount)
        later = discount * after_exponential(retire, spacing, shape + n)
        retire = np.maximum(-never, later)
        if n <= steps:
            learned[n] = np.exp(_falling_root(-y[::-1], (never + later)[None, ::-1])[0])
    return learned
