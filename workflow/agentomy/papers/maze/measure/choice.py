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
from agentomy.kinds.maze_behaviour import MEASURES, NO_DISTANCE
from agentomy.papers.maze.agents import NETWORKS, names_of
from agentomy.tables import Table
from agentomy.values import Count

# the three that Mini et al. kept
THREE = ("euclid_cheese_corner", "steps_decision_cheese", "euclid_decision_cheese")
MODELS = {"all": DISTANCES, "three": THREE, **{name: (name,) for name in DISTANCES}}
RATES = MEASURES[:3]  # accuracy, majority, gain: of the model as a whole
FITTED = 0.8  # share of the levels
FEWEST = 10  # levels that a regression is made of


def regression(
    outcomes: kinds.maze_behaviour.OUTCOMES, levels: kinds.maze.LEVELS, *, region: Count, splits: Count, streams
) -> kinds.maze_behaviour.REGRESSION:
    """Accuracies and coefficients of logistic regressions (L1, z-scored), over `splits` that all agents share."""
    pieces = []
    for network, rows in decisions(outcomes, levels, region):
        if len(rows) < FEWEST:
            raise ValueError(
                f"outcomes: {len(rows)} levels with a decision and cheese outside; allowed: {FEWEST} or more"
            )
        orders = streams.numpy("splits").permuted(np.tile(np.arange(len(rows)), (splits, 1)), axis=1)
        inputs, got = rows[list(DISTANCES)].to_numpy(), rows["got_cheese"].to_numpy()
        for model, names in MODELS.items():
            chosen = inputs[:, [DISTANCES.index(name) for name in names]]
            numbers = np.array([judged(chosen, got, order) for order in orders])  # [splits, 3 + variables]
            pieces.append(
                kinds.maze_behaviour.REGRESSION.table(
                    **network,
                    agent=names_of(network["update"]),
                    model=model,
                    measure=np.array([*RATES, *("coefficient" for _ in names)]),
                    distance=np.array([*(NO_DISTANCE for _ in RATES), *names]),
                    value=numbers.mean(axis=0),
                    spread=numbers.std(axis=0),
                    count=len(rows),
                )
            )
    return pa.concat_tables(pieces)


def judged(inputs: np.ndarray, got: np.ndarray, order: np.ndarray) -> list[float]:
    """The `RATES` and the coefficients of one split, from inputs [L, variables] and answers [L]."""
    from sklearn.linear_model import LogisticRegression

    fitted, rest = np.split(order, [round(FITTED * len(order))])
    common = got[fitted].mean() >= 0.5
    majority = (got[rest] == common).mean()
    if got[fitted].all() or not got[fitted].any():  # there is only one answer
        return [majority, majority, 0.0, *np.zeros(inputs.shape[1])]
    mean, spread = inputs[fitted].mean(axis=0), inputs[fitted].std(axis=0)
    scored = (inputs - mean) / np.where(spread > 0, spread, 1)
    model = LogisticRegression(l1_ratio=1, solver="liblinear", random_state=0)
    model.fit(scored[fitted], got[fitted])
    accuracy = ((model.decision_function(scored[rest]) > 0) == got[rest]).mean()
    return [accuracy, majority, accuracy - majority, *model.coef_[0]]


def decisions(outcomes: Table, levels: Table, region: int) -> Iterator[tuple[dict, pd.DataFrame]]:
    """Each network and its episodes on the levels that count, with their distances, in the order of the levels."""
    chosen = counting(levels, region)
    episodes = outcomes.where(agent="network", condition="cheese")
    frame = episodes.frame([*NETWORKS, "level", "got_cheese"])
    for network, rows in frame.groupby([*NETWORKS], sort=False):
        yield (
            dict(zip(NETWORKS, network, strict=True)),
            chosen.merge(rows[["level", "got_cheese"]], on="level", validate="one_to_one"),
        )


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
    for network, rows in decisions(outcomes, levels, region):
        for name in DISTANCES:
            values = rows[name].to_numpy()
            edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)))[1:-1]
            grouped = rows.groupby(np.searchsorted(edges, values, side="right"))
            pieces.append(
                kinds.maze_behaviour.CHANCES.table(
                    **network,
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
    first, second = (names.ravel() for names in np.meshgrid(DISTANCES, DISTANCES, indexing="ij"))
    pieces = [
        kinds.maze_behaviour.CORRELATIONS.table(
            part=number,
            first=first,
            second=second,
            correlation=np.corrcoef(part, rowvar=False).ravel(),
            count=len(part),
        )
        for number, part in enumerate(np.array_split(rows, parts))
    ]
    return pa.concat_tables(pieces)
