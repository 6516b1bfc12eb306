"""Exact values of the optimal agents: closed forms (section 4.1) and dynamic programmes (section 4.2)."""

import numpy as np

from agentomy import kinds
from agentomy.environments import bandits as arms
from agentomy.environments import dynamic_programming
from agentomy.environments import sequences as sources


def of_predictors(sequences: kinds.bayes.SEQUENCES, *, run) -> kinds.bayes.OPTIMUM:
    """Expected log-loss at each step of the Bayes-optimal predictor, and of an oracle that knows the source."""
    source = sources.task(sequences.description)
    steps = sequences.description.parameters["steps"]
    losses = {"optimal log-loss": source.expected_log_loss(steps), "oracle log-loss": source.oracle_log_loss()}
    return kinds.bayes.OPTIMUM.table(
        run=run,
        quantity=np.repeat(list(losses), steps),
        t=np.tile(np.arange(1, steps + 1), len(losses)),
        value=np.concatenate([np.broadcast_to(loss, steps) for loss in losses.values()]),
    )


def of_bandits(bandits: kinds.bayes.BANDITS, *, run) -> kinds.bayes.OPTIMUM:
    """Undiscounted return of an episode: of the exact finite-horizon optimum, and of random play."""
    task = arms.task(bandits.description)
    steps = bandits.description.parameters["steps"]
    returns = {
        "optimal return": dynamic_programming.solve(task, steps).value,
        "random return": steps * task.prior_mean().mean(),
    }
    return kinds.bayes.OPTIMUM.table(
        run=run, quantity=np.array(list(returns)), t=np.zeros(2, int), value=np.array(list(returns.values()))
    )
