"""What TWM makes of an observation, and back (arXiv 2303.07109): discrete latents of pictures or of grids of objects.

A latent is V categorical variables of K classes each. Its *code* is the one-hot draws side by side, [..., V × K]; its
distribution is kept as log probabilities [..., V, K]. Observations are `frames`, uint8 [..., channels, 64, 64]
(Atari), or a `grid`, bool [..., 10, 10, channels] (MinAtar). What the paper leaves open follows the official code.

Batches are those of all seeds of a stack, see `layers`.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, silu

from agentomy.names import resolve
from agentomy.networks.layers import (
    Convolution,
    Linear,
    Noise,
    draw_default,
    draw_he,
    drop,
    log_softmax,
    uniform,
)

GRID, FIELD = 10, 3  # side of a grid, and of the convolution on it


class Perceptron(nn.Module):
    """Linear layers with SiLU and dropout between: [..., sizes[0]] → [..., sizes[-1]]."""

    def __init__(self, seeds: int, sizes: Sequence[int], dropout: float = 0.0):
        super().__init__()
        self.dropout = dropout
        self.layers = nn.ModuleList([Linear(seeds, *pair) for pair in pairwise(sizes)])

    def forward(self, inputs: Tensor, noise: Noise | None = None) -> Tensor:
        for layer in self.layers[:-1]:
            inputs = drop(silu(layer(inputs)), self.dropout, noise)
        return self.layers[-1](inputs)

    def draw(self, generators: Noise, orthogonal: bool = False) -> None:
        """Weights He-uniform or orthogonal, for SiLU but in the last layer; biases 0."""
        for layer in self.layers:
            gain = 1.0 if layer is self.layers[-1] else 2**0.5
            if not orthogonal:
                draw_he(layer, generators, gain)
                continue
            for values, generator in zip(layer.weight, generators, strict=True):
                nn.init.orthogonal_(values, gain, generator)
            layer.bias.zero_()


class FrameEncoder(nn.Module):
    """Four convolutions 4 × 4 in steps of 2 (64 → 31 → 14 → 6 → 2), then a perceptron."""

    def __init__(self, seeds: int, channels: int, filters: int, widths: Sequence[int], latent: int):
        super().__init__()
        sizes = [channels, filters, 2 * filters, 4 * filters, 8 * filters]
        self.convolutions = nn.ModuleList([Convolution(seeds, *pair, 4, stride=2) for pair in pairwise(sizes)])
        self.perceptron = Perceptron(seeds, [8 * filters * 2 * 2, *widths, latent])

    def draw(self, generators: Noise) -> None:
        for layer in self.convolutions:
            draw_he(layer, generators)
        self.perceptron.draw(generators)

    def forward(self, frames: Tensor) -> Tensor:
        """[B, channels, 64, 64] → logits [B, latent]."""
        seen = scaled(frames, self.perceptron)
        for layer in self.convolutions:
            seen = silu(layer(seen))
        return self.perceptron(seen.flatten(1))


class FrameDecoder(nn.Module):
    """A linear layer and four transposed convolutions (1 → 5 → 13 → 30 → 64): the mean of unit-variance Gaussians."""

    def __init__(self, seeds: int, channels: int, filters: int, widths: Sequence[int], latent: int):
        super().__init__()
        self.linear = Linear(seeds, latent, 16 * filters)
        sizes, fields = [16 * filters, 4 * filters, 2 * filters, filters, channels], [5, 5, 6, 6]
        shapes = [(*pair, field) for pair, field in zip(pairwise(sizes), fields, strict=True)]
        self.convolutions = nn.ModuleList([Convolution(seeds, *shape, stride=2, transposed=True) for shape in shapes])

    def draw(self, generators: Noise) -> None:
        """Transposed convolutions as PyTorch draws them; the last bias is in the middle between black and white."""
        draw_he(self.linear, generators)
        for layer in self.convolutions:
            draw_default(layer, generators)
        self.convolutions[-1].bias.fill_(0.5)

    def forward(self, codes: Tensor) -> Tensor:
        """[B, latent] → means [B, channels, 64, 64]."""
        seen = silu(self.linear(codes)).view(len(codes), -1, 1, 1)
        for layer in self.convolutions[:-1]:
            seen = silu(layer(seen))
        return self.convolutions[-1](seen)

    def log_probability(self, means: Tensor, frames: Tensor) -> Tensor:
        """ln N(frames | means, 1) in nats [...], the sum over pixels, whose values are scaled to [0, 1]."""
        errors = (scaled(frames, self) - means).square() + math.log(2 * math.pi)
        return -0.5 * errors.sum(dim=(-3, -2, -1))

    def picture(self, means: Tensor) -> Tensor:
        """Pixels from 0 to 1."""
        return means.clamp(0, 1)


class GridEncoder(nn.Module):
    """A convolution 3 × 3, then a perceptron."""

    def __init__(self, seeds: int, channels: int, filters: int, widths: Sequence[int], latent: int):
        super().__init__()
        self.convolution = Convolution(seeds, channels, filters, FIELD)
        self.perceptron = Perceptron(seeds, [filters * (GRID - FIELD + 1) ** 2, *widths, latent])

    def draw(self, generators: Noise) -> None:
        draw_he(self.convolution, generators)
        self.perceptron.draw(generators)

    def forward(self, grids: Tensor) -> Tensor:
        """[B, 10, 10, channels] → logits [B, latent]."""
        seen = silu(self.convolution(grids.movedim(-1, 1).to(self.convolution.weight.dtype)))
        return self.perceptron(seen.flatten(1))


class GridDecoder(nn.Module):
    """A perceptron: the logit that each object is at each place (Bernoulli, where the paper has Gaussian pixels)."""

    def __init__(self, seeds: int, channels: int, filters: int, widths: Sequence[int], latent: int):
        super().__init__()
        self.shape = (GRID, GRID, channels)
        self.perceptron = Perceptron(seeds, [latent, *reversed(widths), GRID * GRID * channels])

    def draw(self, generators: Noise) -> None:
        self.perceptron.draw(generators)

    def forward(self, codes: Tensor) -> Tensor:
        """[B, latent] → logits [B, 10, 10, channels]."""
        return self.perceptron(codes).unflatten(-1, self.shape)

    def log_probability(self, logits: Tensor, grids: Tensor) -> Tensor:
        """Log probability of grids [...] in nats, the sum over places and channels."""
        terms = binary_cross_entropy_with_logits(logits, grids.to(logits.dtype), reduction="none")
        return -terms.sum(dim=(-3, -2, -1))

    def picture(self, logits: Tensor) -> Tensor:
        """Probabilities of objects."""
        return logits.sigmoid()


# All are given all sizes, and take what they need.
VIEWS = {"frames": (FrameEncoder, FrameDecoder), "grid": (GridEncoder, GridDecoder)}


class ObservationModel(nn.Module):
    """q(z | o) and the way back."""

    def __init__(
        self, seeds: int, view: str, channels: int, filters: int, widths: Sequence[int], latents: Sequence[int]
    ):
        super().__init__()
        self.latents = tuple(latents)
        encoder, decoder = resolve(VIEWS, view)
        size = self.latents[0] * self.latents[1]
        self.encoder, self.decoder = (half(seeds, channels, filters, widths, size) for half in (encoder, decoder))

    @torch.no_grad()
    def draw(self, generators: Noise) -> None:
        self.encoder.draw(generators)
        self.decoder.draw(generators)

    def encode(self, observations: Tensor) -> Tensor:
        """Observations [..., three dimensions] → ln q [..., V, K]."""
        logits = self.encoder(observations.flatten(0, -4)).unflatten(-1, self.latents)
        return log_softmax(logits).unflatten(0, observations.shape[:-3])

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [..., V × K] → what the decoder gives [..., three dimensions]; it also says what that means."""
        return self.decoder(codes.flatten(0, -2)).unflatten(0, codes.shape[:-1])


def choice(log_probabilities: Tensor, luck: Tensor) -> Tensor:
    """The class of each distribution [..., K] whose share of the line from 0 to 1 holds `luck` [...], a number on it.

    Shares lie side by side in the order of the classes; so luck that is uniform makes a draw.
    """
    ends = log_probabilities.detach().exp().cumsum(dim=-1)
    return (ends[..., :-1] <= luck.unsqueeze(-1) * ends[..., -1:]).sum(dim=-1)


def sampled(latents: Tensor, noise: Noise) -> Tensor:
    """Codes [..., V × K] drawn from log probabilities [..., V, K].

    Straight through: the gradient at a code is passed on to the probabilities (Bengio et al. 2013).
    """
    codes = code(choice(latents, uniform(latents.shape[:-1], noise)), latents)
    if not latents.requires_grad:
        return codes
    probabilities = latents.exp().flatten(-2)
    return codes + (probabilities - probabilities.detach())


def likeliest(latents: Tensor) -> Tensor:
    """The code [..., V × K] of the likeliest class of each variable, from log probabilities [..., V, K]."""
    return code(latents.argmax(dim=-1), latents)


def code(classes: Tensor, latents: Tensor) -> Tensor:
    """The classes [..., V] of variables as they are told to networks: one-hot [..., V × K], like `latents`."""
    every = torch.arange(latents.shape[-1], device=latents.device)
    return (classes.unsqueeze(-1) == every).to(latents.dtype).flatten(-2)


def scaled(frames: Tensor, module: nn.Module) -> Tensor:
    """Pixels from 0 … 255 to [0, 1], in the numbers that the module computes with."""
    return frames.to(next(module.parameters()).dtype) / 255
