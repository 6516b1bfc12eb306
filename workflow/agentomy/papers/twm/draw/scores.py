"""Published scores on Atari with 100k interactions, and how evenly sampling rules use them (TWM)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from agentomy import kinds
from agentomy.drawing import style
from agentomy.drawing.tables import LEGEND
from agentomy.kinds.twm import OURS
from agentomy.selection import select
from agentomy.tables import Table

PAPER = "TWM"  # the method of the paper: its name is bold, its line thick
COLOURS = {
    PAPER: style.COLOURS["blue"],
    "SimPLe": style.COLOURS["pink"],
    "IRIS": style.COLOURS["vermillion"],
    "STORM": style.COLOURS["green"],
    "DIAMOND": style.COLOURS["orange"],
}
NAMES = {"DrQ(eps)": "DrQ(ε)", "DreamerV3": "DreamerV3*"}
HEADS = {"DreamerV3": "Dreamer\nV3*", "EfficientZero": "Efficient\nZero"}  # for narrow columns
BOOTSTRAP = "95 % intervals by the stratified bootstrap over runs"
PANELS = {"median": "Median", "IQM": "IQM", "mean": "Mean", "optimality gap": "Optimality gap"}


def colour(method: str) -> str:
    return COLOURS.get(method, style.GREY)


def named(method: str) -> str:
    return NAMES.get(method, method)


def counts(normalised: Table) -> dict[str, int]:
    """Published runs of a game behind a method's numbers; 0 where that is not known."""
    frame = normalised.frame(["method", "game", "seed", "runs"])
    size = frame.groupby(["method", "game"]).size().groupby("method").max()
    means = frame.groupby("method")["runs"].max()
    return {method: int(size[method] * means[method]) for method in size.index}


# ---- main table -----------------------------------------------------------------------------------------------------


def main(normalised: kinds.twm.NORMALISED, published: kinds.twm.PUBLISHED, *, methods: list[str]) -> Figure:
    """Games × methods: mean scores, the best one in bold; mean and median of human-normalised scores below."""
    shown = published.frame().groupby(["game", "method"])["score"].mean().unstack()
    columns = ["random", "human", *methods]
    for method in methods:
        select(normalised, method=method)
    hns = normalised.frame().groupby(["game", "method"])["hns"].mean().unstack()[methods]
    runs = counts(normalised)
    heads = [HEADS.get(name, named(name)) + (f"\nn = {runs[name]}" if runs.get(name) else "\n") for name in columns]
    rows = [
        (game, [score(value) for value in shown.loc[game, columns]], best(shown.loc[game, methods]))
        for game in shown.index
    ]
    for name, averages in (("Mean", hns.mean()), ("Median", hns.median())):
        texts = ["0.00", "1.00", *(f"{average:.2f}" for average in averages)]
        rows.append((f"{name} of normalised scores", texts, best(averages)))
    figure, axes = style.subplots(1, 1, style.DOUBLE, 0.158 * (len(rows) + 4.2))
    ax = axes[0][0]
    ax.set_axis_off()
    places = 0.115 + 0.885 * (np.arange(len(columns)) + 1) / len(columns)
    places[2:] += 0.004
    ax.set(xlim=(0, 1.004), ylim=(len(rows) + 0.3, -3.2))
    look = {"fontsize": 6.2, "va": "center"}
    for x, text in zip(places, heads, strict=True):
        ax.text(x, -0.75, text, ha="right", **{**look, "va": "bottom"}, linespacing=1.2)
    last = len(rows) - 2
    for y, (name, texts, bold) in enumerate(rows):
        at = y + 0.3 * (y >= last)
        ax.text(0, at, "Mean HNS" if y == last else "Median HNS" if y > last else name, ha="left", **look)
        for x, text, method in zip(places, texts, columns, strict=True):
            weight = "bold" if method in bold else "normal"
            shade = style.GREY if method in ("random", "human") else "black"
            ax.text(x, at, text, ha="right", fontweight=weight, color=shade, **look)
    for y in (-3.1, -0.6, last - 0.35, len(rows) + 0.0):
        ax.axhline(y, color="black", linewidth=0.5, clip_on=False)
    style.note(
        figure,
        "Published scores, none of them ours; n: runs a game. Bold: best method of a game. HNS: human-\n"
        "normalised score. *DreamerV3: ends of training curves, not evaluations. EfficientZero: one number a game.",
    )
    return figure


def score(value: float) -> str:
    """A score as people write it: with a decimal only where it says something."""
    return (f"{value:.1f}" if abs(value) < 1000 else f"{value:.0f}").replace("-", "−")


def best(values: pd.Series) -> set[str]:
    """The methods that have the largest value; several if equal."""
    return set(values.index[np.isclose(values, values.max(), rtol=0, atol=1e-9)])


# ---- aggregates -----------------------------------------------------------------------------------------------------


def aggregates(estimates: kinds.twm.ESTIMATES, normalised: kinds.twm.NORMALISED, *, methods: list[str]) -> Figure:
    """Four panels with a row a method: estimate and interval; hollow where there is no interval."""
    figure, axes = style.subplots(1, len(PANELS), style.DOUBLE, 0.2 * len(methods) + 1.0, sharey=True)
    for ax, (quantity, title) in zip(axes[0], PANELS.items(), strict=True):
        for place, method in enumerate(methods):
            estimate(ax, place, select(estimates, method=method, quantity=quantity), colour(method))
        ax.set_title(title)
        ax.grid(axis="x", linewidth=0.3)
        ax.margins(x=0.08)
        ax.set_xlim(left=0)
        ax.tick_params(axis="y", length=0)
    runs = counts(normalised)
    labels = [named(method) + (f" ({runs[method]})" if runs[method] else "") for method in methods]
    for label, method in zip(axes[0][0].set_yticks(range(len(methods)), labels), methods, strict=True):
        label.label1.set_fontweight("bold" if method == PAPER else "normal")
    axes[0][0].set_ylim(len(methods) - 0.4, -0.6)
    axes[0][-1].set_xlabel("less is better")
    axes[0][1].set_xlabel("human-normalised score (0: random policy, 1: person)", x=1.05)
    style.note(
        figure,
        f"Published scores of 26 games, none of them ours; (n): runs a game. Bars: {BOOTSTRAP}; hollow: none\n"
        "known. *DreamerV3: ends of training curves, not evaluation episodes. EfficientZero: one number a game.",
    )
    return figure


def estimate(ax: Axes, place: float, row: Table, shade: str) -> None:
    value, low, high = (row.values(name)[0] for name in ("value", "low", "high"))
    known = np.isfinite(low)
    reach = [[value - low], [high - value]] if known else None
    ax.errorbar(
        value, place, xerr=reach, color=shade, marker="o", markersize=4, markerfacecolor=shade if known else "white"
    )


def games(normalised: kinds.twm.NORMALISED, *, methods: list[str]) -> Figure:
    """Runs one by one and their means, a panel a game: our own runs first, then published ones."""
    played = sorted(set(select(normalised, method=OURS).values("game")))
    shown = [OURS, *methods]
    figure, axes = style.subplots(1, len(played), style.DOUBLE, 0.2 * len(shown) + 1.1, sharey=True)
    for ax, game in zip(axes[0], played, strict=True):
        for place, method in enumerate(shown):
            hns = select(normalised, method=method, game=game).values("hns")
            shade = "black" if method == OURS else colour(method)
            ax.plot(hns, np.full(len(hns), place), "o", markersize=3.5, color=shade, alpha=0.6, markeredgewidth=0)
            ax.plot(hns.mean(), place, "|", markersize=10, markeredgewidth=1.6, color=shade)
        for reference in (0, 1):
            ax.axvline(reference, color=style.GREY, linewidth=0.7, linestyle=(0, (4, 2)), zorder=0)
        ax.set_title(game)
        ax.margins(x=0.1)
        ax.tick_params(axis="y", length=0)
        ax.locator_params(axis="x", nbins=4)
    runs = counts(normalised)
    axes[0][0].set_yticks(range(len(shown)), [f"{named(method)} ({runs[method]})" for method in shown])
    axes[0][0].set_ylim(len(shown) - 0.5, -0.5)
    label = "human-normalised score (broken lines: 0, random policy, and 1, person)"
    axes[0][(len(played) - 1) // 2].set_xlabel(label, x=0.5 if len(played) % 2 else 1.05)
    style.note(figure, f"{OURS}: our own runs, the others published; points: runs, bars: means, (n): runs a game")
    return figure


# ---- performance profile, probability of improvement ----------------------------------------------------------------


def profile(profiles: kinds.twm.PROFILE, normalised: kinds.twm.NORMALISED, *, methods: list[str]) -> Figure:
    """Share of runs above a threshold, with bands."""
    figure, axes = style.subplots(1, 1, style.DOUBLE, 2.9)
    ax = axes[0][0]
    for method in methods:
        rows = select(profiles, method=method).frame().sort_values("threshold")
        x = rows["threshold"]
        ax.plot(x, rows["share"], color=colour(method), label=method, linewidth=1.8 if method == PAPER else 1.1)
        ax.fill_between(x, rows["low"], rows["high"], color=colour(method), alpha=0.16, linewidth=0)
    ax.set(xlim=(0, x.max()), ylim=(0, 1.02), xlabel="human-normalised score τ", ylabel="share of runs above τ")
    ax.axvline(1, color=style.GREY, linewidth=0.7, linestyle=(0, (4, 2)))
    ax.text(1.06, 0.93, "a person's score", fontsize=7, color=style.GREY)
    figure.legend(ncols=len(methods), **LEGEND)
    text = f"Published scores, none of them ours: 26 games, {published_runs(normalised, methods)}"
    style.note(figure, f"{text}. Bands: {BOOTSTRAP}, by point")
    return figure


def published_runs(normalised: Table, methods: list) -> str:
    """n as one number, or by method where methods differ."""
    runs = {method: counts(normalised)[method] for method in methods}
    if len(set(runs.values())) == 1:
        return f"n = {runs[methods[0]]} runs each"
    return "n = " + ", ".join(f"{count} ({method})" for method, count in runs.items())


def improvement(
    improvements: kinds.twm.COMPARED, normalised: kinds.twm.NORMALISED, *, method: str, others: list[str]
) -> Figure:
    """How likely a run of a method beats one of others on a random game."""
    figure, axes = style.subplots(1, 1, style.SINGLE, 0.24 * len(others) + 1.15)
    ax = axes[0][0]
    for place, other in enumerate(others):
        row = select(improvements, method=method, other=other, quantity="probability of improvement")
        estimate(ax, place, row, colour(other))
    ax.axvline(0.5, color=style.GREY, linewidth=0.7, linestyle=(0, (4, 2)), zorder=0)
    ax.set_yticks(range(len(others)), [named(other) for other in others])
    ax.set_ylim(len(others) - 0.5, -0.5)
    ax.set(xlim=(0, 1), xlabel=f"P({method} beats the other) on a random game")
    ax.tick_params(axis="y", length=0)
    text = (
        f"Published scores, none of them ours: 26 games,\n{published_runs(normalised, [method, *others])}. Bars: 95 %"
    )
    style.note(figure, f"{text} intervals by the\nstratified bootstrap over runs; broken line: no difference")
    return figure


# ---- visits ---------------------------------------------------------------------------------------------------------

RULES = ("blue", "vermillion", "green", "orange", "pink", "sky")


def visits(visits: kinds.twm.VISITS, *, samplers: dict[str, str]) -> Figure:
    """How often interactions were used, by age; and how many were used how often. `samplers`: name → label."""
    frame = visits.frame()
    last = frame["interaction"].max() + 1
    seeds = sorted(set(frame.groupby("sampler")["seed"].nunique()))
    bins = 100
    figure, axes = style.subplots(1, 2, style.DOUBLE, 2.8, width_ratios=(1.5, 1))
    for (name, label), shade in zip(samplers.items(), RULES, strict=False):
        rows = select(visits, sampler=name).frame()
        age = (rows["interaction"] * bins // last + 0.5) * 100 / bins
        means = rows["visits"].groupby([rows["seed"], age]).mean().unstack("seed")
        axes[0][0].plot(means.index, means.mean(axis=1), color=style.COLOURS[shade], label=label)
        axes[0][0].fill_between(
            means.index, means.min(axis=1), means.max(axis=1), color=style.COLOURS[shade], alpha=0.2, linewidth=0
        )
        edges = np.arange(0, frame["visits"].max() + 10, 10)
        share = np.histogram(rows["visits"], edges)[0] / len(rows)
        axes[0][1].stairs(share, edges, color=style.COLOURS[shade], linewidth=1.2)
    average = frame["visits"].mean()
    for line in (axes[0][0].axhline, axes[0][1].axvline):
        line(average, color=style.GREY, linewidth=0.7, linestyle=(0, (4, 2)), zorder=0)
    axes[0][0].text(99, average * 1.06, f"all alike: {average:.0f}", fontsize=7, color=style.GREY, ha="right")
    axes[0][0].set(xlim=(0, 100), ylim=(0, None), ylabel="times used as a start")
    axes[0][0].set_xlabel("interaction, oldest to newest (% of the buffer)")
    axes[0][1].set(xlim=(0, None), ylim=(0, None), xlabel="times used as a start", ylabel="share of interactions")
    axes[0][1].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    style.letters(axes[0])
    figure.legend(ncols=len(samplers), **LEGEND)
    size = f"{last:,.0f}".replace(",", " ")
    text = f"Simulation of the rule alone, {size} interactions; n = {' to '.join(map(str, seeds))} random streams"
    style.note(figure, f"{text}: mean over each 1 % of the buffer; band (narrow): range over streams")
    return figure
