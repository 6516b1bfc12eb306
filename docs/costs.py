"""Writes into docs/performance.md what a laptop run cost, by its jobs' benchmarks, and what a workstation's would.

A training job costs as much a seed and unit of work (updates, epochs, samples of a budget) as the laptop's jobs of the
same run did; a run that a laptop has not costs what those of the same agent and networks did. An extraction or a metric
costs in proportion to its seeds, and a figure what it did.
"""

import argparse
import re
from collections import defaultdict
from pathlib import Path

import pandas as pd
import yaml
from tabulate import tabulate

from agentomy.pipeline.plan.jobs import Job
from agentomy.pipeline.plan.study import Plan, Study
from agentomy.pipeline.plan.study_file import STAGES

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/performance.md"
WORK = ("updates", "epochs", "total_budget")


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
