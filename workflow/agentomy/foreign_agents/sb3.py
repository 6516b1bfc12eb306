"""Zips of Stable-Baselines3: tensors, and what their `data` says in plain text.

Beside each value that JSON cannot hold, SB3 writes its first-level attributes as text and the whole of it as a pickle
under ":serialized:". The text is enough; the pickle is dropped before anybody sees it.
Source: stable_baselines3/common/save_util.py, data_to_json.
"""

import json
import re
from typing import Any

from agentomy.foreign_agents.files import Archive, refused
from agentomy.foreign_agents.spaces import Space, from_text
from agentomy.foreign_agents.tensors import Tensors, is_torch, read_torch

LARGEST = 2**28  # bytes of `data`: an agent that kept its last observations may have many
EXPORT = "`model.save('agent.zip')` of Stable-Baselines3 1.0 or later"
LARGEST_NUMBER = 10**15


def is_sb3(archive: Archive) -> bool:
    return "data" in archive.names


class Said:
    """What `data` says of an agent, as plain values and text."""

    def __init__(self, data: dict[str, Any]):
        self.data = data
        self.kwargs: dict[str, Any] = data.get("policy_kwargs") if isinstance(data.get("policy_kwargs"), dict) else {}

    @property
    def module(self) -> str:
        """Where the class of the policy is defined."""
        said = self.data.get("policy_class")
        return str(said.get("__module__", "")) if isinstance(said, dict) else ""

    @property
    def policy(self) -> str:
        """The name of the policy's class: from the text of its constructor, which all of the libraries' have."""
        said = self.data.get("policy_class")
        text = str(said.get("__init__", "")) if isinstance(said, dict) else ""
        match = re.match(r"<function (\w+)\.__init__", text)
        return match[1] if match else ""

    def space(self, name: str) -> Space | None:
        return from_text(self.data.get(name))

    def option(self, name: str, default: Any) -> Any:
        """A plain option of the policy, of the type of its default; text such as "True" is what it says."""
        value = self.kwargs.get(name, default)
        if isinstance(value, str) and not isinstance(default, str):
            value = {"True": True, "False": False}.get(value, value)
        if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
            value = float(value) if abs(value) < LARGEST_NUMBER else default
        return value if isinstance(value, type(default)) else default

    def class_named(self, name: str) -> tuple[str, str] | None:
        """Module and name of a class among the policy's options ("<class 'torch.nn.modules.activation.ReLU'>")."""
        if self.kwargs.get(name) is None:
            return None
        text = str(self.kwargs[name])
        match = re.fullmatch(r"<class '([\w.]+)\.(\w+)'>", text)
        return (match[1], match[2]) if match else ("", text)


def read_sb3(archive: Archive) -> tuple[Tensors, Said]:
    """The policy's tensors by their names, and what is said of them."""
    file = archive.file
    said = Said(_data(archive))
    if "policy.pth" not in archive.names:
        old = " (as Stable-Baselines 2 and SBX write)" if {"parameters", "parameter_list"} & {*archive.names} else ""
        raise refused(file, "", f"no member 'policy.pth'{old}; allowed: {EXPORT}")
    inner = Archive(archive.read("policy.pth"), f"{file}: policy.pth")
    if not is_torch(inner):
        raise refused(inner.file, "", "found no tensors of torch")
    value = read_torch(inner)
    if not isinstance(value, dict) or not value or any(not hasattr(tensor, "dtype") for tensor in value.values()):
        raise refused(inner.file, "", "found no state dict; allowed: tensors by their names")
    return value, said


def _data(archive: Archive) -> dict[str, Any]:
    try:
        data = json.loads(archive.read("data", LARGEST))
    except (ValueError, RecursionError) as error:
        raise refused(archive.file, "data", f"found no JSON ({type(error).__name__})") from None
    if not isinstance(data, dict):
        raise refused(archive.file, "data", f"found a {type(data).__name__}; allowed: a mapping")
    return {name: _plain(value) for name, value in data.items()}


def _plain(value: Any) -> Any:
    """A value without its pickle."""
    if isinstance(value, dict):
        return {name: entry for name, entry in value.items() if name != ":serialized:"}
    return value
