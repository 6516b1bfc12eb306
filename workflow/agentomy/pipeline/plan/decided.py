"""The seeds that `agentomy decide` has added to a scale: a small file in its results, which every plan reads.

A run has the seeds that the user overrides, else `seeds` of config.yaml, else these, else those of its study file.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from agentomy.mistakes import validated
from agentomy.pipeline.plan.config import SCALES, Seeds
from agentomy.tables import replacing
from agentomy.values import Closed, Line
from agentomy.yaml_files import read_yaml

HEAD = """\
# Written by `agentomy decide`. `seeds`: how many seeds runs have, where that is more than in their study file.
# `failed`: jobs that failed with more seeds; claims that need them are closed. Delete a line to have it tried again.
# `before`: the seeds before the round that is under way.
"""


class Decided(Closed):
    """The file; runs are named STUDY.RUN, jobs STUDY STAGE NAME."""

    seeds: dict[Line, Seeds] = Field({}, description="run → its seeds")
    before: dict[Line, Seeds] | None = Field(None, description="the same before the round that is under way")
    failed: dict[Line, Line] = Field({}, description="job that failed → why")


def place(scale: str) -> Path:
    return Path("results", scale, "decided.yaml")


def read(scale: str) -> Decided:
    """What was decided at a scale; nothing if there is no file."""
    path = place(scale)
    return validated(Decided, read_yaml(path), path, "") if path.exists() else Decided()


def write(scale: str, decided: Decided) -> None:
    """Replace the file in one step; the same content gives the same bytes."""
    content = yaml.safe_dump(decided.model_dump(exclude_defaults=True), sort_keys=True, width=1000)
    with replacing(place(scale)) as handle:
        handle.write((HEAD + content).encode())


def ignored(scale: str, runs: Iterable[str]) -> str:
    """The line about runs of the file that no study has."""
    return f"{place(scale)}: ignored, as no study has these runs: {', '.join(runs)}"


def added(given: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration, with the seeds that were decided at its scale."""
    scale = given.get("scale")
    seeds = read(scale).seeds if scale in SCALES else {}
    return {**given, "decided": seeds}
