"""Distances to the Bayes-optimal agents, on agents whose distance is known."""

import numpy as np
import pytest

from agentomy import kinds
from agentomy.papers.bayes.measure import optimality
from agentomy.tables import Table, write
from tests.described import extracted
from tests.papers.bayes import bayes_tables


@pytest.fixture
def observations(rng):
    return bayes_tables.sequences(rng, 20)[1]


def categorical(predictive, observations, **labels):
    """Rows of PREDICTIONS from predictive vectors [E, T, K]."""
    return bayes_tables.predicted(predictive, observations, run="cat-3", **labels)


def of_one_network(optimal, network, observations):
    rows = (
        categorical(optimal, observations, agent="bayes", seed=-1, update=-1),
        categorical(network, observations, agent="network", seed=0, update=7),
    )
    return optimality.kl_to_bayes(bayes_tables.table(kinds.bayes.PREDICTIONS, *rows)).to_pandas()


def test_a_network_equal_to_the_bayes_agent_is_at_no_distance(observations):
    optimal = bayes_tables.optimal(observations)
    distance = of_one_network(optimal, optimal, observations)
    assert distance["t"].tolist() == list(range(1, bayes_tables.STEPS + 1))
    assert set(distance["update"]) == {7}
    np.testing.assert_allclose(distance["kl"], 0, atol=1e-7)
    np.testing.assert_allclose(distance["excess"], 0, atol=1e-7)


def test_the_kl_of_a_mixture_is_that_of_a_plain_loop_with_bayes_first(observations):
    optimal = bayes_tables.optimal(observations)
    network = 0.6 * optimal + 0.4 * np.array([0.7, 0.2, 0.1])
    distance = of_one_network(optimal, network, observations)
    for step in (0, 5, 19):
        divergences = [
            sum(p * np.log(p / q) for p, q in zip(bayes, mixture, strict=True))
            for bayes, mixture in zip(optimal[:, step], network[:, step], strict=True)
        ]
        assert distance["kl"][step] == pytest.approx(np.mean(divergences), rel=1e-4)


def test_the_excess_loss_agrees_with_the_kl_over_many_episodes(rng):
    _, observations = bayes_tables.sequences(rng, 4000)
    optimal = bayes_tables.optimal(observations)
    distance = of_one_network(optimal, 0.5 * optimal + 0.5 / 3, observations)
    assert distance["excess"].mean() == pytest.approx(distance["kl"].mean(), rel=0.1)


def closed_form(steps):
    """Optimal log-loss of three categories under a Dirichlet(1, 1, 1): a mean over all histories by Pólya's urn."""
    losses = []
    for n in range(steps):
        counts = [(a, b, n - a - b) for a in range(n + 1) for b in range(n + 1 - a)]  # all equally likely
        p = (np.array(counts) + 1) / (n + 3)
        losses.append(-(p * np.log(p)).sum(axis=1).mean())
    return np.mean(losses)


def above_closed_form(rng, network, optimal_loss, episodes=2000):
    _, observations = bayes_tables.sequences(rng, episodes)
    optimal = bayes_tables.optimal(observations)
    rows = [categorical(optimal, observations, agent="bayes", seed=-1, update=-1)]
    for update, predictive in ((0, np.full_like(optimal, 1 / 3)), (7, network(optimal))):
        rows.append(categorical(predictive, observations, agent="network", seed=0, update=update))
    best = {"run": "cat-3", "quantity": "optimal log-loss", "t": 0, "value": optimal_loss}
    predictions = bayes_tables.table(kinds.bayes.PREDICTIONS, *rows)
    (row,) = optimality.closed_form(predictions, bayes_tables.table(kinds.bayes.OPTIMUM, best)).to_pylist()
    return row


def test_the_excess_over_the_closed_form_is_the_kl_but_for_noise(rng):
    row = above_closed_form(rng, lambda optimal: 0.5 * optimal + 0.5 / 3, closed_form(bayes_tables.STEPS))
    assert row["kl"] > 0.02  # of the last snapshot, and not of the first
    assert row["excess"] == pytest.approx(row["kl"], abs=0.03)
    assert row["errors"] < 4


@pytest.mark.parametrize("shift", [-0.1, 0.1])
def test_a_wrong_closed_form_is_far_outside_the_noise(rng, shift):
    row = above_closed_form(rng, lambda optimal: optimal, closed_form(bayes_tables.STEPS) + shift)
    assert row["kl"] == pytest.approx(0, abs=1e-6)
    assert row["errors"] > 8


def test_the_noise_of_the_excess_is_that_of_a_standard_normal(rng):
    exact = closed_form(bayes_tables.STEPS)
    scores = [above_closed_form(rng, lambda optimal: 0.9 * optimal + 0.1 / 3, exact, 300)["errors"] for _ in range(150)]
    assert np.sqrt(np.mean(np.square(scores))) == pytest.approx(1, abs=0.2)


def test_episodes_are_matched_by_number_and_not_by_order(observations):
    optimal = bayes_tables.optimal(observations)
    order = np.arange(len(observations))[::-1]
    bayes = categorical(optimal, observations, agent="bayes", seed=-1, update=-1)
    network = categorical(optimal, observations, agent="network", seed=0, update=7)
    for shuffled in (network, bayes):
        for name in ("predictive", "log_probability", "episode"):
            shuffled[name] = shuffled[name][order]
        distance = optimality.kl_to_bayes(bayes_tables.table(kinds.bayes.PREDICTIONS, bayes, network)).to_pandas()
        np.testing.assert_allclose(distance["kl"], 0, atol=1e-7)
        order = np.roll(order, 3)


def test_an_episode_that_the_bayes_agent_lacks_is_refused(observations):
    optimal = bayes_tables.optimal(observations)
    bayes = categorical(optimal, observations, agent="bayes", seed=-1, update=-1)
    network = categorical(optimal, observations, agent="network", seed=0, update=7) | {"episode": np.arange(5, 25)}
    with pytest.raises(ValueError, match="run 'cat-3': a network has episodes"):
        optimality.kl_to_bayes(bayes_tables.table(kinds.bayes.PREDICTIONS, bayes, network))


def test_the_same_distances_come_from_rows_written_in_small_groups(rng, tmp_path):
    predictions = bayes_tables.predictions(bayes_tables.sequences(rng)[1])
    rows = predictions.arrow()
    groups = (rows.slice(start, 7) for start in range(0, len(rows), 7))
    write(tmp_path / "predictions.parquet", kinds.bayes.PREDICTIONS, groups, extracted())
    piecewise = optimality.kl_to_bayes(Table(kinds.bayes.PREDICTIONS, [tmp_path / "predictions.parquet"])).to_pandas()
    whole = optimality.kl_to_bayes(predictions).to_pandas()
    np.testing.assert_allclose(piecewise["kl"], whole["kl"], atol=1e-12)
    assert piecewise["update"].tolist() == whole["update"].tolist()


def played(probability, q_difference, index=None, means=(0.25, 0.75), actions=None):
    """One episode of two pulls."""
    actions = np.array([[1, 0]]) if actions is None else np.array([actions])
    labels = {"run": "bb", "agent": "network", "policy": "sampled", "seed": 0, "update": 3, "episode": 0}
    what = {"means": np.array([means]), "actions": actions, "rewards": np.zeros((1, 2))}
    index = np.array([q_difference if index is None else index])
    seen = {"probability": np.array([probability]), "q_difference": np.array([q_difference]), "index": index}
    return optimality.bandit_gap(bayes_tables.table(kinds.bayes.PLAY, {**labels, **what, **seen})).to_pandas()


def test_the_gap_is_the_chance_of_the_worse_arm_times_what_it_costs():
    rows = played(probability=[0.9, 0.2], q_difference=[0.5, -2.0])
    np.testing.assert_allclose(rows["gap"], [0.1 * 0.5, 0.2 * 2.0], rtol=1e-6)


def test_the_gap_is_v_minus_the_policys_mean_q(rng):
    q, p = rng.normal(size=(50, 2)), rng.random(50)
    expected = q.max(axis=1) - ((1 - p) * q[:, 0] + p * q[:, 1])
    np.testing.assert_allclose(optimality.return_lost(p, q[:, 1] - q[:, 0]), expected, atol=1e-12)


def test_regret_is_of_true_means():
    assert played([0.5, 0.5], [0, 0])["regret"].tolist() == [0.0, 0.5]


@pytest.mark.parametrize(
    ("index", "agreement"), [([1, 1], [1, 0]), ([-1, -1], [0, 1]), ([5e-5, -5e-5], [1, 1]), ([-5e-5, 5e-5], [1, 1])]
)
def test_agreement_is_with_the_greater_index_and_ties_count(index, agreement):
    assert played([0.5, 0.5], [0, 0], index)["agreement"].tolist() == agreement


def test_a_better_agent_has_the_smaller_gap(rng):
    frame = optimality.bandit_gap(bayes_tables.play(rng)).to_pandas()
    lost = frame[frame["agent"] != "network"].groupby("agent")["gap"].sum()
    assert lost["gittins"] < lost["greedy"] < lost["thompson"] < lost["random"]


@pytest.fixture
def gap(rng):
    return bayes_tables.as_table(kinds.bayes.GAP, optimality.bandit_gap(bayes_tables.play(rng)))


def lost_by(gap, **wanted):
    """GAP summed over the steps of an episode, of one agent."""
    frame = gap.frame()
    for column, value in wanted.items():
        frame = frame[frame[column] == value]
    return frame[["gap", "regret"]].sum()


@pytest.mark.parametrize("policy", ["argmax", "sampled"])
def test_what_a_network_loses_is_set_beside_the_optimum_and_the_references(gap, policy):
    rows = optimality.losses(gap, bayes_tables.optimum()).to_pandas()
    labels = {"agent": "network", "policy": policy, "seed": 1, "update": bayes_tables.UPDATES[-1]}
    row = rows.set_index(list(labels)).loc[tuple(labels.values())]
    network = lost_by(gap, **labels)
    thompson, greedy, gittins = (lost_by(gap, agent=agent) for agent in ("thompson", "greedy", "gittins"))
    assert row["lost"] == pytest.approx(network["gap"])
    assert row["share_lost"] == pytest.approx(network["gap"] / 12.6)
    assert row["over_thompson"] == pytest.approx(network["gap"] / thompson["gap"])
    assert row["over_greedy"] == pytest.approx(network["gap"] / greedy["gap"])
    assert row["regret_above_gittins"] == pytest.approx(network["regret"] - gittins["regret"])


def test_reference_agents_have_losses_too(gap):
    rows = optimality.losses(gap, bayes_tables.optimum()).to_pandas().set_index("agent")
    share = rows.loc[["gittins", "greedy", "thompson", "random"], "share_lost"]
    assert share.is_monotonic_increasing
    assert share["random"] == pytest.approx(lost_by(gap, agent="random")["gap"] / 12.6)
    assert rows.loc["thompson", "over_thompson"] == rows.loc["greedy", "over_greedy"] == 1
