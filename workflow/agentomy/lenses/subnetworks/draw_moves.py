"""What moving weights along subnetworks does to outputs of toy models and to agents (L3D, section 4)."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from agentomy import kinds
from agentomy.drawing import style
from agentomy.drawing.tables import LEGEND, non_empty
from agentomy.lenses.subnetworks.draw import RANDOM, colours, name_left, ordered, panels, unlearned
from agentomy.lenses.subnetworks.measure import LIVE
from agentomy.selection import select
from agentomy.tables import Table
from agentomy.values import Natural

UNMOVED = "#BDBDBD"
LINEAR = 1.0  # outputs up to here are on a linear axis: the model's own, before a move, are not larger
LEAST = 1e-5  # total variation; smaller values mean nothing and would stretch a logarithmic axis
OWN_OVER_REST = "change on own inputs over that on others"
SIGNED = "δ > 0 is the side on which the matching output rises"


# ---- F-scatter, F-grid ----------------------------------------------------------------------------------------------


def scatter(
    moved: kinds.subnetworks.MOVED,
    matched: kinds.subnetworks.MATCHED,
    points: kinds.subnetworks.POINTS,
    *,
    run: str,
    seed: Natural,
    deltas: list[float],
    square: bool = False,  # whether the squares of the inputs are drawn too
    within: str = "all",
) -> Figure:
    """F-scatter: each output against its input, after moves along each subnetwork (columns) by each delta (rows)."""
    moves, inputs = outputs_of(select(moved, run=run, seed=seed, condition="learned", within=within), points)
    order = ordered(matched, run, seed)
    before = moves[-1, 0.0, -1, 0.0]
    height = 1.3 * len(non_empty(deltas, "deltas")) + 1.0
    one_size = len({abs(delta) for delta in deltas}) == 1  # of several sizes small moves could not be seen
    sharey = True if one_size else "row"
    figure, axes = style.subplots(len(deltas), len(order), style.DOUBLE, height, sharex=True, sharey=sharey)
    for column, row in zip(axes.T, order.itertuples(), strict=True):
        k, feature = row.subnetwork, row.block
        along = {delta: outputs for (moved_k, delta, _, _), outputs in moves.items() if moved_k == k}
        sign = side(along, before, feature)
        for ax, delta in zip(column, deltas, strict=True):
            if sign * delta not in along:
                there = ", ".join(f"{known:g}" for known in sorted(along))
                raise ValueError(f"scatter: subnetwork {k} was not moved by {sign * delta:g}, but by {there}")
            draw_outputs(ax, inputs, before, along[sign * delta], [feature], square)
        column[0].set_title(heading(row), fontsize=7.5)
    for ax, delta in zip(axes[:, 0], deltas, strict=True):
        ax.set_ylabel(f"{delta_named(delta)}\noutput i", linespacing=1.4)
    for ax in axes[-1]:
        ax.set_xlabel("input i")
    clear = readable([axes.ravel()] if one_size else axes)
    outputs_legend(figure, inputs.shape[1], square)
    count = f"run {run}, seed {seed}; {len(before)} inputs; moved: {within if within != 'all' else 'all tensors'}"
    count += "" if one_size else "; every row has its own scale"
    note = f"{count}\n{SIGNED}; a subnetwork has norm 1, δ is in units of the parameters{clear}"
    style.note(figure, note + unlearned(matched, run, seed))
    return figure


def grid(
    pairs: kinds.subnetworks.MOVED,
    matched: kinds.subnetworks.MATCHED,
    points: kinds.subnetworks.POINTS,
    *,
    run: str,
    seed: Natural,
) -> Figure:
    """F-grid: the same after moves along two subnetworks together, those of the first two features."""
    moves, inputs = outputs_of(select(pairs, run=run, seed=seed, condition="learned", within="all"), points)
    order = ordered(matched, run, seed)
    # live ones of different features come first
    order["after"] = ~order["live"] | order["block"].duplicated()
    first, second = order.sort_values(["after", "block"], kind="stable").iloc[:2].itertuples()
    both = {}
    for (low, delta, high, further), outputs in moves.items():  # the table has a pair once, the lower number first
        if {low, high} == {first.subnetwork, second.subnetwork}:
            both[(delta, further) if low == first.subnetwork else (further, delta)] = outputs
    before, deltas = both[0.0, 0.0], sorted({delta for delta, _ in both})
    down = side({delta: both[delta, 0.0] for delta in deltas}, before, first.block)
    across = side({delta: both[0.0, delta] for delta in deltas}, before, second.block)
    n = len(deltas)
    figure, axes = style.subplots(n, n, style.DOUBLE, style.DOUBLE * 0.8 + 0.8, sharex=True, sharey=True)
    for row, delta in zip(axes, deltas, strict=True):
        for ax, further in zip(row, deltas, strict=True):
            draw_outputs(
                ax, inputs, before, both[down * delta, across * further], [first.block, second.block], square=False
            )
        row[0].set_ylabel(f"{delta_named(delta, first.subnetwork)}\noutput i", linespacing=1.4)
    for ax, further in zip(axes[0], deltas, strict=True):
        ax.set_title(delta_named(further, second.subnetwork))
    for ax in axes[-1]:
        ax.set_xlabel("input i")
    clear = readable([axes.ravel()])
    outputs_legend(figure, inputs.shape[1], square=False)
    text = f"run {run}, seed {seed}; {len(before)} inputs; rows: subnetwork {first.subnetwork} (feature {first.block})"
    text += f", columns: subnetwork {second.subnetwork} (feature {second.block})"
    note = f"{text}\n{SIGNED}; a subnetwork has norm 1, δ is in units of the parameters{clear}"
    style.note(figure, note + unlearned(matched, run, seed))
    return figure


def outputs_of(rows: Table, points: Table) -> tuple[dict[tuple, np.ndarray], np.ndarray]:
    """Outputs [N, outputs] by (subnetwork, delta, second, second delta), and their inputs [N, inputs]."""
    frame, outputs = rows.frame(), rows.array("outputs")
    places = frame.groupby(["subnetwork", "delta", "second", "second_delta"], sort=False).indices
    samples = frame["sample"].to_numpy()
    by_move = {key: outputs[index[np.argsort(samples[index])]] for key, index in places.items()}
    decomposed = points.where(split="decomposed")
    which = np.isin(decomposed.values("sample"), samples)
    inputs = decomposed.array("inputs")[which]
    return by_move, inputs[np.argsort(decomposed.values("sample")[which])]


def side(along: dict[float, np.ndarray], before: np.ndarray, feature: int) -> int:
    """The sign of delta that raises the mean of an output, as v and -v are the same subnetwork."""
    rise = sum(delta * (outputs - before)[:, feature].mean() for delta, outputs in along.items())
    return -1 if rise < 0 else 1


def draw_outputs(
    ax: Axes, inputs: np.ndarray, before: np.ndarray, after: np.ndarray, features: list[int], square: bool
) -> None:
    """Output i against input i, a colour for each i, those of `features` on top; grey: before the move."""
    look = {"linestyle": "", "marker": ".", "markeredgewidth": 0, "rasterized": True}
    ax.plot(inputs.ravel(), before.ravel(), color=UNMOVED, markersize=2.5, zorder=1, **look)
    for i, colour in enumerate(colours(inputs.shape[1])):
        ax.plot(inputs[:, i], after[:, i], color=colour, markersize=3, zorder=3 if i in features else 2, **look)
    if square:
        x = np.linspace(inputs.min(), inputs.max(), 101)
        ax.plot(x, x**2, color="k", linewidth=0.6, zorder=4)
    ax.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 5, 10]))
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], min_n_ticks=3))


def readable(groups: Iterable[Iterable[Axes]]) -> str:
    """Bends the axes of each group, which share a scale, if outputs reach far beyond their usual size; says so.

    Such an axis is linear up to LINEAR and logarithmic beyond, with a tick for both.
    """
    bent = False
    for group in groups:
        low, high = (float(edge(ax.get_ylim()[place] for ax in group)) for place, edge in ((0, min), (1, max)))
        if max(-low, high) <= 3 * LINEAR:
            continue
        bent = True
        powers = 10.0 ** np.arange(np.ceil(np.log10(max(-low, high))))
        ticks = np.array([*-powers[::-1], 0, *powers])
        for ax in group:
            ax.set_yscale("symlog", linthresh=LINEAR, linscale=1.2)
            ax.set_ylim(low, high)
            ax.set_yticks(ticks[(ticks >= low) & (ticks <= high)])
            ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}".replace("-", "−"))
            ax.yaxis.set_minor_locator(NullLocator())
            ax.axhline(0, color=style.GREY, linewidth=0.3, zorder=0)
    return f"\noutputs beyond ±{LINEAR:g} are on a logarithmic axis" * bent


def outputs_legend(figure: Figure, count: int, square: bool) -> None:
    dot = {"linestyle": "", "marker": "o", "markersize": 3.5}
    handles = [
        *(Line2D([], [], color=colour, **dot) for colour in colours(count)),
        Line2D([], [], color=UNMOVED, **dot),
    ]
    labels = [*(f"i = {i}" for i in range(count)), "not moved"]
    if square:
        handles, labels = [*handles, Line2D([], [], color="k", linewidth=0.6)], [*labels, "input²"]
    figure.legend(handles, labels, ncols=min(len(labels), 9), **{**LEGEND, "handletextpad": 0.4})


def heading(row) -> str:
    return f"subnetwork {row.subnetwork}\n" + (f"feature {row.block}" if row.live else "dead")


def delta_named(delta: float, subnetwork: int | None = None) -> str:
    name = "δ" if subnetwork is None else f"$\\delta_{{{subnetwork}}}$"
    return f"{name} = {number(delta)}"


def number(delta: float) -> str:
    return f"{delta:+g}".replace("-", "−") if delta else "0"


# ---- F-mean ---------------------------------------------------------------------------------------------------------


def sweep(
    effects: kinds.subnetworks.EFFECTS,
    matched: kinds.subnetworks.MATCHED,
    *,
    run: str,
    seed: Natural,
) -> Figure:
    """F-mean: how each output changes as weights are moved along each subnetwork."""
    frame = select(effects, run=run, seed=seed, condition="learned", within="all").frame()
    order = ordered(matched, run, seed)
    figure, axes = panels(len(order), 5, 1.9, sharex=True, sharey=True)
    count = frame["output"].nunique()
    for ax, row in zip(axes, order.itertuples(), strict=True):
        lines = frame[frame["subnetwork"] == row.subnetwork].pivot_table("median", "delta", "output")
        sign = -1 if (lines.index * lines[row.block]).sum() < 0 else 1
        lines = lines.set_axis(sign * lines.index).sort_index()
        for i, colour in enumerate(colours(count)):
            width, depth = (2.2, 3) if i == row.block else (0.9, 2)
            ax.plot(lines.index, lines[i], color=colour, linewidth=width, zorder=depth)
        ax.axhline(0, color=style.GREY, linewidth=0.4, zorder=0)
        ax.axvline(0, color=style.GREY, linewidth=0.4, zorder=0)
        ax.set_title(heading(row), fontsize=7.5)
        ax.set_xlabel("δ")
    name_left(axes, "median change of output i")
    handles = [Line2D([], [], color=colour, linewidth=1.6) for colour in colours(count)]
    figure.legend(handles, [f"i = {i}" for i in range(count)], ncols=min(count, 10), **LEGEND)
    text = (
        f"run {run}, seed {seed}; over inputs whose output is not 0 both before and after; thick: the matching output"
    )
    note = f"{text}\n{SIGNED}; a subnetwork has norm 1, δ is in units of the parameters"
    style.note(figure, note + unlearned(matched, run, seed))
    return figure


# ---- agents ---------------------------------------------------------------------------------------------------------


def agents(steered: kinds.subnetworks.STEERED, *, runs: dict[str, str]) -> Figure:
    """How far each subnetwork changes an agent's behaviour on its own inputs and on others; `runs` is run → label."""
    figure, axes = panels(
        len(non_empty(runs, "runs")), 3, 2.4 if len(runs) in (3, 5, 6) else 3.1, sharex=True, sharey=True
    )
    shown, sizes, small, seeds = [], set(), False, sorted(set(select(steered, run=list(runs)).values("seed").tolist()))
    shades = dict(zip(seeds, colours(len(seeds)), strict=True))
    for ax, (run, label) in zip(axes, runs.items(), strict=True):
        frame = select(steered, run=run).frame()
        counts = (frame["condition"] == "random") | (frame["active"] > LIVE)
        means = frame.groupby(["seed", "condition", "subnetwork"])[["own", "rest", "active"]].mean().reset_index()
        small |= bool((means[["own", "rest"]] < LEAST).any(axis=None))
        means[["own", "rest"]] = means[["own", "rest"]].clip(lower=LEAST)
        for condition, part in means.groupby("condition", sort=False):
            for seed, dots in part.groupby("seed"):
                live = dots["active"] > LIVE
                if condition == "random":
                    ax.plot(dots["rest"], dots["own"], ".", color=RANDOM, markersize=3.5, markeredgewidth=0, zorder=1)
                    continue
                look = {"linestyle": "", "color": shades[seed], "zorder": 3}
                ax.plot(dots["rest"][live], dots["own"][live], marker="o", markersize=3, markeredgewidth=0, **look)
                ax.plot(dots["rest"][~live], dots["own"][~live], marker="x", markersize=3, markeredgewidth=0.7, **look)
        shown.append(means)
        sizes |= set(means.groupby(["seed", "condition"]).size())
        ratios = {name: ratio(frame[counts & (frame["condition"] == name)]) for name in set(frame["condition"])}
        ax.set_title(f"{label}\n" + ", ".join(f"{name} × {ratios[name]:.2f}" for name in sorted(ratios)), fontsize=7.5)
    everything = pd.concat(shown)
    changes = everything[["own", "rest"]].to_numpy()
    low, high = changes.min() / 1.5, changes.max() * 1.5
    for ax in axes:
        ax.plot([low, high], [low, high], color="k", linewidth=0.6, zorder=2)
        ax.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), box_aspect=1)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(LogLocator(numticks=5))
        ax.set_xlabel("change on other inputs (total variation)", fontsize=7)
    name_left(axes, "change on own inputs\n(total variation)")
    handles = [
        Line2D([], [], color=colour, linestyle="", marker="o", markersize=3.5) for colour in (*shades.values(), RANDOM)
    ]
    labels = [*(f"seed {seed}" for seed in seeds), "random directions"]
    if ((everything["condition"] == "learned") & (everything["active"] <= LIVE)).any():
        handles.append(Line2D([], [], color="k", linestyle="", marker="x", markersize=3.5))
        labels.append("dead subnetwork")
    figure.legend(handles, labels, ncols=min(len(labels), 6), **{**LEGEND, "handletextpad": 0.2})
    deltas = ", ".join(map(number, sorted(set(select(steered, run=list(runs)).values("delta")))))
    text = f"a dot: a subnetwork, mean over δ = {deltas}; {' or '.join(map(str, sorted(sizes)))} subnetworks a network"
    text += f", {style.seeds(len(seeds))}" + f"; changes below {LEAST:g} are drawn there" * small
    style.note(
        figure,
        f"{text}\nown inputs: the tenth on which its impact is largest; ×: own over other, geometric mean over live "
        "subnetworks, δ and seeds",
    )
    return figure


def beside_twins(
    losses: kinds.subnetworks.GRADIENT_LOSSES,
    steering: kinds.subnetworks.STEERING,
    *,
    run: str,
    twins: str,  # the run that decomposes the untrained twins
) -> Figure:
    """An agent's subnetworks beside random directions, and both beside those of its untrained twins."""
    figure, axes = style.subplots(1, 2, style.DOUBLE, 1.9, sharey=True)
    whos = [(run, "learned", "this agent"), (run, "random", "its random directions")]
    whos += [(twins, "learned", "untrained twins"), (twins, "random", "their random directions")]
    shown = (
        (losses, "loss", "loss: share of the gradients that is missed"),
        (steering, "own_over_rest", OWN_OVER_REST),
    )
    for ax, (table, column, label) in zip(axes[0], shown, strict=True):
        for place, (name, condition, _) in enumerate(whos):
            values = select(table, run=name, condition=condition).values(column)
            shade = style.COLOURS["blue"] if condition == "learned" else RANDOM
            ax.plot(
                values, np.full(len(values), place), "o", color=shade, markersize=4 if name == run else 2.5, alpha=0.7
            )
        ax.set(
            xlabel=label,
            ylim=(len(whos) - 0.5, -0.5),
            yticks=range(len(whos)),
            yticklabels=[name_of_row for *_, name_of_row in whos],
        )
    axes[0, 0].set_xlim(0, None)
    axes[0, 1].set_xscale("log")
    axes[0, 1].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes[0, 1].xaxis.set_minor_formatter(NullFormatter())
    axes[0, 1].axvline(1, color="k", linewidth=0.6)
    count = len(set(select(losses, run=twins).values("seed")))
    style.note(
        figure, f"run {run}: {count} untrained twins on the same observations; own inputs: the tenth of largest impact"
    )
    return figure


def ratio(frame: pd.DataFrame) -> float:
    """Own over other: a geometric mean over the rows of each seed, then over seeds, as claims judge it."""
    logs = np.log(frame["own"].clip(1e-12) / frame["rest"].clip(1e-12))
    return float(np.exp(logs.groupby(frame["seed"]).mean().mean()))
