"""Agents' paths through parameter space: from the pipeline's tables, or computed here by its functions."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from agentomy import kinds
from agentomy.explorer.results import PARAMETERS, Results, Run
from agentomy.lenses.paths.extract import PATHS, along, column, columns_of, pieces
from agentomy.lenses.paths.temporal import inner, temporal_svd
from agentomy.seeds import Streams
from agentomy.tables import TableError, reading

FEWEST = 4  # snapshots of a path
LARGEST = 500  # MB of parameters in a file: to decompose so many takes about 20 s
ALL = slice(None)


@dataclass(frozen=True)
class Route:
    """A run, the tables of paths that the pipeline has decomposed, and how the names of the paths' tensors begin."""

    run: Run
    grams: dict[int, Path] = field(default_factory=dict)  # by seed
    part: str = ""


@dataclass(frozen=True)
class Spectrum:
    """The directions of one path."""

    values: np.ndarray  # singular values [T]
    courses: np.ndarray  # U [T, T], a column a direction

    def share(self, direction: int) -> float:
        return float(self.values[direction - 1] / self.values.sum())


@dataclass(frozen=True)
class Walk:
    """The path of one seed: where snapshots are, and for raw and delta the spectra of it and of its nulls."""

    updates: np.ndarray
    spectra: dict[str, dict[str, Spectrum]]  # variant → path

    def place(self, update: int) -> int:
        """The number of the snapshot nearest to an update; a path may begin later than its run."""
        return int(np.abs(self.updates - update).argmin())


def routes(results: Results) -> tuple[dict[str, Route], list[str]]:
    """The runs with a path by label, those that the pipeline has decomposed first, and what is wrong with files."""
    runs, routes_by_label, problems = {(run.study, run.name): run for run in results.runs()}, {}, list(results.problems)
    for study in {study: None for study, _ in runs}:
        for entry, files in results.pieces(study).items():
            for path in files:
                try:
                    table = results.table(kinds.paths.GRAM, path)
                    seeds_of_runs = table.frame(["run", "seed"]).drop_duplicates()
                    part = str(table.description.parameters.get("part", ""))
                except TableError as error:
                    if entry not in ("gram", "gram-pixels", "path"):  # another sort of table
                        break
                    problems.append(str(error))
                    continue
                for name, seed in seeds_of_runs.itertuples(index=False):
                    if (study, name) in runs:
                        run = runs[study, name]
                        route = routes_by_label.get(run.label)
                        if route is None or route.part != part:
                            route = routes_by_label[run.label] = Route(run, part=part)
                        route.grams[int(seed)] = path
    # those of whole networks first
    routes_by_label = dict(sorted(routes_by_label.items(), key=lambda item: item[1].part != ""))
    routes_by_label |= {
        run.label: Route(run)
        for run in runs.values()
        if run.label not in routes_by_label and len(run.updates) >= FEWEST
    }
    if not routes_by_label:
        raise TableError(f"no run with {FEWEST} snapshots: {results.missing('path', 'train')}")
    return routes_by_label, problems


def walk(results: Results, route: Route, seed: int) -> Walk:
    """The path of a seed; cached as long as its table or the run's file stays the same."""
    files = route.grams or route.run.files
    if seed not in files:
        raise TableError(f"{route.run.label}: the path of seed {seed} is not decomposed yet; run snakemake again")
    path = files[seed]
    if not path.exists():
        raise TableError(f"{path}: no such file")
    written = path.stat().st_mtime_ns
    if route.grams:
        return _walk(results, path, written, route.run.name, seed)
    return _decomposed(results, path, written, route.run.study, route.run.name, seed)


@lru_cache(maxsize=32)
def _walk(results: Results, path: Path, written: int, run: str, seed: int) -> Walk:
    rows, sums = results.table(kinds.paths.GRAM, path).where(run=run, seed=seed), {}
    for name in PATHS:
        layers = rows.where(path=name).arrow().to_pylist()
        if not layers:
            raise TableError(f"{path}: no path '{name}' of run '{run}', seed {seed}")
        updates = np.array(layers[0]["updates"])
        snapshots = len(updates)
        for layer in layers:
            sizes = len(layer["delta"]), len(layer["start"])
            if sizes != (snapshots**2, snapshots):
                raise TableError(f"{path}: inner products of {sizes} numbers; allowed: {(snapshots**2, snapshots)}")
        sums[name] = _summed(
            (np.reshape(layer["delta"], (snapshots, snapshots)), np.array(layer["start"]), layer["origin"])
            for layer in layers
        )
    return _spectra(updates, sums)


@lru_cache(maxsize=32)
def _decomposed(results: Results, path: Path, written: int, study: str, run: str, seed: int) -> Walk:
    """What `lenses.paths.extract.gram` makes of one seed.

    Where snapshots are at unequal intervals, steps are compared per square root of their interval, by which those of a
    random walk grow: the nulls have steps of the path's size at every interval.
    """
    parameters = results.table(kinds.common.PARAMETERS, path)
    snapshots = parameters.arrow(["seed", "update"]).to_pandas()
    seeds, updates = np.unique(snapshots["seed"]), np.unique(snapshots["update"])
    if len(snapshots) != len(seeds) * len(updates) or len(updates) < FEWEST:
        raise TableError(f"{path}: no path; allowed: every seed at every update, at {FEWEST} updates or more")
    size = _megabytes(path)
    if size > LARGEST:
        raise TableError(_too_large(results, study, run, path, size, updates))
    streams, pace = Streams(study, f"explorer.{run}", 0), np.sqrt(np.diff(updates) / np.diff(updates).mean())[:, None]
    parts = {name: [] for name in PATHS}
    for name in columns_of(parameters):
        path_of_seed = column(parameters, name, seeds, updates)[:, seeds.tolist().index(seed)].astype(float)
        for kind, piece in pieces(along(path_of_seed[0], np.diff(path_of_seed, axis=0) / pace), seed, name, streams):
            delta = along(np.zeros(piece.shape[1]), np.diff(piece, axis=0) * pace)
            start = piece[0]
            parts[kind] = [_summed([*parts[kind], (delta @ delta.T, delta @ start, start @ start)])]
    return _spectra(updates, {name: sums for name, (sums,) in parts.items()})


def _summed(parts: Iterable[tuple]) -> tuple:
    return tuple(sum(terms) for terms in zip(*parts, strict=True))


def _spectra(updates: np.ndarray, paths: dict[str, tuple]) -> Walk:
    """From inner products of changes, of these with the start, and of the start, of each path (`kinds.paths.GRAM`)."""
    spectra: dict[str, dict[str, Spectrum]] = {"raw": {}, "delta": {}}
    for name, (delta, start, origin) in paths.items():
        for variant, matrix in inner(delta, start, origin, ALL).items():
            spectra[variant][name] = Spectrum(*temporal_svd(matrix))
    return Walk(updates, spectra)


def _megabytes(path: Path) -> float:
    """The size of all tensors in a file of parameters; all its seeds are read together."""
    with reading(path) as file:
        values = sum(np.prod(field.type.shape) for field in file.schema_arrow if field.name not in ("seed", "update"))
        return 4e-6 * float(values) * file.metadata.num_rows


def _too_large(results: Results, study: str, run: str, path: Path, size: float, updates: np.ndarray) -> str:
    steps = np.diff(updates)
    equal = "" if steps.max() - steps.min() <= 1 else f" (and `snapshots: {{even: {len(updates)}}}` under the run)"
    target = results.path(study, "checkpoints", f"path-{run}/{path.name.removesuffix(PARAMETERS)}")
    return (
        f"{study}: {run}: {size:.0f} MB of parameters, too many to decompose in a page (at most {LARGEST}); let the "
        f"pipeline do it: write `path-{run}: {{use: lenses.paths.extract.gram, of: [{run}]}}` under "
        f"`checkpoints:` in workflow/studies/{study}.yaml{equal}, then "
        f"snakemake --cores 2 --config scale={results.scale} -- {target}"
    )
