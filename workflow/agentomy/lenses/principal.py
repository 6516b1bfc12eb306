"""Principal axes of clouds of states, for all who show them."""

import numpy as np


def principal_axes(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Two leading principal axes [entries, 2], centre [entries], and their share of the variance, of [rows, entries].

    The sign of an axis is that of its largest entry.
    """
    centre = points.mean(axis=0, dtype=float)
    variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(points.T.astype(float))))
    axes = axes[:, ::-1][:, :2]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), range(axes.shape[1])])
    return axes, centre, float(variances[::-1][:2].sum() / variances.sum())
