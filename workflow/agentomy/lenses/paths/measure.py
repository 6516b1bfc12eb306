"""Directions and dimensions of policy paths, from the inner products of their snapshots (sections 1 and 3).

T is the number of snapshots of a period, K that of the directions taken.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
import pyarrow as pa

from agentomy import kinds
from agentomy.lenses.paths.temporal import inner, periods, temporal_svd
from agentomy.lenses.pieces import together
from agentomy.lenses.rows import UNTRAINED, table_of
from agentomy.tables import Table
from agentomy.values import Count, Share

KEY = ("run", "seed", "path", "period", "layer", "variant")  # what identifies one spectrum
Key = tuple[str, int, str, str, str, str]


def directions(gram: kinds.paths.GRAM, *, directions: list[Count]) -> kinds.paths.COURSES:
    """The directions with these numbers (from 1) of each layer, of all layers, in each period and both variants."""

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


def convexity(dimensions: kinds.paths.DIMENSIONS) -> kinds.paths.CONVEXITY:
    """Mean second difference of D over three or more β: above 0 where D rises ever more steeply (claim 3)."""
    rows = []
    for key, part in dimensions.frame().groupby(list(KEY), sort=False):
        part = part.sort_values("beta")
        beta, counts = part["beta"].to_numpy(), part["dimensions"].to_numpy(float)
        if len(beta) < 3:
            raise ValueError(f"dimensions: run '{key[0]}': found {len(beta)} betas; allowed: 3 or more")
        slopes = np.diff(counts) / np.diff(beta)
        rows.append((*key, (np.diff(slopes) / (beta[2:] - beta[:-2]) * 2).mean()))
    return table_of(kinds.paths.CONVEXITY, rows)


def needed(values: np.ndarray, betas: list) -> np.ndarray:
    """The smallest number of leading singular values that sum to each share β of all; NaN if there is no movement."""
    held = values.cumsum() / sum_of(values)
    if np.isnan(held).any():
        return np.full(len(betas), np.nan)
    return np.minimum(np.searchsorted(held, np.array(betas) - 1e-12) + 1, len(values)).astype(float)


def sum_of(values: np.ndarray) -> float:
    """The sum of values that are never negative; NaN if it is 0, as nothing can be a share of 0."""
    return float(values.sum()) or np.nan


def _spectra(gram: Table) -> Iterator[tuple[Key, np.ndarray, np.ndarray, np.ndarray]]:
    """(key, updates [T], singular values, left singular vectors) of every layer and of all layers together."""
    for (run, seed, path), layers in _layers(gram):
        updates = next(iter(layers.values()))[0]
        products = {layer: (delta, start, origin) for layer, (_, delta, start, origin) in layers.items()}
        whole = tuple(sum(parts) for parts in zip(*products.values(), strict=True))
        for layer, parts in (products | {"all": whole}).items():
            for period, window in periods(len(updates)).items():
                for variant, matrix in inner(*parts, window).items():
                    yield (run, seed, path, period, layer, variant), updates[window], *temporal_svd(matrix)


def _layers(gram: Table) -> Iterator[tuple[tuple, dict]]:
    """(run, seed, path) and layer → (updates, delta, start, origin), as in `kinds.paths.GRAM`."""
    paths: dict[tuple, dict] = {}
    for rows in gram.groups():
        for row in rows.to_pylist():
            updates = np.array(row["updates"])
            delta = np.reshape(row["delta"], (len(updates), len(updates)))
            layers = paths.setdefault((row["run"], row["seed"], row["path"]), {})
            layers[row["layer"]] = (updates, delta, np.array(row["start"]), row["origin"])
    yield from paths.items()


def _named(key: Key) -> dict:
    return dict(zip(KEY, key, strict=True))


# ---- time courses ---------------------------------------------------------------------------------------------------


def detours(courses: np.ndarray) -> np.ndarray:
    """Detour ratio of each time course [T, K], at most 1e6; 1 for a course that never moves."""
    length, final = np.abs(np.diff(courses, axis=0)).sum(axis=0), np.abs(courses[-1] - courses[0])
    ratio = np.where(final < 1e-12, 1e6, length / np.maximum(final, 1e-12))
    return np.where(length == 0, 1.0, np.clip(ratio, 1, 1e6))


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


# ---- returns --------------------------------------------------------------------------------------------------------


def reconstruction(rollouts: kinds.paths.ROLLOUTS) -> kinds.paths.RECONSTRUCTION:
    """Returns of policies rebuilt from k directions beside those of their snapshots, by period (section 1)."""
    by = ["run", "seed", "period", "directions", "update"]
    means = rollouts.frame().groupby(by, sort=False)["return"].mean()
    pieces = []
    for (run, seed, period), part in means.groupby(["run", "seed", "period"], sort=False):
        table = part.droplevel(["run", "seed", "period"]).unstack("directions")
        for k in sorted(table.columns):
            both = table[[k, -1]].dropna() if k != -1 else table[[-1]].dropna()
            values, original = both[k].to_numpy(), both[-1].to_numpy()
            pieces.append(
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
    return pa.concat_tables(pieces)


def scores(rollouts: kinds.paths.ROLLOUTS) -> kinds.paths.SCORES:
    """Average returns along learning of the snapshots themselves: the untrained one's, the best, means, the last."""
    snapshots = rollouts.where(directions=-1, period="whole").frame()
    averages = snapshots.groupby(["run", "seed", "update"])["return"].mean()
    rows = []
    for (run, seed), average in averages.groupby(["run", "seed"], sort=False):
        measures = {
            "untrained": average[run, seed, UNTRAINED],
            "score": average.max(),
            "auc": average.mean(),
            "late": average.iloc[len(average) // 2 :].mean(),
            "final": average.iloc[-1],
        }
        rows += [(run, seed, name, value) for name, value in measures.items()]
    return table_of(kinds.paths.SCORES, rows)


def gains(scores: kinds.paths.SCORES, *, pairs: dict[str, str]) -> kinds.paths.GAINS:
    """Relative gains of runs over their base runs, seed by seed (claims 7 to 10).

    `pairs` is run → base run; a gain is a share of the base's |mean over seeds|. Only seeds that both runs have count.
    """
    rows = []
    values = scores.frame().set_index(["run", "measure", "seed"])["value"].sort_index()
    for run, base in pairs.items():
        for measure in values.index.unique("measure"):
            of_run, of_base = values[run, measure].align(values[base, measure], join="inner")
            if of_run.empty:
                raise ValueError(f"scores: '{run}' and '{base}' have no seed in common")
            size = abs(of_base.mean())
            relative = (of_run - of_base) / (size if size > 0 else np.nan)
            rows += [(run, base, seed, measure, gain) for seed, gain in relative.items()]
    return table_of(kinds.paths.GAINS, rows)


def against_originals(reconstruction: kinds.paths.RECONSTRUCTION) -> kinds.paths.REBUILT:
    """Returns of rebuilt policies beside those of their snapshots, as shares of the snapshots' mean (claim 5).

    The largest `above` of all numbers of directions compares more rebuilt policies than there are snapshots; that of
    a single number compares as many.
    """
    rows = []
    for (run, seed, period), part in reconstruction.frame().groupby(["run", "seed", "period"], sort=False):
        original = part[part["directions"] == -1].iloc[0]
        rebuilt = part[part["directions"] != -1].sort_values("directions")
        size = max(abs(original["mean"]), np.finfo(float).tiny)
        above = (rebuilt["maximum"].to_numpy() - original["maximum"]) / size
        difference, best_above = rebuilt["difference"].to_numpy() / size, np.maximum.accumulate(above)
        shares = zip(rebuilt["directions"], difference, above, best_above, strict=True)
        rows += [(run, seed, period, *shares_of_k) for shares_of_k in shares]
    return table_of(kinds.paths.REBUILT, rows)
