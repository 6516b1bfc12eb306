"""What the agents of a run are called, and which of its snapshots they are."""

from collections.abc import Sequence

import numpy as np

from agentomy.kinds.maze import AGENTS
from agentomy.lenses import rows
from agentomy.selection import select
from agentomy.tables import Table

TRAINED, UNTRAINED, RANDOM = AGENTS
NETWORKS = ("run", "seed", "update")  # these columns say which network a row is about
START, NO_NETWORK = rows.UNTRAINED, -1  # the updates of an untrained network, and of an agent that is not a network


def names_of(updates: Sequence[int]) -> np.ndarray:
    """The names of agents [N] from the updates of their snapshots [N]."""
    updates = np.asarray(updates)
    return np.select([updates == START, updates == NO_NETWORK], [UNTRAINED, RANDOM], TRAINED)


def end_updates(updates: Sequence[int]) -> list[int]:
    """The updates of the untrained and the trained network, from those of all snapshots of a run."""
    return sorted({START, int(max(updates))})


def rows_of_agent(table: Table, agent: str) -> Table:
    """The rows of one run's trained or untrained networks, or of the random policy."""
    if agent == TRAINED:
        return table.where(update=int(table.values("update").max()))
    return select(table, update=START if agent == UNTRAINED else NO_NETWORK)
