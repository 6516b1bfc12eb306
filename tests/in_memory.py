"""Tables that are in no file: of pieces, of columns, or of rows that a test writes out."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from agentomy.tables import Kind, Table


def of_pieces(kind: Kind, pieces: Iterable[pa.Table]) -> Table:
    """What a function yields that makes a table piece by piece."""
    return Table(kind, rows=pa.concat_tables(pieces))


def of_columns(kind: Kind, pieces: Iterable[dict]) -> Table:
    """Of pieces that are written as columns: name → values, or one value for all rows of the piece."""
    return of_pieces(kind, [kind.table(**piece) for piece in pieces])


def of_rows(kind: Kind, rows: list[tuple]) -> Table:
    """Of rows whose cells are in the order of the kind's columns."""
    columns = zip(*rows, strict=True)
    cells = {column.name: np.array(values) for column, values in zip(kind.columns, columns, strict=True)}
    return Table(kind, rows=kind.table(**cells))
