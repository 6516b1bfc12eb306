"""Writes into docs/performance.md what a laptop run cost, by its jobs' benchmarks, and what a workstation's would.

A training job costs as much a seed and unit of work (updates, epochs, samples of a budget) as the laptop's jobs of the
same run did; a run that a laptop has not costs what those of the same agent and networks did. An extraction or a metric
costs in proportion to its seeds, and a figure what it did. The most expensive runs and extractions of the laptop stand
with the claims that rest on them.
"""

import argparse
import re
from collections import defaultdict
from pathlib import Path

import pandas as pd
import yaml
from tabulate import tabulate

from agentomy import claims, kinds
from agentomy.pipeline.plan.jobs import Job, maker
from agentomy.pipeline.plan.study import Plan, Study
from agentomy.pipeline.plan.study_file import STAGES
from agentomy.tables import Table

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/performance.md"
WORK = ("updates", "epochs", "total_budget")
SHOWN = 25  # of the dearest runs and extractions
NAMED = 4  # of those that no claim needs
HOUR = 120  # processor minutes that two cores have in an hour
Key = tuple[str, str, str]  # of a job: study, stage, name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("results", type=Path, help="results of scale laptop, such as results/laptop")
    for name in ("commit", "date", "machine"):
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args()
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    laptop, workstation = (Plan(config | {"scale": scale}) for scale in ("laptop", "workstation"))
    named = f"commit `{given.commit}`, {given.date}, {given.machine}"
    spent = [(study.name, len(study.keys), *minutes(study, given.results)) for study in laptop.chosen]
    parts = {
        "laptop": f"Processor minutes, {named}:\n\n" + table(["study", "jobs", *STAGES, "together"], spent),
        "dearest": dearest(laptop, given.results, sum(together for *_, together in spent)),
        "reckoning": f"Hours of one core, by the jobs of {named}:\n\n"
        + table(
            ["study", "jobs", "training", "the rest", "together"],
            [
                (study.name, len(study.keys), *reckoned(laptop.studies[study.name], study, given.results))
                for study in workstation.chosen
            ],
        ),
    }
    page = PAGE.read_text(encoding="utf-8")
    for name, text in parts.items():
        between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        page = between.sub(lambda match, text=text: f"{match[1]}{text}\n{match[2]}", page)
    PAGE.write_text(page, encoding="utf-8")


def table(headers: list[str], rows: list[tuple]) -> str:
    """A table with its sums in the last row."""
    sums = (sum(column) for column in list(zip(*rows, strict=True))[1:])
    return tabulate([*rows, ("in all", *sums)], headers=headers, tablefmt="github", floatfmt=".1f", intfmt=",") + "\n"


def minutes(study: Study, results: Path) -> list[float]:
    """Processor minutes by stage, and together."""
    by_stage = [sum(seconds for _, seconds in timed(study, stage, results)) / 60 for stage in STAGES]
    return [*by_stage, sum(by_stage)]


def dearest(plan: Plan, results: Path, total: float) -> str:
    """The runs and extractions of all seeds that cost most, and the claims that rest on them; `total` in minutes."""
    needed: dict[Key, list[str]] = defaultdict(list)
    for study in plan.chosen:
        for claim, keys in behind_claims(plan, study, results).items():
            for key in keys:
                needed[key].append(f"{study.name} {claim}")
    minutes, jobs, of = defaultdict(float), defaultdict(int), defaultdict(dict)
    for study in plan.chosen:
        for stage in ("training", "checkpoints"):
            for job, seconds in timed(study, stage, results):
                what = (study.name, stage, study.part(stage, job.name).entry)
                minutes[what] += seconds / 60
                jobs[what] += 1
                of[what] |= dict.fromkeys(needed[study.name, stage, job.name])
    order = sorted(minutes, key=minutes.get, reverse=True)
    rows = [
        [study, f"{name}: {entry}", jobs[what], minutes[what], shown_claims(study, of[what])]
        for what in order[:SHOWN]
        for study, stage, entry in [what]
        for name in ["training" if stage == "training" else "extraction"]
    ]
    others = order[SHOWN:]
    rows.append(["", f"{len(others)} others", *(sum(of_[what] for what in others) for of_ in (jobs, minutes)), ""])
    idle = [what for what in order if not of[what]]
    named = ", ".join(f"{study} {entry} {minutes[study, stage, entry]:.1f}" for study, stage, entry in idle[:NAMED])
    heads = ["study", "what", "jobs", "processor min", "claims that rest on it"]
    together, unneeded = (sum(minutes[what] for what in some) for some in (order, idle))
    return "\n\n".join(
        [
            f"Two cores have {HOUR} processor minutes in an hour, {total - HOUR:.1f} fewer than this run took.",
            tabulate(rows, heads, tablefmt="github", floatfmt=".1f"),
            f"Of {together:.1f} min, {unneeded:.1f} go to {len(idle)} runs and extractions that only figures use; "
            f"the most expensive are {named}.\n",
        ]
    )


def shown_claims(study: str, names: dict[str, None]) -> str:
    """Claims, those of another study with its name."""
    return ", ".join(name.removeprefix(f"{study} ") for name in names) or "none: figures only"


def behind_claims(plan: Plan, study: Study, results: Path) -> dict[str, set[Key]]:
    """claim → the jobs that its judged tests rest on; all tests, if none of them is judged."""
    asked = study.job("claims", "claims")
    tables = {
        name: Table(kinds.ALL[kind], [results / study.name / "metrics" / f"{name}.parquet"])
        for name, kind in asked.options["kinds"].items()
    }
    parameters = asked.parameters
    planned, trained = parameters["planned"], parameters["trained"]
    judged = claims.results_of(tables, study.name, study.claims, parameters["scale"], planned, trained)
    needed = {}
    for name, (tested, behind) in judged.items():
        tests = study.claims[name].tests
        here = [verdict for verdict in tested if verdict.test in tests and study.scale in tests[verdict.test].scales]
        keys: set[Key] = set()
        for verdict in [verdict for verdict in here if verdict.holds] or here:
            source = tests[verdict.test].source
            resting = behind.get((verdict.test, verdict.group))
            runs = resting.runs if resting else planned[source]
            keys |= made_from(study, source, {study.full_name(run) for run in runs})
        needed[name] = above(plan, keys)
    return needed


def made_from(study: Study, artifact: str, runs: set[str]) -> set[Key]:
    """The training and extraction jobs of these runs that a metric is made from."""
    stage, _, run = artifact.partition(".")
    if stage == "training":
        return {(study.name, stage, name) for name in study.parts(stage, run) if study.full_name(run) in runs}
    if artifact in study.entries["checkpoints"]:
        parts = study.parts("checkpoints", artifact).items()
        return {(study.name, "checkpoints", name) for name, part in parts if study.full_name(part.run) in runs}
    entry = study.entries["metrics"].get(artifact)  # else it is an environment
    return {key for source in (entry.sources if entry else ()) for key in made_from(study, source, runs)}


def above(plan: Plan, keys: set[Key]) -> set[Key]:
    """These jobs, with all that they are made from."""
    reached, waiting = set(), [*keys]
    while waiting:
        key = waiting.pop()
        if key not in reached:
            reached.add(key)
            study, stage, name = key
            home = plan.studies[study]
            files = [file for files in home.inputs(stage, home.part(stage, name)).values() for file in files]
            waiting += [maker(file)[1:] for file in files]
    return reached


def reckoned(laptop: Study, other: Study, results: Path) -> tuple[float, float, float]:
    """Hours of one core for training, for the rest, and together."""
    by_run, by_agent = defaultdict(list), defaultdict(list)
    for job, seconds in timed(laptop, "training", results):
        cost = seconds / work(job)
        by_run[job.options["run"]].append(cost)
        by_agent[agent(job)].append(cost)
    training = 0.0
    for name in other.names("training"):
        job = other.job("training", name)
        costs = by_run.get(job.options["run"]) or by_agent[agent(job)]
        training += work(job) * sum(costs) / len(costs)
    rest = 0.0
    for stage in STAGES:
        if stage == "training":
            continue
        spent = sum(seconds for _, seconds in timed(laptop, stage, results))
        rest += spent * (1 if stage == "figures" else seeds(other) / seeds(laptop))
    return training / 3600, rest / 3600, (training + rest) / 3600


def timed(study: Study, stage: str, results: Path) -> list[tuple[Job, float]]:
    """The jobs of a stage and the processor seconds that each took."""
    files = {name: results / study.name / "benchmarks" / stage / f"{name}.tsv" for name in study.names(stage)}
    return [(study.job(stage, name), pd.read_csv(file, sep="\t")["cpu_time"][0]) for name, file in files.items()]


def work(job: Job) -> float:
    """Seeds times the length of training."""
    return len(job.options["seeds"]) * next(job.parameters[name] for name in WORK if name in job.parameters)


def agent(job: Job) -> str:
    """What a job trains, apart from its task."""
    return f"{job.use}, {job.parameters.get('widths')}"


def seeds(study: Study) -> int:
    return sum(len(study.job("training", name).options["seeds"]) for name in study.names("training"))


if __name__ == "__main__":
    main()
