"""Mazes along training: returns on both distributions, and when the bias for the corner appears (F3)."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from agentomy import kinds
from agentomy.drawing import style
from agentomy.drawing.tables import LEGEND, non_empty, seeds_text
from agentomy.papers.maze.agents import RANDOM, TRAINED, UNTRAINED
from agentomy.papers.maze.draw.behaviour import FIRST, deciding
from agentomy.selection import select
from agentomy.tables import Table
from agentomy.values import Count

REWARD = 10  # of the cheese
DISTRIBUTIONS = {"training": style.COLOURS["green"], "test": style.COLOURS["vermillion"]}
NETWORKS = [TRAINED, UNTRAINED]
DOTTED = {"linewidth": 0.8, "linestyle": (0, (1, 1.5)), "zorder": 1}


def learning_curves(
    navigation: kinds.maze_behaviour.NAVIGATION, *, runs: dict[str, str], steps_per_update: Count
) -> Figure:
    """F3: mean return along training, in unseen mazes of the run's own distribution and in test mazes (run → title)."""
    figure, axes = _panels(len(non_empty(runs, "runs")))
    rows = select(navigation, condition="cheese", subset="all", outcome="got cheese", run=[*runs])
    steps = _axis(axes, rows, steps_per_update)
    for ax, (run, title) in zip(axes.ravel(), runs.items(), strict=False):
        for distribution, colour in DISTRIBUTIONS.items():
            _curve(ax, select(rows, run=run, distribution=distribution), colour, steps, REWARD)
        ax.set(title=title, ylim=(0, REWARD * 1.02))
    _finish(figure, axes, len(runs), "mean return")
    labels = ["unseen mazes of the training distribution", "test mazes: cheese anywhere", "random policy"]
    _legend(figure, list(DISTRIBUTIONS.values()), labels)
    _note(figure, rows, "cheese: 10, no other reward")
    return figure


def misgeneralisation(
    navigation: kinds.maze_behaviour.NAVIGATION,
    *,
    runs: dict[str, str],
    regions: dict[str, Count],
    steps_per_update: Count,
) -> Figure:
    """What agents reach first along training, in test mazes with a decision and cheese outside a region.

    `runs` is run → title, and `regions` gives the side of each run's region, in cells.
    """
    if runs.keys() != regions.keys():
        raise ValueError(f"misgeneralisation: regions of {', '.join(regions)}, but runs are {', '.join(runs)}")
    figure, axes = _panels(len(non_empty(runs, "runs")), more=0.15)
    shown = {run: select(deciding(navigation, regions[run]), run=run) for run in runs}
    together = Table(kinds.maze_behaviour.NAVIGATION, rows=pa.concat_tables(rows.arrow() for rows in shown.values()))
    steps = _axis(axes, together, steps_per_update)
    for ax, (run, rows) in zip(axes.ravel(), shown.items(), strict=False):
        for outcome, colour in FIRST.items():
            _curve(ax, select(rows, outcome=outcome), colour, steps)
        ax.set_title(f"{runs[run]}\ntest cheese outside {regions[run]} × {regions[run]}", fontsize=7.5)
        ax.set_ylim(-0.02, 1.02)
    _finish(figure, axes, len(runs), "share of mazes")
    _legend(figure, [*FIRST.values()], ["cheese first", "corner first", "neither", "random policy"])
    _note(figure, together, "neither goal on the way to the other")
    return figure


def _panels(count: int, more: float = 0) -> tuple[Figure, np.ndarray]:
    columns = min(count, 3)
    lines = -(-count // columns)
    width = style.SINGLE if columns == 1 else style.DOUBLE
    return style.subplots(lines, columns, width, (1.75 + more) * lines + 0.6, sharex=True, sharey=True)


def _axis(axes: np.ndarray, rows: Table, steps_per_update: int) -> Callable[[np.ndarray], np.ndarray]:
    """Make the shared x axis long enough for every run. Returns a function from updates to places on the axis."""
    updates = rows.where(agent=NETWORKS).values("update")
    for ax in axes.ravel():
        place = style.update_axis(ax, updates * steps_per_update)
    return lambda values: place(np.asarray(values) * steps_per_update)


def _curve(ax: Axes, rows: Table, colour: str, steps: Callable, scale: float = 1) -> None:
    """Mean over seeds and their range along training, and the level of the random policy."""
    networks = rows.where(agent=NETWORKS).frame()
    by_seed = networks.groupby(["update", "seed"])["share"].mean().unstack() * scale
    x = steps(by_seed.index)
    ax.fill_between(x, by_seed.min(axis=1), by_seed.max(axis=1), color=colour, alpha=0.2, linewidth=0)
    ax.plot(x, by_seed.mean(axis=1), color=colour, marker=".", markersize=4)
    ax.axhline(rows.where(agent=RANDOM).values("share").mean() * scale, color=colour, **DOTTED)


def _finish(figure: Figure, axes: np.ndarray, used: int, label: str) -> None:
    for number, ax in enumerate(axes.ravel()):
        below = number + axes.shape[1]
        ax.set_visible(number < used)
        ax.set_xlabel("environment steps" if below >= used else "")
        ax.tick_params(labelbottom=below >= used)
    for ax in axes[:, 0]:
        ax.set_ylabel(label)
    style.letters(axes.ravel()[:used])


def _legend(figure: Figure, colours: list[str], labels: list[str]) -> None:
    handles = [Line2D([], [], color=colour, marker=".", markersize=4) for colour in colours]
    figure.legend([*handles, Line2D([], [], color=style.GREY, **DOTTED)], labels, ncols=4, **LEGEND)


def _note(figure: Figure, rows: Table, text: str) -> None:
    networks = rows.where(agent=NETWORKS)
    counts = np.unique(networks.values("count"))
    mazes = " to ".join(map(str, dict.fromkeys([counts[0], counts[-1]])))
    style.note(figure, f"lines: means, bands: range over seeds, {seeds_text(networks)}; {mazes} mazes a point; {text}")
