"""The current maze: one level that the visitor changes, with a mouse in it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from agentomy.environments.maze import Maze
from agentomy.environments.maze_batch import STEP
from agentomy.environments.mazes import Levels

Cell = tuple[int, int]  # (x, y), y up


class Scene:
    """A level, where its mouse is, whether its cheese is there, and the cell that the keys move.

    Impossible changes are ignored: a wall where the mouse or the cheese is, or either of them on a wall.
    """

    def __init__(self, levels: Levels):
        self.followers: list[Callable[[], None]] = []
        self.take(levels)

    def take(self, levels: Levels) -> None:
        """Begin with another level (the only one in `levels`), with the mouse at its start."""
        self.given, self.levels, self.has_cheese = levels, levels, True
        self.mouse = self.cursor = self._start()
        self.trail = [self.mouse]
        self.changed()

    def _start(self) -> Cell:
        return _cell(self.levels.start[0])

    @property
    def world(self) -> int:
        return self.levels.world

    @property
    def cheese(self) -> Cell:
        return _cell(self.levels.cheese[0])

    @property
    def done(self) -> bool:
        return self.has_cheese and self.mouse == self.cheese

    @property
    def passed(self) -> bool:
        """Whether the mouse is at the top-right cell and did not get the cheese."""
        corner = _cell(self.levels.corner[0])
        return self.has_cheese and self.mouse == corner and self.cheese not in self.trail

    def changed(self) -> None:
        for follower in self.followers:
            follower()

    def inside(self, cell: Cell) -> bool:
        return all(0 <= coordinate < self.world for coordinate in cell)

    def is_open(self, cell: Cell) -> bool:
        return self.inside(cell) and not self.levels.walls[0, cell[1], cell[0]]

    def set_wall(self, cell: Cell, wall: bool) -> bool:
        """Build a wall at a cell or take it away; returns whether it was done."""
        occupied = cell == self.mouse or cell == self.cheese
        if not self.inside(cell) or occupied or wall != self.is_open(cell):
            return False
        walls = self.levels.walls.copy()
        walls[0, cell[1], cell[0]] = wall
        self.levels = replace(self.levels, walls=walls)
        self.changed()
        return True

    def toggle(self, cell: Cell) -> bool:
        return self.set_wall(cell, self.is_open(cell))

    def put_mouse(self, cell: Cell) -> bool:
        if not self.is_open(cell) or cell == self.mouse:
            return False
        self.mouse, self.trail = cell, [cell]
        self.changed()
        return True

    def put_cheese(self, cell: Cell) -> bool:
        if not self.is_open(cell) or cell == self.cheese:
            return False
        self.levels = replace(self.levels, cheese=np.array([cell]))
        self.changed()
        return True

    def show_cheese(self, shown: bool) -> None:
        self.has_cheese = shown
        self.changed()

    def move_cursor(self, move: int) -> None:
        """Move the cursor as the mouse would in a world without walls."""
        target = _cell(np.array(self.cursor) + STEP[move])
        if self.inside(target):
            self.cursor = target
            self.changed()

    def restart(self) -> None:
        """Put the mouse back at the start, if that cell is open."""
        if not self.put_mouse(self._start()):
            self.trail = [self.mouse]
            self.changed()

    def step(self, moves: np.ndarray, rng: np.random.Generator) -> bool:
        """Let the mouse take a move drawn from these probabilities [5]; returns whether the episode goes on."""
        if self.done:
            return False
        game = Maze(self.world, actions=5, palette="planes", pixels=self.world)
        game.levels, game.mouse, game.cheese, game.time = self.levels, self.mouse, self.cheese, 0
        game.step(int((rng.random() >= moves.cumsum()[:4]).sum()))
        self.mouse = _cell(game.mouse)
        self.trail = [*self.trail, self.mouse]
        self.changed()
        return not self.done


def _cell(place: np.ndarray) -> Cell:
    x, y = (int(coordinate) for coordinate in place)
    return x, y
