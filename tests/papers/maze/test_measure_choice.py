"""What decides between cheese and corner: planted choices are recovered, and distances are those of real mazes."""

import numpy as np
import pyarrow as pa
import pytest

from agentomy import kinds
from agentomy.kinds.maze import DISTANCES
from agentomy.papers.maze.measure import choice
from agentomy.seeds import Streams
from agentomy.tables import Table
from tests.papers.maze.maze_agents import level_table, logistic

REGION = 2
STREAMS = Streams("test", "metric", 0)


@pytest.fixture(scope="module")
def levels():
    return level_table(1500)


def outcomes(levels, *agents):
    """From (run, seed, update, got the cheese [L])."""
    unused = {"first": "neither", "steps": 1, "nearest": 1, "ends": 1, "x": np.zeros((1, 1)), "y": np.zeros((1, 1))}
    size = len(levels)
    lists = {name: np.repeat(unused.pop(name), size, axis=0) for name in "xy"}
    rows = [
        kinds.maze_behaviour.OUTCOMES.table(
            run=run, seed=seed, update=update, agent="network", condition="cheese", level=levels.values("level"),
            got_cheese=got, **unused, **lists,
        )
        for run, seed, update, got in agents
    ]  # fmt: skip
    return Table(kinds.maze_behaviour.OUTCOMES, rows=pa.concat_tables(rows))


def regression(levels, *agents, splits=5):
    table = outcomes(levels, *agents)
    return Table(
        kinds.maze_behaviour.REGRESSION,
        rows=choice.regression(table, levels, region=REGION, splits=splits, streams=STREAMS),
    )


def number(table, model, **wanted):
    (value,) = table.where(model=model, **wanted).values("value")
    return value


def test_planted_coefficients_are_recovered(rng):
    inputs = rng.normal(2, 3, size=(4000, 4))
    scored = (inputs - 2) / 3
    got = rng.random(4000) < 1 / (1 + np.exp(0.5 + 1.5 * scored[:, 0] - 0.8 * scored[:, 2]))
    accuracy, majority, gain, *coefficients = choice.judged(inputs, got, rng.permutation(4000))
    np.testing.assert_allclose(coefficients, [-1.5, 0, 0.8, 0], atol=0.15)
    assert gain == accuracy - majority > 0.08


def test_accuracy_is_that_on_the_fifth_not_fitted(rng):
    inputs = np.arange(10.0)[:, None]
    # with all of the first eight alike below 4, the last two contradict the rule that is learned
    got = np.array([0, 0, 0, 0, 1, 1, 1, 1, 0, 0], bool)
    accuracy, majority, _, slope = choice.judged(inputs, got, np.arange(10))
    assert (accuracy, majority) == (0, 0)  # a tie is for yes
    assert slope > 0
    # without two of the yeses in the fitted part, no is the commoner answer: wrong for those two
    assert choice.judged(inputs, got, np.array([0, 1, 2, 3, 4, 5, 8, 9, 6, 7]))[1] == 0
    assert choice.judged(inputs, got, np.array([0, 1, 4, 5, 6, 7, 8, 3, 2, 9]))[:2] == [0.5, 0.0]


def test_signs_of_a_choice_planted_in_mazes_come_out_and_beat_the_commoner_answer(levels, rng):
    planted = {"euclid_cheese_corner": -2.0, "steps_decision_cheese": -2.0}
    got = logistic(levels, planted, 0.0, rng)
    table = regression(levels, ("r", 0, 9, got), ("r", 0, 0, rng.random(len(levels)) < 0.5))
    for name in planted:
        assert number(table, "three", measure="coefficient", distance=name, agent="trained") < -0.8
    for name in choice.THREE:
        assert abs(number(table, "three", measure="coefficient", distance=name, agent="untrained")) < 0.3
    assert number(table, "all", measure="gain", agent="trained") > 0.15
    assert number(table, "all", measure="gain", agent="untrained") < 0.05
    steps, norm = (
        number(table, name, measure="accuracy", agent="trained") for name in ("steps_decision_cheese", "cheese_norm")
    )
    assert steps > norm


def test_the_gain_is_accuracy_less_that_of_the_commoner_answer(levels, rng):
    table = regression(levels, ("r", 0, 9, logistic(levels, {"euclid_cheese_corner": -1.0}, 0.5, rng)))
    for model in choice.MODELS:
        accuracy, majority, gain = (number(table, model, measure=measure) for measure in choice.RATES)
        assert gain == pytest.approx(accuracy - majority)


def test_agents_share_their_splits_and_the_numbers_are_the_same_twice(levels, rng):
    got = logistic(levels, {"euclid_cheese_corner": -1.0}, 0.5, rng)
    first, second = (regression(levels, ("r", 0, 0, got), ("other", 1, 0, got)).arrow() for _ in range(2))
    assert first.equals(second)
    frame = first.to_pandas()
    values = [frame[frame["run"] == run]["value"].to_numpy() for run in ("r", "other")]
    np.testing.assert_array_equal(*values)
    assert frame["spread"].max() > 0


def test_whoever_always_gets_the_cheese_gives_nothing_to_explain(levels):
    frame = regression(levels, ("r", 0, 0, np.ones(len(levels), bool)), splits=2).frame()
    assert (frame["value"][frame["measure"].isin(["accuracy", "majority"])] == 1).all()
    assert (frame["value"][frame["measure"].isin(["gain", "coefficient"])] == 0).all()


def test_only_levels_with_a_decision_and_cheese_outside_count(levels):
    plain = [
        row["level"]
        for row in levels.frame().to_dict("records")
        if (row["decision_x"], row["decision_y"]) != (-1, -1) and row["cheese_region"] > REGION
    ]
    chosen = choice.counting(levels, REGION)
    assert chosen["level"].tolist() == plain
    assert not chosen.isna().any().any()
    assert 0.3 < len(plain) / len(levels) < 0.6
    table = regression(levels, ("r", 0, 0, np.arange(len(levels)) % 2 == 0), splits=1)
    assert set(table.values("count")) == {len(plain)}


def test_cheese_at_the_edge_of_the_region_is_inside_and_counts_one_step_further_out(levels):
    rows = levels.frame(["level", "cheese_region", "decision_x"])
    rows = rows[rows["decision_x"] >= 0]
    assert {4, 5} < set(rows["cheese_region"])
    chosen = choice.counting(levels, 4)["level"]
    assert sorted(chosen) == sorted(rows.loc[rows["cheese_region"].isin(range(5, 10)), "level"])
    assert len(choice.counting(levels, 9)) == 0


def test_whoever_is_likelier_than_not_to_get_the_cheese_is_told_to_get_it():
    """Of the fitted levels 55 % are a yes, whatever the distance: log-odds of 0.2, and a yes for all the rest."""
    got = np.concatenate([np.tile([True] * 11 + [False] * 9, 4), np.ones(20, bool)])
    assert choice.judged(np.zeros((100, 1)), got, np.arange(100)) == [1, 1, 0, 0]
    assert choice.judged(np.zeros((100, 1)), ~got, np.arange(100))[:2] == [1, 1]


def test_too_few_levels_are_refused(levels):
    few = levels.with_rows(levels.arrow().slice(0, 12))
    with pytest.raises(ValueError, match="levels with a decision and cheese outside; allowed: 10 or more"):
        regression(few, ("r", 0, 0, np.ones(12, bool)))
    with pytest.raises(ValueError, match="allowed: 40 or more"):
        choice.correlations(few, region=REGION, parts=4)


def test_chances_find_a_threshold_and_their_levels_add_up(levels, rng):
    limit = np.nanmedian(levels.values("steps_decision_cheese"))
    got = levels.values("steps_decision_cheese") < limit
    chances = choice.chances(outcomes(levels, ("r", 0, 0, got)), levels, region=REGION, bins=6)
    frame = chances.to_pandas()
    chosen = choice.counting(levels, REGION)
    for name, rows in frame.groupby("distance"):
        assert rows["count"].sum() == len(chosen)
        assert (rows["middle"] * rows["count"]).sum() == pytest.approx(chosen[name].sum())
        assert rows["middle"].is_monotonic_increasing
        share = (chosen["steps_decision_cheese"] < limit).mean()
        assert (rows["share"] * rows["count"]).sum() / len(chosen) == pytest.approx(share)
    planted = frame[frame["distance"] == "steps_decision_cheese"]
    assert set(planted["share"]) <= {0.0, 1.0} or (planted["share"].between(0.01, 0.99)).sum() == 1
    assert (planted["share"].iloc[0], planted["share"].iloc[-1]) == (1, 0)


def test_a_bin_begins_with_its_edge(levels):
    got = np.zeros(len(levels), bool)
    chances = choice.chances(outcomes(levels, ("r", 0, 0, got)), levels, region=REGION, bins=2).to_pandas()
    values = choice.counting(levels, REGION)["steps_decision_cheese"]
    counts = chances[chances["distance"] == "steps_decision_cheese"]["count"].tolist()
    assert counts == [(values < values.median()).sum(), (values >= values.median()).sum()]


def test_correlations_are_those_of_each_part(levels):
    frame = Table(kinds.maze_behaviour.CORRELATIONS, rows=choice.correlations(levels, region=REGION, parts=3)).frame()
    chosen = choice.counting(levels, REGION)[list(DISTANCES)]
    parts = np.array_split(np.arange(len(chosen)), 3)
    for number, part in enumerate(parts):
        expected = chosen.iloc[part].corr()
        for row in frame[frame["part"] == number].itertuples():
            assert row.correlation == pytest.approx(expected.loc[row.first, row.second])


def test_the_two_ways_from_decision_to_cheese_are_nearly_one_in_any_mazes(levels):
    """M4: r > 0.8, whoever runs the mazes."""
    frame = Table(kinds.maze_behaviour.CORRELATIONS, rows=choice.correlations(levels, region=REGION, parts=2)).frame()
    pair = frame[(frame["first"] == "steps_decision_cheese") & (frame["second"] == "euclid_decision_cheese")]
    assert pair["correlation"].min() > 0.8
