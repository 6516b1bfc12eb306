"""How far mouse and cheese stand out among a layer's pixels (claim TG4)."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa

from agentomy import kinds
from agentomy.kinds.maze_pixels import OBJECTS, RATIO
from agentomy.lenses import grouping
from agentomy.lenses.pieces import together
from agentomy.lenses.rows import table_of
from agentomy.papers.maze.agents import NETWORKS, names_of
from agentomy.papers.maze.measure.pixel_groups import Level, layers
from agentomy.values import Count


def standing(features: kinds.maze_pixels.FEATURES) -> kinds.maze_pixels.STANDING:
    """Distance of each object's pixels from the nearest group without it, and the median spread of such groups.

    Groups are those of single linkage among the pixels that show no object. As in single linkage, a pixel's distance
    from a group is that from its nearest member. Groups of one pixel, or of equal ones, have no spread.
    """

    def pieces() -> Iterator[pa.Table]:
        for place, layer in layers(features):
            rows = [row for level in layer.levels() for row in _objects(level)]
            columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
            yield kinds.maze_pixels.STANDING.table(**place, **columns)

    return together(pieces())


def _objects(level: Level) -> Iterator[dict]:
    masks = {name: level.holds(name).ravel() for name in OBJECTS}
    for name, pixels, distance, spread in grouping.standing(level.points, masks):
        yield {"level": level.number, "object": name, "pixels": pixels, "distance": distance, "spread": spread}


def contrast(standing: kinds.maze_pixels.STANDING, *, samples: Count = 1000, streams) -> kinds.maze_pixels.CONTRAST:
    """Geometric means over levels, then seeds, with intervals from `samples` resamplings of seeds and their levels."""
    rows = []
    for (run, update, layer), logarithms in _logarithms(standing).groupby(["run", "update", "layer"], sort=False):
        for quantity in (*OBJECTS, RATIO):
            by_seed = [levels[quantity].dropna().to_numpy() for _, levels in logarithms.groupby("seed", sort=False)]
            by_seed = [values for values in by_seed if len(values)]
            if not by_seed:
                continue
            rng = streams.numpy(f"{run} {update} {layer} {quantity}")
            mean = np.mean([values.mean() for values in by_seed])
            low, high = np.quantile(resampled(by_seed, samples, rng), [0.025, 0.975])
            value, low, high = np.exp([mean, low, high])
            levels = min(len(values) for values in by_seed)
            rows.append((run, update, layer, quantity, value, low, high, len(by_seed), levels))
    return table_of(kinds.maze_pixels.CONTRAST, rows)


def resampled(by_seed: list[np.ndarray], samples: int, rng: np.random.Generator) -> np.ndarray:
    """Means of means [samples]: of seeds drawn with replacement, and of values drawn so within each."""
    count = len(by_seed)
    seeds = rng.integers(count, size=(samples, count))
    means = np.zeros((samples, count))
    for seed, values in enumerate(by_seed):
        drawn = values[rng.integers(len(values), size=(samples, count, len(values)))].mean(axis=2)
        means = np.where(seeds == seed, drawn, means)
    return means.mean(axis=1)


def standing_out(standing: kinds.maze_pixels.STANDING) -> kinds.maze_pixels.STANDING_OUT:
    """How far mouse and cheese lie from all else, in spreads, and their ratio: geometric means over levels (TG4)."""
    means = np.exp(_logarithms(standing).groupby([*NETWORKS, "layer"], sort=False)[[*OBJECTS, RATIO]].mean())
    frame = means.rename(columns={RATIO: "ratio"}).reset_index()
    agent = names_of(frame["update"])
    return kinds.maze_pixels.STANDING_OUT.table(agent=agent, **{name: frame[name].to_numpy() for name in frame})


def _logarithms(standing) -> pd.DataFrame:
    """One row a network, layer and level: logarithms of the distances in spreads, and of their ratio."""
    frame = standing.frame()
    by = [*NETWORKS, "layer", "level"]
    with np.errstate(divide="ignore"):
        frame["log"] = np.log(frame["distance"]).replace(-np.inf, np.nan)  # the object cannot be told apart at all
    # runs end at different updates, so not every combination is there
    wide = frame.groupby([*by, "object"], sort=False)["log"].mean().unstack("object")
    wide = wide.reindex(columns=list(OBJECTS))
    wide[RATIO] = wide["mouse"] - wide["cheese"]
    spread = np.log(frame.drop_duplicates(by).set_index(by)["spread"])
    for name in OBJECTS:
        wide[name] = wide[name] - spread
    return wide.reset_index()
