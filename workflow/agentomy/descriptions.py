"""What an artifact says about itself, beside its rows: declared types, one for each sort of artifact.

It is what readers use and nothing else: parameters as they were resolved, defaults of the signature included, the
network, the environment, the run and its seeds. What it was made by (code, libraries, names in a study) is no part of
it, so that an artifact whose content is the same has the same bytes.
"""

import json
from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class Description(BaseModel):
    """Base of all descriptions: closed, strict and unchanging; its JSON has its keys in order."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    def json_text(self) -> str:
        return json.dumps(self.model_dump(), sort_keys=True)

    def with_(self, other: Self) -> Self | None:
        """The description of the two pieces together, or None if they don't belong together."""
        return self if self == other else None


class Task(Description):
    """An environment: the stage function that made it, and its parameters, from which the task is made again."""

    use: str
    parameters: dict[str, Any]


class OfRun(Description):
    """Base of what describes a piece of a run: some of its seeds. Pieces that differ in these alone go together."""

    run: str
    seeds: list[int]

    def with_(self, other: Self) -> Self | None:
        both = {"seeds": sorted({*self.seeds, *other.seeds})}
        together = self.model_copy(update=both)
        return together if together == other.model_copy(update=both) else None


class Trained(OfRun):
    """A training run, of its parameters and its log: the agent, how to rebuild its network, and where it learned."""

    use: str
    parameters: dict[str, Any]
    network: dict[str, Any]  # {"use": "module.Class", **arguments}
    environment: Task | None  # of a run that learns from what was extracted of another: the other's


class Extracted(OfRun):
    """What was extracted of a run: with which parameters, and where the run had learned."""

    parameters: dict[str, Any]
    environment: Task | None
