"""The figures of edits, cheese channels and retargeting say what they show and draw what the tables hold."""

import matplotlib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from matplotlib.quiver import Quiver

from agentomy import kinds
from agentomy.papers.maze.draw import channels, edits
from agentomy.tables import Table
from tests import in_memory
from tests.checks import check_page, is_drawn
from tests.papers.maze.maze_agents import level_table

matplotlib.use("agg")

RUNS = {"region-4": "near the corner", "anywhere": "all over"}  # and what figures call them
LAYER, WORLD = "block2.res1.resadd", 9
EDITS = [*edits.EDITS, *(("cheese", float(times)) for times in (-3, -2, 2, 3))]


def made_tables(seeds: int = 3, count: int = 14) -> dict[str, Table]:
    """Every table that these figures read, with made-up numbers that depend on run, seed and update."""
    rng = np.random.default_rng(5)
    levels = level_table(80, corner=4)
    levels = Table(
        kinds.maze.LEVELS, rows=levels.arrow().filter(pa.array(levels.values("decision_x") >= 0)).slice(0, count)
    )
    tables: dict[str, list] = {
        name: [] for name in ("fields", "edited", "transfers", "channels", "retargets", "resampled")
    }
    for run in RUNS:
        for seed in range(seeds):
            for update in (0, 30, 100):
                key = {"run": run, "seed": seed, "update": update}
                tables["channels"] += channels_of(rng, key)
                if update != 30:
                    for name, make in (("fields", fields_of), ("edited", edited_of), ("retargets", retargets_of)):
                        tables[name] += make(rng, levels, key)
                    tables["transfers"].append(transfers_of(rng, levels, key))
                    tables["resampled"] += resampled_of(rng, levels, key)
    return {name: in_memory.of_pieces(kinds.ALL[name.upper()], pieces) for name, pieces in tables.items()} | {
        "levels": levels
    }


def fields_of(rng, levels, key):
    walls, pieces = levels.array("walls", WORLD, WORLD) == 1, []
    margin = levels.values("side") < WORLD
    for edit, coefficient in EDITS:
        which = margin if edit in ("top-right", "carried", "both") else np.ones(len(levels), bool)
        moves = rng.dirichlet(np.ones(5), size=walls[which].shape)
        moves[walls[which]] = np.nan
        given = {**key, "level": levels.values("level")[which], "edit": edit, "coefficient": coefficient}
        pieces.append(kinds.maze_edits.FIELDS.table(**given, moves=moves, values=moves[..., 0]))
    return pieces


def edited_of(rng, levels, key):
    pieces, margin = [], levels.values("side") < WORLD
    for edit, coefficient in EDITS:
        which = margin if edit in ("top-right", "carried", "both") else np.ones(len(levels), bool)
        numbers = {column.name: rng.random(which.sum()) for column in kinds.maze_edits.EDITED.columns[6:]}
        given = {**key, "level": levels.values("level")[which], "edit": edit, "coefficient": coefficient}
        pieces.append(kinds.maze_edits.EDITED.table(**given, **numbers))
    return pieces


def transfers_of(rng, levels, key):
    level, source = (places.ravel() for places in np.meshgrid(levels.values("level"), levels.values("level")))
    apart = level != source
    distance = rng.integers(0, 8, apart.sum())
    numbers = {"before": rng.random(apart.sum()), "after": rng.random(apart.sum())}
    return kinds.maze_edits.TRANSFERS.table(
        **key, level=level[apart], source=source[apart], distance=distance, **numbers
    )


def channels_of(rng, key, count=16):
    return [
        kinds.maze_edits.CHANNELS.table(
            **key,
            layer=layer,
            channel=np.arange(count),
            object=name,
            auc=rng.uniform(0.0, 1.0, count),
            mean_on=rng.random(count),
            mean_off=rng.random(count),
        )
        for layer in ("block1.conv", LAYER)
        for name in kinds.maze_edits.OBJECTS
    ]


def retargets_of(rng, levels, key):
    pieces = []
    for level, walls in zip(levels.values("level"), levels.array("walls", WORLD, WORLD), strict=True):
        y, x = np.nonzero(walls == 0)
        for edit in channels.EDITS:
            pieces.append(
                kinds.maze_edits.RETARGETS.table(
                    **key,
                    level=level,
                    edit=edit,
                    channels={"all": 4 + key["seed"], "several": 3, "random": 3, "one": 1}.get(edit, 0),
                    target_x=x,
                    target_y=y,
                    probability=rng.random(len(x)),
                    steps=x + y,
                    off_route=x % 5,
                )
            )
    return pieces


def resampled_of(rng, levels, key):
    return [
        kinds.maze_edits.RESAMPLED.table(
            **key,
            level=levels.values("level"),
            source=1,
            which=which,
            channels=3 + key["seed"],
            place=place,
            change=rng.random(len(levels)) / 20,
        )
        for which in ("cheese", "other")
        for place in ("same", "other")
    ]


@pytest.fixture(scope="module")
def full():
    return made_tables()


@pytest.fixture(scope="module")
def single_seed():
    return made_tables(seeds=1, count=9)


@pytest.fixture(autouse=True)
def closed():
    yield
    matplotlib.pyplot.close("all")


def field_figure(t, edit="cheese", coefficient=-1.0):
    return edits.vector_fields(
        t["fields"], t["levels"], run="region-4", edit=edit, coefficient=coefficient, seed=0, mazes=3
    )


SEEDS = ["training seed", *RUNS.values(), "untrained"]
# name: (draws the figure from the tables, words that a reader must find in it)
FIGURES = {
    "fields": (field_figure, ["no edit", "cheese vector × −1", "difference", "top-right cell", "P(right) − P(left)"]),
    "sweep": (
        lambda t: edits.sweep(t["edited"], runs=RUNS),
        [*SEEDS, "coefficient of the cheese vector", "move to the cheese", "median probability", "mazes"],
    ),
    "decisions": (
        lambda t: edits.decisions(t["edited"], runs=RUNS),
        [*SEEDS, "cheese removed", "random vector", "P(move to the corner)", "P(other moves)", "quartiles", "mazes"],
    ),
    "transfer": (
        lambda t: edits.transfer(t["transfers"], runs=RUNS, near=2),
        [*SEEDS, "distance of the two cheese cells", "fall of P(move to the cheese)", "pairs of mazes"],
    ),
    "top right": (
        lambda t: edits.top_right(t["edited"], runs=RUNS),
        [*SEEDS, "top-right vector × 0.5", "another maze's", "path probability", "mazes with a margin"],
    ),
    "ranking": (
        lambda t: channels.ranking(t["channels"], runs=RUNS, layer=LAYER, threshold=0.95),
        [*SEEDS, "AUC of the cheese's position", "channels with AUC > 0.95", "training update", "mouse", "block1.conv"],
    ),
    "heat maps": (
        lambda t: channels.heat_maps(t["retargets"], t["levels"], run="region-4", seed=0, mazes=3),
        ["no edit", "cheese at the\ntarget", "best channel", "3 best\nchannels", "3 random\nchannels", "(4)", "start"],
    ),
    "off route": (
        lambda t: channels.off_route(t["retargets"], t["levels"], runs=RUNS),
        [
            *SEEDS,
            "cells off the way to the corner",
            "3 random channels",
            "side of the maze",
            "path probability",
            "best channel",
        ],
    ),
    "resampling": (
        lambda t: channels.resampling(t["resampled"], runs=RUNS),
        [*SEEDS, "change of the policy (%)", "cheese at the same cell", "total variation", "as many\nothers"],
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


def test_arrows_are_the_differences_of_opposite_moves(full):
    figure = field_figure(full, "top-right", 1.0)
    quivers = [next(child for child in ax.get_children() if isinstance(child, Quiver)) for ax in figure.axes[:3]]
    rows = full["fields"].where(run="region-4", seed=0, update=100)
    geometry = full["levels"].frame().set_index("level")
    there = rows.where(edit="top-right", coefficient=1.0).values("level")
    level = int(there[np.argmax(geometry.loc[there, "side"])])
    before, after = (
        rows.where(level=level, edit=edit, coefficient=times).array("moves", WORLD, WORLD, 5)[0]
        for edit, times in (("none", 0.0), ("top-right", 1.0))
    )
    y, x = np.nonzero(~np.isnan(before[..., 0]))
    for quiver, field in zip(quivers, (before, after, after - before), strict=True):
        left, down, up, right, _ = field[y, x].T
        for drawn, wanted in ((quiver.X, x), (quiver.Y, y), (quiver.U, right - left), (quiver.V, up - down)):
            np.testing.assert_allclose(drawn, wanted, atol=1e-6)
    assert geometry.loc[level, "side"] < WORLD


def test_the_sweep_goes_through_no_edit_at_zero(full):
    ax = edits.sweep(full["edited"], runs=RUNS).axes[1]
    frame = full["edited"].where(run="anywhere", update=100, edit=["none", "cheese"]).frame()
    medians = frame.groupby(["coefficient", "seed"])["to_cheese"].median().groupby("coefficient").mean()
    assert 0.0 in medians.index
    assert is_drawn(ax, medians.index, medians)


def test_moves_of_one_probability_are_all_seen_in_the_sweep(full):
    moves = {
        line.get_color(): line
        for line in edits.sweep(full["edited"], runs=RUNS).axes[0].lines
        if line.get_marker() == "."
    }
    cheese, corner, others = (moves[colour] for colour in edits.MOVES.values())
    assert cheese.get_linewidth() > corner.get_linewidth()
    assert cheese.get_zorder() < min(corner.get_zorder(), others.get_zorder())
    assert corner.get_linestyle() != others.get_linestyle()


def test_boxes_are_of_the_mazes_that_have_a_margin(full):
    figure = edits.top_right(full["edited"], runs=RUNS)
    rows = full["edited"].where(run="region-4", update=100).frame()
    margin = rows.loc[rows["edit"] == "carried", "level"].unique()
    plain = rows[(rows["edit"] == "none") & rows["level"].isin(margin)]
    medians = [line.get_ydata() for line in figure.axes[0].lines if len(set(line.get_ydata())) == 1]
    assert any(np.allclose(median, plain["corner_path"].median()) for median in medians)
    dots = np.concatenate([line.get_ydata() for line in figure.axes[0].lines if line.get_marker() == "o"])
    assert set(np.round(plain.groupby("seed")["corner_path"].median(), 9)) <= set(np.round(dots, 9))


def test_transfer_is_drawn_for_trained_and_untrained_networks(full):
    ax = edits.transfer(full["transfers"], runs=RUNS, near=2).axes[0]
    for run, update in (("region-4", 100), ("anywhere", 100), ("region-4", 0)):
        frame = full["transfers"].where(run=run, update=update).frame()
        fall = (frame["before"] - frame["after"]).groupby([frame["distance"], frame["seed"]]).mean()
        fall = fall.groupby("distance").mean()
        assert is_drawn(ax, fall.index, fall)


def either(channels: Table) -> pd.DataFrame:
    """With the AUC of each channel or of its negative, and whether it is the negative's."""
    frame = channels.frame()
    return frame.assign(auc=np.maximum(frame["auc"], 1 - frame["auc"]), lower=frame["auc"] < 0.5)


def test_channels_are_drawn_by_rank_along_training_by_object_and_by_layer(full):
    figure = channels.ranking(full["channels"], runs=RUNS, layer=LAYER, threshold=0.95)
    ranks, counts, objects, layers, best_along, best_by = figure.axes
    rows = either(full["channels"].where(layer=LAYER, object="cheese", run="region-4"))
    by_update = rows.groupby(["update", "seed"])["auc"]
    for ax, values in ((counts, by_update.agg(lambda auc: (auc > 0.95).sum())), (best_along, by_update.max())):
        values = values.groupby("update").mean().to_numpy()
        assert any(len(line.get_ydata()) == 3 and np.allclose(line.get_ydata(), values) for line in ax.lines)
    trained = rows[(rows["update"] == 100) & (rows["seed"] == 1)]
    order = np.argsort(-trained["auc"].to_numpy(), kind="stable")
    assert is_drawn(ranks, np.arange(1, 17), trained["auc"].to_numpy()[order])
    lower = trained["lower"].to_numpy()[order]
    assert is_drawn(ranks, np.flatnonzero(lower) + 1, trained["auc"].to_numpy()[order][lower])
    best = either(full["channels"].where(object="cheese", run="anywhere", update=100))
    best = best.groupby(["layer", "seed"])["auc"].max().groupby("layer").mean()
    assert is_drawn(layers, [0, 1], best.loc[["block1.conv", LAYER]])
    others = either(full["channels"].where(layer=LAYER, run="region-4", update=0)).groupby(["object", "seed"])["auc"]
    for ax, values in ((objects, others.agg(lambda auc: (auc > 0.95).sum())), (best_by, others.max())):
        means = values.groupby("object").mean().loc[[*kinds.maze_edits.OBJECTS]]
        dashes = [line.get_ydata() for line in ax.lines if line.get_marker() == "_"]
        assert np.allclose(dashes[-1], means)  # untrained ones come last


def test_heat_maps_hold_the_probability_of_every_target_and_what_edits_change(full):
    figure = channels.heat_maps(full["retargets"], full["levels"], run="anywhere", seed=1, mazes=2)
    rows = full["retargets"].where(run="anywhere", seed=1, update=100)
    geometry = full["levels"].frame()
    level = int(geometry["level"][geometry["side"].to_numpy().argmax()])
    before = rows.where(level=level, edit="none").frame().set_index(["target_y", "target_x"])["probability"]
    for ax, edit in zip(figure.axes[:6], channels.EDITS, strict=True):
        drawn = np.asarray(ax.images[0].get_array().filled(np.nan), float)
        for row in rows.where(level=level, edit=edit).frame().itertuples():
            less = 0 if edit == "none" else before[row.target_y, row.target_x]
            assert drawn[row.target_y, row.target_x] == pytest.approx(row.probability - less)
        assert ax.images[0].get_clim() == ((0, 1) if edit == "none" else (-1, 1))
        assert ax.get_xlabel() == ("" if edit == "none" else f"mean {channels.signed(np.nanmean(drawn))}")
        assert np.isnan(drawn).sum() == WORLD**2 - len(rows.where(level=level, edit=edit))


def test_path_probabilities_are_means_over_targets_and_then_seeds(full):
    figure = channels.off_route(full["retargets"], full["levels"], runs=RUNS)
    frame = full["retargets"].where(run="region-4", update=0, edit="several").frame()
    means = frame.groupby(["off_route", "seed"])["probability"].mean().groupby("off_route").mean()
    assert is_drawn(figure.axes[2], means.index, means)
    sides = dict(zip(full["levels"].values("level"), full["levels"].values("side"), strict=True))
    means = frame.groupby([frame["level"].map(sides), "seed"])["probability"].mean().groupby("level").mean()
    assert is_drawn(figure.axes[5], means.index, means)


def test_bars_of_resampling_are_means_in_per_cent(full):
    ax = channels.resampling(full["resampled"], runs=RUNS).axes[1]
    frame = full["resampled"].where(run="anywhere", update=100).frame()
    means = 100 * frame.groupby(["place", "which"])["change"].mean()
    order = [(place, which) for place in ("same", "other") for which in ("cheese", "other")]
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], [means[key] for key in order])


@pytest.mark.parametrize("seeds", [1, 3, 40])
def test_the_dots_of_many_seeds_stay_within_their_bar(full, seeds):
    frame = full["resampled"].where(run="region-4", update=[0, 100]).frame()
    first = frame[frame["seed"] == frame["seed"].min()]
    many = pd.concat([first.assign(seed=seed, channels=2 + seed % 2) for seed in range(seeds)], ignore_index=True)
    table = Table(kinds.maze_edits.RESAMPLED, rows=pa.Table.from_pandas(many, full["resampled"].arrow().schema))
    figure = channels.resampling(table, runs={"region-4": "x"})
    ax = figure.axes[0]
    dots = [line.get_xdata() for line in ax.lines if line.get_marker() == "."]
    for bar, x in zip(ax.patches, [x for pair in (dots[:2], dots[2:]) for x in pair], strict=True):
        assert bar.get_x() < min(x)
        assert max(x) < bar.get_x() + bar.get_width()
    assert ax.get_xlabel() == ("channels changed: 2" if seeds == 1 else "channels changed: 2 to 3")


def test_a_run_that_is_not_there_is_named(full):
    with pytest.raises(ValueError, match=r"no run 'colour'; there are: region-4, anywhere"):
        edits.sweep(full["edited"], runs={"colour": "x"})
    with pytest.raises(ValueError, match="no edit 'nothing'"):
        field_figure(full, "nothing")
