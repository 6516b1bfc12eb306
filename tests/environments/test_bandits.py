"""The bandits: posteriors against brute force, and batches against one episode at a time."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from agentomy import tables
from agentomy.descriptions import Task
from agentomy.environments import bandits, gym_bandits
from agentomy.kinds.bayes import BANDITS
from agentomy.seeds import Streams

STREAMS = Streams("bayes", "task", 0)
TASKS = [
    bandits.Bernoulli(((1.0, 1.0), (1.0, 1.0))),
    bandits.Bernoulli(((2.0, 1.0), (1.0, 2.0))),
    bandits.Gaussian(0.5, 2.0, 0.7),
    bandits.Exponential(3.0, 2.0),
]
every_task = pytest.mark.parametrize("task", TASKS, ids=str)


def played(task, seed=0, episodes=50, steps=12):
    """Uniformly random play: actions [E, T] and the rewards received [E, T]."""
    rng = np.random.default_rng(seed)
    _, rewards = task.sample(rng, episodes, steps)
    actions = rng.integers(0, 2, (episodes, steps))
    return actions, np.take_along_axis(rewards, actions[..., None], 2)[..., 0]


def brute_force_moments(task, arm, rewards):
    """Posterior mean and variance of one arm's mean reward, by integrals over its parameter."""
    match task:
        case bandits.Bernoulli():
            low, high, mean = 0, 1, lambda p: p
            prior, likelihood = stats.beta(*task.prior[arm]), lambda p, r: p if r else 1 - p
        case bandits.Gaussian():
            deviation, noise = np.sqrt(task.variance), np.sqrt(task.noise)
            low, high, mean = task.mean - 9 * deviation, task.mean + 9 * deviation, lambda m: m
            prior, likelihood = stats.norm(task.mean, deviation), lambda m, x: stats.norm.pdf(x, m, noise)
        case bandits.Exponential():
            low, high, mean = 0, 40, lambda rate: 1 / rate
            prior, likelihood = stats.gamma(task.shape, scale=1 / task.rate), lambda rate, x: rate * np.exp(-rate * x)

    def density(x):
        return prior.pdf(x) * np.prod([likelihood(x, reward) for reward in rewards])

    moments = [integrate.quad(lambda x, k=k: density(x) * mean(x) ** k, low, high)[0] for k in range(3)]
    return moments[1] / moments[0], moments[2] / moments[0] - (moments[1] / moments[0]) ** 2


@every_task
def test_posterior_mean_and_draws_have_the_moments_of_the_posterior(task):
    actions, rewards = played(task, episodes=1, steps=6)
    statistics = task.statistics(actions, rewards)[0, -1]
    draws = task.posterior_sample(np.broadcast_to(statistics, (200_000, 4)), np.random.default_rng(1))
    for arm in range(2):
        mean, variance = brute_force_moments(task, arm, rewards[0, :-1][actions[0, :-1] == arm])
        assert task.posterior_mean(statistics)[arm] == pytest.approx(mean, rel=1e-6)
        assert draws[:, arm].mean() == pytest.approx(mean, abs=5 * np.sqrt(variance / 200_000))
        assert draws[:, arm].var() == pytest.approx(variance, rel=0.05)


@every_task
def test_statistics_are_those_before_the_pull(task):
    actions, rewards = played(task)
    statistics = task.statistics(actions, rewards)
    assert statistics.shape == (50, 12, 4)
    assert (statistics[:, 0] == 0).all()
    np.testing.assert_array_equal(task.pulls(statistics).sum(-1), np.broadcast_to(np.arange(12), (50, 12)))
    step_by_step = np.zeros((50, 4))
    for t in range(12):
        np.testing.assert_allclose(statistics[:, t], step_by_step, atol=1e-12)
        step_by_step = step_by_step + task.evidence(actions[:, t], rewards[:, t])


@every_task
@given(seed=st.integers(0, 10_000))
@settings(max_examples=50)
def test_rounded_regressions_are_possible_states_and_true_states_stay(task, seed):
    noise = np.random.default_rng(seed).normal(size=(30, 4)) * 20
    mean = task.posterior_mean(task.round(noise))
    assert np.isfinite(mean).all()
    assert (task.pulls(task.round(noise)) % 1 == 0).all()
    assert (task.pulls(task.clip(noise)) >= 0).all()
    statistics = task.statistics(*played(task, seed, episodes=3))
    np.testing.assert_array_equal(task.round(statistics), statistics)


@every_task
def test_the_prior_mean_is_that_of_drawn_arms(task):
    means, _ = task.sample(np.random.default_rng(0), 400_000, 1)
    assert task.prior_mean() == pytest.approx(means.mean(axis=0), abs=5 * means.std(axis=0).max() / np.sqrt(400_000))


@every_task
def test_rewards_average_to_the_means_of_their_arms(task):
    means, rewards = task.sample(np.random.default_rng(2), 100, 20_000)
    error = rewards.std(1) / np.sqrt(20_000)
    assert (np.abs(rewards.mean(1) - means) < 5 * error).all()


@every_task
def test_observations_of_a_batch_are_those_of_one_episode_at_a_time(task):
    rng = np.random.default_rng(3)
    means, rewards = task.sample(rng, 7, 5)
    actions = rng.integers(0, 2, (7, 5))
    observations = bandits.observe(actions, task.encode_reward(rewards))
    for episode in range(7):
        env = gym_bandits.BanditEnv(task, 5)
        first, info = env.reset(options={"means": means[episode], "rewards": rewards[episode]})
        assert not first.any()
        np.testing.assert_array_equal(info["means"], means[episode])
        for t, action in enumerate(actions[episode]):
            observation, reward, terminated, truncated, _ = env.step(action)
            np.testing.assert_array_equal(observation, observations[episode, t])
            assert (reward, terminated, truncated) == (rewards[episode, t, action], t == 4, False)


@every_task
def test_a_single_environment_has_the_episode_of_a_batch_of_one(task):
    env = gym_bandits.BanditEnv(task, 5)
    _, info = env.reset(seed=8)
    means, rewards = task.sample(np.random.default_rng(8), 1, 5)
    np.testing.assert_array_equal(info["means"], means[0])
    np.testing.assert_array_equal(env.rewards, rewards[0])


def test_observations_are_the_previous_action_and_the_previous_reward():
    encoded = TASKS[0].encode_reward(np.array([[1, 0], [1, 0], [0, 1], [0, 1]]))
    observation = bandits.observe(np.array([0, 1, 0, 1]), encoded)
    assert observation.dtype == np.float32
    np.testing.assert_array_equal(observation, [[1, 0, 1], [0, 1, -1], [1, 0, -1], [0, 1, 1]])


@every_task
def test_statistics_of_a_stack_of_batches_are_those_of_each(task):
    actions, rewards = (np.stack(arrays) for arrays in zip(*[played(task, seed) for seed in (0, 1, 2)], strict=True))
    expected = [task.statistics(*arrays) for arrays in zip(actions, rewards, strict=True)]
    np.testing.assert_array_equal(task.statistics(actions, rewards), expected)


@pytest.mark.filterwarnings("ignore::UserWarning")  # unbounded rewards are meant
@pytest.mark.parametrize("name", ["BernoulliBandit", "GaussianBandit", "ExponentialBandit"])
def test_the_gymnasium_environments_pass_gymnasiums_own_checks(name):
    env = gymnasium.make(f"agentomy.environments.gym_bandits:agentomy/{name}-v0", steps=4)
    check_env(env.unwrapped)
    env.reset(seed=0)
    assert [env.step(1)[2] for _ in range(4)] == [False, False, False, True]


STAGES = {
    "bernoulli": {"prior": [[2.0, 1.0], [1.0, 2.0]]},
    "gaussian": {"mean": 0.0, "variance": 1.0, "noise": 1.0},
    "exponential": {"shape": 3.0, "rate": 2.0},
}


@pytest.mark.parametrize("name", STAGES)
def test_a_table_on_disk_gives_back_its_task_and_its_episodes(name, tmp_path):
    parameters = {**STAGES[name], "steps": 6, "episodes": 9}
    rows = getattr(bandits, name)(**parameters, streams=STREAMS)
    assert rows == getattr(bandits, name)(**parameters, streams=STREAMS)
    tables.write(tmp_path / "t.parquet", BANDITS, rows, Task(use=f"bandits.{name}", parameters=parameters))
    table = tables.Table(BANDITS, [tmp_path / "t.parquet"])
    means, rewards = bandits.task(table.description).sample(STREAMS.numpy("episodes"), 9, 6)
    np.testing.assert_array_equal(table.array("means", 2), means)
    np.testing.assert_array_equal(table.array("rewards", 6, 2), rewards)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: bandits.Bernoulli(((1.0, 1.0),)), "one beta distribution an arm"),
        (lambda: bandits.Bernoulli(((1.0, 0.0), (1.0, 1.0))), "positive"),
        (lambda: bandits.Gaussian(0.0, -1.0, 1.0), "variance"),
        (lambda: bandits.Exponential(1.0, 2.0), "shape must be above 1"),
        (lambda: bandits.exponential(shape=3, rate=2, steps=5, episodes=0, streams=STREAMS), "one episode"),
    ],
)
def test_impossible_tasks_are_refused_in_one_line(make, complaint):
    with pytest.raises(ValueError, match=complaint) as error:
        make()
    assert "\n" not in str(error.value)


def test_a_prior_of_lists_is_the_same_task():
    lists, tuples = bandits.Bernoulli([[2.0, 1.0], [1.0, 3.0]]), bandits.Bernoulli(((2.0, 1.0), (1.0, 3.0)))
    assert lists == tuples
    assert hash(lists) == hash(tuples)
    np.testing.assert_allclose(lists.prior_mean(), [2 / 3, 1 / 4])
