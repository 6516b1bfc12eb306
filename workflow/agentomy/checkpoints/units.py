"""Dead units: those whose ReLU gives 0 on all of a set of probe states, and the parameters that belong to them."""

import numpy as np
import torch

from agentomy.checkpoints.arena import Arena
from agentomy.checkpoints.snapshots import revived
from agentomy.tables import Table

SNAPSHOTS = 10  # whose policies visit the probe states, evenly spaced over training


def visited(parameters: Table, episodes: Table, count: int, device: str) -> np.ndarray:
    """States [S, count, …] that each seed's own policies visit along training, each policy playing one episode."""
    updates = np.unique(parameters.values("update"))
    chosen = updates[np.linspace(0, len(updates) - 1, SNAPSHOTS).round().astype(int)]
    arena = Arena(episodes, device, episodes.values("reset_seed")[:1])
    seen: list[list[np.ndarray]] = []
    for _, seeds, stack in revived(parameters, device, set(chosen.tolist())):
        played = arena.play(stack, len(seeds), keep=True).observations
        seen = seen or [[] for _ in seeds]
        for states, (episode,) in zip(seen, played, strict=True):
            states += [episode[round(place)] for place in np.linspace(0, len(episode) - 1, -(-count // SNAPSHOTS))]
    return np.stack([np.stack(states[:count]) for states in seen])


def dead_parameters(parameters: Table, probes: np.ndarray, device: str) -> dict[int, dict[str, np.ndarray]]:
    """seed → tensor → flags [parameters]: weights into, the bias of, and weights out of a dead unit at the end.

    Units are taken from the trained network's `activations`; the weights out of a layer are in the tensor's second
    axis, and the units of a convolution are its filters, dead if they are at all places.
    """
    updates = parameters.values("update")
    ((_, seeds, stack),) = revived(parameters, device, {int(updates.max())})
    states = torch.from_numpy(probes).to(device)
    if states.is_floating_point():
        states = states.to(next(stack.parameters()).dtype)
    silent = {
        layer: (values <= 0).flatten(2).all(dim=1).cpu().numpy() for layer, values in stack.activations(states).items()
    }
    shapes = {name: array.shape[1:] for name, array in stack.arrays().items()}
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in shapes))
    before = dict(zip(layers[1:], layers[:-1], strict=True))
    flags: dict[int, dict[str, np.ndarray]] = {}
    for s, seed in enumerate(seeds.tolist()):
        for name, shape in shapes.items():
            layer, mask = name.rpartition(".")[0], np.zeros(shape, bool)
            if layer in silent:
                mask |= filters(silent[layer][s], shape[0]).reshape(-1, *[1] * (len(shape) - 1))
            into = silent.get(before.get(layer, ""))
            if into is not None and name.endswith("weight") and shape[1] == into.shape[1]:
                mask |= into[s].reshape(1, -1)
            flags.setdefault(seed, {})[name] = mask.ravel()
    return flags


def filters(silent: np.ndarray, count: int) -> np.ndarray:
    """Which of `count` units are silent, from flags [places × count]; a layer without places has one."""
    return silent.reshape(-1, count).all(axis=0)
