"""What the layers of a maze network give for pictures: feature maps (Trim & Grayston 2024)."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from agentomy import kinds
from agentomy.environments import mazes
from agentomy.environments.maze_pictures import Painter
from agentomy.environments.mazes import Levels
from agentomy.lenses.hooks import recording
from agentomy.lenses.snapshots import revived
from agentomy.papers.maze.agents import end_updates
from agentomy.papers.maze.extract.views import batches, painter_of
from agentomy.tables import Table
from agentomy.values import Count

INPUT = "input"  # the picture counts as a layer of this name


def features(
    parameters: kinds.common.PARAMETERS,
    levels: kinds.maze.LEVELS,
    *,
    layers: list[str],
    count: Count,  # of levels
    smallest_side: Count,  # of their inner mazes
    run: str,
    device: str,
    progress,
) -> kinds.maze_pixels.FEATURES:
    """Outputs of layers, and pictures (layer `input`), of the untrained and the trained networks.

    The mouse is at a random open cell of each level, away from the cheese. Each network and layer is one piece.
    """
    among = chosen(levels, count, smallest_side)
    which, cells = scattered(among, 1)
    shown = among[which]
    key = {"run": run, "level": shown.seed, "mouse_x": cells[:, 0], "mouse_y": cells[:, 1]}
    for network, painter, net in ends(parameters, shown, device, progress):
        pictures, codes = painter.mice(shown, cells), shows(painter, shown, cells)
        for layer, output in outputs(net, pictures, layers, device).items():
            _, channels, rows, columns = output.shape
            size = {"channels": channels, "rows": rows, "columns": columns}
            yield kinds.maze_pixels.FEATURES.table(**key, **network, layer=layer, **size, values=output, shown=codes)


def chosen(levels: Table, count: int, smallest_side: int) -> Levels:
    """The first levels of a table whose inner maze is large enough."""
    read = mazes.read(levels)
    large = read[read.side >= smallest_side][:count]
    if not len(large):
        raise ValueError(f"levels: none has a side of {smallest_side} or more; allowed: a smaller smallest_side")
    return large


def scattered(levels: Levels, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Random open cells for the mouse, `cells` of each level, none of them its cheese's or its corner.

    Returns the index of the level [N] and the cell [N, 2]; a level with fewer such cells gives them all. The level's
    seed fixes them, as it fixes the floor: every network sees the same.
    """
    streams = [np.random.Generator(np.random.PCG64([int(seed), 2])) for seed in levels.seed]
    keys = np.stack([rng.random(levels.walls.shape[1:]) for rng in streams])
    keys[levels.walls] = 2
    for goal in (levels.cheese, levels.corner):
        keys[np.arange(len(levels)), goal[:, 1], goal[:, 0]] = 2
    flat = keys.reshape(len(levels), -1)
    order = np.argsort(flat, axis=1)[:, :cells]
    level, place = np.nonzero(np.take_along_axis(flat, order, axis=1) < 2)
    cell = order[level, place]
    return level, np.stack([cell % levels.world, cell // levels.world], axis=1)


def shows(painter: Painter, levels: Levels, cells: np.ndarray) -> np.ndarray:
    """What each pixel of pictures shows [N, P, P], as codes of `kinds.maze_pixels.SHOWS`."""
    planes = Painter("planes", painter.world, painter.pixels).mice(levels, cells)
    return planes @ np.array([kinds.maze_pixels.SHOWS.index(name) for name in ("wall", "mouse", "cheese")], np.uint8)


def ends(parameters: Table, levels: Levels, device: str, progress) -> Iterator[tuple[dict[str, int], Painter, object]]:
    """Every untrained and every trained network, with its seed and update and with what draws its pictures."""
    updates = end_updates(parameters.values("update"))
    done = 0
    for update, seeds, stack in revived(parameters, device, updates):
        painter = painter_of(stack, levels)
        for seed, net in zip(seeds, stack.nets, strict=True):
            yield {"seed": int(seed), "update": update}, painter, net
            done += 1
            progress.step(done, len(updates) * len(seeds), "networks")


@torch.no_grad()
def outputs(net, pictures: np.ndarray, layers: Sequence[str], device: str) -> dict[str, np.ndarray]:
    """What layers give for pictures [N, P, P, 3]: each [N, C, H, W]; layers without places have H = W = 1."""
    inner = [layer for layer in layers if layer != INPUT]
    known = dict(net.named_modules())
    for layer in inner:
        if layer not in known or not layer:
            raise ValueError(f"layers: found '{layer}'; allowed: {INPUT}, {', '.join(filter(None, known))}")
    parts: dict[str, list[np.ndarray]] = {layer: [] for layer in inner}
    with recording(net, inner) as given:
        for part in batches(pictures, device):
            net(part)
            for layer in inner:
                parts[layer].append(given[layer].float().cpu().numpy())
    whole = {layer: np.concatenate(batch) for layer, batch in parts.items()}
    whole[INPUT] = pictures.transpose(0, 3, 1, 2).astype(np.float32)
    return {layer: whole[layer] if whole[layer].ndim == 4 else whole[layer][:, :, None, None] for layer in layers}
