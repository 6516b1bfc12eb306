"""Lenses say what they need, runs what they have, and what does not fit is a line before any job starts."""

import pytest

from agentomy import command
from agentomy.pipeline.plan import needs
from agentomy.pipeline.plan.catalogue import lenses
from agentomy.pipeline.plan.study import Plan
from tests.foreign_agents.conftest import LAST, new_model
from tests.foreign_agents.test_import import GRAM, MINE, planned, refusal
from tests.studies import SOURCE

INSIDE = {name: {"use": f"lenses.inside.{name}.{name}", "of": ["mine"]} for name in ("probes", "saliency", "edits")}


def test_every_general_lens_says_what_it_needs():
    said = dict(lenses(SOURCE))
    assert {entry["use"] for entry in INSIDE.values()} < set(said)
    assert said["lenses.paths.extract.gram"] == ("even checkpoints",)
    assert "hooks" in said["lenses.inside.edits.edits"]
    assert "gradients" in said["lenses.inside.saliency.saliency"]
    assert "convolution" in said["lenses.inside.features.features"]


def test_a_series_has_all_that_lenses_need_but_for_convolutions(trained):
    lacks = planned(trained, MINE).lacks("mine")
    assert lacks == {"convolution": "its network has no convolution"}
    planned(trained, MINE, checkpoints={**GRAM, **INSIDE})


def test_what_a_run_lacks_is_said_before_any_job(trained, tmp_path):
    few = {**MINE, "files": f"rl_model_{LAST}_steps.zip"}
    assert needs.of_imported([1], tmp_path / "none", {}, "world")["even checkpoints"].startswith("found 1,")
    assert "can't look at mine" in refusal(trained, few, checkpoints=GRAM)
    blind = {key: value for key, value in MINE.items() if key != "environment"}
    assert "allowed: runs with EPISODES" in refusal(trained, blind, checkpoints=INSIDE)
    decomposed = {"use": "lenses.subjects.of_observations", "of": ["mine"]}
    assert "sees 4 observations" in refusal(trained, {**MINE, "frames": 4}, checkpoints={"x": decomposed})


@pytest.mark.parametrize(("name", "need"), [("ppo one-hot", "gradients"), ("ars linear", "hidden layers")])
def test_what_a_network_has_not_is_read_from_its_file(name, need, tmp_path):
    new_model(name).save(tmp_path / "5.zip")
    lens = "saliency" if need == "gradients" else "probes"
    assert "can't look at mine" in refusal(tmp_path, {**MINE, "files": "5.zip"}, checkpoints={"x": INSIDE[lens]})


def test_a_command_says_which_lens_can_look_at_which_run(trained, monkeypatch, capsys):
    planned(trained, {**MINE, "frames": 4})
    plan = Plan({"scale": "smoke", "studies": ["mine"]}, trained, SOURCE)
    monkeypatch.setattr(command, "planned", lambda options: plan)
    assert command.main(["lenses"]) == 0
    first, *lines = capsys.readouterr().out.strip().splitlines()
    said = dict(line.split(maxsplit=1) for line in lines)
    assert first == "mine.mine"
    assert said["lenses.paths.extract.gram"] == "runs"
    assert said["lenses.inside.edits.edits"] == "runs"
    assert said["lenses.rollouts.reconstructed"] == "runs"
    assert said["lenses.subjects.of_observations"] == "its network sees 4 observations at once"
    assert command.main(["lenses", "none"]) == 1
    assert "found no such run; allowed: RUN or STUDY.RUN, such as mine.mine" in capsys.readouterr().err


def test_intervals_count_from_the_update_on_that_a_path_begins_with(tmp_path):
    assert "even checkpoints" in needs.of_imported([1, 2, 3, 5], tmp_path / "none", {}, "world")
    assert "even checkpoints" not in needs.of_imported([1, 2, 3, 4], tmp_path / "none", {}, "world")


def test_runs_of_the_pipeline_are_looked_at_by_the_lenses_that_know_their_networks():
    assert needs.of_learner("agents.td3.TD3", 10, "EPISODES", None).keys() == {"convolution"}
    assert needs.of_learner("agents.double_dqn.DoubleDQN", 10, "EPISODES", None) == {}
    assert "agents.ppo.PPO" in needs.of_learner("agents.ppo.PPO", 10, "EPISODES", None)["network"]
    assert "even checkpoints" in needs.of_learner("agents.td3.TD3", 3, "EPISODES", None)


def test_what_an_adapter_lacks_its_runs_lack_and_levels_are_no_games():
    adapted = needs.of_learner("agents.ppo.PPO", 10, "LEVELS", {"gradients": "why"})
    assert adapted["gradients"] == "why"
    assert adapted.keys() == {"gradients", "stack", "seeded environment", "observations", "labels"}
    assert "environments.maze.games" in adapted["seeded environment"]
