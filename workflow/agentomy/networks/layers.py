"""Layers for a stack of seeds whose batches are put together: the rows of the first seed, then those of the second, ….

A batch is [S × B, …], S equal parts. So whoever has one seed alone needs no dimension for it. Weights carry the seed
dimension [S, …] as in `stacked`, and a batched product does the S products in one call. Random numbers come from one
generator a seed, so that what a seed draws does not depend on the others.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, embedding, layer_norm

Noise = Sequence[torch.Generator]  # one for each seed
CHANCES = 2**16  # dropout is decided by 16 random bits


class Linear(nn.Module):
    """S affine maps on [S × B, …, inputs]: weight [S, outputs, inputs] and bias [S, outputs]."""

    def __init__(self, seeds: int, inputs: int, outputs: int, bias: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(seeds, outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(seeds, outputs)) if bias else None

    def forward(self, inputs: Tensor) -> Tensor:
        seeds, outputs, size = self.weight.shape
        rows, matrix = inputs.reshape(seeds, -1, size), self.weight.mT
        product = rows @ matrix if self.bias is None else torch.baddbmm(self.bias.unsqueeze(1), rows, matrix)
        return product.reshape(*inputs.shape[:-1], outputs)


class Norm(nn.Module):
    """S layer norms on [S × B, …, size]: weight and bias [S, size]."""

    def __init__(self, seeds: int, size: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(seeds, size))
        self.bias = nn.Parameter(torch.zeros(seeds, size))

    def forward(self, inputs: Tensor) -> Tensor:
        seeds, size = self.weight.shape
        rows = layer_norm(inputs, (size,)).reshape(seeds, -1, size)
        return torch.addcmul(self.bias.unsqueeze(1), rows, self.weight.unsqueeze(1)).reshape(inputs.shape)


class Embedding(nn.Module):
    """S tables of vectors, weight [S, entries, width]: numbers [S × B, …] → [S × B, …, width]."""

    def __init__(self, seeds: int, entries: int, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(seeds, entries, width))

    def forward(self, numbers: Tensor) -> Tensor:
        seeds, entries, _ = self.weight.shape
        first = torch.arange(0, seeds * entries, entries, device=numbers.device).unsqueeze(1)
        rows = numbers.reshape(seeds, -1) + first
        return embedding(rows.reshape(numbers.shape), self.weight.flatten(0, 1))


class Convolution(nn.Module):
    """S convolutions on [S × B, channels, …]: weight [S, filters, channels, side, side], bias [S, filters].

    A transposed one has the weight [S, channels, filters, side, side]. Seed by seed: on a CPU that is twice as fast as
    one grouped convolution for all of them.
    """

    def __init__(self, seeds: int, channels: int, filters: int, side: int, stride: int = 1, transposed: bool = False):
        super().__init__()
        ends = (channels, filters) if transposed else (filters, channels)
        self.weight = nn.Parameter(torch.zeros(seeds, *ends, side, side))
        self.bias = nn.Parameter(torch.zeros(seeds, filters))
        self.stride, self.function = stride, conv_transpose2d if transposed else conv2d

    def forward(self, images: Tensor) -> Tensor:
        parts = zip(images.chunk(len(self.weight)), self.weight, self.bias, strict=True)
        return torch.cat([self.function(*part, stride=self.stride) for part in parts])


def log_softmax(logits: Tensor) -> Tensor:
    """Log probabilities over a few classes [..., K]: where there are 8, three times as fast as PyTorch's."""
    shifted = logits - logits.detach().amax(dim=-1, keepdim=True)
    return shifted - shifted.exp().sum(dim=-1, keepdim=True).log()


# ---- random numbers --------------------------------------------------------------------------------------------------


def uniform(shape: Sequence[int], noise: Noise) -> Tensor:
    """Numbers from 0 to below 1 [S × B, …], each seed's from its own generator."""
    drawn = torch.empty(*shape, device=noise[0].device)
    for part, generator in zip(drawn.view(len(noise), -1), noise, strict=True):
        part.uniform_(generator=generator)
    return drawn


def drop(values: Tensor, share: float, noise: Noise | None) -> Tensor:
    """Zero a random share of the values [S × B, …] and scale up the others; without `noise`, leave them.

    PyTorch's own dropout draws from the global generator, which a restart file does not hold; and drawing four values
    from each 64 random bits takes a seventh of the time of `bernoulli_`. The share is rounded to a multiple of 2⁻¹⁶.
    """
    if noise is None or share == 0:
        return values
    dropped, count = round(share * CHANCES), values.numel() // len(noise)
    bits = torch.empty(len(noise), -(-count // 4), dtype=torch.int64, device=values.device)
    for part, generator in zip(bits, noise, strict=True):
        part.random_(-(2**63), None, generator=generator)
    kept = bits.view(torch.int16)[:, :count] >= dropped - CHANCES // 2
    return values * kept.to(values.dtype).mul_(CHANCES / (CHANCES - dropped)).view(values.shape)


# ---- first weights ---------------------------------------------------------------------------------------------------


def draw_default(layer: nn.Module, generators: Noise) -> None:
    """Weights and biases of a layer as PyTorch draws them: uniform within ±1/√(weights of a unit)."""
    bound = layer.weight[0, 0].numel() ** -0.5
    for parameter in layer.parameters():
        for values, generator in zip(parameter, generators, strict=True):
            values.uniform_(-bound, bound, generator=generator)


def draw_he(layer: nn.Module, generators: Noise, gain: float = 2**0.5) -> None:
    """Weights He-uniform, of variance gain² / inputs; biases 0."""
    bound = gain * (3 / layer.weight[0, 0].numel()) ** 0.5
    for values, generator in zip(layer.weight, generators, strict=True):
        values.uniform_(-bound, bound, generator=generator)
    layer.bias.zero_()


# ---- gradients -------------------------------------------------------------------------------------------------------


def clip_gradients(parameters: Iterable[Tensor], limit: float) -> None:
    """Scale each seed's gradient down to a norm of at most `limit`; weights that have no gradient are left out."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients:
        return
    norms = torch.stack([torch.linalg.vector_norm(gradient.flatten(1), dim=1) for gradient in gradients])
    scale = (limit / (torch.linalg.vector_norm(norms, dim=0) + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(scale.view(-1, *[1] * (gradient.dim() - 1)))
