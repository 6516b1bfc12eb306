"""The stacked Q-network is PyTorch's convolution and linear layers, S times side by side."""

import numpy as np
import pytest
import torch
from torch import nn

from agentomy.networks import build
from agentomy.networks.q_network import QNetwork

SEEDS, BATCH, CHANNELS, ACTIONS = 3, 5, 4, 6
DESCRIPTION = {"use": "q_network.QNetwork", "channels": CHANNELS, "actions": ACTIONS}


def drawn(seeds=range(SEEDS)) -> QNetwork:
    return build(DESCRIPTION, len(seeds)).draw([torch.Generator().manual_seed(seed) for seed in seeds])


def observations() -> torch.Tensor:
    return torch.rand(SEEDS, BATCH, 10, 10, CHANNELS, generator=torch.Generator().manual_seed(9)) < 0.2


def plain(stack: QNetwork, seed: int) -> nn.Sequential:
    """One seed's network of PyTorch's own modules, in its layout: channels before places."""
    net = nn.Sequential(
        nn.Conv2d(CHANNELS, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(1024, 128), nn.ReLU(), nn.Linear(128, ACTIONS)
    ).double()
    weights = {name: values[seed] for name, values in stack.state_dict().items()}
    theirs = {
        "0.weight": weights["convolution.weight"].permute(0, 3, 1, 2),
        "0.bias": weights["convolution.bias"],
        "3.weight": weights["hidden.weight"].view(128, 8, 8, 16).permute(0, 3, 1, 2).flatten(1),
        "3.bias": weights["hidden.bias"],
        "5.weight": weights["output.weight"],
        "5.bias": weights["output.bias"],
    }
    net.load_state_dict(theirs)
    return net


def test_values_activations_and_choices_are_those_of_pytorchs_own_modules():
    stack, inputs = drawn().double(), observations()
    values, units, actions = stack(inputs), stack.activations(inputs), stack.act(inputs)
    for seed in range(SEEDS):
        net, images = plain(stack, seed), inputs[seed].permute(0, 3, 1, 2).double()
        torch.testing.assert_close(values[seed], net(images))
        assert torch.equal(actions[seed], net(images).argmax(dim=1))
        torch.testing.assert_close(units["convolution"][seed], net[:2](images).permute(0, 2, 3, 1).flatten(1))
        torch.testing.assert_close(units["hidden"][seed], net[:5](images))


def test_gradients_are_autograds():
    stack, inputs = drawn().double(), observations()
    trace = stack.trace(stack.convolution.patches(inputs))
    trace[-1].pow(3).sum().backward()
    expected = {name: parameter.grad.clone() for name, parameter in stack.named_parameters()}
    with torch.no_grad():
        stack.learn([tensor.detach() for tensor in trace], 3 * trace[-1].detach() ** 2)
    for name, parameter in stack.named_parameters():
        assert expected[name].any()
        torch.testing.assert_close(parameter.grad, expected[name])


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.float32])
def test_patches_are_cut_from_any_view_and_type(dtype):
    stack, inputs = drawn(), observations()
    strided = torch.stack([inputs, ~inputs], dim=2)[:, :, 0].to(dtype)  # not in one piece
    assert torch.equal(stack(strided), stack(inputs))
    torch.testing.assert_close(stack(inputs[:, 1:])[:, 0], stack(inputs)[:, 1])


def test_weights_are_drawn_like_pytorchs():
    stack = drawn(range(200))
    for layer, inputs in ((stack.convolution, 9 * CHANNELS), (stack.hidden, 1024), (stack.output, 128)):
        for values in (layer.weight, layer.bias):
            limit = inputs**-0.5
            assert 0.98 * limit < values.abs().max() <= limit
            assert abs(values.mean()) < 0.1 * limit


def test_a_seed_draws_in_a_stack_what_it_draws_alone():
    together = drawn().state_dict()
    for seed in range(SEEDS):
        for name, values in drawn([seed]).state_dict().items():
            assert torch.equal(values[0], together[name][seed])


def test_a_network_is_rebuilt_from_its_description_and_arrays():
    stack = drawn()
    arrays = stack.arrays()
    assert {"convolution.weight", "convolution.bias", "hidden.weight", "output.bias"} < set(arrays)
    assert all(array.dtype == np.float32 and len(array) == SEEDS for array in arrays.values())
    rebuilt = build(DESCRIPTION, SEEDS).load(arrays)
    assert torch.equal(rebuilt(observations()), stack(observations()))
