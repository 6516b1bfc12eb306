"""Plays policies that are rebuilt from points near their paths: in a task's simulator, or in mazes.

Everything is computed by the functions with which the pipeline makes its tables.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import gymnasium
import numpy as np

from agentomy import kinds, names, networks
from agentomy.environments import mazes
from agentomy.environments.control import NoRenderer
from agentomy.environments.mazes import Levels
from agentomy.explorer import harmless, paths, readings
from agentomy.explorer.choices import level_tables
from agentomy.explorer.paths import Route
from agentomy.explorer.readings import Agent
from agentomy.explorer.results import Results, Run
from agentomy.lenses.arena import Arena
from agentomy.lenses.snapshots import snapshots
from agentomy.papers.maze.extract import rollouts
from agentomy.seeds import Streams
from agentomy.tables import Table, TableError, tensors

LIMIT = 500  # steps in a maze, where the run does not say how many it was trained with


@dataclass(frozen=True)
class Episodes:
    """What one policy did: returns and lengths [E], and the first episode's actions [A, T] and observations [T, …]."""

    returns: np.ndarray
    lengths: np.ndarray
    actions: np.ndarray
    observations: np.ndarray

    @property
    def score(self) -> float:
        return float(self.returns.mean())

    @property
    def said(self) -> str:
        count, low, high = len(self.returns), self.returns.min(), self.returns.max()
        spread = f"s, from {low:.4g} to {high:.4g}" if count > 1 else ""
        return f"mean return {self.score:.4g} (n = {count} episode{spread}; {self.lengths.mean():.0f} steps)"


@dataclass(frozen=True)
class Mazes:
    """What one policy did in mazes: which cheese it got, and after how many steps [N]; and the policy."""

    got: np.ndarray
    steps: np.ndarray
    agent: Agent
    limit: int

    @property
    def score(self) -> float:
        return float(self.got.mean())

    @property
    def said(self) -> str:
        when = f", after {self.steps[self.got].mean():.1f} steps on average" if self.got.any() else ""
        return f"gets the cheese in {self.got.sum()} of {len(self.got)} test mazes{when}"


class Policies:
    """The parameters of one seed along its path, and the network that they are for."""

    def __init__(self, parameters: Table, seed: int, updates: np.ndarray, part: str):
        self.network, self.part = parameters.description.network, part
        (path,) = parameters.paths
        weights: dict[str, list[np.ndarray]] = {}
        present = []
        for rows in snapshots(parameters):
            update = rows["update"][0].as_py()
            if update in updates:
                present.append(update)
                row = readings.row_of(path, rows["seed"].to_numpy(), seed, update)
                for name, array in tensors(rows).items():
                    weights.setdefault(name, []).append(array[row])
        missing = sorted({*updates.tolist()} - {*present})
        if missing:
            raise TableError(f"{path}: no snapshot at update {missing[0]}, where its path has one; run snakemake again")
        self.path = {name: np.stack(arrays) for name, arrays in weights.items()}

    def snapshot(self, place: int) -> dict[str, np.ndarray]:
        """The weights of a snapshot."""
        return {name: weights[place] for name, weights in self.path.items()}

    def rebuilt(
        self, place: int, coordinates: np.ndarray, courses: np.ndarray, variant: str = "raw"
    ) -> dict[str, np.ndarray]:
        """The weights at coordinates [k] along the first k directions: coordinates · U[:, :k]ᵀ M, M being the path.

        Raw, a row of U gives θ^(k), as `lenses.rollouts` has it; for `delta`, M is the differences from the first
        snapshot, to which their sum is added. Tensors that the path has not are the snapshot's.
        """
        weights = courses[:, : len(coordinates)] @ coordinates
        if variant == "delta":
            weights[0] += 1 - weights.sum()
        moved = {
            name: np.tensordot(weights, tensor_path, 1)
            for name, tensor_path in self.path.items()
            if name.startswith(self.part)
        }
        return self.snapshot(place) | moved

    def stack(self, theta: dict[str, np.ndarray]):
        """A stack of one network, with these weights."""
        return networks.build(self.network, 1).load({name: array[None] for name, array in theta.items()})


class Actor(Policies):
    """A policy that acts on observations, in its task's simulator, greedily as in the study."""

    def __init__(self, parameters: Table, seed: int, updates: np.ndarray, part: str, episodes: Table):
        super().__init__(parameters, seed, updates, part)
        self.episodes, self.arenas = episodes, {}

    def play(self, theta: dict[str, np.ndarray], count: int) -> Episodes:
        """The first `count` evaluation episodes of the task."""
        if count not in self.arenas:
            self.arenas[count] = Arena(self.episodes, "cpu", self.episodes.values("reset_seed")[:count])
        played = self.arenas[count].play(self.stack(theta), 1, keep=True)
        return Episodes(
            played.returns[0], played.lengths[0], _actions(played.actions[0][0], self.arenas[count].simulators[0][0]),
            np.array(played.observations[0][0]),
        )  # fmt: skip


def _actions(taken: list[np.ndarray], simulator) -> np.ndarray:
    """[A, T]: from -1 to 1 within their bounds, or 1 for the one that was taken."""
    if simulator.actions is not None:
        return (np.array(taken) == np.arange(simulator.actions)[:, None]).astype(float)
    low, high = (np.ravel(bound)[:, None] for bound in (simulator.low, simulator.high))
    return 2 * (np.array(taken).T - low) / (high - low) - 1


class Mouse(Policies):
    """A maze agent in test mazes. Moves are sampled as in the study, with the same random numbers for all policies."""

    def __init__(self, parameters: Table, seed: int, updates: np.ndarray, part: str, levels: Levels):
        super().__init__(parameters, seed, updates, part)
        self.levels, self.painter = levels, readings.painter_of(parameters.paths[0], parameters, levels.world)
        self.limit = int(parameters.description.parameters.get("max_episode_steps", LIMIT))

    def play(self, theta: dict[str, np.ndarray], count: int) -> Mazes:
        """The first `count` mazes, once each."""
        levels = self.levels[:count]
        luck = Streams("maze", "explorer", 0).numpy("moves").random((len(levels), self.limit))
        course = rollouts.Course(levels, ["cheese"], luck)
        net = self.stack(theta).nets[0]
        cells = course.run(rollouts.seeing(net, self.painter, course.pictures(self.painter), "cpu"))
        came = rollouts.reached(cells, levels.corner, levels.cheese, course.has_cheese)
        return Mazes(came["got_cheese"], came["steps"], Agent(net, self.painter), self.limit)


def why_not(run: Run) -> str:
    """Why the agents of a run cannot be played, in one line; empty if they can."""
    try:
        network = names.place("networks", str(run.network.get("use")))
    except names.Unfit:
        return f"{run.label}: time courses only, since there is no network '{run.network.get('use')}' here"
    if not is_mouse(run) and not hasattr(network, "act"):
        return f"{run.label}: time courses only, since {network.__name__} is no policy that acts on observations alone"
    if run.imported and (why := harmless.why_not(run)):
        return f"{run.label}: time courses only, since {why}"
    return ""


def player(results: Results, route: Route, seed: int) -> Actor | Mouse:
    """What plays the policies of a seed; cached as long as the files of its run and task stay the same."""
    run = route.run
    if why_not(run):
        raise TableError(why_not(run))
    task = _mazes(results, run) if is_mouse(run) else _episodes(results, run)
    files = [path for path in (run.files[seed], task) if path]
    for path in files:
        if not path.exists():
            raise TableError(f"{path}: no such file; without it policies of '{run.label}' are not played")
    times = tuple(path.stat().st_mtime_ns for path in files)
    world = readings.world_of(run) if is_mouse(run) else 0
    updates = tuple(paths.walk(results, route, seed).updates)
    return _player(results, run.label, run.files[seed], task, times, seed, updates, route.part, world)


@lru_cache(maxsize=2)  # a path may be some hundred megabytes
def _player(results, label, path, task, times, seed, updates, part, world) -> Actor | Mouse:
    table = results.table(kinds.common.PARAMETERS, path)
    with playing(label):
        if world:
            levels = (
                mazes.read(results.table(kinds.maze.LEVELS, task)) if task else mazes.generate(np.arange(1000), world)
            )
            return Mouse(table, seed, np.array(updates), part, levels)
        return Actor(table, seed, np.array(updates), part, results.table(kinds.paths.EPISODES, task))


def is_mouse(run: Run) -> bool:
    return run.network.get("use") == readings.NETWORK


def _episodes(results: Results, run: Run) -> Path:
    """The evaluation episodes of a run's task."""
    return results.environment(run, kinds.paths.EPISODES)


def _mazes(results: Results, run: Run) -> Path | None:
    """The test mazes of a run's world, those of its study if it has any; without a table, mazes are generated."""
    tables = {label: table.paths[0] for label, table in level_tables(results, readings.world_of(run))}
    return tables.get(f"{run.study}: test") or next(iter(tables.values()), None)


@contextmanager
def playing(label: str) -> Iterator[None]:
    """Raise a `TableError` if a run's network or task does not fit this version, or its simulator cannot run here."""
    try:
        yield
    except (names.Unfit, NoRenderer, ImportError, gymnasium.error.Error) as error:
        raise TableError(f"{label}: cannot be played here ({str(error).partition(chr(10))[0]})") from None
