"""At play a policy remembers its episodes as the transformer reads them, and nothing else (TWM)."""

import pytest
import torch
from torch import Tensor

from agentomy import networks
from agentomy.networks.acting import Player
from agentomy.networks.observation_model import likeliest
from agentomy.networks.world_model import WorldModel
from tests.networks.test_world_model import ACTIONS, BATCH, grids, tiny

STEPS = 12


def hidden_by_hand(world: WorldModel, codes: Tensor, actions: Tensor, rewards: Tensor, ended: Tensor) -> Tensor:
    """hₜ₋₁ [T + 1, width] of a stream of codes [T + 1, V × K], for each t by reading its episode up to there anew."""
    hidden, begin = [], 0
    for t in range(len(codes)):
        begin = t if t > 0 and ended[t - 1] else begin
        if t == begin:
            hidden.append(torch.zeros(world.dynamics.transformer.width))
            continue
        before = slice(begin, t - 1)
        prediction, _ = world.dynamics(
            codes[None, begin:t], actions[None, begin:t], rewards[None, before], ended[None, before]
        )
        hidden.append(prediction.hidden[0, -1].detach())
    return torch.stack(hidden)


def listen(world: WorldModel) -> list[Tensor]:
    """What is read by the policy from now on."""
    heard, policy = [], world.policy
    world.policy = lambda inputs: heard.append(inputs.detach().clone()) or policy(inputs)
    return heard


def life(seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Observations [T, E, …], and rewards and ends [T, E] of the steps from there."""
    noise = networks.generator(seed)
    rewards, ended = torch.randn(STEPS, BATCH, generator=noise), torch.zeros(STEPS, BATCH, dtype=torch.bool)
    ended[2, 0] = ended[5, 0] = ended[6, 0] = ended[8, 2] = True
    return torch.rand(STEPS, BATCH, 10, 10, 4, generator=noise) < 0.3, rewards, ended


def play(world: WorldModel, given: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """What is read [T, E, inputs] and what is done [T, E]."""
    player, heard, actions = Player(world, BATCH, [networks.generator(0)]), listen(world), []
    observations, rewards, ended = given
    for t in range(STEPS):
        actions.append(player.act(observations[t], rewards[t - 1], ended[t - 1]))
    return torch.stack(heard), torch.stack(actions)


def strong(**changes) -> WorldModel:
    """One whose codes differ."""
    world = tiny(**changes)
    with torch.no_grad():
        world.observation.encoder.perceptron.layers[-1].weight.mul_(20)
    return world


def test_actions_are_drawn_from_the_policy_at_the_likeliest_code():
    world, observations = tiny(), grids(1)
    with torch.no_grad():
        world.actor.layers[-1].weight.mul_(20)
        latents = world.observation.encode(observations)
        expected = world.policy(likeliest(latents))[0].exp()
    assert expected.max() - expected.min() > 0.05
    player, nothing = Player(world, 20_000, [networks.generator(0)]), torch.zeros(20_000)
    actions = player.act(observations.expand(20_000, -1, -1, -1), nothing, nothing.bool())
    torch.testing.assert_close(actions.bincount(minlength=ACTIONS) / 20_000, expected, atol=0.012, rtol=0)
    assert torch.equal(likeliest(latents).view(3, 4).argmax(dim=1), latents.view(3, 4).argmax(dim=1))


@pytest.mark.parametrize("reward_tokens", [True, False])
@pytest.mark.parametrize("policy_input", ["z", "h", "zh"])
def test_each_step_at_play_reads_what_reading_its_episode_anew_gives(policy_input, reward_tokens):
    world, given = strong(policy_input=policy_input, reward_tokens=reward_tokens), life()
    read, actions = play(world, given)
    observations, rewards, ended = given
    codes = likeliest(world.observation.encode(observations))
    assert len(codes.flatten(0, 1).unique(dim=0)) > 5
    for e in range(BATCH):
        steps = actions[:-1, e], rewards[:-1, e], ended[:-1, e]
        parts = {"z": codes[:, e], "h": hidden_by_hand(world, codes[:, e], *steps)}
        expected = torch.cat([parts[part] for part in policy_input], dim=-1)
        torch.testing.assert_close(read[:, e], expected, rtol=1e-5, atol=1e-5)
        whole = world.inputs_along(codes[None, :, e], *(step[None] for step in steps))
        torch.testing.assert_close(whole[0], expected, rtol=1e-5, atol=1e-5)


def test_nothing_of_an_earlier_episode_is_remembered():
    """A reward before the end is of the earlier episode, though it is read with the first step of the next."""
    one, other = life(), life(seed=2)
    for mine, theirs in zip(one, other, strict=True):
        mine[5:] = theirs[5:]
    one[2][4] = other[2][4] = True
    world = strong(policy_input="h")
    (read, actions), (reread, others) = (play(world, episode) for episode in (one, other))
    assert not torch.isclose(read[4], reread[4], atol=1e-3).all(dim=-1).any()
    assert not read[5].any()
    assert torch.equal(actions[5:], others[5:])  # or they'd remember different things
    torch.testing.assert_close(read[5:], reread[5:], rtol=1e-5, atol=1e-5)


def test_with_the_code_alone_nothing_is_remembered():
    player, (observations, rewards, ended) = Player(tiny(), BATCH, [networks.generator(0)]), life()
    for t in range(3):
        player.act(observations[t], rewards[t], ended[t])
    assert player.memory is None
    assert not player.hidden.any()


def test_a_player_with_anothers_memory_goes_on_as_the_other_does():
    world, (observations, rewards, ended) = strong(policy_input="zh"), life()
    one, other = (Player(world, BATCH, [networks.generator(seed)]) for seed in (0, 1))
    for t in range(5):
        one.act(observations[t], rewards[t], ended[t])
    state = one.state()
    other.restore(state)
    other.noise[0].set_state(one.noise[0].get_state())
    before = repr(state)
    for t in range(5, STEPS):
        assert torch.equal(*(player.act(observations[t], rewards[t], ended[t]) for player in (one, other)))
        assert torch.equal(one.hidden, other.hidden)
    assert repr(state) == before
