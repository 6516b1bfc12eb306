"""Simulators: gymnasium's checker, episodes that follow from their seed, states that can be saved."""

import os
import subprocess
import sys
from ctypes.util import find_library
from unittest.mock import Mock

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from agentomy.descriptions import Task
from agentomy.environments import arcade, control, simulators
from agentomy.seeds import Streams

GAMES = ("asterix", "breakout", "freeway", "seaquest", "space_invaders")
TASKS = ("HalfCheetah-v5", "Hopper-v5", "Walker2d-v5", "Ant-v5", "Humanoid-v5")
PIXELS = {"domain": "cartpole", "task": "swingup", "action_repeat": 8, "image_size": 48, "drawing": "fast"}
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
    Task(use="maze.games", parameters={"world": 5, "pixels": 9, "max_episode_steps": 40, "episodes": 3}),
    Task(
        use="gym_bandits.gaussian", parameters={"mean": 0.0, "variance": 1.0, "noise": 1.0, "steps": 9, "episodes": 3}
    ),
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
    for simulator in (ours, other):
        simulator.close()


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
    for simulator in (one, other):
        simulator.close()


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


def test_idle_steps_count_since_the_last_reward(monkeypatch):
    """A greedy agent can idle for ever after some reward, too."""
    env = arcade.MinAtar("breakout", idle_limit=20)
    for _ in range(2):  # and anew in each episode
        env.reset(seed=0)
        rewards = [0] * 12 + [1] + [0] * 15 + [1] + [0] * 20
        monkeypatch.setattr(env.game, "act", Mock(side_effect=[(reward, False) for reward in rewards]))
        assert [env.step(0)[2:4] for _ in rewards] == [(False, False)] * (len(rewards) - 1) + [(False, True)]


FAMILIES = [  # each as it would go on for more than 9 steps
    Task(use="arcade.minatar", parameters={"game": "freeway", "idle_limit": 0}),
    Task(use="arcade.atari", parameters={"game": "Pong"}),
    Task(use="control.mujoco", parameters={"task": "HalfCheetah-v5"}),
    # the one domain of the suite whose tasks have no limit of their own
    pytest.param(
        Task(use="control.dm_control", parameters={**PIXELS, "domain": "lqr", "task": "lqr_2_1", "image_size": 16}),
        marks=drawn,
    ),
]


@pytest.mark.parametrize("task", FAMILIES)
@pytest.mark.parametrize("evaluation", [False, True])
def test_every_episode_is_cut_off_at_its_greatest_length(task, evaluation):
    capped = task.model_copy(update={"parameters": {**task.parameters, "max_episode_steps": 9}})
    simulator = simulators.make(capped, np.random.default_rng(0), evaluation)
    for _ in range(2):
        simulator.reset()
        action = 0 if simulator.actions else np.zeros(simulator.low.shape)
        assert [simulator.step(action)[2:] for _ in range(9)] == [(False, False)] * 8 + [(False, True)]
    simulator.close()


def test_what_ends_with_the_last_allowed_step_was_not_cut_off():
    env = arcade.MinAtar("breakout", idle_limit=3, max_episode_steps=3)
    env.reset(seed=0)
    env.game.act = lambda action: (0, env.steps == 2)
    assert [env.step(0)[2:4] for _ in range(3)] == [(False, False)] * 2 + [(True, False)]


def test_without_a_word_of_the_study_no_game_goes_on_for_ever():
    """Whatever is played: these have rewards for ever."""
    minatar, atari = arcade.MinAtar("breakout", idle_limit=20), arcade.Atari("Pong", full_games=True)
    frame = atari.reset(seed=0)[0][-1]
    minatar.reset(seed=0)
    minatar.game.act = lambda action: (1.0, False)
    atari.press = lambda action: (frame, 1.0, False, False)
    for env, most in ((minatar, 10_000), (atari, 27_000)):
        steps = 1
        while not any(ends := env.step(0)[2:4]):
            steps += 1
            assert steps <= most
        assert (steps, ends) == (most, (False, True))
    assert gymnasium.spec("HalfCheetah-v5").max_episode_steps == 1000
    assert (
        control.mujoco_environment("CliffWalking-v1").get_wrapper_attr("_max_episode_steps") == 1000
    )  # has none itself


def test_mujoco_time_limits_cut_off_and_falls_end():
    cheetah = simulators.make(SOURCES[5], np.random.default_rng(0))
    cheetah.reset()
    ends = [cheetah.step(np.zeros(6))[2:] for _ in range(1000)]
    assert ends[-1] == (False, True)
    assert not any(any(flags) for flags in ends[:-1])
    hopper = simulators.make(SOURCES[6], np.random.default_rng(0))
    hopper.reset()
    ends = []
    while not ends or not any(ends[-1]):
        ends.append(hopper.step(np.ones(3))[2:])
    assert ends[-1] == (True, False)


def test_episodes_of_a_table_begin_as_it_says():
    rows = arcade.minatar(game="breakout", episodes=3, streams=Streams("s", "r", 0)).to_pydict()
    simulator = simulators.make(SOURCES[1], np.random.default_rng(9))
    for seed, observation in zip(rows["reset_seed"], rows["observation"], strict=True):
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


@pytest.mark.parametrize("named", ["osmesa", "glfw", "vulkan", "off"])
def test_a_renderer_that_cannot_draw_here_is_one_line(named):
    """Whether its library is missing, there is no screen, or it is none."""
    code = (
        "import ctypes; real = ctypes.CDLL.__init__\n"
        "def missing(library, name, *rest, **more):\n"
        "    if name and ('OSMesa' in name or 'glfw' in name.lower()): raise OSError(f'{name}: no such file')\n"
        "    real(library, name, *rest, **more)\n"
        "ctypes.CDLL.__init__ = missing\n"
        "import ctypes.util; found = ctypes.util.find_library\n"
        "ctypes.util.find_library = lambda name: None if name == 'OSMesa' else found(name)\n"
        "from agentomy.environments import control\n"
        f"try: control.PixelControl(**{PIXELS})\n"
        "except control.NoRenderer as error: print(error)"
    )
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**environment, "MUJOCO_GL": named}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    assert done.stdout.startswith(f"MUJOCO_GL: found '{named}'")
    assert "allowed: " in done.stdout


@drawn
def test_a_renderer_that_is_set_to_nothing_is_chosen():
    code = (
        "from agentomy.environments import control; control.choose_renderer()\n"
        "import os; print(os.environ['MUJOCO_GL'] in ('osmesa', 'egl'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "MUJOCO_GL": ""}, capture_output=True, text=True
    )
    assert done.stdout == "True\n"


def test_a_task_that_there_is_not_is_not_blamed_on_the_renderer():
    with pytest.raises(ValueError, match="does not exist in domain"):
        control.PixelControl(**{**PIXELS, "task": "nowhere"})


def test_nothing_is_left_in_the_working_directory(tmp_path):
    code = (
        "import numpy as np; from agentomy.environments import simulators; from agentomy.descriptions import Task;"
        "task = Task(use='control.mujoco', parameters={'task': 'HalfCheetah-v5'});"
        "simulators.make(task, np.random.default_rng(0))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []
