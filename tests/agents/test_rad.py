"""A soft actor-critic from pixels: its formulas."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from agentomy.agents import rad
from agentomy.agents.rad import RAD
from agentomy.seeds import Streams

ENVIRONMENT = SimpleNamespace(description={"size": 13, "steps": 7})
torch.set_num_threads(1)  # networks this small are slower on two


class Noise:
    """A simulator of random frames; episodes are cut off, and reward is for the first action."""

    actions, low, high = None, np.array([-1.0, -2.0]), np.array([1.0, 0.0])

    def __init__(self, source, rng):
        self.rng, self.steps = rng, source["steps"]
        self.observation_shape = (3, source["size"], source["size"])
        self.step_number = 0

    def frame(self):
        return self.rng.integers(256, size=self.observation_shape, dtype=np.uint8)

    def reset(self):
        self.step_number = 0
        return self.frame()

    def step(self, action):
        assert np.all((action >= self.low) & (action <= self.high))
        self.step_number += 1
        return self.frame(), float(action[0]), False, self.step_number == self.steps

    def state(self):
        return {"rng": self.rng.bit_generator.state, "step_number": self.step_number}

    def restore(self, state):
        self.rng.bit_generator.state, self.step_number = state["rng"], state["step_number"]


@pytest.fixture(autouse=True)
def simulator(monkeypatch):
    monkeypatch.setattr(rad.simulators, "make", Noise)


def agent(*seeds: int, **parameters) -> RAD:
    small = {
        "filters": 2,
        "convolutions": 2,
        "features": 5,
        "width": 8,
        "batch": 4,
        "learning_starts": 10,
        "image_size": 15,
    }
    streams = [Streams("test", "rad", seed) for seed in seeds]
    return RAD(ENVIRONMENT, streams, "cpu", **{"updates": 60} | small | parameters)


def learn(learner: RAD, updates: int) -> dict[str, np.ndarray]:
    """What was reported, each [updates, S]."""
    records = [learner.advance() for _ in range(updates)]
    return {name: np.stack([record[name] for record in records]) for name in records[0]}


def test_the_actors_gradient_does_not_reach_the_convolutions_and_the_critics_does():
    learner = agent(0)
    learner.advance()
    images, actions, rewards, nonterminal, following = learner.sample_batch()
    before = copy.deepcopy(learner.net.state_dict())
    critics = copy.deepcopy(learner.critics.state_dict())
    learner.update_actor(images)
    moved = {name for name, value in learner.net.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {name for name in before if "conv" not in name}
    assert all(torch.equal(value, critics[name]) for name, value in learner.critics.state_dict().items())
    learner.update_critics(images, actions, learner.td_targets(rewards, nonterminal, following))
    assert not torch.equal(learner.net.encoder.conv1.weight, before["encoder.conv1.weight"])
    assert learner.net.encoder.conv1.weight is learner.critics.encoder.conv1.weight


@pytest.mark.usefixtures("double_precision")
def test_the_critics_aim_at_the_soft_value_of_the_lower_target():
    learner = agent(0, 1)
    learner.advance()
    *_, following = learner.sample_batch()
    rewards, nonterminal = torch.rand(2, 4), torch.tensor([[1.0, 0.0, 1.0, 1.0]] * 2)
    streams = copy.deepcopy(learner.streams)
    td_targets = learner.td_targets(rewards, nonterminal, following)
    learner.streams = streams
    with torch.no_grad():
        seen = learner.net.encoder.see(following)
        mean, log_std = learner.net.gaussian(seen)
        drawn = (mean + log_std.exp() * learner.noise(4)).tanh()
        normal = torch.distributions.Normal(mean, log_std.exp())
        policy = torch.distributions.TransformedDistribution(normal, torch.distributions.TanhTransform())
        density = policy.log_prob(drawn).sum(dim=2)
        first, second = learner.target_critics(learner.target_critics.encoder.see(following), drawn)
        soft = torch.minimum(first, second) - learner.log_temperature.exp()[:, None] * density
    torch.testing.assert_close(td_targets, rewards + 0.99 * nonterminal * soft, rtol=1e-6, atol=1e-6)


@pytest.mark.usefixtures("double_precision")
def test_the_temperature_follows_the_gradient_of_its_loss():
    learner = agent(0, 1)
    learner.advance()
    images, *_ = learner.sample_batch()
    streams = copy.deepcopy(learner.streams)
    with torch.no_grad():
        _, density = learner.net.sample(learner.net.encoder.see(images), learner.noise(4))
    learner.streams = streams
    log_temperature = learner.log_temperature.clone().requires_grad_()
    (log_temperature.exp()[:, None] * (-density - (-2))).mean(dim=1).sum().backward()  # two actions
    learner.update_actor(images)
    torch.testing.assert_close(learner.log_temperature.grad, log_temperature.grad)


def test_targets_follow_at_every_second_update_and_returns_are_of_finished_episodes():
    learner = agent(0)
    start = copy.deepcopy(learner.target_critics.state_dict())
    learner.advance()
    assert all(torch.equal(value, start[name]) for name, value in learner.target_critics.state_dict().items())
    learner.advance()
    for name, rate in (("encoder.conv1.weight", 0.05), ("heads.layer1.weight", 0.01)):
        new = learner.critics.state_dict()[name]
        torch.testing.assert_close(learner.target_critics.state_dict()[name], start[name].lerp(new, rate))
    assert learner.returns[0] != 0


def test_sizes_that_do_not_fit_the_augmentation_are_refused():
    with pytest.raises(ValueError, match="augmentation flip cannot make images of size 15 from frames of size 13"):
        agent(0, augmentation="flip")
