"""What moving weights along subnetworks does to outputs of toy models and to the behaviour of agents (L3D, 2).

Where a number is about live subnetworks and none is live, it is NaN: the seed stays, and what is judged on it is open.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa

from agentomy import kinds
from agentomy.lenses.behaviour.measure import ranks
from agentomy.lenses.rows import table_of
from agentomy.lenses.subnetworks.measure import KEYS, LIVE, by_run
from agentomy.selection import select
from agentomy.tables import Table

OWN = 0.1  # the inputs of a subnetwork's largest impact, this share of all, count as its own


def effects(
    moved: kinds.subnetworks.MOVED, matched: kinds.subnetworks.MATCHED, points: kinds.subnetworks.POINTS
) -> kinds.subnetworks.EFFECTS:
    """Changes of each output after each move; an output matches the feature of its number, if a model has one each."""
    on = points.where(split="decomposed").array("inputs") != 0
    frames = []
    for rows, outputs, before in moves(moved):
        change, feature_on = outputs - before, on[rows["sample"].to_numpy()]
        nonzero = (outputs != 0) | (before != 0)
        with np.errstate(invalid="ignore"):
            some = nonzero.any()
            medians = np.nanmedian(np.where(nonzero, change, np.nan), axis=0) if some else np.zeros(change.shape[1])
        move = rows.iloc[[0]].loc[:, [*KEYS, "within", "subnetwork", "delta"]]
        frames.append(
            move.loc[move.index.repeat(change.shape[1])].assign(
                output=np.arange(change.shape[1]),
                on=mean_where(np.abs(change), feature_on),
                off=mean_where(np.abs(change), ~feature_on),
                median=np.nan_to_num(medians),
            )
        )
    frame = pd.concat(frames).merge(matched.frame()[[*KEYS, "subnetwork", "block"]])
    frame["matching"] = frame["output"] == frame["block"]
    return kinds.subnetworks.EFFECTS.table(
        **{column.name: frame[column.name].to_numpy() for column in kinds.subnetworks.EFFECTS.columns}
    )


def mean_where(values: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Means over the rows [N, outputs] that `which` marks; 0 where it marks none."""
    return np.where(which, values, 0).sum(axis=0) / np.maximum(which.sum(axis=0), 1)


def separation(
    effects: kinds.subnetworks.EFFECTS, matched: kinds.subnetworks.MATCHED, *, deltas: list[float]
) -> kinds.subnetworks.SEPARATION:
    """How much more the matching output moves than the others (claims 4 and 11), for each |δ| of `deltas`.

    Means over live subnetworks of the mean |change| where the output's feature is on; of quotients geometric means.
    """
    frame = effects.frame().merge(matched.frame([*KEYS, "subnetwork", "live"]))
    frame["delta"] = frame["delta"].abs()
    rows = []
    for (*key, within), group in frame.groupby([*KEYS, "within"], sort=False):
        for delta in deltas:
            moved_by_delta = group[np.isclose(group["delta"], delta)]
            if moved_by_delta.empty:
                there = ", ".join(f"{known:g}" for known in sorted(group["delta"].unique()))
                raise ValueError(f"effects: nothing of run '{key[0]}' was moved by {delta:g}, but by {there}")
            live = moved_by_delta[moved_by_delta["live"]]
            rows.append((*key, within, delta, *(_separated(live) if len(live) else [np.nan] * 4)))
    return table_of(kinds.subnetworks.SEPARATION, rows)


def _separated(live: pd.DataFrame) -> list[float]:
    """The numbers of `kinds.subnetworks.SEPARATION`, from effects of live subnetworks."""
    means = live.groupby(["subnetwork", "matching"])[["on", "off"]].mean().unstack("matching")
    matching, others, off = means["on"][True], means["on"][False], means["off"][True]
    quotients = [np.log(matching.clip(1e-9) / changes.clip(1e-9)).mean() for changes in (others, off)]
    return [matching.mean(), others.mean(), *np.exp(quotients)]


def interactions(pairs: kinds.subnetworks.MOVED, *, delta: float) -> kinds.subnetworks.INTERACTIONS:
    """How far two subnetworks moved together differ from the sum of both (claim 11).

    Σ|f_ab - f_a - f_b + f_0| over Σ|f_ab - f_0|, over pairs moved by ±`delta` each, inputs and outputs. `pairs` must
    have moves by 0, too.
    """
    moves_by = [*KEYS, "subnetwork", "second", "delta", "second_delta"]
    frame = pairs.frame()
    outputs = pairs.array("outputs")
    after = {key: outputs[index] for key, index in frame.groupby(moves_by, sort=False).indices.items()}
    sums: dict[tuple, np.ndarray] = {}
    for (*pair, delta_a, delta_b), both in after.items():
        if not (np.isclose(abs(delta_a), delta) and np.isclose(abs(delta_b), delta)):
            continue
        a_alone, b_alone, still = (after[(*pair, *by)] for by in ((delta_a, 0.0), (0.0, delta_b), (0.0, 0.0)))
        total = sums.setdefault(tuple(pair[:3]), np.zeros(2))
        total += np.abs(both - a_alone - b_alone + still).sum(), np.abs(both - still).sum()
    rows = [(*key, beyond_sum / whole) for key, (beyond_sum, whole) in sums.items()]
    return table_of(kinds.subnetworks.INTERACTIONS, rows)


def steered(
    moved: kinds.subnetworks.MOVED, impacts: kinds.subnetworks.IMPACTS, *, runs: list[str]
) -> kinds.subnetworks.STEERED:
    """How far each move changes an agent's distribution, on the subnetwork's own inputs and on the rest.

    Its own inputs are the tenth on which its impact is largest. Some inputs are easily moved by anything, so the table
    also says how far the moves of the other subnetworks go there.
    """
    by_network = dict(by_run(impacts, runs))
    changes_by: dict[tuple, list] = {}  # network and delta → all its subnetworks
    for move, outputs, before in moves(moved):
        key, k, delta = tuple(move.iloc[0][KEYS]), move["subnetwork"].iloc[0], move["delta"].iloc[0]
        impact, active = (values[:, k] for values in by_network[key])
        impact = impact[move["sample"].to_numpy()]
        strongest = np.zeros(len(impact), dtype=bool)
        strongest[np.argsort(-impact, kind="stable")[: max(1, round(OWN * len(impact)))]] = True
        raised = (outputs - before)[strongest].mean(axis=0).argmax()
        change = 0.5 * np.abs(outputs - before).sum(axis=1)
        changes_by.setdefault((*key, delta), []).append((k, active.mean(), strongest, change, raised))
    rows = []
    for (*key, delta), group in changes_by.items():
        changes = np.stack([change for _, _, _, change, _ in group])
        for place, (k, active, strongest, change, raised) in enumerate(group):
            quotients = log_quotient(changes[:, strongest].mean(axis=1), changes[:, ~strongest].mean(axis=1))
            others = np.delete(quotients, place)
            mean = np.exp(others.mean()) if len(others) else np.nan
            rows.append((*key, k, delta, active, change[strongest].mean(), change[~strongest].mean(), mean, raised))
    return table_of(kinds.subnetworks.STEERED, rows)


def log_quotient(values: np.ndarray, over: np.ndarray) -> np.ndarray:
    return np.log(np.clip(values, 1e-12, None) / np.clip(over, 1e-12, None))


def steering(steered: kinds.subnetworks.STEERED) -> kinds.subnetworks.STEERING:
    """Whether subnetworks change behaviour on their own inputs more than on others: means over live ones and deltas.

    Of random directions none is learned to be live, so all count.
    """
    rows = []
    for key, group in steered.frame().groupby(KEYS, sort=False):
        counted = group[(group["condition"] == "random") | (group["active"] > LIVE)]
        quotients = log_quotient(counted["own"], counted["rest"])
        beside_others = np.exp((quotients - np.log(counted["others"])).mean())
        rows.append((*key, counted["own"].mean(), counted["rest"].mean(), np.exp(quotients.mean()), beside_others))
    return table_of(kinds.subnetworks.STEERING, rows)


def subnetwork_ranks(
    losses: kinds.subnetworks.GRADIENT_LOSSES, steering: kinds.subnetworks.STEERING, *, twins: dict[str, str]
) -> kinds.subnetworks.SUBNETWORK_RANKS:
    """What was found in agents among what was found in their untrained twins.

    `twins` is run → the run that decomposes its twins, of which number t of N of seed s is the seed s · N + t. What has
    no number (no subnetwork is live) is left out.
    """
    frames = []
    for run, of_twins in twins.items():
        agents, others = (beside_random(losses, steering, name) for name in (run, of_twins))
        twins_of_one = others["seed"].nunique() // agents["seed"].nunique()
        others = others.assign(twin=others["seed"] % twins_of_one, seed=others["seed"] // twins_of_one)
        frames += [agents.assign(twin=-1), others]
    frame = pd.concat(frames).dropna().assign(update=0, layer="all")
    of_twins = {other: run for run, other in twins.items()}
    ranked = ranks(frame.replace({"run": of_twins})).to_pandas()
    names = [column.name for column in kinds.subnetworks.SUBNETWORK_RANKS.columns]
    return kinds.subnetworks.SUBNETWORK_RANKS.table(**{name: ranked[name].to_numpy() for name in names})


def beside_random(losses: Table, steering: Table, run: str) -> pd.DataFrame:
    """run, seed, quantity, value of a run's learned subnetworks, and over that of its random directions."""
    frames = []
    for table, column, quantity in ((losses, "loss", "loss"), (steering, "own_over_rest", "own over rest")):
        values = select(table, run=run).frame().pivot(index=["run", "seed"], columns="condition", values=column)
        numbers = {quantity: values["learned"], f"{quantity} over random": values["learned"] / values["random"]}
        frames += [value.rename("value").reset_index().assign(quantity=name) for name, value in numbers.items()]
    return pd.concat(frames)


def moves(moved: Table) -> Iterator[tuple[pd.DataFrame, np.ndarray, np.ndarray]]:
    """(rows, outputs [N, outputs], outputs without moving) of each move of a single subnetwork, seed by seed."""
    before: dict[tuple, np.ndarray] = {}
    for piece in moved.groups():
        rows = moved.with_rows(piece)
        frame, outputs = rows.frame(), rows.array("outputs")
        by_move = frame.groupby([*KEYS, "within", "subnetwork", "delta"], sort=False).indices
        for (*key, subnetwork, _), index in by_move.items():
            if subnetwork < 0:
                before[tuple(key)] = outputs[index]
            else:
                yield frame.iloc[index], outputs[index], before[tuple(key)]


def curves(log: kinds.common.LOG) -> kinds.subnetworks.CURVES:
    """Loss along learning, by run."""
    tables = []
    for path in log.paths:  # each file says how many epochs its run had
        log_of_run = Table(log.kind, [path])
        loss = log_of_run.where(quantity="loss").frame()
        epoch = loss["update"] / loss["update"].max() * log_of_run.description.parameters["epochs"]
        run = loss["run"].to_numpy()
        values = {"seed": loss["seed"].to_numpy(), "epoch": epoch.to_numpy(), "loss": loss["value"].to_numpy()}
        tables.append(kinds.subnetworks.CURVES.table(run=run, **values))
    return pa.concat_tables(tables)
