"""One run of Snakemake: which jobs it has to do and why, in a few lines, and its progress.

Snakemake is told by means of timestamps: the inputs of a job that fits are `ancient`, and a stale job gets an input
that is newer than anything, the stamp of this run. Each run has its own stamp, so that several runs in one folder don't
disturb each other.
"""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from agentomy.mistakes import ConfigError
from agentomy.pipeline.plan.jobs import RULES, Job, maker
from agentomy.pipeline.plan.study import Plan
from agentomy.pipeline.plan.study_file import STAGES
from agentomy.pipeline.uptodate.states import FITS, NOT_YET, STALE, Key, State, States, said
from agentomy.pipeline.uptodate.store import Store
from agentomy.progress import duration

FOLDER = Path(".snakemake/agentomy")
SHOWN = 40  # jobs that a dry run names, one a line


@dataclass(frozen=True)
class Forced:
    """What the user forces: everything, or rules and files by name (--forceall, --forcerun, --force)."""

    everything: bool = False
    names: frozenset[str] = frozenset()

    def __call__(self, job: Job) -> bool:
        return self.everything or not self.names.isdisjoint([RULES[job.stage], *job.outputs, job.record])

    def save(self, folder: Path) -> None:
        (folder / "forced").write_text(json.dumps([self.everything, sorted(self.names)]), encoding="utf-8")

    @classmethod
    def saved(cls, folder: str) -> "Forced":
        """What was forced in the run of this folder; nothing outside of one."""
        try:
            everything, names = json.loads(Path(folder, "forced").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return cls()
        return cls(everything, frozenset(names))


class Session:
    """The jobs of a plan that one Snakemake has to do."""

    def __init__(self, plan: Plan):
        self.plan, self.folder = plan, FOLDER / str(os.getpid())
        self.states: States | None = None
        self.targets: list[Key] = []
        self._adopted: dict[Key, frozenset[Key]] = {}

    def begin(self, targets: Collection[str], forced: Forced) -> None:
        """Find out what there is to do for the targets: names of rules and files."""
        if self.states is not None:
            return
        self.states = States(lambda key: self.plan.studies[key[0]].job(*key[1:]), forced)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.stamp.write_text(str(time.time_ns()), encoding="utf-8")
        forced.save(self.folder)
        _forget_dead(FOLDER)
        for target in targets or ["all"]:
            self.targets += self._keys(target)
        self.states.ask(dict.fromkeys(self.targets), [file for file in targets if self._keys_of_file(file)])
        for key, _ in self.todo:
            _bring_to_the_present(self.plan.studies[key[0]].job(*key[1:]).outputs)

    @property
    def stamp(self) -> Path:
        return self.folder / "stamp"

    def _keys(self, target: str) -> list[Key]:
        """The jobs behind a target."""
        if target in ("all", "explorer_copy"):
            return [key for study in self.plan.config.studies for key in self._keys(study)]
        if target in self.plan.names:
            return [*self.plan.studies[target].keys]
        return self._keys_of_file(target)

    def _keys_of_file(self, target: str) -> list[Key]:
        if target.startswith("results/"):
            with suppress(ConfigError, KeyError, ValueError):
                scale, study, stage, name = maker(target)
                self.plan.studies[study].job(stage, name)
                return [(study, stage, name)] if scale == self.plan.config.scale else []
        return []

    @cached_property
    def absent(self) -> frozenset[str]:
        """Files that came with no pack, and that nothing reads now: Snakemake is told nothing of them."""
        jobs = [self.plan.studies[key[0]].job(*key[1:]) for key, state in self.states.known().items() if state.fits]
        records = [record for job in jobs if (record := self.states.record(job.record)) is not None]
        return frozenset(file for record in records for file in record.instead if file not in record.there)

    @cached_property
    def todo(self) -> list[tuple[Key, State]]:
        """The jobs that do not fit, each after those that it needs."""
        return [(key, state) for key, state in self.states.known().items() if state.is_ != FITS]

    def inputs(self, job: Job, key: Key, ancient: Callable[[str], str]) -> list[str]:
        """The inputs of a job, as Snakemake is told."""
        state = self.states[key]
        if state.fits:
            return [ancient(file) for file in job.needed if file not in self.absent]
        return [*job.needed, str(self.stamp)] if state.is_ == STALE else job.needed

    @cached_property
    def priorities(self) -> dict[Key, int]:
        """Priorities by which studies are finished one after the other; jobs that nobody requested have none.

        A job is as urgent as the first chosen study that needs it; within a study, environments and then training come
        first, as training takes longest and short jobs fit in well behind it.
        """
        priorities: dict[Key, int] = {}
        known = self.states.known()
        for number, study in enumerate(self.plan.chosen):
            waiting = [key for key in study.keys if key in known]
            while waiting:
                key = waiting.pop()
                if key not in priorities:
                    urgency = {"environments": 2, "training": 1}.get(key[1], 0)
                    priorities[key] = 3 * (len(self.plan.chosen) - number) + urgency
                    waiting += self.states.needs(self.plan.studies[key[0]].job(*key[1:]))
        return priorities

    def adopted(self, key: Key) -> frozenset[Key]:
        """Those jobs, among this one and all that it depends on, whose outputs were adopted and not remade."""
        if key not in self._adopted:
            job = self.plan.studies[key[0]].job(*key[1:])
            above = [self.adopted(needed) for needed in self.states.needs(job)]
            record = self.states.record(job.record)
            itself = [key] if record is not None and record.adopted else []
            self._adopted[key] = frozenset(itself).union(*above)
        return self._adopted[key]

    # ---- what a person reads -----------------------------------------------------------------------------------------

    def plan_text(self) -> str:
        """The text of a dry run: each job that would be done, and what differs."""
        if not self.todo:
            return "agentomy: nothing to be done"
        # what differs comes before what is behind it; of what was never made, the number says enough
        made_before = [job for job in self.todo if job[1].why != NOT_YET]
        first = sorted(made_before, key=lambda job: job[1].is_ != STALE)
        lines = [f"  {study}: {stage} {name} ({state.why})" for (study, stage, name), state in first[:SHOWN]]
        more = [f"  and {len(first) - SHOWN} more"] if len(first) > SHOWN else []
        new = len(self.todo) - len(made_before)
        never_made = [f"  {new} that were not made yet"] if new else []
        return "\n".join([f"agentomy: {self._counts()}", *self._lacking(), *lines, *more, *never_made])

    def header(self) -> str:
        """The line that a run prints when it begins."""
        left = self._time_left()
        counts = f"agentomy: {self._counts()}{f'; about {left} of one core by earlier runs' if left else ''}"
        return "\n".join([counts, *self._lacking()])

    def _lacking(self) -> list[str]:
        """One line, if what did not come with a pack is read again."""
        if not self.states.lacking:
            return []
        jobs = said(sorted(self.states.lacking))
        return [f"agentomy: the pack came without outputs of {jobs} that are read now; these run again"]

    @cached_property
    def made_studies(self) -> list[str]:
        """The studies of which everything was requested and something had to be done."""
        touched = {study for (study, *_), _ in self.todo}
        whole = {study for study, stage, _ in self.targets if stage == "claims"}
        return [name for name in self.plan.names if name in touched & whole]

    def adopted_text(self, key: Key) -> str:
        """What the report says beside a figure or verdict; empty where nothing was adopted."""
        names = [f"{study}: {stage} {name}" for study, stage, name in sorted(self.adopted(key))]
        return f"Adopted without being made again: {', '.join(names)}." if names else ""

    def conclusion(self) -> str:
        """The lines that a run prints at its end: where the results are."""
        scale, studies = self.plan.config.scale, self.made_studies
        of = studies[0] if len(studies) == 1 else "{" + ",".join(studies) + "}"
        option = f" --config scale={scale}" if scale != "laptop" else ""
        return "\n".join(
            [
                f"agentomy: figures are in results/{scale}/{of}/figures, claims in results/{scale}/{of}/claims.md",
                f"agentomy: all of it in one page: snakemake{option} --report results/report.html",
                f"agentomy: to look inside: agentomy explore --scale {scale}",
            ]
        )

    def _counts(self) -> str:
        stale = sum(state.is_ == STALE for _, state in self.todo)
        by_stage = Counter(key[1] for key, _ in self.todo)
        stages = ", ".join(f"{by_stage[stage]} {stage}" for stage in (*STAGES, "claims") if by_stage[stage])
        perhaps = len(self.todo) - stale
        jobs = f"{len(self.todo)} job{'s' * (len(self.todo) != 1)}"
        return f"{jobs} ({stages}){f', {perhaps} of them perhaps' if perhaps and stale else ''}"

    def _time_left(self) -> str:
        """The time that the jobs took in earlier runs, if most of them have run here before."""
        durations = [seconds_of(self.plan.studies[key[0]].benchmark(*key[1:])) for key, _ in self.todo]
        known = [seconds for seconds in durations if seconds is not None]
        return duration(sum(known) * len(durations) / len(known)) if 2 * len(known) > len(durations) else ""

    def start(self, versions: int) -> None:
        """Before the first job, store what Snakemake will delete: a job may find that nothing has changed."""
        (self.folder / "total").write_text(str(len(self.todo)), encoding="utf-8")
        for (study, stage, name), _ in self.todo:
            job = self.plan.studies[study].job(stage, name)
            record = self.states.record(job.record)
            if record is not None and all(Path(path).exists() for path in job.outputs):
                Store(job.record, versions).put(record)


def count_done(folder: str) -> str:
    """Count one more job of a run, in its folder; returns a text such as " (3 of 12)"."""
    with suppress(OSError, ValueError):
        total = int(Path(folder, "total").read_text(encoding="utf-8"))
        with open(Path(folder, "done"), "ab") as file:
            file.write(b".")
            return f" ({file.tell()} of {total})"
    return ""


def seconds_of(benchmark: str) -> float | None:
    """The wall time in a benchmark file, in seconds."""
    try:
        return float(Path(benchmark).read_text(encoding="utf-8").splitlines()[1].split("\t")[0])
    except (OSError, ValueError, IndexError):
        return None


def _bring_to_the_present(files: Collection[str]) -> None:
    """Correct dates in the future: such a file would be newer than the stamp of this run."""
    now = time.time()
    for file in files:
        with suppress(OSError):
            if os.stat(file).st_mtime > now:
                os.utime(file)


def _forget_dead(folder: Path) -> None:
    """Remove the folders of runs that have ended."""
    for run in folder.iterdir():
        if run.name.isdecimal() and not Path("/proc", run.name).exists() and sys.platform == "linux":
            for file in run.iterdir():
                file.unlink(missing_ok=True)
            with suppress(OSError):
                run.rmdir()
