"""Trained networks, in one table with the inputs on which they are decomposed."""

import json

import numpy as np
import pyarrow as pa

from agentomy import kinds
from agentomy.environments import sequences as tasks
from agentomy.lenses.snapshots import snapshots
from agentomy.tables import Table, tensors
from agentomy.values import Count


def of_points(
    parameters: kinds.common.PARAMETERS, points: kinds.subnetworks.POINTS, *, run
) -> kinds.subnetworks.SUBJECTS:
    """Toy models and fresh points."""
    yield subjects(parameters, points.where(split="decomposed").array("inputs")[None], "values", run)


def of_sequences(
    parameters: kinds.common.PARAMETERS,
    sequences: kinds.bayes.SEQUENCES,
    *,
    count: Count,  # number of inputs
    steps: Count,  # observations in an input
    trained: bool = True,
    run,
    streams,
) -> kinds.subnetworks.SUBJECTS:
    """Predictors, trained or not, and the first observations of fresh episodes, the same for all seeds."""
    task = tasks.task(sequences.description)
    observed = task.sample(streams.numpy("episodes"), count, steps)[1]
    # the first step is empty, as in every episode
    fed = tasks.previous(task.encode(np.pad(observed, ((0, 0), (0, 1)))))
    yield subjects(parameters, fed[None], "prediction", run, trained)


def subjects(parameters: Table, inputs: np.ndarray, reading: str, run: str, trained: bool = True) -> pa.Table:
    """The networks of a run, at its end or before it learned, with inputs [S, samples, *shape]; S may be 1, for all."""
    chosen = list(snapshots(parameters))[-1 if trained else 0]
    seeds = chosen["seed"].to_numpy()
    return kinds.subnetworks.SUBJECTS.table(
        run=run,
        seed=seeds,
        network=json.dumps(parameters.description.network, sort_keys=True),
        reading=reading,
        shape=json.dumps(inputs.shape[2:]),
        inputs=np.broadcast_to(inputs.reshape(len(inputs), -1), (len(seeds), inputs[0].size)),
        **tensors(chosen),
    )
