"""Where posterior samples of a Q-network disagree about the value of a state."""

import numpy as np
import torch

from agentomy import kinds
from agentomy.lenses.arena import Arena
from agentomy.lenses.snapshots import revived
from agentomy.values import Count, Natural

BALL = 1  # channel of MinAtar's Breakout


@torch.no_grad()
def disagreement_by_ball_position(
    parameters: kinds.common.PARAMETERS,
    episodes: kinds.paths.EPISODES,
    *,
    burn_in: Natural,
    states: Count,
    run,
    streams,
    device,
) -> kinds.nld.DOUBT:
    """Disagreement of the snapshots from `burn_in` updates on, in states that the last one meets, by the ball's place.

    For each seed at most `states` states are drawn from all of its evaluation episodes.
    """
    samples = [snapshot for snapshot in revived(parameters, device) if snapshot[0] >= burn_in]
    _, seeds, last = samples[-1]
    played = Arena(episodes, device).play(last, len(seeds), keep=True)
    for number, seed in enumerate(seeds.tolist()):
        seen = np.concatenate([np.array(episode) for episode in played.observations[number]])
        seen = seen[streams.for_seed(seed).numpy("states").permutation(len(seen))[:states]]
        values = np.stack([values_of(stack, number, seen) for _, _, stack in samples])  # [K, n, actions]
        best, choices = values.max(axis=2), values.argmax(axis=2)
        votes = np.stack([(choices == action).mean(axis=0) for action in range(values.shape[2])])
        cells = seen[..., BALL].reshape(len(seen), -1).argmax(axis=1)
        met = np.unique(cells)
        inside = [cells == cell for cell in met]
        yield kinds.nld.DOUBT.table(
            run=run,
            seed=seed,
            networks=len(samples),
            row=met // seen.shape[2],
            column=met % seen.shape[2],
            visits=np.array([here.sum() for here in inside]),
            value=np.array([best.mean(axis=0)[here].mean() for here in inside]),
            deviation=np.array([best.std(axis=0)[here].mean() for here in inside]),
            dissent=np.array([1 - votes.max(axis=0)[here].mean() for here in inside]),
        )


def values_of(stack, number: int, seen: np.ndarray) -> np.ndarray:
    """Values [n, actions] that one network of a stack gives to states [n, 10, 10, channels]."""
    given = torch.from_numpy(seen).to(next(stack.parameters()).device)
    count = len(stack.output.bias)
    return stack(given.expand(count, *given.shape))[number].cpu().numpy()
