"""What a training run learns, tensor by tensor."""

import json
from math import prod

from agentomy import kinds
from agentomy.checkpoints.snapshots import snapshots
from agentomy.tables import tensors


def tensors_of(parameters: kinds.PARAMETERS, *, run) -> kinds.LAYOUT:
    """Names, shapes and sizes of one seed's tensors, in the network's order."""
    shapes = {name: array.shape[1:] for name, array in tensors(next(snapshots(parameters))).items()}
    yield kinds.LAYOUT.table(
        run=run,
        network=json.dumps(parameters.description.network, sort_keys=True),
        tensor=list(shapes),
        shape=[json.dumps(shape) for shape in shapes.values()],
        size=[prod(shape) for shape in shapes.values()],
    )
