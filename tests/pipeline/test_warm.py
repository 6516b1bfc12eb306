"""Jobs as forks of the real warm server: the bytes of fresh processes, and what a whole run makes of it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agentomy import benchmarks
from agentomy.jobs import Job
from agentomy.study import Plan, Study
from tests.pipeline.trees import ROOT

# a chain through all stages, as short as it can be
CONFIG = {
    "scale": "smoke",
    "studies": ["bayes"],
    "overrides": {
        "bayes.training.cat-3.updates": 20,
        **{f"bayes.checkpoints.{entry}.of": ["cat-3"] for entry in ("predictions", "predictions-optimal")},
    },
}
FIGURE = "F3-convergence-prediction"
STARTED = 120.0  # seconds until the server is given up
THREADS = ("OMP", "OPENBLAS", "MKL", "NUMEXPR")


def chain(study: Study, name: str) -> list[Job]:
    """The jobs that a figure needs, each behind those that it needs."""
    jobs = [study.job(stage, each) for stage in study.entries for each in study.names(stage)]
    makers = {output: job for job in jobs for output in job.outputs}
    found: list[Job] = []

    def need(job: Job) -> None:
        for path in job.files:
            need(makers[path])
        if job not in found:
            found.append(job)

    need(study.job("figures", name))
    return found


class Folder:
    """A folder to run jobs in, as Snakemake would."""

    def __init__(self, path: Path):
        self.path = path
        path.mkdir()
        given = {
            **dict.fromkeys([f"{library}_NUM_THREADS" for library in THREADS], "1"),
            "JE_ARROW_MALLOC_CONF": "background_thread:false",
            "PYTHONPATH": str(ROOT / "workflow"),
            "AGENTOMY_CONFIG": json.dumps(CONFIG),
            "AGENTOMY_WARM": "socket",
        }
        own = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        self.environment = {**own, **given}

    def run(self, job: Job) -> str:
        """Run a job; returns "warm" or "cold", as its benchmark says."""
        log = f"results/smoke/{job.study}/logs/{job.stage}/{job.name}.log"
        command = [sys.executable, "-m", "agentomy.job", job.study, job.stage, job.name, log, job.digest()]
        done = subprocess.run(command, cwd=self.path, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return benchmarks.place(job.stage, job.name, self.path / log).read_text().split()[-1]

    def bytes(self) -> dict[str, bytes]:
        made = [
            path for path in self.path.rglob("results/smoke/*/*/**/*") if path.suffix in (".parquet", ".png", ".pdf")
        ]
        return {str(path.relative_to(self.path)): path.read_bytes() for path in made}


@pytest.fixture
def served(tmp_path):
    """A folder with a server."""
    folder = Folder(tmp_path / "warm")
    command = [sys.executable, "-m", "agentomy.warm", "socket"]
    streams = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=folder.path, env=folder.environment, **streams) as server:
        limit = time.monotonic() + STARTED
        while not (folder.path / "socket").exists():
            assert server.poll() is None, server.stderr.read()
            assert time.monotonic() < limit
            time.sleep(0.05)
        yield folder, server
        _, said = server.communicate(timeout=STARTED)
        assert (server.returncode, said) == (0, "")


def test_a_fork_of_the_server_makes_the_bytes_of_a_fresh_process_in_every_stage(served, tmp_path):
    warm, server = served
    jobs = chain(Plan(CONFIG, lazy=True).studies["bayes"], FIGURE)
    assert {job.stage for job in jobs} == {"environments", "training", "checkpoints", "metrics", "figures"}
    assert {warm.run(job) for job in jobs} == {"warm"}
    assert len(os.listdir(f"/proc/{server.pid}/task")) == 1
    loaded = Path(f"/proc/{server.pid}/maps").read_text().lower()
    assert not [name for name in ("mujoco", "osmesa", "libegl", "libgl.", "glfw") if name in loaded]

    cold = Folder(tmp_path / "cold")
    assert {cold.run(job) for job in jobs} == {"cold"}
    made = warm.bytes()
    assert made == cold.bytes()
    assert {output for job in jobs for output in job.outputs} <= set(made)


def test_nearly_all_jobs_of_a_whole_run_are_forks_of_a_server_that_ends_with_it(smoke):
    rows = [path.read_text().split() for path in smoke.study.rglob("benchmarks/**/*.tsv")]
    forks = sum(row[-1] == "warm" for row in rows)
    assert forks > 0.7 * len(rows)
    assert not list((smoke.path / "results").glob(".warm*"))
