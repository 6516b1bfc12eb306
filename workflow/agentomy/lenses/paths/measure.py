"""Directions and dimensions of policy paths, from the inner products of their snapshots (sections 1 and 3).

T is the number of snapshots of a period, K that of the directions taken.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
import pyarrow as pa

from agentomy import kinds
from agentomy.lenses.paths.change import beside_nulls
from agentomy.lenses.paths.temporal import inner, periods, temporal_svd
from agentomy.lenses.pieces import together
from agentomy.lenses.rows import Row, comparison_rows
from agentomy.tables import Table
from agentomy.values import Count, Share

# What identifies one spectrum: run, seed, path, period, layer, variant.
Key = tuple[str, int, str, str, str, str]


def directions(gram: kinds.paths.GRAM, *, directions: list[Count]) -> kinds.paths.COURSES:
    """The directions with these numbers (from 1), of each layer and of all, each period and both variants."""

    def pieces() -> Iterator[pa.Table]:
        for key, updates, values, courses in _spectra(gram):
            taken = np.array([number for number in directions if number <= len(values)])
            chosen = courses[:, taken - 1]
            yield kinds.paths.COURSES.table(
                **_named(key),
                direction=taken,
                singular_value=values[taken - 1],
                share=values[taken - 1] / sum_of(values),
                energy=values[taken - 1] ** 2 / sum_of(values**2),
                detour=detours(chosen),
                change=np.abs(chosen[-1] - chosen[0]),
                crossings=crossings(chosen),
                cosine=best_cosine(chosen),
                updates=np.tile(updates, (len(taken), 1)),
                course=chosen.T,
            )

    return together(pieces())


def dimensions(gram: kinds.paths.GRAM, *, betas: list[Share]) -> kinds.paths.DIMENSIONS:
    """D(β): how many directions hold a share β of the sum of singular values, for each of `betas`."""
    return together(
        kinds.paths.DIMENSIONS.table(**_named(key), beta=np.array(betas), dimensions=needed(values, betas))
        for key, _, values, _ in _spectra(gram)
    )


def needed(values: np.ndarray, betas: list) -> np.ndarray:
    """The smallest number of leading singular values that sum to each share β of all; NaN if there is no movement."""
    held = values.cumsum() / sum_of(values)
    if np.isnan(held).any():
        return np.full(len(betas), np.nan)
    return np.minimum(np.searchsorted(held, np.array(betas) - 1e-12) + 1, len(values)).astype(float)


def sum_of(values: np.ndarray) -> float:
    """The sum of what is never negative, or NaN for nothing: of it there are no shares."""
    return float(values.sum()) or np.nan


def _spectra(gram: Table) -> Iterator[tuple[Key, np.ndarray, np.ndarray, np.ndarray]]:
    """(key, updates [T], singular values, left singular vectors) of every layer and of all layers together."""
    for (run, seed, path), layers in _layers(gram):
        whole = {"all": tuple(sum(each) for each in zip(*(found[1:] for found in layers.values()), strict=True))}
        updates = next(iter(layers.values()))[0]
        for layer, parts in ({name: found[1:] for name, found in layers.items()} | whole).items():
            for period, window in periods(len(updates)).items():
                for variant, matrix in inner(*parts, window).items():
                    yield (run, seed, path, period, layer, variant), updates[window], *temporal_svd(matrix)


def _layers(gram: Table) -> Iterator[tuple[tuple, dict]]:
    found: dict[tuple, dict] = {}
    for rows in gram.groups():
        for row in rows.to_pylist():
            updates = np.array(row["updates"])
            delta = np.reshape(row["delta"], (len(updates), len(updates)))
            layers = found.setdefault((row["run"], row["seed"], row["path"]), {})
            layers[row["layer"]] = (updates, delta, np.array(row["start"]), row["origin"])
    yield from found.items()


def _named(key: Key) -> dict:
    return dict(zip(("run", "seed", "path", "period", "layer", "variant"), key, strict=True))


# ---- time courses ---------------------------------------------------------------------------------------------------


def detours(courses: np.ndarray) -> np.ndarray:
    """Detour ratio of each time course [T, K], at most 1e6; 1 for one that never moves."""
    way, final = np.abs(np.diff(courses, axis=0)).sum(axis=0), np.abs(courses[-1] - courses[0])
    ratio = np.where(final < 1e-12, 1e6, way / np.maximum(final, 1e-12))
    return np.where(way == 0, 1.0, np.clip(ratio, 1, 1e6))


def crossings(courses: np.ndarray) -> np.ndarray:
    """How often each time course [T, K] crosses its mean."""
    above = courses > courses.mean(axis=0)
    return (above[1:] != above[:-1]).sum(axis=0)


def best_cosine(courses: np.ndarray) -> np.ndarray:
    """Largest correlation of each time course [T, K] with a cosine of any frequency and phase."""
    centred = courses - courses.mean(axis=0)
    length = np.maximum(np.linalg.norm(centred, axis=0), 1e-300)
    return np.linalg.norm(_cosines(len(courses)) @ (centred / length), axis=1).max(axis=0).clip(max=1)


@cache
def _cosines(count: int) -> np.ndarray:
    """Orthonormal bases [frequencies, 2, T] of the centred cosines and sines, from a quarter of a cycle on."""
    half_cycles = np.arange(0.5, count - 1, 0.25)
    angles = half_cycles[:, None] * np.pi * np.arange(count) / count
    waves = np.stack([np.cos(angles), np.sin(angles)], axis=2)
    basis = np.linalg.qr(waves - waves.mean(axis=1, keepdims=True))[0]
    return np.ascontiguousarray(basis.transpose(0, 2, 1))


# ---- claims ---------------------------------------------------------------------------------------------------------


def of_spectrum(courses: kinds.paths.COURSES, dimensions: kinds.paths.DIMENSIONS) -> kinds.common.COMPARISON:
    """What claims 3 and 4 are judged on, of the delta path, per seed (section 3).

    A quantity is NAME[ LAYER][ PERIOD] and then `real`, `walk`, `shuffled`, `real - walk`, `real - shuffled`,
    `real / walk` or `real / shuffled`; LAYER is left out for all layers together, PERIOD for the whole path. Names:
    `first share`, `first energy`, `detour of course K`, `change of course K`, `crossings of course K`, `cosine of
    course K`, `dimensions β`, `convexity` (mean second difference of D over β).
    """
    rows: list[Row] = []
    frame = courses.where(variant="delta").frame()
    for row in frame.itertuples():
        who = (row.run, row.seed, row.path, _place(row.layer, row.period))
        if row.direction == 1:
            rows += [(*who, "first share", row.share), (*who, "first energy", row.energy)]
        for name in ("detour", "change", "crossings", "cosine"):
            rows.append((*who, f"{name} of course {row.direction}", getattr(row, name)))
    by = ["run", "seed", "path", "layer", "period"]
    for (run, seed, path, layer, period), part in dimensions.where(variant="delta").frame().groupby(by, sort=False):
        who = (run, seed, path, _place(layer, period))
        part = part.sort_values("beta")
        beta, needed = part["beta"].to_numpy(), part["dimensions"].to_numpy(float)
        rows += [(*who, f"dimensions {share:g}", value) for share, value in zip(beta, needed, strict=True)]
        if len(beta) > 2:
            slopes = np.diff(needed) / np.diff(beta)
            rows.append((*who, "convexity", float((np.diff(slopes) / (beta[2:] - beta[:-2]) * 2).mean())))
    return beside_nulls(rows, ratios=True)


def _place(layer: str, period: str) -> str:
    return ("" if layer == "all" else f" {layer}") + ("" if period == "whole" else f" {period}")


# ---- returns --------------------------------------------------------------------------------------------------------


def reconstruction(rollouts: kinds.paths.ROLLOUTS) -> kinds.paths.RECONSTRUCTION:
    """Returns of policies rebuilt from k directions beside those of their snapshots, per period (section 1)."""
    by = ["run", "seed", "period", "directions", "update"]
    means = rollouts.frame().groupby(by, sort=False)["return"].mean()
    made = []
    for (run, seed, period), part in means.groupby(["run", "seed", "period"], sort=False):
        table = part.droplevel(["run", "seed", "period"]).unstack("directions")
        for k in sorted(table.columns):
            both = table[[k, -1]].dropna() if k != -1 else table[[-1]].dropna()
            values, original = both[k].to_numpy(), both[-1].to_numpy()
            made.append(
                kinds.paths.RECONSTRUCTION.table(
                    run=run,
                    seed=seed,
                    period=period,
                    directions=k,
                    mean=values.mean(),
                    difference=np.abs(values - original).mean(),
                    maximum=values.max(),
                    minimum=values.min(),
                    snapshots=len(values),
                )
            )
    return pa.concat_tables(made)


def scores(rollouts: kinds.paths.ROLLOUTS) -> kinds.paths.SCORES:
    """Best, mean and last average return over learning, of the snapshots themselves (section 1)."""
    chosen = rollouts.where(directions=-1, period="whole").frame()
    means = chosen.groupby(["run", "seed", "update"])["return"].mean().groupby(["run", "seed"])
    found = means.agg(["max", "mean", "last"]).reset_index()
    return kinds.paths.SCORES.table(
        run=found["run"], seed=found["seed"], score=found["max"], auc=found["mean"], final=found["last"]
    )


def of_reconstruction(reconstruction: kinds.paths.RECONSTRUCTION) -> kinds.common.COMPARISON:
    """What claim 5 is judged on, per seed and PERIOD.

    `difference at K PERIOD`: mean |dR| as a share of the originals' |mean return|; `directions for 10 % PERIOD`: the
    smallest k with less than 10 % (NaN if none); `maximum above originals' PERIOD`: how far the best rebuilt policy is
    above the best original, as a share of the same, and `mean maximum above originals' PERIOD`: the mean over k of that
    of each, which has as many policies as the originals; `fall of difference PERIOD`: that at the largest k less
    that at the smallest.
    """
    rows: list[Row] = []
    for (run, seed, period), part in reconstruction.frame().groupby(["run", "seed", "period"], sort=False):
        original = part[part["directions"] == -1].iloc[0]
        rebuilt = part[part["directions"] != -1].sort_values("directions")
        scale = max(abs(original["mean"]), np.finfo(float).tiny)
        shares = rebuilt["difference"].to_numpy() / scale
        close = rebuilt["directions"].to_numpy()[shares < 0.1]
        for k, share in zip(rebuilt["directions"], shares, strict=True):
            rows.append((run, seed, f"difference at {k} {period}", share))
        rows.append((run, seed, f"directions for 10 % {period}", close[0] if len(close) else np.nan))
        rows.append((run, seed, f"fall of difference {period}", shares[-1] - shares[0]))
        above = (rebuilt["maximum"].max() - original["maximum"]) / scale
        rows.append((run, seed, f"maximum above originals' {period}", above))
        mean = (rebuilt["maximum"].mean() - original["maximum"]) / scale
        rows.append((run, seed, f"mean maximum above originals' {period}", mean))
    return comparison_rows(rows)


def of_scores(scores: kinds.paths.SCORES, *, pairs: dict[str, str]) -> kinds.common.COMPARISON:
    """Relative gain of runs over their base runs, seed by seed: `score gain`, `auc gain`, `final gain` (claims 7 to 9).

    `pairs` is run → base run; a gain is a share of the base's |mean over seeds|. Seeds that only one has don't count.
    """
    rows: list[Row] = []
    frame = scores.frame().set_index(["run", "seed"])
    for run, base in pairs.items():
        for name in ("score", "auc", "final"):
            one, other = frame.loc[run, name].align(frame.loc[base, name], join="inner")
            if one.empty:
                raise ValueError(f"scores: '{run}' and '{base}' have no seed in common")
            gains = ((one - other) / abs(other.mean())).dropna()
            rows += [(run, seed, f"{name} gain", value) for seed, value in gains.items()]
    return comparison_rows(rows)
