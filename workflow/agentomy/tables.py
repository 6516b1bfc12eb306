"""The tables that pass from stage to stage: their schemas, and reading and writing them as Parquet.

A `Kind` is the schema of one sort of artifact. A `Table` is rows of a known kind, in one or several Parquet
files that are read only when asked for. `write` puts rows on disk so that a reader never meets half a file.
"""

import json
import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

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
METADATA_KEY = b"agentomy"
# A tensor of more values is split along its first axis into columns NAME[0], NAME[1], …, so that a long path of a big
# network can be read in blocks of columns that fit in memory.
BLOCK = 65_536


class TableError(Exception):
    """A table that is missing, broken or not of its kind; the message is one line fit for a user."""


class BrokenTable(TableError):
    """A file that is not a whole Parquet file."""

    def __init__(self, path: str | Path, reason: str):
        super().__init__(f"{path}: not a whole Parquet file ({reason})")
        self.path = Path(path)


@dataclass(frozen=True)
class Column:
    """One column of a kind: its type (a key of `TYPES`), its unit and its meaning."""

    name: str
    type: str
    meaning: str
    unit: str = ""
    shape: str = ""  # of a list column, in words or symbols

    @property
    def arrow(self) -> pa.DataType:
        return TYPES[self.type]


@dataclass(frozen=True)
class Kind:
    """The schema of one sort of artifact.

    `tensors` allows, behind the named columns, one fixed-shape float column per network tensor.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    tensors: bool = False

    @property
    def lists(self) -> set[str]:
        return {column.name for column in self.columns if pa.types.is_list(column.arrow)}

    def table(self, **values) -> pa.Table:
        """Make rows of this kind; scalars are repeated, arrays [rows, ...] fill list columns row by row."""
        named = {column.name: column for column in self.columns}
        arrays = {name: np.asarray(value) for name, value in values.items()}
        rows = max((len(array) for array in arrays.values() if array.ndim), default=1)
        made = {}
        for name in [*named, *(name for name in arrays if name not in named)]:
            if name not in arrays:
                raise TableError(f"{self.name}: column '{name}' is missing")
            if name in named:
                made[name] = _fill(arrays[name], named[name], rows)
            elif self.tensors:
                made |= _tensors(name, arrays[name])
            else:
                raise TableError(f"{self.name}: unknown column '{name}'; allowed: {', '.join(named)}")
        return pa.table(made)

    def check(self, schema: pa.Schema, where: str) -> None:
        """Refuse a schema that is not this kind's; the error names file, column, expected and found."""
        named = {column.name: column.arrow for column in self.columns}
        for name, expected in named.items():
            if name not in schema.names:
                found = ", ".join(schema.names)
                raise TableError(f"{where}: no column '{name}' ({expected}) in a table of {self.name}; found: {found}")
            if schema.field(name).type != expected:
                raise TableError(f"{where}: column '{name}': expected {expected}, found {schema.field(name).type}")
        for field in schema:
            if field.name in named:
                continue
            if not self.tensors:
                raise TableError(f"{where}: unknown column '{field.name}'; {self.name} has: {', '.join(named)}")
            if not isinstance(field.type, pa.FixedShapeTensorType):
                raise TableError(f"{where}: column '{field.name}': expected a tensor, found {field.type}")


def _fill(array: np.ndarray, column: Column, rows: int) -> pa.Array:
    if pa.types.is_list(column.arrow):
        flat = np.ascontiguousarray(array).reshape(len(array), -1)
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
    each = max(1, BLOCK * length // max(1, array[0].size))  # of the first axis, in one column
    if each >= length:
        return {name: _tensor(array)}
    return {f"{name}[{i // each}]": _tensor(array[:, i : i + each]) for i in range(0, length, each)}


def tensors(rows: pa.Table) -> dict[str, np.ndarray]:
    """The tensors in rows of a kind that allows them, each [rows, *shape], put together from their columns."""
    blocks: dict[str, list[np.ndarray]] = {}
    for field in rows.schema:
        if isinstance(field.type, pa.FixedShapeTensorType):
            array = rows[field.name].combine_chunks().to_numpy_ndarray()
            blocks.setdefault(field.name.partition("[")[0], []).append(array)
    return {name: np.concatenate(found, axis=1) if len(found) > 1 else found[0] for name, found in blocks.items()}


def _tensor(array: np.ndarray) -> pa.Array:
    array = np.ascontiguousarray(array, dtype=np.float32)
    size = int(np.prod(array.shape[1:]))
    storage = pa.FixedSizeListArray.from_arrays(pa.array(array.ravel()), size)
    return pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.float32(), array.shape[1:]), storage)


class Table:
    """Rows of a known kind, in Parquet files (or in memory), read when asked for.

    `source` is the provenance of the (first) file: which function made it, with which parameters.
    """

    def __init__(
        self, kind: Kind, paths: Sequence[Path] = (), rows: pa.Table | None = None, source: dict | None = None
    ):
        self.kind, self.paths, self.rows = kind, [Path(path) for path in paths], rows
        self.source = source if source is not None else {}
        for path in self.paths:
            with reading(path) as file:
                kind.check(file.schema_arrow, str(path))
                self.source = self.source or provenance(file.schema_arrow)

    def groups(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield the rows in the pieces they were written in, so that memory stays bounded."""
        if self.rows is not None:
            yield self.rows if columns is None else self.rows.select(columns)
        for path in self.paths:
            with reading(path) as file:
                for index in range(file.num_row_groups):
                    yield file.read_row_group(index, columns=columns)

    def of(self, rows: pa.Table) -> "Table":
        """A piece of this table, such as one of its `groups`, as a table of its own."""
        return Table(self.kind, rows=rows, source=self.source)

    def arrow(self, columns: Sequence[str] | None = None) -> pa.Table:
        return pa.concat_tables(self.groups(columns)).replace_schema_metadata(None)

    def where(self, **wanted) -> "Table":
        """The rows whose columns equal the given values (or are in the given lists)."""

        def matching(rows: pa.Table) -> pa.Table:
            for name, value in wanted.items():
                values = pa.array(value if isinstance(value, (list, tuple)) else [value])
                rows = rows.filter(pc.is_in(rows[name], values.cast(rows[name].type)))
            return rows

        pieces = [matching(rows) for rows in self.groups()]
        return Table(self.kind, rows=pa.concat_tables(pieces).replace_schema_metadata(None), source=self.source)

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
        if self.rows is not None:
            return len(self.rows)
        total = 0
        for path in self.paths:
            with reading(path) as file:
                total += file.metadata.num_rows
        return total


@contextmanager
def reading(path: str | Path) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file; whatever is wrong with it becomes one line that names it."""
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except FileNotFoundError:
        raise TableError(f"{path}: no such file") from None
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the system's trouble, not the file's
            raise TableError(f"{path}: cannot be read ({error.strerror})") from None
        raise BrokenTable(path, str(error).splitlines()[0]) from None


def provenance(schema: pa.Schema) -> dict:
    """What an artifact says about its own making (see provenance.py)."""
    return json.loads((schema.metadata or {}).get(METADATA_KEY, b"{}"))


def write(path: str | Path, kind: Kind, pieces: pa.Table | Iterable[pa.Table], source: dict | None = None) -> None:
    """Write a table, one row group a piece: to a temporary name, flushed, then renamed."""
    path = Path(path)
    pieces = iter([pieces] if isinstance(pieces, pa.Table) else pieces)
    first = next(pieces, None)
    if first is None:
        raise TableError(f"{path}: a table of {kind.name} without rows")
    kind.check(first.schema, str(path))
    schema = first.schema.with_metadata({METADATA_KEY: json.dumps(source or {}, sort_keys=True)})
    with replacing(path) as handle, pq.ParquetWriter(handle, schema, compression="zstd") as writer:
        for piece in _chain(first, pieces):
            kind.check(piece.schema, str(path))
            writer.write_table(piece.select(schema.names).cast(schema), row_group_size=max(len(piece), 1))


def _chain(first: pa.Table, rest: Iterator[pa.Table]) -> Iterator[pa.Table]:
    yield first
    yield from rest


@contextmanager
def replacing(path: str | Path) -> Iterator:
    """Open a temporary file beside `path` for writing bytes; on success flush it and rename it to `path`."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # a name that nobody has used: writing through a leftover link would change a stored version
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with part.open("xb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise TableError(f"{path}: cannot be written ({error.strerror or error})") from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise
