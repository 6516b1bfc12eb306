"""Jobs without Snakemake: by their runners in the test's own process, or as Snakemake starts them."""

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

import matplotlib
import matplotlib.pyplot

from agentomy.pipeline.plan import jobs
from agentomy.pipeline.plan.jobs import Job
from agentomy.pipeline.plan.study import Plan
from agentomy.pipeline.run import stages
from agentomy.progress import Progress
from tests.package import SOURCE
from tests.pipeline.trees import ROOT


def run(job: Job) -> None:
    """Make a job's artifacts, and leave to the next one neither figures nor settings of matplotlib's."""
    with matplotlib.rc_context():
        given = {**asdict(job), "key": job.digest()}
        if finish := stages.RUNNERS[job.stage](given, Progress(job.name, every=1e9)):
            finish()
    matplotlib.pyplot.close("all")


class Jobs:
    """Jobs of a study at scale smoke, in a folder."""

    def __init__(self, folder: Path, study: str, overrides: dict[str, Any], chosen: list[str] | None = None):
        folder.mkdir(exist_ok=True)
        config = {"scale": "smoke", "studies": chosen or [study], "overrides": overrides}
        self.folder, self.study = folder, Plan(config, source=SOURCE, lazy=True).studies[study]
        self.variables = {"AGENTOMY_CONFIG": json.dumps(config), "PYTHONPATH": str(ROOT / "workflow")}

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
            assert stages.main(*self.arguments(stage, name)) == 0
        return {output: (self.folder / output).read_bytes() for output in self.study.job(stage, name).outputs}

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a job's process; a warm server has to have the same."""
        own = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        return {**own, **self.variables}

    def start(self, stage: str, name: str, *before: str) -> subprocess.Popen:
        """Start a job's process, behind the words of another command; what it says comes as one text."""
        command = [*before, sys.executable, "-m", "agentomy.pipeline.run.job", *self.arguments(stage, name)]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, cwd=self.folder, env=self.environment, **streams)
