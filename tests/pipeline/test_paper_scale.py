"""Every training job of the paper's size starts as it should: its networks are the paper's, and they learn."""

import os
from ctypes.util import find_library
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from agentomy import kinds, stages
from agentomy.progress import Progress
from agentomy.study import Plan
from agentomy.tables import Table, tensors

drawn = pytest.mark.skipif(
    not (os.environ.get("MUJOCO_GL") or find_library("OSMesa") or find_library("EGL")),
    reason="neither OSMesa nor EGL is installed: apt install libosmesa6",
)
# batches are drawn from what the random steps saw
RANDOM_STEPS = {"td3.TD3": 300, "double_dqn.DoubleDQN": 130, "rad.RAD": 140}
# of tensors in the snapshots; None: whatever the task asks for
ACTOR = {"layer1.weight": (256, None), "layer2.weight": (256, 256)}
SIZES = {
    "td3.TD3": ACTOR,
    "cloning.BehaviourCloning": ACTOR,
    "double_dqn.DoubleDQN": {"convolution.weight": (16, 3, 3, None), "hidden.weight": (128, 16 * 8 * 8)},
    "rad.RAD": {
        "encoder.conv1.weight": (32, 9, 3, 3),
        "encoder.conv4.weight": (32, 32, 3, 3),
        "encoder.linear.weight": (50, None),
        "policy.layer1.weight": (1024, 50),
        "policy.layer2.weight": (1024, 1024),
    },
}


def paper(**overrides):
    """The study at the paper's scale, with one seed a run, so that every run is one job of the same name."""
    return Plan({"scale": "paper", "studies": ["path"], "seeds": 1, "overrides": overrides}).studies["path"]


def shortened():
    """As `paper`, but for how long it takes; plug-ins are applied at the last update."""
    study = paper()
    overrides = {f"path.environments.{name}.episodes": 1 for name in study.names("environments")}
    overrides["path.checkpoints.demonstrations.episodes_per_seed"] = 1
    for name in study.names("training"):
        job, run = study.job("training", name), f"path.training.{name}"
        # an update from pixels takes seconds
        updates = 1 if job.use == "rad.RAD" and job.options["plugin"] else 2
        overrides |= {f"{run}.updates": updates, f"{run}.snapshots": {"every": 1}}
        if job.use in RANDOM_STEPS:
            overrides[f"{run}.random_steps"] = RANDOM_STEPS[job.use]
        if job.options["plugin"]:
            schedule = {"interval": 1, "window": updates, "period": 1}
            overrides |= {f"{run}.plugin.{key}": value for key, value in schedule.items()}
    return paper(**overrides)


STUDY = shortened()
JOBS = [
    pytest.param(name, marks=[drawn] if STUDY.job("training", name).use == "rad.RAD" else [])
    for name in STUDY.names("training")
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where all jobs work, so that what several need is made once."""
    yield tmp_path_factory.mktemp("paper")
    torch.use_deterministic_algorithms(False)  # as the jobs set it


def make(stage: str, name: str) -> list[Path]:
    """Run a job here, in this process, and before it those whose tables it reads; its outputs."""
    job = STUDY.job(stage, name)
    for path in job.files:
        if not Path(path).exists():
            make(Path(path).parent.name, Path(path).name.partition(".")[0])
    stages.RUNNERS[stage](asdict(job), Progress(name, every=1e9))
    return [Path(path) for path in job.outputs]


@pytest.mark.parametrize("name", JOBS)
def test_a_training_job_starts_and_its_network_is_the_papers(folder, monkeypatch, name):
    monkeypatch.chdir(folder)
    job = STUDY.job("training", name)
    parameters, log = make("training", name)
    found = [tensors(rows) for rows in Table(kinds.PARAMETERS, [parameters]).groups()]
    updates = Table(kinds.PARAMETERS, [parameters]).values("update").tolist()
    assert updates == list(range(job.parameters["updates"] + 1))
    assert all(np.isfinite(array).all() for each in found for array in each.values())
    assert any(not np.array_equal(array, found[-1][key]) for key, array in found[0].items())  # it has learned
    for key, sizes in SIZES[job.use].items():
        shape = found[0][key].shape[1:]
        assert shape == tuple(size or any_size for size, any_size in zip(sizes, shape, strict=True)), key
    assert np.isfinite(Table(kinds.LOG, [log]).values("value")).all()


def test_only_durations_were_shortened_for_this():
    untouched = paper()
    for name in untouched.names("training"):
        one, other = (study.job("training", name).parameters for study in (untouched, STUDY))
        assert {key for key in one if one[key] != other[key]} <= {"updates", "random_steps"}
