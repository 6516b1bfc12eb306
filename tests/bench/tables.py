"""What it costs to read a part of a large table: `python -m tests.bench.tables [MEGABYTES]`.

Beside it the plainest way: everything is read, then the rows are chosen. Processor time of all threads, medians; A and
B take turns.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from agentomy import kinds, tables
from agentomy.tables import Table
from tests.bench.speeds import ROUNDS, machine
from tests.described import extracted

RUNS, UPDATES, ROWS = 8, 8, 500  # pieces are of one run and update each
WANTED = {"run": "run-3", "update": [0, 7]}


def planted(path: Path, megabytes: float) -> None:
    """Subjects' activations as an extraction writes them, of about this size."""
    rng, length = np.random.default_rng(0), int(megabytes * 1e6 / (4 * RUNS * UPDATES * ROWS))
    tables.write(
        path,
        kinds.maze_pixels.FEATURES,
        (
            kinds.maze_pixels.FEATURES.table(
                run=f"run-{run}", seed=np.arange(ROWS) % 3, update=update, level=np.arange(ROWS), layer="conv",
                mouse_x=1, mouse_y=1, channels=1, rows=1, columns=length, shown=np.zeros((ROWS, 1)),
                values=rng.normal(size=(ROWS, length)),
            )
            for run in range(RUNS)
            for update in range(UPDATES)
        ),
        extracted(),
    )  # fmt: skip


def plain(path: Path) -> pa.Table:
    """Everything, and then the wanted rows."""
    rows = pq.read_table(path)
    for name, value in WANTED.items():
        rows = rows.filter(pc.is_in(rows[name], pa.array(value if isinstance(value, list) else [value])))
    return rows


def processor_times(**runs: Callable[[], object]) -> dict[str, float]:
    """Median seconds of the processor of each, over rounds in which they take turns."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            began = time.process_time()
            run()
            times[name].append(time.process_time() - began)
    return {name: median(seconds) for name, seconds in times.items()}


def main(megabytes: float = 100.0) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.parquet"
        planted(path, megabytes)
        wanted = Table(kinds.maze_pixels.FEATURES, [path]).where(**WANTED)
        scalars = ["seed", "update", "level"]
        print(
            f"{machine()}, a table of {path.stat().st_size / 1e6:.0f} MB, {len(wanted)} of {RUNS * UPDATES * ROWS} "
            "rows\n"
        )
        print("| what is read of one run at two updates | everything, then filtered, s | filtered read, s | ratio |")
        print("| --- | --- | --- | --- |")
        for what, old, new in (
            ("a frame of numbers", lambda: plain(path).select(scalars).to_pandas(), lambda: wanted.frame(scalars)),
            ("an array of lists", lambda: plain(path)["values"].combine_chunks(), lambda: wanted.array("values")),
        ):
            took = processor_times(old=old, new=new)
            print(f"| {what} | {took['old']:.3f} | {took['new']:.3f} | {took['old'] / took['new']:.0f} |")
        rest = processor_times(footer=lambda: tables.footer(path))
        print(f"\nThe digest of footer and heads of pages takes {1000 * rest['footer']:.1f} ms.")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
