"""Whether an imported agent is the one that others saw play: Claim 0, before any lens is believed."""

import numpy as np
from scipy import stats

from agentomy import kinds

NONE_NOTED = "no return was noted at a snapshot that played; allowed: `evaluations:` of the run, or `stated:` here"


def parity(
    returns: kinds.behaviour.RETURNS,
    log: kinds.common.LOG,
    *,
    stated: dict[str, float] | None = None,  # run → return that somebody states of its last snapshot
    within: float = 0.25,  # a difference that may be
) -> kinds.behaviour.PARITY:
    """Own returns of imported agents beside noted ones, snapshot by snapshot, in each mode.

    The log holds what an EvalCallback noted; that file does not say in which mode, so both are compared. `within` is
    only what the words in the last column go by.
    """
    noted = log.frame().pivot_table(index=["run", "seed", "update"], columns="quantity", values="value")
    own = returns.where(twin=-1).frame()
    last = own.groupby("run")["update"].max()
    rows = []
    for (run, seed, update, mode), part in own.groupby(["run", "seed", "update", "mode"], sort=False):
        place = (run, seed, update)
        if stated and run in stated and update == last[run]:
            theirs = (stated[run], 0.0, 1)
        elif place in noted.index and np.isfinite(noted.loc[place].get("noted return", np.nan)):
            theirs = tuple(noted.loc[place, f"noted {name}"] for name in ("return", "deviation", "episodes"))
        else:
            continue
        found = noted.loc[place].get("normaliser", 0.0) if place in noted.index else 0.0
        normaliser = ("none", "own", "one for all")[int(found)]
        row = _beside(part["return"].to_numpy(), *theirs)
        says = _said(row, within, normaliser)
        rows.append((*place, mode, theirs[0], *row, len(part), normaliser, says))
    if not rows:
        raise ValueError(NONE_NOTED)
    names = [column.name for column in kinds.behaviour.PARITY.columns]
    return kinds.behaviour.PARITY.table(**dict(zip(names, map(np.array, zip(*rows, strict=True)), strict=True)))


def _beside(own: np.ndarray, noted: float, deviation: float, episodes: float) -> tuple[float, float, float, float]:
    """Own mean; the difference of means and its interval (Welch), as shares of |noted| or of the spread of both."""
    spread = float(own.std(ddof=1)) if len(own) > 1 else 0.0
    scale = max(abs(noted), spread, deviation) or 1.0
    parts = [(spread**2 / len(own), len(own)), (deviation**2 / episodes, episodes)]
    variance = sum(part for part, _ in parts)
    difference = own.mean() - noted
    if not variance:
        margin = 0.0
    else:
        freedom = variance**2 / sum(part**2 / max(n - 1, 1) for part, n in parts)
        margin = stats.t.ppf(0.975, freedom) * variance**0.5
    return float(own.mean()), difference / scale, (difference - margin) / scale, (difference + margin) / scale


def _said(row: tuple[float, ...], within: float, normaliser: str) -> str:
    _, _, low, high = row
    if -within < low and high < within:
        return "agrees"
    if low > 0 or high < 0:
        cause = "; no statistics of observations were given (normalise:)" if normaliser == "none" else ""
        return f"another return: another id, other wrappers, or the other mode{cause}"
    return "undecided: more episodes would tell"
