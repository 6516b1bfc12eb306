"""What lenses found in an agent, each number beside those of its untrained twins."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from agentomy import kinds
from agentomy.drawing import style
from agentomy.drawing.tables import LEGEND

OWN = {"color": style.COLOURS["blue"], "marker": "o", "markersize": 4, "linewidth": 0, "clip_on": False}
CONTROL = {"color": style.COLOURS["vermillion"], "marker": "x", "markersize": 4.5, "linewidth": 0, "clip_on": False}
TWINS = {"facecolor": "#D0D0D0", "edgecolor": style.GREY, "linewidth": 0.5}
CHANCE = {"color": style.COLOURS["black"], "linestyle": (0, (1, 2)), "linewidth": 0.9}
# (quantity, method) → title, with what it is of
GROUPED = {
    ("gap", "single linkage"): "largest gap between merges",
    ("ari", "single linkage"): "adjusted Rand index\nwith {}",
    ("ari", "best cut"): "the same with {}\nat the best cut",
    ("auc", "none"): "AUC of the feature\nthat tells {} best",
}
LEAST = {"gap": 0, "ari": 0, "auc": 0.5}
MIDDLE = (0.025, 0.975)
LOWEST = -0.5  # a share that is explained has no lower end
PANELS = 3  # side by side
NAMED, SMALL = 12, 2.5  # entries of which each has a tick; points where there are more


def probes(probed: kinds.inside.PROBED, *, run: str) -> Figure:
    """What a linear probe reads from each layer and from the observation itself, one panel a label."""
    frame = probed.where(run=run).frame()
    frame["score"] = frame["score"].clip(lower=LOWEST)
    labels, layers = ([*dict.fromkeys(frame[column])] for column in ("label", "layer"))
    columns = min(PANELS, len(labels))
    rows = -(-len(labels) // columns)
    width = style.SINGLE if columns == 1 else style.DOUBLE
    figure, axes = style.subplots(rows, columns, width, 0.3 * rows * len(layers) + 0.75 * rows + 0.7, sharey=True)
    for ax, label in zip(axes.flat, labels, strict=False):
        part = frame[frame["label"] == label]
        for sort, look in (("true", OWN), ("shuffled", CONTROL)):
            scores = part[(part["twin"] == -1) & (part["labels"] == sort)]
            ax.plot(scores["score"], _places(scores["layer"], layers), **look)
        _bars(ax, part[part["twin"] != -1].groupby("layer")["score"], layers)
        ax.axvline(part["chance"].mean(), **CHANCE)
        measure = {"accuracy": "accuracy", "explained": "explained variance"}[part["measure"].iloc[0]]
        ax.set(title=label, xlabel=measure, xlim=(min(0, part["score"].min()) - 0.04, 1.04))
        _name(ax, layers)
    for ax in axes.flat[len(labels) :]:
        ax.set_axis_off()
    marks = {"this agent": Line2D([], [], **OWN), "shuffled labels": Line2D([], [], **CONTROL)}
    _legend(figure, frame, {**marks, "chance": Line2D([], [], **CHANCE)})
    low = f"; scores below {LOWEST:g} are drawn there" if (frame["score"] == LOWEST).any() else ""
    style.note(figure, _said(frame, f"Games that were held out{low}"))
    return figure


def saliency(salient: kinds.inside.SALIENT, *, run: str) -> Figure:
    """What each output depends on: shares of the entries of a vector, or maps of a picture."""
    table = salient.where(run=run)
    frame = table.frame()
    values = [*table.array("values")]
    if (frame["rows"] == 1).all():
        return _entries(frame, values)
    return _maps(frame, values)


def _entries(frame: pd.DataFrame, values: list[np.ndarray]) -> Figure:
    """One panel an output: the share of each entry."""
    outputs = [*dict.fromkeys(frame["output"])]
    figure, axes = style.subplots(1, len(outputs), style.DOUBLE if len(outputs) > 1 else style.SINGLE, 2.4, sharey=True)
    for ax, output in zip(axes[0], outputs, strict=True):
        agents, twins = _shares_of(frame, values, output)
        entries = np.arange(agents.shape[1])
        if len(twins):
            low, high = np.quantile(twins, MIDDLE, axis=0)
            ax.bar(entries, high - low, bottom=low, width=0.4, **TWINS)
        size = OWN["markersize"] if len(entries) <= NAMED else SMALL
        for seed in agents:
            ax.plot(entries, seed, **{**OWN, "markersize": size})
        ax.set(title=output, xlabel="entry of the observation")
        if len(entries) <= NAMED:
            ax.set_xticks(entries)
    axes[0, 0].set(ylabel="share of saliency", ylim=(0, None))
    _legend(figure, frame, {"this agent": Line2D([], [], **OWN)})
    style.note(figure, _said(frame, "Gradient · the entry's spread, as a share"))
    return figure


def _maps(frame: pd.DataFrame, values: list[np.ndarray]) -> Figure:
    """One row an output: the agent's map beside the mean of its twins', in the same colours."""
    outputs, (height, width) = [*dict.fromkeys(frame["output"])], frame.loc[0, ["rows", "columns"]]
    across = 1 if (frame["twin"] == -1).all() else 2
    figure, axes = style.subplots(len(outputs), across, 2.1 * across + 0.8, 2.0 * len(outputs) + 0.5)
    titles = "this agent", f"mean of {frame.loc[frame['twin'] != -1, 'twin'].nunique()} untrained twins"
    for row, output in zip(axes, outputs, strict=True):
        maps = [saliency.mean(axis=0).reshape(height, width) for saliency in _shares_of(frame, values, output)[:across]]
        top = max(saliency.max() for saliency in maps)
        for ax, saliency, title in zip(row, maps, titles, strict=False):
            drawn = ax.imshow(saliency, cmap="magma", vmin=0, vmax=top)
            ax.set(xticks=[], yticks=[], title=title)
        row[0].set_ylabel(output)
        figure.colorbar(drawn, ax=[*row], label="share of saliency", shrink=0.85, format="%.2g")
    style.note(figure, "Size of the gradient, summed over channels, as a share; mean over observations")
    return figure


def _shares_of(frame: pd.DataFrame, values: list[np.ndarray], output: str) -> tuple[np.ndarray, np.ndarray]:
    """Shares [seeds, entries] of an output, and those [twins of all seeds, entries] of twins."""
    chosen = frame["output"] == output
    return tuple(
        np.array([values[place] for place in np.flatnonzero(chosen & among)])
        for among in (frame["twin"] == -1, frame["twin"] != -1)
    )


def edits(effects: kinds.inside.ACTIVATION_EDITS, *, run: str) -> Figure:
    """What edits of each layer do to the actions: on the left whole layers, on the right one unit after the other."""
    frame = effects.where(run=run).frame()
    frame["what"] = (frame["edit"] + " " + frame["label"]).str.strip()
    layers = [*dict.fromkeys(frame["layer"])]
    whole, clamped = frame[frame["edit"] != "clamped"], frame[frame["edit"] == "clamped"]
    whats = [*dict.fromkeys(whole["what"])]
    height = max(1.2, 0.22 * len(whats) + 0.6)
    figure, axes = style.subplots(len(layers), 2, style.DOUBLE, height * len(layers) + 0.9, sharex="col")
    for (left, right), layer in zip(axes, layers, strict=True):
        part = whole[whole["layer"] == layer]
        agent = part[part["twin"] == -1]
        left.plot(agent["effect"], _places(agent["what"], whats), **OWN)
        left.plot(agent["random"], _places(agent["what"], whats), **CONTROL)
        _bars(left, part[part["twin"] != -1].groupby("what")["effect"], whats)
        _name(left, whats)
        left.set(title=layer, xlim=(0, None))
        _sorted(right, clamped[clamped["layer"] == layer])
        right.set(title=f"{layer}, one unit held at its mean", ylim=(0, None))
    measure = frame["measure"].iloc[0]
    axes[-1, 0].set_xlabel(measure)
    axes[-1, 1].set_xlabel("units, those of the largest effect first")
    for ax in axes[:, 1]:
        ax.set_ylabel(measure)
    _legend(figure, frame, {"this agent": Line2D([], [], **OWN), "random, as long": Line2D([], [], **CONTROL)})
    style.note(figure, _said(frame, "Left: a label's direction added; resampled: all units as in another observation"))
    return figure


def _sorted(ax: Axes, clamped: pd.DataFrame) -> None:
    """The effects of a layer's units, the largest first; grey: of each place among the twins."""
    effects = {agent: np.sort(part["effect"])[::-1] for agent, part in clamped.groupby(["seed", "twin"], sort=False)}
    twins = [sizes for (_, twin), sizes in effects.items() if twin != -1]
    if twins:
        ax.fill_between(np.arange(1, 1 + len(twins[0])), *np.quantile(twins, MIDDLE, axis=0), **TWINS)
    for (_, twin), sizes in effects.items():
        if twin == -1:
            ax.plot(np.arange(1, 1 + len(sizes)), sizes, **{**OWN, "markersize": SMALL, "linewidth": 0.8})


def groups(grouped: kinds.inside.GROUPED, *, run: str) -> Figure:
    """How far groups of places stand apart, what they agree with, and which features tell labels, by layer."""
    frame = grouped.where(run=run).frame()
    frame = frame[frame["value"].notna()]
    layers = [*dict.fromkeys(frame["layer"])]
    panels = {
        (quantity, method, of): title.format(of)
        for (quantity, method), title in GROUPED.items()
        for of in dict.fromkeys(frame.loc[(frame["quantity"] == quantity) & (frame["method"] == method), "of"])
    }
    rows = -(-len(panels) // PANELS)
    figure, axes = style.subplots(rows, PANELS, style.DOUBLE, rows * (0.24 * len(layers) + 0.9) + 0.7, sharey=True)
    for ax, ((quantity, method, of), title) in zip(axes.flat, panels.items(), strict=False):
        part = frame[(frame["quantity"] == quantity) & (frame["of"] == of)]
        for shown_method, look in ((method, OWN), ("shuffled", CONTROL)):
            agreements = part[(part["twin"] == -1) & (part["method"] == shown_method)]
            if shown_method == method or method == "single linkage":
                ax.plot(agreements["value"], _places(agreements["layer"], layers), **look)
        _bars(ax, part[(part["twin"] != -1) & (part["method"] == method)].groupby("layer")["value"], layers)
        if quantity == "ari":
            ax.axvline(0, **CHANCE)
        ax.set(title=title, xlim=(min(LEAST[quantity], part["value"].min()) - 0.04, 1.04))
        _name(ax, layers)
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    marks = {"this agent": Line2D([], [], **OWN), "features shuffled": Line2D([], [], **CONTROL)}
    _legend(figure, frame, {**marks, "chance": Line2D([], [], **CHANCE)})
    style.note(figure, _said(frame, "Means over observations; groups of places by single linkage"))
    return figure


# ---- what all share -------------------------------------------------------------------------------------------


def _places(names: Sequence[str], order: list[str]) -> list[int]:
    return [order.index(name) for name in names]


def _name(ax: Axes, order: list[str]) -> None:
    """Names down the y axis, the first on top."""
    ax.set_yticks(range(len(order)), order)
    ax.set_ylim(len(order) - 0.5, -0.5)


def _bars(ax: Axes, twins, order: list[str]) -> None:
    """The twins' middle 95 % of each name."""
    for name, values in twins:
        low, high = np.quantile(values, MIDDLE)
        ax.barh(order.index(name), high - low, left=low, height=0.5, **TWINS)


def _legend(figure: Figure, frame: pd.DataFrame, marks: dict) -> None:
    if (frame["twin"] != -1).any():
        marks = {**marks, "untrained twins": Patch(**TWINS)}
    figure.legend([*marks.values()], [*marks], ncols=2 if figure.get_figwidth() < style.DOUBLE else 4, **LEGEND)


def _said(frame: pd.DataFrame, what: str) -> str:
    """What the numbers are, of how many seeds, and what grey means."""
    seeds, twins = frame["seed"].nunique(), frame.loc[frame["twin"] != -1, "twin"].nunique()
    several = f"{style.seeds(seeds)}; " if seeds > 1 else ""
    grey = f". Grey: the middle 95 % of {twins} untrained twins" if twins else ""
    return f"{several}{what}{grey}"
