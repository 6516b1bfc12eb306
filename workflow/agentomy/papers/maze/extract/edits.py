"""Edits of activations by vectors of the cheese and of the top right (Mini et al. 2023).

L is the number of levels; a vector is what a layer gives for one picture of a level less what it gives for another,
with the mouse at the start: [L, channels, rows, columns].
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from agentomy import kinds
from agentomy.environments import mazes
from agentomy.environments.mazes import Levels
from agentomy.lenses.inside.edits import of_equal_norm
from agentomy.papers.maze.extract.site import Site, pieces, sites, towards
from agentomy.papers.maze.extract.views import open_cells
from agentomy.tables import Table
from agentomy.values import Count

# An edit's name and coefficient.
Edit = tuple[str, float]
# coefficients of the top-right vector; larger ones break the policy
TOP_RIGHT = (-1.0, 0.5, 1.0, 2.0)


def fields(
    parameters: kinds.common.PARAMETERS,
    levels: kinds.maze.LEVELS,
    *,
    layer: str,  # where activations are edited
    count: Count,  # of levels at most
    region: Count,  # size of the top-right region in which the cheese of no level lies
    coefficients: list[float],  # of the cheese vector
    run: str,
    streams,
    device: str,
    progress,
) -> kinds.maze_edits.FIELDS:
    """Vector fields of the untrained and the trained networks under every edit of `kinds.maze_edits.FIELDS`.

    The levels are the first with a decision cell and the cheese outside the region.
    """
    shown, _ = deciding(levels, count, region)
    for network, site in sites(parameters, shown, layer, device, progress):
        vectors = edit_vectors(site, shown, coefficients, streams)
        for part in pieces(shown):
            vectors_here = {edit: (vector[part], which[part]) for edit, (vector, which) in vectors.items()}
            yield pa.concat_tables(
                kinds.maze_edits.FIELDS.table(run=run, **network, level=shown.seed[part][which], **columns)
                for which, columns in edited(site, shown[part], vectors_here)
            )


def deciding(table: Table, count: int, region: int) -> tuple[Levels, np.ndarray]:
    """The first levels with a decision cell and the cheese outside the top-right region, and these cells [L, 2]."""
    decision = np.stack([table.values("decision_x"), table.values("decision_y")], axis=1)
    which = np.flatnonzero((decision[:, 0] >= 0) & (table.values("cheese_region") > region))[:count]
    if not len(which):
        raise ValueError(f"levels: none has a decision cell and its cheese outside the top-right {region} × {region}")
    return mazes.read(table)[which], decision[which]


def cheese_vectors(site: Site, levels: Levels) -> Tensor:
    """What the cheese adds to the activations [L, ...], with the mouse at the start."""
    return site.activations(levels, levels.start) - site.activations(levels, levels.start, cheese=False)


def top_right_vectors(site: Site, levels: Levels) -> Tensor:
    """What a way from the corner to the world's corner adds [L, ...]; all zeros for levels without a margin."""
    return site.activations(dug(levels), levels.start) - site.activations(levels, levels.start)


def dug(levels: Levels) -> Levels:
    """The levels with a path from the corner up to the world's edge, and along it to the world's top-right cell."""
    walls = levels.walls.copy()
    for wall, (x, y) in zip(walls, levels.corner, strict=True):
        wall[y:, x] = False
        wall[-1, x:] = False
    return replace(levels, walls=walls)


def random_vectors(like: Tensor, rng: np.random.Generator) -> Tensor:
    """Vectors in random directions, each of the norm of one of `like` [L, ...]."""
    return torch.from_numpy(of_equal_norm(like.flatten(1).cpu().numpy(), rng)).view(like.shape).to(like)


def edit_vectors(
    site: Site, levels: Levels, coefficients: list[float], streams
) -> dict[Edit, tuple[Tensor, np.ndarray]]:
    """What each edit adds to the activations [L, ...], and which levels have it [L]."""
    cheese, corner = cheese_vectors(site, levels), top_right_vectors(site, levels)
    every, margin = np.ones(len(levels), bool), levels.margin > 0
    vectors = {("none", 0.0): (torch.zeros_like(cheese), every)}
    vectors |= {("cheese", float(times)): (times * cheese, every) for times in coefficients if times}
    vectors["random", 1.0] = random_vectors(cheese, streams.numpy("random vectors")), every
    if margin.any():
        vectors |= {("top-right", times): (times * corner, margin) for times in TOP_RIGHT}
        vectors["both", 1.0] = corner - cheese, margin
    if margin.sum() > 1:
        # each level with a margin gets the vector of the next one, and the last gets that of the first
        lender = np.arange(len(levels))
        lender[margin] = np.roll(lender[margin], -1)
        vectors["carried", 1.0] = corner[site.index(lender)], margin
    return vectors


def edited(
    site: Site, levels: Levels, vectors: dict[Edit, tuple[Tensor, np.ndarray]]
) -> Iterator[tuple[np.ndarray, dict]]:
    """For each edit, and for no cheese, which levels have it [L] and the columns of their fields."""
    level, cells = open_cells(levels)
    base = site.activations(levels[level], cells)
    for (name, coefficient), (vector, which) in vectors.items():
        rows = np.flatnonzero(which[level])
        if len(rows):
            policy = site.policy(base[site.index(rows)] + vector[site.index(level[rows])])
            maps = on_cells(levels, level[rows], cells[rows], *policy)
            yield which, {"edit": name, "coefficient": coefficient, **{key: maps[key][which] for key in maps}}
    policy = site.policy(site.activations(levels[level], cells, cheese=False))
    every = np.ones(len(levels), bool)
    yield every, {"edit": "no cheese", "coefficient": 0.0, **on_cells(levels, level, cells, *policy)}


def on_cells(
    levels: Levels, level: np.ndarray, cells: np.ndarray, moves: np.ndarray, values: np.ndarray
) -> dict[str, np.ndarray]:
    """Moves [N, 5] and values [N] put on their cells: [L, W, W, 5] and [L, W, W], NaN elsewhere."""
    maps = {"moves": np.full((*levels.walls.shape, 5), np.nan, np.float32)}
    maps["values"] = np.full(levels.walls.shape, np.nan, np.float32)
    for name, numbers in (("moves", moves), ("values", values)):
        maps[name][level, cells[:, 1], cells[:, 0]] = numbers
    return maps


def transfers(
    parameters: kinds.common.PARAMETERS,
    levels: kinds.maze.LEVELS,
    *,
    layer: str,
    count: Count,  # of levels at most
    region: Count,  # size of the top-right region in which the cheese of no level lies
    run: str,
    device: str,
    progress,
) -> kinds.maze_edits.TRANSFERS:
    """The decision at each level, before and after the cheese vector of each other level is subtracted."""
    shown, decision = deciding(levels, count, region)
    every = np.arange(len(shown))
    move = mazes.at_cells(towards(shown.walls, shown.cheese), decision)
    target, source = np.nonzero(every[:, None] != every)
    distance = np.abs(shown.cheese[target] - shown.cheese[source]).max(axis=1)
    for network, site in sites(parameters, shown, layer, device, progress):
        vectors, base = cheese_vectors(site, shown), site.activations(shown, decision)
        before = site.policy(base)[0][every, move]
        after = np.zeros((len(shown), len(shown)))
        for level in every:  # all pairs at once would not fit in memory at the paper's size
            after[level] = site.policy(base[level] - vectors)[0][:, move[level]]
        yield kinds.maze_edits.TRANSFERS.table(
            run=run,
            **network,
            level=shown.seed[target],
            source=shown.seed[source],
            distance=distance,
            before=before[target],
            after=after[target, source],
        )
