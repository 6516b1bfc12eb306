"""Files that would do harm if they were opened as their libraries open them."""

import io
import os
import pickle
import stat
import zipfile
from pathlib import Path


class Writes:
    """A pickle of it writes a file when it is loaded."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def zipped(path: Path, members: dict[str, bytes], compression=zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def replaced(source: Path, path: Path, members: dict[str, bytes]) -> Path:
    """A copy of a zip with these members instead of, or beside, its own."""
    with zipfile.ZipFile(source) as archive:
        kept = {name: archive.read(name) for name in archive.namelist()}
    return zipped(path, {**kept, **members})


def linked(path: Path, name: str, target: str) -> Path:
    """A zip in which a member is a symbolic link."""
    member = zipfile.ZipInfo(name)
    member.create_system, member.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, target)
    return path


def torch_zip(pickled: bytes, storages: dict[str, bytes] | None = None) -> bytes:
    """A file as `torch.save` lays it out, around any pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/byteorder", "little")
        for key, content in (storages or {}).items():
            archive.writestr(f"archive/data/{key}", content)
    return buffer.getvalue()


def pickled(value) -> bytes:
    return pickle.dumps(value, protocol=4)
