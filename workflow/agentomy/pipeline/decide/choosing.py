"""Which open claims are given more seeds in a given time: arithmetic on what there is, without files.

Runs are named STUDY.RUN, claims STUDY.CLAIM, jobs (study, stage, name). A claim is raised from look to look. Its price
is the time until it is likely to be decided, and the cheapest comes first: what another claim has paid for is free.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

Key = tuple[str, str, str]  # of a job: study, stage, name
Seeds = Mapping[str, int]  # run → how many seeds it has
ROUND = 0.25  # of the time that is left: with how much of it claims are raised before they are judged again


@dataclass(frozen=True)
class Open:
    """A claim that more seeds may decide."""

    name: str
    steps: tuple[Seeds, ...]  # at each coming look, up to that which is likely to decide it, the seeds that it takes
    need: str  # in the judge's words


@dataclass(frozen=True)
class Work:
    """The jobs that seeds take, and how long such jobs took before, in seconds of one core."""

    seeds: Seeds  # that runs have now
    timed: Seeds  # that they had when jobs which read them all were timed
    stacks: Mapping[str, Mapping[int, frozenset[Key]]]  # run → first seed of a stack → the jobs of that stack
    behind: Mapping[str, frozenset[Key]]  # run → the jobs that are made anew once it has more seeds
    needs: Mapping[Key, frozenset[Key]]  # job → the jobs that it waits for
    seconds: Mapping[Key, float]  # of jobs, or jobs like them, that were done before
    waiting: frozenset[Key] = frozenset()  # jobs that have to be done anyway
    there: frozenset[Key] = frozenset()  # jobs of more seeds that are done: they were chosen before
    at_end: frozenset[Key] = frozenset()  # jobs that no claim waits for: done once, when all rounds are
    cores: int = 1

    def jobs(self, seeds: Seeds) -> frozenset[Key]:
        """What has to be done for so many seeds."""
        raised = [run for run, number in seeds.items() if number > self.seeds[run]]
        new = {
            key
            for run in raised
            for first, keys in self.stacks[run].items()
            if self.seeds[run] <= first < seeds[run]
            for key in keys - self.there
        }
        return frozenset(new.union(self.waiting, *(self.behind[run] for run in raised)))

    def price(self, seeds: Seeds, but: frozenset[Key] = frozenset()) -> float:
        """How long so many seeds take one core, as far as it is known; the jobs in `but` do not count."""
        return sum(self._seconds(key, seeds) for key in self.jobs(seeds) - but)

    def time(self, seeds: Seeds, but: frozenset[Key] = frozenset()) -> float:
        """How long they take all cores: a chain of jobs cannot be shared among them."""
        ends: dict[Key, float] = {}
        jobs = self.jobs(seeds) - but

        def end(key: Key) -> float:
            if key not in ends:
                above = [end(needed) for needed in self.needs.get(key, ()) if needed in jobs]
                ends[key] = self._seconds(key, seeds) + max(above, default=0.0)
            return ends[key]

        return max([self.price(seeds, but) / self.cores, *map(end, jobs)])

    def unknown(self, seeds: Seeds) -> int:
        """How many of the jobs were never timed."""
        return sum(key not in self.seconds for key in self.jobs(seeds))

    def _seconds(self, key: Key, seeds: Seeds) -> float:
        """A job that reads all seeds of some runs takes longer the more there are."""
        runs, known = self._runs_of.get(key, ()), self.seconds.get(key, 0.0)
        before = sum(self.timed[run] for run in runs)
        return known * sum(max(seeds.get(run, 0), self.seeds[run]) for run in runs) / before if before else known

    @cached_property
    def _runs_of(self) -> dict[Key, list[str]]:
        runs: dict[Key, list[str]] = {}
        for run, keys in self.behind.items():
            for key in keys:
                runs.setdefault(key, []).append(run)
        return runs


@dataclass(frozen=True)
class Outlook:
    """What is open, what it would take, and what is passed over."""

    work: Work
    open: Sequence[Open]
    passed: Mapping[str, str] = field(default_factory=dict)  # claim → why no seeds are spent on it
    claims: int = 0  # how many claims there are
    failed: Collection[Key] = ()  # jobs that have failed: the claims that need them are closed


@dataclass(frozen=True)
class Choice:
    """A claim that is raised to its next look."""

    claim: Open
    jobs: int  # beyond those of the choices before it
    seconds: float  # of all cores, together with the choices before it

    @property
    def seeds(self) -> int:
        return max(self.claim.steps[0].values())


@dataclass(frozen=True)
class Round:
    """Claims that are raised together, and the seeds that this takes."""

    choices: tuple[Choice, ...]
    seeds: Seeds
    seconds: float  # with what has to be done anyway


def together(*several: Seeds) -> dict[str, int]:
    """Run → the largest number of seeds that any of these gives it."""
    most: dict[str, int] = {}
    for seeds in several:
        for run, number in seeds.items():
            most[run] = max(number, most.get(run, 0))
    return most


def closed(outlook: Outlook) -> dict[str, Key]:
    """The claims whose next look needs a job that has failed, each with that job."""
    failed_jobs = {}
    for claim in outlook.open:
        if failed := outlook.work.jobs(claim.steps[0]).intersection(outlook.failed):
            failed_jobs[claim.name] = min(failed)
    return failed_jobs


def choose(outlook: Outlook, left: float) -> Round:
    """The claims to raise next, in so many seconds of all cores."""
    work, seeds = outlook.work, dict(outlook.work.seeds)
    shut = closed(outlook)
    waiting = {claim.name: claim for claim in outlook.open if claim.name not in shut}
    choices, spent = [], work.time(seeds)
    enough = spent + ROUND * (left - spent)
    while waiting:
        claim = min(waiting.values(), key=partial(_order, work, seeds, work.unknown(seeds)))
        del waiting[claim.name]
        wanted = together(seeds, claim.steps[0])
        seconds = work.time(wanted)
        if seconds > left:
            continue
        choices.append(Choice(claim, len(work.jobs(wanted) - work.jobs(seeds)), seconds))
        seeds = wanted
        if seconds > enough:
            break
    return Round(tuple(choices), seeds, work.time(seeds))


def _order(work: Work, seeds: Seeds, unknown: int, claim: Open) -> tuple[bool, float, str]:
    """Claims whose price is known come first, cheap ones before dear ones; beside what was chosen already."""
    decided = together(seeds, claim.steps[-1])
    return work.unknown(decided) > unknown, work.price(decided), claim.name


def foreseen(outlook: Outlook, left: float) -> Iterator[Round]:
    """The rounds that there would be if each claim were decided by as many seeds as it seems to need."""
    while (next_round := choose(outlook, left)).choices:
        yield next_round
        work = outlook.work
        left -= work.time(next_round.seeds, but=work.at_end)
        raised = {choice.claim.name for choice in next_round.choices}
        still = [
            replace(claim, steps=claim.steps[1:]) if claim.name in raised else claim
            for claim in outlook.open
            if claim.name not in raised or len(claim.steps) > 1
        ]
        waiting = work.jobs(next_round.seeds) & work.at_end
        outlook = replace(
            outlook, work=replace(work, seeds=together(work.seeds, next_round.seeds), waiting=waiting), open=still
        )
