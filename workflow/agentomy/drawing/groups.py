"""Groups of a picture's pixels, or of a feature map's places, in colours."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

from agentomy.drawing import style

# each of the largest groups has a colour; smaller groups are pale, and single pixels white
LARGE = [*style.CYCLE, *(style.COLOURS[name] for name in ("yellow", "black"))]
PALE, SINGLE = "#C9C9C9", "#FFFFFF"
NUMBERED = 12  # groups are numbered in layers with at most so many rows of pixels


def shades(labels: np.ndarray) -> list[str]:
    """The colour of each group, of labels that are numbered from the largest."""
    sizes = np.bincount(labels.ravel())
    return [SINGLE if size == 1 else LARGE[n] if n < len(LARGE) else PALE for n, size in enumerate(sizes)]


def draw_groups(ax: Axes, labels: np.ndarray) -> None:
    """Groups [H, W], numbered from the largest."""
    colours = shades(labels)
    ax.imshow(labels, cmap=ListedColormap(colours), vmin=-0.5, vmax=len(colours) - 0.5)
    height, width = labels.shape
    ax.hlines(np.arange(1, height) - 0.5, -0.5, width - 0.5, color="#C0C0C0", linewidth=0.3)
    ax.vlines(np.arange(1, width) - 0.5, -0.5, height - 0.5, color="#C0C0C0", linewidth=0.3)
    if height > NUMBERED:
        return
    for (i, j), label in np.ndenumerate(labels):
        dark = colours[label] in (style.COLOURS["black"], style.COLOURS["blue"])
        ax.text(j, i, label, ha="center", va="center", fontsize=6, color="w" if dark else "k")
