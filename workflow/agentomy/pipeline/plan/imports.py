"""Runs that were trained elsewhere: their files are found, hashed and looked at while planning.

A parameter of the type `values.Series` is a pattern of files. The first one of an agent's signature says which
checkpoints a run has, by seed and by number; files of the others belong to those of the same seed and number, or (`*`
in the pattern of `monitor`) to all of a seed.
"""

import hashlib
import json
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from agentomy.foreign_agents import from_scripts, opening
from agentomy.foreign_agents.normalisers import read_normaliser
from agentomy.foreign_agents.returns import read_evaluations, read_monitor
from agentomy.foreign_agents.series import Checkpoint, checkpoints, same_network, several
from agentomy.mistakes import ConfigError
from agentomy.pipeline.source import foreign
from agentomy.pipeline.source.remembered import Remembered

# how what lies beside checkpoints is read
BESIDE = {"normalise": read_normaliser, "evaluations": read_evaluations, "monitor": read_monitor}
WHOLE = ("monitor",)  # what is of a whole run, in one file or several, and not of single checkpoints
NEEDED = ("normalise",)  # what every checkpoint has, if one has it
Files = dict[str, dict[str, str]]  # by the number in their names ("" without one): {"path": …, "sha256": …}


def by_seed(pattern: str, root: Path) -> dict[int, list[Checkpoint]]:
    """The checkpoints of a pattern, by the seed in their names; one without seeds is of seed 0."""
    seeds: dict[int, list[Checkpoint]] = {}
    for checkpoint in checkpoints(pattern, root):
        seeds.setdefault(checkpoint.seed or 0, []).append(checkpoint)
    return seeds


def beside(parameter: str, pattern: str, root: Path, of: list[Checkpoint]) -> dict[int | None, Path]:
    """The files of a second pattern: that of each checkpoint by its number, or those of a whole run, counted."""
    if parameter in WHOLE:
        return dict(enumerate(several(pattern, root, of[0].seed)))
    there = {(checkpoint.seed, checkpoint.update): checkpoint.path for checkpoint in checkpoints(pattern, root)}
    with_seed, with_update = ("{seed}" in pattern, "{update}" in pattern)
    chosen = {}
    for checkpoint in of:
        place = (checkpoint.seed if with_seed else None, checkpoint.update if with_update else None)
        if place in there:
            chosen[checkpoint.update] = there[place]
        elif parameter in NEEDED:
            raise ConfigError(pattern, "", f"found none for {checkpoint.path.name}; allowed: one for each checkpoint")
    return chosen


def described(paths: Mapping[Any, Path]) -> Files:
    """Files with their hashes, as a job has them."""
    try:
        hashes = foreign.hashes(paths.values())
    except OSError as error:
        raise ConfigError(error.filename or "", "", error.strerror or str(error)) from None
    return {
        "" if update is None else str(update): {"path": str(path), "sha256": content}
        for (update, path), content in zip(paths.items(), hashes, strict=True)
    }


def look(parameter: str, files: Files, parameters: Mapping[str, Any], modules: Container[str]) -> None:
    """Open each file as its job will, so that a broken one is refused before any job starts.

    Files that were fine are remembered by their content. Networks of zips are recognised; others need the environment's
    spaces, which only the job has.
    """
    sort, network = parameters.get("format", "auto"), parameters.get("network")
    module, _, name = str((network or {}).get("use", "recognised")).rpartition(".")
    of_user = bool(module) and module in modules
    if network is not None and not of_user and name != "recognised":
        problem = f"found '{network.get('use')}'; allowed: recognised, or a class of a module that `modules:` names"
        raise ConfigError("network", "use", problem)
    stated = from_scripts.stated(None if of_user else network)
    known = Remembered("agentomy-opened.json")
    text = json.dumps([parameter, sort, network, [file["sha256"] for file in files.values()]], sort_keys=True)
    key = hashlib.sha256(text.encode()).hexdigest()
    if key in known.answers:
        return
    paths = [Path(file["path"]) for file in files.values()]
    for path in paths if parameter in BESIDE else ():
        BESIDE[parameter](path)
    opened = (opening.opened(path, sort) for path in paths if parameter not in BESIDE)
    said = (file for file in opened if file.said is not None and not of_user)
    for _ in same_network((file.path, opening.recognised(file, stated=stated)) for file in said):
        pass
    known.answers[key], known.new = "fine", True
    known.keep()


def verified(files: Mapping[str, Mapping[str, str]]) -> dict[int | None, str]:
    """The paths of a job's files by the numbers in their names; refuses one that is no longer what was planned."""
    for file in files.values():
        try:
            same = foreign.hashed(Path(file["path"])) == file["sha256"]
        except OSError as error:
            raise ConfigError(file["path"], "", f"cannot be read ({error.strerror})") from None
        if not same:
            raise ConfigError(file["path"], "", "was replaced since this run began; run snakemake again")
    return {int(number) if number else None: file["path"] for number, file in files.items()}
