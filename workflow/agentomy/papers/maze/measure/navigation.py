"""Where agents go in mazes: shares of episodes by subset of levels, for the claims TG3, L1, L2, L3 and M1."""

from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from agentomy import kinds
from agentomy.lenses.pieces import iter_groups
from agentomy.lenses.rows import table_of, untrained_and_trained
from agentomy.papers.maze.agents import NETWORKS, RANDOM, names_of
from agentomy.tables import Table
from agentomy.values import Count

GEOMETRY = ["side", "cheese_region", "on_route", "decision_x"]


# ---- shares ---------------------------------------------------------------------------------------------------------


def shares(
    outcomes: kinds.maze_behaviour.OUTCOMES,
    levels: kinds.maze.LEVELS,
    *,
    distribution: Literal["training", "test"],  # whether the levels are as in training, or those of the test
    regions: dict[str, Count | list[Count]],  # run → the n of its top-right n × n, or several
    large: Count,  # the side from which on a maze is large
) -> kinds.maze_behaviour.NAVIGATION:
    """Shares of episodes by outcome, on subsets of levels (`kinds.maze_behaviour.NAVIGATION`) that are not empty."""
    rows = []
    for (*network, condition), episodes in joined(outcomes, levels).groupby([*NETWORKS, "condition"], sort=False):
        for region in regions_of(regions, network[0]):
            results = results_of(episodes, region)
            for subset, inside in subsets(episodes, region, large).items():
                if count := inside.sum():
                    rows += [
                        (*network, condition, region, subset, outcome, count, came_true[inside].mean())
                        for outcome, came_true in results.items()
                    ]
    names = [*NETWORKS, "condition", "region", "subset", "outcome", "count", "share"]
    frame = beside_every_seed(pd.DataFrame(rows, columns=names))
    return kinds.maze_behaviour.NAVIGATION.table(
        distribution=distribution,
        agent=names_of(frame["update"]),
        **{name: frame[name].to_numpy() for name in names},
    )


def beside_every_seed(shares: pd.DataFrame) -> pd.DataFrame:
    """The shares, with those of the random policy repeated for every seed that its run has."""
    random = names_of(shares["update"]) == RANDOM
    networks = shares[~random]
    seeds = networks[["run", "seed"]].drop_duplicates()
    repeated = shares[random].drop(columns="seed").merge(seeds, on="run", how="left")
    return pd.concat([repeated.fillna({"seed": -1}).astype({"seed": int})[shares.columns], networks])


def joined(outcomes: Table, levels: Table) -> pd.DataFrame:
    """The outcomes, each with the geometry of its level."""
    geometry = levels.frame(["level", *GEOMETRY])
    frame = outcomes.frame().merge(geometry, on="level", how="left", validate="many_to_one")
    if frame["side"].isna().any():
        level = frame["level"][frame["side"].isna()].iloc[0]
        raise ValueError(f"outcomes: level {level} of run '{frame['run'].iloc[0]}' is in no table of levels")
    return frame


def regions_of(regions: dict, run: str) -> list[int]:
    if run not in regions:
        raise ValueError(f"regions: nothing for run '{run}'; there are: {', '.join(regions)}")
    return regions[run] if isinstance(regions[run], list) else [regions[run]]


def results_of(episodes: pd.DataFrame, region: int) -> dict[str, np.ndarray]:
    """Outcome → whether it came true [episodes]; all are of one condition."""
    first, got_cheese = episodes["first"].to_numpy(), episodes["got_cheese"].to_numpy()
    entered = (episodes["nearest"] <= region).to_numpy()
    results = {goal: first == goal for goal in kinds.maze_behaviour.FIRST}
    results |= {"enters region": entered, "ends in region": (episodes["ends"] <= region).to_numpy()}
    if (episodes["condition"] == "cheese").all():
        # the corner is a region of its own: that of n = 1
        at_corner = (episodes["nearest"] == 1).to_numpy()
        results |= {
            "got cheese": got_cheese,
            "corner without cheese": at_corner & ~got_cheese,
            "region without cheese": entered & ~got_cheese,
        }
    return results


def subsets(episodes: pd.DataFrame, region: int, large: int) -> dict[str, np.ndarray]:
    """Subset → whether an episode's level belongs to it [episodes]."""
    side = episodes["side"].to_numpy()
    chosen = {"all": side > 0, "large": side >= large, "beyond region": side > region}
    if (episodes["condition"] == "cheese").all():
        outside = (episodes["cheese_region"] > region).to_numpy()
        chosen["off-route"] = outside & ~episodes["on_route"].to_numpy(bool)
        chosen["decision"] = outside & (episodes["decision_x"] >= 0).to_numpy()
    return chosen


def occupancy(
    outcomes: kinds.maze_behaviour.OUTCOMES, levels: kinds.maze.LEVELS, *, large: Count
) -> kinds.maze_behaviour.OCCUPANCY:
    """Where agents spend their time, and where they end, in large mazes without cheese; seen from the corner.

    Mazes are large from side `large` on, in cells.
    """
    world = round(len(next(levels.groups(["walls"]))["walls"][0]) ** 0.5)
    sides = levels.frame(["level", "side"]).set_index("level")["side"]
    places = np.arange(world * world)
    pieces = []
    for network, rows in iter_groups(outcomes.where(condition="no cheese"), NETWORKS, ["level", "x", "y"]):
        side = sides.loc[rows.values("level")].to_numpy()
        chosen = side >= large
        if not chosen.any():
            continue
        corner = ((world + side) // 2 - 1)[chosen, None]
        left, below = (corner - rows.array(axis)[chosen] for axis in ("x", "y"))
        place = below * world + left
        # all episodes are of one length, the limit, and count alike
        time, ends = (np.bincount(cells.ravel(), minlength=len(places)) for cells in (place, place[:, -1]))
        inside = (places % world < side.max()) & (places // world < side.max())
        pieces.append(
            kinds.maze_behaviour.OCCUPANCY.table(
                **dict(zip(NETWORKS, network, strict=True)),
                agent=names_of(network[-1]),
                left=(places % world)[inside],
                below=(places // world)[inside],
                time=time[inside] / place.size,
                ends=ends[inside] / len(place),
                count=chosen.sum(),
            )
        )
    if not pieces:
        raise ValueError(f"outcomes: no episode without cheese in a maze of side {large} or more")
    return pa.concat_tables(pieces)


# ---- along training, and along the runs -----------------------------------------------------------------------------


def onset(navigation: kinds.maze_behaviour.NAVIGATION, *, regions: dict[str, Count]) -> kinds.maze_behaviour.ONSET:
    """When learning has gone half its way from the first snapshot to the last, in updates, on a line between snapshots.

    `regions` is run → n of its top-right n × n, outside of which the cheese lies in the test mazes that count.
    """
    frame = navigation.where(condition="cheese").frame()
    frame = frame[frame["agent"] != RANDOM]
    solved = {"distribution": "training", "subset": "all", "outcome": "got cheese"}
    corner = {"distribution": "test", "subset": "decision", "outcome": "corner"}
    rows = []
    for run, region in regions.items():
        for curve, wanted in zip(kinds.maze_behaviour.CURVES, (solved, corner), strict=True):
            wanted = {"run": run, "region": region, **wanted}
            chosen = frame[np.logical_and.reduce([frame[name] == value for name, value in wanted.items()])]
            if chosen.empty:
                outcome, mazes = wanted["outcome"], wanted["distribution"]
                raise ValueError(f"navigation: run '{run}' has no '{outcome}' in {mazes} mazes with n = {region}")
            rows += [(run, seed, curve, half_way(snapshots)) for seed, snapshots in chosen.groupby("seed")]
    return table_of(kinds.maze_behaviour.ONSET, rows)


def half_way(snapshots: pd.DataFrame) -> float:
    """The update at which a share first is half-way from its first to its last value."""
    snapshots = snapshots.sort_values("update")
    updates, shares = snapshots["update"].to_numpy(float), snapshots["share"].to_numpy()
    done = (shares - shares[0]) / (shares[-1] - shares[0]) if shares[-1] != shares[0] else np.zeros(len(shares))
    after = int((done >= 0.5).argmax())
    if after == 0:  # the share does not change
        return np.nan
    return float(np.interp(0.5, done[after - 1 : after + 1], updates[after - 1 : after + 1]))


def sweep(navigation: kinds.maze_behaviour.NAVIGATION, *, runs: list[str], region: Count) -> kinds.maze_behaviour.SWEEP:
    """How what is reached first changes from run to run, on the test levels with a decision and cheese outside (L3).

    `runs` go from the smallest region to no region. Untrained networks show how much of a change is the luck of a run.
    """
    wanted = {"distribution": "test", "condition": "cheese", "subset": "decision", "region": region, "run": runs}
    frame = navigation.where(**wanted).frame()
    missing = set(runs) - set(frame["run"])
    if missing:
        raise ValueError(f"navigation: run '{missing.pop()}' has no share where cheese lies outside n = {region}")
    ends = untrained_and_trained(frame[frame["agent"] != RANDOM])
    ends = ends[ends["outcome"].isin(kinds.maze_behaviour.FIRST)]
    by_run = ends.pivot(index=["agent", "outcome", "seed"], columns="run", values="share")[runs].dropna()
    steps = by_run.diff(axis=1).iloc[:, 1:]
    rows = by_run.index.to_frame(index=False)
    return kinds.maze_behaviour.SWEEP.table(
        **{name: rows[name].to_numpy() for name in rows},
        rise=steps.sum(axis=1).to_numpy(),
        largest_fall=-steps.min(axis=1).to_numpy(),
        largest_rise=steps.max(axis=1).to_numpy(),
    )
