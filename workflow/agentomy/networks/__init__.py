"""Torch modules, rebuilt by name from the description that an agent gives of its network."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import torch


def generator(entropy: int, device: str = "cpu") -> torch.Generator:
    """A torch generator from the entropy of a stream (`seeds.Streams`)."""
    return torch.Generator(device).manual_seed(entropy & (2**63 - 1))


def use(network: type) -> str:
    """The name of a network class in a description.

    Agents name their network by the class itself: then whoever reads the source sees that they depend on it.
    """
    return f"{network.__module__.removeprefix(f'{__name__}.')}.{network.__name__}"


def build(description: Mapping[str, Any], seeds: int, device: str = "cpu"):
    """A stack of `seeds` networks from {"use": "module.Class", **arguments}; the weights are still to be set."""
    arguments = dict(description)
    module, _, name = arguments.pop("use").rpartition(".")
    return getattr(import_module(f"{__name__}.{module}"), name)(seeds, **arguments).to(device)
