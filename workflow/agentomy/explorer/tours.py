"""Looking at points of many dimensions: principal components, and from there a grand tour (Asimov 1985).

The tour goes from one random plane to the next by the shortest rotation (Buja et al. 2005), and is the same every time.
"""

import numpy as np

STEPS = 40  # from plane to plane


class Tour:
    """A turning view of points [N, C], centred; a frame is an orthonormal basis of the plane seen [C, 2]."""

    def __init__(self, points: np.ndarray):
        self.points = points - points.mean(axis=0)
        if self.points.shape[1] < 2:  # a single channel: seen against nothing
            self.points = np.pad(self.points, ((0, 0), (0, 1)))
        _, self.spreads, axes = np.linalg.svd(self.points, full_matrices=True)
        self._starts = [axes[:2].T]

    @property
    def radius(self) -> float:
        """How far from the middle a point ever is seen."""
        return float(np.linalg.norm(self.points, axis=1).max()) or 1.0

    def frame(self, step: int) -> np.ndarray:
        """The basis after so many steps; at first the two leading principal components."""
        plane, part = divmod(step, STEPS)
        while len(self._starts) <= plane:  # a rotation ends in the next plane, where the one after it begins
            number = len(self._starts) - 1
            self._starts.append(between(self._starts[number], self._random(number), 1.0))
        return between(self._starts[plane], self._random(plane), part / STEPS) if part else self._starts[plane]

    def _random(self, number: int) -> np.ndarray:
        drawn = np.random.default_rng([7, number]).normal(size=(self.points.shape[1], 2))
        return np.linalg.qr(drawn)[0]

    def seen(self, step: int) -> tuple[np.ndarray, float]:
        """The points after so many steps [N, 2], and the share of their variance that is seen."""
        projected = self.points @ self.frame(step)
        total = (self.spreads**2).sum()
        return projected, float((projected**2).sum() / total) if total > 0 else 1.0


def between(start: np.ndarray, end: np.ndarray, part: float) -> np.ndarray:
    """The basis a part of the way from one plane to another, both [C, 2]; it begins as `start`."""
    left, cosines, right = np.linalg.svd(start.T @ end)
    angles = np.arccos(np.clip(cosines, -1, 1))  # the principal angles
    first, second = start @ left, end @ right.T
    sideways = second - first * cosines
    lengths = np.linalg.norm(sideways, axis=0)
    sideways = np.divide(sideways, lengths, out=np.zeros_like(sideways), where=lengths > 1e-9)
    turned = first * np.cos(part * angles) + sideways * np.sin(part * angles)
    return turned @ left.T
