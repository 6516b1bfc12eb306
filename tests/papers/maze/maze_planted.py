"""Maze networks whose weights are set by hand, so that what an edit does to them is known.

Channels 0, 1, 2 of every layer are the planes wall, mouse, cheese, as large as the world, and channel 3 is empty. The
policy is linear in their positive parts: its logits are what `policy` [5, 4, W, W] says for each channel and place.
"""

import numpy as np

from agentomy import kinds
from agentomy.networks.impala import ImpalaStack
from agentomy.tables import Table
from tests.described import trained

SITE = "block2.res1.resadd"
WORLD, CHANNELS = 9, 4
WALL, MOUSE, CHEESE, EMPTY = range(CHANNELS)
NETWORK = {
    "pixels": WORLD,
    "palette": "planes",
    "channels": [CHANNELS, CHANNELS],
    "pools": [],
    "hidden": CHANNELS * WORLD**2,
    "actions": 5,
    "scale": "planes",
}


def weights(policy: np.ndarray, negative: bool = False) -> dict[str, np.ndarray]:
    """The weights of one such network, each [1, *shape].

    In a `negative` one, which behaves the same, the cheese's channel is 0 at the cheese and 1 elsewhere.
    """
    arrays = {name: np.zeros_like(array) for name, array in ImpalaStack(1, **NETWORK).arrays().items()}
    for layer in ("block1.conv.weight", "block2.conv.weight"):
        for channel in range(arrays[layer].shape[2]):
            arrays[layer][0, channel, channel, 1, 1] = 1
    arrays["fc.weight"][0] = np.eye(NETWORK["hidden"])
    if negative:
        arrays["block2.conv.weight"][0, CHEESE, CHEESE, 1, 1] = -1
        arrays["block2.conv.bias"][0, CHEESE] = 1
        arrays["policy.bias"][0] = policy[:, CHEESE].sum(axis=(1, 2))
        policy = policy.copy()
        policy[:, CHEESE] *= -1
    arrays["policy.weight"][0] = policy.reshape(5, -1)
    return arrays


def planted(policy: np.ndarray, negative: bool = False) -> Table:
    """A run of one seed: at update 0 a policy that does anything, at update 10 the given one."""
    pieces = [
        kinds.common.PARAMETERS.table(seed=0, update=update, **weights(share * policy, negative))
        for update, share in ((0, 0), (10, 1))
    ]
    return Table(kinds.common.PARAMETERS, rows=pieces, description=trained({"use": "impala.ImpalaStack", **NETWORK}))


def net(policy: np.ndarray, negative: bool = False):
    return ImpalaStack(1, **NETWORK).load(weights(policy, negative)).nets[0]


def called(cells: np.ndarray) -> np.ndarray:
    """The move [N] that cheese at these cells calls for: all four occur, and neighbours differ."""
    return (cells[:, 0] + 2 * cells[:, 1]) % 4


def caller(strength: float = 3.0) -> np.ndarray:
    """A policy that makes one move everywhere, which only the cheese's cell decides."""
    policy = np.zeros((5, CHANNELS, WORLD, WORLD))
    x, y = np.meshgrid(np.arange(WORLD), np.arange(WORLD))
    cells = np.stack([x.ravel(), y.ravel()], axis=1)
    policy[called(cells), CHEESE, WORLD - 1 - cells[:, 1], cells[:, 0]] = strength
    return policy


def softmax(logits: np.ndarray) -> np.ndarray:
    return np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
