"""State dicts of CleanRL's scripts and plain MLPs are recognised from what their owner states."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from agentomy.foreign_agents import spaces
from agentomy.foreign_agents.from_scripts import Stated
from agentomy.foreign_agents.opening import opened, recognised
from agentomy.mistakes import ConfigError
from agentomy.networks.foreign.agent import rebuilt
from tests.foreign_agents.worlds import CHOICE, PICTURE, REACH, VECTOR, drawn

TALL = spaces.from_gymnasium(VECTOR), spaces.from_gymnasium(CHOICE)
REACHING = spaces.from_gymnasium(VECTOR), spaces.from_gymnasium(REACH)
SEEING = spaces.from_gymnasium(PICTURE), spaces.from_gymnasium(CHOICE)
TANH = Stated(activation="Tanh", head="logits")
RELU_Q = Stated(activation="ReLU", head="q")


def mlp(*widths: int, activation=nn.Tanh) -> nn.Sequential:
    layers = []
    for inputs, outputs in zip(widths, widths[1:]):  # noqa: B905, RUF007
        layers += [nn.Linear(inputs, outputs), activation()]
    return nn.Sequential(*layers[:-1])


def nature() -> nn.Sequential:
    convolutions = (
        nn.Conv2d(3, 32, 8, 4),
        nn.ReLU(),
        nn.Conv2d(32, 64, 4, 2),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, 1),
        nn.ReLU(),
    )
    return nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(128, 24), nn.ReLU())


class PPO(nn.Module):
    def __init__(self):
        super().__init__()
        self.critic, self.actor = mlp(5, 16, 16, 1), mlp(5, 16, 16, 4)

    def forward(self, x):
        return {"logits": self.actor(x), "value": self.critic(x).squeeze(1)}


class Continuous(nn.Module):
    def __init__(self):
        super().__init__()
        self.critic, self.actor_mean = mlp(5, 16, 16, 1), mlp(5, 16, 16, 2)
        self.actor_logstd = nn.Parameter(torch.full((1, 2), -0.5))

    def forward(self, x):
        mean = self.actor_mean(x)
        return {"mean": mean, "std": self.actor_logstd.expand_as(mean).exp(), "value": self.critic(x).squeeze(1)}


class Atari(nn.Module):
    def __init__(self):
        super().__init__()
        self.network, self.actor, self.critic = nature(), nn.Linear(24, 4), nn.Linear(24, 1)

    def forward(self, x):
        hidden = self.network(x / 255)
        return {"logits": self.actor(hidden), "value": self.critic(hidden).squeeze(1)}


class DQN(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = mlp(5, 12, 84, 4, activation=nn.ReLU)

    def forward(self, x):
        return {"q": self.network(x)}


class AtariDQN(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = nn.Sequential(*nature(), nn.Linear(24, 4))

    def forward(self, x):
        return {"q": self.network(x / 255)}


class Actor(nn.Module):
    """Of CleanRL's DDPG and TD3."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc_mu = nn.Linear(5, 16), nn.Linear(16, 16), nn.Linear(16, 2)
        low, high = torch.as_tensor(REACH.low), torch.as_tensor(REACH.high)
        self.register_buffer("action_scale", (high - low) / 2)
        self.register_buffer("action_bias", (high + low) / 2)

    def forward(self, x):
        hidden = torch.relu(self.fc2(torch.relu(self.fc1(x))))
        return torch.tanh(self.fc_mu(hidden)) * self.action_scale + self.action_bias


class Critic(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(7, 16), nn.Linear(16, 16), nn.Linear(16, 1)

    def forward(self, x, a):
        return self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(torch.cat([x, a], 1))))))


CASES = {
    "ppo": (PPO, TALL, TANH),
    "ppo continuous": (Continuous, REACHING, Stated(activation="Tanh", head="mean", initial="orthogonal")),
    "ppo atari": (Atari, SEEING, Stated(head="logits", scale=255)),
    "dqn": (DQN, TALL, RELU_Q),
    "dqn atari": (AtariDQN, SEEING, Stated(head="q", scale=255)),
    "plain": (lambda: mlp(5, 8, 8, 8, 4), TALL, TANH),
    "linear": (lambda: mlp(5, 4), TALL, Stated(head="q")),
}


def imported(path, world, stated):
    agent_file = recognised(opened(path), *world, stated)
    return rebuilt(agent_file, path)


def seen(world) -> np.ndarray:
    return drawn(PICTURE if world is SEEING else VECTOR, 200)


def refusal(do) -> str:
    with pytest.raises(ConfigError) as error:
        do()
    assert str(error.value).isprintable()
    return str(error.value)


def plain(prefix: str = "", *widths: int) -> dict:
    return {f"{prefix}{name}": tensor for name, tensor in mlp(*(widths or (5, 8, 4))).state_dict().items()}


@pytest.mark.parametrize("name", CASES)
def test_it_gives_what_its_script_gives(name, tmp_path):
    make, world, stated = CASES[name]
    torch.manual_seed(0)
    model, path = make(), tmp_path / "agent.cleanrl_model"
    torch.save(model.state_dict(), path)
    agent = imported(path, world, stated)
    with torch.no_grad():
        theirs, ours = model(torch.as_tensor(seen(world), dtype=torch.float32)), agent.outputs(seen(world))
    theirs = theirs if isinstance(theirs, dict) else {stated.head: theirs}
    for output, expected in theirs.items():
        np.testing.assert_allclose(ours[output], expected, rtol=1e-5, atol=1e-5)
    assert agent.act(seen(world)).shape == (200, *world[1].shape)


def test_an_actor_and_its_critics_come_as_a_tuple(tmp_path):
    torch.manual_seed(0)
    actor, critics, path = Actor(), [Critic(), Critic()], tmp_path / "td3.cleanrl_model"
    torch.save((actor.state_dict(), *(critic.state_dict() for critic in critics)), path)
    agent = imported(path, REACHING, Stated(activation="ReLU", head="tanh"))
    x = seen(REACHING)
    with torch.no_grad():
        theirs = actor(torch.as_tensor(x))
        values = torch.stack([critic(torch.as_tensor(x), theirs) for critic in critics], dim=1)
        np.testing.assert_allclose(agent.act(x), theirs, atol=1e-5)
        np.testing.assert_allclose(agent.values(x, theirs), values, atol=1e-5)
        np.testing.assert_allclose(agent.outputs(x)["value"], values.amin(dim=1).squeeze(1), atol=1e-5)


CONTAINERS = {
    "bare": lambda state: state,
    "with arguments": lambda state: {
        "model_weights": state,
        "args": {"gamma": 0.99, "env_id": "CartPole-v1", "seed": 1},
    },
    "of a checkpoint": lambda state: {"model_state_dict": state, "epoch": 3, "loss": torch.ones(())},
    "compiled": lambda state: {f"_orig_mod.{name}": tensor for name, tensor in state.items()},
    "compiled, in parallel": lambda state: {f"_orig_mod.module.{name}": tensor for name, tensor in state.items()},
    "wrapped twice": lambda state: {f"module.module._orig_mod.{name}": tensor for name, tensor in state.items()},
    "a part compiled": lambda state: {
        name.replace("actor.", "actor._orig_mod."): tensor for name, tensor in state.items()
    },
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_containers_and_prefixes_change_nothing(container, tmp_path):
    torch.manual_seed(0)
    model = PPO()
    paths = tmp_path / "bare.pt", tmp_path / "held.pt"
    torch.save(model.state_dict(), paths[0])
    torch.save(CONTAINERS[container](model.state_dict()), paths[1])
    bare, held = (imported(path, TALL, TANH) for path in paths)
    np.testing.assert_array_equal(bare.act(seen(TALL)), held.act(seen(TALL)))


def test_safetensors_are_read_in_the_order_of_their_names(tmp_path):
    torch.manual_seed(0)
    model, path = mlp(*[5, *[8] * 11, 4]), tmp_path / "agent.safetensors"  # layers 0, 2, …, 22: as text 10 < 2
    save_file(model.state_dict(), path)
    agent = imported(path, TALL, TANH)
    with torch.no_grad():
        np.testing.assert_allclose(agent.outputs(seen(TALL))["logits"], model(torch.as_tensor(seen(TALL))), atol=1e-6)


def test_a_wrong_activation_is_told_by_its_actions(tmp_path):
    """The planted MLP acts by Tanh; read as one of ReLU it is another agent."""
    torch.manual_seed(0)
    model, path = mlp(5, 32, 32, 4), tmp_path / "agent.pt"
    torch.save({name: 3 * tensor for name, tensor in model.state_dict().items()}, path)
    model.load_state_dict({name: 3 * tensor for name, tensor in model.state_dict().items()})
    x = seen(TALL)
    theirs = model(torch.as_tensor(x)).argmax(dim=1).numpy()
    agreed = {
        name: (imported(path, TALL, Stated(activation=name, head="logits")).act(x) == theirs).mean()
        for name in ("Tanh", "ReLU", "Sigmoid")
    }
    assert agreed["Tanh"] == 1
    assert max(agreed["ReLU"], agreed["Sigmoid"]) < 0.8


def test_an_orthogonal_twin_is_cleanrls(tmp_path):
    path = tmp_path / "agent.pt"
    torch.save(Continuous().state_dict(), path)
    twin = imported(path, *CASES["ppo continuous"][1:]).twin(0)
    weight = twin.policy.body[2].weight.detach()
    np.testing.assert_allclose(weight @ weight.T, 2 * np.eye(16), atol=1e-5)
    assert (twin.policy.log_std == 0).all()


def test_a_normaliser_in_the_file_is_given_with_it(tmp_path):
    path = tmp_path / "agent.pt"
    statistics = {"mean": torch.arange(5.0), "var": torch.ones(5) * 4, "count": 7.0}
    torch.save({"model": PPO().state_dict(), "obs_rms": statistics}, path)
    normaliser = opened(path).normaliser
    np.testing.assert_allclose(normaliser(np.arange(5.0)[None] + 2), np.ones((1, 5)), atol=1e-6)
    torch.save({"model": PPO().state_dict(), "obs_rms": 3}, path)
    assert "no mean and var" in refusal(lambda: opened(path))


@pytest.mark.parametrize(
    ("state", "world", "stated", "says"),
    [
        (plain(), TALL, Stated(activation="Tanh"), "head: missing; allowed: logits, q, mean, tanh"),
        (plain(), TALL, Stated(head="q"), "activation: missing; allowed: ReLU, Tanh"),
        (plain(), TALL, Stated(head="q", activation="Relu"), "no activation 'Relu'; allowed: ReLU, Tanh"),
        (plain(), TALL, Stated(head="logit", activation="ReLU"), "did you mean 'logits'?"),
        (plain(), REACHING, TANH, "found logits for actions of box of shape [2]"),
        (plain(), (TALL[0], TALL[1].model_copy(update={"sizes": [3]})), TANH, "found 4 outputs; allowed: 3"),
        (plain(), (None, None), TANH, "says nothing of its environment"),
        (plain("", 6, 8, 4), TALL, TANH, "0.weight: found 6 inputs; allowed: the 5 before it"),
        (Atari().state_dict(), SEEING, Stated(head="logits"), "scale: missing"),
        (
            {**plain(), "atoms": torch.ones(3)},
            TALL,
            TANH,
            "tensors atoms are of no network that is known; name your class",
        ),
        ({**plain(), "norm.weight": torch.ones(8)}, TALL, TANH, "norm.weight"),
        ({"0.weight": torch.full((4, 5), torch.nan)}, TALL, Stated(head="q"), "not finite"),
        (nn.LSTM(5, 4).state_dict(), TALL, TANH, "recurrent"),
        ({}, TALL, TANH, "allowed: a state dict"),
        ({"a": plain(), "b": plain()}, TALL, TANH, "with the keys a, b"),
        ({"actor": plain(), "model": plain()}, TALL, TANH, "found state dicts as model, actor"),
    ],
)
def test_what_is_not_known_is_one_line(state, world, stated, says, tmp_path):
    path = tmp_path / "agent.pt"
    torch.save(state, path)
    line = refusal(lambda: imported(path, world, stated))
    assert line.startswith(f"{path}: ")
    assert says in line
