"""Spends a time on open claims, round by round: raise seeds, run Snakemake, judge.

Everything that a round depends on is on the disk: results, records, and the file of what was decided. So whatever is
killed at whatever moment, the same command goes on. A job that fails with more seeds takes its round back: its claims
are closed by name, and no look is ever made at the seeds that are left.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType

from agentomy.mistakes import ConfigError
from agentomy.pipeline.decide import telling
from agentomy.pipeline.decide.choosing import Key, Outlook, choose
from agentomy.pipeline.decide.outlook import judged_before, outlook
from agentomy.pipeline.plan import decided
from agentomy.pipeline.plan.config import parse_config
from agentomy.pipeline.plan.decided import Decided
from agentomy.pipeline.plan.study import Plan
from agentomy.pipeline.uptodate.states import States
from agentomy.yaml_files import read_yaml

CONFIG = Path("config.yaml")
DONE, FAILED, STOPPED = 0, 1, 130
STOPS = "stopped"  # how the last line of a job begins that was told to stop


class Rounds:
    """The rounds of one call; `plan` reads the plan as it is now, `snakemake` makes targets and returns its status."""

    def __init__(
        self,
        plan: Callable[[], Plan],
        asked: Collection[str],
        snakemake: Callable[[list[str]], int],
        cores: int,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ):
        self.plan, self.asked, self.snakemake = plan, asked, snakemake
        self.cores, self.say, self.clock = cores, say, clock

    def look(self, plan: Plan) -> Outlook:
        """What is open by results that are up to date."""
        waiting = [key for key, state in _states(plan, [study.keys for study in plan.chosen if judged_before(study)])]
        failed = [tuple(job.split(" ", 2)) for job in decided.read(plan.config.scale).failed]
        return outlook(plan, self.asked, waiting, failed, self.cores)

    def unjudged(self, plan: Plan) -> list[Key]:
        """The jobs that verdicts of the studies wait for."""
        return [key for key, _ in _states(plan, [[(name, "claims", "claims")] for name in self.asked])]

    def spend(self, seconds: float) -> int:
        """Raise claims as long as there is time; returns an exit status."""
        began, first = self.clock(), True
        while True:
            plan = self.plan()
            scale, left = plan.config.scale, seconds - (self.clock() - began)
            if todo := self.unjudged(plan):
                self.say(f"{len(todo)} jobs until the claims are judged")
                if status := self._judge(plan, todo):
                    return status
                continue
            was = decided.read(scale)
            if was.before is not None:
                decided.write(scale, was.model_copy(update={"before": None}))
            current = self.look(plan)
            chosen = choose(current, left)
            if first:
                self.say(telling.plan(current, left))
            elif chosen.choices:
                self.say(telling.chosen(current, chosen, left))
            else:
                self.say(telling.end(current, left))
            first = False
            if not chosen.choices:
                return self._finish(plan)
            raised = {run: number for run, number in chosen.seeds.items() if number > current.work.seeds[run]}
            decided.write(scale, was.model_copy(update={"seeds": {**was.seeds, **raised}, "before": was.seeds}))

    def _judge(self, plan: Plan, todo: list[Key]) -> int:
        """Run what verdicts wait for; if a job fails the round is taken back."""
        logs = {key: _written(plan, key) for key in todo}
        status = self.snakemake([plan.studies[name].job("claims", "claims").outputs[0] for name in self.asked])
        if status == STOPPED:
            return STOPPED
        left = set(self.unjudged(again := self.plan()))
        if not left:
            return DONE
        needs = States(lambda key: again.studies[key[0]].job(*key[1:])).needs
        ready = [key for key in sorted(left) if left.isdisjoint(needs(again.studies[key[0]].job(*key[1:])))]
        failed = {key: _last_line(again, key) for key in ready if _written(again, key) != logs.get(key)}
        if not failed:
            self.say(f"Snakemake ended with status {status} before {telling.said(min(ready))} began; its lines say why")
            return FAILED
        if any(why.startswith(STOPS) for why in failed.values()):
            return STOPPED
        reasons = {telling.said(key): why for key, why in failed.items()}
        was = decided.read(plan.config.scale)
        if was.before is None or reasons.keys() <= was.failed.keys():
            self.say("\n".join(f"failed, and not because of more seeds: {job}: {why}" for job, why in reasons.items()))
            return FAILED
        self.say(telling.reasons(reasons))
        taken_back = Decided(seeds=was.before, failed={**was.failed, **reasons})
        decided.write(plan.config.scale, taken_back)
        return DONE

    def _finish(self, plan: Plan) -> int:
        """Figures, and other studies that take in raised runs: then a plain `snakemake` has nothing to do."""
        names = [study.name for study in plan.chosen if judged_before(study) and _states(plan, [study.keys])]
        return self.snakemake(names) if names else DONE


def main(scale: str | None, studies: list[str], hours: float, cores: int, dry_run: bool) -> int:
    """Spend hours on the studies' open claims; by default on those of config.yaml that were made at the scale."""

    def read() -> Plan:
        config = parse_config(read_yaml(CONFIG)).model_dump()
        config |= {"scale": scale} if scale else {}
        config["studies"] = [*dict.fromkeys([*config["studies"], *studies])]
        return Plan(decided.added(config))

    def say(text: str) -> None:
        print(f"agentomy: {text}", flush=True)

    plan = read()
    there = [study.name for study in plan.chosen if judged_before(study)]
    asked = studies or there
    if missing := [name for name in asked if name not in there] or ([] if there else plan.config.studies):
        command = f"snakemake --cores {cores} {' '.join(missing)} --config scale={plan.config.scale}"
        raise ConfigError("decide", ", ".join(missing), f"no claims were judged yet; to do so: {command}")
    if plan.left_out:
        say(decided.ignored(plan.config.scale, plan.left_out))
    rounds = Rounds(read, asked, partial(snakemake, plan.config.scale, cores), cores, say)
    if dry_run:
        if todo := rounds.unjudged(plan):
            names = " ".join(asked)
            say(f"{len(todo)} jobs until the claims are judged, which come first; then this says what follows: {names}")
            return DONE
        say(telling.plan(rounds.look(plan), 3600 * hours))
        return DONE
    with alone(plan.config.scale):
        try:
            status = rounds.spend(3600 * hours)
        except KeyboardInterrupt:  # between two Snakemakes
            status = STOPPED
    if status == STOPPED:
        say("stopped; the same command goes on")
    return status


@contextmanager
def alone(scale: str) -> Iterator[None]:
    """Two at once would each take back what the other chose."""
    path = decided.place(scale).with_name(".decide.lock")
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError("decide", scale, "another one is at work here; allowed: one at a time") from None
        yield


def snakemake(scale: str, cores: int, targets: list[str]) -> int:
    """Make targets; a signal to stop reaches Snakemake, which tells its jobs, and is waited for."""
    python = Path(sys.executable)
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--keep-going", *targets]
    path = f"{python.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    stopped = []
    with subprocess.Popen([*command, "--config", f"scale={scale}"], env={**os.environ, "PATH": path}) as process:

        def stop(number: int, frame: FrameType | None) -> None:
            stopped.append(number)
            if number != signal.SIGINT:  # which a terminal sends to Snakemake too
                process.send_signal(number)

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            status = process.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    return STOPPED if stopped else status


def _states(plan: Plan, keys: list[list[Key]]) -> list[tuple[Key, object]]:
    """The jobs that do not fit, among these and all that they need."""
    states = States(lambda key: plan.studies[key[0]].job(*key[1:]))
    for group in keys:
        for key in group:
            states[key]
    return [(key, state) for key, state in states.known().items() if not state.fits]


def _log(plan: Plan, key: Key) -> Path:
    study, stage, name = key
    return Path(plan.studies[study].folder, "logs", f"{stage if stage == 'claims' else f'{stage}/{name}'}.log")


def _written(plan: Plan, key: Key) -> int | None:
    """When a job last wrote to its log."""
    with suppress(OSError):
        return os.stat(_log(plan, key)).st_mtime_ns
    return None


def _last_line(plan: Plan, key: Key) -> str:
    """What a job said last, without its name."""
    try:
        lines = _log(plan, key).read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        lines = []
    said = next((line for line in reversed(lines) if line.strip()), "it said nothing")
    return "".join(character for character in said.rpartition(" · ")[2] if character.isprintable())
