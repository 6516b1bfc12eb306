"""`agentomy/Maze-v0`: the maze game of Langosco et al. (2022) as a gymnasium environment, one maze at a time.

Importing this module registers it: `gymnasium.make("agentomy.environments.maze:agentomy/Maze-v0")`.
"""

from typing import Any, Literal

import gymnasium
import numpy as np

from agentomy import kinds
from agentomy.environments import maze_pictures, mazes
from agentomy.environments.maze_pictures import Painter
from agentomy.environments.simulator import Simulator, starts
from agentomy.values import Count, Natural

REWARD = 10.0
IDLE = (0, 0)


class Maze(gymnasium.Env):
    """A mouse seeks cheese in a random maze that it sees whole.

    Observations are uint8 [pixels, pixels, 3]. Of 15 actions a, 0 to 8 mean dx = a // 3 - 1, dy = a % 3 - 1, where a
    sideways step leaves no room for one up or down, and the rest mean standing still; 5 actions are left, down, up,
    right, stay. A step into a wall leaves the mouse where it is. The cheese gives 10 and ends the episode
    (`terminated`); after `max_episode_steps` it is `truncated`.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(
        self,
        world: int = 25,
        region: int | None = None,
        actions: Literal[5, 15] = 15,
        max_episode_steps: int = 500,
        palette: maze_pictures.Palette = "rgb",
        pixels: int = 64,
        render_mode: str | None = None,
    ):
        mazes.check(world, region)
        if actions not in (5, 15):
            raise ValueError(f"maze: actions: found {actions}; allowed: 5 or 15")
        if max_episode_steps < 1:
            raise ValueError(f"maze: max_episode_steps: found {max_episode_steps}; allowed: 1 or more")
        self.world, self.region, self.render_mode = world, region, render_mode
        self.max_episode_steps = max_episode_steps
        self.painter = Painter(palette, world, pixels)
        self.action_space = gymnasium.spaces.Discrete(actions)
        self.observation_space = gymnasium.spaces.Box(0, 255, (pixels, pixels, 3), np.uint8)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Begin an episode in the level `options["level"]` (its seed), or in one drawn at random."""
        super().reset(seed=seed)
        level = (options or {}).get("level")
        if level is None:
            level = int(self.np_random.integers(mazes.SEEDS))
        self.levels = mazes.generate(np.array([level]), self.world, self.region)
        self.cheese, self.mouse = tuple(self.levels.cheese[0]), tuple(self.levels.start[0])
        self.time = 0
        return self._observation(), self._info()

    def step(self, action: int):
        if not self.action_space.contains(action):
            raise ValueError(f"maze: action: found {action!r}; allowed: 0 to {self.action_space.n - 1}")
        dx, dy = self._direction(int(action))
        x, y = self.mouse[0] + dx, self.mouse[1] + dy
        inside = 0 <= x < self.world and 0 <= y < self.world
        if inside and not self.levels.walls[0, y, x]:
            self.mouse = (x, y)
        self.time += 1
        terminated = self.mouse == self.cheese
        truncated = not terminated and self.time >= self.max_episode_steps
        return self._observation(), REWARD * terminated, terminated, truncated, self._info()

    def _direction(self, action: int) -> tuple[int, int]:
        if self.action_space.n == 5:
            return ((-1, 0), (0, -1), (0, 1), (1, 0), IDLE)[action]
        if action > 8:
            return IDLE
        dx, dy = action // 3 - 1, action % 3 - 1
        return (dx, 0) if dx else (0, dy)

    def _observation(self) -> np.ndarray:
        return self.painter.mice(self.levels, np.array([self.mouse]))[0]

    def _info(self) -> dict[str, Any]:
        return {
            "level": int(self.levels.seed[0]),
            "side": int(self.levels.side[0]),
            "start": tuple(int(coordinate) for coordinate in self.levels.start[0]),
            "cheese": tuple(int(coordinate) for coordinate in self.cheese),
            "mouse": tuple(int(coordinate) for coordinate in self.mouse),
        }

    def render(self) -> np.ndarray:
        """A picture of 512 × 512 for people."""
        return maze_pictures.enlarged(self.levels, np.array([self.mouse]))[0]


def games(
    *,
    world: Count = 25,  # side of the world, in cells; the largest mazes fill it
    region: Natural | None = None,  # side of the square at the top right that holds the cheese; null: it is anywhere
    actions: Literal[5, 15] = 15,  # the moves alone, or with the actions of Procgen that do nothing
    max_episode_steps: Count = 500,
    palette: Literal["planes", "rgb"] = "rgb",  # a plane for each object, or colours
    pixels: Count = 64,  # side of the picture
    episodes: Count,
    streams,
) -> kinds.paths.EPISODES:
    """Evaluation games in mazes, for lenses on any agent: each in a maze of its own, as a maze agent sees it."""
    rng = streams.numpy("episodes")
    return starts(Simulator(Maze(world, region, actions, max_episode_steps, palette, pixels), rng), episodes, rng)


gymnasium.register("agentomy/Maze-v0", entry_point="agentomy.environments.maze:Maze")
