"""`agentomy import`: from a folder of checkpoints to a study that runs, and that notices a file that was replaced."""

import shutil

import gymnasium
import pandas as pd
import pytest
import stable_baselines3 as sb3
import torch
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecNormalize

from agentomy.pipeline.plan import importing
from agentomy.pipeline.plan.study import Plan
from tests.foreign_agents.conftest import STEP, new_model, small
from tests.foreign_agents.worlds import CHOICE, PICTURE, REACH, VECTOR, World
from tests.pipeline.trees import fresh
from tests.studies import SOURCE

PATTERN = "runs/rl_model_{update}_steps.zip"


@pytest.fixture
def here(trained, tmp_path, monkeypatch):
    """A folder to work in, with a run and a folder of studies."""
    shutil.copytree(trained, tmp_path / "runs")
    (tmp_path / "workflow" / "studies").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(importing, "STUDIES", tmp_path / "workflow" / "studies")
    return tmp_path


def study(folder, name: str):
    return Plan({"scale": "smoke", "studies": [name]}, folder / "workflow" / "studies", SOURCE).studies[name]


def test_it_says_what_it_recognised_and_writes_a_study_that_can_be_planned(here, capsys):
    assert importing.main([PATTERN, "--env", "CartPole-v1"]) == 0
    said = capsys.readouterr().out
    assert "8 files, numbers 64 to 512" in said
    assert "PPO, box of shape [4] → 8 → 8 → 2 (logits), Tanh; 1 value of [8, 8]" in said
    assert "returns noted elsewhere: runs/evaluations.npz" in said
    written = study(here, "runs")
    inside = ["probes", "edits", "saliency"]
    assert written.names("figures") == ["returns", "units", *inside, "dimensionality", "courses"]
    assert [*written.claims] == ["C0", "C1", "C2", "C3", "C4"]
    assert written.targets
    assert len((here / "workflow" / "studies" / "runs.yaml").read_text().splitlines()) < 190


def test_several_seeds_are_sampled_and_one_is_not(here):
    for seed in (1, 2):
        shutil.copytree(here / "runs", here / "all" / f"s{seed}")
    assert importing.main(["all/s{seed}/rl_model_{update}_steps.zip", "--env", "CartPole-v1", "--name", "many"]) == 0
    assert importing.main([PATTERN, "--env", "CartPole-v1", "--name", "one"]) == 0
    tests = {
        name: study(here, name).claims["C2"].tests["directions for 0.9 less the walk's"] for name in ("many", "one")
    }
    assert (tests["many"].unit, tests["one"].unit) == ("seed", "deterministic")
    assert study(here, "many").names("training") == ["many.seeds1-1", "many.seeds2-2"]


def test_one_file_has_no_path_and_no_parity(here):
    shutil.copy(here / "runs" / f"rl_model_{STEP}_steps.zip", here / "model.zip")
    assert importing.main(["model.zip", "--env", "CartPole-v1", "--name", "single"]) == 0
    written = study(here, "single")
    assert written.names("figures") == ["returns", "units", "probes", "edits", "saliency"]
    assert [*written.claims] == ["C1", "C3", "C4"]


@pytest.mark.parametrize("pixels", [False, True])
def test_one_that_sees_several_frames_is_told_to_say_so(pixels, here, capsys):
    space = spaces.Box(0, 255, (40, 40, 1), "uint8") if pixels else VECTOR
    gymnasium.register("Seen-v0", lambda **given: World(space, CHOICE))
    env = VecFrameStack(DummyVecEnv([lambda: World(space, CHOICE)]), 3)
    policy = "CnnPolicy" if pixels else "MlpPolicy"
    sb3.PPO(policy, env, n_steps=16, batch_size=16, **small()).save(here / "stacked.zip")
    given = ["stacked.zip", "--env", "Seen-v0", "--name", "stacked"]
    assert importing.main(given) == 1
    assert "another environment, its wrappers, or frames: 3" in capsys.readouterr().err
    assert importing.main([*given, "--frames", "3"]) == 0
    assert ("features" in study(here, "stacked").names("figures")) is pixels
    del gymnasium.registry["Seen-v0"]


def test_statistics_beside_the_files_are_named_and_left_as_they_are(here):
    env = VecNormalize(DummyVecEnv([lambda: gymnasium.make("CartPole-v1")]))
    env.save(here / "runs" / "vecnormalize.pkl")
    before = (here / "runs" / "vecnormalize.pkl").read_bytes()
    assert importing.main([PATTERN, "--env", "CartPole-v1"]) == 0
    assert (here / "runs" / "vecnormalize.pkl").read_bytes() == before
    assert study(here, "runs").entries["training"]["runs"].parameters["normalise"] == "../../runs/vecnormalize.pkl"


def test_a_state_dict_is_stated(here):
    from tests.foreign_agents.test_scripts import mlp

    torch.save(mlp(4, 8, 2).state_dict(), here / "q.pt")
    assert importing.main(["q.pt", "--env", "CartPole-v1", "--name", "script"]) == 1
    given = ["q.pt", "--env", "CartPole-v1", "--name", "script", "--head", "q", "--activation", "Tanh"]
    assert importing.main(given) == 0
    written = study(here, "script").entries["training"]["script"].parameters
    assert written["network"] == {"use": "recognised", "activation": "Tanh", "head": "q"}


def test_what_lenses_cannot_look_at_is_not_asked_for(here, monkeypatch):
    """An agent that acts on choices has no gradient in them, one without a hidden layer none to look into."""
    figures = {}
    for name, agent, world in (
        ("choices", "ppo one-hot", World(spaces.Discrete(7), CHOICE)),
        ("linear", "ars linear", World(VECTOR, REACH)),
        ("pictures", "ppo cnn", World(PICTURE, CHOICE)),
    ):
        new_model(agent).save(here / f"{name}.zip")
        spec = EnvSpec(f"{name}-v0", entry_point=lambda world=world: world)
        monkeypatch.setitem(gymnasium.registry, spec.id, spec)
        assert importing.main([f"{name}.zip", "--env", spec.id, "--name", name]) == 0
        figures[name] = study(here, name).names("figures")
        assert study(here, name).targets
    assert figures == {
        "choices": ["returns", "units", "probes", "edits"],
        "linear": ["returns", "saliency"],
        "pictures": ["returns", "units", "saliency", "features", "groups"],
    }


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([PATTERN, "--env", "Nothing-v0"], "Nothing-v0"),
        ([PATTERN, "--env", "Acrobot-v1"], "found box of shape [4], and the environment has box of shape [6]"),
        (["runs/{steps}.zip", "--env", "CartPole-v1"], "no name in braces 'steps'"),
        ([PATTERN, "--env", "CartPole-v1", "--name", "a b"], "found 'a b'"),
        ([PATTERN, "--env", "CartPole-v1", "--normalise", "none.pkl"], "none.pkl"),
    ],
)
def test_what_cannot_be_imported_is_one_line_and_writes_nothing(given, says, here, capsys):
    assert importing.main(given) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("agentomy: ")
    assert says in line
    assert not list((here / "workflow" / "studies").iterdir())


def test_a_study_that_is_there_is_not_written_over(here, capsys):
    given = [PATTERN, "--env", "CartPole-v1"]
    assert importing.main(given) == 0
    (here / "workflow" / "studies" / "runs.yaml").write_text("mine")
    assert importing.main(given) == 1
    assert "is there already" in capsys.readouterr().err
    assert (here / "workflow" / "studies" / "runs.yaml").read_text() == "mine"


def test_from_a_folder_of_zips_to_figures_and_claims_and_a_replaced_zip_is_noticed(trained, tmp_path, monkeypatch):
    tree = fresh(tmp_path / "tree")
    shutil.copytree(trained, tree.path / "runs" / "cart")
    monkeypatch.chdir(tree.path)
    monkeypatch.setattr(importing, "STUDIES", tree.path / "workflow" / "studies")
    assert importing.main([PATTERN.replace("runs/", "runs/cart/"), "--env", "CartPole-v1"]) == 0
    done = tree.snakemake("cart")
    assert done.returncode == 0, done.stdout[-3000:]
    results = tree.path / "results" / "smoke" / "cart"
    figures = {path.name for path in (results / "figures").glob("*.png")}
    inside = {"probes.png", "edits.png", "saliency.png"}
    assert figures == {"returns.png", "units.png", "dimensionality.png", "courses.png"} | inside
    claims = pd.read_parquet(results / "claims.parquet")
    assert {"C0", "C1", "C2", "C3", "C4"} == set(claims["claim"])
    assert not tree.planned("cart")
    path = tree.path / "runs" / "cart" / f"rl_model_{STEP}_steps.zip"
    path.write_bytes(path.read_bytes())  # another date, the same content
    assert not tree.planned("cart")
    model = sb3.PPO("MlpPolicy", "CartPole-v1", seed=1, **small())
    model.num_timesteps = STEP
    model.save(path)
    assert "training cart.seeds0-0" in tree.planned("cart")
    parameters = results / "training" / "cart.seeds0-0.parameters.parquet"
    before = parameters.read_bytes()
    assert tree.snakemake(str(parameters.relative_to(tree.path))).returncode == 0
    assert parameters.read_bytes() != before
    path.write_bytes(b"no zip")
    broken = tree.snakemake("cart")
    assert broken.returncode != 0
    assert "training.cart.files" in broken.stdout
    assert "found no zip" in broken.stdout
