"""Shares of saliency and probes, on tables whose answers are planted."""

import itertools

import numpy as np
import pyarrow as pa
import pytest

from agentomy import kinds
from agentomy.environments.maze_pictures import Painter
from agentomy.environments.mazes import read
from agentomy.lenses import probing
from agentomy.papers.maze.measure import probes, saliency
from agentomy.tables import Table
from tests.papers.maze.maze_agents import level_table
from tests.papers.maze.test_measure_pixels import STREAMS, computed, table

# ---- saliency -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def levels() -> Table:
    return level_table(40)


def salient(levels: Table, maps: np.ndarray, cheese: bool = True, update: int = 9, head: str = "value") -> pa.Table:
    made_of = read(levels)
    return kinds.maze_pixels.SALIENCY.table(
        run="r", seed=0, update=update, level=made_of.seed, cheese=cheese, mouse_x=made_of.start[:, 0],
        mouse_y=made_of.start[:, 1], head=head, rows=maps.shape[1], columns=maps.shape[2], values=maps,
    )  # fmt: skip


@pytest.mark.parametrize("pixels", [9, 18, 23])
def test_places_are_those_of_a_plain_look_at_every_pixel(levels, pixels):
    made_of = read(levels)
    numbers = saliency.places(9, pixels, made_of.side, made_of.start, made_of.cheese, 2)
    cell = Painter("planes", 9, pixels).cell_of
    for number in range(len(made_of)):
        first, side = int(made_of.margin[number]), int(made_of.side[number])
        last, size = first + side - 1, min(2, side)
        near = {"mouse": made_of.start[number], "cheese": made_of.cheese[number]}
        for row, column in np.ndindex(pixels, pixels):
            x, y = cell[column], cell[pixels - 1 - row]
            right, top = x > last - size, y > last - size
            left, bottom = x < first + size, y < first + size
            if max(abs(near["mouse"] - [x, y])) <= 2:
                expected = "mouse"
            elif max(abs(near["cheese"] - [x, y])) <= 2:
                expected = "cheese"
            elif not (first <= x <= last and first <= y <= last):
                expected = "margin"
            elif right and top:
                expected = "top-right"
            elif (left and top) or (right and bottom):
                expected = "other corners"
            else:
                expected = "elsewhere"
            assert kinds.maze_pixels.PLACES[numbers[number, row, column]] == expected


@pytest.mark.parametrize("cheese", [True, False])
def test_shares_of_a_uniform_map_are_shares_of_area(levels, cheese):
    rows = salient(levels, np.full((40, 18, 18), 0.3), cheese)
    frame = computed(saliency.shares, table(kinds.maze_pixels.SALIENCY, rows), levels, region=2).frame()
    np.testing.assert_allclose(frame["mass"], frame["area"])
    np.testing.assert_allclose(frame["mass"].sum(), 1)
    assert set(frame["place"]) == set(kinds.maze_pixels.PLACES) - (set() if cheese else {"cheese"})
    assert set(frame["levels"]) == {40}
    shares = table(kinds.maze_pixels.SHARES, kinds.maze_pixels.SHARES.table(**frame.to_dict("list")))
    assert computed(saliency.ratios, shares).values("ratio").tolist() == pytest.approx([1] * 3)


def test_saliency_on_one_object_lies_there(levels):
    made_of = read(levels)
    for name, cells in (("mouse", made_of.start), ("cheese", made_of.cheese)):
        maps = np.zeros((40, 9, 9))
        maps[np.arange(40), 8 - cells[:, 1], cells[:, 0]] = np.arange(1, 41)
        frame = computed(
            saliency.shares, table(kinds.maze_pixels.SALIENCY, salient(levels, maps)), levels, region=2
        ).frame()
        near = frame.set_index("place")["mass"]
        at_mouse = (np.abs(cells - made_of.start).max(axis=1) <= 2).mean()  # the mouse comes first
        assert near[name] == pytest.approx(1 if name == "mouse" else 1 - at_mouse)


def test_ratios_say_how_much_denser_saliency_is_in_the_region(levels):
    made_of = read(levels)
    place = saliency.places(9, 9, made_of.side, made_of.start, None, 2)
    weight = np.array([2.0, 7.0, 6.0, 3.0, 2.0, 1.0])  # of each place
    pieces = [salient(levels, weight[place], cheese=False), salient(levels, np.ones((40, 9, 9)), False, update=0)]
    pieces.append(salient(levels, np.ones((40, 9, 9)), False, update=4))  # neither first nor last
    large = table(kinds.maze_pixels.SALIENCY, *pieces)
    frame = computed(saliency.ratios, computed(saliency.shares, large, levels, region=2)).frame()
    assert set(frame["head"]) == {"value"}
    assert not frame["cheese"].any()
    ratios = frame.set_index(["agent", "against"])["ratio"]
    # levels are scaled to the same mass, so that ratios within them carry over only nearly
    assert ratios["trained", "other corners"] == pytest.approx(2, rel=0.05)
    assert 3 < ratios["trained", "elsewhere"] < 6
    assert ratios["trained", "other corners"] < ratios["trained", "rest of the maze"] < ratios["trained", "elsewhere"]
    assert ratios["untrained", "elsewhere"] == pytest.approx(1)


def test_a_map_of_zeros_counts_for_nothing(levels):
    maps = np.ones((40, 9, 9))
    maps[5:] = 0
    frame = computed(
        saliency.shares, table(kinds.maze_pixels.SALIENCY, salient(levels, maps)), levels, region=2
    ).frame()
    assert set(frame["levels"]) == {5}
    with_none = table(kinds.maze_pixels.SALIENCY, salient(levels, 0 * maps), salient(levels, maps, update=3))
    assert set(computed(saliency.shares, with_none, levels, region=2).values("update")) == {3}


# ---- probes ---------------------------------------------------------------------------------------------------------

MOVES = np.array(kinds.maze.MAZE_MOVES[:4])


def probe_rows(corner: np.ndarray, cheese: np.ndarray, activations: np.ndarray, layer="a", update=9) -> pa.Table:
    return kinds.maze_pixels.PROBES.table(
        run="r", seed=0, update=update, level=np.arange(len(corner)) // 4, mouse_x=0, mouse_y=0, layer=layer,
        to_corner=MOVES[corner], to_cheese=MOVES[cheese], activations=activations,
    )  # fmt: skip


@pytest.fixture
def moves(rng) -> tuple[np.ndarray, np.ndarray]:
    """Right moves to corner and cheese at 800 places; the former are most often up."""
    return rng.choice(4, 800, p=[0.2, 0.2, 0.4, 0.2]), rng.integers(4, size=800)


def test_probes_read_what_is_planted_and_nothing_from_noise(moves, rng):
    corner, cheese = moves
    planted = np.eye(4)[corner] @ rng.normal(size=(4, 6)) + 0.05 * rng.normal(size=(800, 6))
    rows = table(
        kinds.maze_pixels.PROBES,
        probe_rows(corner, cheese, np.concatenate([planted, rng.normal(size=(800, 20))], axis=1), layer="deep"),
        probe_rows(corner, cheese, rng.normal(size=(800, 20)), layer="shallow"),
        probe_rows(corner, cheese, np.ones((800, 5)), layer="shallow", update=0),
        probe_rows(corner, cheese, np.zeros((800, 5)), layer="deep", update=0),
    )
    accuracy = computed(probes.accuracy, rows, streams=STREAMS)
    accuracies = accuracy.frame().set_index(["update", "layer", "goal", "places"])["accuracy"]
    assert accuracies[9, "deep", "corner", "all"] == 1
    assert accuracies[9, "deep", "corner", "differ"] == 1
    for key in ((9, "deep", "cheese", "all"), (9, "shallow", "cheese", "all")):
        assert accuracies[key] == pytest.approx(0.25, abs=0.1)
    frame = accuracy.frame().query("layer == 'deep' and update == 0 and places == 'all'")
    np.testing.assert_array_equal(frame["accuracy"], frame["chance"])  # nothing to read: always the most frequent
    assert set(accuracy.where(places="all").values("tests")) == {200}
    assert set(accuracy.where(update=0).values("agent")) == {"untrained"}


def test_probes_are_tested_in_other_levels_than_those_they_were_fitted_on(moves, rng):
    """Activations that tell the level alone, in which all right moves are the same, help nowhere else."""
    level = np.arange(800) // 4
    right = moves[0][level * 4]
    rows = probe_rows(right, right, np.eye(200)[level])
    frame = (
        computed(probes.accuracy, table(kinds.maze_pixels.PROBES, rows), streams=STREAMS).where(places="all").frame()
    )
    assert frame["accuracy"].max() < 0.65
    parts = probing.parted(level, rng)
    assert (np.sum(parts, axis=0) == 1).all()
    for first, second in itertools.combinations(parts, 2):
        assert not set(level[first]) & set(level[second])


def test_a_probe_is_standardised_by_the_levels_it_is_fitted_on(moves, rng):
    """One activation among the tests is enormous: it spoils its own place and no other."""
    corner, cheese = moves
    planted = np.eye(4)[corner] + 0.05 * rng.normal(size=(800, 4))
    _, _, tests = probing.parted(np.arange(800) // 4, STREAMS.numpy("levels of r"))
    planted[np.flatnonzero(tests)[0]] = [1e6, -1e6, 1e6, -1e6]
    rows = table(kinds.maze_pixels.PROBES, probe_rows(corner, cheese, planted))
    accuracies = computed(probes.accuracy, rows, streams=STREAMS)
    assert accuracies.where(goal="corner", places="all").values("accuracy") >= 1 - 1 / tests.sum()


def test_chance_is_the_commonest_move_of_the_levels_not_tested():
    right = np.array(["up", "up", "left", "left", "left", "left"])
    tests = np.array([False, False, False, True, True, True])
    assert probing.chance(right, ~tests, tests) == 0
    assert probing.chance(right, tests, ~tests) == pytest.approx(1 / 3)


def test_where_goals_agree_everywhere_there_is_nothing_to_test_apart(moves, rng):
    rows = table(kinds.maze_pixels.PROBES, probe_rows(moves[0], moves[0], rng.normal(size=(800, 3))))
    frame = computed(probes.accuracy, rows, streams=STREAMS).where(places="differ").frame()
    assert frame["accuracy"].isna().all()
    assert set(frame["tests"]) == {0}


def test_too_few_levels_are_refused(moves):
    rows = table(kinds.maze_pixels.PROBES, probe_rows(moves[0][:8], moves[1][:8], np.eye(8)))
    with pytest.raises(ValueError, match="found 2 levels; allowed: 3 or more"):
        computed(probes.accuracy, rows, streams=STREAMS)
