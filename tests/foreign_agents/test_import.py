"""Checkpoints of others are a run of a study: in order, tracked by content, refused in one line."""

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import stable_baselines3 as sb3
import torch
import yaml

from agentomy import kinds
from agentomy.foreign_agents.opening import opened, recognised
from agentomy.lenses.snapshots import revived
from agentomy.mistakes import ConfigError
from agentomy.pipeline.plan import imports
from agentomy.pipeline.plan.study import Plan
from agentomy.tables import Table, tensors
from tests.foreign_agents.conftest import LAST, STEP, new_model, small
from tests.foreign_agents.hostile import Writes, pickled, replaced
from tests.foreign_agents.worlds import shaken
from tests.pipeline import runners
from tests.studies import SOURCE

GRAM = {"gram": {"use": "lenses.paths.extract.gram", "of": ["mine"]}}
FILES = "rl_model_{update}_steps.zip"
WORLD = {"use": "environments.gym.make", "id": "CartPole-v1", "episodes": 3}
MINE = {"use": "agents.foreign.Checkpoints", "environment": "world", "files": FILES}


def planned(folder: Path, run: dict, **sections):
    """The study `mine`, of one run, with its file in a folder."""
    written = {
        "paper": {"title": "t", "authors": "a", "url": "u"},
        "environments": {"world": WORLD},
        "training": {"mine": run},
        **sections,
    }
    folder.mkdir(exist_ok=True)
    (folder / "mine.yaml").write_text(yaml.safe_dump(written, sort_keys=False))
    return Plan({"scale": "smoke", "studies": ["mine"]}, folder, SOURCE).studies["mine"]


def told(study, *given, **sections) -> list[str]:
    """What Snakemake is told before any job starts."""
    return study(*given, **sections).targets


def refusal(folder: Path, run: dict, **sections) -> str:
    with pytest.raises(ConfigError) as error:
        told(planned, folder, run, **sections)
    assert str(error.value).isprintable()
    return str(error.value)


def parameters(study, folder: Path, run: str = "mine.seeds0-0") -> Table:
    with contextlib.chdir(folder):
        for stage, name in (("environments", "world"), ("training", run)):
            if name in study.names(stage):
                runners.run(study.job(stage, name))
        return Table(kinds.common.PARAMETERS, [(folder / study.job("training", run).outputs[0]).resolve()])


@pytest.fixture
def here(trained, tmp_path):
    """A folder of checkpoints of one's own."""
    shutil.copytree(trained, tmp_path / "runs")
    return tmp_path / "runs"


# ---- what a run becomes ------------------------------------------------------------------------------------------


def test_a_series_is_a_run_in_the_order_of_its_numbers(here, tmp_path):
    table = parameters(planned(here, MINE), tmp_path)
    assert table.values("update").tolist() == list(range(STEP, LAST + 1, STEP))
    assert set(table.values("seed").tolist()) == {0}
    for rows in table.groups():
        original = recognised(opened(here / f"rl_model_{rows['update'][0].as_py()}_steps.zip"))
        kept = tensors(rows)
        assert kept.keys() == original.tensors.keys()
        for name, tensor in original.tensors.items():
            np.testing.assert_array_equal(kept[name][0], tensor)


def test_a_revived_run_acts_as_its_library_does(here, tmp_path):
    table = parameters(planned(here, MINE), tmp_path)
    seen = np.random.default_rng(0).normal(size=(1000, 4)).astype(np.float32)
    for update, _, stack in revived(table, "cpu"):
        model = sb3.PPO.load(here / f"rl_model_{update}_steps.zip", device="cpu")
        np.testing.assert_array_equal(stack.act(seen[None])[0], model.predict(seen, deterministic=True)[0])


def test_what_a_file_called_a_tensor_is_kept(here, tmp_path):
    said = parameters(planned(here, MINE), tmp_path).description
    assert said.parameters["originals"]["policy.head.weight"] == "action_net.weight"
    assert said.parameters["unit"] == "steps of the environment"
    assert str(here) not in json.dumps(said.model_dump())  # nothing of where


def test_a_folder_a_seed_is_a_job_a_seed(here, tmp_path):
    for seed in (9, 10):
        shutil.copytree(here, tmp_path / "all" / f"run_{seed}")
    study = planned(tmp_path / "all", {**MINE, "files": "run_{seed}/" + FILES})
    assert study.names("training") == ["mine.seeds9-9", "mine.seeds10-10"]
    table = parameters(study, tmp_path, "mine.seeds10-10")
    assert set(table.values("seed").tolist()) == {10}


def test_tensors_alone_need_no_environment(here, tmp_path):
    run = {key: value for key, value in MINE.items() if key != "environment"}
    study = planned(here, run, environments={}, checkpoints=GRAM)
    assert parameters(study, tmp_path).description.environment is None
    with contextlib.chdir(tmp_path):
        runners.run(study.job("checkpoints", "gram/mine.seeds0-0"))


def test_targets_are_kept_and_are_no_part_of_a_path(tmp_path):
    model, folder = shaken(new_model("dqn")), tmp_path / "dqn"
    for number in range(1, 6):
        model.num_timesteps = number
        model.save(folder / f"{number}.zip")
    run = {"use": MINE["use"], "files": "{update}.zip"}
    study = planned(
        folder, run, environments={}, checkpoints={"gram": {"use": "lenses.paths.extract.gram", "of": ["mine"]}}
    )
    kept = tensors(next(parameters(study, tmp_path).groups()))
    assert {"target.policy.head.weight", "policy.head.weight"} <= kept.keys()
    with contextlib.chdir(tmp_path):
        job = study.job("checkpoints", "gram/mine.seeds0-0")
        runners.run(job)
        layers = set(pd.read_parquet(job.outputs[0])["layer"])
    assert layers == {"policy.body.0", "policy.body.2", "policy.head"}


def test_a_file_without_a_number_is_one_snapshot(here, tmp_path):
    study = planned(here, {**MINE, "files": f"rl_model_{LAST}_steps.zip"})
    assert parameters(study, tmp_path).values("update").tolist() == [LAST]  # as the zip says


def test_evaluations_stand_beside_the_run(here, tmp_path):
    study = planned(here, {**MINE, "evaluations": "evaluations.npz"})
    parameters(study, tmp_path)
    with contextlib.chdir(tmp_path):
        log = pd.read_parquet(study.job("training", "mine.seeds0-0").outputs[1])
    noted = log[log["quantity"] == "noted return"].set_index("update")["value"]
    theirs = np.load(here / "evaluations.npz")
    np.testing.assert_allclose(noted[theirs["timesteps"]], theirs["results"].mean(axis=1))


# ---- before any job ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "says"),
    [
        ({"files": "model_{update}.zip"}, "training.mine.files: model_{update}.zip: found no file"),
        ({"files": "{steps}.zip"}, "no name in braces 'steps'"),
        ({"format": "safetensors"}, "found sb3; allowed: safetensors"),
        ({"network": {"use": "recognised", "activation": "Tanh"}}, "stated for an SB3 zip"),
        ({"network": {"use": "recognised", "activaton": "Tanh"}}, "no key 'activaton' (did you mean 'activation'?)"),
        ({"network": {"use": "mine.Net"}}, "allowed: recognised"),
        (
            {"normalise": "vecnormalize_{update}.pkl"},
            "training.mine.normalise: vecnormalize_{update}.pkl: found no file",
        ),
        ({"seeds": 3}, "training.mine.seeds: found beside agents.foreign.Checkpoints, which learns nothing"),
        ({"snapshots": {"even": 3}}, "training.mine.snapshots: found beside"),
    ],
)
def test_what_makes_no_sense_is_one_line_before_any_job(run, says, here):
    assert says in refusal(here, {**MINE, **run})


def test_a_learner_still_says_how_often_and_how_long(here):
    learner = {"use": "agents.predictor.Predictor", "environment": "world", "width": 3, "updates": 3}
    assert refusal(here, learner).endswith("training.mine.seeds: missing")
    assert refusal(here, {**learner, "seeds": 3}).endswith("training.mine.snapshots: missing")


def test_a_missing_number_is_one_line_before_any_job(here):
    (here / f"rl_model_{3 * STEP}_steps.zip").unlink()
    assert f"number {3 * STEP} is missing in an otherwise even series" in refusal(here, MINE)


def test_two_networks_are_one_line_before_any_job(here):
    other = sb3.PPO("MlpPolicy", "CartPole-v1", device="cpu", policy_kwargs={"net_arch": [9, 8]})
    other.save(here / f"rl_model_{LAST}_steps.zip")
    line = refusal(here, MINE)
    assert "training.mine.files" in line
    assert "allowed: one network in a series" in line


def test_names_that_contradict_the_files_are_one_line_before_any_job(here):
    first, second = (here / f"rl_model_{number}_steps.zip" for number in (STEP, 2 * STEP))
    second.rename(here / "kept")
    first.rename(second)
    (here / "kept").rename(first)
    assert f"found step {STEP} after step {2 * STEP}" in refusal(here, MINE)


def test_a_file_that_would_run_code_is_one_line_before_any_job_and_runs_none(here, tmp_path):
    path, touched = here / f"rl_model_{STEP}_steps.zip", tmp_path / "touched"
    replaced(path, here / "bad.zip", {"policy.pth": pickled(Writes(touched))})
    (here / "bad.zip").replace(path)
    assert "training.mine.files" in refusal(here, MINE)
    assert not touched.exists()


# ---- what counts -------------------------------------------------------------------------------------------------


def test_a_replaced_file_makes_its_run_stale_and_no_other_date_does(here):
    study = planned(here, MINE)
    before = study.job("training", "mine.seeds0-0").digest()
    path = here / f"rl_model_{STEP}_steps.zip"
    shutil.copy(path, here / "same.zip")
    (here / "same.zip").replace(path)
    assert planned(here, MINE).job("training", "mine.seeds0-0").digest() == before
    sb3.PPO("MlpPolicy", "CartPole-v1", seed=1, **small()).save(path)
    assert planned(here, MINE).job("training", "mine.seeds0-0").digest() != before


def test_a_file_that_is_replaced_after_planning_is_refused_by_its_job(here, tmp_path):
    job = planned(here, MINE).job("training", "mine.seeds0-0")
    path = here / f"rl_model_{STEP}_steps.zip"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ConfigError, match="was replaced since this run began"):
        imports.verified(job.options["files"]["files"])


def test_what_was_fine_is_not_opened_twice(here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".snakemake").mkdir()
    planned(here, MINE).targets  # noqa: B018
    monkeypatch.setattr(imports.opening, "opened", lambda *given: pytest.fail("opened again"))
    planned(here, MINE).targets  # noqa: B018


def test_planning_needs_no_torch(here):
    import subprocess
    import sys

    planned(here, MINE)
    code = (
        "import sys; from pathlib import Path; from agentomy.pipeline.plan.study import Plan; "
        f"Plan({{'scale': 'smoke', 'studies': ['mine']}}, Path({str(here)!r})).studies['mine'].targets; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_statistics_of_each_checkpoint_are_its_own(tmp_path):
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    from tests.foreign_agents.worlds import REACH, VECTOR, World, drawn

    folder = tmp_path / "scaled"
    folder.mkdir()
    env = VecNormalize(DummyVecEnv([lambda: World(VECTOR, REACH)]), clip_obs=3.0)
    model = shaken(new_model("sac"))
    for number in (1, 2):
        env.obs_rms.update(number * (5 + 4 * drawn(VECTOR, 50)))
        model.num_timesteps = number
        model.save(folder / f"model_{number}.zip")
        env.save(folder / f"vecnormalize_{number}.pkl")
    run = {"use": MINE["use"], "files": "model_{update}.zip", "normalise": "vecnormalize_{update}.pkl"}
    table = parameters(planned(folder, run, environments={}), tmp_path)
    seen = 20 * drawn(VECTOR, 1000)
    for update, _, stack in revived(table, "cpu"):
        theirs = VecNormalize.load(folder / f"vecnormalize_{update}.pkl", env.venv).normalize_obs(seen)
        expected, _ = model.predict(theirs, deterministic=True)
        np.testing.assert_allclose(stack.act(seen[None])[0], expected, atol=1e-5)


def test_dead_units_of_an_imported_run_are_found(tmp_path):
    model = new_model("dqn")
    with torch.no_grad():
        model.policy.q_net.q_net[0].bias[3] = -1000.0
    folder = tmp_path / "dqn"
    model.save(folder / "1.zip")
    table = parameters(planned(folder, {"use": MINE["use"], "files": "{update}.zip"}, environments={}), tmp_path)
    _, _, stack = next(revived(table, "cpu"))
    seen = np.random.default_rng(0).normal(size=(1, 200, 5)).astype(np.float32)
    silent = (stack.activations(seen)["policy.body.0"] == 0).all(dim=1)
    assert silent[0].nonzero().flatten().tolist() == [3]


def test_a_normaliser_that_would_run_code_is_one_line_before_any_job(here, tmp_path):
    touched = tmp_path / "touched"
    (here / "vecnormalize.pkl").write_bytes(pickled(Writes(touched)))
    assert "training.mine.normalise" in refusal(here, {**MINE, "normalise": "vecnormalize.pkl"})
    assert not touched.exists()
