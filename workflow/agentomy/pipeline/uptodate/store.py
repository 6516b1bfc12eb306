"""Earlier versions of a job's outputs, so that nothing is made twice.

An entry holds hard links to outputs and their record, under a key of the job and the contents of its inputs:
results/SCALE/STUDY/.store/STAGE/NAME/KEY/. An entry is built aside and renamed, so it is whole or not there. Whatever
goes wrong here changes no job: what is not in the store is made.
"""

import json
import os
import shutil
import uuid
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from agentomy.pipeline.uptodate import records
from agentomy.pipeline.uptodate.records import Record

RECORD = "record.json"


class Store:
    """The store of one job."""

    def __init__(self, record: str | Path, versions: int):
        """`record` is where the job's record is; `versions` how many versions of its outputs are kept."""
        path = Path(record)
        *top, folder, stage = path.parts[:5]
        self.folder = Path(*top, ".store", stage, *path.parts[5:]).with_suffix("")
        self.record, self.versions = path, versions
        assert folder == ".made"

    def has(self, key: str) -> bool:
        return (self.folder / key / RECORD).exists()

    def put(self, record: Record) -> bool:
        """Store the outputs that are in place, made as the record says; returns whether they are stored."""
        entry = self.folder / record.key
        if not self.versions or record.instead:
            return False
        aside = self.folder / f".{record.key}.{uuid.uuid4().hex}"
        try:
            if self.has(record.key):
                os.utime(entry)
            else:
                aside.mkdir(parents=True)
                for number, path in enumerate(record.outputs):
                    _link(Path(path), aside / str(number))
                (aside / RECORD).write_bytes(json.dumps(asdict(record)).encode())
                os.rename(aside, entry)
            self._prune(record.key)
        except OSError:
            shutil.rmtree(aside, ignore_errors=True)
            return self.has(record.key)
        return True

    def take(self, key: str) -> Record | None:
        """Put the outputs stored under a key back in their places, if they are still what they were."""
        entry = self.folder / key
        record = records.read(entry / RECORD)
        if record is None or record.key != key:
            return None
        try:
            for number, output in enumerate(record.outputs.values()):
                if records.fingerprint(entry / str(number)).content != output.content:
                    shutil.rmtree(entry, ignore_errors=True)
                    return None
            for number, path in enumerate(record.outputs):
                _replace(entry / str(number), Path(path))
            os.utime(entry)
        except OSError:
            return None
        return record

    def _prune(self, newest: str) -> None:
        """Remove all but the versions that were made or used last."""
        entries = [entry for entry in self.folder.iterdir() if not entry.name.startswith(".")]
        older = sorted((entry for entry in entries if entry.name != newest), key=lambda entry: -entry.stat().st_mtime)
        for entry in older[self.versions - 1 :]:
            shutil.rmtree(entry, ignore_errors=True)


def _link(source: Path, target: Path) -> None:
    """Give a finished file a second name; a file of another user is copied."""
    try:
        os.link(source, target)
    except OSError:
        if os.stat(source).st_uid == os.geteuid():  # this file system has no hard links
            raise
        shutil.copyfile(source, target)
    with suppress(OSError):
        os.chmod(target, os.stat(target).st_mode & ~0o222)


def _replace(source: Path, target: Path) -> None:
    """Put a stored file back in its place, as if it had just been made."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        try:
            os.link(source, part)
        except OSError:
            shutil.copyfile(source, part)
        os.utime(part)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)  # renaming one of two names of the same file to the other leaves both
