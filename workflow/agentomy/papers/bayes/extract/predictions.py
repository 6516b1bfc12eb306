"""Predictions of networks and of the Bayes-optimal agent on the evaluation episodes (section 6.1)."""

import numpy as np
import pyarrow as pa
import torch

from agentomy import kinds
from agentomy.environments.sequences import previous, task
from agentomy.lenses.snapshots import revived
from agentomy.networks import heads
from agentomy.tables import Table


def predictions(
    parameters: kinds.common.PARAMETERS, sequences: kinds.bayes.SEQUENCES, *, run, device, progress
) -> kinds.bayes.PREDICTIONS:
    """Predictive distributions of every snapshot on all episodes of the table."""
    source = task(sequences.description)
    observations = sequences.array("observations")
    x = torch.tensor(observations, dtype=torch.float64)
    inputs = torch.tensor(previous(source.encode(observations)), device=device)
    snapshots = len(np.unique(parameters.values("update")))
    for number, (update, seeds, stack) in enumerate(revived(parameters, device)):
        progress.step(number, snapshots, "snapshots", run)
        with torch.no_grad():
            raw = stack(inputs.expand(len(seeds), *inputs.shape))["predictive"].double().cpu()
        log_probability = heads.log_probability(source.family, raw, x.expand(len(seeds), *x.shape))
        labels = {"run": run, "family": source.family, "agent": "network", "update": update}
        yield _rows(sequences, labels, seeds, heads.predictive(source.family, raw), log_probability)


def optimal(sequences: kinds.bayes.SEQUENCES, *, run) -> kinds.bayes.PREDICTIONS:
    """Predictive distributions of the Bayes-optimal agent on all episodes of the table."""
    source = task(sequences.description)
    observations = sequences.array("observations")
    predictive = torch.tensor(source.predictive(source.statistics(observations)))[None]
    x = torch.tensor(observations, dtype=torch.float64)[None]
    log_probability = heads.log_density(source.family, predictive, x)
    labels = {"run": run, "family": source.family, "agent": "bayes", "update": -1}
    yield _rows(sequences, labels, np.array([-1]), predictive, log_probability)


def _rows(
    sequences: Table, labels: dict, seeds: np.ndarray, predictive: torch.Tensor, log_probability: torch.Tensor
) -> pa.Table:
    """From predictive vectors [S, E, T, outputs] and log probabilities [S, E, T]."""
    episodes = sequences.values("episode")
    return kinds.bayes.PREDICTIONS.table(
        **labels,
        seed=np.repeat(seeds, len(episodes)),
        episode=np.tile(episodes, len(seeds)),
        predictive=predictive.flatten(0, 1).cpu().numpy(),
        log_probability=log_probability.flatten(0, 1).cpu().numpy(),
    )
