"""Groups change as they should, agree with the metric's, and come back from their files whole or not at all."""

import os
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as some

from agentomy import kinds, tables
from agentomy.explorer import activations, labels
from agentomy.explorer.activations import Network, Place
from agentomy.explorer.labels import LARGE, Labelling, automatic
from agentomy.explorer.results import Results
from agentomy.lenses.grouping import agreement
from agentomy.papers.maze.measure import pixel_groups
from agentomy.seeds import Streams
from tests.explorer.conftest import FEATURES, planted

PLACE = Place("maze: features", Network("corner", 1, 9), 0, "block1.conv")


def labelling(*groups: int) -> Labelling:
    count = max(groups) + 1
    return Labelling(np.array(groups), ("",) * count, LARGE[:count])


@pytest.fixture
def mine(tmp_path) -> Results:
    return planted(tmp_path / "results")


@pytest.fixture
def level(results):
    path = (results.path("maze", "checkpoints", FEATURES),)
    first = activations.levels(results, path, PLACE.network)[0]
    return activations.layers(results, path, PLACE.network, first)["block1.conv"]


def test_the_pieces_of_an_extraction_are_one_table(mine):
    path = mine.path("maze", "checkpoints", FEATURES)
    whole = tables.Table(kinds.maze_pixels.FEATURES, [path])
    before = activations.networks(mine, (path,))
    for seed in (0, 1):
        piece = path.with_name(f"corner.seeds{seed}-{seed}.parquet")
        tables.write(piece, kinds.maze_pixels.FEATURES, whole.where(seed=seed).arrow(), whole.description)
    path.unlink()
    by_run, problems = activations.feature_tables(mine)
    assert (list(by_run), problems) == (["maze: features"], [])
    assert activations.networks(mine, by_run["maze: features"]) == before


# ---- changing them --------------------------------------------------------------------------------------------------


@given(some.lists(some.integers(0, 3), min_size=8, max_size=8), some.data())
def test_every_pixel_is_always_in_one_group_and_none_is_empty(groups, data):
    it = labelling(*np.unique(groups, return_inverse=True)[1])
    points = np.arange(8.0)[:, None] ** 2
    for _ in range(5):
        action = data.draw(some.sampled_from(["taken", "merged", "halved", "coloured"]))
        pixels = np.array(data.draw(some.lists(some.integers(0, 7), min_size=2, max_size=8, unique=True)))
        try:
            if action == "taken":
                it = it.taken(pixels)
                assert len(it.touched(pixels)) == 1
                assert (it.groups == it.groups[pixels[0]]).sum() == len(pixels)
            elif action == "merged":
                it = it.merged(it.touched(pixels))
                assert len(it.touched(pixels)) == 1
            elif action == "halved":
                it = it.halved(it.groups[pixels[0]], points)
            else:
                it = it.coloured(it.groups[pixels[0]], "grey")
        except ValueError:
            continue
        assert np.unique(it.groups).tolist() == list(range(len(it)))
        assert len(it.names) == len(it.colours) == len(it)


def test_names_and_colours_follow_their_groups():
    it = labelling(0, 0, 1, 1, 2, 2, 2).named(1, "  a\n wall ").named(2, "floor").coloured(2, "grey")
    split = it.taken(np.array([0, 1]))  # all of group 0: the others move up
    assert split.groups.tolist() == [2, 2, 0, 0, 1, 1, 1]
    assert split.names == ("a wall", "floor", "")
    assert split.colours[:2] == ("vermillion", "grey")
    assert split.colours[2] not in split.colours[:2]
    merged = it.merged([0, 1])  # of equal size: the one with a name
    assert merged.groups.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert merged.names == ("a wall", "floor")
    assert it.groups.tolist() == [0, 0, 1, 1, 2, 2, 2]  # which is still there, to come back to


def test_a_group_is_cut_where_it_merges_last():
    points = np.array([[0.0], [1], [2], [9], [10], [5], [50]])
    it = labelling(0, 0, 0, 0, 0, 1, 1).halved(0, points)
    assert it.groups.tolist() == [0, 0, 0, 2, 2, 1, 1]
    with pytest.raises(ValueError, match="single pixel"):
        labelling(0, 1).halved(0, points)
    with pytest.raises(ValueError, match="equally far"):
        labelling(0, 0, 0).halved(0, points)


def test_automatic_groups_are_the_metrics_own(results):
    table = results.table(kinds.maze_pixels.FEATURES, results.path("maze", "checkpoints", FEATURES))
    pieces = pixel_groups.groups(table, levels=1, streams=Streams("test", "groups", 0))
    measured = pa.concat_tables(pieces).to_pandas()
    measured = measured[measured["method"] == "single linkage"]
    path = tuple(table.paths)
    for network in activations.networks(results, path):
        first = activations.levels(results, path, network)[0]
        for layer, level in activations.layers(results, path, network, first).items():
            (row,) = measured[
                np.logical_and.reduce([measured[key] == value for key, value in network._asdict().items()])
                & (measured["layer"] == layer)
            ].to_dict("records")
            grouped = automatic(level.points)
            assert len(grouped) == row["groups"]
            scores = agreement(grouped.groups, level.patches.ravel())
            assert scores["ari"] == pytest.approx(row["ari"])
            if layer == "block1.conv" and network.update:
                assert scores["ari"] == 1  # as planted


@pytest.mark.parametrize("method", labels.METHODS)
def test_so_many_groups_as_asked_for_numbered_and_coloured_from_the_largest(method):
    grouped = automatic(np.random.default_rng(0).normal(size=(81, 2)), method, 12)
    sizes = np.bincount(grouped.groups)
    assert len(sizes) == len(grouped) == 12
    assert (np.diff(sizes) <= 0).all()
    assert all((colour == "white") == (size == 1) for colour, size in zip(grouped.colours, sizes, strict=True))
    assert grouped.colours[0] == LARGE[0]


def test_pixels_before_a_pool_are_those_around_its_centres():
    np.testing.assert_array_equal(activations.near((5, 5), (5, 5)), np.eye(25, dtype=bool))
    at = activations.near((5, 5), (9, 9))[1 * 5 + 2].reshape(9, 9)
    assert np.argwhere(at).tolist() == [[row, column] for row in (1, 2, 3) for column in (3, 4, 5)]


def test_a_patch_is_written_row_by_row():
    shown = np.array([[0, 1, 0], [2, 0, 1], [0, 3, 0]])
    codes = pixel_groups.patches(shown)
    assert activations.patch(int(codes[1, 1])) == ".#. M.# .C."
    assert activations.patch(int(codes[0, 0])) == "~~~ ~.# ~M."


# ---- files ----------------------------------------------------------------------------------------------------------


def test_labels_come_back_as_they_were(mine, level):
    it = automatic(level.points, "k-means", 5).named(1, "Wände <b>").coloured(1, "sky")
    path = labels.save(mine, "mine", PLACE, level, it)
    assert path == mine.folder / "explorer" / "labels" / "mine.parquet"
    assert labels.files(mine) == {"mine": path}
    loaded = labels.load(mine, "mine")
    assert (loaded.place, loaded.shape, loaded.digest) == (PLACE, (9, 9), activations.digest(level))
    np.testing.assert_array_equal(loaded.labelling.groups, it.groups)
    assert (loaded.labelling.names, loaded.labelling.colours) == (it.names, it.colours)
    assert "explorer" not in mine.studies


def test_what_cannot_be_written_leaves_the_old_file(mine, level, monkeypatch):
    path = labels.save(mine, "mine", PLACE, level, automatic(level.points))
    before = path.read_bytes()

    def full(handle) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(tables.TableError, match="No space left"):
        labels.save(mine, "mine", PLACE, level, automatic(level.points, "k-means", 2))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("name", ["", "../claims", "a/b", ".hidden", "a.b", "ü", "-x", "x" * 61])
def test_names_of_files_are_plain(mine, level, name):
    for act in (
        lambda: labels.save(mine, name, PLACE, level, automatic(level.points)),
        lambda: labels.load(mine, name),
    ):
        with pytest.raises(tables.TableError, match="allowed: up to 60 letters"):
            act()


def test_nothing_is_written_outside_of_the_results(mine, level, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (mine.folder / "explorer").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(tables.TableError, match="leads out of"):
        labels.save(mine, "mine", PLACE, level, automatic(level.points))
    assert list((tmp_path / "elsewhere").iterdir()) == []


def rewritten(**columns):
    """A file of labels with other values in some columns; a value is repeated, a function changes what is there."""

    def damage(path) -> None:
        rows = tables.Table(kinds.maze_pixels.LABELS, [path]).arrow().to_pydict()
        for name, change in columns.items():
            rows[name] = change(rows[name]) if callable(change) else [change] * len(rows[name])
        arrays = {column.name: pa.array(rows[column.name], column.arrow) for column in kinds.maze_pixels.LABELS.columns}
        kept = pq.read_schema(path).metadata
        pq.write_table(pa.table(arrays).replace_schema_metadata(kept), path)  # tables.write would refuse some

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "no such file"),
        (lambda path: path.write_text("hello"), "not a whole Parquet file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-99]), "not a whole Parquet file"),
        (lambda path: shutil.copy(path.parents[2] / "maze" / "claims.parquet", path), "no column 'table'"),
        (rewritten(colour="mauve"), "found 'mauve'; allowed: blue, "),
        (rewritten(layer=lambda old: [*old[:-1], "fc"]), "'layer': found several values"),
        (rewritten(group=lambda old: old[::-1]), "'group': found"),
        (rewritten(rows=8), "'mask': found lengths .81.; allowed: 72"),
        (rewritten(mask=lambda old: [old[0], *old[:-1]]), "each pixel in one group"),
        (rewritten(mask=lambda old: [[7 * group for group in mask] for mask in old]), "each pixel in one group"),
        (rewritten(mask=lambda old: [[None, *mask[1:]] for mask in old]), "each pixel in one group"),
        (rewritten(seed=None), "nothing in column 'seed'"),
        (
            rewritten(**{column.name: lambda old: [] for column in kinds.maze_pixels.LABELS.columns}),
            "a table of labels without rows",
        ),
    ],
)
def test_a_broken_or_foreign_file_is_one_clear_line(mine, level, damage, message):
    path = labels.save(mine, "mine", PLACE, level, automatic(level.points, "k-means", 3))
    damage(path)
    with pytest.raises(tables.TableError, match=message) as error:
        labels.load(mine, "mine")
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_damaged_data_behind_a_whole_footer_is_one_clear_line(mine, level):
    path = labels.save(mine, "mine", PLACE, level, automatic(level.points))
    whole = path.read_bytes()
    for at in range(4, len(whole) - 8, 97):  # wherever it is damaged, it is said or does no harm
        path.write_bytes(whole[:at] + bytes(byte ^ 0xFF for byte in whole[at : at + 8]) + whole[at + 8 :])
        try:
            loaded = labels.load(mine, "mine")
        except tables.TableError:
            continue
        assert len(loaded.labelling.groups) == 81
