"""Directions in the parameter space of a network, low rank in each of its tensors (L3D, section 2).

A subnetwork has a factorised entry for every tensor: a vector as it is, a matrix as U Vᵀ, and a tensor of more axes
(a convolution's weight) in Tucker form, a small core times one factor matrix an axis. What is asked of them, products
with gradients and among themselves, is computed from the factors; so nothing of size K × parameters is ever held.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from agentomy.networks.stacked import Stack

IN, OUT = 0, 1  # V_in and V_out, side by side in every factor
AXES = "defghi"  # a tensor's, in equations


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
        for name, shape in self.shapes.items():
            factors = self.of(name)
            gradient = gradients[name].reshape(*gradients[name].shape[:2], *shape)
            if len(shape) == 1:
                total = total + torch.einsum("sbn,szkn->szbk", gradient, factors[0])
            elif len(shape) == 2:
                left, right = factors
                narrow = torch.einsum("sbij,szkjr->szbkir", gradient, right)
                total = total + torch.einsum("szbkir,szkir->szbk", narrow, left)
            else:
                total = total + tucker_products(gradient, factors)
        return total

    def gram(self, side: int, groups: int = 1) -> Tensor:
        """Products of the subnetworks with each other, [S, groups, K/groups, K/groups], inside groups of them."""
        total = 0
        for name in self.shapes:
            factors = [factor[:, side].unflatten(1, (groups, -1)) for factor in self.of(name)]
            if len(factors) == 1:
                total = total + torch.einsum("sgkn,sgln->sgkl", factors[0], factors[0])
            else:
                matrices = factors if len(factors) == 2 else factors[1:]
                products = [torch.einsum("sgkir,sgliq->sgklrq", each, each) for each in matrices]
                if len(factors) == 2:
                    total = total + (products[0] * products[1]).sum(dim=(-2, -1))
                else:
                    total = total + core_products(factors[0], products)
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
        factors = [factor[:, side] for factor in self.of(name)]
        if len(factors) == 1:
            return factors[0]
        if len(factors) == 2:
            return torch.einsum("skir,skjr->skij", *factors)
        entries = factors[0]
        for axis, factor in enumerate(factors[1:], start=2):
            moved = torch.einsum("sk...r,skir->sk...i", entries.movedim(axis, -1), factor)
            entries = moved.movedim(-1, axis)
        return entries


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


def tucker_products(gradient: Tensor, factors: Sequence[Tensor]) -> Tensor:
    """Products [S, 2, B, K] of gradients [S, B, *shape] with Tucker forms; each axis becomes as short as its rank."""
    core, *matrices = factors
    axes, ranks = AXES[: len(matrices)], AXES[: len(matrices)].upper()
    seen = gradient
    for number in reversed(range(len(matrices))):
        lead = "sb" if seen is gradient else "szbk"
        before, after = axes[: number + 1] + ranks[number + 1 :], axes[:number] + ranks[number:]
        equation = f"{lead}{before},szk{axes[number]}{ranks[number]}->szbk{after}"
        seen = torch.einsum(equation, seen, matrices[number])
    return torch.einsum(f"szbk{ranks},szk{ranks}->szbk", seen, core)


def core_products(core: Tensor, products: Sequence[Tensor]) -> Tensor:
    """Products [S, G, K, K] of Tucker forms, from cores [S, G, K, *ranks] and factors' [S, G, K, K, rank, rank]."""
    ranks = AXES[: len(products)].upper()
    seen = core.unsqueeze(2).expand(*core.shape[:3], *core.shape[2:])  # the second core of each pair
    for rank, product in zip(ranks, products, strict=True):
        seen = torch.einsum(f"sgkl{ranks},sgklx{rank}->sgkl{ranks.replace(rank, 'x')}", seen, product)
    return torch.einsum(f"sgk{ranks},sgkl{ranks}->sgkl", core, seen)
