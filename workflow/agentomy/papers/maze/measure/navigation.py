"""Where agents go in mazes: shares of episodes by subset of levels, for the claims TG3, L1, L2, L3 and M1."""

from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from agentomy import kinds
from agentomy.lenses.pieces import iter_groups
from agentomy.lenses.rows import ALL_TASKS, Row, comparison_rows
from agentomy.tables import Table
from agentomy.values import Count

GEOMETRY = ["side", "cheese_region", "on_route", "decision_x"]
AGENT = ["run", "seed", "update", "agent"]
# what is reached first → how its share should not change as the region grows, and how it should (L3)
SWEPT = {"cheese": ("fall", "rise"), "corner": ("rise", "fall")}


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
    found = []
    for who, rows in joined(outcomes, levels).groupby([*AGENT, "condition"], sort=False):
        for region in regions_of(regions, who[0]):
            results = results_of(rows, region)
            for subset, inside in subsets(rows, region, large).items():
                if count := inside.sum():
                    found += [
                        (*who, region, subset, name, count, each[inside].mean()) for name, each in results.items()
                    ]
    names = [*AGENT, "condition", "region", "subset", "outcome", "count", "share"]
    columns = dict(zip(names, (np.array(column) for column in zip(*found, strict=True)), strict=True))
    return kinds.maze_behaviour.NAVIGATION.table(distribution=distribution, **columns)


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


def results_of(rows: pd.DataFrame, region: int) -> dict[str, np.ndarray]:
    """Outcome → whether it came true [episodes]; all are of one condition."""
    first, got = rows["first"].to_numpy(), rows["got_cheese"].to_numpy()
    entered = (rows["nearest"] <= region).to_numpy()
    results = {name: first == name for name in ("cheese", "corner", "neither")}
    results |= {"enters region": entered, "ends in region": (rows["ends"] <= region).to_numpy()}
    if (rows["condition"] == "cheese").all():
        # the corner is a region of its own: that of n = 1
        at_corner = (rows["nearest"] == 1).to_numpy()
        results |= {
            "got cheese": got,
            "corner without cheese": at_corner & ~got,
            "region without cheese": entered & ~got,
        }
    return results


def subsets(rows: pd.DataFrame, region: int, large: int) -> dict[str, np.ndarray]:
    """Subset → whether an episode's level belongs to it [episodes]."""
    side = rows["side"].to_numpy()
    chosen = {"all": side > 0, "large": side >= large, "beyond region": side > region}
    chosen |= {f"side {each}": side == each for each in np.unique(side)}
    if (rows["condition"] == "cheese").all():
        outside = (rows["cheese_region"] > region).to_numpy()
        chosen["off-route"] = outside & ~rows["on_route"].to_numpy(bool)
        chosen["decision"] = outside & (rows["decision_x"] >= 0).to_numpy()
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
    for who, rows in iter_groups(outcomes.where(condition="no cheese"), AGENT, ["level", "x", "y"]):
        side = sides.loc[rows.values("level")].to_numpy()
        chosen = side >= large
        if not chosen.any():
            continue
        corner = ((world + side) // 2 - 1)[chosen, None]
        left, below = (corner - rows.array(axis)[chosen] for axis in ("x", "y"))
        place = below * world + left
        # all episodes are of one length, the limit, and count alike
        time, ends = (np.bincount(each.ravel(), minlength=len(places)) for each in (place, place[:, -1]))
        inside = (places % world < side.max()) & (places // world < side.max())
        pieces.append(
            kinds.maze_behaviour.OCCUPANCY.table(
                **dict(zip(AGENT, who, strict=True)),
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


# ---- what claims are judged on --------------------------------------------------------------------------------------


def of_navigation(navigation: kinds.maze_behaviour.NAVIGATION) -> kinds.common.COMPARISON:
    """Every share of trained agents, and beside it that of the untrained ones and of the random policy (seed -1).

    A quantity is `OUTCOME, PLACE, SUBSET, n = N, WHO`: PLACE is training or test, or test without cheese; WHO is
    trained, untrained, random, or a difference: trained - untrained, trained - random.
    """
    frame = navigation.frame()
    place = frame["distribution"] + np.where(frame["condition"] == "cheese", "", " without cheese")
    frame["quantity"] = (
        frame["outcome"] + ", " + place + ", " + frame["subset"] + ", n = " + frame["region"].astype(str)
    )
    random = frame[frame["agent"] == "random"].set_index(["run", "quantity"])["share"]
    found = pd.DataFrame({"trained": ends_of(frame, "last"), "untrained": ends_of(frame, "first")}).reset_index()
    found["trained - untrained"] = found["trained"] - found["untrained"]
    found["trained - random"] = found["trained"] - found.set_index(["run", "quantity"]).index.map(random)
    chance = random.rename("random").reset_index().assign(seed=-1)
    long = pd.concat([each.melt(["run", "seed", "quantity"], var_name="who") for each in (found, chance)])
    return kinds.common.COMPARISON.table(
        run=long["run"].to_numpy(),
        seed=long["seed"].to_numpy(),
        quantity=(long["quantity"] + ", " + long["who"]).to_numpy(),
        value=long["value"].to_numpy(),
    )


def ends_of(frame: pd.DataFrame, which: Literal["first", "last"]) -> pd.Series:
    """The shares of networks at the first or last snapshot of each run, by run, seed and quantity."""
    networks = frame[frame["agent"] == "network"]
    updates = networks.groupby("run")["update"].transform("min" if which == "first" else "max")
    return networks[networks["update"] == updates].set_index(["run", "seed", "quantity"])["share"]


def onset(navigation: kinds.maze_behaviour.NAVIGATION, *, regions: dict[str, Count]) -> kinds.common.COMPARISON:
    """When learning has gone half its way, from the first snapshot to the last; updates, between snapshots on a line.

    `half of training`: of the cheese got in unseen mazes of the run's own distribution; `half of corner`: of the corner
    reached first in test mazes with a decision and cheese outside the run's region (`regions`: run → n); `corner after
    training`: the second less the first.
    """
    frame = navigation.where(agent="network", condition="cheese").frame()
    training = frame[(frame["distribution"] == "training") & (frame["subset"] == "all")]
    outside = frame[(frame["distribution"] == "test") & (frame["subset"] == "decision")]
    rows: list[Row] = []
    for run, region in regions.items():
        found = {}
        for name, part, outcome in (("training", training, "got cheese"), ("corner", outside, "corner")):
            chosen = part[(part["run"] == run) & (part["region"] == region) & (part["outcome"] == outcome)]
            if chosen.empty:
                raise ValueError(f"navigation: run '{run}' has no '{outcome}' in {name} mazes with n = {region}")
            found[name] = {seed: half_way(curve) for seed, curve in chosen.groupby("seed")}
        for seed, when in found["training"].items():
            values = {"half of training": when, "half of corner": found["corner"][seed]}
            values["corner after training"] = values["half of corner"] - when
            rows += [(run, seed, name, value) for name, value in values.items()]
    return comparison_rows(rows)


def half_way(curve: pd.DataFrame) -> float:
    """The update at which a share first is half-way from its first to its last value."""
    curve = curve.sort_values("update")
    updates, values = curve["update"].to_numpy(float), curve["share"].to_numpy()
    done = (values - values[0]) / (values[-1] - values[0]) if values[-1] != values[0] else np.zeros(len(values))
    after = int((done >= 0.5).argmax())
    if after == 0:  # it goes nowhere
        return np.nan
    return float(np.interp(0.5, done[after - 1 : after + 1], updates[after - 1 : after + 1]))


def sweep(navigation: kinds.maze_behaviour.NAVIGATION, *, runs: list[str], region: Count) -> kinds.common.COMPARISON:
    """How what is reached first changes from run to run, on the test levels with a decision and cheese outside (L3).

    `runs` go from the smallest region to no region. Each has its `cheese` and `corner`; of the runs taken together
    there is, for each seed that all have, the `largest fall of cheese` from one run to the next and the `rise of
    cheese` from the first to the last, and likewise the `largest rise of corner` and the `fall of corner`. The same of
    untrained networks is there with that word behind: each run has its own luck, which changes their shares too.
    """
    wanted = {"distribution": "test", "condition": "cheese", "subset": "decision", "region": region, "run": runs}
    frame = navigation.where(**wanted).frame()
    missing = set(runs) - set(frame["run"])
    if missing:
        raise ValueError(f"navigation: run '{missing.pop()}' has no share where cheese lies outside n = {region}")
    rows: list[Row] = []
    for which, ending in (("last", ""), ("first", " untrained")):
        shares = ends_of(frame.assign(quantity=frame["outcome"]), which)
        for outcome, (wrong, right) in SWEPT.items():
            of_outcome = shares.xs(outcome, level="quantity")
            rows += [(run, seed, outcome + ending, value) for (run, seed), value in of_outcome.items()]
            curves = of_outcome.unstack("run")[runs].dropna()  # one row a seed
            steps = curves.diff(axis=1).iloc[:, 1:] * (1 if right == "rise" else -1)
            found = {f"largest {wrong} of {outcome}": -steps.min(axis=1), f"{right} of {outcome}": steps.sum(axis=1)}
            for name, values in found.items():
                rows += [(ALL_TASKS, seed, name + ending, value) for seed, value in values.items()]
    return comparison_rows(rows)
