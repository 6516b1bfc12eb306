"""All steps that one agent has taken, in order, and how often it learnt from each.

Sequences are drawn where they have been drawn least (TWM, arXiv 2303.07109). Otherwise early steps would be drawn again
and again before the late ones are there at all.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from agentomy.agents.state import Saved


class Window(NamedTuple):
    """B sequences of T steps, which may cross the ends of episodes."""

    observations: Tensor  # [B, T + 1, *shape]: the last is what follows the last step
    actions: Tensor  # [B, T]
    rewards: Tensor
    terminated: Tensor  # whether the step terminated the task
    ended: Tensor  # whether the episode was terminated or truncated


class History(Saved):
    """Up to `capacity` steps. Step n is taken at observation n; so there is one observation more than steps.

    If `stacked`, an observation is the last few frames of its episode [frames, *shape]: where there
    are fewer, the first frame is repeated. Only the newest frame of each is kept; stacks are put together on demand.
    """

    saved = ("length", "visits")

    def __init__(self, capacity: int, first: np.ndarray, device: str, stacked: bool = False):
        newest = torch.as_tensor(first)
        self.depth = len(newest) if stacked else None
        newest = newest[-1] if stacked else newest
        self.kept = torch.empty((capacity + 1, *newest.shape), dtype=newest.dtype, device=device)
        self.begins = torch.zeros(
            capacity + 1, dtype=torch.int64, device=device
        )  # where the episode of each observation begins
        self.steps = {
            "actions": torch.empty(capacity, dtype=torch.int64, device=device),
            "rewards": torch.empty(capacity, dtype=torch.get_default_dtype(), device=device),
            "terminated": torch.empty(capacity, dtype=torch.bool, device=device),
            "ended": torch.empty(capacity, dtype=torch.bool, device=device),
        }
        self.visits = torch.zeros(capacity, dtype=torch.int64, device=device)  # how often a sequence began at each step
        self.kept[0] = newest
        self.length = 0

    def __len__(self) -> int:
        return self.length

    @property
    def latest(self) -> Tensor:
        """The current observation."""
        return self.observed(torch.tensor(self.length, device=self.kept.device))

    def observed(self, numbers: Tensor) -> Tensor:
        """Observations [..., *shape] by their numbers [...]."""
        if self.depth is None:
            return self.kept[numbers]
        numbers = numbers.unsqueeze(-1)
        ages = torch.arange(self.depth - 1, -1, -1, device=numbers.device)
        return self.kept[torch.maximum(numbers - ages, self.begins[numbers])]

    def add(self, action: int, reward: float, terminated: bool, ended: bool, following: np.ndarray) -> None:
        """Store a step and the observation after it: if the episode has ended, the first of the next."""
        for values, value in zip(self.steps.values(), (action, reward, terminated, ended), strict=True):
            values[self.length] = value
        self.length += 1
        observation = torch.as_tensor(following)
        self.kept[self.length] = observation if self.depth is None else observation[-1]
        self.begins[self.length] = self.length if ended else self.begins[self.length - 1]

    def starts(self, steps: int) -> int:
        """How many starts a sequence of so many steps has: the first ones of the history."""
        return self.length - steps + 1

    def draw(self, count: int, steps: int, temperature: float | None, noise: torch.Generator) -> Tensor:
        """Draw the starts [count] of sequences, all different, and count them in `visits`.

        Start i is drawn with probability softmax(-vᵢ / temperature); without a temperature all are equally
        likely. The largest of the logarithms with Gumbel noise added are such a draw without replacement.
        """
        visits = self.visits[: self.starts(steps)]
        times = torch.empty(len(visits), device=visits.device).exponential_(generator=noise)  # - ln of them is Gumbel
        preferred = -times.log() if temperature is None else -times.log() - visits / temperature
        starts = preferred.topk(count).indices
        self.visits[starts] += 1
        return starts

    def windows(self, starts: Tensor, steps: int) -> Window:
        """The sequences of so many steps from these starts."""
        rows = starts.unsqueeze(1) + torch.arange(steps + 1, device=starts.device)
        return Window(self.observed(rows), *(values[rows[:, :-1]] for values in self.steps.values()))

    def evenness(self, steps: int) -> Tensor:
        """Entropy of the visits over possible starts, as a share of the largest; 1 before the first visit."""
        visits = self.visits[: self.starts(steps)].float()
        shares = visits / visits.sum().clamp(min=1)
        entropy = -torch.special.xlogy(shares, shares).sum() / np.log(len(visits))
        return torch.where(visits.any(), entropy, 1.0)

    def filled(self) -> dict[str, Tensor]:
        seen = {"observations": self.kept[: self.length + 1], "begins": self.begins[: self.length + 1]}
        return seen | {name: values[: self.length] for name, values in self.steps.items()}
