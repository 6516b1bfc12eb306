"""What a test says, checked against the columns of its table: what can't occur is refused, with what is there.

The table itself isn't needed. A plan that knows types, and the values of texts, refuses before anything is made.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from agentomy.judge.written import NOT_SAMPLED, Cell, Test
from agentomy.mistakes import shown, unknown

ENDS = ("first", "last")  # of a column of numbers
ALLOWED = {"text": (str,), "flag": (bool,), "integer": (int,), "number": (int, float)}
MOST = 20  # values that are named in an error


class SelectionError(Exception):
    """A mistake in a test, at one of its keys."""

    def __init__(self, key: str, problem: str):
        super().__init__(f"{key}: {problem}")
        self.key, self.problem = key, problem

    def below(self, place: str) -> "SelectionError":
        """The same error, with its key below `place`."""
        return type(self)(f"{place}.{self.key}", self.problem)


class NoRows(SelectionError):
    """A test asks for rows that its table could have, but doesn't."""


@dataclass(frozen=True)
class Column:
    """A column's type (text, flag, integer, number, or other) and, if they are known, all values that it can have."""

    type: str
    known: Sequence[Any] | Callable[[], Sequence[Any]] | None = None  # or what finds them when they are asked for

    @cached_property
    def values(self) -> Sequence[Any] | None:
        return self.known() if callable(self.known) else self.known


def is_end(type_: str, cells: list[Cell]) -> bool:
    """Whether cells say `first` or `last` of a column of numbers."""
    return len(cells) == 1 and cells[0] in ENDS and type_ in ("integer", "number")


def unit_column(test: Test, seed: str) -> str | None:
    """The column of the units, if something is sampled."""
    if test.unit in NOT_SAMPLED:
        return None
    return seed if test.unit == "seed" else test.unit


def check(test: Test, there: Mapping[str, Column], seed: str = "seed") -> None:
    """Refuse columns, types and values that a table with these columns can't have."""
    numbers = {"value": test.value, "count": test.count}
    numbers |= {f"unit: given: {name}": name for name in ("low", "high") if test.unit == "given"}
    for key, name in numbers.items():
        if name and _column(there, name, key).type not in ("flag", "integer", "number"):
            raise SelectionError(key, f"found the column '{name}' of type {there[name].type}; allowed: numbers")
    unit = unit_column(test, seed)
    if unit:
        _column(there, unit, "unit")
    for key in ("each", "mean", "median"):
        for name in getattr(test, key) or ():
            if name == unit:
                raise SelectionError(key, f"found '{name}', which is the unit; allowed: other columns")
            _column(there, name, key)
    for name, cells in test.where.items():
        _check_cells(there, name, cells, f"where.{name}")
    for name, cell in test.pair.items():
        _check_cells(there, name, [cell], f"{'less' if test.less else 'over'}.{name}")


def _column(there: Mapping[str, Column], name: str, key: str) -> Column:
    if name not in there:
        raise SelectionError(key, unknown("column", name, there))
    return there[name]


def _check_cells(there: Mapping[str, Column], name: str, cells: list[Cell], key: str) -> None:
    column = _column(there, name, key)
    if column.type == "other":
        raise SelectionError(key, "found a column of lists or of other things; allowed: texts, numbers, flags")
    if is_end(column.type, cells):
        return
    for cell in cells:
        if type(cell) not in ALLOWED[column.type]:
            ends = "" if column.type in ("text", "flag") else ", first or last"
            raise SelectionError(key, f"found {shown(cell)}; allowed: {column.type}{ends}")
        if column.values is not None and cell not in column.values:
            raise NoRows(key, no_value(cell, column.values))


def no_value(cell: Cell, values: Sequence[Any]) -> str:
    some = [*map(str, values[:MOST]), *(["…"] if len(values) > MOST else [])]
    return unknown("value", cell, some)
