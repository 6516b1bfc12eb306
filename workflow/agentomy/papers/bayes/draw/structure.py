"""What the networks' memories hold beside the sufficient statistics (F5–F7), and all tasks in one table (T1)."""

from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from agentomy import kinds
from agentomy.drawing import style
from agentomy.values import Natural

PANELS = {
    "network": "network states",
    "bayes→network": "mapped from statistics",
    "bayes": "sufficient statistics",
    "network→bayes": "mapped from network",
}
# the colours of three certain categories; predictions in between are mixtures
CORNERS = np.array([to_rgb(colour) for colour in style.CYCLE[:3]])
AGENTS = {
    "trained": style.COLOURS["blue"],
    "untrained": style.COLOURS["orange"],
    "untrained, other forget bias": "#8A8A8A",
}
MARKERS = {"trained": "o", "untrained": "s", "untrained, other forget bias": "^"}
DIRECTIONS = {"R→B": "network to statistics", "B→R": "statistics to network"}
UNITS = {"predictors": "nats per step", "bandits": "reward per episode"}


def state_geometry(components: kinds.bayes.COMPONENTS, *, task: str, seed: Natural, episode: Natural) -> Figure:
    """F5, F6: true and mapped states in their two leading principal components, coloured by output.

    Three outputs (a categorical predictive) mix three colours; one output (a bandit's probability of arm 1) has a
    colour scale. The white line is one episode of a trained network.
    """
    rows = components.where(run=task, seed=seed, agent="trained")
    if not len(rows):
        raise ValueError(f"components: no trained network of run '{task}' with seed {seed}")
    outputs = rows.array("output").shape[1]
    if outputs not in (1, 3):
        raise ValueError(f"components: run '{task}' has {outputs} outputs; state_geometry can colour 1 or 3")
    figure, axes = style.subplots(2, 2, 5.2, 5.0, sharex="row", sharey="row")
    for ax, (panel, title) in zip(axes.ravel(), PANELS.items(), strict=True):
        part = rows.where(panel=panel)
        frame, output = part.frame(), part.array("output")
        colours = {"c": mixed(output)} if outputs == 3 else {"c": output[:, 0], "cmap": "cividis", "vmin": 0, "vmax": 1}
        drawn = ax.scatter(frame["pc1"], frame["pc2"], s=5, linewidth=0, rasterized=True, **colours)
        line = frame[frame["episode"] == episode].sort_values("t")
        if line.empty:
            raise ValueError(f"components: run '{task}' has no episode {episode}")
        ax.plot(line["pc1"], line["pc2"], color="k", linewidth=2.6, solid_joinstyle="round")
        ax.plot(line["pc1"], line["pc2"], color="w", linewidth=1.3, solid_joinstyle="round")
        ax.plot(line["pc1"].iloc[0], line["pc2"].iloc[0], "o", color="w", markeredgecolor="k", markersize=5)
        ax.set(title=title, xlabel="PC 1")
        if panel in ("network", "bayes"):
            ax.set_ylabel(f"PC 2\n(both: {frame['share'].iloc[0] * 100:.0f} % of variance)")
    if outputs == 1:
        figure.colorbar(drawn, ax=axes, label="probability of arm 1", shrink=0.5, pad=0.02)
    else:
        handles = [Line2D([], [], linestyle="", marker="o", color=tuple(colour)) for colour in CORNERS]
        labels = [f"category {number} certain" for number in (1, 2, 3)]
        figure.legend(handles, labels, loc="outside upper center", ncols=3, columnspacing=1, handletextpad=0.2)
    style.letters(axes.ravel())
    count = frame["episode"].nunique()
    style.note(
        figure,
        f"task {task}, seed {seed}, n = {count} episodes, all steps; line: episode {episode}, dot: its start",
    )
    return figure


def mixed(probabilities: np.ndarray) -> np.ndarray:
    """Colours [..., 3] of three probabilities [..., 3]: the corners' colours, mixed."""
    return (np.clip(probabilities, 0, 1) @ CORNERS).clip(0, 1)


def structure(simulation: kinds.bayes.SIMULATION, *, map: Literal["mlp", "linear"], drive: list[str]) -> Figure:
    """F7: state and output dissimilarity of all tasks, both directions of the map, trained against untrained.

    `map` is the sort of map, and `drive` lists who makes the inputs: prior, gittins or network.
    """
    frame = simulation.where(map=map, drive=drive).frame()
    if frame.empty:
        raise ValueError(f"simulation: no {map} map with drive {' or '.join(drive)}")
    families = _families(frame)
    agents = {name: colour for name, colour in AGENTS.items() if name in set(frame["agent"])}
    # a panel for each family and direction, so that no axis has two units; those of one family stand side by side
    widths = [0.5 + len(tasks) for tasks in families.values() for _ in DIRECTIONS]
    width = style.DOUBLE if len(families) > 1 else 0.75 * style.DOUBLE
    figure, axes = style.subplots(2, len(widths), width, 4.4, sharex="col", width_ratios=widths)
    panels = [(family, direction) for family in families for direction in DIRECTIONS]
    for line, value in zip(axes, ("state_error_normalised", "output_error"), strict=True):
        for ax, (family, direction) in zip(line, panels, strict=True):
            here = frame[(frame["direction"] == direction) & frame["run"].isin(families[family])]
            for shift, (agent, colour) in zip(np.linspace(-0.25, 0.25, len(agents)), agents.items(), strict=True):
                seeds = here[here["agent"] == agent].pivot(index="run", columns="seed", values=value)
                seeds = seeds.reindex(families[family])
                places = np.arange(len(seeds)) + shift
                means = [geometric_mean(row) for row in seeds.to_numpy()]
                ax.plot(places, means, linestyle="", marker=MARKERS[agent], markersize=3.5, color=colour)
                ax.vlines(places, seeds.min(axis=1), seeds.max(axis=1), color=colour, linewidth=0.9)
            # panels with the same unit have the same scale
            same = frame if value == "state_error_normalised" else frame[frame["run"].isin(families[family])]
            seen = same.loc[same[value] > 0, value]
            ax.set(yscale="log", ylim=(seen.min() / 1.6, seen.max() * 1.6), xlim=(-0.6, len(families[family]) - 0.4))
            ax.set_xticks(
                range(len(families[family])), families[family], rotation=60, ha="right", rotation_mode="anchor"
            )
            ax.grid(axis="y", linewidth=0.3)
            ax.tick_params(labelleft=direction == next(iter(DIRECTIONS)))
    for ax, (family, direction) in zip(axes[0], panels, strict=True):
        ax.set_title(f"{family}, {direction}\n{DIRECTIONS[direction]}", fontsize=7)
    axes[0, 0].set_ylabel("Ds, share of the\ntarget's variance")
    for ax, family in zip(axes[1, :: len(DIRECTIONS)], families, strict=True):
        ax.set_ylabel(f"Do ({UNITS[family]})")
    handles = [
        Line2D([], [], linestyle="", marker=MARKERS[agent], markersize=4, color=colour)
        for agent, colour in agents.items()
    ]
    figure.legend(handles, list(agents), loc="outside upper center", ncols=len(agents))
    style.letters(axes.ravel())
    count = frame["seed"].nunique()
    kind = {"mlp": "maps by a perceptron", "linear": "linear maps"}[map]
    marks = f"marks: geometric mean over seeds, bars: their range, {style.seeds(count)}"
    style.note(figure, f"statistics: the sufficient ones of the Bayes-optimal agent; {kind}\n{marks}")
    return figure


def _families(frame: pd.DataFrame) -> dict[str, list[str]]:
    """The tasks of predictors and of bandits, as far as there are any."""
    tasks: dict[str, list[str]] = {"predictors": [], "bandits": []}
    for task, rows in frame.groupby("run", sort=False):
        tasks["bandits" if (rows["family"] == "bandit").all() else "predictors"].append(task)
    return {family: names for family, names in tasks.items() if names}


def geometric_mean(values: np.ndarray) -> float:
    return float(np.exp(np.log(values).mean()))


def table(summary: kinds.bayes.SUMMARY) -> Figure:
    """T1: per task what is optimal, what the networks reach, and how far off they are."""
    frame = summary.frame()
    bandit = frame["agreement"].notna()
    figure, axes = style.subplots(1, 1, style.DOUBLE, 0.21 * (len(frame) + 7))
    ax: Axes = axes[0, 0]
    ax.set_axis_off()
    columns = [
        "task",
        "optimum",
        "network",
        "distance",
        "sampled",
        "untrained",
        "Gittins\nagreement",
        "seeds",
        "updates",
    ]
    places = np.array([0.0, 0.22, 0.335, 0.46, 0.57, 0.70, 0.82, 0.90, 1.0])
    line = len(frame) + 4.0

    def write(cells: list[str], y: float, **text) -> None:
        for number, (x, cell) in enumerate(zip(places, cells, strict=True)):
            ax.text(x, y, cell, ha="right" if number else "left", va="center", fontsize=7.5, **text)

    def rule(y: float, width: float) -> None:
        ax.plot([0, 1], [y, y], color="k", linewidth=width)

    rule(line + 1.0, 1.0)
    write(columns, line, fontweight="bold")
    rule(line - 0.9, 0.6)
    for title, part in (
        ("prediction: log-loss and KL, nats per step", frame[~bandit]),
        ("bandits: return and return lost, reward per episode (network, distance: argmax policy)", frame[bandit]),
    ):
        line -= 1.5
        ax.text(0, line, title, va="center", fontsize=7, style="italic", color=style.GREY)
        for row in part.itertuples():
            line -= 1
            write(
                [
                    row.run,
                    f"{row.optimum:.4f}",
                    f"{row.network:.4f}",
                    f"{row.distance:.2g}",
                    _or_dash(row.distance_sampled, ".2g"),
                    f"{row.untrained:.2g}",
                    _or_dash(row.agreement, ".1%"),
                    str(row.seeds),
                    str(row.updates),
                ],
                line,
            )
    rule(line - 0.8, 1.0)
    ax.set(xlim=(-0.01, 1.01), ylim=(line - 1, len(frame) + 5.2))
    style.note(figure, "Means over training seeds. Distance and untrained: to the exact Bayes-optimal agent.")
    return figure


def _or_dash(value: float, form: str) -> str:
    return "–" if np.isnan(value) else format(value, form)
