"""Measured speeds of mazes and of PPO on them, as Markdown tables: `python -m tests.bench.maze_speeds`.

All take turns in one run, so that their ratios hold. The real maze (`procgen-mirror`) wants packages that this project
does not, and is put into an environment of its own; Stable-Baselines3 is left out if it is not installed.
"""

import subprocess
import tempfile
import venv
from collections.abc import Callable
from contextlib import ExitStack
from datetime import date
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from agentomy import kinds
from agentomy.agents.ppo import PPO
from agentomy.environments import mazes
from agentomy.environments.maze_batch import MOVE_OF, MazeBatch
from agentomy.environments.maze_pictures import Painter
from agentomy.networks.impala import Impala
from agentomy.seeds import Streams
from agentomy.tables import Table
from tests.bench.speeds import ROUNDS, interleaved, machine

MAZES, STEPS, REAL_STEPS, UPDATES = 256, 500, 40, 2
LEVELS, LEARNED = 2000, 20_000  # that are stepped in and made, and that PPO learns in
# without their dependencies: procgen-mirror says that it needs numpy < 2, and runs with numpy 2
REAL = (
    *("procgen-mirror==0.10.7", "gym3==0.3.3", "gym==0.26.2", "gym-notices", "cloudpickle", "cffi", "pycparser"),
    *("filelock", "imageio", "pillow", "numpy>=2"),
)
REAL_MAZE = f"""
import sys
import numpy as np
from procgen import ProcgenGym3Env

env = ProcgenGym3Env({MAZES}, "maze", distribution_mode=sys.argv[1], num_threads=0)
actions = np.random.default_rng(0).integers(15, size=({REAL_STEPS}, {MAZES})).astype(np.int32)
print("ready", flush=True)
for _ in sys.stdin:
    for each in actions:
        env.act(each)
        env.observe()
    print("done", flush=True)
"""
RECIPE = {"pixels": 9, "channels": [16, 16], "pools": [1], "max_episode_steps": 60}  # of the study at laptop scale


# ---- the environment -------------------------------------------------------------------------------------------------


def ours(world: int, palette: str, pixels: int, count: int) -> tuple[int, Callable[[], None]]:
    """Steps of a run, and the run: random actions in all mazes at once, each with its new picture."""
    levels = mazes.generate(np.arange(LEVELS), world)
    played = MazeBatch(levels, count, Painter(palette, world, pixels), 500, np.random.default_rng(0))
    moves = MOVE_OF[15][np.random.default_rng(0).integers(15, size=(STEPS, count))]
    return STEPS * count, lambda: [played.step(moves_of_step) for moves_of_step in moves]


class RealMaze:
    """Procgen's maze in a process of its own, which steps all mazes when told to."""

    def __init__(self, python: Path, mode: str):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        self.process = subprocess.Popen([python, "-I", "-c", REAL_MAZE, mode], **pipes)
        self.wait_for("ready")

    def __call__(self) -> None:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.wait_for("done")

    def wait_for(self, word: str) -> None:
        if self.process.stdout.readline().strip() != word:
            raise OSError("procgen-mirror does not run here")

    def __enter__(self) -> "RealMaze":
        return self

    def __exit__(self, *_) -> None:
        self.process.stdin.close()
        self.process.wait()


def installed(folder: Path) -> Path:
    """An interpreter that has the real maze."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    pip = [python, "-I", "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--no-deps"]
    done = subprocess.run([*pip, *REAL], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"procgen-mirror cannot be installed here: {done.stderr.strip().splitlines()[-1]}")
    return python


def environments() -> None:
    """Environment steps a second, observations included, on one core."""
    runs = {
        f"ours, world 9, planes of 9 × 9, {MAZES} mazes": ours(9, "planes", 9, MAZES),
        f"ours, world 9, planes of 9 × 9, {4 * MAZES:,} mazes": ours(9, "planes", 9, 4 * MAZES),
        f"ours, world 15, RGB of 64 × 64, {MAZES} mazes": ours(15, "rgb", 64, MAZES),
        f"ours, world 25, RGB of 64 × 64, {MAZES} mazes": ours(25, "rgb", 64, MAZES),
    }
    with ExitStack() as stack:
        try:
            python = installed(Path(stack.enter_context(tempfile.TemporaryDirectory())))
            for mode, world in (("easy", 15), ("hard", 25)):
                name = f"`procgen-mirror`'s maze, world {world} ({mode}), RGB of 64 × 64, {MAZES} mazes"
                runs[name] = (REAL_STEPS * MAZES, stack.enter_context(RealMaze(python, mode)))
        except (OSError, subprocess.SubprocessError) as error:
            print(f"{error}\n")
        took = interleaved(**{name: run for name, (_, run) in runs.items()})
    print("| environment, random actions | steps/s |\n| --- | --- |")
    for name, (steps, _) in runs.items():
        print(f"| {name} | {steps / took[name]:,.0f} |")


def generation() -> None:
    worlds = {"world 9": 9, "world 25": 25}
    took = interleaved(**{name: partial(mazes.generate, np.arange(LEVELS), world) for name, world in worlds.items()})
    print("\n| levels made | a second |\n| --- | --- |")
    for name, seconds in took.items():
        print(f"| {name} | {LEVELS / seconds:,.0f} |")


# ---- PPO -------------------------------------------------------------------------------------------------------------


def ppo(levels: Table, precision: str) -> Callable[[], None]:
    agent = PPO(levels, [Streams("bench", "ppo", 0)], "cpu", updates=10**6, precision=precision, **RECIPE)
    return lambda: [agent.advance() for _ in range(UPDATES)]


def baselines3(levels: Table, tuned: bool) -> Callable[[], None]:
    """Stable-Baselines3's PPO with the same network, mazes and settings; its value loss has no half.

    As it comes, or (tuned) with what makes our networks fast: bfloat16, channels last in memory, fused Adam.
    """
    import gymnasium
    from stable_baselines3 import PPO as Baselines
    from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
    from stable_baselines3.common.vec_env import VecEnv

    class Mazes(VecEnv):
        def __init__(self):
            painter = Painter("planes", 9, RECIPE["pixels"])
            self.mazes = MazeBatch(
                mazes.read(levels), MAZES, painter, RECIPE["max_episode_steps"], np.random.default_rng(0)
            )
            seen = gymnasium.spaces.Box(0, 1, self.mazes.observations.shape[1:], np.uint8)
            super().__init__(MAZES, seen, gymnasium.spaces.Discrete(5))

        def reset(self):
            return self.mazes.observations.copy()

        def step_async(self, actions):
            self.actions = actions

        def step_wait(self):
            rewards, terminated, truncated, last = self.mazes.step(self.actions)
            infos = [{} for _ in range(MAZES)]
            for i, picture in zip(np.flatnonzero(truncated), last, strict=True):
                infos[i] = {"terminal_observation": picture, "TimeLimit.truncated": True}
            return self.reset(), (0.1 * rewards).astype(np.float32), terminated | truncated, infos

        def get_attr(self, name, indices=None):
            return [None] * MAZES

        def env_is_wrapped(self, wrapper, indices=None):
            return [False] * MAZES

        def set_attr(self, name, value, indices=None):
            raise NotImplementedError

        def env_method(self, name, *arguments, indices=None, **options):
            raise NotImplementedError

        def close(self):
            pass

    class Body(BaseFeaturesExtractor):
        """All but the heads."""

        def __init__(self, space):
            super().__init__(space, 256)
            self.net = Impala(RECIPE["pixels"], RECIPE["channels"], RECIPE["pools"], 256, 5, "planes")
            self.net.draw(torch.Generator().manual_seed(0), "orthogonal")
            del self.net.policy, self.net.value
            self.layout = torch.channels_last if tuned else torch.contiguous_format
            self.net.to(memory_format=self.layout)

        def forward(self, pictures):
            with torch.autocast("cpu", torch.bfloat16, enabled=tuned):
                inputs = self.net.encode(pictures).contiguous(memory_format=self.layout)
                for block in self.net.blocks:
                    inputs = block(inputs)
                return self.net.relufc(self.net.fc(self.net.flatten(self.net.relu3(inputs)))).float()

    policy = {"features_extractor_class": Body, "net_arch": [], "ortho_init": False, "normalize_images": False}
    policy["optimizer_kwargs"] = {"eps": 1e-5, **({"fused": True} if tuned else {})}
    rollout = {"n_steps": 16, "batch_size": 256, "n_epochs": 2, "gamma": 0.97, "gae_lambda": 0.95}
    costs = {"ent_coef": 0.01, "vf_coef": 0.25, "max_grad_norm": 0.5, "clip_range": 0.2, "learning_rate": 2e-3}
    model = Baselines("MlpPolicy", Mazes(), policy_kwargs=policy, device="cpu", seed=0, **rollout, **costs)
    return lambda: model.learn(UPDATES * 16 * MAZES, reset_num_timesteps=False)


def learning() -> None:
    """Environment steps a second of PPO, learning included, on one core."""
    streams = Streams("bench", "levels", 0)
    levels = Table(kinds.maze.LEVELS, rows=mazes.levels(world=9, count=LEARNED, region=2, corner=2, streams=streams))
    runs = {f"ours, {precision} precision": ppo(levels, precision) for precision in ("bfloat16", "single")}
    if find_spec("stable_baselines3"):
        runs["Stable-Baselines3"] = baselines3(levels, tuned=False)
        runs["Stable-Baselines3, our bfloat16, memory layout and optimiser"] = baselines3(levels, tuned=True)
    took = interleaved(**runs)
    print("\n| PPO, world 9, channels 16-16, 256 mazes × 16 steps | environment steps/s | beside Stable-Baselines3 |")
    print("| --- | --- | --- |")
    for name, seconds in took.items():
        beside = f"{took['Stable-Baselines3'] / seconds:.2f}" if "Stable-Baselines3" in took else ""
        print(f"| {name} | {UPDATES * 16 * MAZES / seconds:,.0f} | {beside} |")


def main() -> None:
    torch.set_num_threads(1)
    print(f"{date.today()}, {machine()}; medians of {ROUNDS} rounds in which all take turns\n", flush=True)
    environments()
    generation()
    learning()


if __name__ == "__main__":
    main()
