"""State maps: planted relations are found, and states are those of the machines they are said to be."""

import numpy as np
import pytest
import torch

from agentomy import kinds
from agentomy.environments import bandits
from agentomy.lenses.snapshots import first_and_last
from agentomy.papers.bayes.extract import maps, memory, regressor
from agentomy.papers.bayes.extract.machines import OTHER_BIAS, Bandit, Prediction, driven, stacks
from agentomy.tables import Table
from tests.small_runs import STEPS, environment, streams

EPISODES = {"train_episodes": 60, "test_episodes": 20}


def extracted(function, run, environment, **options):
    pieces = function(run[1], environment, run="r", streams=streams(), device="cpu", **options)
    return [Table(maps_kind(function), rows=piece) for piece in pieces]


def maps_kind(function):
    return function.__annotations__["return"]


@pytest.fixture(scope="module")
def mapped(predictor, categorical):
    return extracted(maps.of_predictors, predictor, categorical, fit_steps=300, keep_states=True, **EPISODES)


@pytest.fixture(scope="module")
def mapped_players(player, arms):
    return extracted(maps.of_bandits, player, arms, fit_steps=300, discount=0.95, drive="gittins", **EPISODES)


@pytest.fixture(scope="module")
def mapped_own(player, arms):
    return extracted(maps.of_bandits, player, arms, fit_steps=300, discount=0.95, drive="network", **EPISODES)


def pieces_where(pieces, **wanted):
    return [p for p in pieces if all(p.values(key)[0] == value for key, value in wanted.items())]


@pytest.mark.slow
def test_every_agent_and_seed_has_all_directions_and_sorts_of_map(mapped, mapped_players, mapped_own):
    for pieces, drive in ((mapped, "prior"), (mapped_players, "gittins"), (mapped_own, "network")):
        assert len(pieces_where(pieces, drive=drive)) == len(pieces) == 2 * 3 * 2 * 2
        assert len(pieces_where(pieces, agent="untrained, other forget bias", direction="R→B", map="linear")) == 2


def test_a_mapped_state_has_the_error_that_its_row_says(mapped, predictor, categorical):
    states = extracted(memory.of_predictors, predictor, categorical, episodes=20)
    for agent in ("trained", "untrained"):
        for seed in (0, 1):
            (true,) = pieces_where(states, agent=agent, seed=seed)
            for direction, column in (("R→B", "bayes"), ("B→R", "network")):
                (piece,) = pieces_where(mapped, agent=agent, seed=seed, direction=direction, map="mlp")
                target = true.array(column, STEPS, -1)
                errors = (piece.array("state", STEPS, -1) - target) ** 2
                np.testing.assert_allclose(piece.array("squared_error"), errors.mean(axis=2), atol=1e-4)
                variance = target.reshape(-1, target.shape[2]).var(axis=0).mean()
                np.testing.assert_allclose(piece.values("target_variance"), variance, rtol=1e-4)


def both_sides(stack, drive, machines):
    """A network's states [S, E × T, 2N] and the statistics [S, E × T, s] of the same episodes."""
    states, _ = driven(stack, drive, machines, "cpu")
    statistics = np.broadcast_to(drive.statistics, (*states.shape[:3], drive.statistics.shape[-1]))
    return [rows.reshape(len(states), -1, rows.shape[-1]).astype(float) for rows in (states, statistics)]


def test_a_map_is_fitted_on_training_episodes_and_tried_on_others(mapped, predictor, categorical):
    """The linear one is the least squares of a plain design matrix, on episodes drawn here anew."""
    machines = Prediction(categorical)
    given = {
        part: machines.fed(machines.task.sample(streams().numpy(part), EPISODES[f"{part}_episodes"], STEPS)[1])
        for part in ("train", "test")
    }
    for agent, (_, stack) in stacks(predictor[1], streams(), "cpu").items():
        train, test = (both_sides(stack, drive, machines) for drive in given.values())
        for seed in (0, 1):
            for direction, (source, target) in {"R→B": (0, 1), "B→R": (1, 0)}.items():
                design, fresh = (np.insert(part[source][seed], 0, 1, axis=1) for part in (train, test))
                told = fresh @ np.linalg.lstsq(design, train[target][seed], rcond=None)[0]
                (piece,) = pieces_where(mapped, agent=agent, seed=seed, direction=direction, map="linear")
                np.testing.assert_allclose(piece.array("state", STEPS, -1).reshape(told.shape), told, atol=1e-4)
                errors = ((told - test[target][seed]) ** 2).mean(axis=1).reshape(-1, STEPS)
                np.testing.assert_allclose(piece.array("squared_error"), errors, atol=1e-4)


@pytest.mark.parametrize("driver", ["gittins", "network"])
def test_training_and_test_episodes_of_bandits_share_no_luck(player, arms, driver):
    machines = Bandit(arms, 0.95, driver)
    seeds, stack = first_and_last(player[1], "cpu")["untrained"]  # at random, so that pulls differ by luck alone
    train, test = (machines.drive(part, 200, stack, seeds, streams(), "cpu").inputs for part in ("train", "test"))
    for what in (slice(0, 2), slice(2, 3)):  # pulls; rewards
        assert 0.4 < (train[..., what] != test[..., what]).any(axis=-1)[:, :, 2:].mean() < 0.6


@pytest.mark.parametrize(("run", "bias"), [("predictor", 1.0), ("player", 0.0)])
def test_the_second_control_is_untrained_and_forgets_by_another_bias(run, bias, request):
    agent, parameters = request.getfixturevalue(run)
    agents = stacks(parameters, streams(), "cpu")
    for name, array in agent.parameters().items():
        np.testing.assert_array_equal(agents["trained"][1].arrays()[name], array)
    (_, untrained), (_, control) = agents["untrained"], agents[OTHER_BIAS]
    for stack, expected in ((untrained, 1 - bias), (control, bias)):
        gates = stack.memory.bias.detach().view(2, 4, -1)  # input, forget, cell, output
        assert gates.mean(dim=2)[:, 1].tolist() == pytest.approx([expected] * 2, abs=0.3)
        assert (gates.mean(dim=2)[:, [0, 2, 3]].abs() < 0.3).all()
    drawn = [stack.memory.weight_hh.detach().numpy() for stack in (untrained, control)]
    assert not np.allclose(*drawn)
    assert [weights.std() for weights in drawn] == pytest.approx([(3 * 8) ** -0.5] * 2, rel=0.1)  # uniform in ±1 / √8


def test_outputs_are_distributions_and_probabilities(mapped, mapped_players):
    for piece in mapped:
        for column in ("output", "mapped_output"):
            np.testing.assert_allclose(piece.array(column, STEPS, 3).sum(axis=2), 1, atol=1e-5)
    for piece in pieces_where(mapped_players, direction="R→B"):
        assert set(np.unique(piece.array("mapped_output"))) <= {0.0, 0.5, 1.0}  # a look-up at rounded statistics


def test_true_statistics_give_the_outputs_of_the_bayes_agent(predictor, categorical):
    machines = Prediction(categorical)
    drive = machines.drive("test", 10, None, [], streams(), "cpu")
    np.testing.assert_allclose(machines.bayes_output(drive.statistics), drive.optimum)
    assert (machines.bayes_output(drive.statistics - 3) > 0).all()  # out of range: clipped


def test_the_optimum_of_a_bandit_is_what_gittins_does_and_not_the_finite_horizon():
    """Beside an arm that is known to be worth 0.62, the last pull of the other one explores nothing."""
    prior = [[62e3, 38e3], [1.0, 1.0]]
    arms = environment(kinds.bayes.BANDITS, bandits.bernoulli, "bandits.bernoulli", prior=prior)
    machines = Bandit(arms, 0.95)
    drive = machines.drive("test", 50, None, [], streams(), "cpu")
    np.testing.assert_array_equal(machines.bayes_output(drive.statistics), drive.optimum)
    assert (drive.optimum[0, :, -1, 0] != (drive.q_difference[0, :, -1] > 0)).any()


def bayes_side(pieces, agent, seed, column="q_difference"):
    """What the Bayes-optimal machine makes of the test episodes of a network."""
    (piece,) = pieces_where(pieces, agent=agent, seed=seed, direction="B→R", map="mlp")
    return piece.array(column)


def test_networks_share_the_gittins_agents_histories_but_make_their_own(mapped_players, mapped_own):
    for column in ("output", "q_difference"):
        for network in (("trained", 1), ("untrained", 1)):
            by_gittins, by_itself = (
                bayes_side(pieces, "trained", 0, column) for pieces in (mapped_players, mapped_own)
            )
            np.testing.assert_array_equal(by_gittins, bayes_side(mapped_players, *network, column))
            assert (by_itself[:, 0] == bayes_side(mapped_own, *network, column)[:, 0]).all()  # nothing is known yet
            assert (by_itself != bayes_side(mapped_own, *network, column)).any()


def test_a_driving_network_pulls_by_its_policy_and_sees_its_pulls(player, arms):
    """Two policies that heed nothing: pulls are as frequent as they say, and the statistics are those of the inputs."""
    _, parameters = player
    machines = Bandit(arms, 0.95, "network")
    _, stack = first_and_last(parameters, "cpu")["trained"]
    chances = np.array([0.2, 0.7])  # of arm 1, for each network
    with torch.no_grad():
        stack.readouts["policy"].weight.zero_()
        stack.readouts["policy"].bias.copy_(torch.tensor(np.log([1 - chances, chances]).T))
    drive = machines.drive("test", 500, stack, [0, 1], streams(), "cpu")
    pulls = machines.task.pulls(drive.statistics)[:, :, -1]
    np.testing.assert_allclose(pulls[..., 1].mean(axis=1) / (STEPS - 1), chances, atol=0.03)
    _, outputs = driven(stack, drive, machines, "cpu")
    np.testing.assert_allclose(outputs.mean(axis=(1, 2, 3)), chances, atol=1e-6)
    seen = drive.inputs[:, :, 1:]
    rewards = 0.5 * (seen[..., 2] + 1)
    evidence = machines.task.evidence(seen[..., :2].argmax(axis=-1), rewards)
    np.testing.assert_allclose(np.cumsum(evidence, axis=2), drive.statistics[:, :, 1:])


def test_an_unknown_driver_is_refused_in_one_line(player, arms):
    with pytest.raises(ValueError, match="driven by 'gittins' or 'network', not 'greedy'") as error:
        extracted(maps.of_bandits, player, arms, fit_steps=1, discount=0.95, drive="greedy", **EPISODES)
    assert "\n" not in str(error.value)


def test_states_carry_the_statistics_before_each_step(player, arms):
    for piece in extracted(memory.of_bandits, player, arms, episodes=20, discount=0.95):
        pulls = piece.array("bayes", STEPS, 4).sum(axis=2)
        np.testing.assert_array_equal(pulls, np.tile(np.arange(STEPS), (20, 1)))
        assert piece.array("network", STEPS, 16).shape == (20, STEPS, 16)


def generators(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(count)]


@pytest.mark.slow
def test_a_planted_linear_map_is_found_exactly_and_by_a_perceptron_nearly():
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(2, 2000, 5)), rng.normal(size=(2, 200, 5))
    weights = rng.normal(size=(2, 5, 3))
    mapped = regressor.linear(train, train @ weights + 7, test)
    np.testing.assert_allclose(mapped, test @ weights + 7, atol=1e-8)
    fitted = regressor.perceptron(train, train @ weights + 7, test, 1500, generators(2), "cpu")
    errors = ((fitted - (test @ weights + 7)) ** 2).mean(axis=(1, 2)) / (test @ weights).var(axis=(1, 2))
    assert (errors < 5e-3).all()


def test_perceptrons_are_fitted_as_in_a_plain_loop():
    """Adam by its formulas, its rate along half a cosine, on rows drawn from all: 3 steps of one perceptron."""
    rng, steps = np.random.default_rng(0), 3
    train, test = rng.normal(3, 2, size=(500, 4)), rng.normal(-1, 5, size=(20, 4))
    train[200:] += 1  # the first rows are not like the rest
    target = train[:, :2] ** 2
    told = regressor.perceptron(train[None], target[None], test[None], steps, generators(1), "cpu")[0]

    (generator,) = generators(1)
    layers = regressor.Perceptron((4, *regressor.HIDDEN, 2), [generator]).layers
    weights = [
        tensor[0].detach().double().requires_grad_() for layer in layers for tensor in (layer.weight, layer.bias)
    ]

    def scaled(rows, by):
        return (torch.tensor(rows) - torch.tensor(by.mean(axis=0))) / torch.tensor(by.std(axis=0))

    def output(x):
        for weight, bias in zip(weights[::2], weights[1::2], strict=True):
            x = x @ weight.T + bias
            x = x if weight is weights[-2] else x.relu()
        return x

    first, second = ([torch.zeros_like(weight) for weight in weights] for _ in range(2))
    for step in range(steps):
        rows = torch.randint(500, (200,), generator=generator)
        loss = (output(scaled(train[rows], train)) - scaled(target[rows], target)).square().mean()
        rate = 3e-3 * (1 + np.cos(np.pi * step / steps)) / 2
        for number, gradient in enumerate(torch.autograd.grad(loss, weights)):
            first[number] = 0.9 * first[number] + 0.1 * gradient
            second[number] = 0.999 * second[number] + 0.001 * gradient**2
            size = (second[number] / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8
            weights[number].data -= rate * first[number] / (1 - 0.9 ** (step + 1)) / size
    expected = output(scaled(test, train)).detach().numpy() * target.std(axis=0) + target.mean(axis=0)
    np.testing.assert_allclose(told, expected, rtol=1e-3, atol=1e-3)


def test_a_stack_of_perceptrons_fits_each_as_if_it_were_alone():
    rng = np.random.default_rng(0)
    train, target = rng.normal(size=(3, 50, 2)), rng.normal(size=(3, 50, 2))
    model = regressor.Perceptron((2, 4, 2), generators(3)).double()
    x, y = torch.tensor(train), torch.tensor(target)
    (model(x) - y).square().mean(dim=(1, 2)).sum().backward()
    for index in range(3):
        alone = regressor.Perceptron((2, 4, 2), generators(1)).double()
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


def test_rows_are_of_their_kind(mapped, mapped_players, mapped_own):
    for piece in [*mapped, *mapped_players, *mapped_own]:
        kinds.bayes.MAPS.check(piece.arrow().schema, "maps")
