"""Human-normalised scores and what Agarwal et al. (2021, rliable) say to make of them, with bootstrap intervals.

Scores are arrays [games, runs]; resampled ones [resamples, games, runs], where the runs of each game are drawn by
themselves (stratified). Intervals are percentiles of what resampled scores give, 95 % of them.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa

from agentomy import kinds
from agentomy.lenses.rows import table_of
from agentomy.selection import select
from agentomy.tables import Table
from agentomy.values import Count, Positive

Scores = np.ndarray
IMPROVEMENT = "probability of improvement"


# ---- stage functions ------------------------------------------------------------------------------------------------


def normalised(published: kinds.twm.PUBLISHED) -> kinds.twm.NORMALISED:
    """Every published score on the scale on which a random policy has 0 and a person 1."""
    return on_the_human_scale(published.frame())


def on_the_human_scale(frame: pd.DataFrame) -> pa.Table:
    """Scores with those of the references among them, normalised; without the references."""
    references = frame.pivot_table(index="game", columns="method", values="score")[["random", "human"]]
    frame = frame[~frame["method"].isin(["random", "human"])].join(references, on="game")
    columns = {name: frame[name].to_numpy() for name in ("method", "game", "seed", "runs", "score")}
    hns = (frame["score"] - frame["random"]) / (frame["human"] - frame["random"])
    return kinds.twm.NORMALISED.table(**columns, hns=hns.to_numpy())


def ours(
    rollouts: kinds.paths.ROLLOUTS, published: kinds.twm.PUBLISHED, *, games: dict[str, str]
) -> kinds.twm.NORMALISED:
    """Scores of our own last snapshots as those of a method, beside the published ones of the same games.

    `games`: run → game, by its published name. Comparable only at the paper's size, budget and evaluation.
    """
    snapshots = rollouts.where(directions=-1, run=[*games]).frame()
    means = snapshots.groupby(["run", "seed", "update"])["return"].mean().groupby(["run", "seed"]).last().reset_index()
    missing = [*(set(games) - set(means["run"])), *(set(games.values()) - set(published.values("game")))]
    if missing:
        raise ValueError(f"scores: nothing of '{min(missing)}'")
    rows = {
        "method": kinds.twm.OURS,
        "game": means["run"].map(games),
        "seed": means["seed"],
        "runs": 1,
        "score": means["return"],
    }
    return on_the_human_scale(pd.concat([published.where(game=[*games.values()]).frame(), pd.DataFrame(rows)]))


def aggregates(
    normalised: kinds.twm.NORMALISED, *, methods: list[str], resamples: Count, streams
) -> kinds.twm.ESTIMATES:
    """Mean, median, IQM, optimality gap, and games at human level, of each method.

    A method with one number a game has no interval.
    """
    rows = []
    for method in methods:
        scores = scores_of(normalised, method)
        again = resampled(scores, resamples, streams.numpy(method))
        rows += [(method, name, *estimated(function, scores, again)) for name, function in AGGREGATES.items()]
    return table_of(kinds.twm.ESTIMATES, rows)


def differences(
    normalised: kinds.twm.NORMALISED,
    known: kinds.twm.ESTIMATES,
    *,
    method: str,
    others: list[str],
    resamples: Count,
    streams,
) -> kinds.twm.COMPARED:
    """Aggregates of a method less those of others; of others whose runs are not here, less what is `known` of them.

    Runs of both are resampled; what is known has no interval here, and is taken as it is.
    """
    scores = scores_of(normalised, method)
    again = resampled(scores, resamples, streams.numpy(method))
    fixed = known.frame().set_index(["method", "quantity"])["value"]
    rows = []
    for other in others:
        if other in fixed.index.get_level_values("method"):
            for name, value in fixed[other].items():
                difference = AGGREGATES[name](scores) - value, *ends(AGGREGATES[name](again) - value)
                rows.append((method, other, name, *difference))
            continue
        theirs = scores_of(normalised, other)
        theirs_again = resampled(theirs, resamples, streams.numpy(other))
        for name in MAIN:
            function = AGGREGATES[name]
            difference = function(scores) - function(theirs), *ends(function(again) - function(theirs_again))
            rows.append((method, other, name, *difference))
    return table_of(kinds.twm.COMPARED, rows)


def improvement(
    normalised: kinds.twm.NORMALISED, *, method: str, others: list[str], resamples: Count, streams
) -> kinds.twm.COMPARED:
    """How likely a run of a method beats one of another on a game drawn at random; ties count half."""
    scores, rows = scores_of(normalised, method), []
    for other in others:
        theirs = scores_of(normalised, other)
        again = [resampled(runs, resamples, streams.numpy(f"{other} {i}")) for i, runs in enumerate((scores, theirs))]
        rows.append((method, other, IMPROVEMENT, beats(scores, theirs), *ends(beats(*again))))
    return table_of(kinds.twm.COMPARED, rows)


def profiles(
    normalised: kinds.twm.NORMALISED, *, methods: list[str], largest: Positive, points: Count, resamples: Count, streams
) -> kinds.twm.PROFILE:
    """Share of runs above each of `points` thresholds from 0 to the `largest`, with pointwise bands."""
    thresholds = np.linspace(0, largest, points)
    tables = []
    for method in methods:
        scores = scores_of(normalised, method)
        again = resampled(scores, resamples, streams.numpy(method))
        above = [partial(share_above, threshold=threshold) for threshold in thresholds]
        share, low, high = np.array([estimated(function, scores, again) for function in above]).T
        tables.append(kinds.twm.PROFILE.table(method=method, threshold=thresholds, share=share, low=low, high=high))
    return pa.concat_tables(tables)


def spread(normalised: kinds.twm.NORMALISED, *, methods: list[str]) -> kinds.twm.SPREAD:
    """How far the runs of each method lie apart, game by game, and what the best of them does to the mean."""
    frame = select(normalised, method=methods).frame()
    frame = frame[frame["seed"] >= 0]
    grouped = frame.groupby(["method", "game"], sort=False)
    table = grouped.agg(runs=("seed", "size"), least=("score", "min"), largest=("score", "max"), mean=("hns", "mean"))
    table["without_best"] = (grouped["hns"].sum() - grouped["hns"].max()) / (grouped["hns"].size() - 1)
    return kinds.twm.SPREAD.table(**{name: values.to_numpy() for name, values in table.reset_index().items()})


# ---- aggregates of scores [..., games, runs] ------------------------------------------------------------------------


def mean(scores: Scores) -> np.ndarray:
    """Mean over games of the mean over runs."""
    return scores.mean(axis=(-2, -1))


def median(scores: Scores) -> np.ndarray:
    """Median over games of the mean over runs."""
    return np.median(scores.mean(axis=-1), axis=-1)


def iqm(scores: Scores) -> np.ndarray:
    """Interquartile mean: that of all runs of all games but the lowest and the highest quarter, rounded down."""
    flat = np.sort(scores.reshape(*scores.shape[:-2], -1), axis=-1)
    cut = flat.shape[-1] // 4
    return flat[..., cut : flat.shape[-1] - cut].mean(axis=-1)


def optimality_gap(scores: Scores) -> np.ndarray:
    """How far scores fall short of a person's, 1, where they do; mean over all runs."""
    return 1 - np.minimum(scores, 1).mean(axis=(-2, -1))


def at_human_level(scores: Scores) -> np.ndarray:
    """Games on which the mean over runs is at least a person's score."""
    return (scores.mean(axis=-1) >= 1).sum(axis=-1)


def share_above(scores: Scores, threshold: float) -> np.ndarray:
    """Share of all runs above a threshold: a point of the performance profile."""
    return (scores > threshold).mean(axis=(-2, -1))


def beats(ours: Scores, theirs: Scores) -> np.ndarray:
    """P(run of ours > run of theirs) + P(equal) / 2, mean over games (Mann & Whitney's U over the number of pairs)."""
    one, other = ours[..., :, None], theirs[..., None, :]
    return ((one > other) + (one == other) / 2).mean(axis=(-3, -2, -1))


AGGREGATES: dict[str, Callable[[Scores], np.ndarray]] = {
    "mean": mean,
    "median": median,
    "IQM": iqm,
    "optimality gap": optimality_gap,
    "games at human level": at_human_level,
}
MAIN = ("mean", "median", "IQM", "optimality gap")  # those that others publish


# ---- bootstrap ------------------------------------------------------------------------------------------------------


def resampled(scores: Scores, resamples: int, rng: np.random.Generator) -> Scores:
    """Scores [resamples, games, runs]: of each game as many of its runs as it has, drawn with replacement."""
    games, runs = scores.shape
    drawn = rng.integers(runs, size=(resamples, games, runs))
    return scores[np.arange(games)[:, None], drawn]


def ends(values: np.ndarray) -> tuple[float, float]:
    """Ends of the 95 % interval of values [resamples], by percentiles."""
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def estimated(function: Callable[[Scores], np.ndarray], scores: Scores, again: Scores) -> tuple[float, float, float]:
    """Value and ends of its interval; there is none where each game has one number."""
    interval = ends(function(again)) if scores.shape[1] > 1 else (np.nan, np.nan)
    return float(function(scores)), *interval


# ---- tables ---------------------------------------------------------------------------------------------------------


def scores_of(normalised: Table, method: str) -> Scores:
    """Scores [games, runs] of a method; [games, 1] if there is one number a game. Games are in alphabetical order.

    Means over several runs are refused: IQM, optimality gap and shares of them are not those of the runs.
    """
    frame = normalised.where(method=method).frame(["game", "seed", "runs", "hns"])
    if frame.empty:
        there = ", ".join(pd.unique(normalised.values("method")))
        raise ValueError(f"scores: no method '{method}'; there are: {there}")
    if (frame["runs"] > 1).any():
        raise ValueError(f"scores: {method} is known by means over {frame['runs'].max()} runs alone; runs are needed")
    return frame.pivot_table(index="game", columns="seed", values="hns").to_numpy()
