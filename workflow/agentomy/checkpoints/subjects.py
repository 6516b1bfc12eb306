"""Trained networks and the inputs on which they are decomposed, put together as one table."""

import json

import numpy as np
import pyarrow as pa
import torch
from torch.nn.functional import pad

from agentomy import kinds
from agentomy.checkpoints.maze_views import open_cells
from agentomy.checkpoints.snapshots import snapshots
from agentomy.checkpoints.worlds import ends, fresh, worlds
from agentomy.environments import mazes
from agentomy.environments import sequences as tasks
from agentomy.environments.maze_pictures import Painter
from agentomy.networks.observation_model import sampled
from agentomy.tables import Table, tensors
from agentomy.values import Count


def of_points(parameters: kinds.PARAMETERS, points: kinds.POINTS, *, run) -> kinds.SUBJECTS:
    """Toy models at fresh points."""
    yield subjects(parameters, points.where(split="decomposed").array("inputs")[None], "values", run)


def of_mazes(
    parameters: kinds.PARAMETERS,
    levels: kinds.LEVELS,
    *,
    count: Count,
    smallest_side: Count,
    trained: bool = True,
    run,
    streams,
) -> kinds.SUBJECTS:
    """Policies, trained or not, at random open cells of levels from some side on, the same pictures for all seeds."""
    network, found = parameters.description.network, mazes.read(levels, "train")
    found = found[np.flatnonzero(found.side >= smallest_side)]
    level, cells = open_cells(found)
    chosen = streams.numpy("cells").choice(len(level), count, replace=False)
    pictures = Painter(network["palette"], found.world, network["pixels"]).mice(found[level[chosen]], cells[chosen])
    yield subjects(parameters, pictures[None], "policy", run, trained)


def of_sequences(
    parameters: kinds.PARAMETERS,
    sequences: kinds.SEQUENCES,
    *,
    count: Count,
    steps: Count,
    trained: bool = True,
    run,
    streams,
) -> kinds.SUBJECTS:
    """Predictors, trained or not, after the first observations of fresh episodes, the same for all seeds."""
    task = tasks.task(sequences.description)
    observed = task.sample(streams.numpy("episodes"), count, steps)[1]
    # one step is empty, as at the start of every episode
    fed = tasks.previous(task.encode(np.pad(observed, ((0, 0), (0, 1)))))
    yield subjects(parameters, fed[None], "prediction", run, trained)


def of_worlds(
    parameters: kinds.PARAMETERS,
    episodes: kinds.EPISODES,
    *,
    count: Count,
    steps: Count,
    trained: bool = True,
    run,
    streams,
    device,
) -> kinds.SUBJECTS:
    """World models, trained or not, after random windows of `steps` fresh steps, which each plays and encodes itself.

    A step of a window is its code, its action, and the reward and the end that the step before it brought; a window is
    one step longer than the transformer's, and may cross the ends of episodes.
    """
    update, inputs = (max if trained else min)(ends(parameters)), []
    for _, seed, world in worlds(parameters, device, {update}):
        lived, noise = fresh(world, episodes.description, steps, streams, (seed, update), device)
        long = world.dynamics.transformer.window + 1
        if steps - long < count:
            raise ValueError(f"steps: found {steps}; allowed: count + {long} or more")
        with torch.no_grad():
            codes = sampled(world.observation.encode(lived.observations[:-1]), noise)
        before = [pad(each.float(), (1, -1)) for each in (lived.rewards, lived.ended)]
        told = torch.cat([codes, torch.stack([lived.actions.float(), *before], dim=1)], dim=1)
        starts = torch.randperm(steps - long, generator=noise, device=device)[:count].sort().values
        inputs.append(told[starts[:, None] + torch.arange(long, device=device)].cpu().numpy())
    yield subjects(parameters, np.stack(inputs), "next_latent", run, trained)


def subjects(parameters: Table, inputs: np.ndarray, reading: str, run: str, trained: bool = True) -> pa.Table:
    """The networks of a run, at its end or before it learned, with inputs [S, samples, *shape] (S of 1: for all)."""
    every = list(snapshots(parameters))
    chosen = every[-1 if trained else 0]
    seeds = chosen["seed"].to_numpy()
    return kinds.SUBJECTS.table(
        run=run,
        seed=seeds,
        network=json.dumps(parameters.description.network, sort_keys=True),
        reading=reading,
        shape=json.dumps(inputs.shape[2:]),
        inputs=np.broadcast_to(inputs.reshape(len(inputs), -1), (len(seeds), inputs[0].size)),
        **tensors(chosen),
    )
