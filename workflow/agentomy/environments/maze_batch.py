"""Many mazes at once: the maze game (Langosco et al. 2022) stepped for a batch of E mazes in NumPy.

The rules are those of the plain environment in `maze.py`, transition by transition.
"""

import numpy as np

from agentomy.environments.maze_pictures import MOUSE, Painter
from agentomy.environments.mazes import Levels

REWARD = 10.0  # for the cheese, the only reward
LEFT, DOWN, UP, RIGHT, STAY = range(5)
# the original's actions 3 (dx + 1) + dy + 1; sideways wins over up and down, and 9 to 14 do nothing
MOVE_OF = {
    5: np.arange(5),
    15: np.array([LEFT, LEFT, LEFT, DOWN, STAY, UP, RIGHT, RIGHT, RIGHT, *[STAY] * 6]),
}
STEP = np.array([(-1, 0), (0, -1), (0, 1), (1, 0), (0, 0)])  # (dx, dy) of a move
DRAWN_ONCE = 2**28  # bytes: if the pictures of all levels take more, each is drawn when an episode begins in its level


class MazeBatch:
    """E mazes played side by side; where an episode ends, one in another level begins.

    `observations` [E, pixels, pixels, 3] uint8 is always the same array: copy what you keep.
    """

    def __init__(self, levels: Levels, count: int, painter: Painter, max_episode_steps: int, rng: np.random.Generator):
        self.levels, self.painter, self.max_episode_steps, self.rng = levels, painter, max_episode_steps, rng
        world = levels.world
        self.padded = world + 2  # with a rim of wall, so that no step leaves the world
        self.offsets = STEP[:, 1] * self.padded + STEP[:, 0]
        self.closed = np.pad(levels.walls, ((0, 0), (1, 1), (1, 1)), constant_values=True).reshape(len(levels), -1)
        self.cheese, self.starts = (self._place(cells) for cells in (levels.cheese, levels.start))
        size = 3 * painter.pixels**2
        self._pictures = painter.mazes(levels) if len(levels) * size <= DRAWN_ONCE else None
        self.observations = np.zeros((count, painter.pixels, painter.pixels, 3), np.uint8)
        # the batch as one row of pixels, whose three bytes are moved together: three times as fast as one by one
        self._seen = self.observations.reshape(-1).view("V3")
        self._mouse = np.array(MOUSE[painter.palette], np.uint8).view("V3")[0]
        inner = (np.arange(1, world + 1)[:, None] * self.padded + np.arange(1, world + 1)).ravel()
        self._blobs = np.zeros((self.padded**2, painter.blobs().shape[1]), np.int64)
        self._blobs[inner] = painter.blobs()
        self._first = np.arange(count)[:, None] * painter.pixels**2
        self.level, self.position, self.time = (np.zeros(count, np.int64) for _ in range(3))
        self._begin(np.arange(count))

    def _place(self, cells: np.ndarray) -> np.ndarray:
        return (cells[:, 1] + 1) * self.padded + cells[:, 0] + 1

    def _begin(self, which: np.ndarray) -> None:
        """Put these mazes (indices) into new levels."""
        self.level[which] = self.rng.integers(len(self.levels), size=len(which))
        self.time[which] = 0
        self.position[which] = self.starts[self.level[which]]
        self._draw(which)

    def _draw(self, which: np.ndarray) -> None:
        """Draw these mazes from scratch."""
        level = self.level[which]
        drawn = self.painter.mazes(self.levels[level]) if self._pictures is None else self._pictures[level]
        self.observations[which] = drawn
        self._draw_mice()

    def _draw_mice(self) -> None:
        self._pixels = self._first + self._blobs[self.position]
        self._beneath = self._seen[self._pixels]
        self._seen[self._pixels] = self._mouse

    def _lift_mice(self) -> None:
        self._seen[self._pixels] = self._beneath

    def step(self, moves: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Take a move [E] in each maze. Returns rewards, terminated, truncated [E], last pictures of the truncated."""
        self._lift_mice()
        target = self.position + self.offsets[moves]
        self.position = np.where(self.closed[self.level, target], self.position, target)
        self._draw_mice()
        self.time += 1
        terminated = self.position == self.cheese[self.level]
        truncated = ~terminated & (self.time >= self.max_episode_steps)
        last = self.observations[truncated]
        ended = np.flatnonzero(terminated | truncated)
        if len(ended):
            self._lift_mice()
            self._begin(ended)
        return REWARD * terminated, terminated, truncated, last

    def state(self) -> dict:
        return {
            "level": self.level.copy(),
            "position": self.position.copy(),
            "time": self.time.copy(),
            "stream": self.rng.bit_generator.state,
        }

    def restore(self, state: dict) -> None:
        self.level, self.position, self.time = (state[name].copy() for name in ("level", "position", "time"))
        self.rng.bit_generator.state = state["stream"]
        self._draw(np.arange(len(self.level)))
