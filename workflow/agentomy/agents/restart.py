"""Restart files: the whole state of a training run, without pickle.

One safetensors file: tensors by path, everything else as JSON in its header.
"""

import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise

from agentomy.tables import replacing


def save(path: Path, state: dict[str, Any], fingerprint: str) -> None:
    """Replace the restart file at `path` by `state`; a reader never meets half of it."""
    tensors: dict[str, torch.Tensor] = {}
    plain = _pack(state, tensors)
    header = {"fingerprint": fingerprint, "state": json.dumps(plain)}
    with replacing(path) as handle:
        handle.write(serialise(tensors, header))


def load(path: Path, fingerprint: str) -> dict[str, Any] | None:
    """The state at `path`, or None if there is none, it is broken, or it belongs to other settings."""
    if not os.path.exists(path):
        return None
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("fingerprint") != fingerprint:
                return None
            names = file.keys()
            # copied to where torch puts them: how a product in place is rounded depends on where its memory begins
            tensors = {name: file.get_tensor(name).clone() for name in names}
    except (SafetensorError, OSError, struct.error):
        return None
    return _unpack(json.loads(header["state"]), tensors)


def _pack(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Turn nested state into JSON; tensors and arrays are put aside under a number."""
    if isinstance(value, dict):
        # JSON has only text keys; an optimiser's state has numbers
        return {"dict": [[key, _pack(each, tensors)] for key, each in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_pack(each, tensors) for each in value]
    if isinstance(value, (torch.Tensor, np.ndarray)):
        key = str(len(tensors))
        array = isinstance(value, np.ndarray)
        tensors[key] = torch.as_tensor(value).detach().clone().contiguous().cpu()
        return {"array" if array else "tensor": key}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a restart file cannot hold a {type(value).__name__}")


def _unpack(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpack(each, tensors) for each in value]
    if isinstance(value, dict):
        if "dict" in value:
            return {key: _unpack(each, tensors) for key, each in value["dict"]}
        return tensors[value["array"]].numpy() if "array" in value else tensors[value["tensor"]]
    return value
