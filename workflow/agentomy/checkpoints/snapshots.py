"""Networks brought back from the snapshots of a training run."""

from collections.abc import Container, Iterator

from agentomy import networks
from agentomy.tables import Table


def revived(parameters: Table, device: str, updates: Container[int] | None = None) -> Iterator[tuple]:
    """(update, seeds [S], the stack of networks) of every snapshot, or of those at `updates`, one at a time."""
    description = parameters.source["network"]
    for rows in parameters.groups():
        update, seeds = rows["update"][0].as_py(), rows["seed"].to_numpy()
        if updates is None or update in updates:
            tensors = rows.drop_columns(["seed", "update"])
            arrays = {name: tensors[name].combine_chunks().to_numpy_ndarray() for name in tensors.column_names}
            yield update, seeds, networks.build(description, len(seeds), device).load(arrays)


def first_and_last(parameters: Table, device: str) -> dict[str, tuple]:
    """The untrained and the trained stack, each with its seeds."""
    last = int(parameters.values("update").max())
    names = {0: "untrained", last: "trained"}
    return {names[update]: (seeds, stack) for update, seeds, stack in revived(parameters, device, names)}
