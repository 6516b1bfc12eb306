"""The replay buffer of a stack of seeds: one ring of transitions for each seed, all filled at the same pace."""

from collections.abc import Mapping
from math import prod

import numpy as np
import torch
from torch import Tensor

from agentomy.agents.state import Saved


class Replay(Saved):
    """The last `capacity` transitions of each of S seeds; a field is kept as [S, capacity, *shape].

    Memory that is never written to is never touched, so a ring that stays half empty costs half its memory.
    """

    saved = ("added",)

    def __init__(
        self, seeds: int, capacity: int, fields: Mapping[str, tuple[tuple[int, ...], torch.dtype]], device: str
    ):
        self.seeds, self.capacity, self.device = seeds, capacity, device
        self.fields = {
            name: torch.empty((seeds, capacity, *shape), dtype=dtype, device=device)
            for name, (shape, dtype) in fields.items()
        }
        # One gather fetches the rows of all seeds: each field is also viewed as [S × capacity, numbers in a row].
        self._rows = {
            name: values.view(seeds * capacity, prod(values.shape[2:])) for name, values in self.fields.items()
        }
        self._first = np.arange(seeds)[:, None] * capacity  # where each seed begins there
        self.added = 0

    def __len__(self) -> int:
        """How many transitions are stored for each seed."""
        return min(self.added, self.capacity)

    def add(self, **values: np.ndarray | Tensor) -> None:
        """Store one transition of every seed, each field [S, *shape], over the oldest."""
        for name, kept in self.fields.items():
            kept[:, self.added % self.capacity] = torch.as_tensor(values[name])
        self.added += 1

    def sample(self, rngs: list[np.random.Generator], batch: int) -> dict[str, Tensor]:
        """Transitions drawn with replacement, each seed's by its own generator: each field [S, batch, *shape]."""
        drawn = np.stack([rng.integers(len(self), size=batch) for rng in rngs])
        rows = torch.from_numpy((self._first + drawn).ravel()).to(self.device)
        return {
            name: self._rows[name].index_select(0, rows).view(self.seeds, batch, *values.shape[2:])
            for name, values in self.fields.items()
        }

    def filled(self) -> dict[str, Tensor]:
        return {name: values[:, : len(self)] for name, values in self.fields.items()}
