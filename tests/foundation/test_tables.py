"""Tables: what is written is read back, what is wrong is refused by name, and no reader meets half a file."""

import hashlib
import re
import resource
from dataclasses import replace
from pathlib import Path

import duckdb
import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from agentomy import kinds, tables
from agentomy.descriptions import Extracted, Task, Trained
from agentomy.tables import BrokenTable, Column, Kind, Table, TableError
from tests.described import SOME, extracted, trained


def sequences(rows=3, steps=4):
    return kinds.bayes.SEQUENCES.table(
        episode=np.arange(rows),
        parameters=np.ones((rows, 2)),
        observations=np.arange(rows * steps).reshape(rows, steps),
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "table.parquet"


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

FREE = replace(
    kinds.common.COMPARISON,
    columns=(*kinds.common.COMPARISON.columns[:-1], Column("value", "number", "…", finite=False)),
)
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


def test_whoever_reads_a_table_compares_checksums():
    """There is one place in the package that opens Parquet files."""
    folder = Path(tables.__file__).parent
    opens = re.compile(r"ParquetFile\(|read_parquet|read_table|import dataset")
    readers = [path.name for path in folder.rglob("*.py") if opens.search(path.read_text(encoding="utf-8"))]
    assert readers == ["parquet.py"]


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


# ---- filters ---------------------------------------------------------------------------------------------------------

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


# ---- flipped bits ----------------------------------------------------------------------------------------------------


def cell(kind: tables.Kind, column: Column, rng: np.random.Generator, rows: int):
    if column.type == "text":
        words = column.values or [f"text {number}" for number in range(3)]
        return np.array([words[row % len(words)] for row in range(rows)])
    if column.type == "flag":
        return rng.integers(2, size=rows).astype(bool)
    size = (rows, 6) if column.name in kind.lists else rows
    return rng.integers(100, size=size) if column.type in ("integer", "bytes8", "unsigned8") else rng.normal(size=size)


FLIPS = 25  # in an artifact of each kind
SAID = {None: None, Task: SOME, Trained: RUN, Extracted: extracted(part="x")}


def planted(path, kind, rng, rows=40):
    tensors = {"encoder.weight": rng.normal(size=(rows, 3, 2))} if kind.tensors else {}

    def piece():
        return kind.table(**{column.name: cell(kind, column, rng, rows) for column in kind.columns}, **tensors)

    pieces = [piece(), piece()]
    tables.write(path, kind, iter(pieces), SAID[kind.description])


def test_no_two_kinds_have_the_same_name():
    """Annotations name a kind with its module, all else by its name alone."""
    every_kind = [name for module in kinds.MODULES for name, kind in vars(module).items() if isinstance(kind, Kind)]
    assert len(every_kind) == len(set(every_kind))
    assert len({kind.name for kind in kinds.ALL.values()}) == len(kinds.ALL)


@pytest.mark.parametrize("name", kinds.ALL)
def test_no_flipped_bit_goes_unnoticed(tmp_path, name):
    """In data pages the reader's checksums notice it, elsewhere the footer's digest: of every kind of artifact."""
    kind, path, rng = kinds.ALL[name], tmp_path / "table.parquet", np.random.default_rng(sum(map(ord, name)))
    planted(path, kind, rng)
    data, recorded = path.read_bytes(), tables.footer(path)
    assert recorded[0] == len(data)
    for place, bit in zip(rng.integers(len(data), size=FLIPS), rng.integers(8, size=FLIPS), strict=True):
        flipped = bytearray(data)
        flipped[place] ^= 1 << bit
        path.write_bytes(flipped)
        try:
            noticed = tables.footer(path) != recorded or not Table(kind, [path]).arrow()
        except TableError as error:
            noticed = "\n" not in str(error)
        assert noticed, f"bit {bit} of byte {place} of {len(data)}"


def test_most_of_a_large_table_is_covered_by_checksums_of_pages(path):
    """So the digest of the rest costs little, however large the file."""
    rows = kinds.bayes.SEQUENCES.table(
        episode=np.arange(500),
        parameters=np.ones((500, 1)),
        observations=np.random.default_rng(0).normal(size=(500, 500)),
    )
    tables.write(path, kinds.bayes.SEQUENCES, rows, SOME)
    hashed, sha256 = [], hashlib.sha256

    class Counting:
        def __init__(self):
            self.total = sha256()

        def update(self, data):
            hashed.append(len(data))
            self.total.update(data)

        def hexdigest(self):
            return self.total.hexdigest()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("agentomy.parquet.hashlib.sha256", Counting)
        size, _ = tables.footer(path)
    assert sum(hashed) < size / 100


def test_a_page_without_a_checksum_is_part_of_the_digest(path):
    said = sequences().replace_schema_metadata({tables.METADATA_KEY: SOME.json_text()})
    pq.write_table(said, path, compression="none")
    recorded, data = tables.footer(path), bytearray(path.read_bytes())
    data[data.index(np.arange(3).tobytes())] ^= 64
    path.write_bytes(data)
    assert tables.footer(path) != recorded


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
