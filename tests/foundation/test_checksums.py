"""No flipped bit of a table goes unnoticed."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from agentomy import kinds, tables
from agentomy.descriptions import Extracted, Task, Trained
from agentomy.explorer.results import Results
from agentomy.pipeline.report import scoreboard
from agentomy.pipeline.uptodate import records
from agentomy.pipeline.uptodate.records import Record
from agentomy.tables import Column, Table, TableError
from tests.described import SOME, extracted, trained
from tests.foundation.small_tables import sequences


def test_whoever_reads_a_table_compares_checksums():
    """There is one place in the package that opens Parquet files."""
    folder = Path(tables.__file__).parent
    opens = re.compile(r"ParquetFile\(|read_parquet|read_table|import dataset")
    readers = [path.name for path in folder.rglob("*.py") if opens.search(path.read_text(encoding="utf-8"))]
    assert readers == ["parquet.py"]


def cell(kind: tables.Kind, column: Column, rng: np.random.Generator, rows: int):
    if column.type == "text":
        words = column.values or [f"text {number}" for number in range(3)]
        return np.array([words[row % len(words)] for row in range(rows)])
    if column.type == "flag":
        return rng.integers(2, size=rows).astype(bool)
    size = (rows, 6) if column.name in kind.lists else rows
    return rng.integers(100, size=size) if column.type in ("integer", "bytes8", "unsigned8") else rng.normal(size=size)


FLIPS = 25  # in an artifact of each kind
SAID = {None: None, Task: SOME, Trained: trained(), Extracted: extracted(part="x")}


def planted(path, kind, rng, rows=40):
    tensors = {"encoder.weight": rng.normal(size=(rows, 3, 2))} if kind.tensors else {}

    def piece():
        return kind.table(**{column.name: cell(kind, column, rng, rows) for column in kind.columns}, **tensors)

    pieces = [piece(), piece()]
    tables.write(path, kind, iter(pieces), SAID[kind.description])


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


def test_who_reads_beside_the_jobs_compares_with_the_record_too(tmp_path):
    """The explorer, the report and what is printed of verdicts: a bit that Arrow passes over is an error there."""
    kind, root = kinds.common.CLAIMS, tmp_path / "any"
    study = root / "smoke" / "toy"
    path, file = study / "claims.parquet", "results/smoke/toy/claims.parquet"
    planted(path, kind, np.random.default_rng(0))
    readers = (
        lambda: records.compare(path, root),
        lambda: Results(root, "smoke").table(kind, path),
        lambda: scoreboard.score(study),
    )
    data = path.read_bytes()
    records.write(study / ".made/claims/claims.json", Record({}, "", {}, {file: records.fingerprint(path)}))
    for read in readers:
        read()
    at = data.index(b"parquet-cpp-arrow")  # who wrote it: nothing depends on that
    path.write_bytes(data[:at] + b"q" + data[at + 1 :])
    assert Table(kind, [path]).arrow()
    for read in readers:
        with pytest.raises(TableError, match="not the file that its record describes"):
            read()
    (study / ".made/claims/claims.json").unlink()  # nothing is known of it
    for read in readers:
        read()
