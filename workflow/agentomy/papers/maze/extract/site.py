"""The place where a maze network is edited: what one layer gives, and what the rest of the network makes of it.

Activations are [N, channels, rows, columns], row 0 at the top; cells are (x, y) with y up.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from agentomy.environments import mazes
from agentomy.environments.maze_batch import STEP
from agentomy.environments.maze_pictures import Painter
from agentomy.environments.mazes import Levels
from agentomy.lenses.hooks import editing, recording
from agentomy.lenses.snapshots import revived
from agentomy.papers.maze.agents import end_updates
from agentomy.papers.maze.extract.views import BATCH, batches, of_moves, painter_of
from agentomy.progress import Progress
from agentomy.tables import Table


class Site:
    """One layer of one network, through which everything that comes later passes."""

    def __init__(self, net, layer: str, painter: Painter, device: str):
        self.net, self.layer, self.painter, self.device = net, layer, painter, device
        self.blank = torch.zeros((1, painter.pixels, painter.pixels, 3), dtype=torch.uint8, device=device)
        self._check()

    @torch.no_grad()
    def _check(self) -> None:
        """Refuse a layer that the input can bypass, such as one inside a residual unit."""
        bright = self.blank + torch.arange(self.blank.shape[1], dtype=torch.uint8, device=self.device)[:, None]
        pair = torch.cat([bright, self.blank])
        with recording(self.net, [self.layer]) as seen:
            whole = self.net(pair)[0]
        if not torch.allclose(self._rest(seen[self.layer])[0], whole, rtol=1e-4, atol=1e-5):
            raise ValueError(f"layer: found '{self.layer}'; allowed: one that all later ones depend on alone")

    def _rest(self, activations: Tensor) -> tuple[Tensor, Tensor]:
        # the layers before this one see one blank picture, which costs nothing
        with editing(self.net, self.layer, lambda output: activations):
            return self.net(self.blank)

    @torch.no_grad()
    def activations(self, levels: Levels, cells: np.ndarray, cheese: bool = True) -> Tensor:
        """What the layer gives for levels [N] with their mice at cells [N, 2], and with or without their cheese."""
        given = []
        with recording(self.net, [self.layer]) as outputs:
            for part in batches(self.painter.mice(levels, cells, cheese), self.device):
                self.net(part)
                given.append(outputs[self.layer])
        return torch.cat(given)

    @torch.no_grad()
    def policy(self, activations: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities of the five moves [N, 5], and values [N], if the layer gives these activations."""
        moves, values = [], []
        for part in activations.split(BATCH):
            logits, value = self._rest(part)
            moves.append(of_moves(torch.softmax(logits, dim=1)))
            values.append(value)
        return torch.cat(moves).cpu().numpy(), torch.cat(values).cpu().numpy()

    def index(self, rows: np.ndarray) -> Tensor:
        """Rows of activations, as their device wants them."""
        return torch.from_numpy(rows).to(self.device)


def sites(
    parameters: Table, levels: Levels, layer: str, device: str, progress: Progress
) -> Iterator[tuple[dict[str, int], Site]]:
    """The site in every untrained and every trained network, with the seed and update that it belongs to."""
    updates = end_updates(parameters.values("update"))
    done = 0
    for update, seeds, stack in revived(parameters, device, updates):
        painter = painter_of(stack, levels)
        for seed, net in zip(seeds, stack.nets, strict=True):
            yield {"seed": int(seed), "update": update}, Site(net, layer, painter, device)
            done += 1
            progress.step(done, len(updates) * len(seeds), "networks")


def place_of(cells: np.ndarray, world: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column [N] at which a map of size × size shows cells [N, 2] (Mini et al. 2023)."""
    along = (2 * cells + 1) * size // (2 * world)  # of the cell's middle, in whole numbers
    return size - 1 - along[:, 1], along[:, 0]


def towards(walls: np.ndarray, goals: np.ndarray) -> np.ndarray:
    """The move that leads from each cell to its level's goal [L, 2]: [L, W, W]; -1 at the goal and on walls."""
    steps = mazes.steps_from(walls, goals)
    world = walls.shape[-1]
    around = np.pad(steps, ((0, 0), (1, 1), (1, 1)), constant_values=-1)
    moves = np.full(walls.shape, -1)
    for move, (dx, dy) in enumerate(STEP[:4]):
        there = around[:, 1 + dy : 1 + dy + world, 1 + dx : 1 + dx + world]
        moves[(there >= 0) & (there == steps - 1)] = move
    return moves


def pieces(levels: Levels) -> Iterator[slice]:
    """The levels in parts of so few open cells that the activations of all of them fit in memory."""
    cells = (~levels.walls).sum(axis=(1, 2))
    first = 0
    while first < len(levels):
        count = max(1, int((cells[first:].cumsum() <= BATCH).sum()))
        yield slice(first, first + count)
        first += count
