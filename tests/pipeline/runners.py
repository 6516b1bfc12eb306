"""Jobs without Snakemake: by their runners in the test's own process, or as Snakemake starts them."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

import matplotlib
import matplotlib.pyplot
import torch

from agentomy.pipeline.plan import jobs
from agentomy.pipeline.plan.jobs import Job
from agentomy.pipeline.plan.study import Plan
from agentomy.pipeline.run import benchmarks, stages
from agentomy.progress import Progress
from tests.pipeline.trees import ROOT
from tests.studies import SOURCE

STARTED = 600.0  # seconds until a server is given up
# a process with threads cannot be forked
ONE_THREAD = {
    **dict.fromkeys([f"{library}_NUM_THREADS" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")], "1"),
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}


def run(job: Job) -> None:
    """Make a job's artifacts, and leave to the next one neither figures nor settings of matplotlib's."""
    with matplotlib.rc_context():
        given = {**asdict(job), "key": job.digest()}
        if finish := stages.RUNNERS[job.stage](given, Progress(job.name, every=1e9)):
            finish()
    matplotlib.pyplot.close("all")


class Jobs:
    """Jobs of a study at scale smoke, in a folder; forks of the warm server at `socket`, where one is given."""

    def __init__(
        self,
        folder: Path,
        study: str,
        overrides: dict[str, Any],
        chosen: list[str] | None = None,
        socket: Path | None = None,
        device: str = "cpu",
    ):
        folder.mkdir(exist_ok=True)
        config = {"scale": "smoke", "studies": chosen or [study], "overrides": overrides, "device": device}
        self.plan = Plan(config, source=SOURCE, lazy=True)
        self.folder, self.study = folder, self.plan.studies[study]
        self.variables = {
            **ONE_THREAD,
            "AGENTOMY_CONFIG": json.dumps(config),
            "AGENTOMY_WARM": str(socket or ""),
            "PYTHONPATH": f"{ROOT / 'workflow'}{os.pathsep}{ROOT}",
        }

    def chain(self, stage: str, name: str) -> list[Job]:
        """A job and all that it needs, each behind what it needs itself."""
        job = self.study.job(stage, name)
        needed = [above for path in job.files for above in self.chain(*jobs.maker(path)[2:])]
        return [*{above.record: above for above in [*needed, job]}.values()]

    def arguments(self, stage: str, name: str) -> list[str]:
        log = f"{self.study.folder}/logs/{stage}/{name}.log"
        return [self.study.name, stage, name, log, self.study.job(stage, name).digest()]

    def prepare(self, stage: str, name: str) -> None:
        """Do the jobs whose tables a job reads."""
        for path in self.study.job(stage, name).files:
            if not (self.folder / path).exists():
                self.make(*jobs.maker(path)[2:])

    def make(self, stage: str, name: str) -> dict[str, bytes]:
        """Do a job in this process, and before it those whose tables it reads; what it makes."""
        self.prepare(stage, name)
        with contextlib.chdir(self.folder), patch.dict(os.environ, self.variables):
            assert stages.main(*self.arguments(stage, name), plan=self.plan) == 0
        return self.outputs(self.study.job(stage, name))

    def outputs(self, *done: Job) -> dict[str, bytes]:
        """What jobs have made."""
        return {output: (self.folder / output).read_bytes() for job in done for output in job.outputs}

    def run(self, job: Job) -> str:
        """Do a job in a process of its own, as Snakemake would; returns "warm" or "cold", as its benchmark says."""
        with self.start(job.stage, job.name) as process:
            said, _ = process.communicate()
        assert process.returncode == 0, said
        log = self.folder / self.arguments(job.stage, job.name)[3]
        return benchmarks.place(job.stage, job.name, log).read_text().split()[-1]

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a job's process; a warm server has to have the same."""
        inherited = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        return {**inherited, **self.variables}

    def start(self, stage: str, name: str, *before: str, by: tuple[str, ...] = ()) -> subprocess.Popen:
        """Start a job's process, behind the words of another command; what it says comes as one text.

        `by` is a module of the tests that runs it with other settings, as `SAVES_OFTEN`.
        """
        module = [*by, "agentomy.pipeline.run.job"]
        command = [*before, sys.executable, "-m", *module, *self.arguments(stage, name)]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, cwd=self.folder, env=self.environment, **streams)


def made_here(folder: Path, targets: Iterable[str], overrides: dict[str, Any]) -> dict[str, bytes]:
    """Files and all that they need, made in this process: artifact → bytes.

    What Snakemake makes on this machine is the same, as test_same_bytes.py tries for every job.
    """
    made = {}
    for target in targets:
        _, study, stage, name = jobs.maker(target)
        runner = Jobs(folder, study, overrides)
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            runner.make(stage, name)
        made |= runner.outputs(*runner.chain(stage, name))
    torch.set_deterministic_debug_mode("default")  # the runners have set it
    return made


def short_chain(folder: Path, socket: Path) -> tuple[Jobs, list[Job]]:
    """The jobs behind one figure: a chain through all stages, as short as it can be."""
    overrides = {
        "bayes.training.cat-3.updates": 20,
        "bayes.checkpoints.predictions.of": ["cat-3"],
        "bayes.checkpoints.predictions-optimal.of": ["cat-3"],
    }
    runner = Jobs(folder, "bayes", overrides, socket=socket)
    return runner, runner.chain("figures", "F3-convergence-prediction")


@contextlib.contextmanager
def serving(
    path: Path, environment: dict[str, str], socket: Path, by: tuple[str, ...] = ()
) -> Iterator[subprocess.Popen]:
    """A server, started in a folder, for jobs with the same variables."""
    command = [sys.executable, "-m", *by, "agentomy.pipeline.run.warm", str(socket)]
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
