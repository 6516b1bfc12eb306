"""What a claim and its tests may say, as typed data: those of a study, and those of a file of claims for itself."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from agentomy.judge.thresholds import Threshold
from agentomy.values import Closed, Count, Finite, Line

EXACT = ("published", "deterministic")  # units of what is known without error
NOT_SAMPLED = (*EXACT, "given")


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _each_once(values: list) -> list:
    if len(set(map(repr, values))) < len(values):
        raise ValueError("each once")
    return values


def _threshold(text: str) -> str:
    Threshold.read(text)
    return text


THRESHOLD = Field(json_schema_extra={"pattern": r"^[<>]=? \S+$"})
Cell = bool | int | Finite | Line
Several = Annotated[list[Cell], Field(min_length=1)]
Cells = Annotated[Several, BeforeValidator(_listed, json_schema_input_type=Several | Cell), AfterValidator(_each_once)]
SeveralNames = Annotated[list[Line], Field(min_length=1)]
Names = Annotated[
    SeveralNames, BeforeValidator(_listed, json_schema_input_type=SeveralNames | Line), AfterValidator(_each_once)
]


class Test(Closed):
    """One measured inequality of a claim.

    A selection leaves one row for each unit and group. What it compares is the mean over units, or what `unit` says.
    """

    source: Line | None = Field(None, alias="from", description="the table that it is judged on", examples=["runs"])
    value: Line = Field(description="its column of numbers", examples=["share"])
    where: dict[Line, Cells] = Field(
        {},
        description="column → the value or values of the rows that count; of numbers also `first` or `last`",
        examples=[{"agent": "trained", "update": "last"}],
    )
    less: dict[Line, Cell] | None = Field(
        None,
        description="column → value of other rows: theirs is taken off, pair by pair of units that both have",
        examples=[{"agent": "untrained"}],
    )
    over: dict[Line, Cell] | None = Field(
        None, description="the same, but it is divided by theirs", examples=[{"run": "base"}]
    )
    mean: Names | None = Field(None, description="columns over which each unit's rows are averaged", examples=["task"])
    median: Names | None = Field(None, description="the same, but the median is taken", examples=["task"])
    each: Names | None = Field(None, description="columns, each of whose values is judged by itself", examples=["run"])
    unit: Line = Field(
        "seed",
        description="what is sampled: `seed`, or a column such as a maze's number; or none: `given` takes the interval "
        "from columns low and high, `published` and `deterministic` are exact",
        examples=["maze"],
    )
    interval: Literal["linear", "log"] = Field(
        "linear", description="`log`: means and spreads are of logarithms", examples=["log"]
    )
    count: Line | None = Field(
        None, description="the column that says of how many cases a value is the share", examples=["levels"]
    )
    within: Annotated[list[Finite], Field(min_length=2, max_length=2)] | None = Field(
        None, description="the smallest and the largest value that there can be", examples=[[0.0, 1.0]]
    )
    holds: Annotated[Line, AfterValidator(_threshold), THRESHOLD] | None = Field(
        None, description="the threshold; a test without one is reported and not judged", examples=["> 0.5"]
    )
    premise: bool = Field(
        False,
        description="whether the claim is undecided unless this test holds, whatever its other tests say",
        examples=[True],
    )

    @field_validator("over", "median", "interval", "count", "within")
    @classmethod
    def _together(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse what makes no sense beside the keys above it."""
        said = info.data
        beside = {
            "over": [("less", said.get("less"))],
            "median": [("mean", said.get("mean"))],
            "interval": [("less", said.get("less")), (f"unit: {said.get('unit')}", said.get("unit") in NOT_SAMPLED)],
            "count": [
                *((key, said.get(key)) for key in ("over", "mean", "median")),
                ("interval: log", said.get("interval") == "log"),
                (f"unit: {said.get('unit')}", said.get("unit") in NOT_SAMPLED),
            ],
            "within": [("count", said.get("count"))],
        }[info.field_name]
        for other, there in beside:
            if there and value is not None and value != "linear":
                raise ValueError(f"nothing beside '{other}'")
        if info.field_name == "within" and value is not None and value[0] >= value[1]:
            raise ValueError("the smaller number first")
        return value

    @field_validator("unit")
    @classmethod
    def _alone(cls, unit: str, info: ValidationInfo) -> str:
        if unit == "given" and any(info.data.get(key) for key in ("less", "over", "mean", "median")):
            raise ValueError("a unit that is sampled, beside less, over, mean or median")
        return unit

    @property
    def pair(self) -> dict[str, Cell]:
        """What the rows on the other side of a comparison differ in."""
        return self.less or self.over or {}

    @property
    def threshold(self) -> Threshold | None:
        return Threshold.read(self.holds) if self.holds else None


class Claim(Closed):
    """A claim; it holds if all its tests hold, and fails if one of them fails."""

    says: Line = Field(description="the claim")
    tests: dict[Line, Test] = Field(min_length=1, description="what is measured")


class Written(Closed):
    """A file of claims about tables that anybody made."""

    seeds: Count = Field(description="how many seeds were planned before the first was looked at")
    seed: Line = Field("seed", description="the column that says of which seed a row is")
    claims: dict[Line, Claim] = Field(min_length=1, description="name → claim")
