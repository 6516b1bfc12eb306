"""The simulator that an environment table was made with, made again."""

from typing import Any

import numpy as np

from agentomy.environments import arcade, control
from agentomy.environments.simulator import Simulator

# by the name of the stage function in the study file
ENVIRONMENTS = {
    "control.mujoco": control.mujoco_environment,
    "control.dm_control": control.PixelControl,
    "arcade.minatar": arcade.MinAtar,
}


def make(source: dict[str, Any], rng: np.random.Generator) -> Simulator:
    """The simulator of an environment table with provenance `source`, with its random numbers from `rng`."""
    arguments = {name: value for name, value in source["parameters"].items() if name != "episodes"}
    return Simulator(ENVIRONMENTS[source["use"]](**arguments), rng)
