"""Directions in the parameter space of a network, low rank in each of its tensors (L3D, section 2).

A subnetwork has a factorised entry for every tensor: a vector as it is, a matrix as U Vᵀ, and a tensor of more axes
(a convolution's weight) in Tucker form, a small core times one factor matrix an axis. To work with them their entries
are written out, block by block, so that of a large network K × parameters are never held at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from agentomy.networks.stacked import Stack

IN, OUT = 0, 1  # V_in and V_out, side by side
LIMIT = 2**25  # entries of subnetworks that are written out at once

Block = list[tuple[str, slice]]  # some tensors, of each some rows (places along its first axis)


class Subnetworks(Stack):
    """V_in and V_out of K subnetworks for each of S networks: all factors of one side by side, [S, 2, K, numbers]."""

    def __init__(self, seeds: int, *, shapes: Mapping[str, Sequence[int]], count: int, rank: int):
        super().__init__()
        # by name: a description may come back from a file in another order
        self.shapes = {name: [side for side in shape if side > 1] or [1] for name, shape in sorted(shapes.items())}
        self.parts = {name: parts(shape, rank) for name, shape in self.shapes.items()}
        sizes = [prod(part) for parts_of_one in self.parts.values() for part in parts_of_one]
        self.ends = np.cumsum([0, *sizes]).tolist()
        self.weights = nn.Parameter(torch.zeros(seeds, 2, count, self.ends[-1]))
        # a factor's share of a change of norm
        exponents = [1 / len(parts_of_one) for parts_of_one in self.parts.values() for _ in parts_of_one]
        self.register_buffer("shares", torch.tensor(np.repeat(exponents, sizes)).float(), persistent=False)
        self.blocks = self.cut(LIMIT // (2 * count))
        self.lengths = [
            [(rows.stop - rows.start) * prod(self.shapes[name][1:]) for name, rows in block] for block in self.blocks
        ]

    def _apply(self, *arguments, **options) -> "Subnetworks":
        """When the numbers move (to a device, to another precision), views of them go."""
        self.__dict__.pop("weight_views", None)
        self.__dict__.pop("grads", None)
        return super()._apply(*arguments, **options)

    @torch.no_grad()
    def draw(self, generators: Sequence[torch.Generator]) -> "Subnetworks":
        """Random directions of unit norm; V_in is a copy of V_out."""
        for values, generator in zip(self.weights, generators, strict=True):
            values.copy_(torch.randn(values.shape[1:], generator=generator, device=generator.device))
        self.rescale(IN, OUT)
        return self

    def factors(self, numbers: Tensor) -> dict[str, list[Tensor]]:
        """Views of [..., numbers] as the factors of each tensor, each [..., *part].

        They are [v] of a vector, [U, V] of a matrix, and [core, one for each axis] of a tensor of more axes.
        """
        flat = iter(numbers[..., start:end] for start, end in pairwise(self.ends))
        return {name: [next(flat).unflatten(-1, part) for part in parts] for name, parts in self.parts.items()}

    def views(self, numbers: Tensor) -> list[list[list[list[Tensor]]]]:
        """The same by side, block and tensor; made once, as making them takes longer than small products."""
        sides = [self.factors(numbers[:, side]) for side in (IN, OUT)]
        return [[[rows_of(factors[name], rows) for name, rows in block] for block in self.blocks] for factors in sides]

    @cached_property
    def weight_views(self) -> list[list[list[list[Tensor]]]]:
        return self.views(self.weights.detach())

    @cached_property
    def grads(self) -> list[list[list[list[Tensor]]]]:
        self.weights.grad = torch.zeros_like(self.weights)
        return self.views(self.weights.grad)

    def entries(self, block: int, side: int) -> Tensor:
        """The entries of all subnetworks in a block of the network's parameters, [S, K, n]."""
        return torch.cat([written(factors) for factors in self.weight_views[side][block]], dim=-1)

    def learn(self, block: int, side: int, gradient: Tensor) -> None:
        """Add to `.grad` what a gradient with respect to the entries of a block [S, K, n] means for the factors."""
        parts = gradient.split(self.lengths[block], dim=-1)
        for factors, grads, part in zip(self.weight_views[side][block], self.grads[side][block], parts, strict=True):
            backwards(factors, grads, part)

    @torch.no_grad()
    def rescale(self, *sides: int) -> None:
        """Give the subnetworks of V_out (or of both) unit norm, each factor of a tensor taking its share of it."""
        for side in sides or (OUT,):
            norms = self.norms(side).clamp_min(1e-30).unsqueeze(-1)
            self.weights.data[:, side] *= norms ** (-self.shares)

    @torch.no_grad()
    def norms(self, side: int) -> Tensor:
        """Norms of the subnetworks [S, K]."""
        return sum(self.entries(block, side).square().sum(dim=-1) for block in range(len(self.blocks))).sqrt()

    def dense(self, name: str, side: int = OUT) -> Tensor:
        """The entries of all subnetworks in one tensor, [S, K, *shape]."""
        return written(self.factors(self.weights.detach()[:, side])[name]).unflatten(-1, self.shapes[name])

    def cut(self, limit: int) -> list[Block]:
        """The network's parameters in blocks of at most so many (but whole rows), in order."""
        blocks, size = [[]], 0
        for name, shape in self.shapes.items():
            row = prod(shape[1:])
            at = 0
            while at < shape[0]:
                if size and size + row > limit:
                    blocks.append([])
                    size = 0
                stop = min(shape[0], at + max(1, (limit - size) // row))
                blocks[-1].append((name, slice(at, stop)))
                size += (stop - at) * row
                at = stop
        return blocks

    def flat(self, gradients: Mapping[str, Tensor]) -> list[Tensor]:
        """Gradients by tensor [S, B, *shape] as one table a block, [S, B, n]."""
        shaped = {name: gradients[name].reshape(*gradients[name].shape[:2], *self.shapes[name]) for name in self.shapes}
        return [
            torch.cat([shaped[name][:, :, rows].flatten(2) for name, rows in block], dim=2) for block in self.blocks
        ]

    def inside(self, gradients: Sequence[Tensor]) -> Tensor:
        """V_in g of gradients, by block: [S, B, K]."""
        return sum(gradient @ self.entries(block, IN).mT for block, gradient in enumerate(gradients))

    def rebuilding(self, gradients: Sequence[Tensor], kept: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Block by block, V_out [S, groups, K/groups, n] and g - V_out c [S, groups, B, n].

        The coefficients c are `kept` [S, groups, B, K/groups]: each group of subnetworks rebuilds gradients by itself.
        """
        for block, gradient in enumerate(gradients):
            outside = self.entries(block, OUT).unflatten(1, (kept.shape[1], -1))
            yield outside, gradient.unsqueeze(1) - kept @ outside


def parts(shape: Sequence[int], rank: int) -> list[tuple[int, ...]]:
    """Shapes of the factors of a tensor."""
    if len(shape) == 1:
        return [(shape[0],)]
    ranks = [min(rank, side) for side in shape]
    if len(shape) == 2:
        return [(side, min(ranks)) for side in shape]
    return [tuple(ranks), *zip(shape, ranks, strict=True)]


def rows_of(factors: Sequence[Tensor], rows: slice) -> list[Tensor]:
    """The factors of some rows of a tensor: the first axis has one of its own."""
    if len(factors) == 1:
        return [factors[0][..., rows]]
    first = 0 if len(factors) == 2 else 1
    return [factor[..., rows, :] if number == first else factor for number, factor in enumerate(factors)]


def written(factors: Sequence[Tensor]) -> Tensor:
    """What factors [..., *part] stand for, [..., n]."""
    if len(factors) == 1:
        return factors[0]
    if len(factors) == 2:
        return (factors[0] @ factors[1].mT).flatten(-2)
    return steps(factors)[-1].flatten(-len(factors) + 1)


def steps(factors: Sequence[Tensor]) -> list[Tensor]:
    """The core, and what becomes of it axis by axis: the first, long as a rank, becomes the last, long as a side."""
    core, *matrices = factors
    products = [core]
    for matrix in matrices:
        first = products[-1].flatten(-len(matrices) + 1)  # [..., rank, others]
        products.append((first.mT @ matrix.mT).unflatten(-2, products[-1].shape[-len(matrices) + 1 :]))
    return products


def backwards(factors: Sequence[Tensor], grads: Sequence[Tensor], gradient: Tensor) -> None:
    """Add to `grads` the gradients of factors [..., *part] from that of what they stand for [..., n]."""
    if len(factors) == 1:
        grads[0].add_(gradient)
    elif len(factors) == 2:
        left, right = factors
        gradient = gradient.unflatten(-1, (left.shape[-2], right.shape[-2]))
        grads[0].add_(gradient @ right)
        grads[1].add_(gradient.mT @ left)
    else:
        matrices, products = factors[1:], steps(factors)
        gradient = gradient.view(products[-1].shape)
        for number in reversed(range(len(matrices))):
            gradient = gradient.flatten(-len(matrices), -2)  # [..., others, side]
            before = products[number].flatten(-len(matrices) + 1)  # [..., rank, others]
            grads[number + 1].add_((before @ gradient).mT)
            gradient = (gradient @ matrices[number]).mT.unflatten(-1, products[number].shape[-len(matrices) + 1 :])
        grads[0].add_(gradient)
