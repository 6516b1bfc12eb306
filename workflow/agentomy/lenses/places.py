"""Places of feature maps, and the pixels that they see: whatever lies between a picture and a layer.

A picture is [C, P, Q], or [P, Q, C], or [P, Q]: of three sides the shortest is that of its channels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from agentomy.lenses.hooks import recording
from agentomy.networks import generator

Windows = tuple[np.ndarray, np.ndarray]  # whether places see each row [H, P] and each column [W, Q] of a picture
PASSES = 4  # pictures among which each pixel of a pool's window is sometimes its largest


def channel_axis(shape: Sequence[int]) -> int | None:
    """The side of a picture along which its channels lie; None if it has none."""
    if len(shape) not in (2, 3):
        raise ValueError(f"found observations of shape {[*shape]}; allowed: pictures")
    return int(np.argmin(shape)) if len(shape) == 3 else None


def channels_first(pictures: np.ndarray) -> np.ndarray:
    """Pictures [N, *shape] as [N, C, P, Q]."""
    axis = channel_axis(pictures.shape[1:])
    return pictures[:, None] if axis is None else np.moveaxis(pictures, 1 + axis, 1)


def windows(
    net: nn.Module,
    layers: Sequence[str],
    shape: Sequence[int],
    axis: int | None,
    read: Callable[[Tensor], object] | None = None,
) -> dict[str, Windows]:
    """Which pixels of a picture each place of these layers sees, through any modules. The net's weights are lost.

    `axis` is the side of a picture of this shape along which its channels lie, if it has any; `read` is what the net
    does with pictures, where it is not called by itself.
    With weights and pictures above zero no unit is off and nothing cancels: a pixel that is seen has a gradient.
    """
    noise = generator(0)
    with torch.no_grad():
        for weights in net.parameters():
            inputs = weights[0].numel() if weights.dim() > 1 else 1
            weights.copy_((torch.rand(weights.shape, generator=noise) + 0.5) / inputs)
    pictures = (torch.rand((PASSES, *shape), generator=noise) + 0.5).requires_grad_()
    rows, columns = (1 + dimension for dimension in range(len(shape)) if dimension != axis)
    with torch.enable_grad(), recording(net, layers) as given:
        (read or net)(pictures)
    return {
        layer: (
            np.stack([_seen(line, pictures, rows) for line in given[layer].unbind(2)]),
            np.stack([_seen(line, pictures, columns) for line in given[layer].unbind(3)]),
        )
        for layer in layers
    }


def _seen(places: Tensor, pictures: Tensor, axis: int) -> np.ndarray:
    """Whether any of these places sees anything of each line of the pictures along an axis."""
    (gradient,) = torch.autograd.grad(places.sum(), pictures, retain_graph=True)
    return (gradient != 0).movedim(axis, 0).flatten(1).any(dim=1).cpu().numpy()


@dataclass(frozen=True)
class Grid:
    """Where a layer's places are: centres of rows [H] and columns [W], how far apart, and the window [h, w], pixels."""

    rows: np.ndarray
    columns: np.ndarray
    apart: tuple[float, float]
    window: tuple[int, int]


def grid(seen: Windows) -> Grid:
    (rows, down, height), (columns, right, width) = (_line(windows) for windows in seen)
    return Grid(rows, columns, (down, right), (height, width))


def _line(seen: np.ndarray) -> tuple[np.ndarray, float, int]:
    """Centres [H], their distance, and the length of a window, from what places see [H, P].

    A window at the rim may be cut off, of which the others tell how it would go on.
    """
    count, size = seen.shape
    first, last = seen.argmax(axis=1), size - 1 - seen[:, ::-1].argmax(axis=1)
    moves = np.concatenate([np.diff(last)[last[1:] < size - 1], np.diff(first)[first[:-1] > 0]])
    apart = float(np.median(moves)) if len(moves) else size / count
    whole = np.flatnonzero((first > 0) & (last < size - 1))
    if len(whole):
        start = float(np.mean((first + last)[whole] / 2 - apart * whole))
    else:
        start = (size - 1 - apart * (count - 1)) / 2  # in the middle
    return start + apart * np.arange(count), apart, int((last - first).max()) + 1


def contents(pictures: np.ndarray, at: Grid, window: tuple[int, int]) -> np.ndarray:
    """What windows of pictures [N, C, P, Q] around places hold, a number [N, H, W].

    Numbers of one picture are equal if all pixels of the windows are. What lies outside it differs from all in it.
    """
    rim = max(window)
    padded = np.pad(pictures.astype(np.float64), ((0, 0), (0, 0), (rim, rim), (rim, rim)), constant_values=np.inf)
    rows, columns = (
        np.round(centres - (length - 1) / 2).astype(int)[:, None] + np.arange(length) + rim
        for centres, length in ((at.rows, window[0]), (at.columns, window[1]))
    )
    rows, columns = (places.clip(0, size - 1) for places, size in ((rows, padded.shape[2]), (columns, padded.shape[3])))
    numbers = []
    for picture in padded:  # one at a time: windows overlap, and are many times as large as the picture
        held = picture[:, rows[:, None, :, None], columns[None, :, None, :]]  # [C, H, W, h, w]
        lines = held.transpose(1, 2, 0, 3, 4).reshape(len(rows) * len(columns), -1)
        numbers.append(np.unique(lines, axis=0, return_inverse=True)[1].reshape(len(rows), len(columns)))
    return np.stack(numbers)


def near(masks: np.ndarray, at: Grid) -> np.ndarray:
    """Whether masks [N, P, Q] hold at most half a distance of places from each place's centre [N, H, W]."""
    rows, columns = (
        np.abs(centres[:, None] - np.arange(size)) <= max(apart / 2, 0.5)
        for centres, apart, size in zip((at.rows, at.columns), at.apart, masks.shape[1:], strict=True)
    )
    return rows.astype(int) @ masks @ columns.T.astype(int) > 0
