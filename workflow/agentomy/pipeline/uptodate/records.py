"""Records of how artifacts were made, one for each job: what a plan compares to know whether an artifact is up to date.

A record is written when everything else of its job is in place. It holds the job, what its inputs contained, and what
its outputs contain; so neither modification times nor Snakemake's memory of earlier runs has a say.
"""

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from agentomy import tables
from agentomy.pipeline.plan.jobs import Job, record_of
from agentomy.tables import BrokenTable, TableError

FORMAT = 1  # of records; another one makes everything anew


@dataclass(frozen=True)
class Made:
    """One output as it was when its job ended: size in bytes, hash of the whole file, hash of what describes it."""

    size: int
    content: str
    footer: str = ""  # of a Parquet file: everything that no checksum of its pages covers


@dataclass(frozen=True)
class Record:
    """How a job was done."""

    job: dict[str, Any]
    digest: str
    inputs: dict[str, str]  # file → hash of its content
    outputs: dict[str, Made]
    processor: str = ""  # its kind, for readers: it makes nothing stale
    adopted: str = ""  # the digest of the job that really made the outputs, if a person said that it is the same
    # what stands in the place of outputs that did not come whole with a pack; None: nothing
    instead: dict[str, Made | None] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def there(self) -> dict[str, Made]:
        """The files that have to be in place."""
        return {file: output for file, output in (self.outputs | self.instead).items() if output is not None}

    @property
    def key(self) -> str:
        """The key under which outputs are stored: the job and the content of its inputs."""
        return key(self.digest, self.inputs)


def as_recorded(job: Job) -> dict[str, Any]:
    """A job as it reads after a round trip through JSON."""
    return json.loads(job.text())


def key(digest: str, inputs: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps([FORMAT, digest, inputs], sort_keys=True).encode()).hexdigest()[:24]


def read(path: str | Path) -> Record | None:
    """The record at a path; None if there is none that can be read."""
    try:
        return parse(Path(path).read_bytes())
    except OSError:
        return None


def parse(content: bytes) -> Record | None:
    """The record that a text stands for; None if it is none."""
    try:
        parsed = json.loads(content)
        outputs = {file: Made(**output) for file, output in parsed.pop("outputs").items()}
        instead = {file: output and Made(**output) for file, output in parsed.pop("instead", {}).items()}
        record = Record(**parsed, outputs=outputs, instead=instead)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return record if record.format == FORMAT else None


def text(record: Record) -> bytes:
    return json.dumps(asdict(record), sort_keys=True, ensure_ascii=False, indent=1).encode()


def write(path: str | Path, record: Record) -> None:
    with tables.replacing(path) as handle:
        handle.write(text(record))


def fingerprint(path: str | Path) -> Made:
    """The present content of a file."""
    path = Path(path)
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    footer = tables.footer(path)[1] if path.suffix == ".parquet" else ""
    return Made(path.stat().st_size, content, footer)


# what chooses other kernels than a processor's own, in torch, MKL and OpenBLAS
KERNELS = ("ATEN_CPU_CAPABILITY", "MKL_CBWR", "OPENBLAS_CORETYPE")


@cache
def processor() -> str:
    """The kind of processor and kernels of this process: the last bits of what it computes may depend on them."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            first = file.read(8192).partition("\n\n")[0]  # of each core there is one
    except OSError:  # not Linux
        first = ""
    lines = dict(line.split(":", 1) for line in first.splitlines() if ":" in line)
    facts = {name.strip(): value.strip() for name, value in lines.items()}
    flags = facts.get("flags", "").split()
    vector = next((extension for extension in ("avx512f", "avx2", "avx") if extension in flags), "")
    names = ("vendor_id", "cpu family", "model", "CPU implementer", "CPU part")
    kind = [facts[name] for name in names if name in facts]
    chosen = [f"{name}={os.environ[name]}" for name in KERNELS if name in os.environ]
    return " ".join(filter(None, [platform.machine(), *kind, vector, *chosen]))


def content_of(files: Iterable[str]) -> dict[str, str]:
    """The content of input files by the records of the jobs that made them; refuses files that differ."""
    return {file: checked(file).content for file in files}


def checked(file: str) -> Made:
    """What the record says of a file, after a quick comparison with the file: pages are checked when they are read."""
    record = read(record_of(file))
    recorded = record and record.outputs.get(file)
    if not recorded:
        raise TableError(f"{file}: has no record of how it was made; run snakemake again")
    if file in record.instead:
        raise TableError(f"{file}: is not whole, as it came with a pack; run snakemake again")
    _compare(file, recorded)
    return recorded


def compare(path: Path, root: Path = Path("results")) -> None:
    """The same comparison for who is no job: a file below `root` of which no record is there is taken as it is."""
    place = path.relative_to(root)
    if len(place.parts) < len(("scale", "study", "file")):
        return
    file = f"results/{place.as_posix()}"
    record = read(root / Path(record_of(file)).relative_to("results"))
    if record is not None and file in record.there:
        _compare(path, record.there[file])


def _compare(file: str | Path, recorded: Made) -> None:
    try:
        size = os.stat(file).st_size
    except OSError as error:
        raise TableError(f"{file}: cannot be read ({error.strerror})") from None
    if size != recorded.size or (recorded.footer and tables.footer(file)[1] != recorded.footer):
        raise BrokenTable(file, "it is not the file that its record describes")


@dataclass(frozen=True)
class Difference:
    """What differs between a job as it was done and as it is planned, for a person; perhaps empty."""

    parts: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "; ".join(self.parts[:3]) + (f"; and {len(self.parts) - 3} more" if len(self.parts) > 3 else "")


def difference(before: dict[str, Any], after: dict[str, Any]) -> Difference:
    """The differences between two jobs (`dataclasses.asdict`): parameters by their dotted names, code, versions."""
    parts = []
    old, new = (dict(_flat(job.get("parameters", {}))) for job in (before, after))
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            parts.append(f"parameter {name} {_short(old.get(name))} → {_short(new.get(name))}")
    if before.get("use") != after.get("use"):
        parts.append(f"function {before.get('use')} → {after.get('use')}")
    elif before.get("code") != after.get("code"):
        parts.append(f"code of {after.get('use')}")
    for name in sorted({*before.get("versions", {}), *after.get("versions", {})}):
        was, now = (job.get("versions", {}).get(name) for job in (before, after))
        if was != now:
            parts.append(f"{name} {was or 'unused'} → {now or 'unused'}")
    old, new = (dict(_flat(job.get("options", {}))) for job in (before, after))
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            parts.append(f"{name} {_short(old.get(name))} → {_short(new.get(name))}")
    if before.get("inputs") != after.get("inputs"):
        parts.append("other inputs")
    return Difference(parts)


def _flat(value: Any, place: str = "") -> Iterable[tuple[str, Any]]:
    """The leaves of nested mappings as (dotted name, value)."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _flat(inner, f"{place}.{name}" if place else str(name))
    else:
        yield place, value


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 24 else f"{text[:21]}..."
