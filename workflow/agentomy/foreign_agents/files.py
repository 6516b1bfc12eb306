"""Files of unknown origin: read within bounds, and archives member by member without unpacking to disk."""

import os
import stat
import zipfile
import zlib
from io import BytesIO
from pathlib import Path, PurePosixPath

from agentomy.mistakes import ConfigError, shown

LARGEST = 4 * 2**30  # bytes of a file, and of all members of an archive together
MEMBERS = 20_000  # of an archive: a file of torch has one for each tensor
DENSEST = 1100  # bytes from one compressed byte: deflate itself reaches 1032

Place = Path | str  # of a file, or of a member in one, as errors name it
LONGEST = 60, 400  # characters of a key and of a problem: a file may hold names of any length


def refused(file: Place, key: str, problem: str) -> ConfigError:
    """The one line about a file; what it quotes of the file may be long, and is cut in the middle."""
    return ConfigError(file, *(_cut(text, longest) for text, longest in zip((key, problem), LONGEST, strict=True)))


def _cut(text: str, longest: int) -> str:
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]} … {text[-half:]}"


def contents(path: Path, largest: int = LARGEST) -> bytes:
    """All bytes of a regular file; links are followed, and what is no file is refused before it is read."""
    try:
        with open(path, "rb", opener=_waits_for_nobody) as handle:
            about = os.fstat(handle.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise refused(path, "", "found no regular file; allowed: a file")
            if about.st_size > largest:
                raise refused(path, "", f"found {about.st_size} bytes; allowed: at most {largest}")
            content = handle.read(largest + 1)  # it may grow meanwhile
    except (OSError, ValueError) as error:
        raise refused(path, "", getattr(error, "strerror", None) or str(error)) from None
    if len(content) > largest:
        raise refused(path, "", f"found more than {largest} bytes; allowed: at most that")
    return content


def _waits_for_nobody(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe without a writer would be waited for


class Archive:
    """A zip in memory: its members by name, each read within what it says of its size."""

    def __init__(self, content: bytes, file: Place, largest: int = LARGEST):
        self.file = file
        try:
            self._zip = zipfile.ZipFile(BytesIO(content))
            members = self._zip.infolist()
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError) as error:
            raise refused(file, "", f"a broken zip ({error})") from None
        if len(members) > MEMBERS:
            raise refused(file, "", f"found {len(members)} members; allowed: at most {MEMBERS}")
        for member in members:
            self._refuse(member)
        total = sum(member.file_size for member in members)
        if total > largest:
            raise refused(file, "", f"found members of {total} bytes together; allowed: at most {largest}")
        if total > DENSEST * len(content):  # that swell, or lie over each other
            raise refused(file, "", f"found members of {total} bytes in a file of {len(content)}: a zip bomb")
        self._members = {member.filename: member for member in members if not member.is_dir()}
        if len(self._members) < sum(not member.is_dir() for member in members):
            raise refused(file, "", "found a member twice; allowed: each name once")

    def _refuse(self, member: zipfile.ZipInfo) -> None:
        name = member.filename
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if ".." in parts or name.startswith(("/", "\\")) or (parts and parts[0].endswith(":")):
            raise refused(self.file, "", f"found the member {shown(name)}; allowed: names inside the archive")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise refused(self.file, "", f"found the symbolic link {shown(name)}; allowed: files")
        if member.flag_bits & 1:
            raise refused(self.file, "", f"found the encrypted member {shown(name)}; allowed: plain ones")

    @property
    def names(self) -> list[str]:
        return list(self._members)

    def read(self, name: str, largest: int = LARGEST) -> bytes:
        """One member; an error if it is missing, broken, or larger than it says."""
        if name not in self._members:
            some = ", ".join(sorted(self._members)[:6])
            raise refused(self.file, "", f"no member '{name}'; found: {some or 'none'}")
        member = self._members[name]
        if member.file_size > largest:
            raise refused(self.file, name, f"found {member.file_size} bytes; allowed: at most {largest}")
        try:
            with self._zip.open(member) as handle:
                content = handle.read(member.file_size + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError) as error:
            raise refused(self.file, name, f"a broken member ({error})") from None
        except Exception as error:  # compressed by lzma or bzip2, each with errors of its own
            raise refused(self.file, name, f"a broken member ({type(error).__name__})") from None
        if len(content) != member.file_size:
            raise refused(self.file, name, f"found more or less than the {member.file_size} bytes that it says")
        return content
