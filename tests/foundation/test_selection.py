"""What a metric or figure asks for by name is there, or is named in an error: nothing is left out in silence."""

import numpy as np
import pytest

from agentomy import kinds
from agentomy.lenses.paths import measure
from agentomy.lenses.subnetworks.measure import by_run
from agentomy.papers.twm.measure import scores
from agentomy.selection import select
from agentomy.tables import Table

ROWS = [("a", 0, "x", 1.0), ("a", 1, "y", 2.0), ("b", 0, "x", 3.0), ("c", 2, "x", 4.0)]


def comparison(rows=ROWS) -> Table:
    names = ("run", "seed", "quantity", "value")
    columns = dict(zip(names, map(np.array, zip(*rows, strict=True)), strict=True))
    return Table(kinds.common.COMPARISON, rows=kinds.common.COMPARISON.table(**columns))


def test_all_that_is_there_is_chosen():
    assert select(comparison(), run=["b", "a"], quantity="x").values("value").tolist() == [1, 3]
    assert len(select(comparison())) == 4


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"run": "d"}, "no run 'd'; there are: a, b, c"),
        ({"run": ["a", "d"]}, "no run 'd'; there are: a, b, c"),
        ({"run": "b", "quantity": "y"}, "no quantity 'y' with run 'b'; there are: x"),
        ({"run": ["a", "b"], "quantity": "y"}, "no run 'b' with quantity 'y'; there are: a"),
        ({"quantity": "y", "run": ["a", "b"]}, "no run 'b' with quantity 'y'; there are: a"),
        ({"seed": [0, 3]}, "no seed '3'; there are: 0, 1, 2"),
    ],
)
def test_a_value_that_is_not_there_is_named_beside_those_that_are(wanted, said):
    with pytest.raises(ValueError, match=f"^comparison: {said}$"):
        select(comparison(), **wanted)


def test_of_many_values_a_few_are_named():
    table = comparison([("a", seed, "x", 0.0) for seed in range(200)])
    with pytest.raises(ValueError, match="no seed '999'; there are: 0, 1, .*, 19 and 180 more$"):
        select(table, seed=999)


def test_of_a_table_without_rows_nothing_can_be_chosen():
    table = Table(kinds.common.COMPARISON, rows=comparison().arrow().slice(0, 0))
    with pytest.raises(ValueError, match="no run 'a'; there are: no rows"):
        select(table, run="a")


def spread():
    names = {"method": ["m", "m"], "game": ["g", "g"], "seed": [0, 1], "score": [1.0, 2.0], "hns": [0.1, 0.2]}
    table = kinds.twm.NORMALISED.table(**{name: np.array(values) for name, values in names.items()}, runs=1)
    return scores.spread(Table(kinds.twm.NORMALISED, rows=table), methods=["m", "missing"])


def impacts():
    arrays = {"impact": np.ones((3, 2), np.float32), "active": np.ones((3, 2), np.float32)}
    table = kinds.subnetworks.IMPACTS.table(
        run="a", seed=0, condition="learned", sample=np.arange(3), missed=1.0, size=1.0, **arrays
    )
    return [*by_run(Table(kinds.subnetworks.IMPACTS, rows=table), ["missing"])]


def gains():
    table = kinds.paths.SCORES.table(run=np.array(["a", "b"]), seed=np.array([0, 1]), measure="auc", value=1.0)
    return measure.gains(Table(kinds.paths.SCORES, rows=table), pairs={"a": "b"})


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        (spread, "no method 'missing'; there are: m"),
        (impacts, "no run 'missing'; there are: a"),
        (gains, "'a' and 'b' have no seed in common"),
    ],
)
def test_a_metric_that_is_asked_for_what_is_not_there_says_so(metric, said):
    with pytest.raises(ValueError, match=said):
        metric()
