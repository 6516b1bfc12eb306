"""Returns that others noted of an agent: `evaluations.npz` of an EvalCallback, and SB3's `monitor.csv` of training."""

import csv
import json
import math
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from agentomy.foreign_agents.arrays import read_npz
from agentomy.foreign_agents.files import contents, refused
from agentomy.mistakes import shown

LARGEST = 2**26  # bytes of a monitor file: millions of episodes
LONGEST = 10**8  # steps of an episode
FILES, EPISODES = 4096, 10**7  # of one run, which has a file for each of its environments
COLUMNS = ("r", "l", "t")


class Evaluations(BaseModel):
    """Evaluations along training: returns and lengths [times, episodes] at steps [times] of the environment.

    The file does not say whether actions were the best or drawn: whoever compares states it.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    steps: np.ndarray
    returns: np.ndarray
    lengths: np.ndarray | None


class Monitor(BaseModel):
    """Episodes of training, by an exploring policy that changes: returns, lengths, seconds since the start [episodes].

    environment: the id, where the file says one.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    environment: str | None
    returns: np.ndarray
    lengths: np.ndarray
    seconds: np.ndarray


def read_evaluations(path: Path) -> Evaluations:
    """`evaluations.npz` as stable_baselines3/common/callbacks.py, EvalCallback, writes it."""
    arrays = read_npz(path)
    for name in ("timesteps", "results"):
        if name not in arrays:
            raise refused(path, name, f"missing; found: {', '.join(sorted(arrays)[:6]) or 'nothing'}")
    steps, returns, lengths = arrays["timesteps"], arrays["results"], arrays.get("ep_lengths")
    for name, array, dimensions in (("timesteps", steps, 1), ("results", returns, 2), ("ep_lengths", lengths, 2)):
        if array is None:
            continue
        if array.ndim != dimensions or len(array) != len(steps) or not np.isfinite(array).all():
            raise refused(path, name, f"found the shape {list(array.shape)}; allowed: one row for each of {len(steps)}")
    if (np.diff(steps) <= 0).any():
        raise refused(path, "timesteps", "found times out of order; allowed: each later than the one before")
    return Evaluations(steps=steps, returns=returns, lengths=lengths)


def read_monitor(path: Path) -> Monitor:
    """A `monitor.csv`: a line of JSON after #, the names r, l, t, …, a line an episode."""
    try:
        text = contents(path, LARGEST).decode("utf-8")
    except UnicodeDecodeError:
        raise refused(path, "", "found bytes that are no UTF-8; allowed: text in UTF-8") from None
    first, _, rest = text.partition("\n")
    try:
        said = json.loads(first.removeprefix("#")) if first.startswith("#") else None
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise refused(path, "line 1", f"found {shown(first)}; allowed: # and the JSON of SB3's Monitor")
    rows = csv.reader(StringIO(rest))
    try:
        names = next(rows, [])
        if not {*COLUMNS} <= {*names}:
            raise refused(path, "line 2", f"found the columns {', '.join(names)[:60]}; allowed: r, l, t and others")
        places = [names.index(name) for name in COLUMNS]
        values = []
        for number, row in enumerate(rows, start=3):
            if len(row) < len(names):
                if rest.endswith("\n") or next(rows, None) is not None:
                    raise refused(path, f"line {number}", f"found {len(row)} cells; allowed: {len(names)}")
                break  # the run was cut off while it wrote
            values.append([_number(row[place], path, number) for place in places])
            if not (1 <= values[-1][1] <= LONGEST and values[-1][1].is_integer()):
                raise refused(path, f"line {number}", f"found {values[-1][1]:g} steps; allowed: 1 to {LONGEST}")
    except csv.Error as error:
        raise refused(path, "", f"broken ({error})") from None
    columns = np.array(values, np.float64).reshape(-1, 3).T
    environment = said.get("env_id")
    return Monitor(
        environment=environment if isinstance(environment, str) else None,
        returns=columns[0],
        lengths=columns[1].astype(np.int64),
        seconds=columns[2],
    )


class Monitored(BaseModel):
    """Episodes of training of all environments: returns, and the run's steps when each ended [episodes], in order.

    last: steps at the end of the last whole episode.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    steps: np.ndarray
    returns: np.ndarray
    last: int

    def ended(self, after: int, until: int) -> np.ndarray:
        """Returns of the episodes that ended after one step and not later than another."""
        return self.returns[(self.steps > after) & (self.steps <= until)]


def read_monitors(paths: Sequence[Path], skip: int = 1) -> Monitored:
    """The monitor files of a run's environments, which step together: a step of each is one of the run for each file.

    `skip` is how many steps a file counts for one of the agent, 4 where AtariWrapper leaves out frames around Monitor.
    """
    if len(paths) > FILES:
        raise refused(paths[0].parent, "", f"found {len(paths)} monitor files; allowed: at most {FILES}")
    files: list[Monitor] = []
    for path in paths:
        files.append(read_monitor(path))
        if sum(len(file.returns) for file in files) > EPISODES:
            raise refused(path, "", f"found more than {EPISODES} episodes in it and others; allowed: at most that")
    steps = [file.lengths.cumsum() * len(files) // skip for file in files]
    every = np.concatenate(steps)
    order = np.argsort(every, kind="stable")
    returns = np.concatenate([file.returns for file in files])[order]
    last = max((int(steps_of_file[-1]) for steps_of_file in steps if len(steps_of_file)), default=0)
    return Monitored(steps=every[order], returns=returns, last=last)


def _number(text: str, path: Path, line: int) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or abs(number) > 1e300:
        raise refused(path, f"line {line}", f"found {shown(text)}; allowed: a number")
    return number
