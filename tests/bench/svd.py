"""Time, memory and accuracy of the streamed temporal SVD, as a Markdown table.

`python tests/bench/svd.py [--snapshots 1000 --parameters 10000000 --folder …]`
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.utils.extmath import randomized_svd

from agentomy import kinds
from agentomy.lenses.paths import extract, temporal
from agentomy.progress import Progress
from agentomy.seeds import Streams
from agentomy.tables import BLOCK, Table, write
from tests.described import trained

HELD = 400_000_000  # bytes of a float32 path that the yardsticks may hold
DIRECTIONS = 10


def walk(file: Path, snapshots: int, parameters: int) -> None:
    """Write a random walk plus three planted directions, snapshot by snapshot."""
    rng = np.random.default_rng(0)
    planted = rng.normal(size=(3, parameters)).astype(np.float32)
    theta = rng.normal(size=parameters).astype(np.float32)

    def rows():
        for t in range(snapshots):
            theta[:] += 0.01 * rng.standard_normal(parameters, dtype=np.float32)
            along = np.cos(np.arange(1, 4) * np.pi * t / snapshots).astype(np.float32)
            tensors = {"layer1.weight": (theta + along @ planted).reshape(1, -1, min(1000, parameters))}
            yield kinds.common.PARAMETERS.table(seed=0, update=[t], **tensors)

    write(file, kinds.common.PARAMETERS, rows(), trained())


def streamed(file: Path, out: Path) -> None:
    """What the subprocess does: Gram and SVD; prints seconds and peak MB."""
    began = time.perf_counter()
    table, progress = Table(kinds.common.PARAMETERS, [file]), Progress("svd", every=30)
    for rows in extract.gram(table, run="bench", streams=Streams("bench", "svd", 0), progress=progress):
        row = rows.to_pylist()[0]
        if row["path"] == "real":
            start, count = np.array(row["start"]), len(row["updates"])
            delta = np.reshape(row["delta"], (count, count))
            np.save(out, temporal.temporal_svd(delta + start + start[:, None] + row["origin"])[0])
    print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--snapshots", type=int, default=60)
    parser.add_argument("--parameters", type=int, default=2 * BLOCK)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", type=Path, nargs=2, help="a path to stream and where its singular values go")
    chosen = parser.parse_args()
    if chosen.only:
        return streamed(*chosen.only)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        file, out = Path(folder) / "path.parquet", Path(folder) / "values.npy"
        walk(file, chosen.snapshots, chosen.parameters)
        command = [sys.executable, "-m", "tests.bench.svd", "--only", str(file), str(out)]
        seconds, peak = map(float, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
        values = np.load(out)[:DIRECTIONS]
        print(f"{chosen.snapshots} snapshots × {chosen.parameters} parameters, {os.cpu_count()} cores\n")
        print("| method | seconds | peak MB | largest relative error of the first 10 |\n| --- | --- | --- | --- |")
        held = 4 * chosen.snapshots * chosen.parameters <= HELD
        measured = {}
        if held:
            table = Table(kinds.common.PARAMETERS, [file])
            names, seeds, updates = extract.columns_of(table), np.array([0]), np.arange(chosen.snapshots)
            theta = np.concatenate([extract.column(table, name, seeds, updates)[:, 0] for name in names], axis=1)
            for name, method in {
                "numpy.linalg.svd, float64": lambda: np.linalg.svd(theta.astype(float), full_matrices=False)[1],
                "randomized_svd, float32": lambda: randomized_svd(theta, DIRECTIONS, random_state=0)[1],
            }.items():
                began = time.perf_counter()
                measured[name] = method()[:DIRECTIONS], time.perf_counter() - began
            exact = next(iter(measured.values()))[0]
        error = f"{np.abs(values / exact - 1).max():.1e}" if held else "–"
        print(f"| streamed Gram, real path and two nulls, with reading | {seconds:.1f} | {peak:.0f} | {error} |")
        for name, (singular_values, took) in measured.items():
            print(f"| {name}, in memory | {took:.1f} | – | {np.abs(singular_values / exact - 1).max():.1e} |")


if __name__ == "__main__":
    main()
