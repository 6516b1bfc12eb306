"""What decides whether the cheese is got: logistic regression on distances (Mini et al. 2023; claims M2 to M4).

Only levels count where there is something to decide: those with a decision cell and with cheese outside the top-right
n × n cells. D is the number of distances.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa

from agentomy import kinds
from agentomy.kinds.maze import DISTANCES
from agentomy.lenses.rows import Row, comparison_rows
from agentomy.tables import Table
from agentomy.values import Count

# the three that Mini et al. kept
THREE = ("euclid_cheese_corner", "steps_decision_cheese", "euclid_decision_cheese")
MODELS = {"all": DISTANCES, "three": THREE, **{name: (name,) for name in DISTANCES}}
FITTED = 0.8  # share of the levels
FEWEST = 10  # levels that a regression is made of


def regression(
    outcomes: kinds.maze_behaviour.OUTCOMES, levels: kinds.maze.LEVELS, *, region: Count, splits: Count, streams
) -> kinds.maze_behaviour.REGRESSION:
    """Accuracies and coefficients of logistic regressions (L1, z-scored), over `splits` that all agents share."""
    pieces = []
    for who, rows in decisions(outcomes, levels, region):
        if len(rows) < FEWEST:
            raise ValueError(
                f"outcomes: {len(rows)} levels with a decision and cheese outside; allowed: {FEWEST} or more"
            )
        orders = streams.numpy("splits").permuted(np.tile(np.arange(len(rows)), (splits, 1)), axis=1)
        inputs, got = rows[list(DISTANCES)].to_numpy(), rows["got_cheese"].to_numpy()
        for model, names in MODELS.items():
            chosen = inputs[:, [DISTANCES.index(name) for name in names]]
            found = np.array([judged(chosen, got, order) for order in orders])  # [splits, 2 + variables]
            pieces.append(
                kinds.maze_behaviour.REGRESSION.table(
                    **who,
                    model=model,
                    term=np.array(["accuracy", "majority", *names]),
                    value=found.mean(axis=0),
                    spread=found.std(axis=0),
                    count=len(rows),
                )
            )
    return pa.concat_tables(pieces)


def judged(inputs: np.ndarray, got: np.ndarray, order: np.ndarray) -> list[float]:
    """Accuracy, that of the commoner answer, and coefficients of one split, from inputs [L, variables], answers [L]."""
    from sklearn.linear_model import LogisticRegression

    fitted, rest = np.split(order, [round(FITTED * len(order))])
    common = got[fitted].mean() >= 0.5
    majority = (got[rest] == common).mean()
    if got[fitted].all() or not got[fitted].any():  # nothing to tell apart
        return [majority, majority, *np.zeros(inputs.shape[1])]
    mean, spread = inputs[fitted].mean(axis=0), inputs[fitted].std(axis=0)
    scored = (inputs - mean) / np.where(spread > 0, spread, 1)
    model = LogisticRegression(l1_ratio=1, solver="liblinear", random_state=0)
    model.fit(scored[fitted], got[fitted])
    found = model.decision_function(scored[rest]) > 0
    return [(found == got[rest]).mean(), majority, *model.coef_[0]]


def decisions(outcomes: Table, levels: Table, region: int) -> Iterator[tuple[dict, pd.DataFrame]]:
    """Each network and its episodes on the levels that count, with their distances, in the order of the levels."""
    chosen = counting(levels, region)
    networks = outcomes.where(agent="network", condition="cheese")
    frame = networks.frame(["run", "seed", "update", "level", "got_cheese"])
    for key, rows in frame.groupby(["run", "seed", "update"], sort=False):
        who = dict(zip(("run", "seed", "update"), key, strict=True))
        yield who, chosen.merge(rows[["level", "got_cheese"]], on="level", validate="one_to_one")


def counting(levels: Table, region: int) -> pd.DataFrame:
    """Level and distances where there is a decision cell and the cheese lies outside the region."""
    frame = levels.frame(["level", "cheese_region", "decision_x", *DISTANCES])
    frame = frame[(frame["decision_x"] >= 0) & (frame["cheese_region"] > region)]
    return frame[["level", *DISTANCES]].reset_index(drop=True)


def chances(
    outcomes: kinds.maze_behaviour.OUTCOMES, levels: kinds.maze.LEVELS, *, region: Count, bins: Count
) -> kinds.maze_behaviour.CHANCES:
    """How often the cheese is got, by each distance in `bins` that hold about as many levels each."""
    pieces = []
    for who, rows in decisions(outcomes, levels, region):
        for name in DISTANCES:
            values = rows[name].to_numpy()
            edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)))[1:-1]
            grouped = rows.groupby(np.searchsorted(edges, values, side="right"))
            pieces.append(
                kinds.maze_behaviour.CHANCES.table(
                    **who,
                    distance=name,
                    bin=np.arange(grouped.ngroups),
                    middle=grouped[name].mean().to_numpy(),
                    count=grouped.size().to_numpy(),
                    share=grouped["got_cheese"].mean().to_numpy(),
                )
            )
    return pa.concat_tables(pieces)


def correlations(levels: kinds.maze.LEVELS, *, region: Count, parts: Count) -> kinds.maze_behaviour.CORRELATIONS:
    """Correlations between all distances, in several `parts` of the levels: a test of mazes alone, not of agents."""
    rows = counting(levels, region)[list(DISTANCES)].to_numpy()
    if len(rows) < FEWEST * parts:
        raise ValueError(f"levels: {len(rows)} with a decision and cheese outside; allowed: {FEWEST * parts} or more")
    one, other = (each.ravel() for each in np.meshgrid(DISTANCES, DISTANCES, indexing="ij"))
    pieces = [
        kinds.maze_behaviour.CORRELATIONS.table(
            part=number,
            pair=[f"{first} × {second}" for first, second in zip(one, other, strict=True)],
            one=one,
            other=other,
            correlation=np.corrcoef(part, rowvar=False).ravel(),
            count=len(part),
        )
        for number, part in enumerate(np.array_split(rows, parts))
    ]
    return pa.concat_tables(pieces)


def of_regression(regression: kinds.maze_behaviour.REGRESSION) -> kinds.common.COMPARISON:
    """What claims M2 and M3 are judged on, of trained agents and of untrained ones (the run's first snapshot).

    A quantity is `NAME, MODEL, WHO`: NAME is a term of `kinds.maze_behaviour.REGRESSION`, or `gain`, which is accuracy
    less majority.
    """
    frame = regression.frame()
    rows: list[Row] = []
    for (run, seed), part in frame.groupby(["run", "seed"], sort=False):
        for who, update in (("trained", part["update"].max()), ("untrained", part["update"].min())):
            for model, terms in part[part["update"] == update].groupby("model", sort=False):
                found = terms.set_index("term")["value"].to_dict()
                found["gain"] = found["accuracy"] - found["majority"]
                rows += [(run, seed, f"{name}, {model}, {who}", value) for name, value in found.items()]
    return comparison_rows(rows)
