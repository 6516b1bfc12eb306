"""Trained networks, in one table with the inputs on which they are decomposed."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from agentomy import kinds, networks
from agentomy.environments import sequences as tasks
from agentomy.lenses.behaviour.play import Room
from agentomy.lenses.behaviour.subject import Foreign, Subject
from agentomy.lenses.behaviour.subject import subjects as agents
from agentomy.lenses.inside.beside import met
from agentomy.lenses.snapshots import snapshots, updates_of
from agentomy.networks.foreign.answers import Answers, acting, reached
from agentomy.tables import Table, tensors
from agentomy.values import Count, Natural


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


def of_observations(
    parameters: kinds.common.PARAMETERS,
    episodes: kinds.paths.EPISODES,
    *,
    count: Count = 1000,  # number of inputs at most, equally far apart in what the last snapshot meets
    twins: Natural = 0,  # this many untrained agents in the place of each; 0: the agents themselves
    run,
    streams,
    device,
    progress,
) -> kinds.subnetworks.SUBJECTS:
    """Agents of any library, or their untrained twins, and observations that the trained ones meet.

    What is decomposed is what an agent acts by: logits of its choice (divergence kl), values of actions or the mean of
    a continuous action (mse), and of its tensors those on which that depends. Number t of the twins of seed s is the
    seed s · `twins` + t of the table. Needs: network, stack, observations, seeded
    environment, single frame.
    """

    def pieces() -> Iterator[pa.Table]:
        for _, seed, agent in agents(parameters, device, updates_of(parameters)[-1:]):
            seen = met(agent, Room(episodes), count).observations
            if twins > 1 and not agent.distinct:
                raise ValueError(f"found {twins} twins of an agent that begins at zero, all alike; allowed: twins: 1")
            if not twins:
                yield row(agent, seen, seed)
            for twin in range(twins):
                progress.step(twin, twins, "twins", run)
                yield row(agent.twin(streams.for_seed(seed).entropy(f"twin {twin}")), seen, seed * twins + twin)

    def row(agent: Subject, seen: np.ndarray, seed: int) -> pa.Table:
        network, reading, weights, inputs = answering(agent, seen)
        return kinds.subnetworks.SUBJECTS.table(
            run=run,
            seed=np.array([seed]),
            network=json.dumps(network, sort_keys=True),
            reading=reading,
            shape=json.dumps(inputs.shape[1:]),
            inputs=inputs.reshape(1, -1),
            **weights,
        )

    return pieces()


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


def answering(agent: Subject, seen: np.ndarray) -> tuple[dict[str, Any], str, Mapping[str, np.ndarray], np.ndarray]:
    """What an agent acts by, as a function of weights: (network, reading, weights [1, *shape], inputs [N, *shape])."""
    if not isinstance(agent, Foreign):
        return agent.description, "values", agent.net.arrays(), np.asarray(seen, np.float32)
    stack, net = agent.stack, agent.net
    inputs = net.prepared(stack.seen(seen[None], None)[0][0]).cpu().numpy()
    architecture = acting(stack.of, [*inputs.shape[1:]]).model_dump()
    network = {"use": networks.use(Answers), "architecture": architecture}
    weights = reached(Answers(1, architecture=architecture), stack.arrays(), inputs[:1])
    drawn = "logits" in agent.outputs and agent.distribution
    return network, "foreign_logits" if drawn else "foreign_values", weights, inputs
