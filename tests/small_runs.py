"""Small real training runs, as the tables that checkpoint extractions read."""

import numpy as np
import pytest

from agentomy import kinds
from agentomy.agents.actor_critic import ActorCritic
from agentomy.agents.predictor import Predictor
from agentomy.descriptions import Task
from agentomy.environments import bandits, sequences
from agentomy.progress import Progress
from agentomy.seeds import Streams
from agentomy.tables import Table
from tests.described import trained as trained_as

STEPS, EPISODES = 8, 40


def streams(name="run"):
    return Streams("test", name, 0)


def environment(kind, function, use, **parameters):
    parameters = {"steps": STEPS, "episodes": EPISODES, **parameters}
    rows = function(**parameters, streams=streams("environment"))
    return Table(kind, rows=rows, description=Task(use=use, parameters=parameters))


def trained(agent_class, table, **parameters):
    """A run of two seeds with snapshots at 0, half-way and at the end; returns the agent and its parameters."""
    agent = agent_class(table, [Streams("test", "run", seed) for seed in (0, 1)], "cpu", **parameters)
    pieces = [kinds.common.PARAMETERS.table(seed=np.arange(2), update=0, **agent.parameters())]
    for update in range(1, agent.updates + 1):
        agent.advance()
        if update in (agent.updates // 2, agent.updates):
            pieces.append(kinds.common.PARAMETERS.table(seed=np.arange(2), update=update, **agent.parameters()))
    return agent, Table(kinds.common.PARAMETERS, rows=pieces, description=trained_as(agent.network))


@pytest.fixture(scope="session")
def categorical():
    return environment(
        kinds.bayes.SEQUENCES, sequences.categorical, "sequences.categorical", concentration=[1.0, 1.0, 1.0]
    )


@pytest.fixture(scope="session")
def arms():
    prior = [[1.0, 1.0], [1.0, 1.0]]
    return environment(kinds.bayes.BANDITS, bandits.bernoulli, "bandits.bernoulli", prior=prior)


@pytest.fixture(scope="session")
def predictor(categorical):
    return trained(Predictor, categorical, width=8, updates=30, batch=32)


@pytest.fixture(scope="session")
def player(arms):
    return trained(ActorCritic, arms, width=8, updates=10, batch=32)


@pytest.fixture
def quiet():
    return Progress("test", every=1e9)


@pytest.fixture
def rng():
    return np.random.default_rng(11)
