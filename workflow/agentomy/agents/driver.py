"""The one loop that trains every agent: snapshots, log, restart files, stop signals, progress.

Snapshots are written as they come, one small file each, and put together at the end; so memory stays bounded and
a run that was killed goes on from its last restart file to the same bytes as an unbroken one.
"""

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa

from agentomy import kinds, tables
from agentomy.agents import restart
from agentomy.agents.protocol import Agent
from agentomy.progress import Progress

STATE = "state.safetensors"
LOG_POINTS = 100
# A restart file is written about every second, but seldom enough to take at most this share of the time.
SAVE_PAUSE, SAVE_SHARE = 1.0, 0.02


class Stopped(Exception):
    """Training was asked to stop; its restart file is in place."""


def train(
    make: Callable[[], Agent],
    run: str,
    seeds: list[int],
    schedule: dict,
    folder: Path,
    fingerprint: str,
    progress: Progress,
) -> tuple[Iterator[pa.Table], pa.Table]:
    """Train an agent to its end, from its restart file if there is a fitting one.

    Returns the snapshots (`kinds.PARAMETERS`, one piece a snapshot) and the log (`kinds.LOG`).
    """
    agent = make()
    due = snapshot_updates(agent.updates, **schedule)
    wanted = set(due)
    log = Log(agent.updates, run, seeds)
    update = 0
    state = restart.load(folder / STATE, fingerprint)
    if state is not None and _all_whole(folder, [each for each in due if each < state["update"]]):
        update = state["update"]
        agent.restore(state["agent"])
        log.restore(state["log"])
        progress.say(f"goes on from update {update}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)

    def save() -> float:
        """Write the restart file; returns when the next one is due (which has no influence on any result)."""
        began = time.monotonic()
        state = {"update": update, "agent": agent.state(), "log": log.state()}
        restart.save(folder / STATE, state, fingerprint)
        now = time.monotonic()
        return now + max(SAVE_PAUSE, (now - began) / SAVE_SHARE)

    save_at = time.monotonic() + SAVE_PAUSE
    with stop_signals() as stopping:
        while True:
            if update in wanted:
                piece = kinds.PARAMETERS.table(seed=np.array(seeds), update=update, **agent.parameters())
                tables.write(_snapshot(folder, update), kinds.PARAMETERS, piece)
            if update == agent.updates:
                break
            log.add(agent.advance())
            update += 1
            progress.step(update, agent.updates, "updates", log.latest)
            if stopping or time.monotonic() > save_at:
                save_at = save()
            if stopping:
                raise Stopped(f"stopped at update {update} of {agent.updates}; run again to go on")
        save()
    snapshots = (piece for each in due for piece in tables.Table(kinds.PARAMETERS, [_snapshot(folder, each)]).groups())
    return snapshots, log.table()


def snapshot_updates(updates: int, log: int = 0, even: int = 0, every: int | None = None) -> list[int]:
    """When to take snapshots: at 0, the end, `log` log-spaced and `even` evenly spaced updates, and each `every`-th."""
    points = [0, updates, *np.geomspace(updates, 1, max(log - 1, 0)), *np.linspace(0, updates, even)]
    points += range(0, updates, every) if every else []
    return sorted({round(float(point)) for point in points})


def _all_whole(folder: Path, updates: list[int]) -> bool:
    """Whether all these snapshots are there to be put together at the end."""
    try:
        return len(tables.Table(kinds.PARAMETERS, [_snapshot(folder, each) for each in updates])) >= len(updates)
    except tables.TableError:
        return False


def clear(folder: Path) -> None:
    """Remove what a finished run needs no more; the restart file first, so that half of this leaves a fresh start."""
    (folder / STATE).unlink(missing_ok=True)
    shutil.rmtree(folder)


def _snapshot(folder: Path, update: int) -> Path:
    return folder / f"snapshot-{update:09d}.parquet"


class Log:
    """Means of what training reports, at about a hundred evenly spaced points."""

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
        return kinds.LOG.table(run=self.run, **{name: np.array(values) for name, values in columns.items()})

    def state(self) -> dict:
        return {"update": self.update, "sums": self.sums, "rows": self.rows}

    def restore(self, state: dict) -> None:
        self.update, self.sums, self.rows = state["update"], state["sums"], state["rows"]


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying from them, so that a state can be saved first."""
    received: list[int] = []
    handled = (signal.SIGINT, signal.SIGTERM)
    before = {each: signal.signal(each, lambda number, frame: received.append(number)) for each in handled}
    try:
        yield received
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
