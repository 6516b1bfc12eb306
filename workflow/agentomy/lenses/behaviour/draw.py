"""An agent's returns along training beside those that others noted, and how much of each layer it uses."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from agentomy import kinds
from agentomy.drawing import style
from agentomy.drawing.tables import LEGEND, thousands

LINES = {"deterministic": {"color": style.COLOURS["blue"]}, "stochastic": {"color": style.COLOURS["vermillion"]}}
# of what others noted: as a log calls it, how it is named and drawn
NOTED = {
    "noted return": ("noted elsewhere", {"marker": "x", "markersize": 3.5}),
    "monitored return": ("noted in training", {"marker": "+", "markersize": 4.5}),
}
ELSEWHERE = {"color": style.COLOURS["black"], "linewidth": 0}
TWINS = {"color": style.GREY, "linestyle": (0, (4, 2)), "linewidth": 1}


def returns(returns: kinds.behaviour.GAME_RETURNS, log: kinds.common.LOG, *, run: str) -> Figure:
    """Mean return of each snapshot in each mode with its 95 % interval over games; x, +: what others noted."""
    frame = returns.where(run=run).frame()
    agent, twins = frame[frame["twin"] == -1], frame[frame["twin"] != -1]
    logged = log.where(run=run).frame()
    figure, axes = style.subplots(1, 1, style.SINGLE, 2.6)
    ax, handles, labels = axes[0, 0], [], []
    for mode, line in LINES.items():
        part = agent[agent["mode"] == mode].groupby("update")["return"].agg(["mean", "sem"]).fillna(0.0)
        if part.empty:
            continue
        ax.plot(part.index, part["mean"], marker="o", markersize=2.5, **line)
        low, high = part["mean"] - 1.96 * part["sem"], part["mean"] + 1.96 * part["sem"]
        ax.fill_between(part.index, low, high, alpha=0.15, linewidth=0, **line)
        handles, labels = [*handles, Line2D([], [], **line)], [*labels, mode]
    for mode in twins["mode"].unique():
        mean = twins[twins["mode"] == mode]["return"].mean()
        ax.axhline(mean, **{**TWINS, "color": LINES[mode]["color"]})
    if len(twins):
        handles, labels = [*handles, Line2D([], [], **TWINS)], [*labels, "untrained"]
    for quantity, (label, marker) in NOTED.items():
        noted = logged[logged["quantity"] == quantity]
        if len(noted):
            look = {**ELSEWHERE, **marker}
            ax.plot(noted["update"], noted["value"], **look)
            handles, labels = [*handles, Line2D([], [], **look)], [*labels, label]
    ax.set(xlabel="number in the file's name", ylabel="return", title=run)
    ax.xaxis.set_major_formatter(FuncFormatter(thousands))
    figure.legend(handles, labels, ncols=2, **LEGEND)
    style.note(figure, f"{frame['episode'].nunique()} games each; bands: 95 % interval over games")
    return figure


def units(units: kinds.behaviour.UNITS, *, run: str) -> Figure:
    """Dead and dormant units and ranks of each layer along training; grey: the untrained twins' middle 95 %."""
    frame = units.where(run=run).frame()
    layers = list(dict.fromkeys(frame["layer"]))
    quantities = ("dead", "dormant", "effective rank", "stable rank")
    figure, axes = style.subplots(len(layers), 4, style.DOUBLE, 1.3 * len(layers) + 0.6, sharex=True)
    for row, layer in zip(axes, layers, strict=True):
        for ax, quantity in zip(row, quantities, strict=True):
            part = frame[(frame["layer"] == layer) & (frame["quantity"] == quantity)]
            agent, twins = part[part["twin"] == -1].groupby("update")["value"].mean(), part[part["twin"] != -1]["value"]
            if len(twins):
                ax.axhspan(*np.quantile(twins, [0.025, 0.975]), color=style.GREY, alpha=0.25, linewidth=0.5)
            ax.plot(agent.index, agent, marker="o", markersize=2.5, color=style.COLOURS["blue"])
            ax.xaxis.set_major_formatter(FuncFormatter(thousands))
            if quantity in ("dead", "dormant"):  # shares
                ax.set_ylim(-0.02, 1.02)
        row[0].set_ylabel(layer)
    for ax, quantity in zip(axes[0], quantities, strict=True):
        ax.set_title(quantity)
    count = frame.loc[frame["twin"] != -1, "twin"].nunique()
    style.note(figure, f"x: number in the file's name. Grey: the middle 95 % of {count} untrained twins")
    return figure
