"""A benchmark says what a job took."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agentomy.pipeline.run import benchmarks
from tests.foundation.test_warm import environment, pytestmark  # noqa: F401  pytest reads it


@pytest.mark.parametrize(
    ("stage", "name", "inner"),
    [
        ("metrics", "distance", "metrics/distance"),
        ("checkpoints", "play/cat-3.seeds0-2", "checkpoints/play/cat-3.seeds0-2"),
        ("claims", "claims", "claims"),
    ],
)
def test_a_benchmark_lies_where_its_log_does(stage, name, inner):
    log = Path(f"/kept/logs/results/smoke/bayes/logs/{inner}.log")
    assert benchmarks.place(stage, name, log) == Path(f"/kept/logs/results/smoke/bayes/benchmarks/{inner}.tsv")


def test_a_benchmark_says_what_this_process_took(tmp_path):
    path = tmp_path / "benchmarks" / "metrics" / "one.tsv"
    benchmarks.write(path, time.monotonic() - 3725, "cold")
    head, row = (line.split("\t") for line in path.read_text().splitlines())
    columns = dict(zip(head, row, strict=True))
    assert 3725 <= float(columns["s"]) < 3800
    assert columns["h:m:s"].startswith("1:0")
    assert float(columns["max_rss"]) == pytest.approx(benchmarks.peak_memory(), rel=0.5)
    assert 0 < float(columns["cpu_time"]) < time.process_time() + 0.01  # it is rounded
    assert columns["process"] == "cold"
    assert list(path.parent.iterdir()) == [path]


def test_peak_memory_is_that_of_this_program_alone():
    script = "from agentomy.pipeline.run.benchmarks import *; b = bytearray(50 * 2**20); del b; print(peak_memory())"
    big = bytearray(os.urandom(2**20)) * 200  # held by whoever starts it
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    assert 50 < float(done.stdout) < 100 < len(big) / 2**20


def test_a_benchmark_that_cannot_be_written_costs_nothing_else(tmp_path):
    (tmp_path / "benchmarks").write_text("in the way")
    benchmarks.write(tmp_path / "benchmarks" / "one.tsv", time.monotonic(), "cold")
