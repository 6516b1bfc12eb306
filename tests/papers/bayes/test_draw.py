"""The figures of the study of Bayes-optimal agents say what they show, and are drawn the same twice."""

import matplotlib
import numpy as np
import pytest

from agentomy import kinds
from agentomy.descriptions import Task
from agentomy.drawing import style
from agentomy.papers.bayes.draw import behaviour, structure
from agentomy.papers.bayes.measure import geometry, learning, optimality, summary
from agentomy.tables import Table
from tests.checks import check_page
from tests.papers.bayes import bayes_tables

matplotlib.use("agg")


@pytest.fixture(scope="module")
def full():
    """Every table that the figures read."""
    rng = np.random.default_rng(3)
    sequences, observations = bayes_tables.sequences(rng)
    predictions, play = bayes_tables.predictions(observations), bayes_tables.play(rng)
    tables = {"sequences": sequences, "predictions": predictions, "play": play}
    distance = bayes_tables.as_table(kinds.bayes.DISTANCE, optimality.kl_to_bayes(predictions))
    gap = bayes_tables.as_table(kinds.bayes.GAP, optimality.bandit_gap(play))
    tables |= {"distance": distance, "gap": gap, "simulation": bayes_tables.simulation()}
    tables["bandits"] = Table(
        kinds.bayes.BANDITS, description=Task(use="bandits.bernoulli", parameters={"prior": [[1, 1], [1, 1]]})
    )

    def add(name, kind, rows):
        tables[name] = bayes_tables.as_table(kind, rows)

    add("paths", kinds.bayes.EMBEDDING, geometry.embedding(predictions, tasks=["cat-3"], snapshots=5, episodes=10))
    given = {"tasks": ["bb-1-1"], "snapshots": 5, "policy": "argmax"}
    add("bandit paths", kinds.bayes.EMBEDDING, geometry.regret_embedding(play, **given))
    add("learned", kinds.bayes.ACQUISITION, learning.acquisition_of_predictors(distance, threshold=0.1))
    add("bandit learned", kinds.bayes.ACQUISITION, learning.acquisition_of_bandits(gap, threshold=0.1))
    for outputs, name in ((3, "cat-3"), (1, "bb-1-1")):
        states, maps = bayes_tables.machines(rng, outputs=outputs)
        add(f"components {name}", kinds.bayes.COMPONENTS, geometry.components(states, maps, tasks=[name]))
    add("losses", kinds.bayes.LOSSES, optimality.losses(gap, bayes_tables.optimum()))
    add("summary", kinds.bayes.SUMMARY, summary.by_task(distance, tables["losses"], bayes_tables.optimum()))
    return tables


# name: (draws the figure from the tables, words that a reader must find in it)
FIGURES = {
    "F1": (
        lambda t: behaviour.categorical_episode(t["predictions"], t["sequences"], task="cat-3", episode=4, seed=1),
        [
            "network",
            "Bayes-optimal",
            "observed\ncategory",
            "predicted probability",
            "log-loss (nats)",
            "step",
            "seed 1",
        ],
    ),
    "F2": (
        lambda t: behaviour.bandit_episode(t["play"], t["bandits"], task="bb-1-1", episode=4, seed=1),
        ["network", "Gittins agent", "arm 0", "arm 1", "probability\nof arm 1", "cumulative\nregret (reward)", "step"],
    ),
    "F3": (
        lambda t: behaviour.convergence(t["distance"], t["paths"], tasks=["cat-3"]),
        ["KL(Bayes ‖ network)\n(nats per step)", "training update", "untrained", "stress", "MDS 1 (√nats)", "n = 3"],
    ),
    "F4": (
        lambda t: behaviour.bandit_convergence(t["gap"], t["bandit paths"], tasks=["bb-1-1"]),
        [
            "return lost\n(reward per episode)",
            "|regret - that of Gittins|\n(reward per episode)",
            "sampled policy",
            *["Random", "Thompson", "Greedy", "Gittins"],
            "n = 3",
        ],
    ),
    "F5": (
        lambda t: structure.state_geometry(t["components cat-3"], task="cat-3", seed=0, episode=2),
        [*structure.PANELS.values(), "PC 1", "category 3 certain", "n = 40 episodes", "% of variance"],
    ),
    "F6": (
        lambda t: structure.state_geometry(t["components bb-1-1"], task="bb-1-1", seed=0, episode=2),
        [*structure.PANELS.values(), "PC 1", "probability of arm 1", "n = 40 episodes"],
    ),
    "F7": (
        lambda t: structure.structure(t["simulation"], map="mlp", drive=["prior", "gittins"]),
        [
            *bayes_tables.RUNS,
            *structure.AGENTS,
            "R→B\nnetwork to statistics",
            "B→R",
            "Ds",
            "Do (nats per step)",
            "Do (reward per episode)",
            "n = 3",
            "range",
        ],
    ),
    "F7 own policy": (
        lambda t: structure.structure(t["simulation"], map="mlp", drive=["network"]),
        [*bayes_tables.RUNS[2:], *structure.AGENTS, "Do (reward per episode)", "n = 3"],
    ),
    "F8": (
        lambda t: behaviour.acquisition_of_predictors(t["distance"], t["learned"], tasks=["cat-3"]),
        ["step of the episode", "training update", "KL(Bayes ‖ network) (nats)", "n = 3"],
    ),
    "F8 bandits": (
        lambda t: behaviour.acquisition_of_bandits(t["gap"], t["bandit learned"], tasks=["bb-1-1"]),
        ["step of the episode", "training update", "return lost by the pull (reward)", "n = 3"],
    ),
    "T1": (
        lambda t: structure.table(t["summary"]),
        ["cat-3", "bb-1-1", "optimum", "Gittins\nagreement", "nats per step", "reward per episode"],
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_label_can_be_read_and_lies_on_the_page(full, name):
    draw, words = FIGURES[name]
    check_page(draw(full), words)


def test_marks_are_geometric_means_over_seeds(full):
    frame = full["simulation"].frame()
    for drive in ("gittins", "network"):
        figure = structure.structure(full["simulation"], map="mlp", drive=[drive])
        rows = frame[(frame["run"] == "gb") & (frame["agent"] == "trained") & (frame["direction"] == "R→B")]
        expected = np.exp(np.log(rows.loc[rows["drive"] == drive, "state_error_normalised"]).mean())
        heights = np.concatenate([line.get_ydata() for line in figure.axes[0].lines])
        assert np.isclose(heights, expected).any()
        matplotlib.pyplot.close(figure)


def test_no_axis_of_the_structure_has_two_units(full):
    figure = structure.structure(full["simulation"], map="mlp", drive=["prior", "gittins"])
    above, below = figure.axes[:4], figure.axes[4:]
    assert [ax.get_title().split("\n")[0] for ax in above] == [
        f"{unit}, {way}" for unit in structure.UNITS for way in ("R→B", "B→R")
    ]
    assert [below[0].get_ylabel(), below[2].get_ylabel()] == ["Do (nats per step)", "Do (reward per episode)"]
    families = full["simulation"].frame().groupby("run")["family"].first()
    for ax, bandits in zip(below, (False, False, True, True), strict=True):
        assert {families[label.get_text()] == "bandit" for label in ax.get_xticklabels()} == {bandits}
    assert below[0].get_ylim() == below[1].get_ylim()


def test_no_seed_has_the_colour_of_a_policy(full):
    figure = behaviour.bandit_convergence(full["gap"], full["bandit paths"], tasks=["bb-1-1"])
    seeds = {matplotlib.colors.to_hex(line.get_color()) for line in figure.axes[2].lines[:-1]}
    assert len(seeds) == 3
    assert not seeds & {colour.lower() for colour in behaviour.POLICIES.values()}
    matplotlib.pyplot.close(figure)


def test_the_regret_difference_is_absolute_and_to_the_gittins_agent(full):
    frame = full["gap"].frame()
    frame.loc[frame["agent"] == "gittins", "regret"] += 0.05  # now in the midst of the networks' regrets
    gap = bayes_tables.table(kinds.bayes.GAP, {name: frame[name].to_numpy() for name in frame})
    figure = behaviour.bandit_convergence(gap, full["bandit paths"], tasks=["bb-1-1"])
    totals = frame.groupby(["agent", "policy", "seed", "update"])["regret"].sum()
    expected = (totals["network", "argmax"] - totals["gittins"].item()).abs().groupby("update").mean()
    lines = [line.get_ydata() for line in figure.axes[1].lines]
    assert any(len(line) == len(expected) and np.allclose(line, expected) for line in lines)
    matplotlib.pyplot.close(figure)


def test_the_expected_reward_is_that_of_the_environments_prior(full):
    table = Table(
        kinds.bayes.BANDITS, description=Task(use="bandits.bernoulli", parameters={"prior": [[3, 1], [1, 3]]})
    )
    figure = behaviour.bandit_episode(full["play"], table, task="bb-1-1", episode=4, seed=1)
    firsts = [line.get_ydata()[0] for line in figure.axes[2].lines if len(line.get_ydata()) == bayes_tables.STEPS]
    assert firsts == [0.75, 0.25]
    matplotlib.pyplot.close(figure)


def test_update_0_has_a_place_of_its_own_on_the_logarithmic_axis():
    figure, axes = style.subplots(1, 1, style.SINGLE, 2)
    place = style.update_axis(axes[0, 0], np.array([0, 1, 10, 300]))
    figure.draw_without_rendering()
    assert place(np.array([0, 10])).tolist() == [1 / 3, 10]
    assert [label.get_text() for label in axes[0, 0].get_xticklabels()] == ["0", "1", "10", "100"]
    matplotlib.pyplot.close(figure)


def test_mixed_colours_are_the_corners_where_a_category_is_certain():
    np.testing.assert_allclose(structure.mixed(np.eye(3)), structure.CORNERS)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (
            lambda t: behaviour.convergence(t["distance"], t["paths"], tasks=["cat-9"]),
            "no run 'cat-9'; there are: cat-3",
        ),
        (
            lambda t: behaviour.categorical_episode(t["predictions"], t["sequences"], task="cat-3", episode=4, seed=7),
            "no network of run 'cat-3', seed 7, with episode 4",
        ),
        (
            lambda t: structure.structure(t["simulation"], map="linear", drive=["gittins", "prior"]),
            "no linear map with drive gittins or prior",
        ),
        (
            lambda t: structure.state_geometry(t["components cat-3"], task="cat-3", seed=0, episode=99),
            "run 'cat-3' has no episode 99",
        ),
    ],
)
def test_what_is_not_in_the_tables_is_named(full, draw, message):
    with pytest.raises(ValueError, match=message):
        draw(full)
