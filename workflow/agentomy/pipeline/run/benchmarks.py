"""The costs of a job: wall time, processor time and peak memory, in a file beside its log.

Snakemake's `benchmark:` watches its own children. A job that is a fork of the warm server is none of them, so each job
measures itself, under the column names that Snakemake uses.
"""

import os
import resource
import sys
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path


def place(stage: str, name: str, log: Path) -> Path:
    """The benchmark file of a job by its log: `…/logs/STAGE/NAME.log` → `…/benchmarks/STAGE/NAME.tsv`."""
    inner = stage if stage == "claims" else f"{stage}/{name}"
    return Path(str(log).removesuffix(f"logs/{inner}.log")) / "benchmarks" / f"{inner}.tsv"


def write(path: Path, began: float, process: str) -> None:
    """The costs of this process since `began`, a time of `time.monotonic`.

    `process` is "warm" in a fork of the server, else "cold". The peak memory of a fork begins at
    the server's, most of which all forks share.
    """
    seconds, used = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF)
    row = {
        "s": f"{seconds:.4f}",
        "h:m:s": str(timedelta(seconds=int(seconds))),
        "max_rss": f"{peak_memory():.2f}",
        "cpu_time": f"{used.ru_utime + used.ru_stime:.2f}",
        "process": process,
    }
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with suppress(OSError):  # no result depends on it
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text("\t".join(row) + "\n" + "\t".join(row.values()) + "\n", encoding="utf-8")
        os.replace(part, path)


def peak_memory() -> float:
    """The peak memory of this process, in MB (2²⁰ bytes)."""
    with suppress(OSError):
        # getrusage also counts what the process was before it became this program: a copy of Snakemake
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
