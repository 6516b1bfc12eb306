"""A hostile or damaged pack is refused in one line, and nothing of it is placed."""

import hashlib
import json
import random
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from agentomy import kinds, tables
from agentomy.mistakes import ConfigError
from agentomy.pipeline.packs import archive, unpack
from agentomy.pipeline.plan import decided
from agentomy.pipeline.uptodate import records
from agentomy.tables import Table, TableError
from tests.foundation.toy_chain import ONE, Folder

FLIPS = 150
PARAMETERS = f"results/smoke/toy/training/{ONE}.parameters.parquet"
CLAIMS = "results/smoke/toy/.made/claims/claims.json"


class Forged:
    """The entries of a pack, to be changed; the manifest follows unless a test says otherwise."""

    def __init__(self, file: Path):
        with zipfile.ZipFile(file) as given:
            self.files = {info.filename: given.read(info) for info in given.infolist()}
        self.manifest = json.loads(self.files.pop(archive.MANIFEST))
        self.said = {}  # of files, over what they are
        self.odd = lambda info: None  # changes entries
        self.twice = ()

    def record(self, place: str, change: Callable[[dict], None]) -> None:
        record = json.loads(self.files[place])
        change(record)
        self.files[place] = json.dumps(record).encode()

    def write(self, file: Path, manifest: bytes | None = None) -> None:
        files = {name: {"size": len(data), "content": digest(data)} for name, data in self.files.items()}
        text = json.dumps({**self.manifest, "files": files | self.said}).encode()
        with zipfile.ZipFile(file, "w") as out:
            for name, data in [*self.files.items(), *self.twice, (archive.MANIFEST, manifest or text)]:
                info = zipfile.ZipInfo(name)
                self.odd(info)
                out.writestr(info, data)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def added(name: str) -> Callable[[Forged], None]:
    return lambda forged: forged.files.update({name: b"x"})


def recorded(change: Callable[[dict], object], place: str = CLAIMS) -> Callable[[Forged], None]:
    return lambda forged: forged.record(place, change)


def manifest(**said) -> Callable[[Forged], None]:
    return lambda forged: forged.manifest.update(said)


def entries(change: Callable[[zipfile.ZipInfo], None]) -> Callable[[Forged], None]:
    def odd(info):
        if info.filename == PARAMETERS:
            change(info)

    return lambda forged: setattr(forged, "odd", odd)


def mode(kind: int) -> Callable[[Forged], None]:
    return entries(lambda info: setattr(info, "external_attr", (kind | 0o644) << 16))


def lie(**said) -> Callable[[Forged], None]:
    def change(forged):
        data = forged.files[PARAMETERS]
        forged.said[PARAMETERS] = {"size": len(data), "content": digest(data)} | said

    return change


def emptied(forged: Forged) -> None:
    forged.files[PARAMETERS] = b""
    empty = {"size": 0, "content": digest(b""), "footer": ""}
    forged.record(
        f"results/smoke/toy/.made/training/{ONE}.json", lambda record: record["outputs"].update({PARAMETERS: empty})
    )


def deep(levels: int) -> dict:
    nested = {}
    for _ in range(levels):
        nested = {"a": nested}
    return nested


HOSTILE = {
    "a file outside": added("../../outside"),
    "a file outside, from the results on": added("results/smoke/toy/../../../outside"),
    "an absolute file": added("/tmp/outside"),
    "code": added("workflow/agentomy/command.py"),
    "configuration": added("config.yaml"),
    "a file for the store": added("results/smoke/toy/.store/claims/claims/0/record.json"),
    "a file beside": added("results/smoke/toy/metrics/other.parquet"),
    "a restart file": added("results/smoke/toy/training/.restart/one.seeds0-0/state"),
    "another scale": added("results/paper/toy/.made/claims/claims.json"),
    "a name of another form": added("results/smoke/<script>/metrics/a.parquet"),
    "a name with a line break": added("results/smoke/toy/metrics/a\nb.parquet"),
    "a hidden study": added("results/smoke/.toy/.made/claims/claims.json"),
    "a backslash": added("results\\smoke\\toy\\x"),
    "a drive": added("C:/x"),
    "a folder": added("results/smoke/toy/metrics/"),
    "a symbolic link": mode(stat.S_IFLNK),
    "a device": mode(stat.S_IFCHR),
    "a pipe": mode(stat.S_IFIFO),
    "a socket": mode(stat.S_IFSOCK),
    "compressed": entries(lambda info: setattr(info, "compress_type", zipfile.ZIP_DEFLATED)),
    "compressed otherwise": entries(lambda info: setattr(info, "compress_type", zipfile.ZIP_LZMA)),
    "another digest": lie(content="0" * 64),
    "no digest": lie(content="../../x"),
    "a smaller size": lie(size=3),
    "a greater size": lie(size=10**15),
    "a size below zero": lie(size=-1),
    "a size that is none": lie(size="3"),
    "a digest in capitals": lie(content="A" * 64),
    "an empty table": emptied,
    "a file that is not there": lambda forged: forged.said.update({"results/x": {"size": 1, "content": "0" * 64}}),
    "a record without its files": lambda forged: forged.files.pop(PARAMETERS),
    "files without a record": lambda forged: forged.files.pop(CLAIMS),
    "another format": manifest(format=2),
    "a format that is none": manifest(format=True),
    "a scale that is none": manifest(scale="huge"),
    "a study that is none": manifest(study="unknown"),
    "a study outside": manifest(study="../toy"),
    "a study with a line break": manifest(study="toy\n"),
    "a key more": manifest(run="rm"),
    "seeds without end": manifest(seeds=10**12),
    "a version that breaks the line": manifest(agentomy="1\n2"),
    "a record that is none": lambda forged: forged.files.update({CLAIMS: b"{}"}),
    "a record of another format": recorded(lambda record: record.update(format=2)),
    "a record of another job": recorded(lambda record: record["job"].update(name="other")),
    "a record with a key more": recorded(lambda record: record.update(more=1)),
    "a job with a key more": recorded(lambda record: record["job"].update(more=1)),
    "a job with a key less": recorded(lambda record: record["job"].pop("code")),
    "a job that is none": recorded(lambda record: record.update(job=[])),
    "versions that are none": recorded(lambda record: record["job"].update(versions=[1])),
    "an input outside": recorded(lambda record: record["inputs"].update({"../../etc/passwd": "0" * 64})),
    "an input that is no path": recorded(lambda record: record["inputs"].update({"": "0" * 64})),
    "an input of another scale": recorded(
        lambda record: record["inputs"].update({"results/paper/toy/metrics/a.parquet": "0" * 64})
    ),
    "an input through a folder": recorded(
        lambda record: record["inputs"].update({"results/smoke/toy/metrics/../a.parquet": "0" * 64})
    ),
    "an input's hash that is none": recorded(
        lambda record: [record["inputs"].update({k: 3}) for k in record["inputs"]]
    ),
    "an output outside": recorded(
        lambda record: record["outputs"].update({"x": next(iter(record["outputs"].values()))})
    ),
    "an output less": recorded(lambda record: record["outputs"].popitem()),
    "an output in the place of another": recorded(lambda record: record.update(instead={"x": None})),
    "an output's size that is none": recorded(
        lambda record: [output.update(size="1") for output in record["outputs"].values()]
    ),
    "a footer that is none": recorded(
        lambda record: record["outputs"]["results/smoke/toy/claims.parquet"].update(footer="0" * 64)
    ),
    "a digest that is none": recorded(lambda record: record.update(digest="x")),
    "a digest that leads out": recorded(lambda record: record.update(digest="../../x")),
    "a processor that breaks the line": recorded(lambda record: record.update(processor="a\nb")),
    "a processor that is none": recorded(lambda record: record.update(processor=3)),
    "escapes for a terminal": recorded(lambda record: record["job"]["parameters"].update({"\x1b[2J": 1})),
    "a text from right to left": recorded(lambda record: record["job"]["versions"].update({"numpy": "\u202e1"})),
    "a deep record": recorded(lambda record: record["job"].update(parameters=deep(300))),
}


@pytest.fixture(scope="module")
def good(source, tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("good") / "toy.zip"
    source.pack(file)
    return file


def refusal(folder: Folder, file: Path) -> str:
    """The line by which a pack is refused; nothing is placed by it, inside of the results or outside."""

    def outside():
        paths = (path.relative_to(folder.path.parent) for path in folder.path.parent.rglob("*"))
        return {path for path in paths if "results" not in path.parts}

    before = outside()
    with pytest.raises((ConfigError, TableError)) as refused:
        folder.unpack(file)
    assert folder.files == {}
    assert outside() == before
    line = str(refused.value)
    assert line
    assert line.isprintable(), repr(line)
    assert len(line) < 1000
    return line


def test_seeds_that_a_pack_does_not_hold_are_not_taken_over(good, here, tmp_path):
    forged = Forged(good)
    forged.manifest["decided"] = {"toy.one": 50, "toy.none": 2, "none.one": 2}
    forged.write(tmp_path / "forged.zip")
    said = here.unpack(tmp_path / "forged.zip")
    assert not decided.place("smoke").exists()
    assert said[-1].startswith("all of it fits")


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_pack_is_one_line_and_places_nothing(good, here, tmp_path, what):
    forged = Forged(good)
    HOSTILE[what](forged)
    forged.write(tmp_path / "bad.zip")
    refusal(here, tmp_path / "bad.zip")


MANIFESTS = {
    "nothing": b" ",
    "no JSON": b"{",
    "no text": b"\xff\xfe\x00",
    "a list": b"[]",
    "a number": b"3",
    "too deep": b"[" * 200_000,
    "a number without end": b'{"format": ' + b"9" * 100_000 + b"}",
    "files that are none": b'{"format": 1, "files": 3}',
    "NaN": b'{"format": NaN}',
}


@pytest.mark.parametrize("what", MANIFESTS)
def test_a_manifest_that_is_none_is_one_line(good, here, tmp_path, what):
    Forged(good).write(tmp_path / "bad.zip", MANIFESTS[what])
    assert "manifest.json" in refusal(here, tmp_path / "bad.zip")


def test_the_file_that_is_not_what_the_manifest_says_is_named(good, here, tmp_path):
    forged = Forged(good)
    lie(content="0" * 64)(forged)
    forged.record(
        f"results/smoke/toy/.made/training/{ONE}.json",
        lambda record: record["outputs"][PARAMETERS].update(content="0" * 64),
    )
    forged.write(tmp_path / "bad.zip")
    assert f"{PARAMETERS}: is not what the manifest says" in refusal(here, tmp_path / "bad.zip")


def test_a_bomb_is_refused_before_it_is_read(good, here, tmp_path):
    forged = Forged(good)
    forged.twice = [(PARAMETERS, b"x")]
    with pytest.warns(UserWarning, match="Duplicate name"):
        forged.write(tmp_path / "twice.zip")
    assert "found a name twice" in refusal(here, tmp_path / "twice.zip")
    with zipfile.ZipFile(tmp_path / "over.zip", "w") as out:  # many names for the same bytes
        out.writestr("a", b"0" * 10_000)
        for number in range(100):
            again = zipfile.ZipInfo(f"b{number}")
            again.header_offset, again.file_size, again.compress_size, again.CRC = 0, 10_000, 10_000, 0
            out.filelist.append(again)
            out.NameToInfo[again.filename] = again
    assert "lie over each other" in refusal(here, tmp_path / "over.zip")


def test_a_list_of_names_without_end_is_not_read(good, here, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "LARGEST", 1000)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *given: pytest.fail("was read"))
    assert "a list of names of" in refusal(here, good)


@pytest.mark.parametrize("content", [b"", b"PK", b"x" * 100, b"PK\5\6" + bytes(18), bytes(100_000)])
def test_what_is_no_archive_is_one_line(here, tmp_path, content):
    (tmp_path / "bad.zip").write_bytes(content)
    refusal(here, tmp_path / "bad.zip")


def test_no_flipped_bit_and_no_cut_is_placed(source, good, here, tmp_path):
    """Each is refused in one line, or what is placed is what was made, as where a bit of a date is flipped."""
    content, chance = good.read_bytes(), random.Random(1)
    ends = zipfile.ZipFile(good).start_dir
    want, refused = None, []
    for number in range(FLIPS):
        bad = bytearray(content)
        if number % 10 == 0:
            bad = bad[: chance.randrange(len(bad))]
        else:  # every other one in the list of names
            place = chance.randrange(ends, len(bad)) if number % 2 else chance.randrange(len(bad))
            bad[place] ^= 1 << chance.randrange(8)
        (tmp_path / "bad.zip").write_bytes(bad)
        try:
            here.unpack(tmp_path / "bad.zip")
        except (ConfigError, TableError) as error:
            refused.append(str(error))
            assert here.files == {}
        else:
            want = want or source.toy
            assert here.files == want
            shutil.rmtree("results")
    assert all(line.isprintable() for line in refused)
    assert len(refused) > FLIPS / 2


def test_the_page_of_claims_is_written_here_from_the_table(good, here, tmp_path):
    forged = Forged(good)
    page = "results/smoke/toy/claims.html"
    forged.files[page] = b"<script>alert(1)</script>"
    forgery = {"size": len(forged.files[page]), "content": digest(forged.files[page]), "footer": ""}
    forged.record(CLAIMS, lambda record: record["outputs"].update({page: forgery}))
    forged.write(tmp_path / "bad.zip")
    for _ in range(2):
        here.unpack(tmp_path / "bad.zip")
    assert (here.path / page).read_bytes() == Forged(good).files[page]
    assert here.states() == {}


def test_a_table_of_verdicts_that_would_fill_the_memory_is_not_read(good, here, monkeypatch):
    monkeypatch.setattr(unpack, "LARGEST", 100)
    monkeypatch.setattr(unpack, "Table", lambda *given: pytest.fail("was read"))
    assert "bytes of verdicts; allowed: 100" in refusal(here, good)


def test_text_in_a_claim_cannot_move_a_terminal(good, here, tmp_path):
    forged, file = Forged(good), "results/smoke/toy/claims.parquet"
    table = Table(kinds.common.CLAIMS, rows=_read(forged.files[file], tmp_path))
    rows = table.arrow()
    says = np.array(["\x1b]0;x\x07"] * len(rows), dtype=object)
    given = {name: rows[name].to_numpy() for name in rows.column_names} | {"says": says}
    tables.write(tmp_path / "claims.parquet", kinds.common.CLAIMS, kinds.common.CLAIMS.table(**given))
    forged.files[file] = (tmp_path / "claims.parquet").read_bytes()
    output = vars(records.fingerprint(tmp_path / "claims.parquet"))
    forged.record(CLAIMS, lambda record: record["outputs"].update({file: output}))
    (tmp_path / "claims.parquet").unlink()
    forged.write(tmp_path / "bad.zip")
    assert "found text with control characters" in refusal(here, tmp_path / "bad.zip")


def _read(content: bytes, folder: Path):
    (folder / "read.parquet").write_bytes(content)
    claims = Table(kinds.common.CLAIMS, [folder / "read.parquet"]).arrow()
    (folder / "read.parquet").unlink()
    return claims
