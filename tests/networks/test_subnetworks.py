"""Low-rank subnetworks do what their written-out entries would, and are as long and as low in rank as they say."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agentomy import networks
from agentomy.networks import subnetworks
from agentomy.networks.subnetworks import IN, OUT, Subnetworks

SHAPES = {"bias": [5], "weight": [4, 6], "sequence": [3, 2, 4], "block.conv.weight": [3, 2, 3, 2]}
some = settings(max_examples=40, deadline=None)


def drawn(shapes: dict = SHAPES, seeds: int = 2, count: int = 3, rank: int = 2) -> Subnetworks:
    net = Subnetworks(seeds, shapes=shapes, count=count, rank=rank).double()
    return net.draw([networks.generator(seed) for seed in range(seeds)])


def unequal(net: Subnetworks, seed: int = 0) -> Subnetworks:
    """V_in and V_out of any norm, and not each other's copies."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for factor in net.parameters():
            factor.copy_(torch.randn(factor.shape, generator=generator, dtype=factor.dtype))
    return net


def plain(net: Subnetworks, name: str, side: int) -> np.ndarray:
    """Entries [S, K, *shape] by sums over ranks."""
    factors = [factor.detach().numpy()[:, side] for factor in net.of(name)]
    if len(factors) == 1:
        return factors[0]
    if len(factors) == 2:
        u, v = factors
        return sum(u[..., :, None, r] * v[..., None, :, r] for r in range(u.shape[-1]))
    if len(factors) == 4:
        return np.einsum("...abc,...ia,...jb,...kc->...ijk", *factors)
    return np.einsum("...abcd,...ia,...jb,...kc,...ld->...ijkl", *factors)


def everything(net: Subnetworks, side: int) -> np.ndarray:
    """All entries of each subnetwork, [S, K, parameters]."""
    found = [plain(net, name, side) for name in net.shapes]
    return np.concatenate([each.reshape(*each.shape[:2], -1) for each in found], axis=2)


def gradients_for(net: Subnetworks, batch: int = 5, seed: int = 1) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    seeds = len(next(net.parameters()))
    return {name: torch.tensor(rng.standard_normal((seeds, batch, *shape))) for name, shape in net.shapes.items()}


@st.composite
def nets(draw) -> Subnetworks:
    sides = st.lists(st.integers(1, 4), min_size=1, max_size=4)
    shapes = {f"tensor.{i}": shape for i, shape in enumerate(draw(st.lists(sides, min_size=1, max_size=3)))}
    numbers = {name: draw(st.integers(1, 4)) for name in ("count", "rank", "seeds")}
    return unequal(drawn(shapes, **numbers), draw(st.integers(0, 99)))


# ---- written out -----------------------------------------------------------------------------------------------------


@given(nets())
@some
def test_entries_are_sums_over_ranks_whatever_the_shapes(net):
    for name in net.shapes:
        for side in (IN, OUT):
            np.testing.assert_allclose(net.dense(name, side).detach(), plain(net, name, side), atol=1e-12)


@given(nets())
@some
def test_products_with_gradients_are_those_of_the_entries_whatever_the_shapes(net):
    given = gradients_for(net)
    flat = np.concatenate([each.flatten(2).numpy() for each in given.values()], axis=2)
    found = net.project(given).detach()
    for side in (IN, OUT):
        np.testing.assert_allclose(found[:, side], flat @ everything(net, side).swapaxes(1, 2), atol=1e-10)


@given(nets())
@some
def test_products_with_each_other_and_norms_are_those_of_the_entries_whatever_the_shapes(net):
    for side in (IN, OUT):
        entries = everything(net, side)
        products = entries @ entries.swapaxes(1, 2)
        np.testing.assert_allclose(net.gram(side)[:, 0].detach(), products, atol=1e-9)
        np.testing.assert_allclose(net.norms(side).detach(), np.linalg.norm(entries, axis=2), atol=1e-9)


def test_products_inside_groups_are_the_blocks_on_the_diagonal():
    net = unequal(drawn(count=6))
    whole, grouped = net.gram(OUT).detach()[:, 0], net.gram(OUT, groups=3).detach()
    assert grouped.shape == (2, 3, 2, 2)
    for group in range(3):
        own = slice(2 * group, 2 * group + 2)
        torch.testing.assert_close(grouped[:, group], whole[:, own, own])


@pytest.mark.parametrize("limit", [1, 100, 150])
def test_entries_written_out_a_few_at_a_time_make_no_difference_to_products_or_to_learning(monkeypatch, limit):
    made = []
    for each in (2**25, limit):
        monkeypatch.setattr(subnetworks, "LIMIT", each)
        net = unequal(drawn(count=7))
        products = net.project(gradients_for(net))
        products.square().sum().backward()
        made.append([products.detach(), *(factor.grad for factor in net.parameters())])
    for one, other in zip(*made, strict=True):
        torch.testing.assert_close(one, other)


def test_what_is_learned_is_what_the_entries_would_learn():
    """Gradients at the factors through `project` and `gram` are those through the entries, by finite differences."""
    net = unequal(drawn({"b": [2], "w": [3, 2], "c": [2, 2, 2]}, seeds=1, count=2))
    given = gradients_for(net, batch=3)

    def total() -> torch.Tensor:
        return net.project(given).square().sum() + net.gram(OUT).square().sum()

    total().backward()
    with torch.no_grad():
        for factor in net.parameters():
            slopes = torch.zeros(factor.numel(), dtype=torch.float64)
            for i in range(factor.numel()):
                ends = []
                for move in (1e-5, -2e-5, 1e-5):  # and back
                    factor.view(-1)[i] += move
                    ends.append(total())
                slopes[i] = (ends[0] - ends[1]) / 2e-5
            torch.testing.assert_close(slopes.view_as(factor), factor.grad, atol=1e-5, rtol=1e-5)


# ---- norms -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", [1, 2, 9])
def test_drawn_subnetworks_have_norm_one_and_are_read_as_they_are_written(rank):
    net = drawn(rank=rank)
    np.testing.assert_allclose(np.linalg.norm(everything(net, OUT), axis=2), 1, atol=1e-12)
    for factor in net.parameters():
        assert torch.equal(factor[:, IN], factor[:, OUT])
        assert not torch.equal(factor[:, OUT, 0], factor[:, OUT, 1])
        assert not torch.equal(factor[0], factor[1])


def test_rescaling_gives_what_is_written_norm_one_in_its_own_direction_and_leaves_what_is_read():
    net = unequal(drawn())
    inside, outside = everything(net, IN), everything(net, OUT)
    net.rescale()
    assert np.array_equal(everything(net, IN), inside)
    expected = outside / np.linalg.norm(outside, axis=2, keepdims=True)
    np.testing.assert_allclose(everything(net, OUT), expected, atol=1e-12)


def test_a_subnetwork_of_zeros_stays_one():
    net = drawn()
    with torch.no_grad():
        for factor in net.parameters():
            factor[:, :, 1] = 0
    net.rescale()
    assert (everything(net, OUT)[:, 1] == 0).all()
    assert np.isfinite(everything(net, OUT)).all()


def test_seeds_draw_their_own_directions_and_a_stack_draws_those_of_its_seeds():
    net = drawn(seeds=3)
    for seed in range(3):
        alone = Subnetworks(1, shapes=SHAPES, count=3, rank=2).double().draw([networks.generator(seed)])
        np.testing.assert_allclose(everything(alone, OUT)[0], everything(net, OUT)[seed], atol=1e-12)


# ---- ranks -----------------------------------------------------------------------------------------------------------


def unfolded(tensor: np.ndarray):
    """The matrices of a tensor: each axis against the rest."""
    return [np.moveaxis(tensor, axis, 0).reshape(tensor.shape[axis], -1) for axis in range(tensor.ndim)]


@pytest.mark.parametrize("rank", [1, 2, 3, 8])
def test_a_subnetwork_has_the_rank_that_was_asked_for_along_every_axis_of_a_tensor(rank):
    net = unequal(drawn(rank=rank))
    for name, shape in net.shapes.items():
        for tensor in net.dense(name).detach().numpy().reshape(-1, *shape):
            if len(shape) > 1:
                for matrix in unfolded(tensor):
                    side, rest = matrix.shape
                    core = np.prod([min(rank, each) for each in shape]) // min(rank, side)  # of the other axes
                    assert np.linalg.matrix_rank(matrix) == min(rank, side, rest, core)


def test_a_vector_may_be_any_at_rank_one():
    net = unequal(drawn({"bias": [7]}, count=7, rank=1))
    assert np.linalg.matrix_rank(net.dense("bias")[0].detach().numpy()) == 7


@pytest.mark.parametrize("shape", [[4], [3, 5], [5, 3], [2, 3, 4], [3, 2, 3, 2]])
def test_at_full_rank_any_direction_can_be_had(shape):
    net, rng = drawn({"w": shape}, seeds=1, count=1, rank=max(shape)), np.random.default_rng(0)
    wanted = rng.standard_normal(shape)
    if len(shape) == 2:
        factors = halves(wanted)
    else:
        factors = [wanted] if len(shape) == 1 else [wanted, *(np.eye(side) for side in shape)]
    with torch.no_grad():
        for factor, values in zip(net.of("w"), factors, strict=True):
            factor[0, OUT, 0] = torch.tensor(values)
    np.testing.assert_allclose(net.dense("w")[0, 0].detach(), wanted, atol=1e-12)


def halves(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """U and V with U Vᵀ the matrix, as narrow as can be."""
    u, sizes, v = np.linalg.svd(matrix, full_matrices=False)
    return u * sizes, v.T


def test_axes_of_length_one_do_not_count():
    net = drawn({"pointwise": [4, 3, 1, 1], "single": [1]})
    assert net.shapes == {"pointwise": [4, 3], "single": [1]}
    assert len(net.of("pointwise")) == 2
    assert net.project(gradients_for(net)).shape == (2, 2, 5, 3)


def test_a_description_rebuilds_the_stack():
    net = drawn().float()
    description = {"use": networks.use(Subnetworks), "shapes": SHAPES, "count": 3, "rank": 2}
    again = networks.build(description, 2).load(net.arrays())
    for name in SHAPES:
        assert torch.equal(again.dense(name), net.dense(name))
