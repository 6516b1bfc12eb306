"""Torch modules, rebuilt by name from the description that an agent gives of its network."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any


def build(description: Mapping[str, Any], seeds: int, device: str = "cpu"):
    """A stack of `seeds` networks from {"use": "module.Class", **arguments}; the weights are still to be set."""
    arguments = dict(description)
    module, _, name = arguments.pop("use").rpartition(".")
    return getattr(import_module(f"{__name__}.{module}"), name)(seeds, **arguments).to(device)
