"""Returns of policies along learning, of policies rebuilt from few directions, and of the arms of a comparison."""

import numpy as np
import pandas as pd
import pyarrow as pa

from agentomy import kinds

KEYS = ["run", "seed"]


def scores(rollouts: kinds.ROLLOUTS) -> kinds.SCORES:
    """Best, mean over learning and final average return of each run and seed (section 1)."""
    frame = rollouts.frame()
    average = frame[frame["directions"] == -1].groupby([*KEYS, "update"], sort=False)["return"].mean().reset_index()
    rows = average.sort_values("update").groupby(KEYS, sort=False)["return"].agg(["max", "mean", "last"]).reset_index()
    return kinds.SCORES.table(
        run=rows["run"].to_numpy(),
        seed=rows["seed"].to_numpy(),
        score=rows["max"].to_numpy(),
        auc=rows["mean"].to_numpy(),
        final=rows["last"].to_numpy(),
    )


def reconstruction(rollouts: kinds.ROLLOUTS) -> kinds.RECONSTRUCTION:
    """Returns of policies rebuilt from k directions beside those of the snapshots they stand for (section 1)."""
    keys = [*KEYS, "period", "update", "directions"]
    average = rollouts.frame().groupby(keys, sort=False)["return"].mean().reset_index()
    original = average[average["directions"] == -1].drop(columns="directions")
    both = average.merge(original, on=[*KEYS, "period", "update"], suffixes=("", "_original"))
    both["difference"] = (both["return"] - both["return_original"]).abs()
    grouped = both.groupby([*KEYS, "period", "directions"], sort=False)
    rows = grouped.agg(
        mean=("return", "mean"),
        difference=("difference", "mean"),
        maximum=("return", "max"),
        minimum=("return", "min"),
        snapshots=("return", "size"),
    ).reset_index()
    return kinds.RECONSTRUCTION.table(**{name: rows[name].to_numpy() for name in rows})


def of_reconstruction(reconstruction: kinds.RECONSTRUCTION) -> kinds.COMPARISON:
    """What few directions keep of the return, by period.

    `difference k, PERIOD` is the mean |difference| with k directions, over the largest among all k; `slope, PERIOD`
    the rank correlation of k with that difference; `best rebuilt - best original, PERIOD` how much better the best
    rebuilt policy is than the best snapshot.
    """
    rows = []
    for (run, seed, period), frame in reconstruction.frame().groupby([*KEYS, "period"], sort=False):
        rebuilt = frame[frame["directions"] > 0].sort_values("directions")
        original = frame[frame["directions"] == -1]
        scale = rebuilt["difference"].max() or 1.0
        for k, difference in zip(rebuilt["directions"], rebuilt["difference"], strict=True):
            rows.append((run, seed, f"difference {k}, {period}", difference / scale))
        slope = rebuilt["directions"].rank().corr(rebuilt["difference"].rank())
        rows.append((run, seed, f"slope, {period}", slope if np.isfinite(slope) else 0.0))
        better = rebuilt["maximum"].max() - original["maximum"].max()
        rows.append((run, seed, f"best rebuilt - best original, {period}", better))
    return _table(rows)


def of_arms(scores: kinds.SCORES, *, base: dict) -> kinds.COMPARISON:
    """Each arm against its base run, which `base` names: differences of the same seed, over the base's mean.

    Quantities `score gain`, `auc gain` and `final gain` are (arm - base) / |mean of the base over seeds|; the seeds of
    both share their random numbers up to the first application.
    """
    frame = scores.frame().set_index(KEYS)
    rows = []
    for arm, plain in base.items():
        missing = {arm, plain} - set(frame.index.get_level_values("run"))
        if missing:
            raise ValueError(f"scores: no run '{missing.pop()}'")
        ours, theirs = frame.loc[arm], frame.loc[plain]
        for measure in ("score", "auc", "final"):
            gain = (ours[measure] - theirs[measure]) / abs(theirs[measure].mean())
            rows += [(arm, seed, f"{measure} gain", value) for seed, value in gain.items()]
    return _table(rows)


def of_learning(scores: kinds.SCORES, rollouts: kinds.ROLLOUTS) -> kinds.COMPARISON:
    """Whether agents learned at all: `learned` is the best average return less that of the untrained network."""
    frame = rollouts.frame()
    first = frame[(frame["directions"] == -1) & (frame["update"] == 0)].groupby(KEYS)["return"].mean()
    best = scores.frame().set_index(KEYS)["score"]
    return _table([(run, seed, "learned", best[run, seed] - value) for (run, seed), value in first.items()])


def _table(rows: list[tuple]) -> pa.Table:
    frame = pd.DataFrame(rows, columns=["run", "seed", "quantity", "value"])
    return kinds.COMPARISON.table(**{name: frame[name].to_numpy() for name in frame})
