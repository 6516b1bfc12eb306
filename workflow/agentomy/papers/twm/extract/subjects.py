"""World models and the windows of experience on which they are decomposed."""

import numpy as np
import torch
from torch.nn.functional import pad

from agentomy import kinds
from agentomy.lenses.subjects import subjects
from agentomy.networks.observation_model import sampled
from agentomy.papers.twm.extract.worlds import ends, fresh, worlds
from agentomy.values import Count


def of_worlds(
    parameters: kinds.common.PARAMETERS,
    episodes: kinds.paths.EPISODES,
    *,
    count: Count,  # number of inputs
    steps: Count,
    trained: bool = True,
    run,
    streams,
    device,
) -> kinds.subnetworks.SUBJECTS:
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
        before = [pad(values.float(), (1, -1)) for values in (lived.rewards, lived.ended)]
        told = torch.cat([codes, torch.stack([lived.actions.float(), *before], dim=1)], dim=1)
        starts = torch.randperm(steps - long, generator=noise[0], device=device)[:count].sort().values
        inputs.append(told[starts[:, None] + torch.arange(long, device=device)].cpu().numpy())
    yield subjects(parameters, np.stack(inputs), "next_latent", run, trained)
