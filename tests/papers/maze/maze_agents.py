"""Levels, agents whose ways through mazes are known, and the tables of what they do."""

import numpy as np
import pyarrow as pa

from agentomy import kinds
from agentomy.environments import mazes
from agentomy.environments.maze_batch import STEP
from agentomy.environments.mazes import Levels
from agentomy.papers.maze.extract.rollouts import Course
from agentomy.seeds import Streams
from agentomy.tables import Table


def level_table(count: int, name: str = "levels", **given) -> Table:
    """An environment table as the pipeline makes it."""
    given = {"world": 9, "corner": 2, "count": count, **given}
    return Table(kinds.maze.LEVELS, rows=mazes.levels(**given, streams=Streams("test", name, 0)))


def heading(levels: Levels, goals: np.ndarray, chance: float = 0.0):
    """A policy that goes to one goal [E, 2] in each episode by the shortest way, and with some chance anywhere."""
    steps = mazes.steps_from(levels.walls, goals)
    closed = np.pad(np.where(levels.walls, 10**6, steps), ((0, 0), (1, 1), (1, 1)), constant_values=10**6)

    def policy(episodes: np.ndarray, cells: np.ndarray) -> np.ndarray:
        around = cells[:, None] + STEP + 1  # of the padded map
        best = closed[episodes[:, None], around[..., 1], around[..., 0]].argmin(axis=1)
        return (1 - chance) * np.eye(5)[best] + chance / 5

    return policy


def seekers(levels: Levels, seeks_cheese: np.ndarray, chance: float = 0.0):
    """A policy that goes for the cheese where `seeks_cheese` [E], else for the corner."""
    return heading(levels, np.where(seeks_cheese[:, None], levels.cheese, levels.corner), chance)


def course(table: Table, conditions: tuple = ("cheese", "no cheese"), limit: int = 60) -> Course:
    levels = mazes.read(table)
    return Course(levels, conditions, np.random.default_rng(4).random((len(levels), limit)))


def logistic(table: Table, coefficients: dict[str, float], offset: float, rng: np.random.Generator) -> np.ndarray:
    """Whether a level's cheese is sought [L]: by chance, with log-odds linear in its z-scored distances."""
    frame = table.frame([*coefficients])
    scored = (frame - frame.mean()) / frame.std()
    odds = offset + sum(weight * scored[name].fillna(0) for name, weight in coefficients.items())
    return rng.random(len(frame)) < 1 / (1 + np.exp(-odds.to_numpy()))


def outcome_table(pieces: list[pa.Table]) -> Table:
    return Table(kinds.maze_behaviour.OUTCOMES, rows=pa.concat_tables(pieces))


def trained_agents(table: Table, runs: dict[str, float], seeds: int = 3, updates: tuple = (0, 4, 9)) -> Table:
    """Outcomes of agents that learn: run → share of levels where the trained one seeks the cheese, else the corner."""
    where, rng = course(table), np.random.default_rng(7)
    everywhere = np.full((len(where.level), 5), 0.2)
    pieces = []
    for run, share in runs.items():
        pieces.append(
            where.rows(lambda episodes, cells: everywhere[episodes], run=run, seed=-1, update=-1, agent="random")
        )
        for seed in range(seeds):
            for update in updates:
                seeks = np.tile(rng.random(len(table)) < share, 2) & where.has_cheese
                policy = seekers(where.levels, seeks, chance=1 - 0.9 * update / max(updates))
                pieces.append(where.rows(policy, run=run, seed=seed, update=update, agent="network"))
    return outcome_table(pieces)
