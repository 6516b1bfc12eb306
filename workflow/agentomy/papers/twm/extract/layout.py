"""What a training run learns, tensor by tensor."""

import json
from math import prod

from agentomy import kinds
from agentomy.lenses.snapshots import snapshots
from agentomy.tables import tensors


def tensors_of(parameters: kinds.common.PARAMETERS, *, run) -> kinds.twm.LAYOUT:
    """Names, shapes and sizes of each seed's tensors, in the network's order."""
    first = next(snapshots(parameters))
    shapes = {name: array.shape[1:] for name, array in tensors(first).items()}
    for seed in first["seed"].to_pylist():
        yield kinds.twm.LAYOUT.table(
            run=run,
            seed=seed,
            network=json.dumps(parameters.description.network, sort_keys=True),
            tensor=list(shapes),
            shape=[json.dumps(shape) for shape in shapes.values()],
            size=[prod(shape) for shape in shapes.values()],
        )
