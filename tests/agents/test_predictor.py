"""A predictor learns towards the Bayes-optimal one and sees nothing of what it predicts."""

import numpy as np
import pytest
import torch

from agentomy import kinds, tables
from agentomy.agents.predictor import Predictor
from agentomy.descriptions import Task
from agentomy.environments import sequences
from agentomy.networks import build, heads
from agentomy.seeds import Streams

STEPS = 10
torch.set_num_threads(1)  # networks this small are slower on two


def environment(use: str = "categorical", **parameters) -> tables.Table:
    parameters = (parameters or {"concentration": [1.0, 1.0, 1.0]}) | {"steps": STEPS, "episodes": 4}
    rows = getattr(sequences, use)(**parameters, streams=Streams("test", "environment", 0))
    return tables.Table(
        kinds.bayes.SEQUENCES, rows=rows, description=Task(use=f"sequences.{use}", parameters=parameters)
    )


def predictor(*seeds: int, table: tables.Table | None = None, **parameters) -> Predictor:
    streams = [Streams("test", "predictor", seed) for seed in seeds]
    parameters = {"width": 8, "updates": 60, "batch": 16} | parameters
    return Predictor(table or environment(), streams, "cpu", **parameters)


def learn(agent: Predictor, updates: int) -> np.ndarray:
    """Losses [updates, S]."""
    return np.stack([agent.advance()["loss"] for _ in range(updates)])


def divergence_from_bayes(agent: Predictor, episodes: int = 1000) -> float:
    """KL(Bayes ‖ network) per step, nats, of the one seed of an agent with categorical outputs."""
    _, observations = agent.task.sample(np.random.default_rng(0), episodes, STEPS)
    inputs = np.zeros((1, episodes, STEPS, agent.task.inputs), np.float32)
    inputs[0, :, 1:] = agent.task.encode(observations)[:, :-1]
    network = build(agent.network, 1).load(agent.parameters())
    with torch.no_grad():
        ours = heads.predictive(agent.task.family, network(torch.from_numpy(inputs))["predictive"]).numpy()[0]
    bayes = agent.task.predictive(agent.task.statistics(observations))
    return float((bayes * np.log(bayes / ours)).sum(-1).mean())


def test_a_predictor_learns_towards_the_bayes_optimal_one():
    agent = predictor(0, updates=300, width=16, batch=64)
    untrained = divergence_from_bayes(agent)
    learn(agent, 300)
    assert divergence_from_bayes(agent) < 0.05 * untrained


@pytest.mark.parametrize(
    ("use", "parameters"),
    [
        ("bernoulli", {"prior": [2.0, 1.0]}),
        ("exponential", {"shape": 3.0, "rate": 2.0}),
        ("gaussian", {"mean": 1.0, "variance": 2.0, "noise": 0.5}),
        ("normal_gamma", {"mean": 0.0, "kappa": 1.0, "shape": 2.0, "rate": 2.0}),
    ],
)
def test_every_family_comes_near_the_loss_of_the_bayes_optimal_predictor(use, parameters):
    agent = predictor(0, table=environment(use, **parameters), updates=300, width=16, batch=64)
    losses = learn(agent, 300)[:, 0]
    optimum = agent.task.expected_log_loss(STEPS).mean()
    assert np.isfinite(losses).all()
    assert abs(losses[-100:].mean() - optimum) < 0.05


def test_no_prediction_sees_what_it_predicts():
    agent = predictor(0, updates=200, width=16, batch=64)
    first = agent.task.expected_log_loss(STEPS).mean()
    assert learn(agent, 200)[-50:].mean() > first - 0.03
