"""Tables: what is written is read back, what is wrong is refused by name, and no reader meets half a file."""

import resource

import duckdb
import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from agentomy import kinds, tables
from agentomy.tables import BrokenTable, Table, TableError


def sequences(rows=3, steps=4):
    return kinds.SEQUENCES.table(
        episode=np.arange(rows),
        parameters=np.ones((rows, 2)),
        observations=np.arange(rows * steps).reshape(rows, steps),
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "table.parquet"


@settings(max_examples=25)
@given(values=arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(0, 3), st.integers(1, 4))))
def test_list_columns_come_back_in_shape(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("tables") / "table.parquet"
    rows = kinds.SEQUENCES.table(
        episode=np.arange(len(values)), parameters=np.zeros((len(values), 1)), observations=values
    )
    tables.write(path, kinds.SEQUENCES, rows)
    found = Table(kinds.SEQUENCES, [path]).array("observations", *values.shape[1:])
    np.testing.assert_array_equal(found, values)


def test_network_tensors_come_back_in_shape_for_pyarrow_pandas_and_duckdb(path):
    weights = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    rows = kinds.PARAMETERS.table(seed=np.arange(2), update=0, **{"encoder.weight": weights, "bias": np.ones((2, 5))})
    tables.write(path, kinds.PARAMETERS, rows)
    np.testing.assert_array_equal(Table(kinds.PARAMETERS, [path]).array("encoder.weight"), weights)
    np.testing.assert_array_equal(np.stack(pd.read_parquet(path)["encoder.weight"]).reshape(2, 3, 4), weights)
    cells = duckdb.sql(f"select \"encoder.weight\" from '{path}' order by seed").fetchall()
    np.testing.assert_array_equal(np.array(cells).reshape(2, 3, 4), weights)


def test_the_same_rows_give_the_same_bytes(tmp_path):
    for name in "ab":
        tables.write(tmp_path / name, kinds.SEQUENCES, sequences(), {"use": "x"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_each_piece_is_a_row_group_and_is_read_alone(path):
    tables.write(path, kinds.SEQUENCES, iter([sequences(2), sequences(3)]))
    assert [len(group) for group in Table(kinds.SEQUENCES, [path]).groups(["episode"])] == [2, 3]


def test_several_files_read_as_one_table(tmp_path):
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        tables.write(path, kinds.SEQUENCES, sequences(), {"name": path.name})
    table = Table(kinds.SEQUENCES, paths)
    assert len(table) == 6
    assert table.source == {"name": "a"}
    assert table.where(episode=[0, 2]).values("episode").tolist() == [0, 2, 0, 2]


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (lambda t: t.drop_columns("episode"), ["episode", "int64"]),
        (lambda t: t.set_column(0, "episode", pa.array(["a", "b", "c"])), ["episode", "int64", "string"]),
        (lambda t: t.append_column("extra", pa.array([1, 2, 3])), ["extra"]),
    ],
)
def test_a_wrong_table_is_refused_by_file_column_expected_and_found(path, broken, words):
    with pytest.raises(TableError) as error:
        tables.write(path, kinds.SEQUENCES, broken(sequences()))
    assert all(word in str(error.value) for word in [str(path), *words])
    assert not path.exists()
    pq.write_table(broken(sequences()), path)
    with pytest.raises(TableError) as error:
        Table(kinds.SEQUENCES, [path])
    assert all(word in str(error.value) for word in [str(path), *words])


def test_a_missing_or_unknown_column_is_refused_when_rows_are_made():
    with pytest.raises(TableError, match="observations"):
        kinds.SEQUENCES.table(episode=np.arange(2), parameters=np.ones((2, 1)))
    with pytest.raises(TableError, match="unknown column 'mean'"):
        kinds.SEQUENCES.table(episode=0, parameters=[[1]], observations=[[1]], mean=0)


def test_a_truncated_file_is_named(path):
    tables.write(path, kinds.SEQUENCES, sequences())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BrokenTable, match="table.parquet: not a whole Parquet file"):
        Table(kinds.SEQUENCES, [path])


def test_a_write_that_fails_halfway_leaves_the_old_file_and_nothing_else(path):
    tables.write(path, kinds.SEQUENCES, sequences())
    before = path.read_bytes()

    def pieces():
        yield sequences()
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        tables.write(path, kinds.SEQUENCES, pieces())
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_full_disk_is_one_clear_line_and_leaves_no_part(path):
    big = np.random.default_rng(0).normal(size=(100, 1000))
    rows = kinds.SEQUENCES.table(episode=np.arange(100), parameters=big, observations=big)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))  # a write beyond it fails as on a full disk
    try:
        with pytest.raises(TableError, match="table.parquet: cannot be written") as error:
            tables.write(path, kinds.SEQUENCES, rows)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(error.value)
    assert list(path.parent.iterdir()) == []


def test_every_column_of_every_kind_says_what_it_means():
    for kind in kinds.ALL.values():
        assert kind.meaning.endswith(".")
        for column in kind.columns:
            assert column.type in tables.TYPES
            assert column.meaning
