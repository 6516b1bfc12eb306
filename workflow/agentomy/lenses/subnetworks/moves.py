"""What moving weights along subnetworks does to outputs of toy models and to the behaviour of agents (L3D, 2)."""

import numpy as np
import pandas as pd
import pyarrow as pa

from agentomy import kinds
from agentomy.lenses.subnetworks.measure import LIVE, Row, _made, by_run
from agentomy.tables import Table

KEYS = ["run", "seed", "condition"]
OWN = 0.1  # share of the inputs, those of largest impact, that count as a subnetwork's own


def effects(
    moved: kinds.subnetworks.MOVED, matched: kinds.subnetworks.MATCHED, points: kinds.subnetworks.POINTS
) -> kinds.subnetworks.EFFECTS:
    """Changes of each output after each move; only models with one output a feature have matching outputs."""
    on = points.where(split="decomposed").array("inputs") != 0
    frames = []
    for rows, outputs, before in moves(moved):
        change, there = outputs - before, on[rows["sample"].to_numpy()]
        seen = (outputs != 0) | (before != 0)
        with np.errstate(invalid="ignore"):
            medians = np.nanmedian(np.where(seen, change, np.nan), axis=0) if seen.any() else np.zeros(change.shape[1])
        made = rows.iloc[[0]].loc[:, [*KEYS, "within", "subnetwork", "delta"]]
        made = made.loc[made.index.repeat(change.shape[1])].assign(
            output=np.arange(change.shape[1]),
            on=mean_where(np.abs(change), there),
            off=mean_where(np.abs(change), ~there),
            median=np.nan_to_num(medians),
        )
        frames.append(made)
    frame = pd.concat(frames).merge(matched.frame()[[*KEYS, "subnetwork", "block"]])
    frame["matching"] = frame["output"] == frame["block"]
    return kinds.subnetworks.EFFECTS.table(
        **{column.name: frame[column.name].to_numpy() for column in kinds.subnetworks.EFFECTS.columns}
    )


def mean_where(values: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Means over rows [N, outputs] of which some count; 0 where none does."""
    return np.where(which, values, 0).sum(axis=0) / np.maximum(which.sum(axis=0), 1)


def of_effects(
    effects: kinds.subnetworks.EFFECTS, matched: kinds.subnetworks.MATCHED, *, deltas: list[float]
) -> kinds.common.COMPARISON:
    """How much more the matching output moves than the others (claims 4 and 11), means over live subnetworks.

    For each |delta| wanted, of the mean |change| where the output's feature is on: `matching over others at D`, a
    geometric mean over subnetworks of the quotient; `matching at D`, `others at D`; and `on over off at D` of the
    matching output. The name ends with the condition, and with what was moved unless that is everything.
    """
    live = matched.where(live=True).frame()[[*KEYS, "subnetwork"]]
    frame = effects.frame().merge(live)
    frame["delta"] = frame["delta"].abs()
    rows: list[Row] = []
    for (run, seed, condition, within), group in frame.groupby([*KEYS, "within"], sort=False):
        tail = condition if within == "all" else f"{condition}, {within}"
        for delta in deltas:
            at = group[np.isclose(group["delta"], delta)]
            means = at.groupby(["subnetwork", "matching"])[["on", "off"]].mean().unstack("matching")
            matching, others = means["on"][True], means["on"][False]
            found = {
                "matching": matching.mean(),
                "others": others.mean(),
                "matching over others": np.exp(np.log(matching.clip(1e-9) / others.clip(1e-9)).mean()),
                "on over off": np.exp(np.log(matching.clip(1e-9) / means["off"][True].clip(1e-9)).mean()),
            }
            rows += [(run, seed, f"{name} at {delta:g} {tail}", value) for name, value in found.items()]
    return _made(kinds.common.COMPARISON, rows)


def interactions(pairs: kinds.subnetworks.MOVED, *, delta: float) -> kinds.common.COMPARISON:
    """How far two subnetworks moved together act as the sum of both (claim 11).

    `interaction`: Σ|f_ab - f_a - f_b + f_0| over Σ|f_ab - f_0|, over pairs moved by ±`delta` each, inputs and outputs.
    Among the deltas of `pairs` must be 0.
    """
    keys = [*KEYS, "subnetwork", "second", "delta", "second_delta"]
    frame = pairs.frame()
    outputs = pairs.array("outputs")
    places = {key: outputs[index] for key, index in frame.groupby(keys, sort=False).indices.items()}
    sums: dict[tuple, np.ndarray] = {}
    for (*who, one, other), both in places.items():
        if not (np.isclose(abs(one), delta) and np.isclose(abs(other), delta)):
            continue
        first, second, none = (places[(*who, *where)] for where in ((one, 0.0), (0.0, other), (0.0, 0.0)))
        total = sums.setdefault(tuple(who[:3]), np.zeros(2))
        total += np.abs(both - first - second + none).sum(), np.abs(both - none).sum()
    rows = [(run, seed, f"interaction {condition}", a / b) for (run, seed, condition), (a, b) in sums.items()]
    return _made(kinds.common.COMPARISON, rows)


def steered(
    moved: kinds.subnetworks.MOVED, impacts: kinds.subnetworks.IMPACTS, *, runs: list[str]
) -> kinds.subnetworks.STEERED:
    """How far each move changes an agent's distribution, on the subnetwork's own inputs and on the rest.

    Own inputs are those on which its impact is largest, OWN of all. Some inputs are moved easily by anything, so it is
    also said how far the moves of the other subnetworks go there.
    """
    found = dict(by_run(impacts, runs))
    made: dict[tuple, list] = {}  # of all subnetworks moved by one delta
    for at, outputs, before in moves(moved):
        key, k, delta = tuple(at.iloc[0][KEYS]), at["subnetwork"].iloc[0], at["delta"].iloc[0]
        impact, active = (each[:, k] for each in found[key])
        impact = impact[at["sample"].to_numpy()]
        own = np.zeros(len(impact), dtype=bool)
        own[np.argsort(-impact, kind="stable")[: max(1, round(OWN * len(impact)))]] = True
        raised = (outputs - before)[own].mean(axis=0).argmax()
        change = 0.5 * np.abs(outputs - before).sum(axis=1)
        made.setdefault((*key, delta), []).append((k, active.mean(), own, change, raised))
    rows = []
    for (*key, delta), group in made.items():
        changes = np.stack([change for _, _, _, change, _ in group])
        for place, (k, active, own, change, raised) in enumerate(group):
            quotients = log_quotient(changes[:, own].mean(axis=1), changes[:, ~own].mean(axis=1))
            others = np.delete(quotients, place)
            mean = np.exp(others.mean()) if len(others) else np.nan
            rows.append((*key, k, delta, active, change[own].mean(), change[~own].mean(), mean, raised))
    return _made(kinds.subnetworks.STEERED, rows)


def log_quotient(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.log(np.clip(one, 1e-12, None) / np.clip(other, 1e-12, None))


def of_steered(steered: kinds.subnetworks.STEERED) -> kinds.common.COMPARISON:
    """Whether subnetworks change behaviour on their own inputs more than on others, means over live ones and deltas.

    `own`, `rest` (total variation), `own over rest`, the geometric mean of the quotient, and `own over rest, over that
    of others`: how much more than the other subnetworks do on the same inputs. A name ends with the condition.
    Random directions have no live ones to choose: all count.
    """
    frame = steered.frame()
    frame = frame[(frame["condition"] == "random") | (frame["active"] > LIVE)]
    rows: list[Row] = []
    for (run, seed, condition), group in frame.groupby(KEYS, sort=False):
        ratio = log_quotient(group["own"], group["rest"])
        found = {
            "own": group["own"].mean(),
            "rest": group["rest"].mean(),
            "own over rest": np.exp(ratio.mean()),
            "own over rest, over that of others": np.exp((ratio - np.log(group["others"])).mean()),
        }
        rows += [(run, seed, f"{name} {condition}", value) for name, value in found.items()]
    return _made(kinds.common.COMPARISON, rows)


def moves(moved: Table):
    """(rows, outputs [N, outputs], outputs without moving) of each move of one subnetwork, seed by seed."""
    before: dict[tuple, np.ndarray] = {}
    for piece in moved.groups():
        one = moved.of(piece)
        frame, outputs = one.frame(), one.array("outputs")
        by_move = frame.groupby([*KEYS, "within", "subnetwork", "delta"], sort=False).indices
        for (*key, subnetwork, _), index in by_move.items():
            if subnetwork < 0:
                before[tuple(key)] = outputs[index]
            else:
                yield frame.iloc[index], outputs[index], before[tuple(key)]


def curves(log: kinds.common.LOG) -> kinds.subnetworks.CURVES:
    """Loss along learning, by run."""
    tables = []
    for path in log.paths:  # each says how many epochs its run had
        one = Table(log.kind, [path])
        loss = one.where(quantity="loss").frame()
        epoch = loss["update"] / loss["update"].max() * one.description.parameters["epochs"]
        run = loss["run"].to_numpy()
        values = {"seed": loss["seed"].to_numpy(), "epoch": epoch.to_numpy(), "loss": loss["value"].to_numpy()}
        tables.append(kinds.subnetworks.CURVES.table(run=run, **values))
    return pa.concat_tables(tables)
