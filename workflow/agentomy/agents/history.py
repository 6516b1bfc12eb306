"""All steps that the agents of a stack have taken, in order, and how often they learnt from each step.

Sequences are drawn where they have been drawn least (TWM, arXiv 2303.07109). Otherwise early steps would be drawn again
and again before the late ones are there at all.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from agentomy.agents.state import Saved
from agentomy.networks.layers import Noise


class Window(NamedTuple):
    """S × B sequences of T steps, which may cross the ends of episodes; those of the first seed come first."""

    observations: Tensor  # [S × B, T + 1, *shape]: the last is what follows the last step
    actions: Tensor  # [S × B, T]
    rewards: Tensor
    terminated: Tensor  # whether the step terminated the task
    ended: Tensor  # whether the episode was terminated or truncated


class History(Saved):
    """Up to `capacity` steps of each of S seeds. Step n is taken at observation n; so there is one more observation.

    If `stacked`, an observation is the last few frames of its episode [frames, *shape]: where there
    are fewer, the first frame is repeated. Only the newest frame of each is kept; stacks are put together on demand.
    """

    saved = ("length", "visits")

    def __init__(self, capacity: int, first: np.ndarray, device: str, stacked: bool = False):
        """Begin with first observations [S, *shape]."""
        newest = torch.as_tensor(first)
        self.depth = newest.shape[1] if stacked else None
        newest = newest[:, -1] if stacked else newest
        seeds = len(newest)
        self.kept = torch.empty((seeds, capacity + 1, *newest.shape[1:]), dtype=newest.dtype, device=device)
        # where the episode of each observation begins
        self.begins = torch.zeros(seeds, capacity + 1, dtype=torch.int64, device=device)
        self.steps = {
            "actions": torch.empty(seeds, capacity, dtype=torch.int64, device=device),
            "rewards": torch.empty(seeds, capacity, dtype=torch.get_default_dtype(), device=device),
            "terminated": torch.empty(seeds, capacity, dtype=torch.bool, device=device),
            "ended": torch.empty(seeds, capacity, dtype=torch.bool, device=device),
        }
        # how often a sequence began at each step
        self.visits = torch.zeros(seeds, capacity, dtype=torch.int64, device=device)
        self.kept[:, 0] = newest
        self.length = 0

    def __len__(self) -> int:
        return self.length

    @property
    def latest(self) -> Tensor:
        """The current observations [S, *shape]."""
        return self.observed(torch.full((len(self.kept), 1), self.length, device=self.kept.device)).flatten(0, 1)

    def observed(self, numbers: Tensor) -> Tensor:
        """Observations [S, ..., *shape] by their numbers [S, ...]."""
        if self.depth is None:
            return of_each(self.kept, numbers)
        numbers = numbers.unsqueeze(-1)
        ages = torch.arange(self.depth - 1, -1, -1, device=numbers.device)
        return of_each(self.kept, torch.maximum(numbers - ages, of_each(self.begins, numbers)))

    def add(
        self, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray, ended: np.ndarray, following: np.ndarray
    ) -> None:
        """Store a step of each seed [S], and the observations after it [S, *shape]: if its episode has ended, the first
        of the next."""
        for values, step in zip(self.steps.values(), (actions, rewards, terminated, ended), strict=True):
            values[:, self.length] = torch.as_tensor(step)
        self.length += 1
        newest = torch.as_tensor(following)
        self.kept[:, self.length] = newest if self.depth is None else newest[:, -1]
        begins = self.begins[:, self.length - 1].masked_fill(self.steps["ended"][:, self.length - 1], self.length)
        self.begins[:, self.length] = begins

    def starts(self, steps: int) -> int:
        """How many starts a sequence of `steps` can have; they are the first ones of the history."""
        return self.length - steps + 1

    def draw(self, count: int, steps: int, temperature: float | None, noise: Noise) -> Tensor:
        """Draw the starts [S, count] of sequences, all of a seed's different, and count them in `visits`.

        Start i is drawn with probability softmax(-vᵢ / temperature); without a temperature all are equally
        likely. The largest of the logarithms with Gumbel noise added are such a draw without replacement.
        """
        visits = self.visits[:, : self.starts(steps)]
        times = torch.empty(visits.shape, device=visits.device)  # - ln of them is Gumbel
        for row, generator in zip(times, noise, strict=True):
            row.exponential_(generator=generator)
        preferred = -times.log() if temperature is None else -times.log() - visits / temperature
        starts = preferred.topk(count).indices
        self.visits.scatter_add_(1, starts, torch.ones_like(starts))
        return starts

    def windows(self, starts: Tensor, steps: int) -> Window:
        """The sequences of `steps` steps from these starts [S, B]."""
        rows = starts.unsqueeze(2) + torch.arange(steps + 1, device=starts.device)
        told = (of_each(values, rows[:, :, :-1]) for values in self.steps.values())
        return Window(*(values.flatten(0, 1) for values in (self.observed(rows), *told)))

    def evenness(self, steps: int) -> Tensor:
        """Entropy of each seed's visits over possible starts, as a share of the largest; 1 before the first visit."""
        visits = self.visits[:, : self.starts(steps)].float()
        shares = visits / visits.sum(dim=1, keepdim=True).clamp(min=1)
        entropy = -torch.special.xlogy(shares, shares).sum(dim=1) / np.log(visits.shape[1])
        return torch.where(visits.any(dim=1), entropy, 1.0)

    def filled(self) -> dict[str, Tensor]:
        seen = {"observations": self.kept[:, : self.length + 1], "begins": self.begins[:, : self.length + 1]}
        return seen | {name: values[:, : self.length] for name, values in self.steps.items()}


def of_each(values: Tensor, numbers: Tensor) -> Tensor:
    """Each seed's values [S, N, ...] at its numbers [S, ...]."""
    seeds = torch.arange(len(values), device=values.device).view(-1, *[1] * (numbers.dim() - 1))
    return values[seeds, numbers]
