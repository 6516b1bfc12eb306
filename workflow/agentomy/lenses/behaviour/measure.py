"""Whether an imported agent is the one that others saw play (Claim 0), and an agent among its untrained twins."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from scipy import stats

from agentomy import kinds

CAUSES = "another id, other wrappers, or another network"
NONE_NOTED = (
    "no return was noted at a snapshot that played; allowed: `evaluations:` or (of an agent whose actions are drawn) "
    "`monitor:` of the run, or `stated:` here"
)
LOGGED = {"evaluated": "noted", "monitored": "monitored"}  # how quantities of a log begin
SAID = {"evaluated": "was noted", "monitored": "was noted in training", "stated": "is stated"}


def parity(
    returns: kinds.behaviour.GAME_RETURNS,
    log: kinds.common.LOG,
    *,
    stated: dict[str, float] | None = None,  # run → return that somebody states of its last snapshot
    progress,
) -> kinds.behaviour.PARITY:
    """Own returns of imported agents beside noted ones, snapshot by snapshot, in each mode.

    The log holds what an EvalCallback noted; that file does not say in which mode, so both are compared, and so they
    are with a stated return. What a Monitor noted is of drawn actions, and is compared with these. If the last
    snapshot's return is another in every mode, that is said at once, with what it may come from.
    """
    logged = log.frame().pivot_table(index=["run", "seed", "update"], columns="quantity", values="value")
    agents = returns.where(twin=-1).frame()
    last = agents.groupby("run")["update"].max()
    rows, agreeing = [], set()
    for (run, seed, update, mode), part in agents.groupby(["run", "seed", "update", "mode"], sort=False):
        place = (run, seed, update)
        there = logged.loc[place].dropna().to_dict() if place in logged.index else {}
        normaliser = ("none", "own", "one for all")[int(there.get("normaliser", 0.0))]
        noted = dict(_logged(there, mode))
        if stated and run in stated and update == last[run]:
            noted["stated"] = (stated[run], 0.0, 1)
        for source, theirs in noted.items():
            row = _beside(part["return"].to_numpy(), *theirs)
            agreeing |= {(*place, source)} if row[2] <= 0 <= row[3] else set()
            rows.append((*place, mode, source, theirs[0], *row, len(part), normaliser))
    if not rows:
        raise ValueError(NONE_NOTED)
    for run, seed, update, _, source, theirs, mean, *_, normaliser in rows:
        if source == "monitored" and mean > theirs:
            continue
        if update == last[run] and (run, seed, update, source) not in agreeing:
            lost = "; no statistics of observations were given (normalise:)" if normaliser == "none" else ""
            progress.say(f"{run} {update}: returns {mean:.4g}, and {theirs:.4g} {SAID[source]}: {CAUSES}{lost}")
    names = [column.name for column in kinds.behaviour.PARITY.columns]
    return kinds.behaviour.PARITY.table(**dict(zip(names, map(np.array, zip(*rows, strict=True)), strict=True)))


def _logged(there: dict[str, float], mode: str) -> Iterator[tuple[str, tuple[float, float, float]]]:
    """(source, (mean, deviation, episodes)) of the returns that a log has at one time, for a mode of play."""
    for source, word in LOGGED.items():
        if f"{word} return" in there and not (source == "monitored" and mode == "deterministic"):
            yield source, tuple(there[f"{word} {name}"] for name in ("return", "deviation", "episodes"))


def _beside(returns: np.ndarray, noted: float, deviation: float, episodes: float) -> tuple[float, float, float, float]:
    """Own mean; the difference of means and its interval (Welch), as shares of |noted| or of the spread of both."""
    spread = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    scale = max(abs(noted), spread, deviation) or 1.0
    parts = [(spread**2 / len(returns), len(returns)), (deviation**2 / episodes, episodes)]
    variance = sum(part for part, _ in parts)
    difference = returns.mean() - noted
    if not variance:
        margin = 0.0
    else:
        freedom = variance**2 / sum(part**2 / max(n - 1, 1) for part, n in parts)
        margin = stats.t.ppf(0.975, freedom) * variance**0.5
    return float(returns.mean()), difference / scale, (difference - margin) / scale, (difference + margin) / scale


def return_ranks(returns: kinds.behaviour.GAME_RETURNS) -> kinds.behaviour.RANKS:
    """The last snapshot's mean return in each mode among those of its untrained twins."""
    means = returns.frame().groupby(["run", "seed", "update", "twin", "mode"], sort=False)["return"].mean()
    frame = means.reset_index(name="value").assign(layer="all").rename(columns={"mode": "quantity"})
    frame["quantity"] = "return, " + frame["quantity"]
    return ranks(frame)


def unit_ranks(units: kinds.behaviour.UNITS) -> kinds.behaviour.RANKS:
    """The last snapshot's use of each layer among that of its untrained twins."""
    return ranks(units.frame())


def ranks(frame) -> pa.Table:
    """Ranks of the last snapshot (twin -1) among its twins, by run, seed, layer and quantity."""
    rows = []
    for (run, seed, layer, quantity), part in frame.groupby(["run", "seed", "layer", "quantity"], sort=False):
        agent, twins = part[part["twin"] == -1], part[part["twin"] != -1]["value"].to_numpy()
        last = agent.loc[agent["update"].idxmax()]
        if len(twins):
            above = float(((twins < last["value"]) + 0.5 * (twins == last["value"])).sum())
            fewer = min(above, len(twins) - above)
            p = min(1.0, 2 * (fewer + 1) / (len(twins) + 1))
            median = float(np.median(twins))
            rows.append(
                (run, seed, last["update"], layer, quantity, last["value"], median, above / len(twins), p, len(twins))
            )
    if not rows:
        raise ValueError("ranks: no untrained twins; allowed: `twins:` of the extraction, at least 39 for p < 0.05")
    names = [column.name for column in kinds.behaviour.RANKS.columns]
    return kinds.behaviour.RANKS.table(**dict(zip(names, map(np.array, zip(*rows, strict=True)), strict=True)))
