"""Rollouts in the world model are what the policy would meet, and end where they are too doubtful to go on (TWM)."""

import pytest
import torch
from torch import Tensor

from agentomy import networks
from agentomy.networks.imagination import Imagined, Start, imagine
from agentomy.networks.observation_model import sampled
from agentomy.networks.world_model import WorldModel
from tests.networks.test_acting import hidden_by_hand
from tests.networks.test_world_model import ACTIONS, BATCH, tiny

HORIZON = 9


def codes(*shape: int, seed: int = 5) -> Tensor:
    return sampled(torch.zeros(*shape, 3, 4).log_softmax(dim=-1), [networks.generator(seed)])


def start(seed: int = 0, ended: bool = False) -> Start:
    noise = networks.generator(seed)
    actions = torch.randint(ACTIONS, (BATCH, 1), generator=noise)
    rewards = torch.randn(BATCH, 1, generator=noise)
    return Start(codes(BATCH, 2, seed=seed), actions, rewards, torch.full((BATCH, 1), ended))


@torch.no_grad()
def world(discount: float = 0.99, **changes) -> WorldModel:
    """One that always predicts this discount, with weights strong enough that what it reads makes a difference."""
    model = tiny(**changes)
    last = model.dynamics.heads["discount"].layers[-1]
    last.weight.zero_()
    last.bias.fill_(torch.tensor(discount).logit())
    for part in (model.dynamics.heads["latent"], model.actor):
        part.layers[-1].weight.mul_(5)
    return model


def rollouts(model: WorldModel, begin: Start, horizon: int = HORIZON) -> Imagined:
    return imagine(model, begin, codes(BATCH), horizon, [networks.generator(1)])


def test_rollouts_have_a_code_more_than_steps_and_begin_at_the_start():
    imagined, begin = rollouts(world(), start()), start()
    assert imagined.codes.shape == (BATCH, HORIZON + 1, 12)
    assert all(tensor.shape == (BATCH, HORIZON) for tensor in imagined[1:-1])
    assert torch.equal(imagined.inputs, imagined.codes)
    assert torch.equal(imagined.codes[:, 0], begin.codes[:, 1])
    assert torch.equal(imagined.codes.unflatten(-1, (3, 4)).sum(dim=-1), torch.ones(BATCH, HORIZON + 1, 3))
    assert not any(tensor.requires_grad for tensor in imagined)


@pytest.mark.parametrize("reward_tokens", [True, False])
@pytest.mark.parametrize("ended", [True, False])
def test_predictions_are_those_of_reading_the_whole_rollout_at_once(reward_tokens, ended):
    model, begin = world(reward_tokens=reward_tokens), start(ended=ended)
    imagined = rollouts(model, begin)
    rewards = torch.cat([begin.rewards, imagined.rewards[:, :-1]], dim=1)
    ends = torch.cat([begin.ended, imagined.ended[:, :-1]], dim=1)
    read = torch.cat([begin.codes[:, :1], imagined.codes[:, :-1]], dim=1)
    whole, _ = model.dynamics(read, torch.cat([begin.actions, imagined.actions], dim=1), rewards, ends)
    torch.testing.assert_close(imagined.rewards, whole.reward[:, 1:].detach(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(imagined.discounts, whole.discount[:, 1:].sigmoid().detach())


@pytest.mark.parametrize("policy_input", ["z", "h", "zh"])
def test_actions_are_drawn_from_the_policy_and_codes_from_what_is_expected(policy_input):
    model = world(policy_input=policy_input)
    with torch.no_grad():
        for part in (model.dynamics.heads["latent"], model.actor):
            part.layers[-1].weight.mul_(500)  # so sure that a draw is the likeliest
    imagined, begin = rollouts(model, start()), start()
    assert torch.equal(imagined.actions, model.policy(imagined.inputs[:, :-1]).argmax(dim=-1))
    actions = torch.cat([begin.actions, imagined.actions[:, :1]], dim=1)
    prediction, _ = model.dynamics(begin.codes, actions, begin.rewards, begin.ended)
    assert torch.equal(imagined.codes[:, 1].view(BATCH, 3, 4).argmax(dim=-1), prediction.latent[:, -1].argmax(dim=-1))


@pytest.mark.parametrize("discount", [0.99, 0.5])
@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("policy_input", ["h", "zh"])
def test_the_policy_reads_what_reading_its_imagined_episode_anew_gives(policy_input, ended, discount):
    model, begin = world(discount, policy_input=policy_input), start(ended=ended)
    imagined = rollouts(model, begin)
    for b in range(BATCH):
        codes = torch.cat([begin.codes[b, :1], imagined.codes[b]])
        steps = (
            torch.cat([before[b], more[b]])
            for before, more in zip(begin[1:], (imagined.actions, imagined.rewards, imagined.ended), strict=True)
        )
        parts = {"z": codes, "h": hidden_by_hand(model, codes, *steps)}
        expected = torch.cat([parts[part] for part in policy_input], dim=-1)[1:]
        torch.testing.assert_close(imagined.inputs[b], expected, rtol=1e-5, atol=1e-5)
    hidden = imagined.inputs[..., -8:]
    assert not hidden[:, 1:][imagined.ended].any()
    assert hidden[:, 1:][~imagined.ended].any(dim=-1).all()
    assert hidden[:, 0].any() != ended


def test_a_rollout_is_cut_where_the_product_of_discounts_falls_below_a_tenth():
    imagined = rollouts(world(discount=0.5), start())  # 0.5⁴ < 0.1
    assert imagined.ended[0].tolist() == [False, False, False, True] * 2 + [False]
    torch.testing.assert_close(imagined.weights[0], torch.tensor([1, 0.5, 0.25, 0.125] * 2 + [1.0]))
    assert not rollouts(world(discount=0.99), start()).ended.any()
    assert rollouts(world(discount=0.05), start()).ended.all()


def test_after_a_cut_the_next_code_is_replayed_and_never_twice_in_a_rollout():
    imagined, restarts = rollouts(world(discount=0.05), start(), horizon=2), codes(BATCH)
    for step in (1, 2):
        for b in range(BATCH):
            assert torch.equal(imagined.codes[b, step], restarts[(b - step) % BATCH])


def test_nothing_before_a_cut_influences_what_comes_after_it():
    model = world(discount=0.5)
    one, other = (rollouts(model, start(seed)) for seed in (0, 7))
    for mine, theirs in zip(one, other, strict=True):
        torch.testing.assert_close(mine[:, 4:], theirs[:, 4:], rtol=1e-4, atol=1e-5)
    assert not torch.equal(one.codes[:, :4], other.codes[:, :4])


def test_the_context_step_is_read_unless_its_episode_has_ended():
    model = world()
    for ended in (False, True):
        one = start(ended=ended)
        other = one._replace(codes=torch.cat([one.codes[:, :1].roll(1, dims=-1), one.codes[:, 1:]], dim=1))
        same = torch.allclose(rollouts(model, one).rewards[:, 0], rollouts(model, other).rewards[:, 0], atol=1e-6)
        assert same == ended


def test_there_is_no_dropout_in_imagination():
    first, again = (rollouts(world(dropout=0.5), start()) for _ in range(2))
    whole = rollouts(world(dropout=0.0), start())
    assert torch.equal(first.rewards, again.rewards)
    assert torch.equal(first.rewards, whole.rewards)
