"""How far agents are from the Bayes-optimal ones: in their predictions, and in the return that their choices cost."""

import numpy as np

from agentomy import kinds
from agentomy.lenses.pieces import Means, by_step, iter_groups
from agentomy.lenses.rows import table_of
from agentomy.papers.bayes.measure.divergence import kl
from agentomy.tables import Table

# ---- predictors -----------------------------------------------------------------------------------------------------

_BY = ("run", "family", "agent", "seed", "update")
_PREDICTED = ("episode", "predictive", "log_probability")


def kl_to_bayes(predictions: kinds.bayes.PREDICTIONS) -> kinds.bayes.DISTANCE:
    """KL(Bayes ‖ network) and excess log-loss at each step, mean over episodes, of every network (section 6.1)."""
    optimal = _optimal(predictions)
    means = Means()
    for (run, family, agent, seed, update), rows in iter_groups(predictions, _BY, _PREDICTED):
        if agent == "network":
            divergence, bayes_log_probability = _beside(optimal[run], family, rows, run)
            means.add((run, seed, update), divergence, bayes_log_probability - rows.array("log_probability"))
    return by_step(kinds.bayes.DISTANCE, ("run", "seed", "update"), ("kl", "excess"), means.result())


def closed_form(predictions: kinds.bayes.PREDICTIONS, optimum: kinds.bayes.OPTIMUM) -> kinds.bayes.CLOSED_FORM:
    """Log-loss of the trained networks above the closed form of the optimal one, beside their KL (section 6.1).

    The two differ by the sampling noise of the evaluation episodes alone. So this checks the closed form, the KL and
    the episodes against one another.
    """
    optimal = _optimal(predictions)
    exact = optimum.where(quantity="optimal log-loss").frame().groupby("run")["value"].mean()
    last: dict[str, int] = {}
    for (run, update), _ in iter_groups(predictions, ("run", "update")):
        last[run] = max(update, last.get(run, update))
    by_episode: dict[tuple, list] = {}
    for (run, family, agent, seed, update), rows in iter_groups(predictions, _BY, _PREDICTED):
        if agent == "network" and update == last[run]:
            divergence, _ = _beside(optimal[run], family, rows, run)
            excess = -rows.array("log_probability").mean(axis=1) - exact[run]
            by_episode.setdefault((run, seed), []).append((excess, divergence.mean(axis=1)))
    rows = []
    for (run, seed), pieces in by_episode.items():
        excess, divergence = (np.concatenate(side) for side in zip(*pieces, strict=True))
        difference = excess - divergence
        noise = difference.std(ddof=1) / np.sqrt(len(difference))
        rows.append((run, seed, excess.mean(), divergence.mean(), abs(difference.mean()) / noise))
    return table_of(kinds.bayes.CLOSED_FORM, rows)


def _beside(optimal: tuple, family: str, rows: Table, run: str) -> tuple[np.ndarray, np.ndarray]:
    """KL(Bayes ‖ network) and the Bayes-optimal agent's log probabilities on a network's episodes, both [E, T]."""
    episodes, predictive, log_probability = optimal
    at = _rows_of(rows.values("episode"), episodes, run)
    shape = (len(at), log_probability.shape[1], -1)
    return kl(family, predictive[at].reshape(shape), rows.array("predictive").reshape(shape)), log_probability[at]


def _optimal(predictions: Table) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Run → the Bayes-optimal agent's (episodes [E] in order, predictive [E, T × outputs], log_probability [E, T])."""
    pieces: dict[str, list] = {}
    for (run, agent), rows in iter_groups(predictions, ("run", "agent"), _PREDICTED):
        if agent == "bayes":
            piece = rows.values("episode"), rows.array("predictive"), rows.array("log_probability")
            pieces.setdefault(run, []).append(piece)
    optimal = {}
    for run, parts in pieces.items():
        episodes, *arrays = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.argsort(episodes)
        optimal[run] = episodes[order], *(array[order] for array in arrays)
    return optimal


def _rows_of(episodes: np.ndarray, optimal: np.ndarray, run: str) -> np.ndarray:
    """The place of each episode among the sorted episodes of the Bayes-optimal agent."""
    at = np.searchsorted(optimal, episodes).clip(max=len(optimal) - 1)
    if not np.array_equal(optimal[at], episodes):
        raise ValueError(f"predictions: run '{run}': a network has episodes that the Bayes-optimal agent lacks")
    return at


# ---- bandit agents --------------------------------------------------------------------------------------------------


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


def losses(gap: kinds.bayes.GAP, optimum: kinds.bayes.OPTIMUM) -> kinds.bayes.LOSSES:
    """Return lost in an episode, beside the exact optimum and the reference agents (claims C2, C3).

    Regret is the paper's measure. It is that of the arms that were pulled, so that it has their sampling noise.
    """
    by = ["run", "agent", "policy", "seed", "update"]
    frame = gap.frame().groupby(by, sort=False).agg({"gap": "sum", "regret": "sum", "agreement": "mean"}).reset_index()
    best = optimum.where(quantity="optimal return").frame().set_index("run")["value"]
    references = frame[frame["seed"] == -1].pivot(index="run", columns="agent", values=["gap", "regret"])
    beside = references.loc[frame["run"]]  # a row for each of the frame's
    values = {
        "lost": frame["gap"],
        "share_lost": frame["gap"] / best[frame["run"]].to_numpy(),
        "over_thompson": frame["gap"] / beside["gap", "thompson"].to_numpy(),
        "over_greedy": frame["gap"] / beside["gap", "greedy"].to_numpy(),
        "regret_above_gittins": frame["regret"] - beside["regret", "gittins"].to_numpy(),
        "agreement": frame["agreement"],
    }
    return kinds.bayes.LOSSES.table(**{name: frame[name].to_numpy() for name in by}, **values)


def return_lost(probability: np.ndarray, q_difference: np.ndarray) -> np.ndarray:
    """Expected return that a choice costs [...], from the probability of arm 1 and Q*(arm 1) - Q*(arm 0)."""
    return np.where(q_difference > 0, (1 - probability) * q_difference, -probability * q_difference)


def regret(means: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Mean of the best arm minus that of the arm pulled [E, T], from means [E, arms] and actions [E, T]."""
    return means.max(axis=1, keepdims=True) - np.take_along_axis(means, actions.astype(int), axis=1)
