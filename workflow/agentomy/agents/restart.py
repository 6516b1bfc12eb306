"""Restart files: the whole state of a training run, without pickle.

One safetensors file: tensors by number, everything else as JSON in its header, and there a digest of both, so that a
flipped bit is noticed wherever it is.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise

from agentomy.tables import replacing

FORMAT = 2  # of these files; another number is another format, and a state in it is not gone on from


class Unusable(Exception):
    """A restart file from which a run cannot go on; the message says why."""


def save(path: Path, state: dict[str, Any], fingerprint: str) -> None:
    """Replace the restart file at `path` by `state`; a reader never sees half a file."""
    tensors: dict[str, torch.Tensor] = {}
    text = json.dumps(_pack(state, tensors))
    header = {"format": str(FORMAT), "fingerprint": fingerprint, "state": text, "digest": _digest(text, tensors)}
    with replacing(path) as handle:
        handle.write(serialise(tensors, header))


def load(path: Path, fingerprint: str) -> dict[str, Any] | None:
    """The state at `path`, or None if there is none; `Unusable` if it is broken, or of other settings."""
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") != str(FORMAT):
                raise Unusable("its restart file is of another format")
            if header.get("fingerprint") != fingerprint:
                raise Unusable("its restart file is of other parameters, inputs or code")
            # copied to where torch puts them: how a product in place is rounded depends on where its memory begins
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (no mapping)
    except FileNotFoundError:
        return None
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise Unusable(f"its restart file is broken ({(str(error) or type(error).__name__).splitlines()[0]})") from None
    text = header.get("state", "")
    if header.get("digest") != _digest(text, tensors):
        raise Unusable("its restart file is broken (its content is not what was written)")
    return _unpack(json.loads(text), tensors)


def _digest(text: str, tensors: dict[str, torch.Tensor]) -> str:
    """A hash of the JSON and of every tensor with its number, type and shape; their order in the file is no matter."""
    total = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        total.update(f"{name} {tensor.dtype} {list(tensor.shape)} ".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return total.hexdigest()


def _pack(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Turn nested state into JSON; tensors and arrays are put aside under a number."""
    if isinstance(value, dict):
        # JSON has only text keys; an optimiser's state has numbers
        return {"dict": [[key, _pack(item, tensors)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_pack(item, tensors) for item in value]
    if isinstance(value, (torch.Tensor, np.ndarray)):
        key = str(len(tensors))
        array = isinstance(value, np.ndarray)
        tensors[key] = torch.as_tensor(value).detach().clone(memory_format=torch.contiguous_format).cpu()
        return {"array" if array else "tensor": key}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a restart file cannot hold a {type(value).__name__}")


def _unpack(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpack(item, tensors) for item in value]
    if isinstance(value, dict):
        if "dict" in value:
            return {key: _unpack(item, tensors) for key, item in value["dict"]}
        return tensors[value["array"]].numpy() if "array" in value else tensors[value["tensor"]]
    return value
