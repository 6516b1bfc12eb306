"""`agentomy judge TABLE … CLAIMS.yaml`: verdicts over anybody's tables of seeds, CSV or Parquet.

A table has a column for the seed, columns to select by, and columns of numbers; it is named by its file, without the
ending. The exit status is 0 if all claims hold, 1 if one fails, 2 if something is wrong with what was given, 3 if none
fails and one is undecided.
"""

import argparse
import shutil
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv

from agentomy.judge.columns import SelectionError
from agentomy.judge.looks import planned
from agentomy.judge.results import COLUMNS, FAILS, UNDECIDED
from agentomy.judge.showing import markdown, parts, terminal
from agentomy.judge.verdicts import judge
from agentomy.judge.written import Written
from agentomy.mistakes import ConfigError, unknown, validated
from agentomy.tables import Column, Kind, TableError, reading, write
from agentomy.yaml_files import read_yaml

ALL_HOLD, ONE_FAILS, WRONG, ONE_IS_OPEN = 0, 1, 2, 3
EMPTY = ["", "nan", "NaN"]  # cells of a CSV file without a number
VERDICTS = Kind(
    "verdicts",
    "Verdicts on claims: a row for each claim, then one for each of its tests and groups.",
    (Column("claim", "text", "name of the claim"), Column("says", "text", "the claim"), *COLUMNS),
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
        verdicts = judged([Path(path) for path in given.tables], Path(given.claims))
        if given.markdown:
            given.markdown.write_text(markdown("Verdicts", verdicts), encoding="utf-8")
        if given.parquet:
            write(given.parquet, VERDICTS, VERDICTS.table(**{name: verdicts[name].to_numpy() for name in verdicts}))
    except (ConfigError, TableError) as error:
        print(f"agentomy: {error}", file=sys.stderr)
        return WRONG
    except OSError as error:
        print(f"agentomy: {error.filename}: {error.strerror}", file=sys.stderr)
        return WRONG
    print(terminal(parts(verdicts)[0], shutil.get_terminal_size((140, 24)).columns))
    return status(verdicts)


def judged(tables: list[Path], claims: Path) -> pd.DataFrame:
    """Judge the claims of a file over tables in files; returns the rows of `VERDICTS`."""
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
    """Read a CSV or Parquet file; an empty cell of a column of numbers becomes NaN."""
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
    """Read a CSV file; text that looks like a date stays text."""
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
    of_claims = set(verdicts.loc[verdicts["test"] == "", "verdict"])
    return ONE_FAILS if FAILS in of_claims else ONE_IS_OPEN if UNDECIDED in of_claims else ALL_HOLD
