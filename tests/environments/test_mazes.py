"""Levels are those of the paper's generator: Kruskal's trees, uniform sides and cheese, a level for a seed."""

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, chisquare

from agentomy import kinds, tables
from agentomy.environments import mazes
from agentomy.environments.mazes import Levels
from agentomy.seeds import Streams
from agentomy.tables import Table
from tests.described import SOME

some = settings(max_examples=50)
WORLDS = st.integers(1, 6).map(lambda k: 2 * k + 1)
SEEDS = st.lists(st.integers(0, mazes.SEEDS - 1), min_size=1, max_size=12)


@st.composite
def some_levels(draw) -> Levels:
    world = draw(WORLDS)
    return mazes.generate(np.array(draw(SEEDS)), world, draw(st.none() | st.integers(0, world)))


def drawn(count: int, world: int, region: int | None = None, seed: int = 0) -> Levels:
    return mazes.generate(np.random.default_rng(seed).integers(mazes.SEEDS, size=count), world, region)


# ---- slow and plain twins, for one level -----------------------------------------------------------------------------


def inner(level: Levels, i: int) -> np.ndarray:
    """Open cells of the inner maze [side, side]."""
    inside = slice(level.margin[i], level.margin[i] + level.side[i])
    return ~level.walls[i, inside, inside]


def neighbours(walls: np.ndarray, cell: tuple[int, int]) -> list[tuple[int, int]]:
    x, y = cell
    around = [(x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)]
    return [(a, b) for a, b in around if 0 <= a < len(walls) and 0 <= b < len(walls) and not walls[b, a]]


def path(walls: np.ndarray, start: tuple[int, int], goal: tuple[int, int]) -> list[tuple[int, int]]:
    """The cells of the shortest path, both ends included, by breadth-first search."""
    came_from, queue = {start: start}, deque([start])
    while queue:
        cell = queue.popleft()
        for other in neighbours(walls, cell):
            if other not in came_from:
                came_from[other] = cell
                queue.append(other)
    cells = [goal]
    while cells[-1] != start:
        cells.append(came_from[cells[-1]])
    return cells[::-1]


def plain_kruskal(keys: np.ndarray, side: int) -> np.ndarray:
    """Open cells [side, side], by union-find over the candidates in the order of their keys."""
    rooms = range(0, side, 2)
    across = [((x, y), (x + 2, y)) for y in rooms for x in rooms[:-1]]
    up = [((x, y), (x, y + 2)) for y in rooms[:-1] for x in rooms]
    parent = {(x, y): (x, y) for x in rooms for y in rooms}

    def root(room: tuple[int, int]) -> tuple[int, int]:
        return room if parent[room] == room else root(parent[room])

    open_cells = np.zeros((side, side), bool)
    open_cells[::2, ::2] = True
    for _, (one, other) in sorted(zip(keys, across + up, strict=True)):
        if root(one) != root(other):
            parent[root(one)] = root(other)
            open_cells[(one[1] + other[1]) // 2, (one[0] + other[0]) // 2] = True
    return open_cells


def cells_of(level: Levels, i: int) -> tuple[tuple[int, int], ...]:
    """Start, corner and cheese as pairs."""
    return tuple(tuple(cells[i].tolist()) for cells in (level.start, level.corner, level.cheese))


def allowed(level: Levels, i: int, region: int | None) -> list[tuple[int, int]]:
    """Where the cheese may lie (section 2.1)."""
    open_cells, side = inner(level, i), level.side[i]
    if region == 0:
        return [(side - 1, side - 1)]
    low = 0 if region is None else side - min(region, side)
    cells = [(x, y) for y in range(side) for x in range(side)]
    return [(x, y) for x, y in cells if open_cells[y, x] and min(x, y) >= low and (x, y) != (0, 0)]


# ---- the generator ---------------------------------------------------------------------------------------------------


@some
@given(some_levels())
def test_kruskal_maze_is_a_spanning_tree(levels):
    for i in range(len(levels)):
        open_cells, rooms = inner(levels, i), (levels.side[i] + 1) // 2
        assert open_cells.sum() == (~levels.walls[i]).sum() == 2 * rooms**2 - 1
        assert open_cells[[0, 0, -1, -1], [0, -1, 0, -1]].all()
        # connected, and with one passage fewer than rooms: a tree
        assert (mazes.steps_from(levels.walls, levels.start)[i] >= 0).sum() == open_cells.sum()
        joined = open_cells[:, 1:] & open_cells[:, :-1], open_cells[1:] & open_cells[:-1]
        assert sum(passages.sum() for passages in joined) == open_cells.sum() - 1


@some
@given(WORLDS, st.integers(0, 2**32), st.integers(1, 5))
def test_kruskal_of_many_mazes_is_that_of_a_plain_union_find(side, seed, count):
    rooms = (side + 1) // 2
    keys = np.random.default_rng(seed).random((count, 2 * rooms * (rooms - 1)))
    expected = [plain_kruskal(ranks, side) for ranks in keys]
    np.testing.assert_array_equal(mazes.kruskal(keys, side), expected)


@some
@given(some_levels())
def test_the_inner_maze_is_centred_and_its_side_odd(levels):
    assert (levels.side % 2 == 1).all()
    assert ((levels.side >= 3) & (levels.side <= levels.world)).all()
    assert (levels.side + 2 * levels.margin == levels.world).all()
    np.testing.assert_array_equal(levels.start, np.stack([levels.margin] * 2, axis=1))
    np.testing.assert_array_equal(levels.corner, np.stack([levels.world - 1 - levels.margin] * 2, axis=1))


@pytest.mark.parametrize("world", [9, 15, 25])
def test_sides_are_uniform(world):
    counts = np.bincount(drawn(6000, world).side, minlength=world + 1)[3::2]
    assert len(counts) == (world - 1) // 2
    assert chisquare(counts).pvalue > 0.01


@pytest.mark.parametrize("region", [None, 0, 1, 2, 4, 9])
def test_cheese_lies_in_its_region_and_never_on_the_start(region):
    levels = drawn(500, 9, region)
    for i in range(len(levels)):
        assert tuple((levels.cheese[i] - levels.start[i]).tolist()) in allowed(levels, i, region)


@pytest.mark.parametrize("region", [None, 2, 3, 5])
def test_cheese_is_uniform_over_the_allowed_cells(region):
    """Among levels that allow k cells, it lies on the first, …, the k-th equally often."""
    levels = drawn(8000, 9, region)
    seen: dict[int, np.ndarray] = {}
    for i in range(len(levels)):
        cells = allowed(levels, i, region)
        counts = seen.setdefault(len(cells), np.zeros(len(cells)))
        counts[cells.index(tuple((levels.cheese[i] - levels.start[i]).tolist()))] += 1
    tested = [counts for k, counts in seen.items() if k > 1 and counts.sum() > 5 * k]
    statistic = sum(chisquare(counts).statistic for counts in tested)
    assert chi2.sf(statistic, sum(len(counts) - 1 for counts in tested)) > 0.01
    assert sum(counts.sum() for counts in tested) > 0.7 * len(levels)


def test_where_the_cheese_lies_does_not_depend_on_the_maze():
    """In the smallest maze: over its four possible shapes and six cells."""
    levels = drawn(30_000, 3)
    open_cells = (~levels.walls).reshape(-1, 9)
    shapes = np.unique(open_cells, axis=0, return_inverse=True)[1]
    places = (open_cells.cumsum(axis=1) - 1)[np.arange(len(levels)), levels.cheese[:, 1] * 3 + levels.cheese[:, 0]]
    counts = np.zeros((4, 7))
    np.add.at(counts, (shapes, places), 1)
    assert (counts[:, 0] == 0).all()
    assert chisquare(counts[:, 1:].ravel()).pvalue > 0.01


@some
@given(WORLDS, SEEDS, st.data())
def test_a_level_follows_from_its_seed_whatever_is_made_beside_it(world, seeds, data):
    region = data.draw(st.none() | st.integers(0, world))
    together = mazes.generate(np.array(seeds), world, region)
    for i, seed in enumerate(seeds):
        alone = mazes.generate(np.array([seed]), world, region)
        for name in ("seed", "side", "walls", "cheese"):
            np.testing.assert_array_equal(getattr(together, name)[i], getattr(alone, name)[0])


@some
@given(WORLDS, SEEDS, st.data())
def test_a_seed_is_the_same_maze_under_every_region(world, seeds, data):
    region = data.draw(st.integers(0, world))
    one, other = mazes.generate(np.array(seeds), world), mazes.generate(np.array(seeds), world, region)
    np.testing.assert_array_equal(one.walls, other.walls)
    np.testing.assert_array_equal(one.side, other.side)


def test_other_seeds_are_other_levels():
    levels = drawn(300, 25)
    big = levels.side > 7
    assert len(np.unique(levels.walls[big].reshape(big.sum(), -1), axis=0)) == big.sum()


# ---- geometry --------------------------------------------------------------------------------------------------------


@some
@given(some_levels(), st.randoms(use_true_random=False))
def test_steps_are_those_of_a_breadth_first_search(levels, random):
    starts = [random.choice(np.argwhere(~walls)[:, ::-1].tolist()) for walls in levels.walls]
    steps = mazes.steps_from(levels.walls, np.array(starts))
    for i, walls in enumerate(levels.walls):
        for y, x in np.ndindex(walls.shape):
            expected = -1 if walls[y, x] else len(path(walls, tuple(starts[i]), (x, y))) - 1
            assert steps[i, y, x] == expected


def test_steps_do_not_lead_where_no_path_does():
    walls = np.array([[[0, 1, 0], [0, 1, 0], [0, 1, 0]]], bool)
    np.testing.assert_array_equal(
        mazes.steps_from(walls, np.array([[0, 1]]))[0], [[1, -1, -1], [0, -1, -1], [1, -1, -1]]
    )


def plain_geometry(levels: Levels, i: int, region: int) -> dict:
    """What the table of levels says of one level, from paths."""
    walls, (start, corner, cheese) = levels.walls[i], cells_of(levels, i)
    to_cheese, to_corner = path(walls, start, cheese), path(walls, start, corner)
    common = [one for one, other in zip(to_cheese, to_corner, strict=False) if one == other]
    decision, size = common[-1], min(region, levels.side[i])
    square = [(corner[0] - a, corner[1] - b) for a in range(size) for b in range(size)]
    geometry = {"decision": decision, "on_route": cheese in to_corner, "decides": decision not in (cheese, corner)}
    geometry["nearest"] = max(corner[0] - cheese[0], corner[1] - cheese[1]) + 1
    geometry["cheese_norm"] = np.hypot(*cheese)
    for name, cell in (("cheese", cheese), ("decision", decision)):
        geometry[f"euclid_{name}_corner"] = np.hypot(corner[0] - cell[0], corner[1] - cell[1])
        geometry[f"steps_{name}_corner"] = len(path(walls, cell, corner)) - 1
        geometry[f"euclid_{name}_region"] = min(np.hypot(x - cell[0], y - cell[1]) for x, y in square)
        open_square = [(x, y) for x, y in square if not walls[y, x]]
        geometry[f"steps_{name}_region"] = min(len(path(walls, cell, place)) - 1 for place in open_square)
    geometry["euclid_decision_cheese"] = np.hypot(cheese[0] - decision[0], cheese[1] - decision[1])
    geometry["steps_decision_cheese"] = len(path(walls, decision, cheese)) - 1
    return geometry


@some
@given(some_levels(), st.data())
def test_decision_cells_and_distances_are_those_of_the_paths(levels, data):
    region = data.draw(st.integers(1, levels.world))
    decision = mazes.decision_cells(levels)
    distances = mazes.distances(levels, decision, region)
    assert tuple(distances) == kinds.maze.DISTANCES
    assert len(distances) == 11
    for i in range(len(levels)):
        expected = plain_geometry(levels, i, region)
        assert tuple(decision[i].tolist()) == expected["decision"]
        for name, values in distances.items():
            assert values[i] == pytest.approx(expected[name]), name


def table(**parameters) -> Table:
    rows = mazes.levels(**parameters, streams=Streams("test", "levels", 0))
    return Table(kinds.maze.LEVELS, rows=rows)


def test_the_table_says_of_each_level_where_ways_part_and_how_far_that_is():
    rows, corner = table(world=9, count=150, held_out=50, corner=3), 3
    levels, frame = mazes.read(rows), rows.frame()
    assert frame["split"].tolist() == ["train"] * 150 + ["held out"] * 50
    decides = frame["decision_x"] >= 0
    assert 20 < decides.sum() < 180
    for i in range(200):
        expected = plain_geometry(levels, i, corner)
        assert bool(frame["on_route"][i]) == expected["on_route"]
        assert frame["cheese_region"][i] == expected["nearest"]
        assert decides[i] == expected["decides"]
        cell = (frame["decision_x"][i], frame["decision_y"][i])
        assert cell == (expected["decision"] if decides[i] else (-1, -1))
        for name in kinds.maze.DISTANCES:
            known = decides[i] or name in kinds.maze.CHEESE_DISTANCES
            assert frame[name][i] == pytest.approx(expected[name] if known else np.nan, nan_ok=True)


def test_levels_come_back_from_their_table_and_splits_share_none():
    rows = table(world=7, count=40, held_out=30, corner=2, region=2)
    train, held_out = mazes.read(rows, "train"), mazes.read(rows, "held out")
    assert (len(train), len(held_out)) == (40, 30)
    assert not set(train.seed) & set(held_out.seed)
    again = mazes.generate(train.seed, 7, 2)
    for name in ("seed", "side", "walls", "cheese"):
        np.testing.assert_array_equal(getattr(train, name), getattr(again, name))


def test_two_tables_of_the_same_streams_are_the_same_bytes(tmp_path):
    for name in "ab":
        tables.write(tmp_path / name, kinds.maze.LEVELS, table(world=9, count=50, corner=2).arrow(), SOME)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# ---- what is known of the original -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hard():
    return table(world=25, count=5000, corner=5).frame()


@pytest.mark.slow
def test_ways_part_with_the_cheese_elsewhere_as_often_as_in_the_original(hard):
    """52.4 % of levels in Mini et al., 51.1 % of 2,000 levels of the real game."""
    share = ((hard["decision_x"] >= 0) & (hard["cheese_region"] > 5)).mean()
    assert share == pytest.approx(0.515, abs=0.025)


def test_m4_the_two_distances_from_decision_to_cheese_are_collinear(hard):
    """r = 0.886 in Mini et al., 0.871 on 1,022 levels of the real game."""
    kept = hard[(hard["decision_x"] >= 0) & (hard["cheese_region"] > 5)]
    r = kept["euclid_decision_cheese"].corr(kept["steps_decision_cheese"])
    assert r > 0.8
    assert r == pytest.approx(0.875, abs=0.03)


# ---- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "line"),
    [
        ({"world": 8}, "mazes: world: found 8; allowed: an odd number, 3 or more"),
        ({"world": 1}, "mazes: world: found 1; allowed: an odd number, 3 or more"),
        ({"region": 10}, "mazes: region: found 10; allowed: 0 to 9, or null for anywhere"),
        ({"region": -1}, "mazes: region: found -1; allowed: 0 to 9, or null for anywhere"),
        ({"corner": 0}, "mazes: corner: found 0; allowed: 1 to 9"),
        ({"corner": 10}, "mazes: corner: found 10; allowed: 1 to 9"),
        ({"count": 0}, "mazes: found count: 0, held_out: 0; allowed: 1 and 0 or more"),
    ],
)
def test_a_mistake_is_one_line(parameters, line):
    with pytest.raises(ValueError, match="mazes") as error:
        table(**{"world": 9, "count": 3, "corner": 2} | parameters)
    assert str(error.value) == line


def test_a_split_that_the_table_lacks_is_named():
    with pytest.raises(ValueError, match="no rows of split 'held out'; the environment needs held_out: 1 or more"):
        mazes.read(table(world=5, count=3, corner=2), "held out")
