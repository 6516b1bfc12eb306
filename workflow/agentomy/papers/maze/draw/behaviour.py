"""Where agents go in mazes: their routes, what they reach first, and where they are with no cheese (F1, F6)."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from agentomy import kinds
from agentomy.drawing import style
from agentomy.drawing.tables import LEGEND, non_empty, seeds_text
from agentomy.papers.maze.agents import RANDOM, TRAINED, UNTRAINED, rows_of_agent
from agentomy.selection import select
from agentomy.tables import Table
from agentomy.values import Count

SEED = 0  # single mazes are shown of the agent with this seed
# what an agent reaches first looks the same in every figure
FIRST = {"cheese": style.COLOURS["orange"], "corner": style.COLOURS["blue"], "neither": "#9A9A9A"}
MAZE = ListedColormap(["white", "#D8C2A4"])  # floor, wall
REGION = {"fill": False, "edgecolor": style.COLOURS["vermillion"], "linewidth": 1.0, "linestyle": (0, (2, 1.2))}
MARKER = {"linestyle": "", "markeredgecolor": "k", "markeredgewidth": 0.6, "zorder": 4, "clip_on": False}
CHEESE = {**MARKER, "marker": "D", "markerfacecolor": FIRST["cheese"], "markersize": 6}
START = {**MARKER, "marker": "o", "markerfacecolor": "#8A8A8A", "markersize": 6}
CORNER = {**MARKER, "marker": "*", "markerfacecolor": FIRST["corner"], "markersize": 9}


# ---- F1: routes -----------------------------------------------------------------------------------------------------


def routes(outcomes: kinds.maze_behaviour.OUTCOMES, levels: kinds.maze.LEVELS, *, run: str, region: Count) -> Figure:
    """F1: one agent in a maze as in training, getting cheese elsewhere, passing it by, and with no cheese."""
    frame = _episodes(rows_of_agent(select(outcomes, run=run, seed=SEED), TRAINED), levels)
    with_cheese, won = frame["condition"] == "cheese", frame["first"] == "cheese"
    inside = frame["cheese_region"] <= region
    elsewhere = with_cheese & ~inside & (frame["decision_x"] >= 0)
    went = (frame["first"] == "corner") & ~frame["got_cheese"]
    passing = _pick(frame, elsewhere & went, {"passed": True, "wasted": True})
    same = frame["level"] == (-1 if passing is None else passing["level"])
    panels = {
        "cheese as in training": _pick(
            frame, with_cheese & inside & won, {"cheese_region": False, "wasted": True, "steps": False}
        ),
        "elsewhere: gets it": _pick(frame, elsewhere & won, {"clear": False}),
        "elsewhere: passes it": passing,
        "same maze, no cheese": _pick(frame, ~with_cheese & same, {}),
    }
    figure, axes = style.subplots(1, len(panels), style.DOUBLE, 2.4)
    for ax, (title, episode) in zip(axes[0], panels.items(), strict=True):
        ax.set_title(title)
        ax.set(xticks=[], yticks=[], aspect="equal")
        ax.spines[:].set_visible(True)
        if episode is None:
            ax.text(0.5, 0.5, "none found", ha="center", va="center", color=style.GREY, transform=ax.transAxes)
        else:
            _draw_route(ax, episode, levels.where(level=int(episode["level"])), region)
    handles = [Line2D([], [], **marker) for marker in (START, CHEESE, CORNER)]
    handles += [Rectangle((0, 0), 1, 1, **REGION), Line2D([], [], color="k", linewidth=1.5)]
    labels = ["start", "cheese", "top-right cell", f"top-right {region} × {region}", "way, until a goal is reached"]
    figure.legend(handles, labels, ncols=5, **LEGEND)
    mazes = frame["level"].nunique()
    style.note(
        figure,
        f"run {run}, seed {SEED}; moves are sampled; chosen from {mazes} mazes: large ones, clear ones first",
    )
    return figure


def _episodes(rows: Table, levels: Table) -> pd.DataFrame:
    """Episodes with their level's geometry, and the cells visited.

    `until` is the step at which the first goal was reached, or the last step if none was. `wasted` counts the steps
    before it that led to no new cell. `passed` is the smallest distance to the cheese's cell. `clear` is large if the
    way leaves that to the corner early and few steps are wasted.
    """
    frame = rows.frame().merge(levels.frame(), on="level", how="left", validate="many_to_one")
    if frame["side"].isna().any():
        raise ValueError("outcomes: some levels are in none of the tables of levels")
    x, y = rows.array("x").astype(int), rows.array("y").astype(int)
    world = round(levels.array("walls").shape[1] ** 0.5)
    corner = (world + frame[["side"]].to_numpy()) // 2 - 1
    at_corner = (x == corner) & (y == corner)
    # what the agent does after it reached the corner says nothing: the episode merely goes on
    until = np.where(at_corner.any(axis=1), at_corner.argmax(axis=1), frame["steps"])
    cells = [len(set((y[e, : last + 1] * world + x[e, : last + 1]).tolist())) for e, last in enumerate(until)]
    apart = np.abs(x - frame[["cheese_x"]].to_numpy()) + np.abs(y - frame[["cheese_y"]].to_numpy())
    ways = {"x": list(x), "y": list(y), "until": until, "passed": apart.min(axis=1)}
    wasted = until + 1 - np.array(cells)
    return frame.assign(**ways, wasted=wasted, clear=frame["steps_decision_cheese"] - 2 * wasted)


def _pick(frame: pd.DataFrame, candidates: pd.Series, order: dict[str, bool]) -> pd.Series | None:
    """The first candidate, by size of the maze and then by these columns (True: ascending); None if there is none."""
    order = {"side": False, **order, "level": True}
    ordered = frame[candidates].sort_values([*order], ascending=[*order.values()])
    return None if ordered.empty else ordered.iloc[0]


def _draw_route(ax: Axes, episode: pd.Series, level: Table, region: int) -> None:
    walls = level.array("walls")[0]
    world, side = round(len(walls) ** 0.5), episode["side"]
    ax.imshow(walls.reshape(world, world), origin="lower", cmap=MAZE, vmin=0, vmax=1, interpolation="nearest")
    corner, n = (world + side) // 2 - 1, min(region, side)
    ax.add_patch(Rectangle((corner - n + 0.5, corner - n + 0.5), n, n, **REGION, zorder=3))
    x, y = (episode[axis][: episode["until"] + 1] for axis in "xy")
    ax.plot(x, y, color="k", linewidth=1.5, zorder=2, solid_joinstyle="round")
    ax.plot(x[0], y[0], **START)
    ax.plot(corner, corner, **CORNER)
    if episode["condition"] == "cheese":
        ax.plot(episode["cheese_x"], episode["cheese_y"], **CHEESE)


# ---- F6: where it goes with no cheese -------------------------------------------------------------------------------


def no_cheese(occupancy: kinds.maze_behaviour.OCCUPANCY, *, run: str, control: str, region: Count) -> Figure:
    """F6: where agents spend their time, and where they end, in mazes without cheese; seen from the corner.

    `region` is that of the cheese in `run`'s training. `control` is the run whose cheese was anywhere in training.
    """
    agents = {
        f"cheese in the\ntop-right {region} × {region}": rows_of_agent(select(occupancy, run=run), TRAINED),
        "cheese anywhere": rows_of_agent(select(occupancy, run=control), TRAINED),
        UNTRAINED: rows_of_agent(select(occupancy, run=run), UNTRAINED),
        "random policy": rows_of_agent(select(occupancy, run=run), RANDOM),
    }
    size = occupancy.values("left").max() + 1
    rows = {"time": "share of time", "ends": "share of episode ends"}
    figure, axes = style.subplots(len(rows), len(agents), style.DOUBLE, 4.1, sharex=True, sharey=True)
    for line, (column, label) in zip(axes, rows.items(), strict=True):
        maps = {name: _map(table, column, size) for name, table in agents.items()}
        norm = PowerNorm(0.5, 0, max(shares.max() for shares in maps.values()))
        for ax, (name, shares) in zip(line, maps.items(), strict=True):
            drawn = ax.imshow(shares, origin="lower", cmap="viridis", norm=norm, interpolation="nearest")
            ax.add_patch(Rectangle((-0.5, -0.5), region, region, **{**REGION, "edgecolor": "w"}))
            share = shares[:region, :region].sum()
            within = f"{share:.2f} in the region"
            ax.set_title(f"{name}\n{within}" if column == "time" else within, fontsize=7.5)
        line[0].set_ylabel("cells below the corner")
        figure.colorbar(drawn, ax=line, label=label, aspect=12, pad=0.01)
    axes[0, 0].invert_xaxis()  # this puts the corner where it is in the maze; all panels share their axes
    axes[0, 0].invert_yaxis()
    for axis in (axes[0, 0].xaxis, axes[0, 0].yaxis):
        axis.set_major_locator(MaxNLocator(5, integer=True))
    for ax in axes[-1]:
        ax.set_xlabel("cells left of the corner")
    style.letters(axes.ravel())
    trained = next(iter(agents.values()))
    mazes = trained.values("count")[0]
    style.note(figure, f"means over seeds, {seeds_text(trained)}; {mazes} mazes each; colours on a square-root scale")
    return figure


def _map(rows: Table, column: str, size: int) -> np.ndarray:
    """Shares [below, left], mean over seeds."""
    means = rows.frame().groupby(["below", "left"])[column].mean()
    shares = np.zeros((size, size))
    shares[means.index.get_level_values("below"), means.index.get_level_values("left")] = means
    return shares


# ---- what is reached first ------------------------------------------------------------------------------------------


def first_goals(navigation: kinds.maze_behaviour.NAVIGATION, *, runs: dict[str, str], region: Count) -> Figure:
    """What trained agents (run → label) reach first where they can choose, beside their controls."""
    first = next(iter(non_empty(runs, "runs")))
    chosen_rows = deciding(navigation, region)
    agents = [("random policy", first, RANDOM), (UNTRAINED, first, UNTRAINED)]
    agents += [(label, run, TRAINED) for run, label in runs.items()]
    figure, axes = style.subplots(1, len(FIRST), style.DOUBLE, 0.26 * len(agents) + 1.0, sharey=True, sharex=True)
    places = np.arange(len(agents))[::-1]
    for ax, (outcome, colour) in zip(axes[0], FIRST.items(), strict=True):
        for place, (_, run, agent) in zip(places, agents, strict=True):
            values = rows_of_agent(select(chosen_rows, run=run, outcome=outcome), agent).values("share")
            ax.barh(place, values.mean(), height=0.72, color=colour, alpha=1.0 if agent == TRAINED else 0.45)
            ax.plot(
                values, np.full(len(values), place), "o", color="k", markersize=2.5, markerfacecolor="w", clip_on=False
            )
        ax.set(xlim=(0, 1), title=f"{outcome} first" if outcome != "neither" else outcome, xlabel="share of mazes")
    axes[0, 0].set_yticks(places, [label for label, _, _ in agents])
    style.letters(axes[0])
    networks = chosen_rows.where(run=[*runs], agent=[TRAINED, UNTRAINED])
    mazes = networks.values("count")[0]
    text = f"bars: means; points: seeds, {seeds_text(networks)}; {mazes} test mazes with cheese outside the top-right"
    style.note(figure, f"{text}\n{region} × {region}, neither goal on the way to the other; moves are sampled")
    return figure


def sweep(navigation: kinds.maze_behaviour.NAVIGATION, *, runs: dict[str, str], region: Count) -> Figure:
    """What agents reach first in one set of mazes, against the n of the region in training.

    `runs` gives the n of each run.
    """
    figure, axes = style.subplots(1, 1, style.SINGLE, 2.6)
    ax, chosen_rows = axes[0, 0], deciding(navigation, region)
    places = np.arange(len(non_empty(runs, "runs")))
    for outcome, colour in FIRST.items():
        shares = [rows_of_agent(select(chosen_rows, run=run, outcome=outcome), TRAINED).values("share") for run in runs]
        label = f"{outcome} first" if outcome != "neither" else outcome
        ax.plot(places, [seeds.mean() for seeds in shares], color=colour, marker="o", markersize=4, label=label)
        for place, seeds in zip(places, shares, strict=True):
            ax.plot(np.full(len(seeds), place), seeds, "_", color=colour, markersize=8)
        chance = (
            rows_of_agent(select(chosen_rows, run=next(iter(runs)), outcome=outcome), RANDOM).values("share").mean()
        )
        ax.axhline(chance, color=colour, linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=1)
    ax.set_xticks(places, list(runs.values()))
    ax.set(ylim=(-0.02, 1.02), xlabel="n: cheese in the top-right n × n in training", ylabel="share of mazes")
    figure.legend(ncols=3, **LEGEND)
    shown = chosen_rows.where(run=[*runs], agent=[TRAINED, UNTRAINED])
    text = f"lines: means; dashes: {seeds_text(shown)}; dotted: random policy"
    style.note(
        figure,
        f"{text}\n{shown.values('count')[0]} test mazes, cheese outside {region} × {region}, with a decision cell",
    )
    return figure


def deciding(navigation: Table, region: int) -> Table:
    """Shares where the cheese lies outside the region, and neither goal is on the way to the other."""
    wanted = {"distribution": "test", "condition": "cheese", "subset": "decision"}
    return select(navigation, **wanted, region=region)
