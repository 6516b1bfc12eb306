"""Tables in pieces: rows of one agent at a time, and means over episodes that are spread over several pieces."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np
import pyarrow as pa

from agentomy.tables import Kind, Table


def iter_groups(table: Table, by: Sequence[str], columns: Sequence[str] = ()) -> Iterator[tuple[tuple, Table]]:
    """Yield (values of the columns `by`, their rows with `columns`), row group by row group, in order of appearance.

    Memory stays bounded by a row group; the same values may come again with a later one.
    """
    for rows in table.groups([*by, *columns]):
        for values, part in rows.select(by).to_pandas().groupby(list(by), sort=False):
            index = part.index.to_numpy()
            contiguous = index[-1] - index[0] + 1 == len(index)
            piece = rows.slice(index[0], len(index)) if contiguous else rows.take(index)
            yield values, Table(table.kind, rows=piece)


def together(pieces: Iterable[pa.Table], column: str = "run") -> Iterator[pa.Table]:
    """The same rows in one piece for each run of pieces with the same value: many small ones are slow to read."""
    for _, same in groupby(pieces, key=lambda piece: piece[column][0].as_py()):
        yield pa.concat_tables(list(same))


class Means:
    """Means over episodes, by key, of arrays that come in pieces."""

    def __init__(self):
        self._sums: dict[tuple, np.ndarray] = {}
        self._counts: dict[tuple, int] = {}

    def add(self, key: tuple, *values: np.ndarray) -> None:
        """Add a piece: quantities of one shape [episodes, ...]."""
        stacked = np.stack([np.asarray(quantity, float) for quantity in values])
        self._sums[key] = self._sums.get(key, 0.0) + stacked.sum(axis=1)
        self._counts[key] = self._counts.get(key, 0) + stacked.shape[1]

    def result(self) -> dict[tuple, np.ndarray]:
        """Key → means [quantities, ...], in order of first appearance."""
        return {key: total / self._counts[key] for key, total in self._sums.items()}


def by_step(kind: Kind, by: Sequence[str], quantities: Sequence[str], means: dict[tuple, np.ndarray]) -> pa.Table:
    """One row a key and step, from key → [quantities, T]; the key's values go to the columns `by`."""
    steps = [values.shape[1] for values in means.values()]
    keys = {name: np.repeat([key[i] for key in means], steps) for i, name in enumerate(by)}
    values = {name: np.concatenate([mean[i] for mean in means.values()]) for i, name in enumerate(quantities)}
    return kind.table(**keys, t=np.concatenate([np.arange(1, count + 1) for count in steps]), **values)
