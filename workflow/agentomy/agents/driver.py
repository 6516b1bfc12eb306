"""The one loop that trains every agent: snapshots, log, restart files, stop signals, progress.

Each snapshot is written at once to a small file, and these are joined at the end. So memory stays bounded, and a run
that was killed goes on from its last restart file to the same bytes as an uninterrupted run.
"""

import hashlib
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from agentomy import kinds, tables
from agentomy.agents import restart
from agentomy.agents.protocol import Agent, Stopped
from agentomy.progress import Progress

STATE = "state.safetensors"
LOG_POINTS = 100
# A restart file is written about every second, but takes at most this share of the time.
SAVE_PAUSE, SAVE_SHARE = 1.0, 0.02


# a snapshot is a piece of the run's parameters, whose description stands for all of them
SNAPSHOT = replace(kinds.common.PARAMETERS, description=None)


class Diverged(Exception):
    """Training met a number that is not finite: that seed is no agent any more, and no artifact is made."""


def train(
    make: Callable[[], Agent],
    run: str,
    seeds: list[int],
    schedule: dict,
    folder: Path,
    fingerprint: str,
    progress: Progress,
) -> tuple[Iterator[pa.Table], pa.Table]:
    """Train an agent to its end, from its restart file if there is one that fits.

    Returns the snapshots (`kinds.common.PARAMETERS`, one piece a snapshot) and the log (`kinds.common.LOG`). Raises
    `Diverged` at the first number that is not finite: in what an update reports, or in the parameters that are kept.
    """
    agent = make()
    due = snapshot_updates(agent.updates, **schedule)
    wanted = set(due)
    log = Log(agent.updates, run, seeds)
    update, written = 0, {}  # snapshots so far, each with a digest of its file
    try:
        state = restart.load(folder / STATE, fingerprint)
        if state is not None:
            for snapshot in due:
                if snapshot < state["update"]:
                    _check_snapshot(folder, state["snapshots"], snapshot)
            agent.restore(state["agent"])
            log.restore(state["log"])
            update, written = state["update"], state["snapshots"]
            progress.say(f"goes on from update {update}")
    except (restart.Unusable, tables.BrokenTable) as error:
        progress.say(f"begins anew: {error}")
        state = None
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        progress.say(f"begins anew: its restart file holds no state of this agent ({error!r})")
        state, agent, log = None, make(), Log(agent.updates, run, seeds)  # this agent may be half restored
    if state is None:
        shutil.rmtree(folder, ignore_errors=True)

    def save() -> float:
        """Write the restart file; returns when the next one is due (which has no influence on any result)."""
        began = time.monotonic()
        check_finite(agent.parameters(), seeds, update)  # else there would be nothing to go on from
        state = {"update": update, "agent": agent.state(), "log": log.state(), "snapshots": written}
        restart.save(folder / STATE, state, fingerprint)
        now = time.monotonic()
        return now + max(SAVE_PAUSE, (now - began) / SAVE_SHARE)

    save_at = time.monotonic() + SAVE_PAUSE
    with stop_signals() as stopping:
        while True:
            if update in wanted:
                parameters = agent.parameters()
                check_finite(parameters, seeds, update)
                piece = SNAPSHOT.table(seed=np.array(seeds), update=update, **parameters)
                tables.write(_snapshot(folder, update), SNAPSHOT, piece)
                written[update] = _digest(_snapshot(folder, update))
            if update == agent.updates:
                break
            record = agent.advance()
            update += 1
            check_finite(record, seeds, update)
            log.add(record)
            progress.step(update, agent.updates, "updates", log.latest)
            if stopping or time.monotonic() > save_at:
                save_at = save()
            if stopping:
                raise Stopped(f"stopped at update {update} of {agent.updates}; run again to go on")
        save()
    return _put_together(folder, written, due), log.table()


def snapshot_updates(updates: int, log: int = 0, even: int = 0, every: int | None = None) -> list[int]:
    """When to take snapshots: at 0, the end, `log` log-spaced and `even` evenly spaced updates, and each `every`-th."""
    points = [0, updates, *np.geomspace(updates, 1, max(log - 1, 0)), *np.linspace(0, updates, even)]
    points += range(0, updates, every) if every else []
    return sorted({round(float(point)) for point in points})


def check_finite(values: Mapping[str, np.ndarray], seeds: list[int], update: int) -> None:
    """Raise `Diverged` if one of these arrays [seeds, ...] holds a number that is not finite."""
    for name, array in values.items():
        finite = np.isfinite(array)
        if not finite.all():
            seed = int(np.argwhere(~finite)[0][0])
            raise Diverged(f"seed {seeds[seed]} diverged at update {update}: {name} is not finite")


def _check_snapshot(folder: Path, written: dict[int, str], update: int) -> None:
    """Raise `BrokenTable` unless this snapshot exists as it was written."""
    path = _snapshot(folder, update)
    try:
        if _digest(path) != written[update]:
            raise tables.BrokenTable(path, "its content is not what was written")
    except OSError as error:
        raise tables.BrokenTable(path, f"cannot be read: {error.strerror}") from None


def _put_together(folder: Path, written: dict[int, str], due: list[int]) -> Iterator[pa.Table]:
    for update in due:
        _check_snapshot(folder, written, update)
        yield from tables.Table(SNAPSHOT, [_snapshot(folder, update)]).groups()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def clear(folder: Path) -> None:
    """Remove what a finished run no longer needs: the restart file first, so that a run killed here starts afresh."""
    (folder / STATE).unlink(missing_ok=True)
    shutil.rmtree(folder)


def _snapshot(folder: Path, update: int) -> Path:
    return folder / f"snapshot-{update:09d}.parquet"


class Log:
    """Means of the numbers that training reports, at about a hundred evenly spaced points."""

    def __init__(self, updates: int, run: str, seeds: list[int]):
        self.every, self.run, self.seeds = max(1, updates // LOG_POINTS), run, seeds
        self.update, self.sums, self.rows = 0, {}, []
        self.latest = ""

    def add(self, record) -> None:
        self.update += 1
        for quantity, values in record.items():
            self.sums[quantity] = self.sums.get(quantity, 0.0) + np.asarray(values, dtype=np.float64)
        if self.update % self.every == 0:
            means = {quantity: total / self.every for quantity, total in self.sums.items()}
            self.rows += [[self.update, quantity, mean.tolist()] for quantity, mean in means.items()]
            self.sums = {}
            self.latest = " · ".join(f"{quantity} {mean.mean():.4g}" for quantity, mean in means.items())

    def table(self) -> pa.Table:
        cells = [
            (seed, update, quantity, value)
            for update, quantity, values in self.rows
            for seed, value in zip(self.seeds, values, strict=True)
        ]
        seed, update, quantity, value = zip(*cells, strict=True)
        columns = {"seed": seed, "update": update, "quantity": quantity, "value": value}
        return kinds.common.LOG.table(run=self.run, **{name: np.array(values) for name, values in columns.items()})

    def state(self) -> dict:
        return {"update": self.update, "sums": self.sums, "rows": self.rows}

    def restore(self, state: dict) -> None:
        self.update, self.sums, self.rows = state["update"], state["sums"], state["rows"]


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of ending, so that the state can be saved first."""
    received: list[int] = []

    def receive(number: int, frame: object) -> None:
        received.append(number)

    before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
