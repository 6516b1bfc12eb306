"""Actors and critics are PyTorch's perceptrons, S times side by side, and their gradients are autograd's."""

import numpy as np
import pytest
import torch
from torch import nn

from agentomy.networks import build
from agentomy.networks.continuous import Actor, Critics
from agentomy.networks.stacked import MLP, input_gradient, polyak_update, traced

SEEDS, ROWS, INPUTS, ACTIONS, WIDTHS = 3, 5, 4, 2, [6, 7]
DESCRIPTION = {
    "use": "continuous.Actor",
    "inputs": INPUTS,
    "outputs": ACTIONS,
    "widths": WIDTHS,
    "low": [-1.0, 0.0],
    "high": [1.0, 4.0],
}


def generators(seeds) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def actor(seeds=range(SEEDS), **changes) -> Actor:
    return build(DESCRIPTION | changes, len(seeds)).draw(generators(seeds))


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64)


def plain(stack: MLP, seed: int) -> nn.Sequential:
    """One network of the stack, from PyTorch's own modules."""
    layers = []
    for layer in stack.layers:
        module = nn.Linear(layer.weight.shape[2], layer.weight.shape[1], dtype=layer.weight.dtype)
        module.load_state_dict({"weight": layer.weight[seed].detach(), "bias": layer.bias[seed].detach()})
        layers += [module, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def test_outputs_are_those_of_pytorchs_own_modules():
    stack, observations = actor().double(), numbers(SEEDS, ROWS, INPUTS)
    for seed in range(SEEDS):
        squashed = torch.tanh(plain(stack, seed)(observations[seed]))
        expected = torch.stack([squashed[:, 0], 2 + 2 * squashed[:, 1]], dim=1)
        torch.testing.assert_close(stack.act(observations)[seed], expected)
        torch.testing.assert_close(stack(observations)[seed], expected)


def test_activations_are_the_hidden_layers_of_pytorchs_own_modules():
    stack, observations = actor().double(), numbers(SEEDS, ROWS, INPUTS)
    activations = stack.activations(observations)
    assert list(activations) == ["layer1", "layer2"]
    for seed in range(SEEDS):
        network = plain(stack, seed)
        torch.testing.assert_close(activations["layer1"][seed], network[:2](observations[seed]))
        torch.testing.assert_close(activations["layer2"][seed], network[:4](observations[seed]))


@pytest.mark.parametrize("sizes", [[4, 1], [4, 6, 1], [4, 6, 7, 2]])
def test_gradients_are_autograds(sizes):
    stack, inputs = MLP(SEEDS, sizes).draw(generators(range(SEEDS))).double(), numbers(SEEDS, ROWS, sizes[0])
    inputs.requires_grad_()
    outputs = stack(inputs)
    gradient = 3 * outputs.detach().square()
    expected = torch.autograd.grad(outputs.pow(3).sum(), [inputs, *stack.parameters()])
    trace = traced(stack.weights(), inputs.detach())
    torch.testing.assert_close(trace[-1], outputs.detach())
    stack.learn(trace, gradient)
    for parameter, value in zip(stack.parameters(), expected[1:], strict=True):
        torch.testing.assert_close(parameter.grad, value)
    at_inputs = input_gradient(stack.weights(), trace, gradient, entries=slice(1, 3))
    torch.testing.assert_close(at_inputs, expected[0][:, :, 1:3])


def test_some_networks_of_a_stack_can_be_asked_alone():
    stack, inputs = MLP(SEEDS, [4, 6, 1]).draw(generators(range(SEEDS))), numbers(2, ROWS, 4).float()
    some = traced(stack.weights(slice(1, 3)), inputs)[-1]
    torch.testing.assert_close(some, stack(torch.cat([inputs[:1], inputs]))[1:])


def test_weights_start_as_pytorchs_own_do():
    stack = Actor(1, inputs=400, outputs=100, widths=[100, 100], low=[-1.0] * 100, high=[1.0] * 100)
    weights = dict(stack.draw(generators([0])).named_parameters())
    for layer in (1, 2, 3):
        linear = nn.Linear(*reversed(weights[f"layer{layer}.weight"].shape[1:]))
        for name in ("weight", "bias"):
            ours, theirs = weights[f"layer{layer}.{name}"][0].detach(), getattr(linear, name).detach()
            assert ours.abs().max().item() == pytest.approx(theirs.abs().max().item(), rel=0.05)
            assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.2)


@pytest.mark.parametrize("make", [actor, lambda seeds: critics(seeds)])
def test_a_seed_draws_in_a_stack_what_it_draws_alone(make):
    stack = make(range(SEEDS)).arrays()
    for seed in range(SEEDS):
        for name, array in make([seed]).arrays().items():
            np.testing.assert_array_equal(array, stack[name][seed::SEEDS])


def critics(seeds=range(SEEDS)) -> Critics:
    return Critics(len(seeds), inputs=INPUTS, actions=ACTIONS, widths=WIDTHS).draw(generators(seeds))


def test_the_two_critics_of_a_seed_differ():
    weights = critics().arrays()["layer1.weight"]
    assert weights.shape == (2 * SEEDS, WIDTHS[0], INPUTS + ACTIONS)
    assert len(np.unique(weights)) == weights.size


def test_weights_come_back_from_their_arrays():
    one = actor()
    assert set(one.arrays()) == {f"layer{layer}.{name}" for layer in (1, 2, 3) for name in ("weight", "bias")}
    other = build(DESCRIPTION, SEEDS).load(one.arrays())
    observations = numbers(SEEDS, ROWS, INPUTS).float()
    assert torch.equal(one.act(observations), other.act(observations))


def test_targets_go_a_share_of_the_way():
    old, new = actor(range(3)), actor(range(3, 6))
    expected = {name: 0.75 * array + 0.25 * new.arrays()[name] for name, array in old.arrays().items()}
    polyak_update([old], [new], 0.25)
    for name, array in old.arrays().items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-5, atol=1e-7)
