"""Small networks whose circuits are known, for a stack of seeds at once (`networks.stacked`)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from agentomy.names import resolve
from agentomy.networks.stacked import Linear, Stack, draw_uniform

ACTIVATIONS = {"relu": torch.relu, "gelu": functional.gelu, "elu": functional.elu}


class Bottleneck(Stack):
    """relu(x · encoder · decoder + bias): [S, B, inputs] → [S, B, outputs] through fewer hidden units."""

    def __init__(self, seeds: int, *, inputs: int, hidden: int, outputs: int):
        super().__init__()
        self.encoder = nn.Parameter(torch.zeros(seeds, inputs, hidden))
        self.decoder = nn.Parameter(torch.zeros(seeds, hidden, outputs))
        self.bias = nn.Parameter(torch.zeros(seeds, outputs))

    @torch.no_grad()
    def draw(self, generators: Sequence[torch.Generator]) -> "Bottleneck":
        for weight in (self.encoder, self.decoder):
            draw_uniform(weight, weight.shape[1], generators)
        return self

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(torch.baddbmm(self.bias.unsqueeze(1), x @ self.encoder, self.decoder))


class Smooth(Stack):
    """Multilayer perceptrons with a smooth activation: layer1, layer2, …; [S, B, inputs] → [S, B, outputs]."""

    def __init__(self, seeds: int, *, sizes: Sequence[int], activation: Literal["relu", "gelu", "elu"]):
        super().__init__()
        self.activation = resolve(ACTIVATIONS, activation)
        self.layers = [Linear(seeds, *pair) for pair in pairwise(sizes)]
        for number, layer in enumerate(self.layers, start=1):
            self.add_module(f"layer{number}", layer)

    @torch.no_grad()
    def draw(self, generators: Sequence[torch.Generator]) -> "Smooth":
        for layer in self.layers:
            for parameter in (layer.weight, layer.bias):
                draw_uniform(parameter, layer.weight.shape[2], generators)
        return self

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)
