"""Tables: what is written is read back, what is wrong is refused by name, and no reader meets half a file."""

import re
import resource
from dataclasses import replace

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
from agentomy.descriptions import Task, Trained
from agentomy.tables import BrokenTable, Column, Kind, Table, TableError
from tests.described import SOME, trained
from tests.foundation.small_tables import FREE, sequences


@settings(max_examples=25)
@given(
    values=arrays(
        np.float64,
        st.tuples(st.integers(1, 5), st.integers(0, 3), st.integers(1, 4)),
        elements=st.floats(allow_nan=False, allow_infinity=False),
    )
)
def test_list_columns_come_back_in_shape(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("tables") / "table.parquet"
    rows = kinds.bayes.SEQUENCES.table(
        episode=np.arange(len(values)), parameters=np.zeros((len(values), 1)), observations=values
    )
    tables.write(path, kinds.bayes.SEQUENCES, rows, SOME)
    array = Table(kinds.bayes.SEQUENCES, [path]).array("observations", *values.shape[1:])
    np.testing.assert_array_equal(array, values)


def test_network_tensors_come_back_in_shape_for_pyarrow_pandas_and_duckdb(path):
    weights = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    rows = kinds.common.PARAMETERS.table(
        seed=np.arange(2), update=0, **{"encoder.weight": weights, "bias": np.ones((2, 5))}
    )
    tables.write(path, kinds.common.PARAMETERS, rows, trained())
    np.testing.assert_array_equal(Table(kinds.common.PARAMETERS, [path]).array("encoder.weight"), weights)
    np.testing.assert_array_equal(np.stack(pd.read_parquet(path)["encoder.weight"]).reshape(2, 3, 4), weights)
    cells = duckdb.sql(f"select \"encoder.weight\" from '{path}' order by seed").fetchall()
    np.testing.assert_array_equal(np.array(cells).reshape(2, 3, 4), weights)


def test_the_same_rows_give_the_same_bytes(tmp_path):
    for name in "ab":
        tables.write(tmp_path / name, kinds.bayes.SEQUENCES, sequences(), SOME)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_each_piece_is_a_row_group_and_is_read_alone(path):
    tables.write(path, kinds.bayes.SEQUENCES, iter([sequences(2), sequences(3)]), SOME)
    assert [len(group) for group in Table(kinds.bayes.SEQUENCES, [path]).groups(["episode"])] == [2, 3]


def test_several_files_read_as_one_table(tmp_path):
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        tables.write(path, kinds.bayes.SEQUENCES, sequences(), SOME)
    table = Table(kinds.bayes.SEQUENCES, paths)
    assert len(table) == 6
    assert table.description == SOME
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
        tables.write(path, kinds.bayes.SEQUENCES, broken(sequences()), SOME)
    assert all(word in str(error.value) for word in [str(path), *words])
    assert not path.exists()
    pq.write_table(broken(sequences()), path)
    with pytest.raises(TableError) as error:
        Table(kinds.bayes.SEQUENCES, [path])
    assert all(word in str(error.value) for word in [str(path), *words])


def test_a_missing_or_unknown_column_is_refused_when_rows_are_made():
    with pytest.raises(TableError, match="observations"):
        kinds.bayes.SEQUENCES.table(episode=np.arange(2), parameters=np.ones((2, 1)))
    with pytest.raises(TableError, match="unknown column 'mean'"):
        kinds.bayes.SEQUENCES.table(episode=0, parameters=[[1]], observations=[[1]], mean=0)


def test_a_truncated_file_is_named(path):
    tables.write(path, kinds.bayes.SEQUENCES, sequences(), SOME)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BrokenTable, match="table.parquet: not a whole Parquet file"):
        Table(kinds.bayes.SEQUENCES, [path])


def test_a_write_that_fails_halfway_leaves_the_old_file_and_nothing_else(path):
    tables.write(path, kinds.bayes.SEQUENCES, sequences(), SOME)
    before = path.read_bytes()

    def pieces():
        yield sequences()
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        tables.write(path, kinds.bayes.SEQUENCES, pieces(), SOME)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_full_disk_is_one_clear_line_and_leaves_no_part(path):
    big = np.random.default_rng(0).normal(size=(100, 1000))
    rows = kinds.bayes.SEQUENCES.table(episode=np.arange(100), parameters=big, observations=big)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))  # a write beyond it fails as on a full disk
    try:
        with pytest.raises(TableError, match="table.parquet: cannot be written") as error:
            tables.write(path, kinds.bayes.SEQUENCES, rows, SOME)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(error.value)
    assert list(path.parent.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TableError, match=r"table\.parquet: cannot be written \(") as error:
        tables.write(tmp_path / "file" / "table.parquet", kinds.bayes.SEQUENCES, sequences(), SOME)
    assert "\n" not in str(error.value)


def test_a_table_without_rows_is_refused_with_what_to_do(path):
    for nothing in ([], [sequences(0)]):
        with pytest.raises(TableError, match="without rows; allowed: one or more"):
            tables.write(path, kinds.bayes.SEQUENCES, nothing, SOME)
    said = sequences(0).replace_schema_metadata({tables.METADATA_KEY: SOME.json_text()})
    pq.write_table(said, path)
    with pytest.raises(TableError, match="without rows; remove it and run again"):
        Table(kinds.bayes.SEQUENCES, [path])


# ---- numbers that are none -------------------------------------------------------------------------------------------

STRICT = replace(
    kinds.common.COMPARISON, columns=(*kinds.common.COMPARISON.columns[:-1], Column("value", "number", "…"))
)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused_unless_the_column_allows_them(path, value):
    rows = kinds.common.COMPARISON.table(run="a", seed=0, quantity="q", value=np.array([1.0, value]))
    with pytest.raises(TableError, match=f"column 'value': found {value}; allowed: finite numbers"):
        tables.write(path, STRICT, rows)
    assert not path.exists()
    tables.write(path, FREE, rows)
    assert Table(FREE, [path]).values("value")[1] == pytest.approx(value, nan_ok=True)


def test_lists_and_tensors_are_looked_into(path):
    rows = kinds.bayes.SEQUENCES.table(episode=0, parameters=[[1.0]], observations=[[1.0, np.inf]])
    with pytest.raises(TableError, match="column 'observations': found inf"):
        tables.write(path, kinds.bayes.SEQUENCES, rows, SOME)
    weights = np.ones((2, 3, 4), np.float32)
    weights[1, 2, 3] = np.nan
    rows = kinds.common.PARAMETERS.table(seed=np.arange(2), update=0, **{"layer.weight": weights})
    with pytest.raises(TableError, match=r"column 'layer\.weight': found nan"):
        tables.write(path, kinds.common.PARAMETERS, rows, trained())


def test_an_empty_cell_is_refused_everywhere(path):
    rows = pa.table({"run": ["a", None], "seed": [0, 1], "quantity": ["q"] * 2, "value": [1.0, 2.0]})
    with pytest.raises(TableError, match="column 'run': found an empty cell"):
        tables.write(path, FREE, rows)
    rows = sequences().set_column(2, "observations", pa.array([[1.0], [None], [2.0]], pa.list_(pa.float64())))
    with pytest.raises(TableError, match="column 'observations': found an empty cell"):
        tables.write(path, kinds.bayes.SEQUENCES, rows, SOME)


# ---- what a table says about itself ----------------------------------------------------------------------------------

RUN = Trained(
    run="a", seeds=[0], use="x.Y", parameters={"rate": 0.1, "widths": [3, 4]}, network={"use": "z"}, environment=SOME
)


def test_a_description_comes_back_as_it_was_written(path):
    rows = kinds.common.PARAMETERS.table(seed=0, update=[0])
    tables.write(path, kinds.common.PARAMETERS, rows, RUN)
    assert Table(kinds.common.PARAMETERS, [path]).description == RUN


@pytest.mark.parametrize("description", [None, SOME])
def test_a_description_of_another_sort_is_refused_on_writing(path, description):
    with pytest.raises(TableError, match=r"table\.parquet: description: expected Trained, found (NoneType|Task)"):
        tables.write(path, kinds.common.PARAMETERS, kinds.common.PARAMETERS.table(seed=0, update=[0]), description)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ["description", "expected Task", "found none"]),
        ('{"use": "x"}', ["description.parameters", "expected Task", "Field required"]),
        ('{"use": 3, "parameters": {}}', ["description.use", "expected Task", "string"]),
        ('{"use": "x", "parameters": {}, "more": 1}', ["description.more", "expected Task", "not permitted"]),
        ("{", ["not a whole Parquet file", "no JSON"]),
        (b"\xff\xfe", ["not a whole Parquet file", "no JSON"]),
        ("[" * 100_000, ["not a whole Parquet file", "no JSON"]),
    ],
)
def test_a_wrong_description_is_one_line_with_file_expected_and_found(path, text, words):
    rows = sequences()
    pq.write_table(rows.replace_schema_metadata({tables.METADATA_KEY: text}) if text is not None else rows, path)
    with pytest.raises(TableError) as error:
        Table(kinds.bayes.SEQUENCES, [path])
    assert all(word in str(error.value) for word in [str(path), *words])
    assert "\n" not in str(error.value)


def test_pieces_of_a_run_have_one_description_with_all_seeds(tmp_path):
    paths = []
    for seed in (3, 1):
        paths.append(tmp_path / f"{seed}")
        described = RUN.model_copy(update={"seeds": [seed]})
        tables.write(
            paths[-1],
            kinds.common.LOG,
            kinds.common.LOG.table(run="a", seed=seed, update=1, quantity="q", value=[0.5]),
            described,
        )
    assert Table(kinds.common.LOG, paths).description == RUN.model_copy(update={"seeds": [1, 3]})


def test_pieces_that_differ_are_described_run_by_run(tmp_path):
    paths = []
    for run in "ab":
        paths.append(tmp_path / run)
        described = RUN.model_copy(update={"run": run, "parameters": {"rate": 1 if run == "a" else 2}})
        tables.write(
            paths[-1],
            kinds.common.LOG,
            kinds.common.LOG.table(run=run, seed=0, update=1, quantity=run, value=[0.5]),
            described,
        )
    table = Table(kinds.common.LOG, paths)
    with pytest.raises(TableError, match="expected one, found pieces that differ in run, parameters") as error:
        _ = table.description
    assert "\n" not in str(error.value)
    assert table.of_run("b").description.parameters == {"rate": 2}
    assert table.of_run("b").values("quantity").tolist() == ["b"]
    with pytest.raises(TableError, match="no table of run 'c'"):
        table.of_run("c")


def test_a_description_has_the_same_bytes_whatever_the_order_of_its_keys():
    one, other = (Task(use="x", parameters=given) for given in ({"a": 1, "b": [2]}, {"b": [2], "a": 1}))
    assert one.json_text() == other.json_text()


def test_a_reworded_meaning_changes_no_byte(tmp_path):
    reworded = replace(
        kinds.bayes.SEQUENCES,
        meaning="Otherwise.",
        columns=tuple(replace(column, meaning="x", unit="y", shape="z") for column in kinds.bayes.SEQUENCES.columns),
    )
    tables.write(tmp_path / "a", kinds.bayes.SEQUENCES, sequences(), SOME)
    tables.write(tmp_path / "b", reworded, sequences(), SOME)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_no_two_kinds_have_the_same_name():
    """Annotations name a kind with its module, all else by its name alone."""
    every_kind = [name for module in kinds.MODULES for name, kind in vars(module).items() if isinstance(kind, Kind)]
    assert len(every_kind) == len(set(every_kind))
    assert len({kind.name for kind in kinds.ALL.values()}) == len(kinds.ALL)


def test_every_column_of_every_kind_says_what_it_means():
    for kind in kinds.ALL.values():
        assert kind.meaning.endswith(".")
        for column in kind.columns:
            assert column.type in tables.TYPES
            assert column.meaning


WORDS = Kind(
    "words",
    "rows of words",
    (
        Column("agent", "text", "which", values=("trained", "untrained")),
        Column("run", "text", "of which run", values=("all",), names="runs"),
    ),
)


@pytest.mark.parametrize(
    ("row", "names", "said"),
    [
        ({"agent": "trained", "run": "base"}, {"runs": ["base"]}, None),
        ({"agent": "trained", "run": "all"}, {"runs": ["base"]}, None),
        ({"agent": "trained", "run": "other"}, {}, None),  # nobody says which there are
        ({"agent": "trainde", "run": "base"}, {"runs": ["base"]}, "column 'agent': no value 'trainde' (did you mean"),
        (
            {"agent": "trained", "run": "bass"},
            {"runs": ["base"]},
            "column 'run': no value 'bass' (did you mean",
        ),
        ({"agent": "trained", "run": "base"}, {"runs": []}, "column 'run': no value 'base'; allowed: all"),
    ],
)
def test_a_text_that_cannot_be_is_refused_on_writing(tmp_path, row, names, said):
    if said is None:
        tables.write(tmp_path / "words.parquet", WORDS, WORDS.table(**row), names=names)
        return
    with pytest.raises(TableError, match=re.escape(said)):
        tables.write(tmp_path / "words.parquet", WORDS, WORDS.table(**row), names=names)
    assert not [*tmp_path.iterdir()]
