"""How the single parameters of a policy moved: quantiles, inequality and detours (sections 1 and 2)."""

from collections.abc import Iterator
from itertools import groupby

import numpy as np
import pyarrow as pa

from agentomy import kinds
from agentomy.lenses.pieces import together
from agentomy.lenses.rows import Row, comparison_rows
from agentomy.tables import Table
from agentomy.values import Count

CAP = 1e6  # the detour ratio of a parameter that came back to where it was
NULLS = ("walk", "shuffled")


def change(moves: kinds.paths.MOVES, *, quantiles: Count = 101) -> kinds.paths.CHANGE:
    """So many `quantiles` of accumulated and final change, detour ratio and sign flips over a layer's parameters."""
    levels = np.linspace(0, 1, quantiles)

    def pieces() -> Iterator[pa.Table]:
        for who, found in _layers(moves):
            quantities = {"accumulated": found[0], "final": found[1], "flips": found[2]}
            quantities["detour"] = detour(*found[:2])[0]
            for name, values in quantities.items():
                if len(values):
                    value = np.quantile(values, levels)
                    yield kinds.paths.CHANGE.table(**who, quantity=name, quantile=levels, value=value)

    return together(pieces())


def activity(moves: kinds.paths.MOVES) -> kinds.paths.ACTIVITY:
    """How unequally a layer's parameters moved, in single numbers (claims 1 and 2)."""
    found = ((who, numbers(*values)) for who, values in _layers(moves))
    return together(
        kinds.paths.ACTIVITY.table(**who, quantity=np.array(list(values)), value=np.array(list(values.values())))
        for who, values in found
    )


def numbers(accumulated: np.ndarray, final: np.ndarray, flips: np.ndarray, dead: np.ndarray) -> dict[str, float]:
    """The quantities of `kinds.paths.ACTIVITY` from [n] each."""
    ratio, capped = detour(accumulated, final)
    low, middle, high = np.quantile(ratio, [0.1, 0.5, 0.9]) if len(ratio) else [np.nan] * 3
    p10, p90 = np.quantile(accumulated, [0.1, 0.9])
    ordered, total, count = np.sort(accumulated), accumulated.sum(), len(accumulated)
    ranks = np.arange(1, count + 1)
    return {
        "gini": ((2 * ranks - count - 1) @ ordered) / (count * total) if total > 0 else np.nan,
        "top tenth": ordered[count - max(1, round(count / 10)) :].sum() / total if total > 0 else np.nan,
        "p90/p10": p90 / p10 if p10 > 0 else np.nan,
        "detour p10": low,
        "detour p50": middle,
        "detour p90": high,
        **{f"detour > {limit}": (ratio > limit).mean() if len(ratio) else np.nan for limit in (2, 5, 10)},
        "never moved": (accumulated == 0).mean(),
        "dead": dead.mean(),
        "capped": capped,
    }


def detour(accumulated: np.ndarray, final: np.ndarray) -> tuple[np.ndarray, float]:
    """Detour ratios of the parameters that moved, and which share of all had to be capped."""
    moved = accumulated > 0
    capped = moved & (final < 1e-12)
    ratio = np.where(capped, CAP, np.clip(accumulated / np.maximum(final, 1e-12), 1, CAP))
    return ratio[moved], float(capped.mean())


def _layers(moves: Table) -> Iterator[tuple[dict, np.ndarray]]:
    """(who they are, [accumulated, final, flips, dead] of n parameters) of each layer, all parameters and alive.

    The rows of a run follow one another; one run is held at a time.
    """
    columns = ("accumulated", "final", "flips", "dead")
    pieces = (rows.slice(i, 1) for rows in moves.groups() for i in range(len(rows)))
    for run, of_run in groupby(pieces, key=lambda row: row["run"][0].as_py()):
        found: dict[tuple, list] = {}
        for row in of_run:
            piece = np.stack([np.asarray(row[name][0].values, dtype=float) for name in columns])
            *who, layer = (row[name][0].as_py() for name in ("seed", "path", "period", "layer"))
            for each in (layer, "all"):
                found.setdefault((*who, each), []).append(piece)
        for key, parts in found.items():
            values = np.concatenate(parts, axis=1)
            who = {"run": run, **dict(zip(("seed", "path", "period", "layer"), key, strict=True))}
            yield {**who, "parameters": "all"}, values
            if (values[3] == 0).any():
                yield {**who, "parameters": "alive"}, values[:, values[3] == 0]


def of_activity(activity: kinds.paths.ACTIVITY) -> kinds.common.COMPARISON:
    """What claims 1 and 2 are judged on, of the whole path, per seed.

    A quantity is NAME[ LAYER] (all or alive) and then `real`, `walk`, `shuffled`, `real - walk` or `real - shuffled`;
    NAME is a quantity of `kinds.paths.ACTIVITY`, LAYER is left out for all layers together.
    """
    rows = []
    for row in activity.where(period="whole").frame().itertuples():
        place = ("" if row.layer == "all" else f" {row.layer}") + f" ({row.parameters})"
        rows.append((row.run, row.seed, row.path, place, row.quantity, row.value))
    return beside_nulls(rows)


def beside_nulls(rows: list[tuple], ratios: bool = False) -> pa.Table:
    """Comparison of (run, seed, path, place, name, value): each value, and the real path's against each null's."""
    values = {(run, seed, name + place, path): value for run, seed, path, place, name, value in rows}
    made: list[Row] = [(run, seed, f"{name} {path}", value) for (run, seed, name, path), value in values.items()]
    for (run, seed, name, path), value in values.items():
        for null in NULLS if path == "real" else ():
            other = values.get((run, seed, name, null), np.nan)
            made.append((run, seed, f"{name} real - {null}", value - other))
            if ratios:
                made.append((run, seed, f"{name} real / {null}", value / other if other else np.nan))
    return comparison_rows(made)
