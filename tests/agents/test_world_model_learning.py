"""In the world model's agent every part learns from what the paper's formulas say, and from that alone (TWM)."""

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, Normal

from agentomy import networks
from agentomy.agents.world_model import REPORTED, WorldModelAgent
from agentomy.networks.imagination import Imagined, imagine
from agentomy.networks.observation_model import sampled
from tests.agents.test_world_model_agent import agent, at, learn

torch.set_num_threads(1)


def touched(learner: WorldModelAgent) -> set[str]:
    """The parts of the network that the last update had gradients for."""
    return {
        ".".join(name.split(".")[: 3 if ".heads." in name else 2])
        for name, parameter in learner.world.named_parameters()
        if parameter.grad is not None and parameter.grad.any()
    }


pytestmark = pytest.mark.slow
OBSERVATION = {"observation.encoder", "observation.decoder"}
HEADS = {"dynamics.heads.latent", "dynamics.heads.reward", "dynamics.heads.discount"}
DYNAMICS = {"dynamics.latent", "dynamics.action", "dynamics.reward", "dynamics.transformer"}
POLICY = {"actor.layers", "critic.layers"}


@pytest.mark.parametrize("policy_input", ["z", "zh"])
@pytest.mark.parametrize(("stage", "parts"), [
    ("observation", OBSERVATION), ("dynamics", DYNAMICS | HEADS), ("policy", POLICY),
    ("joint", OBSERVATION | DYNAMICS | HEADS | POLICY),
])  # fmt: skip
def test_every_stage_trains_its_parts_and_these_alone(stage, parts, policy_input):
    learner = at(stage, policy_input=policy_input)
    learner.world.zero_grad()
    before = learner.parameters()
    learner.advance()
    assert touched(learner) == parts
    moved = {name for name, array in learner.parameters().items() if not np.array_equal(array, before[name])}
    assert {name.split(".")[0] for name in moved} == {name.split(".")[0] for name in parts}


@pytest.mark.parametrize(("term", "parts"), [
    ("reconstruction", OBSERVATION),
    ("latent_entropy", {"observation.encoder"}),
    ("consistency", {"observation.encoder"}),
    ("next_latent", DYNAMICS | {"dynamics.heads.latent"}),
    ("reward", DYNAMICS | {"dynamics.heads.reward"}),
    ("discount", DYNAMICS | {"dynamics.heads.discount"}),
])  # fmt: skip
def test_each_term_of_the_world_models_losses_reaches_its_part(term, parts):
    """L_dyn leaves the encoder untouched, the consistency term leaves the dynamics model untouched."""
    learner = at("joint", latent_entropy_threshold=1.0)  # so that the hinge acts
    for weights in (learner.observation_weights, learner.consistency_weights, learner.dynamics_weights):
        for name in set(weights) - {term}:
            del weights[name]
    learner.world.zero_grad()
    learner.learn_world()
    assert touched(learner) == parts


def test_the_world_models_losses_are_those_of_reading_each_sequence_step_by_step():
    """Which prediction belongs to which latent, reward and end, told by a slow loop."""
    given = {"dropout": 0.0, "prefill": 100, "interactions": 120, "latent_entropy_threshold": 1.0}
    learner, twin = at("joint", **given), at("joint", **given)
    with torch.no_grad():
        for alike in (learner, twin):
            alike.world.observation.encoder.perceptron.layers[-1].weight.mul_(20)  # or all latents are much the same
            ends = alike.history.steps["ended"][0].nonzero().flatten()
            alike.history.steps["terminated"][0, ends[::2]] = False  # as if every second episode had been cut off
    learner.learn_world()
    seen = learner.history.windows(twin.history.draw(4, 7, 20.0, twin.noise["batches"]), 7)
    assert torch.equal(learner.history.visits, twin.history.visits)  # the same sequences
    assert (seen.ended & seen.terminated)[:, :-1].any()
    assert (seen.ended & ~seen.terminated)[:, 1:-1].any()
    world, terms = twin.world, {name: [] for name in REPORTED[:6]}
    with torch.no_grad():
        latents = world.observation.encode(seen.observations)
        codes = sampled(latents, twin.noise["latents"])
        for b in range(4):
            memory = None
            for t in range(7):
                last = slice(max(t - 1, 0), t)
                rewards, ends = (values[b : b + 1, last] for values in (seen.rewards, seen.ended))
                step = codes[b : b + 1, t : t + 1], seen.actions[b : b + 1, t : t + 1]
                prediction, memory = world.dynamics(*step, rewards, ends, memory)
                expected, goes_on = prediction.latent[0, 0], not seen.ended[b, t]
                if t < 6 and goes_on:
                    terms["consistency"].append(-(expected.exp() * latents[b, t + 1]).sum())
                if t == 0:  # the context
                    continue
                if goes_on:
                    terms["next_latent"].append(-(latents[b, t + 1].exp() * expected).sum())
                terms["reward"].append(-Normal(prediction.reward, 1.0).log_prob(seen.rewards[b, t]))
                gamma = 0.0 if seen.terminated[b, t] else 0.99
                guess = prediction.discount.sigmoid()
                terms["discount"].append(-gamma * guess.log() - (1 - gamma) * (1 - guess).log())
                logits = world.observation.decode(codes[b, t : t + 1])[0]
                pixels = Bernoulli(logits=logits).log_prob(seen.observations[b, t].float())
                terms["reconstruction"].append(-pixels.sum())
                entropy = -(latents[b, t].exp() * latents[b, t]).sum() / (8 * np.log(8))
                terms["latent_entropy"].append(1 - entropy)
    for name, values in terms.items():
        expected = torch.stack([value.reshape(()) for value in values]).mean()
        assert learner.record[name].item() == pytest.approx(expected.item(), rel=1e-4), name


def rollouts(size: float = 1.0) -> Imagined:
    noise = networks.generator(3)
    codes = (3 * torch.randn(6, 5, 8, 8, generator=noise)).softmax(dim=-1).round().flatten(2)
    rewards, discounts, weights = (size * torch.rand(3, 6, 4, generator=noise)).unbind()
    actions, ended = torch.randint(6, (6, 4), generator=noise), torch.rand(6, 4, generator=noise) < 0.2
    return Imagined(codes, actions, rewards, discounts, ended, weights, inputs=codes)


def test_the_losses_of_actor_and_critic_are_those_of_a_slow_loop_over_rollouts():
    learner = agent()
    lived, world = rollouts(), learner.world
    with torch.no_grad():
        values, policy = world.value(lived.codes), world.policy(lived.codes[:, :-1])
    actor, critic = [], []
    for b in range(6):
        ahead = 0.0
        for t in reversed(range(4)):
            goes_on = lived.discounts[b, t] * (not lived.ended[b, t])
            ahead = lived.rewards[b, t] + goes_on * values[b, t + 1] - values[b, t] + 0.95 * goes_on * ahead
            log_density = Normal(values[b, t], 1.0).log_prob(ahead + values[b, t])
            critic.append(-lived.weights[b, t] * log_density)
            actor.append(-lived.weights[b, t] * ahead * policy[b, t, lived.actions[b, t]])
    learner.learn_behaviour(lived)
    assert learner.record["critic"].item() == pytest.approx(torch.stack(critic).mean().item(), rel=1e-4)
    assert learner.record["actor"].item() == pytest.approx(torch.stack(actor).mean().item(), rel=1e-4)


@pytest.mark.parametrize("cut", [True, False])
def test_in_pre_training_a_cut_step_is_worth_what_was_expected_of_it(cut):
    """Told by a slow loop over the real sequences."""
    learner, heard = at("policy"), []
    ends = learner.history.steps["ended"]
    assert ends[:, : len(learner.history)].any()
    learner.history.steps["terminated"] = ends & (not cut)
    judge = learner.judge
    learner.judge = lambda lived, **more: (
        heard.append((lived, learner.world.value(lived.inputs).detach())) or judge(lived, **more)
    )
    learner.learn_policy()
    ((lived, values),) = heard
    assert lived.ended[:, :-1].any()
    losses = []
    for b in range(len(values)):
        ahead = 0.0
        for t in reversed(range(values.shape[1] - 1)):
            if lived.ended[b, t]:
                ahead = 0.0 if cut else lived.rewards[b, t] - values[b, t]
            else:
                ahead = lived.rewards[b, t] + 0.99 * (values[b, t + 1] + 0.95 * ahead) - values[b, t]
            losses.append(-Normal(values[b, t], 1.0).log_prob(ahead + values[b, t]))
    assert learner.record["critic"].item() == pytest.approx(torch.stack(losses).mean().item(), rel=1e-5)


def test_the_policy_comes_to_prefer_what_is_better_than_expected():
    learner = agent(actor_learning_rate=1e-3)
    lived = rollouts()
    lived = lived._replace(rewards=torch.where(lived.actions == 4, 1.0, -1.0), ended=lived.ended | True)
    before = learner.world.policy(lived.codes).exp().detach()[:, :, 4].mean()
    for _ in range(50):
        learner.learn_behaviour(lived)
    assert learner.world.policy(lived.codes).exp()[:, :, 4].mean() > before + 0.1


def test_gradients_are_cut_to_the_limit_of_each_part():
    learner = at("joint", reward_weight=1e6, latent_entropy_weight=1e9, latent_entropy_threshold=1.0)
    learner.learn_world()
    learner.learn_behaviour(rollouts(size=1e3))
    for part, limit in {"observation": 100, "dynamics": 100, "actor": 1, "critic": 1}.items():
        gradients = [weight.grad for weight in getattr(learner.world, part).parameters()]
        norm = torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt().item()
        assert norm == pytest.approx(limit, rel=1e-3)


def test_actor_and_critic_learn_from_rollouts_without_touching_the_world_model():
    learner = agent()
    learner.learn_behaviour(rollouts())
    assert touched(learner) == POLICY


def test_actor_and_critic_learn_to_read_the_past_without_touching_what_says_it():
    learner = at("joint", policy_input="zh")
    start = learner.learn_world()
    learner.world.zero_grad()
    learner.learn_behaviour(imagine(learner.world, start, learner.restarts(), 3, learner.noise["imagination"]))
    assert touched(learner) == POLICY
    for part in (learner.world.actor, learner.world.critic):
        code, past = part.layers[0].weight.grad[0].abs().sum(dim=0).tensor_split([64])
        assert len(past) == 64
        assert past.all()
        assert code.any()


def test_the_published_behaviour_leaves_the_head_of_the_next_latent_as_it_was_drawn():
    learner = agent(latent_loss=False)
    before = learner.parameters()
    learn(learner, learner.updates)
    after = learner.parameters()
    for name, array in after.items():
        assert np.array_equal(array, before[name]) == name.startswith("dynamics.heads.latent")
