"""Atari: MinAtar (Young & Tian 2019), five games on a 10 × 10 grid of objects; and the real games, in frames."""

import re
from typing import Any, Literal

import gymnasium
import numpy as np

from agentomy import kinds
from agentomy.environments.simulator import Simulator, starts
from agentomy.values import Count, Share

# The steps after which an episode is truncated at the latest: a good agent may play for ever. MinAtar itself has no
# limit; this is ten times that of most of its games in Gymnax. Atari's is half an hour of play.
MINATAR_STEPS, ATARI_STEPS = 10_000, 27_000
# channels that tell how something moves: how fast, where it was, or where it is about to go
TRAILS = {"trail", "speed1", "speed2", "speed3", "speed4", "speed5", "alien_left", "alien_right"}


class MinAtar(gymnasium.Env):
    """One game; observations are bool [10, 10, channels], actions 0 to 5 (n, l, u, r, d, f).

    Without `trails` a frame shows where things are but not how they move; knowing that takes a memory. An episode is
    truncated after `idle_limit` steps without a reward (0: never), and after `max_episode_steps` steps in all.
    """

    def __init__(
        self,
        game: str,
        sticky_action_prob: float = 0.1,
        difficulty_ramping: bool = True,
        idle_limit: int = 0,
        trails: bool = True,
        max_episode_steps: int = MINATAR_STEPS,
    ):
        from minatar import Environment

        self.game = Environment(game, sticky_action_prob=sticky_action_prob, difficulty_ramping=difficulty_ramping)
        self.idle_limit, self.max_episode_steps = idle_limit, max_episode_steps
        channels = self.game.env.channels
        self.shown = [number for name, number in channels.items() if trails or name not in TRAILS]
        shape = (*self.game.state_shape()[:2], len(self.shown))
        self.action_space = gymnasium.spaces.Discrete(self.game.num_actions())
        self.observation_space = gymnasium.spaces.Box(0, 1, shape, bool)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        # The game draws from our stream. It must not remember the last action beyond an episode: otherwise the next
        # one would not follow from its seed and actions.
        self.game.random = self.game.env.random = np.random.RandomState(self.np_random.bit_generator)
        self.game.last_action = 0
        self.game.reset()
        self.steps, self.idle = 0, 0  # so far, and since the last reward
        return self.look(), {}

    def step(self, action: int):
        reward, terminated = self.game.act(int(action))
        self.steps += 1
        self.idle = 0 if reward > 0 else self.idle + 1
        cut = self.steps >= self.max_episode_steps or (bool(self.idle_limit) and self.idle >= self.idle_limit)
        return self.look(), float(reward), bool(terminated), cut and not terminated, {}

    def look(self) -> np.ndarray:
        return self.game.state()[:, :, self.shown]


def minatar(
    *,
    game: Literal["asterix", "breakout", "freeway", "seaquest", "space_invaders"],  # as MinAtar calls it
    episodes: Count,
    sticky_action_prob: Share = 0.1,  # probability that the last action is repeated instead
    difficulty_ramping: bool = True,  # whether the game gets harder
    idle_limit: Count = 1000,  # steps since the last reward that truncate an episode: a greedy agent can idle for ever
    trails: bool = True,  # whether frames show how things move
    max_episode_steps: Count = MINATAR_STEPS,
    streams,
) -> kinds.paths.EPISODES:
    """Evaluation episodes of a MinAtar game."""
    rng = streams.numpy("episodes")
    env = MinAtar(game, sticky_action_prob, difficulty_ramping, idle_limit, trails, max_episode_steps)
    return starts(Simulator(env, rng), episodes, rng)


SIDE, STACK, SKIP = 64, 4, 4
NOOPS = 30  # the most no-ops at the start of a game
NOOP, FIRE = 0, 1  # in all minimal action sets that have them


class Atari(gymnasium.Env):
    """One game as TWM's agent meets it (sections 5 to 7): its last four frames, uint8 [4, 64, 64], the newest last.

    In training a lost life ends the episode, the next one goes on in the same game, and a game begins with 1 to 30
    no-ops. `full_games`, for evaluation, last until all lives are lost, and begin without. Where the second action is
    FIRE it is pressed when a game begins and, within the same step, when a life is lost, as in the official code.
    """

    def __init__(self, game: str, full_games: bool = False, max_episode_steps: int = ATARI_STEPS):
        import ale_py
        from ale_py.env import AtariEnv

        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)  # otherwise it prints a banner
        rom = re.sub(r"(?<!^)(?=[A-Z])", "_", game).lower()
        console = AtariEnv(rom, frameskip=1, repeat_action_probability=0.0, obs_type="grayscale")
        # Without sticky actions ALE draws nothing in a game; we fix its seed, which would else come from the clock.
        console.reset(seed=0)
        self.ale, self.full_games, self.max_episode_steps = console.ale, full_games, max_episode_steps
        self.meanings = console.get_action_meanings()
        self.fires = self.meanings[FIRE] == "FIRE"
        # where FIRE begins a game no-ops come after it, each as long as an action of the agent
        noops = 0 if full_games or self.fires else NOOPS
        self.screen = gymnasium.wrappers.AtariPreprocessing(console, noops, SKIP, SIDE)
        self.action_space = gymnasium.spaces.Discrete(len(self.meanings))
        self.observation_space = gymnasium.spaces.Box(0, 255, (STACK, SIDE, SIDE), np.uint8)
        self.mid_game = False  # whether the next episode goes on where this one ended

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Begin an episode; with a seed or the option `new_game`, in a new game."""
        super().reset(seed=seed)
        new = seed is not None or (options or {}).get("new_game", False)
        frame = self.press(NOOP)[0] if self.mid_game and not new else self.begin()
        self.mid_game, self.steps, self.frames = False, 0, np.repeat(frame[None], STACK, axis=0)
        return self.frames, {}

    def begin(self) -> np.ndarray:
        """Begin a new game. Returns its first frame."""
        self.screen.unwrapped.np_random = self.np_random
        frame, _ = self.screen.reset()
        self.lives = self.ale.lives()
        if self.fires:
            noops = 0 if self.full_games else int(self.np_random.integers(1, NOOPS + 1))
            for action in (FIRE, FIRE + 1, *[NOOP] * noops):  # some games begin only when the player moves
                frame, _, over, _ = self.press(action)
                if over:
                    frame, _ = self.screen.reset()
                    self.lives = self.ale.lives()
        return frame

    def press(self, action: int) -> tuple[np.ndarray, float, bool, bool]:
        """Take an action. Returns frame, reward, whether the game is over, whether a life was lost."""
        frame, reward, over, _, _ = self.screen.step(action)
        lost, self.lives = self.ale.lives() < self.lives, self.ale.lives()
        if lost and self.fires and not over:
            frame, more, over, _, _ = self.screen.step(FIRE)
            reward += more
        return frame, float(reward), bool(over), lost

    def step(self, action: int):
        frame, reward, over, lost = self.press(int(action))
        self.steps += 1
        self.frames = np.concatenate([self.frames[1:], frame[None]])
        # Qbert shows no lives for a while before it is over
        self.mid_game = lost and self.lives > 0 and not over and not self.full_games
        terminated = over or self.mid_game
        return self.frames, reward, terminated, self.steps >= self.max_episode_steps and not terminated, {}


def atari(
    *,
    game: Literal[
        "Alien", "Amidar", "Assault", "Asterix", "BankHeist", "BattleZone", "Boxing", "Breakout", "ChopperCommand",
        "CrazyClimber", "DemonAttack", "Freeway", "Frostbite", "Gopher", "Hero", "Jamesbond", "Kangaroo", "Krull",
        "KungFuMaster", "MsPacman", "Pong", "PrivateEye", "Qbert", "RoadRunner", "Seaquest", "UpNDown",
    ],  # those of Atari 100k, by the names under which scores are published
    episodes: Count,
    max_episode_steps: Count = ATARI_STEPS,  # of the agent, four frames each
    streams,
) -> kinds.paths.EPISODES:  # fmt: skip
    """Evaluation episodes of an Atari game: full games, which differ by the agent's actions alone."""
    rng = streams.numpy("episodes")
    return starts(Simulator(Atari(game, True, max_episode_steps), rng), episodes, rng)
