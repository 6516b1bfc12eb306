"""Which claims `agentomy decide` raises: known answers, and what holds of any choice."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agentomy.pipeline.decide.choosing import Open, Outlook, Work, choose, closed, foreseen, together

FIRST, STACK, MOST = 3, 3, 24


def jobs_of(run: str) -> dict[int, frozenset]:
    return {first: frozenset({("s", "training", f"{run}.{first}")}) for first in range(0, MOST, STACK)}


def outlook(costs: dict[str, float], claims: dict[str, tuple[list[str], int]], **work) -> Outlook:
    """Runs whose stacks cost so many seconds, at three seeds each; claims on runs, likely decided at so many seeds."""
    stacks = {run: jobs_of(run) for run in costs}
    measured = {run: ("s", "metrics", run) for run in costs}
    seeds = dict.fromkeys(costs, FIRST)
    given = Work(
        seeds=seeds,
        timed=seeds,
        stacks=stacks,
        behind={run: frozenset({measured[run]}) for run in costs},
        needs={measured[run]: frozenset().union(*stacks[run].values()) for run in costs},
        seconds={key: costs[run] for run in costs for keys in stacks[run].values() for key in keys}
        | dict.fromkeys(measured.values(), 0.0),
    )
    opened = [
        Open(name, tuple(dict.fromkeys(runs, look) for look in (6, 12, 24) if look <= enough), f"about {enough} seeds")
        for name, (runs, enough) in claims.items()
    ]
    return Outlook(replace(given, **work), opened)


def names(chosen) -> list[str]:
    return [choice.claim.name for choice in chosen.choices]


CHEAP_AND_DEAR = outlook({"a": 1, "b": 10}, {"dear": (["b"], 6), "cheap": (["a"], 6)})


def test_the_cheaper_decision_comes_first():
    assert names(choose(CHEAP_AND_DEAR, 1000)) == ["cheap", "dear"]


def test_what_counts_is_the_price_of_the_decision_and_not_of_the_next_look():
    # to 6 seeds `a` costs 2 and `b` 5, but `far` needs 24: seven stacks
    chosen = choose(outlook({"a": 2, "b": 5}, {"far": (["a"], 24), "near": (["b"], 6)}), 1000)
    assert names(chosen) == ["near", "far"]
    assert chosen.seeds == {"a": 6, "b": 6}  # and yet it is raised step by step


def test_what_another_claim_has_paid_for_is_free():
    chosen = choose(outlook({"a": 5, "b": 4}, {"one": (["a"], 6), "pair": (["a", "b"], 6), "other": (["b"], 6)}), 1000)
    assert names(chosen) == ["other", "one", "pair"]
    assert [choice.jobs for choice in chosen.choices] == [2, 2, 0]


def test_what_does_not_fit_into_the_time_is_left_and_what_fits_behind_it_is_not():
    seen = outlook({"a": 100, "b": 1}, {"long": (["a"], 6), "untimed": (["b"], 6)})
    seconds = {key: taken for key, taken in seen.work.seconds.items() if taken != 1}
    assert names(choose(replace(seen, work=replace(seen.work, seconds=seconds)), 45)) == ["untimed"]


def test_a_round_ends_when_it_takes_a_quarter_of_the_time():
    costs = {name: 10.0 for name in "abcdef"}
    chosen = choose(outlook(costs, {name: ([name], 6) for name in costs}), 100)
    assert names(chosen) == ["a", "b", "c"]


def test_jobs_that_were_never_timed_come_last():
    seen = outlook({"a": 1, "b": 10}, {"unknown": (["a"], 6), "known": (["b"], 6)})
    seconds = {key: taken for key, taken in seen.work.seconds.items() if taken != 1}
    assert names(choose(replace(seen, work=replace(seen.work, seconds=seconds)), 1000)) == ["known", "unknown"]


def test_a_claim_that_needs_a_failed_job_is_closed_and_the_time_goes_elsewhere():
    claims = {"alone": (["a"], 6), "pair": (["a", "b"], 6), "other": (["b"], 6)}
    seen = replace(outlook({"a": 1, "b": 1}, claims), failed=[("s", "training", "a.3")])
    assert closed(seen) == dict.fromkeys(["alone", "pair"], ("s", "training", "a.3"))
    assert names(choose(seen, 1000)) == ["other"]


def test_jobs_share_the_cores_and_a_chain_does_not():
    work = outlook({"a": 10, "b": 10}, {}, cores=2).work
    assert work.time({"a": 6}) == 10
    assert work.time({"a": 6, "b": 6}) == 10
    behind = replace(work, seconds=work.seconds | {("s", "metrics", "a"): 5.0})
    assert behind.time({"a": 6}) == 10 + 2 * 5  # the metric reads twice as many seeds


def test_what_is_there_from_before_costs_nothing():
    work = outlook({"a": 10}, {}, there=frozenset({("s", "training", "a.3")})).work
    assert (work.time({"a": 6}), work.time({"a": 9})) == (0, 10)


def test_the_rounds_to_come_go_on_to_as_many_seeds_as_each_claim_seems_to_need():
    rounds = [*foreseen(outlook({"a": 1, "b": 1}, {"far": (["a"], 24), "near": (["b"], 6)}), 1e6)]
    assert [names(chosen) for chosen in rounds] == [["near", "far"], ["far"], ["far"]]
    assert rounds[-1].seeds == {"a": 24, "b": 6}


RUNS = st.sampled_from("abcd")
OUTLOOKS = st.builds(
    outlook,
    st.fixed_dictionaries(dict.fromkeys("abcd", st.floats(0.1, 100))),
    st.dictionaries(
        st.sampled_from("vwxyz"), st.tuples(st.lists(RUNS, min_size=1, unique=True), st.sampled_from([6, 12, 24]))
    ),
    cores=st.integers(1, 3),
)


@given(OUTLOOKS, st.floats(0, 2000))
def test_a_round_fits_into_the_time_and_raises_just_what_its_claims_need(seen, left):
    chosen = choose(seen, left)
    if chosen.choices:
        assert chosen.seconds <= left
    assert chosen.seeds == together(seen.work.seeds, *(choice.claim.steps[0] for choice in chosen.choices))
    assert len(set(names(chosen))) == len(chosen.choices)


@given(OUTLOOKS, st.floats(0, 2000))
def test_no_claim_is_left_that_would_have_fitted_alone_unless_the_round_is_full(seen, left):
    chosen = choose(seen, left)
    if not chosen.choices:
        assert all(seen.work.time(claim.steps[0]) > left for claim in seen.open)


@given(OUTLOOKS, st.floats(0, 2000), st.randoms())
def test_the_order_in_which_claims_are_written_says_nothing(seen, left, random):
    mixed = list(seen.open)
    random.shuffle(mixed)
    assert choose(replace(seen, open=mixed), left) == choose(seen, left)


@given(OUTLOOKS, st.floats(0, 5000))
def test_the_rounds_to_come_end_and_each_claim_is_raised_at_most_once_a_look(seen, left):
    raised = [name for chosen in foreseen(seen, left) for name in names(chosen)]
    assert all(raised.count(claim.name) <= len(claim.steps) for claim in seen.open)
