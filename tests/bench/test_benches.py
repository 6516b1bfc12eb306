"""Every benchmark of `make bench` starts, and prints a table of numbers, at its smallest size."""

import importlib
import os
import re
from ctypes.util import find_library
from pathlib import Path

import pytest
import torch

from tests.bench import reruns

ROOT = Path(__file__).parents[2]
GL = os.environ.get("MUJOCO_GL") or find_library("OSMesa") or find_library("EGL")
# what is smaller in each; the number of tables, and of rows of numbers in all
SMALLEST = {
    "speeds": ({"UPDATES": 1, "STEPS": 3, "JOBS": {"environments": "cat-3"}}, 2, 6 + 2),
    "path_speeds": ({"RANDOM_STEPS": 20, "UPDATES": 2, "SETTINGS": ((8, 4, 2),)}, 1, 3),
    "path_speeds_dqn": ({"FILLED": 40, "UPDATES": 1, "STACKS": (1,)}, 1, 2),
    "maze_speeds": ({"MAZES": 4, "STEPS": 2, "UPDATES": 1, "LEVELS": 20, "LEARNED": 60}, 3, 4 + 2 + 2),
    "l3d_speeds": ({"STEPS": 1}, 1, 5),
    "nld_speeds": ({"STEPS": 1}, 1, 8),
    "graph": ({"RUNS": (1,), "SEEDS": 2}, 1, 1),
    "reruns": ({"EDITS": {"a line": [("agents/predictor.py", "self.update += 1", "self.update += 2 - 1")]}}, 1, 1),
    "tables": ({}, 1, 2),
    "jobs": ({"TURNS": 1, "JOBS": 1}, 1, 2),
    "twm_speeds": ({"SIZES": {"xs": ((4, 6), (8, 3), 1)}, "UNCACHED": "xs", "TURNS": 1, "LIVED": 60}, 3, 3 + 4),
    "rendering": ({"UPDATES": 1, "SIZES": (48,), "STACKS": (1,)}, 2, 3),
}
GIVEN = {"tables": (2.0,), "reruns": ("smoke",)}  # megabytes, scale


def not_here(folder: Path) -> Path:
    raise OSError("procgen-mirror is not installed for a test")


def test_every_bench_is_started_here():
    named = re.findall(r"tests\.bench\.(\w+)", (ROOT / "Makefile").read_text())
    assert set(named) == {*SMALLEST, "svd"}  # which has a test of its own
    modules = [file.stem for file in Path(__file__).parent.glob("*.py")]
    assert {name for name in modules if not name.startswith(("_", "test_"))} == set(named)


def test_what_the_bench_of_reruns_edits_is_there():
    for edits in reruns.EDITS.values():
        for file, before, _ in edits:
            assert (before or "") in (reruns.PACKAGE / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SMALLEST)
def test_a_bench_prints_its_tables_at_its_smallest_size(name, monkeypatch, capsys):
    if name == "rendering" and not GL:
        pytest.skip("no library that draws off-screen")
    smaller, tables, rows = SMALLEST[name]
    bench, threads = importlib.import_module(f"tests.bench.{name}"), torch.get_num_threads()
    monkeypatch.setattr("tests.bench.speeds.ROUNDS", 1)
    for constant, value in {**smaller, **({"ROUNDS": 1} if hasattr(bench, "ROUNDS") else {})}.items():
        monkeypatch.setattr(bench, constant, value)
    # what other packages offer as yardsticks is not ours to start, nor there everywhere
    absent = {"find_spec": lambda package: None, "stable_baselines": lambda: None, "installed": not_here}
    for function, instead in absent.items():
        if hasattr(bench, function):
            monkeypatch.setattr(bench, function, instead)
    try:
        bench.main(*GIVEN.get(name, ()))
    finally:
        torch.set_num_threads(threads)
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert sum(set(line) <= set("| -") for line in printed) == tables
    numbers = [line for line in printed if re.search(r"\| [\d.,]+( k)? \|", line)]
    assert len(numbers) == rows, printed
    assert not any(re.search(r"\b(nan|inf)\b", line) for line in printed)
