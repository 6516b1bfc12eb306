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
        """The same with the seeds below a number alone; all of it if there is none of these."""
        rows, base = (None if side is None else side[side.index < seeds] for side in (self.rows, self.base))
        if rows.empty:
            return self
        return Group(self.name, self.key, rows, base, [seed for seed in self.order if seed < seeds])


def columns(frame: pd.DataFrame) -> dict[str, Column]:
    """What is known of the columns of a table that is there; values are looked for when they are asked for."""
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
    unit, each = unit_column(test, seed), test.each or []
    if unit and frame[unit].isna().any():
        raise SelectionError("unit", f"found an empty cell in the column '{unit}'; allowed: values")
    frame = frame.reset_index(drop=True)
    own, base = _matching(frame, test.where, "where"), None
    if test.pair:
        other = {**test.where, **{name: [cell] for name, cell in test.pair.items()}}
        base = _matching(frame, other, "less" if test.less else "over")
        loose = {name: other[name] for name in test.pair if name not in test.where}
        if not all(is_end(type_of(frame[name]), cells) for name, cells in loose.items()):
            own = own.drop(index=own.index.intersection(base.index))  # `less: {run: base}` is of all other runs
        base = _ended(test, base, other, [name for name in each if name not in test.pair], unit)
    own = _ended(test, own, test.where, each, unit)
    if base is not None:
        own = own.drop(index=own.index.intersection(base.index))  # nothing is compared with itself
        if own.empty:
            raise SelectionError("less" if test.less else "over", "found the rows themselves; allowed: other rows")
    units = _ordered(frame[unit]) if unit else []
    return [_group(test, key, rows, base, unit, units) for key, rows in _grouped(own, each)]


def _matching(frame: pd.DataFrame, wanted: dict[str, list[Cell]], side: str) -> pd.DataFrame:
    """The rows that have these values, `first` and `last` left aside; each value has to be among them."""
    fixed = {name: cells for name, cells in wanted.items() if not is_end(type_of(frame[name]), cells)}
    masks = {name: frame[name].isin(cells) for name, cells in fixed.items()}
    found = frame[np.logical_and.reduce([np.ones(len(frame), dtype=bool), *masks.values()])]
    for name, cells in fixed.items():
        left = set(found[name].unique())
        for cell in cells:
            if cell not in left:
                others = [mask for column, mask in masks.items() if column != name]
                beside = frame[np.logical_and.reduce([np.ones(len(frame), dtype=bool), *others])]
                rest = no_value(cell, beside[name].dropna().unique().tolist())
                raise NoRows(f"{side}.{name}", f"beside what else is asked for, {rest}")
    if found.empty:
        raise NoRows(side, "found no row; allowed: one or more")
    return found


def _ended(
    test: Test, rows: pd.DataFrame, wanted: dict[str, list[Cell]], each: list[str], unit: str | None
) -> pd.DataFrame:
    """Of every curve the first or the last row, where that is asked for.

    A curve is all rows of a unit and group that have the same texts and flags, and the same of those whole numbers that
    vary where the column itself doesn't. So two runs are two curves, and the longer one doesn't hide the other.
    """
    for name, cells in wanted.items():
        if not is_end(type_of(rows[name]), cells):
            continue
        types = {column: type_of(rows[column]) for column in rows.columns if column not in (name, test.value)}
        curve = [unit] if unit else []
        curve += [*each, *(test.mean or test.median or [])]
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
    """Numbers as such, all else as it comes."""
    found = units.unique().tolist()
    return found if type_of(units) == "text" else sorted(found)


def _grouped(rows: pd.DataFrame, each: list[str]) -> Iterator[tuple[dict[str, Cell], pd.DataFrame]]:
    if not each:
        yield {}, rows
        return
    for key, group in rows.groupby(each, sort=False, dropna=False):
        yield dict(zip(each, key, strict=True)), group


def _group(
    test: Test, key: dict[str, Cell], rows: pd.DataFrame, base: pd.DataFrame | None, unit: str | None, units: list
) -> Group:
    name = ", ".join(map(str, key.values()))
    own, other = _reduced(test, rows, unit, name), None
    if base is not None:
        for column, value in key.items():
            base = base if column in test.pair else base[base[column] == value]
        side = "less" if test.less else "over"
        if base.empty:
            raise SelectionError(side, f"found nothing to compare {name} with; allowed: the same groups on both sides")
        other = _reduced(test, base, unit, name)
        both = [each for each in own.index if each in other.index]
        if not both:
            few = [", ".join(map(str, each.index[:3])) for each in (own, other)]
            raise SelectionError(
                side, f"found {unit} {few[0]} … on one side and {few[1]} … on the other; allowed: pairs, of the same"
            )
        own, other = own.loc[both], other.loc[both]
    if unit is None:
        return Group(name, key, own, other, [])
    ordered = [each for each in units if each in own.index]
    own, other = own.loc[ordered], None if other is None else other.loc[ordered]
    return Group(name, key, own, other, units[units.index(ordered[0]) :])


def _reduced(test: Test, rows: pd.DataFrame, unit: str | None, name: str) -> pd.DataFrame:
    """One row for each unit, indexed by it."""
    averaged = test.mean or test.median or []
    _refuse_several(test, rows, [*([unit] if unit else []), *averaged], name)
    found = pd.DataFrame({"value": rows[test.value].astype(float)})
    _refuse_outside(test, found["value"])
    if test.count:
        found["count"] = rows[test.count].astype(float)
        _refuse_uncounted(found)
    for end in ("low", "high") if test.unit == "given" else ():
        found[end] = rows[end].astype(float)
    found.index = pd.Index(rows[unit] if unit else np.zeros(len(rows), dtype=int))
    if averaged:
        by_unit = found.groupby(level=0, sort=False)["value"]
        found = (by_unit.mean(skipna=False) if test.mean else by_unit.median(skipna=False)).to_frame()
    if test.unit == "deterministic":
        found = found.iloc[:1]
    return found


def _refuse_several(test: Test, rows: pd.DataFrame, keys: list[str], name: str) -> None:
    """An error if several rows are left where one should be."""
    if test.unit == "deterministic" and rows[test.value].nunique(dropna=False) == 1:
        return
    several = rows[rows.duplicated(keys, keep=False)] if keys else rows
    if len(several) < 2:
        return
    found = several.iloc[0][keys] if keys else pd.Series(dtype=object)
    for key, value in found.items():
        several = several[several[key] == value]
    measured = {test.value, test.count, *(("low", "high") if test.unit == "given" else ())}
    others = [column for column in rows.columns if column not in measured and type_of(rows[column]) != "other"]
    vary = [column for column in others if several[column].nunique(dropna=False) > 1]
    labels = [column for column in vary if type_of(rows[column]) != "number"]
    of = ", ".join([*([name] if name else []), *(f"{key} {value}" for key, value in found.items())])
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


def _refuse_uncounted(found: pd.DataFrame) -> None:
    """An error where a share can't be one of so many cases."""
    for value, of in zip(found["value"], found["count"], strict=True):
        if not (of >= 1 and of == round(of)):
            raise SelectionError("count", f"found {of:.12g}; allowed: a whole number of cases, 1 or more")
        if np.isfinite(value) and abs(value - round(value * of) / of) > CLOSE:
            raise SelectionError(
                "count", f"found a share of {value:.12g} of {of:.12g} cases; allowed: a number of them"
            )
