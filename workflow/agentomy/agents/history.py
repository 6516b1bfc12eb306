"""All that one agent has lived through, as one line of steps, and how often each step was learnt from.

Sequences are drawn where they have been drawn least (TWM, arXiv 2303.07109): what is lived through early would else be
drawn again and again before what comes late is there at all.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from agentomy.agents.state import Saved


class Window(NamedTuple):
    """B sequences of T steps, which may cross the ends of episodes."""

    observations: Tensor  # and what was seen after the last step [B, T + 1, *shape]
    actions: Tensor  # [B, T]
    rewards: Tensor
    terminated: Tensor  # whether the task ended with the step
    ended: Tensor  # whether the episode did, or was cut off


class History(Saved):
    """Up to `capacity` steps. Observation n is what step n was taken at; there is one more of them than of steps.

    If `stacked`, an observation is the last few frames of its episode [frames, *shape]: the first frame as often as
    needed, where there were fewer. Then only the newest is kept of each, and stacks are put together when asked for.
    """

    saved = ("length", "visits")

    def __init__(self, capacity: int, first: np.ndarray, device: str, stacked: bool = False):
        shown = torch.as_tensor(first)
        self.depth = len(shown) if stacked else None
        shown = shown[-1] if stacked else shown
        self.kept = torch.empty((capacity + 1, *shown.shape), dtype=shown.dtype, device=device)
        self.begins = torch.zeros(capacity + 1, dtype=torch.int64, device=device)  # where an observation's episode does
        self.steps = {
            "actions": torch.empty(capacity, dtype=torch.int64, device=device),
            "rewards": torch.empty(capacity, dtype=torch.get_default_dtype(), device=device),
            "terminated": torch.empty(capacity, dtype=torch.bool, device=device),
            "ended": torch.empty(capacity, dtype=torch.bool, device=device),
        }
        self.visits = torch.zeros(capacity, dtype=torch.int64, device=device)  # how often sequences began at a step
        self.kept[0] = shown
        self.length = 0

    def __len__(self) -> int:
        return self.length

    @property
    def latest(self) -> Tensor:
        """What is seen now."""
        return self.observed(torch.tensor(self.length, device=self.kept.device))

    def observed(self, numbers: Tensor) -> Tensor:
        """Observations [..., *shape] by their numbers [...]."""
        if self.depth is None:
            return self.kept[numbers]
        numbers = numbers.unsqueeze(-1)
        ages = torch.arange(self.depth - 1, -1, -1, device=numbers.device)
        return self.kept[torch.maximum(numbers - ages, self.begins[numbers])]

    def add(self, action: int, reward: float, terminated: bool, ended: bool, following: np.ndarray) -> None:
        """A step, and what is seen after it: if the episode has ended, the beginning of the next."""
        for values, value in zip(self.steps.values(), (action, reward, terminated, ended), strict=True):
            values[self.length] = value
        self.length += 1
        shown = torch.as_tensor(following)
        self.kept[self.length] = shown if self.depth is None else shown[-1]
        self.begins[self.length] = self.length if ended else self.begins[self.length - 1]

    def starts(self, steps: int) -> int:
        """At how many places sequences of so many steps can begin: at the first ones."""
        return self.length - steps + 1

    def draw(self, count: int, steps: int, temperature: float | None, noise: torch.Generator) -> Tensor:
        """Starts [count] of sequences, all different, and note of it in `visits`.

        Start i is drawn with probability softmax(-vᵢ / temperature); without a temperature each is as likely. The
        largest of the logarithms with Gumbel noise added are such a draw without replacement.
        """
        visits = self.visits[: self.starts(steps)]
        times = torch.empty(len(visits), device=visits.device).exponential_(generator=noise)  # - ln of them is Gumbel
        preferred = -times.log() if temperature is None else -times.log() - visits / temperature
        starts = preferred.topk(count).indices
        self.visits[starts] += 1
        return starts

    def windows(self, starts: Tensor, steps: int) -> Window:
        """The sequences of so many steps from there on."""
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
