"""The figures of what agents do in mazes say what they show, draw what the tables hold, and name what is missing."""

import matplotlib
import numpy as np
import pyarrow as pa
import pytest

from agentomy import kinds
from agentomy.drawing import style
from agentomy.papers.maze.draw.behaviour import first_goals, no_cheese, routes, sweep
from agentomy.papers.maze.draw.choice import accuracies, by_distance, coefficients, correlation_matrix
from agentomy.papers.maze.draw.training import learning_curves, misgeneralisation
from agentomy.papers.maze.measure import choice, navigation
from agentomy.seeds import Streams
from agentomy.tables import Table
from tests.checks import check_page
from tests.papers.maze.maze_agents import course, level_table, outcome_table, seekers, trained_agents
from tests.papers.path.test_draw import is_drawn

matplotlib.use("agg")

RUNS = {"region-1": 0.0, "region-4": 0.5, "anywhere": 1.0}  # and how often each seeks the cheese
LABELS = {run: run for run in RUNS}
REGION = 2


def made_tables(seeds: int) -> dict:
    levels = level_table(250)
    outcomes = trained_agents(levels, RUNS, seeds=seeds)
    given = {"regions": {run: [1, REGION] for run in RUNS}, "large": 7}
    both = [navigation.shares(outcomes, levels, distribution=name, **given) for name in ("training", "test")]
    streams = Streams("test", "metric", 0)
    return {
        "levels": levels,
        "outcomes": outcomes,
        "navigation": Table(kinds.maze_behaviour.NAVIGATION, rows=pa.concat_tables(both)),
        "occupancy": Table(kinds.maze_behaviour.OCCUPANCY, rows=navigation.occupancy(outcomes, levels, large=7)),
        "regression": Table(
            kinds.maze_behaviour.REGRESSION,
            rows=choice.regression(outcomes, levels, region=REGION, splits=2, streams=streams),
        ),
        "chances": Table(kinds.maze_behaviour.CHANCES, rows=choice.chances(outcomes, levels, region=REGION, bins=5)),
        "correlations": Table(
            kinds.maze_behaviour.CORRELATIONS, rows=choice.correlations(levels, region=REGION, parts=4)
        ),
    }


@pytest.fixture(scope="module")
def full():
    return made_tables(seeds=3)


@pytest.fixture(scope="module")
def single_seed():
    return made_tables(seeds=1)


@pytest.fixture(autouse=True)
def closed():
    yield
    matplotlib.pyplot.close("all")


# name: (draws the figure from the tables, words that a reader must find in it)
FIGURES = {
    "F1": (
        lambda t: routes(t["outcomes"], t["levels"], run="region-4", region=REGION),
        [
            "cheese as in training",
            "elsewhere: gets it",
            "elsewhere: passes it",
            "no cheese",
            "top-right 2 × 2",
            "seed 0",
        ],
    ),
    "F3": (
        lambda t: learning_curves(t["navigation"], runs=LABELS, steps_per_update=4096),
        [*RUNS, "mean return", "environment steps", "training distribution", "cheese anywhere", "random policy", "250"],
    ),
    "F6": (
        lambda t: no_cheese(t["occupancy"], run="region-1", control="anywhere", region=REGION),
        [
            "top-right 2 × 2",
            "cheese anywhere",
            "untrained",
            "random policy",
            "cells left of the corner",
            "share of episode ends",
            "1.00 in the region",
        ],
    ),
    "first goals": (
        lambda t: first_goals(t["navigation"], runs=LABELS, region=REGION),
        [*RUNS, "random policy", "untrained", "cheese first", "corner first", "neither", "share of mazes", "sampled"],
    ),
    "sweep": (
        lambda t: sweep(t["navigation"], runs={**LABELS, "region-1": "1"}, region=REGION),
        ["1", "anywhere", "cheese first", "corner first", "neither", "top-right n × n in training", "random policy"],
    ),
    "misgeneralisation": (
        lambda t: misgeneralisation(
            t["navigation"],
            runs={"region-1": "near", "region-4": "far"},
            regions={"region-1": 1, "region-4": 2},
            steps_per_update=10,
        ),
        ["near\ntest cheese outside 1 × 1", "far\ntest cheese outside 2 × 2", "corner first", "environment steps"],
    ),
    "coefficients": (
        lambda t: coefficients(t["regression"], run="region-4"),
        ["all distances", "three distances", "cheese–corner, Euclid", "per standard deviation", "log-odds", "region-4"],
    ),
    "accuracies": (
        lambda t: accuracies(t["regression"], runs={"region-4": "near", "anywhere": "all over"}),
        ["near", "untrained", "all over", "decision–cheese, steps", "commoner answer", "levels not fitted"],
    ),
    "by distance": (
        lambda t: by_distance(t["chances"], run="region-4"),
        ["P(gets the cheese)", "cheese–(0, 0), Euclidean", "decision–region, steps", "untrained", "distance (cells)"],
    ),
    "correlations": (
        lambda t: correlation_matrix(t["correlations"]),
        ["cheese–region, steps", "1.00", "correlation", "4 parts"],
    ),
}


def counted(name: str, seeds: int) -> list[str]:
    """What a figure says about the number of its seeds, if it is of trained networks."""
    return [] if name in ("F1", "correlations") else [style.seeds(seeds)]


@pytest.mark.parametrize("name", FIGURES)
def test_every_label_can_be_read_and_lies_on_the_page(full, name):
    draw, words = FIGURES[name]
    words = [*words, *counted(name, 3)]
    check_page(draw(full), words)


@pytest.mark.parametrize("name", FIGURES)
def test_figures_of_one_seed_have_their_labels_on_the_page_too(single_seed, name):
    draw, words = FIGURES[name]
    check_page(draw(single_seed), [*words, *counted(name, 1)])


# ---- routes ---------------------------------------------------------------------------------------------------------


def drawn_ways(figure):
    """The way and the markers (cells) of each panel."""
    panels = []
    for ax in figure.axes:
        ways = [line.get_xydata() for line in ax.lines if len(line.get_xydata()) > 1]
        panels.append(
            (
                ways[0] if ways else None,
                [tuple(line.get_xydata()[0]) for line in ax.lines if line.get_marker() in "oD*"],
            )
        )
    return panels


def test_routes_end_at_what_each_panel_says(full):
    training, gets, passes, empty = drawn_ways(FIGURES["F1"][0](full))
    for way, (start, corner, cheese) in (training, gets):
        assert tuple(way[0]) == start
        assert tuple(way[-1]) == cheese != corner
        assert np.abs(np.diff(way, axis=0)).sum(axis=1).max() == 1  # it goes step by step
    way, (_, corner, cheese) = passes
    assert tuple(way[-1]) == corner
    assert cheese not in set(map(tuple, way))
    assert len(empty[1]) == 2  # no cheese
    np.testing.assert_array_equal(empty[0][[0, -1]], way[[0, -1]])
    assert max(gets[1][1]) - min(gets[1][2]) >= REGION
    assert max(training[1][1]) - min(training[1][2]) < REGION


def test_what_an_agent_never_does_is_left_empty(full):
    """Nothing ever passes cheese for the corner."""
    figure = routes(full["outcomes"], full["levels"], run="anywhere", region=REGION)
    ways = [way for way, _ in drawn_ways(figure)]
    assert [way is None for way in ways] == [False, False, True, True]
    assert [text.get_text() for ax in figure.axes for text in ax.texts] == ["none found"] * 2


def test_cheese_in_the_region_is_no_example_of_cheese_elsewhere(full):
    inside = [row["level"] for row in full["levels"].frame().to_dict("records") if row["cheese_region"] <= 4]
    figure = routes(full["outcomes"].where(level=inside), full["levels"], run="region-4", region=4)
    assert [way is None for way, _ in drawn_ways(figure)] == [False, True, True, True]


# ---- numbers --------------------------------------------------------------------------------------------------------


def mean_by_update(rows, scale=1.0):
    frame = rows.where(agent=["trained", "untrained"]).frame()
    return frame.groupby(["update", "seed"])["share"].mean().groupby("update").mean() * scale


def test_learning_curves_are_returns_along_environment_steps(full):
    ax = FIGURES["F3"][0](full).axes[1]
    rows = full["navigation"].where(run="region-4", condition="cheese", subset="all", outcome="got cheese", region=1)
    means = mean_by_update(rows.where(distribution="test"), 10)
    assert means.index.tolist() == [0, 4, 9]
    assert is_drawn(ax, np.array([4096 * 4 / 3, 4096 * 4, 4096 * 9]), means)  # update 0 has a place left of the rest
    chance = rows.where(agent="random", distribution="test").values("share")[0] * 10
    assert is_drawn(ax, [0, 1], [chance, chance])


def test_runs_of_any_length_fit_on_the_axis_that_panels_share(full):
    """The last panel is of a run that stopped early."""
    frame = full["navigation"].arrow()
    late = pa.compute.and_(pa.compute.equal(frame["run"], "anywhere"), pa.compute.equal(frame["update"], 9))
    short = Table(kinds.maze_behaviour.NAVIGATION, rows=frame.filter(pa.compute.invert(late)))
    figures = [
        learning_curves(short, runs=LABELS, steps_per_update=10),
        misgeneralisation(short, runs=LABELS, regions=dict.fromkeys(RUNS, REGION), steps_per_update=10),
    ]
    for figure in figures:
        assert all(ax.get_xlim()[1] > 90 for ax in figure.axes)
        curve = next(line for line in figure.axes[2].lines if line.get_marker() == ".")
        np.testing.assert_allclose(curve.get_xdata(), [40 / 3, 40])


def test_runs_of_different_numbers_of_seeds_say_so(full):
    frame = full["navigation"].arrow()
    third = pa.compute.and_(pa.compute.equal(frame["run"], "region-1"), pa.compute.equal(frame["seed"], 2))
    fewer = {"navigation": Table(kinds.maze_behaviour.NAVIGATION, rows=frame.filter(pa.compute.invert(third)))}
    for name in ("first goals", "sweep", "misgeneralisation", "F3"):
        assert "n = 2 to 3 training seeds" in FIGURES[name][0](fewer).get_supxlabel()


def test_misgeneralisation_is_drawn_where_there_is_a_decision(full):
    ax = FIGURES["misgeneralisation"][0](full).axes[0]
    rows = full["navigation"].where(
        run="region-1", distribution="test", subset="decision", region=1, condition="cheese"
    )
    for outcome in ("cheese", "corner", "neither"):
        assert is_drawn(ax, np.array([40 / 3, 40, 90]), mean_by_update(rows.where(outcome=outcome)))


def test_bars_are_means_over_seeds_of_the_last_snapshot(full):
    figure = FIGURES["first goals"][0](full)
    rows = full["navigation"].where(distribution="test", subset="decision", region=REGION, condition="cheese")
    expected = [rows.where(run="region-1", agent="random", outcome="corner").values("share").mean()]
    expected.append(rows.where(run="region-1", agent="untrained", outcome="corner").values("share").mean())
    expected += [rows.where(run=run, update=9, outcome="corner").values("share").mean() for run in RUNS]
    assert [bar.get_width() for bar in figure.axes[1].patches] == pytest.approx(expected)
    assert expected[2] > expected[3] > expected[4]


def test_the_sweep_goes_through_the_runs(full):
    ax = FIGURES["sweep"][0](full).axes[0]
    rows = full["navigation"].where(distribution="test", subset="decision", region=REGION, condition="cheese", update=9)
    for outcome in ("cheese", "corner", "neither"):
        means = [rows.where(run=run, outcome=outcome).values("share").mean() for run in RUNS]
        assert is_drawn(ax, np.arange(3), means)


def test_the_map_holds_shares_seen_from_the_corner(full):
    image = FIGURES["F6"][0](full).axes[4].images[0].get_array()
    rows = full["occupancy"].where(run="region-1", update=9).frame()
    for place in ((0, 0), (1, 0), (0, 3)):
        chosen = rows[(rows["below"] == place[0]) & (rows["left"] == place[1])]
        assert image[place] == pytest.approx(chosen["ends"].mean())
    assert image[0, 0] > 0.8


def test_coefficients_and_accuracies_are_means_over_seeds(full):
    rows = full["regression"].where(run="region-4", update=9)
    ax = FIGURES["coefficients"][0](full).axes[1]
    means = [rows.where(model="three", distance=name).values("value").mean() for name in choice.THREE]
    assert sorted(bar.get_width() for bar in ax.patches) == pytest.approx(sorted(means))
    ax = FIGURES["accuracies"][0](full).axes[0]
    means = [rows.where(model=model, measure="accuracy").values("value").mean() for model in choice.MODELS]
    assert [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "|"] == pytest.approx(means)


def test_chances_are_drawn_at_the_middle_of_their_bins(full):
    ax = FIGURES["by distance"][0](full).axes[-2]
    frame = full["chances"].where(run="region-4", update=9, distance="steps_decision_cheese").frame()
    means = frame.groupby("middle")["share"].mean()
    assert is_drawn(ax, means.index, means)


# ---- what is missing ------------------------------------------------------------------------------------------------


def test_levels_that_are_not_there_are_told(full):
    with pytest.raises(ValueError, match="some levels are in none of the tables"):
        routes(full["outcomes"], level_table(20, name="others"), run="region-4", region=REGION)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (
            lambda t: routes(t["outcomes"], t["levels"], run="x", region=2),
            "outcomes: no run 'x'; there are: region-1",
        ),
        (
            lambda t: routes(t["outcomes"].where(seed=[1, 2]), t["levels"], run="anywhere", region=2),
            "outcomes: no seed '0' with run 'anywhere'",
        ),
        (
            lambda t: no_cheese(t["occupancy"], run="x", control="anywhere", region=2),
            "occupancy: no run 'x'",
        ),
        (
            lambda t: first_goals(t["navigation"], runs=LABELS, region=4),
            "navigation: no region '4'.*there are: 1, 2",
        ),
        (lambda t: first_goals(t["navigation"], runs={}, region=2), "no runs to draw"),
        (lambda t: sweep(t["navigation"], runs={"x": "1"}, region=2), "navigation: no run 'x'"),
        (
            lambda t: learning_curves(t["navigation"].where(distribution="test"), runs=LABELS, steps_per_update=1),
            "no distribution 'training' with run 'region-1'; there are: test",
        ),
        (
            lambda t: misgeneralisation(t["navigation"], runs={"x": "x"}, regions={"x": 2}, steps_per_update=1),
            "navigation: no run 'x'",
        ),
        (
            lambda t: misgeneralisation(t["navigation"], runs={"x": "x"}, regions={"y": 2}, steps_per_update=1),
            "regions of y, but runs are x",
        ),
        (lambda t: coefficients(t["regression"], run="x"), "regression: no run 'x'"),
        (lambda t: accuracies(t["regression"], runs={}), "no runs to draw"),
        (lambda t: by_distance(t["chances"], run="x"), "chances: no run 'x'"),
    ],
)
def test_what_is_not_in_the_tables_is_named(full, draw, message):
    with pytest.raises(ValueError, match=message):
        draw(full)


def test_a_single_episode_is_drawn_until_the_corner_alone():
    levels = level_table(40, name="few")
    where = course(levels)
    rows = where.rows(seekers(where.levels, np.zeros(80, bool)), run="r", seed=0, update=0, agent="network")
    figure = routes(outcome_table([rows]), levels, run="r", region=REGION)
    way = drawn_ways(figure)[2][0]
    assert len(set(map(tuple, way))) == len(way) < 61
