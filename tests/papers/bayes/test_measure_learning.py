"""Curves with known ends, trends and times are told as such."""

import numpy as np
import pytest

from agentomy import kinds
from agentomy.papers.bayes.measure import learning, optimality
from tests.papers.bayes import bayes_tables

# ---- when each step is learned ---------------------------------------------------------------------------------------


def distances(curves):
    """DISTANCE rows of one seed from curves [updates, T]."""
    updates = np.array([0, 1, 10, 100])
    t = np.tile(np.arange(1, curves.shape[1] + 1), len(updates))
    labels = {"run": "cat-3", "seed": 0, "update": np.repeat(updates, curves.shape[1]), "t": t}
    return bayes_tables.table(kinds.bayes.DISTANCE, {**labels, "kl": curves.ravel(), "excess": 0.0})


def test_steps_learned_in_proportion_are_learned_at_the_same_update():
    curves = np.outer([1, 0.5, 0.05, 0.01], [1.0, 2.0, 3.0])
    rows = learning.acquisition_of_predictors(distances(curves), threshold=0.1).to_pandas()
    assert rows["update"].tolist() == [10, 10, 10]


def test_early_late_never_and_already_learned_steps_are_told_apart():
    curves = np.array([[1, 1, 1, 1e-3], [0.05, 1, 1, 1e-3], [0.05, 0.5, 1, 1e-3], [0.05, 0.05, 1, 1e-3]])
    rows = learning.acquisition_of_predictors(distances(curves), threshold=0.1).to_pandas()
    np.testing.assert_array_equal(rows["update"], [1, 100, np.nan, 0])
    np.testing.assert_allclose(rows["level"], [0.1, 0.1, 0.1, 0.1 * curves[0].mean()])


def test_bandit_acquisition_is_of_the_argmax_policy(rng):
    gap = bayes_tables.as_table(kinds.bayes.GAP, optimality.bandit_gap(bayes_tables.play(rng)))
    rows = learning.acquisition_of_bandits(gap, threshold=0.1).to_pandas()
    assert len(rows) == 3 * bayes_tables.STEPS
    assert rows["update"].max() <= bayes_tables.UPDATES[-1]


def acquisition(updates):
    t = np.arange(1, len(updates) + 1)
    columns = {"run": "cat-3", "seed": 0, "t": t, "update": updates, "level": 0.1}
    return bayes_tables.table(kinds.bayes.ACQUISITION, columns)


@pytest.mark.parametrize(
    ("updates", "spread", "order", "learned"),
    [
        ([0.0, 10, 100, 1000], 2, 1, 1),
        ([1000.0, 100, 10, 0], 2, -1, 1),
        ([10.0, 10, 10, 10], 0, 0, 1),
        ([10.0, 10, np.nan, np.nan], 0, 0, 0.5),
        ([0.0, np.nan, np.nan, np.nan], np.nan, np.nan, 0),
        ([0.0, 0, 0, 0], np.nan, np.nan, np.nan),
    ],
)
def test_spread_and_order_of_acquisition(updates, spread, order, learned):
    (row,) = learning.order(acquisition(np.array(updates))).to_pylist()
    np.testing.assert_allclose([row["spread"], row["order"], row["learned"]], [spread, order, learned], atol=1e-12)


# ---- where learning comes to rest ------------------------------------------------------------------------------------

# log-spaced snapshots and evenly spaced ones: five of them in the last third
UPDATES = np.array([0, 1, 2, 4, 8, 16, 25, 50, 75, 100, 125, 150, 175, 200, 225, 250, 275, 300])


def trend_of(curve):
    """The trend of a predictor whose two steps lie a tenth below and above the curve."""
    pieces = []
    for update, value in zip(UPDATES, curve, strict=True):
        place = {"run": "cat-3", "seed": 0, "update": update, "t": np.array([1, 2])}
        pieces.append({**place, "kl": value * np.array([0.9, 1.1]), "excess": value})
    (row,) = learning.trend_of_predictors(bayes_tables.table(kinds.bayes.DISTANCE, *pieces)).to_pylist()
    return row


@pytest.mark.parametrize("change", [-0.3, 0.0, 0.5])
def test_the_trend_is_the_relative_change_over_the_last_third_of_the_updates(change):
    """Whatever came before, most of the learning among it."""
    curve = np.where(UPDATES < 200, 0.3 / (1 + UPDATES), 0.1 * (1 + change * (UPDATES - 250) / 100))
    assert trend_of(curve)["change"] == pytest.approx(change, abs=1e-9)


def test_a_learner_that_has_come_to_rest_is_told_from_one_that_drifts_away(rng):
    noise = 1 + rng.normal(0, 0.01, len(UPDATES))
    resting = 1e-3 + 0.3 * np.exp(-UPDATES / 10)
    drifting = resting * np.where(UPDATES > 200, UPDATES / 200, 1)  # still 99 % below the untrained distance
    still, drift = (trend_of(curve * noise)["errors"] for curve in (resting, drifting))
    assert abs(still) < 4 < drift


def test_the_standard_error_of_a_trend_covers_what_noise_makes_of_a_flat_end(rng):
    draws = [learning.trend(UPDATES, 1 + rng.normal(0, 0.1, len(UPDATES))) for _ in range(2000)]
    changes, errors = np.transpose(draws)
    assert np.sqrt((errors**2).mean()) == pytest.approx(changes.std(), rel=0.1)


def test_two_snapshots_have_no_trend():
    change, error = learning.trend(np.array([0, 1, 90, 100]), np.array([1.0, 0.9, 0.5, 0.1]))
    assert np.isnan([change, error]).all()


def test_the_trend_of_a_bandit_agent_is_that_of_its_argmax_policys_losses(rng):
    gap = bayes_tables.as_table(kinds.bayes.GAP, optimality.bandit_gap(bayes_tables.play(rng)))
    frame = gap.frame()
    frame = frame[(frame["policy"] == "argmax") & (frame["seed"] == 1)]
    lost = frame.groupby("update")["gap"].sum()
    row = learning.trend_of_bandits(gap).to_pandas().set_index("seed").loc[1]
    expected = learning.trend(lost.index.to_numpy(), lost.to_numpy())
    np.testing.assert_allclose([row["change"], row["error"]], expected)
