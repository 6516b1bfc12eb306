"""Trimming and boosting, and what policies earn: curves, arms beside each other, and tables (F3, F6, F7, T1–T10)."""

from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from agentomy import kinds
from agentomy.drawing import style
from agentomy.drawing.tables import BANDS, LEGEND, intervals, mean_interval, non_empty, seeds_text, thousands
from agentomy.lenses.paths.draw import LEADING, PATHS, SEED, WHOLE, draw_course, path_legend, snapshots
from agentomy.selection import select
from agentomy.tables import Table
from agentomy.values import Count, Natural

BASE = style.GREY
PPTB = style.COLOURS["vermillion"]
MEASURES = {"score": "Score", "auc": "AUC", "final": "final"}
HALVES = {"half1": "first half of learning", "half2": "second half of learning"}
DASH = "–"
KEPT, BOOST = 4, 0.25  # directions kept and boost in the scheme; a boost that is used would hardly be seen


# ---- trimming and boosting ------------------------------------------------------------------------------------------


def scheme(courses: kinds.paths.COURSES, *, run: str, seed: Natural, minor: Count = 8) -> Figure:
    """F3: what trimming and boosting do to the last policy of a real path, in the plane of two of its directions.

    These are the first direction and number `minor`.
    """
    if minor <= KEPT:
        raise ValueError(f"scheme: direction {minor} must be trimmed; kept are 1 to {KEPT}")
    rows = select(courses, run=run, seed=seed, path="real", **WHOLE)
    x, y = (_coordinates(select(rows, direction=direction)) for direction in (1, minor))
    last, trimmed = np.array([x[-1], y[-1]]), np.array([x[-1], 0.0])
    boosted = np.array([x[-1] + BOOST * (x[-1] - x[0]), 0.0])
    figure, axes = style.subplots(1, 1, style.SINGLE, 2.9)
    ax = axes[0, 0]
    ax.plot(x, y, color=PATHS["real"]["color"], marker=".", markersize=2.5, linewidth=0.8)
    ax.plot(x[0], y[0], "o", color=PATHS["real"]["color"], markerfacecolor="w", markersize=5)
    ax.axhline(0, color=style.GREY, linewidth=0.5, linestyle=":")
    steps = ((last, trimmed, style.COLOURS["vermillion"]), (trimmed, boosted, "k"))
    for start, end, colour in steps:
        ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0})
    ax.plot(*last, "s", color=PATHS["real"]["color"], markersize=5, zorder=4)
    ax.plot(*boosted, "*", color="k", markersize=8, zorder=4)
    handles = [
        Line2D([], [], color=PATHS["real"]["color"], marker="o", markerfacecolor="w", markersize=5),
        Line2D([], [], color=PATHS["real"]["color"], marker="s", linestyle="", markersize=5),
        Line2D([], [], color=style.COLOURS["vermillion"]),
        Line2D([], [], color="k", marker="*", markersize=7),
    ]
    labels = [
        "path from its first snapshot",
        "last policy",
        f"trimmed: {KEPT} directions kept",
        f"boosted by {BOOST:g}",
    ]
    figure.legend(handles, labels, ncols=2, **LEGEND)
    ax.margins(0.1)
    ax.set(xlabel="coordinate on direction 1, s U[:, 1]")
    ax.set_ylabel(f"coordinate on direction {minor}, s U[:, {minor}]")
    text = f"run {run}, seed {seed}, {WHOLE['variant']} path; {snapshots(rows)}"
    style.note(figure, f"{text}\nthe axes have different scales")
    return figure


def _coordinates(row: Table) -> np.ndarray:
    return row.array("course")[0] * row.values("singular_value")[0]


# ---- curves ---------------------------------------------------------------------------------------------------------


def left_columns(courses: kinds.paths.COURSES, rollouts: kinds.paths.ROLLOUTS, *, runs: list[str]) -> Figure:
    """F6: each run's learning curve, and its policy's way along the leading directions of its path."""
    widths = [1.4, *(1 for _ in LEADING)]
    height = 1.45 * len(non_empty(runs, "runs")) + 0.7
    figure, axes = style.subplots(len(runs), len(widths), style.DOUBLE, height, width_ratios=widths)
    drawn = []
    for (curve, *panels), run in zip(axes, runs, strict=True):
        draw_returns(curve, rollouts, run, color=PATHS["real"]["color"])
        curve.set_ylabel(f"{run}\nreturn (reward)")
        rows = select(courses, run=run, seed=SEED, **WHOLE)
        for ax, direction in zip(panels, LEADING, strict=True):
            draw_course(ax, rows, direction)
            ax.set_title(f"U[:, {direction}]" if run == runs[0] else "")
        drawn += rows.values("path").tolist()
    for ax in axes[-1]:
        ax.set_xlabel("update")
    path_legend(figure, [path for path in PATHS if path in drawn])
    style.letters(axes.ravel())
    shown = courses.where(run=runs, seed=SEED, path="real", **WHOLE)
    count = seeds_text(rollouts.where(run=runs, directions=-1))
    text = f"returns: mean over seeds, {BANDS}, {count}"
    courses_text = f"U: {WHOLE['variant']} path of the whole network, seed {SEED}; {snapshots(shown)}"
    style.note(figure, f"{text}\n{courses_text}")
    return figure


def learning_curves(rollouts: kinds.paths.ROLLOUTS, *, arms: dict[str, list[str]], labels: list[str]) -> Figure:
    """F7: returns along training; each panel compares one run (red) with its base (grey).

    `arms` is panel → base and compared run, `labels` what the two are called in all panels.
    """
    for title, runs in non_empty(arms, "panels").items():
        if len(runs) != 2:
            raise ValueError(f"learning_curves: '{title}' must name a base and a run beside it, not {len(runs)} runs")
    columns = 2 if len(arms) in (2, 4) else min(len(arms), 3)
    lines = -(-len(arms) // columns)
    width = style.SINGLE if columns == 1 else style.DOUBLE
    bases = [base for base, _ in arms.values()]
    alike = all(len(set(bases[start : start + columns])) == 1 for start in range(0, len(bases), columns))
    figure, axes = style.subplots(
        lines, columns, width, 1.85 * lines + 0.7, sharex=alike, sharey="row" if alike else False
    )
    panels = axes.ravel()
    looks = [{"color": BASE, "zorder": 2}, {"color": PPTB, "zorder": 4}]
    for ax, (title, runs) in zip(panels, arms.items(), strict=False):
        for run, look in zip(runs, looks, strict=True):
            draw_returns(ax, rollouts, run, **look)
        ax.set_title(title)
    for ax in panels[max(len(arms) - columns, 0) : len(arms)]:  # the lowest of each column
        ax.set_xlabel("training update")
        ax.tick_params(labelbottom=True)
    for ax in panels[len(arms) :]:
        ax.set_axis_off()
    for ax in axes[:, 0]:
        ax.set_ylabel("average return (reward)")
    figure.legend([Line2D([], [], **look) for look in looks], labels, ncols=2, **LEGEND)
    if len(arms) > 1:
        style.letters(panels[: len(arms)])
    rows = rollouts.where(run=[run for runs in arms.values() for run in runs], directions=-1)
    counts = rows.frame(["run", "seed", "update"]).groupby(["run", "seed", "update"]).size()
    episodes = f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
    style.note(figure, f"lines: mean over seeds, {BANDS}, {seeds_text(rows)}; {episodes} evaluation episodes a point")
    return figure


def draw_returns(ax: Axes, rollouts: Table, run: str, **look) -> None:
    """The average return of a run's snapshots along training: mean over seeds and its 95 % interval."""
    frame = select(rollouts, run=run, directions=-1).frame()
    over = intervals(frame.groupby(["update", "seed"])["return"].mean().unstack("seed"))
    ax.plot(over.index, over["mean"], **look)
    ax.fill_between(over.index, over["low"], over["high"], color=look["color"], alpha=0.2, linewidth=0)
    ax.locator_params(axis="x", nbins=4)
    ax.xaxis.set_major_formatter(thousands)


# ---- tables ---------------------------------------------------------------------------------------------------------


def scores_table(scores: kinds.paths.SCORES, *, pairs: dict[str, str]) -> Figure:
    """T1–T3: Score and AUC of base runs and of the runs compared with them, and the change relative to the base.

    `pairs` is base → run.
    """
    rows, changes = [], {"score": [], "auc": []}
    for base, run in non_empty(pairs, "pairs").items():
        cells = [base, run]
        for measure in changes:
            of_base, of_run = (_by_seed(scores, name, measure) for name in (base, run))
            before, after = of_base.mean(), of_run.mean()
            changes[measure].append(100 * (after - before) / abs(before) if before else np.nan)
            cells += [_spread(of_base, "std"), _spread(of_run, "std"), _percent(changes[measure][-1])]
        rows.append([*cells, "/".join(str(count) for count in dict.fromkeys([len(of_base), len(of_run)]))])
    header = ["base", "other", "Score\nof base", "Score\nof other", "change", "AUC\nof base", "AUC\nof other", "change"]
    aggregate = ["aggregate", "", "", "", _percent(np.nanmean(changes["score"])), "", ""]
    aggregate += [_percent(np.nanmean(changes["auc"])), ""]
    places = [0.0, 0.145, 0.44, 0.565, 0.65, 0.775, 0.895, 0.975, 1.0]
    figure = booktabs([*header, "n"], [("", rows), ("", [aggregate])], places, left=2)
    text = "Mean ± s.d. over n training seeds, reward. Score: best average return over learning; AUC: its mean."
    style.note(figure, text + "\nChange: of the mean, relative to the base's size; aggregate: mean of the changes.")
    return figure


def controls_table(scores: kinds.paths.SCORES, *, arms: dict[str, str]) -> Figure:
    """T10: all `arms` (run → label) of a comparison, and each one's difference from the first (the base) by seed."""
    base, *_ = non_empty(arms, "arms")
    rows, counts = {run: [label] for run, label in arms.items()}, set()
    for measure in MEASURES:
        of_base = _by_seed(scores, base, measure)
        for run in arms:
            of_run = _by_seed(scores, run, measure)
            both = of_run.index.intersection(of_base.index)
            if both.empty:
                raise ValueError(f"scores: run '{run}' has no seed in common with '{base}'")
            paired = (DASH, "") if run == base else _paired(of_run.loc[both] - of_base.loc[both])
            rows[run] += [_spread(of_run, "sem"), " ".join(paired).strip()]
            counts.add(len(both))
    header = ["arm", *(name for _ in MEASURES for name in ("mean ± s.e.", "difference"))]
    share = 0.79 / len(MEASURES)  # of the width
    starts = [0.21 + share * number for number in range(len(MEASURES))]
    ends = [end for start in starts for end in (start + 0.4 * share, start + share)]
    spans = [
        (title, start + 0.05 * share, start + share) for title, start in zip(MEASURES.values(), starts, strict=True)
    ]
    figure = booktabs(header, [("", [*rows.values()])], [0.0, *ends], spans=spans, fontsize=6)
    text = "Reward. Score: best average return over learning; AUC: its mean; final: the last snapshot's."
    n = " to ".join(map(str, sorted({min(counts), max(counts)})))
    style.note(
        figure,
        f"{text}\nDifference: from the first arm, paired by seed, and its Student's t interval (95 %), n = {n} seeds",
    )
    return figure


def _by_seed(scores: Table, run: str, measure: str) -> pd.Series:
    """The values of one measure of a run, indexed by seed."""
    return select(scores, run=run, measure=measure).frame().set_index("seed")["value"]


def reconstruction_table(reconstruction: kinds.paths.RECONSTRUCTION, *, run: str) -> Figure:
    """T4–T9: returns of policies rebuilt from k directions, in the two halves of learning."""
    rows = select(reconstruction, run=run, period=list(HALVES))
    frame = rows.frame()
    halves = [half for half in HALVES if half in set(frame["period"])]
    quantities = ["mean", "difference", "maximum", "minimum"]
    means = frame.groupby(["directions", "period"])[quantities].mean()
    ordered = sorted(frame["directions"].unique(), key=lambda k: (k == -1, k))
    header = ["k", *(name for _ in halves for name in ("mean\nAR", "mean\n|ΔR|", "max.", "min."))]
    lines = []
    for k in ordered:
        cells = ["snapshots" if k == -1 else str(k)]
        for half in halves:
            numbers = means.loc[(k, half)] if (k, half) in means.index else pd.Series(np.nan, quantities)
            cells += [DASH if name == "difference" and k == -1 else _number(numbers[name]) for name in quantities]
        lines.append(cells)
    width = style.DOUBLE * (0.15 + 0.425 * len(halves))
    share = 0.88 / len(halves)  # of the width
    starts = [0.15 + share * number for number in range(len(halves))]
    ends = [start + (share - 0.03) * column / 4 for start in starts for column in (1, 2, 3, 4)]
    spans = [(HALVES[half], start, start + share - 0.03) for half, start in zip(halves, starts, strict=True)]
    figure = booktabs(header, [("", lines)], [0.0, *ends], width=width, spans=spans)
    count = "–".join(str(number) for number in dict.fromkeys([frame["snapshots"].min(), frame["snapshots"].max()]))
    text = f"run {run}, reward; AR: average return of a policy rebuilt from k directions; ΔR: from its snapshot's AR."
    style.note(figure, f"{text}\n{count} snapshots a half; means over seeds, {seeds_text(rows)}")
    return figure


def booktabs(
    header: list[str],
    blocks: list[tuple[str, list[list[str]]]],
    places: list[float],
    width: float = style.DOUBLE,
    left: int = 1,
    spans: list[tuple[str, float, float]] = (),
    fontsize: float = 7,
) -> Figure:
    """A table as a figure: blocks of rows, separated by a title or a thin rule, with cells that end at `places`.

    The first `left` columns begin at their places; a span is a title over several columns, given with its two ends.
    """
    lines = sum(len(rows) + (1.5 if title else 0.6) for title, rows in blocks) + 2.2 + 1.6 * bool(spans)
    figure, axes = style.subplots(1, 1, width, 0.19 * (lines + 3))
    ax = axes[0, 0]
    ax.set_axis_off()

    def write(cells: list[str], y: float, **text) -> None:
        for number, (x, cell) in enumerate(zip(places, cells, strict=True)):
            ax.text(x, y, cell, ha="right" if number >= left else "left", va="center", fontsize=fontsize, **text)

    def rule(y: float, thickness: float, start: float = 0, end: float = 1) -> None:
        ax.plot([start, end], [y, y], color="k", linewidth=thickness)

    line = 0.0
    rule(line, 1.0)
    for title, start, end in spans:
        ax.text((start + end) / 2, line - 0.8, title, ha="center", va="center", fontsize=fontsize)
        rule(line - 1.5, 0.4, start, end)
    line -= 1.6 * bool(spans) + 1.2
    write(header, line, fontweight="bold", linespacing=1)
    line -= 1.0
    rule(line, 0.6)
    for number, (title, rows) in enumerate(blocks):
        if title:
            line -= 0.9
            ax.text(0, line, title, va="center", fontsize=fontsize, style="italic", color=style.GREY)
            line -= 0.1
        elif number:
            line -= 0.4
            rule(line, 0.4)
        for cells in rows:
            line -= 1
            write(cells, line + (0 if title else 0.1))
        line -= 0.3
    rule(line - 0.3, 1.0)
    ax.set(xlim=(-0.01, 1.01), ylim=(line - 0.5, 0.2))
    return figure


def _spread(values: pd.Series, spread: Literal["std", "sem"]) -> str:
    """Mean ± spread over seeds; of a single seed only its value."""
    if len(values) == 1:
        return _number(values.iloc[0])
    return f"{_number(values.mean())} ± {_number(getattr(values, spread)())}"


def _paired(differences: pd.Series) -> tuple[str, str]:
    """Mean and 95 % Student-t interval of differences over seeds; there is no interval for one seed."""
    mean, low, high = mean_interval(differences.to_numpy())
    return _signed(mean), DASH if np.isnan(low) else f"[{_signed(low)}, {_signed(high)}]"


def _number(value: float) -> str:
    """At most three digits, but all digits of large numbers: 0.12, 1.23, 12.3, 1234."""
    if np.isnan(value):
        return DASH
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f}".replace("-", "−")


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + _number(value)


def _percent(value: float) -> str:
    return DASH if np.isnan(value) else f"{value:+.1f} %".replace("-", "−")
