"""Groups of a feature map's places, by what all features give there (Trim & Grayston 2024), in agents and their twins.

A point is one place of one layer for one observation, with a coordinate for each feature. What groups are compared with
needs no labels: places are of one sort if the picture holds the same around them.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from agentomy import kinds
from agentomy.kinds.inside import LABELS, WINDOWS
from agentomy.lenses.grouping import agreement, best_cut, separation, single_linkage, standing
from agentomy.lenses.pieces import iter_groups, together
from agentomy.lenses.rows import table_of
from agentomy.tables import Table
from agentomy.values import Count

BY = ("run", "seed", "update", "agent", "twin", "layer")
COLUMNS = ("channels", "rows", "columns", "values", "holds", "labels", "marks")
FEWEST = 4  # places of a layer that can fall into groups
Numbers = dict[tuple[str, str, str], float]  # (quantity, method, of) → value


@dataclass(frozen=True)
class Layer:
    """One layer for N observations: values [N, C, H, W], sorts of places [N, H, W], and by label its places."""

    values: np.ndarray
    holds: np.ndarray
    marks: dict[str, np.ndarray]


def layer(rows: Table) -> Layer:
    channels, height, width = (int(rows.values(name)[0]) for name in ("channels", "rows", "columns"))
    names = json.loads(rows.values("labels")[0])
    marks = rows.array("marks", len(names), height, width).astype(bool)
    values, holds = rows.array("values", channels, height, width), rows.array("holds", height, width)
    return Layer(values, holds, {name: marks[:, number] for number, name in enumerate(names)})


def groups(maps: kinds.inside.FEATURE_MAPS, *, most: Count = 400, streams) -> kinds.inside.GROUPED:
    """Groups of places of each layer by single linkage, beside what the picture holds there, and features of labels.

    `most`: places of a map that are grouped; of a larger one every second row and column are, or every third, ….
    """

    def pieces() -> Iterator[pa.Table]:
        for identity, rows in iter_groups(maps, BY, COLUMNS):
            features = thinned(layer(rows), most)
            if features.holds[0].size < FEWEST:
                continue
            numbers = [
                _grouped(features, observation, streams.numpy(f"{identity[-1]} {observation}"))
                for observation in range(len(features.values))
            ]
            means = {key: _mean(key, [numbers_of_one[key] for numbers_of_one in numbers]) for key in numbers[0]}
            means |= {("auc", "none", name): auc.max() for name, auc in told(features).items()}
            yield table_of(kinds.inside.GROUPED, [(*identity, *key, float(value)) for key, value in means.items()])

    return together(pieces())


def thinned(features: Layer, most: int) -> Layer:
    """The layer at every second row and column, every third, …, so that no more than so many places are left."""
    height, width = features.holds.shape[1:]
    step = 1
    while -(-height // step) * -(-width // step) > most:
        step += 1
    at = (..., slice(None, None, step), slice(None, None, step))
    return Layer(features.values[at], features.holds[at], {name: mask[at] for name, mask in features.marks.items()})


def told(features: Layer) -> dict[str, np.ndarray]:
    """Label → how well each feature tells its places [C]: the AUC of it or of its negative. Over all observations."""
    masks = {name: mask for name, mask in features.marks.items() if 0 < mask.sum() < mask.size}
    areas = {name: area[0] for name, area in separation(features.values, masks).items()}
    empty = np.full(features.values.shape[1], np.nan)
    return {name: np.maximum(areas[name], 1 - areas[name]) if name in areas else empty for name in features.marks}


def gap(heights: np.ndarray) -> float:
    """The largest difference of merge heights that follow each other, as a share of the last; 0 without any."""
    return float(np.diff(heights).max(initial=0) / heights[-1]) if heights[-1] > 0 else 0.0


def _grouped(features: Layer, number: int, rng: np.random.Generator) -> Numbers:
    """The numbers of one observation."""
    points = features.values[number].reshape(features.values.shape[1], -1).T.astype(np.float64)
    marks = {name: mask[number].ravel() for name, mask in features.marks.items()}
    sorts = {WINDOWS: features.holds[number].ravel()}
    if marks:
        sorts[LABELS] = np.stack([*marks.values()]).T @ 2 ** np.arange(len(marks))
    numbers: Numbers = {}
    for method, vectors in (("single linkage", points), ("shuffled", rng.permuted(points, axis=0))):
        links, _, labels = single_linkage(vectors)
        numbers["groups", method, ""], numbers["gap", method, ""] = labels.max() + 1, gap(links[:, 2])
        for of, sort in sorts.items():
            numbers |= {(quantity, method, of): value for quantity, value in agreement(labels, sort).items()}
            if method == "single linkage":
                best = agreement(best_cut(links, sort)[1], sort)
                numbers |= {(quantity, "best cut", of): value for quantity, value in best.items()}
    there = standing(points, marks) if marks and not np.logical_or.reduce([*marks.values()]).all() else []
    numbers |= {("distance", "none", name): np.nan for name in marks}
    numbers |= {("distance", "none", name): distance / spread for name, _, distance, spread in there}
    return numbers


def _mean(key: tuple[str, str, str], values: list[float]) -> float:
    """The mean over observations in which a number is defined; of distances the geometric one."""
    there = np.array([value for value in values if np.isfinite(value) and (value > 0 or key[0] != "distance")])
    if not len(there):
        return np.nan
    return float(np.exp(np.log(there).mean())) if key[0] == "distance" else float(there.mean())
