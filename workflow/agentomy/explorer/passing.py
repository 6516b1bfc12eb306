"""The agent and the maze to begin with: one that passes the cheese on its way to the corner, where it does so."""

from dataclasses import dataclass

import numpy as np

from agentomy import kinds
from agentomy.environments import mazes
from agentomy.explorer import readings
from agentomy.explorer.choices import OFFERED, first_scene, level_tables, longest, maze_runs
from agentomy.explorer.results import Results, Run
from agentomy.explorer.scenes import Scene
from agentomy.explorer.session import Session

TRIED = 30  # mazes
LUCK = 0  # of the moves, as in `readings.way`
STEPS = 60  # a mouse that has not passed the cheese by then is no good example
NONE = "none of the agents ran past the cheese in the mazes tried here; it takes longer training than they had"


@dataclass(frozen=True)
class Passing:
    """An agent at its last snapshot, and a maze of a table in which it reaches the corner without the cheese."""

    run: str
    seed: int
    table: str
    number: int


def scene_of(session: Session) -> Scene:
    """The current maze, which the maze views share; at first one in which an agent passes the cheese, if any does."""
    if session.scene is None:
        runs, passes = maze_runs(session.results), first(session.results)
        run = runs[passes.run if passes else longest(runs)]
        session.scene = first_scene(session.results, readings.world_of(run))
        if passes:
            tables = dict(level_tables(session.results, readings.world_of(run)))
            session.scene.take(mazes.read(tables[passes.table])[[passes.number]])
    return session.scene


def first(results: Results) -> Passing | None:
    """The first that is found among the agents that learned with the cheese near the corner; None if none does.

    Those that were trained longest come first.
    """
    runs = maze_runs(results)
    study = runs[longest(runs)].study
    near = {label: run for label, run in runs.items() if run.study == study and _near(run)}
    by_length = sorted(near, key=lambda label: -near[label].updates[-1])
    return next((passing for label in by_length[:3] if (passing := _of_run(results, near[label]))), None)


def _near(run: Run) -> bool:
    """Whether the cheese was near the corner in training."""
    return bool(run.environment and run.environment.parameters.get("region"))


def _of_run(results: Results, run: Run) -> Passing | None:
    seed = min(run.files)
    label, table = next(iter(level_tables(results, readings.world_of(run))), ("", None))
    if table is None:
        return None
    (path,) = table.paths
    number = _number(results, run, seed, path, run.files[seed].stat().st_mtime_ns, path.stat().st_mtime_ns)
    return None if number is None else Passing(run.label, seed, label, number)


_known: dict[tuple, int | None] = {}


def _number(results: Results, run: Run, seed: int, path, *written: int) -> int | None:
    """The number of the first maze, of the larger ones that have something to decide, in which the agent passes."""
    key = results.folder, run.label, seed, path, written
    if key not in _known:
        _known[key] = _search(results, run, seed, path)
    return _known[key]


def _search(results: Results, run: Run, seed: int, path) -> int | None:
    rows = results.table(kinds.maze.LEVELS, path)
    levels, decision = mazes.read(rows)[:OFFERED], rows.values("decision_x")[:OFFERED]
    decides = np.flatnonzero((levels.side == levels.side.max()) & (decision >= 0))
    agent = list(readings.load(results, run, seed).values())[-1]
    for number in decides[:TRIED]:
        scene = Scene(levels[[number]])
        moves, _ = readings.field(agent, scene)
        for cell in readings.way(moves, scene, STEPS):
            scene.mouse, scene.trail = cell, [*scene.trail, cell]
            if scene.passed:
                return int(number)
    return None
