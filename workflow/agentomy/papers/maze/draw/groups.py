"""Groups of a layer's pixels, how far objects stand out among them, and what linear probes read."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, NullLocator

from agentomy import kinds
from agentomy.drawing import style
from agentomy.drawing.groups import draw_groups
from agentomy.drawing.tables import LEGEND, non_empty, seeds_text
from agentomy.papers.maze.agents import TRAINED, UNTRAINED, rows_of_agent
from agentomy.papers.maze.draw.behaviour import SEED
from agentomy.papers.maze.draw.edits import colours, first_of, networks
from agentomy.papers.maze.draw.inside import SHOWN, framed, painted
from agentomy.selection import select
from agentomy.tables import Table

LINES = {TRAINED: {"linestyle": "-"}, UNTRAINED: {"linestyle": (0, (3, 1.5)), "markerfacecolor": "w"}}
METHODS = {
    "single linkage": style.COLOURS["blue"],
    "k-means": style.COLOURS["orange"],
    "best cut": style.COLOURS["green"],
    "shuffled": style.GREY,
}
METHOD_NAMES = {
    "single linkage": "single linkage, largest gap",
    "k-means": "k-means, as many groups",
    "best cut": "single linkage, best cut",
    "shuffled": "pixels shuffled",
}
# the index first, which is 0 for groups at random
CHANGES = {
    "ari": "change of the index",
    "homogeneity": "change of homogeneity",
    "completeness": "change of completeness",
}
OBJECTS = {"mouse": style.COLOURS["blue"], "cheese": style.COLOURS["orange"]}
GOALS = {"corner": "next move to the corner", "cheese": "next move to the cheese"}
PLACES = {"all": "all places", "differ": "where the two differ"}


def by_agent(rows: Table) -> dict[str, Table]:
    """The rows of one run's trained networks, and those of its untrained ones."""
    return {agent: rows_of_agent(rows, agent) for agent in LINES}


# ---- the groups of one picture --------------------------------------------------------------------------------------


def dendrograms(pixels: kinds.maze_pixels.PIXELS, *, run: str, layers: list[str]) -> Figure:
    """How the pixels of layers merge by single linkage in one picture, and where the hierarchy is cut."""
    rows = select(pixels, run=run, seed=SEED)
    rows = rows.where(level=int(rows.values("level")[0]))
    figure, axes = style.subplots(len(non_empty(layers, "layers")), 2, style.DOUBLE, 1.9 * len(layers) + 0.5)
    for line, layer in zip(axes, layers, strict=True):
        for ax, (name, part) in zip(line, by_agent(select(rows, layer=layer)).items(), strict=True):
            merges = part.array("merges")[0].reshape(-1, 4)
            cut = float(part.values("cut")[0])
            groups = len(np.unique(part.array("linked")[0]))
            draw_dendrogram(ax, merges)
            ax.axhline(cut, color=style.COLOURS["vermillion"], linestyle=(0, (4, 2)))
            ax.set(title=f"{layer}, {name}: {groups} groups", xlabel=f"{len(merges) + 1} pixels", xticks=[])
        line[0].set_ylabel("merge distance")
    cut = Line2D([], [], color=style.COLOURS["vermillion"], linestyle=(0, (4, 2)))
    figure.legend([cut], ["cut, in the largest gap of merge distances"], **LEGEND)
    style.letters(axes.ravel())
    style.note(figure, f"run {run}, seed {SEED}, level {rows.values('level')[0]}; scales of the axes differ")
    return figure


def draw_dendrogram(ax: Axes, merges: np.ndarray) -> None:
    """Draw merges [N - 1, 4] as SciPy gives them, without recursion: single linkage makes chains of any depth."""
    count = len(merges) + 1
    x, y = np.zeros(2 * count - 1), np.zeros(2 * count - 1)
    x[leaves(merges)] = np.arange(count)
    lines = []
    for number, (*clusters, height, _) in enumerate(merges):
        left, right = map(int, clusters)
        lines.append([(x[left], y[left]), (x[left], height), (x[right], height), (x[right], y[right])])
        x[count + number], y[count + number] = (x[left] + x[right]) / 2, height
    ax.add_collection(LineCollection(lines, colors="k", linewidths=0.6))
    ax.set(xlim=(-0.5, count - 0.5), ylim=(0, merges[-1, 2] * 1.05 or 1))


def leaves(merges: np.ndarray) -> np.ndarray:
    """The points in an order in which no merges cross."""
    count = len(merges) + 1
    order, waiting = [], [2 * count - 2]
    while waiting:
        cluster = waiting.pop()
        if cluster < count:
            order.append(cluster)
        else:
            left, right = merges[cluster - count, :2].astype(int)
            waiting += [right, left]
    return np.array(order)


def groups(pixels: kinds.maze_pixels.PIXELS, *, run: str, layers: list[str]) -> Figure:
    """One maze's pixels coloured by group, beside what they show and the true types of their patches."""
    rows = select(pixels, run=run, seed=SEED)
    level = int(rows.values("level")[0])
    rows = rows.where(level=level)
    panels = [
        (layer, name, part)
        for layer in non_empty(layers, "layers")
        for name, part in by_agent(select(rows, layer=layer)).items()
    ]
    titles = {"linked": "single linkage", "means": "k-means", "patches": "types of patch"}
    figure, axes = style.subplots(len(panels), 4, style.DOUBLE, 1.75 * len(panels) + 0.6)
    for line, (layer, name, part) in zip(axes, panels, strict=True):
        size = (int(part.values("rows")[0]), int(part.values("columns")[0]))
        picture = part.array("shown")[0]
        line[0].imshow(painted(picture.reshape(2 * (round(len(picture) ** 0.5),))))
        line[0].set_ylabel(f"{layer}\n{name}")
        for ax, (column, title) in zip(line[1:], titles.items(), strict=True):
            labels = part.array(column, *size)[0].astype(int)
            draw_groups(ax, labels)
            ax.set_title(f"{title}: {labels.max() + 1} groups", fontsize=7)
        for ax in line:
            framed(ax)
    axes[0, 0].set_title("the maze", fontsize=7)
    handles = [Patch(facecolor=colour, edgecolor=style.GREY, linewidth=0.4) for colour in SHOWN]
    figure.legend(handles, list(kinds.maze_pixels.SHOWS), ncols=len(SHOWN), **LEGEND)
    text = "groups are numbered from the largest; of several pixels beyond the eighth: grey; single pixels: white"
    centres = "in pooled layers, patches are those of the picture around each pixel's centre"
    style.note(figure, f"run {run}, seed {SEED}, level {level}; {text}\n{centres}")
    return figure


# ---- by layer -------------------------------------------------------------------------------------------------------


def agreement(groups: kinds.maze_pixels.GROUPS, *, runs: dict[str, str]) -> Figure:
    """How well groups agree with the types of 3 × 3 patches after training, and how much training has changed that.

    `runs` is run → label. Changes are those of each seed: its trained network less its untrained one.
    """
    height = 2.2 * len(non_empty(runs, "runs")) + 0.9
    figure, axes = style.subplots(len(runs), 1 + len(CHANGES), style.DOUBLE, height, sharex=True)
    titles = ["adjusted Rand index\nafter training", *(f"{title}\nby training" for title in CHANGES.values())]
    for line, (run, label) in zip(axes, runs.items(), strict=True):
        rows = select(groups, run=run)
        layers = list(dict.fromkeys(rows.values("layer").tolist()))
        for number, (method, colour) in enumerate(METHODS.items()):
            shift = 0.12 * (number - (len(METHODS) - 1) / 2)
            trained, untrained = (
                part.frame().groupby(["layer", "seed"])[[*CHANGES]].mean()
                for part in by_agent(select(rows, method=method)).values()
            )
            _by_layer(line[0], trained["ari"].unstack().loc[layers], shift, color=colour)
            for ax, measure in zip(line[1:], CHANGES, strict=True):
                _by_layer(ax, (trained - untrained)[measure].unstack().loc[layers], shift, color=colour)
        reach = 1.05 * max(abs(limit) for ax in line[1:] for limit in ax.get_ylim())
        for ax in line[1:]:
            ax.axhline(0, color="k", linewidth=0.6, zorder=1)
            ax.set_ylim(-reach, reach)
            ax.tick_params(labelleft=ax is line[1])
        line[0].set_ylim(min(-0.03, line[0].get_ylim()[0]), 1.03)
        line[0].set_ylabel(label)
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=7)
    for ax in axes[-1]:
        _name_layers(ax, layers)
    methods = [Line2D([], [], color=colour, marker="o", markersize=3) for colour in METHODS.values()]
    figure.legend(methods, list(METHOD_NAMES.values()), ncols=4, **LEGEND)
    style.letters(axes.ravel())
    count = groups.where(run=[*runs]).frame(["run", "seed", "update", "level"]).drop_duplicates()
    mazes = count.groupby(["run", "seed", "update"]).size().min()
    text = f"means over {mazes} mazes; lines: mean over seeds, bars: their range, {seeds_text(groups)}"
    style.note(figure, f"{text}\nchange by training: of each seed, trained less untrained")
    return figure


def _by_layer(ax: Axes, by_seed: pd.DataFrame, shift: float = 0, **look) -> None:
    """Mean over seeds and their range, from values [layer, seed]; `shift` sets bars of several lines apart."""
    x, mean = np.arange(len(by_seed)) + shift, by_seed.mean(axis=1)
    ax.plot(x, mean, marker="o", markersize=3, **look)
    ax.vlines(x, by_seed.min(axis=1), by_seed.max(axis=1), color=look["color"], linewidth=0.8)


def _name_layers(ax: Axes, layers: list[str]) -> None:
    ax.set_xticks(np.arange(len(layers)), layers, rotation=40, ha="right", rotation_mode="anchor", fontsize=6)


def probes(accuracy: kinds.maze_pixels.ACCURACY, *, runs: dict[str, str]) -> Figure:
    """How well linear probes tell the next move to the corner and to the cheese, by layer (run → label)."""
    shown = networks(accuracy, runs)
    looks = colours(list(shown))
    lines = {name: LINES[UNTRAINED if name == UNTRAINED else TRAINED] for name in shown}
    layers = list(dict.fromkeys(first_of(shown).values("layer").tolist()))
    figure, axes = style.subplots(len(PLACES), len(GOALS), style.DOUBLE, 4.4, sharex=True, sharey=True)
    for line, (places, where) in zip(axes, PLACES.items(), strict=True):
        for ax, (goal, title) in zip(line, GOALS.items(), strict=True):
            for name, part in shown.items():
                frame = select(part, goal=goal, places=places).frame()
                means = frame.pivot(index="layer", columns="seed", values="accuracy").loc[layers]
                _by_layer(ax, means, color=looks[name], **lines[name])
            ax.axhline(frame["chance"].mean(), color=style.GREY, linewidth=0.8, linestyle=":")
            ax.set(title=f"{title}, {where}", ylim=(0, 1.02))
            _name_layers(ax, layers)
        line[0].set_ylabel("accuracy")
    handles = [Line2D([], [], color=looks[name], marker="o", markersize=3, **lines[name]) for name in shown]
    handles.append(Line2D([], [], color=style.GREY, linewidth=0.8, linestyle=":"))
    figure.legend(handles, [*shown, "most frequent move"], ncols=len(handles), **LEGEND)
    style.letters(axes.ravel())
    tests = first_of(shown).where(places="all").values("tests").min()
    text = f"{tests} places in mazes that the probes were not fitted on"
    style.note(figure, f"{text}; lines: mean over seeds, bars: their range, {seeds_text(first_of(shown))}")
    return figure


def standing(contrast: kinds.maze_pixels.CONTRAST, *, runs: dict[str, str]) -> Figure:
    """How far the pixels of mouse and cheese lie from all others, by layer: in spreads of a group, and their ratio.

    `runs` is run → label.
    """
    figure, axes = style.subplots(len(non_empty(runs, "runs")), 2, style.DOUBLE, 2.3 * len(runs) + 0.7, sharex="row")
    for line, (run, label) in zip(axes, runs.items(), strict=True):
        rows = select(contrast, run=run)
        ratio = kinds.maze_pixels.RATIO
        layers = list(dict.fromkeys(rows.where(quantity=ratio).values("layer").tolist()))
        for name, part in by_agent(rows).items():
            for quantity, colour in OBJECTS.items():
                _interval(line[0], part.where(quantity=quantity), layers, color=colour, **LINES[name])
            _interval(line[1], select(part, quantity=ratio), layers, color="k", **LINES[name])
        line[1].axhline(1, color=style.GREY, linewidth=0.6, linestyle=":")
        line[0].set(ylabel=f"{label}\ndistance / spread", title="distance from the nearest group", yscale="log")
        line[1].set(ylabel="mouse / cheese", title="mouse's distance over cheese's", yscale="log")
        for ax in line:
            ax.yaxis.set_major_locator(MaxNLocator(6))  # powers of ten are too few for so short an axis
            ax.yaxis.set_minor_locator(NullLocator())
            ax.yaxis.set_major_formatter("{x:g}")
            _name_layers(ax, layers)
    objects = [Line2D([], [], color=colour, marker="o", markersize=3) for colour in OBJECTS.values()]
    looks = [Line2D([], [], color="k", marker="o", markersize=3, **look) for look in LINES.values()]
    figure.legend([*objects, *looks], [*OBJECTS, *LINES], ncols=4, **LEGEND)
    style.letters(axes.ravel())
    frame = contrast.where(run=[*runs]).frame()
    size = f"{style.seeds(int(frame['seeds'].max()))}, {frame['levels'].max()} mazes"
    style.note(figure, f"geometric means, {size}; bars: 95 % bootstrap interval over seeds and mazes")
    return figure


def _interval(ax: Axes, rows: Table, layers: list[str], **look) -> None:
    frame = rows.frame().set_index("layer").reindex(layers)
    x = np.arange(len(layers))
    ax.plot(x, frame["value"], marker="o", markersize=3, **look)
    ax.vlines(x, frame["low"], frame["high"], color=look["color"], linewidth=0.8)
