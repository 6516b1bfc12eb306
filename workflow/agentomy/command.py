"""`agentomy …`: what a person does with results beside `snakemake`.

agentomy explore            a local web page over the results
agentomy import PATTERN --env ID   write a study of agents that another library trained
agentomy lenses [RUN …]     which lens can look at which run, or why not
agentomy claims             the verdicts that are there
agentomy decide [STUDY …]   spend some hours on more seeds for undecided claims
agentomy judge TABLE … CLAIMS.yaml   verdicts over anybody's tables, without a study
agentomy verify [STUDY …]   compare whole files with their records
agentomy adopt FILE …       say that a changed job would make what is there
agentomy pack STUDY         write one archive of a study's results, to be attached to a release
agentomy unpack FILE        put the results of such an archive in their places
agentomy tidy               remove earlier versions of artifacts, and what finished runs have left
"""

import argparse
import math
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

from agentomy.mistakes import ConfigError
from agentomy.pipeline.plan import catalogue, decided, needs
from agentomy.pipeline.plan.config import SCALES, parse_config
from agentomy.pipeline.plan.jobs import maker
from agentomy.pipeline.plan.study import Plan
from agentomy.pipeline.uptodate import records
from agentomy.pipeline.uptodate.states import BEHIND, States
from agentomy.pipeline.uptodate.store import Store
from agentomy.progress import duration
from agentomy.tables import TableError
from agentomy.yaml_files import read_yaml

RESULTS, CONFIG = Path("results"), Path("config.yaml")


def main(given: list[str] | None = None) -> int:
    given = sys.argv[1:] if given is None else given
    sys.stdout.reconfigure(errors="replace")  # a terminal that has no → is told the rest
    if given[:1] == ["explore"]:  # it imports torch, and has options of its own
        from agentomy.explorer import server

        return server.main(given[1:]) or 0
    if given[:1] == ["judge"]:  # it needs no study, and has options of its own
        from agentomy.judge import alone

        return alone.main(given[1:])
    if given[:1] == ["import"]:  # it makes an environment, and has options of its own
        from agentomy.pipeline.plan import importing

        return importing.main(given[1:])
    options = _options(given)
    try:
        return options.run(options) or 0
    except (ConfigError, TableError) as error:
        print(f"agentomy: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("agentomy: stopped", file=sys.stderr)
        return 130


def _options(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("agentomy", description="What a person does with results beside `snakemake`.")
    parts = parser.add_subparsers(required=True, metavar="COMMAND")
    parts.add_parser("explore", help="open a local web page over the results")
    parts.add_parser("judge", help="judge claims about anybody's tables of seeds (docs/verdicts.md)")
    parts.add_parser("import", help="write a study of agents that another library trained (docs/own-agent.md)")
    for name, run, help_ in (
        ("claims", print_claims, "print the verdicts that are there"),
        ("decide", decide, "spend a time on more seeds for undecided claims, cheapest decision first"),
        ("lenses", print_lenses, "print which lens can look at which run, or why not"),
        ("verify", verify, "compare whole files with the records of their making"),
        ("adopt", adopt, "say that a changed job would make just what is there"),
        ("pack", pack, "write one archive of a study's results (docs/pack.md)"),
        ("tidy", tidy, "remove earlier versions of artifacts, and what finished runs have left"),
    ):
        part = parts.add_parser(name, help=help_)
        part.set_defaults(run=run)
        part.add_argument("--scale", choices=SCALES, help="which results; by default that of config.yaml")
        if name == "pack":
            part.add_argument("study", metavar="STUDY")
            part.add_argument("-o", dest="file", type=Path, metavar="FILE", help="by default STUDY-SCALE.zip")
            part.add_argument(
                "--parameters",
                type=_snapshots,
                default="all",
                metavar="WHICH",
                help="snapshots of networks: all, last, none, or so many of each seed",
            )
            part.add_argument(
                "--extractions", choices=["all", "none"], default="all", help="what was read off networks"
            )
        if name == "decide":
            part.add_argument("--hours", type=_hours, default=1.0, metavar="H", help="how long; by default one hour")
            part.add_argument("--cores", type=_cores, default=_cores("all"), metavar="N", help="by default all")
            part.add_argument("--dry-run", action="store_true", help="only print the plan and what it costs")
        if name in ("claims", "decide", "verify"):
            part.add_argument("studies", nargs="*", metavar="STUDY", help="by default those of config.yaml")
        if name == "lenses":
            part.add_argument("runs", nargs="*", metavar="RUN", help="RUN or STUDY.RUN; by default imported ones")
        if name == "adopt":
            part.add_argument("files", nargs="+", metavar="FILE", help="artifacts, results/SCALE/STUDY/…")
    part = parts.add_parser("unpack", help="put the results of a pack in their places, to be used without training")
    part.set_defaults(run=unpack)
    part.add_argument("file", type=Path, metavar="FILE", help="a pack")
    part.add_argument("--replace", action="store_true", help="put it in the place of what was made otherwise")
    return parser.parse_args(given)


def _snapshots(text: str) -> str:
    if text in ("all", "last", "none") or (text.isdecimal() and text.isascii() and 0 < int(text) < 10**6):
        return text
    raise argparse.ArgumentTypeError(f"found {text!r}; allowed: all, last, none, or a number of snapshots")


def planned(options: argparse.Namespace) -> Plan:
    """The plan of config.yaml, at the scale and of the studies that are asked for."""
    config = parse_config(read_yaml(CONFIG)).model_dump()
    config |= {"scale": options.scale} if options.scale else {}
    config |= {"studies": options.studies} if getattr(options, "studies", None) else {}
    return Plan(decided.added(config))


def _hours(text: str) -> float:
    with suppress(ValueError):
        if 0 < (hours := float(text)) < math.inf:
            return hours
    raise argparse.ArgumentTypeError(f"found {text!r}; allowed: a number of hours, more than 0")


def _cores(text: str) -> int:
    if text == "all":
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"found {text!r}; allowed: a whole number from 1 on, or all")


def decide(options: argparse.Namespace) -> int:
    """Give undecided claims more seeds as long as there is time; how is said in `pipeline/decide/`."""
    from agentomy.pipeline.decide import rounds

    return rounds.main(options.scale, options.studies, options.hours, options.cores, options.dry_run)


def print_claims(options: argparse.Namespace) -> None:
    """The verdicts of the studies that have any; says of the others, and of those out of date, how to make them."""
    from agentomy import claims
    from agentomy.pipeline.decide.outlook import times

    plan = planned(options)
    states = _states(plan)
    seconds: dict[str, dict[str, float]] = {study.name: {} for study in plan.chosen}
    fits = [name for name in seconds if states[name, "claims", "claims"].fits]
    with suppress(TableError):  # of a metric; the verdicts are there
        for claim, cost in times(plan, fits).items():
            study_name, _, number = claim.partition(".")
            seconds[study_name][number] = cost
    for study in plan.chosen:
        key = (study.name, "claims", "claims")
        path, state = study.job(*key[1:]).outputs[0], states[key]
        command = f"snakemake --cores all {study.name} --config scale={plan.config.scale}"
        if not Path(path).exists():
            print(f"\n{study.name}: not judged yet; to do so: {command}")
            continue
        records.compare(Path(path))
        claims.show(path, {claim: f"{duration(cost)} of one core" for claim, cost in seconds[study.name].items()})
        if not state.fits:
            why = "what they are judged on is" if state.is_ == BEHIND else "they are"
            print(f"\n{study.name}: {why} out of date ({state.why}); to judge anew: {command}")


def print_lenses(options: argparse.Namespace) -> None:
    """Say which lenses can look at each run, and why others can't."""
    plan = planned(options)
    runs = [(study, run) for study in plan.studies.values() for run in study.entries["training"]]
    every = {f"{study.name}.{run}": (study, run) for study, run in runs}
    asked = options.runs or [name for name, (study, run) in every.items() if study.signature("training", run).series]
    allowed = f"RUN or STUDY.RUN, such as {next(iter(every), 'maze.region-2')}"
    if not asked:
        raise ConfigError("lenses", "", f"found no run that was trained elsewhere; allowed: {allowed}")
    for name in asked:
        full_names = [full_name for full_name in every if name in (full_name, full_name.partition(".")[2])]
        if not full_names:
            raise ConfigError("lenses", name, f"found no such run; allowed: {allowed}")
        for full_name in full_names:
            study, run = every[full_name]
            missing = study.lacks(run)
            print(f"\n{full_name}")
            for use, needed in catalogue.lenses(study.source):
                print(f"  {use:44} {needs.lacking(needed, missing) or 'runs'}")


def verify(options: argparse.Namespace) -> int:
    """Read every byte of every artifact that has a record; says which are not what was made."""
    plan = planned(options)
    wrong, seen, made_on = 0, 0, Counter()
    for record in _records(plan):
        for file, output in record.there.items():
            seen += 1
            made_on[record.processor] += 1
            if problem := _problem(file, output.content):
                wrong += 1
                print(f"{file}: {problem}")
    print(f"{seen} files, {wrong} of them not what was made")
    for kind, count in made_on.items() if made_on.keys() - {records.processor()} else ():
        print(f"{count} made on {kind or 'a processor that is not known'}; this is {records.processor()}")
    return 1 if wrong else 0


def adopt(options: argparse.Namespace) -> None:
    """Give the record of each file the job as it is planned now; outputs and inputs have to be those of the record."""
    plan = planned(options)
    for file in options.files:
        try:
            scale, study, stage, name = maker(file)
            job = plan.studies[study].job(stage, name)
        except (KeyError, ValueError):
            raise ConfigError(
                "adopt", file, "no artifact of a study; allowed: results/SCALE/STUDY/STAGE/FILE"
            ) from None
        if scale != plan.config.scale:
            raise ConfigError("adopt", file, f"of another scale than {plan.config.scale}; allowed: --scale {scale}")
        record = records.read(job.record)
        if record is None:
            raise ConfigError("adopt", file, "has no record of how it was made; run snakemake")
        if record.digest == job.digest():
            print(f"{file}: is as it was planned")
            continue
        for path in job.outputs:
            if path not in record.outputs:
                raise ConfigError("adopt", path, "is not in its record; run snakemake")
            if path in record.there and (problem := _problem(path, record.there[path].content)):
                raise ConfigError("adopt", path, f"{problem}; run snakemake")
        if record.inputs != records.content_of(job.files):
            raise ConfigError("adopt", file, "its inputs are not those that it was made from; run snakemake")
        why = records.difference(record.job, asdict(job))
        job_now = records.as_recorded(job)
        adopted = replace(record, job=job_now, digest=job.digest(), adopted=record.adopted or record.digest)
        records.write(job.record, adopted)
        Store(job.record, plan.config.versions).put(adopted)
        print(f"{file}: adopted ({why})")


def pack(options: argparse.Namespace) -> None:
    """Write the pack of a study."""
    from agentomy.pipeline.packs import pack

    plan = planned(argparse.Namespace(scale=options.scale, studies=[options.study]))
    out = options.file or Path(f"{options.study}-{plan.config.scale}.zip")
    choice = pack.Choice(options.parameters, options.extractions)
    print(*pack.pack(plan, options.study, out, choice), sep="\n")


def unpack(options: argparse.Namespace) -> None:
    """Put the jobs of a pack in their places."""
    from agentomy.pipeline.packs import unpack

    said = unpack.unpack(options.file, lambda scale: planned(argparse.Namespace(scale=scale)), options.replace)
    print(*said, sep="\n")


def tidy(options: argparse.Namespace) -> None:
    """Remove the stores, and restart files of runs whose records are in place."""
    freed = 0
    for folder in RESULTS.glob(f"{options.scale or '*'}/*"):
        leftovers = [folder / ".store"]
        for restart in folder.glob("training/.restart/*"):
            if (folder / ".made" / "training" / f"{restart.name}.json").exists():
                leftovers.append(restart)
        for leftover in filter(Path.exists, leftovers):
            # what has other names stays on the disk
            states = [path.lstat() for path in leftover.rglob("*") if path.is_file()]
            freed += sum(state.st_size for state in states if state.st_nlink == 1)
            shutil.rmtree(leftover, ignore_errors=True)
    print(f"{freed / 2**20:.0f} MB are free again")


def _states(plan: Plan) -> States:
    return States(lambda key: plan.studies[key[0]].job(*key[1:]))


def _records(plan: Plan) -> Iterator[records.Record]:
    for study in plan.chosen:
        for path in sorted(Path(study.folder, ".made").rglob("*.json")):
            if record := records.read(path):
                yield record


def _problem(file: str, content: str) -> str:
    """What is wrong with a file that should have this content; empty if nothing is."""
    try:
        return "" if records.fingerprint(file).content == content else "is not what was made"
    except FileNotFoundError:
        return "is missing"
    except (OSError, TableError) as error:
        return f"cannot be read ({error})"


if __name__ == "__main__":
    sys.exit(main())
