"""Verdicts: intervals against textbook values, and each way in which a claim can come out."""

import numpy as np
import pytest
from scipy import stats

from agentomy import claims, kinds
from agentomy.tables import Table


def comparison(values, run="a", quantity="gap"):
    """A metric with one value per seed."""
    return [(run, seed, quantity, value) for seed, value in enumerate(values)]


def judged(rows, scale="laptop", **test):
    test = {"from": "m", "value": "value", "where": {}, "each": None, "interval": "linear", "holds": "< 1", **test}
    test = {"scales": ["laptop", "paper"], "premise": False, **test}
    claim = {"says": "It holds.", "paper": "Fig. 1", "tests": {"t": test}}
    return claims.judge({} if rows is None else {"m": table(rows)}, "toy", {"C1": claim}, scale)


def table(rows):
    run, seed, quantity, value = map(np.array, zip(*(rows or comparison([0])), strict=True))
    made = kinds.common.COMPARISON.table(run=run, seed=seed, quantity=quantity, value=value)
    return Table(kinds.common.COMPARISON, rows=made.slice(0, len(rows)))


def verdicts(rows, **test):
    return judged(rows, **test).to_pandas().set_index("test")["verdict"]


@pytest.mark.parametrize("count", [2, 3, 10])
def test_the_interval_is_students(count):
    values = np.random.default_rng(count).normal(size=count)
    mean, low, high = claims.interval(values)
    expected = stats.t.interval(0.95, count - 1, loc=values.mean(), scale=stats.sem(values))
    np.testing.assert_allclose([mean, low, high], [values.mean(), *expected])


def test_the_log_interval_is_that_of_the_geometric_mean():
    mean, low, high = claims.interval(np.array([1.0, 100.0]), "log")
    assert mean == pytest.approx(10)
    assert low * high == pytest.approx(100)


def test_the_interval_covers_the_mean_95_times_in_100():
    draws = np.random.default_rng(0).normal(size=(4000, 3))
    inside = [low < 0 < high for _, low, high in map(claims.interval, draws)]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.012)


@pytest.mark.parametrize(
    ("values", "holds", "verdict"),
    [
        ([0.1, 0.11, 0.12], "< 1", "holds"),
        ([3.1, 3.11, 3.12], "< 1", "fails"),
        ([0.1, 3, 0.2], "< 1", "undecided"),
        ([3.1, 3.11, 3.12], "> 1", "holds"),
        ([0.1, 0.11, 0.12], ">= 1", "fails"),
        ([0.1], "< 1", "undecided"),
        ([0.1, np.nan, 0.12], "< 1", "undecided"),
        ([0.1, 0.11, 0.12], None, "reported"),
        ([1.0, 1.0, 1.0], "<= 1", "holds"),
        ([1.0, 1.0, 1.0], "< 1", "fails"),
    ],
)
def test_each_verdict(values, holds, verdict):
    assert verdicts(comparison(values), holds=holds).tolist() == [verdict, verdict]


def test_at_another_scale_a_test_is_not_judged():
    assert set(verdicts(comparison([0.1, 0.11, 0.12]), scale="smoke")) == {"not at this scale"}


def nothing(verdict):
    return (
        [(verdict, "t, no rows"), (verdict, "no rows")] if verdict == "undecided" else [(verdict, "t"), (verdict, "")]
    )


@pytest.mark.parametrize(
    ("rows", "test", "verdict"),
    [
        ([], {}, "undecided"),
        ([], {"each": "run"}, "undecided"),
        ([], {"holds": None}, "undecided"),
        ([], {"where": {"run": ["a"]}}, "undecided"),
        ([], {"scales": ["paper"]}, "not at this scale"),
        (None, {"scales": ["paper"]}, "not at this scale"),
        (comparison([0.1, 0.2]), {"scales": ["paper"], "where": {"run": ["of the paper"]}}, "not at this scale"),
    ],
)
def test_no_rows_are_undecided_and_only_another_scale_is_not_at_this_scale(rows, test, verdict):
    found = judged(rows, **test).to_pandas()
    assert [*zip(found["verdict"], found["group"], strict=True)] == nothing(verdict)
    assert found["value"].isna().all()
    assert set(found["seeds"]) == {0}


def test_a_test_without_rows_decides_beside_tests_that_hold_or_have_one_seed():
    """It is what a reader has to see first of what is undecided."""
    holds = {"from": "m", "value": "value", "where": {"run": ["a"]}, "each": None, "interval": "linear", "holds": "< 1"}
    one_seed = {**holds, "where": {"run": ["b"]}}
    none = {**holds, "from": "empty"}
    rows = [*comparison([0.1, 0.11]), *comparison([0.1], "b", "other")]
    tests = {"holds": holds, "straddles": {**holds, "holds": "< 0.105"}, "one seed": one_seed, "none": none}
    tests = {name: {**test, "scales": ["laptop"], "premise": False} for name, test in tests.items()}
    claim = {"says": "It holds.", "paper": "Fig. 1", "tests": tests}
    found = claims.judge({"m": table(rows), "empty": table([])}, "toy", {"C1": claim}, "laptop").to_pandas()
    assert found["verdict"].tolist() == ["undecided", "holds", "undecided", "undecided", "undecided"]
    assert found["group"][0] == "none, no rows"


def test_one_failing_group_fails_the_claim_and_is_named():
    rows = comparison([0.1, 0.11, 0.12], "good") + comparison([3, 3.1, 3.2], "bad") + comparison([0.1, 3, 1], "open")
    table = judged(rows, each="run").to_pandas()
    assert table["verdict"].tolist() == ["fails", "holds", "fails", "undecided"]
    assert table["group"].tolist() == ["t, bad", "good", "bad", "open"]


def test_of_groups_that_hold_the_one_nearest_to_the_threshold_is_shown():
    rows = comparison([0.1, 0.11, 0.12], "far") + comparison([0.9, 0.9001, 0.9002], "near")
    assert judged(rows, each="run").to_pandas()["group"][0] == "t, near"


@pytest.mark.parametrize(
    ("learned", "verdict", "decides"),
    [
        ([1, 1, 1], "fails", "gap"),  # then the other test decides
        ([1, 0, 1], "undecided", "models have learned"),
        ([0, 0, 0], "undecided", "models have learned"),
    ],
)
def test_without_its_premise_a_claim_is_undecided_whatever_else_fails(learned, verdict, decides):
    rows = comparison([3, 3.1, 3.2]) + comparison(learned, quantity="learned")
    table = Table(
        kinds.common.COMPARISON,
        rows=[kinds.common.COMPARISON.table(run=r, seed=s, quantity=q, value=v) for r, s, q, v in rows],
    )
    common = {"from": "m", "value": "value", "each": None, "interval": "linear", "scales": ["laptop"]}
    tests = {
        "gap": {**common, "where": {"quantity": ["gap"]}, "holds": "< 1", "premise": False},
        "models have learned": {**common, "where": {"quantity": ["learned"]}, "holds": ">= 1", "premise": True},
    }
    claim = {"says": "It holds.", "paper": "Fig. 1", "tests": tests}
    whole = claims.judge({"m": table}, "toy", {"C1": claim}, "laptop").to_pandas().iloc[0]
    assert (whole["verdict"], whole["group"]) == (verdict, decides)
    # at another scale nothing is judged, premise or not
    other = claims.judge({"m": table}, "toy", {"C1": claim}, "smoke").to_pandas()
    assert set(other["verdict"]) == {"not at this scale"}


def test_where_chooses_rows_and_nothing_chosen_is_an_error():
    rows = comparison([0.1, 0.11, 0.12]) + comparison([7, 7.1, 7.2], quantity="other")
    assert verdicts(rows, where={"quantity": ["gap"]})["t"] == "holds"
    assert verdicts(rows, where={"quantity": ["other"]})["t"] == "fails"
    with pytest.raises(ValueError, match="'m' has no row where quantity is 'none'"):
        verdicts(rows, where={"quantity": ["gap", "none"]})


@pytest.mark.parametrize("columns", [("run", "quantity"), ("quantity", "run")])
@pytest.mark.parametrize("runs", [["b"], ["a", "b"]])
def test_a_run_without_the_quantity_is_an_error_beside_one_that_has_it(columns, runs):
    """Each value is somewhere in the table, and 'b' would be dropped without a word."""
    rows = comparison([0.1, 0.11, 0.12]) + comparison([7, 7.1, 7.2], "b", "other")
    where = {"run": runs, "quantity": ["gap"]}
    with pytest.raises(ValueError, match="'m' has no row where (run is 'b'|quantity is 'gap')"):
        verdicts(rows, where={column: where[column] for column in columns})


def estimates(**columns):
    table = kinds.twm.ESTIMATES.table(**{"method": "a", "quantity": np.array(["mean", "IQM"]), **columns})
    return Table(kinds.twm.ESTIMATES, rows=table)


def of_estimates(table, **test):
    given = {
        "from": "m",
        "value": "value",
        "where": {"quantity": ["mean"]},
        "each": None,
        "scales": ["laptop"],
        "premise": False,
        **test,
    }
    claim = {"says": "It holds.", "paper": "Table 1", "tests": {"t": given}}
    return claims.judge({"m": table}, "toy", {"C1": claim}, "laptop").to_pandas().iloc[1]


@pytest.mark.parametrize(("holds", "verdict"), [("> 0.1", "holds"), ("> 0.3", "undecided"), ("< 0.2", "fails")])
def test_an_interval_that_a_metric_gives_is_taken_as_it_is(holds, verdict):
    table = estimates(value=np.array([0.4, 9]), low=np.array([0.25, 9]), high=np.array([0.7, 9]))
    found = of_estimates(table, interval="given", holds=holds)
    assert (found["value"], found["low"], found["high"], found["seeds"], found["verdict"]) == (
        *(0.4, 0.25, 0.7, 0),
        verdict,
    )


def test_an_interval_that_is_given_is_that_of_one_row():
    table = estimates(value=np.array([0.4, 9]), low=np.array([0.25, 9]), high=np.array([0.7, 9]))
    with pytest.raises(ValueError, match="test 't': found 2 rows; allowed: one"):
        of_estimates(table, interval="given", holds="> 0", where={})


@pytest.mark.parametrize(("holds", "verdict"), [(">= 0.4", "holds"), ("> 0.4", "fails"), (None, "reported")])
def test_an_exact_value_is_compared_without_an_interval(holds, verdict):
    table = estimates(value=np.array([0.4, 9]), low=np.nan, high=np.nan)
    found = of_estimates(table, interval="exact", holds=holds)
    assert (found["low"], found["high"], found["verdict"]) == (0.4, 0.4, verdict)
    assert judged(comparison([1.0, 3.0]), interval="exact", holds="<= 2").to_pandas()["verdict"][1] == "holds"


def test_the_tables_for_people_hold_the_words_and_numbers(capsys, tmp_path):
    table = judged(comparison([0.1, 0.11, 0.12]))
    for text in (claims.markdown("toy", table), claims.html("toy", table)):
        assert all(word in text for word in ["C1", "It holds.", "Fig. 1", "0.11 [0.0852, 0.135]", "holds"])
    from agentomy import tables

    tables.write(tmp_path / "claims.parquet", kinds.common.CLAIMS, table)
    claims.show(str(tmp_path / "claims.parquet"))
    assert "It holds." in capsys.readouterr().out
