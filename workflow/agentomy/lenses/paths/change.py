"""How the single parameters of a policy moved: quantiles, inequality and detours (sections 1 and 2)."""

from collections.abc import Iterator
from itertools import groupby

import numpy as np
import pyarrow as pa

from agentomy import kinds
from agentomy.lenses.pieces import together
from agentomy.tables import Table
from agentomy.values import Count

CAP = 1e6  # the detour ratio of a parameter that came back to where it was


def change(moves: kinds.paths.MOVES, *, quantiles: Count = 101) -> kinds.paths.CHANGE:
    """Accumulated and final change, detour ratio and sign flips: that many `quantiles` over a layer's parameters."""
    levels = np.linspace(0, 1, quantiles)

    def pieces() -> Iterator[pa.Table]:
        for key, (accumulated, final, flips, _) in _layers(moves):
            quantities = {"accumulated": accumulated, "final": final, "flips": flips}
            quantities["detour"] = detour(accumulated, final)[0]
            for name, values in quantities.items():
                if len(values):
                    value = np.quantile(values, levels)
                    yield kinds.paths.CHANGE.table(**key, quantity=name, quantile=levels, value=value)

    return together(pieces())


def activity(moves: kinds.paths.MOVES) -> kinds.paths.ACTIVITY:
    """How unequally a layer's parameters moved, in single numbers (claims 1 and 2)."""
    return together(kinds.paths.ACTIVITY.table(**key, **numbers(*values)) for key, values in _layers(moves))


def numbers(accumulated: np.ndarray, final: np.ndarray, flips: np.ndarray, dead: np.ndarray) -> dict[str, float]:
    """The numbers of `kinds.paths.ACTIVITY`, from arrays [n]."""
    ratio, capped = detour(accumulated, final)
    low, middle, high = np.quantile(ratio, [0.1, 0.5, 0.9]) if len(ratio) else [np.nan] * 3
    p10, p90 = np.quantile(accumulated, [0.1, 0.9])
    ordered, total, count = np.sort(accumulated), accumulated.sum(), len(accumulated)
    ranks = np.arange(1, count + 1)
    return {
        "gini": ((2 * ranks - count - 1) @ ordered) / (count * total) if total > 0 else np.nan,
        "top_tenth": ordered[count - max(1, round(count / 10)) :].sum() / total if total > 0 else np.nan,
        "p90_over_p10": p90 / p10 if p10 > 0 else np.nan,
        "detour_p10": low,
        "detour_p50": middle,
        "detour_p90": high,
        **{f"detour_above_{limit}": (ratio > limit).mean() if len(ratio) else np.nan for limit in (2, 5, 10)},
        "never_moved": (accumulated == 0).mean(),
        "dead": dead.mean(),
        "capped": capped,
    }


def detour(accumulated: np.ndarray, final: np.ndarray) -> tuple[np.ndarray, float]:
    """The detour ratios of the parameters that moved, and the share of all parameters whose ratio was capped."""
    moved = accumulated > 0
    capped = moved & (final < 1e-12)
    ratio = np.where(capped, CAP, np.clip(accumulated / np.maximum(final, 1e-12), 1, CAP))
    return ratio[moved], float(capped.mean())


def _layers(moves: Table) -> Iterator[tuple[dict, np.ndarray]]:
    """(key columns, [accumulated, final, flips, dead] of n parameters) of each layer and of all, all and alive.

    The rows of a run follow one another, and only one run is in memory at a time.
    """
    columns = ("accumulated", "final", "flips", "dead")
    single_rows = (rows.slice(i, 1) for rows in moves.groups() for i in range(len(rows)))
    for run, rows_of_run in groupby(single_rows, key=lambda row: row["run"][0].as_py()):
        parts: dict[tuple, list] = {}
        for row in rows_of_run:
            piece = np.stack([np.asarray(row[name][0].values, dtype=float) for name in columns])
            *rest, layer = (row[name][0].as_py() for name in ("seed", "path", "period", "layer"))
            for name in (layer, "all"):
                parts.setdefault((*rest, name), []).append(piece)
        for (seed, path, period, layer), pieces in parts.items():
            values = np.concatenate(pieces, axis=1)
            key = {"run": run, "seed": seed, "path": path, "period": period, "layer": layer}
            yield {**key, "parameters": "all"}, values
            alive = values[3] == 0
            if alive.any():
                yield {**key, "parameters": "alive"}, values[:, alive]
