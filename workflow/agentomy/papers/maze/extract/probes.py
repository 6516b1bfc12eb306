"""What linear probes of a maze network's layers are fitted on (claim TG2)."""

import numpy as np

from agentomy import kinds
from agentomy.papers.maze.extract.features import chosen, ends, outputs, scattered
from agentomy.papers.maze.extract.site import towards
from agentomy.values import Count


def probes(
    parameters: kinds.common.PARAMETERS,
    levels: kinds.maze.LEVELS,
    *,
    layers: list[str],
    count: Count,  # of levels
    cells: Count,  # of each level
    smallest_side: Count,  # of their inner mazes
    run: str,
    device: str,
    progress,
) -> kinds.maze_pixels.PROBES:
    """Outputs of layers with the mouse at random open cells, and the next moves from there to corner and cheese.

    The networks are the untrained and the trained ones; each network and layer is one piece.
    """
    among = chosen(levels, count, smallest_side)
    level, cell = scattered(among, cells)
    shown, (x, y) = among[level], cell.T
    goals = {"to_corner": among.corner, "to_cheese": among.cheese}
    moves = {
        name: np.array(kinds.maze.MAZE_MOVES)[towards(among.walls, goal)[level, y, x]] for name, goal in goals.items()
    }
    key = {"run": run, "level": shown.seed, "mouse_x": x, "mouse_y": y, **moves}
    for network, painter, net in ends(parameters, shown, device, progress):
        for layer, output in outputs(net, painter.mice(shown, cell), layers, device).items():
            yield kinds.maze_pixels.PROBES.table(**key, **network, layer=layer, activations=output)
