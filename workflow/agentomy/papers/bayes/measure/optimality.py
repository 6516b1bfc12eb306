"""How far agents are from the Bayes-optimal ones: in their predictions, and in the return that their choices cost."""

import numpy as np
import pandas as pd
import pyarrow as pa

from agentomy import kinds
from agentomy.lenses.pieces import Means, by_step, iter_groups
from agentomy.papers.bayes.measure.divergence import kl
from agentomy.tables import Table
from agentomy.values import Share


def kl_to_bayes(predictions: kinds.bayes.PREDICTIONS) -> kinds.bayes.DISTANCE:
    """KL(Bayes ‖ network) and excess log-loss at each step, mean over episodes, of every network (section 6.1)."""
    optimal = _optimal(predictions)
    means = Means()
    for (run, family, agent, seed, update), rows in iter_groups(predictions, _WHO, _WHAT):
        if agent == "network":
            divergence, bayes_log_probability = _beside(optimal[run], family, rows, run)
            means.add((run, seed, update), divergence, bayes_log_probability - rows.array("log_probability"))
    return by_step(kinds.bayes.DISTANCE, ("run", "seed", "update"), ("kl", "excess"), means.result())


def excess_over_closed_form(
    predictions: kinds.bayes.PREDICTIONS, optimum: kinds.bayes.OPTIMUM
) -> kinds.common.COMPARISON:
    """Log-loss of the trained networks above the closed form of the optimal one, beside their KL (section 6.1).

    `excess over closed form` and `KL` are in nats per step. Their difference is noise of the evaluation episodes
    alone; `excess minus KL in noise` is its size in standard errors, from its spread over episodes.
    """
    optimal = _optimal(predictions)
    exact = optimum.where(quantity="optimal log-loss").frame().groupby("run")["value"].mean()
    last: dict[str, int] = {}
    for (run, update), _ in iter_groups(predictions, ("run", "update")):
        last[run] = max(update, last.get(run, update))
    found: dict[tuple, list] = {}
    for (run, family, agent, seed, update), rows in iter_groups(predictions, _WHO, _WHAT):
        if agent == "network" and update == last[run]:
            divergence, _ = _beside(optimal[run], family, rows, run)
            excess = -rows.array("log_probability").mean(axis=1) - exact[run]
            found.setdefault((run, seed), []).append((excess, divergence.mean(axis=1)))
    rows = []
    for (run, seed), pieces in found.items():
        excess, divergence = (np.concatenate(each) for each in zip(*pieces, strict=True))  # of each episode
        difference = excess - divergence
        noise = difference.std(ddof=1) / np.sqrt(len(difference))
        values = {
            "excess over closed form": excess.mean(),
            "KL": divergence.mean(),
            "excess minus KL in noise": abs(difference.mean()) / noise,
        }
        rows += [{"run": run, "seed": seed, "quantity": name, "value": value} for name, value in values.items()]
    return kinds.common.COMPARISON.table(**{name: np.array([row[name] for row in rows]) for name in rows[0]})


_WHO = ("run", "family", "agent", "seed", "update")
_WHAT = ("episode", "predictive", "log_probability")


def _beside(optimal: tuple, family: str, rows: Table, run: str) -> tuple[np.ndarray, np.ndarray]:
    """KL(Bayes ‖ network) and the Bayes-optimal agent's log probabilities on a network's episodes, both [E, T]."""
    known, predictive, log_probability = optimal
    at = _rows_of(rows.values("episode"), known, run)
    shape = (len(at), log_probability.shape[1], -1)
    return kl(family, predictive[at].reshape(shape), rows.array("predictive").reshape(shape)), log_probability[at]


def _optimal(predictions: Table) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Run → the Bayes-optimal agent's (episodes [E] in order, predictive [E, T × outputs], log_probability [E, T])."""
    found: dict[str, list] = {}
    columns = ("episode", "predictive", "log_probability")
    for (run, agent), rows in iter_groups(predictions, ("run", "agent"), columns):
        if agent == "bayes":
            piece = rows.values("episode"), rows.array("predictive"), rows.array("log_probability")
            found.setdefault(run, []).append(piece)
    optimal = {}
    for run, pieces in found.items():
        episodes, *arrays = (np.concatenate(each) for each in zip(*pieces, strict=True))
        order = np.argsort(episodes)
        optimal[run] = episodes[order], *(each[order] for each in arrays)
    return optimal


def _rows_of(episodes: np.ndarray, known: np.ndarray, run: str) -> np.ndarray:
    """Where each episode is in the sorted `known`."""
    at = np.searchsorted(known, episodes).clip(max=len(known) - 1)
    if not np.array_equal(known[at], episodes):
        raise ValueError(f"predictions: run '{run}': a network has episodes that the Bayes-optimal agent lacks")
    return at


def bandit_gap(play: kinds.bayes.PLAY) -> kinds.bayes.GAP:
    """Return lost against the exact optimum, regret, and agreement with Gittins, mean over episodes (section 6.2).

    The gap V*(s_t) - Σ_a π(a|h_t) Q*(s_t, a) is taken on the agent's own states; over the steps it sums to the
    expected return lost. Regret compares the true means of the best arm and of the arm pulled.
    """
    by = ("run", "agent", "policy", "seed", "update")
    columns = ("means", "actions", "probability", "q_difference", "index")
    means = Means()
    for key, rows in iter_groups(play, by, columns):
        actions, index = rows.array("actions"), rows.array("index")
        gap = return_lost(rows.array("probability"), rows.array("q_difference"))
        agrees = np.where(actions == 1, index >= -kinds.bayes.TIE, index <= kinds.bayes.TIE)
        means.add(key, gap, regret(rows.array("means"), actions), agrees)
    return by_step(kinds.bayes.GAP, by, ("gap", "regret", "agreement"), means.result())


def return_lost(probability: np.ndarray, q_difference: np.ndarray) -> np.ndarray:
    """Expected return that a choice costs [...], from the probability of arm 1 and Q*(arm 1) - Q*(arm 0)."""
    return np.where(q_difference > 0, (1 - probability) * q_difference, -probability * q_difference)


def regret(means: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Mean of the best arm minus that of the arm pulled [E, T], from means [E, arms] and actions [E, T]."""
    return means.max(axis=1, keepdims=True) - np.take_along_axis(means, actions.astype(int), axis=1)


def acquisition_of_predictors(distance: kinds.bayes.DISTANCE, *, threshold: Share) -> kinds.bayes.ACQUISITION:
    """When each step of the episode is learned: the KL falls below `threshold` of the untrained network's."""
    return _acquisition(distance.frame(), "kl", threshold)


def acquisition_of_bandits(gap: kinds.bayes.GAP, *, threshold: Share) -> kinds.bayes.ACQUISITION:
    """When each pull is learned: the return it loses (argmax policy) falls below `threshold` of that at update 0."""
    frame = gap.frame()
    return _acquisition(frame[(frame["agent"] == "network") & (frame["policy"] == "argmax")], "gap", threshold)


def _acquisition(frame: pd.DataFrame, column: str, threshold: float) -> pa.Table:
    """The first snapshot at which each step is below its level.

    The level is relative to the same step of the untrained network, so that learning all steps in proportion would
    give the same update for all. Steps at which the untrained network is nearly optimal already (such as the first
    one under a symmetric prior) would measure noise: no level lies below `threshold` of the mean over steps.
    """
    rows = []
    for (run, seed), curve in frame.groupby(["run", "seed"], sort=False):
        by_update = curve.pivot(index="update", columns="t", values=column).sort_index()
        values, updates = by_update.to_numpy(), by_update.index.to_numpy()
        level = threshold * np.maximum(values[0], values[0].mean())
        learned = values <= level
        first = np.where(learned.any(axis=0), updates[learned.argmax(axis=0)], np.nan)
        rows.append((run, seed, by_update.columns.to_numpy(), first, level))
    steps = [len(row[2]) for row in rows]
    return kinds.bayes.ACQUISITION.table(
        run=np.repeat([row[0] for row in rows], steps),
        seed=np.repeat([row[1] for row in rows], steps),
        t=np.concatenate([row[2] for row in rows]),
        update=np.concatenate([row[3] for row in rows]),
        level=np.concatenate([row[4] for row in rows]),
    )
