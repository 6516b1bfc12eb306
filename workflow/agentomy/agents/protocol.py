"""What every agent offers to the driver that trains it."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np


class Stopped(Exception):
    """Training was asked to stop; its restart file is in place."""


class Agent(Protocol):
    """A stack of seeds trained together in one process.

    Made as `Agent(environment, streams, device, **parameters)`: the environment `Table`, one `Streams` per
    seed of the stack, a torch device, and the parameters that the study file gives.
    """

    updates: int  # units of learning in the whole run
    network: dict[str, Any]  # {"use": "module.Class", **arguments}: how to rebuild the network

    def advance(self) -> Mapping[str, np.ndarray]:
        """Do one unit of learning for every seed; return a log record, one value per seed and quantity."""
        ...

    def parameters(self) -> Mapping[str, np.ndarray]:
        """What a snapshot keeps: each tensor as [seeds, *shape], float32."""
        ...

    def load(self, parameters: Mapping[str, np.ndarray]) -> None:
        """Go on from other parameters, such as `parameters()` gives; nothing else changes."""
        ...

    def state(self) -> dict[str, Any]:
        """Everything needed to go on bit for bit: nested dicts and lists of tensors, arrays and plain values."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state()`."""
        ...
