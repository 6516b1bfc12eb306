"""What a person reads of `agentomy decide`."""

from collections.abc import Iterable, Mapping

from agentomy.pipeline.decide.choosing import Choice, Key, Outlook, Round, closed, foreseen
from agentomy.progress import duration

SHOWN = 3  # runs of a claim that are named


def plan(outlook: Outlook, left: float) -> str:
    """All that would be done in so many seconds, what it costs, and what is left aside."""
    rounds = [*foreseen(outlook, left)]
    lines = [f"{_undecided(outlook)}; {duration(left)} on {_counted(outlook.work.cores, 'core')}"]
    if waiting := outlook.work.waiting:
        lines.append(f"  {_counted(len(waiting), 'job')} to be done anyway: about {duration(outlook.work.time({}))}")
    for number, one_round in enumerate(rounds, 1):
        sure = "" if number == 1 else ", if claims are decided by as many seeds as they seem to need"
        lines += [f"  round {number}{sure}:", *map(_chosen, one_round.choices)]
    untimed = {key for one_round in rounds for key in outlook.work.jobs(one_round.seeds)} - outlook.work.seconds.keys()
    if untimed:
        lines.append(f"  never timed here, so they count as nothing: {_some(map(said, sorted(untimed)))}")
    claims = {choice.claim.name for one_round in rounds for choice in one_round.choices}
    return "\n".join([*lines, *_aside(outlook, claims)])


def chosen(outlook: Outlook, this_round: Round, left: float) -> str:
    """What one round does."""
    return "\n".join([f"{_undecided(outlook)}; {duration(left)} left; now:", *map(_chosen, this_round.choices)])


def end(outlook: Outlook, left: float) -> str:
    """What is left when nothing more can be chosen."""
    over = f"{duration(left)} left" if left >= 0 else f"{duration(-left)} over the time"
    return "\n".join([f"{_undecided(outlook)}; {over}", *_aside(outlook, set())])


def _undecided(outlook: Outlook) -> str:
    return f"{len(outlook.open) + len(outlook.passed)} of {outlook.claims} claims are undecided"


def _aside(outlook: Outlook, chosen: set[str]) -> list[str]:
    """The open claims that get no seeds, and why."""
    shut = closed(outlook)
    names = [claim.name for claim in outlook.open if claim.name not in {*chosen, *shut}]
    lines = [f"  the time is too short for: {', '.join(names)}"] if names else []
    lines += [f"  closed: {claim}, since {said(job)} failed" for claim, job in shut.items()]
    by_reason: dict[str, list[str]] = {}
    for claim, why in outlook.passed.items():
        by_reason.setdefault(why, []).append(claim)
    return lines + [f"  passed over, {why}: {', '.join(names)}" for why, names in by_reason.items()]


def _chosen(choice: Choice) -> str:
    runs = _some(sorted(choice.claim.steps[0]))
    jobs = _counted(choice.jobs, "more job")
    return (
        f"    {choice.claim.name} to {choice.seeds} seeds ({choice.claim.need}): {jobs}, "
        f"{duration(choice.seconds)} in all; {runs}"
    )


def reasons(failed: Mapping[str, str]) -> str:
    return "\n".join(f"failed, so the claims that need it are closed: {job}: {why}" for job, why in failed.items())


def said(job: Key) -> str:
    return " ".join(job)


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:SHOWN]) + (f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else "")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
