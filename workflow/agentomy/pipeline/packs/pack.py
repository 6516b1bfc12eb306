"""Writes a pack: the results of a study and what it takes in of others, as far as they are up to date.

Networks can be thinned to a few snapshots or left out, and what was extracted of them can be left out too. A record
then says, beside what was made, what stands in its place; so figures and claims fit as before.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from agentomy import kinds, tables
from agentomy.mistakes import ConfigError
from agentomy.pipeline.packs import forms
from agentomy.pipeline.packs.archive import Writer, opened
from agentomy.pipeline.plan.jobs import Job
from agentomy.pipeline.plan.study import Plan
from agentomy.pipeline.uptodate import records
from agentomy.pipeline.uptodate.records import Record
from agentomy.pipeline.uptodate.states import States, said
from agentomy.tables import Table

ALL, LAST, NONE = WORDS = ("all", "last", "none")
RELEASE = 2 * 2**30  # bytes that a file of a GitHub release may have
PARAMETERS = ".parameters.parquet"


@dataclass(frozen=True)
class Choice:
    """What goes into a pack of networks and of what was extracted of them."""

    parameters: str = ALL  # all, last, none, or a number of snapshots of each seed
    extractions: str = ALL  # all or none

    @property
    def snapshots(self) -> int | None:
        """How many of each seed; None: all."""
        return {ALL: None, LAST: 1, NONE: 0}[self.parameters] if self.parameters in WORDS else int(self.parameters)


@dataclass
class Told:
    """What was packed, for a person."""

    jobs: int = 0
    sizes: Counter = field(default_factory=Counter)
    thinned: int = 0
    left_out: int = 0
    studies: set[str] = field(default_factory=set)


def pack(plan: Plan, study: str, out: Path, choice: Choice) -> list[str]:
    """Write the pack of a study; returns what there is to say about it."""
    _refuse_other_file(out)
    states = States(lambda key: plan.studies[key[0]].job(*key[1:]))
    states.ask(plan.studies[study].keys)
    waiting = {key: state for key, state in states.known().items() if not state.fits}
    if waiting:
        (key, state), *_ = waiting.items()
        scale = plan.config.scale
        problem = (
            f"{len(waiting)} of {len(states.known())} jobs are not up to date, such as {said([key])} ({state.why})"
        )
        raise ConfigError("pack", study, f"{problem}; first: snakemake --cores all {study} --config scale={scale}")
    told = Told()
    with tables.replacing(out) as handle:
        writer = Writer(handle)
        with writer.zip, TemporaryDirectory(prefix=".pack-", dir=out.parent) as folder:
            for key in sorted(states.known()):
                job = plan.studies[key[0]].job(*key[1:])
                _add(writer, job, states.record(job.record), choice, Path(folder), told)
            given, decided = plan.config.overrides, plan.config.decided
            writer.finish(
                scale=plan.config.scale,
                study=study,
                seeds=plan.config.seeds,
                overrides={name: value for name, value in given.items() if name.partition(".")[0] in told.studies},
                decided={run: seeds for run, seeds in decided.items() if run.partition(".")[0] in told.studies},
                parameters=choice.parameters,
                extractions=choice.extractions,
            )
    return _summary(out, study, told)


def _refuse_other_file(out: Path) -> None:
    """An earlier pack is written anew; anything else in its place is not."""
    if out.exists():
        try:
            with opened(out):
                return
        except ConfigError:
            raise ConfigError("pack", str(out), "is there, and is no pack; allowed: another name (-o)") from None


def _add(writer: Writer, job: Job, record: Record, choice: Choice, folder: Path, told: Told) -> None:
    """Put one job in."""
    instead = dict(record.instead)
    for file in sorted(record.there):
        kept = _kept(job, file, choice, folder)
        if kept is None:
            instead[file] = None
            told.left_out += 1
            continue
        packed = writer.add(file, kept)
        if kept != Path(file):
            instead[file] = records.fingerprint(kept)
            told.thinned += 1
            kept.unlink()
        elif (packed.size, packed.content) != (record.there[file].size, record.there[file].content):
            raise ConfigError("pack", file, "is not what was made; allowed: what its record says (agentomy verify)")
        told.sizes[job.stage] += packed.size
    place = forms.benchmark_of(job.record)
    if Path(place).exists():
        writer.add(place, Path(place))
    writer.add_text(job.record, records.text(replace(record, instead=instead)))
    told.jobs += 1
    told.studies.add(job.study)


def _kept(job: Job, file: str, choice: Choice, folder: Path) -> Path | None:
    """The file that goes into the pack for an output: itself, a thinned one, or none."""
    if job.stage == "checkpoints" and choice.extractions == NONE:
        return None
    if not file.endswith(PARAMETERS) or choice.snapshots is None:
        return Path(file)
    if choice.snapshots == 0:
        return None
    table = Table(kinds.common.PARAMETERS, [file])
    wanted = thinned(table.arrow(["seed", "update"]), choice.snapshots)
    if len(wanted) == len(table):
        return Path(file)
    target = folder / Path(file).name
    tables.write(target, kinds.common.PARAMETERS, _rows(table, wanted), table.description)
    return target


def thinned(rows: pa.Table, count: int) -> set[tuple[int, int]]:
    """(seed, update) of so many snapshots of each seed: the first, the last and evenly between; of one, the last."""
    chosen = set()
    seeds, updates = (rows[name].to_numpy() for name in ("seed", "update"))
    for seed in np.unique(seeds):
        of_seed = np.unique(updates[seeds == seed])
        places = np.linspace(len(of_seed) - 1, 0, min(count, len(of_seed))).round().astype(int)
        chosen |= {(int(seed), int(of_seed[place])) for place in places}
    return chosen


def _rows(table: Table, wanted: set[tuple[int, int]]) -> Iterator[pa.Table]:
    for rows in table.where(update=sorted({update for _, update in wanted})).groups():
        pairs = zip(rows["seed"].to_pylist(), rows["update"].to_pylist(), strict=True)
        mask = pa.array([pair in wanted for pair in pairs])
        if pc.any(mask).as_py():
            yield rows.filter(mask)


def _summary(out: Path, study: str, told: Told) -> list[str]:
    size = out.stat().st_size
    parts = {"networks and their logs": told.sizes["training"], "extractions": told.sizes["checkpoints"]}
    shares = ", ".join(f"{_mb(share)} of it {what}" for what, share in parts.items() if share)
    with out.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    lines = [f"{out}: {_mb(size)}, {told.jobs} jobs{f'; {shares}' if shares else ''}"]
    if others := sorted(told.studies - {study}):
        lines.append(f"with what it takes in of {', '.join(others)}")
    if told.thinned or told.left_out:
        lines.append(f"{told.thinned} files of networks are thinned, {told.left_out} files are left out")
    if size > RELEASE:
        lines.append("a file of a GitHub release may have 2 GiB; smaller: --parameters last, or --extractions none")
    return [*lines, f"sha256 {digest}"]


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
