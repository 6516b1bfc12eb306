"""Returns that others noted of an agent: `evaluations.npz` of an EvalCallback, and SB3's `monitor.csv` of training."""

import csv
import json
import math
from io import StringIO
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from agentomy.foreign_agents.arrays import read_npz
from agentomy.foreign_agents.files import contents, refused
from agentomy.mistakes import shown

LARGEST = 2**28  # bytes of a monitor file
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


def _number(text: str, path: Path, line: int) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or abs(number) > 1e300:
        raise refused(path, f"line {line}", f"found {shown(text)}; allowed: a number")
    return number
