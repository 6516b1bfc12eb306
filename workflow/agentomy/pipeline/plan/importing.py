"""`agentomy import PATTERN --env ID`: looks at checkpoints of another library, and writes a study of them.

Nothing of theirs is run: files are read as `foreign_agents` reads them. Only an environment is made, to compare spaces.
"""

import argparse
import math
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from agentomy.environments import gym
from agentomy.foreign_agents import from_scripts, opening, spaces
from agentomy.foreign_agents.architecture import ACTIVATIONS, HEADS, Architecture
from agentomy.foreign_agents.normalisers import read_normaliser
from agentomy.foreign_agents.recognised import Recognised
from agentomy.foreign_agents.returns import read_evaluations, read_monitor, read_monitors
from agentomy.foreign_agents.series import Checkpoint, checkpoints, same_network
from agentomy.mistakes import ConfigError
from agentomy.pipeline.plan import needs
from agentomy.pipeline.plan.imports import beside
from agentomy.pipeline.plan.study import STUDIES
from agentomy.pipeline.plan.study_file import NAME, NAMES

TEMPLATE = Path(__file__).with_name("imported.yaml")
# by the key of a run: the names that SB3's callbacks and rl-zoo give to files of returns, and what reads them
NOTED = {"evaluations": ["evaluations.npz"], "monitor": ["monitor.csv", "*.monitor.csv"]}
SOURCES = {
    "evaluated": "what EvalCallback noted",
    "monitored": "what Monitor noted during training",
    "stated": "the return that is stated",
}
READ = {"evaluations": lambda paths: [*map(read_evaluations, paths)], "monitor": read_monitors}


def main(given: list[str]) -> int:
    """Look at checkpoints, say what they are, and write a study of them."""
    says = "Write a study of agents that were trained elsewhere."
    parser = argparse.ArgumentParser("agentomy import", description=says)
    _options(parser)
    try:
        print(write(parser.parse_args(given), STUDIES))
    except ConfigError as error:
        print(f"agentomy: {error}", file=sys.stderr)
        return 1
    return 0


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="PATTERN", help="such as 'runs/rl_model_{update}_steps.zip'; may have {seed}")
    parser.add_argument("--env", required=True, metavar="ID", help="the environment's id in gymnasium")
    parser.add_argument("--name", help="of the study and of its run; by default that of the folder")
    parser.add_argument("--normalise", metavar="PATTERN", help="statistics of observations, if not beside the files")
    parser.add_argument("--frames", type=int, default=1, help="how many observations the network sees at once")
    parser.add_argument("--activation", choices=ACTIVATIONS, help="of a state dict: between its layers")
    parser.add_argument("--head", choices=HEADS, help="of a state dict: what its outputs are")
    parser.add_argument("--return", type=_finite, dest="stated", help="mean return that the last file is said to have")
    parser.add_argument("--scale", type=float, help="of a state dict: what pixels are divided by")


def write(given: argparse.Namespace, folder: Path) -> str:
    """Write the study file of these checkpoints into a folder; returns what was recognised, in lines."""
    here, study = Path.cwd(), given.name or _name(given.files)
    path = folder / f"{study}.yaml"
    if not NAME.fullmatch(study):
        raise ConfigError("--name", "", f"found '{study}'; allowed: {NAMES}")
    if path.exists():
        raise ConfigError(path, "", "is there already; allowed: another --name, or remove it")
    series = checkpoints(given.files, here)
    seed = [checkpoint for checkpoint in series if checkpoint.seed == series[0].seed]
    said = {key: value for key in ("activation", "head", "scale") if (value := getattr(given, key)) is not None}
    agent = _look(series, given, from_scripts.stated(said))
    normalise = given.normalise or _statistics(given.files, seed, here)
    if normalise:
        for file in dict.fromkeys(beside("normalise", normalise, here, seed).values()):
            read_normaliser(file)
    noted = _noted(seed, given.files, here)
    path.write_text(_study(study, given, said, series, agent, normalise, noted, folder), encoding="utf-8")
    lines = [
        _files(series),
        f"network: {described(agent.architecture)}",
        f"statistics of observations: {normalise or 'none found; an agent that learned on scaled ones needs them'}",
        f"returns noted elsewhere: {', '.join(noted.values()) or 'none found'}",
        *_warnings(noted, given.env, here, seed),
        f"wrote {path.relative_to(here) if path.is_relative_to(here) else path}",
        f"now: snakemake --cores all {study}",
    ]
    return "\n".join(lines)


def _look(series: list[Checkpoint], given: argparse.Namespace, stated: from_scripts.Stated) -> Recognised:
    """The network of all files, as the environment's spaces have it."""
    try:
        env = gym.environment(given.env)
        observation = spaces.stacked(spaces.from_gymnasium(env.observation_space), given.frames)
        action = spaces.from_gymnasium(env.action_space)
    except spaces.UnknownSpace as error:
        raise ConfigError("--env", given.env, f"found a {error} space; allowed: one array, or choices") from None
    except ValueError as error:
        raise ConfigError("--env", "", str(error)) from None
    env.close()
    firsts = []
    for _, of_seed in groupby(series, key=lambda checkpoint: checkpoint.seed):
        opened = (opening.opened(checkpoint.path) for checkpoint in of_seed)
        agents = same_network((file.path, opening.recognised(file, observation, action, stated)) for file in opened)
        firsts += list(agents)[:1]
    (_, agent), *_ = same_network((path, replace(agent, updates=None)) for path, agent in firsts)
    return agent


def _name(pattern: str) -> str:
    """The name of the folder with the files, in letters that a study's name may have."""
    fixed = [part for part in Path(pattern).parts[:-1] if "{" not in part]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", fixed[-1] if fixed else "mine").strip("-_") or "mine"


def _files(series: list[Checkpoint]) -> str:
    updates = sorted({checkpoint.update for checkpoint in series if checkpoint.update is not None})
    seeds = sorted({checkpoint.seed for checkpoint in series if checkpoint.seed is not None})
    numbers = f", numbers {updates[0]} to {updates[-1]}" if updates else ""
    return f"{len(series)} files{numbers}{f', seeds {seeds[0]} to {seeds[-1]} ({len(seeds)})' if seeds else ''}"


def described(of: Architecture) -> str:
    """A network in a line."""
    inputs = f"{of.observation.text()}{' through a NatureCNN' if of.cnn else ''}"
    widths = " → ".join(map(str, [*of.shared, *of.policy.hidden, of.policy.outputs]))
    value = f"; {of.critics or 1} value{'s' * (of.critics > 1)} of {of.value.hidden}" if of.value else ""
    return f"{of.family}, {inputs} → {widths} ({of.head}), {of.activation}{value}"


def _statistics(pattern: str, seed: list[Checkpoint], here: Path) -> str | None:
    """Where VecNormalize's statistics lie as its callbacks and rl-zoo leave them: one for each checkpoint, or one."""
    folder, _, name = pattern.rpartition("/")
    numbered = re.sub(r"(rl_model)_\{update\}", r"\1_vecnormalize_{update}", name).replace(".zip", ".pkl")
    for file in (numbered, "vecnormalize.pkl"):
        place = f"{folder}/{file}" if folder else file
        try:
            if place != pattern and beside("normalise", place, here, seed):
                return place
        except ConfigError:
            continue
    return None


def _noted(seed: list[Checkpoint], pattern: str, here: Path) -> dict[str, str]:
    """Key of the run → where returns are noted: SB3's `evaluations.npz` and monitor files beside the checkpoints."""
    folder, _, name = pattern.rpartition("/")
    noted = {}
    for key, files in NOTED.items():
        if key == "monitor" and "{seed}" in name:  # which of them are of which seed is not said
            continue
        for file in files:
            place = f"{folder}/{file}" if folder else file
            try:
                paths = list(beside(key, place, here, seed).values())
            except ConfigError:  # there is none
                continue
            READ[key](paths)
            noted[key] = place
            break
    return noted


def _warnings(noted: dict[str, str], id: str, here: Path, seed: list[Checkpoint]) -> list[str]:
    """What monitor files say of another environment than the given one."""
    if "monitor" not in noted:
        return []
    files = map(read_monitor, beside("monitor", noted["monitor"], here, seed).values())
    others = sorted({file.environment for file in files if file.environment and file.environment != id})
    return [f"but {noted['monitor']} is of {others[0][:60]!r}, and --env is '{id}'"] if others else []


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _study(
    name: str,
    given: argparse.Namespace,
    said: dict[str, str | float],
    series: list[Checkpoint],
    agent: Recognised,
    normalise: str | None,
    noted: dict[str, str],
    folder: Path,
) -> str:
    """The text of the study file, of those parts of the template that fit."""
    updates, seeds = ({getattr(checkpoint, what) for checkpoint in series} for what in ("update", "seed"))
    run = [f'files: "{_relative(given.files, folder)}"']
    run += (
        [f"network: {{use: recognised, {', '.join(f'{key}: {value}' for key, value in said.items())}}}"] if said else []
    )
    run += [f'normalise: "{_relative(normalise, folder)}"'] if normalise else []
    run += [f"frames: {given.frames}"] if given.frames > 1 else []
    run += [f'{key}: "{_relative(place, folder)}"' for key, place in noted.items()]
    source = _source(given, noted, agent.architecture)
    words = {
        "MINE": name,
        "WHAT": described(agent.architecture),
        "ENV": f'"{given.env}"',
        "RUN": "\n    ".join(run),
        "SOURCE": source,
        "MODE": "stochastic" if source == "monitored" else "deterministic",
        "NOTED-BY": SOURCES.get(source, ""),
        "STATED": f", stated: {{{name}: {given.stated}}}" if given.stated is not None else "",
        "UNIT": "seed" if len(seeds) > 1 else "deterministic",
        **{f"EACH-{column.upper()}": _each(column, len(seeds)) for column in ("normaliser", "quantity", "layer")},
    }
    missing = needs.of_network(agent.architecture, given.frames)
    hidden = "hidden layers" not in missing
    there = {
        "path": len(updates) >= needs.FEWEST,
        "parity": bool(source),
        "younger": source == "monitored",
        "evaluated": source in ("evaluated", "stated"),
        "saliency": "gradients" not in missing,
        "features": "convolution" not in missing,
        "units": hidden,
        # a convolution has thousands of units, of which probes and edits take hours: these are left to its owner
        "layers": hidden and "convolution" in missing,
    }
    text = "\n".join(_chosen(TEMPLATE.read_text(encoding="utf-8").splitlines(), there))
    for word, meaning in words.items():
        text = re.sub(rf"\b{word}\b(?!-)", lambda _, meaning=meaning: meaning, text)
    return f"{text}\n"


def _source(given: argparse.Namespace, noted: dict[str, str], of: Architecture) -> str:
    """By whose return an agent is judged; a Monitor's are of drawn actions, which not every agent has."""
    if given.stated is not None:
        return "stated"
    if "evaluations" in noted:
        return "evaluated"
    return "monitored" if "monitor" in noted and of.draws else ""


def _chosen(lines: list[str], there: dict[str, bool]) -> Iterator[str]:
    """The lines of a template between `#? WHAT` (or `#? no WHAT`) and the next of these, or `#.`, if that is there."""
    wanted = True
    for line in lines:
        if line.startswith("#? "):
            *no, what = line.removeprefix("#? ").split()
            wanted = there[what] != bool(no)
        elif line == "#.":
            wanted = True
        elif wanted:
            yield line


def _each(column: str, seeds: int) -> str:
    return f"[{column}, seed]" if seeds > 1 else f"[{column}]"


def _relative(pattern: str, folder: Path) -> str:
    """A pattern as it is written in a study file: from that file's folder on."""
    return pattern if pattern.startswith("/") else os.path.relpath(Path.cwd() / pattern, folder.resolve())
