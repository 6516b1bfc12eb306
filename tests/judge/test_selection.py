"""Selections leave one row for each seed and group, or say which columns still vary."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentomy.judge.columns import Column, SelectionError, check
from agentomy.judge.selection import select
from agentomy.judge.written import Test as Written

RUNS, SIZES, UPDATES, SEEDS = ("a", "b", "c"), (1, 2), (0, 50, 100), (0, 1, 2)


def table(runs=RUNS, sizes=SIZES, updates=UPDATES, seeds=SEEDS) -> pd.DataFrame:
    """A learning curve for each run, size and seed; the value says which row it is of."""
    rows = [
        {"run": run, "size": size, "update": update, "seed": seed, "value": value(run, size, update, seed)}
        for run in runs
        for size in sizes
        for update in updates
        for seed in seeds
    ]
    return pd.DataFrame(rows)


def value(run, size, update, seed) -> float:
    return 1000 * (RUNS.index(run) + 1) + 300 * size + update + 7.0 * seed


def chosen(frame, **test):
    return select(Written.model_validate({"value": "value", **test}), frame)


def refused(frame, **test) -> str:
    with pytest.raises(SelectionError) as error:
        chosen(frame, **test)
    return str(error.value)


def values(group) -> list[float]:
    return group.rows["value"].tolist()


def test_a_test_takes_the_rows_that_have_its_values():
    [group] = chosen(table(), where={"run": "b", "size": 2, "update": 50})
    assert values(group) == [value("b", 2, 50, seed) for seed in SEEDS]
    assert group.units == [0, 1, 2]


@pytest.mark.parametrize(("end", "update"), [("last", 100), ("first", 0)])
def test_last_and_first_are_of_a_column_of_numbers(end, update):
    [group] = chosen(table(), where={"run": "a", "size": 1, "update": end})
    assert values(group) == [value("a", 1, update, seed) for seed in SEEDS]


def test_each_curve_has_a_last_row_of_its_own():
    longer = pd.concat([table(), table(runs=["a"], updates=[200])])
    groups = chosen(longer, where={"size": 1, "update": "last"}, each="run")
    last = {group.name: values(group)[0] for group in groups}
    assert last == {"a": value("a", 1, 200, 0), "b": value("b", 1, 100, 0), "c": value("c", 1, 100, 0)}


@pytest.mark.parametrize("column", ["run", "size"])
def test_the_longer_curve_does_not_hide_what_was_not_selected(column):
    wanted = {"run": "a", "size": 1, "update": "last"}
    longer = pd.concat([table(), table(runs=["a"], sizes=[1], updates=[200])])
    del wanted[column]
    varying = {"run": "run (b, c, a)", "size": "size (2, 1)"}[column]
    assert refused(longer, where=wanted).endswith(f"still varying: {varying}, update (100, 200)")


def test_curves_that_a_flag_tells_apart_have_a_last_row_each():
    frame = pd.concat([table().assign(tied=False), table(updates=[200]).assign(tied=True)])
    said = refused(frame, where={"run": "a", "size": 1, "update": "last"})
    assert said.endswith("still varying: update (100, 200), tied (False, True)")


def test_rows_that_are_left_over_are_an_error_that_names_what_varies():
    said = refused(table(), where={"size": 1})
    assert said == "where: found 9 rows of seed 0; allowed: one; still varying: run (a, b, c), update (0, 50, 100)"
    said = refused(table(), where={"size": 1, "update": 0}, each="seed")
    assert "which is the unit" in said
    twice = pd.concat([table(), table()])
    assert "the same in every column" in refused(twice, where={"run": "a", "size": 1, "update": 0})


def test_numbers_are_named_only_if_no_label_varies():
    frame = table(runs=["a"], sizes=[1], updates=[0]).assign(level=0.5)
    frame = pd.concat([frame, frame.assign(level=0.7)])
    assert refused(frame).endswith("still varying: level (0.5, 0.7)")


def test_each_judges_every_value_by_itself():
    groups = chosen(table(), where={"size": [1, 2], "update": 0}, each=["run", "size"])
    assert [group.name for group in groups] == ["a, 1", "a, 2", "b, 1", "b, 2", "c, 1", "c, 2"]
    assert groups[3].key == {"run": "b", "size": 2}
    assert values(groups[3]) == [value("b", 2, 0, seed) for seed in SEEDS]


@pytest.mark.parametrize(("how", "average"), [("mean", np.mean), ("median", np.median)])
def test_named_columns_are_averaged(how, average):
    [group] = chosen(table(), where={"run": "a"}, **{how: ["size", "update"]})
    expected = [average([value("a", size, update, seed) for size in SIZES for update in UPDATES]) for seed in SEEDS]
    assert values(group) == pytest.approx(expected)


def test_a_nan_is_not_averaged_away():
    frame = table()
    frame.loc[(frame["seed"] == 1) & (frame["size"] == 2), "value"] = np.nan
    for how in ("mean", "median"):
        [group] = chosen(frame, where={"run": "a", "update": 0}, **{how: "size"})
        assert np.isnan(values(group)).tolist() == [False, True, False]


def test_averages_need_one_row_for_each_value_too():
    assert "still varying: update" in refused(table(), where={"run": "a"}, mean="size")


def test_pairs_are_of_the_seeds_that_both_have():
    frame = table()
    frame = frame[~((frame["run"] == "a") & (frame["seed"] == 0)) & ~((frame["run"] == "b") & (frame["seed"] == 2))]
    [group] = chosen(frame, where={"run": "a", "size": 1, "update": 0}, less={"run": "b"})
    assert group.units == [1]
    assert values(group) == [value("a", 1, 0, 1)]
    assert group.base["value"].tolist() == [value("b", 1, 0, 1)]


def test_a_run_may_be_compared_with_its_own_beginning():
    [group] = chosen(table(), where={"run": "a", "size": 1, "update": "last"}, over={"update": "first"})
    assert values(group) == [value("a", 1, 100, seed) for seed in SEEDS]
    assert group.base["value"].tolist() == [value("a", 1, 0, seed) for seed in SEEDS]


def test_all_others_are_compared_with_one():
    groups = chosen(table(), where={"size": 1, "update": 0}, less={"run": "b"}, each="run")
    assert [group.name for group in groups] == ["a", "c"]
    assert all(group.base["value"].tolist() == [value("b", 1, 0, seed) for seed in SEEDS] for group in groups)


def test_what_is_left_beside_the_other_side_needs_no_name():
    """As `less: {run: anywhere}` in a table of two runs; of three runs the others still vary."""
    [group] = chosen(table(runs=["a", "b"]), where={"size": 1, "update": "last"}, less={"run": "b"})
    assert values(group) == [value("a", 1, 100, seed) for seed in SEEDS]
    assert "run (a, c)" in refused(table(), where={"size": 1, "update": 0}, less={"run": "b"})


def test_the_other_side_may_have_learned_for_longer():
    longer = pd.concat([table(runs=["a", "b"]), table(runs=["b"], updates=[200])])
    [group] = chosen(longer, where={"size": 1, "update": "last"}, less={"run": "b"})
    assert values(group)[0] == value("a", 1, 100, 0)
    assert group.base["value"].iloc[0] == value("b", 1, 200, 0)


def test_one_may_be_compared_with_the_beginning_of_the_other():
    frame = table(runs=["a", "b"])
    [group] = chosen(frame, where={"size": 1, "update": "last"}, less={"run": "b", "update": "first"})
    assert values(group) == [value("a", 1, 100, seed) for seed in SEEDS]
    assert group.base["value"].tolist() == [value("b", 1, 0, seed) for seed in SEEDS]


def test_groups_are_compared_with_the_same_group():
    groups = chosen(table(), where={"run": "a", "update": 0}, less={"run": "c"}, each="size")
    assert [group.base["value"].iloc[0] for group in groups] == [value("c", 1, 0, 0), value("c", 2, 0, 0)]
    lacking = table()
    lacking = lacking[(lacking["run"] != "c") | (lacking["size"] != 2)]
    assert "nothing to compare 2 with" in refused(
        lacking, where={"run": "a", "update": 0}, less={"run": "c"}, each="size"
    )


def test_nothing_is_compared_with_itself():
    assert "the rows themselves" in refused(table(), where={"run": "a", "size": 1, "update": 0}, less={"run": "a"})


def test_seeds_without_a_partner_are_no_pairs():
    frame = pd.concat([table(runs=["a"], seeds=[0, 1]), table(runs=["b"], seeds=[5, 6])])
    assert "found seed 0, 1 … on one side and 5, 6" in refused(
        frame, where={"run": "a", "size": 1, "update": 0}, less={"run": "b"}
    )


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ({"value": "score"}, "value: no column 'score'; allowed: run, size, update, seed, value"),
        ({"value": "run"}, "value: found the column 'run' of type text; allowed: numbers"),
        ({"where": {"runs": "a"}}, "where.runs: no column 'runs' (did you mean 'run'?)"),
        ({"where": {"run": "d"}}, "where.run: no value 'd'; allowed: a, b, c"),
        ({"where": {"run": 1}}, "where.run: found 1 (int); allowed: text"),
        ({"where": {"size": "one"}}, "where.size: found 'one' (str); allowed: integer, first or last"),
        ({"where": {"size": 3}}, "where.size: no value '3'; allowed: 1, 2"),
        ({"where": {"size": True}}, "where.size: found True (bool)"),
        ({"where": {"run": "last"}}, "where.run: no value 'last'"),
        ({"less": {"run": "d"}}, "less.run: no value 'd'"),
        ({"over": {"size": 7}}, "over.size: no value '7'"),
        ({"each": "task"}, "each: no column 'task'"),
        ({"mean": "seed"}, "mean: found 'seed', which is the unit"),
        ({"unit": "maze"}, "unit: no column 'maze'"),
        ({"unit": "given"}, "unit: given: low: no column 'low'"),
        ({"count": "cases"}, "count: no column 'cases'"),
    ],
)
def test_what_cannot_occur_is_refused_with_what_is_there(test, said):
    assert said in refused(table(), **test)


def test_values_that_occur_but_not_together_are_refused():
    frame = table()
    frame = frame[(frame["run"] != "b") | (frame["size"] == 2)]
    said = refused(frame, where={"run": ["a", "b"], "size": 1, "update": 0}, each="run")
    assert said == "where.run: beside what else is asked for, no value 'b'; allowed: a, c"


def test_a_plan_refuses_without_rows():
    there = {"run": Column("text", lambda: ["a", "b"]), "update": Column("integer"), "value": Column("number")}
    there["seed"] = Column("integer")
    check(Written(value="value", where={"run": ["a"], "update": ["last"]}), there)
    check(Written(value="value", where={"update": [17]}), there)  # whether it is there only rows can say
    with pytest.raises(SelectionError, match="no value 'c'"):
        check(Written(value="value", where={"run": ["c"]}), there)
    with pytest.raises(SelectionError, match=r"found 'x' \(str\); allowed: integer"):
        check(Written(value="value", where={"update": ["x"]}), there)


def test_published_values_have_one_row():
    frame = table(runs=["a"], sizes=[1], updates=[0], seeds=[0]).drop(columns="seed")
    [group] = chosen(frame, unit="published")
    assert values(group) == [value("a", 1, 0, 0)]
    assert "still varying: seed (0, 1, 2)" in refused(table(["a"], [1], [0]), unit="published")


def test_what_is_deterministic_may_not_vary_by_seed():
    frame = table(runs=["a"], sizes=[1], updates=[0])
    assert "still varying: seed" in refused(frame, unit="deterministic")
    [group] = chosen(frame.assign(value=2.1), unit="deterministic")
    assert values(group) == [2.1]


@pytest.mark.parametrize(
    ("share", "cases", "said"),
    [
        (1.2, 10, "value: found 1.2; allowed: 0 to 1"),
        (0.55, 10, "count: found a share of 0.55 of 10 cases"),
        (0.5, 0, "count: found 0; allowed: a whole number"),
        (0.5, 2.5, "count: found 2.5"),
        (0.5, np.nan, "count: found nan"),
    ],
)
def test_a_share_is_a_number_of_cases(share, cases, said):
    frame = table(["a"], [1], [0]).assign(value=share, cases=cases)
    assert said in refused(frame, count="cases")


def test_a_share_may_be_given_in_three_digits():
    [group] = chosen(table(["a"], [1], [0]).assign(value=0.333, cases=3), count="cases")
    assert values(group) == [0.333] * 3


def test_values_lie_within_their_bounds():
    assert "found 1000; allowed: 0 to 100" in refused(table(["a"], [1], [0]).assign(value=1000), within=[0.0, 100.0])


def test_seeds_that_are_numbers_come_in_their_order_and_names_as_they_stand():
    frame = table(["a"], [1], [0], seeds=[0, 1, 2]).assign(seed=[10, 9, 100])
    assert chosen(frame)[0].units == [9, 10, 100]
    assert chosen(frame.assign(seed=["x", "m", "a"]))[0].units == ["x", "m", "a"]


def test_a_seed_that_others_have_is_known_to_be_missing():
    frame = table(sizes=[1], updates=[0])
    frame = frame[(frame["run"] != "b") | (frame["seed"] != 1)]
    assert [group.order for group in chosen(frame, each="run")] == [[0, 1, 2]] * 3
    late = frame[(frame["run"] != "c") | (frame["seed"] > 0)]
    assert [group.order for group in chosen(late, each="run")] == [[0, 1, 2], [0, 1, 2], [1, 2]]


@given(
    st.lists(st.sampled_from(RUNS), min_size=1, max_size=2, unique=True),
    st.sampled_from(SIZES),
    st.sampled_from(["first", "last", 50]),
    st.sampled_from([None, "a", "b", "c"]),
    st.randoms(),
)
def test_selections_are_those_of_a_plain_loop(runs, size, update, base, random):
    frame = table()
    rows = list(range(len(frame)))
    random.shuffle(rows)
    wanted = {"first": 0, "last": 100, 50: 50}[update]
    pair = {"less": {"run": base}} if base else {}
    expected = {
        run: [(seed, value(run, size, wanted, seed), base and value(base, size, wanted, seed)) for seed in SEEDS]
        for run in runs
        if run != base
    }
    test = {"where": {"run": runs, "size": size, "update": update}, "each": "run", **pair}
    if not expected:
        assert "the rows themselves" in refused(frame.iloc[rows], **test)
        return
    selected = {
        group.name: list(
            zip(group.units, values(group), [None] * 3 if group.base is None else group.base["value"], strict=True)
        )
        for group in chosen(frame.iloc[rows], **test)
    }
    assert selected == expected
