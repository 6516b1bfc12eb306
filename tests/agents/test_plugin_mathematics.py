"""The mathematics of PPTB: equal to a plain SVD, exact where the answer is known, safe where the path is degenerate."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentomy.agents.plugins import paths
from agentomy.agents.plugins.paths import trimmed_and_boosted

every_trim = pytest.mark.parametrize("trim", ["zero", "hold", "none"])
every_variant = pytest.mark.parametrize("variant", ["raw", "delta"])
any_seed = given(seed=st.integers(0, 10_000))
few = settings(max_examples=20)


def random_path(seed, snapshots=8, parameters=40, rank=None):
    rng = np.random.default_rng(seed)
    rank = rank or snapshots
    return rng.normal(size=(snapshots, rank)) @ rng.normal(size=(rank, parameters))


def by_plain_svd(path, keep, boosted, boost, trim, variant):
    """The algorithm step by step: decompose, change the last row's coordinates one by one, put together again."""
    begin = path[0] if variant == "delta" else np.zeros(path.shape[1])
    u, s, vt = np.linalg.svd(path - begin, full_matrices=False)
    policy = begin.copy()
    for k in range(len(s)):
        coordinate = u[-1, k]
        if k >= keep and trim == "zero":
            coordinate = 0.0
        if k >= keep and trim == "hold":
            coordinate = u[0, k]
        if k < boosted:
            coordinate += boost * (u[-1, k] - u[0, k])
        policy += coordinate * s[k] * vt[k]
    return policy


@every_trim
@every_variant
@any_seed
@few
def test_pptb_equals_a_plain_svd(trim, variant, seed):
    path = random_path(seed)
    keep, boosted = np.random.default_rng(seed).integers(0, 9, 2)
    expected = by_plain_svd(path, keep, boosted, 0.3, trim, variant)
    np.testing.assert_allclose(trimmed_and_boosted(path, keep, boosted, 0.3, trim, variant), expected, atol=1e-9)


@every_trim
@every_variant
@any_seed
@few
def test_keeping_all_and_boosting_nothing_gives_the_policy_back(trim, variant, seed):
    path = random_path(seed).astype(np.float32)
    assert (trimmed_and_boosted(path, len(path), 2, 0.0, trim, variant) == path[-1]).all()


@pytest.mark.parametrize(("variant", "rank"), [("delta", 1), ("raw", 2)])
@given(seed=st.integers(0, 10_000), more=st.integers(0, 3), boost=st.floats(-1, 1))
@few
def test_a_straight_line_is_boosted_along_itself(variant, rank, seed, more, boost):
    start, slope = random_path(seed, snapshots=2)
    path = start + np.linspace(0, 1, 6)[:, None] * slope
    boosted = trimmed_and_boosted(path, 6, rank + more, boost, "none", variant)
    np.testing.assert_allclose(boosted, path[-1] + boost * (path[-1] - path[0]), atol=1e-7)


@every_trim
@given(seed=st.integers(0, 10_000), rank=st.integers(1, 5))
@few
def test_trimming_a_path_of_few_directions_changes_nothing(trim, seed, rank):
    path = random_path(seed, rank=rank)
    np.testing.assert_allclose(trimmed_and_boosted(path, rank, 0, 0.0, trim, "raw"), path[-1], atol=1e-6)
    from_start = path[0] + np.concatenate([np.zeros_like(path[:1]), path])
    np.testing.assert_allclose(trimmed_and_boosted(from_start, rank, 0, 0.0, trim, "delta"), from_start[-1], atol=1e-6)


@every_trim
@every_variant
def test_the_signs_of_directions_do_not_matter(monkeypatch, trim, variant):
    path = random_path(0)
    expected = trimmed_and_boosted(path, 4, 2, 0.3, trim, variant)
    temporal_directions, signs = paths.temporal_directions, np.random.default_rng(0).choice([-1, 1], len(path))
    assert (signs < 0).any()
    monkeypatch.setattr(paths, "temporal_directions", lambda *arguments: temporal_directions(*arguments) * signs)
    np.testing.assert_allclose(trimmed_and_boosted(path, 4, 2, 0.3, trim, variant), expected, atol=1e-12)


@every_trim
@every_variant
def test_repeated_snapshots_do_no_harm(trim, variant):
    still = np.repeat(random_path(0, snapshots=1), 8, axis=0)
    np.testing.assert_allclose(trimmed_and_boosted(still, 1, 2, 0.5, trim, variant), still[0], atol=1e-6)
    path = np.repeat(random_path(1, snapshots=3), 3, axis=0)
    expected = by_plain_svd(path, 2, 2, 0.3, trim, variant)
    np.testing.assert_allclose(trimmed_and_boosted(path, 2, 2, 0.3, trim, variant), expected, atol=1e-6)
    assert (trimmed_and_boosted(np.zeros((4, 3)), 1, 2, 0.5, trim, variant) == 0).all()


def test_zero_and_hold_are_one_on_differences_and_two_on_raw_parameters():
    path = random_path(3)
    zero, hold = (trimmed_and_boosted(path, 3, 2, 0.1, trim, "delta") for trim in ("zero", "hold"))
    np.testing.assert_allclose(zero, hold, atol=1e-6)
    zero, hold = (trimmed_and_boosted(path, 3, 2, 0.1, trim, "raw") for trim in ("zero", "hold"))
    assert np.abs(zero - hold).max() > 0.1


@every_variant
def test_small_steps_far_from_the_origin_keep_their_precision(variant):
    path = (100 + 1e-3 * np.cumsum(random_path(4, snapshots=12, parameters=500), axis=0)).astype(np.float32)
    expected = by_plain_svd(path.astype(np.float64), 4, 2, 0.5, "hold", variant)
    np.testing.assert_allclose(trimmed_and_boosted(path, 4, 2, 0.5, "hold", variant), expected, atol=1e-6)


@every_variant
def test_blocks_of_columns_change_nothing(monkeypatch, variant):
    path = random_path(5)
    expected = trimmed_and_boosted(path, 3, 2, 0.3, "zero", variant)
    monkeypatch.setattr(paths, "BLOCK", 7)
    np.testing.assert_allclose(trimmed_and_boosted(path, 3, 2, 0.3, "zero", variant), expected, atol=1e-10)


def test_the_average_has_the_horizon_of_the_window():
    ages = np.arange(4000)
    decay = (5 - 1) / (5 + 1)
    assert np.isclose((ages * decay**ages).sum() / (decay**ages).sum(), (5 - 1) / 2)
    weights = decay ** np.arange(4, -1, -1)
    path = random_path(6, snapshots=5)
    np.testing.assert_allclose(paths.averaged(path), weights / weights.sum() @ path)
    assert (paths.averaged(path[:1]) == path[0]).all()


@every_trim
def test_pptb_moves_along_its_own_directions_as_the_control_does_along_given_ones(trim):
    path = random_path(7)
    directions = np.linalg.svd(path, full_matrices=False)[2].T
    expected = trimmed_and_boosted(path, 3, 2, 0.3, trim, "raw")
    np.testing.assert_allclose(paths.moved_along(path, directions, 3, 2, 0.3, trim), expected, atol=1e-9)
