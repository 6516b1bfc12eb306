"""Looks are planned: what they spend is never more than 5 % on each side."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from agentomy.judge.looks import FIRST, LATER, Look, planned


def test_three_seeds_are_followed_by_six_twelve_and_twenty_four():
    assert planned(3) == (Look(3, 0.025), Look(6, 0.016), Look(12, 0.0045), Look(24, 0.0045))


def test_the_quantiles_are_those_of_the_plan():
    quantiles = [stats.t.ppf(1 - look.level, look.seeds - 1) for look in planned(3)]
    assert quantiles == pytest.approx([4.30, 2.95, 3.16, 2.85], abs=0.006)


def test_what_is_not_larger_than_the_first_look_is_skipped_and_not_spent():
    assert planned(6) == (Look(6, 0.025), Look(12, 0.0045), Look(24, 0.0045))
    assert planned(10) == (Look(10, 0.025), Look(12, 0.0045), Look(24, 0.0045))
    assert planned(24) == (Look(24, 0.025),)
    assert planned(100) == (Look(100, 0.025),)


def test_later_looks_are_whole_stacks():
    assert [look.seeds for look in planned(5, stack=5)] == [5, 10, 15, 25]
    assert [look.seeds for look in planned(8, stack=8)] == [8, 16, 24]


def test_looks_that_become_one_spend_together():
    assert planned(3, stack=20) == (Look(3, 0.025), Look(20, pytest.approx(0.0205)), Look(40, 0.0045))


@given(st.integers(1, 200), st.integers(1, 50))
def test_looks_grow_in_whole_stacks_and_spend_at_most_five_per_cent(first, stack):
    looks = planned(first, stack)
    seeds = [look.seeds for look in looks]
    assert seeds[0] == first
    assert seeds == sorted(set(seeds))
    assert all(number % stack == 0 for number in seeds[1:])
    assert sum(look.level for look in looks) <= 0.05 + 1e-12
    assert looks[0].level == FIRST
    # each number of seeds that was planned is reached by a look, or was already passed by the first
    assert all(any(number >= wanted for number in seeds) for wanted, _ in LATER)
