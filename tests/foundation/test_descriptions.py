"""Artifacts say what they were made with: parameters as they were resolved, run, seeds, network and environment."""

import re
from dataclasses import asdict

import pytest
import yaml

from agentomy import kinds
from agentomy.descriptions import Task
from agentomy.pipeline.plan.study import Plan
from agentomy.pipeline.plan.study_file import STAGES
from agentomy.pipeline.run import stages
from agentomy.progress import Progress
from agentomy.tables import Table

DIGITS = {"use": "environments.digits.images", "source": "scikit-learn", "validation": 10, "test": 1387}
LEARNS = {"environment": "digits", "seeds": 2, "snapshots": {"even": 2}}
STUDY = {
    "paper": {"title": "A paper", "authors": "Somebody", "url": "https://example.org"},
    "environments": {"digits": DIGITS},
    "training": {
        "dop": {
            "use": "agents.langevin.Classifier",
            "updates": 4,
            "method": "dop",
            "step": 1e-3,
            "hidden": [4],
            **LEARNS,
        }
    },
    "checkpoints": {"noise": {"use": "papers.nld.extract.langevin.noise", "of": ["dop"], "batches": 2}},
    "metrics": {},
    "figures": {},
    "claims": {},
}


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "toy.yaml").write_text(yaml.safe_dump(STUDY))
    return Plan({"scale": "smoke", "studies": ["toy"]}, tmp_path / "studies").studies["toy"]


def run(study, stage, name):
    job = study.job(stage, name)
    stages.RUNNERS[stage]({**asdict(job), "key": "k"}, Progress("test", every=1e9))
    return job.outputs


def test_what_the_study_leaves_to_a_default_is_known_to_those_who_read_the_artifact(study):
    """The batch of the sampler is a default of its signature; the noise of its steps depends on it."""
    [images] = run(study, "environments", "digits")
    [stack] = study.names("training")
    parameters, log = run(study, "training", stack)
    trained = Table(kinds.common.PARAMETERS, [parameters]).description
    assert (trained.run, trained.seeds, trained.parameters["batch"]) == ("dop", [0, 1], 100)
    assert trained.network == {"use": "classifier.Averaged", "sizes": [64, 4, 10]}
    assert Table(kinds.common.LOG, [log]).description == trained
    task = Table(kinds.nld.IMAGES, [images]).description
    assert (task.use, task.parameters["validation"], trained.environment) == ("digits.images", 10, task)
    [piece] = study.names("checkpoints")
    [noise] = run(study, "checkpoints", piece)
    extracted = Table(kinds.nld.NOISE, [noise]).description
    assert (extracted.run, extracted.seeds, extracted.parameters) == ("dop", [0, 1], {"batches": 2})
    assert extracted.environment == task


def test_artifacts_say_nothing_of_names_code_or_versions(study):
    [images] = run(study, "environments", "digits")
    description = Table(kinds.nld.IMAGES, [images]).description
    assert description == Task(use="digits.images", parameters=description.parameters)
    assert {*description.parameters} == {*study.signature("environments", "digits").parameters}


def test_no_default_of_any_signature_is_left_out():
    for study in Plan({"scale": "smoke", "studies": ["bayes", "path", "maze", "l3d", "nld", "twm"]}).chosen:
        for stage in STAGES[:3]:
            for name, entry in study.entries[stage].items():
                function = stages.find(entry.use)
                [job, *_] = [
                    study.job(stage, job_name)
                    for job_name in study.names(stage)
                    if re.split("[./]", job_name)[0] == name
                ]
                resolved = stages.resolved(function.__init__ if stage == "training" else function, asdict(job))
                assert {*resolved} == {*study.signature(stage, name).parameters}, f"{study.name}.{stage}.{name}"
