"""Rows of a table by values that have to be there: what was asked for is never left out without a word."""

from typing import Any

import pyarrow.compute as pc

from agentomy.tables import Table

SHOWN = 20  # values that an error names


def select(table: Table, **wanted: Any) -> Table:
    """The rows with these values, each value a column's or a list of them.

    If any of the values has no row with the others, the error says what was asked and what there is.
    """
    rows, asked = table, []
    for name, value in wanted.items():
        _refuse_missing(rows, rows.where(**{name: value}), name, value, asked)
        rows = rows.where(**{name: value})
        asked.append(f"{name} '{_text(value)}'")
    for name, value in wanted.items():  # of a list, each with all of the others
        others = {other: each for other, each in wanted.items() if other != name}
        said = [f"{other} '{_text(each)}'" for other, each in others.items()]
        _refuse_missing(table.where(**others), rows, name, value, said)
    return rows


def _refuse_missing(table: Table, found: Table, name: str, value: Any, asked: list[str]) -> None:
    there = set(_unique(found, name))
    missing = [each for each in (value if isinstance(value, (list, tuple)) else [value]) if each not in there]
    if not missing:
        return
    among = f" with {', '.join(asked)}" if asked else ""
    known = _unique(table, name)
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    known = ", ".join(map(str, known[:SHOWN])) or "no rows"
    raise ValueError(f"{table.kind.name}: no {name} '{_text(missing)}'{among}; there are: {known}{more}")


def _unique(table: Table, name: str) -> list:
    """The values of a column, in order of appearance."""
    return pc.unique(table.arrow([name])[name]).to_pylist()


def _text(value: Any) -> str:
    return " or ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
