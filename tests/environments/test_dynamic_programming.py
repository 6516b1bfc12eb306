"""The exact optimum: plain recursion, closed forms, Bellman's equation by quadrature, and play."""

from functools import cache

import numpy as np
import pytest
from scipy import integrate, special, stats

from agentomy.environments import bandits, dynamic_programming, gittins
from agentomy.environments.dynamic_programming import solve
from tests.environments.policies import policy_value

UNIFORM = bandits.Bernoulli(((1.0, 1.0), (1.0, 1.0)))
BIASED = bandits.Bernoulli(((2.0, 1.0), (1.0, 2.0)))
GAUSSIAN = bandits.Gaussian(0.5, 2.0, 0.7)
EXPONENTIAL = bandits.Exponential(3.0, 2.0)
every_task = pytest.mark.parametrize("task", [UNIFORM, BIASED, GAUSSIAN, EXPONENTIAL], ids=str)
continuous = pytest.mark.parametrize("task", [GAUSSIAN, EXPONENTIAL], ids=str)
START = np.zeros(4)


def random_states(task, steps, count=200, seed=0):
    rng = np.random.default_rng(seed)
    _, rewards = task.sample(rng, count, steps)
    actions = rng.integers(0, 2, (count, steps))
    return task.statistics(actions, np.take_along_axis(rewards, actions[..., None], 2)[..., 0])


@pytest.mark.parametrize("discount", [1.0, 0.9])
@pytest.mark.parametrize("task", [UNIFORM, BIASED], ids=str)
def test_bernoulli_q_equals_a_plain_recursion(task, discount):
    (a0, b0), (a1, b1) = task.prior

    @cache
    def q(s0, f0, s1, f1, remaining):
        p0, p1 = (a0 + s0) / (a0 + b0 + s0 + f0), (a1 + s1) / (a1 + b1 + s1 + f1)
        if remaining == 1:
            return p0, p1
        r = remaining - 1
        up0, down0 = max(q(s0 + 1, f0, s1, f1, r)), max(q(s0, f0 + 1, s1, f1, r))
        up1, down1 = max(q(s0, f0, s1 + 1, f1, r)), max(q(s0, f0, s1, f1 + 1, r))
        return p0 + discount * (p0 * up0 + (1 - p0) * down0), p1 + discount * (p1 * up1 + (1 - p1) * down1)

    states = random_states(task, 6)
    optimum = solve(task, 6, discount)
    expected = [[q(*map(int, state), 6 - t) for t, state in enumerate(episode)] for episode in states]
    np.testing.assert_allclose(optimum.q(states), expected, atol=1e-12)
    assert optimum.value == pytest.approx(max(q(0, 0, 0, 0, 6)), abs=1e-12)


@pytest.mark.parametrize("discount", [1.0, 0.9])
@every_task
def test_with_one_pull_left_q_is_the_posterior_mean(task, discount):
    states = random_states(task, 20)
    q = solve(task, 20, discount).q(states)[:, -1]
    np.testing.assert_allclose(q, task.posterior_mean(states)[:, -1], atol=1e-9)


@pytest.mark.parametrize(("steps", "discount"), [(0, 1.0), (5, 1.2), (5, -1.0), (5, float("nan"))])
def test_impossible_pulls_and_discounts_are_refused_in_one_line(steps, discount):
    with pytest.raises(ValueError, match="allowed: 1 or more, and from 0 to 1") as error:
        solve(UNIFORM, steps, discount)
    assert "\n" not in str(error.value)


def test_without_a_future_a_pull_is_worth_its_mean_alone():
    for task in (BIASED, GAUSSIAN, EXPONENTIAL):
        states = random_states(task, 5)
        np.testing.assert_allclose(solve(task, 5, 0.0).q(states), task.posterior_mean(states), atol=1e-9)


def test_two_gaussian_pulls_are_worth_the_closed_form():
    """The second pull takes the better of the arm tried, of mean m + s z, and the other: s / √(2π) above m."""
    moved = np.sqrt(GAUSSIAN.posterior_variance(0) - GAUSSIAN.posterior_variance(1))
    assert solve(GAUSSIAN, 2).value == pytest.approx(2 * GAUSSIAN.mean + moved / np.sqrt(2 * np.pi), abs=1e-5)


def test_two_exponential_pulls_are_worth_the_closed_form():
    """The arm tried gets mean b eʷ / a, w ~ Exp(a), and the other has b / (a - 1): w must pass log(a / (a - 1))."""
    a, b = EXPONENTIAL.shape, EXPONENTIAL.rate
    stay = (a / (a - 1)) ** -a  # probability that the tried arm is the better one
    second = (1 - stay) * b / (a - 1) + b / a * a / (a - 1) * (a / (a - 1)) ** (1 - a)
    assert solve(EXPONENTIAL, 2).value == pytest.approx(b / (a - 1) + second, abs=1e-5)


@pytest.mark.parametrize("discount", [1.0, 0.95])
@continuous
def test_q_satisfies_bellmans_equation_by_quadrature(task, discount):
    """Q*(s, a) = mean + γ ∫ V*(s after reward x) p(x | s) dx, with scipy's densities and adaptive integration."""
    optimum = solve(task, 20, discount)
    states = random_states(task, 20, count=3, seed=1)[:, [0, 4, 12, 18]].reshape(-1, 4)
    for state, q in zip(states, optimum.q(states), strict=True):
        mean = task.posterior_mean(state)
        for arm in range(2):
            n, total = task.per_arm(state)[arm]
            if task is GAUSSIAN:
                reward = stats.norm(mean[arm], np.sqrt(task.posterior_variance(n) + task.noise))
            else:
                reward = stats.lomax(task.shape + n, scale=task.rate + total)

            def value(x, state=state, arm=arm):
                return optimum.q(state + task.evidence(np.full(np.shape(x), arm), x)).max(-1)

            # Equal shares of probability, many nodes: the integrand has one kink.
            edges = reward.ppf(special.expit(np.linspace(-34, 34, 400)))
            nodes, weights = np.polynomial.legendre.leggauss(8)
            half = np.diff(edges)[:, None] / 2
            x = edges[:-1, None] + half * (nodes + 1)
            expected = mean[arm] + discount * (value(x) * reward.pdf(x) * half * weights).sum()
            assert q[arm] == pytest.approx(expected, abs=1e-4)


@continuous
def test_a_finer_grid_changes_the_value_by_less_than_1e_4(task, monkeypatch):
    states = random_states(task, 20)
    monkeypatch.setattr(dynamic_programming, "_NODES", 1 << 14)
    fine = solve.__wrapped__(task, 20)
    assert solve(task, 20).value == pytest.approx(fine.value, abs=1e-4)
    difference = np.abs(solve(task, 20).q(states) - fine.q(states))
    assert difference.mean() < 1e-5
    assert difference.max() < 5e-4  # in the tail of large rewards


@every_task
def test_playing_the_optimum_earns_its_value(task):
    optimum, rng, episodes = solve(task, 20), np.random.default_rng(2), 60_000
    means, rewards = task.sample(rng, episodes, 20)
    statistics, row = np.zeros((episodes, 4)), np.arange(episodes)
    earned = np.zeros(episodes)
    for t in range(20):
        arms = optimum.q(statistics).argmax(-1)
        # The mean of the arm pulled in place of the reward, less half of both: the same expectation, less noise.
        earned += means[row, arms] - means.mean(-1) + task.prior_mean().mean()
        statistics += task.evidence(arms, rewards[row, t, arms])
    assert earned.mean() == pytest.approx(optimum.value, abs=4 * earned.std() / np.sqrt(episodes))


@pytest.mark.parametrize("task", [UNIFORM, GAUSSIAN, EXPONENTIAL], ids=str)
def test_exchanging_equal_arms_exchanges_q(task):
    states = random_states(task, 20)
    exchanged = states[..., [2, 3, 0, 1]]
    optimum = solve(task, 20)
    np.testing.assert_allclose(optimum.q(exchanged), optimum.q(states)[..., ::-1], atol=2e-3, rtol=2e-5)


@every_task
def test_the_optimum_is_worth_more_than_any_arm_pulled_for_ever(task):
    states = random_states(task, 20)
    remaining = np.arange(20, 0, -1)[:, None]
    assert (solve(task, 20).q(states).max(-1, keepdims=True) > remaining * task.posterior_mean(states) - 1e-4).all()


@every_task
def test_statistics_from_a_regression_are_looked_up_at_the_nearest_state(task):
    wild = np.random.default_rng(1).normal(size=(500, 4)) * 30
    optimum = solve(task, 20)
    assert np.isfinite(optimum.q(wild)).all()
    late = np.array([15.0, 2.0, 9.0, 1.0])
    np.testing.assert_allclose(optimum.q(late), task.posterior_mean(late))


# ---- reference agents -----------------------------------------------------------------------------------------------


def prefer(first, second):
    """Probability of arm 1 when the higher is pulled and ties are broken at random."""
    return np.where(np.isclose(first, second, atol=1e-6), 0.5, second > first)


def greedy(task):
    return lambda statistics: prefer(*np.moveaxis(task.posterior_mean(statistics), -1, 0))


def gittins_agent(task):
    return lambda statistics: prefer(*np.moveaxis(gittins.indices(task, 20, 0.95).index(statistics), -1, 0))


def thompson(task):
    """P(θ1 > θ0) = ∫ p(θ1) P(θ0 < θ1) dθ1: polynomials for whole counts, so that Gauss-Legendre is exact."""
    nodes, weights = np.polynomial.legendre.leggauss(64)
    x, weights = (nodes + 1) / 2, weights / 2

    def policy(statistics):
        (a0, b0), (a1, b1) = np.moveaxis(task.per_arm(statistics) + np.asarray(task.prior), (-2, -1), (0, 1))[..., None]
        density = np.exp((a1 - 1) * np.log(x) + (b1 - 1) * np.log1p(-x) - special.betaln(a1, b1))
        return (density * special.betainc(a0, b0, x)) @ weights

    return policy


def test_thompson_probabilities_are_those_of_its_draws():
    statistics = np.array([3.0, 2, 1, 0])
    draws = UNIFORM.posterior_sample(np.tile(statistics, (100_000, 1)), np.random.default_rng(0))
    assert thompson(UNIFORM)(statistics[None])[0] == pytest.approx((draws[:, 1] > draws[:, 0]).mean(), abs=0.01)


def test_the_references_are_ordered_optimum_gittins_greedy_thompson_random():
    """Losses expected for Beta(1, 1): below 0.1 %, about 0.5 %, about 4 %, about 20 %."""
    optimum = solve(UNIFORM, 20).value
    agents = [gittins_agent(UNIFORM), greedy(UNIFORM), thompson(UNIFORM), lambda s: np.full(s.shape[:-1], 0.5)]
    losses = [1 - policy_value(UNIFORM, 20, agent) / optimum for agent in agents]
    assert 0 < losses[0] < 1e-3
    assert losses[1:] == pytest.approx([0.005, 0.04, 0.2], rel=0.25)
    assert losses[3] == pytest.approx(1 - 10 / optimum, abs=1e-9)


def test_following_q_is_worth_the_optimum():
    optimum = solve(BIASED, 20, 0.95)
    value = policy_value(BIASED, 20, lambda s: prefer(*np.moveaxis(optimum.q(s), -1, 0)), 0.95)
    assert value == pytest.approx(optimum.value, abs=1e-5)


def test_the_value_lost_is_the_sum_of_what_each_choice_loses():
    """V* - V(π) = E Σ (V*(s) - Q*(s, a)): the measure of 6.2 against the exact value of the greedy agent."""
    optimum, episodes = solve(UNIFORM, 20), 40_000
    rng = np.random.default_rng(3)
    _, rewards = UNIFORM.sample(rng, episodes, 20)
    statistics, gap = np.zeros((episodes, 4)), np.zeros(episodes)
    for t in range(20):
        q = optimum.q(statistics)
        arms = (rng.random(episodes) < greedy(UNIFORM)(statistics)).astype(int)
        gap += q.max(-1) - q[np.arange(episodes), arms]
        statistics += UNIFORM.evidence(arms, rewards[np.arange(episodes), t, arms])
    lost = optimum.value - policy_value(UNIFORM, 20, greedy(UNIFORM))
    assert gap.mean() == pytest.approx(lost, abs=4 * gap.std() / np.sqrt(episodes))


def test_two_pulls_by_an_integral_over_the_arms():
    """A check that owes nothing to conjugacy: stay after a success, change after a failure."""
    stay = integrate.dblquad(lambda p, q: p + p * p + (1 - p) * q, 0, 1, 0, 1)[0]
    assert solve(UNIFORM, 2).value == pytest.approx(stay, abs=1e-9)
