"""Values that a stage function may ask for: the types of its parameters, by which the plan refuses what no job can use.

A function says `width: Count`, a study file `width: 0`, and the user reads one line before any job starts. Beside these
names a signature may use int, float (finite), str (one line), bool, None, Literal, `list[...]` and `dict[..., ...]`
(neither empty), and `|`; `signatures` reads them from the source.
"""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

LARGEST = 10**9  # of any whole number: beyond it nothing ends, and tables hold 64 bits

Whole = Annotated[int, Field(ge=-LARGEST, le=LARGEST)]
Natural = Annotated[int, Field(ge=0, le=LARGEST)]
Count = Annotated[int, Field(ge=1, le=LARGEST)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]  # also a probability, a discount, a correlation's size
Fraction = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]  # of learning, of an average that follows: never none
Beta = Annotated[list[Positive], Field(min_length=2, max_length=2)]  # the two parameters of a Beta distribution

# what a signature may say of these
NAMES = ("Natural", "Count", "NonNegative", "Positive", "Share", "Fraction", "Rate", "Beta", "Foreign", "Series")


def one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("one line of text, without control characters")
    return text


Line = Annotated[str, AfterValidator(one_line)]

FOREIGN = "path of a file or folder that is no table of ours: its content counts"
Foreign = Annotated[Line, FOREIGN]

SERIES = "pattern of files beside the study file, with {update} and {seed}: what they hold counts"
Series = Annotated[Line, SERIES]


class Closed(BaseModel):
    """A mapping in which every key is known; types are taken as they are written."""

    model_config = ConfigDict(extra="forbid", strict=True)
