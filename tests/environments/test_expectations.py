"""Expectations on a grid against functions whose expectation is known."""

import numpy as np
import pytest
from scipy import special

from agentomy.environments.expectations import after_exponential, after_normal

GRID, SPACING = np.linspace(-10, 10, 1001, retstep=True)
MIDDLE = np.abs(GRID) < 3


@pytest.mark.parametrize("deviation", [0.02, 0.1, 1.0])
def test_a_cosine_is_damped_by_normal_noise(deviation):
    expected = np.cos(GRID) * np.exp(-(deviation**2) / 2)
    np.testing.assert_allclose(after_normal(np.cos(GRID), SPACING, deviation)[MIDDLE], expected[MIDDLE], atol=1e-7)


def test_straight_lines_go_on_beyond_the_grid():
    np.testing.assert_allclose(after_normal(3 * GRID + 1, SPACING, 2.0), 3 * GRID + 1, atol=1e-9)


@pytest.mark.parametrize("deviation", [0.1, 1.0])
def test_a_kink_is_smoothed_to_the_closed_form(deviation):
    """E (x + s z)⁺ = x Φ(x/s) + s φ(x/s)."""
    u = GRID / deviation
    expected = GRID * special.ndtr(u) + deviation * np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi)
    kink = np.maximum(GRID, 0)
    np.testing.assert_allclose(after_normal(kink, SPACING, deviation), expected, atol=SPACING**2 / 12 / deviation)


@pytest.mark.parametrize("rate", [0.5, 3.0, 60.0])
def test_an_exponential_shrinks_by_the_closed_form(rate):
    """E e^-(y + w) = e^-y a / (a + 1), but for what the grid cuts off."""
    expected = np.exp(-GRID) * rate / (rate + 1)
    values = after_exponential(np.exp(-GRID), SPACING, rate)
    low = GRID < 0
    cut = np.exp(-10) * np.exp(-rate * 10)
    np.testing.assert_allclose(values[low], expected[low], rtol=3e-6 * max(1, rate / 10), atol=cut)


def test_the_last_value_goes_on_beyond_the_grid():
    np.testing.assert_allclose(after_exponential(np.full(1001, 7.0), SPACING, 0.1), 7.0, rtol=1e-12)
