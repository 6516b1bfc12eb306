"""Figures of the inside of maze networks say what they show, draw what the tables hold, and name what is missing."""

import matplotlib
import numpy as np
import pytest
from matplotlib.collections import LineCollection
from scipy.cluster.hierarchy import dendrogram

from agentomy import kinds
from agentomy.environments.maze_pictures import Painter
from agentomy.environments.mazes import Levels, read
from agentomy.papers.maze.draw import groups, inside
from agentomy.papers.maze.measure import pixel_groups, pixel_standing, probes, saliency
from agentomy.seeds import Streams
from agentomy.tables import Table
from tests import in_memory
from tests.checks import check_page
from tests.papers.maze.maze_agents import level_table
from tests.papers.maze.test_measure_pixels import computed
from tests.papers.path.test_draw import is_drawn

matplotlib.use("agg")

RUNS = {"colour": "rgb", "region-2": "planes", "anywhere": "planes"}  # and their pictures
LAYERS = {"block1.conv": (5, 9, 9), "block2.conv": (6, 5, 5)}
UPDATES = (0, 2, 40)
STREAMS = Streams("test", "metric", 0)


def made_tables(seeds: int = 3) -> dict[str, Table]:
    """Every table that these figures read, of networks that are noise."""
    rng = np.random.default_rng(5)
    levels = level_table(60)
    large = read(levels)
    large = large[large.side >= 7][:8]
    rows = {"features": [], "saliency": [], "probes": []}
    for run, palette in RUNS.items():
        for seed in range(seeds):
            for update in UPDATES:
                key = {"run": run, "seed": seed, "update": update, "level": large.seed}
                key |= {"mouse_x": large.start[:, 0], "mouse_y": large.start[:, 1]}
                if update != 2:
                    rows["features"] += _features(rng, key, large, palette)
                    rows["probes"] += _probes(rng, key)
                for cheese in (True, False):
                    for head in inside.HEADS:
                        values = rng.random((8, 9, 9)) + 3 * np.eye(9)
                        given = {"head": head, "cheese": cheese, "rows": 9, "columns": 9}
                        rows["saliency"].append({**key, **given, "values": values})
    kind_of = {
        "features": kinds.maze_pixels.FEATURES,
        "saliency": kinds.maze_pixels.SALIENCY,
        "probes": kinds.maze_pixels.PROBES,
    }
    tables = {"levels": levels, **{name: in_memory.of_columns(kind_of[name], pieces) for name, pieces in rows.items()}}
    features = tables["features"]
    standing = computed(pixel_standing.standing, features)
    return tables | {
        "groups": computed(pixel_groups.groups, features, levels=3, streams=STREAMS),
        "pixels": computed(pixel_groups.pixels, features, shown=list(LAYERS), levels=1, streams=STREAMS),
        "contrast": computed(pixel_standing.contrast, standing, samples=50, streams=STREAMS),
        "shares": computed(saliency.shares, tables["saliency"], levels, region=2),
        "accuracy": computed(probes.accuracy, tables["probes"], streams=STREAMS),
    }


def _features(rng: np.random.Generator, key: dict, levels: Levels, palette: str) -> list[dict]:
    shown = Painter("planes", 9, 9).mice(levels, levels.start).astype(int) @ [1, 2, 3]
    picture = Painter(palette, 9, 9).mice(levels, levels.start).transpose(0, 3, 1, 2)
    outputs = {"input": picture, "relufc": rng.normal(size=(8, 7, 1, 1))}
    outputs |= {layer: rng.normal(size=(8, *size)) for layer, size in LAYERS.items()}
    sizes = {
        layer: dict(zip(("channels", "rows", "columns"), output.shape[1:], strict=True))
        for layer, output in outputs.items()
    }
    return [
        {**key, **sizes[layer], "layer": layer, "values": output, "shown": shown} for layer, output in outputs.items()
    ]


def _probes(rng: np.random.Generator, key: dict) -> list[dict]:
    key = {name: np.tile(value, 10) if np.ndim(value) else value for name, value in key.items()}
    moves = {goal: np.array(kinds.maze.MAZE_MOVES[:4])[rng.integers(4, size=80)] for goal in ("to_corner", "to_cheese")}
    return [{**key, **moves, "layer": layer, "activations": rng.normal(size=(80, 5))} for layer in ("input", "relufc")]


@pytest.fixture(scope="module")
def full():
    return made_tables()


@pytest.fixture(scope="module")
def single_seed():
    return made_tables(seeds=1)


@pytest.fixture(autouse=True)
def closed():
    yield
    matplotlib.pyplot.close("all")


PAIR = {"region-2": "in the corner", "anywhere": "all over"}  # and what figures call them
# name: (draws the figure from the tables, words that a reader must find in it)
FIGURES = {
    "F2": (
        lambda t: inside.seen(t["features"], t["levels"], runs={"colour": "in colour", "region-2": "in planes"}),
        ["as people see it", "in colour", "in planes", "9 × 9 pixels, RGB", "9 × 9 pixels, planes", "mouse", "cheese"],
    ),
    "F4": (
        lambda t: inside.feature_maps(t["features"], t["levels"], run="colour", layers=["block1.conv"]),
        ["input", "block1.conv, trained", "block1.conv, untrained", "5 channels of 9 × 9", "seed 0", "run colour"],
    ),
    "F4 later": (
        lambda t: inside.feature_maps(t["features"], t["levels"], run="region-2", layers=[*LAYERS]),
        ["input", "block2.conv, trained", "block2.conv, untrained", "6 channels of 5 × 5", "run region-2"],
    ),
    "F5": (
        lambda t: inside.saliency(t["saliency"], t["levels"], runs=PAIR, region=2),
        [
            *PAIR.values(),
            "untrained",
            "value\nwith cheese",
            "log P(most likely move)\nwithout cheese",
            "top-right 2 × 2",
            "its mean",
        ],
    ),
    "F5 training": (
        lambda t: inside.saliency_training(t["shares"], runs=PAIR, cheese=True, steps_per_update=100),
        [
            *PAIR.values(),
            "saliency per unit area",
            "top-right",
            "near the cheese",
            "margin",
            "environment steps",
            "8 mazes",
        ],
    ),
    "F5 training without": (
        lambda t: inside.saliency_training(
            t["shares"], runs={"anywhere": "all over"}, cheese=False, steps_per_update=1
        ),
        ["all over", "without cheese", "other corners", "near the mouse", "as if spread evenly"],
    ),
    "dendrograms": (
        lambda t: groups.dendrograms(t["pixels"], run="colour", layers=[*LAYERS]),
        [
            "block1.conv, trained: ",
            "block2.conv, untrained: ",
            "81 pixels",
            "25 pixels",
            "merge distance",
            "largest gap",
        ],
    ),
    "groups": (
        lambda t: groups.groups(t["pixels"], run="colour", layers=[*LAYERS]),
        ["the maze", "single linkage: ", "k-means: ", "types of patch: ", "block2.conv\nuntrained", "floor"],
    ),
    "agreement": (
        lambda t: groups.agreement(t["groups"], runs={"colour": "in colour", "anywhere": "in planes"}),
        [
            "homogeneity",
            "completeness",
            "adjusted Rand index",
            "shuffled",
            "untrained",
            "3 mazes",
            "block2.conv",
            "best cut",
        ],
    ),
    "probes": (
        lambda t: groups.probes(t["accuracy"], runs=PAIR),
        [
            *PAIR.values(),
            "next move to the corner, all places",
            "cheese, where the two differ",
            "most frequent move",
            "20 places",
        ],
    ),
    "standing": (
        lambda t: groups.standing(t["contrast"], runs={"colour": "in colour", "region-2": "in planes"}),
        ["distance / spread", "mouse / cheese", "in colour", "in planes", "trained", "bootstrap", "8 mazes"],
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_label_can_be_read_and_lies_on_the_page(full, name):
    draw, words = FIGURES[name]
    check_page(draw(full), words)


@pytest.mark.parametrize("name", FIGURES)
def test_figures_of_one_seed_have_their_labels_on_the_page_too(single_seed, name):
    draw, words = FIGURES[name]
    check_page(draw(single_seed), words)


def images(ax: matplotlib.axes.Axes) -> np.ndarray:
    (image,) = ax.get_images()
    return np.asarray(image.get_array())


def test_people_and_networks_are_shown_the_same_maze(full):
    people, colour, planes = inside.seen(full["features"], full["levels"], runs={"colour": "a", "region-2": "b"}).axes
    walls = images(people)
    assert [ax.get_images()[0].origin for ax in (people, colour, planes)] == ["lower", "upper", "upper"]
    assert walls.shape == (9, 9)
    np.testing.assert_array_equal(
        walls[::-1] == 1, np.all(images(planes) == images(planes)[walls[::-1] == 1][0], axis=2)
    )
    level = inside.largest(full["features"], full["levels"])
    row = full["features"].where(run="colour", level=level, layer="input", seed=0, update=0)
    np.testing.assert_allclose(images(colour) * 255, row.array("values", 3, 9, 9)[0].transpose(1, 2, 0), rtol=1e-5)
    assert full["levels"].where(level=level).values("side") == 9


def test_a_mosaic_holds_every_channel_once():
    output = np.arange(5 * 2 * 3.0).reshape(5, 2, 3)
    tiles = inside.mosaic(output)
    assert tiles.shape == (2 * 3 - 1, 3 * 4 - 1)
    np.testing.assert_array_equal(tiles[:2, :3], output[0])
    np.testing.assert_array_equal(tiles[:2, 8:], output[2])
    np.testing.assert_array_equal(tiles[3:, :3], output[3])
    np.testing.assert_array_equal(np.sort(tiles[~np.isnan(tiles)]), np.arange(30))


def test_feature_maps_are_green_where_positive_and_centred_on_nothing(full):
    figure = inside.feature_maps(full["features"], full["levels"], run="colour", layers=["block1.conv"])
    level = inside.largest(full["features"], full["levels"])
    for ax, update in zip(figure.axes[1:3], (40, 0), strict=True):
        row = full["features"].where(run="colour", seed=0, update=update, level=level, layer="block1.conv")
        output = row.array("values", 5, 9, 9)[0]
        np.testing.assert_allclose(images(ax), inside.mosaic(output))
        (image,) = ax.get_images()
        assert image.norm(0) == 0.5
        red, green, blue, _ = image.cmap(0.95)
        assert green > max(red, blue)


def test_saliency_is_shown_where_the_cheese_is_off_the_route(full):
    figure = inside.saliency(full["saliency"], full["levels"], runs={"region-2": "x"}, region=2)
    level = inside._telling(full["saliency"], full["levels"], 2)
    where = full["levels"].where(level=level).frame().iloc[0]
    assert where["cheese_region"] > 2
    assert not where["on_route"]
    with_cheese = full["saliency"].where(run="region-2", level=level, seed=0, update=40, head="value", cheese=True)
    values = with_cheese.array("values", 9, 9)[0]
    np.testing.assert_allclose(images(figure.axes[0]), values / values.mean(), rtol=1e-6)
    drawn = [tuple(np.ravel(line.get_xydata())) for line in figure.axes[0].lines]
    assert (where["cheese_x"], where["cheese_y"]) in drawn
    start = (9 - where["side"]) // 2
    assert (start, start) in drawn
    without = [tuple(np.ravel(line.get_xydata())) for line in figure.axes[2].lines]
    assert (where["cheese_x"], where["cheese_y"]) not in without


def test_outlines_are_the_sides_between_open_cells_and_walls():
    walls = np.ones((4, 4), bool)
    walls[1, 2] = walls[3, 0] = False
    segments = {tuple(sorted(line)) for line in inside.outlines(walls)}
    around = {((x, y), (x + 1, y)) for x, y in ((1.5, 0.5), (1.5, 1.5), (-0.5, 2.5), (-0.5, 3.5))}
    around |= {((x, y), (x, y + 1)) for x, y in ((1.5, 0.5), (2.5, 0.5), (-0.5, 2.5), (0.5, 2.5))}
    assert segments == around


def test_saliency_along_training_is_mass_over_area(full):
    figure = inside.saliency_training(full["shares"], runs={"anywhere": "all over"}, cheese=False, steps_per_update=10)
    frame = full["shares"].where(run="anywhere", cheese=False, head="value", place="top-right").frame()
    frame["density"] = frame["mass"] / frame["area"]
    zero = 10 * 2 / 3  # the place of update 0
    assert is_drawn(figure.axes[0], [zero, 20, 400], frame.groupby("update")["density"].mean())


def test_a_dendrogram_has_the_heights_of_scipys_and_its_merges_do_not_cross(full):
    merges = full["pixels"].where(layer="block2.conv").array("merges")[0].reshape(-1, 4)
    _, axes = matplotlib.pyplot.subplots()
    groups.draw_dendrogram(axes, merges)
    (lines,) = axes.findobj(LineCollection)
    drawn = np.array(lines.get_segments())
    theirs = dendrogram(merges, no_plot=True)
    np.testing.assert_allclose(np.sort(drawn[:, 1, 1]), np.sort([heights[1] for heights in theirs["dcoord"]]))
    place = {leaf: at for at, leaf in enumerate(groups.leaves(merges))}
    assert sorted(place) == list(range(25))
    clusters = [[place[leaf]] for leaf in range(25)]
    for left, right in merges[:, :2].astype(int):
        clusters.append(sorted(clusters[left] + clusters[right]))
        assert clusters[-1][-1] - clusters[-1][0] == len(clusters[-1]) - 1  # neighbours


def test_a_chain_of_any_depth_can_be_drawn():
    count = 5000
    merges = np.array([[0, 1, 1, 2], *([count + k, k + 2, k + 2, k + 3] for k in range(count - 2))], float)
    assert list(groups.leaves(merges)) in ([*range(count)], [*range(count)][::-1])


def test_groups_are_drawn_as_they_are_numbered(full):
    figure = groups.groups(full["pixels"], run="colour", layers=["block1.conv"])
    row = full["pixels"].where(run="colour", layer="block1.conv", seed=0, update=40)
    np.testing.assert_array_equal(images(figure.axes[1]), row.array("linked", 9, 9)[0])
    np.testing.assert_array_equal(images(figure.axes[3]), row.array("patches", 9, 9)[0])
    sizes = np.bincount(row.array("patches")[0].astype(int))
    colours = [matplotlib.colors.to_hex(figure.axes[3].get_images()[0].cmap(n)) for n in range(len(sizes))]
    assert [colour == "#ffffff" for colour in colours] == [size == 1 for size in sizes]


def test_agreement_is_the_mean_over_mazes_then_seeds_and_its_change_by_training(full):
    figure = groups.agreement(full["groups"], runs={"colour": "x"})
    trained, untrained = (
        full["groups"].where(run="colour", method="k-means", update=update).frame().groupby("layer", sort=False)
        for update in (40, 0)
    )
    place = 0.12 * (1 - 1.5) + np.arange(3)  # the second of four methods
    assert is_drawn(figure.axes[0], place, trained["ari"].mean())
    for ax, measure in zip(figure.axes[1:], groups.CHANGES, strict=True):
        assert is_drawn(ax, place, trained[measure].mean() - untrained[measure].mean())
        assert ax.get_ylim()[0] == -ax.get_ylim()[1]


def test_mouse_and_cheese_are_marked_in_every_channel(full):
    figure = inside.feature_maps(full["features"], full["levels"], run="region-2", layers=["block1.conv"])
    level = inside.largest(full["features"], full["levels"])
    shown = full["features"].where(run="region-2", seed=0, update=0, level=level, layer="input").array("shown", 9, 9)[0]
    for line, mark in zip(figure.axes[1].lines, ("mouse", "cheese"), strict=True):
        ((y, x),) = np.argwhere(shown == kinds.maze_pixels.SHOWS.index(mark))
        # 5 channels of 9 × 9 pixels in three columns, a pixel apart
        expected = [(x + 10 * (channel % 3), y + 10 * (channel // 3)) for channel in range(5)]
        np.testing.assert_allclose(line.get_xydata(), expected)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["mouse", "cheese"]


def test_probes_and_contrast_are_drawn_by_layer(full):
    figure = groups.probes(full["accuracy"], runs=PAIR)
    frame = full["accuracy"].where(run="anywhere", update=40, goal="cheese", places="differ").frame()
    assert is_drawn(figure.axes[3], [0, 1], frame.groupby("layer", sort=False)["accuracy"].mean())
    figure = groups.standing(full["contrast"], runs={"colour": "x"})
    frame = full["contrast"].where(run="colour", update=0, quantity="mouse / cheese").frame()
    assert is_drawn(figure.axes[1], np.arange(len(frame)), frame["value"])


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda t: inside.seen(t["features"], t["levels"], runs={}), "no runs to draw"),
        (
            lambda t: inside.seen(t["features"], t["levels"], runs={"ant": "a"}),
            "features: no run 'ant' with layer 'input'; there are: colour, region-2, anywhere",
        ),
        (
            lambda t: inside.feature_maps(t["features"], t["levels"], run="colour", layers=["block9"]),
            "features: no layer 'block9'; there are: input, relufc, block1.conv, block2.conv",
        ),
        (
            lambda t: inside.feature_maps(t["features"], level_table(3, "others"), run="colour", layers=["input"]),
            "levels: none of those in features is in the table of levels",
        ),
        (lambda t: inside.saliency(t["saliency"], t["levels"], runs={"ant": "x"}, region=2), "saliency: no run 'ant'"),
        (
            lambda t: inside.saliency(t["saliency"].where(seed=[1, 2]), t["levels"], runs=PAIR, region=2),
            "saliency: no seed '0'; there are: 1, 2",
        ),
        (
            lambda t: inside.saliency_training(t["shares"], runs={"ant": "x"}, cheese=True, steps_per_update=1),
            "shares: no run 'ant'",
        ),
        (lambda t: groups.dendrograms(t["pixels"], run="colour", layers=["x"]), "pixels: no layer 'x'"),
        (lambda t: groups.groups(t["pixels"], run="colour", layers=[]), "no layers to draw"),
        (lambda t: groups.agreement(t["groups"], runs={"ant": "x"}), "groups: no run 'ant'"),
        (lambda t: groups.probes(t["accuracy"], runs={}), "no runs to draw"),
        (lambda t: groups.standing(t["contrast"], runs={"ant": "x"}), "contrast: no run 'ant'"),
    ],
)
def test_what_is_not_in_the_tables_is_named(full, draw, message):
    with pytest.raises(ValueError, match=message):
        draw(full)
