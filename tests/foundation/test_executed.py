"""Every definition that a job executes is one that its digest holds: tried with a chain of jobs of some studies."""

from pathlib import Path

import pytest

from agentomy.pipeline.source.provenance import Source
from tests import executed, toy_package
from tests.pipeline.runners import run
from tests.studies import smoke

# of bayes a predictor; of l3d a model, what is decomposed of it, its subnetworks, and what they do; of nld classifiers
CHAINS = {
    "bayes": [
        ("environments", "bern-1-1"),
        ("training", "bern-1-1"),
        ("checkpoints", "predictions", "bern-1-1"),
        ("checkpoints", "states-prediction", "bern-1-1"),
    ],
    "l3d": [
        ("environments", "tms"),
        ("training", "tms"),
        ("checkpoints", "subject-tms", "tms"),
        ("training", "tms-mse"),
        ("checkpoints", "subnetworks", "tms-mse"),
        ("checkpoints", "impacts-bottleneck", "tms-mse"),
    ],
    "nld": [
        ("environments", "digits"),
        ("training", "qdop-1e-3"),
        ("checkpoints", "predictive", "qdop-1e-3"),
        ("checkpoints", "invariance", "qdop-1e-3"),
    ],
}


def chain(name):
    """(stage, job) of the first stack of seeds of each step."""
    study = smoke().studies[name]
    for stage, entry, *runs in CHAINS[name]:
        parts = study.parts(stage, entry).items()
        yield stage, next(job for job, part in parts if not runs or part.run == runs[0])


@pytest.mark.parametrize("name", CHAINS)
def test_whatever_a_job_executes_is_in_its_digest(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = smoke().studies[name]
    unknown = {}
    for stage, job in chain(name):
        if names := executed.unknown(study, stage, job, lambda stage=stage, job=job: run(study.job(stage, job))):
            unknown[stage, job] = names
    assert unknown == {}


def test_what_is_executed_and_not_named_is_found(tmp_path, monkeypatch):
    text = {
        "lenses/lens.py": """
            class Lens:
                def look(self):
                    return [power(each) for each in (1, 2)]

            def power(x):
                return x

            def unused():
                return 0

            TABLE = {"one": lambda: 1}
            """
    }
    root = toy_package.package(tmp_path, text)
    scope = {}
    path = root / "lenses" / "lens.py"
    exec(compile(path.read_text(), str(path), "exec"), scope)
    names = executed.executed(Source(Path(root)), lambda: (scope["Lens"]().look(), scope["TABLE"]["one"]()))
    assert names == {("agentomy.lenses.lens", name) for name in ("Lens", "power", "TABLE")}
