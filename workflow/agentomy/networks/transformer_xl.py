"""A Transformer-XL decoder (Dai et al. 2019): reads a stream of tokens, all at once or a few at a time.

[B, N, width] are B streams of N tokens, those of all seeds of a stack (see `layers`). Tokens come in steps (several
make one) and steps in episodes. A token attends to itself and to earlier tokens of its episode, back to `window` steps
before its own. What it attends to, keys and values in each layer, depends on nothing that comes later; so they are
computed once, and whoever reads on hands them back as a `Memory`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from agentomy.networks.layers import Linear, Noise, Norm, draw_default, drop


@dataclass
class Memory:
    """M tokens that were read, in B streams."""

    keys: list[Tensor]  # of each layer [B, heads, M, head]
    values: list[Tensor]
    steps: Tensor  # the step that each token belongs to [M]
    episodes: Tensor  # and its episode [B, M]; only whether two are the same matters

    def last(self, tokens: int) -> "Memory":
        """The last tokens alone."""
        keys, values = ([layer[:, :, -tokens:] for layer in side] for side in (self.keys, self.values))
        return Memory(keys, values, self.steps[-tokens:], self.episodes[:, -tokens:])

    def to(self, device: torch.device) -> "Memory":
        keys, values = ([layer.to(device) for layer in side] for side in (self.keys, self.values))
        return Memory(keys, values, self.steps.to(device), self.episodes.to(device))


class TransformerXL(nn.Module):
    """Layers of attention over relative distances and of feed-forward units, each followed by a layer norm.

    Dropout is where the official code has it: on attention weights, distances, and what attention and each
    feed-forward layer give.
    """

    def __init__(
        self,
        seeds: int,
        *,
        width: int,
        layers: int,
        heads: int,
        head: int,
        feedforward: int,
        window: int,
        dropout: float,
    ):
        super().__init__()
        self.width, self.window, self.dropout = width, window, dropout
        self.layers = nn.ModuleList([Layer(seeds, width, heads, head, feedforward, dropout) for _ in range(layers)])
        # what all tokens look for: contents (u of the paper) and distances (v), shared by all layers
        self.content_bias = nn.Parameter(torch.zeros(seeds, heads, head))
        self.distance_bias = nn.Parameter(torch.zeros(seeds, heads, head))

    @torch.no_grad()
    def draw(self, generators: Noise) -> None:
        """Layers as PyTorch draws them, uniform within ±1/√inputs, biases too; u and v Xavier-uniform."""
        for module in self.modules():
            if isinstance(module, Linear):
                draw_default(module, generators)
        for biases in (self.content_bias, self.distance_bias):
            for bias, generator in zip(biases, generators, strict=True):
                nn.init.xavier_uniform_(bias, generator=generator)

    def forward(
        self,
        tokens: Tensor,
        steps: Tensor,
        episodes: Tensor,
        memory: Memory | None = None,
        noise: Noise | None = None,
        every: int = 1,
    ) -> tuple[Tensor, Memory]:
        """Read tokens [B, N, width] of steps [N] and episodes [B, N] after those in the memory.

        Returns the outputs of the last layer [B, N, width] and the memory of all M + N tokens. If `every` is e,
        there are outputs only for each e-th token, counted back from the last one: what the last layer would say at the
        others is not computed. Without `noise` there is no dropout.
        """
        memory = self.blank(tokens, steps, episodes) if memory is None else memory
        steps, episodes = torch.cat([memory.steps, steps]), torch.cat([memory.episodes, episodes], dim=1)
        unseen = hidden_tokens(steps, episodes, self.window, tokens.shape[1]).to(tokens.dtype)
        distances = torch.arange(len(steps) + every - 1, -1, -1, device=tokens.device)
        encoded = sinusoids(distances, self.width).to(tokens.dtype)
        encoded = drop(encoded.repeat(len(self.content_bias), 1, 1), self.dropout, noise)
        biases, keys, values = (self.content_bias, self.distance_bias), [], []
        for layer, *before in zip(self.layers, memory.keys, memory.values, strict=True):
            apart = every if layer is self.layers[-1] else 1
            tokens, key, value = layer(tokens, before, encoded, biases, unseen, noise, apart)
            keys.append(key)
            values.append(value)
        return tokens, Memory(keys, values, steps, episodes)

    def blank(self, tokens: Tensor, steps: Tensor, episodes: Tensor) -> Memory:
        """The memory before the first token."""
        _, heads, head = self.content_bias.shape
        nothing = [tokens.new_zeros(len(tokens), heads, 0, head)] * len(self.layers)
        return Memory(nothing, nothing, steps[:0], episodes[:, :0])


class Layer(nn.Module):
    """Attention, then two feed-forward layers with SiLU between; a layer norm after each residual sum."""

    def __init__(self, seeds: int, width: int, heads: int, head: int, feedforward: int, dropout: float):
        super().__init__()
        self.dropout = dropout
        self.attention = Attention(seeds, width, heads, head, dropout)
        self.norm1, self.norm2 = Norm(seeds, width), Norm(seeds, width)
        self.linear1, self.linear2 = Linear(seeds, width, feedforward), Linear(seeds, feedforward, width)

    def forward(
        self,
        tokens: Tensor,
        before: Sequence[Tensor],
        encoded: Tensor,
        biases: tuple[Tensor, Tensor],
        unseen: Tensor,
        noise: Noise | None,
        every: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        attended, key, value = self.attention(tokens, before, encoded, biases, unseen, noise, every)
        tokens = self.norm1(last_of(tokens, every) + drop(attended, self.dropout, noise))
        inner = drop(silu(self.linear1(tokens)), self.dropout, noise)
        return self.norm2(tokens + drop(self.linear2(inner), self.dropout, noise)), key, value


class Attention(nn.Module):
    """Attention by content and by relative distance (Dai et al. 2019, section 3.3).

    The score of token j, seen from token i, is (qᵢ + u)·kⱼ + (qᵢ + v)·r(i - j), divided by √width as in the official
    code of the world model, not by √head. `softmax` is a module so that the weights [B, heads, N, M + N] can be read.
    """

    def __init__(self, seeds: int, width: int, heads: int, head: int, dropout: float):
        super().__init__()
        self.heads, self.dropout, self.scale = heads, dropout, width**-0.5
        self.query_key_value = Linear(seeds, width, 3 * heads * head, bias=False)
        self.distance = Linear(seeds, width, heads * head, bias=False)
        self.softmax = nn.Softmax(dim=-1)
        self.output = Linear(seeds, heads * head, width, bias=False)

    def forward(
        self,
        tokens: Tensor,
        before: Sequence[Tensor],
        encoded: Tensor,
        biases: tuple[Tensor, Tensor],
        unseen: Tensor,
        noise: Noise | None,
        every: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What tokens [B, N, width] attend to [B, N, width], and keys and values [B, heads, M + N, head].

        From encoded distances [S, …, width] in falling order, the last of them 0.
        """
        seeds = len(encoded)
        query, *new = self.query_key_value(tokens).unflatten(-1, (3, self.heads, -1)).unbind(dim=-3)
        key, value = (torch.cat([old, by_head(more)], dim=2) for old, more in zip(before, new, strict=True))
        query = last_of(query, every).unflatten(0, (seeds, -1)) * self.scale  # [S, B, N, heads, head]
        by_content, by_distance = (query + (self.scale * bias)[:, None, None] for bias in biases)
        contents = by_head(by_content.flatten(0, 1)) @ key.mT
        # all that a seed's tokens look for at once: they share its distances
        looked_for = by_distance.permute(0, 3, 1, 2, 4).flatten(2, 3)  # [S, heads, B × N, head]
        distances = by_head(self.distance(encoded[:, -(key.shape[2] + every) :]).unflatten(-1, (self.heads, -1)))
        scores = aligned((looked_for @ distances.mT).unflatten(2, query.shape[1:3]), every).transpose(1, 2)
        scores = (contents + last_of(unseen, every, dim=2)).unflatten(0, (seeds, -1)) + scores
        attended = drop(self.softmax(scores.flatten(0, 1)), self.dropout, noise) @ value
        return self.output(attended.transpose(1, 2).flatten(2)), key, value


def by_head(vectors: Tensor) -> Tensor:
    """[…, N, heads, head] → […, heads, N, head]."""
    return vectors.transpose(-2, -3)


def last_of(values: Tensor, every: int, dim: int = 1) -> Tensor:
    """Each `every`-th of the values along an axis, counted back from the last one."""
    if every == 1:
        return values
    return values[(slice(None),) * dim + (slice((values.shape[dim] - 1) % every, None, every),)]


def hidden_tokens(steps: Tensor, episodes: Tensor, window: int, readers: int) -> Tensor:
    """Which of M + N tokens the last N (`readers`) don't see: -∞ for these and 0 for the others, [B, 1, N, M + N].

    From steps [M + N] and episodes [B, M + N].
    """
    order = torch.arange(len(steps), device=steps.device)
    near = (order[-readers:, None] >= order) & (steps[-readers:, None] - steps <= window)
    same = episodes[:, -readers:, None] == episodes[:, None, :]
    return torch.where(near & same, 0.0, -math.inf).unsqueeze(1)


def aligned(scores: Tensor, every: int = 1) -> Tensor:
    """From scores by distance [..., N, K + e] to scores by token [..., N, K], where e is `every`.

    Column k of the input is distance K + e - 1 - k; of the output, token k. The last reader is the last token, and
    each reader is e tokens behind the next; so row i moves e (N - i) to the left, which rows of K + e do that are read
    as rows of K. What moves in from the next row are tokens after the reader, which it does not see.
    """
    readers, tokens = scores.shape[-2], scores.shape[-1] - every
    return scores.flatten(-2)[..., every * readers :].unflatten(-1, (readers, tokens))


def sinusoids(positions: Tensor, width: int) -> Tensor:
    """Sine and cosine of positions [N] at width / 2 wavelengths from 2π to 2π · 10000: [N, width]."""
    rates = torch.exp(torch.arange(0, width, 2, device=positions.device) * (-math.log(10_000) / width))
    angles = positions.unsqueeze(1) * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)
