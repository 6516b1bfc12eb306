"""Channels are ranked by a known measure, objects are where they are drawn, and planted channels are found."""

import numpy as np
import pyarrow as pa
import pytest

from agentomy import kinds
from agentomy.environments import mazes
from agentomy.environments.maze_pictures import CHEESE, MOUSE, WALL, Painter
from agentomy.papers.maze.extract import channels as maze_channels
from agentomy.papers.maze.extract.channels import CheeseChannels, object_masks, partners, places
from agentomy.papers.maze.extract.site import Site, place_of
from agentomy.seeds import Streams
from agentomy.tables import Table
from tests.papers.maze import maze_planted as planted
from tests.papers.maze.maze_agents import level_table

STREAMS = Streams("test", "run", 0)


@pytest.fixture(scope="module")
def levels():
    return mazes.generate(np.arange(60), 9)


@pytest.mark.parametrize("pixels", [9, 20, 32])
def test_at_the_pictures_own_size_objects_are_where_they_are_drawn(levels, pixels):
    mice = places(levels, STREAMS)
    masks = object_masks(levels, mice, pixels)
    pictures = Painter("rgb", 9, pixels).mice(levels, mice)
    walls = (pictures == WALL["rgb"]).all(axis=-1)
    np.testing.assert_array_equal(masks["wall"], walls)
    np.testing.assert_array_equal(masks["floor"], ~walls)
    for name, colour in (("mouse", MOUSE["rgb"]), ("cheese", CHEESE["rgb"])):
        seen = (pictures == colour).all(axis=-1)
        assert (masks[name] | ~seen).all()  # a blob is not larger than its cell
        assert seen.any(axis=(1, 2)).all()


@pytest.mark.parametrize("size", [5, 4, 2])
def test_smaller_maps_show_an_object_at_the_place_of_its_cell(levels, size):
    mice = places(levels, STREAMS)
    masks = object_masks(levels, mice, size)
    for name, cells in (("mouse", mice), ("cheese", levels.cheese), ("corner", levels.corner)):
        row, column = place_of(cells, 9, size)
        assert masks[name].sum() == len(levels)
        assert masks[name][np.arange(len(levels)), row, column].all()
    for i in range(10):
        shown = {}
        for y in range(9):
            for x in range(9):
                row, column = place_of(np.array([[x, y]]), 9, size)
                shown.setdefault((int(row[0]), int(column[0])), []).append(levels.walls[i, y, x])
        for place, cells in shown.items():
            assert masks["wall"][i][place] == (np.mean(cells) >= 0.5)
            assert masks["floor"][i][place] == (np.mean(cells) <= 0.5)


def test_mice_are_anywhere_but_in_walls_and_on_the_cheese():
    many = mazes.generate(np.full(3000, 5), 5)  # one maze, many times
    mice = places(many, STREAMS)
    assert not mazes.at_cells(many.walls, mice).any()
    assert (mice != many.cheese).any(axis=1).all()
    counts = np.bincount(mice[:, 1] * 5 + mice[:, 0])
    free = int((~many.walls[0]).sum()) - 1
    assert (counts > 0).sum() == free
    assert counts[counts > 0].min() > 0.7 * 3000 / free


def test_planted_channels_are_found_in_every_snapshot(quiet):
    table = level_table(200)
    pieces = maze_channels.channels(
        planted.planted(planted.caller()),
        table,
        layers=["block1.conv", planted.SITE],
        count=150,
        run="r",
        streams=STREAMS,
        device="cpu",
        progress=quiet,
    )
    frame = pa.concat_tables(pieces).to_pandas().set_index(["update", "layer", "object", "channel"])
    owners = {"wall": planted.WALL, "mouse": planted.MOUSE, "cheese": planted.CHEESE}
    for update in (0, 10):  # what sees is the same in both
        for layer in ("block1.conv", planted.SITE):
            for name, channel in owners.items():
                auc, on, off = frame.loc[(update, layer, name, channel), ["auc", "mean_on", "mean_off"]]
                assert (auc, on, off) == (1, 1, 0)
                assert frame.loc[(update, layer, name, planted.EMPTY), "auc"] == 0.5
            assert frame.loc[(update, layer, "floor", planted.WALL), "auc"] == 0


@pytest.mark.parametrize("negative", [False, True])
def test_the_best_channel_is_the_planted_one_whatever_its_sign(levels, negative):
    site = Site(planted.net(planted.caller(), negative), planted.SITE, Painter("planes", 9, 9), "cpu")
    best = CheeseChannels(site, levels, STREAMS)
    assert best.order[0] == planted.CHEESE
    assert best.auc[planted.CHEESE] == (0 if negative else 1)
    assert best.above(0.95) == 1
    assert best.above(1.0) == 1  # there always is a best one
    assert best.above(-1.0) == 4
    best.auc = np.array([0.02, 0.97, 0.06, 0.5])
    assert best.above(0.95) == 2  # one of either sign


def test_partners_have_the_cheeses_cell_free(levels):
    shown, source = partners(levels)
    assert len(shown) > 50
    assert not mazes.at_cells(source.walls, shown.cheese).any()
    assert (source.start != shown.cheese).any(axis=1).all()
    assert (source.seed != shown.seed).all()
    # the next one: no level between the two fits
    where = {seed: number for number, seed in enumerate(levels.seed)}
    for level, partner, (x, y) in zip(shown.seed, source.seed, shown.cheese, strict=True):
        number = (where[level] + 1) % len(levels)
        while number != where[partner]:
            assert levels.walls[number, y, x] or tuple(levels.start[number]) == (x, y)
            number = (number + 1) % len(levels)
    with pytest.raises(ValueError, match="more are needed"):
        partners(levels[:1])


@pytest.mark.parametrize("negative", [False, True])
def test_a_planted_cheese_channel_tells_only_where_the_cheese_is(quiet, negative):
    table = level_table(100)
    pieces = maze_channels.resampled(
        planted.planted(planted.caller(), negative),
        table,
        layer=planted.SITE,
        count=60,
        ranking=100,
        threshold=0.95,
        run="r",
        streams=STREAMS,
        device="cpu",
        progress=quiet,
    )
    rows = Table(kinds.maze_edits.RESAMPLED, rows=pa.concat_tables(pieces)).frame()
    assert (rows["channels"] == 1).all()
    assert rows.groupby(["update", "which", "place"]).size().nunique() == 1
    trained = rows[rows["update"] == 10].set_index(["which", "place", "level"])["change"].sort_index()
    shown = mazes.read(table)
    cells = dict(zip(shown.seed, (~shown.walls).sum(axis=(1, 2)), strict=True))
    # cheese at the same cell: the policy changes only where the mouse hides its own maze's cheese
    seen, hidden = planted.softmax(3.0 * np.eye(5)[0]), np.full(5, 0.2)
    for level, change in trained["cheese", "same"].items():
        assert change == pytest.approx(np.abs(seen - hidden).sum() / 2 / cells[level], abs=1e-6)
    # at another cell it calls for another move, or by chance for the same one
    apart = np.abs(seen - planted.softmax(3.0 * np.eye(5)[1])).sum() / 2
    moved = trained["cheese", "other"]
    assert 0.5 < (moved > apart * 0.9).mean() < 0.95
    assert (trained["other"] < 1e-6).all()
    assert (rows.loc[rows["update"] == 0, "change"] < 1e-6).all()


def test_controls_are_as_many_other_channels_and_all_of_them_come_up(quiet, monkeypatch):
    given = []

    def noted(site, levels, activations, channels):
        given.append(sorted(channels.tolist()))
        yield "same", np.zeros(len(levels))

    monkeypatch.setattr(maze_channels, "changes", noted)
    parameters, table = planted.planted(planted.caller()).where(update=10), level_table(30)
    options = {"layer": planted.SITE, "count": 2, "ranking": 30, "run": "r", "device": "cpu", "progress": quiet}
    for threshold, cheese in ((0.95, 1), (0.0, 2)):  # of two the second best tells nothing, as all the others do
        given.clear()
        for name in range(12):
            streams = Streams("test", f"run {name}", 0)
            list(maze_channels.resampled(parameters, table, threshold=threshold, streams=streams, **options))
        best, controls = given[::2], given[1::2]
        assert {len(activations) for activations in given} == {cheese}
        assert all(planted.CHEESE in channels for channels in best)
        assert not any(set(channels) & set(control) for channels, control in zip(best, controls, strict=True))
        assert len(set(map(tuple, controls))) == (3 if cheese == 1 else 1)


def test_what_is_lent_has_the_cheese_at_the_same_cell_or_at_another_that_is_free(quiet, monkeypatch):
    given, ranked = [], []

    class Noted(CheeseChannels):
        def __init__(self, site, levels, streams):
            ranked.append(len(levels))
            super().__init__(site, levels, streams)

    def noted(site, levels, activations, channels):
        given.append((levels.cheese, {place: maps[:, planted.CHEESE] for place, maps in activations.items()}))
        yield "same", np.zeros(len(levels))

    monkeypatch.setattr(maze_channels, "changes", noted)
    monkeypatch.setattr(maze_channels, "CheeseChannels", Noted)
    parameters = planted.planted(planted.caller()).where(update=10)
    options = {"layer": planted.SITE, "count": 60, "ranking": 7, "threshold": 0.95, "run": "r", "device": "cpu"}
    for name in range(5):
        streams = Streams("test", f"run {name}", 0)
        list(maze_channels.resampled(parameters, level_table(60), streams=streams, progress=quiet, **options))
    assert set(ranked) == {7}
    for cheese, maps in given:
        shown = {place: (channel > 0.5).numpy() for place, channel in maps.items()}
        at = np.zeros_like(shown["same"])
        at[np.arange(len(cheese)), at.shape[1] - 1 - cheese[:, 1], cheese[:, 0]] = True
        np.testing.assert_array_equal(shown["same"], at)
        assert (shown["other"].sum(axis=(1, 2)) == 1).all()  # not below the mouse, which would hide it
        assert not (shown["other"] & at).any()
