"""The temporal singular value decomposition of a policy path, and the periods of learning."""

import numpy as np


def temporal_svd(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Singular values [T], largest first, and left singular vectors [T, T] of a path with this Gram matrix.

    Signs are such that the last entry of a column is not below its first.
    """
    squares, vectors = np.linalg.eigh(gram)
    vectors = vectors[:, ::-1]
    return np.sqrt(np.maximum(squares[::-1], 0)), vectors * np.where(vectors[-1] >= vectors[0], 1.0, -1.0)


def periods(count: int) -> dict[str, slice]:
    """The snapshots of the whole path and of its thirds; a snapshot where two thirds meet belongs to both."""
    first_end, second_end = round((count - 1) / 3), round(2 * (count - 1) / 3)
    return {
        "whole": slice(0, count),
        "first": slice(0, first_end + 1),
        "second": slice(first_end, second_end + 1),
        "third": slice(second_end, count),
    }


def inner(delta: np.ndarray, start: np.ndarray, origin: float, window: slice) -> dict[str, np.ndarray]:
    """Inner products [T, T] of the snapshots of a window (raw), and of their differences from its first one (delta)."""
    piece, first = delta[window, window], start[window]
    from_first = piece - piece[0] - piece[:, :1] + piece[0, 0]
    return {"raw": piece + first + first[:, None] + origin, "delta": from_first}
