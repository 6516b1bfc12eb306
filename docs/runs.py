"""The named runs whose verdicts the pages show side by side.

What a run was stands in docs/runs/NAME.yaml, and its verdicts in docs/runs/NAME.csv: a row for each claim, and for each
test and group. Both are written by record.py. So these tables, and the numbers in the prose of pages, are written anew
without any results, and a run can be added when others are long gone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pandas as pd
import yaml
from tabulate import tabulate

from agentomy.judge import showing
from agentomy.judge.results import REPORTED
from agentomy.pipeline.plan.config import SCALES
from agentomy.pipeline.report.scoreboard import JUDGED
from agentomy.progress import duration

FOLDER = Path(__file__).parent / "runs"
TEXT = ("study", "claim", "test", "group", "holds", "verdict", "words", "needs")
WHOLE = ("n", "there", "look", "shared")
COLUMNS = (*TEXT, "value", "low", "high", "level", *WHOLE)
IN_PART = "run in part"  # the verdict on a claim of which some tests have no tables; those that have follow it
NOT_RUN = "sized, not run"  # what is said of a claim that has no row
WORKSTATION = "workstation"


@dataclass(frozen=True)
class Run:
    """One run of all studies or of some, at one scale."""

    name: str
    scale: str
    commit: str
    date: str
    machine: str
    verdicts: pd.DataFrame = field(compare=False)  # `COLUMNS`; older runs have rows of tests only if run in part
    note: str = ""
    seconds: dict[str, float] = field(default_factory=dict)  # study → processor time of its jobs
    # what `agentomy decide` chose: STUDY.RUN → seeds by the study file, and now; jobs that failed → why
    seeds: dict[str, list[int]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    added: dict[str, list[float]] = field(default_factory=dict)  # study → jobs of the added seeds, and their seconds

    @property
    def title(self) -> str:
        return f"{self.scale}, more seeds" if self.seeds else self.scale

    @property
    def named(self) -> str:
        of = f"commit `{self.commit}`, {self.date}, {self.machine}"
        return f"{of}; {self.note}" if self.note else of

    @property
    def claims(self) -> pd.DataFrame:
        return self.verdicts[self.verdicts["test"] == ""]


def name_of(scale: str, seeds: dict) -> str:
    """What a run is called; one to which seeds were added is another run."""
    return f"{scale}-decided" if seeds else scale


def write(run: Run, folder: Path = FOLDER) -> None:
    folder.mkdir(exist_ok=True)
    said = {key: value for key, value in asdict(run).items() if key not in ("name", "verdicts") and value}
    head = "# Written by `make docs`; the verdicts of this run are in the CSV beside it.\n"
    text = yaml.safe_dump(said, sort_keys=False, default_flow_style=None, allow_unicode=True, width=1000)
    (folder / f"{run.name}.yaml").write_text(head + text, encoding="utf-8")
    verdicts = run.verdicts[[*COLUMNS]]
    verdicts.to_csv(folder / f"{run.name}.csv", index=False, float_format="%.6g", na_rep="nan")


def read(folder: Path = FOLDER) -> list[Run]:
    """All runs: by scale, and at one scale the one with more seeds last."""
    runs = []
    for path in folder.glob("*.yaml"):
        verdicts = pd.read_csv(path.with_suffix(".csv"), dtype=str, keep_default_na=False)
        verdicts = verdicts.astype({name: int if name in WHOLE else float for name in COLUMNS if name not in TEXT})
        runs.append(Run(path.stem, verdicts=verdicts, **yaml.safe_load(path.read_text(encoding="utf-8"))))
    return sorted(runs, key=lambda run: (SCALES.index(run.scale), bool(run.seeds), run.name))


def named(runs: Sequence[Run], name: str) -> Run | None:
    return next((run for run in runs if run.name == name), None)


# ---- tables ------------------------------------------------------------------------------------------------------


def side_by_side(runs: Sequence[Run], study: str, not_sized: Mapping[str, str]) -> str:
    """A study's claims, with a column for each run and one for a workstation, whether it was run or not.

    A verdict that is another one than in the first column is bold. `not_sized` are the claims that a workstation does
    not judge, with the word for it.
    """
    columns = {run.title: {row["claim"]: row for _, row in of(run, study).iterrows()} for run in runs}
    if not any(run.scale == WORKSTATION for run in runs):
        columns[WORKSTATION] = {}
    claims = dict.fromkeys(claim for column in columns.values() for claim in column)
    first = next(iter(columns.values()))
    rows = []
    for claim in claims:
        cells = [
            _cell(column.get(claim), not_sized.get(claim, NOT_RUN) if title == WORKSTATION else NOT_RUN)
            for title, column in columns.items()
        ]
        was = first[claim]["verdict"] if claim in first else None
        for number, column in enumerate(columns.values()):
            if claim in column and column[claim]["verdict"] not in (was, IN_PART):
                cells[number] = f"**{cells[number]}**"
        rows.append([claim, *cells])
    table = _table(["claim", *columns], rows)
    heads = [f"- {run.title}: {run.named}" for run in runs if len(of(run, study))]
    parts = [line for run in runs for line in _in_part(run, study)]
    return "\n\n".join(filter(None, ["\n".join(heads), table, "\n".join(parts)]))


def of(run: Run, study: str) -> pd.DataFrame:
    """The verdicts on a study's claims."""
    return run.claims[run.claims["study"] == study]


def _cell(row: pd.Series | None, otherwise: str) -> str:
    if row is None:
        return otherwise
    n = showing.counted(row) if row["verdict"] in (*JUDGED, REPORTED) else ""
    return f"{row['verdict']}, n = {n}" if n else row["verdict"]


def _in_part(run: Run, study: str) -> list[str]:
    """Of claims that were run in part, the tests that were."""
    claims = of(run, study)
    in_part = claims.loc[claims["verdict"] == IN_PART, "claim"]
    tests = run.verdicts[(run.verdicts["study"] == study) & (run.verdicts["test"] != "")]
    return [
        f"- {run.title}, {row['claim']}: {called(row)}: "
        f"{showing.with_interval(row)}, n = {showing.counted(row)}, threshold {row['holds'] or 'none'}"
        for _, row in tests[tests["claim"].isin(in_part)].iterrows()
    ]


def called(row: pd.Series) -> str:
    """What tables call a test: its name and its group."""
    return ", ".join(filter(None, [row["test"], row["group"]]))


def summary(runs: Sequence[Run]) -> str:
    """How many claims have which verdict in each run, and what it took."""
    every = {(row["study"], row["claim"]) for run in runs for _, row in run.claims.iterrows()}
    rows = []
    for run in runs:
        counts = run.claims["verdict"].value_counts()
        judged = [counts.get(verdict, 0) for verdict in JUDGED]
        not_run = len(every) - len(run.claims) + counts.get(IN_PART, 0)
        others = len(every) - sum(judged) - not_run
        rows.append([run.title, *judged, others, not_run, duration(sum(run.seconds.values())), run.named])
    if not any(run.scale == WORKSTATION for run in runs):
        what = f"[{NOT_RUN}](docs/performance.md#scale-workstation)"
        rows.append([WORKSTATION, *["–"] * 4, len(every), "–", what])
    heads = ["run", "hold", "fail", "undecided", "not judged", "not run", "processor time", "of"]
    return _table(heads, rows)


def seeds_added(run: Run) -> str:
    """Which runs got more seeds, and what their jobs took."""
    rows = []
    for study in dict.fromkeys(name.partition(".")[0] for name in run.seeds):
        mine = {name.partition(".")[2]: seeds for name, seeds in run.seeds.items() if name.startswith(f"{study}.")}
        raised: dict[tuple[int, int], list[str]] = {}
        for name, (before, now) in mine.items():
            raised.setdefault((before, now), []).append(f"`{name}`")
        what = "; ".join(f"{before} → {now} seeds: {', '.join(names)}" for (before, now), names in raised.items())
        jobs, seconds = run.added.get(study, (0, 0.0))
        rows.append([study, what, f"{jobs:g}", f"{seconds / 60:.1f}"])
    jobs, seconds = (sum(column) for column in zip(*run.added.values(), strict=True)) if run.added else (0, 0.0)
    rows.append(["in all", "", f"{jobs:g}", f"{seconds / 60:.1f}"])
    return _table(["study", "runs", "jobs of the added seeds", "processor min"], rows)


def _table(heads: Sequence[str], rows: list[list]) -> str:
    text = [[str(cell).replace("|", r"\|") for cell in row] for row in rows]
    return tabulate(text, heads, tablefmt="github", disable_numparse=True)
