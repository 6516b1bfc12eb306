"""Structural comparison on machines whose maps are known."""

import numpy as np
import pytest

from agentomy import kinds
from agentomy.papers.bayes.measure import simulation
from agentomy.papers.bayes.measure.divergence import kl
from tests.papers.bayes import bayes_tables


def by_direction(maps):
    return simulation.simulation(maps).to_pandas().set_index("direction")


@pytest.mark.parametrize("noise", [0.0, 0.1, 1.0])
def test_the_state_error_of_a_map_with_planted_noise_is_that_noise(rng, noise):
    _, maps = bayes_tables.machines(rng, noise)
    found = by_direction(maps)
    np.testing.assert_allclose(found["state_error_normalised"], noise**2, rtol=0.1)
    variance = maps.where(direction="R→B").values("target_variance")[0]
    assert found["state_error"]["R→B"] == pytest.approx(found["state_error_normalised"]["R→B"] * variance)


def test_equal_outputs_have_no_output_error(rng):
    found = by_direction(bayes_tables.machines(rng)[1])
    np.testing.assert_allclose(found["output_error"], 0, atol=1e-7)


def maps_of(family, direction, output, mapped, q_difference=0.0):
    """One episode of MAPS."""
    steps = len(output)
    who = {"run": "run", "family": family, "drive": "prior", "condition": "trained", "seed": 0}
    who |= {"direction": direction, "map": "mlp"}
    error = {"episode": 0, "squared_error": np.zeros((1, steps)), "target_variance": 1.0}
    outputs = {"output": output[None], "mapped_output": mapped[None], "state": np.zeros((1, 0))}
    pulls = np.broadcast_to(np.asarray(q_difference, float), (1, steps))
    return bayes_tables.table(kinds.bayes.MAPS, {**who, **error, **outputs, "q_difference": pulls})


def test_the_bayes_side_stands_first_in_both_directions():
    network, bayes = np.array([[0.9, 0.1]]), np.array([[0.5, 0.5]])
    expected = float(kl("categorical", bayes, network)[0])
    to_bayes = by_direction(maps_of("categorical", "R→B", network, bayes))
    to_network = by_direction(maps_of("categorical", "B→R", bayes, network))
    assert to_bayes["output_error"].item() == pytest.approx(expected, rel=1e-5)
    assert to_network["output_error"].item() == pytest.approx(expected, rel=1e-5)


def test_a_bandits_output_error_is_the_difference_of_return_summed_over_the_episode():
    one, other = np.array([[0.9], [0.2], [0.5]]), np.array([[0.4], [0.4], [0.5]])
    found = by_direction(maps_of("bandit", "R→B", one, other, [1.0, 2.0, 3.0]))
    assert found["output_error"].item() == pytest.approx(abs(0.5 * 1 - 0.2 * 2), rel=1e-5)


def test_a_state_that_is_a_function_of_the_statistics_has_no_redundancy(rng):
    statistics = rng.integers(0, 5, size=(400, 3))
    state = np.tanh(statistics @ rng.normal(size=(3, 6)))
    assert simulation.variance_within(state, statistics) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("groups", [2, 50, 400])
def test_a_state_of_pure_noise_is_all_redundancy_however_small_the_groups(rng, groups):
    labels = rng.integers(0, groups, size=(2000, 1))
    assert simulation.variance_within(rng.normal(size=(2000, 4)), labels) == pytest.approx(1, abs=0.08)


def test_redundancy_is_the_planted_share(rng):
    labels = rng.integers(0, 20, size=(5000, 1))
    means = rng.normal(size=(20, 3))[labels[:, 0]]
    noise = rng.normal(size=means.shape) * means.std() * 0.5
    expected = noise.var(axis=0).sum() / (means + noise).var(axis=0).sum()
    assert simulation.variance_within(means + noise, labels) == pytest.approx(expected, rel=0.02)


def test_statistics_that_none_share_say_nothing():
    assert np.isnan(simulation.variance_within(np.eye(3), np.arange(3)[:, None]))


def test_redundancy_is_given_for_counts_only(rng):
    states, _ = bayes_tables.machines(rng)
    row = simulation.redundancy(states).to_pandas()
    assert row["redundancy"].item() == pytest.approx(0, abs=1e-9)
    columns = {name: states.array(name) for name in ("network", "bayes", "output", "optimum", "q_difference")}
    scalars = states.frame()
    named = {name: scalars[name].to_numpy() for name in scalars}
    real = bayes_tables.table(kinds.bayes.STATES, {**named, **columns, "bayes": columns["bayes"] + 0.25})
    with pytest.raises(ValueError, match="no run whose sufficient statistics are counts"):
        simulation.redundancy(real)
