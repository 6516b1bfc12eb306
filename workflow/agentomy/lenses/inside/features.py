"""What convolutions give, place by place, for pictures that an agent meets: feature maps (Trim & Grayston 2024)."""

import json
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from agentomy import kinds
from agentomy.kinds.inside import INPUT
from agentomy.lenses.behaviour.play import Room
from agentomy.lenses.inside.beside import beside_twins
from agentomy.lenses.places import Grid, contents, grid, near
from agentomy.values import Count, Natural


def features(
    parameters: kinds.common.PARAMETERS,
    episodes: kinds.paths.EPISODES,
    *,
    labels: str | None = None,  # MODULE.FUNCTION of a module of the study; else: which pixels have just changed
    count: Count = 8,  # observations, equally far apart in what the last snapshot meets
    twins: Natural = 39,  # untrained agents on the same observations
    adapter: str | None = None,
    run,
    streams,
    device,
    progress,
) -> kinds.inside.FEATURE_MAPS:
    """Feature maps of the last snapshot's convolutions, with what the picture shows at each of their places.

    The function that `labels` names is given observations [N, …], episode [N] and step [N], and returns by name whether
    each pixel has a label [N, rows, columns]. The picture counts as a layer, `input`; of an agent that sees several
    frames at once it has the channels of all, the last ones the present's. Needs: network, convolution, observations,
    seeded environment.
    """
    around = {"count": count, "twins": twins, "streams": streams, "device": device, "progress": progress}
    around["adapter"] = adapter

    def pieces() -> Iterator[pa.Table]:
        for identity, shown, subject in beside_twins(parameters, Room(episodes), **around):
            maps = subject.maps(shown.observations, shown.state)
            if not maps:
                raise ValueError("found no feature maps; allowed: convolutions whose activations are modules")
            if identity["twin"] < 0:
                pictures, marks = subject.pictures(shown.observations, shown.state), shown.marks(labels)
                seen = {layer: grid(windows) for layer, windows in subject.windows().items()}
                window = min((places.window for places in seen.values()), key=np.prod)  # of the first convolution
                seen[INPUT] = _pixels(pictures.shape[2:])
                held = {layer: contents(pictures, places, window) for layer, places in seen.items()}
                known = {
                    layer: np.stack([near(mask, places) for mask in marks.values()], axis=1)
                    for layer, places in seen.items()
                }
                maps = {INPUT: pictures.astype(np.float32), **maps}
            for layer, values in maps.items():
                at = seen[layer]
                yield kinds.inside.FEATURE_MAPS.table(
                    run=run,
                    **identity,
                    observation=np.arange(len(values)),
                    layer=layer,
                    channels=values.shape[1],
                    rows=values.shape[2],
                    columns=values.shape[3],
                    values=values,
                    places=np.tile([at.rows[0], at.columns[0], *at.apart], (len(values), 1)),
                    holds=held[layer],
                    labels=json.dumps([*marks]),
                    marks=known[layer].astype(np.uint8),
                )

    return pieces()


def _pixels(size: tuple[int, ...]) -> Grid:
    rows, columns = (np.arange(length, dtype=float) for length in size)
    return Grid(rows, columns, (1.0, 1.0), (1, 1))
