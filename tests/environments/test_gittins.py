"""Gittins indices: public values, slow twins, and the optimality that defines them."""

from functools import cache

import numpy as np
import pytest

from agentomy.environments import bandits, dynamic_programming, gittins
from tests.environments.policies import policy_value

UNIFORM = bandits.Bernoulli(((1.0, 1.0), (1.0, 1.0)))
GAUSSIAN = bandits.Gaussian(0.0, 1.0, 1.0)
EXPONENTIAL = bandits.Exponential(3.0, 2.0)
START = np.zeros(4)


@pytest.mark.parametrize(
    ("a", "b", "discount", "known"),
    [(1, 1, 0.9, 0.7029), (2, 2, 0.9, 0.6346), (3, 3, 0.9, 0.6010), (10, 2, 0.9, 0.8695), (1, 1, 0.99, 0.8699)],
)
def test_bernoulli_indices_are_the_published_ones(a, b, discount, known):
    index = gittins.indices(bandits.Bernoulli(((a, b), (1.0, 1.0))), 2, discount).index(START)
    assert index[0] == pytest.approx(known, abs=6e-5)


def test_bernoulli_indices_equal_a_plain_bisection_on_the_retirement_reward():
    discount = 0.8

    def worth_pulling(sure, a, b):
        @cache
        def value(a, b, deep):
            mean = a / (a + b)
            if deep == 60:
                return max(sure, mean) / (1 - discount)
            return max(sure / (1 - discount), go_on(a, b, deep))

        def go_on(a, b, deep):
            mean = a / (a + b)
            return mean + discount * (mean * value(a + 1, b, deep + 1) + (1 - mean) * value(a, b + 1, deep + 1))

        return go_on(a, b, 0) > sure / (1 - discount)

    index = gittins.indices(bandits.Bernoulli(((2.0, 1.0), (0.5, 0.5))), 4, discount).index
    for arm, prior in enumerate([(2.0, 1.0), (0.5, 0.5)]):
        for s, f in [(0, 0), (3, 1), (0, 4)]:
            low, high = 0.0, 1.0
            for _ in range(20):
                sure = (low + high) / 2
                low, high = (sure, high) if worth_pulling(sure, prior[0] + s, prior[1] + f) else (low, sure)
            assert index(np.tile([s, f], 2))[arm] == pytest.approx(low, abs=3e-5)


def restart_index(grid, mean, expect, discount, levels=25, rounds=20):
    """The index as (1 - γ) times the value of an arm that may be started afresh at will (Katehakis and Veinott 1987).

    mean(n) is the posterior mean on the grid, expect(f, n) the expectation after a pull; grid 0 is the start.
    """
    afresh, start = 0.0, np.searchsorted(grid, 0.0)
    for _ in range(rounds):
        value = np.maximum(mean(levels) / (1 - discount), afresh)
        for n in range(levels - 1, 0, -1):
            value = np.maximum(mean(n) + discount * expect(value, n), afresh)
        afresh = (mean(0) + discount * expect(value, 0))[start]
    return (1 - discount) * afresh


def test_the_gaussian_index_equals_that_of_the_restart_problem():
    grid = np.linspace(-8, 8, 2001)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)

    def expect(values, n):
        spread = 1 / np.sqrt((n + 1) * (n + 2))
        return np.interp(grid[:, None] + spread * nodes, grid, values) @ weights / weights.sum()

    expected = restart_index(grid, lambda n: grid, expect, 0.5)
    assert gittins.indices(GAUSSIAN, 3, 0.5).index(START)[0] == pytest.approx(expected, abs=5e-4)


def test_the_exponential_index_equals_that_of_the_restart_problem():
    grid = np.linspace(-2, 10, 2401)  # log of the rate over its prior value
    grid -= grid[np.abs(grid).argmin()]
    nodes, weights = np.polynomial.laguerre.laggauss(40)

    def expect(values, n):
        return np.interp(grid[:, None] + nodes / (3 + n), grid, values) @ weights

    expected = restart_index(grid, lambda n: 2 * np.exp(grid) / (2 + n), expect, 0.5)
    assert gittins.indices(EXPONENTIAL, 3, 0.5).index(START)[0] == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("task", [UNIFORM, GAUSSIAN, bandits.Gaussian(0.0, 100.0, 1.0), EXPONENTIAL], ids=str)
def test_finer_grids_and_deeper_starts_change_indices_by_less_than_1e_4(task, monkeypatch):
    coarse = gittins.Indices(task, 20, 0.95).table
    monkeypatch.setattr(gittins, "_FORGOTTEN", 1e-4)
    monkeypatch.setattr(gittins, "_LAMBDAS", 4001)
    monkeypatch.setattr(gittins, "_NODES", 1 << 16)
    for solver in (gittins._bernoulli, gittins._gaussian, gittins._exponential):
        solver.cache_clear()
    assert np.abs(gittins.Indices(task, 20, 0.95).table - coarse).max() < 1e-4


def random_states(task, steps, count=300):
    rng = np.random.default_rng(0)
    _, rewards = task.sample(rng, count, steps)
    actions = rng.integers(0, 2, (count, steps))
    return task.statistics(actions, np.take_along_axis(rewards, actions[..., None], 2)[..., 0])


@pytest.mark.parametrize("task", [UNIFORM, GAUSSIAN, EXPONENTIAL], ids=str)
def test_the_index_exceeds_the_posterior_mean_the_more_so_the_more_patient(task):
    states = random_states(task, 12)
    hasty, patient = (gittins.indices(task, 12, discount).index(states) for discount in (0.5, 0.95))
    assert (task.posterior_mean(states) < hasty).all()
    assert (hasty < patient).all()


def test_gaussian_indices_shift_and_scale_with_the_rewards():
    scaled = bandits.Gaussian(5.0, 4.0, 4.0)
    states = random_states(GAUSSIAN, 6)
    n, total = np.moveaxis(GAUSSIAN.per_arm(states), -1, 0)
    moved = np.stack([n, 5 * n + 2 * total], axis=-1).reshape(states.shape)
    expected = 5 + 2 * gittins.indices(GAUSSIAN, 6, 0.9).index(states)
    np.testing.assert_allclose(gittins.indices(scaled, 6, 0.9).index(moved), expected, atol=1e-9)


def test_exponential_indices_scale_with_the_rewards():
    states = random_states(EXPONENTIAL, 6)
    scaled = gittins.indices(bandits.Exponential(3.0, 20.0), 6, 0.9).index(states * [1, 10, 1, 10])
    np.testing.assert_allclose(scaled, 10 * gittins.indices(EXPONENTIAL, 6, 0.9).index(states), rtol=1e-9)


@pytest.mark.parametrize("task", [UNIFORM, bandits.Bernoulli(((2.0, 1.0), (1.0, 2.0)))], ids=str)
def test_over_a_long_discounted_horizon_the_gittins_agent_is_the_optimum(task):
    horizon, discount = 32, 0.65  # 0.65^32 < 2e-6 is left
    index = gittins.indices(task, horizon, discount).index

    def follow(statistics):
        first, second = np.moveaxis(index(statistics), -1, 0)
        return (second > first).astype(float)

    value = policy_value(task, horizon, follow, discount)
    optimum = dynamic_programming.solve(task, horizon, discount).value
    assert optimum - 1e-5 < value <= optimum + 1e-12


@pytest.mark.parametrize("task", [GAUSSIAN, EXPONENTIAL], ids=str)
def test_the_optimum_of_a_long_horizon_pulls_the_arm_of_higher_index(task):
    states = random_states(task, 30)[:, :8]  # 0.6^22 is left
    q = dynamic_programming.solve(task, 30, 0.6).q(states)
    index = gittins.indices(task, 30, 0.6).index(states)
    clear = np.abs(index[..., 1] - index[..., 0]) > 1e-3
    assert ((q[..., 1] > q[..., 0]) == (index[..., 1] > index[..., 0]))[clear].all()
    assert clear.mean() > 0.8  # all but the first pull and a few close calls


def test_equal_posteriors_have_equal_indices():
    assert np.ptp(gittins.indices(UNIFORM, 20, 0.95).index(np.array([4.0, 7, 4, 7]))) == 0


@pytest.mark.parametrize("task", [UNIFORM, GAUSSIAN, EXPONENTIAL], ids=str)
def test_statistics_from_a_regression_are_looked_up_at_the_nearest_state(task):
    index = gittins.indices(task, 20, 0.95).index
    wild = np.random.default_rng(1).normal(size=(500, 4)) * 30
    assert np.isfinite(index(wild)).all()
    near = np.array([3.2, 1.0, 2.9, 2.0])
    np.testing.assert_array_equal(index(near), index(np.array([3.0, 1, 3, 2])))


def test_a_discount_of_one_is_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        gittins.indices(UNIFORM, 20, 1.0)
