"""How well sampled classifiers predict, by method, step and size of the ensemble (natural Langevin dynamics)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from agentomy import kinds
from agentomy.drawing import style
from agentomy.drawing.tables import LEGEND, NOT_NEGATIVE, SHARE, mean_interval, seeds_text
from agentomy.lenses.rows import UNTRAINED, untrained_and_trained
from agentomy.selection import select
from agentomy.tables import Table

COLOURS = {
    "SGD": style.COLOURS["vermillion"],
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


def trained(table: Table, **wanted: str) -> Table:
    """The rows of trained networks with these values, one a seed."""
    return select(table, agent="trained", **wanted)


def bar(ax: Axes, place: float, values: np.ndarray, possible: tuple[float, float], **look) -> None:
    """Mean and 95 % interval of values [seeds] at a place, no longer than is possible; a single seed has none."""
    mean, low, high = mean_interval(values, possible)
    reach = [[mean - low], [high - mean]] if len(values) > 1 else None
    ax.errorbar(mean, place, xerr=reach, linestyle="", elinewidth=0.8, **look)


# ---- T-main ---------------------------------------------------------------------------------------------------------


def main(predicted: kinds.nld.PREDICTED, chosen: kinds.nld.CHOSEN, predictive: kinds.nld.PREDICTIVE) -> Figure:
    """T-main: test and training loss and test accuracy of each method, by predictor."""
    methods = chosen.frame()
    panels = [
        ("nll", "test", "test loss (nats)"),
        ("nll", "train", "training loss (nats)"),
        ("accuracy", "test", "test accuracy"),
    ]
    figure, axes = style.subplots(1, 3, style.DOUBLE, 0.36 * len(methods) + 1.1, sharey=True)
    for ax, (column, split, label) in zip(axes[0], panels, strict=True):
        for place, method in enumerate(methods["method"]):
            for shift, (predictor, marker) in zip((-0.22, 0, 0.22), MARKERS.items(), strict=True):
                values = trained(predicted, method=method, predictor=predictor, split=split).values(column)
                filled = "white" if predictor == "mean" else COLOURS[method]
                look = {"color": COLOURS[method], "marker": marker, "markersize": 4, "markerfacecolor": filled}
                bar(ax, place + shift, values, SHARE if column == "accuracy" else NOT_NEGATIVE, **look)
        ax.set_xlabel(label)
        ax.grid(axis="x", linewidth=0.3)
    labels = [
        f"{method}\nη = {step:g}" + (f", ε = {epsilon:g}" if epsilon >= 1e-6 else "")
        for method, step, epsilon in methods[["method", "step", "epsilon"]].itertuples(index=False)
    ]
    axes[0][0].set_yticks(range(len(methods)), labels)
    axes[0][0].invert_yaxis()
    predictor_legend(figure)
    style.letters(axes[0])
    kept = int(predictive.values("networks").max())
    text = f"{seeds_text(predicted, 'method')}; {BARS}; η chosen on validation images; an ensemble has {kept} networks"
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


def curves(predictive: kinds.nld.PREDICTIVE, chosen: kinds.nld.CHOSEN, *, ensembles: list[str]) -> Figure:
    """F-curve: test loss along learning: of the last network, and of the ensemble so far, each in a panel.

    Ensembles are drawn for the methods in `ensembles` alone.
    """
    frame = predictive.where(split="test").frame()
    figure, axes = style.subplots(1, 2, style.DOUBLE, 3.0, sharex=True, sharey=True)
    rows = chosen.frame().set_index("method")
    for ax, predictor in zip(axes[0], ("last", "ensemble"), strict=True):
        for method, run in rows["run"].items():
            if predictor == "last" or method in ensembles:
                of_method = frame[(frame["run"] == run) & (frame["predictor"] == predictor)]
                _mean(ax, of_method, COLOURS[method], linestyle="-", band=True)
        ax.set(title=NAMES[predictor], xlabel="training update", yscale="log")
    axes[0][0].set_ylabel("test loss (nats)")
    late = frame[(frame["update"] > UNTRAINED) & frame["run"].isin(rows["run"])]["nll"]
    axes[0][0].set_ylim(late.min() * 0.92, min(late.max(), 1.0) * 1.05)
    axes[0][0].set_xlim(0, frame["update"].max())
    plain_log(axes[0][0].yaxis)
    handles = [Line2D([], [], color=COLOURS[method]) for method in rows.index]
    figure.legend(handles, [*rows.index], ncols=len(rows), **LEGEND)
    style.letters(axes[0])
    style.note(figure, f"{seeds_text(predictive)}: mean; bands: range over seeds; steps as chosen on validation images")
    return figure


def sizes(predictive: kinds.nld.PREDICTIVE, chosen: kinds.nld.CHOSEN) -> Figure:
    """F-ens: test loss of the ensemble against the number of networks in it, in the order of learning."""
    frame = predictive.where(split="test", predictor="ensemble").frame()
    figure, axes = style.subplots(1, 1, style.SINGLE, 2.6)
    ax = axes[0][0]
    for method, run in chosen.frame().set_index("method")["run"].items():
        of_run = frame[frame["run"] == run]
        by_size = of_run.assign(update=of_run["networks"])
        _mean(ax, by_size, COLOURS[method], linestyle="-", band=False, label=method)
    ax.set(xlabel="networks in the ensemble", ylabel="test loss (nats)", xscale="log")
    ticks = [size for size in (1, 2, 5, 10, 20, 50, 100) if size <= frame["networks"].max()]
    ax.set_xticks(ticks, [str(size) for size in ticks])
    ax.minorticks_off()
    figure.legend(ncols=4, **LEGEND)
    style.note(
        figure, f"{seeds_text(predictive)}: mean; networks in the order\nof learning, from the end of the burn-in"
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
    if len(inside) < 4:  # over less than a decade
        inside = MaxNLocator(5, steps=[1, 2, 5, 10], min_n_ticks=4).tick_values(low, high)
        inside = inside[(inside >= low) & (inside <= high)]
    axis.set_ticks(inside, [f"{loss:g}" for loss in inside])
    axis.set_minor_locator(NullLocator())


# ---- F-gap, F-lr ----------------------------------------------------------------------------------------------------


def gap(predicted: kinds.nld.PREDICTED, chosen: kinds.nld.CHOSEN) -> Figure:
    """F-gap: training loss against test loss of last networks and of ensembles, a point for each method and seed."""
    figure, axes = style.subplots(1, 2, style.DOUBLE, 3.0, sharex=True, sharey=True)
    methods = chosen.frame()["method"]
    for ax, predictor in zip(axes[0], ("last", "ensemble"), strict=True):
        for method in methods:
            of_method = trained(predicted, method=method, predictor=predictor)
            by_seed = [of_method.where(split=split).frame().set_index("seed")["nll"] for split in ("train", "test")]
            x, y = (losses.sort_index() for losses in by_seed)
            ax.plot(x, y, linestyle="", marker="o", markersize=4, color=COLOURS[method], alpha=0.85)
        ax.set(title=NAMES[predictor], xlabel="training loss (nats)", xscale="log", yscale="log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.xaxis.set_minor_locator(NullLocator())
    low, high = axes[0][0].get_ylim()
    for ax in axes[0]:
        ax.axline((low, low), (high, high), color=style.GREY, linewidth=0.7, linestyle=(0, (4, 2)))
        ax.set_ylim(low, high)
        plain_log(ax.yaxis)
    axes[0][0].set_ylabel("test loss (nats)")
    points = {"linestyle": "", "marker": "o", "markersize": 4}
    handles = [Line2D([], [], color=COLOURS[method], **points) for method in methods]
    handles.append(Line2D([], [], color=style.GREY, linewidth=0.7, linestyle=(0, (4, 2))))
    figure.legend(handles, [*methods, "equal"], ncols=8, **LEGEND)
    style.note(figure, f"{seeds_text(predicted, 'method')}: a point each; training images unshifted")
    return figure


def steps(predictive: kinds.nld.PREDICTIVE, chosen: kinds.nld.CHOSEN, *, methods: dict[str, list[str]]) -> Figure:
    """F-lr: test loss against the step size; the chosen step is ringed. `methods` is method → its runs."""
    frame = untrained_and_trained(predictive.where(split="test").frame())
    frame = frame[frame["agent"] == "trained"]
    rows = chosen.frame().set_index("method")
    figure, axes = style.subplots(1, 1, style.DOUBLE, 3.0)
    ax = axes[0][0]
    for method, runs in methods.items():
        predictor, best = rows.loc[method, ["predictor", "step"]]
        tried = frame[frame["run"].isin(runs) & (frame["predictor"] == predictor)].sort_values("step")
        means = tried.groupby("step")["nll"].mean()
        line = {"linestyle": "-" if predictor == "ensemble" else (0, (3, 1.5)), "marker": MARKERS[predictor]}
        points = {"linestyle": "", "color": COLOURS[method]}
        ax.plot(means.index, means, color=COLOURS[method], markersize=4, label=method, **line)
        ax.plot(tried["step"], tried["nll"], marker=".", markersize=2.5, **points)
        ax.plot([best], [means[best]], marker="o", markersize=9, markerfacecolor="none", **points)
    ax.set(xlabel="step size η", ylabel="test loss (nats)", xscale="log", yscale="log")
    plain_log(ax.yaxis)
    figure.legend(ncols=len(methods), **LEGEND)
    text = f"{seeds_text(predictive)}: dots; lines: means. Squares: ensemble; circles, broken: last network"
    style.note(figure, f"{text}; ring: chosen on validation images")
    return figure


def priors(ends: kinds.nld.ENDS, *, runs: dict[str, str]) -> Figure:
    """Test and training loss of ensembles that differ in the prior's width, or in the noise; `runs` is label → run."""
    figure, axes = style.subplots(1, 1, style.DOUBLE, 0.3 * len(runs) + 1.0)
    ax = axes[0][0]
    looks = {
        "test": {"color": style.COLOURS["blue"], "marker": "s", "markersize": 4},
        "train": {"color": style.COLOURS["orange"], "marker": "o", "markersize": 4},
    }
    for place, run in enumerate(runs.values()):
        for split, look in looks.items():
            bar(
                ax, place, trained(ends, run=run, predictor="ensemble", split=split).values("nll"), NOT_NEGATIVE, **look
            )
    ax.set_yticks(range(len(runs)), list(runs))
    ax.invert_yaxis()
    ax.grid(axis="x", linewidth=0.3)
    ax.set_xlabel("loss of the ensemble (nats)")
    handles = [Line2D([], [], linestyle="", **look) for look in looks.values()]
    figure.legend(handles, ["test", "training"], ncols=2, **LEGEND)
    drawn = select(ends, run=[*runs.values()])
    style.note(figure, f"{seeds_text(drawn)}; {BARS}")
    return figure
