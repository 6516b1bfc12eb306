"""One way in: a file of any sort that is known → its tensors, and with the environment's spaces its network."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from agentomy.foreign_agents import from_sb3, from_scripts, sb3, tensors
from agentomy.foreign_agents.files import Archive, contents, refused
from agentomy.foreign_agents.from_scripts import Stated
from agentomy.foreign_agents.normalisers import Normaliser, checked
from agentomy.foreign_agents.recognised import Recognised
from agentomy.foreign_agents.spaces import Space
from agentomy.mistakes import unknown

Sort = Literal["sb3", "state_dict", "safetensors"]
SORTS = ("auto", "sb3", "state_dict", "safetensors")
ZIP = b"PK\x03\x04"
EXPORTS = "`model.save('agent.zip')` (Stable-Baselines3) or " + tensors.EXPORT
RLLIB = "`torch.save(algorithm.get_module().state_dict(), 'agent.pt')`"


@dataclass(frozen=True)
class Opened:
    """A file's tensors by the names that they have in it: one state dict, or several (an actor, then its critics).

    said: what an SB3 zip says of the agent. normaliser: statistics of observations that lie in the same file.
    """

    path: Path
    sort: Sort
    states: list[tensors.Tensors]
    said: sb3.Said | None = None
    normaliser: Normaliser | None = None
    beside: dict[str, Any] = field(default_factory=dict)


def opened(path: Path, sort: str = "auto") -> Opened:
    """Read a file; `sort` says what it must be."""
    if sort not in SORTS:
        raise refused(path, "format", unknown("format", sort, SORTS))
    if path.is_dir():
        raise refused(path, "", f"found a folder{_rllib(path)}; allowed: a file, such as {EXPORTS}")
    if path.suffix == ".safetensors":
        file = Opened(path, "safetensors", [tensors.stripped(tensors.read_safetensors(path), path)])
    else:
        file = _archived(path)
    if sort not in ("auto", file.sort):
        raise refused(path, "format", f"found {file.sort}; allowed: {sort}, as the study file says")
    return file


def _archived(path: Path) -> Opened:
    start = contents(path)
    if path.suffix == ".pt2":
        raise refused(
            path,
            "",
            f"found an exported program (.pt2), which torch opens by running pickles; allowed: {tensors.EXPORT}",
        )
    if not start.startswith(ZIP):
        raise refused(path, "", _no_zip(path, start))
    archive = Archive(start, path)
    if sb3.is_sb3(archive):
        state, said = sb3.read_sb3(archive)
        return Opened(path, "sb3", [state], said)
    if not tensors.is_torch(archive):
        some = ", ".join(sorted(archive.names)[:4])
        raise refused(path, "", f"found a zip of {some or 'nothing'}; allowed: {EXPORTS}")
    states, beside = tensors.state_dicts(tensors.read_torch(archive), path)
    return Opened(path, "state_dict", states, None, _normaliser(path, beside), beside)


def _no_zip(path: Path, start: bytes) -> str:
    """Why a file that is no zip is not opened, and what to write instead."""
    if (
        path.name in ("algorithm_state.pkl", "policy_state.pkl", "rllib_checkpoint.json")
        or b"ray.rllib" in start[:4096]
    ):
        return f"found RLlib's pickle, which runs code when it is opened; allowed: {RLLIB}"
    if start[:1] == b"\x80":
        return (
            f"found a pickle (of a whole module, or of an old torch), which runs code when opened; allowed: {EXPORTS}"
        )
    if not start:
        return "found an empty file"
    return f"found no zip (it begins with {start[:4]!r}); allowed: {EXPORTS}, or safetensors"


def _rllib(path: Path) -> str:
    markers = [entry.name for entry in path.glob("*") if entry.name in ("rllib_checkpoint.json", "algorithm_state.pkl")]
    return f" (RLlib's checkpoint: write {RLLIB} instead)" if markers else ""


def _normaliser(path: Path, beside: dict[str, Any]) -> Normaliser | None:
    """The normaliser beside the weights: its statistics are applied or refused, but never dropped."""
    names = [name for name in beside if isinstance(name, str) and name in tensors.STATISTICS]
    if not names:
        return None
    statistics = beside[names[0]]
    if not isinstance(statistics, dict):
        raise refused(path, names[0], "found statistics that are no mean and var; allowed: {mean: …, var: …}")
    mean, var = (statistics.get(key) for key in ("mean", "var"))
    return checked(path, mean, var, _number(statistics.get("count")), statistics.get("epsilon"), statistics.get("clip"))


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, np.ndarray) and value.size == 1 else value


def recognised(
    file: Opened, observation: Space | None = None, action: Space | None = None, stated: Stated | None = None
) -> Recognised:
    """The network of an opened file; spaces are the environment's, `stated` is for files without `data`."""
    if file.said is not None:
        if stated is not None and stated != Stated():
            keys = ", ".join(stated.model_fields_set)
            raise refused(file.path, keys, "stated for an SB3 zip, which says it itself; allowed: nothing stated")
        return from_sb3.recognised(file.states[0], file.said, file.path, observation, action)
    return from_scripts.recognised(file.states, stated or Stated(), file.path, observation, action)
