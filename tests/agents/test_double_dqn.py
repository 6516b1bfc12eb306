"""A Double DQN learns what a plain one learns."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from agentomy import kinds, tables
from agentomy.agents.double_dqn import DoubleDQN
from agentomy.descriptions import Task
from agentomy.environments import simulators
from agentomy.seeds import Streams
from tests.described import SOME

torch.set_num_threads(1)  # networks this small are slower on two


class Lights:
    """One of three lights is on; the action of its number is worth 1. Episodes end or are cut after a few steps."""

    observation_shape, actions = (10, 10, 4), 3

    def __init__(self, rng: np.random.Generator):
        self.rng, self.light, self.steps = rng, 0, 0

    def reset(self) -> np.ndarray:
        self.steps = 0
        return self.look()

    def look(self) -> np.ndarray:
        self.light = int(self.rng.integers(3))
        observation = self.rng.random(self.observation_shape) < 0.05
        observation[:, :, :3] &= False
        observation[:, :, self.light] = True
        return observation

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool]:
        reward = float(action == self.light)
        self.steps += 1
        ends = self.rng.random() < 0.2
        return self.look(), reward, ends, self.steps == 6 and not ends

    def state(self) -> dict:
        return {"rng": self.rng.bit_generator.state, "light": self.light, "steps": self.steps}

    def restore(self, state: dict) -> None:
        self.rng.bit_generator.state = state["rng"]
        self.light, self.steps = state["light"], state["steps"]


@pytest.fixture(autouse=True)
def lights(monkeypatch):
    monkeypatch.setattr(simulators, "make", lambda source, rng: Lights(rng))


def double_dqn(*seeds: int, table: tables.Table | None = None, **parameters) -> DoubleDQN:
    streams = [Streams("test", "double-dqn", seed) for seed in seeds]
    parameters = {
        "updates": 200,
        "batch": 8,
        "learning_starts": 20,
        "exploration_steps": 100,
        "target_update_interval": 10,
        "buffer_size": 60,
    } | parameters
    if table is None:
        table = tables.Table(kinds.paths.EPISODES, description=SOME)
    return DoubleDQN(table, streams, "cpu", **parameters)


def learn(agent: DoubleDQN, updates: int) -> dict[str, np.ndarray]:
    """What was reported, each [updates, S]."""
    records = [agent.advance() for _ in range(updates)]
    return {name: np.stack([record[name] for record in records]) for name in records[0]}


def test_an_agent_learns_to_play():
    agent = double_dqn(0, 1, discount=0.5, learning_rate=1e-3, batch=32, buffer_size=1000)
    learn(agent, 200)
    simulator = Lights(np.random.default_rng(5))
    observations = np.stack([simulator.look() for _ in range(50)])
    actions = agent.net.act(torch.from_numpy(observations).expand(2, *observations.shape))
    assert np.array_equal(actions, np.tile(observations.any(axis=(1, 2))[:, :3].argmax(axis=1), (2, 1)))


class Plain(nn.Module):
    """One seed's network from PyTorch's own modules."""

    def __init__(self, weights: dict[str, torch.Tensor], seed: int):
        super().__init__()
        self.convolution, self.hidden, self.output = nn.Conv2d(4, 16, 3), nn.Linear(1024, 128), nn.Linear(128, 3)
        mine = {name: values[seed] for name, values in weights.items()}
        mine["convolution.weight"] = mine["convolution.weight"].permute(0, 3, 1, 2)
        self.load_state_dict(mine)

    def forward(self, observations):
        seen = torch.relu(self.convolution(observations.permute(0, 3, 1, 2).to(self.output.weight.dtype)))
        return self.output(torch.relu(self.hidden(seen.permute(0, 2, 3, 1).flatten(1))))


@pytest.mark.usefixtures("double_precision")
def test_loss_and_gradient_are_those_of_a_plain_double_dqn():
    agent = double_dqn(0, 1, batch=40)
    learn(agent, 15)
    agent.target.draw([torch.Generator().manual_seed(seed) for seed in range(2)])  # so that it chooses otherwise
    weights, old = (copy.deepcopy(net.state_dict()) for net in (agent.net, agent.target))
    drawn = agent.replay.sample([np.random.default_rng(seed) for seed in range(2)], 40)
    assert not drawn["nonterminal"].all()
    with torch.no_grad():
        losses = agent.learn(drawn)
    alike = 0
    for seed in range(2):
        net, target = Plain(weights, seed), Plain(old, seed)
        batch = {name: values[seed] for name, values in drawn.items()}
        with torch.no_grad():
            following = batch["next_observation"]
            best = net(following).argmax(dim=1)
            alike += int((best == target(following).argmax(dim=1)).sum())
            value = target(following)[torch.arange(40), best]
            wanted = torch.where(batch["nonterminal"], batch["reward"] + 0.99 * value, batch["reward"])
        loss = nn.functional.mse_loss(net(batch["observation"])[torch.arange(40), batch["action"]], wanted)
        loss.backward()
        torch.testing.assert_close(losses[seed], loss.detach())
        for name, parameter in net.named_parameters():
            ours = agent.net.get_parameter(name).grad[seed]
            ours = ours.permute(0, 3, 1, 2) if name == "convolution.weight" else ours
            torch.testing.assert_close(ours, parameter.grad)
    assert alike < 80  # else this could not tell double from plain Q-learning


def test_epsilon_falls_linearly_after_the_random_steps():
    agent = double_dqn(0, exploration_steps=50, exploration_final_eps=0.2)
    epsilons = []
    for agent.steps in range(100):
        epsilons.append(agent.epsilon())
    expected = np.concatenate([np.ones(20), np.linspace(1, 0.2, 51), np.full(29, 0.2)])
    np.testing.assert_allclose(epsilons, expected)


def test_actions_are_random_as_often_as_epsilon_says():
    agent = double_dqn(0, learning_starts=0, exploration_steps=1, exploration_final_eps=0.3)
    agent.steps = 1
    best = agent.net.act(torch.from_numpy(agent.observations).unsqueeze(1)).item()
    actions = np.array([agent.explore()[0] for _ in range(5000)])
    assert np.mean(actions == best) == pytest.approx(0.7 + 0.3 / 3, abs=0.02)


def test_the_target_is_copied_at_every_interval_and_untouched_between():
    agent = double_dqn(0)
    expected = copy.deepcopy(agent.net.state_dict())
    for update in range(1, 41):
        agent.advance()
        if update % 10 == 0:
            expected = copy.deepcopy(agent.net.state_dict())
        for name, values in agent.target.state_dict().items():
            assert torch.equal(values, expected[name])


def test_an_update_is_so_many_steps_and_the_first_begins_with_the_random_ones():
    agent = double_dqn(0, steps_per_update=3)
    agent.advance()
    assert agent.steps == agent.replay.added == 23
    agent.advance()
    assert agent.steps == agent.replay.added == 26


def test_only_a_game_that_is_over_cuts_the_value_of_what_follows():
    agent = double_dqn(0, buffer_size=1000)
    agent.simulators[0].step = lambda action: (agent.observations[0], 2.0, False, True)
    agent.step_envs(agent.explore())
    assert agent.replay.fields["nonterminal"][0, 0]
    assert agent.returns[0] == 2
    assert agent.episode_return[0] == 0
    agent.simulators[0].step = lambda action: (agent.observations[0], 3.0, True, False)
    agent.step_envs(agent.explore())
    assert not agent.replay.fields["nonterminal"][0, 1]
    assert agent.returns[0] == 3


def test_it_plays_minatar(monkeypatch):
    monkeypatch.undo()
    parameters = {"game": "breakout", "episodes": 1}
    table = tables.Table(kinds.paths.EPISODES, description=Task(use="arcade.minatar", parameters=parameters))
    records = learn(double_dqn(0, 1, table=table), 20)
    assert np.isfinite(records["loss"]).all()
