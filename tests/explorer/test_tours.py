"""The grand tour is a rotation of the plane that is seen, and begins at the principal components."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from agentomy.explorer.tours import STEPS, Tour, between

POINTS = np.random.default_rng(3).normal(size=(30, 6)) * np.array([1, 5, 1, 1, 3, 1])


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_frames_are_orthonormal_and_turn_a_little_at_each_step(channels):
    tour = Tour(POINTS[:, :channels])
    before = tour.frame(0)
    for step in range(1, 3 * STEPS + 2):  # over two changes of direction
        frame = tour.frame(step)
        np.testing.assert_allclose(frame.T @ frame, np.eye(2), atol=1e-9)
        # no principal angle is above a right angle, which takes STEPS steps
        assert np.linalg.norm(frame - before, 2) <= np.pi / 2 / STEPS + 1e-9
        before = frame


def test_it_begins_at_the_principal_components():
    points = np.array([[3.0, 0, 0], [-3, 0, 0], [0, 0, 2], [0, 0, -2], [0, 1, 0], [0, -1, 0]]) + 10
    seen, share = Tour(points).seen(0)
    np.testing.assert_allclose(np.abs(seen), [[3, 0], [3, 0], [0, 2], [0, 2], [0, 0], [0, 0]], atol=1e-12)
    assert share == pytest.approx((9 + 4) / (9 + 4 + 1))


def test_it_sees_other_directions_and_the_same_every_time():
    tour = Tour(POINTS)
    later, share = tour.seen(2 * STEPS + 7)
    assert share < tour.seen(0)[1] - 0.1
    np.testing.assert_array_equal(later, Tour(POINTS).seen(2 * STEPS + 7)[0])


@given(some.integers(0, 1000))
def test_a_rotation_ends_in_the_other_plane(seed):
    start, end = (np.linalg.qr(frame)[0] for frame in np.random.default_rng(seed).normal(size=(2, 5, 2)))
    np.testing.assert_allclose(between(start, end, 0.0), start, atol=1e-9)
    reached = between(start, end, 1.0)
    np.testing.assert_allclose(reached @ reached.T, end @ end.T, atol=1e-7)


def test_half_a_rotation_is_the_shortest_way():
    one, two, three = np.eye(3)
    half = between(np.stack([one, two], 1), np.stack([three, two], 1), 0.5)
    np.testing.assert_allclose(np.abs(half[:, 0]), np.array([1, 0, 1]) / np.sqrt(2), atol=1e-12)
    np.testing.assert_allclose(half[:, 1], two, atol=1e-12)


def test_points_that_are_all_alike_are_seen_as_one():
    seen, share = Tour(np.ones((4, 3))).seen(STEPS // 2)
    np.testing.assert_array_equal(seen, np.zeros((4, 2)))
    assert share == 1
