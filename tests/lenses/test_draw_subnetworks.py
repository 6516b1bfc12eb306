"""The figures of subnetworks say what they show, draw what the tables hold, and fix the sign of what has none."""

import matplotlib
import numpy as np
import pyarrow as pa
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from agentomy import kinds
from agentomy.drawing import style
from agentomy.lenses.subnetworks import draw as l3d
from agentomy.lenses.subnetworks import draw_moves
from agentomy.tables import Table
from tests.checks import check_labels
from tests.lenses.planted_subnetworks import (
    AGENTS,
    DEAD,
    DELTAS,
    FEATURES,
    FOR,
    RANKS,
    SWEPT,
    TOYS,
    planted,
    steered_table,
    toy_tables,
)

matplotlib.use("agg")

# ---- every figure ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def full():
    return toy_tables()


@pytest.fixture(autouse=True)
def closed():
    yield
    matplotlib.pyplot.close("all")


def tables_named(tables: dict[str, Table], *names: str) -> list[Table]:
    return [tables[name] for name in names]


MOVES = ("moved", "matched", "points")
# name: (draws the figure from the tables, words that a reader must find in it)
FIGURES = {
    "nets": (
        lambda t: l3d.nets(*tables_named(t, "subnetworks", "matched"), run="tms", seed=0),
        ["the network", "subnetwork 4", "feature 2, P_act 0.11", "dead, P_act 0.00", "negative bias", "seed 0"],
    ),
    "nets of a perceptron": (
        lambda t: l3d.nets(*tables_named(t, "subnetworks", "matched"), run="mlp", seed=0, columns=4, named="block"),
        ["the network", "subnetwork 2", "block 0, P_act 0.11", "positive weight"],
    ),
    "directions": (
        lambda t: l3d.directions(*tables_named(t, "subnetworks", "matched"), run="tms"),
        ["seed 2: least |cos| 1.000", "hidden unit 0", "hidden unit 1", "feature 4", "n = 3 training seeds"],
    ),
    "coefficients": (
        lambda t: l3d.coefficients(*tables_named(t, "coefficients", "recovered", "matched"), run="tms"),
        ["seed 1: r = 0.910", "true coefficient", "read from the subnetwork", "n = 3 training seeds"],
    ),
    "curves": (
        lambda t: l3d.curves(*tables_named(t, "curves", "matched"), runs=RANKS, varied="rank"),
        ["epoch", "loss in the end", "rank", "8", "n = 3 training seeds"],
    ),
    "toys": (
        lambda t: l3d.toys(*tables_named(t, "quality", "cleanness"), runs=TOYS),
        [*TOYS.values(), "loss", "mean |cos|", "dead\nsubnetworks", "0.21", "–", "random directions", "n = 3"],
    ),
    "scatter": (
        lambda t: draw_moves.scatter(*tables_named(t, *MOVES), run="tms", seed=0, deltas=[-1, 1], square=True),
        ["δ = −1", "δ = +1", "input i", "output i", "i = 4", "not moved", "input²", "60 inputs", "dead", "seed 0"],
    ),
    "sweep": (
        lambda t: draw_moves.sweep(*tables_named(t, "effects", "matched"), run="tms", seed=0),
        ["median change of output i", "δ", "feature 2", "i = 4", "thick: the matching output", "seed 0"],
    ),
    "grid": (
        lambda t: draw_moves.grid(*tables_named(t, "pairs", "matched", "points"), run="tms", seed=0),
        ["$\\delta_{1}$ = −1", "$\\delta_{3}$ = +0.3", "60 inputs", "rows: subnetwork 3 (feature 0)", "not moved"],
    ),
    "agents": (
        lambda t: draw_moves.agents(steered_table(), runs=AGENTS),
        ["maze\nlearned × ", "change on own inputs", "total variation", "seed 2", "random", "30 subnetworks", "n = 3"],
    ),
    "one agent": (
        lambda t: draw_moves.agents(steered_table(seeds=1, runs=("maze-l3d",)), runs={"maze-l3d": "maze"}),
        ["maze\nlearned × ", "seed 0", "n = 1 training seed"],
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_label_can_be_read_and_lies_apart(full, name, monkeypatch):
    draw, words = FIGURES[name]
    check_labels(draw(full), words, monkeypatch)


SAYS = "the model of seeds 0, 2 has not learned its task"
SAID = {
    "nets": "the model of seed 0 has not learned its task",
    "directions": SAYS,
    "coefficients": SAYS,
    "curves": "hollow: the model has not learned its task",
    "toys": "hollow: the model has not learned its task",
    "scatter": "the model of seed 0 has not learned its task",
    "sweep": "the model of seed 0 has not learned its task",
    "grid": "the model of seed 0 has not learned its task",
}


@pytest.mark.parametrize("name", SAID)
def test_figures_of_toy_models_name_those_that_have_not_learned_and_no_others(full, name):
    def note(tables: dict[str, Table]) -> str:
        return FIGURES[name][0](tables)._supxlabel.get_text()

    assert SAID[name] in note(toy_tables(unlearned=(0, 2)))
    assert "not learned" not in note(full)


def test_seeds_whose_model_has_not_learned_are_hollow_and_only_they():
    tables = toy_tables(unlearned=(1,))
    panels = {"toys": FIGURES["toys"][0](tables).axes[0], "curves": FIGURES["curves"][0](tables).axes[1]}
    for ax in panels.values():
        marks = [line for line in ax.lines if line.get_marker() == "o"]
        white = [to_hex(line.get_markerfacecolor()) == "#ffffff" for line in marks]
        assert {len(line.get_xdata()) for line, hollow in zip(marks, white, strict=True) if hollow} == {1}
        assert {len(line.get_xdata()) for line, hollow in zip(marks, white, strict=True) if not hollow} == {2}
    drawn = [line for line in panels["toys"].lines if to_hex(line.get_markerfacecolor()) == "#ffffff"]
    np.testing.assert_allclose([line.get_xdata()[0] for line in drawn[:2]], [0.91, 0.21])  # seed 1: random, learned


# ---- what is drawn --------------------------------------------------------------------------------------------------


def dots(ax: matplotlib.axes.Axes, colour) -> list[np.ndarray]:
    return [np.asarray(line.get_xydata(), float) for line in ax.lines if to_hex(line.get_color()) == to_hex(colour)]


def is_drawn(ax: matplotlib.axes.Axes, x: np.ndarray, y: np.ndarray) -> bool:
    wanted = np.stack([x, y], axis=1)
    lines = [np.asarray(line.get_xydata(), float) for line in ax.lines]
    return any(line.shape == wanted.shape and np.allclose(line, wanted, atol=1e-6) for line in lines)


def strong(ax: matplotlib.axes.Axes) -> dict[tuple, str]:
    """The thickest lines of a net, (from x, from y, to x, to y) → colour."""
    colours = {}
    for lines in (collection for collection in ax.collections if isinstance(collection, LineCollection)):
        for ends, colour, width in zip(lines.get_segments(), lines.get_colors(), lines.get_linewidths(), strict=True):
            if width > 1.9 * 0.999:
                colours[tuple(np.round(ends.ravel(), 4))] = to_hex(colour)
    return colours


def test_nets_are_in_the_order_of_their_features_after_the_network_itself(full):
    figure = FIGURES["nets"][0](full)
    order = sorted(range(len(FOR)), key=lambda k: (FOR[k], k == DEAD))
    assert [ax.get_title() for ax in figure.axes[:7]] == ["the network", *(f"subnetwork {k}" for k in order)]


def test_a_path_through_a_perceptron_is_drawn_with_its_largest_entry_positive(full):
    figure = FIGURES["nets of a perceptron"][0](full)
    for ax, k in zip(figure.axes[1:4], (2, 1, 0), strict=True):  # by feature: matched says 2, 1, 0
        way = [1 - (node + 0.5) / size for node, size in zip((k, 3, 2, k), (5, 4, 3, 5), strict=True)]
        wanted = [(x, round(way[x], 4), x + 1, round(way[x + 1], 4)) for x in range(3)]
        assert strong(ax) == dict.fromkeys(wanted, to_hex(l3d.SIGNS["positive"]))


def test_v_and_its_negative_are_drawn_alike(full):
    one = planted(0)[0]
    other = {name: -direction for name, direction in one.items()}
    assert all(np.array_equal(l3d.signed(one)[name], l3d.signed(other)[name]) for name in one)
    assert l3d.signed(one)["bias"].max() > 0


def test_a_parallel_row_is_drawn_as_long_as_the_models_and_to_its_side(full):
    figure = FIGURES["directions"][0](full)
    for seed, ax in enumerate(figure.axes[:3]):
        rows = planted(seed)[-1]["encoder"]
        for row, colour in zip(rows, style.CYCLE, strict=False):
            lines = dots(ax, colour)
            assert len(lines) == 2  # solid and dashed
            assert all(np.allclose(line, [(0, 0), row], atol=1e-6) for line in lines)


def test_moves_are_drawn_on_the_side_on_which_their_own_output_rises(full):
    figure = FIGURES["scatter"][0](full)
    axes = np.reshape(figure.axes, (2, -1))
    inputs = full["points"].where(split="decomposed").array("inputs")
    order = sorted(range(len(FOR)), key=lambda k: (FOR[k], k == DEAD))
    for line, delta in zip(axes, (-1, 1), strict=True):
        for ax, k in zip(line, order, strict=True):
            feature = inputs[:, FOR[k]]
            assert is_drawn(ax, feature, feature + delta * (0.2 + feature))
            assert is_drawn(ax, *(inputs[:, (FOR[k] + 1) % FEATURES],) * 2)  # others stay
            assert is_drawn(ax, inputs.ravel(), inputs.ravel())  # not moved


def test_sweeps_rise_for_positive_delta_and_the_thick_line_is_the_matching_output(full):
    for ax, feature in zip(FIGURES["sweep"][0](full).axes, (0, 1, 1, 2, 3, 4), strict=True):
        thick = max(ax.lines, key=lambda line: line.get_linewidth())
        np.testing.assert_allclose(thick.get_ydata(), [0.4 * max(delta, -0.3) for delta in SWEPT])
        assert thick.get_color() == style.CYCLE[feature]


def test_the_grid_moves_both_subnetworks_whichever_comes_first_in_the_table(full):
    axes = np.reshape(FIGURES["grid"][0](full).axes, (len(DELTAS), -1))
    inputs = full["points"].where(split="decomposed").array("inputs")
    for line, delta in zip(axes, DELTAS, strict=True):
        for ax, further in zip(line, DELTAS, strict=True):
            for feature, by in ((0, delta), (1, further)):
                assert is_drawn(ax, inputs[:, feature], inputs[:, feature] + by * (0.2 + inputs[:, feature]))


def test_the_grid_is_drawn_even_if_subnetworks_are_about_one_feature(full):
    rows = full["matched"].where(run="tms", seed=0).arrow()
    alone = rows.set_column(rows.schema.get_field_index("block"), "block", pa.array([3] * len(FOR)))
    figure = draw_moves.grid(
        full["pairs"], Table(kinds.subnetworks.MATCHED, rows=alone), full["points"], run="tms", seed=0
    )
    assert "rows: subnetwork 0 (feature 3), columns: subnetwork 1 (feature 3)" in figure.get_supxlabel()


def test_coefficients_of_dead_subnetworks_are_left_out(full):
    frame = full["coefficients"].where(seed=2).frame()
    ax = FIGURES["coefficients"][0](full).axes[2]
    for k in range(len(FOR)):
        pairs = frame[frame["subnetwork"] == k]
        assert is_drawn(ax, pairs["true"], pairs["found"]) == (k != DEAD)


@pytest.mark.parametrize("count", [3, 8, 10, 20])
def test_categories_have_colours_of_their_own_without_an_order(count):
    shades = [to_hex(colour) for colour in l3d.colours(count)]
    assert len(set(shades)) == count
    bright = np.array([np.dot(to_rgb(shade), (0.3, 0.59, 0.11)) for shade in shades])
    assert (np.diff(bright) > 0).any()
    assert (np.diff(bright) < 0).any()


def test_coefficients_are_named_by_what_their_subnetwork_is_for(full):
    (legend,) = FIGURES["coefficients"][0](full).legends
    assert [text.get_text() for text in legend.get_texts()][:2] == ["input 0", "input 1"]
    looks = [(to_hex(key.get_color()), key.get_marker()) for key in legend.legend_handles]
    assert len(set(looks)) == len(looks)


def test_curves_are_means_over_seeds_and_get_lighter_in_the_order_of_the_runs(full):
    along, last = FIGURES["curves"][0](full).axes[:2]
    shades = [np.dot(line.get_color()[:3], (0.3, 0.59, 0.11)) for line in along.lines]
    assert (np.diff(shades) > 0).all()
    for place, (run, line) in enumerate(zip(RANKS, along.lines, strict=True)):
        frame = full["curves"].where(run=run).frame()
        np.testing.assert_allclose(line.get_ydata(), frame.groupby("epoch")["loss"].mean())
        ends = frame[frame["epoch"] == 10]["loss"]
        assert is_drawn(last, [place - 0.32, place + 0.32], [ends.mean()] * 2)
        assert ends.max() < 0.97 * last.get_ylim()[1]  # no dot is cut
        assert any(
            np.allclose(np.sort(points[:, 1]), ends) for points in dots(last, line.get_color()) if len(points) == 3
        )


@pytest.mark.parametrize(("largest", "bent"), [(2.0, False), (40.0, True)])
def test_outputs_that_reach_far_leave_small_ones_room(largest, bent):
    axes = Figure().subplots(1, 2, sharey=True)
    axes[0].plot([0, 1], [-0.5, largest])
    said = draw_moves.readable([axes])
    assert bool(said) == bent
    room = [ax.transData.transform([(0, 0), (0, 1), (0, largest)])[:, 1] for ax in axes]
    for zero, one, top in room:
        assert (one - zero > (top - zero) / 4) == (bent or largest < 4)
    assert room[0].tolist() == room[1].tolist()


def test_subnetworks_of_agents_lie_where_their_changes_say(full):
    ax = FIGURES["agents"][0](full).axes[1]
    means = steered_table().where(run="cat-l3d", seed=1, condition="learned").frame().groupby("subnetwork").mean(True)
    live = means[means["active"] > 0.005]
    assert is_drawn(ax, live["rest"], live["own"])
    assert is_drawn(ax, [means["rest"][0]], [means["own"][0]])  # dead, drawn by itself
    said = []
    for condition in ("learned", "random"):  # all random directions count, but only live subnetworks
        frame = steered_table().where(run="cat-l3d", condition=condition).frame()
        frame = frame[(frame["active"] > 0.005) | (condition == "random")]
        logs = np.log(frame["own"] / frame["rest"]).groupby(frame["seed"]).mean()
        said.append(f"{condition} × {np.exp(logs.mean()):.2f}")
    assert ax.get_title() == "predictor\n" + ", ".join(said)


def test_what_is_not_in_the_tables_is_named(full):
    with pytest.raises(ValueError, match="subnetworks: no run 'ant'; there are: tms, mlp"):
        l3d.nets(*tables_named(full, "subnetworks", "matched"), run="ant", seed=0)
    with pytest.raises(ValueError, match=r"subnetwork 3 was not moved by -0.5, but by -1, -0.3, 0, 0.3, 1"):
        draw_moves.scatter(*tables_named(full, *MOVES), run="tms", seed=0, deltas=[0.5])
    with pytest.raises(ValueError, match="run 'mlp' has no encoder of 2 hidden units"):
        l3d.directions(*tables_named(full, "subnetworks", "matched"), run="mlp")
