"""Sparse features are on as often as they should be, together with their block, and the targets are the task's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentomy import kinds
from agentomy.environments import superposition
from agentomy.seeds import Streams
from agentomy.tables import Table

some = settings(max_examples=40)


def points(seed: int = 0, **parameters) -> Table:
    given = {"inputs": 6, "task": "same", "train": 300, "decomposed": 50} | parameters
    return Table(
        kinds.subnetworks.POINTS, rows=superposition.features(**given, streams=Streams("test", "points", seed))
    )


def arrays(table: Table, split: str) -> tuple[np.ndarray, np.ndarray]:
    rows = table.where(split=split)
    return rows.array("inputs"), rows.array("targets")


@given(
    st.integers(1, 5), st.integers(1, 4), st.floats(0.02, 0.9), st.floats(-2, 0), st.floats(0.1, 2), st.integers(0, 99)
)
@some
def test_no_point_is_all_zero_blocks_are_on_together_and_values_keep_their_range(
    blocks, block, active, low, high, seed
):
    rng = np.random.default_rng(seed)
    points = superposition.sparse(rng, 40, blocks * block, block, active, low, high)
    by_block = (points != 0).reshape(40, blocks, block)
    assert points.any(axis=1).all()
    assert (by_block.all(axis=2) == by_block.any(axis=2)).all()
    on = points[points != 0]
    assert (on >= low).all()
    assert (on <= high).all()


@pytest.mark.parametrize(("blocks", "block", "active"), [(5, 1, 0.05), (6, 5, 0.05), (3, 2, 0.4), (1, 3, 0.05)])
def test_a_block_is_on_as_often_as_it_is_among_points_that_are_not_empty(blocks, block, active):
    """p / (1 - (1 - p)ⁿ) with n blocks."""
    points = superposition.sparse(np.random.default_rng(0), 20000, blocks * block, block, active, 0.0, 1.0)
    share = (points.reshape(20000, blocks, block) != 0).all(axis=2).mean(axis=0)
    expected = active / (1 - (1 - active) ** blocks)
    spread = np.sqrt(expected * (1 - expected) / 20000)
    np.testing.assert_allclose(share, expected, atol=max(4 * spread, 1e-12))


def test_blocks_are_on_independently_of_each_other():
    on = superposition.sparse(np.random.default_rng(1), 40000, 3, 1, 0.4, 0.0, 1.0) != 0
    both, empty = np.mean(on[:, 0] & on[:, 1]), 0.6**3
    assert both == pytest.approx(0.4**2 / (1 - empty), abs=0.01)


def test_values_are_uniform_and_independent_inside_a_block():
    points = superposition.sparse(np.random.default_rng(2), 20000, 2, 2, 0.5, -1.0, 3.0)
    deciles = np.histogram(points[:, 0], bins=10, range=(-1, 3))[0] / 20000
    np.testing.assert_allclose(deciles, 0.1, atol=0.01)
    assert abs(np.corrcoef(points.T)[0, 1]) < 0.03


def test_targets_are_those_of_the_task():
    for split in ("train", "decomposed", "unit"):
        x, y = arrays(points(task="same"), split)
        np.testing.assert_array_equal(x, y)
        x, y = arrays(points(task="squared", low=-1.0), split)
        np.testing.assert_allclose(y, x**2, rtol=1e-6)
    assert (arrays(points(task="squared", low=-1.0), "train")[0] < 0).any()
    mixed = points(task="mixed")
    matrix = arrays(mixed, "unit")[1]
    for split in ("train", "decomposed"):
        x, y = arrays(mixed, split)
        np.testing.assert_allclose(y, x @ matrix, rtol=1e-5, atol=1e-6)


def test_unit_points_are_single_features_and_targets_rows_of_a_matrix_from_0_to_3():
    x, matrix = arrays(points(inputs=40, task="mixed"), "unit")
    np.testing.assert_array_equal(x, np.eye(40))
    assert matrix.min() >= 0
    assert matrix.max() <= 3
    np.testing.assert_allclose(np.histogram(matrix, bins=6, range=(0, 3))[0] / 1600, 1 / 6, atol=0.04)


def test_points_are_numbered_within_their_split():
    table = points(inputs=6, train=30, decomposed=20)
    for split, count in (("train", 30), ("decomposed", 20), ("unit", 6)):
        assert table.where(split=split).values("sample").tolist() == list(range(count))


def test_points_depend_on_their_streams_alone():
    one, again, other = (points(seed, task="mixed").arrow() for seed in (0, 0, 1))
    assert one.equals(again)
    assert not one.equals(other)


def test_splits_are_different_draws_and_neither_depends_on_the_others_length():
    few, many = points(train=30), points(train=300)
    assert not np.array_equal(arrays(few, "train")[0], arrays(few, "decomposed")[0][:30])
    np.testing.assert_array_equal(arrays(few, "decomposed")[0], arrays(many, "decomposed")[0])


def test_features_that_do_not_fill_their_blocks_are_refused_in_one_line():
    with pytest.raises(ValueError, match="inputs: found 7; allowed: multiples of the block, 5"):
        superposition.features(inputs=7, task="same", train=2, decomposed=2, block=5, streams=Streams("t", "e", 0))
