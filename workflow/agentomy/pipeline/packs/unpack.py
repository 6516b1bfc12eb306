"""Puts the jobs of a pack where `snakemake` and the explorer look for them.

All files are first written into a folder beside, compared with the manifest and with their records. Only when all are
there and right are they renamed into place, job by job, and the record comes last. So a job is done or not, whenever
this is killed, and the same command goes on.
"""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from agentomy import kinds
from agentomy.mistakes import ConfigError, printable, unknown
from agentomy.pipeline.packs import forms
from agentomy.pipeline.packs.archive import LARGEST, Archive, opened
from agentomy.pipeline.packs.forms import Packed
from agentomy.pipeline.plan import decided
from agentomy.pipeline.plan.jobs import PYTHON
from agentomy.pipeline.plan.study import Plan
from agentomy.pipeline.run import stages
from agentomy.pipeline.uptodate import records
from agentomy.pipeline.uptodate.records import Made, Record
from agentomy.pipeline.uptodate.states import STALE, States, said
from agentomy.pipeline.uptodate.store import Store
from agentomy.progress import Progress
from agentomy.tables import Table, TableError, reading

ASIDE = ".unpacking"
SHOWN = 8  # jobs that do not fit, one a line
SPARE = 2**24  # bytes that a disk should have beside what is unpacked
FREE, SAME, OTHER = "free", "same", "other"


@dataclass
class Place:
    """One job of a pack, and what will be put into its place."""

    job: Packed
    planned: str  # its digest in the plan of this folder; empty if it is not in it
    staged: dict[str, Path] = field(default_factory=dict)

    def standing(self) -> str:
        """What is in its place: nothing that it would replace, the same, or something else."""
        packed, here = self.job.record, records.read(self.job.place)
        whole = here is not None and all(_is(file, output) for file, output in here.there.items())
        if whole and here.key == packed.key and here.outputs == packed.outputs:
            tables = [file for file in packed.outputs if file.endswith(".parquet")]
            return SAME if all(_size(here, file) >= _size(packed, file) for file in tables) else FREE
        if whole and _contents(here) == _contents(packed):  # made as another job
            return FREE if packed.digest == self.planned != here.digest else SAME
        for file in packed.outputs:
            if os.path.lexists(file) and not _is(file, packed.there.get(file)):
                return OTHER
        return FREE


def unpack(path: Path, planned: Callable[[str], Plan], replaces: bool) -> list[str]:
    """Unpack a pack into the results of this folder; returns what there is to say.

    `planned` makes the plan for a scale. What is there and is something else is refused, or, if it `replaces`, put into
    the store.
    """
    with opened(path) as archive:
        scale, study = archive.manifest.scale, archive.manifest.study
        plan = planned(scale)
        jobs = _jobs(archive, plan)
        folder = Path("results", scale)
        with stages.locked(folder / ".locks" / "unpack", Progress("unpack")):
            places = [Place(job, _digest(plan, job)) for job in jobs]
            standing = {place.job.key: place.standing() for place in places}
            others = [key for key, state in standing.items() if state == OTHER]
            if others and not replaces:
                problem = f"{len(others)} of its jobs are in {folder} otherwise: {said(others)}"
                raise ConfigError(path, study, f"{problem}; allowed: --replace, or a folder without them")
            wanted = [place for place in places if standing[place.job.key] != SAME]
            shutil.rmtree(folder / ASIDE, ignore_errors=True)  # of one that was killed
            try:
                _stage(archive, wanted, folder)
                kept = sum(_put(place, replaces, plan.config.versions) for place in wanted)
                plan, more = _with_decided_seeds(plan, archive, jobs)
            finally:
                shutil.rmtree(folder / ASIDE, ignore_errors=True)
    counts = [f"{len(wanted)} of {len(places)} jobs unpacked"]
    counts += [f"{len(places) - len(wanted)} were there"] if len(wanted) < len(places) else []
    counts += [f"{len(others)} replaced, of which {kept} are in the store"] if others else []
    lines = [f"{study}, scale {scale}: {', '.join(counts)}"]
    if more:
        lines.append(
            f"{_listed(more)}: planned with the seeds that `agentomy decide` had added ({decided.place(scale)})"
        )
    return [*lines, *_fitting(plan, archive, jobs)]


def _digest(plan: Plan, job: Packed) -> str:
    study, stage, name = job.key
    with suppress(ConfigError):
        return plan.studies[study].job(stage, name).digest()
    return ""


def _is(file: str, expected: Made | None) -> bool:
    """Whether a file is there and has the expected content."""
    try:
        return (
            expected is not None
            and os.stat(file).st_size == expected.size
            and records.fingerprint(file).content == expected.content
        )
    except (OSError, TableError):
        return False


def _size(record: Record, file: str) -> int:
    return record.there[file].size if file in record.there else -1


def _contents(record: Record) -> dict[str, str]:
    return {file: output.content for file, output in record.outputs.items()}


def _with_decided_seeds(plan: Plan, archive: Archive, jobs: list[Packed]) -> tuple[Plan, dict[str, int]]:
    """The plan with the seeds of the pack's runs that `agentomy decide` had added, and which runs have more by it.

    Without them what was measured over all seeds would be measured anew over fewer. Seeds that the pack does not hold
    would have to be trained; they are not taken over.
    """
    scale, packed = archive.manifest.scale, {job.key for job in jobs}
    wider = plan.with_seeds(archive.manifest.decided)
    more = {}
    for run, seeds in archive.manifest.decided.items():
        study, _, name = run.partition(".")
        known = study in wider.names and name in wider.studies[study].entries["training"]
        if known and seeds > plan.config.decided.get(run, 0):
            stacks = wider.studies[study].parts("training", name)
            if all((study, "training", stack) in packed for stack in stacks):
                more[run] = seeds
    if more:
        was = decided.read(scale)
        decided.write(scale, was.model_copy(update={"seeds": {**was.seeds, **more}}))
    return plan.with_seeds(more), more


# ---- what is in the archive ------------------------------------------------------------------------------------------


def _jobs(archive: Archive, plan: Plan) -> list[Packed]:
    """The jobs of a pack; refuses files that are of none, and jobs of which files are missing."""
    files = archive.manifest.files
    if archive.manifest.study not in plan.names:
        raise archive.wrong("", unknown("study", archive.manifest.study, plan.names))
    jobs = [forms.read(str(archive.path), file, archive.text(file)) for file in sorted(files) if forms.is_record(file)]
    known: set[str] = set()
    for job in jobs:
        (study, *_), scale = job.key, job.place.split("/")[1]
        if scale != archive.manifest.scale:
            raise archive.wrong(job.place, f"is of another scale than {archive.manifest.scale}")
        if study not in plan.names:
            raise archive.wrong(job.place, unknown("study", study, plan.names))
        for file, output in job.record.there.items():
            if file not in files:
                raise archive.wrong(file, "is missing, though its record says that it is there")
            if (files[file].size, files[file].content) != (output.size, output.content):
                raise archive.wrong(file, "is not the file that its record describes")
        known |= {job.place, job.benchmark, *job.record.there}
    for file in files:
        if file not in known:
            raise archive.wrong(file, "is no file of a study's results, or has no record")
    return jobs


def _stage(archive: Archive, places: Iterable[Place], folder: Path) -> None:
    """Write the files of jobs aside, whole and compared."""
    files = [[place, file] for place in places for file in [*place.job.record.there, place.job.benchmark]]
    files = [(place, file) for place, file in files if file in archive.manifest.files]
    needed = sum(archive.manifest.files[file].size for _, file in files) + SPARE
    free = shutil.disk_usage(folder).free
    if needed > free:
        problem = f"needs {needed / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free"
        raise ConfigError(archive.path, str(folder), f"{problem}; allowed: a disk with room for it")
    try:
        (folder / ASIDE).mkdir(parents=True)
    except OSError as error:
        raise TableError(f"{folder / ASIDE}: cannot be written ({error.strerror})") from None
    for number, (place, file) in enumerate(files):
        target = folder / ASIDE / f"{number}{Path(file).suffix}"
        archive.copy(file, target)
        place.staged[file] = target
        with suppress(TableError):  # as of an empty file
            if file == place.job.benchmark or records.fingerprint(target).footer == place.job.record.there[file].footer:
                continue
        raise archive.wrong(file, "is not the table that its record describes")
    for number, place in enumerate(places):
        record = place.job.record
        if place.job.key[1] == "claims":
            record = _write_texts(archive, place)
        place.staged[place.job.place] = folder / ASIDE / f"{number}.json"
        records.write(place.staged[place.job.place], record)


def _write_texts(archive: Archive, place: Place) -> Record:
    """Write the pages about claims from their table: pages that others wrote would be part of our report.

    Returns the record, which says so where they are not those of the pack.
    """
    from agentomy import claims

    table, *_ = forms.outputs_of(place.job.place)
    study, record = place.job.key[0], place.job.record
    try:
        with reading(place.staged[table]) as file:  # a small file may stand for a large table
            sizes = [file.metadata.row_group(number).total_byte_size for number in range(file.num_row_groups)]
        if sum(sizes) > LARGEST:
            raise archive.wrong(table, f"found {sum(sizes)} bytes of verdicts; allowed: {LARGEST}")
        verdicts = Table(kinds.common.CLAIMS, [place.staged[table]]).arrow()
        kinds.common.CLAIMS.check_values(verdicts, table)
        texts = {"md": claims.markdown(study, verdicts), "html": claims.html(study, verdicts)}
    except KeyError:
        raise archive.wrong(table, "is missing") from None
    except (TableError, ValueError) as error:
        raise archive.wrong(table, f"cannot be read ({printable(str(error))})") from None
    texts_of = [column.name for column in kinds.common.CLAIMS.columns if column.type == "text"]
    strings = [string for name in texts_of for string in verdicts[name].unique().to_pylist()]
    if not all(string.isprintable() for string in strings):
        raise archive.wrong(table, "found text with control characters")
    for suffix, text in texts.items():
        file = table.removesuffix("parquet") + suffix
        if file not in place.staged:
            continue
        place.staged[file].write_bytes(text.encode())
        written = records.fingerprint(place.staged[file])
        if written != record.there[file]:
            record = replace(record, instead={**record.instead, file: written})
    return record


# ---- into place ------------------------------------------------------------------------------------------------------


def _put(place: Place, replaces: bool, versions: int) -> bool:
    """Put a job into its place; returns whether the outputs that it replaced are in the store now."""
    job, kept = place.job, False
    _, stage, name = job.key
    try:
        with stages.exclusive({"stage": stage, "name": name, "outputs": [*job.record.outputs]}, Progress("unpack")):
            standing = place.standing()  # a run may have made it meanwhile
            if standing == SAME:
                return False
            if standing == OTHER:
                if not replaces:
                    raise ConfigError(job.place, "", "was made meanwhile, otherwise; allowed: --replace")
                before = records.read(job.place)
                kept = before is not None and Store(job.place, versions).put(before)
            # a kill leaves a record of which files are missing, or no record of files that are those of the pack
            for file in job.record.outputs:
                if not _is(file, job.record.there.get(file)):
                    Path(file).unlink(missing_ok=True)
            Path(job.place).unlink(missing_ok=True)
            benchmark = [] if Path(job.benchmark).exists() else [job.benchmark]
            for file in [*job.record.outputs, *benchmark, job.place]:
                if file in place.staged:
                    Path(file).parent.mkdir(parents=True, exist_ok=True)
                    os.replace(place.staged[file], file)
    except OSError as error:
        problem = f"cannot be put into place ({error.strerror}); what is in place is whole, the same command goes on"
        raise TableError(f"{error.filename2 or error.filename}: {problem}") from None
    return kept


# ---- what is said ----------------------------------------------------------------------------------------------------


def _fitting(plan: Plan, archive: Archive, jobs: list[Packed]) -> list[str]:
    """Whether anything is left to do for the study, and why."""
    manifest, study = archive.manifest, archive.manifest.study
    states = States(lambda key: plan.studies[key[0]].job(*key[1:]))
    states.ask(plan.studies[study].keys)
    known = states.known()
    given = f" --config scale={manifest.scale}"
    strangers = [job.key for job in jobs if job.key not in known]
    stale = [(key, state) for key, state in known.items() if state.is_ == STALE]
    if not stale and not strangers:
        return [f"all of it fits: `snakemake --cores all {study}{given}` has nothing to do"]
    lines = []
    if stale:
        todo = sum(not state.fits for state in known.values())
        lines.append(f"{len(stale)} of {len(known)} planned jobs do not fit, {todo - len(stale)} are behind them:")
        lines += [f"  {stage} {name} ({printable(state.why)})" for (_, stage, name), state in stale[:SHOWN]]
        lines += [f"  and {len(stale) - SHOWN} more"] if len(stale) > SHOWN else []
        lines.append(f"snakemake would make them anew; to see all: snakemake -n {study}{given}")
    if strangers:
        lines.append(f"{len(strangers)} jobs are not in the plan of this folder: {said(strangers)}")
    pythons = Counter(job.record.digest.partition("-")[0] for job in jobs)
    if set(pythons) - {PYTHON}:
        lines.append(f"made with Python {', '.join(sorted(pythons))}; this is {PYTHON}")
    for name in ("seeds", "overrides"):
        theirs, ours = getattr(manifest, name), getattr(plan.config, name)
        if theirs != ours:
            lines.append(printable(f"packed with {name}: {theirs}; here they are {ours}"))
    packed = {job.key for job in jobs}
    trained = {f"{study}.{name.partition('.')[0]}" for study, stage, name in packed if stage == "training"}
    fewer = [run for run in sorted(trained) if plan.config.decided.get(run, 0) < manifest.decided.get(run, 0)]
    if fewer:
        lines.append(printable(f"{_listed(fewer)}: packed without seeds that `agentomy decide` had added"))
    return lines


def _listed(runs: Collection[str]) -> str:
    """A few runs by name."""
    shown = ", ".join(sorted(runs)[:2])
    return f"{shown} and {len(runs) - 2} more" if len(runs) > 2 else shown
