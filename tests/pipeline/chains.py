"""The jobs behind one figure, run one after another as Snakemake would, with a warm server or without."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agentomy.pipeline.plan.jobs import Job
from agentomy.pipeline.plan.study import Plan
from agentomy.pipeline.run import benchmarks
from tests.pipeline.trees import ROOT

# a chain through all stages, as short as it can be
CONFIG = {
    "scale": "smoke",
    "studies": ["bayes"],
    "overrides": {
        "bayes.training.cat-3.updates": 20,
        "bayes.checkpoints.predictions.of": ["cat-3"],
        "bayes.checkpoints.predictions-optimal.of": ["cat-3"],
    },
}
STUDY, FIGURE = "bayes", "F3-convergence-prediction"
STARTED = 120.0  # seconds until a server is given up
# a process with threads cannot be forked
ONE_THREAD = {
    **dict.fromkeys([f"{library}_NUM_THREADS" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")], "1"),
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}


def chain() -> list[Job]:
    """The jobs that the figure needs, each behind those that it needs."""
    study = Plan(CONFIG, lazy=True).studies[STUDY]
    jobs = [study.job(stage, name) for stage in study.entries for name in study.names(stage)]
    makers = {output: job for job in jobs for output in job.outputs}
    found: list[Job] = []

    def need(job: Job) -> None:
        for path in job.files:
            need(makers[path])
        if job not in found:
            found.append(job)

    need(study.job("figures", FIGURE))
    return found


class Folder:
    """A folder to run jobs in."""

    def __init__(self, path: Path, socket: Path):
        self.path = path
        path.mkdir()
        given = {
            **ONE_THREAD,
            "PYTHONPATH": str(ROOT / "workflow"),
            "AGENTOMY_CONFIG": json.dumps(CONFIG),
            "AGENTOMY_WARM": str(socket),
        }
        own = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        self.environment = {**own, **given}

    def run(self, job: Job) -> str:
        """Run a job; returns "warm" or "cold", as its benchmark says."""
        log = f"results/smoke/{job.study}/logs/{job.stage}/{job.name}.log"
        command = [sys.executable, "-m", "agentomy.pipeline.run.job", job.study, job.stage, job.name, log, job.digest()]
        done = subprocess.run(command, cwd=self.path, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return benchmarks.place(job.stage, job.name, self.path / log).read_text().split()[-1]

    def made(self, jobs: list[Job]) -> dict[str, bytes]:
        """The outputs of jobs."""
        return {output: (self.path / output).read_bytes() for job in jobs for output in job.outputs}


@contextmanager
def serving(path: Path, environment: dict[str, str], socket: Path) -> Iterator[subprocess.Popen]:
    """A server, started in a folder, for jobs with the same variables."""
    command = [sys.executable, "-m", "agentomy.pipeline.run.warm", str(socket)]
    streams = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=path, env=environment, **streams) as server:
        limit = time.monotonic() + STARTED
        while not socket.exists():
            assert server.poll() is None, server.stderr.read()
            assert time.monotonic() < limit
            time.sleep(0.05)
        yield server
        _, said = server.communicate(timeout=STARTED)
        assert (server.returncode, said) == (0, "")
