"""Data in foreign formats, such as a folder of images: its content counts, not its name or its dates.

A stage function says by the type `values.Foreign` which of its parameters are paths of such data; the plan then
puts a hash of the content into the job.
"""

import hashlib
import os
import stat
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from agentomy.pipeline.source.remembered import Remembered

NOTES = "agentomy-foreign.json"
YOUNG = 2.0  # seconds: a file so new can change again without another date


def digest(path: str) -> str:
    """A hash of a file, or of all files in a folder with their names in it; "missing" if there is nothing."""
    root, total, remembered = Path(path), hashlib.sha256(), Remembered(NOTES)
    try:
        for name, file in files(root):
            total.update(f"{name}\0{_hash(file, remembered)}\n".encode())
    except OSError as error:  # the job that reads it will report it
        return "missing" if isinstance(error, FileNotFoundError) else f"unreadable: {error.strerror}"
    remembered.keep()
    return total.hexdigest()[:16]


def hashes(paths: Iterable[Path]) -> list[str]:
    """The SHA-256 of each of these files; an `OSError` says which cannot be read."""
    remembered = Remembered(NOTES)
    digests = [_hash(path, remembered) for path in paths]
    remembered.keep()
    return digests


def _hash(file: Path, remembered: Remembered) -> str:
    """The hash of a file, from notes if it is surely the file that they are of."""
    key, began = _identity(file), time.time()
    content = remembered.answers.get(key) or hashed(file)
    if key == _identity(file) and began - changed(file) > YOUNG:  # it was not changed while it was read
        remembered.new |= key not in remembered.answers
        remembered.answers[key] = content
    return content


def files(root: Path) -> Iterator[tuple[str, Path]]:
    """(name inside the root, path) of every file, in order; links are followed, and special files are passed over."""
    if not stat.S_ISDIR(os.stat(root).st_mode):
        yield "", root
        return
    for folder, folders, names in os.walk(root, followlinks=True):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_file():
                yield str(path.relative_to(root)), path


def changed(file: Path) -> float:
    """When a file, or what is known of it, was last changed."""
    return max(os.stat(file).st_mtime, os.stat(file).st_ctime)


def hashed(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _identity(file: Path) -> str:
    """What changes when a file does: `cp -p` over it keeps size, date and inode, but not the time of the change."""
    state = os.stat(file)
    return f"{state.st_dev} {state.st_ino} {state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}"
