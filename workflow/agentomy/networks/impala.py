"""The IMPALA convolutional network (Espeholt et al. 2018, figure 3) with a policy and a value head.

Every part that an analysis may want to read or change is a module with a stable name: `block1.conv`, `block1.maxpool`,
`block1.res1.relu1`, `.conv1`, `.relu2`, `.conv2`, `.resadd`, `block1.res2…`, `block2…`, `relu3`, `flatten`, `fc`,
`relufc`.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from agentomy.networks import set_weights

# What a picture's values become: 0/1 planes stay, colours are centred. /255 alone, as in the original, learns slowly.
SCALES = {"planes": (1.0, 0.0), "rgb": (3 / 255, -1.2), "unit": (1 / 255, 0.0)}


class Add(nn.Module):
    """A sum, as a module that can be hooked."""

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return left + right


class Residual(nn.Module):
    """ReLU, convolution, ReLU, convolution, added to the input."""

    def __init__(self, channels: int):
        super().__init__()
        self.relu1, self.conv1 = nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1)
        self.relu2, self.conv2 = nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1)
        self.resadd = Add()

    def forward(self, inputs: Tensor) -> Tensor:
        return self.resadd(inputs, self.conv2(self.relu2(self.conv1(self.relu1(inputs)))))


class Block(nn.Module):
    """Convolution, max-pool (stride 2, or none) and two residual units."""

    def __init__(self, inputs: int, channels: int, pool: bool):
        super().__init__()
        self.conv = nn.Conv2d(inputs, channels, 3, padding=1)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if pool else nn.Identity()
        self.res1, self.res2 = Residual(channels), Residual(channels)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.res2(self.res1(self.maxpool(self.conv(inputs))))


class Impala(nn.Module):
    """One network: pictures [B, pixels, pixels, 3] uint8 → policy logits [B, actions] and values [B]."""

    def __init__(
        self, pixels: int, channels: Sequence[int], pools: Sequence[int], hidden: int, actions: int, scale: str
    ):
        super().__init__()
        self.scale = SCALES[scale]
        self.blocks = [
            Block(before, after, number in pools)
            for number, (before, after) in enumerate(zip([3, *channels], channels, strict=False), start=1)
        ]
        for number, block in enumerate(self.blocks, start=1):
            self.add_module(f"block{number}", block)
        side = pixels
        for _ in pools:
            side = (side + 1) // 2
        self.relu3, self.flatten = nn.ReLU(), nn.Flatten()
        self.fc, self.relufc = nn.Linear(channels[-1] * side**2, hidden), nn.ReLU()
        self.policy, self.value = nn.Linear(hidden, actions), nn.Linear(hidden, 1)
        self.to(memory_format=torch.channels_last)

    def encode(self, pictures: Tensor) -> Tensor:
        """What the first convolution is given: [B, rows, columns, 3] → [B, 3, rows, columns], with channels last."""
        factor, offset = self.scale
        return pictures.permute(0, 3, 1, 2).to(self.fc.weight.dtype) * factor + offset

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        return self.decide(self.encode(pictures))

    def decide(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [B, actions] and values [B] from encoded pictures."""
        for block in self.blocks:
            inputs = block(inputs)
        hidden = self.relufc(self.fc(self.flatten(self.relu3(inputs))))
        return self.policy(hidden), self.value(hidden).squeeze(-1)

    @torch.no_grad()
    def draw(self, generator: torch.Generator, initialisation: Literal["orthogonal", "xavier"]) -> None:
        """Draw the weights.

        Xavier-uniform as in the original, or orthogonal for a ReLU, with the second convolution of a residual unit
        halved; the heads are orthogonal, of gain 0.01 (policy) and 1 (value).
        """
        for name, module in self.named_modules():
            if not isinstance(module, (nn.Conv2d, nn.Linear)):
                continue
            nn.init.zeros_(module.bias)
            weight = torch.empty(module.weight.shape)  # orthogonal_ cannot fill one with channels last
            if name in ("policy", "value"):
                nn.init.orthogonal_(weight, 0.01 if name == "policy" else 1.0, generator)
            elif initialisation == "xavier":
                nn.init.xavier_uniform_(weight, generator=generator)
            else:
                gain = 2**0.5 * (0.5 if name.endswith("conv2") else 1.0)
                nn.init.orthogonal_(weight, gain, generator)
            module.weight.copy_(weight)


class ImpalaStack(nn.Module):
    """S networks of one shape, one after another: at these sizes a batched convolution is no faster.

    `palette` is how the pictures are drawn, for code that draws some; it also chooses their scale.
    """

    def __init__(
        self,
        seeds: int,
        *,
        pixels: int,
        palette: str,
        channels: Sequence[int],
        pools: Sequence[int],
        hidden: int,
        actions: int,
        scale: str,
    ):
        super().__init__()
        self.pixels, self.palette, self.actions = pixels, palette, actions
        self.nets = nn.ModuleList([Impala(pixels, channels, pools, hidden, actions, scale) for _ in range(seeds)])

    def draw(self, generators: Sequence[torch.Generator], initialisation: str) -> "ImpalaStack":
        for net, generator in zip(self.nets, generators, strict=True):
            net.draw(generator, initialisation)
        return self

    @torch.no_grad()
    def load(self, arrays: Mapping[str, np.ndarray]) -> "ImpalaStack":
        """Take weights by name, each [S, *shape], as `arrays` returns them."""
        for seed, net in enumerate(self.nets):
            set_weights(net, {name: array[seed] for name, array in arrays.items()})
        return self

    def arrays(self) -> dict[str, np.ndarray]:
        """The weights by name, each [S, *shape] float32, copied."""
        states = [net.state_dict() for net in self.nets]
        return {name: torch.stack([state[name].float().cpu() for state in states]).numpy() for name in states[0]}
