"""What linear probes read from the layers of a maze network (claim TG2)."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from agentomy import kinds
from agentomy.kinds.maze_pixels import GOALS
from agentomy.lenses.pieces import iter_groups, together
from agentomy.lenses.probing import chance, parted, predicted, share, standardised
from agentomy.papers.maze.agents import NETWORKS, names_of


def accuracy(probes: kinds.maze_pixels.PROBES, *, streams) -> kinds.maze_pixels.ACCURACY:
    """The accuracy of ridge classifiers for each layer and goal, fitted on some levels and tested on others.

    The split into levels is the same for all layers and networks of a run.
    """

    def pieces() -> Iterator[pa.Table]:
        by = (*NETWORKS, "layer")
        for key, rows in iter_groups(probes, by, ("level", "to_corner", "to_cheese", "activations")):
            rng = streams.numpy(f"levels of {key[0]}")
            parts = parted(rows.values("level"), rng, "levels")
            activations = standardised(rows.array("activations").astype(np.float64), parts[0] | parts[1])
            moves = {goal: rows.values(f"to_{goal}").astype(str) for goal in GOALS}
            subsets = {"all": parts[2], "differ": parts[2] & (moves["corner"] != moves["cheese"])}
            for goal, right in moves.items():
                told = predicted(activations, right, *parts)
                for places, mask in subsets.items():
                    yield kinds.maze_pixels.ACCURACY.table(
                        **dict(zip(by, key, strict=True)),
                        agent=names_of(key[2]),
                        goal=goal,
                        places=places,
                        tests=mask.sum(),
                        accuracy=share(told[mask] == right[mask]),
                        chance=chance(right, ~parts[2], mask),
                    )

    return together(pieces())
