"""Networks brought back from the snapshots of a training run."""

from collections.abc import Iterator

import numpy as np

from agentomy import networks
from agentomy.tables import Table


def revived(parameters: Table, device: str) -> Iterator[tuple[int, np.ndarray, "object"]]:
    """(update, seeds [S], the stack of networks) of every snapshot, one at a time."""
    description = parameters.source["network"]
    for rows in parameters.groups():
        seeds = rows["seed"].to_numpy()
        arrays = {
            name: rows[name].combine_chunks().to_numpy_ndarray() for name in rows.column_names[2:]
        }  # after seed and update
        yield rows["update"][0].as_py(), seeds, networks.build(description, len(seeds), device).load(arrays)


def first_and_last(parameters: Table, device: str) -> dict[str, tuple[np.ndarray, "object"]]:
    """The untrained and the trained stack, each with its seeds."""
    found = {}
    for update, seeds, stack in revived(parameters, device):
        if update == 0:
            found["untrained"] = seeds, stack
        found["trained"] = seeds, stack
    return found
