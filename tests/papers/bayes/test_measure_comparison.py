"""The quantities that claims are judged on, from curves and errors that are known."""

import numpy as np
import pytest

from agentomy import kinds
from agentomy.papers.bayes.measure import comparison, optimality
from tests.papers.bayes import bayes_tables

# log-spaced snapshots and evenly spaced ones: five of them in the last third
UPDATES = np.array([0, 1, 2, 4, 8, 16, 25, 50, 75, 100, 125, 150, 175, 200, 225, 250, 275, 300])


def distance(curve, seeds=(0, 1)):
    """DISTANCE rows in which two steps lie a tenth below and above the curve."""
    pieces = []
    for seed in seeds:
        for update, value in zip(UPDATES, curve, strict=True):
            who = {"run": "cat-3", "seed": seed, "update": update, "t": np.array([1, 2])}
            pieces.append({**who, "kl": value * np.array([0.9, 1.1]), "excess": value})
    return bayes_tables.table(kinds.bayes.DISTANCE, *pieces)


def quantities(rows, run="cat-3", seed=0):
    frame = rows.to_pandas()
    return frame[(frame["run"] == run) & (frame["seed"] == seed)].set_index("quantity")["value"]


def test_final_distance_and_its_ratios():
    curve = np.geomspace(0.2, 1e-3, len(UPDATES))
    found = quantities(comparison.of_predictors(distance(curve)))
    assert found["final"] == pytest.approx(1e-3)
    assert found["worst step"] == pytest.approx(1.1e-3)
    assert found["untrained ratio"] == pytest.approx(200)
    assert found["remaining"] == pytest.approx(1 / 200)
    assert found["excess"] == pytest.approx(1e-3)


@pytest.mark.parametrize("change", [-0.3, 0.0, 0.5])
def test_the_trend_is_the_relative_change_over_the_last_third_of_the_updates(change):
    """Whatever came before, most of the learning among it."""
    curve = np.where(UPDATES < 200, 0.3 / (1 + UPDATES), 0.1 * (1 + change * (UPDATES - 250) / 100))
    found = quantities(comparison.of_predictors(distance(curve)))
    assert found["trend"] == pytest.approx(change, abs=1e-9)


def test_a_learner_that_has_come_to_rest_is_told_from_one_that_drifts_away(rng):
    noise = 1 + rng.normal(0, 0.01, len(UPDATES))
    resting = 1e-3 + 0.3 * np.exp(-UPDATES / 10)
    drifting = resting * np.where(UPDATES > 200, UPDATES / 200, 1)  # still 99 % below the untrained distance
    still, drift = (
        quantities(comparison.of_predictors(distance(curve * noise)))["trend in noise"] for curve in (resting, drifting)
    )
    assert abs(still) < 4 < drift


def test_the_standard_error_of_a_trend_covers_what_noise_makes_of_a_flat_end(rng):
    draws = [comparison.trend(UPDATES, 1 + rng.normal(0, 0.1, len(UPDATES))) for _ in range(2000)]
    changes, errors = np.transpose(draws)
    assert np.sqrt((errors**2).mean()) == pytest.approx(changes.std(), rel=0.1)


def test_two_snapshots_have_no_trend():
    change, error = comparison.trend(np.array([0, 1, 90, 100]), np.array([1.0, 0.9, 0.5, 0.1]))
    assert np.isnan([change, error]).all()


@pytest.fixture
def bandits(rng):
    gap = bayes_tables.as_table(kinds.bayes.GAP, optimality.bandit_gap(bayes_tables.play(rng)))
    return gap.frame(), comparison.of_bandits(gap, bayes_tables.optimum())


def test_the_relative_gap_is_a_share_of_the_optimal_return(bandits):
    gap, rows = bandits
    last = gap[(gap["update"] == bayes_tables.UPDATES[-1]) & (gap["seed"] == 1) & (gap["policy"] == "argmax")]
    found = quantities(rows, "bb-1-1", 1)
    assert found["relative gap argmax"] == pytest.approx(last["gap"].sum() / 12.6)
    thompson = gap.loc[gap["agent"] == "thompson", "gap"].sum()
    assert found["ratio to thompson argmax"] == pytest.approx(last["gap"].sum() / thompson)


def test_reference_agents_have_a_seed_of_their_own(bandits):
    found = quantities(bandits[1], "bb-1-1", -1)
    assert list(found.index) == [f"relative gap of {agent}" for agent in ("gittins", "greedy", "thompson", "random")]
    gap = bandits[0]
    assert found["relative gap of random"] == pytest.approx(gap.loc[gap["agent"] == "random", "gap"].sum() / 12.6)
    assert found.is_monotonic_increasing


def test_the_sampled_policy_is_told_from_the_argmax_one(bandits):
    found = quantities(bandits[1], "bb-1-1", 0)
    assert found["final argmax"] < found["final sampled"]
    assert found["regret above gittins argmax"] < found["untrained argmax"]


def acquisition(updates):
    t = np.arange(1, len(updates) + 1)
    return bayes_tables.table(
        kinds.bayes.ACQUISITION, {"run": "cat-3", "seed": 0, "t": t, "update": updates, "level": 0.1}
    )


@pytest.mark.parametrize(
    ("updates", "spread", "order", "learned"),
    [
        ([0.0, 10, 100, 1000], 2, 1, 1),
        ([1000.0, 100, 10, 0], 2, -1, 1),
        ([10.0, 10, 10, 10], 0, 0, 1),
        ([10.0, 10, np.nan, np.nan], 0, 0, 0.5),
    ],
)
def test_spread_and_order_of_acquisition(updates, spread, order, learned):
    found = quantities(comparison.of_acquisition(acquisition(np.array(updates))))
    np.testing.assert_allclose(found.to_numpy(), [spread, order, learned], atol=1e-12)


def trained_error(frame, **where):
    for column, value in {**where, "condition": "trained", "direction": "R→B"}.items():
        frame = frame[frame[column] == value]
    return frame["state_error_normalised"].item()


def test_simulations_compare_conditions_directions_and_tasks():
    simulation = bayes_tables.simulation()
    rows, frame = comparison.of_simulations(simulation), simulation.frame()
    found = quantities(rows, "gauss", 2)
    assert found["output ratio R→B"] == pytest.approx(100)
    assert quantities(rows, "gb", 1)["explained R→B"] == pytest.approx(
        1 - trained_error(frame, run="gb", drive="gittins", seed=1)
    )
    mine = frame[(frame["run"] == "gauss") & (frame["seed"] == 2)].set_index(["condition", "direction"])
    error = mine["state_error_normalised"]
    assert found["state ratio B→R"] == pytest.approx(error["untrained", "B→R"] / error["trained", "B→R"])
    assert found["reverse state ratio"] == pytest.approx(error["trained", "B→R"] / error["trained", "R→B"])
    assert found["explained R→B"] == pytest.approx(1 - error["trained", "R→B"])
    together = quantities(rows, comparison.ALL_TASKS, 2)
    assert together[["reverse state worse", "reverse output worse"]].tolist() == [1.0, 0.0]
    tasks = frame["run"].unique()
    product = np.prod([quantities(rows, task, 2)["state ratio R→B"] for task in tasks])
    assert together["state ratio R→B over tasks"] == pytest.approx(product ** (1 / len(tasks)))
    # tasks with one drive: of the bandits the Gittins agent's
    own = frame[(frame["seed"] == 2) & (frame["drive"] != "network")].set_index(["run", "condition", "direction"])
    errors = own["state_error_normalised"]
    worse = [errors[:, state, "B→R"] / errors[:, state, "R→B"] for state in ("trained", "untrained")]
    name = "reverse state ratio, trained over untrained, over tasks"
    assert together[name] == pytest.approx(np.exp(np.log(worse[0] / worse[1]).mean()))


def test_tasks_are_taken_together_by_the_seeds_that_all_have():
    frame = bayes_tables.simulation().frame()
    lacking = frame[(frame["run"] != "gb") | (frame["seed"] != 2)]
    rows = bayes_tables.table(kinds.bayes.SIMULATION, {name: lacking[name].to_numpy() for name in lacking})
    found = comparison.of_simulations(rows).to_pandas()
    assert set(found[found["run"] == comparison.ALL_TASKS]["seed"]) == set(frame["seed"]) - {2}
    assert 2 in set(found[found["run"] == "gauss"]["seed"])


def test_the_share_of_tasks_counts_each_task_once():
    frame = bayes_tables.simulation().frame()
    swap = frame["run"].isin(["gb"]) & (frame["direction"] == "B→R")
    frame.loc[swap, "state_error_normalised"] = 1e-9
    rows = bayes_tables.table(kinds.bayes.SIMULATION, {name: frame[name].to_numpy() for name in frame})
    found = quantities(comparison.of_simulations(rows), comparison.ALL_TASKS, 0)
    assert found["reverse state worse"] == 0.75


SWAPPED = ("bayes", "network→bayes", "network", "bayes→network")


def test_overlap_is_one_minus_the_missed_variance(rng):
    true = rng.normal(size=(500, 2))
    pieces = []
    for panel, points in (
        ("network", true),
        ("bayes→network", true + 0.1 * np.sqrt(true.var())),
        ("bayes", true),
        ("network→bayes", true),
    ):
        who = {"run": "cat-3", "seed": 0, "panel": panel, "episode": np.arange(500), "t": 1}
        where = {"pc1": points[:, 0], "pc2": points[:, 1], "share": 1.0, "output": np.zeros((500, 1))}
        pieces.append({**who, **where})
    swapped = [{**each, "panel": other} for each, other in zip(pieces, SWAPPED, strict=True)]
    tables = (bayes_tables.table(kinds.bayes.COMPONENTS, *each) for each in (pieces, swapped))
    found = quantities(comparison.of_geometry(*tables))
    assert found["overlap in network space"] == pytest.approx(0.99, abs=1e-3)
    assert found["overlap in bayes space"] == 1
    assert found["overlap in network space untrained"] == 1
    assert found["overlap in bayes space untrained"] == pytest.approx(0.99, abs=1e-3)
