"""Simulators: gymnasium's checker, episodes that follow from their seed, states that can be saved."""

import os
import subprocess
import sys
from ctypes.util import find_library

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from agentomy.descriptions import Task
from agentomy.environments import arcade, control, simulators
from agentomy.seeds import Streams

GAMES = ("asterix", "breakout", "freeway", "seaquest", "space_invaders")
TASKS = ("HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Ant-v5", "Humanoid-v5")
PIXELS = {"domain": "cartpole", "task": "swingup", "repeat": 8, "size": 48, "drawing": "fast"}
drawn = pytest.mark.skipif(
    not (os.environ.get("MUJOCO_GL") or find_library("OSMesa") or find_library("EGL")),
    reason="neither OSMesa nor EGL is installed: apt install libosmesa6",
)
SOURCES = [
    *(Task(use="arcade.minatar", parameters={"game": game, "idle_limit": 60, "episodes": 3}) for game in GAMES),
    *(Task(use="control.mujoco", parameters={"task": task, "episodes": 3}) for task in TASKS),
    Task(use="arcade.atari", parameters={"game": "Pong", "episodes": 3}),
    Task(use="arcade.atari", parameters={"game": "Breakout", "episodes": 3}),
    pytest.param(Task(use="control.dm_control", parameters={**PIXELS, "episodes": 3}), marks=drawn),
]


def chosen(simulator, rng):
    return int(rng.integers(simulator.actions)) if simulator.actions else rng.uniform(simulator.low, simulator.high)


def same(one, other) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("steps", [0, 90])
def test_a_simulator_goes_on_from_a_saved_state_bit_for_bit(source, steps):
    ours, rng = simulators.make(source, np.random.default_rng(1)), np.random.default_rng(2)
    ours.reset()
    for _ in range(steps):
        if any(ours.step(chosen(ours, rng))[2:]):
            ours.reset()
    other = simulators.make(source, np.random.default_rng(3))
    other.restore(ours.state())
    for _ in range(120):
        action = chosen(ours, rng)
        a, b = ours.step(action), other.step(action)
        assert same(a, b)
        if a[2] or a[3]:
            assert np.array_equal(ours.reset(), other.reset())
    for each in (ours, other):
        each.close()


@pytest.mark.parametrize("source", SOURCES)
def test_an_episode_follows_from_its_seed(source):
    one, other = (simulators.make(source, np.random.default_rng(n)) for n in (1, 2))
    one.reset()
    one.step(chosen(one, np.random.default_rng(0)))  # what was played before leaves no trace
    rng = np.random.default_rng(4)
    assert np.array_equal(one.reset(5), other.reset(5))
    for _ in range(40):
        action = chosen(one, rng)
        a, b = one.step(action), other.step(action)
        assert same(a, b)
        if a[2] or a[3]:
            break
    for each in (one, other):
        each.close()


@pytest.mark.parametrize("game", GAMES)
def test_minatar_passes_gymnasiums_checker(game):
    check_env(arcade.MinAtar(game), skip_render_check=True)


@drawn
def test_pixels_pass_gymnasiums_checker():
    env = control.PixelControl(**PIXELS)
    check_env(env, skip_render_check=True)
    env.close()


@pytest.mark.parametrize(("game", "left"), [("breakout", 3), ("freeway", 2), ("seaquest", 9), ("space_invaders", 4)])
def test_frames_without_trails_show_all_but_how_things_move(game, left):
    whole, bare = arcade.MinAtar(game), arcade.MinAtar(game, trails=False)
    hidden = [number for name, number in whole.game.env.channels.items() if name in arcade.TRAILS]
    one, other = (env.reset(seed=3)[0] for env in (whole, bare))
    for action in [0, 1, 3, 5] * 5:
        assert other.shape == bare.observation_space.shape == (10, 10, left)
        assert np.array_equal(other, np.delete(one, hidden, axis=2))
        one, other = (env.step(action)[0] for env in (whole, bare))


def test_an_episode_without_reward_is_cut_off_not_ended():
    env = arcade.MinAtar("freeway", idle_limit=20)  # a chicken that stays where it is meets nothing
    env.reset(seed=0)
    ends = [env.step(0)[1:4] for _ in range(20)]
    assert ends == [(0.0, False, False)] * 19 + [(0.0, False, True)]


def test_mujoco_time_limits_cut_off_and_falls_end():
    cheetah = simulators.make(SOURCES[5], np.random.default_rng(0))
    cheetah.reset()
    ends = [cheetah.step(np.zeros(6))[2:] for _ in range(1000)]
    assert ends[-1] == (False, True)
    assert not any(any(each) for each in ends[:-1])
    hopper = simulators.make(SOURCES[6], np.random.default_rng(0))
    hopper.reset()
    ends = []
    while not ends or not any(ends[-1]):
        ends.append(hopper.step(np.ones(3))[2:])
    assert ends[-1] == (True, False)


def test_episodes_of_a_table_begin_as_it_says():
    made = arcade.minatar(game="breakout", episodes=3, streams=Streams("s", "r", 0)).to_pydict()
    simulator = simulators.make(SOURCES[1], np.random.default_rng(9))
    for seed, observation in zip(made["reset_seed"], made["observation"], strict=True):
        assert np.array_equal(simulator.reset(seed).ravel(), observation)


@drawn
def test_leaving_out_shadows_and_reflections_changes_the_picture_little():
    pictures = []
    for drawing in ("fast", "full"):
        env = control.PixelControl(**{**PIXELS, "drawing": drawing})
        pictures.append(env.reset(seed=1)[0].astype(float))
        env.close()
    assert pictures[0].std() > 10
    assert 0 < np.abs(pictures[0] - pictures[1]).mean() < 20


def test_without_a_renderer_there_is_one_line():
    code = (
        "import ctypes.util; from agentomy.environments import control; control.find_library = lambda name: None\n"
        "try: control.choose_renderer()\nexcept control.NoRenderer as error: print(error)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "MUJOCO_GL"}
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True).stdout
    assert said.count("\n") == 1
    assert "libosmesa6" in said
    assert "OSMesa" in said


def test_nothing_is_left_in_the_working_directory(tmp_path):
    code = (
        "import numpy as np; from agentomy.environments import simulators; from agentomy.descriptions import Task;"
        "task = Task(use='control.mujoco', parameters={'task': 'HalfCheetah-v5'});"
        "simulators.make(task, np.random.default_rng(0))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []
