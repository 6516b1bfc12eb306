"""Layers for a stack of seeds, and multilayer perceptrons made of them with their gradients written out.

A stack is S networks of one shape that never meet: every weight carries a leading seed dimension, and a batched
matrix product does the S products in one call.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from agentomy.networks import set_weights


class Linear(nn.Module):
    """S affine maps side by side, on [S, rows, inputs]: weight [S, outputs, inputs] and bias [S, outputs]."""

    def __init__(self, seeds: int, inputs: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(seeds, outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(seeds, outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.baddbmm(self.bias.unsqueeze(1), inputs, self.weight.transpose(1, 2))


class Stack(nn.Module):
    """What all stacks have in common; the weights are zero until `draw` or `load` sets them."""

    @torch.no_grad()
    def load(self, arrays: Mapping[str, np.ndarray]) -> "Stack":
        """Take weights by name, each [S, *shape], as `arrays` returns them."""
        set_weights(self, arrays)
        return self

    def arrays(self) -> dict[str, np.ndarray]:
        """The weights by name, each [S, *shape] float32, copied."""
        return {name: tensor.to("cpu", torch.float32, copy=True).numpy() for name, tensor in self.state_dict().items()}


class MLP(Stack):
    """S multilayer perceptrons side by side, [S, rows, inputs] → [S, rows, outputs]; layer1, layer2, … with ReLUs.

    Gradients are written out, not left to autograd: the products are the same, but each weight's gradient comes in
    the weight's own layout, and only those that are asked for are computed.
    """

    def __init__(self, seeds: int, sizes: Sequence[int]):
        super().__init__()
        self.layers = [Linear(seeds, *pair) for pair in pairwise(sizes)]
        for number, layer in enumerate(self.layers, start=1):
            self.add_module(f"layer{number}", layer)

    @torch.no_grad()
    def draw(self, generators: Sequence[torch.Generator]) -> "MLP":
        """Draw each seed's weights from its own generator: uniform within ±1/√(inputs of the layer), as in PyTorch."""
        for layer in self.layers:
            for parameter in (layer.weight, layer.bias):
                draw_uniform(parameter, layer.weight.shape[2], generators)
        return self

    def weights(self, nets: slice = slice(None)) -> list[tuple[Tensor, Tensor]]:
        """(weight, bias) of each layer, of some of the networks; what is written to these is the network's."""
        return [(layer.weight.data[nets], layer.bias.data[nets]) for layer in self.layers]

    def forward(self, inputs: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            inputs = torch.relu(layer(inputs))
        return self.layers[-1](inputs)

    def learn(self, trace: Sequence[Tensor], gradient: Tensor) -> None:
        """Set each weight's `.grad` from the `trace` of a pass and the gradient at its output [S, rows, outputs]."""
        for number, (inputs, layer) in reversed(list(enumerate(zip(trace, self.layers, strict=False)))):
            layer.weight.grad = weight_gradient(inputs, gradient)
            layer.bias.grad = gradient.sum(dim=1)
            if number > 0:
                gradient = before_relu(before_layer(gradient, layer.weight.data), inputs)


def traced(weights: Sequence[tuple[Tensor, Tensor]], inputs: Tensor) -> list[Tensor]:
    """A pass through (weight, bias) of each layer: what goes into each layer and, last, what comes out."""
    trace = [inputs]
    for weight, bias in weights:
        trace.append(torch.baddbmm(bias.unsqueeze(1), trace[-1], weight.transpose(1, 2)))
        if len(trace) <= len(weights):
            trace[-1].relu_()
    return trace


def input_gradient(
    weights: Sequence[tuple[Tensor, Tensor]], trace: Sequence[Tensor], gradient: Tensor, entries: slice
) -> Tensor:
    """The gradient at some `entries` of the inputs, from that at the output; no weight's gradient is computed."""
    for (weight, _), inputs in reversed(list(zip(weights[1:], trace[1:], strict=False))):
        gradient = before_relu(before_layer(gradient, weight), inputs)
    return gradient @ weights[0][0][:, :, entries]


def weight_gradient(inputs: Tensor, gradient: Tensor) -> Tensor:
    """The gradient of a layer's weight [S, outputs, inputs] from its inputs and the gradient at its outputs."""
    if inputs.shape[2] < gradient.shape[2]:  # the product is up to twice as fast with the shorter side first
        return (inputs.transpose(1, 2) @ gradient).transpose(1, 2).contiguous()
    return gradient.transpose(1, 2) @ inputs


def before_layer(gradient: Tensor, weight: Tensor) -> Tensor:
    """The gradient at a layer's inputs from that at its outputs; with one output no matrix product is needed."""
    return gradient * weight if weight.shape[1] == 1 else gradient @ weight


def before_relu(gradient: Tensor, after: Tensor) -> Tensor:
    """The gradient before a ReLU from that behind it, in place; `after` is what the ReLU gave."""
    return torch.ops.aten.threshold_backward.grad_input(gradient, after, 0, grad_input=gradient)


def draw_uniform(parameter: Tensor, inputs: int, generators: Sequence[torch.Generator]) -> None:
    """Fill each seed's values from its own generator, uniform within ±1/√inputs."""
    for values, generator in zip(parameter, generators, strict=True):
        drawn = torch.rand(values.shape, generator=generator, dtype=torch.float64, device=generator.device)
        values.copy_((2 * drawn - 1) / inputs**0.5)


def clip_gradients(network: nn.Module, limit: float) -> None:
    """Scale each seed's gradient down to a global norm of at most `limit`, whatever the other seeds' are."""
    gradients = [parameter.grad for parameter in network.parameters()]
    norm = torch.stack([gradient.flatten(1).square().sum(dim=1) for gradient in gradients]).sum(dim=0).sqrt()
    scale = (limit / (norm + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(scale.view(-1, *[1] * (gradient.dim() - 1)))


@torch.no_grad()
def polyak_update(targets: Iterable[nn.Module], networks: Iterable[nn.Module], tau: float) -> None:
    """Move target networks a share `tau` of the way towards their networks."""
    old, new = ([weight for module in side for weight in module.parameters()] for side in (targets, networks))
    torch._foreach_lerp_(old, new, tau)
