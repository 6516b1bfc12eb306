"""How often verdicts are wrong, or right, when the truth is known: claims by the thousand, judged look by look.

A claim of some tests is drawn again and again, and judged by `stopping.stopped` as a real one is.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from agentomy.judge.intervals import Sample, counted, linear, logarithmic
from agentomy.judge.looks import Look
from agentomy.judge.stopping import stopped
from agentomy.judge.thresholds import FAIL, HOLD, Threshold

CLAIMS = 10_000
ALLOWED = 0.05
ERROR = float(np.sqrt(ALLOWED * (1 - ALLOWED) / CLAIMS))  # standard error of a share of so many claims


@dataclass(frozen=True)
class Data:
    """A distribution of seeds: `sample` turns standard normal numbers [..., n] into a sample of true mean `mean`."""

    name: str
    sample: Callable[[np.ndarray, np.random.Generator], Sample]
    mean: float


def _shares(cases: int, center: float, spread: float) -> Callable[[np.ndarray, np.random.Generator], Sample]:
    def sample(normal: np.ndarray, random: np.random.Generator) -> Sample:
        chances = expit(center + spread * normal)
        return counted(random.binomial(cases, chances) / cases, np.full(normal.shape, cases))

    return sample


def _mean_share(center: float, spread: float) -> float:
    """The mean over seeds of a share whose logit is normal."""
    points, weights = np.polynomial.hermite_e.hermegauss(60)
    return float(expit(center + spread * points) @ weights / weights.sum())


def share(cases: int, center: float, spread: float, of: str) -> Data:
    """Shares whose logits vary between seeds; the truth is the mean share, or the share of the median seed."""
    truth = _mean_share(center, spread) if of == "mean" else float(expit(center))
    words = f"shares of {cases}, {expit(center):.0%} in the median seed, logits ± {spread:g}; judged on the {of}"
    return Data(words.replace("%", " %"), _shares(cases, center, spread), truth)


NORMAL = Data("normal", lambda normal, random: linear(normal), 0.0)
SKEWED = (
    Data("log-normal (σ = 0.5)", lambda normal, random: linear(np.exp(0.5 * normal)), float(np.exp(0.125))),
    Data("log-normal (σ = 1)", lambda normal, random: linear(np.exp(normal)), float(np.exp(0.5))),
    Data("log-normal (σ = 1), interval: log", lambda normal, random: logarithmic(np.exp(normal)), 1.0),
)
SHARES = (
    share(20, 0.0, 0.0, "mean"),
    share(300, 0.0, 0.5, "mean"),
    share(20, 3.0, 0.0, "mean"),
    share(300, 3.0, 0.0, "mean"),
    share(300, 3.0, 0.5, "mean"),
    share(300, 3.0, 0.5, "median"),
    share(300, 3.0, 1.0, "mean"),
)


def drawn(tests: int, seeds: int, correlation: float, random: np.random.Generator) -> np.ndarray:
    """Standard normal numbers [CLAIMS, tests, seeds]; the tests of a claim are correlated seed by seed."""
    common = random.normal(size=(CLAIMS, 1, seeds))
    independent = random.normal(size=(CLAIMS, tests, seeds))
    return np.sqrt(correlation) * common + np.sqrt(1 - correlation) * independent


def wrong_holds(data: Data, looks: tuple[Look, ...], upward: bool = True, effect: float = 0.0) -> float:
    """Share of claims that hold though one of their tests is on its threshold; the others, far inside, always hold.

    With an `effect`, in standard deviations of normal seeds, these claims are true and it is the power.
    """
    random = np.random.default_rng(0)
    sample = data.sample(effect + drawn(1, looks[-1].seeds, 0.0, random)[:, 0], random)
    verdict = stopped(sample, looks, Threshold(">" if upward else "<", data.mean), 1).verdict
    return float((verdict == HOLD).mean())


def wrong_fails(data: Data, looks: tuple[Look, ...], tests: int, correlation: float, upward: bool = True) -> float:
    """Share of claims that fail although all their tests are true, each exactly on its threshold."""
    random = np.random.default_rng(1)
    sample = data.sample(drawn(tests, looks[-1].seeds, correlation, random), random)
    verdict = stopped(sample, looks, Threshold(">=" if upward else "<=", data.mean), tests).verdict
    return float((verdict == FAIL).any(-1).mean())
