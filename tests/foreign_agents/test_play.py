"""Whole games, with the environment's own rewards; and Claim 0, that an imported agent plays as it did elsewhere."""

import contextlib
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import stable_baselines3 as sb3
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecNormalize

from agentomy import kinds
from agentomy.descriptions import Task
from agentomy.environments import gym
from agentomy.lenses.behaviour.measure import parity
from agentomy.lenses.behaviour.play import Room
from agentomy.lenses.behaviour.subject import Subject, subjects
from agentomy.lenses.paths.measure import directions
from agentomy.lenses.snapshots import revived
from agentomy.tables import Table
from tests.foreign_agents.conftest import LAST, new_model, small
from tests.foreign_agents.test_import import MINE, WORLD, parameters, planned, refusal
from tests.foreign_agents.worlds import REACH, VECTOR, World, drawn, shaken
from tests.pipeline import runners

WORLDS = '''
import gymnasium
import numpy as np


class Coin(gymnasium.Env):
    """Ends after 1 or 100 steps, as a coin falls; 1 for each step."""

    observation_space, action_space = gymnasium.spaces.Box(0, 1, (1,)), gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 1 if self.np_random.random() < 0.5 else 100
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.left -= 1
        return np.zeros(1, np.float32), 1.0, self.left == 0, False, {}


class Lives(gymnasium.Env):
    """Three lives of four steps, each step worth 5: a game is worth 60."""

    observation_space, action_space = gymnasium.spaces.Box(0, 99, (1,)), gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, np.float32), {"lives": 3}

    def step(self, action):
        self.steps += 1
        lives = 3 - self.steps // 4
        return np.full(1, self.steps, np.float32), 5.0, lives == 0, False, {"lives": lives}


class OneLife(gymnasium.Wrapper):
    """As Atari's wrapper: an episode ends with a life, and the next goes on with the game."""

    def reset(self, **given):
        if getattr(self, "lives", 0):
            observation, _, _, _, info = self.env.step(0)
        else:
            observation, info = self.env.reset(**given)
        self.lives = info["lives"]
        return observation, info

    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        lost, self.lives = info["lives"] < self.lives, info["lives"]
        return observation, reward, terminated or lost, truncated, info


class Sign(gymnasium.RewardWrapper):
    def reward(self, reward):
        return float(np.sign(reward))


for each in (Coin, Lives):
    gymnasium.register(f"{each.__name__}-v0", entry_point=each)
'''


class Still(Subject):
    """Does nothing, in any environment with choices."""

    def act(self, observations, state=None, noise=None):
        return np.zeros(len(observations), int), None


@pytest.fixture
def worlds(tmp_path):
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "odd_worlds.py").write_text(WORLDS)
    yield tmp_path / "studies"
    sys.modules.pop("odd_worlds", None)


def made_in(worlds: Path, **world) -> Table:
    """The table of an environment of the module."""
    world = {"use": "environments.gym.make", "episodes": 400, **world}
    study = planned(worlds, {**MINE, "environment": "world"}, training={}, environments={"world": world}, modules=FILES)
    with contextlib.chdir(worlds.parent):
        job = study.job("environments", "world")
        runners.run(job)
        return Table(kinds.paths.EPISODES, [Path(job.outputs[0]).resolve()])


FILES = ["odd_worlds.py"]


# ---- whole games -------------------------------------------------------------------------------------------------


def test_short_episodes_do_not_crowd_out_long_ones(worlds):
    played = Room(made_in(worlds, id="odd_worlds:Coin-v0")).play(Still())
    assert set(played.returns) == {1.0, 100.0}
    np.testing.assert_array_equal(played.returns, played.lengths)
    assert played.returns.mean() == pytest.approx(50.5, abs=4 * 49.5 / 20)
    assert set(played.ended) == {"terminated"}


def test_a_game_is_worth_what_the_environment_says_whatever_its_wrappers_make_of_it(worlds):
    wrappers = [{"use": "odd_worlds.OneLife"}, {"use": "odd_worlds.Sign"}]
    played = Room(made_in(worlds, id="odd_worlds:Lives-v0", wrappers=wrappers, episodes=3)).play(Still())
    np.testing.assert_array_equal(played.returns, 60)


def test_what_is_cut_off_did_not_end(worlds):
    played = Room(made_in(worlds, id="odd_worlds:Coin-v0", max_episode_steps=7, episodes=40)).play(Still())
    assert {*zip(played.lengths.tolist(), played.ended, strict=True)} == {(1, "terminated"), (7, "truncated")}


def test_memory_begins_anew_with_each_life(worlds):
    class Counting(Still):
        def start(self, batch):
            return np.zeros(batch, int)

        def act(self, observations, state=None, noise=None):
            remembered.append(state[0])
            return super().act(observations)[0], state + 1

    remembered: list[int] = []
    Room(made_in(worlds, id="odd_worlds:Lives-v0", wrappers=[{"use": "odd_worlds.OneLife"}], episodes=1)).play(
        Counting()
    )
    assert remembered == [0, 1, 2, 3, 0, 1, 2, 0, 1, 2]  # the next life's first step is the wrapper's


# ---- a user's modules --------------------------------------------------------------------------------------------


def test_a_module_counts_by_content_where_it_is_named_and_is_not_run_by_the_plan(worlds):
    world = {"use": "environments.gym.make", "id": "odd_worlds:Coin-v0", "episodes": 2}
    sections = {"training": {}, "environments": {"world": world, "other": WORLD}, "modules": FILES}

    def digests() -> list[str]:
        study = planned(worlds, MINE, **sections)
        return [study.job("environments", name).digest() for name in ("world", "other")]

    (worlds / "odd_worlds.py").write_text("raise SystemExit")
    before = digests()
    (worlds / "odd_worlds.py").write_text(WORLDS)
    after = digests()
    assert before[0] != after[0]
    assert before[1] == after[1]
    assert "odd_worlds" not in sys.modules


@pytest.mark.parametrize(
    ("modules", "says"),
    [
        ("odd_worlds.py", "allowed: a list of files"),
        (["odd_worlds"], "allowed: a file beside this, NAME.py"),
        (["../odd_worlds.py"], "allowed: a file beside this, NAME.py"),
        (["torch.py"], "'torch' is installed"),
        (["json.py"], "'json' is installed"),
        (["nothing.py"], "there is no"),
    ],
)
def test_modules_that_are_none_are_one_line(modules, says, worlds):
    assert says in refusal(worlds, MINE, training={}, modules=modules)


@pytest.mark.parametrize(
    ("world", "says"),
    [
        ({"id": "Nothing-v0"}, "environment 'Nothing-v0'"),
        (
            {"id": "CartPole-v1", "wrappers": [{"use": "os.system"}]},
            "found 'os.system'; allowed: gymnasium.wrappers.NAME",
        ),
        ({"id": "CartPole-v1", "wrappers": [{"use": "gymnasium.wrappers.Nothing"}]}, "has no such class"),
    ],
)
def test_what_is_no_environment_is_one_line(world, says):
    with pytest.raises(ValueError, match=says):
        gym.environment(**world)


# ---- parity ------------------------------------------------------------------------------------------------------


def table(id: str, episodes: int) -> Table:
    from agentomy.seeds import Streams

    given = {"id": id, "episodes": episodes}
    rows = gym.make(**given, streams=Streams("test", "world", 0))
    return Table(kinds.paths.EPISODES, rows=rows, description=Task(use="gym.make", parameters=given))


def last_of(folder: Path, tmp_path: Path, **run) -> Subject:
    imported = parameters(planned(folder, {**MINE, **run}), tmp_path)
    *_, (_, _, subject) = subjects(imported, "cpu")
    return subject


@pytest.mark.parametrize("deterministic", [True, False])
def test_returns_are_those_of_the_library_in_the_same_mode(deterministic, trained, tmp_path):
    from agentomy import networks

    subject = last_of(trained, tmp_path)
    noise = None if deterministic else networks.generator(3)
    played = Room(table("CartPole-v1", 100)).play(subject, noise)
    model = sb3.PPO.load(trained / f"rl_model_{LAST}_steps.zip", device="cpu")
    env = DummyVecEnv([lambda: gym.environment("CartPole-v1")])
    theirs, _ = evaluate_policy(model, env, 100, deterministic=deterministic, return_episode_rewards=True, warn=False)
    error = (np.var(theirs) / 100 + played.returns.var() / 100) ** 0.5
    assert abs(np.mean(theirs) - played.returns.mean()) < 4 * error
    assert played.returns.std() > 0


def test_the_two_modes_are_two_players(trained, tmp_path):
    from agentomy import networks

    subject = last_of(trained, tmp_path)
    assert subject.distribution
    room = Room(table("CartPole-v1", 100))
    best, drawn_ = room.play(subject), room.play(subject, networks.generator(0))
    assert best.returns.mean() > drawn_.returns.mean() + 5


def test_choices_are_seen_one_hot(tmp_path):
    """FrozenLake: an agent whose observations are numbers of places."""
    model = shaken(sb3.PPO("MlpPolicy", "FrozenLake-v1", seed=0, **small()))
    model.save(tmp_path / "lake" / "1.zip")
    world = {**WORLD, "id": "FrozenLake-v1"}
    study = planned(tmp_path / "lake", {**MINE, "files": "{update}.zip"}, environments={"world": world})
    ((_, _, subject),) = subjects(parameters(study, tmp_path), "cpu")
    places = np.arange(16)
    np.testing.assert_array_equal(subject.act(places)[0], model.predict(places, deterministic=True)[0])
    assert set(Room(table("FrozenLake-v1", 5)).play(subject).returns) <= {0.0, 1.0}


def test_frames_are_scaled_and_then_stacked_on_zeros_as_in_the_library(tmp_path):
    folder = tmp_path / "stacked"
    folder.mkdir()
    scaled = VecNormalize(DummyVecEnv([lambda: World(VECTOR, REACH)]), clip_obs=3.0)
    scaled.obs_rms.update(5 + 4 * drawn(VECTOR, 50))
    env = VecFrameStack(scaled, 2)
    model = shaken(sb3.SAC("MlpPolicy", env, buffer_size=10, **small()))
    model.save(folder / "1.zip")
    scaled.save(folder / "vecnormalize.pkl")
    scaled.training = False
    run = {"use": MINE["use"], "files": "{update}.zip", "normalise": "vecnormalize.pkl", "frames": 2}
    ((_, _, stack),) = revived(parameters(planned(folder, run, environments={}), tmp_path), "cpu")
    theirs, state = env.reset(), stack.start(1)
    for _ in range(4):
        ours, state = stack.seen(scaled.get_original_obs()[None], state)
        np.testing.assert_allclose(ours[0], theirs, rtol=1e-6, atol=1e-6)
        taken = stack.agents[0].act(ours[0])
        np.testing.assert_allclose(taken, model.predict(theirs, deterministic=True)[0], atol=1e-5)
        theirs, *_ = env.step(taken)


heard: list[str] = []


class Heard:
    """What a metric says to whoever waits for it."""

    def say(self, line: str) -> None:
        heard.append(line)


def beside(study, folder: Path) -> pd.DataFrame:
    with contextlib.chdir(folder):
        for _, stage, name in study.keys:
            if stage in ("environments", "training", "checkpoints"):
                runners.run(study.job(stage, name))
        read = (
            Table(kind, [study.job(stage, name).outputs[at]])
            for kind, stage, name, at in (
                (kinds.behaviour.GAME_RETURNS, "checkpoints", "returns/mine.seeds0-0", 0),
                (kinds.common.LOG, "training", "mine.seeds0-0", 1),
            )
        )
        return parity(*read, progress=Heard()).to_pandas()


RETURNS = {"returns": {"use": "lenses.behaviour.extract.returns", "of": ["mine"], "most": 2, "twins": 0}}


def test_an_agent_that_plays_as_it_did_elsewhere_agrees(trained, tmp_path):
    heard.clear()
    run, world = {**MINE, "evaluations": "evaluations.npz"}, {**WORLD, "episodes": 40}
    study = planned(trained, run, checkpoints=RETURNS, environments={"world": world})
    compared = beside(study, tmp_path).set_index(["update", "mode"])
    theirs = np.load(trained / "evaluations.npz")["results"].mean(axis=1)
    best = compared.xs("deterministic", level="mode")
    np.testing.assert_allclose(best["noted"], theirs[[0, -1]])
    assert not heard
    assert ((best["low"] < 0) & (best["high"] > 0)).all()


def test_lost_statistics_are_named_as_a_cause(tmp_path):
    """An agent that learned on scaled observations, and whose statistics nobody kept."""
    heard.clear()
    folder = tmp_path / "scaled"
    folder.mkdir()
    env = VecNormalize(DummyVecEnv([lambda: gym.environment("CartPole-v1")]), norm_reward=False)
    model = sb3.PPO("MlpPolicy", env, n_steps=256, batch_size=64, n_epochs=10, learning_rate=3e-3, seed=0, **small())
    model.learn(4096)
    env.training = False
    returns, lengths = evaluate_policy(model, env, 20, return_episode_rewards=True, warn=False)
    model.num_timesteps = 1
    model.save(folder / "1.zip")
    env.save(folder / "vecnormalize.pkl")
    np.savez(folder / "evaluations.npz", timesteps=[1], results=[returns], ep_lengths=[lengths])
    run = {**MINE, "files": "{update}.zip", "evaluations": "evaluations.npz"}
    world = {**WORLD, "episodes": 20}

    def best(**more) -> pd.Series:
        study = planned(folder, {**run, **more}, checkpoints=RETURNS, environments={"world": world})
        return beside(study, tmp_path).set_index("mode").loc["deterministic"]

    kept, lost = best(normalise="vecnormalize.pkl"), best()
    assert (kept["normaliser"], lost["normaliser"]) == ("own", "none")
    assert kept["low"] <= 0 <= kept["high"]
    assert lost["high"] < 0
    assert len(heard) == 2  # the two modes of the agent without its statistics
    assert all("no statistics of observations were given" in line for line in heard)


def test_one_file_of_statistics_for_several_checkpoints_is_said(tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    env = VecNormalize(DummyVecEnv([lambda: World(VECTOR, REACH)]))
    env.save(folder / "vecnormalize.pkl")
    model = new_model("sac")
    for number in (1, 2):
        model.num_timesteps = number
        model.save(folder / f"{number}.zip")
    run = {"use": MINE["use"], "files": "{update}.zip", "normalise": "vecnormalize.pkl"}
    study = planned(folder, run, environments={})
    parameters(study, tmp_path)
    with contextlib.chdir(tmp_path):
        log = pd.read_parquet(study.job("training", "mine.seeds0-0").outputs[1])
    assert set(log[log["quantity"] == "normaliser"]["value"]) == {2.0}


def test_aliases_of_tensors_count_once_in_a_path(tmp_path):
    """SB3 stores the CNN that policy and value share three times."""
    model, folder = shaken(new_model("ppo cnn")), tmp_path / "cnn"
    for number in range(1, 6):
        model.num_timesteps = number
        model = shaken(model)
        model.save(folder / f"{number}.zip")
    study = planned(
        folder,
        {"use": MINE["use"], "files": "{update}.zip"},
        environments={},
        checkpoints={"gram": {"use": "lenses.paths.extract.gram", "of": ["mine"]}},
    )
    parameters(study, tmp_path)
    with contextlib.chdir(tmp_path):
        job = study.job("checkpoints", "gram/mine.seeds0-0")
        runners.run(job)
        gram = Table(kinds.paths.GRAM, [Path(job.outputs[0]).resolve()])
    real = gram.where(path="real").frame()
    assert real["size"].sum() == sum(parameter.numel() for parameter in model.policy.parameters())
    assert len(list(directions(gram, directions=[1]))) > 0
