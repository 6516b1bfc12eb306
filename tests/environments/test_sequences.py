"""The prediction tasks: closed forms against brute force, and tables that remember their task."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from agentomy import tables
from agentomy.descriptions import Task
from agentomy.environments import sequences
from agentomy.kinds.bayes import SEQUENCES
from agentomy.seeds import Streams

STREAMS = Streams("bayes", "task", 0)
TASKS = [
    sequences.Categorical((1.0, 1.0, 1.0)),
    sequences.Categorical((1.0, 2.0)),
    sequences.Categorical((0.3, 1.0, 2.5, 4.0)),
    sequences.Exponential(3.0, 2.0),
    sequences.Gaussian(0.5, 2.0, 0.7),
    sequences.NormalGamma(0.5, 1.0, 2.0, 3.0),
]
every_task = pytest.mark.parametrize("task", TASKS, ids=str)


def log_predictive(task, predictive, x):
    """log p(x) by scipy's own distributions."""
    match task.family:
        case "categorical":
            return np.log(np.take_along_axis(predictive, x[..., None].astype(int), -1)[..., 0])
        case "lomax":
            return stats.lomax.logpdf(x, predictive[..., 0], scale=predictive[..., 1])
        case "normal":
            return stats.norm.logpdf(x, predictive[..., 0], predictive[..., 1])
        case "student_t":
            return stats.t.logpdf(x, predictive[..., 0], predictive[..., 1], predictive[..., 2])


def brute_force(task, history, x):
    """p(x | history) as a ratio of two integrals over the source's parameters."""

    def joint(*observations):
        match task:
            case sequences.Categorical(concentration=(b, a)):
                return integrate.quad(
                    lambda p: stats.beta.pdf(p, a, b) * np.prod([p if o else 1 - p for o in observations]), 0, 1
                )[0]
            case sequences.Exponential():
                return integrate.quad(
                    lambda r: (
                        stats.gamma.pdf(r, task.shape, scale=1 / task.rate)
                        * np.prod([r * np.exp(-r * o) for o in observations])
                    ),
                    0,
                    40,
                )[0]
            case sequences.Gaussian():
                prior, noise = np.sqrt(task.variance), np.sqrt(task.noise)
                return integrate.quad(
                    lambda m: stats.norm.pdf(m, task.mean, prior) * np.prod(stats.norm.pdf(observations, m, noise)),
                    task.mean - 9 * prior,
                    task.mean + 9 * prior,
                )[0]
            case sequences.NormalGamma():

                def given_precision(t):
                    # Everything is Gaussian given the precision: the observations jointly, too.
                    n = len(observations)
                    covariance = (np.eye(n) + 1 / task.kappa) / t
                    prior = stats.gamma.pdf(t, task.shape, scale=1 / task.rate)
                    return prior * stats.multivariate_normal.pdf(observations, np.full(n, task.mean), covariance)

                return integrate.quad(given_precision, 1e-9, 30, limit=200)[0]

    return joint(*history, x) / (joint(*history) if len(history) else 1.0)


@pytest.mark.parametrize("task", [task for task in TASKS if task.outputs < 3 or task.family != "categorical"], ids=str)
@pytest.mark.parametrize("n", [0, 1, 4])
def test_the_predictive_is_the_posterior_average_of_the_likelihood(task, n):
    _, observations = task.sample(np.random.default_rng(n), 1, n + 1)
    predictive = task.predictive(task.statistics(observations))
    expected = brute_force(task, observations[0, :n], observations[0, n])
    assert np.exp(log_predictive(task, predictive, observations))[0, n] == pytest.approx(expected, rel=1e-6)


@every_task
def test_the_expected_log_loss_is_what_the_bayes_optimal_predictor_scores(task):
    _, observations = task.sample(np.random.default_rng(0), 40_000, 20)
    losses = -log_predictive(task, task.predictive(task.statistics(observations)), observations)
    error = losses.std(0) / np.sqrt(len(losses))
    assert np.all(np.abs(losses.mean(0) - task.expected_log_loss(20)) < 4.5 * error + 1e-12)


@every_task
def test_the_expected_log_loss_falls_towards_the_oracle_and_never_below(task):
    losses = task.expected_log_loss(2000)
    assert np.all(np.diff(losses) < 0)
    assert losses[-1] > task.oracle_log_loss()
    assert losses[-1] == pytest.approx(task.oracle_log_loss(), abs=2e-3)


def test_the_entropy_of_exponential_episodes_adds_up():
    """The closed form of the joint entropy of n draws, differenced, gives the same log-loss."""
    from scipy.special import gammaln, psi

    a, b, n = 3.0, 2.0, np.arange(21)
    joint = -(a * np.log(b) + gammaln(a + n) - gammaln(a)) + (a + n) * (np.log(b) + psi(a + n) - psi(a))
    np.testing.assert_allclose(sequences.Exponential(a, b).expected_log_loss(20), np.diff(joint), atol=1e-12)


@every_task
def test_statistics_of_one_episode_are_those_that_it_has_among_others(task):
    _, observations = task.sample(np.random.default_rng(0), 3, 6)
    for many, alone in zip(task.statistics(observations), map(task.statistics, observations), strict=True):
        np.testing.assert_array_equal(many, alone)


@every_task
def test_statistics_before_a_step_ignore_that_step_and_all_later_ones(task):
    _, observations = task.sample(np.random.default_rng(1), 50, 8)
    changed = observations.copy()
    changed[:, 3:] = task.sample(np.random.default_rng(2), 50, 8)[1][:, 3:]
    same = task.statistics(observations)[:, :4] == task.statistics(changed)[:, :4]
    assert same.all()
    assert (task.statistics(observations)[:, 0] == 0).all()


@every_task
def test_one_episode_has_the_statistics_that_it_has_among_others(task):
    _, observations = task.sample(np.random.default_rng(1), 5, 8)
    np.testing.assert_array_equal(task.statistics(observations[3]), task.statistics(observations)[3])


@every_task
@given(order=st.permutations(range(7)), seed=st.integers(0, 1000))
@settings(max_examples=20)
def test_the_order_of_observations_does_not_matter(task, order, seed):
    observations = task.sample(np.random.default_rng(seed), 1, 8)[1]
    shuffled = np.concatenate([observations[:, list(order)], observations[:, 7:]], axis=1)
    last = [task.predictive(task.statistics(x))[:, -1] for x in (observations, shuffled)]
    np.testing.assert_allclose(*last, rtol=1e-9)


@every_task
@given(seed=st.integers(0, 10_000))
@settings(max_examples=50)
def test_any_output_of_a_regression_can_be_clipped_to_a_predictive(task, seed):
    rng = np.random.default_rng(seed)
    size = task.statistics(np.zeros((1, 1))).shape[-1]
    statistics = rng.normal(size=(100, size)) * 10.0 ** rng.uniform(-6, 3, size=(100, 1))
    predictive = task.predictive(task.clip(statistics))
    assert np.isfinite(predictive).all()
    match task.family:
        case "categorical":
            np.testing.assert_allclose(predictive.sum(-1), 1)
        case "lomax":
            assert (predictive > 0).all()
        case _:
            assert (predictive[..., -1] > 0).all()


@every_task
def test_clipping_leaves_true_statistics_alone(task):
    statistics = task.statistics(task.sample(np.random.default_rng(3), 200, 20)[1])
    np.testing.assert_allclose(task.clip(statistics), statistics, atol=1e-9)


@every_task
def test_the_encoding_is_one_float32_vector_an_observation(task):
    _, observations = task.sample(np.random.default_rng(4), 5, 6)
    encoded = task.encode(observations)
    assert encoded.shape == (5, 6, task.inputs)
    assert encoded.dtype == np.float32
    assert task.predictive(task.statistics(observations)).shape == (5, 6, task.outputs)


def test_categories_come_as_often_as_their_probabilities():
    probabilities, observations = sequences.Categorical((0.5, 1.0, 2.0)).sample(np.random.default_rng(5), 200, 5000)
    shares = (observations[..., None] == np.arange(3)).mean(1)
    assert np.abs(shares - probabilities).max() < 5 * 0.5 / np.sqrt(5000)


def test_a_bernoulli_prior_is_about_ones():
    described = Task(use="sequences.bernoulli", parameters={"prior": [9, 1], "steps": 5, "episodes": 2})
    task = sequences.task(described)
    np.testing.assert_allclose(task.predictive(np.zeros(2)), [0.1, 0.9])
    assert task.sample(np.random.default_rng(0), 1000, 5)[1].mean() > 0.8


def test_the_marginals_of_a_posterior_are_scipys_betas():
    task, counts = sequences.Categorical((0.3, 1.0, 2.5)), np.array([[4.0, 0.0, 1.0], [0.0, 7.0, 2.0]])
    at = np.linspace(0.01, 0.99, 9)
    densities = sequences.marginals(task, counts, at)
    total = 3.8 + counts.sum(-1)
    for row, column in np.ndindex(2, 3):
        alpha = task.concentration[column] + counts[row, column]
        posterior = stats.beta(alpha, total[row] - alpha)
        np.testing.assert_allclose(densities[row, column], posterior.pdf(at))
        assert posterior.mean() == pytest.approx(task.predictive(counts)[row, column])


STAGES = {
    "categorical": {"concentration": [1.0, 2.0, 3.0]},
    "bernoulli": {"prior": [2.0, 1.0]},
    "exponential": {"shape": 3.0, "rate": 2.0},
    "gaussian": {"mean": 0.0, "variance": 1.0, "noise": 1.0},
    "normal_gamma": {"mean": 0.0, "kappa": 1.0, "shape": 2.0, "rate": 2.0},
}


@pytest.mark.parametrize("name", STAGES)
def test_a_table_on_disk_gives_back_its_task_and_its_episodes(name, tmp_path):
    parameters = {**STAGES[name], "steps": 6, "episodes": 9}
    rows = getattr(sequences, name)(**parameters, streams=STREAMS)
    assert rows == getattr(sequences, name)(**parameters, streams=STREAMS)
    tables.write(tmp_path / "t.parquet", SEQUENCES, rows, Task(use=f"sequences.{name}", parameters=parameters))
    table = tables.Table(SEQUENCES, [tmp_path / "t.parquet"])
    task = sequences.task(table.description)
    observations = table.array("observations", 6)
    np.testing.assert_array_equal(observations, task.sample(STREAMS.numpy("episodes"), 9, 6)[1])


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: sequences.Categorical((1.0, -1.0)), "concentration must be positive"),
        (lambda: sequences.Categorical((1.0,)), "at least two"),
        (lambda: sequences.Exponential(1.0, 1.0), "shape must be above 1"),
        (lambda: sequences.Gaussian(0.0, 1.0, 0.0), "noise"),
        (lambda: sequences.NormalGamma(0.0, 0.0, 1.0, 1.0), "kappa"),
        (lambda: sequences.bernoulli(prior=[1, 1, 1], steps=1, episodes=1, streams=STREAMS), r"prior is \[a, b\]"),
        (lambda: sequences.gaussian(mean=0, variance=1, noise=1, steps=0, episodes=1, streams=STREAMS), "one step"),
    ],
)
def test_impossible_tasks_are_refused_in_one_line(make, complaint):
    with pytest.raises(ValueError, match=complaint) as error:
        make()
    assert "\n" not in str(error.value)


@every_task
def test_statistics_of_a_stack_of_batches_are_those_of_each_episode(task):
    episodes = task.sample(np.random.default_rng(4), 6, 5)[1]
    expected = np.stack([task.statistics(episode[None])[0] for episode in episodes])
    np.testing.assert_array_equal(task.statistics(episodes), expected)
    np.testing.assert_array_equal(task.statistics(episodes[2]), expected[2])
    np.testing.assert_array_equal(task.statistics(episodes.reshape(2, 3, 5)).reshape(expected.shape), expected)
    assert (expected[:, 1:] != expected[:, :-1]).any()


def test_a_concentration_of_a_list_is_the_same_task():
    lists, tuples = sequences.Categorical([2.0, 1.0]), sequences.Categorical((2.0, 1.0))
    assert (lists, hash(lists)) == (tuples, hash(tuples))
