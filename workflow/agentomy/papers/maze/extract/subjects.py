"""Maze policies and the pictures on which they are decomposed."""

import numpy as np

from agentomy import kinds
from agentomy.environments import mazes
from agentomy.environments.maze_pictures import Painter
from agentomy.lenses.subjects import subjects
from agentomy.papers.maze.extract.views import open_cells
from agentomy.values import Count


def of_mazes(
    parameters: kinds.common.PARAMETERS,
    levels: kinds.maze.LEVELS,
    *,
    count: Count,  # number of inputs
    smallest_side: Count,
    trained: bool = True,
    run,
    streams,
) -> kinds.subnetworks.SUBJECTS:
    """Policies, trained or not, at random open cells of levels from some side on, the same pictures for all seeds."""
    network, large = parameters.description.network, mazes.read(levels, "train")
    large = large[np.flatnonzero(large.side >= smallest_side)]
    level, cells = open_cells(large)
    chosen = streams.numpy("cells").choice(len(level), count, replace=False)
    pictures = Painter(network["palette"], large.world, network["pixels"]).mice(large[level[chosen]], cells[chosen])
    yield subjects(parameters, pictures[None], "policy", run, trained)
