"""`agentomy judge TABLE … CLAIMS.yaml`: verdicts over anybody's tables of seeds, CSV or Parquet.

A table has a column for the seed, columns to select by, and columns of numbers; it is named by its file, without the
ending. The exit status is 0 if all claims hold, 1 if one fails, 2 if something is wrong with what was given, 3 if none
fails and one is undecided.
"""

import argparse
import shutil
import sys
import textwrap
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
from tabulate import tabulate

from agentomy.judge.columns import SelectionError
from agentomy.judge.looks import planned
from agentomy.judge.verdicts import FAILS, UNDECIDED, Result, judge
from agentomy.judge.written import Written
from agentomy.pipeline.plan.mistakes import ConfigError, unknown, validated
from agentomy.pipeline.plan.yaml_files import read_yaml
from agentomy.tables import Column, Kind, TableError, reading, write

ALL_HOLD, ONE_FAILS, WRONG, ONE_IS_OPEN = 0, 1, 2, 3
EMPTY = ["", "nan", "NaN"]  # cells of a CSV file without a number
VERDICTS = Kind(
    "verdicts",
    "Verdicts on claims: a row for each claim, then one for each of its tests and groups.",
    (
        Column("claim", "text", "name of the claim"),
        Column("says", "text", "the claim"),
        Column("test", "text", "name of the test; empty for the verdict of the whole claim"),
        Column("group", "text", "group that the test was made on; of a whole claim the deciding test and group"),
        Column("unit", "text", "what is sampled, or given, published, deterministic"),
        Column("value", "number", "mean over units", finite=False),
        Column("low", "number", "lower end of the interval, of the level that decides", finite=False),
        Column("high", "number", "upper end of the interval, of the level that decides", finite=False),
        Column("n", "integer", "units that were judged"),
        Column("there", "integer", "units that there are"),
        Column("look", "integer", "number of the look at which it was decided, or 0"),
        Column("holds", "text", "threshold"),
        Column("verdict", "text", "holds, fails, undecided, or reported (no threshold)"),
        Column("words", "text", "what has to be added to the verdict"),
        Column("needs", "text", "of what is undecided, about how many seeds would decide it"),
    ),
)
NOTE = (
    "Each end of an interval is of the level that decides. n is the number of seeds, or of other units, that were "
    "judged, then of those that there are where that is more; look is the number of the look at which it was decided. "
    "What is shown of a claim is its deciding test."
)


def main(argv: list[str]) -> int:
    """Judge, print, and return the exit status."""
    parser = argparse.ArgumentParser("agentomy judge", description="Judge claims over tables of seeds.")
    parser.add_argument("tables", nargs="+", metavar="TABLE", help="a CSV or Parquet file, with a row for each seed")
    parser.add_argument("claims", metavar="CLAIMS.yaml", help="what is claimed of them (docs/verdicts.md)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the verdicts as Markdown")
    parser.add_argument("--parquet", type=Path, metavar="FILE", help="write the verdicts as Parquet")
    given = parser.parse_args(argv)
    try:
        verdicts = judged([Path(each) for each in given.tables], Path(given.claims))
        if given.markdown:
            given.markdown.write_text(markdown(verdicts), encoding="utf-8")
        if given.parquet:
            write(given.parquet, VERDICTS, VERDICTS.table(**{name: verdicts[name].to_numpy() for name in verdicts}))
    except (ConfigError, TableError) as error:
        print(f"agentomy: {error}", file=sys.stderr)
        return WRONG
    except OSError as error:
        print(f"agentomy: {error.filename}: {error.strerror}", file=sys.stderr)
        return WRONG
    print(terminal(verdicts))
    return status(verdicts)


def judged(tables: list[Path], claims: Path) -> pd.DataFrame:
    """The rows of `VERDICTS`, from files."""
    written = validated(Written, read_yaml(claims), claims, "")
    frames: dict[str | None, pd.DataFrame] = {}
    for path in tables:
        if path.stem in frames:
            raise ConfigError(path, "", f"found a second table '{path.stem}'; allowed: files of different names")
        frames[path.stem] = table_in(path)
    if len(tables) == 1:  # tests need not name it
        frames[None] = frames[tables[0].stem]
    looks = planned(written.seeds)
    rows = []
    for name, claim in written.claims.items():
        for test, said in claim.tests.items():
            if said.source is None and len(tables) > 1:
                raise ConfigError(claims, f"claims.{name}.tests.{test}.from", "missing; there are several tables")
        try:
            results = judge(claim, frames, lambda test, group: looks, seed=written.seed)
        except SelectionError as error:
            raise ConfigError(claims, f"claims.{name}.{error.key}", error.problem) from None
        rows += [{"claim": name, "says": claim.says, **vars(result)} for result in results]
    return pd.DataFrame({column.name: [row[column.name] for row in rows] for column in VERDICTS.columns})


def table_in(path: Path) -> pd.DataFrame:
    """A CSV or Parquet file; an empty cell of a column of numbers is NaN."""
    if path.suffix == ".csv":
        table = _read_csv(path)
    elif path.suffix == ".parquet":
        with reading(path) as file:
            table = file.read()
    else:
        raise TableError(f"{path}: {unknown('ending', path.suffix, ['.csv', '.parquet'])}")
    if len(set(table.column_names)) < len(table.column_names):
        twice = next(name for name in table.column_names if table.column_names.count(name) > 1)
        raise TableError(f"{path}: column '{twice}': found twice; allowed: once")
    if not len(table):
        raise TableError(f"{path}: found no row; allowed: one or more")
    return pd.DataFrame({name: _series(table[name]) for name in table.column_names})


def _read_csv(path: Path) -> pa.Table:
    """What looks like a date is text."""
    convert = pa.csv.ConvertOptions(null_values=EMPTY, strings_can_be_null=False, timestamp_parsers=["no date"])
    try:
        table = pa.csv.read_csv(path, convert_options=convert)
    except pa.ArrowInvalid as error:
        raise TableError(f"{path}: {str(error).splitlines()[0]}") from None
    dates = {field.name: pa.string() for field in table.schema if pa.types.is_temporal(field.type)}
    if not dates:
        return table
    convert.column_types = dates
    return pa.csv.read_csv(path, convert_options=convert)


def _series(column: pa.ChunkedArray) -> pd.Series:
    """A column as texts, flags, whole numbers or numbers; anything else as it is."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_decimal(column.type) or pa.types.is_float16(column.type) or pa.types.is_null(column.type):
        column = column.cast(pa.float64())
    return column.to_pandas()


def status(verdicts: pd.DataFrame) -> int:
    found = set(verdicts.loc[verdicts["test"] == "", "verdict"])
    return ONE_FAILS if FAILS in found else ONE_IS_OPEN if UNDECIDED in found else ALL_HOLD


def terminal(verdicts: pd.DataFrame) -> str:
    """The claims, as wide as the terminal."""
    whole = shown(verdicts[verdicts["test"] == ""]).drop(columns="test")
    room = max(20, shutil.get_terminal_size((120, 24)).columns - 100)
    whole["says"] = [textwrap.fill(each, room) for each in whole["says"]]
    whole["on"] = [textwrap.fill(each, 24) for each in whole["on"]]
    return tabulate(whole, headers="keys", tablefmt="simple", showindex=False, disable_numparse=True)


def markdown(verdicts: pd.DataFrame) -> str:
    """The claims, then every test."""
    whole = verdicts["test"] == ""
    claims = shown(verdicts[whole]).drop(columns="test")
    tests = shown(verdicts[~whole]).drop(columns="says")
    parts = [
        tabulate(
            part.map(lambda cell: cell.replace("|", "\\|")),
            headers="keys",
            tablefmt="github",
            showindex=False,
            disable_numparse=True,
        )
        for part in (claims, tests)
    ]
    return f"# Verdicts\n\n{parts[0]}\n\n{NOTE}\n\n## Every test\n\n{parts[1]}\n"


def shown(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Verdicts as a reader sees them: every cell is text."""
    names = [field.name for field in fields(Result)]
    results = [Result(**dict(zip(names, row, strict=True))) for row in verdicts[names].itertuples(index=False)]
    return pd.DataFrame(
        {
            "claim": verdicts["claim"].to_numpy(),
            "says": verdicts["says"].to_numpy(),
            "test": verdicts["test"].to_numpy(),
            "on": verdicts["group"].to_numpy(),
            "value [interval]": [with_interval(each) for each in results],
            "n": [f"{each.n} of {each.there}" if each.n < each.there else str(each.n or "") for each in results],
            "look": [str(each.look or "") for each in results],
            "threshold": [each.holds for each in results],
            "verdict": [each.said for each in results],
            "to decide it": [each.needs for each in results],
        },
        dtype=object,
    )


def with_interval(result: Result) -> str:
    """A value and its interval, three digits each."""
    if np.isnan(result.value):
        return "–"
    value = _digits(result.value)
    if np.isnan(result.low) or result.low == result.high:
        return value
    return f"{value} [{_digits(result.low)}, {_digits(result.high)}]"


def _digits(number: float) -> str:
    return f"{number:.3g}".replace("inf", "∞").replace("-", "−")
