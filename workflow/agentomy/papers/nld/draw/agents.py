"""Posterior samples of a Q-network: how they explore, and where they disagree (natural Langevin dynamics)."""

from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from agentomy import kinds
from agentomy.drawing import style
from agentomy.drawing.tables import NOT_NEGATIVE, seeds_text, thousands
from agentomy.papers.nld.draw.posterior import bar
from agentomy.selection import select

GRID = 10
PALE = "#C8C8C8"
SHADES = [style.GREY, "#000000", style.COLOURS["sky"], style.COLOURS["blue"], style.COLOURS["vermillion"]]


def exploration(returns: kinds.nld.RETURNS, *, runs: dict[str, str]) -> Figure:
    """Returns of evaluation episodes along learning, a panel a run, and in the end; `runs` is run → label."""
    plt.rcParams.update(style.RC)
    figure = plt.figure(figsize=(style.DOUBLE, 2.7 + 0.22 * len(runs)), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[1.8, 0.9 + 0.22 * len(runs)])
    panels, (ends,) = (
        above.subplots(1, len(runs), sharex=True, sharey=True, squeeze=False)[0],
        below.subplots(1, 1, squeeze=False)[0],
    )
    looks = dict(zip(runs, SHADES, strict=False))
    curves = {
        run: select(returns, run=run).frame().pivot(index="update", columns="seed", values="return") for run in runs
    }
    for place, (run, ax) in enumerate(zip(runs, panels, strict=True)):
        for other, curve in curves.items():
            if other != run:
                ax.plot(curve.index, curve.mean(axis=1), color=PALE, linewidth=0.8, zorder=1)
        ax.plot(curves[run].index, curves[run], color=looks[run], linewidth=0.5, alpha=0.6, zorder=2)
        ax.plot(curves[run].index, curves[run].mean(axis=1), color=looks[run], linewidth=1.8, zorder=3)
        ax.set(xlabel="training update", ylim=(0, None), xlim=(0, None))
        ax.set_title(fill(runs[run], 16), color=looks[run], fontsize=7)
        ax.xaxis.set_major_formatter(thousands)
        ax.locator_params(axis="x", nbins=3)
        values = curves[run].iloc[-1].to_numpy()
        bar(ends, place, values, NOT_NEGATIVE, color=looks[run], marker="o", markersize=4)
        ends.plot(values, np.full(len(values), place + 0.3), linestyle="", marker=".", markersize=3, color=looks[run])
    panels[0].set_ylabel("return")
    ends.set_yticks(range(len(runs)), list(runs.values()))
    ends.set(ylim=(len(runs) - 0.4, -0.5), xlabel="return in the end", xlim=(0, None))
    ends.grid(axis="x", linewidth=0.3)
    style.letters([*panels, ends])
    episodes = int(returns.values("episodes").max())
    text = "thin lines and small dots: seeds; thick lines and large dots: their means; pale: means of the other runs"
    style.note(
        below, f"{seeds_text(returns)}, {episodes} greedy episodes each; {text}\nbars: 95 % intervals, no lower than 0"
    )
    return figure


def doubt(doubt: kinds.nld.DOUBT, *, runs: dict[str, str]) -> Figure:
    """Where the ball was, what the state was worth there, and how far samples disagree.

    Each run has a row, and each column one colour scale.
    """
    columns = {
        "visits": "share of states",
        "value": "value",
        "deviation": "standard deviation\nof the value",
        "dissent": "share of networks that\nwould act otherwise",
    }
    figure, axes = style.subplots(len(runs), 4, style.DOUBLE, 1.6 * len(runs) + 1.2, sharex=True, sharey=True)
    frames = {run: select(doubt, run=run).frame() for run in runs}
    for line, (column, title) in zip(axes.T, columns.items(), strict=True):
        pictures = [by_place(frame, column) for frame in frames.values()]
        low = min(0, np.nanmin(pictures))
        for ax, picture in zip(line, pictures, strict=True):
            shown = ax.imshow(picture, cmap="viridis", vmin=low, vmax=np.nanmax(pictures))
            ax.set(xticks=[0, 9], yticks=[0, 9])
            ax.spines[:].set_visible(True)
        line[0].set_title(title)
        figure.colorbar(shown, ax=list(line), location="bottom", shrink=0.9, aspect=16, pad=0.03)
    for ax, label in zip(axes[:, 0], runs.values(), strict=True):
        ax.set_ylabel(label)
    networks = ", ".join(map(str, sorted(doubt.frame()["networks"].unique())))
    style.note(
        figure,
        f"by the ball's place, row 0 at the top; {seeds_text(doubt)} together; {networks} networks of each; "
        "white: the ball was never there",
    )
    return figure


def by_place(frame: pd.DataFrame, column: str) -> np.ndarray:
    """A column's mean at each place of the ball [row, column], weighted by visits; of visits their share."""
    picture = np.full((GRID, GRID), np.nan)
    for (row, place), cell in frame.groupby(["row", "column"]):
        weights = cell["visits"]
        total = weights.sum() / frame["visits"].sum()
        picture[row, place] = total if column == "visits" else (cell[column] * weights).sum() / weights.sum()
    return picture
