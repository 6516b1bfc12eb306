"""TD3 learns, and is the plain algorithm seed by seed."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from agentomy import kinds, tables
from agentomy.agents.td3 import TD3
from agentomy.descriptions import Task
from agentomy.environments import simulators
from agentomy.seeds import Streams
from tests.described import SOME

torch.set_num_threads(1)  # networks this small are slower on two
LOW, HIGH = np.array([-2.0, 0.0], np.float32), np.array([1.0, 0.5], np.float32)


class Drift:
    """A point that actions push about: it ends where it strays too far, and is cut off after nine steps."""

    observation_shape, actions, low, high = (3,), None, LOW, HIGH

    def __init__(self, rng: np.random.Generator):
        self.rng, self.place, self.steps = rng, np.zeros(3), 0

    def reset(self) -> np.ndarray:
        self.place, self.steps = self.rng.normal(size=3), 0
        return self.place.copy()

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool]:
        assert np.all((action >= LOW) & (action <= HIGH))
        self.place = self.place + 0.3 * np.array([action[0], action[1], action[0] * action[1]])
        self.steps += 1
        far = bool(np.abs(self.place).max() > 2.5)
        return self.place.copy(), float(1 - self.place @ self.place), far, not far and self.steps == 9

    def state(self) -> dict:
        return {"rng": self.rng.bit_generator.state, "place": self.place.copy(), "steps": self.steps}

    def restore(self, state: dict) -> None:
        self.rng.bit_generator.state = state["rng"]
        self.place, self.steps = state["place"].copy(), state["steps"]


class Aim(Drift):
    """One step an episode: the reward is how near the action is to where the observation points."""

    observation_shape = (1,)

    @staticmethod
    def goal(place: np.ndarray) -> np.ndarray:
        return np.stack([place[..., 0] - 0.5, 0.25 + 0.2 * place[..., 0]], axis=-1)

    def reset(self) -> np.ndarray:
        self.place = self.rng.uniform(-1, 1, size=1)
        return self.place.copy()

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool]:
        return self.place.copy(), -float(np.square(action - self.goal(self.place)).sum()), True, False


@pytest.fixture
def made_of(monkeypatch):
    """Let agents have such simulators."""

    def choose(simulator: type) -> None:
        monkeypatch.setattr(simulators, "make", lambda source, rng: simulator(rng))

    choose(Drift)
    return choose


def td3(*seeds: int, task: Task = SOME, **parameters) -> TD3:
    table = tables.Table(kinds.paths.EPISODES, description=task)
    streams = [Streams("test", "td3", seed) for seed in seeds]
    parameters = {"widths": [8, 8], "updates": 200, "batch": 16, "learning_starts": 50} | parameters
    return TD3(table, streams, "cpu", **parameters)


def learn(agent: TD3, updates: int) -> dict[str, np.ndarray]:
    """What was reported, each [updates, S]."""
    records = [agent.advance() for _ in range(updates)]
    return {name: np.stack([record[name] for record in records]) for name in records[0]}


@pytest.mark.slow
def test_a_target_that_depends_on_the_observation_is_learnt(made_of):
    made_of(Aim)
    agent = td3(0, 1, updates=1500, widths=[32, 32], batch=64, learning_starts=500, learning_rate=2e-3, tau=0.02)
    learn(agent, 1500)
    places = np.linspace(-0.9, 0.9, 19)[:, None]
    actions = agent.net.act(torch.tensor(places, dtype=torch.float32).expand(2, -1, -1)).numpy()
    assert np.abs(actions - Aim.goal(places)).mean(axis=1) == pytest.approx(0, abs=0.1)  # of each seed and action


@pytest.mark.usefixtures("made_of", "double_precision")
def test_it_is_the_plain_algorithm():
    """Both learn from the same transitions, drawn with the same noise, for twenty updates."""
    agent = td3(0, policy_delay=3)
    learn(agent, 5)
    twin = Plain(agent)
    for _ in range(20):
        agent.advance()
        twin.advance(agent)
    for stack, networks in ((agent.net, [twin.actor]), (agent.critics, twin.critics)):
        for layer, number in zip(stack.layers, (0, 2, 4), strict=True):
            for position, network in enumerate(networks):
                torch.testing.assert_close(layer.weight[position], network[number].weight)
                torch.testing.assert_close(layer.bias[position], network[number].bias)


class Plain:
    """TD3 of one seed as the paper has it, with `nn.Linear` and autograd; it starts as the given agent is now."""

    def __init__(self, agent: TD3):
        self.actor, *self.critics = (
            self.network(stack, position)
            for stack, position in ((agent.net, 0), (agent.critics, 0), (agent.critics, 1))
        )
        self.targets = [
            self.network(stack, position)
            for stack, position in ((agent.target_net, 0), (agent.target_critics, 0), (agent.target_critics, 1))
        ]
        weights = [self.actor.parameters(), [weight for critic in self.critics for weight in critic.parameters()]]
        self.optimisers = [torch.optim.Adam(group, lr=3e-4) for group in weights]
        for ours, theirs in zip(self.optimisers, agent.optimisers, strict=True):
            self.take_over(ours, theirs)
        self.batches, self.jitter = copy.deepcopy(agent.batches[0]), copy.deepcopy(agent.jitter[0])
        self.update = agent.update

    @staticmethod
    def network(stack, position: int) -> nn.Sequential:
        layers = [nn.Linear(*reversed(layer.weight.shape[1:])) for layer in stack.layers]
        for layer, stacked in zip(layers, stack.layers, strict=True):
            layer.weight.data.copy_(stacked.weight[position])
            layer.bias.data.copy_(stacked.bias[position])
        return nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])

    @staticmethod
    def take_over(ours: torch.optim.Adam, theirs: torch.optim.Adam) -> None:
        """Adam's moments, from stacks of networks to networks one by one."""
        stacked = list(theirs.state.values())
        for number, weight in enumerate(ours.param_groups[0]["params"]):
            position, layer = divmod(number, len(stacked))
            moments = stacked[layer]
            ours.state[weight] = {
                "step": moments["step"].clone(),
                **{name: moments[name][position].clone() for name in ("exp_avg", "exp_avg_sq")},
            }

    @staticmethod
    def bounded(raw: torch.Tensor) -> torch.Tensor:
        low, high = torch.from_numpy(LOW).double(), torch.from_numpy(HIGH).double()
        return (low + high) / 2 + (high - low) / 2 * raw.tanh()

    def advance(self, agent: TD3) -> None:
        """One update, on what is in the agent's replay by now."""
        self.update += 1
        rows = self.batches.integers(len(agent.replay), size=16)
        kept = agent.replay.fields["transition"][0, rows]
        observation, action, following, reward, nonterminal = kept.split([3, 2, 3, 1, 1], dim=1)
        low, high = torch.from_numpy(LOW).double(), torch.from_numpy(HIGH).double()
        with torch.no_grad():
            noise = torch.from_numpy(self.jitter.standard_normal((16, 2), dtype=np.float32)).double()
            half = (high - low) / 2
            noise = torch.maximum(torch.minimum(0.2 * half * noise, 0.5 * half), -0.5 * half)
            actor, *critics = self.targets
            smoothed = torch.maximum(torch.minimum(self.bounded(actor(following)) + noise, high), low)
            lower = torch.minimum(*(critic(torch.cat([following, smoothed], dim=1)) for critic in critics))
            target = reward + 0.99 * nonterminal * lower
        inputs = torch.cat([observation, action], dim=1)
        loss = sum(nn.functional.mse_loss(critic(inputs), target) for critic in self.critics)
        self.step(1, loss)
        if self.update % 3 == 0:
            value = self.critics[0](torch.cat([observation, self.bounded(self.actor(observation))], dim=1))
            self.step(0, -value.mean())
            for target, network in zip(self.targets, [self.actor, *self.critics], strict=True):
                for old, new in zip(target.parameters(), network.parameters(), strict=True):
                    old.data.copy_(0.995 * old.data + 0.005 * new.data)

    def step(self, which: int, loss: torch.Tensor) -> None:
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        loss.backward()
        self.optimisers[which].step()


@pytest.mark.usefixtures("made_of", "double_precision")
def test_only_a_task_that_ended_is_worth_nothing_afterwards():
    """With constant critics the targets are plain: reward, and the lower constant where the episode could go on."""
    agent = td3(0, 1)
    learn(agent, 50)
    for weights in agent.target_critics.parameters():
        weights.data.zero_()
    agent.target_critics.layer3.bias.data.copy_(
        torch.tensor([[3.0], [1.0], [2.0], [5.0]])
    )  # first, then second critics
    kept = agent.replay.fields["transition"][:, : len(agent.replay)]
    agent.batch = kept.shape[1]
    _, _, following, rewards, nonterminal = kept.split(agent.parts, dim=2)
    targets = agent.td_targets(following, rewards, nonterminal)
    far = following.abs().amax(dim=2, keepdim=True) > 2.5
    lower = torch.tensor([2.0, 1.0]).view(2, 1, 1)
    torch.testing.assert_close(targets, torch.where(far, rewards, rewards + 0.99 * lower))
    torch.testing.assert_close(rewards, 1 - following.square().sum(dim=2, keepdim=True))
    assert far.any(dim=1).all()
    observations, *_ = kept.split(agent.parts, dim=2)
    jumps = (observations[:, 1:] != following[:, :-1]).any(dim=2)  # where an episode begins
    cut = jumps & ~far[:, :-1, 0]
    assert cut.any(dim=1).all()  # some were cut off, and of those the next state still counts


@pytest.mark.usefixtures("made_of", "double_precision")
def test_jitter_on_the_targets_is_clipped_and_stays_within_bounds():
    agent = td3(0, batch=4000, target_noise=1.0, target_noise_clip=0.5)
    for weights in agent.target_net.parameters():
        weights.data.zero_()
    seen = {}
    agent.values = lambda critics, observations, actions: seen.update(actions=actions) or [torch.zeros(2, 4000, 1)]
    agent.td_targets(torch.zeros(1, 4000, 3), torch.zeros(1, 4000, 1), torch.ones(1, 4000, 1))
    actions = seen["actions"][0].numpy()
    middle, half = (LOW + HIGH) / 2, (HIGH - LOW) / 2
    units = (actions - middle) / half
    assert np.abs(units).max() == pytest.approx(0.5)
    # A normal variable clipped at half its standard deviation is at the limits six times in ten.
    assert (np.abs(units) > 0.4999).mean() == pytest.approx(0.617, abs=0.03)
    agent.target_net.layer3.bias.data.fill_(20.0)  # now the tanh is at its end
    agent.td_targets(torch.zeros(1, 4000, 3), torch.zeros(1, 4000, 1), torch.ones(1, 4000, 1))
    assert seen["actions"].amax(dim=(0, 1)).tolist() == pytest.approx(HIGH)


@pytest.mark.usefixtures("made_of")
def test_returns_are_those_of_finished_episodes():
    agent = td3(0, 1, learning_starts=0)
    reported = learn(agent, 60)["return"]
    for seed in range(2):
        kept = agent.replay.fields["transition"][seed, :60]
        observation, _, following, reward, _ = kept.split(agent.parts, dim=1)
        ended = [t for t in range(59) if not torch.equal(following[t], observation[t + 1])]
        total, last = 0.0, 0.0
        for t in range(59):
            total += reward[t].item()
            if t in ended:
                total, last = 0.0, total
            assert reported[t, seed] == pytest.approx(last, abs=1e-4)
        assert ended


@pytest.mark.usefixtures("made_of")
def test_random_steps_come_first_and_are_uniform():
    agent = td3(0, learning_starts=2000)
    agent.advance()
    assert len(agent.replay) == 2001
    actions = agent.replay.fields["transition"][0, :2000, 3:5].numpy()
    np.testing.assert_allclose(actions.mean(axis=0), (LOW + HIGH) / 2, atol=0.1)
    np.testing.assert_allclose(actions.std(axis=0), (HIGH - LOW) / 12**0.5, rtol=0.05)
