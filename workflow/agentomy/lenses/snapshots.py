"""Networks brought back from the snapshots of a training run."""

from collections.abc import Container, Iterator

import pyarrow as pa

from agentomy import networks
from agentomy.lenses.rows import UNTRAINED
from agentomy.tables import Table, tensors


def revived(parameters: Table, device: str, updates: Container[int] | None = None) -> Iterator[tuple]:
    """(update, seeds [S], the stack of networks) of every snapshot, or of those at `updates`, one at a time."""
    description = parameters.description.network
    for rows in snapshots(parameters):
        update, seeds = rows["update"][0].as_py(), rows["seed"].to_numpy()
        if updates is None or update in updates:
            yield update, seeds, networks.build(description, len(seeds), device).load(tensors(rows))


def snapshots(parameters: Table, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """The rows of each snapshot, all seeds: those of a run may lie in several files, one a stack of seeds."""
    files = [Table(parameters.kind, [path]) for path in parameters.paths] or [parameters]
    for rows in zip(*(file.groups(columns) for file in files), strict=True):
        yield pa.concat_tables(rows).replace_schema_metadata(None)


def updates_of(parameters: Table) -> list[int]:
    return sorted(set(parameters.values("update").tolist()))


def first_and_last(parameters: Table, device: str) -> dict[str, tuple]:
    """The untrained and the trained stack, each with its seeds."""
    last = int(parameters.values("update").max())
    names = {UNTRAINED: "untrained", last: "trained"}
    return {names[update]: (seeds, stack) for update, seeds, stack in revived(parameters, device, names)}
