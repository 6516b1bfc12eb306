"""What decides between cheese and corner: regressions on distances, and the distances themselves."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from agentomy import kinds
from agentomy.drawing import style
from agentomy.drawing.tables import LEGEND, non_empty, seeds_text
from agentomy.kinds.maze import DISTANCES
from agentomy.papers.maze.agents import TRAINED, UNTRAINED, rows_of_agent
from agentomy.selection import select
from agentomy.tables import Table

COLOURS = {TRAINED: style.COLOURS["blue"], UNTRAINED: "#9A9A9A"}
MODELS = {"all": "all distances", "three": "three distances"}


def named(distance: str) -> str:
    """A distance as a reader would call it."""
    if distance == "cheese_norm":
        return "cheese–(0, 0), Euclidean"
    sort, start, goal = distance.split("_")
    return f"{start}–{goal}, {'Euclidean' if sort == 'euclid' else 'steps'}"


def coefficients(regression: kinds.maze_behaviour.REGRESSION, *, run: str) -> Figure:
    """Coefficients of the regressions on all distances, and on three: means over seeds."""
    figure, axes = style.subplots(1, len(MODELS), style.DOUBLE, 2.7, sharex=True)
    for ax, (model, title) in zip(axes[0], MODELS.items(), strict=True):
        rows = rows_of_agent(select(regression, run=run, model=model, measure="coefficient"), TRAINED)
        distances = [name for name in DISTANCES if name in set(rows.values("distance"))][::-1]
        for place, distance in enumerate(distances):
            values = rows.where(distance=distance).values("value")
            ax.barh(place, values.mean(), color=COLOURS[TRAINED], height=0.7)
            ax.plot(values, np.full(len(values), place), "o", color="k", markersize=2.5, markerfacecolor="w")
        ax.set_yticks(range(len(distances)), [named(distance) for distance in distances])
        ax.axvline(0, color="k", linewidth=0.6)
        ax.set(title=title, xlabel="coefficient, per standard deviation")
    style.letters(axes[0])
    style.note(figure, f"run {run}: log-odds of getting the cheese; bars: means, points: seeds, {_counts(rows)}")
    return figure


def accuracies(regression: kinds.maze_behaviour.REGRESSION, *, runs: dict[str, str]) -> Figure:
    """How well one distance, three and all predict whether the cheese is got, beside always giving one answer.

    `runs` is run → title; the untrained networks are those of the first.
    """
    models = [*MODELS, *DISTANCES]
    first = next(iter(non_empty(runs, "runs")))
    panels = [*((run, TRAINED, title) for run, title in runs.items()), (first, UNTRAINED, UNTRAINED)]
    figure, axes = style.subplots(1, len(panels), style.DOUBLE, 3.0, sharey=True, sharex=True)
    for ax, (run, agent, title) in zip(axes[0], panels, strict=True):
        rows = rows_of_agent(select(regression, run=run), agent)
        for place, model in enumerate(models):
            values = select(rows, model=model, measure="accuracy").values("value")
            colour = COLOURS[TRAINED] if model in MODELS else style.COLOURS["sky"]
            ax.plot(values, np.full(len(values), place), "o", color=colour, markersize=3, alpha=0.6)
            ax.plot(values.mean(), place, "|", color="k", markersize=11, markeredgewidth=1.4)
        common = select(rows, model="all", measure="majority").values("value")
        ax.axvline(common.mean(), color=style.COLOURS["vermillion"], linewidth=1, linestyle=(0, (4, 1.5)))
        ax.axhline(len(MODELS) - 0.5, color=style.GREY, linewidth=0.5)
        ax.set_title(title, fontsize=7)
        ax.set_xlabel("accuracy on levels not fitted")
    axes[0, 0].set_yticks(range(len(models)), [MODELS.get(model) or named(model) for model in models])
    axes[0, 0].invert_yaxis()
    handles = [
        Line2D([], [], color=COLOURS[TRAINED], marker="o", markersize=3, linestyle=""),
        Line2D([], [], color="k", marker="|", markersize=8, linestyle=""),
        Line2D([], [], color=style.COLOURS["vermillion"], linestyle=(0, (4, 1.5))),
    ]
    figure.legend(handles, ["a seed", "mean", "always the commoner answer"], ncols=3, **LEGEND)
    style.letters(axes[0])
    shown = rows_of_agent(select(regression, run=first), TRAINED)
    style.note(figure, f"accuracy of 'got the cheese', mean over random splits; {_counts(shown)}")
    return figure


def by_distance(chances: kinds.maze_behaviour.CHANCES, *, run: str) -> Figure:
    """How often trained and untrained networks get the cheese, against each distance in bins."""
    columns = 4
    lines = -(-len(DISTANCES) // columns)
    figure, axes = style.subplots(lines, columns, style.DOUBLE, 1.55 * lines + 0.6, sharey=True)
    for ax, name in zip(axes.ravel(), DISTANCES, strict=False):
        for agent in (UNTRAINED, TRAINED):
            frame, colour = rows_of_agent(select(chances, run=run, distance=name), agent).frame(), COLOURS[agent]
            shares = frame.pivot(index="middle", columns="seed", values="share")
            ax.fill_between(shares.index, shares.min(axis=1), shares.max(axis=1), color=colour, alpha=0.2, linewidth=0)
            ax.plot(shares.index, shares.mean(axis=1), color=colour, marker="o", markersize=2.5)
        ax.set_title(named(name), fontsize=7)
        ax.set_ylim(-0.02, 1.02)
    for ax in axes.ravel()[len(DISTANCES) :]:
        ax.set_visible(False)
    for ax in axes[:, 0]:
        ax.set_ylabel("P(gets the cheese)", fontsize=7)
    for ax in axes.ravel()[len(DISTANCES) - columns : len(DISTANCES)]:  # the lowest of each column
        ax.set_xlabel("distance (cells)")
    handles = [Line2D([], [], color=colour, marker="o", markersize=3) for colour in COLOURS.values()]
    figure.legend(handles, [TRAINED, UNTRAINED], ncols=2, **LEGEND)
    shown = rows_of_agent(select(chances, run=run, distance=DISTANCES[0]), TRAINED)
    levels = int(shown.where(seed=int(shown.values("seed")[0])).values("count").sum())
    text = f"run {run}; bins of about as many levels each; lines: means, bands: range over seeds, {seeds_text(shown)}"
    style.note(
        figure, f"{text}\n{levels} test mazes with a decision cell and cheese outside the region; moves are sampled"
    )
    return figure


def correlation_matrix(correlations: kinds.maze_behaviour.CORRELATIONS) -> Figure:
    """Correlations between the distances of mazes with something to decide."""
    frame = correlations.frame()
    means = frame.groupby(["first", "second"])["correlation"].mean().unstack().loc[list(DISTANCES), list(DISTANCES)]
    figure, axes = style.subplots(1, 1, 5.2, 4.4)
    ax = axes[0, 0]
    drawn = ax.imshow(means, cmap="PuOr", vmin=-1, vmax=1)
    for i, j in np.ndindex(*means.shape):
        value = means.iloc[i, j].round(2) + 0.0  # zero has no minus sign
        colour = "w" if abs(value) > 0.7 else "k"
        ax.text(j, i, f"{value:.2f}".replace("-", "−"), ha="center", va="center", fontsize=6, color=colour)
    labels = [named(name) for name in DISTANCES]
    ax.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    ax.set_yticks(range(len(labels)), labels)
    figure.colorbar(drawn, label="correlation", aspect=25, pad=0.02)
    levels = frame.groupby("part")["count"].first()
    style.note(
        figure,
        f"mean over {len(levels)} parts of {levels.sum()} mazes with a decision cell and cheese outside the region",
    )
    return figure


def _counts(rows: Table) -> str:
    counts = np.unique(rows.values("count"))
    return f"{seeds_text(rows)}; {' to '.join(map(str, dict.fromkeys([counts[0], counts[-1]])))} test mazes"
