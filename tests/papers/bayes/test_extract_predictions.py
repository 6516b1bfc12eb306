"""Predictions extracted from snapshots are those of the agents that were trained."""

import numpy as np
import pytest
import torch

from agentomy import kinds
from agentomy.environments import sequences
from agentomy.papers.bayes.extract import optimum, predictions
from agentomy.tables import Table


@pytest.fixture
def extracted(predictor, categorical, quiet):
    pieces = [
        *predictions.optimal(categorical, run="cat"),
        *predictions.predictions(predictor[1], categorical, run="cat", device="cpu", progress=quiet),
    ]
    return [Table(kinds.bayes.PREDICTIONS, rows=piece) for piece in pieces]


def test_there_is_a_piece_for_the_bayes_agent_and_one_for_each_snapshot(extracted):
    assert [(piece.values("agent")[0], piece.values("update")[0]) for piece in extracted] == [
        ("bayes", -1),
        ("network", 0),
        ("network", 15),
        ("network", 30),
    ]
    assert extracted[1].frame()[["seed", "episode"]].drop_duplicates().shape == (80, 2)


def test_the_bayes_agent_predicts_by_the_rule_of_succession(extracted, categorical):
    observations = categorical.array("observations").astype(int)
    predictive = extracted[0].array("predictive", 8, 3)
    for episode in range(3):
        for t in range(8):
            counts = np.bincount(observations[episode, :t], minlength=3)
            np.testing.assert_allclose(predictive[episode, t], (counts + 1) / (t + 3), rtol=1e-6)


def test_a_revived_network_predicts_as_the_agent_does(extracted, predictor, categorical):
    agent, _ = predictor
    inputs = torch.tensor(sequences.previous(agent.task.encode(categorical.array("observations"))))
    with torch.no_grad():
        raw = agent.net(inputs.expand(2, *inputs.shape))["predictive"]
    expected = torch.softmax(raw, dim=-1).numpy()
    np.testing.assert_allclose(extracted[-1].array("predictive", 8, 3).reshape(expected.shape), expected, atol=1e-6)


def test_log_probabilities_are_those_of_what_came(extracted, categorical):
    observations = categorical.array("observations").astype(int)
    for piece in extracted:
        predictive = piece.array("predictive", 8, 3)
        came = np.tile(observations, (len(predictive) // len(observations), 1))
        chosen = np.take_along_axis(predictive, came[..., None], axis=2)[..., 0]
        np.testing.assert_allclose(piece.array("log_probability"), np.log(chosen), atol=1e-5)


def test_the_bayes_agents_mean_loss_is_the_closed_form(categorical):
    rows = Table(kinds.bayes.OPTIMUM, rows=optimum.of_predictors(categorical, run="cat")).frame()
    best = rows[rows["quantity"] == "optimal log-loss"]["value"].to_numpy()
    assert best[0] == pytest.approx(np.log(3))
    assert (np.diff(best) < 0).all()
    assert (rows[rows["quantity"] == "oracle log-loss"]["value"].to_numpy() < best).all()
