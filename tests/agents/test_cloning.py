"""A pupil comes to do what its expert does, by the optimiser it was given."""

import numpy as np
import pytest
import torch

from agentomy import kinds, tables
from agentomy.agents.cloning import BehaviourCloning
from agentomy.descriptions import Task
from agentomy.environments import simulators
from agentomy.networks.continuous import Actor
from agentomy.seeds import Streams
from tests.described import extracted

INPUTS, OUTPUTS, LENGTHS = 5, 2, (40, 25, 60)  # steps of an expert's episodes
LOW, HIGH = np.array([-2.0, -1.0]), np.array([2.0, 1.0])
torch.set_num_threads(1)  # networks this small are slower on two


class Sizes:
    observation_shape, low, high, actions = (INPUTS,), LOW, HIGH, None


@pytest.fixture(autouse=True)
def sizes(monkeypatch):
    monkeypatch.setattr(simulators, "make", lambda source, rng: Sizes)


def teacher(expert: int) -> np.ndarray:
    return np.random.default_rng(expert).normal(0, 0.1, (INPUTS, OUTPUTS)) * (HIGH - LOW)


def demonstrations(*experts: int) -> tables.Table:
    """Experts whose actions are linear in the observations; episodes differ in length."""
    rows = []
    for expert in experts:
        rng = np.random.default_rng(100 + expert)
        for episode, length in enumerate(LENGTHS):
            seen = rng.normal(size=(1, length + expert, INPUTS))
            rows.append(
                kinds.paths.DEMONSTRATIONS.table(
                    run="expert",
                    seed=np.array([expert]),
                    episode=episode,
                    observations=seen,
                    actions=seen @ teacher(expert),
                    **{"return": 0.0},
                )
            )
    source = extracted(environment=Task(use="sizes", parameters={}))
    return tables.Table(kinds.paths.DEMONSTRATIONS, rows=tables.pa.concat_tables(rows), description=source)


def cloning(*seeds: int, **parameters) -> BehaviourCloning:
    streams = [Streams("test", "cloning", seed) for seed in seeds]
    parameters = {"updates": 200, "widths": [8], "optimiser": "adam", "learning_rate": 3e-3, "batch": 16} | parameters
    return BehaviourCloning(demonstrations(4, 2, 1, 0), streams, "cpu", **parameters)


def learn(agent: BehaviourCloning, updates: int) -> np.ndarray:
    """The losses [updates, S]."""
    return np.stack([agent.advance()["loss"] for _ in range(updates)])


@pytest.mark.parametrize(("optimiser", "learning_rate"), [("adam", 3e-3), ("sgd", 0.1)])
def test_each_pupil_recovers_the_teacher_of_its_own_seed(optimiser, learning_rate):
    agent = cloning(2, 0, optimiser=optimiser, learning_rate=learning_rate, widths=[64], batch=64)
    learn(agent, 2000)
    seen = np.random.default_rng(7).normal(size=(200, INPUTS)).astype(np.float32)
    actions = agent.net.act(torch.from_numpy(seen).expand(2, -1, -1)).numpy()
    for position, (expert, other) in enumerate(((2, 0), (0, 2))):
        wanted = seen @ teacher(expert)
        assert np.mean((actions[position] - wanted) ** 2) < 0.05 * np.var(wanted)
        assert np.mean((actions[position] - seen @ teacher(other)) ** 2) > 0.3 * np.var(wanted)


def test_batches_are_steps_of_the_expert_and_all_of_them():
    agent = cloning(0, 1, batch=3000)
    observations, actions = agent.sample()
    for seed in range(2):
        np.testing.assert_allclose(actions[seed], observations[seed].numpy() @ teacher(seed), atol=1e-5)
        assert len(observations[seed].unique(dim=0)) == sum(LENGTHS) + 3 * seed


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_loss_and_gradient_are_autograds_and_sgd_takes_plain_steps(optimiser):
    agent = cloning(0, 1, optimiser=optimiser, learning_rate=0.1)
    learn(agent, 3)  # momentum would show from the second step on
    net = Actor(2, **{name: value for name, value in agent.network.items() if name != "use"})
    net.load_state_dict(agent.net.state_dict())
    batch = agent.sample()
    agent.sample = lambda: batch
    loss = (net(batch[0]) - batch[1]).square().mean(dim=(1, 2))
    loss.sum().backward()
    np.testing.assert_allclose(agent.advance()["loss"], loss.detach())
    for old, new in zip(net.parameters(), agent.net.parameters(), strict=True):
        torch.testing.assert_close(new.grad, old.grad)
        if optimiser == "sgd":
            torch.testing.assert_close(new.detach(), old.detach() - 0.1 * old.grad)


def test_a_pupil_without_an_expert_of_its_seed_is_refused():
    with pytest.raises(tables.TableError, match="nothing of seed 3"):
        cloning(0, 3)
