"""Continuous control: gymnasium's MuJoCo tasks from state, and dm_control's suite from pixels."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes.util import find_library
from typing import Any, Literal

import gymnasium
import numpy as np

from agentomy import kinds
from agentomy.environments.simulator import Simulator, starts
from agentomy.values import Count

# of a task without a limit of its own; nearly all tasks of both suites end after 1,000 steps
STEPS = 1000
# What takes a software renderer most of its time, and hardly shows at 48 to 100 pixels.
LEFT_OUT = {"shadow": False, "reflection": False}


class NoRenderer(ValueError):
    """Nothing here can draw the pixels that were asked for; the message says what to set or to install."""


def mujoco_environment(task: str, max_episode_steps: int | None = None) -> gymnasium.Env:
    quiet()
    env = gymnasium.make(task, max_episode_steps=max_episode_steps, disable_env_checker=True)
    return env if env.spec.max_episode_steps else gymnasium.wrappers.TimeLimit(env, STEPS)


def mujoco(*, task: str, episodes: Count, max_episode_steps: Count | None = None, streams) -> kinds.paths.EPISODES:
    """Evaluation episodes of a MuJoCo `task` of gymnasium's, such as Hopper-v5.

    They are as long as the task itself has it, unless `max_episode_steps` says otherwise.
    """
    rng = streams.numpy("episodes")
    return starts(Simulator(mujoco_environment(task, max_episode_steps), rng), episodes, rng)


class PixelControl(gymnasium.Env):
    """A task of dm_control's suite seen by its camera: single frames, uint8 [3, image_size, image_size].

    Every action is taken `action_repeat` times, and the rewards are summed. `drawing` is full, or fast: without
    shadows, reflections and multisampling. Nearly all tasks end after 1,000 steps of the simulator by themselves.
    """

    def __init__(
        self, domain: str, task: str, action_repeat: int, image_size: int, drawing: str, max_episode_steps: int = STEPS
    ):
        choose_renderer()
        with drawing_here():
            from dm_control import suite

        quiet()
        self.random = np.random.RandomState(0)
        self.control = suite.load(domain, task, task_kwargs={"random": self.random})
        self.action_repeat, self.image_size, self.max_episode_steps = action_repeat, image_size, max_episode_steps
        self.flags = {} if drawing == "full" else LEFT_OUT
        if drawing == "fast":
            self.control.physics.model.vis.quality.offsamples = 0
        with drawing_here():
            self.frame()
        bounds = self.control.action_spec()
        low, high = (
            np.broadcast_to(bound, bounds.shape).astype(np.float32) for bound in (bounds.minimum, bounds.maximum)
        )
        self.action_space = gymnasium.spaces.Box(low, high)
        self.observation_space = gymnasium.spaces.Box(0, 255, (3, image_size, image_size), np.uint8)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.control.task._random = np.random.RandomState(self.np_random.bit_generator)
        self.control.reset()
        self.steps = 0
        return self.frame(), {}

    def step(self, action: np.ndarray):
        total = 0.0
        for _ in range(self.action_repeat):
            now = self.control.step(action)
            total += now.reward or 0.0
            if now.last():
                break
        self.steps += 1
        terminated = now.last() and now.discount == 0
        truncated = (now.last() or self.steps >= self.max_episode_steps) and not terminated
        return self.frame(), total, terminated, truncated, {}

    def frame(self) -> np.ndarray:
        """What the task's camera sees, uint8 [3, image_size, image_size]."""
        drawn = self.control.physics.render(
            self.image_size, self.image_size, camera_id=0, render_flag_overrides=self.flags
        )
        return np.ascontiguousarray(drawn.transpose(2, 0, 1))

    def close(self) -> None:
        self.control.close()


def quiet() -> None:
    """Keep MuJoCo from writing a log file into the working folder: it warns about the tasks' own models."""
    import mujoco as engine

    engine.MjLogConfig().set()


def choose_renderer() -> None:
    """Let MuJoCo draw off-screen, by OSMesa or EGL, before dm_control is imported."""
    # its render thread outlives the interpreter otherwise, with a traceback
    os.environ.setdefault("DISABLE_RENDER_THREAD_OFFLOADING", "1")
    if os.environ.get("MUJOCO_GL"):
        return
    for name, library in (("osmesa", "OSMesa"), ("egl", "EGL")):
        if find_library(library):
            os.environ["MUJOCO_GL"] = name
            return
    raise NoRenderer(
        "pixels are drawn off-screen, and neither OSMesa nor EGL is installed here; "
        "on Debian or Ubuntu: apt install libosmesa6 (or set MUJOCO_GL)"
    )


@contextmanager
def drawing_here() -> Iterator[None]:
    """Turn any error of a missing library or screen into a `NoRenderer`."""
    try:
        yield
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NoRenderer(
            f"MUJOCO_GL: found '{os.environ['MUJOCO_GL']}', which cannot draw here ({reason}); "
            "allowed: osmesa or egl where it is installed (on Debian or Ubuntu: apt install libosmesa6), or unset"
        ) from None


def dm_control(
    *,
    domain: str,  # of the suite, such as cartpole
    task: str,  # of the domain, such as swingup
    action_repeat: Count,  # how often each action is taken; the rewards are summed
    image_size: Count,  # side of the pictures, in pixels
    drawing: Literal["full", "fast"],  # fast: without shadows, reflections and multisampling
    episodes: Count,
    max_episode_steps: Count = STEPS,  # of the agent
    streams,
) -> kinds.paths.EPISODES:
    """Evaluation episodes of a task of dm_control's suite, seen in pixels."""
    rng = streams.numpy("episodes")
    return starts(
        Simulator(PixelControl(domain, task, action_repeat, image_size, drawing, max_episode_steps), rng), episodes, rng
    )
