"""Expectations over one observation, for functions given on a uniform grid: the inner step of the dynamic programmes."""

import numpy as np
from scipy.special import ndtr

_REACH = 8.5  # standard deviations; the normal mass beyond is below 1e-16


def after_normal(values: np.ndarray, spacing: float, deviation: float) -> np.ndarray:
    """E f(x + deviation · z), z standard normal, at every node x [nodes]; f goes on linearly beyond its ends.

    The error is of order spacing⁴ where f is smooth, spacing² per unit jump of slope at a kink.
    """
    reach = int(np.ceil(_REACH * deviation / spacing)) + 2
    kernel = _hat_weights(reach, deviation / spacing)
    beyond = np.arange(1, reach + 1)
    left = values[0] + beyond[::-1] * (values[0] - values[1])
    right = values[-1] + beyond * (values[-1] - values[-2])
    padded = np.concatenate([left, values, right])
    size = 1 << (len(padded) - 1).bit_length()
    # Every node's window lies inside the padding, so the wrap-around of a circular convolution is never seen.
    spectrum = np.fft.rfft(padded, size) * np.fft.rfft(kernel, size)
    return np.fft.irfft(spectrum, size)[2 * reach : 2 * reach + len(values)]


def _hat_weights(reach: int, width: float) -> np.ndarray:
    """Weights of the nodes -reach … reach: exact for piecewise linear f, then sharpened to the next order."""
    nodes = np.arange(-reach - 1, reach + 2) / width
    # Twice integrated normal density; its second difference integrates a hat function.
    integral = nodes * ndtr(nodes) + np.exp(-(nodes**2) / 2) / np.sqrt(2 * np.pi)
    hats = width * np.diff(integral, 2)
    # Linear interpolation adds spacing²/12 of the second derivative on average: take it off.
    bent = np.zeros_like(hats)
    bent[1:-1] = np.diff(hats, 2)
    return hats - bent / 12


def after_exponential(values: np.ndarray, spacing: float, rate: float) -> np.ndarray:
    """E f(y + w), w ~ Exponential(rate), at every node y [nodes]; f keeps its last value beyond the upper end.

    Exact for piecewise linear f. For E f(y - w) reverse the values before and after.
    """
    decay = np.exp(-rate * spacing)
    far = (-np.expm1(-rate * spacing) - rate * spacing * decay) / (rate * spacing)
    near = -np.expm1(-rate * spacing) - far
    expected = np.empty_like(values)
    expected[:-1] = near * values[:-1] + far * values[1:]  # what the cell above each node contributes
    expected[-1] = values[-1]
    # Sum the cells with weights decay^distance, twice as many at each pass.
    step = 1
    while step < len(values) and decay > 1e-18:
        expected[:-step] += decay * expected[step:]
        step, decay = 2 * step, decay * decay
    return expected
