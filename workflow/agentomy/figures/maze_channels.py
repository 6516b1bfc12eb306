"""Channels that tell where the cheese is: ranking them, clamping them to retarget the agent, resampling (5.6)."""

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from agentomy import kinds
from agentomy.figures import style
from agentomy.figures.maze_behaviour import CORNER, START
from agentomy.figures.maze_edits import UNTRAINED, colours, networks
from agentomy.figures.path import LEGEND, chosen, counted
from agentomy.tables import Table

# edits of a retargeting, in the order of the strength that is expected of them
EDITS = {
    "none": {"color": "k", "linestyle": ":"},
    "random": {"color": style.GREY, "linestyle": "--"},
    "one": {"color": style.COLOURS["sky"], "linestyle": "-"},
    "several": {"color": style.COLOURS["blue"], "linestyle": "-"},
    "all": {"color": style.COLOURS["green"], "linestyle": "-"},
    "cheese": {"color": style.COLOURS["orange"], "linestyle": "-"},
}
OBJECTS = ("wall", "floor", "corner", "mouse", "cheese")


def ranking(channels: kinds.CHANNELS, *, runs: list[str], layer: str, threshold: float) -> Figure:
    """How well channels tell the cheese from the rest: all of them, how many over training, and other objects too."""
    rows = chosen(channels, layer=layer)
    cheese = chosen(rows, object="cheese")
    shown, looks = networks(cheese, runs), colours([*runs, UNTRAINED])
    figure, axes = style.subplots(1, 3, style.DOUBLE, 2.6)
    ranks, training, objects = axes[0]
    for name, part in shown.items():
        for _, seed in part.frame().groupby("seed"):
            values = np.sort(seed["auc"])[::-1]
            ranks.plot(
                np.arange(1, len(values) + 1), values, color=looks[name], linewidth=0.9, marker=".", markersize=2.5
            )
    ranks.axhline(threshold, color=style.GREY, linewidth=0.6, linestyle=":")
    ranks.set(xlabel="channels, best first", ylabel="AUC of the cheese's position")
    frame = chosen(cheese, run=runs).frame()
    place = style.update_axis(training, frame["update"].to_numpy())
    for run in runs:
        counts = (
            (frame[frame["run"] == run].set_index(["update", "seed"])["auc"] > threshold).groupby(level=[0, 1]).sum()
        )
        over = counts.groupby("update").agg(["mean", "min", "max"])
        training.plot(place(over.index), over["mean"], color=looks[run], marker=".", markersize=3)
        training.fill_between(place(over.index), over["min"], over["max"], color=looks[run], alpha=0.2, linewidth=0)
    training.set_ylabel(f"channels with AUC > {threshold:g}")
    for number, (name, part) in enumerate(networks(rows, runs).items()):
        above = (part.frame().set_index(["object", "seed"])["auc"] > threshold).groupby(level=[0, 1]).sum()
        width = 0.8 / len(shown)
        x = np.arange(len(OBJECTS)) + (number - (len(shown) - 1) / 2) * width
        objects.bar(x, above.groupby("object").mean().reindex(OBJECTS), width, color=looks[name])
        for seed in above.index.unique("seed"):
            objects.plot(x, above.xs(seed, level="seed").reindex(OBJECTS), "k.", markersize=2)
    objects.set_xticks(np.arange(len(OBJECTS)), OBJECTS, fontsize=6.5)
    objects.set_ylabel(f"channels with AUC > {threshold:g}")
    figure.legend([Line2D([], [], color=looks[name]) for name in shown], list(shown), ncols=len(shown), **LEGEND)
    style.letters(axes[0])
    total = frame["channel"].nunique()
    style.note(figure, f"{layer}, {total} channels; {counted(shown[runs[0]])}: lines or dots; b, c: mean, b: and range")
    return figure


# ---- retargeting ----------------------------------------------------------------------------------------------------


def heat_maps(retargets: kinds.RETARGETS, levels: kinds.LEVELS, *, run: str, seed: int, mazes: int) -> Figure:
    """How likely the agent walks to each cell of a maze when it is told to, under each edit."""
    of_run = chosen(retargets, run=run, seed=seed)
    rows = chosen(of_run, update=int(of_run.values("update").max()))
    geometry = levels.frame().set_index("level")
    there = rows.frame(["level"])["level"].unique()
    largest = there[np.argsort(-geometry.loc[there, "side"].to_numpy(), kind="stable")[:mazes]]
    figure, axes = style.subplots(len(largest), len(EDITS), style.DOUBLE, 1.08 * len(largest) + 0.75)
    cmap = colormaps["viridis"].with_extremes(bad="#D8D8D8")
    for line, level in zip(axes, largest, strict=True):
        here, side = rows.where(level=int(level)), int(geometry.loc[level, "side"])
        world = round(levels.where(level=int(level)).array("walls").shape[1] ** 0.5)
        first = (world - side) // 2
        for ax, edit in zip(line, EDITS, strict=True):
            targets = chosen(here, edit=edit).frame()
            drawn = np.full((world, world), np.nan)
            drawn[targets["target_y"], targets["target_x"]] = targets["probability"]
            image = ax.imshow(drawn, origin="lower", cmap=cmap, vmin=0, vmax=1)
            for cell, look in ((first, START), (first + side - 1, CORNER)):  # hollow: their cells have values too
                hollow = {"markerfacecolor": "none", "markeredgecolor": "w", "markersize": 4.5}
                ax.plot(cell, cell, **{**look, **hollow})
            inner = (first - 0.5, first + side - 0.5)
            ax.set(xlim=inner, ylim=inner, xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
    for ax, name in zip(axes[0], edit_names(rows).values(), strict=True):
        ax.set_title(name, fontsize=7)
    bar = figure.colorbar(image, ax=axes, shrink=0.9, aspect=25, pad=0.01)
    bar.set_label("path probability to the cell", fontsize=7)
    handles = [Line2D([], [], **{**look, "markerfacecolor": "none"}) for look in (START, CORNER)]
    figure.legend(handles, ["start", "top-right cell"], ncols=2, **LEGEND)
    style.note(
        figure,
        f"run {run}, seed {seed}; the {len(largest)} largest mazes, first come first; the mazes' own cheese removed",
    )
    return figure


def edit_names(retargets: Table) -> dict[str, str]:
    """What the edits are called, with how many channels they clamp."""
    sizes = retargets.frame().groupby("edit")["channels"].agg(["min", "max"])

    def count(edit: str) -> str:
        low, high = sizes.loc[edit]
        return f"{low} to {high}" if low < high else f"{low}"

    names = {"none": "no edit", "cheese": "cheese there", "one": "best channel"}
    names |= {
        "several": f"best {count('several')}",
        "all": f"all {count('all')}",
        "random": f"random {count('random')}",
    }
    return {edit: names[edit] for edit in EDITS}


def off_route(retargets: kinds.RETARGETS, levels: kinds.LEVELS, *, runs: list[str]) -> Figure:
    """The path probability under each edit, against how far the way leaves that to the corner, and the maze's side."""
    shown = networks(retargets, runs)
    figure, axes = style.subplots(2, len(shown), style.DOUBLE, 4.2, sharey=True)
    sides = dict(zip(levels.values("level"), levels.values("side"), strict=True))
    panels = {"off_route": "cells of the way off the corner's", "side": "side of the maze (cells)"}
    for column, (name, rows) in zip(axes.T, shown.items(), strict=True):
        frame = rows.frame()
        frame["side"] = frame["level"].map(sides)
        for ax, (axis, label) in zip(column, panels.items(), strict=True):
            for edit, look in EDITS.items():
                seeds = frame[frame["edit"] == edit].groupby([axis, "seed"])["probability"].mean()
                over = seeds.groupby(axis).agg(["mean", "min", "max"])
                ax.plot(over.index, over["mean"], **look)
                ax.fill_between(over.index, over["min"], over["max"], color=look["color"], alpha=0.12, linewidth=0)
            ax.set(xlabel=label, ylim=(0, 1))
        column[0].set_title(name)
    for ax in axes[:, 0]:
        ax.set_ylabel("path probability")
    names = edit_names(shown[runs[0]])
    figure.legend([Line2D([], [], **EDITS[edit]) for edit in names], list(names.values()), ncols=6, **LEGEND)
    style.letters(axes.ravel())
    count = shown[runs[0]].frame(["level"])["level"].nunique()
    text = f"mean and range over seeds, {counted(shown[runs[0]])}; {count} mazes, all targets"
    style.note(figure, f"{text}\nthe numbers of channels are those of the first panel's networks")
    return figure


# ---- resampling -----------------------------------------------------------------------------------------------------


def resampling(resampled: kinds.RESAMPLED, *, runs: list[str]) -> Figure:
    """How much the policy changes when channels are given what they are in a maze with its cheese here or elsewhere."""
    shown = networks(resampled, runs)
    figure, axes = style.subplots(1, len(shown), style.DOUBLE, 2.6)
    places = {"same": style.COLOURS["sky"], "other": style.COLOURS["vermillion"]}
    for ax, (name, rows) in zip(axes[0], shown.items(), strict=True):
        frame = rows.frame()
        means = 100 * frame.groupby(["which", "place", "seed"])["change"].mean()
        for number, (place, colour) in enumerate(places.items()):
            x = np.arange(2) + 0.38 * (number - 0.5)
            ax.bar(x, [means[which, place].mean() for which in ("cheese", "other")], 0.36, color=colour)
            for at, which in zip(x, ("cheese", "other"), strict=True):
                seeds = means[which, place]
                ax.plot(at + 0.06 * (np.arange(len(seeds)) - (len(seeds) - 1) / 2), seeds, "k.", markersize=3)
        sizes = frame.groupby("seed")["channels"].first().tolist()
        ax.set_xticks([0, 1], ["cheese\nchannels", "as many\nothers"])
        ax.set_title(f"{name}: {', '.join(str(size) for size in sizes)}")
    axes[0, 0].set_ylabel("change of the policy (%)")
    handles = [Patch(color=colour) for colour in places.values()]
    figure.legend(handles, ["cheese at the same cell", "cheese at another cell"], ncols=2, **LEGEND)
    style.letters(axes[0])
    count = shown[runs[0]].frame(["level"])["level"].nunique()
    text = f"total variation of the five moves, mean over cells and {count} mazes; {counted(shown[runs[0]])} (dots)"
    style.note(figure, f"{text}\nin the titles, how many channels are changed in each network; scales differ")
    return figure
