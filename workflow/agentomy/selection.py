"""Rows of a table by values that have to be there: what was asked for is never left out without a word."""

from typing import Any

import pyarrow.compute as pc

from agentomy.tables import Table

SHOWN = 20  # values that an error names


def select(table: Table, **wanted: Any) -> Table:
    """The rows with these values, each value a column's or a list of them.

    If any of the values has no row with the others, the error says what was asked and what there is.
    """
    rows, conditions = table, []
    for name, value in wanted.items():
        _refuse_missing(rows, rows.where(**{name: value}), name, value, conditions)
        rows = rows.where(**{name: value})
        conditions.append(f"{name} '{_text(value)}'")
    for name, value in wanted.items():  # of a list, each with all of the others
        others = {other: values for other, values in wanted.items() if other != name}
        conditions = [f"{other} '{_text(values)}'" for other, values in others.items()]
        _refuse_missing(table.where(**others), rows, name, value, conditions)
    return rows


def _refuse_missing(table: Table, rows: Table, name: str, value: Any, conditions: list[str]) -> None:
    present = set(_unique(rows, name))
    asked = value if isinstance(value, (list, tuple)) else [value]
    missing = [wish for wish in asked if wish not in present]
    if not missing:
        return
    among = f" with {', '.join(conditions)}" if conditions else ""
    known = _unique(table, name)
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    known = ", ".join(map(str, known[:SHOWN])) or "no rows"
    raise ValueError(f"{table.kind.name}: no {name} '{_text(missing)}'{among}; there are: {known}{more}")


def _unique(table: Table, name: str) -> list:
    """The values of a column, in order of appearance."""
    return pc.unique(table.arrow([name])[name]).to_pylist()


def _text(value: Any) -> str:
    return " or ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
