"""One game of an agent to look at: what the environment draws at each step, and what the agent's outputs depend on."""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from agentomy import kinds
from agentomy.descriptions import Task
from agentomy.environments import control
from agentomy.lenses.behaviour.play import game_in
from agentomy.lenses.behaviour.subject import Subject, with_twins
from agentomy.lenses.inside.saliency import depends
from agentomy.lenses.paths.extract import thinned
from agentomy.lenses.snapshots import updates_of
from agentomy.values import Count, Natural

SIDE = 200  # pixels of a frame's longer side, at most
NOTHING = np.zeros((0, 0, 3), np.uint8)


def watched(
    parameters: kinds.common.PARAMETERS,
    episodes: kinds.paths.EPISODES,
    *,
    steps: Count = 150,  # of the game, from its start
    most: Count = 3,  # snapshots that play, equally far apart, the last among them
    twins: Natural = 1,  # untrained agents that play the same game
    adapter: str | None = None,
    run,
    streams,
    device,
    progress,
) -> kinds.inside.WATCHED:
    """The environment's first game, played as the agent thinks best, with its frames where the environment draws.

    Needs: network, seeded environment.
    """
    stage = Stage(episodes.description, lambda why: progress.say(f"{run}: no frames ({why})"))
    chosen, seed_of_game = thinned(updates_of(parameters), most), int(episodes.values("reset_seed")[0])

    def pieces() -> Iterator[pa.Table]:
        for identity, subject in with_twins(parameters, chosen, twins, streams, device, progress, adapter):
            yield stage.play(subject, seed_of_game, steps, run=run, **identity)

    return pieces()


class Stage:
    """A game, and what draws it. `say` hears why nothing is drawn."""

    def __init__(self, task: Task, say: Callable[[str], None]):
        self.say, self.game, self.draw = say, game_in(task), lambda: NOTHING
        if task.use != "gym.make":
            return
        kwargs = {**(task.parameters.get("kwargs") or {}), "render_mode": "rgb_array"}
        try:
            game = game_in(task.model_copy(update={"parameters": {**task.parameters, "kwargs": kwargs}}))
            if hasattr(game.env.unwrapped, "mujoco_renderer"):
                control.quiet()
                control.choose_renderer()
            game.reset(0)
            if shrunk(game.env.render()).size:
                self.game, self.draw = game, lambda: shrunk(game.env.render())
        except Exception as error:  # whatever an environment or its library does if it can't draw
            say(str(error).partition("\n")[0] or type(error).__name__)

    def play(self, subject: Subject, start: int, steps: int, **identity) -> pa.Table:
        """`kinds.inside.WATCHED` of one agent's game, with this seed."""
        seen, state = self.game.reset(start), subject.start(1)
        fresh, over, met, held, taken, frames, rewards = state, "", [], [], [], [], []
        while not over and len(met) < steps:
            met.append(np.array(seen))
            held.append(state)
            (action,), state = subject.act(np.asarray(seen)[None], state)
            taken.append(np.ravel(action))
            frames.append(self.draw())
            rewards.append(self.game.total)
            seen, anew, over = self.game.step(action)
            state = fresh if anew else state
        observations = np.stack(met)
        maps = pictured(observations)
        shares = saliencies(subject, observations, None if fresh is None else torch.cat(held))
        nothing = np.zeros((len(met), 0))
        return kinds.inside.WATCHED.table(
            **identity,
            step=np.arange(len(met)),
            reward=np.array(rewards),
            action=np.stack(taken),
            rows=maps.shape[1],
            columns=maps.shape[2],
            seen=maps,
            **{output: shares.get(output, nothing) for output in kinds.inside.OUTPUTS},
            frame_rows=frames[0].shape[0],
            frame_columns=frames[0].shape[1],
            frame=np.stack(frames),
        )


def pictured(observations: np.ndarray) -> np.ndarray:
    """What is seen at each step [T, H, W]: of pictures the mean over channels, of anything else one row."""
    if observations.ndim == 4:
        return observations.mean(axis=1 + int(np.argmin(observations.shape[1:])))
    return observations.reshape(len(observations), 1, -1)


def saliencies(subject: Subject, observations: np.ndarray, state: Tensor | None) -> dict[str, np.ndarray]:
    """Output → shares of each entry or pixel at each step [T, H, W]; nothing where observations are choices.

    `state` is what was remembered before each step [T, …].
    """
    if not (observations.dtype.kind == "f" or observations.ndim == 4):
        return {}
    saliency = depends(subject, observations, state)
    return {name: maps / np.maximum(maps.sum(axis=(1, 2), keepdims=True), 1e-30) for name, maps in saliency.items()}


def shrunk(frame: np.ndarray | None) -> np.ndarray:
    """A frame [H, W, 3] with at most `SIDE` pixels a side, each the mean of a square; nothing of what is no picture."""
    if not isinstance(frame, np.ndarray) or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
        return NOTHING
    square = -(-max(frame.shape[:2]) // SIDE)
    height, width = (side // square for side in frame.shape[:2])
    blocks = frame[: height * square, : width * square].reshape(height, square, width, square, 3)
    return blocks.mean(axis=(1, 3)).round().astype(np.uint8)
