"""The tables that pass from stage to stage: their schemas, and reading and writing them as Parquet.

A `Kind` is the schema of one sort of artifact. A `Table` is rows of a known kind, in one or several Parquet
files that are read only when asked for. `write` puts rows on disk so that a reader never meets half a file.
"""

import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from agentomy import parquet
from agentomy.descriptions import Description, OfRun
from agentomy.mistakes import unknown
from agentomy.parquet import BrokenTable, TableError, footer, reading, replacing

__all__ = [
    "BLOCK",
    "TYPES",
    "BrokenTable",
    "Column",
    "Kind",
    "Table",
    "TableError",
    "footer",
    "reading",
    "replacing",
    "tensors",
    "write",
]

# What a column may hold. Lists are one row's array, flattened in row-major (C) order.
TYPES = {
    "text": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "flag": pa.bool_(),
    "bytes8": pa.list_(pa.int8()),
    "unsigned8": pa.list_(pa.uint8()),
    "singles": pa.list_(pa.float32()),
    "doubles": pa.list_(pa.float64()),
}
Names = Mapping[str, Collection[str]]  # "runs", "environments" → their names in a study
NO_NAMES: Names = MappingProxyType({})
METADATA_KEY = b"agentomy"
# A tensor of more values is split along its first axis into columns NAME[0], NAME[1], …, so that a long path of a big
# network can be read in blocks of columns that fit in memory.
BLOCK = 65_536


@dataclass(frozen=True)
class Column:
    """One column of a kind: its type (a key of `TYPES`), its unit and its meaning.

    No cell of any column is empty. Numbers are finite unless the column says that they may be NaN or infinite.
    A column of texts says which `values` there can be, or whose `names` they are: a study's runs or environments.
    """

    name: str
    type: str
    meaning: str
    unit: str = ""
    shape: str = ""  # of a list column, in words or symbols
    finite: bool = True
    values: tuple[str, ...] = ()
    names: str = ""  # "runs" or "environments"

    @property
    def arrow(self) -> pa.DataType:
        return TYPES[self.type]


@dataclass(frozen=True)
class Kind:
    """The schema of one sort of artifact.

    `tensors` allows, behind the named columns, one fixed-shape float column per network tensor. `description` is the
    type of what its artifacts say about themselves, if they say anything. Hardly any kind `may_be_empty`.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    tensors: bool = False
    description: type[Description] | None = None
    may_be_empty: bool = False

    @property
    def lists(self) -> set[str]:
        return {column.name for column in self.columns if pa.types.is_list(column.arrow)}

    def table(self, **values) -> pa.Table:
        """Make rows of this kind; scalars are repeated, arrays [rows, ...] fill list columns row by row."""
        named = {column.name: column for column in self.columns}
        arrays = {name: np.asarray(value) for name, value in values.items()}
        rows = max((len(array) for array in arrays.values() if array.ndim), default=1)
        columns = {}
        for name in [*named, *(name for name in arrays if name not in named)]:
            if name not in arrays:
                raise TableError(f"{self.name}: column '{name}' is missing")
            if name in named:
                columns[name] = _fill(arrays[name], named[name], rows)
            elif self.tensors:
                columns |= _tensors(name, arrays[name])
            else:
                raise TableError(f"{self.name}: unknown column '{name}'; allowed: {', '.join(named)}")
        return pa.table(columns)

    def check(self, schema: pa.Schema, where: str) -> None:
        """Refuse a schema that is not this kind's; the error names file, column, expected and found."""
        named = {column.name: column.arrow for column in self.columns}
        for name, expected in named.items():
            if name not in schema.names:
                present = ", ".join(schema.names)
                raise TableError(
                    f"{where}: no column '{name}' ({expected}) in a table of {self.name}; found: {present}"
                )
            if schema.field(name).type != expected:
                raise TableError(f"{where}: column '{name}': expected {expected}, found {schema.field(name).type}")
        for field in schema:
            if field.name in named:
                continue
            if not self.tensors:
                raise TableError(f"{where}: unknown column '{field.name}'; {self.name} has: {', '.join(named)}")
            if not isinstance(field.type, pa.FixedShapeTensorType):
                raise TableError(f"{where}: column '{field.name}': expected a tensor, found {field.type}")

    def check_values(self, rows: pa.Table, where: str, names: Names = NO_NAMES) -> None:
        """Refuse empty cells, numbers that are not finite and texts that can't be, as the columns say.

        `names` are those that columns of `names` can hold; without them such columns aren't checked.
        """
        for column in self.columns:
            allowed = {*column.values, *names.get(column.names, ())}
            if allowed and (not column.names or column.names in names):
                _refuse_texts(rows[column.name], allowed, f"{where}: column '{column.name}'")
        infinite = {column.name for column in self.columns if not column.finite}
        for field in rows.schema:
            for chunk in rows[field.name].chunks:
                values, empty = chunk, chunk.null_count
                while isinstance(values, (pa.ListArray, pa.ExtensionArray, pa.FixedSizeListArray)):
                    values = values.storage if isinstance(values, pa.ExtensionArray) else values.flatten()
                    empty += values.null_count
                if empty:
                    raise TableError(f"{where}: column '{field.name}': found an empty cell; allowed: values")
                if field.name not in infinite and pa.types.is_floating(values.type):
                    numbers = values.to_numpy()
                    if not np.isfinite(numbers).all():
                        first = numbers[~np.isfinite(numbers)][0]
                        raise TableError(f"{where}: column '{field.name}': found {first}; allowed: finite numbers")

    def described(self, description: Description | None, where: str) -> None:
        """Refuse a description that is not of this kind's type."""
        if not isinstance(description, self.description or type(None)):
            expected = self.description.__name__ if self.description else "none"
            raise TableError(f"{where}: description: expected {expected}, found {type(description).__name__}")

    def read_description(self, schema: pa.Schema, path: Path) -> Description | None:
        """What a file says about itself; refused by file, what was expected and what was found, as columns are."""
        if self.description is None:
            return None
        text = (schema.metadata or {}).get(METADATA_KEY)
        if text is None:
            raise TableError(f"{path}: description: expected {self.description.__name__}, found none")
        try:
            return self.description.model_validate(json.loads(text))
        except ValidationError as error:
            wrong = error.errors()[0]
            place = ".".join(map(str, ("description", *wrong["loc"])))
            raise TableError(f"{path}: {place}: expected {self.description.__name__}, found {wrong['msg']}") from None
        except (ValueError, RecursionError):  # no JSON, or no UTF-8
            raise BrokenTable(path, "its description is no JSON") from None


def _refuse_texts(column: pa.ChunkedArray, allowed: set[str], where: str) -> None:
    for text in column.unique().to_pylist():
        if text is not None and text not in allowed:
            raise TableError(f"{where}: {unknown('value', text, sorted(allowed))}")


def _fill(array: np.ndarray, column: Column, rows: int) -> pa.Array:
    if pa.types.is_list(column.arrow):
        flat = np.ascontiguousarray(array).reshape(len(array), math.prod(array.shape[1:]))
        values = pa.array(flat.ravel().astype(column.arrow.value_type.to_pandas_dtype(), copy=False))
        offsets = pa.array(np.arange(len(flat) + 1, dtype=np.int32) * flat.shape[1])
        return pa.ListArray.from_arrays(offsets, values)
    if array.ndim == 0:
        return pa.repeat(pa.scalar(array.item(), column.arrow), rows)
    return pa.array(array.tolist() if array.dtype.kind in "OU" else array, column.arrow)


def _tensors(name: str, array: np.ndarray) -> dict[str, pa.Array]:
    """The columns of tensors [rows, *shape], one a row; a tensor of no dimension is stored with shape [1]."""
    array = array if array.ndim > 1 else array[:, None]
    length = array.shape[1]
    per_column = max(1, BLOCK * length // max(1, array[0].size))  # of the first axis, in one column
    if per_column >= length:
        return {name: _tensor(array)}
    return {f"{name}[{i // per_column}]": _tensor(array[:, i : i + per_column]) for i in range(0, length, per_column)}


def tensors(rows: pa.Table) -> dict[str, np.ndarray]:
    """The tensors in rows of a kind that allows them, each [rows, *shape], put together from their columns."""
    blocks: dict[str, list[np.ndarray]] = {}
    for field in rows.schema:
        if isinstance(field.type, pa.FixedShapeTensorType):
            array = rows[field.name].combine_chunks().to_numpy_ndarray()
            blocks.setdefault(field.name.partition("[")[0], []).append(array)
    return {name: np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0] for name, parts in blocks.items()}


def _tensor(array: np.ndarray) -> pa.Array:
    array = np.ascontiguousarray(array, dtype=np.float32)
    size = int(np.prod(array.shape[1:]))
    storage = pa.FixedSizeListArray.from_arrays(pa.array(array.ravel()), size)
    return pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.float32(), array.shape[1:]), storage)


class Table:
    """Rows of a known kind, in Parquet files or (`rows`) in pieces in memory, read when asked for.

    `description` is that of rows in memory; files have their own.
    """

    def __init__(
        self,
        kind: Kind,
        paths: Sequence[Path | str] = (),
        rows: pa.Table | Sequence[pa.Table] = (),
        description: Description | None = None,
    ):
        self.kind, self.paths = kind, [Path(path) for path in paths]
        self.pieces = [rows] if isinstance(rows, pa.Table) else [*rows]
        self.descriptions = [description] if description is not None else []
        self.wanted: list[tuple[str, pa.Array]] = []
        for path in self.paths:
            with reading(path) as file:
                kind.check(file.schema_arrow, str(path))
                if not file.metadata.num_rows and not kind.may_be_empty:
                    raise TableError(f"{path}: a table of {kind.name} without rows; remove it and run again")
                self.descriptions.append(kind.read_description(file.schema_arrow, path))

    @property
    def description(self) -> Description:
        """What the table says about itself; an error where its pieces say different things."""
        where = ", ".join(map(str, self.paths[:2])) or f"a table of {self.kind.name}"
        if not self.descriptions:
            raise TableError(f"{where}: description: expected one, found none")
        first, *others = self.descriptions
        for other in others:
            together = first.with_(other)
            if together is None:
                apart = [name for name in type(first).model_fields if getattr(first, name) != getattr(other, name)]
                raise TableError(f"{where}: description: expected one, found pieces that differ in {', '.join(apart)}")
            first = together
        return first

    def of_run(self, run: str) -> "Table":
        """The files of one run, by what they say about themselves."""
        indices = [i for i, said in enumerate(self.descriptions) if isinstance(said, OfRun) and said.run == run]
        if not indices:
            raise TableError(f"{self.kind.name}: no table of run '{run}'")
        table = copy(self)
        table.descriptions = [self.descriptions[i] for i in indices]
        table.paths = [self.paths[i] for i in indices] if self.paths else []
        return table

    def groups(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield the rows in the pieces they were written in, so that memory stays bounded."""
        for piece in self.pieces:
            yield from self._chosen(lambda names, piece=piece: piece if names is None else piece.select(names), columns)
        for path in self.paths:
            with reading(path) as file:
                for index in range(file.num_row_groups):
                    yield from self._chosen(
                        lambda names, file=file, index=index: file.read_row_group(index, columns=names), columns
                    )

    def _chosen(self, read: Callable[[Sequence[str] | None], pa.Table], columns: Sequence[str] | None):
        """The wanted rows of one piece, if there are any: other columns are read only of a piece that has such rows.

        The values themselves are compared. Statistics in a file, by which Arrow would pass over pieces, know neither
        NaN nor the sign of zero, and no checksum covers them.
        """
        if not self.wanted:
            yield read(columns)
            return
        names = list(dict.fromkeys(name for name, _ in self.wanted))
        asked, mask = read(names), None
        for name, values in self.wanted:
            matches = pc.is_in(asked[name], values)
            mask = matches if mask is None else pc.and_(mask, matches)
        count = pc.sum(mask).as_py() or 0
        if count:
            rows = asked.select(columns) if columns is not None and {*columns} <= {*names} else read(columns)
            yield rows if count == len(rows) else rows.filter(mask)

    def with_rows(self, rows: pa.Table) -> "Table":
        """A piece of this table, such as one of its `groups`, as a table of its own."""
        table = Table(self.kind, rows=rows)
        table.descriptions = self.descriptions
        return table

    def arrow(self, columns: Sequence[str] | None = None) -> pa.Table:
        pieces = list(self.groups(columns))
        return (pa.concat_tables(pieces) if pieces else self._nothing(columns)).replace_schema_metadata(None)

    def _nothing(self, columns: Sequence[str] | None) -> pa.Table:
        """No rows, with the columns that the first piece has."""
        if self.pieces:
            schema = self.pieces[0].schema
        elif self.paths:
            with reading(self.paths[0]) as file:
                schema = file.schema_arrow
        else:
            raise TableError(f"a table of {self.kind.name} without rows")
        empty = schema.empty_table()
        return empty if columns is None else empty.select(columns)

    def where(self, **wanted) -> "Table":
        """The rows whose columns equal the given values (or are in the given lists), chosen when they are read."""
        types = {column.name: column.arrow for column in self.kind.columns}
        table = copy(self)
        table.wanted = [*self.wanted]
        for name, value in wanted.items():
            if name not in types:
                raise TableError(f"{self.kind.name}: unknown column '{name}'; allowed: {', '.join(types)}")
            values = pa.array(value if isinstance(value, (list, tuple)) else [value])
            table.wanted.append((name, values.cast(types[name])))
        return table

    def frame(self, columns: Sequence[str] | None = None):
        """The scalar columns (or those named) as a pandas frame."""
        scalars = [column.name for column in self.kind.columns if column.name not in self.kind.lists]
        return self.arrow(columns or scalars).to_pandas()

    def values(self, column: str) -> np.ndarray:
        """One scalar column as an array [rows]."""
        return self.arrow([column])[column].to_numpy()

    def array(self, column: str, *shape: int) -> np.ndarray:
        """One list column as an array [rows, *shape]; without a shape, [rows, length of the list]."""
        flat = self.arrow([column])[column].combine_chunks()
        if isinstance(flat.type, pa.FixedShapeTensorType):
            return flat.to_numpy_ndarray()
        lengths = pc.list_value_length(flat).unique()
        if len(lengths) > 1:
            raise TableError(f"{self.kind.name}: the lists of '{column}' differ in length; choose a run first")
        return flat.flatten().to_numpy(zero_copy_only=False).reshape(len(flat), *(shape or (-1,)))

    def __len__(self) -> int:
        if self.wanted:
            return sum(map(len, self.groups([self.wanted[0][0]])))
        total = sum(map(len, self.pieces))
        for path in self.paths:
            with reading(path) as file:
                total += file.metadata.num_rows
        return total


def write(
    path: str | Path,
    kind: Kind,
    pieces: pa.Table | Iterable[pa.Table],
    description: Description | None = None,
    names: Names = NO_NAMES,
) -> None:
    """Write a table, one row group a piece: to a temporary name, flushed, then renamed."""
    path = Path(path)
    kind.described(description, str(path))
    pieces = (piece for piece in ([pieces] if isinstance(pieces, pa.Table) else pieces) if len(piece))
    nothing = pa.schema([(column.name, column.arrow) for column in kind.columns]).empty_table()
    first = next(pieces, nothing if kind.may_be_empty else None)
    if first is None:
        raise TableError(
            f"{path}: a table of {kind.name} without rows; allowed: one or more: see the parameters of its entry"
        )
    kind.check(first.schema, str(path))
    said = {METADATA_KEY: description.json_text()} if description is not None else None
    schema = first.schema.with_metadata(said)
    with replacing(path) as handle, pq.ParquetWriter(handle, schema, **parquet.WRITTEN) as writer:
        for piece in chain([first], pieces):
            kind.check(piece.schema, str(path))
            kind.check_values(piece, str(path), names)
            writer.write_table(piece.select(schema.names).cast(schema), row_group_size=max(1, len(piece)))
