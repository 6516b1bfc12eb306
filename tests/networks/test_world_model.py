"""The world model has the paper's sizes, learns to predict latents, and imagines as it would read."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import pad

from agentomy import networks
from agentomy.networks.observation_model import likeliest, sampled
from agentomy.networks.transformer_xl import Memory
from agentomy.networks.world_model import SIZES, Prediction, WorldModel

BATCH, STEPS, ACTIONS = 3, 7, 4
TINY = {
    "filters": 2,
    "widths": [12],
    "latents": [3, 4],
    "transformer": {"width": 8, "layers": 2, "heads": 2, "head": 4, "feedforward": 16, "window": 2},
    "heads": {"latent": [10], "reward": [10], "discount": [10]},
    "policy": [10],
}
GRID = {"use": networks.use(WorldModel), "view": "grid", "channels": 4, "actions": ACTIONS}
FRAMES = {"use": networks.use(WorldModel), "view": "frames", "channels": 4, "actions": 18}


def drawn(description: dict, seed: int = 0, **changes) -> WorldModel:
    return networks.build(description | changes, 1).draw([networks.generator(seed)])


def tiny(**changes) -> WorldModel:
    return drawn(GRID | TINY, **changes)


def grids(*shape: int, channels: int = 4) -> Tensor:
    return torch.rand(*shape, 10, 10, channels, generator=networks.generator(1)) < 0.1


def frames(*shape: int) -> Tensor:
    return torch.randint(256, (*shape, 4, 64, 64), generator=networks.generator(1), dtype=torch.uint8)


def experience(steps: int = STEPS) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Codes, actions, and all but the last rewards and ends; in the first sequence an episode ends with step 2."""
    noise = networks.generator(2)
    codes = sampled(torch.zeros(BATCH, steps, 3, 4).log_softmax(dim=-1), [noise])
    actions = torch.randint(ACTIONS, (BATCH, steps), generator=noise)
    rewards, ends = torch.randn(BATCH, steps - 1, generator=noise), torch.zeros(BATCH, steps - 1, dtype=torch.bool)
    ends[0, 2:3] = True
    return codes, actions, rewards, ends


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def cross_entropy(target: Tensor, predicted: Tensor) -> Tensor:
    """- Σ q ln p̂ from log probabilities [..., V, K], mean over the rest; gradients reach p̂ alone."""
    return -(target.detach().exp() * predicted).sum(dim=(-2, -1)).mean()


# Sizes


def test_the_papers_sizes_have_the_parameter_counts_of_the_official_code():
    world = networks.build(FRAMES | SIZES["paper"], 1)
    observation, dynamics = world.observation, world.dynamics
    assert count(observation.encoder) == 3_126_992
    assert count(observation.decoder) == 5_107_540
    assert count(dynamics) == 10_782_466
    assert count(world.actor) == 1_322_002
    assert count(world.critic) == 1_313_281
    assert count(world) == 21_652_281


def test_the_papers_encoder_and_decoder_pass_through_the_papers_shapes():
    world = networks.build(FRAMES | SIZES["paper"], 1)
    for part, sides in ((world.observation.encoder, [31, 14, 6, 2]), (world.observation.decoder, [5, 13, 30, 64])):
        seen = []
        for layer in part.convolutions:
            layer.register_forward_hook(lambda module, inputs, output, seen=seen: seen.append(output.shape[-1]))
        part(frames(1) if part is world.observation.encoder else torch.zeros(1, 1024))
        assert seen == sides


@pytest.mark.parametrize("channels", [4, 10])
@pytest.mark.parametrize("size", ["xs", "s"])
def test_small_sizes_read_and_write_grids(size, channels):
    world, observations = drawn(GRID | SIZES[size], channels=channels), grids(2, 3, channels=channels)
    latents = world.observation.encode(observations)
    assert latents.shape == (2, 3, *SIZES[size]["latents"])
    codes = sampled(latents, [networks.generator(0)])
    prediction, _ = world.dynamics(
        codes, *(inputs[:2, :n] for inputs, n in zip(experience()[1:], (3, 2, 2), strict=True))
    )
    assert prediction.latent.shape == latents.shape
    assert prediction.hidden.shape == (2, 3, SIZES[size]["transformer"]["width"])
    assert prediction.reward.shape == prediction.discount.shape == world.value(codes).shape == (2, 3)
    assert world.policy(codes).shape == (2, 3, ACTIONS)
    assert world.observation.decode(codes).shape == observations.shape


def test_small_sizes_read_and_write_frames():
    world, observations = drawn(FRAMES | SIZES["xs"]), frames(2, 3)
    latents = world.observation.encode(observations)
    assert latents.shape == (2, 3, 8, 8)
    assert world.observation.decode(likeliest(latents)).shape == observations.shape


# What a network owes the pipeline


def test_a_world_model_is_rebuilt_from_its_description_and_arrays():
    world, observations = tiny(), grids(1, BATCH)
    arrays = world.arrays()
    assert all(array.dtype == np.float32 and len(array) == 1 for array in arrays.values())
    assert sum(array.size for array in arrays.values()) == count(world)
    rebuilt = networks.build(GRID | TINY, 1).load(arrays)
    assert torch.equal(rebuilt.observation.encode(observations), world.observation.encode(observations))
    for mine, theirs in zip(rebuilt.dynamics(*experience())[0], world.dynamics(*experience())[0], strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("description", [GRID, FRAMES])
def test_all_weights_are_drawn_from_the_given_generator(description):
    one, same, other = (drawn(description | TINY, seed).arrays() for seed in (0, 0, 1))
    for name, array in one.items():
        np.testing.assert_array_equal(array, same[name])
        assert name.endswith("bias") or "norm" in name or not np.array_equal(array, other[name])


def test_weights_start_he_uniform_or_orthogonal_and_biases_where_the_paper_has_them():
    world = drawn(FRAMES | TINY, widths=[200, 150])
    weights = world.observation.encoder.perceptron.layers[1].weight[0]
    assert 0.99 * (6 / 200) ** 0.5 < weights.abs().max() <= (6 / 200) ** 0.5
    for network in (world.actor, world.critic):
        hidden = network.layers[0].weight[0]  # 12 → 10
        torch.testing.assert_close(hidden @ hidden.T, 2 * torch.eye(10))
        assert not any(layer.bias.any() for layer in network.layers)
    assert world.dynamics.heads["discount"].layers[-1].bias.item() == pytest.approx(0.99)
    assert (world.observation.decoder.convolutions[-1].bias == 0.5).all()


# Latents


def test_codes_are_one_hot_and_drawn_with_their_probabilities():
    latents = torch.tensor([[0.7, 0.2, 0.1], [0.0, 0.5, 0.5]]).log()
    codes = sampled(latents.expand(20_000, 2, 3), [networks.generator(0)]).view(-1, 2, 3)
    assert ((codes == 0) | (codes == 1)).all()
    assert (codes.sum(dim=-1) == 1).all()
    torch.testing.assert_close(codes.mean(dim=0), latents.exp(), atol=0.012, rtol=0)
    assert not codes[:, 1, 0].any()


def test_the_gradient_at_a_code_goes_straight_through_to_its_probabilities():
    logits, at_code = torch.randn(2, 5, 3, 4, generator=networks.generator(0)), torch.arange(12.0)
    through, direct = (logits[0].clone().requires_grad_() for _ in range(2))
    (sampled(through.log_softmax(dim=-1), [networks.generator(1)]) * at_code).sum().backward()
    (direct.softmax(dim=-1).flatten(-2) * at_code).sum().backward()
    torch.testing.assert_close(through.grad, direct.grad)
    assert through.grad.any()


def test_encoder_and_decoder_get_gradients_from_the_reconstruction():
    for description, observations in ((GRID, grids(2, 3)), (FRAMES, frames(2, 3))):
        model = drawn(description | TINY).observation
        outputs = model.decode(sampled(model.encode(observations), [networks.generator(0)]))
        (-model.decoder.log_probability(outputs, observations).mean()).backward()
        assert all(parameter.grad.any() for parameter in model.parameters())


def test_log_probabilities_of_observations_are_those_of_the_distributions():
    frame, grid = (drawn(description | TINY).observation for description in (FRAMES, GRID))
    means, logits = torch.rand(2, 3, 4, 64, 64), torch.randn(2, 3, 10, 10, 4)
    normal = torch.distributions.Normal(means, 1.0).log_prob(frames(2, 3) / 255).sum(dim=(2, 3, 4))
    torch.testing.assert_close(frame.decoder.log_probability(means, frames(2, 3)), normal)
    bernoulli = torch.distributions.Bernoulli(logits=logits).log_prob(grids(2, 3).float()).sum(dim=(2, 3, 4))
    torch.testing.assert_close(grid.decoder.log_probability(logits, grids(2, 3)), bernoulli)
    for decoder, outputs in ((frame.decoder, 3 * means - 1), (grid.decoder, logits)):
        picture = decoder.picture(outputs)
        assert 0 <= picture.min() < picture.max() <= 1


# Dynamics


def step_by_step(world: WorldModel, given: tuple[Tensor, ...]) -> Prediction:
    """The predictions of a whole sequence, read as an imagination reads: one step at a time, from memory."""
    codes, actions, rewards, ends = given
    prediction, memory = world.dynamics(codes[:, :1], actions[:, :1], rewards[:, :0], ends[:, :0])
    predictions = [prediction]
    for before, now in pairwise(range(codes.shape[1])):
        last, this = slice(before, before + 1), slice(now, now + 1)
        prediction, memory = world.dynamics(codes[:, this], actions[:, this], rewards[:, last], ends[:, last], memory)
        predictions.append(prediction)
    return Prediction(*(torch.cat(parts, dim=1) for parts in zip(*predictions, strict=True)))


@pytest.mark.parametrize("reward_tokens", [True, False])
def test_imagining_step_by_step_gives_the_predictions_of_the_whole_sequence(reward_tokens):
    world, given = tiny(reward_tokens=reward_tokens), experience(steps=12)
    whole, _ = world.dynamics(*given)
    for mine, theirs in zip(step_by_step(world, given), whole, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)


def test_at_the_papers_size_a_memory_of_sixteen_steps_and_two_tokens_is_enough():
    transformer = SIZES["paper"]["transformer"] | {"layers": 3}
    world, given = tiny(transformer=transformer), experience(steps=20)
    whole, memory = world.dynamics(*given)
    assert memory.keys[0].shape == (BATCH, 4, 50, 64)
    torch.testing.assert_close(step_by_step(world, given).hidden, whole.hidden, rtol=1e-5, atol=1e-5)


def test_a_sequence_may_start_from_any_memory_and_go_on_for_several_steps():
    world, (codes, actions, rewards, ends) = tiny(), experience()
    whole, _ = world.dynamics(codes, actions, rewards, ends)
    _, memory = world.dynamics(codes[:, :3], actions[:, :3], rewards[:, :2], ends[:, :2])
    rest, _ = world.dynamics(codes[:, 3:], actions[:, 3:], rewards[:, 2:], ends[:, 2:], memory)
    torch.testing.assert_close(rest.hidden, whole.hidden[:, 3:], rtol=1e-5, atol=1e-5)


def influences(world: WorldModel, given: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Whether the code [B, T, T], and the reward [B, T, T - 1], of one step influence the prediction after another."""
    codes, actions, rewards, ends = given
    codes, rewards = codes.clone().requires_grad_(), rewards.clone().requires_grad_()
    hidden = world.dynamics(codes, actions, rewards, ends)[0].hidden
    weights = torch.arange(hidden.shape[-1], dtype=torch.float)  # the sum of a layer norm is constant
    rows = [
        torch.autograd.grad((hidden[:, t] @ weights).sum(), (codes, rewards), retain_graph=True, materialize_grads=True)
        for t in range(hidden.shape[1])
    ]
    return tuple(
        torch.stack(gradients, dim=1).flatten(3 if n == 0 else 2) for n, gradients in enumerate(zip(*rows, strict=True))
    )


def test_a_prediction_reads_what_was_before_it_and_not_the_reward_that_it_predicts():
    codes, rewards = influences(tiny(transformer=TINY["transformer"] | {"window": 16}), experience())
    expected = torch.ones(STEPS, STEPS, dtype=torch.bool).tril()
    assert torch.equal(codes[1].ne(0).any(dim=-1), expected)
    assert torch.equal(rewards[1] != 0, expected.tril(-1)[:, :-1])


def test_a_prediction_reads_the_action_before_it():
    world, (codes, actions, rewards, ends) = tiny(), experience()
    other = actions.clone()
    other[:, 4] = (actions[:, 4] + 1) % ACTIONS
    changed, was = (world.dynamics(codes, moves, rewards, ends)[0].hidden for moves in (other, actions))
    assert torch.equal(changed[:, :4], was[:, :4])
    assert ((changed - was)[:, 4:].abs().amax(dim=-1) > 0).all()


def test_codes_and_rewards_of_a_step_are_seen_from_as_many_steps_as_the_window_has():
    codes, rewards = influences(tiny(transformer=TINY["transformer"] | {"layers": 1}), experience())
    back = torch.arange(STEPS)[:, None] - torch.arange(STEPS)
    assert torch.equal(codes[1].ne(0).any(dim=-1), (back >= 0) & (back <= 2))
    assert torch.equal(rewards[1] != 0, ((back > 0) & (back <= 2))[:, :-1])


def test_nothing_before_an_episodes_end_influences_a_prediction_after_it():
    codes, rewards = influences(tiny(transformer=TINY["transformer"] | {"window": 16}), experience())
    codes = codes.ne(0).any(dim=-1)
    assert codes[0, 2, :3].all()  # the step that ends an episode belongs to it, and its reward too
    assert not codes[0, 3:, :3].any()
    assert not rewards[0, 3:, :3].any()
    assert codes[1, 3:, :3].all()


def test_attention_is_cut_where_an_imagined_episode_ends():
    world, (codes, actions, rewards, _) = tiny(), experience(steps=2)
    cut = torch.tensor([[True], [False], [False]])
    other = codes[:, :1].roll(1, dims=-1)
    ends = []
    for start in (codes[:, :1], other):
        _, memory = world.dynamics(start, actions[:, :1], rewards[:, :0], cut[:, :0])
        ends.append(world.dynamics(codes[:, 1:], actions[:, 1:], rewards, cut, memory)[0].hidden)
    torch.testing.assert_close(ends[0][0], ends[1][0])
    assert not torch.allclose(ends[0][1], ends[1][1])
    alone, _ = world.dynamics(codes[:, 1:], actions[:, 1:], rewards[:, :0], cut[:, :0])
    torch.testing.assert_close(ends[0][0], alone.hidden[0])  # as if the sequence began there


def test_without_reward_tokens_rewards_are_predicted_but_not_read():
    world, (codes, actions, rewards, ends) = tiny(reward_tokens=False), experience()
    prediction, memory = world.dynamics(codes, actions, rewards, ends)
    other, _ = world.dynamics(codes, actions, rewards + 1, ends)
    assert torch.equal(prediction.reward, other.reward)
    assert isinstance(memory, Memory)
    assert len(memory.steps) == 2 * 2 + 2


def test_dropout_comes_from_the_given_generator():
    world = tiny(dropout=0.3)
    first, again, none = (
        world.dynamics(*experience(), noise=noise)[0].latent
        for noise in ([networks.generator(3)], [networks.generator(3)], None)
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, none)


def test_every_head_has_a_gradient_and_so_has_everything_below_it():
    """The published code never trains the head of the next latent (sheet, section 2)."""
    world, (codes, actions, rewards, ends) = tiny(), experience()
    targets = torch.randn(BATCH, STEPS, 3, 4, generator=networks.generator(4)).log_softmax(dim=-1)
    losses = {
        "latent": lambda prediction: cross_entropy(targets, prediction.latent),
        "reward": lambda prediction: (pad(rewards, (0, 1)) - prediction.reward).square().mean(),
        "discount": lambda prediction: prediction.discount.sigmoid().mean(),
    }
    for name, loss in losses.items():
        world.zero_grad()
        loss(world.dynamics(codes, actions, rewards, ends)[0]).backward()
        for head, module in world.dynamics.heads.items():
            for parameter in module.parameters():
                assert (parameter.grad is not None and parameter.grad.any()) == (head == name)
        below = [parameter for part, parameter in world.dynamics.named_parameters() if not part.startswith("heads.")]
        assert all(parameter.grad.any() for parameter in below)


def test_a_dynamics_model_that_is_trained_learns_to_predict_latents():
    """A counter that the action starts anew: to know it takes both tokens."""
    world = tiny(dropout=0.1)
    noise, optimiser = networks.generator(6), torch.optim.Adam(world.dynamics.parameters(), 3e-3)
    curve = []
    for _ in range(150):
        actions = torch.randint(2, (16, 6), generator=noise)
        state = torch.randint(4, (16, 1), generator=noise)
        states = [state[:, 0]]
        for action in actions.T:
            states.append(torch.where(action == 0, 0, (states[-1] + 1) % 4))
        latents = torch.eye(4)[torch.stack(states, dim=1)].unsqueeze(2).expand(-1, -1, 3, -1)
        codes = latents[:, :-1].flatten(2)
        nothing = torch.zeros(16, 5)
        prediction, _ = world.dynamics(codes, actions, nothing, nothing.bool(), noise=[noise])
        loss = cross_entropy(latents[:, 1:].log(), prediction.latent)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        curve.append(loss.item())
    assert np.mean(curve[-10:]) < 0.3 * np.mean(curve[:10])


def test_what_is_learnt_from_detached_codes_leaves_the_encoder_untouched():
    world = tiny()
    latents = world.observation.encode(grids(BATCH, STEPS))
    codes = sampled(latents, [networks.generator(0)]).detach()
    prediction, _ = world.dynamics(codes, *experience()[1:])
    cross_entropy(latents[:, 1:], prediction.latent[:, :-1]).backward()
    assert all(parameter.grad is None for parameter in world.observation.parameters())


# Policy


@pytest.mark.parametrize(("policy_input", "inputs"), [("z", 12), ("h", 8), ("zh", 20)])
def test_actor_and_critic_are_as_wide_as_what_they_read(policy_input, inputs):
    world, (codes, actions, rewards, ends) = tiny(policy_input=policy_input), experience()
    assert world.actor.layers[0].weight.shape[2] == world.critic.layers[0].weight.shape[2] == inputs
    read = world.inputs_along(codes, actions[:, :-1], rewards, ends)
    assert read.shape == (BATCH, STEPS, inputs)
    assert world.policy(read).shape == (BATCH, STEPS, ACTIONS)
    assert world.value(read).shape == (BATCH, STEPS)


def test_what_the_policy_reads_changes_no_weight_of_the_world_model():
    one, other = (tiny(policy_input=inputs).arrays() for inputs in ("z", "zh"))
    for name, array in one.items():
        assert name.startswith(("actor", "critic")) or np.array_equal(array, other[name])
