"""The inputs that subnetworks of agents act on, drawn as pictures, and what they do there (L3D, T-top)."""

import json
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from agentomy import kinds
from agentomy.drawing import style
from agentomy.drawing.tables import LEGEND
from agentomy.lenses.subnetworks.draw import colours
from agentomy.lenses.subnetworks.draw_moves import number
from agentomy.selection import select
from agentomy.tables import Table
from agentomy.values import Count, Natural

MOVES = ("left", "down", "up", "right", "stay")
MAZE = ListedColormap(["#F3F1EC", "#8C8C8C"])  # floor, wall
OBJECTS = {
    "mouse": {"marker": "o", "color": style.COLOURS["blue"]},
    "cheese": {"marker": "D", "color": style.COLOURS["orange"]},
}
MARKED = {"linestyle": "", "markersize": 3.6, "markeredgecolor": "k", "markeredgewidth": 0.4}


def top_mazes(
    impacts: kinds.subnetworks.IMPACTS,
    subjects: kinds.subnetworks.SUBJECTS,
    steered: kinds.subnetworks.STEERED,
    *,
    run: str,
    seed: Natural,
    count: Count,  # subnetworks that are shown
    shown: Count,  # inputs of each
) -> Figure:
    """T-top of a maze agent: the inputs on which its busiest subnetworks have their largest impact, and their moves."""
    top = busiest(impacts, run, seed, count, shown)
    pictures = inputs_of(subjects, seed)
    figure, axes = style.subplots(
        len(top), shown + 1, style.DOUBLE, 0.92 * len(top) + 0.7, width_ratios=[1] * shown + [1.9]
    )
    for row, subnetwork in zip(axes, top, strict=True):
        for ax, sample in zip(row, subnetwork.samples, strict=False):
            draw_maze(ax, pictures[sample])
        for ax in row[len(subnetwork.samples) :]:
            ax.set_axis_off()
        label(row[0], subnetwork)
        write_beside(row[-1], effect_text(steered, run, seed, subnetwork.number, "move", dict(enumerate(MOVES))))
    handles = [
        Patch(color=MAZE(1.0)),
        *(Line2D([], [], **look, **{**MARKED, "markersize": 5}) for look in OBJECTS.values()),
    ]
    figure.legend(handles, ["wall", *OBJECTS], ncols=3, **LEGEND)
    style.note(figure, note_text(run, seed, len(pictures), len(top)))
    return figure


def top_sequences(
    impacts: kinds.subnetworks.IMPACTS,
    subjects: kinds.subnetworks.SUBJECTS,
    steered: kinds.subnetworks.STEERED,
    *,
    run: str,
    seed: Natural,
    count: Count,  # subnetworks that are shown
    shown: Count,  # sequences of each
) -> Figure:
    """T-top of a predictor: the sequences on which its busiest subnetworks have their largest impact, a strip each."""
    top = busiest(impacts, run, seed, count, shown)
    sequences = inputs_of(subjects, seed)  # [samples, T, categories]
    steps, categories = sequences.shape[1:]
    height = (0.17 * shown + 0.16) * len(top) + 0.9
    figure, axes = style.subplots(len(top), 2, style.DOUBLE, height, width_ratios=(3.4, 1), sharex="col")
    for (ax, right), subnetwork in zip(axes, top, strict=True):
        draw_strips(ax, sequences[subnetwork.samples])
        label(ax, subnetwork)
        write_beside(right, effect_text(steered, run, seed, subnetwork.number, "category", {}))
    for ax in axes[:-1, 0]:
        ax.tick_params(labelbottom=False, length=0)
    axes[-1, 0].set_xlabel("step")
    axes[-1, 0].set_xticks(np.arange(0, steps, -(-steps // 20)), np.arange(1, steps + 1, -(-steps // 20)))
    shades = colours(categories)
    handles = [Patch(color=colour) for colour in shades]
    handles.append(Patch(facecolor="w", edgecolor=style.GREY, linewidth=0.5))
    labels = [*(f"category {i}" for i in range(categories)), "nothing seen yet"]
    figure.legend(handles, labels, ncols=min(len(labels), 6), **{**LEGEND, "handlelength": 1})
    style.note(figure, note_text(run, seed, len(sequences), len(top)))
    return figure


class Subnetwork(NamedTuple):
    """A subnetwork and the inputs that are shown of it."""

    number: int
    active: float  # P_act
    samples: np.ndarray  # those of largest impact, the largest first


def busiest(impacts: Table, run: str, seed: int, count: int, shown: int) -> list[Subnetwork]:
    """The `count` subnetworks with the largest P_act, each with the `shown` samples on which its impact is largest."""
    rows = select(impacts, run=run, seed=seed, condition="learned")
    impact, active, sample = rows.array("impact"), rows.array("active").mean(axis=0), rows.values("sample")
    return [
        Subnetwork(int(k), active[k], sample[np.argsort(-impact[:, k], kind="stable")[:shown]])
        for k in np.argsort(-active, kind="stable")[:count]
    ]


def inputs_of(subjects: Table, seed: int) -> np.ndarray:
    """The inputs [samples, *shape] of one seed's network, which belongs to a run of another study."""
    # without the networks' tensors, which are large
    rows = select(subjects.with_rows(subjects.arrow(["run", "seed", "shape", "inputs"])), seed=seed)
    if len(rows) > 1:
        runs = ", ".join(map(str, pd.unique(rows.values("run"))))
        raise ValueError(f"subjects: one network of seed {seed} is needed; there are those of: {runs}")
    shape = json.loads(rows.values("shape")[0])
    return rows.array("inputs", -1, *shape)[0]


def draw_maze(ax: Axes, picture: np.ndarray) -> None:
    """Draw a picture [rows, columns, 3]: three planes (wall, mouse, cheese), or the colours themselves."""
    if picture.max() > 1:
        ax.imshow(picture / 255)
    else:
        ax.imshow(picture[..., 0], cmap=MAZE, vmin=0, vmax=1)
        for plane, look in zip((picture[..., 1], picture[..., 2]), OBJECTS.values(), strict=True):
            if plane.any():
                y, x = np.argwhere(plane).mean(axis=0)
                ax.plot(x, y, **look, **MARKED)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def draw_strips(ax: Axes, sequences: np.ndarray) -> None:
    """Draw one-hot sequences [N, T, categories] as strips of cells with the categories' colours and numbers."""
    strips, steps, categories = sequences.shape
    categories_seen = np.where(sequences.any(axis=2), sequences.argmax(axis=2), -1)  # -1: none yet
    shades = ListedColormap(["w", *colours(categories)])
    ax.pcolormesh(
        np.arange(steps + 1) - 0.5,
        np.arange(strips + 1) - 0.5,
        categories_seen,
        cmap=shades,
        vmin=-1.5,
        vmax=categories - 0.5,
        edgecolors="w",
        linewidth=0.6,
    )
    if steps <= 24:  # where numbers fit into cells
        for (y, x), category in np.ndenumerate(categories_seen):
            if category >= 0:
                ax.text(x, y, str(category), ha="center", va="center", fontsize=6, color=_ink(shades(category + 1)))
            else:
                ax.text(x, y, "–", ha="center", va="center", fontsize=5, color=style.GREY)
    ax.set(ylim=(strips - 0.5, -0.5), yticks=[])
    ax.spines[:].set_visible(False)


def _ink(shade: tuple) -> str:
    return "k" if np.dot(shade[:3], (0.3, 0.59, 0.11)) > 0.5 else "w"


def label(ax: Axes, subnetwork: Subnetwork) -> None:
    text = f"subnetwork\n{subnetwork.number} (P_act {subnetwork.active:.2f})"
    ax.set_ylabel(text, rotation=0, ha="right", va="center", fontsize=7, labelpad=4)


def effect_text(steered: Table, run: str, seed: int, subnetwork: int, output: str, names: dict) -> str:
    """Which output the largest moves to either side raise most, and how far they change the distribution.

    An output that has no name in `names` is called by what it is (`output`) and its number.
    """
    frame = select(steered, run=run, seed=seed, condition="learned", subnetwork=subnetwork).frame()
    frame = frame[np.isclose(frame["delta"].abs(), frame["delta"].abs().max())].sort_values("delta", ascending=False)
    lines = [
        f"δ = {number(row.delta)}: {names.get(row.output, f'{output} {row.output}')} ↑" for row in frame.itertuples()
    ]
    return "\n".join([*lines, f"own {frame['own'].mean():.3f}, rest {frame['rest'].mean():.3f}"])


def write_beside(ax: Axes, text: str) -> None:
    ax.set_axis_off()
    ax.text(0, 0.5, text, transform=ax.transAxes, va="center", fontsize=7, linespacing=1.25)


def note_text(run: str, seed: int, inputs: int, subnetworks: int) -> str:
    text = f"run {run}, seed {seed}; the {subnetworks} subnetworks of largest P_act, and those of {inputs} inputs on"
    return (
        f"{text} which their impact is largest\n↑: raised most on its own inputs (the tenth of largest impact); "
        "own, rest: total variation on these and on other inputs, mean over ±δ"
    )
