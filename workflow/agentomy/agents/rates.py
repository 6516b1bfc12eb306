"""Learning rates that fall as training goes on."""

import math
from typing import Literal

from torch.optim import Optimizer


def set_rate(optimiser: Optimizer, rate: float) -> None:
    """Set the learning rate of the next steps."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def annealed(first: float, final: float, done: float, along: Literal["line", "cosine"]) -> float:
    """The learning rate after a share `done` of training: from `first` down to a share `final` of it."""
    remaining = 1 - done if along == "line" else 0.5 * (1 + math.cos(math.pi * done))
    return first * (final + (1 - final) * remaining)
