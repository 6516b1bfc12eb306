"""How figures look: sizes, fonts, colours, and the small things that every figure says about itself."""

import string
from collections.abc import Callable, Iterable
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

# widths of one and of two columns of a page, inches
SINGLE, DOUBLE = 3.4, 7.0
PER_INCH = 21.5  # letters of a note, about

# Okabe & Ito's palette, made to be told apart with any colour vision
COLOURS = {
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "green": "#009E73",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "pink": "#CC79A7",
    "yellow": "#F0E442",
    "black": "#000000",
}
CYCLE = [COLOURS[name] for name in ("blue", "vermillion", "green", "orange", "sky", "pink")]
GREY = "#6E6E6E"
# colours without an order, for more categories than CYCLE has
CATEGORIES = [*CYCLE, COLOURS["yellow"], COLOURS["black"], "#8C564B", "#9A9A9A"]

RC = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same glyphs everywhere
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "figure.dpi": 200,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,  # text stays text
}


def subplots(rows: int, columns: int, width: float, height: float, **options) -> tuple[Figure, np.ndarray]:
    """A figure in this style and its axes [rows, columns]; sizes in inches."""
    plt.rcParams.update(RC)
    return plt.subplots(rows, columns, figsize=(width, height), layout="constrained", squeeze=False, **options)


def letters(axes: Iterable[Axes]) -> None:
    """Name panels a, b, c, … in bold, outside at their upper left."""
    for letter, ax in zip(string.ascii_lowercase, axes, strict=False):
        ax.set_title(letter, loc="left", fontweight="bold")


def note(figure: Figure, text: str) -> None:
    """What a reader must know to read the figure (n, what bands are), in small print below it.

    Lines that would be wider than the figure go on in another one.
    """
    across = int(PER_INCH * figure.bbox.width / figure.dpi)  # a part of a figure has no width in inches
    figure.supxlabel("\n".join(fill(line, across) for line in text.split("\n")), fontsize=6.5, color=GREY)


def seeds(count: int) -> str:
    return f"n = {count} training seed{'s' * (count != 1)}"


def update_axis(ax: Axes, updates: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Make x a logarithmic axis of training updates with a place for update 0; returns updates → places."""
    updates = np.unique(updates)
    first, last = updates[updates > 0][[0, -1]]
    zero = first / 3
    powers = 10.0 ** np.arange(np.ceil(np.log10(first)), np.log10(last) + 1e-9)
    ticks = powers if len(powers) > 1 else np.array([first, last], float)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator([zero, *ticks]))
    ax.xaxis.set_major_formatter(FixedFormatter(["0", *(f"{tick:,.0f}".replace(",", " ") for tick in ticks)]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlim(zero / 1.25, last * 1.25)
    ax.axvline(np.sqrt(zero * first), color=GREY, linewidth=0.5, linestyle=(0, (1, 3)))
    ax.set_xlabel("training update")
    return lambda values: np.where(np.asarray(values) == 0, zero, values)


def palette(count: int) -> list[str]:
    return [CYCLE[number % len(CYCLE)] for number in range(count)]
