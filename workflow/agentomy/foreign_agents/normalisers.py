"""Statistics by which observations were scaled in training: SB3's `vecnormalize.pkl`, or the same numbers as `.npz`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agentomy.foreign_agents import pickles
from agentomy.foreign_agents.arrays import read_npz
from agentomy.foreign_agents.files import Place, contents, refused

# what VecNormalize.save may name: itself, its running statistics, spaces and their random generators
MODULES = ("stable_baselines3", "gymnasium", "gym", "numpy", "collections", "copyreg", "_codecs")
SAVED = "stable_baselines3.common.vec_env.vec_normalize.VecNormalize"
EXPORT = "`np.savez('statistics.npz', mean=env.obs_rms.mean, var=env.obs_rms.var, clip=env.clip_obs)`"
ALLOWED = f"what VecNormalize.save writes, or {EXPORT}"
LARGEST = 2**26  # bytes


@dataclass(frozen=True)
class Normaliser:
    """Running statistics of observations, frozen: (x - mean) / √(variance + epsilon), within ±clip.

    mean, variance: as one observation, float64. A normaliser without `active` gives observations back as they are (of
    an agent whose rewards alone were scaled).
    """

    mean: np.ndarray
    variance: np.ndarray
    count: float
    epsilon: float
    clip: float
    active: bool = True

    def __call__(self, observations: np.ndarray) -> np.ndarray:
        """[B, *shape] in the environment's units → float32 in the network's."""
        if not self.active:
            return observations
        scaled = (observations - self.mean) / np.sqrt(self.variance + self.epsilon)
        return np.clip(scaled, -self.clip, self.clip).astype(np.float32)


def read_normaliser(path: Path) -> Normaliser:
    """From `vecnormalize.pkl`, or from an `.npz` of `mean` and `var` (and `count`, `epsilon`, `clip`)."""
    if path.suffix == ".npz":
        arrays = read_npz(path)
        return checked(path, **{name: arrays.get(name) for name in ("mean", "var", "count", "epsilon", "clip")})
    top = pickles.tree(contents(path, LARGEST), path, MODULES, ALLOWED)
    state = _state(top, path, SAVED)
    statistics = state.get("obs_rms")
    active = state.get("norm_obs", True) is True
    if isinstance(statistics, dict):
        raise refused(path, "obs_rms", "found statistics of a Dict observation; allowed: of one array")
    if statistics is None and not active:
        return Normaliser(np.zeros(()), np.ones(()), 0.0, 1e-8, np.inf, active=False)
    inner = _state(statistics, path, "stable_baselines3.common.running_mean_std.RunningMeanStd")
    return checked(
        path,
        pickles.array(inner.get("mean")),
        pickles.array(inner.get("var")),
        pickles.number(inner.get("count")),
        pickles.number(state.get("epsilon")),
        pickles.number(state.get("clip_obs")),
        active,
    )


def checked(
    file: Place, mean: Any, var: Any, count: Any = None, epsilon: Any = None, clip: Any = None, active: bool = True
) -> Normaliser:
    """A normaliser of these numbers, or one line about what is missing or makes no sense in them."""
    for name, array in (("mean", mean), ("var", var)):
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
            raise refused(file, name, "found no array of finite numbers; allowed: as one observation")
    mean, var = mean.astype(np.float64), var.astype(np.float64)
    if mean.shape != var.shape or (var < 0).any():
        problem = f"found {list(mean.shape)} means and {list(var.shape)} variances; allowed: as many, none negative"
        raise refused(file, "var", problem)
    count, epsilon, clip = (
        default if number is None else float(number)
        for number, default in ((count, 0.0), (epsilon, 1e-8), (clip, 10.0))
    )
    if not (epsilon >= 0 and clip > 0 and count >= 0):
        raise refused(file, "", f"found epsilon {epsilon}, clip {clip}, count {count}; allowed: none negative")
    return Normaliser(mean, var, count, epsilon, clip, active)


def _state(value: Any, file: Path, name: str) -> dict:
    if not pickles.is_call(value, name) or not isinstance(value.state, dict):
        actual = str(value.of) if isinstance(value, pickles.Call) else type(value).__name__
        raise refused(file, "", f"found a pickle of {actual[:80]}; allowed: {ALLOWED}")
    return value.state
