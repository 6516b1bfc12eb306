"""What a study file may say: its paper, the entries of each stage, and the claims, each with a meaning for every key.

An entry's other keys are the parameters of the function that it names (`use`); `signatures` says which those are.
"""

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from agentomy.pipeline.plan.config import Closed, Scale, Seeds
from agentomy.pipeline.plan.resources import Resources
from agentomy.values import Count, Line, Natural


def _dotted(use: Any) -> str:
    """A place inside the package: the plan reads its source, so nothing else on the disk may be named."""
    parts = use.split(".") if isinstance(use, str) else []
    if len(parts) < 2 or not all(part.isidentifier() and part.isascii() for part in parts):
        raise ValueError("ROOM.MODULE.FUNCTION, names inside the package joined by dots")
    return use


def _names(value: Any) -> list[str]:
    if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
        raise ValueError("a list of names")
    if len(set(value)) < len(value):
        raise ValueError("each name once")
    return value


def _inputs(value: Any) -> list[str] | dict[str, list[str]]:
    if not isinstance(value, dict):
        return _names(value)
    if not value or not all(isinstance(key, str) for key in value):
        raise ValueError("a list of names, or a mapping from parameters to names")
    return {key: _names(each if isinstance(each, list) else [each]) for key, each in value.items()}


def _with_workstation(scales: list[Scale]) -> list[Scale]:
    """What is made or judged on a laptop is so on a workstation."""
    return [*scales, "workstation"] if "laptop" in scales and "workstation" not in scales else scales


Use = Annotated[str, BeforeValidator(_dotted)]
Names = Annotated[list[Line], BeforeValidator(_names)]
Scales = Annotated[list[Scale], Field(min_length=1), AfterValidator(_with_workstation)]


class Paper(Closed):
    """The head of a study file."""

    title: Line = Field(description="the paper's title")
    authors: Line = Field(description="its authors")
    url: Line = Field(description="where it can be read")


class Snapshots(Closed):
    """Which snapshots a training run keeps: always the first and the last.

    `log` and `even` say how many, spaced so over the run; `every` is a fixed interval in updates.
    """

    log: Natural = Field(0, description="how many, ever further apart")
    even: Natural = Field(0, description="how many, equally far apart")
    every: Count | None = Field(None, description="one each so many updates")


class Named(BaseModel):
    """Something that names a function of the package; its other keys are that function's parameters."""

    model_config = ConfigDict(extra="allow", strict=True)

    use: Use = Field(
        description="the function or class, by its place in the package: papers.maze.measure.navigation.shares"
    )

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Entry(Named):
    """What the entries of all stages may say."""

    scales: Scales | None = Field(None, description="scales at which it exists; all of them if nothing is said")
    resources: Resources = Field(default_factory=Resources, description="what its jobs ask of a cluster")


class Environment(Entry):
    """Tasks, levels or data, as a table."""


class Training(Entry):
    """A run: an agent that learns, in several seeds."""

    environment: Line | None = Field(None, description="the environment that it learns from")
    learns_from: Line | None = Field(None, description="instead, the extraction of another run that it learns from")
    seeds: Seeds = Field(description="how many seeds are trained")
    stack: Seeds | None = Field(None, description="seeds that one job trains; all of them if nothing is said")
    snapshots: Snapshots = Field(description="when its parameters are kept")
    streams: Line | None = Field(None, description="the run whose random numbers it uses, as one arm of a comparison")
    plugin: Named | None = Field(None, description="what is put around its agent")


class Extraction(Entry):
    """What the networks of some runs do and hold."""

    of: Names = Field(description="training runs, RUN or STUDY.RUN")
    environment: Line | None = Field(None, description="where they are looked at; by default where each run learned")


class Metric(Entry):
    """A table that is computed from tables."""

    inputs: Annotated[list[Line] | dict[Line, list[Line]], BeforeValidator(_inputs)] = Field(
        alias="from",
        description="artifacts: NAME of an extraction or a metric, environments.NAME, or training.NAME for a run's "
        "log; a list, each for the parameter of its kind, or a mapping from parameters to names",
    )

    @property
    def sources(self) -> list[str]:
        """All artifacts that it names."""
        if isinstance(self.inputs, list):
            return self.inputs
        return list(dict.fromkeys(each for names in self.inputs.values() for each in names))


class Figure(Metric):
    """A picture that is drawn from tables."""

    caption: str = Field(min_length=1, description="what a reader sees on it")


def _threshold(text: str) -> str:
    """A threshold as it is written, such as "< 1e-3"."""
    side, _, number = text.partition(" ")
    try:
        finite = math.isfinite(float(number))
    except ValueError:
        finite = False
    if side not in ("<", "<=", ">", ">=") or not finite:
        raise ValueError("a comparison with a number, as in '< 1e-3'")
    return text


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


Wanted = Annotated[list[Line], Field(min_length=1)] | Annotated[list[int], Field(min_length=1)]


class ClaimTest(Closed):
    """One measured inequality of a claim.

    Over seeds the mean and its 95 % interval are taken. `interval: log` does so on the logarithm; `given` takes the
    interval from the metric's columns low and high, as of a bootstrap; `exact` is for what does not vary over seeds,
    such as a statement about published numbers: the value itself is compared.
    """

    source: Line = Field(alias="from", description="the metric that it is judged on")
    value: Line = Field(description="the metric's column of numbers")
    where: dict[Line, Annotated[Wanted, BeforeValidator(_listed)]] = Field(
        {}, description="column → the value or values of the rows that count"
    )
    each: Line | None = Field(None, description="a column, each value of which is judged by itself")
    interval: Literal["linear", "log", "given", "exact"] = Field("linear", description="how its interval is taken")
    holds: Annotated[Line, AfterValidator(_threshold)] | None = Field(
        None, description="the threshold; without one it is reported and not judged"
    )
    scales: Scales = Field(["laptop", "workstation", "paper"], description="scales at which it is judged")
    premise: bool = Field(
        False, description="whether the claim is undecided unless this holds, whatever its other tests say"
    )


class Claim(Closed):
    """A numbered claim of a paper; it holds if all its tests hold. One that nothing here can show says why."""

    says: Line = Field(description="the claim")
    paper: Line = Field(description="what the paper shows for it")
    tests: dict[Line, ClaimTest] = Field({}, description="what is measured")
    untested: Line | None = Field(None, description="instead of tests, why nothing here can show it")


# how the entries of each stage are written
ENTRIES: dict[str, type[Entry]] = {
    "environments": Environment,
    "training": Training,
    "checkpoints": Extraction,
    "metrics": Metric,
    "figures": Figure,
}
