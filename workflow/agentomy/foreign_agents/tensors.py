"""Tensors out of files of PyTorch and safetensors, by name; what else a file holds is read as plain values.

`torch.save` writes a zip: one pickle, and the numbers of each storage as a member. The pickle goes through our own
interpreter (`pickles`), so neither `torch.load` nor what others allow it is relied on: `weights_only=True` has let code
run before (CVE-2025-32434). The tests compare with it.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors

from agentomy.foreign_agents import pickles
from agentomy.foreign_agents.files import Archive, Place, contents, refused
from agentomy.foreign_agents.pickles import Call, Name, Stored, is_call
from agentomy.mistakes import ConfigError

STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",  # the upper half of a float32
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
TENSOR, PARAMETER = "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter"
# may be named; of all that they define, `_Reader` knows a few and refuses the others by their names
MODULES = ("torch", "collections", "copy_reg", "copyreg", "builtins", "__builtin__")
MOST = 2**30  # numbers in all tensors of a file
COUNT = 20_000  # tensors
DEEPEST = 8  # containers within each other
EXPORT = "`torch.save(model.state_dict(), 'agent.pt')`"
WRAPPERS = re.compile(r"(^|\.)(?:(?:_orig_mod|module)\.)+")  # of torch.compile and DataParallel, also of a part

Tensors = dict[str, np.ndarray]


def is_torch(archive: Archive) -> bool:
    return any(name.endswith("/data.pkl") or name == "data.pkl" for name in archive.names)


def read_torch(archive: Archive) -> Any:
    """What a file of `torch.save` holds: containers, plain values, and arrays in the place of tensors."""
    file, names = archive.file, archive.names
    if any("/code/" in name or name.endswith("/constants.pkl") for name in names):
        raise refused(file, "", f"found TorchScript, which is a program; allowed: tensors alone: {EXPORT}")
    if any(name.endswith("archive_format") for name in names):
        problem = f"found an exported program (.pt2), which torch opens by running pickles; allowed: {EXPORT}"
        raise refused(file, "", problem)
    pickle = next(name for name in names if name == "data.pkl" or name.endswith("/data.pkl"))
    root = pickle.removesuffix("data.pkl")
    if f"{root}byteorder" in names and archive.read(f"{root}byteorder", 16) != b"little":
        raise refused(file, "", "found numbers of another byte order; allowed: little-endian")
    return _Reader(archive, root).value(pickles.tree(archive.read(pickle), file, MODULES, f"tensors alone: {EXPORT}"))


class _Reader:
    """Turns what the pickle says into values, within bounds."""

    def __init__(self, archive: Archive, root: str):
        self.archive, self.root, self.file = archive, root, archive.file
        self.numbers = self.tensors = self.seen = 0
        self.storages: dict[str, bytes] = {}  # many tensors may lie in one

    def value(self, of: Any, depth: int = 0) -> Any:
        self.seen += 1
        if depth > DEEPEST or self.seen > pickles.OPCODES:
            raise refused(self.file, "", f"found containers more than {DEEPEST} deep or without end")
        if is_call(of, TENSOR, PARAMETER):
            return self.tensor(of)
        if is_call(of, "collections.OrderedDict", "collections.defaultdict"):
            of = of.items
        if isinstance(of, dict):
            return {key: self.value(inner, depth + 1) for key, inner in of.items()}
        if isinstance(of, (list, tuple)):
            return type(of)(self.value(inner, depth + 1) for inner in of)
        if is_call(of, "torch.Size"):
            return self.value(list(of.arguments), depth + 1)
        if is_call(of, "torch.device"):
            return None
        if of is None or isinstance(of, (bool, int, float, str, bytes)):
            return of
        raise self._refused(of)

    def tensor(self, of: Call) -> np.ndarray:
        if is_call(of, PARAMETER):
            inner = of.arguments[0] if of.arguments else None
            if not is_call(inner, TENSOR):
                raise self._refused(inner)
            of = inner
        if len(of.arguments) < 4:
            raise refused(self.file, "", "a broken pickle (a tensor without storage, shape or strides)")
        storage, offset, shape, strides = of.arguments[:4]
        shape, strides = (_sizes(sizes) for sizes in (shape, strides))
        if shape is None or strides is None or len(shape) != len(strides) or type(offset) is not int or offset < 0:
            raise refused(self.file, "", "a broken pickle (a tensor of no shape)")
        name, key, stored = self._storage(storage)
        numel = int(np.prod(shape, dtype=object))
        last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
        self.numbers, self.tensors = self.numbers + numel, self.tensors + 1
        if self.numbers > MOST or self.tensors > COUNT:
            raise refused(self.file, "", f"found more than {MOST} numbers or {COUNT} tensors; allowed: less")
        if numel > stored or (numel and last >= stored):
            problem = f"found a tensor of shape {list(shape)} on {stored} numbers; allowed: on as many as it has"
            raise refused(self.file, "", problem)
        if key not in self.storages:
            self.storages[key] = self.archive.read(f"{self.root}data/{key}")
        content = self.storages[key]
        kind = np.dtype(STORAGES[name])
        if len(content) < stored * kind.itemsize:
            raise refused(self.file, "", f"found {len(content)} bytes for {stored} numbers: cut short")
        if not numel:
            return np.zeros(shape, np.float32)
        whole = np.frombuffer(content, kind, stored)[offset:]
        tensor = np.lib.stride_tricks.as_strided(whole, shape, [kind.itemsize * stride for stride in strides])
        if name == "BFloat16Storage":
            return (tensor.astype(np.uint32) << 16).view(np.float32)
        return tensor.astype(np.float32) if name == "HalfStorage" else np.array(tensor, order="C")

    def _storage(self, of: Any) -> tuple[str, str, int]:
        """Sort of storage, the member that holds them, and how many there are."""
        key = of.key if isinstance(of, Stored) else None
        if not (isinstance(key, tuple) and len(key) == 5 and key[0] == "storage" and isinstance(key[1], Name)):
            raise self._refused(of)
        if key[1].module != "torch" or key[1].name not in STORAGES:
            raise refused(self.file, "", f"found numbers of the type {key[1]}; allowed: {', '.join(STORAGES)}")
        if not isinstance(key[2], str) or not re.fullmatch(r"\w+", key[2]) or type(key[4]) is not int or key[4] < 0:
            raise self._refused(of)
        return key[1].name, key[2], key[4]

    def _refused(self, of: Any) -> ConfigError:
        named = of.of if isinstance(of, Call) else of
        name = str(named) if isinstance(named, Name) else type(named).__name__
        return refused(self.file, "", f"found {name[:80]}, not tensors and plain values; allowed: {EXPORT}")


def _sizes(of: Any) -> tuple[int, ...] | None:
    of = of.arguments[0] if is_call(of, "torch.Size") and of.arguments else of
    if not isinstance(of, tuple) or not all(type(size) is int and 0 <= size < 2**40 for size in of):
        return None
    return of if len(of) <= pickles.DIMENSIONS else None


def read_safetensors(path: Path) -> Tensors:
    """All tensors of a file, as float32 where their own type is none of numpy's."""
    content = contents(path)
    try:
        return dict(load_safetensors(content))
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        problem = " ".join(str(error).split())[:80]
        raise refused(path, "", f"broken, or numbers of a type that numpy lacks ({problem})") from None


# by these keys scripts keep a state dict in a larger one; what lies beside it is not read
HOLDERS = ("model_weights", "model_state_dict", "state_dict", "agent", "policy", "model", "network", "net", "actor")
# a normaliser beside the weights: applied or refused, never passed over
STATISTICS = ("obs_rms", "obs_stats", "observation_normalizer", "running_mean_std", "rms")


def state_dicts(value: Any, file: Place) -> tuple[list[Tensors], dict[str, Any]]:
    """The state dicts in what `read_torch` gave, without wrappers' prefixes, and the plain values beside them.

    A `state_dict`, a tuple of them (CleanRL's DDPG and TD3: actor, then critics), or a dict that holds one.
    """
    if isinstance(value, (tuple, list)) and value and all(_is_state(state) for state in value):
        return [stripped(state, file) for state in value], {}
    if _is_state(value):
        return [stripped(value, file)], {}
    if isinstance(value, dict):
        held = [key for key in HOLDERS if key in value and _is_state(value[key])]
        if len(held) == 1:
            beside = {key: entry for key, entry in value.items() if key != held[0]}
            return [stripped(value[held[0]], file)], beside
        if held:
            raise refused(file, "", f"found state dicts as {', '.join(held)}; allowed: one, or a tuple of them")
    keys = f" with the keys {', '.join(map(str, [*value][:6]))}" if isinstance(value, dict) else ""
    description = f"{type(value).__name__}{keys}"
    raise refused(file, "", f"found a {description}; allowed: a state dict, a tuple of them, or one as {HOLDERS[0]}")


def _is_state(value: Any) -> bool:
    """Whether it maps names to tensors; `_metadata` and other plain values do no harm."""
    if not isinstance(value, dict) or not any(isinstance(entry, np.ndarray) for entry in value.values()):
        return False
    return all(isinstance(key, str) for key in value) and not any(isinstance(entry, dict) for entry in value.values())


def stripped(state: dict[str, Any], file: Place) -> Tensors:
    """Tensors alone, without what wrappers put before or into their names."""
    arrays = {name: array for name, array in state.items() if isinstance(array, np.ndarray)}
    bare = {name: WRAPPERS.sub(r"\1", name) for name in arrays}
    if len({*bare.values()}) < len(bare):
        raise refused(file, "", "found a tensor with and without the prefix of a wrapper; allowed: once")
    return {bare[name]: array for name, array in arrays.items()}
