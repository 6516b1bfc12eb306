"""What one job is, whole."""

import hashlib
import json
import sys
from dataclasses import dataclass, field
from typing import Any

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


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

    def text(self) -> str:
        return json.dumps(vars(self), sort_keys=True, ensure_ascii=False)

    def digest(self) -> str:
        """A hash of everything, marked with the Python that read the code: versions see it with different eyes."""
        return f"{PYTHON}-{hashlib.sha256(self.text().encode()).hexdigest()[:16]}"

    def edited_since(self, digest: str) -> bool:
        """Whether this is not the job that had this digest, as far as this Python can tell."""
        return digest.startswith(f"{PYTHON}-") and digest != self.digest()
