"""What lenses need and what runs have, matched while planning: a lens says in its docstring `Needs: network, hooks.`"""

import ast
import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from agentomy.foreign_agents import from_scripts, opening
from agentomy.foreign_agents.architecture import Architecture
from agentomy.mistakes import ConfigError
from agentomy.pipeline.source.provenance import Source

FEWEST = 4  # checkpoints of a path
NEEDS = (
    "even checkpoints",  # four or more, equally far apart
    "network",  # that can be read as a Subject
    "stack",  # of networks that act side by side
    "observations",
    "labels",
    "seeded environment",
    "single frame",  # the network sees one observation at a time
    "hidden layers",
    "convolution",
    "hooks",  # layers are modules
    "gradients",  # in the observation
)
# agents of the pipeline whose networks are Subjects (lenses/behaviour/subject.py)
OWN = ("agents.td3.TD3", "agents.cloning.BehaviourCloning", "agents.double_dqn.DoubleDQN")
CONVOLUTIONS = ("agents.double_dqn.DoubleDQN",)  # of these, those that have feature maps
NEEDED = re.compile(r"\bNeeds: ([a-z, \n]+)\.")
LACKED = re.compile(r"\bLacks ([a-z ]+): ([^.]+)\.")  # of an adapter: a need, and why it is not met
NO_ENVIRONMENT = "no `environment:` is said"
# what runs learn from that is no game to play, and what to do about it
NO_GAMES = {
    "LEVELS": "runs if the entry says an `environment:` of environments.maze.games",
    "BANDITS": "runs if the entry says an `environment:` of environments.gym_bandits",
    "SEQUENCES": "it learns from sequences, in which nothing acts",
    "IMAGES": "it learns from pictures, in which nothing acts",
    "POINTS": "it learns from points, in which nothing acts",
    "SUBJECTS": "it learns from other networks, and does not act",
    "DEMONSTRATIONS": "runs if the entry says the `environment:` of the demonstrations",
}


def needs(source: Source, use: str) -> tuple[str, ...]:
    """What a function says that it needs, by its docstring; nothing if it says nothing."""
    match = NEEDED.search(_said(source, use, ast.FunctionDef))
    return _known(use, "needs", re.split(r",\s*", " ".join(match[1].split()))) if match else ()


def lacked(source: Source, adapter: str) -> dict[str, str]:
    """What an adapter says that its networks lack, by its docstring, each with the reason."""
    reasons = {need: " ".join(why.split()) for need, why in LACKED.findall(_said(source, adapter, ast.ClassDef))}
    _known(adapter, "lacks", reasons)
    return reasons


def _said(source: Source, use: str, sort: type) -> str:
    """The docstring of a function or class."""
    module, _, name = use.rpartition(".")
    *_, definition = source.module(f"agentomy.{module}").definitions[name]
    return (isinstance(definition, sort) and ast.get_docstring(definition)) or ""


def _known(use: str, verb: str, said: Iterable[str]) -> tuple[str, ...]:
    if unknown := set(said) - set(NEEDS):
        raise ValueError(f"{use}: {verb} {', '.join(sorted(unknown))}; allowed: {', '.join(NEEDS)}")
    return tuple(said)


def lacking(needed: Iterable[str], missing: Mapping[str, str]) -> str:
    """Why a lens cannot look at a run; empty if it can."""
    return next((missing[name] for name in needed if name in missing), "")


def of_learner(use: str, even: int, environment: str, adapter: dict[str, str] | None) -> dict[str, str]:
    """What a run that is trained here lacks, and why.

    even: how many equally distant snapshots it keeps. environment: the kind of the table that it learns from. adapter:
    what the adapter of its paper lacks; None if it has none.
    """
    missing = {}
    if adapter is not None:
        missing |= {**adapter, "stack": "its networks are read one by one"}
    elif use in OWN:
        missing |= {} if use in CONVOLUTIONS else {"convolution": "its network has no convolution"}
    else:
        why = f"nothing says how the network of {use} is read (`adapter:` of the run)"
        missing |= dict.fromkeys(("network", "stack", "hidden layers", "hooks", "gradients", "convolution"), why)
    if environment in NO_GAMES:
        missing |= dict.fromkeys(("seeded environment", "observations", "labels"), NO_GAMES[environment])
    if even < FEWEST:
        missing["even checkpoints"] = f"found {even} even ones, and a path has {FEWEST} or more"
    return missing


def of_imported(
    updates: list[int], path: Path, parameters: Mapping[str, Any], environment: str | None
) -> dict[str, str]:
    """What a run that was trained elsewhere lacks, and why; `path` is its first checkpoint."""
    missing = {}
    if len(updates) < FEWEST:
        missing["even checkpoints"] = f"found {len(updates)}, and a path has {FEWEST} or more"
    elif len({after - before for before, after in pairwise(updates)}) > 1:
        missing["even checkpoints"] = "checkpoints at unequal intervals"
    if environment is None:
        missing |= dict.fromkeys(("seeded environment", "observations", "labels"), NO_ENVIRONMENT)
    of = _architecture(path, parameters)
    return missing | of_network(of, parameters.get("frames") or 1)


def of_network(of: Architecture | None, frames: int) -> dict[str, str]:
    """What an imported network lacks, and why; of one that is not known yet only what is said of its frames."""
    missing = {}
    if frames > 1:
        missing["single frame"] = f"its network sees {frames} observations at once"
    if of is not None:
        if not (of.cnn or of.policy.features):
            missing["convolution"] = "its network has no convolution"
            if not (of.shared or of.policy.hidden):
                missing["hidden layers"] = "its network has no hidden layer"
        if of.observation.sizes:
            missing["gradients"] = "its observations are choices, in which there is no gradient"
    return missing


def _architecture(path: Path, parameters: Mapping[str, Any]) -> Architecture | None:
    """The network of a file that says it without its environment; None for others, which only jobs recognise."""
    network = parameters.get("network")
    if network and network.get("use") != "recognised":
        return None
    try:
        file = opening.opened(path, parameters.get("format", "auto"))
        return opening.recognised(file, stated=from_scripts.stated(network)).architecture
    except ConfigError:  # what is wrong with a file is said where it is looked at
        return None
