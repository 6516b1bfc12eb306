"""Maps between the states of a network and those of the Bayes-optimal agent (section 6.3).

R→B maps the network's state (h, c) to the sufficient statistics, B→R the other way. Each is fitted on training
episodes and evaluated on fresh ones, by a perceptron and, as a stricter yardstick, by a linear map; for trained
networks and for untrained ones alike.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pyarrow as pa
import torch

from agentomy import kinds, networks
from agentomy.papers.bayes.extract import regressor
from agentomy.papers.bayes.extract.machines import Bandit, Prediction, driven, read, stacks
from agentomy.values import Count, Fraction


def of_predictors(
    parameters: kinds.common.PARAMETERS,
    sequences: kinds.bayes.SEQUENCES,
    *,
    train_episodes: Count,
    test_episodes: Count,
    fit_steps: Count,
    keep_states: bool = False,
    run,
    streams,
    device,
) -> kinds.bayes.MAPS:
    """Maps between predictors and the Bayes-optimal one, fitted side by side for all agents and seeds."""
    episodes = train_episodes, test_episodes
    return _maps(Prediction(sequences), parameters, episodes, fit_steps, keep_states, run, streams, device)


def of_bandits(
    parameters: kinds.common.PARAMETERS,
    bandits: kinds.bayes.BANDITS,
    *,
    train_episodes: Count,
    test_episodes: Count,
    fit_steps: Count,
    discount: Fraction,
    drive: Literal["gittins", "network"],
    keep_states: bool = False,
    run,
    streams,
    device,
) -> kinds.bayes.MAPS:
    """Maps between bandit agents and the Gittins agent; statistics are rounded before the look-up.

    `drive` says who pulls the arms: "gittins", or "network" where each network plays its own sampled policy.
    """
    episodes = train_episodes, test_episodes
    return _maps(Bandit(bandits, discount, drive), parameters, episodes, fit_steps, keep_states, run, streams, device)


def _maps(machines, parameters, episodes, fit_steps, keep_states, run, streams, device) -> Iterator[pa.Table]:
    agents = stacks(parameters, streams, device)
    subjects = [(agent, seed) for agent, (seeds, _) in agents.items() for seed in seeds]
    states, statistics = [], []
    for part, count in zip(("train", "test"), episodes, strict=True):
        drives, sides = [], []
        for seeds, stack in agents.values():
            drive = machines.drive(part, count, stack, seeds, streams, device)
            sides.append(driven(stack, drive, machines, device))
            drives += [drive] * (len(seeds) // len(drive.inputs))  # once a network, if they share it
        states.append(np.concatenate([state for state, _ in sides]).astype(np.float64))
        statistics.append(np.concatenate([drive.statistics for drive in drives]))
    # the last sides and drives are those of the test episodes
    outputs = np.concatenate([output for _, output in sides])
    optimum = np.concatenate([drive.optimum for drive in drives])
    q_difference = np.concatenate([drive.q_difference for drive in drives])
    spaces = {"R→B": (states, statistics), "B→R": (statistics, states)}
    for direction, (source, target) in spaces.items():
        flat = [rows.reshape(len(subjects), -1, rows.shape[-1]) for rows in (source[0], target[0], source[1])]
        generators = [
            networks.generator(streams.for_seed(seed).entropy(f"map {direction} {agent}")) for agent, seed in subjects
        ]
        mapped = {
            "mlp": regressor.perceptron(*flat, fit_steps, generators, device),
            "linear": regressor.linear(*flat),
        }
        for name, values in mapped.items():
            values = values.reshape(target[1].shape)
            if direction == "R→B":
                mapped_outputs = np.stack([machines.bayes_output(statistics) for statistics in values])
                source_outputs = outputs
            else:
                pieces = torch.tensor(values, dtype=torch.float32, device=device).chunk(len(agents))
                mapped_outputs = np.concatenate(
                    [read(stack, piece, machines) for (_, stack), piece in zip(agents.values(), pieces, strict=True)]
                )
                source_outputs = optimum
            for index, (agent, seed) in enumerate(subjects):
                kept = values[index].reshape(len(values[index]), -1)
                yield kinds.bayes.MAPS.table(
                    run=run,
                    family=machines.family,
                    drive=machines.driver,
                    agent=agent,
                    seed=seed,
                    direction=direction,
                    map=name,
                    episode=np.arange(episodes[1]),
                    squared_error=((values[index] - target[1][index]) ** 2).mean(axis=-1),
                    target_variance=float(target[1][index].reshape(-1, target[1].shape[-1]).var(axis=0).mean()),
                    output=source_outputs[index],
                    mapped_output=mapped_outputs[index],
                    q_difference=q_difference[index],
                    state=kept if keep_states else kept[:, :0],
                )
