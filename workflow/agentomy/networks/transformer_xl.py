"""A Transformer-XL decoder (Dai et al. 2019): reads a stream of tokens, all at once or a few at a time.

It is one network, not a stack: [B, N, width] are B streams of N tokens. Tokens come in steps (several make one) and
steps in episodes. A token attends to itself and to earlier tokens of its episode, back to `window` steps before its
own. What it attends to, keys and values in each layer, depends on nothing that comes later; so they are computed once,
and whoever reads on hands them back as a `Memory`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, silu


@dataclass
class Memory:
    """M tokens that were read, in B streams."""

    keys: list[Tensor]  # of each layer [B, heads, M, head]
    values: list[Tensor]
    steps: Tensor  # the step that each token belongs to [M]
    episodes: Tensor  # and its episode [B, M]; only whether two are the same matters

    def last(self, tokens: int) -> "Memory":
        """The last tokens alone."""
        keys, values = ([each[:, :, -tokens:] for each in side] for side in (self.keys, self.values))
        return Memory(keys, values, self.steps[-tokens:], self.episodes[:, -tokens:])

    def to(self, device: torch.device) -> "Memory":
        keys, values = ([each.to(device) for each in side] for side in (self.keys, self.values))
        return Memory(keys, values, self.steps.to(device), self.episodes.to(device))


class TransformerXL(nn.Module):
    """Layers of attention over relative distances and of feed-forward units, each followed by a layer norm.

    Dropout is where the official code has it: on attention weights, distances, and what attention and each
    feed-forward layer give.
    """

    def __init__(
        self, *, width: int, layers: int, heads: int, head: int, feedforward: int, window: int, dropout: float
    ):
        super().__init__()
        self.width, self.window, self.dropout = width, window, dropout
        self.layers = nn.ModuleList([Layer(width, heads, head, feedforward, dropout) for _ in range(layers)])
        # what all tokens look for: contents (u of the paper) and distances (v), shared by all layers
        self.content_bias = nn.Parameter(torch.zeros(heads, head))
        self.distance_bias = nn.Parameter(torch.zeros(heads, head))

    @torch.no_grad()
    def draw(self, generator: torch.Generator) -> None:
        """Layers as PyTorch draws them, uniform within ±1/√inputs, biases too; u and v Xavier-uniform."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                draw_default(module, generator)
        for bias in (self.content_bias, self.distance_bias):
            nn.init.xavier_uniform_(bias, generator=generator)

    def forward(
        self,
        tokens: Tensor,
        steps: Tensor,
        episodes: Tensor,
        memory: Memory | None = None,
        noise: torch.Generator | None = None,
    ) -> tuple[Tensor, Memory]:
        """Read tokens [B, N, width] of steps [N] and episodes [B, N] after those in the memory.

        Returns the output of the last layer [B, N, width] and the memory of all M + N tokens. Without `noise` there is
        no dropout.
        """
        memory = self.blank(tokens, steps, episodes) if memory is None else memory
        steps, episodes = torch.cat([memory.steps, steps]), torch.cat([memory.episodes, episodes], dim=1)
        seen = visible(steps, episodes, self.window, tokens.shape[1])
        distances = torch.arange(len(steps) - 1, -1, -1, device=tokens.device)
        encoded = drop(sinusoids(distances, self.width).to(tokens.dtype), self.dropout, noise)
        biases, keys, values = (self.content_bias, self.distance_bias), [], []
        for layer, *before in zip(self.layers, memory.keys, memory.values, strict=True):
            tokens, key, value = layer(tokens, before, encoded, biases, seen, noise)
            keys.append(key)
            values.append(value)
        return tokens, Memory(keys, values, steps, episodes)

    def blank(self, tokens: Tensor, steps: Tensor, episodes: Tensor) -> Memory:
        """The memory before the first token."""
        heads, head = self.content_bias.shape
        nothing = [tokens.new_zeros(len(tokens), heads, 0, head)] * len(self.layers)
        return Memory(nothing, nothing, steps[:0], episodes[:, :0])


class Layer(nn.Module):
    """Attention, then two feed-forward layers with SiLU between; a layer norm after each residual sum."""

    def __init__(self, width: int, heads: int, head: int, feedforward: int, dropout: float):
        super().__init__()
        self.dropout = dropout
        self.attention = Attention(width, heads, head, dropout)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.linear1, self.linear2 = nn.Linear(width, feedforward), nn.Linear(feedforward, width)

    def forward(
        self,
        tokens: Tensor,
        before: Sequence[Tensor],
        encoded: Tensor,
        biases: tuple[Tensor, Tensor],
        seen: Tensor,
        noise: torch.Generator | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        attended, key, value = self.attention(tokens, before, encoded, biases, seen, noise)
        tokens = self.norm1(tokens + drop(attended, self.dropout, noise))
        inner = drop(silu(self.linear1(tokens)), self.dropout, noise)
        return self.norm2(tokens + drop(self.linear2(inner), self.dropout, noise)), key, value


class Attention(nn.Module):
    """Attention by content and by relative distance (Dai et al. 2019, section 3.3).

    The score of token j, seen from token i, is (qᵢ + u)·kⱼ + (qᵢ + v)·r(i - j), divided by √width as in the official
    code of the world model, not by √head. `softmax` is a module so that the weights [B, heads, N, M + N] can be read.
    """

    def __init__(self, width: int, heads: int, head: int, dropout: float):
        super().__init__()
        self.heads, self.dropout, self.scale = heads, dropout, width**-0.5
        self.query_key_value = nn.Linear(width, 3 * heads * head, bias=False)
        self.distance = nn.Linear(width, heads * head, bias=False)
        self.softmax = nn.Softmax(dim=-1)
        self.output = nn.Linear(heads * head, width, bias=False)

    def forward(
        self,
        tokens: Tensor,
        before: Sequence[Tensor],
        encoded: Tensor,
        biases: tuple[Tensor, Tensor],
        seen: Tensor,
        noise: torch.Generator | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What tokens [B, N, width] attend to [B, N, width], and keys and values [B, heads, M + N, head]."""
        query, *new = (self.by_head(each) for each in self.query_key_value(tokens).chunk(3, dim=-1))
        key, value = (torch.cat(pair, dim=2) for pair in zip(before, new, strict=True))
        distance = self.by_head(self.distance(encoded))
        content_bias, distance_bias = (bias.unsqueeze(1) for bias in biases)
        scores = (query + content_bias) @ key.mT + aligned((query + distance_bias) @ distance.mT)
        weights = self.softmax((scores * self.scale).masked_fill(~seen, -math.inf))
        attended = drop(weights, self.dropout, noise) @ value
        return self.output(attended.transpose(1, 2).flatten(2)), key, value

    def by_head(self, vectors: Tensor) -> Tensor:
        """[..., N, heads × head] → [..., heads, N, head]."""
        return vectors.unflatten(-1, (self.heads, -1)).transpose(-2, -3)


def visible(steps: Tensor, episodes: Tensor, window: int, readers: int) -> Tensor:
    """Whether each of the last N tokens (`readers`) sees each of M + N tokens: bool [B, 1, N, M + N].

    From steps [M + N] and episodes [B, M + N].
    """
    order = torch.arange(len(steps), device=steps.device)
    earlier = order[-readers:, None] >= order
    near = steps[-readers:, None] - steps <= window
    same = episodes[:, -readers:, None] == episodes[:, None, :]
    return (earlier & near & same).unsqueeze(1)


def aligned(scores: Tensor) -> Tensor:
    """From scores by distance to scores by token, both [..., N, K] with K = M + N.

    Column k of the input is distance K - 1 - k; of the output, token k, which is M + i - k before reader i. So row i
    moves N - 1 - i to the left: rows of K + 1, a column put before the first, read as rows of K, do that. What moves in
    from the next row are tokens after the reader, which it does not see.
    """
    readers, tokens = scores.shape[-2:]
    return pad(scores, (1, 0)).flatten(-2)[..., readers:].unflatten(-1, (readers, tokens))


def sinusoids(positions: Tensor, width: int) -> Tensor:
    """Sine and cosine of positions [N] at width / 2 wavelengths from 2π to 2π · 10000: [N, width]."""
    rates = torch.exp(torch.arange(0, width, 2, device=positions.device) * (-math.log(10_000) / width))
    angles = positions.unsqueeze(1) * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def drop(values: Tensor, share: float, noise: torch.Generator | None) -> Tensor:
    """Zero a random share of the values and scale up the others; without `noise`, leave them.

    PyTorch's own dropout draws from the global generator, which a restart file does not hold.
    """
    if noise is None or share == 0:
        return values
    return values * torch.empty_like(values).bernoulli_(1 - share, generator=noise).div_(1 - share)


def draw_default(layer: nn.Module, generator: torch.Generator) -> None:
    """Weights and biases of a layer as PyTorch draws them: uniform within ±1/√(weights of a unit)."""
    bound = layer.weight[0].numel() ** -0.5
    for parameter in layer.parameters():
        parameter.uniform_(-bound, bound, generator=generator)
