"""The simulator that an environment table was made with, made again."""

import numpy as np

from agentomy import names
from agentomy.descriptions import Task
from agentomy.environments import arcade, control, gym, gym_bandits, maze
from agentomy.environments.simulator import Simulator

# By the name of the stage function in the study file; and the arguments that differ in evaluation.
ENVIRONMENTS = {
    "control.mujoco": (control.mujoco_environment, {}),
    "control.dm_control": (control.PixelControl, {}),
    "arcade.minatar": (arcade.MinAtar, {}),
    "arcade.atari": (arcade.Atari, {"full_games": True}),
    "gym.make": (gym.environment, {}),
    "maze.games": (maze.Maze, {}),
    "gym_bandits.bernoulli": (gym_bandits.BernoulliBandit, {}),
    "gym_bandits.gaussian": (gym_bandits.GaussianBandit, {}),
    "gym_bandits.exponential": (gym_bandits.ExponentialBandit, {}),
}


def make(task: Task, rng: np.random.Generator, evaluation: bool = False) -> Simulator:
    """The simulator of an environment table, with its random numbers from `rng`.

    `evaluation` is for playing the table's own episodes: some environments have other rules then. `names.Unfit` if no
    simulator fits the table's description.
    """
    environment, rules = names.resolve(ENVIRONMENTS, task.use)
    arguments = {name: value for name, value in task.parameters.items() if name != "episodes"}
    if evaluation:
        arguments |= rules
    return Simulator(names.make(environment, **arguments), rng)
