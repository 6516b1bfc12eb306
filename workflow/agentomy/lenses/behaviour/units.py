"""How much of a network an agent uses: dead and dormant units, and ranks, beside its untrained twins.

Dormancy: Sokar et al. 2023 (arXiv 2302.12902), a unit's mean size behind the activation over the mean of its layer's.
Effective rank: Roy and Vetterli 2007.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from agentomy import kinds
from agentomy.lenses.behaviour.play import Room
from agentomy.lenses.behaviour.subject import subjects, with_twins
from agentomy.lenses.inside.beside import chosen_of, with_memory_of
from agentomy.lenses.paths.extract import thinned
from agentomy.lenses.snapshots import updates_of
from agentomy.values import Count, Natural, Share


def units(
    parameters: kinds.common.PARAMETERS,
    episodes: kinds.paths.EPISODES,
    *,
    count: Count = 1000,  # observations, equally far apart in what the last snapshot meets
    most: Count = 10,  # snapshots that are looked at, equally far apart, the last among them
    twins: Natural = 39,  # untrained agents on the same observations
    tau: Share = 0.025,  # a unit at most this share of its layer's mean is dormant
    adapter: str | None = None,
    run,
    streams,
    device,
    progress,
) -> kinds.behaviour.UNITS:
    """Dead and dormant units and ranks of each hidden layer, of snapshots and of untrained twins.

    Games are the last snapshot's; of them each remembers what it makes of them itself.
    Needs: network, hidden layers, observations, seeded environment.
    """
    room, every = Room(episodes), updates_of(parameters)
    chosen, games = thinned(every, most), {}
    for _, seed, subject in subjects(parameters, device, every[-1:], adapter):
        played = room.play(subject, keep=True)
        games[seed] = played, chosen_of(subject, played, count)

    def pieces() -> Iterator[pa.Table]:
        for identity, subject in with_twins(parameters, chosen, twins, streams, device, progress, adapter):
            yield rows(subject, **identity)

    def rows(subject, seed: int, update: int, agent: str, twin: int) -> pa.Table:
        played, shown = games[seed]
        if twin < 0 or subject.memory_of_its_own:  # a snapshot may scale its frames in its own way
            shown = with_memory_of(subject, played, shown)
        numbers_of_layers = [
            (layer, quantity, value)
            for layer, values in subject.hidden(shown.observations, shown.state).items()
            for quantity, value in numbers(values, tau).items()
        ]
        layer, quantity, value = map(np.array, zip(*numbers_of_layers, strict=True))
        return kinds.behaviour.UNITS.table(
            run=run, seed=seed, update=update, agent=agent, twin=twin, layer=layer, quantity=quantity, value=value
        )

    return pieces()


def numbers(values: np.ndarray, tau: float) -> dict[str, float]:
    """The quantities of `kinds.behaviour.UNITS`, of what a layer gives behind its activation [B, units]."""
    sizes = np.abs(values).mean(axis=0)
    singular = np.linalg.svd(values, compute_uv=False)
    total = singular.sum()
    shares = singular[singular > 0] / total if total > 0 else np.ones(1)
    return {
        "dead": float((sizes == 0).mean()),
        "dormant": float((sizes <= tau * sizes.mean()).mean()),
        "effective rank": float(np.exp(-(shares * np.log(shares)).sum())) if total > 0 else 0.0,
        "stable rank": float((singular**2).sum() / singular[0] ** 2) if total > 0 else 0.0,
    }
