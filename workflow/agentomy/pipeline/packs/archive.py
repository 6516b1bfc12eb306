"""The file of a pack: a ZIP in which nothing is compressed, since tables and pictures are already.

So what it holds is never larger than itself, and the same files give the same bytes. Its manifest says what there is,
with sizes and digests. Everything is compared with it while it is read, and nothing is read that it does not name.
"""

import hashlib
import json
import os
import re
import stat
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from pydantic import AfterValidator, Field

from agentomy import tables
from agentomy.mistakes import ConfigError, printable, shown, validated
from agentomy.pipeline.plan.config import Closed, Scale, Seeds
from agentomy.pipeline.plan.study_file import NAME, NAMES
from agentomy.values import Line

FORMAT = 1  # of packs
MANIFEST = "manifest.json"
HASH = re.compile(r"[0-9a-f]{64}")
LARGEST = 2**24  # bytes of the manifest, of a record, and of the list of names in the archive
CHUNK = 2**20
WHEN = (1980, 1, 1, 0, 0, 0)  # the same files give the same archive
BROKEN = (zipfile.BadZipFile, NotImplementedError, ValueError, RuntimeError, EOFError, struct.error, IndexError)
END, END_64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q")  # of a ZIP's list of names
LONGEST = 200  # of a name that is quoted
LOCATOR = 20  # bytes between the two


def _hash(text: str) -> str:
    if not HASH.fullmatch(text):
        raise ValueError("64 digits from 0 to f")
    return text


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise ValueError(NAMES)
    return text


class Member(Closed):
    """A file with its size and digest."""

    size: Annotated[int, Field(ge=0)]
    content: Annotated[str, AfterValidator(_hash)]


class Manifest(Closed):
    """What a pack says about itself."""

    format: int
    agentomy: Line
    scale: Scale
    study: Annotated[str, AfterValidator(_name)]
    seeds: Seeds | None
    overrides: dict[Line, Any]
    decided: dict[Line, Seeds]  # STUDY.RUN → seeds that `agentomy decide` has added
    parameters: Line
    extractions: Line
    files: dict[str, Member]


class Writer:
    """Writes a pack; the manifest comes last, when all is known."""

    def __init__(self, handle: BinaryIO):
        self.zip, self.files = zipfile.ZipFile(handle, "w", zipfile.ZIP_STORED), {}

    def add(self, name: str, source: Path) -> Member:
        """Put a file in under a name; returns what it contains."""
        total = hashlib.sha256()
        try:
            file = source.open("rb")
        except OSError as error:
            raise ConfigError(name, "", f"cannot be read ({error.strerror})") from None
        with file, self._entry(name, os.fstat(file.fileno()).st_size) as entry:
            size = 0
            while chunk := file.read(CHUNK):
                total.update(chunk)
                size += len(chunk)
                entry.write(chunk)
        self.files[name] = Member(size=size, content=total.hexdigest())
        return self.files[name]

    def add_text(self, name: str, content: bytes) -> None:
        with self._entry(name, len(content)) as entry:
            entry.write(content)
        self.files[name] = Member(size=len(content), content=hashlib.sha256(content).hexdigest())

    def finish(self, **said: Any) -> None:
        manifest = Manifest(format=FORMAT, agentomy=version("agentomy"), files=self.files, **said)
        text = json.dumps(manifest.model_dump(), ensure_ascii=False, sort_keys=True, indent=1).encode()
        with self._entry(MANIFEST, len(text)) as entry:
            entry.write(text)

    def _entry(self, name: str, size: int):
        info = zipfile.ZipInfo(name, WHEN)
        info.create_system, info.external_attr = 3, (stat.S_IFREG | 0o644) << 16
        return self.zip.open(info, "w", force_zip64=size >= zipfile.ZIP64_LIMIT)


@contextmanager
def opened(path: Path) -> Iterator["Archive"]:
    """Open a pack; any fault in it is raised as one line."""
    try:
        _refuse_long_list(path)
        zip_file = zipfile.ZipFile(path)
        with zip_file:
            archive = Archive(path, zip_file)
    except OSError as error:
        raise ConfigError(path, "", f"cannot be read ({error.strerror or error})") from None
    except BROKEN as error:
        raise ConfigError(path, "", f"not a whole pack ({' '.join(str(error).split())})") from None
    with zipfile.ZipFile(path) as archive.zip:
        yield archive


def _refuse_long_list(path: Path) -> None:
    """Look at how long the list of names is, which `zipfile` reads as a whole. A pack has no comment behind it."""
    with path.open("rb") as file:
        total = file.seek(0, os.SEEK_END)
        if total < END.size:
            raise zipfile.BadZipFile("it is too short")
        file.seek(total - END.size)
        mark, *_, size, _, comment = END.unpack(file.read(END.size))
        if mark != b"PK\5\6" or comment:
            raise zipfile.BadZipFile("it does not end as one")
        if total > END.size + LOCATOR + END_64.size:
            file.seek(total - END.size - LOCATOR - END_64.size)
            mark, *_, size_64, _ = END_64.unpack(file.read(END_64.size))
            size = max(size, size_64) if mark == b"PK\6\6" else size
        if size > LARGEST:
            raise zipfile.BadZipFile(f"a list of names of {size} bytes; allowed: {LARGEST}")


class Archive:
    """A pack that is open for reading."""

    def __init__(self, path: Path, archive: zipfile.ZipFile):
        self.path, self.zip = path, archive
        entries = archive.infolist()
        for info in entries:
            kind = stat.S_IFMT(info.external_attr >> 16)
            if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size or info.flag_bits & 1:
                raise self.wrong(info.filename, "is compressed or encrypted; allowed: files as they are")
            if kind not in (0, stat.S_IFREG) or info.is_dir():
                raise self.wrong(info.filename, "is no file; allowed: files")
        self.entries = {info.filename: info for info in entries}
        if len(self.entries) < len(entries):
            raise self.wrong("", "found a name twice")
        if sum(info.file_size for info in entries) > path.stat().st_size:
            raise self.wrong("", "found files that lie over each other")
        self.manifest = self._manifest()
        if {*self.entries} != {MANIFEST, *self.manifest.files}:
            odd = min({*self.entries} ^ {MANIFEST, *self.manifest.files})
            raise self.wrong(odd, "is in the archive or in its manifest, and not in both")

    def wrong(self, name: str, problem: str) -> ConfigError:
        return ConfigError(self.path, printable(name)[:LONGEST], problem)

    def _manifest(self) -> Manifest:
        if MANIFEST not in self.entries:
            raise self.wrong("", f"no pack: it has no {MANIFEST}")
        if self.entries[MANIFEST].file_size > LARGEST:
            raise self.wrong(MANIFEST, f"found {self.entries[MANIFEST].file_size} bytes; allowed: {LARGEST}")
        try:
            manifest = json.loads(self.zip.read(MANIFEST))
        except RecursionError:
            raise self.wrong(MANIFEST, "is nested too deeply") from None
        except ValueError as error:
            raise self.wrong(MANIFEST, f"is no JSON ({str(error).partition(';')[0]})") from None
        said = manifest.get("format") if isinstance(manifest, dict) else None
        if said != FORMAT:
            raise self.wrong(MANIFEST, f"format: found {shown(said)}; allowed: {FORMAT}, as this version writes")
        return validated(Manifest, manifest, self.path, MANIFEST)

    def text(self, name: str) -> bytes:
        """A small file, compared with the manifest."""
        if self.manifest.files[name].size > LARGEST:
            raise self.wrong(name, f"found {self.manifest.files[name].size} bytes; allowed: {LARGEST}")
        return b"".join(self._chunks(name))

    def copy(self, name: str, target: Path) -> None:
        """Write a file, flushed, compared with the manifest while it is read."""
        try:
            with target.open("xb") as handle:
                for chunk in self._chunks(name):
                    handle.write(chunk)
                handle.flush()
                os.fsync(handle.fileno())
        except OSError as error:
            raise tables.TableError(f"{target.parent}: cannot be written ({error.strerror or error})") from None

    def _chunks(self, name: str) -> Iterator[bytes]:
        said, total, size = self.manifest.files[name], hashlib.sha256(), 0
        if self.entries[name].file_size != said.size:
            raise self.wrong(name, f"found {self.entries[name].file_size} bytes; the manifest says {said.size}")
        try:
            with self.zip.open(name) as entry:
                while chunk := entry.read(CHUNK):
                    total.update(chunk)
                    size += len(chunk)
                    yield chunk
        except BROKEN as error:
            raise self.wrong(name, f"cannot be read ({printable(' '.join(str(error).split()))})") from None
        if size != said.size or total.hexdigest() != said.content:
            raise self.wrong(name, "is not what the manifest says (another digest)")
