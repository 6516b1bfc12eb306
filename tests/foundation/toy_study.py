"""A study of one run, an arm of it and a clone, in which tests change what they like."""

import copy

import pytest
import yaml

from agentomy.pipeline.plan.study import Plan
from tests.studies import SOURCE

RUN = {
    "use": "agents.td3.TD3",
    "environment": "hopper",
    "widths": [8],
    "updates": 20,
    "seeds": 5,
    "snapshots": {"every": 10},
}
STUDY = {
    "paper": {"title": "A paper", "authors": "Somebody", "url": "https://example.org"},
    "environments": {"hopper": {"use": "environments.control.mujoco", "task": "Hopper-v5", "episodes": 2}},
    "training": {"plain": RUN},
    "checkpoints": {"returns": {"use": "lenses.rollouts.returns", "of": ["plain"], "every": 10}},
    "metrics": {"scores": {"use": "lenses.paths.measure.scores", "from": ["returns"]}},
    "figures": {},
    "claims": {
        "C1": {
            "says": "It learns.",
            "paper": "a table",
            "tests": {
                "score": {
                    "from": "scores",
                    "value": "value",
                    "where": {"measure": "score"},
                    "each": "run",
                    "holds": "> 1",
                }
            },
        }
    },
}
CLONE = {
    "use": "agents.cloning.BehaviourCloning",
    "learns_from": "demonstrations",
    "widths": [8],
    "updates": 20,
    "optimiser": "adam",
    "learning_rate": 0.1,
    "seeds": 1,
    "snapshots": {"every": 10},
}
PLUGIN = {"use": "agents.plugins.paths.PPTB", "interval": 1, "window": 2, "period": 2}


@pytest.fixture
def study(tmp_path):
    def make(scale="smoke", source=None, **edits):
        written = copy.deepcopy(STUDY)
        for place, value in edits.items():
            *path, last = place.split("__")
            target = written
            for part in path:
                target = target[part]
            target[last] = value
        (tmp_path / "toy.yaml").write_text(yaml.safe_dump(written))
        return Plan({"scale": scale, "studies": ["toy"]}, tmp_path, source or SOURCE).studies["toy"]

    return make


DEMONSTRATIONS = {"use": "lenses.rollouts.demonstrations", "of": ["plain"], "episodes_per_seed": 1}
WALKER = {"use": "environments.control.mujoco", "task": "Walker2d-v5", "episodes": 2}
