"""What is open at a scale and what more seeds would take: from the plan, the metrics, and how long jobs took before."""

import math
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from agentomy import claims, kinds
from agentomy.judge.power import NOT_BY_SEEDS, seeds_of
from agentomy.judge.results import UNDECIDED, Result
from agentomy.pipeline.decide.choosing import Key, Open, Outlook, Seeds, Work, together
from agentomy.pipeline.plan.jobs import maker, record_of
from agentomy.pipeline.plan.study import Plan, Study
from agentomy.pipeline.plan.wiring import Part
from agentomy.pipeline.uptodate import records
from agentomy.pipeline.uptodate.session import seconds_of
from agentomy.tables import Table

BEHIND = ("metrics", "figures", "claims")  # stages whose jobs read all seeds of a run


def judged_before(study: Study) -> bool:
    """Whether a study's claims were ever judged at this scale: Snakemake removes verdicts before it makes new ones."""
    return any(map(Path.exists, map(Path, [f"{study.folder}/claims.parquet", study.benchmark("claims", "claims")])))


def outlook(plan: Plan, asked: Collection[str], waiting: Iterable[Key], failed: Iterable[Key], cores: int) -> Outlook:
    """What is open in the studies that are asked for; `waiting` are jobs that have to be done anyway."""
    open_claims, passed, count = [], {}, 0
    for study in plan.chosen:
        if study.name in asked:
            open_here, passed_here, number = _claims(plan, study)
            open_claims, passed, count = open_claims + open_here, passed | passed_here, count + number
    all_steps = together(*(step for claim in open_claims for step in claim.steps))
    work = _work(plan, plan.with_seeds(all_steps), all_steps, frozenset(waiting), cores)
    return Outlook(work, open_claims, passed, count, tuple(failed))


def times(plan: Plan, studies: Collection[str]) -> dict[str, float]:
    """claim → the seconds of one core until it is likely to be decided, where all such jobs were timed before."""
    if not studies:
        return {}
    current = outlook(plan, studies, (), (), 1)
    decided = {claim.name: claim.steps[-1] for claim in current.open}
    return {name: current.work.price(seeds) for name, seeds in decided.items() if not current.work.unknown(seeds)}


def _claims(plan: Plan, study: Study) -> tuple[list[Open], dict[str, str], int]:
    """The open claims of a study, those that are passed over, each with the reason, and how many there are."""
    job = study.job("claims", "claims")
    asked = job.parameters
    for file in job.files:
        records.compare(Path(file))
    metrics = {name: Table(kinds.ALL[job.options["kinds"][name]], files) for name, files in job.inputs.items()}
    open_claims, passed = [], {}
    judged = claims.results_of(metrics, study.name, study.claims, asked["scale"], asked["planned"], asked["trained"])
    for name, (results, behind) in judged.items():
        if results[0].verdict != UNDECIDED:
            continue
        title = f"{study.name}.{name}"
        steps, why = _steps(plan, study, study.claims[name], results, behind)
        if why:
            passed[title] = why
        else:
            open_claims.append(Open(title, steps, results[0].needs))
    return open_claims, passed, len(judged)


def _steps(plan: Plan, study: Study, claim, results: list[Result], behind) -> tuple[tuple[Seeds, ...], str]:
    """The seeds of a claim's coming looks; or why seeds do nothing for it."""
    whole, *tests = results
    if whole.needs in ("", NOT_BY_SEEDS):
        return (), ", ".join(filter(None, [NOT_BY_SEEDS, whole.words]))
    open_ = [result for result in tests if result.verdict == UNDECIDED and (result.test, result.group) in behind]
    deciding = [result for result in open_ if ", ".join(filter(None, [result.test, result.group])) == whole.group]
    if deciding and _seems_to_fail(claim.tests[deciding[0].test], deciding[0]):
        open_ = deciding  # one that fails is enough
    coming = []
    for result in open_:
        rests = behind[result.test, result.group]
        looks = [look.seeds for look in rests.looks if look.seeds > result.n]
        last = seeds_of(result.needs) or min(looks, default=0)
        coming.append([dict.fromkeys(rests.runs, look) for look in looks if look <= last])
    length = max(map(len, coming), default=0)
    steps = []
    for number in range(length):
        at_look = (of_test[min(number, len(of_test) - 1)] for of_test in coming if of_test)
        wanted = together(*at_look)
        seeds = raised(plan, {study.full_name(run): number for run, number in wanted.items()})
        if fixed := {run: by for run in seeds if (by := _fixed(plan, run))}:
            run, by = min(fixed.items())
            return (), f"{by} says how many seeds {run} has"
        if seeds and (not steps or seeds != steps[-1]):
            steps.append(seeds)
    return tuple(steps), "" if steps else f"all seeds of its next look are there ({whole.words or whole.verdict})"


def _seems_to_fail(test, result: Result) -> bool:
    return not test.premise and math.isfinite(result.value) and not test.threshold.met(result.value)


def _fixed(plan: Plan, run: str) -> str:
    study, _, name = run.partition(".")
    return plan.studies[study].given_by(name)


def raised(plan: Plan, wanted: Seeds) -> dict[str, int]:
    """The runs that get more seeds, in whole stacks, if these have at least so many; also what they learn from."""
    larger: dict[str, int] = {}
    waiting = list(wanted.items())
    while waiting:
        run, number = waiting.pop()
        study, _, name = run.partition(".")
        home = plan.studies[study]
        size = home.stack(name)
        whole = -(-number // size) * size
        if whole <= larger.get(run, home.seeds(name)):
            continue
        larger[run] = whole
        if source := home.entries["training"][name].learns_from:
            parts = home.parts("checkpoints", source).values()
            waiting += [(home.full_name(part.run), whole) for part in parts if part.seeds]
    return larger


def _work(plan: Plan, larger: Plan, steps: Seeds, waiting: frozenset[Key], cores: int) -> Work:
    """The jobs that these seeds would take, with all that is behind them in studies that were made here."""
    parts: dict[Key, tuple[Study, Part | None]] = {}
    needs: dict[Key, frozenset[Key]] = {}
    ours = [study for study in larger.chosen if judged_before(study)]
    stack = [key for study in ours for key in study.keys]
    while stack:
        key = stack.pop()
        if key not in needs:
            home = larger.studies[key[0]]
            needs[key] = frozenset(maker(file)[1:] for file in _files(home, key))
            parts[key] = home, home.part(*key[1:])
            stack += needs[key]
    stacks: dict[str, dict[int, frozenset[Key]]] = {run: {} for run in steps}
    for key, (home, part) in parts.items():
        run = home.full_name(part.run) if part and part.run else ""
        if run in steps and part.seeds:
            first = part.seeds[0]
            stacks[run][first] = stacks[run].get(first, frozenset()) | {key}
    seeds = {run: plan.studies[run.partition(".")[0]].seeds(run.partition(".")[2]) for run in steps}
    new = {
        key
        for run, by_first in stacks.items()
        for first, keys in by_first.items()
        if first >= seeds[run]
        for key in keys
    }
    return Work(
        seeds=seeds,
        timed=seeds,
        stacks=stacks,
        behind=_behind(stacks, needs),
        needs=needs,
        seconds=_seconds(parts),
        waiting=waiting,
        there=frozenset(key for key in new if Path(_record(larger, key)).exists()),
        at_end=_at_end(needs),
        cores=cores,
    )


def _files(home: Study, key: Key) -> list[str]:
    """What a job reads; unlike `Job.files` without a look at its code."""
    _, stage, name = key
    if stage == "claims":
        return home.job(stage, name).files
    return [file for files in home.inputs(stage, home.part(stage, name)).values() for file in files]


def _record(plan: Plan, key: Key) -> str:
    study, stage, name = key
    return record_of(plan.studies[study].file(stage, name, "log" if stage == "training" else ""))


def _behind(stacks: Mapping[str, Mapping[int, frozenset[Key]]], needs: Mapping[Key, frozenset[Key]]):
    """run → the jobs that read all its seeds, themselves or in what was made of them."""
    readers: dict[Key, set[Key]] = {}
    for key, above in needs.items():
        for source in above:
            readers.setdefault(source, set()).add(key)
    behind = {}
    for run, by_first in stacks.items():
        waiting, reached = [key for keys in by_first.values() for key in keys], set()
        while waiting:
            for key in readers.get(waiting.pop(), ()):
                if key[1] in BEHIND and key not in reached:
                    reached.add(key)
                    waiting.append(key)
        behind[run] = frozenset(reached)
    return behind


def _at_end(needs: Mapping[Key, frozenset[Key]]) -> frozenset[Key]:
    """The jobs that no claims need."""
    waiting, needed = [key for key in needs if key[1] == "claims"], set()
    while waiting:
        key = waiting.pop()
        if key not in needed:
            needed.add(key)
            waiting += needs[key]
    return frozenset(needs.keys() - needed)


def _seconds(parts: Mapping[Key, tuple[Study, Part | None]]) -> dict[Key, float]:
    """How long jobs took; a job that was never timed gets the mean of the other stacks of its run."""
    measured = {key: seconds_of(home.benchmark(*key[1:])) for key, (home, _) in parts.items()}
    like: dict[tuple[str, ...], list[float]] = {}
    for key, (_, part) in parts.items():
        if part and measured[key] is not None:
            like.setdefault((*key[:2], part.entry, part.run), []).append(measured[key])
    for key, (_, part) in parts.items():
        alike = like.get((*key[:2], part.entry, part.run)) if part else None
        if measured[key] is None and alike:
            measured[key] = sum(alike) / len(alike)
    return {key: seconds for key, seconds in measured.items() if seconds is not None}
