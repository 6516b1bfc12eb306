"""Behaviour beside the Bayes-optimal agent's: single episodes, and convergence along training (F1–F4, F8)."""

from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from agentomy import kinds
from agentomy.drawing import style
from agentomy.selection import select
from agentomy.tables import Table
from agentomy.values import Natural

NETWORK = {"linestyle": "-", "linewidth": 2.6, "alpha": 0.45, "solid_capstyle": "butt"}
BAYES = {"linestyle": (0, (3, 1.5)), "linewidth": 1.0}
HANDLES = [Line2D([], [], color="k", **NETWORK), Line2D([], [], color="k", **BAYES)]
ARMS = (style.COLOURS["blue"], style.COLOURS["vermillion"])
SEEDS = [style.COLOURS[name] for name in ("green", "pink", "black", "sky")]  # beside those of policies
POLICIES = {"sampled": style.COLOURS["vermillion"], "argmax": style.COLOURS["blue"]}


# ---- single episodes ------------------------------------------------------------------------------------------------


def categorical_episode(
    predictions: kinds.bayes.PREDICTIONS,
    sequences: kinds.bayes.SEQUENCES,
    *,
    task: str,
    episode: Natural,
    seed: Natural,
) -> Figure:
    """F1: what a trained network and the Bayes-optimal agent predict along one episode of a categorical task."""
    observed = select(sequences, episode=episode).array("observations")[0].astype(int)
    network, bayes = (_last(predictions, task, agent, episode, seed) for agent in ("network", "bayes"))
    t = np.arange(1, len(observed) + 1)
    figure, axes = style.subplots(3, 1, style.SINGLE, 4.2, sharex=True, height_ratios=[0.8, 2, 1.4])
    sequence, predictive, loss = axes[:, 0]
    outputs = [agent.array("predictive", len(t), -1)[0] for agent in (network, bayes)]
    categories = outputs[0].shape[1]
    colours = style.palette(categories)
    sequence.scatter(t, observed + 1, c=[colours[category] for category in observed], marker="s", s=16)
    sequence.set(ylabel="observed\ncategory", yticks=range(1, categories + 1), ylim=(0.4, categories + 0.6))
    for category, colour in enumerate(colours):
        for output, line in zip(outputs, (NETWORK, BAYES), strict=True):
            predictive.plot(t, output[:, category], color=colour, **line)
    predictive.set(ylabel="predicted probability", ylim=(0, None))
    for agent, line in ((network, NETWORK), (bayes, BAYES)):
        loss.plot(t, -agent.array("log_probability")[0], color="k", **line)
    loss.set(ylabel="log-loss (nats)", xlabel="step", ylim=(0, None))
    _steps(loss, len(t))
    figure.legend(HANDLES, ["network", "Bayes-optimal"], loc="outside upper center", ncols=2)
    style.letters(axes[:, 0])
    style.note(figure, f"{task}, episode {episode}, seed {seed}; colours are categories")
    return figure


def bandit_episode(
    play: kinds.bayes.PLAY, bandits: kinds.bayes.BANDITS, *, task: str, episode: Natural, seed: Natural
) -> Figure:
    """F2: one episode of a Bernoulli bandit as a trained network plays it, beside the Gittins agent.

    `bandits` is the task's environment: it knows the prior, one beta distribution (a, b) an arm. Choices are compared
    on the network's own history, regrets between each agent's own play of the same arms and pre-drawn rewards.
    """
    prior = bandits.description.parameters["prior"]
    network = _last(play, task, "network", episode, seed, policy="sampled")
    gittins = _last(play, task, "gittins", episode, seed)
    means = network.array("means")[0]
    actions, rewards, index = (network.array(name)[0] for name in ("actions", "rewards", "index"))
    t = np.arange(1, len(actions) + 1)
    figure, axes = style.subplots(4, 1, style.SINGLE, 5.2, sharex=True, height_ratios=[0.8, 1.5, 1.5, 1.5])
    pulls, policy, expected, regret = axes[:, 0]
    for arm, colour in enumerate(ARMS):
        for won in (0, 1):
            at = (actions == arm) & (rewards == won)
            filled = {"facecolor": colour if won else "none", "edgecolor": colour}
            pulls.scatter(t[at], actions[at], s=18, linewidth=1, **filled)
    pulls.set(ylabel="arm\npulled", yticks=[0, 1], ylim=(-0.6, 1.6))
    policy.plot(t, network.array("probability")[0], color="k", **NETWORK)
    policy.plot(t, np.where(np.abs(index) <= kinds.bayes.TIE, 0.5, index > 0), color="k", **BAYES)
    policy.set(ylabel="probability\nof arm 1", ylim=(-0.05, 1.05))
    for arm, colour in enumerate(ARMS):
        pulled = actions == arm
        counts = np.stack([pulled * rewards, pulled * (1 - rewards)]).cumsum(axis=1)
        successes, failures = np.concatenate([np.zeros((2, 1)), counts[:, :-1]], axis=1)
        a, b = prior[arm]
        expected.plot(t, (a + successes) / (a + b + successes + failures), color=colour, label=f"arm {arm}")
        expected.axhline(means[arm], color=colour, linewidth=0.8, linestyle=":")
    expected.set(ylabel="expected\nreward", ylim=(0, 1))
    for agent, line in ((network, NETWORK), (gittins, BAYES)):
        lost = means.max() - means[agent.array("actions")[0].astype(int)]
        regret.plot(t, lost.cumsum(), color="k", **line)
    regret.set(ylabel="cumulative\nregret (reward)", xlabel="step", ylim=(0, None))
    _steps(regret, len(t))
    arms = [Line2D([], [], color=colour) for colour in ARMS]
    handles = [HANDLES[0], arms[0], HANDLES[1], arms[1]]
    labels = ["network", "arm 0", "Gittins agent", "arm 1"]
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    style.letters(axes[:, 0])
    style.note(
        figure, f"{task}, episode {episode}, seed {seed}, sampled policy\na: filled = reward 1; c: dotted = true means"
    )
    return figure


def _last(table: Table, task: str, agent: str, episode: int, seed: int, **where) -> Table:
    """The row of an agent's episode; for a network the row of its last snapshot."""
    seed = seed if agent == "network" else -1
    rows = table.where(run=task, agent=agent, episode=episode, seed=seed, **where)
    if not len(rows):
        raise ValueError(f"{table.kind.name}: no {agent} of run '{task}', seed {seed}, with episode {episode}")
    return rows.where(update=int(rows.values("update").max()))


def _steps(ax: Axes, steps: int) -> None:
    ax.set_xlim(0.5, steps + 0.5)
    ax.set_xticks([1, *range(5, steps + 1, 5)])


# ---- convergence ----------------------------------------------------------------------------------------------------


def convergence(distance: kinds.bayes.DISTANCE, embedding: kinds.bayes.EMBEDDING, *, tasks: list[str]) -> Figure:
    """F3: distance of predictors to the Bayes-optimal one along training, and the path there in the plane."""
    import seaborn as sns

    figure, axes = style.subplots(len(tasks), 3, style.DOUBLE, 2.2 * len(tasks) + 0.5)
    frame, points = distance.frame(), embedding.frame()
    for (curve, *planes), task in zip(axes, tasks, strict=True):
        rows = _rows_of(frame, task).groupby(["seed", "update"], as_index=False)["kl"].mean()
        place = style.update_axis(curve, rows["update"].to_numpy())
        colours = dict(zip(rows["seed"].unique(), style.palette(rows["seed"].nunique()), strict=True))
        sns.lineplot(
            rows.assign(update=place(rows["update"])),
            x="update",
            y="kl",
            hue="seed",
            palette=colours,
            marker="o",
            markersize=3,
            markeredgewidth=0,
            linewidth=1,
            legend=False,
            errorbar=None,
            ax=curve,
        )
        curve.set(yscale="log", xlabel="training update", ylabel="KL(Bayes ‖ network)\n(nats per step)", title=task)
        for ax in (curve, *planes):
            ax.set_box_aspect(1)
        _paths(planes, _rows_of(points, task), colours, "√nats")
    _path_legend(figure, next(iter(colours.values())), "Bayes-optimal")
    style.letters(axes.ravel())
    style.note(figure, f"{style.seeds(len(colours))}, one line each; all predict the same evaluation episodes.")
    return figure


def bandit_convergence(gap: kinds.bayes.GAP, embedding: kinds.bayes.EMBEDDING, *, tasks: list[str]) -> Figure:
    """F4: return lost and regret difference of bandit agents along training, and the path in the plane.

    Return is lost against the exact optimum. The regret difference is the paper's measure: the absolute difference of
    cumulative regret to the Gittins agent. Regrets are of sampled episodes, so that its smallest values are noise.
    Of the plane only the neighbourhood of the Gittins agent is drawn: the way there is a line.
    """
    figure, axes = style.subplots(len(tasks), 3, style.DOUBLE, 2.3 * len(tasks) + 0.5)
    frame, points = gap.frame(), embedding.frame()
    by = ["agent", "policy", "seed", "update"]
    for (*curves, plane), task in zip(axes, tasks, strict=True):
        rows = _rows_of(frame, task).groupby(by, as_index=False)[["gap", "regret"]].sum()
        rows["difference"] = (rows["regret"] - rows.loc[rows["agent"] == "gittins", "regret"].item()).abs()
        _beside_references(curves[0], rows, "gap", "return lost\n(reward per episode)")
        _beside_references(curves[1], rows, "difference", "|regret - that of Gittins|\n(reward per episode)")
        seeds = rows.loc[rows["agent"] == "network", "seed"].unique()
        colours = dict(zip(seeds, cycle(SEEDS), strict=False))
        for ax in (*curves, plane):
            ax.set(title=task, box_aspect=1)
        _paths([plane], _rows_of(points, task), colours, "reward")
    handles = [Line2D([], [], color=colour) for colour in POLICIES.values()]
    labels = [f"{policy} policy" for policy in POLICIES]
    _path_legend(figure, style.GREY, "Gittins agent", handles, labels, untrained=False)
    style.letters(axes.ravel())
    count = style.seeds(len(colours))
    style.note(
        figure,
        f"{count}. a, b: mean and range over seeds; dashed: reference agents. c: a path of each seed, argmax policy.",
    )
    return figure


def _beside_references(ax: Axes, rows: pd.DataFrame, value: str, label: str) -> None:
    """A distance of both policies along training; dashed lines are the reference agents whose distance is not 0."""
    import seaborn as sns

    networks = rows[rows["agent"] == "network"]
    place = style.update_axis(ax, networks["update"].to_numpy())
    sns.lineplot(
        networks.assign(update=place(networks["update"])),
        x="update",
        y=value,
        hue="policy",
        palette=POLICIES,
        errorbar=("pi", 100),
        legend=False,
        ax=ax,
    )
    ax.set(yscale="log", xlabel="training update", ylabel=label)
    for agent in ("random", "thompson", "greedy", "gittins"):
        level = rows.loc[rows["agent"] == agent, value].item()
        if level > 0:
            ax.axhline(level, color=style.GREY, linewidth=0.8, linestyle="--", zorder=1)
            side = ax.get_yaxis_transform()
            ax.text(0.02, level, agent.capitalize(), transform=side, va="bottom", fontsize=6.5, color=style.GREY)


def _rows_of(frame: pd.DataFrame, task: str) -> pd.DataFrame:
    rows = frame[frame["run"] == task]
    if rows.empty:
        raise ValueError(f"no run '{task}'; there are: {', '.join(frame['run'].unique())}")
    return rows


def _paths(axes: list[Axes], points: pd.DataFrame, colours: dict[int, str], unit: str) -> None:
    """Each run as a path from its untrained network to its last, the Bayes-optimal agent as a star.

    The last axes show the neighbourhood of the star, in which the paths end, and those before them everything.
    """
    networks = points[points["agent"] == "network"]
    bayes = points.loc[points["agent"] == "bayes", ["x", "y"]].to_numpy()[0]
    last = networks.loc[networks["update"] == networks["update"].max(), ["x", "y"]].to_numpy()
    low, high = points[["x", "y"]].min().to_numpy(), points[["x", "y"]].max().to_numpy()
    regions = [((low + high) / 2, 0.6 * (high - low).max()), (bayes, 3 * np.abs(last - bayes).max())]
    titles = [f"stress {points['stress'].iloc[0]:.2f}", "near the optimum"]
    shown = [*zip(regions, titles, strict=True)][-len(axes) :]
    for ax, ((centre, half), title) in zip(axes, shown, strict=True):
        for seed, path in networks.sort_values("update").groupby("seed"):
            x, y = path[["x", "y"]].to_numpy().T
            ax.plot(x, y, "-o", markersize=2, linewidth=1, color=colours[seed])
            ax.plot(x[0], y[0], "o", markersize=6, color=colours[seed], markerfacecolor="w")
            ax.plot(x[-1], y[-1], "s", markersize=5, color=colours[seed], markeredgecolor="w", markeredgewidth=0.5)
        ax.plot(*bayes, "*", color="k", markersize=8, zorder=5, markeredgecolor="w", markeredgewidth=0.5)
        ax.set(xlim=centre[0] + np.array([-half, half]), ylim=centre[1] + np.array([-half, half]), title=title)
        ax.set(xlabel=f"MDS 1 ({unit})", ylabel=f"MDS 2 ({unit})")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(4))


def _path_legend(
    figure: Figure, colour: str, optimal: str, handles: list = (), labels: list = (), untrained: bool = True
) -> None:
    marks = [("o", colour, "w", "untrained")] * untrained
    marks += [("s", colour, colour, "trained"), ("*", "k", "k", optimal)]
    points = [
        Line2D([], [], linestyle="", marker=marker, color=edge, markerfacecolor=face, markersize=6)
        for marker, edge, face, _ in marks
    ]
    texts = [*labels, *(mark[3] for mark in marks)]
    figure.legend([*handles, *points], texts, loc="outside upper center", ncols=len(texts))


# ---- when each step is learned --------------------------------------------------------------------------------------


def acquisition_of_predictors(
    distance: kinds.bayes.DISTANCE, acquisition: kinds.bayes.ACQUISITION, *, tasks: list[str]
) -> Figure:
    """F8: distance to the Bayes-optimal predictor at each step of the episode along training."""
    return _acquisition(distance.frame(), "kl", "KL(Bayes ‖ network) (nats)", acquisition.frame(), tasks)


def acquisition_of_bandits(gap: kinds.bayes.GAP, acquisition: kinds.bayes.ACQUISITION, *, tasks: list[str]) -> Figure:
    """F8 for bandits: return lost by each pull (argmax policy) along training."""
    rows = gap.where(agent="network", policy="argmax").frame()
    return _acquisition(rows, "gap", "return lost by the pull (reward)", acquisition.frame(), tasks)


def _acquisition(frame: pd.DataFrame, value: str, label: str, learned: pd.DataFrame, tasks: list[str]) -> Figure:
    import seaborn as sns
    from matplotlib.colors import LogNorm

    grids = [_rows_of(frame, task).pivot_table(index="t", columns="update", values=value) for task in tasks]
    seen = np.concatenate([grid.to_numpy().ravel() for grid in grids])
    low, high = seen[seen > 0].min(), seen.max()
    width = style.SINGLE if len(tasks) == 1 else style.DOUBLE
    figure, axes = style.subplots(1, len(tasks), width, 2.7, sharey=True)
    for ax, task, grid in zip(axes[0], tasks, grids, strict=True):
        updates, steps = grid.columns.to_numpy(), grid.index.to_numpy()
        ax.set_facecolor("0.85")
        sns.heatmap(grid, norm=LogNorm(low, high), cmap="viridis", cbar=False, ax=ax, rasterized=True)
        times = learned[learned["run"] == task].groupby("t")["update"].median().reindex(steps)
        # the heat map puts snapshot i between i and i + 1, and step t between t - 1 and t
        column = np.interp(times, updates, np.arange(len(updates)) + 0.5)
        reached = times.notna().to_numpy()
        outline = {"color": "w", "markeredgecolor": "k", "markeredgewidth": 0.6, "markersize": 4}
        ax.plot(column[reached], np.flatnonzero(reached) + 0.5, "o", **outline)
        shown = np.unique(np.linspace(0, len(updates) - 1, min(6, len(updates))).round().astype(int))
        ax.set_xticks(shown + 0.5, [str(update) for update in updates[shown]], rotation=0)
        ticks = [step for step in (1, *range(5, len(steps) + 1, 5)) if step <= len(steps)]
        ax.set_yticks(np.array(ticks) - 0.5, [str(step) for step in ticks], rotation=0)
        ax.set(
            xlabel="training update (snapshot)", ylabel="step of the episode" if ax is axes[0][0] else "", title=task
        )
        ax.invert_yaxis()
    figure.colorbar(axes[0][0].collections[0], ax=axes, label=label, pad=0.02)
    if len(tasks) > 1:
        style.letters(axes[0])
    count = frame["seed"].nunique()
    style.note(figure, f"{style.seeds(count)}; colour: their mean; grey: 0; dots: learned (median)")
    return figure
