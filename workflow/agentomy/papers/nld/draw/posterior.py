"""How well sampled classifiers predict, by method, step and size of the ensemble (natural Langevin dynamics)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from agentomy import kinds
from agentomy.drawing import style
from agentomy.drawing.tables import LEGEND, mean_interval, seeds_text
from agentomy.selection import select
from agentomy.tables import Table

COLOURS = {
    "SGD": style.GREY,
    "dropout": "#000000",
    "Adam": style.COLOURS["pink"],
    "SGLD": style.COLOURS["orange"],
    "RMSprop": style.COLOURS["green"],
    "DOP": style.COLOURS["sky"],
    "QDOP": style.COLOURS["blue"],
}
MARKERS = {"last": "o", "mean": "^", "ensemble": "s"}
NAMES = {"last": "last network", "mean": "mean of parameters", "ensemble": "ensemble"}
BARS = "bars: 95 % intervals over seeds"
Values = dict[int, float]  # by seed


def values_of(values: Table, run: str, quantity: str) -> np.ndarray:
    """One quantity of one run [seeds]."""
    return select(values, run=run, quantity=quantity).values("value")


def colour(name: str) -> str:
    return COLOURS.get(name, style.COLOURS["vermillion"])


def bar(ax: Axes, x: float, y: np.ndarray, upright: bool = False, **look) -> None:
    """Mean and 95 % interval of values [seeds] at a place; a single seed has no interval."""
    mean, low, high = mean_interval(y)
    reach = [[mean - low], [high - mean]] if len(y) > 1 else None
    where = {"x": x, "y": mean, "yerr": reach} if upright else {"x": mean, "y": x, "xerr": reach}
    ax.errorbar(**where, linestyle="", elinewidth=0.8, **look)


# ---- T-main ---------------------------------------------------------------------------------------------------------


def main(predicted: kinds.common.COMPARISON, select: kinds.nld.CHOSEN, predictive: kinds.nld.PREDICTIVE) -> Figure:
    """T-main: test and training loss and test accuracy of each method, by predictor."""
    found = select.frame()
    panels = [
        ("nll test {}", "test loss (nats)", MARKERS),
        ("nll train {}", "training loss (nats)", MARKERS),
        ("accuracy test {}", "test accuracy", MARKERS),
    ]
    figure, axes = style.subplots(1, 3, style.DOUBLE, 0.36 * len(found) + 1.1, sharey=True)
    for ax, (quantity, label, predictors) in zip(axes[0], panels, strict=True):
        for place, method in enumerate(found["method"]):
            for shift, (predictor, marker) in zip((-0.22, 0, 0.22), predictors.items(), strict=True):
                values = values_of(predicted, method, quantity.format(predictor))
                filled = "white" if predictor == "mean" else colour(method)
                look = {"color": colour(method), "marker": marker, "markersize": 4, "markerfacecolor": filled}
                bar(ax, place + shift, values, **look)
        ax.set_xlabel(label)
        ax.grid(axis="x", linewidth=0.3)
    labels = [
        f"{method}\nη = {step:g}" + (f", ε = {epsilon:g}" if epsilon >= 1e-6 else "")
        for method, step, epsilon in found[["method", "step", "epsilon"]].itertuples(index=False)
    ]
    axes[0][0].set_yticks(range(len(found)), labels)
    axes[0][0].invert_yaxis()
    predictor_legend(figure)
    style.letters(axes[0])
    kept = int(predictive.values("networks").max())
    text = f"{seeds_text(predicted)}; {BARS}; η chosen on validation images; an ensemble has {kept} networks"
    style.note(figure, text)
    return figure


def predictor_legend(figure: Figure) -> None:
    handles = [
        Line2D(
            [], [], color="k", marker=marker, linestyle="", markersize=4, markerfacecolor="w" if name == "mean" else "k"
        )
        for name, marker in MARKERS.items()
    ]
    figure.legend(handles, list(NAMES.values()), ncols=3, **LEGEND)


# ---- F-curve, F-ens -------------------------------------------------------------------------------------------------


def curves(predictive: kinds.nld.PREDICTIVE, select: kinds.nld.CHOSEN, *, ensembles: list[str]) -> Figure:
    """F-curve: test loss along learning, of the last network (dotted) and of the ensemble so far (solid).

    Only the methods in `ensembles` have one.
    """
    frame = predictive.where(split="test").frame()
    figure, axes = style.subplots(1, 1, style.DOUBLE, 3.0)
    ax = axes[0][0]
    rows = select.frame().set_index("method")
    for method, run in rows["run"].items():
        own = frame[frame["run"] == run]
        _mean(
            ax, own[own["predictor"] == "last"], colour(method), linestyle=(0, (1, 1.2)), band=method not in ensembles
        )
        if method in ensembles:
            _mean(ax, own[own["predictor"] == "ensemble"], colour(method), linestyle="-", band=True)
    ax.set(xlabel="training update", ylabel="test loss (nats)", yscale="log")
    late = frame[(frame["update"] > 0) & frame["run"].isin(rows["run"])]["nll"]
    ax.set_ylim(late.min() * 0.92, min(late.max(), 1.0) * 1.05)
    ax.set_xlim(0, frame["update"].max())
    plain_log(ax.yaxis)
    handles = [Line2D([], [], color=colour(method)) for method in rows.index]
    handles += [Line2D([], [], color="k", linestyle=each) for each in ((0, (1, 1.2)), "-")]
    figure.legend(handles, [*rows.index, "last network", "ensemble so far"], ncols=5, **LEGEND)
    style.note(figure, f"{seeds_text(predictive)}: mean; bands: range over seeds; steps as chosen on validation images")
    return figure


def sizes(predictive: kinds.nld.PREDICTIVE, select: kinds.nld.CHOSEN) -> Figure:
    """F-ens: test loss of the ensemble against the number of networks in it, in the order they were met."""
    frame = predictive.where(split="test", predictor="ensemble").frame()
    figure, axes = style.subplots(1, 1, style.SINGLE, 2.6)
    ax = axes[0][0]
    for method, run in select.frame().set_index("method")["run"].items():
        own = frame[frame["run"] == run]
        _mean(ax, own.assign(update=own["networks"]), colour(method), linestyle="-", band=False, label=method)
    ax.set(xlabel="networks in the ensemble", ylabel="test loss (nats)", xscale="log", yscale="log")
    ticks = [each for each in (1, 2, 5, 10, 20, 50, 100) if each <= frame["networks"].max()]
    ax.set_xticks(ticks, [str(each) for each in ticks])
    ax.minorticks_off()
    plain_log(ax.yaxis)
    figure.legend(ncols=4, **LEGEND)
    style.note(
        figure, f"{seeds_text(predictive)}: mean; networks in the order\nthey were met, from the end of the burn-in"
    )
    return figure


def _mean(ax: Axes, frame: pd.DataFrame, colour: str, linestyle, band: bool, **look) -> None:
    by_update = frame.groupby("update")["nll"].agg(["mean", "min", "max"])
    ax.plot(by_update.index, by_update["mean"], color=colour, linestyle=linestyle, **look)
    if band:
        ax.fill_between(by_update.index, by_update["min"], by_update["max"], color=colour, alpha=0.15, linewidth=0)


def plain_log(axis: Axis) -> None:
    """Losses on a logarithmic axis as plain numbers."""
    low, high = axis.get_view_interval()
    steps = np.array([0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1, 1.5, 2, 3, 5])
    inside = steps[(steps >= low) & (steps <= high)]
    axis.set_ticks(inside, [f"{each:g}" for each in inside])
    axis.set_minor_locator(NullLocator())


# ---- F-gap, F-lr ----------------------------------------------------------------------------------------------------


def gap(predicted: kinds.common.COMPARISON, select: kinds.nld.CHOSEN) -> Figure:
    """F-gap: training loss against test loss, a point a method and seed; the last network, and what counts for it."""
    figure, axes = style.subplots(1, 2, style.DOUBLE, 3.0, sharex=True, sharey=True)
    methods = select.frame().set_index("method")["predictor"]
    for ax, title, count in zip(axes[0], ("last network", "ensemble"), (methods.index, methods.index), strict=True):
        predictor = "last" if title == "last network" else "ensemble"
        for method in count:
            x, y = (values_of(predicted, method, f"nll {split} {predictor}") for split in ("train", "test"))
            ax.plot(x, y, linestyle="", marker="o", markersize=4, color=colour(method), alpha=0.85)
        ax.set(title=title, xlabel="training loss (nats)", xscale="log", yscale="log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.xaxis.set_minor_locator(NullLocator())
    low, high = axes[0][0].get_ylim()
    for ax in axes[0]:
        ax.axline((low, low), (high, high), color=style.GREY, linewidth=0.7, linestyle=(0, (4, 2)))
        ax.set_ylim(low, high)
        plain_log(ax.yaxis)
    axes[0][0].set_ylabel("test loss (nats)")
    handles = [Line2D([], [], linestyle="", marker="o", markersize=4, color=colour(each)) for each in methods.index]
    handles.append(Line2D([], [], color=style.GREY, linewidth=0.7, linestyle=(0, (4, 2))))
    figure.legend(handles, [*methods.index, "equal"], ncols=8, **LEGEND)
    style.note(figure, f"{seeds_text(predicted)}: a point each; training images unshifted")
    return figure


def steps(predictive: kinds.nld.PREDICTIVE, select: kinds.nld.CHOSEN, *, methods: dict[str, list[str]]) -> Figure:
    """F-lr: test loss against the step size, by method; the step that validation chose is ringed."""
    frame = predictive.where(split="test").frame()
    frame = frame[frame["update"] == frame.groupby("run")["update"].transform("max")]
    found = select.frame().set_index("method")
    figure, axes = style.subplots(1, 1, style.DOUBLE, 3.0)
    ax = axes[0][0]
    for method, runs in methods.items():
        predictor = found.loc[method, "predictor"]
        own = frame[frame["run"].isin(runs) & (frame["predictor"] == predictor)].sort_values("step")
        means = own.groupby("step")["nll"].mean()
        look = {"color": colour(method), "markersize": 4, "marker": MARKERS[predictor]}
        ax.plot(means.index, means, linestyle="-" if predictor == "ensemble" else (0, (3, 1.5)), label=method, **look)
        ax.plot(own["step"], own["nll"], linestyle="", marker=".", markersize=2.5, color=colour(method))
        best = found.loc[method, "step"]
        ax.plot(
            [best], [means[best]], linestyle="", marker="o", markersize=9, markerfacecolor="none", color=colour(method)
        )
    ax.set(xlabel="step size η", ylabel="test loss (nats)", xscale="log", yscale="log")
    plain_log(ax.yaxis)
    figure.legend(ncols=len(methods), **LEGEND)
    text = f"{seeds_text(predictive)}: dots; lines: means. Squares: ensemble; circles, broken: last network"
    style.note(figure, f"{text}; ring: chosen on validation images")
    return figure


def priors(predicted_single: kinds.common.COMPARISON, *, pairs: dict[str, str]) -> Figure:
    """Test and training loss of ensembles that differ in the prior's width, or in the noise; `pairs` is label → run."""
    figure, axes = style.subplots(1, 1, style.DOUBLE, 0.3 * len(pairs) + 1.0)
    ax = axes[0][0]
    for place, run in enumerate(pairs.values()):
        for split, marker in (("test", "s"), ("train", "o")):
            values = values_of(predicted_single, run, f"nll {split} ensemble")
            look = {"color": style.COLOURS["blue" if split == "test" else "orange"], "marker": marker, "markersize": 4}
            bar(ax, place, values, **look)
    ax.set_yticks(range(len(pairs)), list(pairs))
    ax.invert_yaxis()
    ax.grid(axis="x", linewidth=0.3)
    ax.set_xlabel("loss of the ensemble (nats)")
    handles = [
        Line2D([], [], linestyle="", marker=m, markersize=4, color=style.COLOURS[c])
        for m, c in (("s", "blue"), ("o", "orange"))
    ]
    figure.legend(handles, ["test", "training"], ncols=2, **LEGEND)
    style.note(figure, f"{seeds_text(predicted_single)}; {BARS}")
    return figure
