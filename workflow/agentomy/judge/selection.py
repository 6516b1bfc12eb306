"""The rows that a test is about: one for each unit and group, else it is an error.

What is left over is never averaged without a word: the error names the columns that still vary.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from agentomy.judge.columns import Column, NoRows, SelectionError, check, is_end, no_value, unit_column
from agentomy.judge.written import Cell, Test

CLOSE = 6e-4  # how far a share may be off any count of its cases: files often give three digits


@dataclass(frozen=True)
class Group:
    """What a test is judged on.

    `rows` have a column value (also count, or low and high, where the test asks for them) and are indexed by unit, in
    order; `base` are the rows that they are compared with, of the same units. `order` are the units that the table has,
    from the first of these on: one of them that isn't here is missing.
    """

    name: str
    key: dict[str, Cell]  # column of `each` → value
    rows: pd.DataFrame
    base: pd.DataFrame | None
    order: list

    @property
    def units(self) -> list:
        return self.rows.index.tolist()

    def below(self, seeds: int) -> "Group":
        """The same group with only the seeds below a number; the whole group if it has none of these."""
        rows, base = (None if side is None else side[side.index < seeds] for side in (self.rows, self.base))
        if rows.empty:
            return self
        return Group(self.name, self.key, rows, base, [seed for seed in self.order if seed < seeds])


def columns(frame: pd.DataFrame) -> dict[str, Column]:
    """The columns of an existing table; the values of a column are looked up only when they are asked for."""
    return {
        name: Column(type_of(frame[name]), lambda column=frame[name]: column.dropna().unique().tolist())
        for name in frame.columns
    }


def type_of(column: pd.Series) -> str:
    if pd.api.types.is_bool_dtype(column):
        return "flag"
    if pd.api.types.is_integer_dtype(column):
        return "integer"
    if pd.api.types.is_float_dtype(column):
        return "number"
    return "text" if pd.api.types.infer_dtype(column, skipna=True) in ("string", "empty") else "other"


def select(test: Test, frame: pd.DataFrame, seed: str = "seed") -> list[Group]:
    """The groups of a test in a table, in the order of its rows."""
    check(test, columns(frame), seed)
    unit, grouped_by = unit_column(test, seed), test.each or []
    if unit and frame[unit].isna().any():
        raise SelectionError("unit", f"found an empty cell in the column '{unit}'; allowed: values")
    frame = frame.reset_index(drop=True)
    rows, base = _matching(frame, test.where, "where"), None
    if test.pair:
        other = {**test.where, **{name: [cell] for name, cell in test.pair.items()}}
        base = _matching(frame, other, "less" if test.less else "over")
        loose = {name: other[name] for name in test.pair if name not in test.where}
        if not all(is_end(type_of(frame[name]), cells) for name, cells in loose.items()):
            rows = rows.drop(index=rows.index.intersection(base.index))  # `less: {run: base}` is of all other runs
        base = _ended(test, base, other, [name for name in grouped_by if name not in test.pair], unit)
    rows = _ended(test, rows, test.where, grouped_by, unit)
    if base is not None:
        rows = rows.drop(index=rows.index.intersection(base.index))  # nothing is compared with itself
        if rows.empty:
            raise SelectionError("less" if test.less else "over", "found the rows themselves; allowed: other rows")
    units = _ordered(frame[unit]) if unit else []
    return [_group(test, key, group, base, unit, units) for key, group in _grouped(rows, grouped_by)]


def _matching(frame: pd.DataFrame, wanted: dict[str, list[Cell]], side: str) -> pd.DataFrame:
    """The rows that have these values, `first` and `last` left aside; each value has to be among them."""
    fixed = {name: cells for name, cells in wanted.items() if not is_end(type_of(frame[name]), cells)}
    masks = {name: frame[name].isin(cells) for name, cells in fixed.items()}
    rows = frame[np.logical_and.reduce([np.ones(len(frame), dtype=bool), *masks.values()])]
    for name, cells in fixed.items():
        left = set(rows[name].unique())
        for cell in cells:
            if cell not in left:
                others = [mask for column, mask in masks.items() if column != name]
                beside = frame[np.logical_and.reduce([np.ones(len(frame), dtype=bool), *others])]
                rest = no_value(cell, beside[name].dropna().unique().tolist())
                raise NoRows(f"{side}.{name}", f"beside what else is asked for, {rest}")
    if rows.empty:
        raise NoRows(side, "found no row; allowed: one or more")
    return rows


def _ended(
    test: Test, rows: pd.DataFrame, wanted: dict[str, list[Cell]], grouped_by: list[str], unit: str | None
) -> pd.DataFrame:
    """The first or the last row of every curve, where the test asks for it.

    A curve is all rows of a unit and group that have the same texts and flags, and the same of those whole numbers that
    vary where the column itself doesn't. So two runs are two curves, and the longer one doesn't hide the other.
    """
    for name, cells in wanted.items():
        if not is_end(type_of(rows[name]), cells):
            continue
        types = {column: type_of(rows[column]) for column in rows.columns if column not in (name, test.value)}
        curve = [unit] if unit else []
        curve += [*grouped_by, *(test.mean or test.median or [])]
        curve += [column for column, type_ in types.items() if type_ in ("text", "flag")]
        curve = list(dict.fromkeys(curve))
        at_once = rows.groupby([*curve, name], dropna=False)
        curve += [
            column
            for column, type_ in types.items()
            if type_ == "integer" and column not in curve and (at_once[column].nunique() > 1).any()
        ]
        numbers = rows.groupby(curve, dropna=False)[name] if curve else rows[name]
        end = "max" if cells == ["last"] else "min"
        rows = rows[rows[name] == (numbers.transform(end) if curve else getattr(numbers, end)())]
    return rows


def _ordered(units: pd.Series) -> list:
    """The distinct units: numbers in ascending order, texts in order of appearance."""
    values = units.unique().tolist()
    return values if type_of(units) == "text" else sorted(values)


def _grouped(rows: pd.DataFrame, grouped_by: list[str]) -> Iterator[tuple[dict[str, Cell], pd.DataFrame]]:
    if not grouped_by:
        yield {}, rows
        return
    for key, group in rows.groupby(grouped_by, sort=False, dropna=False):
        yield dict(zip(grouped_by, key, strict=True)), group


def _group(
    test: Test, key: dict[str, Cell], rows: pd.DataFrame, base: pd.DataFrame | None, unit: str | None, units: list
) -> Group:
    name = ", ".join(map(str, key.values()))
    reduced, reduced_base = _reduced(test, rows, unit, name), None
    if base is not None:
        for column, value in key.items():
            base = base if column in test.pair else base[base[column] == value]
        side = "less" if test.less else "over"
        if base.empty:
            raise SelectionError(side, f"found nothing to compare {name} with; allowed: the same groups on both sides")
        reduced_base = _reduced(test, base, unit, name)
        both = [label for label in reduced.index if label in reduced_base.index]
        if not both:
            few = [", ".join(map(str, side.index[:3])) for side in (reduced, reduced_base)]
            raise SelectionError(
                side, f"found {unit} {few[0]} … on one side and {few[1]} … on the other; allowed: pairs, of the same"
            )
        reduced, reduced_base = reduced.loc[both], reduced_base.loc[both]
    if unit is None:
        return Group(name, key, reduced, reduced_base, [])
    ordered = [label for label in units if label in reduced.index]
    reduced, reduced_base = reduced.loc[ordered], None if reduced_base is None else reduced_base.loc[ordered]
    return Group(name, key, reduced, reduced_base, units[units.index(ordered[0]) :])


def _reduced(test: Test, rows: pd.DataFrame, unit: str | None, name: str) -> pd.DataFrame:
    """One row for each unit, indexed by it."""
    averaged = test.mean or test.median or []
    _refuse_several(test, rows, [*([unit] if unit else []), *averaged], name)
    reduced = pd.DataFrame({"value": rows[test.value].astype(float)})
    _refuse_outside(test, reduced["value"])
    if test.count:
        reduced["count"] = rows[test.count].astype(float)
        _refuse_uncounted(reduced)
    for end in ("low", "high") if test.unit == "given" else ():
        reduced[end] = rows[end].astype(float)
    reduced.index = pd.Index(rows[unit] if unit else np.zeros(len(rows), dtype=int))
    if averaged:
        by_unit = reduced.groupby(level=0, sort=False)["value"]
        reduced = (by_unit.mean(skipna=False) if test.mean else by_unit.median(skipna=False)).to_frame()
    if test.unit == "deterministic":
        reduced = reduced.iloc[:1]
    return reduced


def _refuse_several(test: Test, rows: pd.DataFrame, keys: list[str], name: str) -> None:
    """Refuse several rows where there should be one."""
    if test.unit == "deterministic" and rows[test.value].nunique(dropna=False) == 1:
        return
    several = rows[rows.duplicated(keys, keep=False)] if keys else rows
    if len(several) < 2:
        return
    first = several.iloc[0][keys] if keys else pd.Series(dtype=object)
    for key, value in first.items():
        several = several[several[key] == value]
    measured = {test.value, test.count, *(("low", "high") if test.unit == "given" else ())}
    others = [column for column in rows.columns if column not in measured and type_of(rows[column]) != "other"]
    vary = [column for column in others if several[column].nunique(dropna=False) > 1]
    labels = [column for column in vary if type_of(rows[column]) != "number"]
    of = ", ".join([*([name] if name else []), *(f"{key} {value}" for key, value in first.items())])
    kinds = [f"{column} ({_some(several[column])})" for column in labels or vary]
    rest = f"still varying: {', '.join(kinds)}" if kinds else "they are the same in every column"
    raise SelectionError("where", f"found {len(several)} rows{f' of {of}' if of else ''}; allowed: one; {rest}")


def _some(column: pd.Series) -> str:
    values = list(map(str, column.unique()))
    return ", ".join([*values[:3], *(["…"] if len(values) > 3 else [])])


def _refuse_outside(test: Test, values: pd.Series) -> None:
    low, high = (0, 1) if test.count else test.within or (-np.inf, np.inf)
    outside = values[(values < low) | (values > high)]
    if len(outside):
        raise SelectionError("value", f"found {outside.iloc[0]:.12g}; allowed: {low:.12g} to {high:.12g}")


def _refuse_uncounted(shares: pd.DataFrame) -> None:
    """Refuse a share that no whole number of so many cases can give."""
    for value, of in zip(shares["value"], shares["count"], strict=True):
        if not (of >= 1 and of == round(of)):
            raise SelectionError("count", f"found {of:.12g}; allowed: a whole number of cases, 1 or more")
        if np.isfinite(value) and abs(value - round(value * of) / of) > CLOSE:
            raise SelectionError(
                "count", f"found a share of {value:.12g} of {of:.12g} cases; allowed: a number of them"
            )
