"""What a predictor's memory contains, beside the exact posterior, for a sequence of outcomes.

Everything is computed by the functions with which the pipeline makes its tables.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from agentomy import kinds
from agentomy.environments.sequences import marginals
from agentomy.explorer.readings import row_of
from agentomy.explorer.results import Results, Run
from agentomy.lenses.principal import principal_axes
from agentomy.lenses.snapshots import revived
from agentomy.names import Unfit
from agentomy.papers.bayes.extract.machines import Prediction, driven
from agentomy.papers.bayes.extract.regressor import linear
from agentomy.tables import TableError

NETWORK = "recurrent.LSTMNetwork"
TASKS = ("sequences.bernoulli", "sequences.categorical")  # with so few outcomes that each can have a key
EPISODES = 300  # of the evaluation episodes: the clouds, and what maps are fitted on
MOST = 6  # outcomes that have a colour and a marker of their own
PLACES = np.linspace(0.005, 0.995, 199)  # at which densities are drawn


@dataclass(frozen=True)
class Space:
    """The plane of the two leading components of one machine's states, and what lies in it [N, 2] or [T, 2]."""

    cloud: np.ndarray  # true states of the evaluation episodes
    reached: np.ndarray  # the machine's states along the sequence
    mapped: np.ndarray  # the other machine's, brought here by the linear map
    share: float  # of the space's variance that the plane holds


@dataclass(frozen=True)
class Belief:
    """Both machines after 0 … n outcomes, T = n + 1."""

    network: Space
    posterior: Space
    counts: np.ndarray  # [T, K]
    predicted: np.ndarray  # by the network [T, K]
    exact: np.ndarray  # [T, K]
    densities: np.ndarray  # of each outcome's probability, after all outcomes [K, places]


class Memory:
    """The stack of a run at one snapshot, and one seed of it."""

    def __init__(self, stack, seed: int, machines: Prediction, observations: np.ndarray):
        self.stack, self.seed, self.machines = stack, seed, machines
        self.states, _, self.statistics, _ = self._driven(observations)
        self.planes = [principal_axes(_rows(states)) for states in (self.states, self.statistics)]

    def _driven(self, observations: np.ndarray) -> tuple[np.ndarray, ...]:
        """Network states and outputs, statistics and exact outputs, all [E, T, …]."""
        drive = self.machines.fed(observations)
        states, outputs = driven(self.stack, drive, self.machines, "cpu")
        return states[self.seed].astype(float), outputs[self.seed], drive.statistics[0], drive.optimum[0]

    def follow(self, outcomes: list[int]) -> Belief:
        """Both machines along these outcomes."""
        # neither machine sees the last observation of an episode, whatever it is
        states, predicted, counts, exact = (values[0] for values in self._driven(np.array([[*outcomes, 0.0]])))
        spaces = []
        for (axes, centre, share), cloud, other_cloud, reached, other_reached in (
            (self.planes[0], self.states, self.statistics, states, counts),
            (self.planes[1], self.statistics, self.states, counts, states),
        ):
            mapped = linear(_rows(other_cloud)[None], _rows(cloud)[None], other_reached[None])[0]
            spaces.append(Space(*((_rows(points) - centre) @ axes for points in (cloud, reached, mapped)), share))
        return Belief(*spaces, counts, predicted, exact, marginals(self.machines.task, counts[-1], PLACES))


def _rows(states: np.ndarray) -> np.ndarray:
    return states.reshape(-1, states.shape[-1])


def predictors(results: Results) -> dict[str, Run]:
    """The predictors of categories by label; a `TableError` if there is none."""
    runs = {run.label: run for run in results.runs(NETWORK) if run.environment and run.environment.use in TASKS}
    if not runs:
        raise TableError(f"no trained predictor of categories: {results.missing('bayes', 'train')}")
    return runs


def load(results: Results, run: Run, seed: int, update: int) -> Memory:
    """The memory of a seed at one snapshot; cached as long as the files of its run and task stay the same."""
    paths = run.files[seed], results.environment(run, kinds.bayes.SEQUENCES)
    for path in paths:
        if not path.exists():
            raise TableError(f"{path}: no such file; the memory of '{run.label}' is looked at on its episodes")
    return _load(results, *paths, *(path.stat().st_mtime_ns for path in paths), seed, update)


@lru_cache(maxsize=32)
def _load(
    results: Results, path: Path, episodes: Path, parameters_written: int, episodes_written: int, seed: int, update: int
) -> Memory:
    parameters, sequences = results.table(kinds.common.PARAMETERS, path), results.table(kinds.bayes.SEQUENCES, episodes)
    try:
        snapshot = next(revived(parameters, "cpu", [update]), None)
        machines = Prediction(sequences)
    except Unfit as error:
        raise TableError(f"{path}: not a predictor of the episodes in {episodes} ({error})") from None
    if snapshot is None:
        raise TableError(f"{path}: no snapshot at update {update}")
    _, seeds, stack = snapshot
    categories, inputs = machines.task.inputs, parameters.description.network["inputs"]
    if inputs != categories:
        raise TableError(f"{path}: a network with {inputs} inputs; the episodes in {episodes} need {categories}")
    if categories > MOST:
        raise TableError(f"{episodes}: {categories} categories; at most {MOST} can be told apart")
    observations = sequences.array("observations")[:EPISODES]
    return Memory(stack, row_of(path, seeds, seed, update), machines, observations)
