"""Intervals against textbook values, scipy's own and the binomial distribution."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit, logit

from agentomy.judge.intervals import counted, counted_differences, interval, linear, logarithmic
from agentomy.judge.thresholds import FAIL, HOLD, OPEN, Threshold

numbers = st.floats(-1e6, 1e6).map(lambda number: round(number, 3))


@pytest.mark.parametrize("count", [2, 3, 10])
def test_the_interval_is_students(count):
    values = np.random.default_rng(count).normal(size=count)
    expected = stats.t.interval(0.95, count - 1, loc=values.mean(), scale=stats.sem(values))
    np.testing.assert_allclose(interval(linear(values), 0.025, 0.025), [values.mean(), *expected])


def test_each_end_has_its_own_level():
    values = np.array([1.0, 2.0, 4.0])
    _, low, high = interval(linear(values), 0.01, 0.2)
    error = stats.sem(values)
    assert low == pytest.approx(values.mean() - 6.9646 * error, rel=1e-4)
    assert high == pytest.approx(values.mean() + 1.0607 * error, rel=1e-4)


def test_the_log_interval_is_that_of_the_geometric_mean():
    value, low, high = interval(logarithmic(np.array([1.0, 100.0])), 0.025, 0.025)
    assert value == pytest.approx(10)
    assert low * high == pytest.approx(100)


def test_one_seed_has_no_interval():
    for sample in (linear([3.0]), logarithmic([3.0]), counted([0.5], np.array([10.0]))):
        _, low, high = interval(sample, 0.025, 0.025)
        assert np.isnan([low, high]).all()


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_seed_that_is_no_number_leaves_no_interval(odd):
    with np.errstate(all="ignore"):
        _, low, high = interval(linear([1.0, odd, 1.1]), 0.025, 0.025)
    assert Threshold(">", 0.0).verdict(low, high) == OPEN
    assert Threshold("<", 0.0).verdict(low, high) == OPEN


def test_what_is_not_positive_has_no_geometric_mean():
    assert np.isnan(interval(logarithmic([1.0, 0.0, 2.0]), 0.025, 0.025)).all()


@given(st.integers(2, 30), st.sampled_from([0.025, 0.016, 0.0045, 0.001]))
def test_equal_seeds_are_judged_by_the_sign_test(count, level):
    _, low, high = interval(linear(np.full(count, 0.7)), level, level / 3)
    signs = stats.binomtest(count, count, 0.5, alternative="greater").pvalue
    assert low == (0.7 if signs <= level else -np.inf)
    assert high == (0.7 if signs <= level / 3 else np.inf)


def test_three_equal_seeds_say_nothing_and_six_do_at_their_look():
    assert np.isinf(interval(linear([1.0] * 3), 0.025, 0.025).low)
    assert interval(linear([1.0] * 6), 0.016, 0.016).low == 1


def test_what_differs_by_rounding_is_equal():
    assert linear([0.3, 0.1 + 0.2, 0.3]).equal
    assert linear([0.0, 0.0]).equal
    assert not linear([0.3, 0.3001, 0.3]).equal
    assert not linear([np.nan, np.nan]).equal


def test_the_interval_of_a_share_is_students_on_the_empirical_logit():
    shares, of = np.array([0.3, 0.5, 0.8]), np.array([1000.0] * 3)
    logits = logit((shares * of + 0.5) / (of + 1))  # far enough apart that counting adds nothing
    ends = stats.t.interval(0.95, 2, loc=logits.mean(), scale=stats.sem(logits))
    value, low, high = interval(counted(shares, of), 0.025, 0.025)
    assert value == pytest.approx(shares.mean())
    np.testing.assert_allclose([low, high], expit(ends))


def test_shares_that_are_equal_still_have_the_spread_of_counting():
    of = np.array([100.0] * 3)
    spread = counted([0.9] * 3, of).spread
    assert spread == pytest.approx(np.sqrt(1 / 90.5 + 1 / 10.5))
    # which is that of the logit of a binomial share, drawn
    draws = counted(np.random.default_rng(0).binomial(100, 0.9, 50_000) / 100, np.full(50_000, 100.0))
    assert draws.values.std() == pytest.approx(spread, rel=0.05)


@given(st.lists(st.integers(0, 40), min_size=2, max_size=12))
def test_the_interval_of_shares_lies_between_0_and_1_and_takes_in_their_mean(hits):
    shares = np.array(hits) / 40
    value, low, high = interval(counted(shares, np.full(len(hits), 40.0)), 0.025, 0.0045)
    assert 0 <= low <= value <= high <= 1
    assert value == pytest.approx(shares.mean())


@given(st.lists(st.integers(0, 40), min_size=2, max_size=12))
def test_shares_of_successes_and_of_failures_mirror_each_other(hits):
    shares, of = np.array(hits) / 40, np.full(len(hits), 40.0)
    _, low, high = interval(counted(shares, of), 0.025, 0.0045)
    _, low_of_failures, high_of_failures = interval(counted(1 - shares, of), 0.0045, 0.025)
    np.testing.assert_allclose([low, high], [1 - high_of_failures, 1 - low_of_failures], atol=1e-9)


def test_differences_of_counted_shares_have_at_least_the_spread_of_counting():
    sample = counted_differences([0.9] * 3, np.array([100.0] * 3), [0.1] * 3, np.array([50.0] * 3))
    assert sample.mean == pytest.approx(0.8)
    drawn = np.random.default_rng(0)
    differences = drawn.binomial(100, 0.9, 50_000) / 100 - drawn.binomial(50, 0.1, 50_000) / 50
    assert sample.spread == pytest.approx(differences.std(), rel=0.08)
    assert not sample.equal


def test_differences_of_shares_of_all_and_of_none_have_a_spread_too():
    """As if half a case more had come out either way."""
    sample = counted_differences([1.0] * 3, np.array([20.0] * 3), [0.0] * 3, np.array([20.0] * 3))
    assert sample.spread == pytest.approx(np.sqrt(2 * (20.5 / 21) * (0.5 / 21) / 20))
    _, low, high = interval(sample, 0.025, 0.025)
    assert low < 1 < high


@given(st.lists(numbers, min_size=2, max_size=8), numbers, st.floats(0.1, 10).map(lambda number: round(number, 2)))
def test_intervals_move_and_stretch_with_the_values(values, shift, factor):
    values = np.array(values)
    before = np.array(interval(linear(values), 0.025, 0.01))
    after = np.array(interval(linear(values * factor + shift), 0.025, 0.01))
    expected = before * factor + shift
    finite = np.isfinite(before) & np.isfinite(after)
    np.testing.assert_allclose(after[finite], expected[finite], rtol=1e-6, atol=1e-3)


@given(st.lists(numbers, min_size=2, max_size=8))
def test_many_samples_at_once_are_each_alone(values):
    rows = np.array([values, [value + 1 for value in values], [1.0] * len(values)])
    together = interval(linear(rows), 0.025, 0.016)
    for place, row in enumerate(rows):
        alone = interval(linear(row), 0.025, 0.016)
        np.testing.assert_allclose([ends[place] for ends in together], alone)


@pytest.mark.parametrize(
    ("side", "low", "high", "verdict"),
    [
        (">", 1.1, 2, HOLD),
        (">", 1, 2, OPEN),
        (">=", 1, 2, HOLD),
        (">", 0, 1, FAIL),
        (">=", 0, 1, OPEN),
        ("<", 0, 1, OPEN),
        ("<=", 0, 1, HOLD),
        ("<", 1, 2, FAIL),
        ("<=", 1, 2, OPEN),
        ("<", np.nan, 2, OPEN),
        (">", np.nan, np.nan, OPEN),
        ("<", -np.inf, 0.5, HOLD),
        ("<", -np.inf, np.inf, OPEN),
    ],
)
def test_the_whole_interval_has_to_lie_on_one_side(side, low, high, verdict):
    assert Threshold(side, 1.0).verdict(np.float64(low), np.float64(high)) == verdict


@pytest.mark.parametrize("text", ["", "0", "> zero", "= 0", "> nan", "> inf", ">0"])
def test_what_is_no_threshold_is_refused(text):
    with pytest.raises(ValueError, match="a comparison with a number"):
        Threshold.read(text)
