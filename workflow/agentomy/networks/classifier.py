"""Multilayer perceptrons that classify, beside the running mean of their parameters; a stack of seeds at once."""

from collections.abc import Sequence

import torch
from torch import Tensor

from agentomy.networks.stacked import MLP, Stack


class Averaged(Stack):
    """Two networks of one shape, `current` and `mean`: [S, B, inputs] → logits [S, B, classes] of each."""

    def __init__(self, seeds: int, *, sizes: Sequence[int]):
        super().__init__()
        self.current, self.mean = MLP(seeds, sizes), MLP(seeds, sizes)

    @torch.no_grad()
    def draw(self, generators: Sequence[torch.Generator]) -> "Averaged":
        """Weights N(0, 1 / inputs of the layer), each seed's from its own generator; biases 0; the mean is the same."""
        for layer in self.current.layers:
            for values, generator in zip(layer.weight, generators, strict=True):
                values.normal_(generator=generator).div_(values.shape[1] ** 0.5)
        self.mean.load_state_dict(self.current.state_dict())
        return self

    @torch.no_grad()
    def average(self, rate: float) -> None:
        """Move the mean towards the current parameters by a share `rate` of the way."""
        torch._foreach_lerp_(list(self.mean.parameters()), list(self.current.parameters()), rate)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        return self.current(inputs), self.mean(inputs)
