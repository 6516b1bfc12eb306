"""What a study file may say: its paper, the entries of each stage, and the claims, each with a meaning for every key.

An entry's other keys are the parameters of the function that it names (`use`); `signatures` says which those are.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from agentomy.judge import written
from agentomy.judge.written import Test
from agentomy.pipeline.plan.config import Scale, Seeds
from agentomy.pipeline.plan.resources import Resources
from agentomy.values import Closed, Count, Line, Natural, one_line


def _dotted(use: Any) -> str:
    """A place inside the package: the plan reads its source, so nothing else on the disk may be named."""
    parts = use.split(".") if isinstance(use, str) else []
    if len(parts) < 2 or not all(part.isidentifier() and part.isascii() for part in parts):
        raise ValueError("ROOM.MODULE.FUNCTION, names inside the package joined by dots")
    return use


def _names(value: Any) -> list[str]:
    if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
        raise ValueError("a list of names")
    if len(set(value)) < len(value):
        raise ValueError("each name once")
    return value


def _inputs(value: Any) -> list[str] | dict[str, list[str]]:
    if not isinstance(value, dict):
        return _names(value)
    if not value or not all(isinstance(key, str) for key in value):
        raise ValueError("a list of names, or a mapping from parameters to names")
    return {key: _names(named if isinstance(named, list) else [named]) for key, named in value.items()}


def _with_workstation(scales: list[Scale]) -> list[Scale]:
    """What is made or judged on a laptop is so on a workstation."""
    return [*scales, "workstation"] if "laptop" in scales and "workstation" not in scales else scales


Use = Annotated[str, BeforeValidator(_dotted)]
Names = Annotated[list[Line], BeforeValidator(_names), Field(min_length=1, json_schema_extra={"uniqueItems": True})]
# a name may stand for a list of one
Inputs = Names | Annotated[dict[Line, Names | Line], Field(min_length=1)]
Scales = Annotated[list[Scale], Field(min_length=1), AfterValidator(_with_workstation)]


LONGEST = 90  # characters of a figure's title
Title = Annotated[str, Field(min_length=1, max_length=LONGEST), AfterValidator(one_line)]


class Paper(Closed):
    """The paper whose figures and claims the study regenerates."""

    title: Line = Field(description="title of the paper", examples=["The Ladder in Chaos"])
    authors: Line = Field(description="its authors", examples=["Tang et al. (NeurIPS 2024)"])
    url: Line = Field(description="where it can be read", examples=["https://arxiv.org/abs/2303.01391"])


class Snapshots(Closed):
    """Which snapshots of its parameters a training run keeps: always the first and the last, and what is said here."""

    log: Natural = Field(0, description="this many, ever further apart", examples=[20])
    even: Natural = Field(0, description="this many, equally far apart", examples=[13])
    every: Count | None = Field(None, description="one at each multiple of this number of updates", examples=[100])


class Named(BaseModel):
    """Something that names a function of the package; its other keys are that function's parameters."""

    model_config = ConfigDict(extra="allow", strict=True)

    use: Use = Field(
        description="the function or class, by its place in the package",
        examples=["papers.maze.measure.navigation.shares"],
    )

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


class Entry(Named):
    """What every entry may say, beside the parameters of its function."""

    scales: Scales | None = Field(
        None, description="the scales at which the entry exists; all of them if nothing is said", examples=[["paper"]]
    )
    resources: Resources = Field(
        default_factory=Resources, description="what its jobs ask of a cluster", examples=[{"mem_mb": 8000}]
    )


class Environment(Entry):
    """Tasks, levels or data, as a table."""


class Training(Entry):
    """A run: an agent that learns, in several seeds; or one that was trained elsewhere, in files."""

    environment: Line | None = Field(None, description="the environment that it learns from", examples=["coins"])
    learns_from: Line | None = Field(
        None, description="instead of an environment, an extraction of another run", examples=["demonstrations"]
    )
    seeds: Seeds | None = Field(None, description="how many seeds are trained; a learner needs it", examples=[3])
    stack: Seeds | None = Field(
        None, description="how many seeds one job trains; all of them if nothing is said", examples=[1]
    )
    snapshots: Snapshots | None = Field(
        None, description="when its parameters are kept; a learner needs it", examples=[{"log": 20, "even": 13}]
    )
    streams: Line | None = Field(
        None,
        description="the run whose random numbers it uses too, as another arm of one comparison",
        examples=["base"],
    )
    plugin: Named | None = Field(
        None,
        description="what is put around its agent",
        examples=[{"use": "paths.PPTB", "interval": 100, "window": 20, "period": 2000}],
    )
    adapter: Use | None = Field(
        None,
        description="the class of a paper by which lenses read its networks; it changes nothing in training",
        examples=["papers.maze.subject.Mouse"],
    )


class Extraction(Entry):
    """What the networks of some runs do and hold, one table for each run and stack of seeds."""

    of: Names = Field(
        description="the training runs that are opened: RUN, or STUDY.RUN of another study", examples=[["predictor"]]
    )
    environment: Line | None = Field(
        None, description="where they are looked at; where each run learned if nothing is said", examples=["test"]
    )


class Metric(Entry):
    """A table that is computed from tables."""

    inputs: Annotated[list[Line] | dict[Line, list[Line]], BeforeValidator(_inputs, json_schema_input_type=Inputs)] = (
        Field(
            alias="from",
            description="the tables that it takes: NAME of an extraction or a metric, environments.NAME, or "
            "training.NAME for a run's log",
            examples=[["gram"], {"one": "predictors", "other": "agents"}],
        )
    )

    @property
    def sources(self) -> list[str]:
        """All artifacts that it names."""
        if isinstance(self.inputs, list):
            return self.inputs
        return list(dict.fromkeys(name for names in self.inputs.values() for name in names))


class Figure(Metric):
    """A picture that is drawn from tables, as PNG and PDF."""

    title: Title | None = Field(
        None,
        description="what it shows, in a few words, by which the report, the explorer and pages call it; the first "
        "sentence of its caption if nothing is said",
        examples=["The policy's path, direction by direction"],
    )
    caption: str = Field(
        min_length=1, description="what a reader sees on it", examples=["The policy's way along each direction."]
    )


class ClaimTest(Test):
    """One measured inequality of a claim.

    `where` selects rows of a metric, so that one is left for each seed (or other `unit`) and group of `each`; `less`
    or `over` compares them with other rows; their mean over seeds is judged against the threshold of `holds`.
    """

    source: Line = Field(alias="from", description="the metric that it is judged on", examples=["directions"])
    scales: Scales = Field(
        ["laptop", "workstation", "paper"], description="the scales at which it is judged", examples=[["paper"]]
    )


class Claim(written.Claim):
    """A numbered claim of the paper: it holds if all its tests hold."""

    says: Line = Field(description="the claim", examples=["A policy moves along few major directions"])
    paper: Line = Field(description="what the paper shows for it", examples=["figure 2"])
    differs: Line | None = Field(
        None,
        description="in what the tests are not what the paper shows, if they aren't; it is said beside the verdict",
        examples=["return is of the median episode, the paper's of the best"],
    )
    tests: dict[Line, ClaimTest] = Field({}, description="what is measured, by names of your own")
    untested: Line | None = Field(
        None, description="instead of tests, why nothing here can show it", examples=["it is about human players"]
    )


LEARNS = ("seeds", "snapshots")  # what a learner must say, and an imported run has not
LEARNERS = (*LEARNS, "stack", "streams", "plugin", "adapter", "learns_from")  # what only a learner may say

# how the entries of each stage are written
ENTRIES: dict[str, type[Entry]] = {
    "environments": Environment,
    "training": Training,
    "checkpoints": Extraction,
    "metrics": Metric,
    "figures": Figure,
}
