"""Expectations over one observation of functions on a uniform grid: the inner step of the dynamic programmes."""

import numpy as np
from scipy.special import ndtr

_REACH = 8.5  # standard deviations; the normal mass beyond is below 1e-16


def after_normal(values: np.ndarray, spacing: float, deviation: float) -> np.ndarray:
    """E f(x + deviation · z), z standard normal, at every node x [nodes]; f goes on linearly beyond its ends.

    For deviations above the spacing, errors are of order spacing⁴ where f is smooth and spacing² at a kink.
    """
    width = deviation / spacing
    reach = int(np.ceil(_REACH * width)) + 1
    beyond = np.arange(1, reach + 1)
    values = _sharpened(values)
    left = values[0] + beyond[::-1] * (values[0] - values[1])
    right = values[-1] + beyond * (values[-1] - values[-2])
    padded = np.concatenate([left, values, right])
    # The weight of a node is the integral of its hat function: the second difference of the density integrated twice.
    nodes = np.arange(-reach - 1, reach + 2) / width
    kernel = width * np.diff(nodes * ndtr(nodes) + np.exp(-(nodes**2) / 2) / np.sqrt(2 * np.pi), 2)
    size = 1 << (len(padded) - 1).bit_length()
    # Every node's window lies inside the padding, so the wrap-around of a circular convolution is never seen.
    spectrum = np.fft.rfft(padded, size) * np.fft.rfft(kernel, size)
    return np.fft.irfft(spectrum, size)[2 * reach : 2 * reach + len(values)]


def after_exponential(values: np.ndarray, spacing: float, rate: float) -> np.ndarray:
    """E f(y + w), w ~ Exponential(rate), at every node y [nodes]; f keeps its last value beyond the upper end.

    Errors are of order rate · spacing³ where f is smooth, spacing² at a kink. For E f(y - w) reverse the values
    before and after.
    """
    values = _sharpened(values)
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


def _sharpened(values: np.ndarray) -> np.ndarray:
    """Take off the spacing²/12 of the second derivative that linear interpolation adds on average."""
    sharp = values.copy()
    sharp[1:-1] -= np.diff(values, 2) / 12
    return sharp
