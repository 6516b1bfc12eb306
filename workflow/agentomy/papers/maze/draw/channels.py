"""Channels that tell where the cheese is: their ranks, what clamping them does, and what resampling them does."""

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from agentomy import kinds
from agentomy.drawing import style
from agentomy.drawing.tables import LEGEND, seeds_text
from agentomy.papers.maze.agents import TRAINED, UNTRAINED, rows_of_agent
from agentomy.papers.maze.draw.behaviour import CORNER, START
from agentomy.papers.maze.draw.edits import colours, first_of, networks
from agentomy.selection import select
from agentomy.tables import Table
from agentomy.values import Count, Natural, Share

# edits of a retargeting, in the order of the strength that is expected of them
EDITS = {
    "none": {"color": "k", "linestyle": ":"},
    "random": {"color": style.GREY, "linestyle": "--"},
    "one": {"color": style.COLOURS["sky"], "linestyle": "-"},
    "several": {"color": style.COLOURS["blue"], "linestyle": "-"},
    "all": {"color": style.COLOURS["green"], "linestyle": "-"},
    "cheese": {"color": style.COLOURS["orange"], "linestyle": "-"},
}


def ranking(channels: kinds.maze_edits.CHANNELS, *, runs: dict[str, str], layer: str, threshold: Share) -> Figure:
    """How well channels tell the cheese: all of one layer, over training, beside other objects, and in other layers.

    `runs` is run → label. The AUC is that of a channel or of its negative, whichever is larger. A channel tells an
    object if it is above the `threshold`.
    """
    rows = select(channels, layer=layer, run=[*runs])
    cheese = select(rows, object="cheese")
    looks = colours([*runs.values(), UNTRAINED])
    figure, axes = style.subplots(2, 3, style.DOUBLE, 4.4)
    (ranks, counted_along, counted_by), (depths, best_along, best_by) = axes
    for name, part in networks(cheese, runs).items():
        for _, seed in part.frame().groupby("seed"):
            values = telling(seed["auc"]).sort_values(ascending=False, kind="stable")
            place, line = np.arange(1, len(values) + 1), {"color": looks[name], "markeredgewidth": 0.7}
            ranks.plot(place, values, linewidth=0.9, marker="o", markersize=1.6, **line)
            lower = seed["auc"].loc[values.index].to_numpy() < 0.5
            ranks.plot(place[lower], values[lower], "o", markersize=3, markerfacecolor="w", **line)
    ranks.set(xlabel="channels, best first", ylabel="AUC of the cheese's position")
    of_layers = select(channels, object="cheese", run=[*runs])
    depth = list(dict.fromkeys(of_layers.values("layer").tolist()))
    for name, part in networks(of_layers, runs).items():
        best = part.frame().groupby(["layer", "seed"])["auc"].agg(best_of).unstack("seed").loc[depth]
        _band(depths, np.arange(len(depth)), best, looks[name])
    depths.set_xticks(np.arange(len(depth)), depth, rotation=25, ha="right", rotation_mode="anchor", fontsize=6)
    summaries = (
        (counted_along, counted_by, lambda auc: (telling(auc) > threshold).sum()),
        (best_along, best_by, best_of),
    )
    for along, by, summary in summaries:
        place = style.update_axis(along, cheese.values("update"))
        for run, label in runs.items():
            by_seed = cheese.where(run=run).frame().groupby(["update", "seed"])["auc"].agg(summary).unstack("seed")
            _band(along, place(by_seed.index), by_seed, looks[label])
        for number, (name, part) in enumerate(networks(rows, runs).items()):
            by_seed = (
                part.frame()
                .groupby(["object", "seed"])["auc"]
                .agg(summary)
                .unstack("seed")
                .loc[[*kinds.maze_edits.OBJECTS]]
            )
            place_of = np.arange(len(kinds.maze_edits.OBJECTS)) + 0.18 * (number - (len(looks) - 1) / 2)
            by.plot(place_of, by_seed.mean(axis=1), "_", color=looks[name], markersize=6, markeredgewidth=1.4)
            by.plot(place_of, by_seed, ".", color=looks[name], markersize=2.5)
        by.set_xticks(np.arange(len(kinds.maze_edits.OBJECTS)), kinds.maze_edits.OBJECTS, fontsize=6.5)
    for ax in (ranks, depths, best_along, best_by):
        ax.axhline(threshold, color=style.GREY, linewidth=0.6, linestyle=":")
        ax.set_ylim(top=1.01)
    for ax in (depths, best_along, best_by):
        ax.set_ylabel("largest AUC")
    for ax in (counted_along, counted_by):
        ax.set(ylabel=f"channels with AUC > {threshold:g}", ylim=(-0.1, max(1, ax.get_ylim()[1])))
        ax.yaxis.get_major_locator().set_params(integer=True)
    figure.legend([Line2D([], [], color=looks[name]) for name in looks], list(looks), ncols=len(looks), **LEGEND)
    style.letters(axes.ravel())
    text = f"a–c, e, f: {layer}, {cheese.frame()['channel'].nunique()} channels; {seeds_text(cheese)}"
    below = (
        "bands: range over seeds, lines in them and dashes: mean; AUC: of a channel or of its negative (hollow in a)"
    )
    style.note(figure, f"{text}: lines (a) or dots (c, f);\n{below}")
    return figure


def telling(auc: pd.Series) -> pd.Series:
    """The AUC of each channel or of its negative, whichever is larger: the sign says nothing of how well."""
    return auc.where(auc >= 0.5, 1 - auc)


def best_of(auc: pd.Series) -> float:
    return telling(auc).max()


def _band(ax: Axes, x: np.ndarray, seeds: pd.DataFrame, colour: str) -> None:
    """Mean and range over seeds, one column each."""
    ax.plot(x, seeds.mean(axis=1), color=colour, marker=".", markersize=3)
    ax.fill_between(x, seeds.min(axis=1), seeds.max(axis=1), color=colour, alpha=0.2, linewidth=0)


# ---- retargeting ----------------------------------------------------------------------------------------------------


def heat_maps(
    retargets: kinds.maze_edits.RETARGETS, levels: kinds.maze.LEVELS, *, run: str, seed: Natural, mazes: Count
) -> Figure:
    """How likely the agent walks to each cell of a maze, and how far each edit that tells it to changes that."""
    rows = rows_of_agent(select(retargets, run=run, seed=seed), TRAINED)
    geometry = levels.frame().set_index("level")
    there = rows.frame(["level"])["level"].unique()
    largest = there[np.argsort(-geometry.loc[there, "side"].to_numpy(), kind="stable")[:mazes]]
    figure, axes = style.subplots(len(largest), len(EDITS), style.DOUBLE, 1.3 * len(largest) + 1.3)
    plain, changed = (colormaps[name].with_extremes(bad="#B5B5B5") for name in ("viridis", "PuOr"))
    for line, level in zip(axes, largest, strict=True):
        here, side = rows.where(level=int(level)), int(geometry.loc[level, "side"])
        world = round(levels.where(level=int(level)).array("walls").shape[1] ** 0.5)
        first = (world - side) // 2
        unedited = probabilities(select(here, edit="none"), world)
        for ax, edit in zip(line, EDITS, strict=True):
            if edit == "none":
                before = ax.imshow(unedited, origin="lower", cmap=plain, vmin=0, vmax=1)
            else:
                change = probabilities(select(here, edit=edit), world) - unedited
                after = ax.imshow(change, origin="lower", cmap=changed, vmin=-1, vmax=1)
                ax.set_xlabel(f"mean {signed(np.nanmean(change))}", labelpad=2)
            edge = "w" if edit == "none" else "k"
            for cell, look in ((first, START), (first + side - 1, CORNER)):  # hollow: their cells have values too
                hollow = {"markerfacecolor": "none", "markeredgecolor": edge, "markersize": 4.5}
                ax.plot(cell, cell, **{**look, **hollow})
            inner = (first - 0.5, first + side - 0.5)
            ax.set(xlim=inner, ylim=inner, xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
    for ax, name in zip(axes[0], edit_names(rows).values(), strict=True):
        ax.set_title(fill(name, 13), fontsize=7)
    bars = {"location": "bottom", "aspect": 22, "pad": 0.03}
    figure.colorbar(before, ax=list(axes[:, :2].ravel()), label="path probability, no edit", **bars, shrink=0.85)
    figure.colorbar(after, ax=list(axes[:, 2:].ravel()), label="change of the path probability", **bars, shrink=0.6)
    handles = [Line2D([], [], **{**look, "markerfacecolor": "none"}) for look in (START, CORNER)]
    handles.append(Patch(color=changed.get_bad()))
    figure.legend(handles, ["start", "top-right cell", "wall"], ncols=3, **LEGEND)
    style.note(
        figure,
        f"run {run}, seed {seed}; the first {len(largest)} of the largest mazes, without their own cheese; "
        "below: mean over cells",
    )
    return figure


def probabilities(targets: Table, world: int) -> np.ndarray:
    """The path probability to each cell [world, world] of one level; NaN in walls."""
    frame, drawn = targets.frame(), np.full((world, world), np.nan)
    drawn[frame["target_y"], frame["target_x"]] = frame["probability"]
    return drawn


def signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:+.2f}".replace("-", "−")


def edit_names(retargets: Table) -> dict[str, str]:
    """What the edits are called, with how many channels they clamp."""
    sizes = retargets.frame().groupby("edit")["channels"].agg(["min", "max"])

    def count(edit: str) -> str:
        low, high = sizes.loc[edit]
        return f"{low} to {high}" if low < high else f"{low}"

    names = {"none": "no edit", "cheese": "cheese at the target", "one": "best channel"}
    names |= {
        "several": f"{count('several')} best channels",
        "all": f"all cheese channels ({count('all')})",
        "random": f"{count('random')} random channels",
    }
    return {edit: names[edit] for edit in EDITS}


def off_route(retargets: kinds.maze_edits.RETARGETS, levels: kinds.maze.LEVELS, *, runs: dict[str, str]) -> Figure:
    """The path probability under each edit, against how far the way leaves that to the corner, and the maze's side.

    `runs` is run → title.
    """
    shown = networks(retargets, runs)
    figure, axes = style.subplots(2, len(shown), style.DOUBLE, 4.2, sharey=True)
    sides = dict(zip(levels.values("level"), levels.values("side"), strict=True))
    panels = {"off_route": "cells off the way to the corner", "side": "side of the maze (cells)"}
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
            ax.xaxis.get_major_locator().set_params(integer=True)
        column[0].set_title(name)
    for ax in axes[:, 0]:
        ax.set_ylabel("path probability")
    names = edit_names(first_of(shown))
    figure.legend([Line2D([], [], **EDITS[edit]) for edit in names], list(names.values()), ncols=3, **LEGEND)
    style.letters(axes.ravel())
    count = first_of(shown).frame(["level"])["level"].nunique()
    text = f"mean and range over seeds, {seeds_text(first_of(shown))}; {count} mazes, all targets"
    style.note(figure, f"{text}\nthe numbers of channels are those of the first panel's networks")
    return figure


# ---- resampling -----------------------------------------------------------------------------------------------------


def resampling(resampled: kinds.maze_edits.RESAMPLED, *, runs: dict[str, str]) -> Figure:
    """How much the policy changes when channels are given what they are in a maze with its cheese here or elsewhere.

    `runs` is run → title.
    """
    shown = networks(resampled, runs)
    figure, axes = style.subplots(1, len(shown), style.DOUBLE, 2.6)
    places = {"same": style.COLOURS["sky"], "other": style.COLOURS["vermillion"]}
    for ax, (name, rows) in zip(axes[0], shown.items(), strict=True):
        frame = rows.frame()
        means = 100 * frame.groupby(["which", "place", "seed"])["change"].mean()
        for number, (place, colour) in enumerate(places.items()):
            x = np.arange(2) + 0.38 * (number - 0.5)
            ax.bar(x, [means[which, place].mean() for which in ("cheese", "other")], 0.36, color=colour)
            for bar, which in zip(x, ("cheese", "other"), strict=True):
                seeds = means[which, place]
                spread = 0.28 * (np.arange(len(seeds)) - (len(seeds) - 1) / 2) / max(len(seeds) - 1, 2)
                ax.plot(bar + spread, seeds, "k.", markersize=3)  # the dots of a bar stay within it
        sizes = np.unique(frame["channels"])[[0, -1]]
        ax.set_xticks([0, 1], ["cheese\nchannels", "as many\nothers"])
        ax.set(title=name, xlabel=f"channels changed: {' to '.join(map(str, dict.fromkeys(sizes)))}")
    axes[0, 0].set_ylabel("change of the policy (%)")
    handles = [Patch(color=colour) for colour in places.values()]
    figure.legend(handles, ["cheese at the same cell", "cheese at another cell"], ncols=2, **LEGEND)
    style.letters(axes[0])
    count = first_of(shown).frame(["level"])["level"].nunique()
    text = f"total variation of the five moves, mean over cells and {count} mazes; {seeds_text(first_of(shown))} (dots)"
    style.note(figure, f"{text}\nchannels changed: in each seed's network; scales differ")
    return figure
