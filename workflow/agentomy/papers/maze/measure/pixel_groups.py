"""Groups of a layer's pixels by their activations (Trim & Grayston 2024), and what they agree with.

A point is one pixel of one layer in one picture, with a coordinate for each channel.
"""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pyarrow as pa

from agentomy import kinds
from agentomy.lenses.grouping import agreement, best_cut, by_size, k_means, single_linkage
from agentomy.lenses.pieces import iter_groups, together
from agentomy.papers.maze.agents import NETWORKS, names_of
from agentomy.selection import select
from agentomy.tables import Table
from agentomy.values import Count

CODES = kinds.maze_pixels.OUTSIDE + 1  # what a pixel of a patch may be


def groups(features: kinds.maze_pixels.FEATURES, *, levels: Count, streams) -> kinds.maze_pixels.GROUPS:
    """Groups of each layer's pixels in each network's first `levels`, beside the types of the pixels' 3 × 3 patches.

    Single linkage is cut at its largest gap. K-means makes as many groups; in the control the pixels are permuted.
    `best cut` looks at the truth: no way of choosing the cut could do better.
    """

    def pieces() -> Iterator[pa.Table]:
        for place, layer in layers(features):
            rows = [row for level in islice(layer.levels(), levels) for row in _agreements(level, streams)]
            columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
            yield kinds.maze_pixels.GROUPS.table(**place, agent=names_of(place["update"]), **columns)

    return together(pieces())


def pixels(
    features: kinds.maze_pixels.FEATURES, *, shown: list[str], levels: Count, streams
) -> kinds.maze_pixels.PIXELS:
    """The groups pixel by pixel, of the layers `shown` and of each network's first `levels`."""

    def pieces() -> Iterator[pa.Table]:
        for place, layer in layers(select(features, layer=shown)):
            for level in islice(layer.levels(), levels):
                links, cut, linked = single_linkage(level.points)
                means = k_means(level.points, linked.max() + 1, _seed(streams, level.number))
                rows, columns = level.patches.shape
                yield kinds.maze_pixels.PIXELS.table(
                    **place,
                    level=level.number,
                    rows=rows,
                    columns=columns,
                    linked=by_size(linked)[None],
                    means=by_size(means)[None],
                    patches=by_size(level.patches.ravel())[None],
                    cut=cut,
                    merges=links[None],
                    shown=level.picture[None],
                )

    return together(pieces())


# ---- the pixels of a layer ------------------------------------------------------------------------------------------


class Level:
    """One layer's pixels in one picture: points [H · W, C], and the type of each pixel's patch [H, W]."""

    def __init__(self, number: int, values: np.ndarray, shown: np.ndarray):
        self.number, self.picture = number, shown
        self.points = values.reshape(len(values), -1).T.astype(np.float64)
        self.stride = stride(shown.shape[0], values.shape[1])
        self.patches = patches(shown)[:: self.stride, :: self.stride]

    def near(self, name: str) -> np.ndarray:
        """Whether the pixel's 3 × 3 patch holds an object [H, W]."""
        return within(self.picture == kinds.maze_pixels.SHOWS.index(name), 1, self.stride)

    def holds(self, name: str) -> np.ndarray:
        """Whether the object is at the pixel [H, W]: in a pooled layer, at most half a stride from its centre."""
        return within(self.picture == kinds.maze_pixels.SHOWS.index(name), self.stride // 2, self.stride)


class Layer:
    """One layer of one network, over levels."""

    def __init__(self, table: Table):
        self.table = table

    def levels(self) -> Iterator[Level]:
        channels, rows, columns = (int(self.table.values(name)[0]) for name in ("channels", "rows", "columns"))
        values = self.table.array("values", channels, rows, columns)
        shown = self.table.array("shown")
        side = round(shown.shape[1] ** 0.5)
        for number, maps, picture in zip(self.table.values("level"), values, shown, strict=True):
            yield Level(int(number), maps, picture.reshape(side, side))


def layers(features: Table) -> Iterator[tuple[dict, Layer]]:
    """Every layer of every network that has places, with its run, seed, update and name."""
    by = (*NETWORKS, "layer")
    for key, rows in iter_groups(features, by, ("level", "channels", "rows", "columns", "values", "shown")):
        if rows.values("rows")[0] > 1:
            yield dict(zip(by, key, strict=True)), Layer(rows)


def stride(picture: int, size: int) -> int:
    """How many pixels of the picture lie between neighbours of a layer; a pool halves the side, rounding up.

    With pools of 3 × 3, stride 2 and a rim of 1, pixel (i, j) of the layer is centred on pixel (s i, s j) of the
    picture, so what is true of the one is said of the other.
    """
    apart, side = 1, picture
    while side > size and side > 1:
        apart, side = 2 * apart, (side + 1) // 2
    if side != size:
        raise ValueError(f"features: {picture} pixels cannot be halved to the {size} of a layer")
    return apart


def patches(shown: np.ndarray) -> np.ndarray:
    """The type of every pixel's 3 × 3 patch [P, P], a number: equal if and only if the patches are.

    A patch is made of floor, wall, mouse, cheese and of what lies outside the picture.
    """
    rim = np.pad(shown.astype(np.int64), 1, constant_values=kinds.maze_pixels.OUTSIDE)
    windows = np.lib.stride_tricks.sliding_window_view(rim, (3, 3)).reshape(*shown.shape, 9)
    return windows @ CODES ** np.arange(9)


def within(mask: np.ndarray, reach: int, step: int) -> np.ndarray:
    """Whether a mask [P, P] holds within `reach` rows and columns of every `step`-th pixel [H, W]."""
    near = np.abs(np.arange(0, len(mask), step)[:, None] - np.arange(len(mask))) <= reach
    return near.astype(int) @ mask @ near.T > 0


# ---- groups ---------------------------------------------------------------------------------------------------------


def _agreements(level: Level, streams) -> Iterator[dict]:
    links, cut, linked = single_linkage(level.points)
    types = level.patches.ravel()
    methods = {
        "single linkage": (cut, linked),
        "k-means": (np.nan, k_means(level.points, linked.max() + 1, _seed(streams, level.number))),
        "shuffled": (np.nan, streams.numpy(f"shuffled {level.number}").permutation(linked)),
        "best cut": best_cut(links, types),
    }
    near = {name: level.near(name).ravel() for name in kinds.maze_pixels.OBJECTS}
    for method, (height, labels) in methods.items():
        sizes = np.bincount(labels)
        alone = sizes[labels] == 1
        yield {
            "level": level.number,
            "method": method,
            "pixels": len(labels),
            "types": len(np.unique(types)),
            "groups": int((sizes > 0).sum()),
            "cut": height,
            **agreement(labels, types),
            **{f"alone_{name}": alone[mask].mean() if mask.any() else np.nan for name, mask in near.items()},
            "alone": int(alone.sum()),
        }


def _seed(streams, level: int) -> int:
    return int(streams.numpy(f"k-means {level}").integers(2**31))
