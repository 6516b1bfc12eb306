"""Maze levels (Langosco et al. 2022): how they are generated, and their geometry; for many levels at once.

A world of W × W cells holds an inner maze of odd side, centred in wall. Cells are (x, y) in world coordinates, x to the
right and y up; arrays over cells are indexed [y, x]. The mouse starts at the inner maze's bottom-left corner. One
integer, the level's seed, fixes everything; L is the number of levels.
"""

from dataclasses import dataclass

import numpy as np

from agentomy import kinds
from agentomy.tables import Table
from agentomy.values import Count, Natural

SEEDS = 2**48  # level seeds are drawn below this, so that two tables practically never share a level


@dataclass(frozen=True)
class Levels:
    """L levels: seeds [L], sides [L], walls [L, W, W] (True: wall), cheese cells [L, 2] as (x, y)."""

    seed: np.ndarray
    side: np.ndarray
    walls: np.ndarray
    cheese: np.ndarray

    @property
    def world(self) -> int:
        return self.walls.shape[-1]

    @property
    def margin(self) -> np.ndarray:
        """Cells of wall around the inner maze [L]."""
        return (self.world - self.side) // 2

    @property
    def start(self) -> np.ndarray:
        """Where the mouse starts [L, 2]: the bottom-left cell of the inner maze."""
        return np.stack([self.margin, self.margin], axis=1)

    @property
    def corner(self) -> np.ndarray:
        """The top-right cell of the inner maze [L, 2]."""
        return self.start + self.side[:, None] - 1

    def __len__(self) -> int:
        return len(self.seed)

    def __getitem__(self, which) -> "Levels":
        return Levels(self.seed[which], self.side[which], self.walls[which], self.cheese[which])


def generate(seeds: np.ndarray, world: int, region: int | None = None) -> Levels:
    """The levels of these seeds [L].

    Sides are uniform over the odd numbers from 3 to `world`; mazes are spanning trees by randomised Kruskal. The cheese
    lies uniformly on the open cells other than the start: on all of them, or (`region` = n) on those of the top-right
    n × n cells of the inner maze, n capped at its side; 0 is the top-right cell itself.
    """
    check(world, region)
    seeds = np.asarray(seeds, np.int64)
    side, luck, keys = np.zeros(len(seeds), np.int64), np.zeros(len(seeds)), []
    for i, seed in enumerate(seeds):
        rng = np.random.Generator(np.random.PCG64(int(seed)))
        side[i] = 3 + 2 * rng.integers((world - 1) // 2)
        luck[i] = rng.random()  # where the cheese lies: the same maze under every region
        rooms = (side[i] + 1) // 2
        keys.append(rng.random(2 * rooms * (rooms - 1)))
    walls, cheese = np.ones((len(seeds), world, world), bool), np.zeros((len(seeds), 2), np.int64)
    for maze_side in np.unique(side):
        rows, margin = np.flatnonzero(side == maze_side), (world - maze_side) // 2
        inside = slice(margin, margin + maze_side)
        open_cells = kruskal(np.stack([keys[row] for row in rows]), maze_side)
        walls[rows, inside, inside] = ~open_cells
        allowed = open_cells.copy()
        allowed[:, 0, 0] = False
        if region is not None:
            allowed &= np.arange(maze_side) >= maze_side - max(1, min(region, maze_side))
            allowed &= (np.arange(maze_side) >= maze_side - max(1, min(region, maze_side)))[:, None]
        flat = allowed.reshape(len(rows), -1).cumsum(axis=1)
        chosen = (flat > np.floor(luck[rows] * flat[:, -1])[:, None]).argmax(axis=1)
        cheese[rows] = margin + np.stack([chosen % maze_side, chosen // maze_side], axis=1)
    return Levels(seeds, side, walls, cheese)


def check(world: int, region: int | None) -> None:
    """Raise `ValueError` for sizes that `generate` cannot make."""
    if world < 3 or world % 2 == 0:
        raise ValueError(f"mazes: world: found {world}; allowed: an odd number, 3 or more")
    if region is not None and not 0 <= region <= world:
        raise ValueError(f"mazes: region: found {region}; allowed: 0 to {world}, or null for anywhere")


def kruskal(keys: np.ndarray, side: int) -> np.ndarray:
    """Open cells [L, side, side] of spanning trees: walls between rooms fall in the order of their keys [L, walls].

    Rooms are the cells with two even coordinates. A wall falls if the rooms beside it are not yet connected.
    """
    rooms = (side + 1) // 2
    room = np.arange(rooms * rooms).reshape(rooms, rooms)
    first = np.concatenate([room[:, :-1].ravel(), room[:-1].ravel()])
    second = np.concatenate([room[:, 1:].ravel(), room[1:].ravel()])
    y, x = first // rooms + second // rooms, first % rooms + second % rooms  # the cell between two rooms
    levels = np.arange(len(keys))
    open_cells = np.zeros((len(keys), side, side), bool)
    open_cells[:, ::2, ::2] = True
    tree = np.tile(room.ravel(), (len(keys), 1))  # which tree a room belongs to
    for wall in np.argsort(keys, axis=1, kind="stable").T:
        one, other = tree[levels, first[wall]], tree[levels, second[wall]]
        open_cells[levels, y[wall], x[wall]] |= one != other
        tree = np.where(tree == other[:, None], one[:, None], tree)
    return open_cells


def steps_from(walls: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Steps from a cell [L, 2] to every cell [L, W, W]; -1 where no path leads."""
    world, levels = walls.shape[-1], np.arange(len(walls))
    closed = np.pad(walls, ((0, 0), (1, 1), (1, 1)), constant_values=True)
    reached = np.zeros(closed.shape, bool)
    reached[levels, cells[:, 1] + 1, cells[:, 0] + 1] = True
    steps, count = np.full(closed.shape, -1), 0
    while reached.any():
        steps[reached] = count
        closed |= reached
        spread = np.zeros_like(reached)
        spread[:, 1:] |= reached[:, :-1]
        spread[:, :-1] |= reached[:, 1:]
        spread[:, :, 1:] |= reached[:, :, :-1]
        spread[:, :, :-1] |= reached[:, :, 1:]
        reached, count = spread & ~closed, count + 1
    return steps[:, 1 : world + 1, 1 : world + 1]


def at_cells(values: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Values [L, W, W] at one cell (x, y) of each level [L, 2]."""
    return values[np.arange(len(values)), cells[:, 1], cells[:, 0]]


def decision_cells(levels: Levels) -> np.ndarray:
    """The last common cell of the paths from the start to the cheese and to the corner [L, 2]."""
    from_start = steps_from(levels.walls, levels.start)
    common = np.ones(levels.walls.shape, bool)
    for goal in (levels.cheese, levels.corner):
        # in a tree, a cell lies on the path to the goal if going over it is no detour
        to_goal = steps_from(levels.walls, goal)
        common &= (to_goal >= 0) & (from_start + to_goal == at_cells(from_start, goal)[:, None, None])
    last = np.where(common, from_start, -1).reshape(len(levels), -1).argmax(axis=1)
    return np.stack([last % levels.world, last // levels.world], axis=1)


def distances(levels: Levels, decision: np.ndarray, region: int) -> dict[str, np.ndarray]:
    """The `kinds.maze.DISTANCES` [L] between cheese, decision cell and the top-right n × n, n = `region`."""
    coordinates = np.arange(levels.world)
    near = levels.corner - np.minimum(region, levels.side)[:, None] + 1  # lowest cell of the region [L, 2]
    inside = (coordinates >= near[:, :1, None]) & (coordinates[:, None] >= near[:, 1:, None])
    columns = {"cheese_norm": np.linalg.norm(levels.cheese, axis=1)}
    for name, cells in (("cheese", levels.cheese), ("decision", decision)):
        steps = steps_from(levels.walls, cells)
        columns[f"steps_{name}_corner"] = at_cells(steps, levels.corner)
        reachable = np.where(inside & (steps >= 0), steps, steps.max() + 1)
        columns[f"steps_{name}_region"] = reachable.reshape(len(levels), -1).min(axis=1)
        columns[f"euclid_{name}_corner"] = np.linalg.norm(levels.corner - cells, axis=1)
        columns[f"euclid_{name}_region"] = np.linalg.norm(np.maximum(near - cells, 0), axis=1)
    columns["steps_decision_cheese"] = at_cells(steps, levels.cheese)
    columns["euclid_decision_cheese"] = np.linalg.norm(levels.cheese - decision, axis=1)
    return {name: columns[name].astype(float) for name in kinds.maze.DISTANCES}


def levels(
    *,
    world: Count,  # side of the world, in cells; the largest mazes fill it
    count: Count,  # number of levels to train on
    corner: Count,  # size of the top-right region to which distances are measured
    region: Natural | None = None,  # top-right region in which the cheese lies; null: anywhere
    held_out: Natural = 0,  # further levels of the same distribution, on which no agent trains
    streams,
) -> kinds.maze.LEVELS:
    """Levels with their geometry.

    Sides are uniform over the odd numbers from 3 to `world`; mazes are spanning trees by randomised Kruskal. The cheese
    lies uniformly on the open cells other than the start: on all of them, or on those of the top-right n × n cells of
    the inner maze, n being `region`; 0 is the top-right cell itself.
    """
    check(world, region)
    if count < 1 or held_out < 0:
        raise ValueError(f"mazes: found count: {count}, held_out: {held_out}; allowed: 1 and 0 or more")
    if not 1 <= corner <= world:
        raise ValueError(f"mazes: corner: found {corner}; allowed: 1 to {world}")
    generated = generate(streams.numpy("levels").integers(SEEDS, size=count + held_out), world, region)
    decision = decision_cells(generated)
    on_route = (decision == generated.cheese).all(axis=1)
    decides = ~on_route & (decision != generated.corner).any(axis=1)
    columns = distances(generated, decision, corner)
    nearest = (generated.corner - generated.cheese).max(axis=1) + 1
    return kinds.maze.LEVELS.table(
        level=generated.seed,
        split=np.repeat(["train", "held out"], [count, held_out]),
        side=generated.side,
        walls=generated.walls,
        cheese_x=generated.cheese[:, 0],
        cheese_y=generated.cheese[:, 1],
        cheese_region=nearest,
        on_route=on_route,
        decision_x=np.where(decides, decision[:, 0], -1),
        decision_y=np.where(decides, decision[:, 1], -1),
        **{
            name: np.where(decides | (name in kinds.maze.CHEESE_DISTANCES), value, np.nan)
            for name, value in columns.items()
        },
    )


def read(table: Table, split: str | None = None) -> Levels:
    """The levels in a table, or those of one split."""
    rows = table if split is None else table.where(split=split)
    if not len(rows):
        raise ValueError(f"levels: no rows of split '{split}'; the environment needs held_out: 1 or more")
    world = round(rows.array("walls").shape[1] ** 0.5)
    cheese = np.stack([rows.values("cheese_x"), rows.values("cheese_y")], axis=1)
    return Levels(rows.values("level"), rows.values("side"), rows.array("walls", world, world).astype(bool), cheese)
