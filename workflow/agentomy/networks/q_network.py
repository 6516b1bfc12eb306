"""Values of discrete actions from a grid of objects (MinAtar's), a stack of seeds at once."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from agentomy.networks.stacked import Linear, Stack, before_relu, draw_uniform, traced

GRID, FILTERS, FIELD, HIDDEN = 10, 16, 3, 128
PLACES = GRID - FIELD + 1  # of the convolution's window, along each side


class Convolution(nn.Module):
    """S convolutions side by side, on patches: weight [S, filters, 3, 3, channels] and bias [S, filters].

    A convolution is a matrix product with all patches of its input. With channels last a patch is three runs of
    memory, so that cutting them out is cheap: all in all faster than grouped convolution, with its gradient.
    """

    def __init__(self, seeds: int, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(seeds, FILTERS, FIELD, FIELD, channels))
        self.bias = nn.Parameter(torch.zeros(seeds, FILTERS))

    def patches(self, observations: Tensor) -> Tensor:
        """What the window sees at each place: [S, B, 10, 10, channels] → [S, B × 64, 9 × channels]."""
        inputs = observations.contiguous()
        seeds, batch, _, _, channels = inputs.shape
        seed, row, down, right, _ = inputs.stride()
        shape = (seeds, batch, PLACES, PLACES, FIELD, FIELD * channels)
        windows = inputs.as_strided(shape, (seed, row, down, right, down, 1), inputs.storage_offset())
        return windows.reshape(seeds, batch * PLACES**2, -1).to(self.weight.dtype)

    def forward(self, patches: Tensor) -> Tensor:
        """[S, rows, 9 × channels] → [S, rows, filters]."""
        return torch.baddbmm(self.bias.unsqueeze(1), patches, self.matrix().transpose(1, 2))

    def matrix(self) -> Tensor:
        """The weights as the product takes them [S, filters, 9 × channels], sharing their memory."""
        return self.weight.flatten(2)


class QNetwork(Stack):
    """Convolution 3 × 3 → ReLU → hidden layer → ReLU → the value of each action.

    Units of the convolution are numbered place by place, and by filter within a place. As in `stacked.MLP`,
    gradients are written out.
    """

    channels_last = True

    def __init__(self, seeds: int, *, channels: int, actions: int):
        super().__init__()
        self.convolution = Convolution(seeds, channels)
        self.hidden = Linear(seeds, PLACES**2 * FILTERS, HIDDEN)
        self.output = Linear(seeds, HIDDEN, actions)

    @torch.no_grad()
    def draw(self, generators: Sequence[torch.Generator]) -> "QNetwork":
        """Draw each seed's weights from its own generator: uniform within ±1/√(inputs of a unit), as in PyTorch."""
        for layer in (self.convolution, self.hidden, self.output):
            for parameter in (layer.weight, layer.bias):
                draw_uniform(parameter, layer.weight[0, 0].numel(), generators)
        return self

    def forward(self, observations: Tensor) -> Tensor:
        """[S, B, 10, 10, channels] → values [S, B, actions]."""
        seeds, batch = observations.shape[:2]
        seen = torch.relu(self.convolution(self.convolution.patches(observations))).view(seeds, batch, -1)
        return self.output(torch.relu(self.hidden(seen)))

    def trace(self, patches: Tensor) -> list[Tensor]:
        """A pass: what goes into each of the three layers and, last, the values [S, B, actions]."""
        seeds, rows, _ = patches.shape
        seen = self.convolution(patches).relu_()
        dense = [(layer.weight, layer.bias) for layer in (self.hidden, self.output)]
        return [patches, *traced(dense, seen.view(seeds, rows // PLACES**2, -1))]

    def learn(self, trace: Sequence[Tensor], gradient: Tensor) -> None:
        """Set each weight's `.grad` from the `trace` of a pass and the gradient at the values [S, B, actions]."""
        patches, seen, hidden, _ = trace
        for layer, inputs in ((self.output, hidden), (self.hidden, seen)):
            layer.weight.grad = gradient.transpose(1, 2) @ inputs
            layer.bias.grad = gradient.sum(dim=1)
            gradient = before_relu(gradient @ layer.weight.data, inputs)
        gradient = gradient.view(*patches.shape[:2], FILTERS)
        self.convolution.weight.grad = (gradient.transpose(1, 2) @ patches).view_as(self.convolution.weight)
        self.convolution.bias.grad = gradient.sum(dim=1)

    @torch.no_grad()
    def act(self, observations: Tensor) -> Tensor:
        """The actions it values most: [S, B, 10, 10, channels] → [S, B]."""
        return self(observations).argmax(dim=-1)

    @torch.no_grad()
    def activations(self, observations: Tensor) -> dict[str, Tensor]:
        """Units' outputs by layer: convolution [S, B, 1024] and hidden [S, B, 128]."""
        _, seen, hidden, _ = self.trace(self.convolution.patches(observations))
        return {"convolution": seen, "hidden": hidden}
