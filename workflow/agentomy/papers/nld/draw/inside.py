"""The noise of sampled networks, what their formulas promise, and their calibration (natural Langevin dynamics)."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from agentomy import kinds
from agentomy.drawing import style
from agentomy.drawing.tables import LEGEND, SHARE, seeds_text
from agentomy.papers.nld.draw.posterior import BARS, COLOURS, MARKERS, NAMES, bar
from agentomy.selection import select

METRICS = {"euclidean": "SGLD", "rmsprop": "RMSprop", "dop": "DOP", "qdop": "QDOP"}  # metric → name of its method
UNMOVED = {"scaled": ("dop", "qdop"), "shifted": ("qdop",)}  # change → the metrics that promise not to feel it


def noise(noise: kinds.nld.NOISE) -> Figure:
    """F-noise: the standard deviation of a step's noise on each weight, by layer (rows) and metric (columns)."""
    frame = noise.frame()
    layers, methods = sorted(frame["layer"].unique()), [metric for metric in METRICS if metric in set(frame["method"])]
    rows = noise.arrow(["method", "layer", "always_zero", "deviations"]).to_pylist()
    deviations = np.concatenate([row["deviations"] for row in rows])
    bins = np.geomspace(deviations.min() / 1.3, deviations.max() * 1.3, 70)
    shape = (len(layers), len(methods))
    figure, axes = style.subplots(*shape, style.DOUBLE, 1.15 * len(layers) + 0.8, sharex=True)
    weights = {
        False: (style.COLOURS["blue"], "other weights"),
        True: (style.COLOURS["vermillion"], "from pixels that are always 0"),
    }
    for line, layer in zip(axes, layers, strict=True):
        for ax, method in zip(line, methods, strict=True):
            for zero, (shade, _) in weights.items():
                by_seed = [
                    row["deviations"]
                    for row in rows
                    if (row["layer"], row["method"], row["always_zero"]) == (layer, method, zero)
                ]
                if by_seed:
                    ax.hist(np.concatenate(by_seed), bins, color=shade, alpha=0.8)
            ax.set(xscale="log", yticks=[])
            ax.spines["left"].set_visible(False)
            if ax.get_subplotspec().is_first_row():
                ax.set_title(METRICS[method])
        line[0].set_ylabel(layer)
    figure.supxlabel("standard deviation of a step's noise", fontsize=8)
    handles = [Line2D([], [], color=shade, linewidth=4) for shade, _ in weights.values()]
    count = style.seeds(frame["seed"].nunique())
    labels = [label for _, label in weights.values()]
    figure.legend(
        handles, labels, ncols=2, title=f"weights of all seeds together ({count})", title_fontsize=6.5, **LEGEND
    )
    return figure


def theory(invariance: kinds.nld.INVARIANCE, stationary: kinds.nld.STATIONARY) -> Figure:
    """Claims 6 and 7: what a change of the inputs does to outputs, and how near the posterior small steps come."""
    figure, axes = style.subplots(1, 2, style.DOUBLE, 2.7)
    left, right = axes[0]
    moved, frame = invariance.frame(), stationary.frame()
    for place, method in enumerate(METRICS):
        for shift, change, marker in ((-0.15, "scaled", "o"), (0.15, "shifted", "s")):
            values = moved[(moved["method"] == method) & (moved["change"] == change)]["difference"]
            spread = np.linspace(-0.06, 0.06, len(values)) if len(values) > 1 else [0]
            look = {
                "markersize": 3.5,
                "color": COLOURS[METRICS[method]],
                "markerfacecolor": "w" if marker == "s" else None,
            }
            left.plot(place + shift + np.array(spread), values.clip(1e-17), linestyle="", marker=marker, **look)
        means = frame[frame["method"] == method].groupby("step")["covariance_error"].mean()
        name = METRICS[method]
        right.plot(means.index, means, marker="o", markersize=3.5, color=COLOURS[name], label=name)
    left.set_xticks(range(len(METRICS)), list(METRICS.values()))
    left.set(yscale="log", ylabel="largest change of a logit", xlim=(-0.5, len(METRICS) - 0.5))
    felt = [row.method not in UNMOVED[row.change] for row in moved.itertuples()]
    left.axhline(1e-8 * moved["difference"][felt].min(), color=style.GREY, linewidth=0.7, linestyle=(0, (4, 2)))
    left.legend(
        [
            Line2D([], [], color="k", marker="o", linestyle="", markersize=3.5),
            Line2D([], [], color="k", marker="s", linestyle="", markersize=3.5, markerfacecolor="w"),
        ],
        ["inputs scaled", "inputs shifted"],
        loc="center right",
    )
    right.set(
        xscale="log",
        yscale="log",
        xlabel="step, as a share of the largest stable one",
        ylabel="relative error of the covariance",
    )
    right.legend(loc="upper left")
    style.letters(axes[0])
    steps = int(moved["steps"].max())
    text = (
        f"{seeds_text(invariance)}. a: a point a seed, {steps} steps of a new last layer with the same standard normals"
    )
    more = "b: linear-Gaussian model on the last features, exact stationary distribution; mean over seeds"
    style.note(figure, f"{text}\n{more}")
    return figure


def reliability(reliability: kinds.nld.RELIABILITY, *, methods: list[str]) -> Figure:
    """How often predictions are right, by how confident they are, and below it the share of images so confident."""
    across = 4
    lines = -(-len(methods) // across)
    figure, axes = style.subplots(
        2 * lines, across, style.DOUBLE, 2.5 * lines + 0.7, sharex=True, sharey="row", height_ratios=[3, 1] * lines
    )
    above, below = axes[0::2].ravel(), axes[1::2].ravel()
    for ax in (*above[len(methods) :], *below[len(methods) :]):
        ax.set_axis_off()
    for ax, shares, method in zip(above, below, methods, strict=False):
        ax.plot([0, 1], [0, 1], color=style.GREY, linewidth=0.7, linestyle=(0, (4, 2)))
        for predictor in ("last", "ensemble"):
            frame = select(reliability, method=method, predictor=predictor).frame()
            weighted = frame.assign(c=frame["confidence"] * frame["share"], a=frame["accuracy"] * frame["share"])
            sums = weighted.groupby("bin")[["c", "a", "share"]].sum()
            confidence = sums["c"] / sums["share"]
            look = {"color": COLOURS[method] if predictor == "ensemble" else style.GREY, "marker": MARKERS[predictor]}
            ax.plot(confidence, sums["a"] / sums["share"], **look, markersize=3, linewidth=0.9, clip_on=False)
            shares.plot(confidence, sums["share"] / sums["share"].sum(), **look, markersize=2, linewidth=0.9)
        ax.set(title=method, xlim=(0, 1.02), ylim=(0, 1.02), xticks=[0, 0.5, 1])
        shares.set(yscale="log", ylim=(3e-4, 1.3), yticks=[1e-3, 1e-2, 1e-1, 1], yticklabels=["0.1 %", "", "10 %", ""])
        shares.minorticks_off()
        if ax.get_subplotspec().is_first_col():
            ax.set_ylabel("share right")
            shares.set_ylabel("share of\nimages")
        if len(methods) - list(methods).index(method) <= across:
            shares.tick_params(labelbottom=True)
            shares.set_xlabel("confidence")
    handles = [
        Line2D([], [], color=style.GREY, marker="o", markersize=3),
        Line2D([], [], color="k", marker="s", markersize=3),
    ]
    figure.legend(handles, ["last network", "ensemble (coloured)"], ncols=2, **LEGEND)
    style.note(
        figure,
        f"{seeds_text(reliability, 'method')}, taken together; test images; "
        "bins of equal width, at their mean confidence\nbelow each panel: how many of the images are in a bin, "
        "on a logarithmic axis; where they are few, a point above is mostly chance",
    )
    return figure


def calibration(calibration: kinds.nld.CALIBRATION, *, methods: list[str]) -> Figure:
    """Calibration error, and how well doubt tells rotated images from upright ones, by method and predictor."""
    columns = {
        "error": ("calibration error", SHARE),
        "overconfidence": ("overconfidence", (-1.0, 1.0)),
        "detection": ("rotated told from upright (AUC)", SHARE),
    }
    figure, axes = style.subplots(1, 3, style.DOUBLE, 0.3 * len(methods) + 1.1, sharey=True)
    for ax, (column, (label, possible)) in zip(axes[0], columns.items(), strict=True):
        for place, method in enumerate(methods):
            for shift, predictor in ((-0.15, "last"), (0.15, "ensemble")):
                values = select(calibration, method=method, predictor=predictor).values(column)
                look = {"color": COLOURS[method], "marker": MARKERS[predictor], "markersize": 4}
                bar(ax, place + shift, values, possible, **look)
        ax.set_xlabel(label)
        ax.grid(axis="x", linewidth=0.3)
    axes[0][0].set_xlim(left=0)
    axes[0][1].axvline(0, color=style.GREY, linewidth=0.7)
    axes[0][0].set_yticks(range(len(methods)), methods)
    axes[0][0].invert_yaxis()
    predictors = ("last", "ensemble")
    handles = [Line2D([], [], color="k", marker=MARKERS[name], linestyle="", markersize=4) for name in predictors]
    figure.legend(handles, [NAMES[name] for name in predictors], ncols=2, **LEGEND)
    style.letters(axes[0])
    style.note(
        figure,
        f"{seeds_text(calibration, 'method')}; {BARS}; overconfidence: confidence less accuracy; "
        "AUC of the predictive entropy",
    )
    return figure
