"""Agents of Stable-Baselines3 and sb3-contrib are recognised from their zips, and act as in their library."""

import io

import numpy as np
import pytest
import torch
from stable_baselines3.common.distributions import StateDependentNoiseDistribution
from torch.nn.functional import elu

from agentomy.foreign_agents import spaces
from agentomy.foreign_agents.opening import opened, recognised
from agentomy.networks.foreign.agent import Agent, rebuilt
from tests.foreign_agents.conftest import MADE
from tests.foreign_agents.hostile import replaced
from tests.foreign_agents.worlds import drawn

COUNT = 1000
CONTINUOUS = [name for name, (_, _, _, action, _) in MADE.items() if hasattr(action, "low")]
STOCHASTIC = [name for name in MADE if name.split()[0] in ("a2c", "ppo", "trpo", "sac", "tqc")]
FAMILIES = {"a2c": "A2C", "ppo": "PPO", "trpo": "TRPO", "dqn": "DQN", "qr-dqn": "QR-DQN", "ddpg": "DDPG"}


def imported(path, observation=None, action=None):
    agent_file = recognised(opened(path), observation, action)
    return agent_file, rebuilt(agent_file, path)


def seen(name: str) -> np.ndarray:
    return drawn(MADE[name][2], COUNT if "cnn" not in name and "pixels" not in name else 100)


@pytest.mark.parametrize("name", MADE)
def test_it_acts_as_in_its_library(name, saved):
    model, path = saved(name)
    agent_file, agent = imported(path)
    assert agent_file.architecture.family == FAMILIES.get(name.split()[0], name.split()[0].upper())
    observations = seen(name)
    theirs, _ = model.predict(observations, deterministic=True)
    ours = agent.act(observations)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    given = agent.outputs(observations)
    assert all(tensor.std(dim=0).max() > 1e-3 for name, tensor in given.items() if name != "std")  # it looks at them


@pytest.mark.parametrize("name", STOCHASTIC)
def test_its_actions_are_distributed_as_in_its_library(name, saved):
    model, path = saved(name)
    _, agent = imported(path)
    observations = seen(name)
    tensor, _ = model.policy.obs_to_tensor(observations)
    with torch.no_grad():
        if hasattr(model.policy, "get_distribution"):
            theirs = model.policy.get_distribution(tensor).distribution
        else:
            actor = model.policy.actor
            mean, log_std, more = actor.get_action_dist_params(tensor)
            theirs = actor.action_dist.proba_distribution(mean, log_std, **more).distribution
        ours = agent.outputs(observations)
    if "std" in ours:
        np.testing.assert_allclose(ours["mean"], theirs.mean, rtol=0, atol=1e-5)
        np.testing.assert_allclose(ours["std"], theirs.stddev, rtol=1e-5, atol=1e-5)
    elif isinstance(theirs, list):
        for one, other in zip(ours["logits"].split([4, 2, 3], dim=1), theirs, strict=True):
            np.testing.assert_allclose(one.softmax(1), other.probs, rtol=0, atol=1e-5)
    elif name == "ppo switches":
        np.testing.assert_allclose(ours["logits"].sigmoid(), theirs.probs, rtol=0, atol=1e-5)
    else:
        np.testing.assert_allclose(ours["logits"].softmax(1), theirs.probs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["a2c squashed", "ppo", "ppo choices", "ppo switches", "sac", "trpo"])
def test_drawn_actions_have_the_mean_of_the_librarys(name, saved):
    model, path = saved(name)
    _, agent = imported(path)
    observations = np.repeat(drawn(MADE[name][2], 1), 20_000, axis=0)
    torch.manual_seed(0)
    if isinstance(getattr(model.policy, "action_dist", None), StateDependentNoiseDistribution):
        model.policy.reset_noise(len(observations))
    theirs = model.predict(observations, deterministic=False)[0].astype(float)
    ours = agent.act(observations, torch.Generator().manual_seed(0)).astype(float)
    error = theirs.std(axis=0) * (2 / len(ours)) ** 0.5
    assert (np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 5 * error + 1e-6).all()
    assert np.allclose(ours.std(axis=0), theirs.std(axis=0), rtol=0.06, atol=1e-6)
    assert (ours.std(axis=0) > 0).all()


@pytest.mark.parametrize("name", ["a2c", "ppo cnn", "ppo two cnns", "trpo"])
def test_it_values_states_as_in_its_library(name, saved):
    model, path = saved(name)
    _, agent = imported(path)
    observations = seen(name)
    with torch.no_grad():
        theirs = model.policy.predict_values(model.policy.obs_to_tensor(observations)[0]).squeeze(1)
        ours = agent.outputs(observations)["value"]
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["ddpg", "td3", "td3 cnn", "sac", "sac gsde", "sac cnn", "tqc"])
def test_its_critics_value_actions_as_in_its_library(name, saved):
    model, path = saved(name)
    _, agent = imported(path)
    observations = seen(name)
    actions = torch.rand(len(observations), 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        theirs = model.policy.critic(model.policy.obs_to_tensor(observations)[0], actions)
        theirs = theirs if isinstance(theirs, torch.Tensor) else torch.stack(theirs, dim=1)
        ours = agent.values(observations, actions)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["dqn", "dqn cnn", "qr-dqn"])
def test_it_values_choices_as_in_its_library(name, saved):
    model, path = saved(name)
    _, agent = imported(path)
    observations = seen(name)
    net = model.policy.q_net if name.startswith("dqn") else model.policy.quantile_net
    with torch.no_grad():
        theirs = net(model.policy.obs_to_tensor(observations)[0])
        ours = agent.outputs(observations)
    np.testing.assert_allclose(ours["q" if name.startswith("dqn") else "quantiles"], theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MADE)
def test_every_tensor_has_one_place_and_keeps_its_name(name, saved):
    model, path = saved(name)
    agent_file, agent = imported(path)
    state = model.policy.state_dict()
    for new, old in agent_file.originals.items():
        assert new.split(".")[0] in ("features", "policy", "value", "target")
        np.testing.assert_array_equal(agent_file.tensors[new], state[old].numpy())
        assert new.startswith("target.") == ("_target." in old)
    assert {name for name in agent_file.tensors if not name.startswith("target.")} == {
        n for n, _ in agent.named_parameters()
    }


def test_a_cnn_of_three_names_counts_once(saved):
    model, path = saved("ppo cnn")
    agent_file, _ = imported(path)
    assert sum(".cnn.0.weight" in name for name in model.policy.state_dict()) == 3
    assert [name for name in agent_file.tensors if name.endswith("cnn.0.weight")] == ["features.nature.cnn.0.weight"]


def test_layers_that_policy_and_value_share_are_features(saved, tmp_path):
    """As Stable-Baselines3 before 1.8 has them (`net_arch=[16, dict(pi=[12], vf=[10])]`)."""
    sizes = {
        "mlp_extractor.shared_net.0": (16, 5),
        "mlp_extractor.policy_net.0": (12, 16),
        "mlp_extractor.value_net.0": (10, 16),
        "action_net": (4, 12),
        "value_net": (1, 10),
    }
    parts = {name: torch.nn.Linear(*size[::-1]) for name, size in sizes.items()}
    buffer = io.BytesIO()
    torch.save({f"{name}.{k}": v for name, part in parts.items() for k, v in part.state_dict().items()}, buffer)
    path = replaced(saved("ppo")[1], tmp_path / "old.zip", {"policy.pth": buffer.getvalue()})
    agent_file, agent = imported(path)
    shared, policy, value, action, head = parts.values()
    with torch.no_grad():
        latent = elu(shared(torch.as_tensor(seen("ppo"))))
        outputs = agent.outputs(seen("ppo"))
        np.testing.assert_allclose(outputs["logits"], action(elu(policy(latent))), atol=1e-6)
        np.testing.assert_allclose(outputs["value"], head(elu(value(latent))).squeeze(1), atol=1e-6)
    assert agent_file.originals["features.shared.0.weight"] == "mlp_extractor.shared_net.0.weight"


def test_two_cnns_stay_two(saved):
    agent_file, _ = imported(saved("ppo two cnns")[1])
    cnns = {name for name in agent_file.tensors if name.endswith("cnn.0.weight")}
    assert cnns == {"policy.nature.cnn.0.weight", "value.nature.cnn.0.weight"}


def test_pictures_may_have_their_channels_last(saved):
    _, path = saved("ppo cnn")
    observation = spaces.from_gymnasium(MADE["ppo cnn"][2]).model_copy(update={"shape": [40, 44, 3]})
    _, agent = imported(path, observation, spaces.from_gymnasium(MADE["ppo cnn"][3]))
    pictures = seen("ppo cnn")
    np.testing.assert_array_equal(agent.act(pictures), agent.act(pictures.transpose(0, 2, 3, 1)))


def test_bounds_of_actions_are_the_environments(saved):
    _, path = saved("sac")
    action = spaces.from_gymnasium(MADE["sac"][3]).model_copy(update={"low": [0.0, 0.0], "high": [1.0, 1.0]})
    _, agent = imported(path, spaces.from_gymnasium(MADE["sac"][2]), action)
    ours = agent.act(seen("sac"))
    assert ((ours >= 0) & (ours <= 1)).all()
    _, wide = imported(path)
    low, high = MADE["sac"][3].low, MADE["sac"][3].high
    np.testing.assert_allclose(low + ours * (high - low), wide.act(seen("sac")), atol=1e-5)


@pytest.mark.parametrize(("squash", "expected"), [("tanh", 5.980), ("clip", 3.0)])
def test_squashed_and_clipped_actions_differ(squash, expected, saved):
    """Bounds [-2, 6], a mean of 3 before: 2 + 4 tanh 3, or 3."""
    agent_file, _ = imported(saved("ppo linear")[1])
    zeros = {name: np.zeros_like(tensor) for name, tensor in agent_file.tensors.items()}
    zeros["policy.head.bias"][0] = 3
    agent = Agent(agent_file.architecture.model_copy(update={"squash": squash})).load(zeros)
    assert agent.act(seen("ppo linear")[:1])[0, 0] == pytest.approx(expected, abs=5e-4)


# ---- twins -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a2c", "ppo", "trpo"])
def test_an_actor_critics_twin_is_orthogonal(name, saved):
    twin = imported(saved(name)[1])[1].twin(3)
    for layer, gain in ((twin.policy.body[0], 2.0), (twin.value.head, 1.0), (twin.policy.head, 0.01**2)):
        small = min(layer.weight.shape)
        product = layer.weight @ layer.weight.T if len(layer.weight) == small else layer.weight.T @ layer.weight
        np.testing.assert_allclose(product.detach(), gain * np.eye(small), atol=1e-5)
        assert not layer.bias.any()


@pytest.mark.parametrize("name", ["dqn", "qr-dqn", "td3", "sac", "tqc", "ppo plain"])
def test_other_twins_are_drawn_as_torch_draws(name, saved):
    twin = imported(saved(name)[1])[1].twin(3)
    for layer in (twin.policy.body[0], twin.policy.body[2], twin.policy.head):
        bound = layer.in_features**-0.5
        values = torch.cat([layer.weight.flatten(), layer.bias]).detach()
        assert values.abs().max() <= bound
        assert values.abs().max() > 0.8 * bound
        assert values.var() == pytest.approx(bound**2 / 3, rel=0.4)


def test_ars_twins_are_one_and_say_so(saved):
    for name in ("ars", "ars linear"):
        _, agent = imported(saved(name)[1])
        assert not agent.twins_differ
        assert not agent.twin(1).act(seen(name)).round(6).any() or name == "ars"
        np.testing.assert_array_equal(agent.twin(1).act(seen(name)), agent.twin(2).act(seen(name)))


def test_twins_are_drawn_by_their_seed_alone(saved):
    _, agent = imported(saved("sac gsde")[1])
    one, again, other = (agent.twin(seed).outputs(seen("sac gsde"))["mean"] for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.allclose(one, other)
    assert (agent.twin(1).policy.log_std == -3).all()
