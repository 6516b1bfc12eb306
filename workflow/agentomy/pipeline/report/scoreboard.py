"""How studies came out: claims counted by verdict, and the processor time that their jobs took.

For the first page of the report, and for the README.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from agentomy import kinds
from agentomy.judge.results import FAILS, HOLDS, UNDECIDED
from agentomy.pipeline.uptodate import records
from agentomy.progress import duration
from agentomy.tables import Table

# a sign and a colour for each verdict: neither is needed to understand the other
VERDICTS = {
    "holds": ("✓", "#00755A"),
    "fails": ("✗", "#B34700"),
    "undecided": ("?", "#0072B2"),
    "not at this scale": ("–", "#6E6E6E"),
    "untested": ("–", "#6E6E6E"),
    "reported": ("·", "#6E6E6E"),
}
# a table has a column for each of these, and one for what was not judged
JUDGED = (HOLDS, FAILS, UNDECIDED)
COLUMNS = ("claims", "hold", "fail", "undecided", "not judged", "processor time")


@dataclass(frozen=True)
class Score:
    """The claims of a study by verdict, and the processor time of its jobs in seconds; None where nothing says it."""

    verdicts: Mapping[str, int] = field(default_factory=dict)
    seconds: float | None = None

    @property
    def cells(self) -> list[str]:
        """What stands in `COLUMNS`: a dash where nothing was made."""
        if not self.verdicts and self.seconds is None:
            return ["–"] * len(COLUMNS)
        total = sum(self.verdicts.values())
        judged = [self.verdicts.get(verdict, 0) for verdict in JUDGED]
        time = "–" if self.seconds is None else duration(self.seconds)
        return [str(total), *map(str, judged), str(total - sum(judged)), time]


def score(folder: Path) -> Score:
    """The score of a study by its folder of results, `results/SCALE/STUDY`; an empty one if it was not judged."""
    path = folder / "claims.parquet"
    if not path.exists():
        return Score()
    records.compare(path, folder.parents[1])
    return Score(counts(Table(kinds.common.CLAIMS, [path]).frame()), processor_time(folder))


def counts(claims: pd.DataFrame) -> dict[str, int]:
    """How many claims of a `kinds.common.CLAIMS` have which verdict."""
    return dict(Counter(claims.loc[claims["test"] == "", "verdict"]))


def total(scores: list[Score]) -> Score:
    """All claims and all time; nothing is known of the time of scores that have none."""
    verdicts = sum((Counter(score.verdicts) for score in scores), Counter())
    known = [score.seconds for score in scores if score.seconds is not None]
    return Score(verdicts, sum(known) if known else None)


def processor_time(folder: Path) -> float | None:
    """Seconds that the jobs of a study computed, by their benchmarks; None without any."""
    times = [_cpu_time(path) for path in folder.glob("benchmarks/**/*.tsv")]
    known = [time for time in times if time is not None]
    return sum(known) if known else None


def _cpu_time(benchmark: Path) -> float | None:
    try:
        head, row = benchmark.read_text(encoding="utf-8").splitlines()[:2]
        return float(dict(zip(head.split("\t"), row.split("\t"), strict=True))["cpu_time"])
    except (OSError, ValueError, KeyError):  # no result depends on it
        return None
