"""What linear probes read from the layers of a maze network (claim TG2)."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from agentomy import kinds
from agentomy.kinds.maze_pixels import GOALS
from agentomy.lenses.pieces import iter_groups, together
from agentomy.papers.maze.agents import NETWORKS, names_of

PENALTIES = (10.0, 100.0, 1000.0, 10000.0)  # of the squared weights, for standardised activations
TEST, CHOICE = 0.25, 0.2  # shares of levels: tests, and of the rest those that the penalty is chosen on


def accuracy(probes: kinds.maze_pixels.PROBES, *, streams) -> kinds.maze_pixels.ACCURACY:
    """The accuracy of ridge classifiers for each layer and goal, fitted on some levels and tested on others.

    The split into levels is the same for all layers and networks of a run.
    """

    def pieces() -> Iterator[pa.Table]:
        by = (*NETWORKS, "layer")
        for key, rows in iter_groups(probes, by, ("level", "to_corner", "to_cheese", "activations")):
            rng = streams.numpy(f"levels of {key[0]}")
            parts = parted(rows.values("level"), rng)
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


def parted(level: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Masks [N] of places to fit on, to choose the penalty on and to test on; a level lies in one of them alone."""
    levels = rng.permutation(np.unique(level))
    tests = max(1, round(len(levels) * TEST))
    choice = max(1, round((len(levels) - tests) * CHOICE))
    if len(levels) < 3:
        raise ValueError(f"probes: found {len(levels)} levels; allowed: 3 or more, to fit, choose and test on")
    parts = np.split(levels, [len(levels) - tests - choice, len(levels) - tests])
    return tuple(np.isin(level, part) for part in parts)


def standardised(values: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """Values [N, F] less their mean, in units of their spread, both over the rows `fitted`; constant ones become 0."""
    mean, spread = values[fitted].mean(axis=0), values[fitted].std(axis=0)
    return np.where(spread > 1e-12, (values - mean) / np.where(spread > 1e-12, spread, 1), 0)


def predicted(
    values: np.ndarray, right: np.ndarray, fitted: np.ndarray, choice: np.ndarray, tests: np.ndarray
) -> np.ndarray:
    """What the probe predicts everywhere [N]: its penalty is the best on `choice`, with which it is fitted anew."""
    from sklearn.linear_model import RidgeClassifier

    if len(np.unique(right[fitted])) < 2:
        return np.full(len(right), right[fitted][0])
    tried = [RidgeClassifier(penalty).fit(values[fitted], right[fitted]) for penalty in PENALTIES]
    scores = [probe.score(values[choice], right[choice]) for probe in tried]
    best = PENALTIES[int(np.argmax(scores))]
    return RidgeClassifier(best).fit(values[~tests], right[~tests]).predict(values)


def chance(right: np.ndarray, fitted: np.ndarray, tests: np.ndarray) -> float:
    """How often the move that is most frequent among those fitted is right among the tests."""
    moves, counts = np.unique(right[fitted], return_counts=True)
    return share(right[tests] == moves[counts.argmax()])


def share(hits: np.ndarray) -> float:
    return float(hits.mean()) if len(hits) else np.nan
