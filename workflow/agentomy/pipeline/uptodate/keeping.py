"""Does a job so that its outputs fit their record, or takes both from the store.

The store is asked under the job's digest and the contents of its inputs. What differs from them when the function has
ended (an input was replaced, the code was edited) is found by comparing again: then the job fails, and nothing is kept.
"""

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from agentomy.mistakes import ConfigError
from agentomy.pipeline.plan.jobs import Job
from agentomy.pipeline.plan.study import Plan
from agentomy.pipeline.uptodate import edits, records
from agentomy.pipeline.uptodate.records import Record
from agentomy.pipeline.uptodate.session import Forced
from agentomy.pipeline.uptodate.store import Store
from agentomy.progress import Progress

Runner = Callable[[dict, Progress], Callable[[], None] | None]


def do(job: Job, digest: str, run: Runner, progress: Progress) -> str:
    """Put a job's outputs and its record in place; returns how: "done", "kept" or "made meanwhile".

    `digest` is that of the plan, which another Python may have read. `run` may return what is to be done at the end.
    """
    code = edits.sources()
    config = json.loads(os.environ["AGENTOMY_CONFIG"])
    forced = Forced.saved(os.environ.get("AGENTOMY_RUN", ""))(job)
    _bring_to_the_present(job)
    inputs = records.content_of(job.files)
    key, store = records.key(digest, inputs), Store(job.record, config.get("versions", 2))
    if not forced:
        if _is_made(job, key):  # by another process, while this one waited for it
            return "made meanwhile"
        if kept := store.take(key):
            records.write(job.record, kept)
            return "kept (nothing that it is made from has changed)"
    _clear_parts(job)
    finish = run({**asdict(job), "key": key}, progress)  # a restart file belongs to this key
    _compare_again(job, digest, inputs, code, config)
    outputs = {path: records.fingerprint(path) for path in job.outputs}
    record = Record(records.as_recorded(job), digest, inputs, outputs, records.processor())
    records.write(job.record, record)
    if finish:
        finish()
    store.put(record)
    return "done"


def _is_made(job: Job, key: str) -> bool:
    record = records.read(job.record)
    recorded = record is not None and record.key == key and not record.instead
    return recorded and all(Path(path).exists() for path in job.outputs)


def _compare_again(job: Job, digest: str, inputs: dict[str, str], code: dict, config: dict) -> None:
    """Refuse to keep outputs if their inputs or their code were replaced while they were made."""
    if records.content_of(job.files) != inputs:
        raise ConfigError(job.study, job.name, "an input was replaced while this was made; run snakemake again")
    outside = any(job.options.get(option) for option in ("foreign", "files", "modules"))  # hashed by the plan
    if edits.sources() != code or outside:
        again = Plan(config, lazy=True).studies[job.study].job(job.stage, job.name)
        if again.digest() != job.digest():
            raise ConfigError(job.study, job.name, "study, code or foreign data edited meanwhile; run snakemake again")


def _bring_to_the_present(job: Job) -> None:
    """Correct dates in the future: Snakemake would delete an output that is older than its input."""
    now = time.time()
    for path in job.needed:
        with suppress(OSError):
            if os.stat(path).st_mtime > now:
                os.utime(path)


def _clear_parts(job: Job) -> None:
    """Remove half-written files of a job that was killed."""
    for path in map(Path, job.outputs):
        for part in path.parent.glob(f".{path.name}.*.part"):
            part.unlink(missing_ok=True)
