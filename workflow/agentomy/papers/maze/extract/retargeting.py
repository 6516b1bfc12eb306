"""Sending a network to a cell of its maze by clamping a few activations (Mini et al. 2023).

A frame is one cell on the way from the start to a target: where the mouse stands, and the move that leads on.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from agentomy import kinds
from agentomy.environments import mazes
from agentomy.environments.maze_batch import DOWN, LEFT, RIGHT, STAY, STEP, UP
from agentomy.environments.mazes import Levels
from agentomy.papers.maze.extract.channels import CheeseChannels
from agentomy.papers.maze.extract.site import Site, pieces, place_of, sites, towards
from agentomy.papers.maze.extract.views import BATCH, open_cells, policy
from agentomy.values import Count, Share

BACK = np.array([RIGHT, UP, DOWN, LEFT])  # the move that undoes left, down, up, right


def retargets(
    parameters: kinds.common.PARAMETERS,
    levels: kinds.maze.LEVELS,
    *,
    layer: str,
    count: Count,  # of levels
    ranking: Count,  # of levels by which channels are ranked
    threshold: Share,  # AUC of a cheese channel, or of its negative
    several: Count,  # channels that are clamped together, the best ones
    strengths: dict[Literal["one", "several", "all"], float],  # 1 is how far the cheese moves a channel
    run: str,
    streams,
    device: str,
    progress,
) -> kinds.maze_edits.RETARGETS:
    """The normalised path probability to every open cell of each level, by edit of `kinds.maze_edits.RETARGETS`.

    The activations at the target's position are clamped to mean on + strength × (mean on - mean off) of the cheese. The
    random channels, none of which is among the best, are pushed from their own mean off as far as those of `several`.
    """
    if set(strengths) != {"one", "several", "all"}:
        raise ValueError(f"retargets: strengths: found {', '.join(strengths)}; allowed: one, several, all")
    read = mazes.read(levels)
    shown = read[:count]
    for network, site in sites(parameters, read, layer, device, progress):
        best = CheeseChannels(site, read[:ranking], streams)
        clamps = clamped(best, threshold, several, strengths, streams.numpy("random channels"))
        for part in pieces(shown):
            ways = Ways.through(shown[part])
            key = {"run": run, **network, "level": shown.seed[part][ways.level]}
            key |= {"target_x": ways.target[:, 0], "target_y": ways.target[:, 1]}
            key |= {"steps": ways.steps, "off_route": ways.off_route}
            rows = []
            for name, size, probability in sent(site, shown[part], ways, clamps):
                rows.append(kinds.maze_edits.RETARGETS.table(**key, edit=name, channels=size, probability=probability))
            yield pa.concat_tables(rows)


def clamped(
    best: CheeseChannels, threshold: float, several: int, strengths: dict[str, float], rng: np.random.Generator
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The channels of each edit, and the values they are clamped to."""
    sizes = {"one": 1, "several": several, "all": best.above(threshold)}
    clamps = {}
    for name, size in sizes.items():
        chosen = best.order[:size]
        clamps[name] = chosen, best.on[chosen] + strengths[name] * (best.on - best.off)[chosen]
    pushed, values = clamps["several"]
    among = best.order[max(several, sizes["all"]) :]  # no cheese channels
    if len(among) < len(pushed):
        among = best.order[several:]  # unless there are hardly any others
    others = rng.permutation(among)[: len(pushed)]
    clamps["random"] = others, best.off[others] + (values - best.off[pushed])[: len(others)]
    return clamps


@dataclass(frozen=True)
class Ways:
    """The ways from the start of each level to all its open cells, the targets [K], and the frames [F] on them."""

    level: np.ndarray  # of each target [K]
    target: np.ndarray  # [K, 2]
    steps: np.ndarray  # [K]
    off_route: np.ndarray  # cells of the way that are not on the way to the corner [K]
    of: np.ndarray  # which target a frame belongs to [F]
    cell: np.ndarray  # where the mouse is [F, 2]
    move: np.ndarray  # the right move there [F]; at the start, if that is the target: stay

    @classmethod
    def through(cls, levels: Levels) -> "Ways":
        """All ways of these levels."""
        level, target = open_cells(levels)
        back = towards(levels.walls, levels.start)
        steps = mazes.steps_from(levels.walls, levels.start)
        from_corner = mazes.steps_from(levels.walls, levels.corner)
        on_route = steps + from_corner == mazes.at_cells(steps, levels.corner)[:, None, None]
        steps = steps[level, target[:, 1], target[:, 0]]
        off_route = np.zeros(len(level), np.int64)
        walking, cell = np.arange(len(level)), target  # back from all targets at once, one step at a time
        at_start = walking[steps == 0]
        frames = [(at_start, cell[at_start], np.full(len(at_start), STAY))]
        while len(walking):
            place = level[walking], cell[:, 1], cell[:, 0]
            off_route[walking] += ~on_route[place]
            step = back[place]
            walking, cell, step = walking[step >= 0], cell[step >= 0], step[step >= 0]
            cell = cell + STEP[step]
            frames.append((walking, cell, BACK[step]))
        return cls(level, target, steps, off_route, *(np.concatenate(column) for column in zip(*frames, strict=True)))

    def probability(self, of_right_moves: np.ndarray) -> np.ndarray:
        """The normalised path probability [K]: geometric mean of the right moves' probabilities [F] on each way."""
        with np.errstate(divide="ignore"):  # a move may be impossible: then so is the way
            logarithms = np.log(of_right_moves.astype(float))
        return np.exp(np.bincount(self.of, logarithms) / np.bincount(self.of))


def sent(
    site: Site, levels: Levels, ways: Ways, clamps: dict[str, tuple[np.ndarray, np.ndarray]]
) -> Iterator[tuple[str, int, np.ndarray]]:
    """The name of each edit, how many channels it changes, and the probability of each way [K]."""
    # the targets are all the open cells, so every frame's mouse stands on one
    number = np.zeros(levels.walls.shape, np.int64)
    number[ways.level, ways.target[:, 1], ways.target[:, 0]] = np.arange(len(ways.level))
    row = number[ways.level[ways.of], ways.cell[:, 1], ways.cell[:, 0]]
    base = site.activations(levels[ways.level], ways.target, cheese=False)
    yield "none", 0, ways.probability(site.policy(base)[0][row, ways.move])
    parts = [slice(first, first + BATCH) for first in range(0, len(row), BATCH)]
    frames = np.concatenate([_with_cheese(site, levels, ways, part) for part in parts])
    yield "cheese", 0, ways.probability(frames)
    place = place_of(ways.target[ways.of], levels.world, base.shape[-1])
    for name, (channels, values) in clamps.items():
        right_moves = []
        for part in parts:
            put = base[site.index(row[part])]
            clamp(put, channels, (place[0][part], place[1][part]), values)
            right_moves.append(site.policy(put)[0][np.arange(len(put)), ways.move[part]])
        yield name, len(channels), ways.probability(np.concatenate(right_moves))


def _with_cheese(site: Site, levels: Levels, ways: Ways, part: slice) -> np.ndarray:
    """Probabilities of the right moves in some frames, with the cheese on the target."""
    target = ways.of[part]
    moved = replace(levels[ways.level[target]], cheese=ways.target[target])
    moves, _ = policy(site.net, site.painter.mice(moved, ways.cell[part]), site.device)
    return moves[np.arange(len(moves)), ways.move[part]]


def clamp(activations: Tensor, channels: np.ndarray, place: tuple[np.ndarray, np.ndarray], values: np.ndarray) -> None:
    """Set channels [k] of activations [N, ...] to values [k] at one row and column [N] each, in place."""
    row, column = (torch.from_numpy(along)[:, None] for along in place)
    fill = torch.from_numpy(values).to(activations).expand(len(activations), -1)
    activations[torch.arange(len(activations))[:, None], torch.from_numpy(channels), row, column] = fill
