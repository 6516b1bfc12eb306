"""What prediction tasks and bandits share: a prior whose posterior is known by sums over what was observed."""

from typing import Any

import numpy as np

from agentomy import descriptions


def require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def require_episodes(steps: int, episodes: int) -> None:
    require(steps >= 1 and episodes >= 1, f"at least one step and one episode, not {steps} and {episodes}")


def sums_before(evidence: np.ndarray) -> np.ndarray:
    """Sums over the steps before each step: [..., T, S] to [..., T, S]."""
    sums = np.zeros(evidence.shape)
    np.cumsum(evidence[..., :-1, :], axis=-2, out=sums[..., 1:, :])
    return sums


def name_and_prior(description: descriptions.Task) -> tuple[str, dict[str, Any]]:
    """The stage function that made an environment table, and what it was given of the prior."""
    prior = {key: value for key, value in description.parameters.items() if key not in ("steps", "episodes")}
    return description.use.rpartition(".")[2], prior
