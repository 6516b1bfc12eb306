"""The simulator that an environment table was made with, made again."""

import numpy as np

from agentomy.descriptions import Task
from agentomy.environments import arcade, control
from agentomy.environments.simulator import Simulator

# by the name of the stage function in the study file
ENVIRONMENTS = {
    "control.mujoco": control.mujoco_environment,
    "control.dm_control": control.PixelControl,
    "arcade.minatar": arcade.MinAtar,
    "arcade.atari": arcade.Atari,
}
# where agents are judged otherwise than they learn
EVALUATION = {"arcade.atari": {"full_games": True}}


def make(task: Task, rng: np.random.Generator, evaluation: bool = False) -> Simulator:
    """The simulator of an environment table, with its random numbers from `rng`.

    For `evaluation`, where that has rules of its own (`EVALUATION`): whoever plays the table's episodes asks for it.
    """
    arguments = {name: value for name, value in task.parameters.items() if name != "episodes"}
    if evaluation:
        arguments |= EVALUATION.get(task.use, {})
    return Simulator(ENVIRONMENTS[task.use](**arguments), rng)
