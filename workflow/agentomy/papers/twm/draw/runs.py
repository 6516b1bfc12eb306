"""World models that learnt here: returns, losses and the policy's entropy along learning (TWM)."""

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator

from agentomy import kinds
from agentomy.drawing import style
from agentomy.drawing.tables import BANDS, LEGEND, intervals, non_empty, seeds_text, thousands
from agentomy.lenses.rows import UNTRAINED
from agentomy.selection import select
from agentomy.tables import Table

FIRST, BESIDE = style.COLOURS["blue"], style.COLOURS["vermillion"]
BAND = {"alpha": 0.18, "linewidth": 0}
DOTTED = {"linewidth": 0.8, "linestyle": (0, (1, 1.5))}
DASHED = {"linewidth": 0.9, "linestyle": (0, (4, 1.5))}
# what is reported of training, and how a panel calls it; losses without their weights
PANELS = {
    "policy_entropy": "entropy of the policy\n(share of the largest)",
    "next_latent": "next latent (nats)",
    "reward": "reward (nats)",
    "discount": "discount (nats)",
    "reconstruction": "reconstruction (nats)",
    "evenness": "evenness of sampling\n(share of the largest entropy)",
}
MODEL = ("next_latent", "reward", "discount")  # what the dynamics model predicts
THRESHOLD = 0.1  # of the policy's entropy: below it costs (in our runs the agent's default)
LEAST = 1e-6  # nats: a constant with a smaller loss is perfect
RANGES = "lines: mean over seeds, bands: their range"


def learning_curves(
    rollouts: kinds.paths.ROLLOUTS, log: kinds.common.LOG, *, panels: dict[str, dict[str, str]]
) -> Figure:
    """Average return against interactions: a line of panels a game, each with one run beside the game's first.

    `panels` is game → {run: label}. Games with one run each stand in one line.
    """
    firsts = {title: next(iter(non_empty(runs, f"runs of '{title}'"))) for title, runs in panels.items()}
    others = list(dict.fromkeys(label for runs in panels.values() for label in [*runs.values()][1:]))
    alone = not others
    lines, columns = (1, len(non_empty(panels, "panels"))) if alone else (len(panels), len(others))
    width = style.SINGLE if columns == 1 else style.DOUBLE
    figure, axes = style.subplots(
        lines, columns, width, 1.75 * lines + 0.9, sharex=not alone, sharey=not alone and "row"
    )
    steps, used, floored = interactions(log), [], []
    for number, (title, runs) in enumerate(panels.items()):
        first = firsts[title]
        beside = {label: run for run, label in runs.items() if run != first}
        rows = rollouts.where(run=[*runs])
        line = axes[0, number:] if alone else axes[number]
        places = dict(zip(others, line, strict=True)) if beside else {title: line[0]}
        for name, ax in places.items():
            if beside and name not in beside:
                continue
            used.append(ax)
            for run, colour in ((first, FIRST), (beside.get(name), BESIDE)):
                if run is not None:
                    draw_returns(ax, select(rollouts, run=run, directions=-1), steps, colour)
            untrained = rows.where(update=UNTRAINED).values("return").mean()
            ax.axhline(untrained, color=style.GREY, zorder=1, **DOTTED)
            if rows.where(directions=-1).values("return").min() >= 0:
                floored.append(ax)
            ax.set_title(fill(name, 16), fontsize=7)
            ax.tick_params(labelbottom=True)
        axes[0 if alone else number, 0].set_ylabel("average return (reward)" if alone else f"{title}\naverage return")
    for ax in set(axes.ravel()) - set(used):
        ax.set_axis_off()
    for ax in used:  # now that all is drawn: limits hold for all panels that share an axis
        along_interactions(ax)
    for ax in floored:
        ax.set_ylim(bottom=0)
    looks = {" or ".join(dict.fromkeys(panels[title][run] for title, run in firsts.items())): FIRST}
    looks |= {} if alone else {"the run that the panel names": BESIDE}
    legend(figure, looks, {"untrained": {"color": style.GREY, **DOTTED}})
    if len(used) > 1:
        style.letters(used)
    rows = rollouts.where(run=[run for runs in panels.values() for run in runs], directions=-1)
    per = rows.frame(["run", "seed", "update"]).groupby(["run", "seed", "update"]).size()
    episodes = f"{per.min()} evaluation episodes a point"
    if per.max() > per.min():
        episodes += f" ({per.max()} at the end)"
    text = f"lines: mean over seeds, {BANDS}, {seeds_text(rows)}"
    style.note(figure, f"{text}\n{episodes}, actions drawn from the policy")
    return figure


def draw_returns(ax: Axes, rollouts: Table, steps: dict[tuple[str, int], pd.Series], colour: str) -> None:
    """One run's average return at its snapshots: mean over seeds and its 95 % interval."""
    run = rollouts.values("run")[0]
    means = rollouts.frame().groupby(["update", "seed"])["return"].mean().unstack("seed")
    x = [
        np.mean([step_of(steps, run, seed, update) for seed in row.dropna().index]) for update, row in means.iterrows()
    ]
    over = intervals(means)
    ax.plot(x, over["mean"], color=colour)
    ax.fill_between(x, over["low"], over["high"], color=colour, **BAND)


def along_learning(log: kinds.common.LOG, *, runs: dict[str, str], quantities: list[str]) -> Figure:
    """The `quantities` that training reported; the policy's entropy with the threshold below which it costs.

    The first run has a band; those of all would lie over each other.
    """
    first, *_ = non_empty(runs, "runs").values()
    count = len(non_empty(quantities, "quantities"))
    columns = min(count, 3)
    lines = -(-count // columns)
    figure, axes = style.subplots(lines, columns, style.DOUBLE, 1.9 * lines + 0.6)
    looks, reported = colours({"": runs}), dict([*log.frame().groupby("run", sort=False)])
    missing = [run for run in runs if run not in reported]
    if missing:
        raise ValueError(f"log: no run '{missing[0]}'; there are: {', '.join(reported)}")
    steps = interactions(log)
    for ax, quantity in zip(axes.ravel(), quantities, strict=False):
        for run, label in runs.items():
            frame = reported[run][reported[run]["quantity"] == quantity]
            if frame.empty:
                raise ValueError(f"log: run '{run}' has not reported '{quantity}'")
            joint = frame[frame["update"] > pretrained(reported[run])]
            x = [step_of(steps, run, *key) for key in joint[["seed", "update"]].itertuples(index=False)]
            values = pd.DataFrame({"x": x, "update": joint["update"], "value": joint["value"]})
            band(ax, values, looks[label], shaded=label == first, **({"linewidth": 1.8} if label == first else {}))
        if quantity == "policy_entropy":
            ax.axhline(THRESHOLD, color=style.GREY, zorder=1, **DOTTED)
            ax.set_ylim(0, 1.02)
        ax.set_title(PANELS.get(quantity, quantity))
        along_interactions(ax, start=None)
    for ax in axes.ravel()[count:]:
        ax.set_axis_off()
    line = {"threshold": {"color": style.GREY, **DOTTED}} if "policy_entropy" in quantities else {}
    legend(figure, looks, line)
    style.letters(axes.ravel()[:count])
    seeds = sorted({reported[run]["seed"].nunique() for run in runs})
    text = style.seeds(seeds[-1]) if len(seeds) == 1 else f"n = {seeds[0]} to {seeds[-1]} training seeds"
    style.note(
        figure,
        f"lines: mean over seeds, band: range over seeds of {first}, {text}\n"
        "after pre-training, means between two log points; losses without their weights",
    )
    return figure


def fresh_losses(losses: kinds.twm.MODEL_LOSSES, log: kinds.common.LOG, *, runs: dict[str, str]) -> Figure:
    """Losses on fresh steps of each snapshot's own policy, as shares of the best constant's on the same steps.

    They begin with the end of pre-training. Dashed: the network before training. Where the best constant is perfect,
    there is no share. `runs` is run → label.
    """
    figure, axes = style.subplots(1, len(MODEL), style.DOUBLE, 2.7)
    looks, steps = colours({"": non_empty(runs, "runs")}), interactions(log)
    for ax, quantity in zip(axes[0], MODEL, strict=True):
        for run, label in runs.items():
            frame = select(losses, run=run, quantity=quantity).frame()
            by_model = frame.pivot(index=["seed", "update"], columns="model", values="value")
            by_model = by_model[by_model["constant"] > LEAST]
            x = np.array([step_of(steps, run, *key) for key in by_model.index])
            updates = by_model.index.get_level_values("update")
            # of the snapshots before the first step of its own the last
            first = min(known.iloc[0] for (of, _), known in steps.items() if of == run)
            begin = max(updates[x <= first], default=0)
            by_model, x = by_model[updates >= begin], x[updates >= begin]
            for model, look in (("snapshot", {}), ("untrained", DASHED)):
                shares = (by_model[model] / by_model["constant"]).to_numpy()
                values = pd.DataFrame({"x": x, "update": by_model.index.get_level_values("update"), "value": shares})
                band(ax, values, looks[label], shaded=model == "snapshot", **look)
        ax.axhline(1, color="k", zorder=1, **DOTTED)
        low, high = ax.get_ylim()
        if high > 4 * max(low, 0.05):
            ax.set_yscale("log")
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.yaxis.set_major_formatter("{x:g}")
            ax.yaxis.set_minor_locator(NullLocator())
        ax.set_title(PANELS[quantity].removesuffix(" (nats)"))
        along_interactions(ax, start=None)
    axes[0][0].set_ylabel("loss, share of the best constant's")
    others = {"network before training": {"color": style.GREY, **DASHED}, "best constant": {"color": "k", **DOTTED}}
    legend(figure, looks, others)
    style.letters(axes[0])
    text = f"{RANGES}, {seeds_text(losses.where(run=[*runs]))}; fresh steps of each snapshot's own policy"
    style.note(figure, f"{text}, from the end of pre-training on")
    return figure


# ---- parts ----------------------------------------------------------------------------------------------------------


def interactions(log: Table) -> dict[tuple[str, int], pd.Series]:
    """(run, seed) → interactions by update, where they were noted."""
    return {
        (run, seed): rows.sort_values("update").set_index("update")["value"]
        for run, frame in log.frame().groupby("run", sort=False)
        for seed, rows in frame[frame["quantity"] == "interactions"].groupby("seed")
    }


def step_of(steps: dict[tuple[str, int], pd.Series], run: str, seed: int, update: int) -> float:
    """After how many interactions an update was; before the first there were none."""
    if (run, seed) not in steps:
        raise ValueError(f"log: nothing of run '{run}', seed {seed}")
    known = steps[run, seed]
    return float(np.interp(update, [0, *known.index], [0.0, *known]))


def pretrained(frame: pd.DataFrame) -> int:
    """The last log point at which no step was taken but those before pre-training."""
    steps = frame[frame["quantity"] == "interactions"].groupby("update")["value"].min()
    return int(steps.index[steps <= steps.min()].max()) if len(steps.unique()) > 1 else 0


def band(ax: Axes, values: pd.DataFrame, colour: str, shaded: bool = True, **look) -> None:
    """Mean and range over seeds of `value` at `x`, which may differ a little between seeds of an update."""
    by = values.groupby("update")
    x, mean = by["x"].mean(), by["value"].mean()
    ax.plot(x, mean, color=colour, **look)
    if shaded:
        ax.fill_between(x, by["value"].min(), by["value"].max(), color=colour, **BAND)


def along_interactions(ax: Axes, start: int | None = 0) -> None:
    ax.set_xlim(left=start)
    ax.set_xlabel("interactions")
    ax.locator_params(axis="x", nbins=5)
    ax.xaxis.set_major_formatter(thousands)


def colours(panels: dict[str, dict[str, str]]) -> dict[str, str]:
    """A colour for each label: the same in all panels."""
    labels = list(dict.fromkeys(label for runs in panels.values() for label in runs.values()))
    return dict(zip(labels, style.palette(len(labels)), strict=True))


def legend(figure: Figure, looks: dict[str, str], more: dict[str, dict]) -> None:
    handles = [Line2D([], [], color=colour) for colour in looks.values()]
    handles += [Line2D([], [], **look) for look in more.values()]
    labels = [*looks, *more]
    figure.legend(handles, labels, ncols=min(len(labels), 4), **LEGEND)
