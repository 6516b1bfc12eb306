"""What is said of a test or a claim: as data, and as columns of a table."""

from dataclasses import dataclass

from agentomy.tables import Column

HOLDS, FAILS, UNDECIDED, REPORTED = "holds", "fails", "undecided", "reported"


@dataclass(frozen=True)
class Result:
    """What is said of a test on a group; of a whole claim (`test` empty) what is said of those that decide it."""

    test: str
    group: str  # of a whole claim: the test and the group that decide it
    unit: str  # what is sampled, or given, published, deterministic
    value: float
    low: float  # the ends of the interval, each of the level that decides
    high: float
    n: int  # units that were judged; of what is only reported, all; 0 if nothing is sampled
    there: int  # units that there are
    look: int  # the number of the look at which it was decided; 0 if it is open, or has no looks
    level: float  # one-sided, of the interval that is shown; NaN if nothing is sampled
    shared: int  # the tests and groups that share the level of failing; 0 if it can't fail the claim by chance
    holds: str  # the threshold
    verdict: str
    words: str = ""  # what has to be added to it
    needs: str = ""  # of what is undecided: about how many seeds would decide it

    @property
    def said(self) -> str:
        return f"{self.verdict} ({self.words})" if self.words else self.verdict


COLUMNS = (
    Column("test", "text", "name of the test; empty for the verdict of the whole claim"),
    Column("group", "text", "group that the test was made on; of a whole claim the deciding test and group"),
    Column("unit", "text", "what is sampled, or given, published, deterministic"),
    Column("value", "number", "mean over units", finite=False),
    Column("low", "number", "lower end of the interval, of the level that decides", finite=False),
    Column("high", "number", "upper end of the interval, of the level that decides", finite=False),
    Column("n", "integer", "units that were judged; 0 if nothing is sampled"),
    Column("there", "integer", "units that there are"),
    Column("look", "integer", "number of the look at which it was decided; 0 if it is open, or has no looks"),
    Column("level", "number", "one-sided level of the interval; NaN if nothing is sampled", finite=False),
    Column("shared", "integer", "tests and groups of the claim that share the level of failing"),
    Column("holds", "text", "threshold; empty without one"),
    Column("verdict", "text", "holds, fails, undecided, reported (no threshold), or why it is not judged"),
    Column("words", "text", "what has to be added to the verdict"),
    Column("needs", "text", "of what is undecided, about how many seeds would decide it"),
)
