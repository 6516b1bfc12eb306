"""What agents of any library do in their environment: whole games, and the observations that they meet."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pyarrow as pa

from agentomy import kinds, networks
from agentomy.lenses.behaviour.play import Room
from agentomy.lenses.behaviour.subject import Subject, subjects, with_twins
from agentomy.lenses.paths.extract import thinned
from agentomy.lenses.snapshots import updates_of
from agentomy.values import Count, Natural


def returns(
    parameters: kinds.common.PARAMETERS,
    episodes: kinds.paths.EPISODES,
    *,
    modes: list[Literal["deterministic", "stochastic"]] | None = None,  # by default both, where actions can be drawn
    most: Count = 10,  # snapshots that play, equally far apart, the last among them
    twins: Natural = 1,  # untrained agents that play the same games
    adapter: str | None = None,
    run,
    streams,
    device,
    progress,
) -> kinds.behaviour.GAME_RETURNS:
    """Whole games of the environment's episodes: its own rewards, not what wrappers make of them.

    Needs: network, seeded environment.
    """
    room, chosen = Room(episodes), thinned(updates_of(parameters), most)

    def rows(subject: Subject, seed: int, update: int, agent: str, twin: int) -> Iterator[pa.Table]:
        for mode in kinds.behaviour.MODES:
            if mode not in (modes or kinds.behaviour.MODES) or (mode == "stochastic" and not subject.distribution):
                continue
            noise = networks.generator(streams.for_seed(seed).entropy(f"noise {update} {twin}"), device)
            played = room.play(subject, noise if mode == "stochastic" else None)
            yield kinds.behaviour.GAME_RETURNS.table(
                run=run,
                seed=seed,
                update=update,
                agent=agent,
                twin=twin,
                mode=mode,
                episode=np.arange(len(played.returns)),
                **{"return": played.returns},
                length=played.lengths,
                ended=np.array(played.ended),
            )

    def pieces() -> Iterator[pa.Table]:
        for identity, subject in with_twins(parameters, chosen, twins, streams, device, progress, adapter):
            yield from rows(subject, **identity)

    return pieces()


def seen(
    parameters: kinds.common.PARAMETERS,
    episodes: kinds.paths.EPISODES,
    *,
    count: Count = 1000,  # observations of a seed, equally far apart in what it met
    adapter: str | None = None,
    run,
    streams,
    device,
) -> kinds.behaviour.SEEN:
    """Observations that the last snapshot's agent meets when it does what it thinks best.

    Needs: network, seeded environment.
    """
    room, last = Room(episodes), updates_of(parameters)[-1]
    for update, seed, subject in subjects(parameters, device, [last], adapter):
        met = room.play(subject, keep=True).seen
        places = thinned([(e, t) for e, steps in enumerate(met) for t in range(len(steps))], count)
        yield kinds.behaviour.SEEN.table(
            run=run,
            seed=seed,
            update=update,
            episode=np.array([e for e, _ in places]),
            step=np.array([t for _, t in places]),
            observation=np.stack([np.asarray(met[e][t], np.float32) for e, t in places]),
        )
