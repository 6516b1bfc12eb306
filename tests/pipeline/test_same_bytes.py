"""The jobs of the whole run once more, by their runners, in one process and in another order: the same bytes.

Each job reads what the first run has made, so that any order will do, and what differs is the job's own doing. For the
first job of each function it is noted what of the package was executed: all of it has to be in the job's digest. Of
the figures that a function draws the first is drawn again; as a PDF too, where it is the first of the study. Of the
pieces of an extraction, which differ by run and seeds alone, two are made again, and of the stacks of a run one.
"""

import os
import random
import shutil
from collections import Counter
from functools import partial
from pathlib import Path

import matplotlib
import pytest
import torch
import yaml
from matplotlib.backends.backend_pdf import FigureCanvasPdf

from agentomy.pipeline.plan.jobs import Job
from agentomy.pipeline.plan.study import Plan, Study
from agentomy.pipeline.plan.study_file import STAGES
from tests.executed import unknown
from tests.pipeline.runners import run
from tests.pipeline.trees import ROOT
from tests.studies import SOURCE

PIECES = {"checkpoints": 2, "training": 1}  # of an extraction or a run
SUFFIXES = (".parquet", ".png", ".pdf", ".md", ".html")
CONFIG = {**yaml.safe_load((ROOT / "config.yaml").read_text()), "scale": "smoke"}


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan(CONFIG, source=SOURCE)


@pytest.fixture
def linked(smoke, tmp_path, monkeypatch) -> Path:
    """A folder in which every artifact of the first run is a link, which a job replaces by what it makes."""
    shutil.copytree(smoke.path / "results", tmp_path / "results", copy_function=os.symlink)
    monkeypatch.chdir(tmp_path)
    matplotlib.rcdefaults()
    yield tmp_path
    torch.set_deterministic_debug_mode("default")  # the runners have set it


def jobs_of(study: Study) -> list[Job]:
    return [*(study.job(stage, name) for stage in STAGES for name in study.names(stage)), study.job("claims", "claims")]


@pytest.mark.parametrize("study", CONFIG["studies"])
def test_a_studys_jobs_in_one_process_and_in_another_order_make_the_same_bytes(smoke, linked, plan, study, monkeypatch):
    jobs = jobs_of(plan.studies[study])
    random.Random(study).shuffle(jobs)
    different, missing, seen, pieces = [], {}, set(), Counter()
    for job in jobs:
        if job.stage in PIECES:
            entry = plan.studies[study].part(job.stage, job.name).entry
            pieces[job.stage, entry] += 1
            if pieces[job.stage, entry] > PIECES[job.stage]:
                continue
        outputs = job.outputs
        if (job.stage, job.use) in seen:
            if job.stage == "figures":
                continue
            run(job)
        else:
            with monkeypatch.context() as patched:
                if job.stage == "figures" and any(stage == "figures" for stage, _ in seen):
                    patched.setattr(FigureCanvasPdf, "print_pdf", lambda *given, **options: None)
                    outputs = outputs[:1]
                lacking = unknown(plan.studies[study], job.stage, job.name, partial(run, job))
            seen.add((job.stage, job.use))
            missing |= {f"{job.stage} {job.use}": lacking} if lacking else {}
        for output in map(Path, outputs):
            assert not output.is_symlink(), f"{output} was not made"
            if output.read_bytes() != (smoke.path / output).read_bytes():
                different.append(str(output))
                output.unlink()
                output.symlink_to(smoke.path / output)
    assert different == []
    assert missing == {}


def test_nothing_that_the_run_has_made_is_left_out(smoke, plan):
    artifacts = {path for path in smoke.path.glob("results/smoke/**/*") if path.suffix in SUFFIXES}
    assert artifacts == {
        smoke.path / output for study in plan.chosen for job in jobs_of(study) for output in job.outputs
    }
    assert len(artifacts) > 150
