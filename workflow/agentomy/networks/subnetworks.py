"""Directions in the parameter space of a network, low rank in each of its tensors (L3D, section 2).

A subnetwork has a factorised entry for every tensor: a vector as it is, a matrix as U Vᵀ, and a tensor of more axes
(a convolution's weight) in Tucker form, a small core times one factor matrix an axis. Products among them come from the
factors. For products with gradients the entries are written out, tensor by tensor, as one matrix product is fastest;
of large tensors for some subnetworks at a time, so that K × parameters are never held at once.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from agentomy.networks.stacked import Stack

IN, OUT = 0, 1  # V_in and V_out, side by side in every factor
LIMIT = 2**25  # entries of subnetworks that are written out at once


class Subnetworks(Stack):
    """V_in and V_out of K subnetworks for each of S networks: each factor [S, 2, K, *part]."""

    def __init__(self, seeds: int, *, shapes: Mapping[str, Sequence[int]], count: int, rank: int):
        super().__init__()
        self.shapes = {name: [side for side in shape if side > 1] or [1] for name, shape in shapes.items()}
        self.factors = nn.ParameterDict()
        for name, shape in self.shapes.items():
            for number, part in enumerate(parts(shape, rank)):
                self.factors[key(name, number)] = nn.Parameter(torch.zeros(seeds, 2, count, *part))

    @torch.no_grad()
    def draw(self, generators: Sequence[torch.Generator]) -> "Subnetworks":
        """Random directions of unit norm; V_in is a copy of V_out."""
        for factor in self.factors.values():
            for values, generator in zip(factor, generators, strict=True):
                drawn = torch.randn(values.shape[1:], generator=generator, device=generator.device)
                values.copy_(drawn.to(values))
        self.rescale(slice(None))
        return self

    def of(self, name: str) -> list[Tensor]:
        """The factors of a tensor: [v] for a vector, [U, V] for a matrix, [core, one an axis …] for more axes."""
        axes = len(self.shapes[name])
        return [self.factors[key(name, number)] for number in range(1 if axes == 1 else 2 if axes == 2 else axes + 1)]

    def project(self, gradients: Mapping[str, Tensor]) -> Tensor:
        """Products with gradients, by tensor [S, B, *shape]: [S, 2, B, K], of V_in and V_out."""
        total = 0
        for name in self.shapes:
            gradient, factors = gradients[name].flatten(2), self.of(name)
            several = max(1, LIMIT // (2 * gradient.shape[2]))
            groups = list(zip(*(factor.split(several, dim=2) for factor in factors), strict=True))
            if len(groups) == 1:
                total = total + products(gradient, *factors)
            else:  # entries are not kept for the way back but written out again
                made = [checkpoint(products, gradient, *group, use_reentrant=False) for group in groups]
                total = total + torch.cat(made, dim=3)
        return total

    def gram(self, side: int, groups: int = 1) -> Tensor:
        """Products of the subnetworks with each other, [S, groups, K/groups, K/groups], inside groups of them."""
        total = 0
        for name in self.shapes:
            factors = [factor[:, side].unflatten(1, (groups, -1)) for factor in self.of(name)]
            if len(factors) == 2:  # tr(V Uᵀ U' V'ᵀ): of a large matrix the entries are never needed
                left, right = (torch.einsum("sgkir,sgliq->sgklrq", each, each) for each in factors)
                total = total + (left * right).sum(dim=(-2, -1))
            else:
                found = entries(factors)
                total = total + found @ found.transpose(-1, -2)
        return total

    @torch.no_grad()
    def rescale(self, sides: int | slice = OUT) -> None:
        """Give each subnetwork of V_out (or of both) unit norm, each factor of a tensor taking its share of it."""
        sides = slice(sides, sides + 1) if isinstance(sides, int) else sides
        for side in range(2)[sides]:
            norm = self.norms(side)
            for name in self.shapes:
                factors = self.of(name)
                scale = norm.clamp_min(1e-30) ** (-1 / len(factors))
                for factor in factors:
                    factor[:, side] *= scale.view(*scale.shape, *[1] * (factor.dim() - 3))

    def norms(self, side: int) -> Tensor:
        """Norms of the subnetworks [S, K]."""
        count = next(iter(self.factors.values())).shape[2]
        return self.gram(side, groups=count)[:, :, 0, 0].clamp_min(0).sqrt()

    def dense(self, name: str, side: int = OUT) -> Tensor:
        """The entries of all subnetworks in one tensor, [S, K, *shape]."""
        return entries([factor[:, side] for factor in self.of(name)]).unflatten(2, self.shapes[name])


def key(name: str, number: int) -> str:
    """The name of a factor; a dot would make it a submodule's."""
    return f"{name.replace('.', ':')}/{number}"


def parts(shape: Sequence[int], rank: int) -> list[tuple[int, ...]]:
    """Shapes of the factors of a tensor."""
    if len(shape) == 1:
        return [(shape[0],)]
    ranks = [min(rank, side) for side in shape]
    matrices = list(zip(shape, [min(ranks)] * 2 if len(shape) == 2 else ranks, strict=True))
    return matrices if len(shape) == 2 else [tuple(ranks), *matrices]


def products(gradient: Tensor, *factors: Tensor) -> Tensor:
    """Products [S, 2, B, K] of gradients [S, B, n] with subnetworks, from their factors [S, 2, K, *part]."""
    return gradient.unsqueeze(1) @ entries(factors).transpose(2, 3)


def entries(factors: Sequence[Tensor]) -> Tensor:
    """What factors [..., *part] stand for, [..., n]."""
    if len(factors) == 1:
        return factors[0]
    if len(factors) == 2:
        return (factors[0] @ factors[1].transpose(-1, -2)).flatten(-2)
    found, *matrices = factors
    lead = found.shape[: -len(matrices)]
    for matrix in matrices:  # the first axis, as long as its rank, becomes the last, as long as it is
        first = found.reshape(*lead, matrix.shape[-1], -1)
        found = first.transpose(-1, -2) @ matrix.transpose(-1, -2)
    return found.reshape(*lead, -1)
