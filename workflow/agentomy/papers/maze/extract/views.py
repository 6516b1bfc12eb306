"""What a maze network sees and does: pictures of levels, and the policy over the five moves."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from agentomy.environments.maze_batch import MOVE_OF
from agentomy.environments.maze_pictures import Painter
from agentomy.environments.mazes import Levels

BATCH = 2048  # pictures of a forward pass


def painter_of(stack, levels: Levels) -> Painter:
    """Draws levels as this stack's networks were trained to see them."""
    return Painter(stack.palette, levels.world, stack.pixels)


def open_cells(levels: Levels) -> tuple[np.ndarray, np.ndarray]:
    """Every open cell of every level: index of the level [N], and the cell [N, 2] as (x, y)."""
    level, y, x = np.nonzero(~levels.walls)
    return level, np.stack([x, y], axis=1)


def batches(pictures: np.ndarray, device: str) -> Iterator[Tensor]:
    for part in np.split(pictures, range(BATCH, len(pictures), BATCH)):
        yield torch.from_numpy(part).to(device)


@torch.no_grad()
def policy(net, pictures: np.ndarray, device: str) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of the five moves [N, 5], and values [N], at pictures [N, pixels, pixels, 3]."""
    moves, values = [], []
    for part in batches(pictures, device):
        logits, value = net(part)
        moves.append(of_moves(torch.softmax(logits, dim=1)))
        values.append(value)
    return torch.cat(moves).cpu().numpy(), torch.cat(values).cpu().numpy()


def of_moves(probabilities: Tensor) -> Tensor:
    """Probabilities of the five moves [N, 5] from those of all actions [N, 5 or 15]."""
    actions = probabilities.shape[1]
    belongs = np.eye(5)[MOVE_OF[actions]]  # [actions, 5]
    return probabilities @ torch.from_numpy(belongs).to(probabilities)
