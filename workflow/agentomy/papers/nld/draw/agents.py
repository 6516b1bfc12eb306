"""Posterior samples of a Q-network: how they explore, and where they disagree (natural Langevin dynamics)."""

import numpy as np
from matplotlib.figure import Figure

from agentomy import kinds
from agentomy.drawing import style
from agentomy.drawing.tables import mean_interval, seeds_text
from agentomy.papers.nld.draw.posterior import bar
from agentomy.selection import select

GRID = 10
SHADES = [style.GREY, "#000000", style.COLOURS["sky"], style.COLOURS["blue"], style.COLOURS["vermillion"]]


def exploration(returns: kinds.nld.RETURNS, *, runs: dict[str, str]) -> Figure:
    """Returns of evaluation episodes along learning, and in the end; `runs` is run → label."""
    figure, axes = style.subplots(1, 2, style.DOUBLE, 2.8, width_ratios=[1.5, 1])
    left, right = axes[0]
    for place, ((run, label), shade) in enumerate(zip(runs.items(), SHADES, strict=False)):
        frame = select(returns, run=run).frame()
        by_seed = frame.pivot(index="update", columns="seed", values="return")
        mean, low, high = np.transpose([mean_interval(row) for row in by_seed.to_numpy()])
        left.plot(by_seed.index, mean, color=shade, label=label)
        left.fill_between(by_seed.index, low, high, color=shade, alpha=0.12, linewidth=0)
        values = by_seed.iloc[-1].to_numpy()
        bar(right, place, values, color=shade, marker="o", markersize=4)
        right.plot(values, np.full(len(values), place + 0.25), linestyle="", marker=".", markersize=3, color=shade)
    left.set(xlabel="training update", ylabel="return", ylim=(0, None), xlim=(0, None))
    right.set_yticks(range(len(runs)), list(runs.values()))
    right.invert_yaxis()
    right.set_xlabel("return in the end")
    right.grid(axis="x", linewidth=0.3)
    style.letters(axes[0])
    episodes = int(returns.values("episodes").max())
    style.note(
        figure,
        f"{seeds_text(returns)}; bands, bars: 95 % intervals; small dots: seeds; {episodes} greedy episodes each",
    )
    return figure


def doubt(doubt: kinds.nld.DOUBT, *, runs: dict[str, str]) -> Figure:
    """Where the ball was, what the state was worth there, and how far samples disagree; a row a run."""
    columns = {
        "visits": "states, share",
        "value": "value",
        "deviation": "deviation",
        "dissent": "dissenting votes",
    }
    figure, axes = style.subplots(len(runs), 4, style.DOUBLE, 1.85 * len(runs) + 0.5, sharex=True, sharey=True)
    for line, (run, label) in zip(axes, runs.items(), strict=True):
        frame = select(doubt, run=run).frame()
        for ax, (column, title) in zip(line, columns.items(), strict=True):
            picture = np.full((GRID, GRID), np.nan)
            for (row, place), cell in frame.groupby(["row", "column"]):
                weights = cell["visits"]
                total = weights.sum() / frame["visits"].sum()
                picture[row, place] = total if column == "visits" else (cell[column] * weights).sum() / weights.sum()
            shown = ax.imshow(picture, cmap="viridis", vmin=0 if column != "value" else None)
            figure.colorbar(shown, ax=ax, shrink=0.85)
            ax.set(xticks=[0, 9], yticks=[0, 9])
            ax.spines[:].set_visible(True)
            if ax.get_subplotspec().is_first_row():
                ax.set_title(title)
        line[0].set_ylabel(label)
    networks = ", ".join(map(str, sorted(doubt.frame()["networks"].unique())))
    style.note(
        figure,
        f"by the ball's place (row 0: top); {seeds_text(doubt)} together; {networks} networks of each; "
        "white: never there",
    )
    return figure
