"""Feature maps and groups of places on the observation that they are of, beside those of an untrained twin."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from agentomy import kinds
from agentomy.drawing import style
from agentomy.drawing.groups import LARGE, PALE, SINGLE, shades
from agentomy.drawing.tables import LEGEND
from agentomy.kinds.inside import INPUT
from agentomy.lenses.grouping import by_size, single_linkage
from agentomy.lenses.inside.groups import COLUMNS, Layer, layer, told
from agentomy.lenses.pieces import iter_groups
from agentomy.tables import Table

AGENTS = {-1: "this agent", 0: "an untrained twin"}
ABOVE = 0.8  # how much groups cover of the picture


def features(maps: kinds.inside.FEATURE_MAPS, *, run: str) -> Figure:
    """By layer the groups of places and the feature that tells the first label best, on one observation."""
    mine = maps.where(run=run)
    mine = mine.where(seed=int(mine.values("seed")[0]))
    rows_of = dict(iter_groups(mine.where(twin=[*AGENTS]), ("layer", "twin"), (*COLUMNS, "places")))
    picture = layer(rows_of[INPUT, -1])
    labels, shown = [*picture.marks], most_marked(picture)
    layers = [name for name, twin in rows_of if twin == -1 and name != INPUT]
    agents = {twin: name for twin, name in AGENTS.items() if (layers[0], twin) in rows_of}
    figure, axes = style.subplots(len(layers), 1 + 2 * len(agents), style.DOUBLE, 1.5 * len(layers) + 0.75)
    ground = painted(picture.values[shown])
    for line, name in zip(axes, layers, strict=True):
        line[0].imshow(ground, cmap="gray", vmin=0, vmax=1)
        line[0].set_ylabel(name, fontsize=6)
        for pair, twin in zip(line[1:].reshape(-1, 2), agents, strict=True):
            _beside(pair, rows_of[name, twin], shown, ground)
    axes[0, 0].set_title("the observation")
    if labels:
        _outlined(axes[0, 0], picture.marks[labels[0]][shown])
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[], xlim=(-0.5, ground.shape[1] - 0.5), ylim=(ground.shape[0] - 0.5, -0.5))
        ax.spines[:].set_visible(False)
    for ax, name in zip(axes[0, 1::2], agents.values(), strict=True):
        ax.set_title(f"{name}:\n{ax.get_title()}")
    sorts = {"largest group": LARGE[0], "second": LARGE[1], "beyond the eighth": PALE, "single places": SINGLE}
    handles = [Patch(facecolor=colour, edgecolor=style.GREY, linewidth=0.4) for colour in sorts.values()]
    figure.legend(handles, [*sorts], ncols=len(sorts), **LEGEND)
    note = f"run {run}, observation {shown}; groups: single linkage, cut at its largest gap"
    if labels:
        note += f"\nfeatures: those that tell '{labels[0]}' best, which is outlined on the left, over all observations"
    style.note(figure, note)
    return figure


def most_marked(picture: Layer) -> int:
    """The observation with as many places of the first label as the median one that has any; the first without."""
    if not picture.marks:
        return 0
    counts = next(iter(picture.marks.values())).sum(axis=(1, 2))
    there = np.flatnonzero(counts)
    return int(there[np.argsort(counts[there], kind="stable")[len(there) // 2]]) if len(there) else 0


def painted(channels: np.ndarray) -> np.ndarray:
    """A picture [C, P, Q] in colours, if it has three channels, else in grey; planes are shades, the last on top."""
    low, high = channels.min(), channels.max()
    scaled = (channels - low) / (high - low) if high > low else np.zeros_like(channels)
    if len(scaled) == 3:
        return scaled.transpose(1, 2, 0)
    return (scaled * np.linspace(1 / len(scaled), 1, len(scaled))[:, None, None]).max(axis=0)


def _beside(pair: np.ndarray, rows: Table, shown: int, ground: np.ndarray) -> None:
    """The groups, and the feature that tells the first label best, of one layer of one agent."""
    features = layer(rows)
    top, left, down, right = rows.array("places")[0]
    _, _, height, width = features.values.shape
    extent = (left - right / 2, left + right * (width - 0.5), top + down * (height - 0.5), top - down / 2)
    labels = by_size(single_linkage(features.values[shown].reshape(len(features.values[shown]), -1).T.astype(float))[2])
    colours = to_rgba_array(shades(labels))
    pair[0].imshow(ground, cmap="gray", vmin=0, vmax=1)
    pair[0].imshow(colours[labels].reshape(height, width, 4), alpha=ABOVE, extent=extent, interpolation="nearest")
    pair[0].set_title(f"{labels.max() + 1} groups")
    areas = next(iter(told(features).values()), np.full(features.values.shape[1], np.nan))
    known = np.isfinite(areas).all()
    best = int((areas if known else features.values.std(axis=(0, 2, 3))).argmax())
    pair[1].imshow(features.values[shown, best], cmap="magma", extent=extent, interpolation="nearest")
    pair[1].set_title(f"feature {best}" + (f"\nAUC {areas[best]:.2f}" if known else ""))


def _outlined(ax: Axes, mask: np.ndarray) -> None:
    """Draw a line around the pixels of a mask."""
    if mask.any() and not mask.all():
        fine = np.kron(np.pad(mask, 1), np.ones((4, 4)))
        height, width = fine.shape
        ax.contour(
            (np.arange(width) + 0.5) / 4 - 1.5,
            (np.arange(height) + 0.5) / 4 - 1.5,
            fine,
            levels=[0.5],
            colors=style.COLOURS["vermillion"],
            linewidths=0.7,
        )
