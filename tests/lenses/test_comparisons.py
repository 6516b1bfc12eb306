"""What runs learned, and what they have more of than others, in closed form."""

import numpy as np
import pyarrow as pa
import pytest

from agentomy import kinds
from agentomy.lenses import comparisons
from agentomy.tables import Table


def rollouts(*rows):
    """From (run, seed, update, directions, returns of the episodes)."""
    pieces = [
        kinds.paths.ROLLOUTS.table(
            run=run,
            seed=seed,
            update=update,
            period="whole",
            directions=directions,
            episode=np.arange(len(returns)),
            length=7,
            **{"return": np.array(returns, float)},
        )
        for run, seed, update, directions, returns in rows
    ]
    return Table(kinds.paths.ROLLOUTS, rows=pa.concat_tables(pieces))


def comparison(*rows):
    """From (run, seed, quantity, value)."""
    run, seed, quantity, value = (np.array(column) for column in zip(*rows, strict=True))
    made = kinds.common.COMPARISON.table(run=run, seed=seed, quantity=quantity, value=value.astype(float))
    return Table(kinds.common.COMPARISON, rows=made)


def rows(found):
    return [tuple(row.values()) for row in found.to_pylist()]


def test_what_was_learned_is_the_best_average_or_that_of_the_later_half_above_the_untrained_networks():
    found = comparisons.of_learning(
        rollouts(
            ("r", 0, 10, -1, [8, 10]),  # the order of rows says nothing
            ("r", 0, 0, -1, [1, 3]),
            ("r", 0, 20, -1, [2, 0]),
            ("r", 1, 0, -1, [5, 5]),
            ("r", 1, 10, -1, [1, 1]),
            ("r", 0, 20, 3, [99, 99]),  # rebuilt, not learned
            ("other", 0, 0, -1, [-2, -2]),
            ("other", 0, 10, -1, [-1, -1]),
        )
    )
    learned, late = ([row for row in rows(found) if row[2] == name] for name in ("learned", "late"))
    assert learned == [("r", 0, "learned", 7), ("r", 1, "learned", 0), ("other", 0, "learned", 1)]
    assert late == [("r", 0, "late", 3), ("r", 1, "late", -4), ("other", 0, "late", 1)]


def test_differences_are_taken_seed_by_seed_and_named_by_both_runs():
    values = comparison(
        ("a", 1, "gini", 0.75),
        ("a", 0, "gini", 0.5),
        ("b", 0, "gini", 0.25),
        ("b", 1, "gini", 0.0),
        ("a", 0, "dead", 9),
        ("b", 0, "dead", 9),
    )
    found = comparisons.differences(values, pairs={"a": "b"}, quantities=["gini"])
    assert rows(found) == [("a - b", 0, "gini", 0.25), ("a - b", 1, "gini", 0.75)]


def test_a_run_can_be_compared_with_several_and_in_several_quantities():
    values = comparison(*((run, 0, name, n) for n, run in enumerate("abc") for name in ("x", "y")))
    found = comparisons.differences(values, pairs={"c": ["a", "b"], "a": "b"}, quantities=["x", "y"])
    assert {(run, name): value for run, _, name, value in rows(found)} == {
        ("c - a", "x"): 2,
        ("c - a", "y"): 2,
        ("c - b", "x"): 1,
        ("c - b", "y"): 1,
        ("a - b", "x"): -1,
        ("a - b", "y"): -1,
    }


def test_seeds_that_one_run_lacks_are_left_out():
    values = comparison(("a", 0, "x", 1), ("a", 1, "x", 5), ("b", 1, "x", 2), ("b", 2, "x", 7))
    assert rows(comparisons.differences(values, pairs={"a": "b"}, quantities=["x"])) == [("a - b", 1, "x", 3)]


def test_a_difference_from_what_is_not_known_is_not_known():
    values = comparison(("a", 0, "x", np.nan), ("b", 0, "x", 2))
    ((*who, value),) = rows(comparisons.differences(values, pairs={"a": "b"}, quantities=["x"]))
    assert (who, np.isnan(value)) == (["a - b", 0, "x"], True)


@pytest.mark.parametrize(("pairs", "missing"), [({"a": "c"}, "c"), ({"c": "a"}, "c"), ({"a": "b"}, "b")])
def test_what_is_missing_is_said_in_one_line(pairs, missing):
    values = comparison(("a", 0, "x", 1), ("b", 0, "y", 1))
    with pytest.raises(ValueError, match=f"^comparison: run '{missing}' has no 'x'$"):
        comparisons.differences(values, pairs=pairs, quantities=["x"])


def test_what_networks_have_more_of_than_their_untrained_twins_keeps_its_name():
    values = comparison(
        ("a", 0, "x", 5),
        ("a", 0, "x untrained", 2),
        ("a", 1, "x", 1),
        ("a", 1, "y, all, trained", 0.75),
        ("a", 1, "y, all, untrained", 0.5),
        ("b", 0, "x untrained", 9),  # of no trained network
        ("b", 0, "z trained", 9),  # beside no untrained one
        ("b", 0, "w trained deep", 4),
        ("b", 0, "w untrained deep", 1),
        ("b", 0, "loss learned", 3),
        ("b", 0, "loss random", 7),
    )
    found = comparisons.beside_control(values)
    assert rows(found) == [("a", 0, "x", 3), ("a", 1, "y, all, trained", 0.25), ("b", 0, "w trained deep", 3)]
    assert rows(comparisons.beside_control(values, control="random")) == [("b", 0, "loss learned", -4)]


def test_a_comparison_without_controls_is_refused():
    with pytest.raises(ValueError, match="no quantity with 'random'"):
        comparisons.beside_control(comparison(("a", 0, "x", 5), ("a", 0, "x untrained", 2)), control="random")
