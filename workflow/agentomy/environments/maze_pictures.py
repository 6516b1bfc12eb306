"""What an agent sees of a maze: pictures [row, column, channel], row 0 at the top.

A palette says what walls, floor, mouse and cheese look like. `planes` are three 0/1 pictures (wall, mouse, cheese);
`rgb` has sand-coloured walls and, as the original's, a floor whose tint and noise belong to the level.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from agentomy.environments.mazes import Levels

Palette = Literal["planes", "rgb"]
WALL = {"planes": (1, 0, 0), "rgb": (200, 150, 105)}
MOUSE = {"planes": (0, 1, 0), "rgb": (128, 128, 128)}
CHEESE = {"planes": (0, 0, 1), "rgb": (255, 165, 0)}
TINT, NOISE = (20, 111), 25  # of the floor: its mean lies in this range, its pixels this far around it


@dataclass(frozen=True)
class Painter:
    """Draws the mazes of a world of `world` cells on `pixels` × `pixels` pictures."""

    palette: Palette
    world: int
    pixels: int

    def __post_init__(self):
        if self.palette not in WALL:
            raise ValueError(f"maze pictures: palette: found {self.palette!r}; allowed: {', '.join(WALL)}")
        if self.pixels < self.world:
            raise ValueError(f"maze pictures: pixels: found {self.pixels}; allowed: {self.world} (the world) or more")

    @property
    def cell_of(self) -> np.ndarray:
        """Which column (or row, from the bottom) of cells each pixel shows [pixels]."""
        return np.arange(self.pixels) * self.world // self.pixels

    def blobs(self) -> np.ndarray:
        """Where an object in each cell is drawn: flat pixel indices [W × W, k], cell (x, y) at y × W + x.

        One pixel, or 2 × 2 where every cell is at least two pixels wide.
        """
        first = -(-np.arange(self.world) * self.pixels // self.world)  # first pixel of each column
        width = np.arange(2 if self.pixels >= 2 * self.world else 1)
        columns = first[:, None] + width
        rows = self.pixels - 1 - columns  # y grows upward
        grid = rows[:, None, :, None] * self.pixels + columns[None, :, None, :]
        return grid.reshape(self.world**2, -1)

    def mazes(self, levels: Levels, cheese: bool = True) -> np.ndarray:
        """Pictures [L, pixels, pixels, 3] uint8 of levels without their mouse."""
        cells = self.cell_of
        walls = levels.walls[:, cells[::-1][:, None], cells]
        drawn = self._floor(levels)
        drawn[walls] = WALL[self.palette]
        if cheese:
            self.put(drawn, levels.cheese, CHEESE[self.palette])
        return drawn

    def mice(self, levels: Levels, cells: np.ndarray, cheese: bool = True) -> np.ndarray:
        """Pictures [L, pixels, pixels, 3] of levels whose mouse is at `cells` [L, 2]."""
        drawn = self.mazes(levels, cheese)
        self.put(drawn, cells, MOUSE[self.palette])
        return drawn

    def put(self, drawn: np.ndarray, cells: np.ndarray, colour: tuple[int, int, int]) -> None:
        """Draw an object at a cell (x, y) of each picture, in place."""
        pixels = self.blobs()[cells[:, 1] * self.world + cells[:, 0]]
        drawn.reshape(len(drawn), -1, 3)[np.arange(len(drawn))[:, None], pixels] = colour

    def _floor(self, levels: Levels) -> np.ndarray:
        shape = (len(levels), self.pixels, self.pixels, 3)
        if self.palette == "planes":
            return np.zeros(shape, np.uint8)
        floors = np.empty(shape, np.uint8)
        for drawn, seed in zip(floors, levels.seed, strict=True):
            rng = np.random.Generator(np.random.PCG64([int(seed), 1]))  # not the stream that made the maze
            drawn[:] = np.clip(rng.integers(*TINT, 3) + rng.integers(-NOISE, NOISE + 1, shape[1:]), 0, 255)
        return floors


def enlarged(levels: Levels, mice: np.ndarray, pixels: int = 512) -> np.ndarray:
    """Pictures for people [L, pixels, pixels, 3]: as `rgb`, with round objects; the mice are at cells [L, 2]."""
    painter = Painter("rgb", levels.world, pixels)
    drawn = painter.mazes(levels, cheese=False)
    for cells, name in ((levels.cheese, CHEESE), (mice, MOUSE)):
        disc(drawn, levels.world, cells, name["rgb"])
    return drawn


def disc(drawn: np.ndarray, world: int, cells: np.ndarray, colour: tuple[int, int, int]) -> None:
    """Draw a disc in a cell (x, y) of each picture, in place."""
    pixels = drawn.shape[1]
    centre = (np.arange(pixels) + 0.5) * world / pixels
    across, up = centre - (cells[:, :1] + 0.5), centre[::-1] - (cells[:, 1:] + 0.5)
    drawn[up[:, :, None] ** 2 + across[:, None] ** 2 < 0.35**2] = colour
