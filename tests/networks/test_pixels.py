"""A stack of pixel networks is what PyTorch's own layers give, seed by seed."""

import numpy as np
import pytest
import torch
from torch import nn

from agentomy import networks
from agentomy.networks import pixels
from agentomy.networks.pixels import PixelActor, PixelCritics

EYES = {"channels": 3, "frames": 3, "size": 20, "filters": 4, "convolutions": 3, "features": 6, "width": 10}


def actor(*seeds: int, **changes) -> PixelActor:
    bounds = {"low": [-1.0, -2.0], "high": [1.0, 0.0]}
    net = PixelActor(len(seeds), **EYES | bounds | changes)
    return net.draw([networks.generator(seed) for seed in seeds])


def frames(size: int, seeds: int = 2, batch: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (seeds, batch, 9, size, size), generator=generator, dtype=torch.uint8)


def plain(arrays: dict, seed: int) -> nn.Sequential:
    """The encoder and the policy of one seed in PyTorch's layers."""
    convolutions = [nn.Conv2d(9, 4, 3, stride=2), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3)]
    policy = [nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 4)]
    net = nn.Sequential(*convolutions, nn.ReLU(), nn.Flatten(), nn.Linear(100, 6), nn.LayerNorm(6), *policy)
    net.load_state_dict(
        dict(zip(net.state_dict(), (torch.tensor(array[seed]) for array in arrays.values()), strict=True))
    )
    return net


@pytest.mark.parametrize("size", [20, 26, 13])
def test_actions_are_those_of_plain_layers(size):
    net = actor(0, 1)
    observations = frames(size)
    around = (20 - size) // 2
    padded = torch.zeros(2, 3, 9, 20, 20)
    if size == 13:
        padded[..., around : around + 13, around : around + 13] = observations
    else:
        padded[:] = observations[..., -around : 20 - around, -around : 20 - around]
    for seed in range(2):
        mean, _ = plain(net.arrays(), seed)(padded[seed] / 255).chunk(2, dim=1)
        expected = mean.tanh() + torch.tensor([0.0, -1.0])
        torch.testing.assert_close(net.act(observations)[seed], expected, rtol=1e-4, atol=1e-5)


def test_activations_are_the_hidden_layers_of_the_policy():
    net, observations = actor(0, 1), frames(20)
    hidden = net.activations(observations)
    for seed in range(2):
        layers = plain(net.arrays(), seed)
        torch.testing.assert_close(hidden["policy.layer1"][seed], layers[:11](observations[seed] / 255))
        torch.testing.assert_close(hidden["policy.layer2"][seed], layers[:13](observations[seed] / 255))


def test_weights_are_a_seeds_own_and_come_back_as_they_went():
    together, alone = actor(0, 1).arrays(), actor(1).arrays()
    for name, array in alone.items():
        np.testing.assert_array_equal(together[name][1], array[0])
    assert not np.array_equal(*together["policy.layer1.weight"])
    again = actor(2, 3).load(together).arrays()
    assert all(np.array_equal(array, together[name]) for name, array in again.items())
    critics = [
        PixelCritics(len(s), **EYES, actions=2).draw([networks.generator(seed) for seed in s]) for s in ([0, 1], [1])
    ]
    both, one = (critic.arrays()["heads.layer1.weight"] for critic in critics)
    np.testing.assert_array_equal(both[[1, 3]], one)
    assert not np.array_equal(both[1], both[3])


def test_weights_start_orthogonal_and_in_the_middle_of_convolutions():
    arrays = actor(0).arrays()
    weight = arrays["policy.layer2.weight"][0]
    np.testing.assert_allclose(weight @ weight.T, np.eye(10), atol=1e-5)
    kernel = arrays["encoder.conv2.weight"][0]
    np.testing.assert_allclose(kernel[:, :, 1, 1] @ kernel[:, :, 1, 1].T, 2 * np.eye(4), atol=1e-5)
    assert np.count_nonzero(kernel) == np.count_nonzero(kernel[:, :, 1, 1])


def test_the_density_of_squashed_actions_is_the_transformed_normals_also_in_tails():
    generator = torch.Generator().manual_seed(0)
    # so small that the inverse of tanh, which PyTorch takes, is still exact
    mean, log_std, noise = 0.5 * torch.randn(3, 2, 5, 3, generator=generator, dtype=torch.float64)
    actions, density = pixels.squashed(mean, log_std, noise)
    normal = torch.distributions.Normal(mean, log_std.exp())
    policy = torch.distributions.TransformedDistribution(normal, torch.distributions.TanhTransform())
    torch.testing.assert_close(density, policy.log_prob(actions).sum(dim=2), rtol=1e-5, atol=1e-5)
    assert pixels.squashed(mean + 100, log_std, noise)[1].isfinite().all()


@pytest.mark.parametrize(("size", "side"), [(84, 35), (108, 47)])
def test_the_papers_sizes_fit(size, side):
    paper = {"size": size, "filters": 32, "convolutions": 4, "features": 50, "width": 1024}
    net = PixelActor(1, **EYES | paper, low=[-1.0] * 6, high=[1.0] * 6)
    assert net.encoder.linear.weight.shape == (1, 50, 32 * side**2)
    assert net.act(frames(100, seeds=1, batch=2)).shape == (1, 2, 6)
    critics = PixelCritics(1, **EYES | paper, actions=6)
    seen = critics.encoder.see(frames(size, seeds=1, batch=2))
    assert critics(seen, torch.zeros(1, 2, 6)).shape == (2, 1, 2)
