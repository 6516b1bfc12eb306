"""What may be in a pack, by form: the files of jobs, their records, and how long they took.

A pack comes from anywhere. So every name in it, and everything in a record that the pipeline would follow or print, has
to be what a job of this pipeline could have written; nothing else is placed.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from pydantic import TypeAdapter, ValidationError

from agentomy.mistakes import ConfigError, shown
from agentomy.pipeline.plan.config import SCALES
from agentomy.pipeline.plan.jobs import Job, maker, record_of
from agentomy.pipeline.plan.study_file import NAME
from agentomy.pipeline.uptodate import records
from agentomy.pipeline.uptodate.records import Made, Record

SEEDS = r"\.seeds[0-9]{1,6}-[0-9]{1,6}"
RUN = rf"({NAME.pattern}\.)?{NAME.pattern}"  # perhaps of another study
JOBS = {
    "environments": NAME.pattern,
    "training": rf"{NAME.pattern}{SEEDS}",
    "checkpoints": rf"{NAME.pattern}/{RUN}({SEEDS})?",
    "metrics": NAME.pattern,
    "figures": NAME.pattern,
    "claims": "claims",
}
PLACE = re.compile(
    rf"results/({'|'.join(SCALES)})/({NAME.pattern})/\.made/"
    rf"(?:{'|'.join(f'{stage}/{name}' for stage, name in JOBS.items())})\.json"
)
CONTENT = re.compile(r"[0-9a-f]{64}")
DIGEST = re.compile(r"[0-9]+\.[0-9]+-[0-9a-f]{16}")
DEEPEST = 40  # mappings and lists of a record in each other
JOB, RECORD = TypeAdapter(Job), TypeAdapter(Record)


@dataclass(frozen=True)
class Packed:
    """One job of a pack."""

    place: str  # of its record
    record: Record

    @property
    def key(self) -> tuple[str, str, str]:
        return maker_of(self.place)

    @property
    def benchmark(self) -> str:
        return benchmark_of(self.place)


def is_record(file: str) -> bool:
    return PLACE.fullmatch(file) is not None


def maker_of(place: str) -> tuple[str, str, str]:
    """(study, stage, name) of the job whose record is at a place."""
    _, _, study, _, stage, *rest = place.split("/")
    return study, stage, "/".join(rest).removesuffix(".json")


def benchmark_of(place: str) -> str:
    """The file that says how long the job took whose record is at a place."""
    study, stage, name = maker_of(place)
    scale = place.split("/")[1]
    return f"results/{scale}/{study}/benchmarks/{'' if stage == 'claims' else f'{stage}/'}{name}.tsv"


def outputs_of(place: str) -> list[str]:
    """The files that the job makes whose record is at a place."""
    study, stage, name = maker_of(place)
    folder = f"results/{place.split('/')[1]}/{study}"
    if stage == "claims":
        return [f"{folder}/claims.{suffix}" for suffix in ("parquet", "md", "html")]
    suffixes = {"training": ("parameters.parquet", "log.parquet"), "figures": ("png", "pdf")}
    return [f"{folder}/{stage}/{name}.{suffix}" for suffix in suffixes.get(stage, ("parquet",))]


def read(archive: str, place: str, content: bytes) -> Packed:
    """The job of a record in a pack; refuses what no job could have written."""
    wrong = _wrong(place, content)
    if isinstance(wrong, str):
        raise ConfigError(archive, place, wrong)
    return Packed(place, wrong)


def _wrong(place: str, content: bytes) -> Record | str:
    """The record that a text stands for, or what is wrong with it."""
    record = records.parse(content)
    if record is None:
        return "cannot be read as a record; allowed: records of this version"
    said = {name: getattr(record, name) for name in ("job", "digest", "inputs", "outputs", "processor", "adopted")}
    if problem := next(_strange(said | {"instead": record.instead}), None):
        return problem
    try:
        RECORD.validate_json(records.text(record), strict=True)
        job = JOB.validate_json(json.dumps(record.job), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        return (
            f"{'.'.join(map(str, first['loc'])) or 'job'}: found {shown(first['input'])}; allowed: what a job has there"
        )
    if {*record.job} != {field.name for field in fields(Job)}:
        return "found other keys than those of a job"
    if (job.study, job.stage, job.name) != maker_of(place):
        return "it is the record of another job"
    if sorted(job.outputs) != sorted(outputs_of(place)) or {*job.outputs} != {*record.outputs}:
        return "found other outputs than those of its job"
    if not {*record.instead} <= {*record.outputs}:
        return "found files in the place of outputs that it has not"
    if not all(_is_artifact(file, place.split("/")[1]) for file in [*record.inputs, *job.files]):
        return "found an input that is no artifact of a study"
    hashes = [output.content for output in (*record.outputs.values(), *record.there.values())]
    hashes += record.inputs.values()
    if not all(isinstance(text, str) and CONTENT.fullmatch(text) for text in hashes):
        return "found a hash that is none"
    if not all(DIGEST.fullmatch(digest) for digest in (record.digest, record.adopted or record.digest)):
        return "found a digest that is none"
    return record


def _is_artifact(file: str, scale: str) -> bool:
    if not isinstance(file, str) or not file.startswith(f"results/{scale}/") or ".." in file.split("/"):
        return False
    try:
        maker(file)
        place = record_of(file)
    except (ValueError, IndexError):
        return False
    return is_record(place) and file in outputs_of(place)


def _strange(value: Any, depth: int = 0) -> Iterator[str]:
    """What is wrong with the texts and the depth of a value."""
    if depth > DEEPEST:
        yield f"found values more than {DEEPEST} deep in each other"
    elif isinstance(value, dict):
        yield from _strange([*value, *value.values()], depth + 1)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _strange(inner, depth + 1)
    elif isinstance(value, Made):
        yield from _strange([value.content, value.footer], depth + 1)
    elif isinstance(value, str) and not value.isprintable():
        yield f"found {shown(value)}; allowed: text without control characters"
