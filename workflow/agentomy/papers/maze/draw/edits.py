"""What edits of activations by vectors do: fields, decisions, transfer between mazes, the pull of the top right."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from agentomy import kinds
from agentomy.drawing import style
from agentomy.drawing.tables import LEGEND, non_empty, seeds_text
from agentomy.papers.maze.agents import TRAINED, UNTRAINED, rows_of_agent
from agentomy.papers.maze.draw.behaviour import CHEESE, CORNER, FIRST, MAZE
from agentomy.selection import select
from agentomy.tables import Table
from agentomy.values import Count, Natural

# moves at the decision cell, each in the colour of its goal
MOVES = {"to_cheese": FIRST["cheese"], "to_corner": FIRST["corner"], "others": "#6E6E6E"}
# where two lines are one, as in an untrained network, the broad one shows beside the narrow one
MOVE_LINES = {
    "to_cheese": {"color": MOVES["to_cheese"], "linewidth": 2.2},
    "to_corner": {"color": MOVES["to_corner"], "linewidth": 1.2, "zorder": 3},
    "others": {"color": MOVES["others"], "linewidth": 1.2, "linestyle": (0, (4, 1.5)), "zorder": 3},
}
MOVE_NAMES = {"to_cheese": "move to the cheese", "to_corner": "move to the corner", "others": "other moves"}
EDITS = {
    ("none", 0.0): "no edit",
    ("cheese", -1.0): "cheese vector × −1",
    ("cheese", 1.0): "cheese vector × 1",
    ("no cheese", 0.0): "cheese removed",
    ("random", 1.0): "random vector",
    ("top-right", -1.0): "top-right vector × −1",
    ("top-right", 0.5): "top-right vector × 0.5",
    ("top-right", 1.0): "top-right vector × 1",
    ("top-right", 2.0): "top-right vector × 2",
    ("carried", 1.0): "another maze's vector",
    ("both", 1.0): "top-right − cheese vector",
}
CHEESE_EDITS = list(EDITS)[:5]
CORNER_EDITS = [("none", 0.0), *list(EDITS)[5:]]
DECISION = {"marker": "s", "markerfacecolor": "none", "markeredgecolor": "k", "markersize": 8, "linestyle": ""}
# the colours of trained runs; the untrained networks are grey
NETWORKS = [style.COLOURS[name] for name in ("vermillion", "green", "pink", "sky")]


def networks(table: Table, runs: dict[str, str]) -> dict[str, Table]:
    """The trained networks of each run (→ its label) by label, and the untrained ones of the first run."""
    trained = {label: rows_of_agent(select(table, run=run), TRAINED) for run, label in non_empty(runs, "runs").items()}
    return {**trained, UNTRAINED: rows_of_agent(select(table, run=next(iter(runs))), UNTRAINED)}


def first_of(shown: dict[str, Table]) -> Table:
    """The trained networks of the first run, whose numbers of seeds and mazes figures tell."""
    return next(iter(shown.values()))


def colours(names: dict | list) -> dict[str, str]:
    """A colour for each of `networks`."""
    trained = [name for name in names if name != UNTRAINED]
    return {**dict(zip(trained, NETWORKS, strict=False)), UNTRAINED: style.GREY}


# ---- vector fields --------------------------------------------------------------------------------------------------


def vector_fields(
    fields: kinds.maze_edits.FIELDS,
    levels: kinds.maze.LEVELS,
    *,
    run: str,
    edit: str,
    coefficient: float,
    seed: Natural,
    mazes: Count,
) -> Figure:
    """The policy as arrows in the largest mazes: without an edit, with it, and the difference.

    `edit` is the vector that is added, and `coefficient` the factor on it.
    """
    rows = rows_of_agent(select(fields, run=run, seed=seed), TRAINED)
    with_edit, plain = select(rows, edit=edit, coefficient=coefficient), select(rows, edit="none")
    geometry = levels.frame().set_index("level")
    there = with_edit.values("level")
    largest = np.argsort(-geometry.loc[there, "side"].to_numpy(), kind="stable")[:mazes]
    figure, axes = style.subplots(len(largest), 3, style.DOUBLE, 2.35 * len(largest) + 0.5)
    for line, level in zip(axes, there[largest], strict=True):
        level = int(level)
        walls = levels.where(level=level).array("walls")[0]
        world = round(len(walls) ** 0.5)
        walls = walls.reshape(world, world)
        y, x = np.nonzero(walls == 0)
        before, after = (
            arrows(policy.where(level=level).array("moves", world, world, 5)[0, y, x]) for policy in (plain, with_edit)
        )
        for ax, (right, up) in zip(line, (before, after, after - before), strict=True):
            draw_maze(ax, walls, geometry.loc[level])
            ax.quiver(x, y, right, up, angles="xy", scale_units="xy", scale=1.1, width=0.008, zorder=4)
    named = EDITS.get((edit, coefficient), f"{edit} vector × {coefficient:g}".replace("-", "−"))
    for ax, title in zip(axes[0], ("no edit", named, "difference"), strict=True):
        ax.set_title(title)
    handles = [Line2D([], [], **look) for look in (CHEESE, CORNER, DECISION)]
    figure.legend(handles, ["cheese", "top-right cell", "decision cell"], ncols=3, **LEGEND)
    text = "arrow: (P(right) − P(left), P(up) − P(down)) with the mouse there; 1.1 is as long as a cell"
    style.note(figure, f"run {run}, seed {seed}; the first {len(largest)} of the largest mazes\n{text}")
    return figure


def arrows(moves: np.ndarray) -> np.ndarray:
    """How far right and up [2, N] a policy [N, 5] points."""
    left, down, up, right, _ = moves.T
    return np.stack([right - left, up - down])


def draw_maze(ax: Axes, walls: np.ndarray, level: pd.Series) -> None:
    """A maze with one ring of the wall around it, its cheese, corner and decision cell."""
    world, side = len(walls), level["side"]
    first = (world - side) // 2
    ax.imshow(walls, origin="lower", cmap=MAZE, vmin=0, vmax=1)
    ax.plot(level["cheese_x"], level["cheese_y"], **{**CHEESE, "zorder": 3})
    ax.plot(first + side - 1, first + side - 1, **{**CORNER, "zorder": 3})
    if level["decision_x"] >= 0:
        ax.plot(level["decision_x"], level["decision_y"], **{**DECISION, "zorder": 3})
    ax.set(xlim=(first - 1.5, first + side + 0.5), ylim=(first - 1.5, first + side + 0.5), xticks=[], yticks=[])
    ax.set_facecolor(MAZE(1.0))
    ax.spines[:].set_visible(False)


# ---- decisions ------------------------------------------------------------------------------------------------------


def sweep(edited: kinds.maze_edits.EDITED, *, runs: dict[str, str]) -> Figure:
    """The decision against the cheese vector's coefficient, 0 being no edit (run → title)."""
    shown = networks(edited, runs)
    figure, axes = style.subplots(1, len(shown), style.DOUBLE, 2.5, sharey=True)
    for ax, (name, rows) in zip(axes[0], shown.items(), strict=True):
        frame = rows.where(edit=["none", "cheese"]).frame()
        medians = frame.groupby(["coefficient", "seed"])[list(MOVES)].median()
        for move, colour in MOVES.items():
            over = medians[move].groupby("coefficient").agg(["mean", "min", "max"])
            ax.plot(over.index, over["mean"], marker=".", markersize=3, **MOVE_LINES[move])
            ax.fill_between(over.index, over["min"], over["max"], color=colour, alpha=0.2, linewidth=0)
        ax.axvline(0, color=style.GREY, linewidth=0.5, linestyle=":")
        ax.set(title=name, xlabel="coefficient of the cheese vector", ylim=(-0.02, 1.02))
    axes[0, 0].set_ylabel("median probability\nat the decision cell")
    figure.legend(
        [Line2D([], [], **look) for look in MOVE_LINES.values()], list(MOVE_NAMES.values()), ncols=3, **LEGEND
    )
    style.letters(axes[0])
    style.note(figure, f"mean and range over seeds of the median over {_mazes(shown)}; {seeds_text(first_of(shown))}")
    return figure


def decisions(edited: kinds.maze_edits.EDITED, *, runs: dict[str, str]) -> Figure:
    """The moves at the decision cell before and after edits by the cheese vector, beside the controls (run → title)."""
    shown = networks(edited, runs)
    figure, axes = style.subplots(len(MOVES), len(shown), style.DOUBLE, 5.0, sharey=True, sharex=True)
    for column, (name, rows) in zip(axes.T, shown.items(), strict=True):
        frame = rows.frame()
        for ax, (move, colour) in zip(column, MOVES.items(), strict=True):
            _boxes(ax, frame, CHEESE_EDITS, move, colour)
        column[0].set_title(name)
    for ax, move in zip(axes[:, 0], MOVES, strict=True):
        ax.set_ylabel(f"P({MOVE_NAMES[move]})", fontsize=7)
    style.letters(axes.ravel())
    text = "boxes: quartiles and 5–95 % over mazes and seeds; dots: the seeds' medians"
    style.note(figure, f"{text}; {_mazes(shown)}; {seeds_text(first_of(shown))}")
    return figure


def _boxes(ax: Axes, frame: pd.DataFrame, edits: list[tuple], quantity: str, colour: str) -> None:
    under = [frame[(frame["edit"] == edit) & (frame["coefficient"] == times)] for edit, times in edits]
    line = {"color": colour, "linewidth": 0.8}
    looks = {"boxprops": line, "whiskerprops": line, "capprops": line, "medianprops": {**line, "linewidth": 1.6}}
    places = np.arange(len(edits))
    ax.boxplot(
        [levels[quantity] for levels in under], positions=places, widths=0.55, whis=(5, 95), showfliers=False, **looks
    )
    for place, levels in zip(places, under, strict=True):
        seeds = levels.groupby("seed")[quantity].median()
        x = place + 0.3 * (np.arange(len(seeds)) - (len(seeds) - 1) / 2) / max(len(seeds), 2)
        ax.plot(x, seeds, "o", color=colour, markersize=2.6, markeredgecolor="w", markeredgewidth=0.3, zorder=3)
    ax.set_xticks(places, [EDITS[edit] for edit in edits], rotation=40, ha="right", rotation_mode="anchor")
    ax.set_ylim(-0.03, 1.03)


def _mazes(shown: dict[str, Table]) -> str:
    return f"{first_of(shown).frame(['level'])['level'].nunique()} mazes"


# ---- transfer and top right -----------------------------------------------------------------------------------------


def transfer(transfers: kinds.maze_edits.TRANSFERS, *, runs: dict[str, str], near: Natural) -> Figure:
    """How much the cheese vector of another maze, if subtracted, keeps the agent from the cheese, by their distance.

    `runs` is run → label. Two mazes are near if their cheese cells are at most `near` cells apart.
    """
    shown = networks(transfers, runs)
    figure, axes = style.subplots(1, 1, style.SINGLE, 2.7)
    ax = axes[0, 0]
    for (name, rows), colour in zip(shown.items(), colours(shown).values(), strict=True):
        frame = rows.frame()
        fall = (frame["before"] - frame["after"]).groupby([frame["distance"], frame["seed"]]).mean()
        over = fall.groupby("distance").agg(["mean", "min", "max"])
        ax.plot(over.index, over["mean"], color=colour, marker="o", markersize=3, label=name)
        ax.fill_between(over.index, over["min"], over["max"], color=colour, alpha=0.2, linewidth=0)
    ax.axhline(0, color=style.GREY, linewidth=0.5)
    ax.axvline(near + 0.5, color=style.GREY, linewidth=0.6, linestyle=":")
    ax.set(xlabel="distance of the two cheese cells (cells, Chebyshev)", ylabel="fall of P(move to the cheese)")
    ax.legend()
    ax.xaxis.get_major_locator().set_params(integer=True)
    pairs = len(first_of(shown)) // first_of(shown).frame(["seed"])["seed"].nunique()
    text = f"mean and range over seeds, {seeds_text(first_of(shown))}"
    style.note(figure, f"{text}; {pairs:,} pairs of mazes\ndotted: up to here two mazes count as near")
    return figure


def top_right(edited: kinds.maze_edits.EDITED, *, runs: dict[str, str]) -> Figure:
    """What the top-right vector does to the way to the corner and to the decision, in mazes that have a margin.

    `runs` is run → title.
    """
    shown = networks(edited, runs)
    quantities = {"corner_path": "path probability\nto the corner", "to_cheese": "P(move to the cheese)"}
    figure, axes = style.subplots(2, len(shown), style.DOUBLE, 4.2, sharey=True, sharex=True)
    for column, (name, rows) in zip(axes.T, shown.items(), strict=True):
        frame = rows.frame()
        frame = frame[frame["level"].isin(select(rows, edit="top-right").values("level"))]
        for ax, quantity in zip(column, quantities, strict=True):
            _boxes(ax, frame, CORNER_EDITS, quantity, MOVES["to_corner" if quantity == "corner_path" else quantity])
        column[0].set_title(name, fontsize=7.5)
    for ax, label in zip(axes[:, 0], quantities.values(), strict=True):
        ax.set_ylabel(label)
    style.letters(axes.ravel())
    margin = select(first_of(shown), edit="top-right").frame(["level"])["level"].nunique()
    text = "boxes: quartiles and 5–95 % over mazes and seeds; dots: the seeds' medians"
    style.note(figure, f"{text}\n{margin} mazes with a margin; {seeds_text(first_of(shown))}")
    return figure
