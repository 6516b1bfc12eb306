"""A soft actor-critic from pixels is the plain algorithm, knows an end from a cut, and learns where to push."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from agentomy.agents import rad
from agentomy.agents.rad import RAD
from agentomy.seeds import Streams

torch.set_num_threads(1)  # networks this small are slower on two
LOW, HIGH = np.array([-1.0, -2.0]), np.array([1.0, 0.0])
SMALL = {
    "filters": 2,
    "convolutions": 2,
    "features": 5,
    "width": 8,
    "batch": 4,
    "frame_stack": 2,
    "learning_starts": 10,
}
WHERE = np.linspace(-0.8, 0.8, 4)  # the action that each place of the bar asks for


class Stripes:
    """Random frames of 9 × 9; a third of the steps end an episode, another third cut it off."""

    actions, low, high, observation_shape = None, LOW, HIGH, (3, 9, 9)
    ends = ((False, False), (True, False), (False, True))

    def __init__(self, source, rng: np.random.Generator):
        self.rng = rng
        self.lived: list[tuple[float, bool]] = []  # reward, and whether the task ended

    def reset(self) -> np.ndarray:
        return self.rng.integers(256, size=self.observation_shape, dtype=np.uint8)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool]:
        assert np.all((action >= LOW) & (action <= HIGH))
        terminated, truncated = self.ends[self.rng.integers(3)]
        self.lived.append((float(action[0] - action[1] ** 2), terminated))
        return self.reset(), self.lived[-1][0], terminated, truncated


class Bar:
    """One step an episode: a bar stands at one of four places, and the reward is how near the action is to it."""

    actions, low, high, observation_shape = None, np.array([-1.0]), np.array([1.0]), (1, 9, 9)

    def __init__(self, source, rng: np.random.Generator):
        self.rng = rng

    @staticmethod
    def frame(place: int) -> np.ndarray:
        shown = np.zeros((1, 9, 9), np.uint8)
        shown[:, :, 2 * place + 1] = 255
        return shown

    def reset(self) -> np.ndarray:
        self.place = int(self.rng.integers(4))
        return self.frame(self.place)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool]:
        return self.frame(self.place), -float((action[0] - WHERE[self.place]) ** 2), True, False


def agent(monkeypatch, simulator: type, *seeds: int, **parameters) -> RAD:
    monkeypatch.setattr(rad.simulators, "make", simulator)
    streams = [Streams("test", "rad", seed) for seed in seeds]
    given = {"updates": 600, "augmentation": "none", "image_size": 9} | SMALL | parameters
    return RAD(SimpleNamespace(description=None), streams, "cpu", **given)


class Eye(nn.Module):
    """Convolutions → linear → layer norm, with the weights of one seed of an encoder."""

    def __init__(self, encoder, convolutions: nn.Sequential | None = None):
        super().__init__()
        if convolutions is None:
            layers = [(filled(nn.Conv2d, encoder.conv1, (6, 2, 3, 2)), nn.ReLU())]
            layers += [(filled(nn.Conv2d, encoder.conv2, (2, 2, 3, 1)), nn.ReLU())]
            convolutions = nn.Sequential(*(module for pair in layers for module in pair), nn.Flatten())
        self.convolutions = convolutions
        self.linear = filled(nn.Linear, encoder.linear, (encoder.linear.weight.shape[2], 5))
        self.norm = filled(nn.LayerNorm, encoder.norm, (5,))

    def summarise(self, seen: Tensor) -> Tensor:
        return self.norm(self.linear(seen))


def filled(module: type, ours: nn.Module, shape: tuple, position: int = 0) -> nn.Module:
    layer = module(*shape)
    layer.weight.data.copy_(ours.weight[position])
    layer.bias.data.copy_(ours.bias[position])
    return layer


def perceptron(stack, position: int) -> nn.Sequential:
    layers = [filled(nn.Linear, layer, tuple(layer.weight.shape[:0:-1]), position) for layer in stack.layers]
    return nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])


class Plain:
    """RAD of one seed as its authors have it, with `nn.Conv2d` and autograd; it starts as a new agent does."""

    def __init__(self, agent: RAD):
        self.critic = Eye(agent.critics.encoder)
        self.actor = Eye(agent.net.encoder, self.critic.convolutions)
        self.policy = perceptron(agent.net.policy, 0)
        self.heads = nn.ModuleList([perceptron(agent.critics.heads, position) for position in range(2)])
        self.old_critic, self.old_heads = copy.deepcopy(self.critic), copy.deepcopy(self.heads)
        self.log_temperature = torch.tensor(np.log(0.1), requires_grad=True)
        self.luck, self.batches = (copy.deepcopy(agent.streams[name][0]) for name in ("exploration", "batches"))
        of_policy = [*self.actor.linear.parameters(), *self.actor.norm.parameters(), *self.policy.parameters()]
        self.of_actor = torch.optim.Adam(of_policy, lr=1e-3)
        self.of_critics = torch.optim.Adam([*self.critic.parameters(), *self.heads.parameters()], lr=1e-3)
        self.of_temperature = torch.optim.Adam([self.log_temperature], lr=1e-4, betas=(0.5, 0.999))
        self.update = 0

    def drawn(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Actions [B, 2] of the policy, and the logarithm of their density [B]."""
        mean, raw = self.policy(self.actor.summarise(seen)).chunk(2, dim=1)
        normal = torch.distributions.Normal(mean, (-10 + 6 * (raw.tanh() + 1)).exp())
        before = mean + normal.stddev * torch.from_numpy(self.luck.standard_normal(mean.shape))
        actions = before.tanh()
        return actions, (normal.log_prob(before) - torch.log(1 - actions**2)).sum(dim=1)

    @staticmethod
    def lower(eye: Eye, heads, seen: Tensor, actions: Tensor) -> Tensor:
        inputs = torch.cat([eye.summarise(seen), actions], dim=1)
        return torch.minimum(heads[0](inputs), heads[1](inputs))[:, 0]

    def advance(self, replay) -> tuple[float, np.ndarray]:
        """One update, on what is in the replay by now: the loss of the critics, and the action taken before it."""
        with torch.no_grad():
            if self.update == 0:
                for _ in range(SMALL["learning_starts"]):
                    self.luck.uniform(-1, 1, 2)
            number = (replay.done - 1) % replay.capacity
            newest = replay.window(replay.fields["acted"][[number]])[0, :-1] % replay.capacity
            observation = torch.from_numpy(np.concatenate(replay.fields["frame"][newest]))
            taken, _ = self.drawn(self.critic.convolutions(observation[None] / 255))
        self.update += 1
        windows, actions, rewards, nonterminal = map(torch.from_numpy, replay.sample(self.batches, SMALL["batch"]))
        images, following = windows[:, :-3] / 255, windows[:, 3:] / 255
        with torch.no_grad():
            then, density = self.drawn(self.critic.convolutions(following))
            worth = self.lower(self.old_critic, self.old_heads, self.old_critic.convolutions(following), then)
            aim = rewards + 0.99 * nonterminal * (worth - self.log_temperature.exp() * density)
        inputs = torch.cat([self.critic.summarise(self.critic.convolutions(images)), actions], dim=1)
        loss = sum(nn.functional.mse_loss(head(inputs)[:, 0], aim) for head in self.heads)
        self.descend(loss, self.of_critics)
        if self.update % 2 == 0:
            seen = self.critic.convolutions(images).detach()
            chosen, density = self.drawn(seen)
            value = self.lower(self.critic, self.heads, seen, chosen)
            self.descend((self.log_temperature.exp().detach() * density - value).mean(), self.of_actor)
            self.descend((self.log_temperature.exp() * (2 - density.detach())).mean(), self.of_temperature)
            for old, new, share in ((self.old_heads, self.heads, 0.01), (self.old_critic, self.critic, 0.05)):
                for slow, fast in zip(old.parameters(), new.parameters(), strict=True):
                    slow.data.copy_((1 - share) * slow.data + share * fast.data)
        return loss.item(), taken[0].numpy()

    def descend(self, loss: Tensor, optimiser: torch.optim.Adam) -> None:
        for adam in (self.of_actor, self.of_critics, self.of_temperature):
            adam.zero_grad()
        loss.backward()
        optimiser.step()


@pytest.mark.usefixtures("double_precision")
def test_it_is_the_plain_algorithm(monkeypatch):
    """Both learn from the same transitions, drawn with the same noise, for twenty updates."""
    learner = agent(monkeypatch, Stripes, 0)
    plain = Plain(learner)
    for _ in range(20):
        record = learner.advance()
        loss, taken = plain.advance(learner.replays[0])
        assert record["loss"][0] == pytest.approx(loss, rel=1e-6)
        replay = learner.replays[0]
        newest = replay.fields["acted"][(replay.done - 1) % replay.capacity] % replay.capacity
        np.testing.assert_allclose(replay.fields["action"][newest], taken, rtol=1e-6, atol=1e-6)
    assert record["temperature"][0] == pytest.approx(plain.log_temperature.exp().item(), rel=1e-6)
    for stack, networks in ((learner.net.policy, [plain.policy]), (learner.critics.heads, plain.heads)):
        for layer, number in zip(stack.layers, (0, 2, 4), strict=True):
            for position, network in enumerate(networks):
                torch.testing.assert_close(layer.weight[position], network[number].weight, rtol=1e-4, atol=1e-7)
    for encoder, eye in ((learner.net.encoder, plain.actor), (learner.target_critics.encoder, plain.old_critic)):
        torch.testing.assert_close(encoder.conv1.weight[0], eye.convolutions[0].weight, rtol=1e-4, atol=1e-7)
        torch.testing.assert_close(encoder.linear.weight[0], eye.linear.weight, rtol=1e-4, atol=1e-7)


def test_an_episode_that_is_cut_off_would_have_gone_on(monkeypatch):
    learner = agent(monkeypatch, Stripes, 0, learning_starts=60)
    learner.advance()
    replay, lived = learner.replays[0], learner.simulators[0].lived
    acted = replay.fields["acted"][: replay.done]
    kept = [(replay.fields["reward"][step], replay.fields["nonterminal"][step] == 0) for step in acted]
    assert kept == lived
    assert 10 < sum(ended for _, ended in lived) < 30  # a third; another third was cut off, and counts as going on


@pytest.mark.slow
def test_a_target_that_the_picture_shows_is_learnt(monkeypatch):
    given = {
        "frame_stack": 1,
        "filters": 4,
        "convolutions": 1,
        "features": 16,
        "width": 32,
        "batch": 32,
        "learning_starts": 200,
    }
    learner = agent(monkeypatch, Bar, 0, 1, learning_rate=3e-3, temperature_learning_rate=3e-2, **given)
    shown = torch.from_numpy(np.stack([Bar.frame(place) for place in range(4)])).expand(2, -1, -1, -1, -1)

    def miss() -> np.ndarray:
        return np.abs(learner.net.act(shown).numpy()[:, :, 0] - WHERE).mean(axis=1)  # of each seed

    assert (miss() > 0.3).all()
    for _ in range(400):
        learner.advance()
    assert (miss() < 0.15).all()
