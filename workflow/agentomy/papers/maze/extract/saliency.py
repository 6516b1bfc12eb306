"""Which pixels a maze network's outputs depend on (F5)."""

import numpy as np
import torch

from agentomy import kinds
from agentomy.lenses.inside.saliency import gradients as input_gradients
from agentomy.lenses.snapshots import revived
from agentomy.papers.maze.extract.features import chosen
from agentomy.papers.maze.extract.views import batches, of_moves, painter_of
from agentomy.values import Count


def saliency(
    parameters: kinds.common.PARAMETERS,
    levels: kinds.maze.LEVELS,
    *,
    count: Count,  # of levels
    smallest_side: Count,  # of their inner mazes: in a small one the start lies beside the corner
    run: str,
    device: str,
    progress,
) -> kinds.maze_pixels.SALIENCY:
    """Saliency of the value and of the most likely move, with the mouse at the start, with cheese and without.

    Each snapshot is one piece.
    """
    shown = chosen(levels, count, smallest_side)
    updates = np.unique(parameters.values("update"))
    for number, (update, seeds, stack) in enumerate(revived(parameters, device)):
        progress.step(number, len(updates), "snapshots")
        painter, rows = painter_of(stack, shown), []
        for cheese in (True, False):
            pictures = painter.mice(shown, shown.start, cheese)
            for seed, net in zip(seeds, stack.nets, strict=True):
                for head, values in gradients(net, pictures, device).items():
                    rows.append((int(seed), cheese, head, values))
        seed, cheese, head = (np.repeat(column, len(shown)) for column in zip(*(row[:3] for row in rows), strict=True))
        repeated = np.tile(shown.start, (len(rows), 1))
        yield kinds.maze_pixels.SALIENCY.table(
            run=run,
            seed=seed,
            update=update,
            level=np.tile(shown.seed, len(rows)),
            cheese=cheese,
            mouse_x=repeated[:, 0],
            mouse_y=repeated[:, 1],
            head=head,
            rows=painter.pixels,
            columns=painter.pixels,
            values=np.concatenate([row[3] for row in rows]),
        )


def gradients(net, pictures: np.ndarray, device: str) -> dict[str, np.ndarray]:
    """|∂ output / ∂ input| summed over colours [N, P, P], of the value and of log p(most likely of the five moves).

    The input is what the first convolution is given.
    """
    gradients_of: dict[str, list[np.ndarray]] = {head: [] for head in kinds.maze_pixels.HEADS}
    for part in batches(pictures, device):
        inputs = net.encode(part).requires_grad_()
        logits, value = net.decide(inputs)
        move = of_moves(torch.softmax(logits, dim=1)).max(dim=1).values.log()
        for head, sizes in input_gradients({"value": [value], "move": [move]}, inputs).items():
            gradients_of[head].append(sizes.sum(dim=1).cpu().numpy())
    return {head: np.concatenate(parts) for head, parts in gradients_of.items()}
