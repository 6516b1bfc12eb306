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
        found = Opened(path, "safetensors", [tensors.stripped(tensors.read_safetensors(path), path)])
    else:
        found = _archived(path)
    if sort not in ("auto", found.sort):
        raise refused(path, "format", f"found {found.sort}; allowed: {sort}, as the study file says")
    return found


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
    found = [each.name for each in path.glob("*") if each.name in ("rllib_checkpoint.json", "algorithm_state.pkl")]
    return f" (RLlib's checkpoint: write {RLLIB} instead)" if found else ""


def _normaliser(path: Path, beside: dict[str, Any]) -> Normaliser | None:
    """Statistics that lie beside the weights are applied, or refused: never dropped."""
    names = [name for name in beside if isinstance(name, str) and name in tensors.STATISTICS]
    if not names:
        return None
    found = beside[names[0]]
    if not isinstance(found, dict):
        raise refused(path, names[0], "found statistics that are no mean and var; allowed: {mean: …, var: …}")
    mean, var = (found.get(key) for key in ("mean", "var"))
    return checked(path, mean, var, _number(found.get("count")), found.get("epsilon"), found.get("clip"))


def _number(found: Any) -> Any:
    return found.item() if isinstance(found, np.ndarray) and found.size == 1 else found


def recognised(
    found: Opened, observation: Space | None = None, action: Space | None = None, stated: Stated | None = None
) -> Recognised:
    """The network of an opened file; spaces are the environment's, `stated` is for files without `data`."""
    if found.said is not None:
        if stated is not None and stated != Stated():
            keys = ", ".join(stated.model_fields_set)
            raise refused(found.path, keys, "stated for an SB3 zip, which says it itself; allowed: nothing stated")
        return from_sb3.recognised(found.states[0], found.said, found.path, observation, action)
    return from_scripts.recognised(found.states, stated or Stated(), found.path, observation, action)
