"""Decides from records alone what is up to date; modification times and Snakemake's memory don't matter.

A job is *stale* if it has to be done: it was forced, an output or its record is missing, it was done as another job,
an input is no longer what it was made from, or it did not come whole with a pack and has to be read by a job that does
not fit. It is *behind* if something above it is stale: only then will it be
known whether it has to be done. Else it *fits*.
"""

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path

from agentomy.pipeline.plan.jobs import Job, maker, record_of
from agentomy.pipeline.uptodate import records
from agentomy.pipeline.uptodate.records import Record

FITS, BEHIND, STALE = "fits", "behind", "stale"
NOT_YET = "not made yet"
Key = tuple[str, str, str]  # study, stage, name


@dataclass(frozen=True)
class State:
    """Whether a job has to be done, and why, in words for the user."""

    is_: str
    why: str = ""

    @property
    def fits(self) -> bool:
        return self.is_ == FITS


class States:
    """The states of the jobs of a plan, each worked out when it is first requested."""

    def __init__(self, find: Callable[[Key], Job], forced: Callable[[Job], bool] = lambda job: False):
        self.find, self.forced = find, forced
        self._states: dict[Key, State] = {}
        self._records: dict[str, Record | None] = {}
        self.lacking: set[Key] = set()  # jobs that fit, but for what is not there of their outputs and is read again

    def ask(self, keys: Collection[Key], files: Collection[str] = ()) -> None:
        """Find the states of jobs and of all above them, if these jobs, or these files of theirs, are wanted."""
        reads = [*files]
        while True:
            self.lacking.update(maker(file)[1:] for file in reads if self.partial(file))
            self._states.clear()
            for key in keys:
                self[key]
            reads = [file for key, state in self._states.items() if not state.fits for file in self.find(key).files]
            if all(maker(file)[1:] in self.lacking for file in reads if self.partial(file)):
                return

    def partial(self, file: str) -> bool:
        """Whether a file did not come whole with a pack."""
        record = self.record(record_of(file))
        return record is not None and file in record.instead

    def __getitem__(self, key: Key) -> State:
        if key not in self._states:
            self._states[key] = self._state(self.find(key))
        return self._states[key]

    def known(self) -> dict[Key, State]:
        """The states that were requested so far, each after those of the jobs that it needs."""
        return dict(self._states)

    def record(self, path: str) -> Record | None:
        if path not in self._records:
            self._records[path] = records.read(path)
        return self._records[path]

    def needs(self, job: Job) -> Collection[Key]:
        """The jobs that make a job's inputs."""
        return dict.fromkeys(maker(file)[1:] for file in job.files)

    def _state(self, job: Job) -> State:
        above = [(key, self[key]) for key in self.needs(job)]
        if why := self._stale(job):
            return State(STALE, why)
        waits = [key for key, state in above if not state.fits]
        return State(BEHIND, f"perhaps: behind {said(waits)}") if waits else State(FITS)

    def _stale(self, job: Job) -> str:
        """Why a job has to be done regardless of the jobs that it depends on; empty if it doesn't have to be."""
        if self.forced(job):
            return "forced"
        record = self.record(job.record)
        wanted = job.outputs if record is None else [path for path in job.outputs if record.instead.get(path, path)]
        missing = [path for path in wanted if not Path(path).exists()]
        if missing:
            return f"{Path(missing[0]).name} is missing" if record or len(missing) < len(job.outputs) else NOT_YET
        if record is None:
            return "no record of how it was made"
        if record.digest != job.digest():
            return str(records.difference(record.job, asdict(job))) or "its plan"
        for path in wanted:
            if path not in record.there or Path(path).stat().st_size != record.there[path].size:
                return f"{Path(path).name} is not the file that was made"
        if (job.study, job.stage, job.name) in self.lacking:
            return f"{', '.join(Path(path).name for path in record.instead)} did not come whole with the pack"
        for file, content in record.inputs.items():
            source = self.record(record_of(file))
            if source is not None and (file not in source.outputs or source.outputs[file].content != content):
                return f"content of {'/'.join(Path(file).parts[3:])}"
        return ""


def said(keys: Collection[Key]) -> str:
    """A few jobs by name."""
    names = [f"{stage} {name}" for _, stage, name in keys]
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
