"""Linear probes of an agent's layers, with three controls each: shuffled labels, untrained twins, the raw input.

Games are parted, not observations: those of one game are alike, so that a probe could know its tests.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from agentomy import kinds
from agentomy.kinds.inside import INPUT
from agentomy.lenses.behaviour.play import Room
from agentomy.lenses.inside.beside import beside_twins
from agentomy.lenses.probing import Parts, chance, explained, is_number, parted, predicted, share, standardised
from agentomy.lenses.rows import table_of
from agentomy.values import Count, Natural


def probes(
    parameters: kinds.common.PARAMETERS,
    episodes: kinds.paths.EPISODES,
    *,
    labels: str | None = None,  # MODULE.FUNCTION of a module of the study; else: how many steps of the game are left
    count: Count = 1000,  # observations, equally far apart in what the last snapshot meets
    twins: Natural = 39,  # untrained agents on the same observations
    adapter: str | None = None,
    run,
    streams,
    device,
    progress,
) -> kinds.inside.PROBED:
    """How well each label can be read from each layer of the last snapshot, in games that the probe never saw.

    The function that `labels` names is given observations [N, …], episode [N] and step [N], and returns labels [N] by
    name. An agent that remembers is read with its memory of the game.
    Needs: network, hidden layers, observations, labels, seeded environment.
    """
    around = {"count": count, "twins": twins, "streams": streams, "device": device, "progress": progress}
    around["adapter"] = adapter

    def pieces() -> Iterator[pa.Table]:
        for identity, shown, subject in beside_twins(parameters, Room(episodes), **around):
            parts = parted(shown.episode, streams.for_seed(identity["seed"]).numpy("games"), "games")
            wanted = shown.labels(labels)
            layers = {INPUT: shown.observations.reshape(len(shown.step), -1)} if identity["twin"] < 0 else {}
            rows = []
            for layer, values in (layers | subject.hidden(shown.observations, shown.state)).items():
                scaled = standardised(values.astype(np.float64), parts[0] | parts[1])
                for label, right in wanted.items():
                    sorts = {"true": right}
                    if identity["twin"] < 0:
                        rng = streams.for_seed(identity["seed"]).numpy(f"shuffled {label}")
                        sorts["shuffled"] = rng.permutation(right)
                    for sort, targets in sorts.items():
                        rows.append((run, *identity.values(), layer, label, sort, *scored(scaled, targets, parts)))
            yield table_of(kinds.inside.PROBED, rows)

    return pieces()


def scored(values: np.ndarray, right: np.ndarray, parts: Parts) -> tuple[str, float, float, int]:
    """(measure, score, chance, tests) of one probe, of standardised values [N, F]."""
    told, tests = predicted(values, right, *parts), parts[2]
    if is_number(right):
        return "explained", explained(right, told, ~tests, tests), 0.0, int(tests.sum())
    return "accuracy", share(told[tests] == right[tests]), chance(right, ~tests, tests), int(tests.sum())
