"""Trained and untrained agents: the one place that says which snapshots of a run these are."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from agentomy.kinds.maze import AGENTS
from agentomy.selection import select
from agentomy.tables import Table

TRAINED, UNTRAINED, RANDOM = AGENTS
NETWORKS = ("run", "seed", "update")  # these columns say which network a row is about
START, NO_NETWORK = 0, -1  # the updates of an untrained network, and of an agent that is not a network


def names_of(updates: Sequence[int]) -> np.ndarray:
    """The names of agents [N] from the updates of their snapshots [N]."""
    updates = np.asarray(updates)
    return np.select([updates == START, updates == NO_NETWORK], [UNTRAINED, RANDOM], TRAINED)


def end_updates(updates: Sequence[int]) -> list[int]:
    """The updates of the untrained and the trained network, from those of all snapshots of a run."""
    return sorted({START, int(max(updates))})


def at_ends(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of each run's untrained and trained networks, with a column `agent`."""
    last = frame.groupby("run")["update"].transform("max")
    chosen = frame[(frame["update"] == START) | (frame["update"] == last)]
    return chosen.assign(agent=names_of(chosen["update"]))


def at(rows: Table, agent: str) -> Table:
    """The rows of one run's trained or untrained networks, or of the random policy."""
    if agent == TRAINED:
        return rows.where(update=int(rows.values("update").max()))
    return select(rows, update=START if agent == UNTRAINED else NO_NETWORK)
