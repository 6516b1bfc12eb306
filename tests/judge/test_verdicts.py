"""Each way in which a test and a claim can come out."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from agentomy.judge.columns import SelectionError
from agentomy.judge.intervals import linear
from agentomy.judge.looks import planned
from agentomy.judge.stopping import stopped
from agentomy.judge.thresholds import FAIL, HOLD, OPEN, Threshold
from agentomy.judge.verdicts import judge
from agentomy.judge.written import Claim

NEAR_1 = [0.9, 1.0, 1.1]


def table(**runs) -> pd.DataFrame:
    rows = [
        {"run": run, "seed": seed, "value": value} for run, values in runs.items() for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def judged(frame, tests=None, first=3, numbered=False, unjudged=None, **test):
    """The claim's result and those of its tests; one test if no `tests` are given."""
    tests = tests or {"t": {"holds": "> 0", **test}}
    written = {name: {"from": "m", "value": "value", **test} for name, test in tests.items()}
    claim = Claim.model_validate({"says": "It holds.", "tests": written})
    looks = planned(first)
    return judge(claim, {"m": frame}, lambda name, group: looks, unjudged=unjudged or {}, numbered=numbered)


def whole(frame, *args, **keywords):
    return judged(frame, *args, **keywords)[0]


# ---- one test ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "holds", "said"),
    [
        ([0.1, 0.11, 0.12], "< 1", "holds"),
        ([3.1, 3.11, 3.12], "< 1", "fails"),
        ([0.1, 3, 0.2], "< 1", "undecided"),
        ([3.1, 3.11, 3.12], "> 1", "holds"),
        ([0.1, 0.11, 0.12], ">= 1", "fails"),
        ([0.1, 0.11], "< 1", "undecided (2 of 3 seeds)"),
        ([0.1, np.nan, 0.12], "< 1", "undecided (seed 1 is NaN)"),
        ([0.1, np.inf, 0.12], "< 1", "undecided (seed 1 is inf)"),
        ([1.0, 1.0, 1.0], "<= 1", "undecided (3 equal seeds)"),
        ([0.1, 0.11, 0.12], None, "reported"),
        ([0.1, np.nan, 0.12], None, "reported (seed 1 is NaN)"),
    ],
)
def test_each_verdict(values, holds, said):
    verdicts = judged(table(a=values), holds=holds)
    assert [verdict.said for verdict in verdicts] == [said, said]


def test_one_seed_is_undecided():
    assert whole(table(a=[5.0]), first=1).said == "undecided (one seed)"
    assert whole(table(a=[5.0]), first=1).needs == "6 seeds or more"


@pytest.mark.parametrize(
    ("holds", "said"), [("> 0.7", "fails"), (">= 0.7", "holds"), ("< 0.7", "fails"), ("> 0", "holds")]
)
def test_six_equal_seeds_decide_in_the_median(holds, said):
    verdict = whole(table(a=[0.7] * 6), holds=holds)
    assert verdict.said == f"{said} (in the median seed)"
    assert verdict.look == 2


def test_what_has_no_logarithm_is_named():
    verdict = whole(table(a=[1.0, 0.0, 2.0]), interval="log")
    assert verdict.said == "undecided (seed 1 is 0, which has no logarithm)"
    assert verdict.needs == "not by seeds"


def test_ratios_by_zero_are_named():
    frame = table(a=NEAR_1, b=[1.0, 0.0, 2.0])
    assert whole(frame, where={"run": "a"}, over={"run": "b"}).said == "undecided (seed 1 is inf)"


def test_pairs_are_judged_seed_by_seed():
    """What seeds have in common doesn't hide a difference."""
    frame = table(a=[10.1, 55.2, 93.15], b=[10.0, 55.0, 93.0])
    less = judged(frame, where={"run": "a"}, less={"run": "b"})[1]
    assert (less.verdict, less.value) == ("holds", pytest.approx(0.15))
    over = judged(frame, where={"run": "a"}, over={"run": "b"}, interval="log", holds="< 2")[1]
    assert over.value == pytest.approx(stats.gmean([1.01, 55.2 / 55, 93.15 / 93]))


# ---- looks -----------------------------------------------------------------------------------------------------------


def test_the_first_decision_stands():
    decided = [1.0, 1.01, 1.02]
    for later in ([], [-50.0, 60.0, -70.0], [np.nan] * 9):
        verdict = whole(table(a=[*decided, *later]))
        assert (verdict.verdict, verdict.look, verdict.n, verdict.there) == ("holds", 1, 3, 3 + len(later))
        assert verdict.value == pytest.approx(1.01)


def test_a_later_look_takes_all_seeds_so_far():
    values = [0.0, 1.0, 3.0, 1.2, 1.4, 1.3, -900.0]
    verdict = whole(table(a=values))
    assert (verdict.verdict, verdict.look, verdict.n, verdict.there) == ("holds", 2, 6, 7)
    ends = stats.t.interval(1 - 2 * 0.016, 5, loc=np.mean(values[:6]), scale=stats.sem(values[:6]))
    assert (verdict.low, verdict.high) == pytest.approx(ends)


def test_seeds_beyond_the_last_complete_look_are_never_judged():
    verdict = whole(table(a=[0.0, 1.0, 3.0, 2.0, 2.0]))
    assert (verdict.verdict, verdict.n, verdict.there) == ("undecided", 3, 5)


def test_a_nan_leaves_all_looks_open_that_have_it():
    verdict = whole(table(a=[-1.0, 1.0, np.nan, *[1.0, 1.1] * 11]))
    assert (verdict.said, verdict.n) == ("undecided (seed 2 is NaN)", 24)


def test_a_missing_seed_ends_the_looks_and_is_named():
    frame = table(a=[-1.0, 1.0, 3.0, *NEAR_1])
    gap = frame[frame["seed"] != 4]
    assert whole(gap, numbered=True).said == "undecided (seed 4 is missing)"
    # in a table of anybody's, only what others have is known to be missing
    others = pd.concat([gap, table(b=[9.0, 9.1, 9.2, 9.3, 9.4, 9.5])])
    assert [verdict.said for verdict in judged(others, each="run")[1:]] == ["undecided (seed 4 is missing)", "holds"]
    late = frame[frame["seed"] > 0]
    assert whole(late, numbered=True).said == "undecided (seed 0 is missing)"


def test_each_group_may_have_looks_of_its_own():
    claim = Claim.model_validate(
        {"says": "x", "tests": {"t": {"from": "m", "value": "value", "each": "run", "holds": "> 0"}}}
    )
    first = {"a": 2, "b": 3}
    verdicts = judge(
        claim, {"m": table(a=[1.0, 1.01], b=[1.0, 1.01])}, lambda name, group: planned(first[group.key["run"]])
    )
    assert [verdict.said for verdict in verdicts[1:]] == ["holds", "undecided (2 of 3 seeds)"]


@given(
    st.lists(st.integers(-3, 9).map(float), min_size=2, max_size=26),
    st.integers(1, 8),
    st.integers(1, 5),
    st.booleans(),
)
def test_stopping_is_a_plain_loop_over_looks(values, first, tests, upward):
    def plain():
        spent = [(first, 0.025), *((n, a) for n, a in ((6, 0.016), (12, 0.0045), (24, 0.0045)) if n > first)]
        for number, (n, level) in enumerate(spent, 1):
            seeds = [value - 1 if upward else 1 - value for value in values[:n]]  # above 0 holds
            if n > len(values) or n < 2:
                continue
            for sign, error, verdict in ((1, level, HOLD), (-1, level / tests, FAIL)):
                turned = [sign * seed for seed in seeds]
                if len(set(seeds)) == 1:
                    beyond = 0.5**n <= error and (turned[0] > 0 or (turned[0] == 0 and sign == -1))
                else:
                    t = np.mean(turned) / (np.std(turned, ddof=1) / np.sqrt(n))
                    beyond = t > stats.t.ppf(1 - error, n - 1)
                if beyond:
                    return verdict, number
        return OPEN, 0

    decision = stopped(linear(values), planned(first), Threshold(">" if upward else "<", 1.0), tests)
    assert (int(decision.verdict), int(decision.look)) == plain()


# ---- a claim ---------------------------------------------------------------------------------------------------------


def test_a_claim_holds_if_all_of_its_tests_do_each_at_the_full_level():
    # n = 3, t = 4.5 in each: more than 4.30, and less than any share of the level asks for
    seeds = np.array([-1, 0, 1]) + 4.5 / np.sqrt(3)
    verdicts = judged(table(**{f"r{run}": seeds for run in range(14)}), each="run")
    assert {verdict.verdict for verdict in verdicts} == {"holds"}


def test_a_test_fails_at_its_share_of_the_level():
    seeds = np.array([-1, 0, 1]) - 4.5 / np.sqrt(3)  # t = -4.5
    assert whole(table(bad=seeds), each="run").verdict == "fails"
    verdicts = judged(table(bad=seeds, good=[1.0, 1.01, 1.02]), each="run")
    assert [verdict.verdict for verdict in verdicts] == ["undecided", "undecided", "holds"]
    needed = stats.t.ppf(1 - 0.0125, 2)
    assert verdicts[1].high == pytest.approx(seeds.mean() + needed / np.sqrt(3))  # the end that would have it fail
    assert verdicts[1].low == pytest.approx(seeds.mean() - stats.t.ppf(0.975, 2) / np.sqrt(3))


def test_a_premise_fails_at_the_full_level_as_no_claim_fails_by_it():
    seeds = np.array([-1, 0, 1]) - 4.5 / np.sqrt(3)  # t = -4.5
    tests = {
        "learned": {"holds": "> 0", "where": {"run": "bad"}, "premise": True},
        "seeds": {"holds": "> 0", "where": {"run": ["good", "better"]}, "each": "run"},
    }
    claim, learned, *_ = judged(table(bad=seeds, good=[1.0, 1.01, 1.02], better=[2.0, 2.01, 2.02]), tests)
    assert (claim.verdict, learned.verdict, learned.shared) == ("undecided", "fails", 0)


def test_what_is_exact_or_reported_takes_no_share():
    seeds = np.array([-1, 0, 1]) - 4.5 / np.sqrt(3)
    frame = table(bad=seeds)
    tests = {
        "seeds": {"holds": "> 0", "where": {"run": "bad"}},
        "exact": {"holds": "> 0", "unit": "deterministic", "value": "one"},
        "shown": {"each": "run"},
    }
    assert whole(frame.assign(one=1.0), tests).verdict == "fails"


def test_one_failing_group_fails_the_claim_and_is_named():
    frame = table(good=[1.0, 1.01, 1.02], bad=[-3.0, -3.01, -3.02], open=[1.0, -3.0, 1.0])
    claim, *groups = judged(frame, each="run")
    assert (claim.verdict, claim.group) == ("fails", "t, bad")
    assert [group.verdict for group in groups] == ["holds", "fails", "undecided"]


def test_a_claim_is_decided_at_the_first_look_that_has_a_test_fail():
    late = [-1.5, -3.0, -1.0, -3.0, -3.1, -2.9]
    claim, *groups = judged(table(late=late, soon=[-9.0, -9.1, -9.2, *NEAR_1]), each="run")
    assert [group.look for group in groups] == [2, 1]
    assert (claim.verdict, claim.group, claim.look) == ("fails", "t, soon", 1)


def test_a_claim_is_decided_at_the_last_look_that_its_tests_needed_to_hold():
    frame = table(soon=[1.0, 1.01, 1.02, *NEAR_1], late=[0.0, 1.0, 3.0, 1.2, 1.4, 1.3])
    claim, soon, late = judged(frame, each="run")
    assert (soon.look, late.look, claim.look) == (1, 2, 2)
    assert claim.group == "t, late"  # the one nearest to its threshold


def test_the_nearest_test_is_so_in_standard_errors():
    """Three maps 3 deviations from the threshold are nearer to it than thirty that are 1.5 deviations away."""
    few, many = np.array([2.0, 3, 4]), np.tile([0.5, 1.5, 2.5], 10)
    rows = [
        {"run": run, "map": number, "value": reading}
        for run, values in (("few", few), ("many", many))
        for number, reading in enumerate(values)
    ]
    claim, *groups = judged(pd.DataFrame(rows), each="run", unit="map")
    assert {group.verdict for group in groups} == {"holds"}
    assert claim.group == "t, few"


def test_the_words_of_all_tests_are_said_of_a_claim_that_holds():
    frame = table(equal=[1.0] * 6, other=[5.0, 5.1, 5.2, 5.3, 5.4, 5.5])
    assert whole(frame, each="run").said == "holds (in the median seed)"


def test_an_open_claim_is_shown_by_its_hardest_test():
    frame = table(easy=[0.5, 1.0, 1.6], hard=[-1.0, 1.0, 1.5], sure=[1.0, 1.01, 1.02])
    claim, easy, hard, _ = judged(frame, each="run")
    assert (easy.needs, hard.needs) == ("about 6 seeds", "not by seeds")
    assert (claim.group, claim.needs) == ("t, hard", "not by seeds")


def test_a_decided_claim_needs_nothing():
    assert [verdict.needs for verdict in judged(table(a=[1.0, 1.01, 1.02]))] == ["", ""]


# ---- units and tables ------------------------------------------------------------------------------------------------


def test_published_numbers_are_compared_as_they_are():
    verdict = judged(pd.DataFrame({"value": [0.956]}), unit="published", holds=">= 0.9555")[1]
    assert (verdict.verdict, verdict.low, verdict.high, verdict.n, verdict.look) == ("holds", 0.956, 0.956, 0, 0)
    assert whole(pd.DataFrame({"value": [np.nan]}), unit="published").said == "undecided (found nan)"


def test_a_given_interval_may_be_too_short_to_fail_one_of_many_tests():
    frame = pd.DataFrame({"name": list("abc"), "value": [-1.0, 1, 1], "low": [-2.0, 0.5, 0.5], "high": [-0.5, 2, 2]})
    few = frame[:2]
    assert whole(few, unit="given", each="name").verdict == "fails"
    claim, first, *others = judged(frame, unit="given", each="name")
    assert claim.verdict == first.verdict == "undecided"
    assert "too short to fail one of 3 tests" in first.words
    assert {verdict.verdict for verdict in others} == {"holds"}


def test_other_units_are_judged_once_on_all_that_there_are():
    frame = table(a=[1.0, 2.0, 3.0, 2.0]).rename(columns={"seed": "maze"})
    verdict = judged(frame, unit="maze")[1]
    low = stats.t.interval(0.95, 3, loc=2, scale=stats.sem([1, 2, 3, 2]))[0]
    assert (verdict.verdict, verdict.n, verdict.look, verdict.low) == ("holds", 4, 0, pytest.approx(low))
    assert whole(frame, unit="maze", holds="> 1.9").needs == "not by seeds"


def test_shares_are_judged_by_their_counts():
    frame = table(a=[1.0, 1.0, 1.0]).assign(cases=300)
    assert whole(frame, holds="> 0.9").said == "undecided (3 equal seeds)"
    verdict = judged(frame, holds="> 0.9", count="cases")[1]
    assert (verdict.verdict, verdict.value, verdict.high) == ("holds", 1.0, 1.0)
    few = table(a=[1.0, 1.0, 1.0]).assign(cases=5)
    assert whole(few, holds="> 0.9", count="cases").verdict == "undecided"
    assert whole(table(a=[0.0] * 3).assign(cases=300), holds="> 0", count="cases").verdict == "undecided"


def test_differences_of_counted_shares_are_clipped_for_display():
    frame = table(a=[1.0, 1.0, 0.9], b=[0.0, 0.1, 0.0]).assign(cases=10)
    verdict = judged(frame, where={"run": "a"}, less={"run": "b"}, count="cases", holds=">= 0.4")[1]
    assert (verdict.verdict, verdict.high) == ("holds", 1.0)


def test_bounds_clip_what_is_shown_and_decide_nothing():
    frame = table(a=[0.1, 0.9, 0.5])
    verdict = judged(frame, within=[0.0, 1.0], holds=">= 0")[1]
    assert (verdict.verdict, verdict.low, verdict.high) == ("undecided", 0.0, 1.0)


def test_a_claim_is_open_if_one_of_its_tables_is_not_there():
    assert [verdict.said for verdict in judged(None)] == ["undecided (no rows)", "undecided (no rows)"]
    claim = Claim.model_validate(
        {"says": "x", "tests": {n: {"from": n, "value": "value", "holds": "> 0"} for n in ("here", "gone")}}
    )
    verdicts = judge(claim, {"here": table(a=[1.0, 1.01, 1.02]), "gone": None}, lambda name, group: planned(3))
    assert [verdict.verdict for verdict in verdicts] == ["undecided", "holds", "undecided"]


def test_what_is_not_judged_here_is_shown_with_that_word():
    tests = {"there": {"holds": "> 0"}, "shown": {}}
    verdicts = judged(table(a=[1.0, 1.01, 1.02]), tests, unjudged={"there": "not at this scale"})
    assert [verdict.verdict for verdict in verdicts] == ["reported", "not at this scale", "reported"]
    assert verdicts[1].value == pytest.approx(1.01)
    alone = judged(table(a=NEAR_1), unjudged={"t": "not at this scale"})
    assert [verdict.verdict for verdict in alone] == ["not at this scale"] * 2


def test_a_mistake_names_the_test_and_its_key():
    with pytest.raises(SelectionError, match=r"tests\.t\.where\.run: no value 'b'; allowed: a"):
        judged(table(a=NEAR_1), where={"run": "b"})
    claim = Claim.model_validate({"says": "x", "tests": {"t": {"from": "n", "value": "value"}}})
    with pytest.raises(SelectionError, match=r"tests\.t\.from: no table 'n'; allowed: m"):
        judge(claim, {"m": table(a=NEAR_1)}, lambda name, group: planned(3))


def test_what_is_no_seed_of_a_run_is_not_judged_as_one():
    frame = table(a=NEAR_1)
    frame["seed"] -= 1
    with pytest.raises(SelectionError, match=r"tests\.t\.where: found a row of seed -1; allowed: 0, 1, 2"):
        judged(frame, numbered=True)


def test_a_claim_as_json_is_the_same_claim():
    test = {
        "from": "m",
        "value": "value",
        "where": {"run": "a"},
        "over": {"run": "b"},
        "interval": "log",
        "holds": "> 0",
    }
    claim = Claim.model_validate({"says": "x", "tests": {"t": test}})
    assert Claim.model_validate_json(claim.model_dump_json(by_alias=True)) == claim


def test_a_claim_is_written_in_typed_columns():
    """The share of mazes in which an agent enters the region, less that of one that learned with cheese anywhere."""
    rows = [
        {
            "run": run,
            "update": update,
            "agent": agent,
            "region": region,
            "outcome": outcome,
            "seed": seed,
            "share": share,
        }
        for run, entered in (("region-2", 0.8), ("anywhere", 0.2))
        for update in (0, 300)
        for agent in ("network", "random")
        for region in (1, 2)
        for outcome in ("enters region", "ends there")
        for seed in (0, 1, 2)
        for share in [entered + 0.01 * seed * (1 + (run == "anywhere")) if (update, agent) == (300, "network") else 0.1]
    ]
    test = {
        "value": "share",
        "where": {"update": "last", "agent": "network", "region": 2, "outcome": "enters region"},
        "less": {"run": "anywhere"},
        "holds": "> 0",
    }
    verdict = judged(pd.DataFrame(rows), **test)[1]
    assert (verdict.verdict, verdict.n) == ("holds", 3)
    assert verdict.value == pytest.approx(np.mean([0.6, 0.59, 0.58]))
