"""Actors and critics for continuous actions: multilayer perceptrons, a stack of seeds at once."""

from collections.abc import Sequence

import torch
from torch import Tensor

from agentomy.networks.stacked import MLP, traced


class Actor(MLP):
    """Observation → ReLU layers → tanh, scaled to the bounds of the actions."""

    def __init__(
        self,
        seeds: int,
        *,
        inputs: int,
        outputs: int,
        widths: Sequence[int],
        low: Sequence[float],
        high: Sequence[float],
    ):
        super().__init__(seeds, [inputs, *widths, outputs])
        low, high = torch.tensor(low).to(self.layer1.weight), torch.tensor(high).to(self.layer1.weight)
        self.register_buffer("low", low, persistent=False)  # no weights, so neither saved nor drawn
        self.register_buffer("high", high, persistent=False)

    def forward(self, observations: Tensor) -> Tensor:
        """[S, B, inputs] → actions [S, B, outputs]."""
        return self.bounded(torch.tanh(super().forward(observations)))

    def bounded(self, squashed: Tensor) -> Tensor:
        """Actions from what the tanh gives."""
        return self.middle() + self.half() * squashed

    def middle(self) -> Tensor:
        return (self.high + self.low) / 2

    def half(self) -> Tensor:
        """What ±1 amounts to in each entry of an action [outputs]."""
        return (self.high - self.low) / 2

    @torch.no_grad()
    def act(self, observations: Tensor) -> Tensor:
        """The actions it thinks best: [S, B, inputs] → [S, B, outputs]."""
        return self.bounded(traced(self.weights(), observations)[-1].tanh_())

    @torch.no_grad()
    def activations(self, observations: Tensor) -> dict[str, Tensor]:
        """Hidden units' outputs by layer, each [S, B, units]."""
        hidden = traced(self.weights(), observations)[1:-1]
        return {f"layer{number}": values for number, values in enumerate(hidden, start=1)}


class Critics(MLP):
    """Two values of an action in each seed: networks 0 … S - 1 are the seeds' first critics, S … 2S - 1 the second."""

    def __init__(self, seeds: int, *, inputs: int, actions: int, widths: Sequence[int]):
        super().__init__(2 * seeds, [inputs + actions, *widths, 1])
        self.first = slice(0, seeds)

    def draw(self, generators: Sequence[torch.Generator]) -> "Critics":
        """Draw each seed's two critics from its own generator."""
        return super().draw([*generators, *generators])
