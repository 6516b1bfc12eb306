"""How policies move in parameter space, beside random walks and shuffled paths (F1–F5, F8)."""

from typing import Literal

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from agentomy import kinds
from agentomy.drawing import style
from agentomy.drawing.tables import LEGEND, non_empty, number, seeds_text, thousands
from agentomy.selection import select
from agentomy.tables import Table
from agentomy.values import Count, Natural

# each sort of path looks the same in every figure
PATHS = {
    "real": {"color": style.COLOURS["blue"], "linestyle": "-", "zorder": 3},
    "walk": {"color": style.COLOURS["orange"], "linestyle": (0, (4, 1.5)), "zorder": 2},
    "shuffled": {"color": style.COLOURS["green"], "linestyle": (0, (1, 1.2)), "zorder": 2},
}
NAMES = {"real": "real path", "walk": "random walk", "shuffled": "shuffled steps"}
MARKERS = {"real": "o", "walk": "s", "shuffled": "^"}
LEADING = (1, 2, 3, 4)  # the directions beside curves and shares …
SEED = 0  # … and the seed whose courses they are
WHOLE = {"variant": "delta", "layer": "all", "period": "whole"}
# thirds of learning, from early (pale) to late (dark)
PERIODS = {"first": "#C9A6E4", "second": "#8B4DB8", "third": "#3D0A5C"}


def path_legend(figure: Figure, paths: list[str], more: tuple[list, list] = ((), ())) -> None:
    handles = [Line2D([], [], **PATHS[path]) for path in paths]
    labels = [NAMES[path] for path in paths]
    handles, labels = [*more[0], *handles], [*more[1], *labels]
    figure.legend(handles, labels, ncols=min(len(labels), 6), **LEGEND)


def snapshots(courses: Table) -> str:
    """How many snapshots the paths have and how many updates lie between two; by run where runs differ."""
    rows = courses.arrow(["run", "updates"])
    spacings: dict[str, list[str]] = {}
    for run, updates in zip(rows["run"].to_pylist(), rows["updates"].to_numpy(zero_copy_only=False), strict=True):
        apart = number(np.diff(updates).mean()) if len(updates) > 1 else "–"
        spacings.setdefault(f"{len(updates)} snapshots, {apart} updates apart", []).append(run)
    if len(spacings) == 1:
        return next(iter(spacings))
    return "; ".join(f"{', '.join(dict.fromkeys(runs))}: {text}" for text, runs in spacings.items())


def _present(table: Table) -> list[str]:
    present = set(table.values("path"))
    return [path for path in PATHS if path in present]


def _layers(table: Table) -> list[str]:
    """The layers in the network's order, the whole network last."""
    layers = list(dict.fromkeys(table.values("layer").tolist()))
    return sorted(layers, key=lambda layer: layer == "all")


# ---- change and detour of single parameters -------------------------------------------------------------------------


def change_and_detour(change: kinds.paths.CHANGE, *, runs: list[str]) -> Figure:
    """F1, F5: how far the parameters of each layer moved, and on what detours, one row a run."""
    figure, axes = style.subplots(len(non_empty(runs, "runs")), 2, style.DOUBLE, 1.75 * len(runs) + 0.6)
    paths = []
    for row, run in zip(axes, runs, strict=True):
        for ax, quantity in zip(row, ("accumulated", "detour"), strict=True):
            rows = select(change, run=run, period="whole", parameters="all", quantity=quantity)
            layers = _cdfs(ax, rows)
            paths += _present(rows.where(path=["real", "walk"]))
        row[0].set(title=run, ylabel="share of parameters", xlabel="accumulated change")
        row[1].set(xlabel="detour ratio")
        lines = [Line2D([], [], color=colour) for colour in layers.values()]
        row[1].legend(lines, list(layers), loc="lower right", title="layer", title_fontsize=7)
    shown = [path for path in PATHS if path in paths]
    handles = [Line2D([], [], color="k", linestyle=PATHS[path]["linestyle"]) for path in shown]
    figure.legend(handles, [NAMES[path] for path in shown], ncols=len(shown), **LEGEND)
    style.letters(axes.ravel())
    count = seeds_text(change.where(run=runs, path="real"))
    style.note(figure, f"{count}: thin lines; thick and dashed: geometric mean over seeds. Cumulative distributions.")
    return figure


def layer_colours(layers: list[str]) -> dict[str, tuple]:
    """Ordered colours, dark to light, for a network's layers."""
    return {layer: colormaps["magma"](place) for layer, place in zip(layers, _spread(len(layers)), strict=True)}


def _spread(count: int) -> np.ndarray:
    return np.linspace(0.15, 0.78, count) if count > 1 else np.array([0.45])


def _cdfs(ax: Axes, rows: Table) -> dict[str, tuple]:
    """Cumulative distributions of one quantity over the parameters of each layer; returns the layers' colours."""
    frame = select(rows, path="real").frame()
    layers = [layer for layer in _layers(rows) if layer in set(frame["layer"]) - {"all"}] or ["all"]
    colours = layer_colours(layers)
    null = rows.where(path="walk").frame()
    for layer, colour in colours.items():
        seeds = frame[frame["layer"] == layer].pivot_table(index="quantile", columns="seed", values="value")
        ax.plot(seeds.to_numpy(), seeds.index, color=colour, linewidth=0.5, alpha=0.55)
        ax.plot(_geometric(seeds), seeds.index, color=colour, linewidth=1.6)
        walks = null[null["layer"] == layer].pivot_table(index="quantile", columns="seed", values="value")
        if len(walks):
            ax.plot(_geometric(walks), walks.index, color=colour, linewidth=1, linestyle=PATHS["walk"]["linestyle"])
    middle = pd.concat([frame, null])
    middle = middle[(middle["layer"].isin(layers)) & (middle["value"] > 0)]
    middle = middle.loc[middle["quantile"].between(0.02, 0.95), "value"]
    ax.set_ylim(0, 1.02)
    if len(middle) and middle.min() < middle.max():
        ax.set(xscale="log")
        ax.set_xlim(middle.min() / 1.2, middle.max() * 1.2)
    return colours


def _geometric(seeds: pd.DataFrame) -> np.ndarray:
    """Mean over seeds on the logarithmic axis, at each quantile; zero where a seed is at zero."""
    with np.errstate(divide="ignore"):
        return np.exp(np.log(seeds.to_numpy()).mean(axis=1))


# ---- how many directions --------------------------------------------------------------------------------------------


def dimensionality(dimensions: kinds.paths.DIMENSIONS, *, run: str, variant: Literal["raw", "delta"]) -> Figure:
    """F2a: how many directions hold a share β of a path's singular values, by layer: whole path, and its thirds."""
    rows = select(dimensions, run=run, variant=variant)
    real, thirds = (select(rows, path="real", period=period) for period in ("whole", list(PERIODS)))
    nulls = [path for path in _present(rows) if path != "real"]
    layers = _layers(real)
    columns = min(len(layers), 4)
    lines = -(-len(layers) // columns)
    width = style.SINGLE if columns == 1 else style.DOUBLE
    figure, axes = style.subplots(2 * lines, columns, width, 3.6 * lines + 0.8, sharex=True, sharey="row")
    wholes, parts = axes[0::2].ravel(), axes[1::2].ravel()
    for whole, part, layer in zip(wholes, parts, layers, strict=False):
        for path in ["real", *nulls]:
            here = rows.where(path=path, layer=layer).frame()
            _band(whole, here[here["period"] == "whole"], **PATHS[path])
            if path != "real":
                _band(part, here[here["period"].isin(PERIODS)], **PATHS[path])
        here = thirds.where(layer=layer).frame()
        for period, colour in PERIODS.items():
            _band(part, here[here["period"] == period], color=colour, zorder=3)
        whole.set_title("whole network" if layer == "all" else layer)
        part.set_xlabel("share β")
        for ax in (whole, part):
            ax.set_ylim(0, None)
            ax.grid(axis="y", linewidth=0.3)
    for ax in (*wholes[len(layers) :], *parts[len(layers) :]):
        ax.set_axis_off()
    for whole, part in axes[:, 0].reshape(lines, 2):
        whole.set_ylabel("directions needed,\nwhole path")
        part.set_ylabel("directions needed,\na third of the path")
    handles = [Line2D([], [], **PATHS[path]) for path in ("real", *nulls)]
    handles += [Line2D([], [], color=colour) for colour in PERIODS.values()]
    labels = [
        *(NAMES[path] for path in ("real", *nulls)),
        *(f"real, {third} third" for third in ("first", "second", "last")),
    ]
    figure.legend(handles, labels, ncols=6, **LEGEND)
    shown = [*wholes[: len(layers)], *parts[: len(layers)]]
    style.letters(ax for ax in axes.ravel() if ax in shown)
    means = "; nulls of thirds: mean of the three" if nulls else ""
    style.note(
        figure, f"run {run}, {variant} path; lines: mean over seeds, bands: their range, {seeds_text(real)}{means}"
    )
    return figure


def _band(ax: Axes, frame: pd.DataFrame, **line) -> None:
    """D(β): the mean over seeds (of their mean over periods) and the seeds' range."""
    if frame.empty:
        return
    over = frame.groupby(["seed", "beta"])["dimensions"].mean().groupby("beta").agg(["mean", "min", "max"])
    ax.plot(over.index, over["mean"], **line)
    ax.fill_between(over.index, over["min"], over["max"], color=line["color"], alpha=0.3, linewidth=0)


# ---- time courses ---------------------------------------------------------------------------------------------------


def time_courses(
    courses: kinds.paths.COURSES,
    *,
    run: str,
    variant: Literal["raw", "delta"],
    directions: list[Count],
    seed: Natural = 0,
    network: str = "whole network",  # how a reader knows that of which the path is
) -> Figure:
    """F2b: the policy's way along single directions of its path, major (1, 2, …) and minor ones."""
    rows = select(courses, run=run, variant=variant, seed=seed, layer="all", period="whole")
    columns = min(len(non_empty(directions, "directions")), 4)
    lines = -(-len(directions) // columns)
    figure, axes = style.subplots(lines, columns, style.DOUBLE, 1.55 * lines + 0.6, sharex=True)
    for ax, direction in zip(axes.ravel(), directions, strict=False):
        real = draw_course(ax, rows, direction)
        text = f"detour {number(real['detour'].item())}, change {real['change'].item():.2f}"
        ax.set_title(f"k = {direction}\n", pad=2)
        ax.text(0.5, 1.03, text, transform=ax.transAxes, ha="center", va="bottom", fontsize=6.5)
    for ax in axes.ravel()[len(directions) :]:
        ax.set_axis_off()
    for ax in axes[-1]:
        ax.set_xlabel("training update")
    for ax in axes[:, 0]:
        ax.set_ylabel("coordinate, U[:, k]")
    path_legend(figure, _present(rows))
    style.letters(axes.ravel()[: len(directions)])
    for ax in axes.ravel():
        ax.set_title(f"{ax.get_title('left')}\n", loc="left", pad=2, fontweight="bold")
    text = f"run {run}, {network}, {variant} path, seed {seed}; {snapshots(rows)}"
    style.note(figure, f"{text}\ndetour ratio and change: of the real path")
    return figure


def draw_course(ax: Axes, rows: Table, direction: int) -> pd.DataFrame:
    """U[:, k] of the real path, and beneath it those of its nulls; returns the numbers of the real one."""
    real = select(rows, path="real", direction=direction)
    for path in [*PATHS][::-1]:
        row = rows.where(path=path, direction=direction)
        if len(row):
            width = 1.3 if path == "real" else 0.9
            updates, course = row.array("updates")[0], row.array("course")[0]
            ax.plot(updates, course, **PATHS[path], linewidth=width)
    ax.axhline(0, color=style.GREY, linewidth=0.4, zorder=1)
    ax.locator_params(axis="x", nbins=3)
    ax.locator_params(axis="y", nbins=4)
    ax.xaxis.set_major_formatter(thousands)
    return real.frame()


def optimisers(change: kinds.paths.CHANGE, courses: kinds.paths.COURSES, *, runs: list[str]) -> Figure:
    """F4: accumulated change, singular values and time courses under several optimisers, one row each."""
    widths = [1.5, 1.5, *(1 for _ in LEADING)]
    height = 1.6 * len(non_empty(runs, "runs")) + 0.7
    figure, axes = style.subplots(len(runs), len(widths), style.DOUBLE, height, width_ratios=widths)
    paths = set()
    for (change_panel, share_panel, *course_panels), run in zip(axes, runs, strict=True):
        accumulated = {"period": "whole", "parameters": "all", "quantity": "accumulated"}
        colours = _cdfs(change_panel, select(change, run=run, **accumulated))
        change_panel.set(ylabel=f"{run}\nshare of parameters", ylim=(0, 1.02))
        lines = [Line2D([], [], color=colour) for colour in colours.values()]
        place = {"loc": "upper left", "fontsize": 6, "handlelength": 1, "borderpad": 0.1, "labelspacing": 0.2}
        change_panel.legend(lines, list(colours), **place)
        rows = select(courses, run=run, **WHOLE)
        paths |= set(_present(rows))
        for path in _present(rows):
            over = rows.where(path=path).frame().groupby("direction")["share"].agg(["mean", "min", "max"])
            share_panel.plot(over.index, over["mean"], **PATHS[path], marker=".", markersize=2.5)
            share_panel.fill_between(over.index, over["min"], over["max"], color=PATHS[path]["color"], alpha=0.15)
        share_panel.set(xscale="log", yscale="log", ylabel="share of Σ s")
        for ax, direction in zip(course_panels, LEADING, strict=True):
            draw_course(ax, select(rows, seed=SEED), direction)
            ax.set_yticks([0])  # how high a course is depends on how many snapshots there are
            ax.tick_params(axis="y", labelleft=direction == LEADING[0])
            ax.set_title(f"U[:, {direction}]" if run == runs[0] else "")
    for ax, label in zip(axes[-1], ["accumulated change", "direction k", *("update" for _ in LEADING)], strict=True):
        ax.set_xlabel(label)
    path_legend(figure, [path for path in PATHS if path in paths])
    style.letters(axes.ravel())
    drawn = courses.where(run=runs, path="real", **WHOLE)
    text = f"{seeds_text(drawn)} (courses: seed {SEED}); {WHOLE['variant']} path of the whole network"
    style.note(
        figure, f"{text}; {snapshots(drawn)}\nlines of change: geometric mean, of shares: mean and range over seeds"
    )
    return figure


# ---- nulls ----------------------------------------------------------------------------------------------------------


def null(
    courses: kinds.paths.COURSES,
    *,
    runs: list[str],
    variant: Literal["raw", "delta"] = "delta",
    network: str = "whole network",  # how a reader knows that of which the paths are
) -> Figure:
    """F8: what a random walk and shuffled steps have in common with a real path, and where it differs.

    The thin line is a long random walk's known answer on the delta path: energy 8 / (π (2k-1))², detour 2k-1 and k
    crossings.
    """
    figure, axes = style.subplots(len(non_empty(runs, "runs")), 3, style.DOUBLE, 1.75 * len(runs) + 0.7, sharex=True)
    k = np.arange(1, 9)
    panels = {
        "energy": ("energy share", 8 / (np.pi * (2 * k - 1)) ** 2),
        "detour": ("detour ratio of U[:, k]", 2 * k - 1),
        "crossings": ("mean crossings of U[:, k]", k),
    }
    for row, run in zip(axes, runs, strict=True):
        rows = select(courses, run=run, variant=variant, layer="all", period="whole")
        rows = rows.where(direction=k.tolist())  # a path of few snapshots has fewer
        for path in PATHS:
            frame = select(rows, path=path).frame()
            for ax, quantity in zip(row, panels, strict=True):
                over = frame.groupby("direction")[quantity].agg(["median", "min", "max"])
                spread = np.stack([over["median"] - over["min"], over["max"] - over["median"]]).clip(min=0)
                place = over.index + 0.16 * (list(PATHS).index(path) - 1)
                look = {"color": PATHS[path]["color"], "marker": MARKERS[path], "markersize": 3, "linestyle": ""}
                ax.errorbar(place, over["median"], spread, elinewidth=0.8, **look)
        for ax, (label, answer) in zip(row, panels.values(), strict=True):
            if variant == "delta":
                ax.plot(k, answer, color="k", linewidth=0.6, zorder=1)
            ax.set(ylabel=label, xticks=k)
        row[2].yaxis.set_major_locator(MaxNLocator(5, integer=True))
        row[0].set(yscale="log")
        row[1].set(yscale="log", title=run)
    for ax in axes[-1]:
        ax.set_xlabel("direction k")
    handles = [
        Line2D([], [], color=PATHS[path]["color"], marker=MARKERS[path], linestyle="", markersize=4) for path in PATHS
    ]
    known = [Line2D([], [], color="k", linewidth=0.6)] if variant == "delta" else []
    labels = [*NAMES.values(), *("long random walk, exact" for _ in known)]
    figure.legend([*handles, *known], labels, ncols=4, **LEGEND)
    style.letters(axes.ravel())
    drawn = courses.where(run=runs, variant=variant, layer="all", period="whole", path="real")
    style.note(
        figure, f"median and range over seeds, {seeds_text(drawn)}; {variant} path, {network}\n{snapshots(drawn)}"
    )
    return figure
