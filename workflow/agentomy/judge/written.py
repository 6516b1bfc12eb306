"""What a claim and its tests may say, as typed data: those of a study, and those of a file of claims for itself."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from agentomy.judge.thresholds import Threshold
from agentomy.values import Count, Finite, Line

EXACT = ("published", "deterministic")  # units of what is known without error
NOT_SAMPLED = (*EXACT, "given")


class Closed(BaseModel):
    """A mapping in which every key is known; types are taken as they are written."""

    model_config = ConfigDict(extra="forbid", strict=True)


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _each_once(values: list) -> list:
    if len(set(map(repr, values))) < len(values):
        raise ValueError("each once")
    return values


def _threshold(text: str) -> str:
    Threshold.read(text)
    return text


Cell = bool | int | Finite | Line
Cells = Annotated[list[Cell], Field(min_length=1), BeforeValidator(_listed), AfterValidator(_each_once)]
Names = Annotated[list[Line], Field(min_length=1), BeforeValidator(_listed), AfterValidator(_each_once)]


class Test(Closed):
    """One measured inequality of a claim.

    A selection leaves one row for each unit and group. What it compares is the mean over units, or what `unit` says.
    """

    source: Line | None = Field(None, alias="from", description="the table that it is judged on")
    value: Line = Field(description="its column of numbers")
    where: dict[Line, Cells] = Field(
        {}, description="column → the value or values of the rows that count; of numbers also `first` or `last`"
    )
    less: dict[Line, Cell] | None = Field(
        None, description="column → value of other rows: theirs is taken off, pair by pair of units that both have"
    )
    over: dict[Line, Cell] | None = Field(None, description="the same, but it is divided by theirs")
    mean: Names | None = Field(None, description="columns over which each unit's rows are averaged")
    median: Names | None = Field(None, description="the same, but the median is taken")
    each: Names | None = Field(None, description="columns, each of whose values is judged by itself")
    unit: Line = Field(
        "seed",
        description="what is sampled: `seed`, or a column such as a maze's number; or none: `given` takes the interval "
        "from columns low and high, `published` and `deterministic` are exact",
    )
    interval: Literal["linear", "log"] = Field("linear", description="`log`: means and spreads are of logarithms")
    count: Line | None = Field(None, description="the column that says of how many cases a value is the share")
    within: Annotated[list[Finite], Field(min_length=2, max_length=2)] | None = Field(
        None, description="the smallest and the largest value that there can be"
    )
    holds: Annotated[Line, AfterValidator(_threshold)] | None = Field(
        None, description="the threshold; without one it is reported and not judged"
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
