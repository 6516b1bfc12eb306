"""Groups of points: what is planted is found, and each number is that of its definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import adjusted_rand_score, homogeneity_completeness_v_measure, roc_auc_score

from agentomy.lenses import grouping


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=10), st.lists(st.floats(3, 4), min_size=1, max_size=10))
def test_the_cut_lies_in_the_largest_planted_gap(low, high):
    cut = grouping.largest_gap(np.sort(low + high))
    assert max(low) < cut < min(high)


def test_equal_heights_have_no_gap_and_make_one_group():
    assert grouping.largest_gap(np.array([2.0, 2.0])) > 2
    square = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]])
    assert set(grouping.single_linkage(square)[2]) == {0}


def test_single_linkage_finds_planted_clusters_of_any_shape(rng):
    ring = np.stack([np.cos(np.arange(60) / 9.55), np.sin(np.arange(60) / 9.55)], axis=1) * 5
    centre = rng.normal(size=(20, 2)) * 0.1
    _, _, labels = grouping.single_linkage(np.concatenate([ring, centre]))
    assert len(set(labels[:60])) == len(set(labels[60:])) == 1
    assert len(set(labels)) == 2


LABELS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=40)


@given(LABELS)
def test_agreement_is_that_of_scikit_learn(pairs):
    labels, types = np.array(pairs).T
    scores = grouping.agreement(labels, types)
    homogeneity, completeness, _ = homogeneity_completeness_v_measure(types, labels)
    expected = {"homogeneity": homogeneity, "completeness": completeness, "ari": adjusted_rand_score(types, labels)}
    assert scores == pytest.approx(expected, abs=1e-9)


POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 2)), min_size=3, max_size=25)


@given(POINTS)
def test_the_best_cut_is_the_best_of_all(points):
    *places, types = np.array(points).T
    links = linkage(np.stack(places, axis=1).astype(float), "single")
    cut, labels = grouping.best_cut(links, types)
    heights = np.unique(links[:, 2])
    every = [fcluster(links, height, "distance") for height in [*heights, *(heights[:1] / 2)]]
    scores = [adjusted_rand_score(types, groups) for groups in every]
    assert adjusted_rand_score(types, labels) == pytest.approx(max(scores))
    np.testing.assert_array_equal(fcluster(links, cut, "distance") - 1, labels)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_groups_numbered_by_size_are_the_same_groups(labels):
    labels = np.array(labels)
    numbered = grouping.by_size(labels)
    np.testing.assert_array_equal(numbered[:, None] == numbered, labels[:, None] == labels)
    sizes = np.bincount(numbered)
    assert (np.diff(sizes) <= 0).all()
    assert sizes.min() > 0


def test_the_spread_of_groups_in_closed_form():
    points = np.array([[0.0, 1], [0, -1], [5, 0], [9, 3], [9, -3], [7, 7], [7, 7]])
    labels = np.array([0, 0, 1, 2, 2, 3, 3])
    assert grouping.median_spread(points, labels) == 2  # of 1 and 3: one pixel, or equal ones, have none
    assert np.isnan(grouping.median_spread(points[2:3], np.array([0])))


@pytest.mark.parametrize("values", ["continuous", "tied"])
def test_separation_is_the_area_under_the_curve_of_scikit_learn(values):
    rng = np.random.default_rng(2)
    maps = rng.normal(size=(20, 6, 5, 5)).astype(np.float32)
    if values == "tied":
        maps = np.round(maps)
    masks = {"rare": rng.random((20, 5, 5)) < 0.05, "common": rng.random((20, 5, 5)) < 0.6}
    numbers = grouping.separation(maps, masks)
    for name, mask in masks.items():
        for channel in range(6):
            auc, on, off = numbers[name][:, channel]
            flat = maps[:, channel].ravel()
            assert auc == pytest.approx(roc_auc_score(mask.ravel(), flat))
            assert on == pytest.approx(flat[mask.ravel()].mean(), abs=1e-5)
            assert off == pytest.approx(flat[~mask.ravel()].mean(), abs=1e-5)
