"""Reckons what a scale costs from the benchmarks of a laptop run, and writes it into docs/performance.md.

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

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/performance.md"
WORK = ("updates", "epochs", "total_budget")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="results of scale laptop, such as results/laptop")
    parser.add_argument("--scale", default="workstation")
    for name in ("commit", "date", "machine"):
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args()
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    laptop, other = (Plan(config | {"scale": scale}) for scale in ("laptop", given.scale))
    rows = [
        (study.name, len(study.keys), *reckoned(laptop.studies[study.name], study, given.results))
        for study in other.chosen
    ]
    rows.append(("together", *(sum(column) for column in zip(*(row[1:] for row in rows), strict=True))))
    table = tabulate(
        rows, headers=["study", "jobs", "training, h", "the rest, h"], tablefmt="github", floatfmt=".1f", intfmt=","
    )
    source = f"By the jobs of commit `{given.commit}`, {given.date}, {given.machine}; hours of one core."
    page = PAGE.read_text(encoding="utf-8")
    text = rf"\1{source}\n\n{table}\n\2"
    PAGE.write_text(re.sub(r"(<!-- reckoning -->\n).*?(<!-- end -->)", text, page, flags=re.DOTALL), encoding="utf-8")


def reckoned(laptop: Study, other: Study, results: Path) -> tuple[float, float]:
    """Hours of one core for training, and for the rest."""
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
    for stage in ("environments", "checkpoints", "metrics", "figures"):
        spent = sum(seconds for _, seconds in timed(laptop, stage, results))
        rest += spent * (1 if stage == "figures" else seeds(other) / seeds(laptop))
    return training / 3600, rest / 3600


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
