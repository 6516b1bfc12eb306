"""Continuous control: gymnasium's MuJoCo tasks from state, and dm_control's suite from pixels."""

import os
from ctypes.util import find_library
from typing import Any, Literal

import gymnasium
import numpy as np

from agentomy import kinds
from agentomy.environments.simulator import Simulator, starts
from agentomy.values import Count

# What costs most of the time of a software renderer, and hardly shows at 48 to 100 pixels.
LEFT_OUT = {"shadow": False, "reflection": False}


class NoRenderer(Exception):
    """Pixels were asked for where nothing can draw them; the message says what to install."""


def mujoco_environment(task: str) -> gymnasium.Env:
    quiet()
    return gymnasium.make(task, disable_env_checker=True)


def mujoco(*, task: str, episodes: Count, streams) -> kinds.EPISODES:
    """Evaluation episodes of one of gymnasium's MuJoCo tasks, such as Hopper-v5."""
    rng = streams.numpy("episodes")
    return starts(Simulator(mujoco_environment(task), rng), episodes, rng)


class PixelControl(gymnasium.Env):
    """A task of dm_control's suite seen by its camera: observations are uint8 [3, size, size], single frames.

    Every action is taken `repeat` times, and the rewards are summed. `drawing` is full, or fast: without shadows,
    reflections and multisampling.
    """

    def __init__(self, domain: str, task: str, repeat: int, size: int, drawing: str):
        choose_renderer()
        from dm_control import suite

        quiet()
        self.random = np.random.RandomState(0)
        self.control = suite.load(domain, task, task_kwargs={"random": self.random})
        self.repeat, self.size = repeat, size
        self.flags = {} if drawing == "full" else LEFT_OUT
        if drawing == "fast":
            self.control.physics.model.vis.quality.offsamples = 0
        bounds = self.control.action_spec()
        low, high = (
            np.broadcast_to(each, bounds.shape).astype(np.float32) for each in (bounds.minimum, bounds.maximum)
        )
        self.action_space = gymnasium.spaces.Box(low, high)
        self.observation_space = gymnasium.spaces.Box(0, 255, (3, size, size), np.uint8)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.control.task._random = np.random.RandomState(self.np_random.bit_generator)
        self.control.reset()
        return self.frame(), {}

    def step(self, action: np.ndarray):
        total = 0.0
        for _ in range(self.repeat):
            now = self.control.step(action)
            total += now.reward or 0.0
            if now.last():
                break
        ended = now.last()
        return self.frame(), total, ended and now.discount == 0, ended and now.discount != 0, {}

    def frame(self) -> np.ndarray:
        """What the task's camera sees, uint8 [3, size, size]."""
        drawn = self.control.physics.render(self.size, self.size, camera_id=0, render_flag_overrides=self.flags)
        return np.ascontiguousarray(drawn.transpose(2, 0, 1))

    def close(self) -> None:
        self.control.close()


def quiet() -> None:
    """Keep MuJoCo from writing a log file where we are: it finds the tasks' own models to be written in an old way."""
    import mujoco as engine

    engine.MjLogConfig().set()


def choose_renderer() -> None:
    """Let MuJoCo draw off-screen, by OSMesa or EGL, before dm_control is imported."""
    # its render thread outlives the interpreter otherwise, with a traceback
    os.environ.setdefault("DISABLE_RENDER_THREAD_OFFLOADING", "1")
    if "MUJOCO_GL" in os.environ:
        return
    for name, library in (("osmesa", "OSMesa"), ("egl", "EGL")):
        if find_library(library):
            os.environ["MUJOCO_GL"] = name
            return
    raise NoRenderer(
        "pixels are drawn off-screen, and neither OSMesa nor EGL is installed here; "
        "on Debian or Ubuntu: apt install libosmesa6 (or set MUJOCO_GL)"
    )


def dm_control(
    *,
    domain: str,
    task: str,
    repeat: Count,
    size: Count,
    drawing: Literal["full", "fast"],
    episodes: Count,
    streams,
) -> kinds.EPISODES:
    """Evaluation episodes of a task of dm_control's suite, seen in pixels."""
    rng = streams.numpy("episodes")
    return starts(Simulator(PixelControl(domain, task, repeat, size, drawing), rng), episodes, rng)
