"""Groups of pixels and distances of objects, on tables whose answers are planted."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from agentomy import kinds
from agentomy.environments.maze_pictures import Painter
from agentomy.environments.mazes import read
from agentomy.lenses.grouping import agreement
from agentomy.papers.maze.measure import pixel_groups, pixel_standing
from agentomy.seeds import Streams
from agentomy.tables import Kind, Table
from tests.papers.maze.maze_agents import level_table

STREAMS = Streams("test", "metric", 0)
FLOOR, WALL, MOUSE, CHEESE = range(4)


def table(kind: Kind, *pieces) -> Table:
    return Table(kind, rows=pa.concat_tables(list(pieces)))


def computed(function, *given, **options) -> Table:
    """What a metric gives, as a table."""
    rows = function(*given, **options)
    pieces = [rows] if isinstance(rows, pa.Table) else list(rows)
    return table(function.__annotations__["return"], *pieces)


def pictures(count: int, pixels: int = 9) -> np.ndarray:
    """What pictures of mazes show [count, P, P], the mouse at the start."""
    levels = read(level_table(count))
    planes = Painter("planes", 9, pixels).mice(levels, levels.start)
    return planes.astype(int) @ [WALL, MOUSE, CHEESE]


def features(shown: np.ndarray, outputs: np.ndarray, layer="block1.conv", seed=0, update=5) -> pa.Table:
    """Rows of one layer: outputs [N, C, H, W] for pictures that show [N, P, P]."""
    _, channels, rows, columns = outputs.shape
    return kinds.maze_pixels.FEATURES.table(
        run="r", seed=seed, update=update, level=np.arange(len(shown)), mouse_x=0, mouse_y=0, layer=layer,
        channels=channels, rows=rows, columns=columns, values=outputs, shown=shown,
    )  # fmt: skip


def told_apart(labels: np.ndarray, rng: np.random.Generator, noise: float = 0.01, channels: int = 12) -> np.ndarray:
    """Outputs [N, C, H, W] that lie at one random point for each label [N, H, W], about a standard deviation apart."""
    _, places = np.unique(labels, return_inverse=True)
    points = rng.normal(size=(places.max() + 1, channels))[places.reshape(labels.shape)]
    return (points + noise * rng.normal(size=points.shape)).transpose(0, 3, 1, 2)


# ---- patches --------------------------------------------------------------------------------------------------------


@given(arrays(np.int8, st.tuples(st.integers(1, 5), st.integers(1, 5)), elements=st.integers(0, 3)))
def test_patches_are_of_one_type_if_and_only_if_they_are_equal(shown):
    types = pixel_groups.patches(shown)
    rim = np.pad(shown, 1, constant_values=kinds.maze_pixels.OUTSIDE)
    plain = {
        place: rim[place[0] : place[0] + 3, place[1] : place[1] + 3].tobytes() for place in np.ndindex(shown.shape)
    }
    for first, second in itertools.combinations(plain, 2):
        assert (types[first] == types[second]) == (plain[first] == plain[second])


def test_strides_are_those_of_pools_that_round_up():
    sides = {(9, 9): 1, (9, 5): 2, (9, 3): 4, (64, 32): 2, (64, 8): 8, (18, 9): 2, (1, 1): 1}
    assert {key: pixel_groups.stride(*key) for key in sides} == sides
    with pytest.raises(ValueError, match="9 pixels cannot be halved to the 4 of a layer"):
        pixel_groups.stride(9, 4)


@pytest.mark.parametrize("side", [9, 18])
def test_a_pooled_pixel_is_centred_where_it_is_said_to_be(side, rng):
    from torch import from_numpy
    from torch.nn.functional import max_pool2d

    mask = rng.random((side, side)) < 0.1
    pooled = max_pool2d(from_numpy(mask[None, None].astype(float)), 3, 2, 1)[0, 0].numpy()
    np.testing.assert_array_equal(pixel_groups.within(mask, 1, 2), pooled > 0)
    step = pixel_groups.stride(side, len(pooled))
    for i, j in np.ndindex(pooled.shape):  # the pool's window reaches as far up as down, left as right
        delta = np.zeros((side, side))
        delta[step * i, step * j] = 1
        seen = np.argwhere(max_pool2d(from_numpy(delta[None, None]), 3, 2, 1)[0, 0].numpy())
        assert seen.tolist() == [[i, j]]


def test_a_pixel_is_near_what_its_patch_holds():
    shown = np.zeros((9, 9), int)
    shown[0, 4], shown[7, 7] = MOUSE, CHEESE
    level = pixel_groups.Level(0, np.zeros((2, 9, 9)), shown)
    assert level.near("mouse").sum() == 6
    assert level.near("cheese").sum() == 9
    assert level.holds("mouse").sum() == 1
    pooled = pixel_groups.Level(0, np.zeros((2, 5, 5)), shown)
    np.testing.assert_array_equal(np.argwhere(pooled.holds("mouse")), [[0, 2]])
    np.testing.assert_array_equal(np.argwhere(pooled.holds("cheese")), [[3, 3], [3, 4], [4, 3], [4, 4]])


# ---- groups ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def planted(rng) -> Table:
    """Outputs that tell types of patches apart, at the picture's size and pooled, and a layer without places."""
    shown = pictures(6)
    types = np.stack([pixel_groups.patches(picture) for picture in shown])
    return table(
        kinds.maze_pixels.FEATURES,
        features(shown, told_apart(types, rng)),
        features(shown, told_apart(types[:, ::2, ::2], rng), layer="block2.conv"),
        features(shown, rng.normal(size=(6, 20, 1, 1)), layer="relufc"),
    )


def test_planted_patches_give_exact_groups_whatever_the_pooling(planted):
    frame = computed(pixel_groups.groups, planted, levels=4, streams=STREAMS).frame()
    assert set(frame["layer"]) == {"block1.conv", "block2.conv"}
    assert set(frame["level"]) == {0, 1, 2, 3}
    for method in ("single linkage", "best cut"):
        of_method = frame[frame["method"] == method]
        np.testing.assert_allclose(of_method[["homogeneity", "completeness", "ari"]], 1)
        np.testing.assert_array_equal(of_method["groups"], of_method["types"])
    k_means = frame[frame["method"] == "k-means"]
    np.testing.assert_array_equal(k_means["groups"], k_means["types"])  # as many as single linkage makes
    assert k_means["homogeneity"].min() > 0.8
    assert k_means["ari"].min() > 0.5
    shuffled = frame[frame["method"] == "shuffled"]
    assert shuffled["ari"].abs().mean() < 0.1
    np.testing.assert_array_equal(shuffled["groups"], shuffled["types"])


def test_pixels_beside_an_object_are_counted_alone_if_each_is_a_group(planted):
    groups = computed(pixel_groups.groups, planted, levels=6, streams=STREAMS)
    linked = groups.where(layer="block1.conv", method="single linkage").frame()
    # there is one mouse and one cheese: no patch of theirs occurs twice
    assert (linked[["alone_mouse", "alone_cheese"]] == 1).all(axis=None)
    shuffled = groups.where(layer="block1.conv", method="shuffled").frame()
    assert shuffled["alone_mouse"].between(0, 1).all()
    assert shuffled["alone_mouse"].mean() < 1


def test_a_network_is_untrained_at_update_0_alone(rng):
    shown = pictures(2)
    rows = [features(shown, rng.normal(size=(2, 3, 9, 9)), update=update) for update in (0, 3)]
    groups = computed(pixel_groups.groups, table(kinds.maze_pixels.FEATURES, *rows), levels=1, streams=STREAMS).frame()
    assert set(zip(groups["update"], groups["agent"], strict=True)) == {(0, "untrained"), (3, "trained")}


def test_groups_that_see_less_than_the_patch_are_complete_but_not_homogeneous(rng):
    shown = pictures(5)
    table_ = table(kinds.maze_pixels.FEATURES, features(shown, told_apart(shown, rng)))
    frame = computed(pixel_groups.groups, table_, levels=5, streams=STREAMS).frame()
    linked = frame[frame["method"] == "single linkage"]
    np.testing.assert_array_equal(linked["groups"], 4)
    np.testing.assert_allclose(linked["completeness"], 1)
    assert linked["homogeneity"].max() < 0.8
    best = frame[frame["method"] == "best cut"]
    assert (best["ari"].to_numpy() >= linked["ari"].to_numpy()).all()


def test_groups_of_noise_agree_by_chance_alone(rng):
    shown = pictures(8)
    frame = computed(
        pixel_groups.groups,
        table(kinds.maze_pixels.FEATURES, features(shown, rng.normal(size=(8, 6, 9, 9)))),
        levels=8,
        streams=STREAMS,
    ).frame()
    assert frame[frame["method"] != "best cut"].groupby("method")["ari"].mean().abs().max() < 0.1


def test_the_best_cut_finds_the_types_even_if_outliers_make_the_largest_gap(rng):
    shown = pictures(1)
    outputs = told_apart(np.stack([pixel_groups.patches(picture) for picture in shown]), rng)
    outputs[0, :, 4, 4] += 100
    frame = computed(
        pixel_groups.groups, table(kinds.maze_pixels.FEATURES, features(shown, outputs)), levels=1, streams=STREAMS
    ).frame()
    frame = frame.set_index("method")
    assert frame.loc["single linkage", "groups"] == 2
    assert frame.loc["best cut", "ari"] > 0.9


def test_pixels_are_the_groups_that_were_judged(planted):
    pixels = computed(pixel_groups.pixels, planted, shown=["block2.conv"], levels=2, streams=STREAMS)
    assert len(pixels) == 2
    for row in pixels.arrow().to_pylist():
        assert (row["rows"], row["columns"]) == (5, 5)
        scores = agreement(np.array(row["linked"], int), np.array(row["patches"], int))
        assert scores["ari"] == pytest.approx(1)
        heights = np.reshape(row["merges"], (24, 4))[:, 2]
        assert (heights > row["cut"]).sum() == max(row["linked"])
        assert len(row["shown"]) == 81


# ---- objects --------------------------------------------------------------------------------------------------------


def planted_objects(shown: np.ndarray, spread: float, mouse: float, cheese: float) -> np.ndarray:
    """Walls around (0, 0) and floors around (10, 0), `spread` from there; objects that far above the walls' middle."""
    outputs = np.zeros((len(shown), 2, *shown.shape[1:]))
    for picture, output in zip(shown, outputs, strict=True):
        for code, x in ((WALL, 0), (FLOOR, 10)):
            places = np.argwhere(picture == code)
            for number, (i, j) in enumerate(places[: len(places) // 2 * 2]):
                output[:, i, j] = x + spread * (-1) ** number, 0
            for i, j in places[len(places) // 2 * 2 :]:
                output[:, i, j] = x + spread, 0
        output[:, picture == MOUSE] = [[0], [mouse]]
        output[:, picture == CHEESE] = [[0], [cheese]]
    return outputs


def test_objects_stand_out_by_their_planted_distance_in_units_of_the_planted_spread():
    shown = pictures(7)
    outputs = planted_objects(shown, 0.5, 40, 20)
    frame = computed(pixel_standing.standing, table(kinds.maze_pixels.FEATURES, features(shown, outputs))).frame()
    np.testing.assert_array_equal(frame["pixels"], 1)
    np.testing.assert_allclose(frame["spread"], 0.5, rtol=0.02)
    for name, height in (("mouse", 40), ("cheese", 20)):
        np.testing.assert_allclose(frame[frame["object"] == name]["distance"], np.hypot(height, 0.5))


def test_a_pooled_pixel_that_shows_both_objects_is_neithers(rng):
    shown = np.ones((1, 9, 9), int)
    shown[0, 3, 3], shown[0, 3, 5] = MOUSE, CHEESE  # in a pooled layer both are at column 2
    frame = computed(
        pixel_standing.standing, table(kinds.maze_pixels.FEATURES, features(shown, rng.normal(size=(1, 3, 5, 5))))
    ).frame()
    assert frame.set_index("object")["pixels"].to_dict() == {"mouse": 2, "cheese": 2}


def standing_rows(ratios: np.ndarray, seed: int = 0, update: int = 9) -> pa.Table:
    """Distances of 2 × ratio and 2, in spreads of 4, one level each."""
    count = len(ratios)
    return kinds.maze_pixels.STANDING.table(
        run="r", seed=seed, update=update, level=np.repeat(np.arange(count), 2), layer="a",
        object=np.tile(["mouse", "cheese"], count), pixels=1, spread=4.0,
        distance=np.stack([2 * ratios, np.full(count, 2.0)], axis=1).ravel(),
    )  # fmt: skip


def standing_out_of(*rows: pa.Table):
    frame = computed(pixel_standing.standing_out, table(kinds.maze_pixels.STANDING, *rows)).frame()
    return frame.set_index(["seed", "agent"])[["mouse", "cheese", "ratio"]]


def test_objects_stand_out_by_geometric_means_over_levels():
    trained, untrained = standing_rows(np.array([1.0, 4.0])), standing_rows(np.array([3.0, 3.0]), seed=1, update=0)
    means = standing_out_of(trained, untrained)
    assert means.loc[0, "trained"].tolist() == pytest.approx([1, 0.5, 2])
    assert means.loc[(1, "untrained"), "ratio"] == pytest.approx(3)


def test_a_seed_that_ends_elsewhere_adds_nothing_to_the_others():
    means = standing_out_of(standing_rows(np.ones(2), update=5), standing_rows(np.ones(2), seed=1, update=9))
    assert len(means) == 2
    assert means.notna().all(axis=None)


def test_contrast_has_the_interval_of_a_bootstrap_over_seeds_and_levels(rng):
    logarithms = [rng.normal(0.5, 0.3, 100) for _ in range(4)]
    rows = [standing_rows(np.exp(values), seed=seed) for seed, values in enumerate(logarithms)]
    frame = computed(
        pixel_standing.contrast, table(kinds.maze_pixels.STANDING, *rows), samples=2000, streams=STREAMS
    ).frame()
    row = frame.set_index("quantity").loc["mouse / cheese"]
    assert row["value"] == pytest.approx(np.exp(np.mean(logarithms)))
    means = np.array([values.mean() for values in logarithms])
    error = np.sqrt(means.var() / 4 + np.mean([values.var() for values in logarithms]) / 400)
    assert np.log(row["high"] / row["low"]) == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert (row["seeds"], row["levels"]) == (4, 100)


def test_what_does_not_vary_has_no_interval():
    drawn = pixel_standing.resampled([np.full(3, 2.0), np.full(5, 2.0)], 50, np.random.default_rng(0))
    np.testing.assert_array_equal(drawn, 2)


def test_an_object_that_cannot_be_told_apart_is_left_out_of_the_means():
    assert standing_out_of(standing_rows(np.array([0.0, 3.0])))["ratio"].tolist() == pytest.approx([3])
