"""Checkpoints of one training run, from a pattern: `runs/ppo/rl_model_{update}_steps.zip`, `{seed}` for several runs.

Numbers in names are ordered as numbers. What can't be a series is refused: a number twice, a missing one, seeds that
were saved at different times, two different networks.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from agentomy.foreign_agents.files import refused
from agentomy.foreign_agents.recognised import Recognised
from agentomy.mistakes import unknown

NAMES = ("update", "seed")
DIGITS = 15
MOST = 100_000  # files that match


@dataclass(frozen=True, order=True)
class Checkpoint:
    """A file of a series; update and seed are the numbers in its name, None where the pattern has none."""

    seed: int | None
    update: int | None
    path: Path


def checkpoints(pattern: str, root: Path) -> list[Checkpoint]:
    """The files of a pattern, relative to `root`: real paths, ordered by seed and update."""
    matches = _matches(pattern, root)
    by_place: dict[tuple, list[Path]] = {}
    for seed, update, path in matches:
        by_place.setdefault((seed, update), []).append(path)
    for (_, update), paths in by_place.items():
        if len(paths) > 1:
            both = " and ".join(sorted(path.name for path in paths)[:2])
            raise refused(pattern, "", f"found number {update} twice ({both}); allowed: once")
    ordered = sorted(by_place, key=lambda place: tuple(-1 if number is None else number for number in place))
    series = [Checkpoint(seed, update, by_place[seed, update][0].resolve()) for seed, update in ordered]
    _refuse_gaps(pattern, series)
    return series


def several(pattern: str, root: Path, seed: int | None) -> list[Path]:
    """All files of a pattern in which * stands for any part of a name: sorted real paths, of one seed if it has {seed}.

    One such file may belong to many checkpoints, so that a pattern has no {update}.
    """
    if "{update}" in pattern:
        raise refused(pattern, "", "found {update}; allowed: *, {seed}")
    matches = _matches(pattern, root)
    paths = sorted(
        {path.resolve() for seed_of_file, _, path in matches if "{seed}" not in pattern or seed_of_file == seed}
    )
    if not paths:
        raise refused(pattern, "", f"found no file of seed {seed}; allowed: one or more of each")
    return paths


def _matches(pattern: str, root: Path) -> list[tuple[int | None, int | None, Path]]:
    """(seed, update, path) of every file of a pattern, relative to `root`."""
    names = re.findall(r"\{(.*?)\}", pattern)
    for name in names:
        if name not in NAMES:
            raise refused(pattern, "", unknown("name in braces", name, NAMES))
        if names.count(name) > 1:
            raise refused(pattern, "", f"found {{{name}}} twice; allowed: once")
    if re.sub(r"\{\w+\}", "", pattern).count("{") or re.sub(r"\{\w+\}", "", pattern).count("}"):
        raise refused(pattern, "", "found a brace that is not closed or opened; allowed: {update}, {seed}")
    start = Path("/") if pattern.startswith("/") else root
    matches = []
    for path, numbers in _matching(start, [part for part in pattern.split("/") if part], {}):
        matches.append((numbers.get("seed"), numbers.get("update"), path))
        if len(matches) > MOST:
            raise refused(pattern, "", f"found more than {MOST} files; allowed: at most that")
    if not matches:
        raise refused(pattern, "", f"found no file{_beside(start, pattern)}; allowed: one or more")
    return matches


def _matching(folder: Path, parts: Sequence[str], numbers: Mapping[str, int]) -> Iterator[tuple[Path, dict[str, int]]]:
    """Files below a folder whose parts match, each with the numbers in its braces; * matches no hidden name."""
    part, *rest = parts
    if not {"{", "*"} & {*part}:
        candidates = [(folder / part, {})]
    else:
        shape = re.sub(r"\\\{(\w+)\\\}", rf"(?P<\1>\\d{{1,{DIGITS}}})", re.escape(part))
        shape = ("" if part.startswith(".") else r"(?!\.)") + shape.replace(r"\*", ".*")
        try:
            inside = sorted(os.listdir(folder))
        except OSError:  # no folder, or not ours to read: nothing matches
            return
        hits = [(name, re.fullmatch(shape, name, re.ASCII)) for name in inside]
        candidates = [(folder / name, {k: int(v) for k, v in hit.groupdict().items()}) for name, hit in hits if hit]
    for path, more in candidates:
        if rest and path.is_dir():
            yield from _matching(path, rest, {**numbers, **more})
        elif not rest and path.is_file():
            yield path, {**numbers, **more}


def _beside(start: Path, pattern: str) -> str:
    """The files in the folder that was searched, as a help in the error."""
    fixed = re.split(r"[{*]", pattern)[0].rpartition("/")[0]
    folder = start / fixed.lstrip("/")
    if not folder.is_dir():
        return f" (there is no folder {folder})"
    names = sorted(os.listdir(folder))
    return f" (in {folder} lie: {', '.join(names[:4])}{', …' if len(names) > 4 else ''})" if names else ""


def _refuse_gaps(pattern: str, series: Sequence[Checkpoint]) -> None:
    """Refuse a series that lacks a number, and seeds that have different numbers."""
    updates: dict[int | None, list[int]] = {}
    for checkpoint in series:
        if checkpoint.update is not None:
            updates.setdefault(checkpoint.seed, []).append(checkpoint.update)
    first = next(iter(updates), None)
    for seed, numbers in updates.items():
        apart = sorted({*numbers} ^ {*updates[first]})
        if apart:
            has, lacks = (first, seed) if apart[0] in updates[first] else (seed, first)
            raise refused(pattern, "", f"seed {lacks} has no {apart[0]}, and seed {has} has; allowed: the same numbers")
    for missing in _missing(updates.get(first, [])):
        raise refused(pattern, "", f"number {missing} is missing in an otherwise even series; allowed: all of them")


def _missing(updates: Sequence[int]) -> Iterator[int]:
    """Numbers that are lacking where most steps are equal and the others are multiples of them."""
    steps = [after - before for before, after in pairwise(updates)]
    if not steps:
        return
    usual, times = Counter(steps).most_common(1)[0]
    # a last checkpoint at the very end of training may lie off the grid
    if times * 2 > len(steps):
        yield from (b + usual for b, a in pairwise(updates) if a - b > usual and (a - b) % usual == 0)


def same_network(agents: Iterable[tuple[Path, Recognised]]) -> Iterator[tuple[Path, Recognised]]:
    """Yield the agents one by one; refuse a second network, and a file that was saved before an earlier number."""
    first: tuple[Path, Recognised] | None = None
    before: tuple[Path, int] | None = None
    for path, agent in agents:
        first = first or (path, agent)
        mine, theirs = ({name: tensor.shape for name, tensor in one.tensors.items()} for one in (agent, first[1]))
        apart = [name for name in {**theirs, **mine} if mine.get(name) != theirs.get(name)]
        if apart or agent.architecture != first[1].architecture:
            what = f"{apart[0]} of {_shape(mine.get(apart[0]))}" if apart else "another architecture"
            here = f", where {first[0].name} has {_shape(theirs.get(apart[0]))}" if apart else f" than {first[0].name}"
            raise refused(path, "", f"found {what}{here}; allowed: one network in a series")
        if agent.updates is not None:
            if before is not None and agent.updates < before[1]:
                problem = f"found step {agent.updates} after step {before[1]} of {before[0].name}"
                raise refused(path, "", f"{problem}; allowed: names in the order of training")
            before = (path, agent.updates)
        yield path, agent


def _shape(shape: Sequence[int] | None) -> str:
    return "nothing" if shape is None else f"{list(shape)}"
