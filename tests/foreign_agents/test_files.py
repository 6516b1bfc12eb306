"""Statistics, evaluations, monitor files, series of checkpoints, and agents that are not known: each as it is."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import stable_baselines3 as sb3
from gymnasium import spaces as gym_spaces
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecNormalize

from agentomy.foreign_agents import series, spaces
from agentomy.foreign_agents.from_scripts import Stated
from agentomy.foreign_agents.normalisers import read_normaliser
from agentomy.foreign_agents.opening import opened, recognised
from agentomy.foreign_agents.returns import read_evaluations, read_monitor
from agentomy.mistakes import ConfigError
from agentomy.networks.foreign.agent import rebuilt
from tests.foreign_agents.conftest import SMALL, contrib, new_model
from tests.foreign_agents.hostile import replaced
from tests.foreign_agents.worlds import CHOICE, PICTURE, REACH, VECTOR, World, drawn, shaken


def refusal(do) -> str:
    with pytest.raises(ConfigError) as error:
        do()
    assert str(error.value).isprintable()
    return str(error.value)


# ---- normalisation and stacks ------------------------------------------------------------------------------------


def scaled(clip: float = 3.0, **options) -> VecNormalize:
    """An environment whose running statistics have seen something."""
    env = VecNormalize(DummyVecEnv([lambda: World(VECTOR, REACH)]), clip_obs=clip, **options)
    env.obs_rms.update(5 + 4 * drawn(VECTOR, 50)) if env.norm_obs else None
    return env


def test_observations_are_scaled_as_in_training(tmp_path):
    env = scaled()
    env.save(tmp_path / "vecnormalize.pkl")
    normaliser = read_normaliser(tmp_path / "vecnormalize.pkl")
    observations = 6 * drawn(VECTOR, 1000)
    np.testing.assert_array_equal(normaliser(observations), env.normalize_obs(observations))
    assert np.abs(normaliser(observations)).max() == 3
    assert normaliser.count == pytest.approx(env.obs_rms.count)


def test_each_checkpoint_may_have_its_own_statistics(tmp_path):
    env = scaled()
    paths = [tmp_path / "rl_model_vecnormalize_1000_steps.pkl", tmp_path / "rl_model_vecnormalize_2000_steps.pkl"]
    env.save(paths[0])
    env.obs_rms.update(np.full((500, 5), 40.0))
    env.save(paths[1])
    early, late = (read_normaliser(path) for path in paths)
    assert (late.mean > early.mean + 10).all()
    np.testing.assert_array_equal(late.mean, env.obs_rms.mean)


def test_an_agent_whose_rewards_alone_were_scaled_sees_raw_observations(tmp_path):
    scaled(norm_obs=False).save(tmp_path / "vecnormalize.pkl")
    observations = drawn(VECTOR, 10)
    np.testing.assert_array_equal(read_normaliser(tmp_path / "vecnormalize.pkl")(observations), observations)


def test_statistics_come_as_arrays_too(tmp_path):
    env = scaled(clip=10.0)
    np.savez(tmp_path / "statistics.npz", mean=env.obs_rms.mean, var=env.obs_rms.var)
    observations = drawn(VECTOR, 10)
    np.testing.assert_array_equal(
        read_normaliser(tmp_path / "statistics.npz")(observations), env.normalize_obs(observations)
    )
    np.savez(tmp_path / "statistics.npz", mean=env.obs_rms.mean, var=-env.obs_rms.var)
    assert "var: found" in refusal(lambda: read_normaliser(tmp_path / "statistics.npz"))


def test_statistics_of_dicts_are_refused(tmp_path):
    both = gym_spaces.Dict({"a": VECTOR, "b": VECTOR})
    VecNormalize(DummyVecEnv([lambda: World(both, REACH)])).save(tmp_path / "vecnormalize.pkl")
    assert "Dict observation" in refusal(lambda: read_normaliser(tmp_path / "vecnormalize.pkl"))


def test_an_agent_on_scaled_stacked_observations_acts_as_in_its_library(tmp_path):
    """VecNormalize before VecFrameStack: statistics of width 5, a network of width 10."""
    env = VecFrameStack(scaled(), 2)
    model = shaken(sb3.SAC("MlpPolicy", env, buffer_size=10, device="cpu", policy_kwargs=dict(SMALL)))
    model.save(tmp_path / "agent.zip")
    env.venv.save(tmp_path / "vecnormalize.pkl")
    agent_file = recognised(
        opened(tmp_path / "agent.zip"),
        spaces.from_gymnasium(env.observation_space),
        spaces.from_gymnasium(env.action_space),
    )
    agent = rebuilt(agent_file, tmp_path)
    normaliser = read_normaliser(tmp_path / "vecnormalize.pkl")
    env.venv.training = False  # or a reset moves the statistics
    stacked = env.reset()
    np.testing.assert_array_equal(stacked[:, :5], 0)  # SB3 fills with zeros
    np.testing.assert_allclose(stacked[:, 5:], normaliser(env.venv.get_original_obs()))
    observations = np.concatenate([normaliser(drawn(VECTOR, 500)), normaliser(2 * drawn(VECTOR, 500))], axis=1)
    np.testing.assert_allclose(agent.act(observations), model.predict(observations, deterministic=True)[0], atol=1e-5)


def test_the_environment_must_be_the_agents(saved):
    _, path = saved("sac")
    wide = gym_spaces.Box(-1, 1, (6,), np.float32)
    line = refusal(lambda: recognised(opened(path), spaces.from_gymnasium(wide), spaces.from_gymnasium(REACH)))
    assert "found box of shape [5], and the environment has box of shape [6]" in line
    assert "action_space" in refusal(
        lambda: recognised(opened(path), spaces.from_gymnasium(VECTOR), spaces.from_gymnasium(CHOICE))
    )


# ---- agents that are refused -------------------------------------------------------------------------------------


def edited(source: Path, path: Path, edit) -> Path:
    with zipfile.ZipFile(source) as archive:
        data = json.loads(archive.read("data"))
    edit(data)
    return replaced(source, path, {"data": json.dumps(data).encode()})


def test_policies_with_masks_memory_or_dicts_are_refused_in_one_line(tmp_path):
    both = gym_spaces.Dict({"a": VECTOR, "b": VECTOR})
    models = {
        "without its masks": contrib.MaskablePPO("MlpPolicy", World(VECTOR, CHOICE), device="cpu"),
        "recurrent": contrib.RecurrentPPO("MlpLstmPolicy", World(VECTOR, CHOICE), device="cpu"),
        "Dict": sb3.PPO("MultiInputPolicy", World(both, CHOICE), device="cpu"),
    }
    for says, model in models.items():
        model.save(tmp_path / "agent.zip")
        assert says in refusal(lambda: recognised(opened(tmp_path / "agent.zip")))


class Doubled(sb3.common.torch_layers.FlattenExtractor):
    """Tensors do not show it."""

    def forward(self, observations):
        return 2 * super().forward(observations)


class Policy(sb3.common.policies.ActorCriticPolicy):
    """Tensors do not show that it is another class either."""


def test_classes_of_ones_own_are_refused_by_their_name(tmp_path):
    path = tmp_path / "agent.zip"
    kwargs = {"features_extractor_class": Doubled}
    sb3.PPO("MlpPolicy", World(VECTOR, CHOICE), device="cpu", policy_kwargs=kwargs).save(path)
    assert "features extractor tests.foreign_agents.test_files.Doubled" in refusal(lambda: recognised(opened(path)))
    sb3.PPO(Policy, World(VECTOR, CHOICE), device="cpu").save(path)
    assert "policy of the module 'tests.foreign_agents.test_files'" in refusal(lambda: recognised(opened(path)))


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (
            lambda data: data["policy_kwargs"].update(activation_fn="<class 'mine.Sine'>"),
            "found mine.Sine; allowed: torch",
        ),
        (lambda data: data.pop("policy_class"), "policy of the module ''"),
        (lambda data: data.pop("observation_space"), "observation_space: found nothing said of it"),
        (lambda data: data["action_space"].update(n="5"), "found 4 outputs; allowed: 5"),
        (lambda data: data["observation_space"].update(_shape=[6]), "found 5 inputs; allowed: the 6 before it"),
        (
            lambda data: data["observation_space"].update({":type:": "<class 'gymnasium.spaces.dict.Dict'>"}),
            "a Dict space",
        ),
    ],
)
def test_a_zip_that_contradicts_itself_is_one_line(edit, says, saved, tmp_path):
    path = edited(saved("ppo")[1], tmp_path / "agent.zip", edit)
    line = refusal(lambda: recognised(opened(path)))
    assert line.startswith(f"{path}: ")
    assert says in line


def test_nothing_is_stated_for_a_zip(saved):
    assert "says it itself" in refusal(lambda: recognised(opened(saved("ppo")[1]), stated=Stated(activation="ReLU")))


def test_the_stated_format_is_the_files(saved):
    assert "found sb3; allowed: safetensors" in refusal(lambda: opened(saved("ppo")[1], "safetensors"))
    assert "did you mean 'sb3'?" in refusal(lambda: opened(saved("ppo")[1], "sb"))


# ---- returns -----------------------------------------------------------------------------------------------------


def test_evaluations_are_those_of_the_librarys_callback(tmp_path):
    model = sb3.PPO("MlpPolicy", World(VECTOR, CHOICE), n_steps=32, batch_size=32, n_epochs=1, device="cpu")
    evaluated = Monitor(World(VECTOR, CHOICE), str(tmp_path / "run"))
    callback = EvalCallback(evaluated, eval_freq=16, n_eval_episodes=3, log_path=str(tmp_path), verbose=0)
    model.learn(32, callback=callback)
    evaluated.close()
    evaluations = read_evaluations(tmp_path / "evaluations.npz")
    assert evaluations.steps.tolist() == [16, 32]
    assert evaluations.returns.shape == evaluations.lengths.shape == (2, 3)
    assert (evaluations.lengths == 10).all()
    monitored = read_monitor(tmp_path / "run.monitor.csv")
    assert monitored.lengths.tolist() == [10] * 6
    assert (monitored.returns == 0).all()


MONITOR = '#{"t_start": 1.0, "env_id": "CartPole-v1"}\nr,l,t,note\n1.5,10,0.5,a\n2.5,20,0.9,b\n'


def test_a_monitor_file_that_was_cut_off_keeps_its_whole_lines(tmp_path):
    path = tmp_path / "monitor.csv"
    path.write_text(MONITOR + "3.5,3")
    monitor = read_monitor(path)
    assert monitor.environment == "CartPole-v1"
    assert monitor.returns.tolist() == [1.5, 2.5]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1"),
        (MONITOR.replace("#", ""), "line 1"),
        (MONITOR.replace("r,l,t", "reward,l,t"), "line 2: found the columns reward"),
        (MONITOR.replace("2.5", "much"), "line 4: found 'much'"),
        (MONITOR.replace("1.5", "nan"), "line 3: found 'nan'"),
        (MONITOR.replace("1.5,10,", ""), "line 3: found 2 cells"),
        (MONITOR + "3.5,3\n", "line 5: found 2 cells"),  # written to its end
    ],
)
def test_a_broken_monitor_file_is_one_line(text, says, tmp_path):
    path = tmp_path / "monitor.csv"
    path.write_text(text)
    assert says in refusal(lambda: read_monitor(path))


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"results": np.zeros((2, 3))}, "timesteps: missing"),
        ({"timesteps": np.arange(3), "results": np.zeros((2, 3))}, "results: found the shape [2, 3]"),
        ({"timesteps": np.array([2, 1]), "results": np.zeros((2, 3))}, "out of order"),
        ({"timesteps": np.array([1, 1]), "results": np.zeros((2, 3))}, "out of order"),
    ],
)
def test_broken_evaluations_are_one_line(arrays, says, tmp_path):
    np.savez(tmp_path / "evaluations.npz", **arrays)
    assert says in refusal(lambda: read_evaluations(tmp_path / "evaluations.npz"))


# ---- series ------------------------------------------------------------------------------------------------------


def files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


STEPS = "rl_model_{update}_steps.zip"


def steps(*numbers) -> list[str]:
    return [STEPS.replace("{update}", str(number)) for number in numbers]


def test_numbers_are_ordered_as_numbers(tmp_path):
    files(tmp_path, *steps(10000, 2000, 4000, 8000, 6000), "rl_model_x_steps.zip", "rl_model_1_steps.zip.bak")
    snapshots = series.checkpoints(STEPS, tmp_path)
    assert [snapshot.update for snapshot in snapshots] == [2000, 4000, 6000, 8000, 10000]
    assert [snapshot.path.name for snapshot in snapshots] == steps(2000, 4000, 6000, 8000, 10000)
    assert all(snapshot.path.is_absolute() for snapshot in snapshots)


def test_seeds_are_told_by_the_name_of_a_folder(tmp_path):
    files(tmp_path, *(f"run_{seed}/{name}" for seed in (10, 9) for name in steps(5, 10)))
    snapshots = series.checkpoints("run_{seed}/" + STEPS, tmp_path)
    assert [(snapshot.seed, snapshot.update) for snapshot in snapshots] == [(9, 5), (9, 10), (10, 5), (10, 10)]


def test_a_pattern_without_braces_is_a_file(tmp_path):
    files(tmp_path, "best/model.zip")
    (tmp_path / "link.zip").symlink_to(tmp_path / "best" / "model.zip")
    for pattern in ("best/model.zip", "link.zip", str(tmp_path / "best/model.zip")):
        assert series.checkpoints(pattern, tmp_path) == [
            series.Checkpoint(None, None, (tmp_path / "best/model.zip").resolve())
        ]


def test_steps_that_grow_are_no_gaps(tmp_path):
    for numbers in ((1, 10, 100, 1000), (0, 100, 200, 300, 317), (1, 2, 4, 8, 16)):
        folder = tmp_path / str(numbers[1])
        assert len(series.checkpoints(STEPS, files(folder, *steps(*numbers)))) == len(numbers)


@pytest.mark.parametrize(
    ("names", "pattern", "says"),
    [
        (steps(1, 2, 4, 5), STEPS, "number 3 is missing in an otherwise even series"),
        (steps(1000, "01000", 2000), STEPS, "number 1000 twice (rl_model_01000_steps.zip and rl_model_1000_steps.zip)"),
        (["0/1.zip", "0/2.zip", "1/1.zip"], "{seed}/{update}.zip", "seed 1 has no 2, and seed 0 has"),
        (["0/1.zip", "1/1.zip", "1/2.zip"], "{seed}/{update}.zip", "seed 0 has no 2, and seed 1 has"),
        (steps(1), "model_{update}.zip", "lie: rl_model_1_steps.zip"),
        (steps(1), "none/{update}.zip", "there is no folder"),
        (steps(1), "{step}.zip", "no name in braces 'step'"),
        (steps(1), "{update}_{update}.zip", "{update} twice"),
        (steps(1), "{update.zip", "a brace that is not closed"),
    ],
)
def test_what_is_no_series_is_one_line(names, pattern, says, tmp_path):
    line = refusal(lambda: series.checkpoints(pattern, files(tmp_path, *names)))
    assert line.startswith(f"{pattern}: ")
    assert says in line


def test_a_series_of_two_networks_is_refused(saved):
    paths = [saved("ppo")[1], saved("a2c")[1]]
    agents = [(path, recognised(opened(path))) for path in paths]
    assert len([*series.same_network([agents[0], agents[0]])]) == 2
    line = refusal(lambda: [*series.same_network(agents)])
    assert line.startswith(f"{paths[1]}: ")
    assert "where ppo.zip has" in line


def test_a_series_whose_names_contradict_its_steps_is_refused(tmp_path):
    model = new_model("ppo")
    for name, number in zip("abc", (1000, 3000, 2000), strict=True):
        model.num_timesteps = number
        model.save(tmp_path / f"{name}.zip")
    agents = [(tmp_path / f"{name}.zip", recognised(opened(tmp_path / f"{name}.zip"))) for name in "abc"]
    assert len([*series.same_network(agents[:2])]) == 2
    assert "found step 2000 after step 3000 of b.zip" in refusal(lambda: [*series.same_network(agents)])


def test_spaces_are_the_same_from_gymnasium_and_from_text(saved):
    for name in ("ppo cnn", "ppo one-hot", "ppo choices", "ppo switches", "sac"):
        model, path = saved(name)
        said = opened(path).said
        assert said.space("action_space") == spaces.from_gymnasium(model.action_space)
        ours, theirs = said.space("observation_space"), spaces.from_gymnasium(model.observation_space)
        assert ours.model_dump(exclude={"low", "high"}) == theirs.model_dump(exclude={"low", "high"})
    assert opened(saved("ppo cnn")[1]).said.space("observation_space").pixels
    assert spaces.from_gymnasium(PICTURE).pixels
