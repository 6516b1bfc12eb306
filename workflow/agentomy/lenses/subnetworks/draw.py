"""Subnetworks of toy models: what is in them, how they were learned, how clean they are (L3D, figures 1 to 9)."""

import json
from itertools import count as numbers

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

from agentomy import kinds
from agentomy.drawing import style
from agentomy.drawing.tables import LEGEND, non_empty, seeds_text
from agentomy.lenses.subnetworks.measure import LIVE
from agentomy.selection import select
from agentomy.tables import Table
from agentomy.values import Count, Natural

SIGNS = {"positive": style.COLOURS["blue"], "negative": style.COLOURS["vermillion"]}
LEARNED, RANDOM = style.COLOURS["blue"], "#9A9A9A"
# columns of QUALITY and CLEANNESS: title, and ticks of the common scale (none: up to the largest)
QUANTITIES = {
    "loss": ("loss", (0, 0.5, 1)),
    "coverage": ("coverage", (0, 0.5, 1)),
    "cosine": ("mean |cos|", (0, 0.5, 1)),
    "selectivity": ("selectivity", (0, 0.5, 1)),
    "live": ("live\nsubnetworks", ()),
    "dead": ("dead\nsubnetworks", ()),
}
HOLLOW = {"markerfacecolor": "w", "markeredgewidth": 0.8}
UNLEARNED = "hollow: the model has not learned its task"
Tensors = dict[str, np.ndarray]


def ordered(matched: Table, run: str, seed: int) -> pd.DataFrame:
    """The learned subnetworks of a network, in the order of their features, the busiest of a feature first."""
    frame = select(matched, run=run, seed=seed, condition="learned").frame()
    return frame.sort_values(["block", "active"], ascending=[True, False], kind="stable", ignore_index=True)


def colours(count: int) -> list:
    """A colour for each of `count` features or subnetworks. They have no order, so that their colours have none."""
    if count <= len(style.CATEGORIES):
        return style.CATEGORIES[:count]
    return [colormaps["tab20"](number % 20) for number in range(count)]


def dot(category: int) -> dict:
    """A small mark whose shape, too, tells one category from its neighbours."""
    return {"linestyle": "", "marker": "os^D"[category % 4], "markersize": 2.8, "markeredgewidth": 0, "alpha": 0.9}


def seeds_of(table: Table, run: str) -> list[int]:
    return sorted(set(select(table, run=run).values("seed").tolist()))


def unlearned(matched: Table, run: str, seed: int | None = None) -> str:
    """A line that names the seeds (or this one) whose model has not learned its task; empty if all have."""
    rows = select(matched, run=run).where(learned=False)
    seeds = sorted(set((rows if seed is None else rows.where(seed=seed)).values("seed").tolist()))
    if not seeds:
        return ""
    return f"\nthe model of seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))} has not learned its task"


def panels(count: int, across: int, height: float, **options) -> tuple[Figure, np.ndarray]:
    """A figure of `count` panels [count] of this height (in inches), in lines of at most `across`."""
    lines = -(-count // across)
    across = -(-count // lines)  # lines as even as possible
    # the note below needs the full width, even below a single panel
    figure, axes = style.subplots(lines, across, style.DOUBLE, height * lines + 0.6, **options)
    for ax in axes.ravel()[count:]:
        ax.set_axis_off()
    for ax in axes.ravel()[max(count - across, 0) : count]:  # the lowest panel of each column
        ax.tick_params(labelbottom=True)
    return figure, axes.ravel()[:count]


def name_left(axes: np.ndarray, text: str) -> None:
    """Label the y axis of the first panel of every line."""
    for ax in axes:
        if ax.get_subplotspec().is_first_col():
            ax.set_ylabel(text)


# ---- F-net ----------------------------------------------------------------------------------------------------------


def nets(
    subnetworks: kinds.subnetworks.SUBNETWORKS,
    matched: kinds.subnetworks.MATCHED,
    *,
    run: str,
    seed: Natural,
    columns: Count = 5,
    named: str = "feature",  # what a subnetwork is for: feature, or block
) -> Figure:
    """F-net: the network and each of its subnetworks as nodes and lines."""
    tensors = tensors_of(select(subnetworks, run=run, seed=seed, condition="learned"))
    order = ordered(matched, run, seed)
    network = layers_of(tensors[-1])
    widest = max(weight.shape[axis] for weight, _ in network for axis in (0, 1))
    figure, axes = panels(1 + len(order), columns, 1.45 if widest <= 10 else 2.2)
    draw_net(axes[0], network)
    axes[0].set_title("the network")
    for ax, row in zip(axes[1:], order.itertuples(), strict=True):
        draw_net(ax, layers_of(signed(tensors[row.subnetwork])))
        use = f"{named} {row.block}, " if row.live else "dead, "
        ax.set_title(f"subnetwork {row.subnetwork}")
        ax.set_xlabel(f"{use}P_act {row.active:.2f}", fontsize=7, labelpad=1, color="k" if row.live else style.GREY)
    handles = [Line2D([], [], color=colour, linewidth=1.8) for colour in SIGNS.values()]
    handles += [
        Line2D([], [], linestyle="", marker="o", color=colour, markeredgecolor="k", markeredgewidth=0.4, markersize=5)
        for colour in SIGNS.values()
    ]
    figure.legend(handles, [f"{sign} {part}" for part in ("weight", "bias") for sign in SIGNS], ncols=4, **LEGEND)
    text = f"run {run}, seed {seed}; columns of nodes: layers, inputs on the left, numbered from the top"
    style.note(
        figure,
        f"{text}\nwidth and opacity: size relative to the panel's largest entry, biases too; "
        "a subnetwork's sign is arbitrary: its largest entry is positive" + unlearned(matched, run, seed),
    )
    return figure


def tensors_of(rows: Table) -> dict[int, Tensors]:
    """The tensors of one network's subnetworks, by number; those of the network itself have number -1."""
    tensors: dict[int, Tensors] = {}
    for row in rows.arrow(["subnetwork", "tensor", "shape", "weights"]).to_pylist():
        entries = np.reshape(row["weights"], json.loads(row["shape"]))
        tensors.setdefault(row["subnetwork"], {})[row["tensor"]] = entries
    return tensors


def signed(tensors: Tensors) -> Tensors:
    """v or -v, which are the same subnetwork: the one whose largest entry is positive."""
    flat = np.concatenate([entries.ravel() for entries in tensors.values()])
    sign = -1 if flat[np.abs(flat).argmax()] < 0 else 1
    return {name: sign * entries for name, entries in tensors.items()}


def layers_of(tensors: Tensors) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights [from, to] and biases [to] of each layer of a bottleneck or of a multilayer perceptron."""
    if "encoder" in tensors:
        hidden = tensors["encoder"].shape[1]
        return [(tensors["encoder"], np.zeros(hidden)), (tensors["decoder"], tensors["bias"])]
    layers = []
    for number in numbers(1):
        if f"layer{number}.weight" not in tensors:
            break
        layers.append((tensors[f"layer{number}.weight"].T, tensors[f"layer{number}.bias"]))
    return layers


def draw_net(ax: Axes, layers: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """A column of nodes for each layer and a line for each weight: colours are signs, width and opacity sizes."""
    largest = max(np.abs(entries).max() for pair in layers for entries in pair) or 1.0
    sizes = [len(layers[0][0]), *(len(bias) for _, bias in layers)]
    places = [1 - (np.arange(size) + 0.5) / size for size in sizes]
    for x, (weight, _) in enumerate(layers):
        pairs = np.argwhere(weight)
        pairs = pairs[np.argsort(np.abs(weight[tuple(pairs.T)]), kind="stable")]  # the strongest on top
        values = weight[tuple(pairs.T)] / largest
        ends = [((x, places[x][i]), (x + 1, places[x + 1][j])) for i, j in pairs]
        lines = [(*to_rgb(_sign(value)), min(abs(value), 1)) for value in values]
        ax.add_collection(LineCollection(ends, colors=lines, linewidths=0.2 + 1.8 * np.abs(values), zorder=1))
    pitch = 72 * (1.15 if max(sizes) <= 10 else 1.8) / max(sizes)  # points between nodes, about
    look = {"s": min(5.5, 0.75 * pitch) ** 2, "edgecolors": "#444444", "linewidths": 0.4, "zorder": 2, "clip_on": False}
    for x, (place, bias) in enumerate(zip(places, [np.zeros(sizes[0]), *(bias for _, bias in layers)], strict=True)):
        ax.scatter(np.full(len(place), x), place, c=[_faded(value / largest) for value in bias], **look)
    step = 1 if max(sizes[0], sizes[-1]) <= 10 else 5
    for x, place, side, shift in ((0, places[0], "right", -5), (len(layers), places[-1], "left", 5)):
        for i in range(0, len(place), step):
            ax.annotate(str(i), (x, place[i]), (shift, 0), textcoords="offset points", ha=side, va="center", fontsize=6)
    ax.set(xlim=(-0.1, len(layers) + 0.1), ylim=(0, 1), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def _sign(value: float) -> str:
    return SIGNS["negative" if value < 0 else "positive"]


def _faded(value: float) -> np.ndarray:
    """The colour of a sign, paler for smaller values, and opaque, as lines end beneath nodes."""
    size = min(abs(value), 1)
    return size * np.array(to_rgb(_sign(value))) + (1 - size)


# ---- F-dir ----------------------------------------------------------------------------------------------------------


def directions(subnetworks: kinds.subnetworks.SUBNETWORKS, matched: kinds.subnetworks.MATCHED, *, run: str) -> Figure:
    """F-dir: the plane of two hidden units, with the directions of features in the model and in their subnetworks."""
    seeds = seeds_of(subnetworks, run)
    figure, axes = panels(len(seeds), 4, 2.0 if len(seeds) > 1 else 2.9)
    reach = 0.0
    for ax, seed in zip(axes, seeds, strict=True):
        tensors = tensors_of(select(subnetworks, run=run, seed=seed, condition="learned"))
        if "encoder" not in tensors[-1] or tensors[-1]["encoder"].shape[1] != 2:
            raise ValueError(f"directions: run '{run}' has no encoder of 2 hidden units, whose plane could be drawn")
        model = tensors[-1]["encoder"]  # [features, 2]
        shades, cosines = colours(len(model)), []
        for row, colour in zip(model, shades, strict=True):
            ax.plot([0, row[0]], [0, row[1]], color=colour, linewidth=3.4, alpha=0.35, solid_capstyle="round")
        for row in ordered(matched, run, seed).query("live").itertuples():
            of_model, of_subnetwork = model[row.block], tensors[row.subnetwork]["encoder"][row.block]
            lengths = np.linalg.norm(of_model), np.linalg.norm(of_subnetwork)
            agreement = of_model @ of_subnetwork / max(lengths[0] * lengths[1], 1e-12)
            # a subnetwork has norm 1 and no sign: its row is drawn as long as the model's, and on the same side
            drawn = of_subnetwork * (-1 if agreement < 0 else 1) * lengths[0] / max(lengths[1], 1e-12)
            ax.plot([0, drawn[0]], [0, drawn[1]], color=shades[row.block], linestyle=(0, (2.5, 1.2)), linewidth=1.3)
            cosines.append(abs(agreement))
        reach = max(reach, 1.12 * np.abs(model).max())
        least = f"{min(cosines):.3f}" if cosines else "–"
        ax.set_title(f"seed {seed}: least |cos| {least}", fontsize=7.5)
    for ax in axes:
        ax.axhline(0, color=style.GREY, linewidth=0.4, zorder=0)
        ax.axvline(0, color=style.GREY, linewidth=0.4, zorder=0)
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="hidden unit 0, W_i0", aspect="equal")
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    name_left(axes, "hidden unit 1, W_i1")
    handles = [
        Line2D([], [], color="k", linewidth=3.4, alpha=0.35),
        Line2D([], [], color="k", linewidth=1.3, linestyle=(0, (2.5, 1.2))),
        *(Line2D([], [], color=colour, linewidth=2) for colour in shades),
    ]
    labels = ["model", "subnetwork", *(f"feature {i}" for i in range(len(shades)))]
    figure.legend(handles, labels, ncols=len(labels), **{**LEGEND, "handlelength": 1.4, "columnspacing": 0.9})
    text = f"run {run}, {style.seeds(len(seeds))}; live subnetworks, each with the encoder row of its feature"
    style.note(figure, f"{text}, scaled and signed as the model's{unlearned(matched, run)}")
    return figure


# ---- F-coef ---------------------------------------------------------------------------------------------------------


def coefficients(
    coefficients: kinds.subnetworks.COEFFICIENTS,
    recovered: kinds.subnetworks.RECOVERED,
    matched: kinds.subnetworks.MATCHED,
    *,
    run: str,
) -> Figure:
    """F-coef: coefficients of the task as read from live subnetworks against the true ones, one panel a seed."""
    seeds = seeds_of(coefficients, run)
    shades = colours(1 + int(select(matched, run=run).values("block").max()))
    figure, axes = panels(len(seeds), 4, 2.4, sharex=True, sharey=True)
    for ax, seed in zip(axes, seeds, strict=True):
        frame = select(coefficients, run=run, seed=seed, condition="learned").frame()
        for row in ordered(matched, run, seed).query("live").itertuples():
            pairs = frame[frame["subnetwork"] == row.subnetwork]
            ax.plot(pairs["true"], pairs["found"], color=shades[row.block], **dot(row.block))
        (r,) = select(recovered, run=run, seed=seed, condition="learned").values("r")
        ax.set_title(f"seed {seed}: r = " + ("–" if np.isnan(r) else f"{r:.3f}"))  # NaN: all subnetworks are dead
        ax.set_xlabel("true coefficient")
        ax.axhline(0, color=style.GREY, linewidth=0.4, zorder=0)
    name_left(axes, "read from the subnetwork")
    count = len(select(coefficients, run=run, seed=seeds[0], condition="learned").where(subnetwork=0))
    handles = [Line2D([], [], color=shade, **dot(block)) for block, shade in enumerate(shades)]
    labels = [f"input {block}" for block in range(len(shades))]
    figure.legend(handles, labels, ncols=min(len(labels), 10), **{**LEGEND, "handletextpad": 0})
    text = (
        f"run {run}, {style.seeds(len(seeds))}; live subnetworks by the input they are for, {count} coefficients each"
    )
    text += "\nno units, as a subnetwork has norm 1; r: Pearson's, over all points"
    style.note(figure, text + unlearned(matched, run))
    return figure


# ---- F-rank, F-nv ---------------------------------------------------------------------------------------------------


def curves(
    curves: kinds.subnetworks.CURVES, matched: kinds.subnetworks.MATCHED, *, runs: dict[str, str], varied: str
) -> Figure:
    """F-rank, F-nv: the loss along learning of `runs` (run → label), which differ in one thing (`varied`)."""
    figure, axes = style.subplots(1, 2, style.DOUBLE, 2.7, width_ratios=(1.5, 1))
    along, last = axes[0]
    shades = colormaps["viridis"](np.linspace(0, 0.9, len(non_empty(runs, "runs"))))
    for place, (run, colour) in enumerate(zip(runs, shades, strict=True)):
        frame = select(curves, run=run).frame()
        over = frame.groupby("epoch")["loss"].agg(["mean", "min", "max"])
        along.plot(over.index, over["mean"], color=colour, label=str(runs[run]))
        along.fill_between(over.index, over["min"], over["max"], color=colour, alpha=0.15, linewidth=0)
        ends = frame[frame["epoch"] == frame["epoch"].max()].sort_values("seed")["loss"]
        x = place + 0.3 * (np.arange(len(ends)) - (len(ends) - 1) / 2) / max(len(ends), 2)
        last.plot([place - 0.32, place + 0.32], [ends.mean()] * 2, color=colour, linewidth=1.8, zorder=2)
        learned = [not unlearned(matched, run, seed) for seed in sorted(frame["seed"].unique())]
        for full, look in ((True, {"markeredgecolor": "w", "markeredgewidth": 0.4}), (False, HOLLOW)):
            which = np.array(learned) == full
            last.plot(x[which], ends[which], "o", color=colour, markersize=3.2, zorder=3, **look)
    if np.divide(*along.dataLim.intervaly[::-1]) > 3:  # of less, a logarithmic axis would have few ticks
        along.set_yscale("log")
        along.yaxis.set_major_locator(
            FixedLocator([m * 10.0**power for power in (-3, -2, -1, 0) for m in (1, 2, 3, 5)])
        )
        along.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        along.yaxis.set_minor_formatter(NullFormatter())
    last.set_ylim(0, 1.08 * last.dataLim.ymax)
    along.set(xlabel="epoch", ylabel="loss, ‖g − rebuilt‖² / ‖g‖²")
    # above the panel, as a loss that hardly falls would run through the legend
    where = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0}
    along.legend(title=varied, title_fontsize=7, ncols=len(runs), columnspacing=0.8, handlelength=1, **where)
    last.set_xticks(range(len(runs)), [str(label) for label in runs.values()])
    last.set(xlabel=varied, ylabel="loss in the end", xlim=(-0.6, len(runs) - 0.4))
    style.letters(axes[0])
    text = "lines and bands: mean and range over seeds; dots: seeds, dashes: their mean"
    text += f"; {seeds_text(curves.where(run=list(runs)))}; of the kept start, smoothed over an epoch"
    style.note(figure, text + f"\n{UNLEARNED}" * any(unlearned(matched, run) for run in runs))
    return figure


# ---- the toy models side by side ------------------------------------------------------------------------------------


def toys(quality: kinds.subnetworks.QUALITY, cleanness: kinds.subnetworks.CLEANNESS, *, runs: dict[str, str]) -> Figure:
    """How well the subnetworks of each run (→ its label) do, seed by seed, beside random directions."""
    of_runs = select(quality, run=list(non_empty(runs, "runs")))
    frame = of_runs.frame().merge(cleanness.frame(), how="left", on=["run", "seed", "condition"])
    shown = {name: look for name, look in QUANTITIES.items() if frame[name].notna().any()}
    height = 0.36 * len(runs) + 1.25
    figure, axes = style.subplots(1, len(shown), style.DOUBLE, height, sharey=True)
    for ax, (quantity, (title, ticks)) in zip(axes[0], shown.items(), strict=True):
        for y, run in enumerate(runs):
            for condition, shift, colour in (("random", 0.17, RANDOM), ("learned", -0.17, LEARNED)):
                rows = frame[(frame["run"] == run) & (frame["condition"] == condition)]
                rows = rows.dropna(subset=quantity).sort_values("seed")
                values, learned = rows[quantity].to_numpy(), rows["model_learned"].to_numpy(bool)
                spread = 0.14 * (np.arange(len(values)) - (len(values) - 1) / 2) / max(len(values) - 1, 1)
                for which, look in ((learned, {"markeredgewidth": 0}), (~learned, HOLLOW)):
                    ax.plot(values[which], (y + shift + spread)[which], "o", color=colour, markersize=2.8, **look)
                text = f"{values.mean():.{2 if ticks else 1}f}" if len(values) else "–"
                ax.annotate(
                    text,
                    (1, y + shift),
                    (3, 0),
                    xycoords=("axes fraction", "data"),
                    textcoords="offset points",
                    va="center",
                    fontsize=6.5,
                    color=colour if condition == "learned" else style.GREY,
                )
            ax.axhline(y + 0.5, color="#DDDDDD", linewidth=0.4, zorder=0)
        high = max(frame[quantity].max(), ticks[-1] if ticks else 1)
        ax.set(xlim=(-0.06 * high, 1.06 * high), ylim=(len(runs) - 0.5, -0.5))
        ax.set_xticks(ticks or (0, int(high)))
        ax.set_title(title)
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
    axes[0, 0].set_yticks(range(len(runs)), [str(label) for label in runs.values()])
    handles = [Line2D([], [], linestyle="", marker="o", markersize=4, color=colour) for colour in (LEARNED, RANDOM)]
    figure.legend(handles, ["learned subnetworks", "random directions"], ncols=2, **LEGEND)
    text = f"dots: seeds; numbers: their means; {seeds_text(of_runs)}"
    text += f"; {UNLEARNED}" * (not frame["model_learned"].all())
    style.note(
        figure, f"{text}\ncoverage: share of features (blocks) that a live subnetwork is for; live: P_act > {LIVE}"
    )
    return figure
