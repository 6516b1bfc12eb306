"""Low-rank subnetworks do what their written-out entries would, and are as long and as low in rank as they say."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agentomy import networks
from agentomy.networks import subnetworks
from agentomy.networks.subnetworks import IN, OUT, Subnetworks
from tests.lenses.l3d_tables import factors_of

SHAPES = {"bias": [5], "weight": [4, 6], "sequence": [3, 2, 4], "block.conv.weight": [3, 2, 3, 2]}
some = settings(max_examples=40)


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
    factors = [factor.detach().numpy()[:, side] for factor in net.factors(net.weights)[name]]
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
    entries = [plain(net, name, side) for name in net.shapes]
    return np.concatenate([tensor.reshape(*tensor.shape[:2], -1) for tensor in entries], axis=2)


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


def flat_gradients(given: dict[str, torch.Tensor]) -> np.ndarray:
    """[S, B, parameters]."""
    return np.concatenate([gradient.flatten(2).numpy() for gradient in given.values()], axis=2)


@given(nets())
@some
def test_readings_of_gradients_are_products_with_the_entries_for_all_shapes(net):
    given = gradients_for(net)
    expected = flat_gradients(given) @ everything(net, IN).swapaxes(1, 2)
    np.testing.assert_allclose(net.inside(net.flat(given)), expected, atol=1e-10)


@given(nets(), st.integers(1, 3))
@some
def test_the_residual_of_gradients_is_what_the_entries_do_not_rebuild_by_group(net, groups):
    given, count = gradients_for(net), net.weights.shape[2]
    groups = groups if count % groups == 0 else 1
    size = count // groups
    seeds, batch, _ = flat_gradients(given).shape
    kept = np.random.default_rng(0).standard_normal((seeds, groups, batch, size))
    rebuilt = [
        (outside.numpy(), error.numpy()) for outside, error in net.rebuilding(net.flat(given), torch.tensor(kept))
    ]
    outside, errors = (np.concatenate(parts, axis=3) for parts in zip(*rebuilt, strict=True))
    entries = everything(net, OUT)
    for group in range(groups):
        part = entries[:, group * size : (group + 1) * size]
        np.testing.assert_allclose(outside[:, group], part, atol=1e-12)
        np.testing.assert_allclose(errors[:, group], flat_gradients(given) - kept[:, group] @ part, atol=1e-10)


@given(nets())
@some
def test_norms_are_those_of_the_entries_whatever_the_shapes(net):
    for side in (IN, OUT):
        np.testing.assert_allclose(net.norms(side), np.linalg.norm(everything(net, side), axis=2), atol=1e-9)


@given(nets())
@some
def test_what_is_learned_is_what_the_entries_would_learn_whatever_the_shapes(net):
    """Gradients at the factors are those of Σ entries × wanted, by finite differences (it is linear in each number)."""
    rng = np.random.default_rng(0)
    wanted = {side: rng.standard_normal(everything(net, side).shape) for side in (IN, OUT)}
    assert net.grads  # made
    at = 0
    for block, lengths in enumerate(net.lengths):
        for side in (IN, OUT):
            net.learn(block, side, torch.tensor(wanted[side][..., at : at + sum(lengths)]))
        at += sum(lengths)
    assert at == wanted[IN].shape[2]
    with torch.no_grad():
        for number in rng.permutation(net.weights.numel())[:12]:
            ends = []
            for move in (1.0, -2.0, 1.0):  # and back
                net.weights.view(-1)[number] += move
                ends.append(sum((everything(net, side) * wanted[side]).sum() for side in (IN, OUT)))
            assert net.weights.grad.view(-1)[number].item() == pytest.approx((ends[0] - ends[1]) / 2, abs=1e-8)


@pytest.mark.parametrize("limit", [1, 100, 150, 400])
def test_entries_written_out_a_few_at_a_time_make_no_difference(monkeypatch, limit):
    results = []
    for most in (2**25, limit):
        monkeypatch.setattr(subnetworks, "LIMIT", most)
        net = unequal(drawn(count=7))
        given = net.flat(gradients_for(net))
        kept = torch.tensor(np.random.default_rng(0).standard_normal((2, 1, 5, 7)))
        errors = []
        for block, (_, error) in enumerate(net.rebuilding(given, kept)):
            errors.append(error)
            net.learn(block, OUT, (kept.mT @ error).flatten(1, 2))
        results.append([net.inside(given), torch.cat(errors, dim=3), net.norms(OUT), net.weights.grad])
    assert len(net.blocks) > 1
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


def test_blocks_hold_each_row_of_each_tensor_once_and_in_order():
    net = drawn({"a": [5, 3], "b": [4], "c": [2, 3, 2, 2]})
    for limit in (1, 7, 20, 1000):
        rows = {name: [] for name in net.shapes}
        for block in net.cut(limit):
            for name, part in block:
                rows[name] += range(part.start, part.stop)
            sizes = [(part.stop - part.start) * int(np.prod(net.shapes[name][1:])) for name, part in block]
            assert sum(sizes) <= limit or sizes == [int(np.prod(net.shapes[block[0][0]][1:]))]
        assert rows == {name: list(range(shape[0])) for name, shape in net.shapes.items()}


def test_views_follow_the_numbers_to_another_precision():
    net = Subnetworks(1, shapes=SHAPES, count=2, rank=1).draw([networks.generator(0)])
    before = net.entries(0, OUT)
    net.double()
    with torch.no_grad():
        net.weights *= 2
    assert net.entries(0, OUT).dtype == torch.float64
    assert not torch.equal(net.entries(0, OUT), before.double())


# ---- norms -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", [1, 2, 9])
def test_drawn_subnetworks_have_norm_one_and_are_read_as_they_are_written(rank):
    net = drawn(rank=rank)
    np.testing.assert_allclose(np.linalg.norm(everything(net, OUT), axis=2), 1, atol=1e-6)
    assert torch.equal(net.weights[:, IN], net.weights[:, OUT])
    for factor in factors_of(net).values():
        assert not torch.equal(factor[:, OUT, 0], factor[:, OUT, 1])
        assert not torch.equal(factor[0], factor[1])


def test_rescaling_gives_v_out_unit_norm_and_keeps_its_direction_and_v_in():
    net = unequal(drawn())
    inside, outside = everything(net, IN), everything(net, OUT)
    net.rescale()
    assert np.array_equal(everything(net, IN), inside)
    expected = outside / np.linalg.norm(outside, axis=2, keepdims=True)
    np.testing.assert_allclose(everything(net, OUT), expected, atol=1e-12)


def test_a_subnetwork_of_zeros_stays_one():
    net = drawn()
    with torch.no_grad():
        net.weights[:, :, 1] = 0
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
                    core = np.prod([min(rank, length) for length in shape]) // min(rank, side)  # of the other axes
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
        for factor, values in zip(net.factors(net.weights)["w"], factors, strict=True):
            factor[0, OUT, 0] = torch.tensor(values)
    np.testing.assert_allclose(net.dense("w")[0, 0].detach(), wanted, atol=1e-12)


def halves(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """U and V with U Vᵀ the matrix, as narrow as can be."""
    u, sizes, v = np.linalg.svd(matrix, full_matrices=False)
    return u * sizes, v.T


def test_axes_of_length_one_do_not_count():
    net = drawn({"pointwise": [4, 3, 1, 1], "single": [1]})
    assert net.shapes == {"pointwise": [4, 3], "single": [1]}
    assert len(net.parts["pointwise"]) == 2
    assert net.inside(net.flat(gradients_for(net))).shape == (2, 5, 3)


def test_a_description_rebuilds_the_stack():
    net = drawn().float()
    description = {"use": networks.use(Subnetworks), "shapes": SHAPES, "count": 3, "rank": 2}
    again = networks.build(description, 2).load(net.arrays())
    for name in SHAPES:
        assert torch.equal(again.dense(name), net.dense(name))
