"""Torch modules, rebuilt by name from the description that an agent gives of its network."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from agentomy import names


def generator(entropy: int, device: str = "cpu") -> torch.Generator:
    """A torch generator from the entropy of a stream (`seeds.Streams`)."""
    return torch.Generator(device).manual_seed(entropy & (2**63 - 1))


def use(network: type) -> str:
    """The name of a network class in a description.

    Agents name their network by the class itself, so that the source shows that they depend on it, as does every
    function that rebuilds networks from their snapshots.
    """
    return f"{network.__module__.removeprefix('agentomy.networks.')}.{network.__name__}"


def build(description: Mapping[str, Any], seeds: int, device: str = "cpu"):
    """A stack of `seeds` networks from {"use": "module.Class", **arguments}; the weights are still to be set.

    `names.Unfit` if no network of the package fits the description.
    """
    arguments = dict(description)
    network = names.place("networks", str(arguments.pop("use", "")))
    return names.make(network, seeds, **arguments).to(device)


def set_weights(module: torch.nn.Module, arrays: Mapping[str, np.ndarray]) -> None:
    """Set all weights of a module by name; `names.Unfit` if names or shapes differ from its own."""
    try:
        module.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})
    except RuntimeError as error:
        raise names.Unfit(" ".join(str(error).split())) from None
