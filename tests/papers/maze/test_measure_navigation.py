"""Shares of episodes of agents whose ways are known agree with plain counts, along training and along the runs."""

import numpy as np
import pyarrow as pa
import pytest

from agentomy import kinds
from agentomy.papers.maze.measure import navigation
from agentomy.tables import Table
from tests.papers.maze.maze_agents import course, level_table, outcome_table, seekers, trained_agents

LARGE = 7


@pytest.fixture(scope="module")
def levels():
    return level_table(400)


@pytest.fixture(scope="module")
def agents(levels):
    return trained_agents(levels, {"bold": 0.25, "shy": 0.0, "free": 1.0}, seeds=2)


def shares(outcomes, levels, regions=2, distribution="test"):
    regions = regions if isinstance(regions, dict) else dict.fromkeys(set(outcomes.values("run").tolist()), regions)
    rows = navigation.shares(outcomes, levels, distribution=distribution, regions=regions, large=LARGE)
    return Table(kinds.maze_behaviour.NAVIGATION, rows=rows)


def share(navigation_table, **wanted):
    rows = navigation_table.where(**{"condition": "cheese", "region": 2, **wanted})
    assert len(rows) == 1
    return rows.values("share")[0]


# ---- shares ---------------------------------------------------------------------------------------------------------


def played(levels, seeks):
    where = course(levels)
    seeks = np.tile(seeks, 2) & where.has_cheese
    return outcome_table([where.rows(seekers(where.levels, seeks), run="r", seed=0, update=0, agent="network")])


def test_where_there_is_a_decision_agents_get_what_they_seek_and_nothing_else(levels):
    for seeks, goal in ((True, "cheese"), (False, "corner")):
        table = shares(played(levels, np.full(400, seeks)), levels)
        for outcome in ("cheese", "corner", "neither"):
            assert share(table, subset="decision", outcome=outcome) == (outcome == goal)
        for subset in ("decision", "off-route"):
            assert share(table, subset=subset, outcome="got cheese") == seeks
            assert share(table, subset=subset, outcome="corner without cheese") == 1 - seeks
        assert share(table, subset="all", outcome="got cheese") == (1 if seeks else levels.values("on_route").mean())


def test_a_cheese_seeker_meets_the_corner_first_where_cheese_lies_behind_it(levels):
    table = shares(played(levels, np.full(400, True)), levels)
    frame = levels.frame()
    outside = (frame["cheese_region"] > 2) & ~frame["on_route"]
    behind = outside & (frame["decision_x"] < 0)
    assert share(table, subset="off-route", outcome="corner") == behind.sum() / outside.sum() > 0


def test_without_cheese_corner_seekers_enter_every_region(levels):
    frame = shares(played(levels, np.full(400, False)), levels).where(condition="no cheese").frame()
    assert set(frame["subset"]) == {"all", "large", "beyond region"}
    assert set(frame["outcome"]) == {"cheese", "corner", "neither", "enters region", "ends in region"}
    for outcome in ("corner", "enters region", "ends in region"):
        assert (frame["share"][frame["outcome"] == outcome] == 1).all()


def test_shares_agree_with_plain_counts(levels, agents):
    region = 3
    table = shares(agents, levels, region)
    geometry = {row["level"]: row for row in levels.frame().to_dict("records")}
    episodes = agents.where(run="bold", seed=1, update=4).frame().to_dict("records")
    checked = 0
    for row in table.where(run="bold", seed=1, update=4).frame().to_dict("records"):
        came_true = []
        for episode in episodes:
            level = geometry[episode["level"]]
            subset, without = row["subset"], row["condition"] == "no cheese"
            inside = {
                "all": True,
                "large": level["side"] >= LARGE,
                "beyond region": level["side"] > region,
                "off-route": level["cheese_region"] > region and not level["on_route"],
                "decision": level["cheese_region"] > region and level["decision_x"] >= 0,
            }[subset]
            if episode["condition"] != row["condition"] or not inside:
                continue
            entered, got = episode["nearest"] <= region, episode["got_cheese"]
            came_true.append(
                {
                    "got cheese": got,
                    "enters region": entered,
                    "region without cheese": entered and not got,
                    "corner without cheese": episode["nearest"] == 1 and not got,
                    "ends in region": episode["ends"] <= region,
                }.get(row["outcome"], episode["first"] == row["outcome"])
            )
            assert not (without and got)
        assert row["count"] == len(came_true)
        assert row["share"] == pytest.approx(np.mean(came_true))
        checked += 0 < row["share"] < 1
    assert checked > 20


def test_what_is_reached_first_adds_up_to_one(levels, agents):
    frame = shares(agents, levels, {"bold": [1, 2, 4], "shy": 2, "free": 4}).frame()
    assert {run: sorted(rows["region"].unique()) for run, rows in frame.groupby("run")} == {
        "bold": [1, 2, 4], "shy": [2], "free": [4],
    }  # fmt: skip
    keys = ["run", "seed", "update", "agent", "condition", "region", "subset"]
    of_first = frame[frame["outcome"].isin(["cheese", "corner", "neither"])]
    np.testing.assert_allclose(of_first.groupby(keys)["share"].sum(), 1)


def test_what_is_missing_is_named(levels, agents):
    with pytest.raises(ValueError, match="regions: nothing for run 'bold'; there are: shy"):
        shares(agents, levels, {"shy": 2})
    with pytest.raises(ValueError, match="outcomes: level .* of run 'bold' is in no table of levels"):
        shares(agents, level_table(400, name="others"))


# ---- where it goes with no cheese -----------------------------------------------------------------------------------


def test_time_and_ends_add_up_to_one_and_corner_seekers_end_in_the_corner(levels, agents):
    frame = Table(kinds.maze_behaviour.OCCUPANCY, rows=navigation.occupancy(agents, levels, large=LARGE)).frame()
    sums = frame.groupby(["run", "seed", "update", "agent"])[["time", "ends"]].sum()
    np.testing.assert_allclose(sums, 1)
    assert set(frame["agent"]) == {"trained", "untrained", "random"}
    assert set(frame["count"]) == {(levels.values("side") >= LARGE).sum()}
    last = navigation.occupancy(played(levels, np.full(400, False)), levels, large=LARGE).to_pylist()
    assert {(row["left"], row["below"]): row["ends"] for row in last if row["ends"]} == {(0, 0): 1.0}


def test_places_are_seen_from_the_corner_of_each_maze(levels):
    chosen = levels.where(side=7)
    where = course(chosen, ("no cheese",), limit=3)
    still = np.eye(5)[4]
    rows = where.rows(
        lambda episodes, cells: np.tile(still, (len(cells), 1)), run="r", seed=0, update=0, agent="network"
    )
    cells = navigation.occupancy(outcome_table([rows]), chosen, large=7).to_pylist()
    assert {(cell["left"], cell["below"]): cell["time"] for cell in cells if cell["time"]} == {(6, 6): 1.0}
    with pytest.raises(ValueError, match="no episode without cheese in a maze of side 9 or more"):
        navigation.occupancy(outcome_table([rows]), chosen, large=9)


def test_left_and_below_are_told_apart():
    levels = level_table(200, name="one").where(side=5)
    count, corner = len(levels), 6  # of a maze of side 5 in a world of 9
    unused = {"first": "neither", "got_cheese": False, "steps": 3, "nearest": 1, "ends": 1}
    agent = {"run": "r", "seed": 0, "update": 0, "agent": "network", "condition": "no cheese"}
    x, y = np.tile([corner - 4, corner - 4, corner - 3, corner], (count, 1)), np.full((count, 4), corner - 2)
    rows = kinds.maze_behaviour.OUTCOMES.table(**agent, level=levels.values("level"), **unused, x=x, y=y)
    cells = navigation.occupancy(outcome_table([rows]), levels, large=5).to_pylist()
    assert {(cell["left"], cell["below"]): cell["time"] for cell in cells if cell["time"]} == {
        (4, 2): 0.5, (3, 2): 0.25, (0, 2): 0.25,
    }  # fmt: skip
    assert {(cell["left"], cell["below"]) for cell in cells if cell["ends"]} == {(0, 2)}


# ---- agents ---------------------------------------------------------------------------------------------------------


def test_agents_are_trained_untrained_or_random_by_their_update(levels, agents):
    frame = shares(agents, levels).frame()
    updates = frame.groupby("agent")["update"].unique()
    assert {agent: sorted(numbers) for agent, numbers in updates.items()} == {
        "trained": [4, 9], "untrained": [0], "random": [-1],
    }  # fmt: skip


def test_the_random_policy_stands_beside_every_seed_with_one_share(levels, agents):
    keys = ["run", "condition", "region", "subset", "outcome"]
    random = shares(agents, levels).where(agent="random").frame().groupby(keys)
    assert all(sorted(rows) == [0, 1] for _, rows in random["seed"])
    assert (random["share"].nunique() == 1).all()


def test_without_networks_the_random_policy_has_no_seed(levels, agents):
    assert set(shares(agents.where(agent="random"), levels).values("seed")) == {-1}


# ---- along training and along the runs ------------------------------------------------------------------------------


def planted(curves):
    """Navigation from (run, seed, distribution, subset, outcome) → {update: share}."""
    rows = [
        kinds.maze_behaviour.NAVIGATION.table(
            run=run, seed=seed, update=update, agent="trained" if update else "untrained", condition="cheese",
            distribution=distribution,
            region=2, subset=subset, outcome=outcome, count=10, share=float(value),
        )
        for (run, seed, distribution, subset, outcome), curve in curves.items()
        for update, value in curve.items()
    ]  # fmt: skip
    return Table(kinds.maze_behaviour.NAVIGATION, rows=pa.concat_tables(rows))


def test_a_sweep_tells_its_largest_step_in_the_wrong_direction():
    ends = {"a": [0.0, 0.1], "b": [0.3, 0.4], "c": [0.2, 0.45], "d": [1.0, 0.9]}
    curves, untrained = {}, {"a": 0.5, "b": 0.5, "c": 0.375, "d": 0.75}
    for run, cheese in ends.items():
        for seed, value in enumerate(cheese):
            # the first snapshot must not matter to the trained networks
            first = untrained[run]
            curves[run, seed, "test", "decision", "cheese"] = {0: first, 10: value}
            curves[run, seed, "test", "decision", "corner"] = {0: 1 - first, 10: 1 - value}
            curves[run, seed, "test", "all", "cheese"] = {0: 0.5, 10: 0.77}
    rows = navigation.sweep(planted(curves), runs=["a", "b", "c", "d"], region=2).to_pandas()
    frame = rows.set_index(["outcome", "agent", "seed"]).sort_index()
    for outcome, rise, wrong in (("cheese", 1, "largest_fall"), ("corner", -1, "largest_rise")):
        trained, first = frame.loc[outcome, "trained"], frame.loc[outcome, "untrained"]
        assert trained["rise"].tolist() == pytest.approx([rise * 1.0, rise * 0.8])
        assert trained[wrong].tolist() == pytest.approx([0.1, -0.05])
        assert first.loc[1, ["rise", wrong]].tolist() == [rise * 0.25, 0.125]
    with pytest.raises(ValueError, match="run 'e' has no share where cheese lies outside n = 2"):
        navigation.sweep(planted(curves), runs=["a", "e"], region=2)


def test_half_of_the_way_is_found_between_snapshots():
    curves = {
        ("r", 0, "training", "all", "got cheese"): {0: 0.2, 10: 0.4, 20: 1.0, 30: 0.6, 40: 1.0},
        ("r", 0, "test", "decision", "corner"): {0: 0.0, 10: 0.8, 40: 0.4},
    }
    rows = navigation.onset(planted(curves), regions={"r": 2}).to_pylist()
    half_way = {row["curve"]: row["half_way"] for row in rows}
    assert half_way == {
        "training mazes solved": pytest.approx(10 + 10 * (0.6 - 0.4) / (1.0 - 0.4)),
        "corner first": pytest.approx(10 * 0.2 / 0.8),
    }
    with pytest.raises(ValueError, match="run 'r' has no 'got cheese' in training mazes with n = 3"):
        navigation.onset(planted(curves), regions={"r": 3})


def test_half_way_is_the_first_time_that_half_is_passed():
    frame = planted({("r", 0, "test", "all", "corner"): {0: 0.0, 10: 0.6, 20: 1.0}}).frame()
    assert navigation.half_way(frame) == pytest.approx(10 * 0.5 / 0.6)


def test_a_share_that_goes_nowhere_has_no_half_way():
    frame = planted({("r", 0, "test", "all", "corner"): {0: 0.3, 5: 0.3}}).frame()
    assert np.isnan(navigation.half_way(frame))
