"""State maps: planted relations are found, and states are those of the machines they are said to be."""

import numpy as np
import pytest
import torch

from agentomy import kinds
from agentomy.checkpoints import maps, memory
from agentomy.networks import regressor
from agentomy.tables import Table
from tests.checkpoints.conftest import STEPS, streams

EPISODES = {"train_episodes": 60, "test_episodes": 20}


def extracted(function, run, environment, **options):
    made = function(run[1], environment, run="r", streams=streams(), device="cpu", **options)
    return [Table(maps_kind(function), rows=piece) for piece in made]


def maps_kind(function):
    return function.__annotations__["return"]


@pytest.fixture(scope="module")
def mapped(predictor, categorical):
    return extracted(maps.of_predictors, predictor, categorical, fit_steps=300, keep_states=True, **EPISODES)


@pytest.fixture(scope="module")
def mapped_players(player, arms):
    return extracted(maps.of_bandits, player, arms, fit_steps=300, discount=0.95, **EPISODES)


def of(pieces, **wanted):
    return [p for p in pieces if all(p.values(key)[0] == value for key, value in wanted.items())]


def test_every_seed_is_mapped_in_each_condition_direction_and_kind_of_map(mapped, mapped_players):
    for pieces in (mapped, mapped_players):
        assert len(pieces) == 2 * 3 * 2 * 2
        assert len(of(pieces, condition="untrained, other forget bias", direction="R→B", map="linear")) == 2


def test_a_mapped_state_has_the_error_that_is_written_beside_it(mapped, predictor, categorical):
    states = extracted(memory.of_predictors, predictor, categorical, episodes=20)
    for condition in ("trained", "untrained"):
        for seed in (0, 1):
            (true,) = of(states, condition=condition, seed=seed)
            for direction, column in (("R→B", "bayes"), ("B→R", "network")):
                (piece,) = of(mapped, condition=condition, seed=seed, direction=direction, map="mlp")
                target = true.array(column, STEPS, -1)
                errors = (piece.array("state", STEPS, -1) - target) ** 2
                np.testing.assert_allclose(piece.array("squared_error"), errors.mean(axis=2), atol=1e-4)
                variance = target.reshape(-1, target.shape[2]).var(axis=0).mean()
                np.testing.assert_allclose(piece.values("target_variance"), variance, rtol=1e-4)


def test_outputs_are_distributions_and_probabilities(mapped, mapped_players):
    for piece in mapped:
        for column in ("output", "mapped_output"):
            np.testing.assert_allclose(piece.array(column, STEPS, 3).sum(axis=2), 1, atol=1e-5)
    for piece in of(mapped_players, direction="R→B"):
        assert set(np.unique(piece.array("mapped_output"))) <= {0.0, 0.5, 1.0}  # a look-up at rounded statistics


def test_mapped_outputs_of_the_true_statistics_would_be_those_of_the_bayes_agent(predictor, categorical):
    from agentomy.checkpoints.machines import Prediction

    machines = Prediction(categorical)
    drive = machines.drive(np.random.default_rng(0), 10)
    np.testing.assert_allclose(machines.bayes_output(drive.statistics), drive.optimum)
    assert (machines.bayes_output(drive.statistics - 3) > 0).all()  # out of range: clipped


def test_states_carry_the_statistics_before_each_step(player, arms):
    for piece in extracted(memory.of_bandits, player, arms, episodes=20, discount=0.95):
        pulls = piece.array("bayes", STEPS, 4).sum(axis=2)
        np.testing.assert_array_equal(pulls, np.tile(np.arange(STEPS), (20, 1)))
        assert piece.array("network", STEPS, 16).shape == (20, STEPS, 16)


def test_a_planted_linear_map_is_found_exactly_and_by_a_perceptron_nearly():
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(2, 2000, 5)), rng.normal(size=(2, 200, 5))
    weights = rng.normal(size=(2, 5, 3))
    found = regressor.linear(train, train @ weights + 7, test)
    np.testing.assert_allclose(found, test @ weights + 7, atol=1e-8)
    fitted = regressor.perceptron(train, train @ weights + 7, test, 1500, torch.Generator().manual_seed(0), "cpu")
    errors = ((fitted - (test @ weights + 7)) ** 2).mean(axis=(1, 2)) / (test @ weights).var(axis=(1, 2))
    assert (errors < 5e-3).all()


def test_a_stack_of_perceptrons_fits_each_as_if_it_were_alone():
    rng = np.random.default_rng(0)
    train, target = rng.normal(size=(3, 50, 2)), rng.normal(size=(3, 50, 2))
    model = regressor.Perceptron(3, (2, 4, 2), torch.Generator().manual_seed(0)).double()
    x, y = torch.tensor(train), torch.tensor(target)
    (model(x) - y).square().mean(dim=(1, 2)).sum().backward()
    for index in range(3):
        alone = regressor.Perceptron(1, (2, 4, 2), torch.Generator().manual_seed(0)).double()
        for mine, theirs in zip(alone.parameters(), model.parameters(), strict=True):
            mine.data = theirs.data[index : index + 1]
        (alone(x[index : index + 1]) - y[index : index + 1]).square().mean().backward()
        for mine, theirs in zip(alone.parameters(), model.parameters(), strict=True):
            torch.testing.assert_close(mine.grad[0], theirs.grad[index])


def test_an_entry_that_never_changes_is_no_trouble():
    train = np.ones((1, 10, 2))
    scale = regressor.Standardised(train)
    np.testing.assert_array_equal(scale(train), 0)
    np.testing.assert_array_equal(scale.back(scale(train)), train)


def test_rows_are_of_their_kind(mapped, mapped_players):
    for piece in [*mapped, *mapped_players]:
        kinds.MAPS.check(piece.rows.schema, "maps")
