"""How many seeds would decide: closed forms where there are some, and draws."""

import numpy as np
import pytest
from scipy import stats

from agentomy.judge.intervals import counted, linear, logarithmic
from agentomy.judge.looks import Look, planned
from agentomy.judge.power import Need, hardest, need
from agentomy.judge.thresholds import FAIL, HOLD, OPEN, Threshold

ABOVE = Threshold(">", 0.0)


def sample(effect, seeds=3):
    """Seeds whose mean lies so many standard deviations above 0."""
    values = np.arange(seeds, dtype=float)
    return linear((values - values.mean()) / values.std(ddof=1) + effect)


def test_the_look_that_is_named_decides_in_four_of_five():
    for effect in (0.8, 1.0, 1.5, 3.0):
        needed = need(sample(effect), planned(3)[1:], ABOVE, 1)
        look = next(look for look in planned(3) if look.seeds == needed.seeds)
        draws = np.random.default_rng(0).normal(effect, size=(20_000, look.seeds))
        error = draws.std(-1, ddof=1) / np.sqrt(look.seeds)
        decided = draws.mean(-1) > stats.t.ppf(1 - look.level, look.seeds - 1) * error
        assert needed.toward == HOLD
        assert decided.mean() > 0.79


@pytest.mark.parametrize(("effect", "seeds"), [(3.0, 6), (1.2, 12), (0.8, 24), (0.1, None)])
def test_smaller_effects_need_more_seeds(effect, seeds):
    assert need(sample(effect), planned(3)[1:], ABOVE, 1) == Need(HOLD, seeds)


def test_a_claim_on_its_way_to_fail_shares_the_level_among_its_tests():
    assert need(sample(-1.2), planned(3)[1:], ABOVE, 1) == Need(FAIL, 12)
    assert need(sample(-1.2), planned(3)[1:], ABOVE, 14) == Need(FAIL, 24)
    assert need(sample(1.2), planned(3)[1:], ABOVE, 14) == Need(HOLD, 12)


def test_the_other_side_mirrors():
    assert need(sample(-1.2), planned(3)[1:], Threshold("<", 0.0), 14) == Need(HOLD, 12)
    assert need(sample(1.2), planned(3)[1:], Threshold("<", 0.0), 1) == Need(FAIL, 12)


def test_equal_seeds_need_as_many_as_the_sign_test():
    assert need(linear([1.0] * 3), planned(3)[1:], ABOVE, 1) == Need(HOLD, 6)
    assert need(linear([-1.0] * 3), planned(3)[1:], ABOVE, 5) == Need(FAIL, 12)
    assert need(linear([0.0] * 3), planned(3)[1:], ABOVE, 1) == Need(FAIL, 6)


def test_one_seed_shows_no_spread():
    assert need(linear([1.0]), planned(1)[1:], ABOVE, 1).text == "6 seeds or more"


def test_effects_are_measured_on_the_scale_that_is_judged():
    assert need(logarithmic([10.0, 100.0, 1000.0]), planned(3)[1:], Threshold(">", 5.0), 1) == Need(HOLD, 12)
    shares = counted([0.99, 0.98, 0.97], np.array([1000.0] * 3))
    assert need(shares, planned(3)[1:], Threshold(">", 0.95), 1).toward == HOLD


def test_what_no_seed_mends_is_said_to_be_so():
    assert need(linear([1.0, np.nan, 1.1]), planned(3)[1:], ABOVE, 1).text == "not by seeds"
    assert need(sample(1.0, 24), [], ABOVE, 1).text == "not by seeds"
    assert need(sample(0.0), planned(3)[1:], ABOVE, 1) == Need(OPEN, None)
    with np.errstate(all="raise"):
        assert need(logarithmic([1.0, 2.0, 3.0]), planned(3)[1:], Threshold(">", -1.0), 1).seeds is None


def test_a_sure_effect_is_known_without_the_distribution():
    assert need(sample(1e9), [Look(6, 0.016)], ABOVE, 1) == Need(HOLD, 6)


def test_a_claim_holds_when_its_hardest_test_does():
    assert hardest([Need(HOLD, 6), Need(HOLD, 24), Need(HOLD, 12)]) == 1
    assert hardest([Need(HOLD, 6), Need(HOLD, None), Need(HOLD, 12)]) == 1


def test_a_claim_fails_when_its_easiest_failing_test_does():
    assert hardest([Need(HOLD, 6), Need(FAIL, 24), Need(FAIL, 12)]) == 2
    assert hardest([Need(HOLD, 6), Need(FAIL, None)]) == 1
