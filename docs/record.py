"""Keeps the verdicts of a run beside the pages, which show them whether its results are still there or not.

    python docs/record.py results/workstation --commit 0123456 --date 2026-01-31 --machine 'eight cores'

A run is called by its scale, and with `-decided` behind it if `agentomy decide` has added seeds. A study may have been
run in part: a claim is judged only if all its tests at this scale have their tables, with all runs that they name.
"""

import argparse
from pathlib import Path

import pandas as pd
import runs
import yaml

from agentomy import claims, kinds
from agentomy.mistakes import ConfigError, validated
from agentomy.pipeline.plan.decided import Decided
from agentomy.pipeline.plan.entries import Claim, ClaimTest
from agentomy.pipeline.plan.jobs import maker
from agentomy.pipeline.plan.study import Plan, Study
from agentomy.pipeline.report.scoreboard import processor_time
from agentomy.pipeline.uptodate import records
from agentomy.tables import Table
from agentomy.yaml_files import read_yaml

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("results", type=Path, help="a scale's folder, such as results/laptop")
    for name in ("commit", "date", "machine"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--note", default="", help="what else is to be known, such as what was run of a study")
    given = parser.parse_args()
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    run = recorded(given.results, config, given.commit, given.date, given.machine, given.note)
    runs.write(run)
    print(f"docs/runs/{run.name}.csv: {len(run.claims)} claims")


def recorded(results: Path, config: dict, commit: str, date: str, machine: str, note: str) -> runs.Run:
    """What is kept of a run, by its results."""
    plain = Plan(config | {"scale": results.name})
    decided = results / "decided.yaml"
    chosen = validated(Decided, read_yaml(decided), decided, "") if decided.exists() else Decided()
    plan = plain.with_seeds(chosen.seeds)
    there = [study for study in plan.chosen if (results / study.name).is_dir()]
    return runs.Run(
        name=runs.name_of(results.name, chosen.seeds),
        scale=results.name,
        commit=commit,
        date=date,
        machine=machine,
        note=note,
        verdicts=pd.concat([verdicts(study, results / study.name) for study in there]),
        seconds={study.name: round(processor_time(results / study.name) or 0.0, 1) for study in there},
        seeds={run: [_seeds(plain, run), _seeds(plan, run)] for run in sorted(chosen.seeds)},
        failed=chosen.failed,
        added={study.name: new for study in there if (new := added(plain.studies[study.name], study, results))[0]},
    )


def _seeds(plan: Plan, run: str) -> int:
    study, _, name = run.partition(".")
    return plan.studies[study].seeds(name)


def added(plain: Study, study: Study, results: Path) -> list[float]:
    """How many jobs the added seeds took, and their processor seconds; what reads all seeds is not among them."""
    seconds = []
    for stage in ("training", "checkpoints"):
        for name in sorted({*study.names(stage)} - {*plain.names(stage)}):
            benchmark = results / study.name / "benchmarks" / stage / f"{name}.tsv"
            if benchmark.exists():
                seconds.append(float(pd.read_csv(benchmark, sep="\t")["cpu_time"][0]))
    return [len(seconds), round(sum(seconds), 1)]


# ---- verdicts ----------------------------------------------------------------------------------------------------


def verdicts(study: Study, folder: Path) -> pd.DataFrame:
    """Those on a study's claims and their tests; if it was run in part, on those claims whose tables are there."""
    path = folder / "claims.parquet"
    frame = Table(kinds.common.CLAIMS, [path]).frame() if path.exists() else None
    if frame is not None:
        return frame[[*runs.COLUMNS]]
    parts = [part for name in study.claims if (part := of_claim(study, name, folder)) is not None]
    return pd.concat(parts)[[*runs.COLUMNS]] if parts else pd.DataFrame(columns=[*runs.COLUMNS])


def of_claim(study: Study, name: str, folder: Path) -> pd.DataFrame | None:
    """The verdict on a claim of a study that was run in part, or the tests that were; None if none was."""
    claim = study.claims[name]
    here = {test: written for test, written in claim.tests.items() if study.scale in written.scales}
    there = [test for test in here if _has_tables(study, name, test, folder)]
    if here and not there:
        return None
    nowhere = {test: written.model_copy(update={"scales": []}) for test, written in here.items() if test not in there}
    rows = _judged(study, name, claim.model_copy(update={"tests": {**claim.tests, **nowhere}}), folder)
    if not any(written.holds for written in nowhere.values()):
        return rows
    rows = rows[(rows["test"] == "") | rows["test"].isin([test for test in there if here[test].holds])]
    whole = rows["test"] == ""
    counts = {name: rows[name].mask(whole, 0) for name in ("n", "there")}
    return rows.assign(verdict=rows["verdict"].mask(whole, runs.IN_PART), **counts)


def _has_tables(study: Study, name: str, test: str, folder: Path) -> bool:
    """Whether a test can be made as it is meant: on a metric of all runs of the study, or at least of all it names."""
    claim = study.claims[name]
    written = claim.tests[test]
    if not (folder / "metrics" / f"{written.source}.parquet").exists():
        return False
    if not _as_planned(study, written.source, folder) and not _named(study, written, folder):
        return False
    try:
        _judged(study, name, claim.model_copy(update={"tests": {test: written}}), folder)
    except ConfigError:  # there are no such rows
        return False
    return True


def _as_planned(study: Study, metric: str, folder: Path) -> bool:
    """Whether a metric was made of the tables and with the parameters that the study gives it, as its record says."""
    record = records.read(folder / ".made" / "metrics" / f"{metric}.json")
    job = study.job("metrics", metric)
    planned = records.as_recorded(job)
    if record is None or any(record.job[key] != planned[key] for key in ("inputs", "parameters")):
        return False
    sources = [maker(file)[2:] for file in job.files]
    return all(_as_planned(study, name, folder) for stage, name in sources if stage == "metrics")


def _named(study: Study, written: ClaimTest, folder: Path) -> bool:
    """Whether a metric has all runs that a test names; one that names none is meant of all."""
    frame = _metrics(study, folder)[written.source].frame()
    return "run" in written.where and {*written.where["run"]} <= {*frame["run"]}


def _metrics(study: Study, folder: Path) -> dict[str, Table]:
    """Those metrics of a study's claims that were made."""
    return {
        metric: Table(kinds.ALL[kind], [path])
        for metric, kind in study.job("claims", "claims").options["kinds"].items()
        if (path := folder / "metrics" / f"{metric}.parquet").exists()
    }


def _judged(study: Study, name: str, claim: Claim, folder: Path) -> pd.DataFrame:
    asked = study.job("claims", "claims").parameters
    verdicts = claims.judged(
        _metrics(study, folder), study.name, {name: claim}, study.scale, asked["planned"], asked["trained"]
    )
    return verdicts.to_pandas()


if __name__ == "__main__":
    main()
