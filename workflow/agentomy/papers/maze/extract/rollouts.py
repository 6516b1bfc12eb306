"""Mazes run by sampled policies: which goal each agent reaches first, and by what way (Mini et al. 2023).

E episodes are run side by side. A policy depends on the level and the mouse's cell alone, so the network is asked once
for each.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import pyarrow as pa
import torch

from agentomy import kinds
from agentomy.environments import mazes
from agentomy.environments.maze_batch import STEP
from agentomy.environments.maze_pictures import MOUSE, Painter
from agentomy.environments.mazes import Levels
from agentomy.kinds.maze_behaviour import CONDITIONS
from agentomy.lenses.snapshots import revived
from agentomy.papers.maze.agents import NO_NETWORK, end_updates
from agentomy.papers.maze.extract import views
from agentomy.seeds import Streams
from agentomy.tables import Table
from agentomy.values import Count

# (episodes [N], cells [N, 2]) → probabilities of the five moves [N, 5]
Policy = Callable[[np.ndarray, np.ndarray], np.ndarray]


def outcomes(
    parameters: kinds.common.PARAMETERS,
    levels: kinds.maze.LEVELS,
    *,
    max_episode_steps: Count,
    conditions: list[str],
    snapshots: Literal["all", "ends"],
    split: Literal["train", "held out"] | None = None,
    run,
    streams,
    device,
    progress,
) -> kinds.maze_behaviour.OUTCOMES:
    """Every level (of a split) run once, under each condition, by snapshots of all seeds.

    `snapshots`: all, or the ends: the untrained and the trained network. Moves are sampled, as the greedy policy gets
    stuck. A level's luck is the same for all seeds, snapshots and conditions, so that only their policies differ.
    """
    course, network = (
        Course.from_table(levels, split, conditions, max_episode_steps, streams),
        parameters.description.network,
    )
    painter = Painter(network["palette"], course.levels.world, network["pixels"])
    backgrounds = course.pictures(painter)
    updates = sorted(set(parameters.values("update").tolist()))
    chosen = updates if snapshots == "all" else end_updates(updates)
    for number, (update, seeds, stack) in enumerate(revived(parameters, device, chosen)):
        progress.step(number, len(chosen), "snapshots", run)
        policies = (seeing(net, painter, backgrounds, device) for net in stack.nets)
        rows = [
            course.rows(policy, run=run, seed=int(seed), update=update, agent="network")
            for seed, policy in zip(seeds, policies, strict=True)
        ]
        yield pa.concat_tables(rows)


def random_outcomes(
    levels: kinds.maze.LEVELS,
    *,
    actions: Count,
    max_episode_steps: Count,
    conditions: list[str],
    split: Literal["train", "held out"] | None = None,
    run,
    streams,
) -> kinds.maze_behaviour.OUTCOMES:
    """The same levels run by the random policy with so many `actions`, which has the luck of the run's networks."""
    course = Course.from_table(levels, split, conditions, max_episode_steps, streams)
    yield course.rows(random(actions), run=run, seed=-1, update=NO_NETWORK, agent="random")


def random(actions: int) -> Policy:
    """Every action is equally likely; moves are not, where some have several actions."""
    moves = views.of_moves(torch.full((1, actions), 1 / actions)).numpy()
    return lambda episodes, cells: moves.repeat(len(cells), axis=0)


def seeing(net, painter: Painter, backgrounds: np.ndarray, device: str) -> Policy:
    """The policy of a network, from the pictures of the episodes' mazes without a mouse [E, pixels, pixels, 3]."""

    def policy(episodes: np.ndarray, cells: np.ndarray) -> np.ndarray:
        pictures = backgrounds[episodes]
        painter.put(pictures, cells, MOUSE[painter.palette])
        return views.policy(net, pictures, device)[0]

    return policy


class Course:
    """Levels under each condition, for policies to run: E = conditions × levels episodes.

    `luck` [L, max_episode_steps] in [0, 1) decides which moves are sampled.
    """

    def __init__(self, levels: Levels, conditions: Sequence[str], luck: np.ndarray):
        self.once, self.conditions, self.luck = levels, conditions, luck
        self.level = np.tile(np.arange(len(levels)), len(conditions))
        self.levels = levels[self.level]
        self.condition = np.repeat(conditions, len(levels))
        self.has_cheese = self.condition == "cheese"

    @classmethod
    def from_table(
        cls, levels: Table, split: str | None, conditions: list[str], max_episode_steps: int, streams: Streams
    ) -> "Course":
        """The levels of a table (of a split), with the luck of a run."""
        for condition in conditions:
            if condition not in CONDITIONS:
                raise ValueError(f"outcomes: conditions: found {condition!r}; allowed: {', '.join(CONDITIONS)}")
        read = mazes.read(levels, split)
        return cls(read, conditions, streams.numpy("moves").random((len(read), max_episode_steps)))

    def pictures(self, painter: Painter) -> np.ndarray:
        """What each episode looks like without its mouse [E, pixels, pixels, 3]."""
        return np.concatenate([painter.mazes(self.once, cheese=condition == "cheese") for condition in self.conditions])

    def run(self, policy: Policy) -> np.ndarray:
        """The cells visited [E, max_episode_steps + 1, 2] as (x, y); an agent that got the cheese stays there."""
        episodes, max_episode_steps, world = len(self.level), self.luck.shape[1], self.levels.world
        closed = np.pad(self.levels.walls, ((0, 0), (1, 1), (1, 1)), constant_values=True)
        # the move is the number of bounds that the luck has reached; bounds are computed at the first visit of a cell
        bounds = np.zeros((episodes, world, world, 4), np.float32)
        known = np.zeros((episodes, world, world), bool)
        cells = np.zeros((episodes, max_episode_steps + 1, 2), np.int64)
        cells[:, 0] = self.levels.start
        running = np.arange(episodes)
        for t in range(max_episode_steps):
            x, y = cells[running, t].T
            new = ~known[running, y, x]
            if new.any():
                entered = running[new], y[new], x[new]
                bounds[entered] = policy(running[new], cells[running[new], t]).cumsum(axis=1)[:, :4]
                known[entered] = True
            luck = self.luck[self.level[running], t]
            moved = cells[running, t] + STEP[(luck[:, None] >= bounds[running, y, x]).sum(axis=1)]
            free = ~closed[running, moved[:, 1] + 1, moved[:, 0] + 1]
            cells[:, t + 1] = cells[:, t]
            cells[running[free], t + 1] = moved[free]
            there = (cells[running, t + 1] == self.levels.cheese[running]).all(axis=1)
            running = running[~(there & self.has_cheese[running])]
        return cells

    def rows(self, policy: Policy, **agent) -> pa.Table:
        """`kinds.maze_behaviour.OUTCOMES` of a policy; `agent` are the columns that say whose it is."""
        cells = self.run(policy)
        return kinds.maze_behaviour.OUTCOMES.table(
            **agent,
            condition=self.condition,
            level=self.levels.seed,
            **reached(cells, self.levels.corner, self.levels.cheese, self.has_cheese),
            x=cells[..., 0],
            y=cells[..., 1],
        )


def reached(cells: np.ndarray, corner: np.ndarray, cheese: np.ndarray, has_cheese: np.ndarray) -> dict[str, np.ndarray]:
    """What came of the cells visited [E, T + 1, 2] in mazes with these corners and cheese cells [E, 2]."""
    times = np.arange(cells.shape[1])
    at_cheese = (cells == cheese[:, None]).all(axis=2) & has_cheese[:, None]
    at_corner = (cells == corner[:, None]).all(axis=2)
    got_cheese, got_corner = at_cheese.any(axis=1), at_corner.any(axis=1)
    steps = np.where(got_cheese, at_cheese.argmax(axis=1), times[-1])
    # cheese that lies in the corner counts as cheese
    cheese_first = got_cheese & ~(got_corner & (at_corner.argmax(axis=1) < steps))
    within = (corner[:, None] - cells).max(axis=2) + 1  # smallest region that holds the cell
    before = (times < steps[:, None]) | ~got_cheese[:, None]
    return {
        "first": np.where(cheese_first, "cheese", np.where(got_corner, "corner", "neither")),
        "got_cheese": got_cheese,
        "steps": steps,
        "nearest": np.where(before, within, within.max()).min(axis=1),
        "ends": within[:, -1],
    }
