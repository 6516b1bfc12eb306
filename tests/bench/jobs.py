"""What a job of each stage costs, cold and as a fork of the warm server: `python -m tests.bench.jobs`.

Both take turns; medians of processor time and of wall time, the client and the server's part included. The last row is
the start of the server, until it has done its first job.
"""

import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

from tests.pipeline.runners import serving, short_chain

TURNS, JOBS = 7, None  # how many of the chain's jobs: all


def spent(server: int) -> tuple[float, float]:
    """Processor seconds of this process's children that have ended, and of the server with its; and the time."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    ticks = Path(f"/proc/{server}/stat").read_text().rpartition(") ")[2].split()[11:15]
    return used.ru_utime + used.ru_stime + sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"), time.monotonic()


def main() -> None:
    taken = {}
    with tempfile.TemporaryDirectory() as name:
        place, began = Path(name), time.monotonic()
        first, jobs = short_chain(place / "first", place / "socket")
        jobs = jobs[:JOBS]
        with serving(first.folder, first.environment, place / "socket") as server:
            assert first.run(jobs[0]) == "warm"  # it waits until all is imported
            started = spent(server.pid)[0], time.monotonic() - began
            for turn in range(TURNS):
                for process, socket in (("cold", place / "none"), ("warm", place / "socket")):
                    folder, _ = short_chain(place / f"{process}-{turn}", socket)
                    for job in jobs:
                        before = spent(server.pid)
                        assert folder.run(job) == process
                        after = spent(server.pid)
                        taken.setdefault((job.stage, process), []).append((after[0] - before[0], after[1] - before[1]))
    print(f"Medians of {TURNS}, s.\n\n| job | cold, processor | warm | cold, wall | warm |\n|" + " --- |" * 5)
    for stage in dict.fromkeys(job.stage for job in jobs):
        medians = {
            process: [statistics.median(seconds) for seconds in zip(*taken[stage, process], strict=True)]
            for process in ("cold", "warm")
        }
        cells = [medians[process][place] for place in (0, 1) for process in ("cold", "warm")]
        print(f"| {stage} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    print(f"| start of the server | | {started[0]:.2f} | | {started[1]:.2f} |")


if __name__ == "__main__":
    main()
