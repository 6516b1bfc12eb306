"""Bandit episodes: references behave as their names say, and networks as the agents that were trained."""

import numpy as np
import pytest
import torch

from agentomy import kinds
from agentomy.environments import bandits
from agentomy.papers.bayes.extract import optimum, play
from agentomy.tables import Table
from tests.small_runs import EPISODES, STEPS, environment, streams


@pytest.fixture(scope="module")
def pieces(player, arms):
    from agentomy.progress import Progress

    options = {"discount": 0.95, "run": "b", "streams": streams()}
    tables = [
        *play.references(arms, **options),
        *play.play(player[1], arms, device="cpu", progress=Progress("test", every=1e9), **options),
    ]
    return {
        (p["agent"][0].as_py(), p["policy"][0].as_py(), p["seed"][0].as_py(), p["update"][0].as_py()): p for p in tables
    }


def table(piece):
    return Table(kinds.bayes.PLAY, rows=piece)


def losses(piece):
    """Expected return lost by each episode, against the optimum."""
    p, q_difference = (table(piece).array(name).astype(float) for name in ("probability", "q_difference"))
    return np.where(q_difference > 0, (1 - p) * q_difference, -p * q_difference).sum(axis=1)


def test_rewards_are_those_of_the_arms_pulled(pieces, arms):
    rewards = arms.array("rewards", STEPS, 2)
    for piece in pieces.values():
        actions = table(piece).array("actions").astype(int)
        expected = np.take_along_axis(rewards[: len(actions)], actions[..., None], axis=2)[..., 0]
        np.testing.assert_array_equal(table(piece).array("rewards"), expected)


def test_the_optimum_loses_nothing_and_the_order_of_the_references_is_the_known_one():
    size = {"steps": 20, "episodes": 20_000}
    prior = [[1.0, 1.0], [1.0, 1.0]]
    many = environment(kinds.bayes.BANDITS, bandits.bernoulli, "bandits.bernoulli", prior=prior, **size)
    arena = play.Arena(bandits.task(many.description), many.array("rewards", 20, 2), 0.95)
    lost = {}
    for agent in play.REFERENCES:
        actions, p = arena.reference(agent, streams().numpy(agent))
        q_difference, _ = arena.seen(arena.task.statistics(actions, arena.received(actions)))
        lost[agent] = np.where(q_difference > 0, (1 - p) * q_difference, -p * q_difference).sum(axis=1).mean()
    assert lost["optimal"] == pytest.approx(0, abs=1e-3)
    assert lost["optimal"] <= lost["gittins"] < lost["greedy"] < lost["thompson"] < lost["random"]
    # of twenty pulls the optimum expects 12.4313, a greedy agent 12.3654 and Thompson sampling 11.9318, undiscounted
    assert lost["greedy"] == pytest.approx(12.4313 - 12.3654, rel=0.1)
    assert lost["thompson"] == pytest.approx(12.4313 - 11.9318, rel=0.03)
    # what random play loses is known: half a pull a step, against the exact optimum
    table = Table(kinds.bayes.OPTIMUM, rows=optimum.of_bandits(many, run="b")).frame().set_index("quantity")["value"]
    assert lost["random"] == pytest.approx(table["optimal return"] - table["random return"], abs=0.05)


def test_the_gittins_agent_pulls_the_arm_of_higher_index_and_ties_are_even(pieces):
    piece = table(pieces["gittins", "argmax", -1, -1])
    index, probability = piece.array("index"), piece.array("probability")
    assert (probability[:, 0] == 0.5).all()  # nothing is known yet
    apart = np.abs(index) > kinds.bayes.TIE
    np.testing.assert_array_equal(probability[apart], index[apart] > 0)


def test_every_snapshot_plays_all_episodes_and_argmax_is_certain(pieces):
    assert {key[3] for key in pieces if key[0] == "network"} == {0, 5, 10}
    for key, piece in pieces.items():
        if key[0] == "network":
            assert len(piece) == EPISODES
            if key[1] == "argmax":
                assert set(np.unique(table(piece).array("probability"))) <= {0.0, 0.5, 1.0}


def test_an_untrained_agent_with_a_zero_policy_head_plays_at_random(pieces):
    np.testing.assert_allclose(table(pieces["network", "sampled", 0, 0]).array("probability"), 0.5)


def test_a_revived_network_plays_as_the_agent_does(pieces, player, arms):
    agent, _ = player
    piece = table(pieces["network", "sampled", 1, 10])
    actions = piece.array("actions").astype(int)
    encoded = agent.task.encode_reward(arms.array("rewards", STEPS, 2))
    seen = np.zeros((EPISODES, STEPS, 3), np.float32)
    for t in range(1, STEPS):
        seen[:, t] = bandits.observe(actions[:, t - 1], encoded[:, t - 1])
    inputs = torch.tensor(seen)
    with torch.no_grad():
        policy = torch.softmax(agent.net(inputs.expand(2, *inputs.shape))["policy"], dim=-1)[1, ..., 1]
    np.testing.assert_allclose(piece.array("probability"), policy.numpy(), atol=1e-6)


def test_random_play_earns_the_mean_of_both_arms_and_the_optimum_more():
    """Arms worth 2/3 and 1/3 on average: half a reward a pull by chance, and 2/3 for whoever pulls the first alone."""
    size = {"steps": 6, "episodes": 2}
    unequal = environment(
        kinds.bayes.BANDITS, bandits.bernoulli, "bandits.bernoulli", prior=[[2.0, 1.0], [1.0, 2.0]], **size
    )
    values = (
        Table(kinds.bayes.OPTIMUM, rows=optimum.of_bandits(unequal, run="b")).frame().set_index("quantity")["value"]
    )
    assert values["random return"] == pytest.approx(6 / 2)
    assert 6 * 2 / 3 < values["optimal return"] < 6


def test_what_is_sampled_is_drawn_for_each_seed_and_each_purpose_anew():
    first, second, again = (
        play.drawn_by_seed(np.array([0, 1]), streams(), name, (4, 5)) for name in ("one", "two", "one")
    )
    np.testing.assert_array_equal(first, again)
    drawn = np.concatenate([first, second]).ravel()
    assert len(np.unique(drawn)) == drawn.size
    assert ((drawn >= 0) & (drawn < 1)).all()


def test_all_snapshots_of_a_seed_have_the_same_luck_and_two_seeds_another(player, arms, quiet, monkeypatch):
    """One network as two snapshots: what it draws is the same, so that only learning makes a difference."""
    _, parameters = player
    update, seeds, stack = next(play.revived(parameters, "cpu"))
    monkeypatch.setattr(play, "revived", lambda parameters, device: [(update, seeds, stack), (99, seeds, stack)])
    options = {"discount": 0.95, "run": "b", "streams": streams(), "device": "cpu", "progress": quiet}
    pulls = {}
    for piece in play.play(parameters, arms, **options):
        rows = table(piece).where(policy="sampled")
        if len(rows):
            pulls[rows.values("update")[0], rows.values("seed")[0]] = rows.array("actions")
    for seed in (0, 1):
        np.testing.assert_array_equal(pulls[update, seed], pulls[99, seed])
    assert (pulls[99, 0] != pulls[99, 1]).any()
