"""Memory states of networks beside the sufficient statistics, for the same inputs (sections 6.3 and 6.4)."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from agentomy import kinds
from agentomy.papers.bayes.extract.machines import Bandit, Prediction, driven, stacks
from agentomy.values import Count, Fraction


def of_predictors(
    parameters: kinds.common.PARAMETERS, sequences: kinds.bayes.SEQUENCES, *, episodes: Count, run, streams, device
) -> kinds.bayes.STATES:
    """States of predictors and of the Bayes-optimal one on fresh episodes."""
    return _states(Prediction(sequences), parameters, episodes, run, streams, device)


def of_bandits(
    parameters: kinds.common.PARAMETERS,
    bandits: kinds.bayes.BANDITS,
    *,
    episodes: Count,
    discount: Fraction,
    run,
    streams,
    device,
) -> kinds.bayes.STATES:
    """States of bandit agents and of the Gittins agent on episodes that the Gittins agent plays."""
    return _states(Bandit(bandits, discount), parameters, episodes, run, streams, device)


def _states(machines, parameters, episodes, run, streams, device) -> Iterator[pa.Table]:
    for agent, (seeds, stack) in stacks(parameters, streams, device).items():
        # these are the test episodes of maps.py, so that rows can be matched; all agents share them
        drive = machines.drive("test", episodes, stack, seeds, streams, device)
        states, outputs = driven(stack, drive, machines, device)
        for seed, state, output in zip(seeds, states, outputs, strict=True):
            yield kinds.bayes.STATES.table(
                run=run,
                family=machines.family,
                agent=agent,
                seed=seed,
                episode=np.arange(episodes),
                network=state,
                bayes=drive.statistics[0],
                output=output,
                optimum=drive.optimum[0],
                q_difference=drive.q_difference[0],
            )
