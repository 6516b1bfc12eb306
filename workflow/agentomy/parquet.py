"""Parquet files as bytes on a disk: opened so that a flipped bit is an error, and never seen half written.

Each page that we write carries a checksum, and each reader compares it. What no checksum covers, which is the footer
and the heads of pages, has a digest (`footer`) that is kept elsewhere: in the record of the artifact's making.
"""

import hashlib
import mmap
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

# How a table is written. The checksums are of its pages, and `reading` compares them.
WRITTEN = {"compression": "zstd", "write_page_checksum": True}
MAGIC = b"PAR1"  # how a file begins
SIZE, CHECKSUM = 3, 4  # numbers of fields of a page's head (parquet.thrift, PageHeader)


class TableError(Exception):
    """A table that is missing, broken or not of its kind; the message is one line fit for a user."""


class BrokenTable(TableError):
    """A file that is not a whole Parquet file."""

    def __init__(self, path: str | Path, reason: str):
        super().__init__(f"{path}: not a whole Parquet file ({reason})")
        self.path = Path(path)


@contextmanager
def reading(path: str | Path) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file by its path; any fault in it is raised as one line that names the file."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield file
    except FileNotFoundError:
        raise TableError(f"{path}: no such file") from None
    except (pa.ArrowException, OSError, UnicodeError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the system's trouble, not the file's
            raise TableError(f"{path}: cannot be read ({error.strerror})") from None
        raise BrokenTable(path, (str(error) or type(error).__name__).splitlines()[0]) from None


@contextmanager
def replacing(path: str | Path) -> Iterator:
    """Open a temporary file beside `path` for writing bytes; on success flush it and rename it to `path`."""
    path = Path(path)
    # a name that nobody has used: writing through a leftover link would change a stored version
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(part, path)
    except BaseException as error:
        with suppress(OSError):  # the first error is the one to be told
            part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise TableError(f"{path}: cannot be written ({error.strerror or error})") from error
        raise


def footer(path: str | Path) -> tuple[int, str]:
    """The size of a Parquet file, and a digest of all its bytes but the pages that carry a checksum of their own.

    A file whose pages pass their checksums (`reading`) and whose footer is the recorded one is the file that was
    written. It costs a look at the head of each page, whatever the pages hold. It is to be compared before a file is
    opened: some broken footers end the whole process inside of Arrow. Pages lie one behind the other from the fourth
    byte on; from where that is no longer so, everything is in the digest.
    """
    try:
        size = os.stat(path).st_size
        if not size:
            raise BrokenTable(path, "it is empty")
        with Path(path).open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
            total, at, place = hashlib.sha256(), 0, len(MAGIC)
            with suppress(IndexError, ValueError, RecursionError):  # that was no head of a page
                while True:
                    begins, length, checked = _page(data, place)
                    place = begins + length
                    if place > size:
                        break
                    if checked:
                        total.update(data[at:begins])
                        at = place
            total.update(data[at:])
            return size, total.hexdigest()
    except FileNotFoundError:
        raise TableError(f"{path}: no such file") from None
    except OSError as error:
        raise TableError(f"{path}: cannot be read ({error.strerror})") from None


def _page(data: mmap.mmap, at: int) -> tuple[int, int, bool]:
    """(where its data begin, their length, whether they have a checksum) of the page whose head is at this place."""
    integers: dict[int, int] = {}
    at = _struct(data, at, integers)
    if integers.get(SIZE, -1) < 0:
        raise ValueError
    return at, integers[SIZE], CHECKSUM in integers


# ---- Thrift's compact protocol, as much of it as it takes to find a struct's end ---------------------------------

TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
MOST = 1000  # entries of a list; in the head of a page there is none


def _struct(data: mmap.mmap, at: int, integers: dict[int, int] | None = None) -> int:
    """The place behind a struct; its integers are put into `integers` by the number of their field."""
    number = 0
    while data[at]:
        step, kind = data[at] >> 4, data[at] & 15
        at += 1
        if step:
            number += step
        else:
            number, at = _integer(data, at)
        if integers is not None and kind in (4, 5, 6):
            integers[number], at = _integer(data, at)
        elif kind not in (TRUE, FALSE):  # a flag is its own kind
            at = _value(data, at, kind)
    return at + 1


def _value(data: mmap.mmap, at: int, kind: int) -> int:
    """The place behind a value."""
    if kind in (TRUE, FALSE, BYTE):
        return at + 1
    if kind in (4, 5, 6):
        return _varint(data, at)[1]
    if kind == DOUBLE:
        return at + 8
    if kind == BINARY:
        length, at = _varint(data, at)
        return at + length
    if kind in (LIST, SET):
        count, type_of_elements = data[at] >> 4, data[at] & 15
        count, at = (count, at + 1) if count < 15 else _varint(data, at + 1)
        if count > MOST:
            raise ValueError
        for _ in range(count):
            at = _value(data, at, type_of_elements)
        return at
    if kind == STRUCT:
        return _struct(data, at)
    raise ValueError  # there is no map in the head of a page


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 128:
            return value, at
        if shift > 63:
            raise ValueError


def _integer(data: mmap.mmap, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return (value >> 1) ^ -(value & 1), at
