"""What one job is, whole."""

import hashlib
import json
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

# The engine counts by these numbers and not by its code, so that an error text in it remakes nothing. If you
# change what a stage's runner makes of what its functions return (columns, metadata, order of rows, bytes of a figure),
# raise the stage's number; tests/foundation/test_format.py fails if you forget.
FORMAT = {"environments": 1, "training": 1, "checkpoints": 1, "metrics": 1, "figures": 2, "claims": 2}

RULES = {  # Snakemake's, by stage
    "environments": "environment",
    "training": "training",
    "checkpoints": "checkpoint",
    "metrics": "metric",
    "figures": "figure",
    "claims": "verdicts",
}
NAMED = ("environments", "training")  # artifacts of these stages say which function made them (descriptions.py)


@dataclass(frozen=True)
class Job:
    """One job, whole: it can be run from this alone."""

    stage: str
    study: str
    name: str
    use: str
    parameters: dict[str, Any]
    inputs: dict[str, list[str]]  # parameter → paths
    outputs: list[str]
    options: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    code: str = ""

    @property
    def files(self) -> list[str]:
        return list(dict.fromkeys(path for paths in self.inputs.values() for path in paths))

    @property
    def record(self) -> str:
        """The file that says how this job was done; an output like others, written last."""
        return record_of(self.outputs[0])

    @property
    def needed(self) -> list[str]:
        """All files that this job reads: its inputs and their records."""
        return [*self.files, *dict.fromkeys(map(record_of, self.files))]

    @property
    def named(self) -> str:
        """The function or class by its place in the room of its stage, as artifacts name it."""
        return self.use.partition(".")[2]

    def text(self) -> str:
        return json.dumps(vars(self), sort_keys=True, ensure_ascii=False)

    def digest(self) -> str:
        """A hash of everything that makes the outputs what they are, marked with the minor version of Python.

        Where a function stands is left out, as its code is in `code`; what artifacts say of it (`NAMED`) is not.
        """
        counts = vars(self) | {"use": self.named}
        if self.stage not in NAMED:
            del counts["use"]
        text = json.dumps(counts, sort_keys=True, ensure_ascii=False)
        return f"{PYTHON}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def edited_since(self, digest: str) -> bool:
        """Whether this is not the job that had this digest, as far as this Python can tell."""
        return digest.startswith(f"{PYTHON}-") and digest != self.digest()


def record_of(file: str) -> str:
    """Where the record of the job that makes a file is: results/SCALE/STUDY/.made/STAGE/NAME.json."""
    scale, study, stage, name = maker(file)
    return f"results/{scale}/{study}/.made/{stage}/{name}.json"


@cache
def maker(file: str) -> tuple[str, str, str, str]:
    """(scale, study, stage, name) of the job that makes a file."""
    _, scale, study, stage, *rest = Path(file).parts
    if not rest:  # claims.parquet, claims.md, claims.html
        return scale, study, "claims", "claims"
    name = "/".join(rest).rpartition(".")[0]
    if stage == "training":
        name = name.removesuffix(".parameters").removesuffix(".log")
    return scale, study, stage, name
