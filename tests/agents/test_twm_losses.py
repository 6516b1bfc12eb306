"""The losses of the world model's agent are the paper's formulas (TWM), and draws are as even as they should be."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Normal, kl_divergence

from agentomy import networks
from agentomy.agents import twm_losses as losses
from agentomy.agents.history import History
from agentomy.networks.world_model import Prediction

torch.set_num_threads(1)
SEEDS, STEPS, VARIABLES, CLASSES, ACTIONS = 4, 6, 3, 5, 4  # each seed has one sequence
NOISE = networks.generator(0)
SEEDS = 2


def latents(*shape: int) -> Tensor:
    return torch.randn(*shape, VARIABLES, CLASSES, generator=NOISE).log_softmax(dim=-1)


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=NOISE)


def flags(*shape: int, share: float = 0.3) -> Tensor:
    return torch.rand(*shape, generator=NOISE) < share


def predictions() -> Prediction:
    return Prediction(*(tensor.requires_grad_() for tensor in (
        numbers(SEEDS, STEPS, 8), latents(SEEDS, STEPS).clone(), numbers(SEEDS, STEPS), numbers(SEEDS, STEPS)
    )))  # fmt: skip


# World model


def test_cross_entropy_less_entropy_is_the_divergence():
    one, other = latents(SEEDS), latents(SEEDS)
    divergence = kl_divergence(Categorical(logits=one), Categorical(logits=other)).sum(dim=-1)
    difference = losses.cross_entropy(one, other) - losses.entropy(one).sum(dim=-1)
    torch.testing.assert_close(difference, divergence)


def test_the_terms_of_l_dyn_are_those_of_the_distributions():
    given, following = predictions(), latents(SEEDS, STEPS)
    rewards, discounts = numbers(SEEDS, STEPS), 0.99 * ~flags(SEEDS, STEPS)
    terms = losses.l_dyn(given, following, rewards, discounts, torch.ones(SEEDS, STEPS, dtype=torch.bool))
    torch.testing.assert_close(terms["reward"], -Normal(given.reward, 1.0).log_prob(rewards).mean(dim=1))
    likely = Bernoulli(logits=given.discount)
    one, nothing = torch.ones(SEEDS, STEPS), torch.zeros(SEEDS, STEPS)
    expected = discounts * likely.log_prob(one) + (1 - discounts) * likely.log_prob(nothing)
    torch.testing.assert_close(terms["discount"], -expected.mean(dim=1))
    torch.testing.assert_close(terms["next_latent"], -(following.exp() * given.latent).sum(dim=(2, 3)).mean(dim=1))


def test_what_follows_the_end_of_an_episode_is_not_foreseen_and_counts_in_no_loss():
    ended = flags(SEEDS, STEPS)
    rest = (numbers(SEEDS, STEPS), torch.full((SEEDS, STEPS), 0.99), ~ended)
    given, following = predictions(), latents(SEEDS, STEPS)
    other = torch.where(ended[:, :, None, None], latents(SEEDS, STEPS), following)
    loss, same = (losses.l_dyn(given, codes, *rest)["next_latent"] for codes in (following, other))
    assert torch.equal(loss, same)
    expected = losses.cross_entropy(following, given.latent)
    for seed in range(SEEDS):
        torch.testing.assert_close(loss[seed], expected[seed, ~ended[seed]].mean())
    loss.sum().backward()
    assert torch.equal(given.latent.grad.abs().sum(dim=(2, 3)) > 0, ~ended)

    q, likelihood = latents(SEEDS, STEPS).clone().requires_grad_(), numbers(SEEDS, STEPS)
    consistency = losses.l_obs(likelihood, q, following, ~ended, 0.1)["consistency"]
    assert torch.equal(consistency, losses.l_obs(likelihood, q, other, ~ended, 0.1)["consistency"])
    consistency.sum().backward()
    assert torch.equal(q.grad.abs().sum(dim=(2, 3)) > 0, ~ended)


def test_where_every_step_ends_an_episode_there_is_no_division_by_zero():
    terms = losses.l_dyn(
        predictions(), latents(SEEDS, STEPS), *numbers(2, SEEDS, STEPS), torch.zeros(SEEDS, STEPS, dtype=torch.bool)
    )
    assert not terms["next_latent"].any()


def test_rewards_and_discounts_of_the_step_that_ends_an_episode_do_count():
    given = predictions()
    nowhere = torch.zeros(SEEDS, STEPS, dtype=torch.bool)
    terms = losses.l_dyn(given, latents(SEEDS, STEPS), numbers(SEEDS, STEPS), torch.zeros(SEEDS, STEPS), nowhere)
    (terms["reward"] + terms["discount"]).sum().backward()
    assert given.reward.grad.all()
    assert given.discount.grad.all()


def test_targets_are_probabilities_and_take_no_gradient():
    given, following = predictions(), latents(SEEDS, STEPS).clone().requires_grad_()
    every = torch.ones(SEEDS, STEPS, dtype=torch.bool)
    losses.l_dyn(given, following, *numbers(2, SEEDS, STEPS), every)["next_latent"].sum().backward()
    assert following.grad is None
    losses.l_obs(numbers(SEEDS, STEPS), following, given.latent.detach().requires_grad_(), every, 0.1)[
        "consistency"
    ].sum().backward()
    assert following.grad.any()


@pytest.mark.parametrize(("scale", "acts"), [(0.0, False), (1.0, False), (60.0, True)])
def test_the_entropy_of_latents_costs_only_below_a_tenth_of_the_largest(scale, acts):
    q = (scale * numbers(SEEDS, STEPS, VARIABLES, CLASSES)).log_softmax(dim=-1).requires_grad_()
    cost = losses.l_obs(numbers(SEEDS, STEPS), q, None, None, 0.1)["latent_entropy"]
    normalised = Categorical(logits=q).entropy().sum(dim=-1) / (VARIABLES * math.log(CLASSES))
    torch.testing.assert_close(cost, (0.1 - normalised).clamp(min=0).mean(dim=1))
    assert ((cost > 0) == acts).all()


def test_in_pre_training_there_is_no_consistency_term():
    assert set(losses.l_obs(numbers(2, 5), latents(2, 5), None, None, 0.1)) == {"reconstruction", "latent_entropy"}


def test_a_term_without_a_weight_leaves_no_gradient_at_all():
    one, other = numbers(1).requires_grad_(), numbers(1).requires_grad_()
    losses.total({"one": one.square(), "other": other.square()}, {"one": 3.0}).backward()
    torch.testing.assert_close(one.grad, 6 * one.detach())
    assert other.grad is None


# Actor and critic


def test_advantages_are_those_of_a_slow_loop_with_discounts_and_ends_of_each_step():
    rewards, values, ended = numbers(SEEDS, STEPS), numbers(SEEDS, STEPS + 1), flags(SEEDS, STEPS)
    discounts = torch.rand(SEEDS, STEPS, generator=NOISE)
    advantages = losses.gae(rewards, discounts, ended, values, 0.95)
    assert ended[:, :-1].any()
    for b in range(SEEDS):
        for t in range(STEPS):
            expected, weight = 0.0, 1.0
            for k in range(t, STEPS):
                goes_on = discounts[b, k].item() * (not ended[b, k])
                expected += weight * (rewards[b, k] + goes_on * values[b, k + 1] - values[b, k]).item()
                weight *= 0.95 * goes_on
            assert advantages[b, t].item() == pytest.approx(expected, abs=1e-5)


def test_with_a_trace_of_one_advantages_and_values_make_the_discounted_return():
    rewards, values, never = numbers(1, STEPS), numbers(1, STEPS + 1), torch.zeros(1, STEPS, dtype=torch.bool)
    returns = losses.gae(rewards, torch.full((1, STEPS), 0.9), never, values, 1.0) + values[:, :-1]
    expected = values[0, -1]
    for t in reversed(range(STEPS)):
        expected = rewards[0, t] + 0.9 * expected
        torch.testing.assert_close(returns[0, t], expected)


def test_the_critic_is_drawn_to_the_returns_by_the_weight_of_each_step():
    values, returns, weights = numbers(SEEDS, STEPS).requires_grad_(), numbers(SEEDS, STEPS), flags(SEEDS, STEPS) / 2
    loss = losses.l_critic(values, returns, weights)
    torch.testing.assert_close(loss, -(weights * Normal(values, 1.0).log_prob(returns)).mean(dim=1))
    loss.sum().backward()
    torch.testing.assert_close(values.grad, weights * (values.detach() - returns) / STEPS)


def test_the_actor_makes_actions_likelier_by_weight_and_advantage_alone():
    logits = numbers(SEEDS, STEPS, ACTIONS).requires_grad_()
    advantages = numbers(SEEDS, STEPS).requires_grad_()
    actions, weights = torch.randint(ACTIONS, (SEEDS, STEPS), generator=NOISE), torch.rand(SEEDS, STEPS)
    loss = losses.l_actor(logits.log_softmax(dim=-1), actions, advantages, weights)
    chosen = Categorical(logits=logits).log_prob(actions)
    torch.testing.assert_close(loss, -(weights * advantages * chosen).mean(dim=1))
    loss.sum().backward()
    assert advantages.grad is None


def test_policy_entropy_is_a_share_of_the_largest_weighted_by_step():
    weights = torch.tensor([[1.0, 0.5]])
    uniform = torch.zeros(1, 2, ACTIONS).log_softmax(dim=-1)
    assert losses.policy_entropy(uniform, weights).item() == pytest.approx(0.75)
    sure = torch.tensor([30.0, 0, 0, 0]).expand(1, 2, 4).log_softmax(dim=-1)
    assert losses.policy_entropy(sure, weights).item() == pytest.approx(0, abs=1e-6)


def test_the_threshold_leaves_a_policy_alone_that_is_random_enough():
    for share, slope in ((0.05, -1.0), (0.3, 0.0)):
        normalised = torch.tensor(share, requires_grad=True)
        losses.entropy_cost(normalised, 0.1).backward()
        assert normalised.grad == slope
        assert losses.entropy_cost(normalised, None).item() == -normalised.item()


# Draws


def history(steps: int) -> History:
    """Step n is taken at the observation n, by the action n % 6, for the reward -n."""
    replay = History(steps, np.full((1, 2, 2, 1), 0, dtype=np.uint8), "cpu")
    for n in range(steps):
        step = n % 6, -float(n), n % 7 == 6, n % 7 == 6 or n % 10 == 9
        replay.add(*(np.array([value]) for value in step), np.full((1, 2, 2, 1), n + 1, dtype=np.uint8))
    return replay


def test_starts_are_drawn_with_the_probability_of_a_softmax_of_their_visits():
    visits, draws, noise, replay = torch.tensor([0, 10, 20, 40, 80]), 20_000, [networks.generator(1)], history(8)
    counts = torch.zeros(5)
    for _ in range(draws):
        replay.visits[0, :5] = visits
        counts[replay.draw(1, 4, 20.0, noise)[0]] += 1
    torch.testing.assert_close(counts / draws, (-visits / 20).softmax(dim=0), atol=0.011, rtol=0)


def test_several_starts_are_drawn_without_replacement_as_one_after_another():
    visits, draws, noise, replay = torch.tensor([0, 10, 30, 60]), 10_000, [networks.generator(2)], history(7)
    weights = (-visits / 20).softmax(dim=0)
    left_out = torch.zeros(4)
    for _ in range(draws):
        replay.visits[0, :4] = visits
        (starts,) = replay.draw(2, 4, 20.0, noise)
        assert starts[0] != starts[1]
        left_out += 1
        left_out[starts] -= 1
    pairs = [[weights[i] * weights[j] / (1 - weights[i]) for j in range(4)] for i in range(4)]
    expected = [
        sum(float(pairs[i][j]) for i in range(4) for j in range(4) if i != j and k not in (i, j)) for k in range(4)
    ]
    np.testing.assert_allclose(left_out / draws, expected, atol=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(("temperature", "bands", "evenness"), [
    (20.0, [148, 146, 137, 124, 106, 74], 0.998), (None, [395, 259, 131, 62, 26, 6.7], 0.959),
])  # fmt: skip
def test_mean_visits_by_age_are_those_of_the_papers_rule(temperature, bands, evenness):
    """Claim 10 of the sheet, with its appendix's numbers: a tenth of the steps, each learnt from as often."""
    replay, noise = History(10_000, np.zeros((1, 1), dtype=bool), "cpu"), [networks.generator(3)]
    step = np.zeros(1, int), np.zeros(1), *np.zeros((2, 1), bool), np.zeros((1, 1), bool)
    for _ in range(500):
        replay.add(*step)
    for update in range(12_500):
        while len(replay) < 500 + 9_500 * (update + 1) / 12_500:
            replay.add(*step)
        replay.draw(100, 16, temperature, noise)
    visits = replay.visits[0, : replay.starts(16)].double()
    edges = [round(share * len(visits)) for share in (0, 0.05, 0.25, 0.5, 0.75, 0.9, 1)]
    means = [visits[one:other].mean().item() for one, other in pairwise(edges)]
    np.testing.assert_allclose(means, bands, rtol=0.03)
    assert replay.evenness(16).item() == pytest.approx(evenness, abs=1e-3)


def test_a_draw_counts_as_a_visit_and_each_start_has_a_whole_sequence_behind_it():
    replay, noise = history(12), [networks.generator(4)]
    assert replay.starts(5) == 8
    (starts,) = replay.draw(8, 5, 20.0, noise)
    assert sorted(starts.tolist()) == list(range(8))
    assert replay.visits[0].tolist() == [1] * 8 + [0] * 4
    assert replay.evenness(5) == pytest.approx(1)


def test_a_window_holds_the_steps_from_its_start_and_what_was_seen_after_them():
    seen = history(30).windows(torch.tensor([[3, 25]]), 5)
    assert seen.observations.shape == (2, 6, 2, 2, 1)
    assert seen.observations[:, :, 0, 0, 0].tolist() == [list(range(3, 9)), list(range(25, 31))]
    assert seen.actions.tolist() == [[3, 4, 5, 0, 1], [1, 2, 3, 4, 5]]
    assert seen.rewards.tolist() == [[-3, -4, -5, -6, -7], [-25, -26, -27, -28, -29]]
    assert seen.terminated.tolist() == [[False] * 3 + [True] + [False], [False] * 2 + [True] + [False] * 2]
    assert seen.ended.tolist() == [[False] * 3 + [True] + [False], [False] * 2 + [True, False, True]]


def test_a_history_keeps_observations_as_they_are_given():
    assert history(3).state()["observations"].dtype == torch.uint8
    assert history(3).state()["observations"].shape == (1, 4, 2, 2, 1)
