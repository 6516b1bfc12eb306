"""What predictors and the Bayes-optimal agent predict on the evaluation episodes (section 6.1)."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import torch

from agentomy import kinds
from agentomy.checkpoints.snapshots import revived
from agentomy.environments.sequences import previous, task
from agentomy.networks import heads


def predictions(
    parameters: kinds.PARAMETERS, sequences: kinds.SEQUENCES, *, run, device, progress
) -> kinds.PREDICTIONS:
    """Predictive distributions of every snapshot, and the exact optimal ones, on all episodes of the table."""
    source = task(sequences.description)
    observations = sequences.array("observations")
    episodes = sequences.values("episode")
    count = len(episodes)
    x = torch.tensor(observations, dtype=torch.float64)

    def rows(
        agent: str, seeds: np.ndarray, update: int, predictive: torch.Tensor, log_probability: torch.Tensor
    ) -> pa.Table:
        """From predictive vectors [S, E, T, outputs] and log probabilities [S, E, T]."""
        return kinds.PREDICTIONS.table(
            run=run,
            family=source.family,
            agent=agent,
            seed=np.repeat(seeds, count),
            update=update,
            episode=np.tile(episodes, len(seeds)),
            predictive=predictive.flatten(0, 1).cpu().numpy(),
            log_probability=log_probability.flatten(0, 1).cpu().numpy(),
        )

    def pieces() -> Iterator[pa.Table]:
        optimal = torch.tensor(source.predictive(source.statistics(observations)))[None]
        yield rows("bayes", np.array([-1]), -1, optimal, heads.log_density(source.family, optimal, x[None]))
        inputs = torch.tensor(previous(source.encode(observations)), device=device)
        count_of_snapshots = len(np.unique(parameters.values("update")))
        for number, (update, seeds, stack) in enumerate(revived(parameters, device)):
            progress.step(number, count_of_snapshots, "snapshots", run)
            with torch.no_grad():
                raw = stack(inputs.expand(len(seeds), *inputs.shape))["predictive"].double().cpu()
            log_probability = heads.log_probability(source.family, raw, x.expand(len(seeds), *x.shape))
            yield rows("network", seeds, update, heads.predictive(source.family, raw), log_probability)

    return pieces()
