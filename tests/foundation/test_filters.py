"""Rows that are chosen by their columns are those of the whole table, and no others are read."""

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from agentomy import kinds, tables
from agentomy.tables import Table, TableError
from tests.foundation.small_tables import FREE

CELLS = st.sampled_from([0.0, -0.0, np.nan, np.inf, 1.0, 2.5])
ROW = st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(-1, 2), st.sampled_from(["q", "r"]), CELLS)


@settings(max_examples=60, deadline=None)
@given(
    pieces=st.lists(st.lists(ROW, min_size=1, max_size=6), min_size=1, max_size=4),
    runs=st.lists(st.sampled_from(["a", "b", "d"]), max_size=2),
    seed=st.none() | st.integers(-1, 3),
    value=st.none() | CELLS,
    twice=st.booleans(),
)
def test_a_filtered_read_is_the_whole_read_then_filtered(tmp_path_factory, pieces, runs, seed, value, twice):
    path = tmp_path_factory.mktemp("filters") / "table.parquet"
    schema = kinds.common.COMPARISON.table(run="a", seed=0, quantity="q", value=[1.0]).schema
    parts = [pa.table(dict(zip(schema.names, zip(*rows, strict=True), strict=True)), schema) for rows in pieces]
    tables.write(path, FREE, parts)
    wanted = {"run": runs} if runs else {}
    wanted |= {"seed": seed} if seed is not None else {}
    wanted |= {"value": value} if value is not None else {}
    whole = pa.concat_tables(parts)
    for name, chosen in wanted.items():
        whole = whole.filter(pc.is_in(whole[name], pa.array(chosen if isinstance(chosen, list) else [chosen])))
    for table in (Table(FREE, [path]), Table(FREE, rows=parts)):
        if twice:
            for name, chosen in wanted.items():
                table = table.where(**{name: chosen})
        else:
            table = table.where(**wanted)
        assert len(table) == len(whole)
        assert repr(table.arrow().to_pylist()) == repr(whole.to_pylist())  # NaN and the sign of zero, too
        for columns in (["value"], ["quantity"], ["value", "run"], ["seed"]):
            assert repr(table.arrow(columns).to_pylist()) == repr(whole.select(columns).to_pylist())
        assert repr(table.values("value").tolist()) == repr(whole["value"].to_pylist())
        assert len(table.frame()) == len(whole)
        assert sum(map(len, table.groups())) == len(whole)
        assert all(len(group) for group in table.groups()) or not wanted


def test_a_filter_keeps_the_pieces_and_reads_those_alone_that_have_such_rows(path, monkeypatch):
    pieces = [kinds.common.COMPARISON.table(run=run, seed=np.arange(3), quantity="q", value=1.0) for run in "abab"]
    tables.write(path, kinds.common.COMPARISON, iter(pieces))
    read, method = [], pq.ParquetFile.read_row_group

    def noted(self, index, columns=None, **given):
        read.append((index, columns))
        return method(self, index, columns=columns, **given)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", noted)
    groups = list(Table(kinds.common.COMPARISON, [path]).where(run="b", seed=[0, 2]).groups(["value"]))
    assert [len(group) for group in groups] == [2, 2]
    assert [index for index, columns in read if columns == ["value"]] == [1, 3]
    assert all(columns == ["run", "seed"] for _, columns in read if columns != ["value"])


def test_a_filter_on_a_column_that_is_none_is_refused():
    with pytest.raises(TableError, match="unknown column 'layer'"):
        Table(
            kinds.common.COMPARISON, rows=kinds.common.COMPARISON.table(run="a", seed=0, quantity="q", value=[1.0])
        ).where(layer=1)
