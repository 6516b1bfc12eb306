"""The paths of policies through their parameters, and policies rebuilt from points beside them, played.

Nothing is computed in a way of its own: these are the functions by which the pipeline makes its tables.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from agentomy import kinds, networks
from agentomy.checkpoints.arena import Arena
from agentomy.checkpoints.path import PATHS
from agentomy.checkpoints.snapshots import snapshots
from agentomy.explorer.results import Results, Run
from agentomy.tables import Table, TableError, tensors
from agentomy.temporal import inner, temporal_svd

ALL = slice(None)


@dataclass(frozen=True)
class Route:
    """A run whose path has been decomposed, in which table, and the tensors (by how their names begin) that it has."""

    run: Run
    gram: Path
    part: str


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
        """The snapshot nearest to an update; a path may begin later than the run."""
        return int(np.abs(self.updates - update).argmin())


@dataclass(frozen=True)
class Episodes:
    """What one policy did: returns and lengths [E], and the first episode's actions [A, T] and observations [T, …]."""

    returns: np.ndarray
    lengths: np.ndarray
    actions: np.ndarray
    observations: np.ndarray


def routes(results: Results) -> dict[str, Route]:
    """The decomposed paths by the label of their run; a `TableError` if there is none."""
    runs, found, problems = {(run.study, run.name): run for run in results.runs()}, {}, list(results.problems)
    for study in {study: None for study, _ in runs}:
        for path in results.paths(study, "checkpoints").values():
            try:
                table = results.table(kinds.GRAM, path)
                names = dict.fromkeys(table.frame(["run"])["run"])
                part = str(table.source.get("parameters", {}).get("part", ""))
            except TableError as error:
                if path.stem in ("gram", "gram-pixels", "path"):  # else another sort of table
                    problems.append(str(error))
                continue
            found |= {
                runs[study, name].label: Route(runs[study, name], path, part) for name in names if (study, name) in runs
            }
    if not found:
        missing = "; ".join(problems) or f"none below {results.folder}"
        raise TableError(f"no path of a policy: {missing}; to make some: snakemake --cores 2 path")
    return dict(sorted(found.items(), key=lambda item: item[1].part != ""))  # those of whole networks first


def walk(results: Results, route: Route, seed: int) -> Walk:
    """The path of a seed; kept, as long as its table stays the same."""
    if not route.gram.exists():
        raise TableError(f"{route.gram}: no such file")
    return _walk(results, route.gram, route.gram.stat().st_mtime_ns, route.run.name, seed)


@lru_cache(maxsize=8)
def _walk(results: Results, path: Path, written: int, run: str, seed: int) -> Walk:
    rows = results.table(kinds.GRAM, path).where(run=run, seed=seed)
    spectra: dict[str, dict[str, Spectrum]] = {"raw": {}, "delta": {}}
    for name in PATHS:
        layers = rows.where(path=name).arrow().to_pylist()
        if not layers:
            raise TableError(f"{path}: no path '{name}' of run '{run}', seed {seed}")
        updates = np.array(layers[0]["updates"])
        delta = sum(np.reshape(layer["delta"], (len(updates), len(updates))) for layer in layers)
        start, origin = sum(np.array(layer["start"]) for layer in layers), sum(layer["origin"] for layer in layers)
        for variant, matrix in inner(delta, start, origin, ALL).items():
            spectra[variant][name] = Spectrum(*temporal_svd(matrix))
    return Walk(updates, spectra)


class Player:
    """The parameters of one seed along its path, and the task's simulator."""

    def __init__(self, parameters: Table, seed: int, updates: np.ndarray, part: str, episodes: Table):
        self.stack = networks.build(parameters.source["network"], 1)
        if not hasattr(self.stack, "act"):
            raise ValueError("its network is no policy that acts on observations alone")
        self.part, self.episodes, self.arenas = part, episodes, {}
        found: dict[str, list[np.ndarray]] = {}
        for rows in snapshots(parameters):
            if rows["update"][0].as_py() in updates:
                at = rows["seed"].to_pylist().index(seed)
                for name, array in tensors(rows).items():
                    found.setdefault(name, []).append(array[at])
        self.path = {name: np.stack(arrays) for name, arrays in found.items()}

    def snapshot(self, place: int) -> dict[str, np.ndarray]:
        """The weights of a snapshot."""
        return {name: each[place] for name, each in self.path.items()}

    def rebuilt(self, place: int, coordinates: np.ndarray, courses: np.ndarray) -> dict[str, np.ndarray]:
        """The weights at coordinates [k] along the first k directions: coordinates · U[:, :k]ᵀ M, M being the raw path.

        A row of U gives θ^(k), as `checkpoints.rollouts` has it. Tensors that the path has not are the snapshot's.
        """
        weights = courses[:, : len(coordinates)] @ coordinates
        moved = {name: np.tensordot(weights, each, 1) for name, each in self.path.items() if name.startswith(self.part)}
        return self.snapshot(place) | moved

    def play(self, theta: dict[str, np.ndarray], count: int) -> Episodes:
        """The first `count` evaluation episodes of the task, played greedily with these weights."""
        if count not in self.arenas:
            self.arenas[count] = Arena(self.episodes, "cpu", self.episodes.values("reset_seed")[:count])
        stack = self.stack.load({name: each[None] for name, each in theta.items()})
        played = self.arenas[count].play(stack, 1, keep=True)
        return Episodes(
            played.returns[0], played.lengths[0], _actions(played.actions[0][0], self.arenas[count].simulators[0][0]),
            np.array(played.observations[0][0]),
        )  # fmt: skip


def _actions(taken: list[np.ndarray], simulator) -> np.ndarray:
    """[A, T]: from -1 to 1 within their bounds, or 1 for the one that was taken."""
    if simulator.actions is not None:
        return (np.array(taken) == np.arange(simulator.actions)[:, None]).astype(float)
    low, high = (np.ravel(each)[:, None] for each in (simulator.low, simulator.high))
    return 2 * (np.array(taken).T - low) / (high - low) - 1


def player(results: Results, route: Route, seed: int) -> Player:
    """What plays the policies of a seed; kept, as long as the files of its run and task stay the same."""
    task = route.run.environment
    while task.get("stage") == "checkpoints" and len(task.get("environments", {})) == 1:  # cloned from demonstrations
        task = next(iter(task["environments"].values()))
    episodes = results.path(str(task.get("study")), "environments", str(task.get("name")))
    paths = route.run.files[seed], episodes
    for path in paths:
        if not path.exists():
            raise TableError(f"{path}: no such file; without it policies of '{route.run.label}' are not played")
    times = tuple(path.stat().st_mtime_ns for path in paths)
    return _player(results, route.run.label, *paths, times, seed, tuple(walk(results, route, seed).updates), route.part)


@lru_cache(maxsize=2)  # a path may be some hundred megabytes
def _player(results, label, path, episodes, times, seed, updates, part) -> Player:
    table, starts = results.table(kinds.PARAMETERS, path), results.table(kinds.EPISODES, episodes)
    with playing(label):
        return Player(table, seed, np.array(updates), part, starts)


@contextmanager
def playing(label: str) -> Iterator[None]:
    """Whatever is wrong with a run's network or task is a `TableError`."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, IndexError, ImportError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TableError(f"{label}: cannot be played here ({reason})") from None
