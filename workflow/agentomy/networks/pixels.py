"""Networks that see stacked frames: convolutions → linear → layer norm, and on top a policy or twin critics.

Outside, frames are uint8 [S, B, C, H, W] (seeds, observations, channels of the stacked frames, height, width).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, layer_norm, softplus

from agentomy.networks.stacked import MLP, Linear, Stack


class Convolution(nn.Module):
    """S 3×3 convolutions side by side: weight [S, filters, channels, 3, 3] and bias [S, filters]."""

    def __init__(self, seeds: int, channels: int, filters: int, stride: int):
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.zeros(seeds, filters, channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(seeds, filters))


class Norm(nn.Module):
    """S layer norms side by side, on [S, rows, size]: weight and bias [S, size]."""

    def __init__(self, seeds: int, size: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(seeds, size))
        self.bias = nn.Parameter(torch.zeros(seeds, size))

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.addcmul(self.bias.unsqueeze(1), layer_norm(inputs, inputs.shape[2:]), self.weight.unsqueeze(1))


class Encoder(nn.Module):
    """Frames to features in two parts: `see`, which actor and critics share, and `summarise`, which each has its own.

    The first convolution goes in steps of 2 pixels, the others of 1.
    """

    def __init__(
        self, seeds: int, *, channels: int, size: int, filters: int, convolutions: int, features: int, squash: bool
    ):
        super().__init__()
        self.convolutions, self.squash = convolutions, squash
        for number in range(convolutions):
            layer = Convolution(seeds, filters if number else channels, filters, stride=1 if number else 2)
            self.add_module(f"conv{number + 1}", layer)
        side = (size - 3) // 2 + 1 - 2 * (convolutions - 1)
        self.linear = Linear(seeds, filters * side**2, features)
        self.norm = Norm(seeds, features)

    def layers(self) -> list[Convolution]:
        return [getattr(self, f"conv{number + 1}") for number in range(self.convolutions)]

    def share(self, other: "Encoder") -> None:
        """See with the convolutions of another encoder from now on."""
        for number, layer in enumerate(other.layers()):
            setattr(self, f"conv{number + 1}", layer)

    def see(self, images: Tensor) -> Tensor:
        """What the convolutions make of images of values 0 to 255: [S, B, C, size, size] → [S, B, filters × h × w].

        Seed by seed: on a CPU that is twice as fast as one grouped convolution for all of them.
        """
        layers, seen = self.layers(), []
        weights = zip(*[layer.weight for layer in layers], strict=True)
        biases = zip(*[layer.bias for layer in layers], strict=True)
        for x, ws, bs in zip(images, weights, biases, strict=True):
            x = x.to(self.linear.weight.dtype) / 255
            for layer, weight, bias in zip(layers, ws, bs, strict=True):
                x = conv2d(x, weight, bias, stride=layer.stride).relu_()
            seen.append(x.flatten(1))
        return torch.stack(seen)

    def summarise(self, seen: Tensor) -> Tensor:
        """[S, B, filters × h × w] → [S, B, features]."""
        features = self.norm(self.linear(seen))
        return features.tanh() if self.squash else features


class PixelActor(Stack):
    """Encoder and policy head; actions are tanh of a Gaussian, scaled to the bounds `low` and `high`.

    `frames` is how many frames, oldest first, make an observation; an episode's first is repeated.
    """

    def __init__(
        self,
        seeds: int,
        *,
        channels: int,  # of a single frame
        frames: int,
        size: int,  # of the images that the convolutions see; frames are cropped or placed to fit
        filters: int,
        convolutions: int,
        features: int,
        width: int,
        low: Sequence[float],
        high: Sequence[float],
        log_std: Sequence[float] = (-10.0, 2.0),
        squash: bool = False,
    ):
        super().__init__()
        self.frames, self.size, self.log_std = frames, size, tuple(log_std)
        self.register_buffer("low", torch.tensor(low, dtype=torch.get_default_dtype()), persistent=False)
        self.register_buffer("high", torch.tensor(high, dtype=torch.get_default_dtype()), persistent=False)
        options = {"filters": filters, "convolutions": convolutions, "features": features, "squash": squash}
        self.encoder = Encoder(seeds, channels=channels * frames, size=size, **options)
        self.policy = MLP(seeds, [features, width, width, 2 * len(low)])

    @torch.no_grad()
    def draw(self, generators: Sequence[torch.Generator]) -> "PixelActor":
        """Draw each seed's weights from its own generator, see `draw_orthogonal`."""
        draw_orthogonal(self, generators)
        return self

    def gaussian(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation of actions before tanh, each [S, B, a], from what the encoder saw."""
        mean, log_std = self.policy(self.encoder.summarise(seen)).chunk(2, dim=2)
        lowest, highest = self.log_std
        return mean, lowest + (highest - lowest) / 2 * (log_std.tanh() + 1)

    def sample(self, seen: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Actions in (-1, 1) from standard normal noise, both [S, B, a], and their log densities [S, B]."""
        mean, log_std = self.gaussian(seen)
        return squashed(mean, log_std, noise)

    def scaled(self, actions: Tensor) -> Tensor:
        """Actions in [-1, 1] to their bounds."""
        return self.low + (actions + 1) / 2 * (self.high - self.low)

    @torch.no_grad()
    def act(self, observations: Tensor) -> Tensor:
        """The mean actions [S, B, a], within bounds, at observations uint8 [S, B, C, H, W]."""
        mean, _ = self.gaussian(self.encoder.see(fit(observations, self.size)))
        return self.scaled(mean.tanh())

    @torch.no_grad()
    def activations(self, observations: Tensor) -> dict[str, Tensor]:
        """What the hidden units of the policy give [S, B, width], by layer."""
        first = self.policy.layer1(self.encoder.summarise(self.encoder.see(fit(observations, self.size)))).relu()
        return {"policy.layer1": first, "policy.layer2": self.policy.layer2(first).relu()}


class PixelCritics(Stack):
    """One encoder and two value heads a seed; the heads are a stack of 2S, first all first heads, then all second."""

    def __init__(
        self,
        seeds: int,
        *,
        channels: int,
        frames: int,
        size: int,
        filters: int,
        convolutions: int,
        features: int,
        width: int,
        actions: int,
        squash: bool = False,
    ):
        super().__init__()
        options = {"filters": filters, "convolutions": convolutions, "features": features, "squash": squash}
        self.encoder = Encoder(seeds, channels=channels * frames, size=size, **options)
        self.heads = MLP(2 * seeds, [features + actions, width, width, 1])

    @torch.no_grad()
    def draw(self, generators: Sequence[torch.Generator]) -> "PixelCritics":
        """Draw each seed's weights from its own generator, see `draw_orthogonal`."""
        draw_orthogonal(self, generators)
        return self

    def forward(self, seen: Tensor, actions: Tensor) -> Tensor:
        """Both values [2, S, B] of actions [S, B, a], from what the encoder saw."""
        inputs = torch.cat([self.encoder.summarise(seen), actions], dim=2)
        return self.heads(inputs.repeat(2, 1, 1)).view(2, *actions.shape[:2])


def squashed(mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """tanh of a Gaussian draw [S, B, a] and its log density [S, B].

    Of the change of variables, log(1 - tanh² x) = 2 (log 2 - x - softplus(-2x)), which stays finite in the tails.
    """
    drawn = mean + log_std.exp() * noise
    log_density = -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)
    return drawn.tanh(), (log_density - 2 * (math.log(2) - drawn - softplus(-2 * drawn))).sum(dim=2)


def fit(images: Tensor, size: int) -> Tensor:
    """The middle of images [..., H, W], or the images in the middle of black ones: [..., size, size]."""
    height, width = images.shape[-2:]
    if height >= size and width >= size:
        top, left = (height - size) // 2, (width - size) // 2
        return images[..., top : top + size, left : left + size]
    placed = images.new_zeros(*images.shape[:-2], size, size)
    top, left = (size - height) // 2, (size - width) // 2
    placed[..., top : top + height, left : left + width] = images
    return placed


def draw_orthogonal(network: nn.Module, generators: Sequence[torch.Generator]) -> None:
    """Orthogonal matrices and zero biases, as in RAD; of convolutions the middle pixel alone (Xiao et al. 2018)."""
    for module in network.modules():
        if not isinstance(module, (Linear, Convolution)):
            continue
        module.bias.zero_()
        module.weight.zero_()
        convolution = isinstance(module, Convolution)
        # A stack of several networks a seed draws them one after the other, so that a seed does not feel the others.
        several = list(generators) * (len(module.weight) // len(generators))
        for weight, generator in zip(module.weight, several, strict=True):
            matrix = weight[:, :, 1, 1] if convolution else weight
            drawn = torch.empty(matrix.shape, dtype=torch.float64, device=generator.device)
            nn.init.orthogonal_(drawn, math.sqrt(2) if convolution else 1.0, generator=generator)
            matrix.copy_(drawn)
