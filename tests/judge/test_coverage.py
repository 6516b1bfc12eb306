"""Error rates that hold: claims by the ten thousand whose truth is known, judged by the code that judges real ones."""

import pytest

from agentomy.judge import coverage
from agentomy.judge.coverage import ALLOWED, ERROR, NORMAL, wrong_fails, wrong_holds
from agentomy.judge.looks import Look, planned

MOST = ALLOWED + 3 * ERROR


@pytest.mark.parametrize("seeds", range(2, 25))
def test_a_false_claim_holds_with_at_most_5_per_cent(seeds):
    assert wrong_holds(NORMAL, planned(seeds)) < MOST
    assert wrong_holds(NORMAL, planned(seeds), upward=False) < MOST


@pytest.mark.parametrize("correlation", [0.0, 0.9])
@pytest.mark.parametrize(
    ("seeds", "tests"), [(2, 1), (2, 14), (3, 1), (3, 2), (3, 5), (3, 14), (8, 14), (24, 3), (24, 14)]
)
def test_a_true_claim_fails_with_at_most_5_per_cent(seeds, tests, correlation):
    assert wrong_fails(NORMAL, planned(seeds), tests, correlation) < MOST


def test_an_effect_of_one_standard_deviation_is_decided():
    """By three to 24 seeds, in about 98 %: without this, "always undecided" would pass all that is above."""
    assert wrong_holds(NORMAL, planned(3), effect=1.0) > 0.97


def test_a_false_claim_does_hold_sometimes():
    assert wrong_holds(NORMAL, planned(3)) > 0.035
    assert wrong_fails(NORMAL, planned(3), 14, 0.0) > 0.035


def test_looks_that_nobody_paid_for_are_found_out():
    looks = tuple(Look(seeds, 0.025) for seeds in (3, 6, 12, 24))
    assert wrong_holds(NORMAL, looks) > MOST


def test_many_tests_at_the_full_level_are_found_out(monkeypatch):
    honest = coverage.stopped
    monkeypatch.setattr(
        coverage, "stopped", lambda sample, looks, threshold, tests: honest(sample, looks, threshold, 1)
    )
    assert wrong_fails(NORMAL, planned(3), 14, 0.0) > 0.3


def test_log_normal_data_are_normal_on_their_logarithm():
    [logarithm] = [data for data in coverage.SKEWED if "interval: log" in data.name]
    assert wrong_holds(logarithm, planned(3)) == wrong_holds(NORMAL, planned(3))


@pytest.mark.parametrize(
    "data", [shares for shares in coverage.SHARES if "± 0;" in shares.name], ids=lambda data: data.name
)
def test_shares_that_vary_by_counting_alone_are_judged_with_at_most_5_per_cent(data):
    for seeds in (3, 10):
        for upward in (True, False):
            assert wrong_holds(data, planned(seeds), upward) < MOST
            assert wrong_fails(data, planned(seeds), 5, 0.0, upward) < MOST
