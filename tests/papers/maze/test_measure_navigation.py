"""Shares of episodes of agents whose ways are known, against plain counts, and what claims are judged on."""

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
    made = navigation.shares(outcomes, levels, distribution=distribution, regions=regions, large=LARGE)
    return Table(kinds.maze_behaviour.NAVIGATION, rows=made)


def share(found, **wanted):
    rows = found.where(**{"condition": "cheese", "region": 2, "agent": "network", **wanted})
    assert len(rows) == 1
    return rows.values("share")[0]


def values(comparison):
    """(run, seed, quantity) → value."""
    return {(row["run"], row["seed"], row["quantity"]): row["value"] for row in comparison.to_pylist()}


# ---- shares ---------------------------------------------------------------------------------------------------------


def played(levels, seeks):
    where = course(levels)
    seeks = np.tile(seeks, 2) & where.has_cheese
    return outcome_table([where.rows(seekers(where.levels, seeks), run="r", seed=0, update=0, agent="network")])


def test_where_there_is_a_decision_agents_get_what_they_seek_and_nothing_else(levels):
    for seeks, goal in ((True, "cheese"), (False, "corner")):
        found = shares(played(levels, np.full(400, seeks)), levels)
        for outcome in ("cheese", "corner", "neither"):
            assert share(found, subset="decision", outcome=outcome) == (outcome == goal)
        for subset in ("decision", "off-route"):
            assert share(found, subset=subset, outcome="got cheese") == seeks
            assert share(found, subset=subset, outcome="corner without cheese") == 1 - seeks
        assert share(found, subset="all", outcome="got cheese") == (1 if seeks else levels.values("on_route").mean())


def test_off_the_routes_cheese_may_lie_behind_the_corner_which_a_cheese_seeker_then_meets_first(levels):
    found = shares(played(levels, np.full(400, True)), levels)
    frame = levels.frame()
    outside = (frame["cheese_region"] > 2) & ~frame["on_route"]
    behind = outside & (frame["decision_x"] < 0)
    assert share(found, subset="off-route", outcome="corner") == behind.sum() / outside.sum() > 0


def test_without_cheese_corner_seekers_enter_every_region_and_cheese_does_not_matter(levels):
    found = shares(played(levels, np.full(400, False)), levels).where(condition="no cheese")
    frame = found.frame()
    assert set(frame["subset"]) == {"all", "large", "beyond region", "side 3", "side 5", "side 7", "side 9"}
    assert set(frame["outcome"]) == {"cheese", "corner", "neither", "enters region", "ends in region"}
    for outcome in ("corner", "enters region", "ends in region"):
        assert (frame["share"][frame["outcome"] == outcome] == 1).all()


def test_shares_agree_with_plain_counts(levels, agents):
    region = 3
    found = shares(agents, levels, region)
    geometry = {row["level"]: row for row in levels.frame().to_dict("records")}
    episodes = agents.where(run="bold", seed=1, update=4).frame().to_dict("records")
    checked = 0
    for row in found.where(run="bold", seed=1, update=4).frame().to_dict("records"):
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
            }.get(subset, subset == f"side {level['side']}")
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
    made = Table(kinds.maze_behaviour.OCCUPANCY, rows=navigation.occupancy(agents, levels, large=LARGE)).frame()
    sums = made.groupby(["run", "seed", "update", "agent"])[["time", "ends"]].sum()
    np.testing.assert_allclose(sums, 1)
    assert set(made["count"]) == {(levels.values("side") >= LARGE).sum()}
    last = navigation.occupancy(played(levels, np.full(400, False)), levels, large=LARGE).to_pylist()
    assert {(row["left"], row["below"]): row["ends"] for row in last if row["ends"]} == {(0, 0): 1.0}


def test_places_are_seen_from_the_corner_of_each_maze(levels):
    chosen = levels.where(side=7)
    where = course(chosen, ("no cheese",), limit=3)
    still = np.eye(5)[4]
    rows = where.rows(
        lambda episodes, cells: np.tile(still, (len(cells), 1)), run="r", seed=0, update=0, agent="network"
    )
    made = navigation.occupancy(outcome_table([rows]), chosen, large=7).to_pylist()
    assert {(row["left"], row["below"]): row["time"] for row in made if row["time"]} == {(6, 6): 1.0}
    with pytest.raises(ValueError, match="no episode without cheese in a maze of side 9 or more"):
        navigation.occupancy(outcome_table([rows]), chosen, large=9)


def test_left_and_below_are_told_apart():
    levels = level_table(200, name="one").where(side=5)
    count, corner = len(levels), 6  # of a maze of side 5 in a world of 9
    unused = {"first": "neither", "got_cheese": False, "steps": 3, "nearest": 1, "ends": 1}
    who = {"run": "r", "seed": 0, "update": 0, "agent": "network", "condition": "no cheese"}
    x, y = np.tile([corner - 4, corner - 4, corner - 3, corner], (count, 1)), np.full((count, 4), corner - 2)
    rows = kinds.maze_behaviour.OUTCOMES.table(**who, level=levels.values("level"), **unused, x=x, y=y)
    made = navigation.occupancy(outcome_table([rows]), levels, large=5).to_pylist()
    assert {(row["left"], row["below"]): row["time"] for row in made if row["time"]} == {
        (4, 2): 0.5, (3, 2): 0.25, (0, 2): 0.25,
    }  # fmt: skip
    assert {(row["left"], row["below"]) for row in made if row["ends"]} == {(0, 2)}


# ---- what claims are judged on --------------------------------------------------------------------------------------


def test_claims_get_the_ends_of_training_the_random_policy_and_differences(levels, agents):
    tables = [shares(agents, levels), shares(agents, levels, distribution="training")]
    found = values(
        navigation.of_navigation(
            Table(kinds.maze_behaviour.NAVIGATION, rows=pa.concat_tables(each.arrow() for each in tables))
        )
    )
    frame = tables[0].frame()
    frame = frame[(frame["run"] == "bold") & (frame["subset"] == "large") & (frame["outcome"] == "enters region")]
    frame = frame[frame["condition"] == "no cheese"].set_index(["seed", "update"])["share"]
    quantity = "enters region, test without cheese, large, n = 2, "
    for seed in (0, 1):
        assert found["bold", seed, f"{quantity}trained"] == frame[seed, 9] > 0.9
        assert found["bold", seed, f"{quantity}untrained"] == frame[seed, 0] < 0.3
        assert found["bold", seed, f"{quantity}trained - random"] == frame[seed, 9] - frame[-1, -1]
        assert found["bold", seed, f"{quantity}trained - untrained"] == frame[seed, 9] - frame[seed, 0]
    assert found["bold", -1, f"{quantity}random"] == frame[-1, -1]
    assert ("bold", 0, "got cheese, training, all, n = 2, trained") in found
    assert ("bold", 0, "got cheese, test, off-route, n = 2, trained") in found


def planted(curves):
    """Navigation from (run, seed, distribution, subset, outcome) → {update: share}."""
    rows = [
        kinds.maze_behaviour.NAVIGATION.table(
            run=run, seed=seed, update=update, agent="network", condition="cheese", distribution=distribution,
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
    found = values(navigation.sweep(planted(curves), runs=["a", "b", "c", "d"], region=2))
    assert found["c", 1, "cheese"] == 0.45
    for wrong, right in (("largest fall of cheese", "rise of cheese"), ("largest rise of corner", "fall of corner")):
        assert [found["all tasks", seed, wrong] for seed in (0, 1)] == pytest.approx([0.1, -0.05])
        assert [found["all tasks", seed, right] for seed in (0, 1)] == pytest.approx([1.0, 0.8])
        assert [found["all tasks", 1, f"{each} untrained"] for each in (wrong, right)] == [0.125, 0.25]
    with pytest.raises(ValueError, match="run 'e' has no share where cheese lies outside n = 2"):
        navigation.sweep(planted(curves), runs=["a", "e"], region=2)


def test_half_of_the_way_is_found_between_snapshots():
    curves = {
        ("r", 0, "training", "all", "got cheese"): {0: 0.2, 10: 0.4, 20: 1.0, 30: 0.6, 40: 1.0},
        ("r", 0, "test", "decision", "corner"): {0: 0.0, 10: 0.8, 40: 0.4},
    }
    found = values(navigation.onset(planted(curves), regions={"r": 2}))
    assert found["r", 0, "half of training"] == pytest.approx(10 + 10 * (0.6 - 0.4) / (1.0 - 0.4))
    assert found["r", 0, "half of corner"] == pytest.approx(10 * 0.2 / 0.8)
    assert found["r", 0, "corner after training"] == pytest.approx(2.5 - 40 / 3)


def test_half_way_is_the_first_time_that_half_is_passed():
    frame = planted({("r", 0, "test", "all", "corner"): {0: 0.0, 10: 0.6, 20: 1.0}}).frame()
    assert navigation.half_way(frame) == pytest.approx(10 * 0.5 / 0.6)


def test_a_share_that_goes_nowhere_has_no_half_way():
    frame = planted({("r", 0, "test", "all", "corner"): {0: 0.3, 5: 0.3}}).frame()
    assert np.isnan(navigation.half_way(frame))
