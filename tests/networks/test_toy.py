"""Toy networks compute what their formulas say, and a stack of them is its networks one by one."""

import math

import numpy as np
import pytest
import torch

from agentomy import networks
from agentomy.networks.toy import Bottleneck, Smooth
from tests.lenses.l3d_tables import BOTTLENECK, SMOOTH, drawn

DESCRIPTIONS = [BOTTLENECK, SMOOTH]


def inputs(seeds: int, features: int, rows: int = 7) -> torch.Tensor:
    return torch.randn(seeds, rows, features, generator=torch.Generator().manual_seed(0))


def filled(description: dict, seeds: int):
    return networks.build(description, seeds).load(drawn(description, seeds)).float()


@torch.no_grad()
def test_a_bottleneck_is_relu_of_two_products_and_a_bias():
    net, x = filled(BOTTLENECK, 2), inputs(2, 4)
    for seed in range(2):
        encoder, decoder, bias = (tensor[seed].numpy() for tensor in (net.encoder, net.decoder, net.bias))
        expected = np.maximum(x[seed].numpy() @ encoder @ decoder + bias, 0)
        np.testing.assert_allclose(net(x)[seed], expected, atol=1e-6)
        assert 0.1 < (expected == 0).mean() < 0.9


ACTIVATIONS = {
    "relu": lambda v: max(v, 0.0),
    "gelu": lambda v: v * 0.5 * (1 + math.erf(v / math.sqrt(2))),
    "elu": lambda v: v if v > 0 else math.exp(v) - 1,
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@torch.no_grad()
def test_a_perceptron_has_its_activation_between_layers_but_not_at_the_end(activation):
    net, x = filled({**SMOOTH, "sizes": [4, 3, 6, 2], "activation": activation}, 2), inputs(2, 4)
    for seed in range(2):
        hidden = x[seed].double().numpy()
        for number in (1, 2, 3):
            layer = net.get_submodule(f"layer{number}")
            hidden = hidden @ layer.weight[seed].double().numpy().T + layer.bias[seed].double().numpy()
            if number < 3:
                hidden = np.vectorize(ACTIVATIONS[activation])(hidden)
        np.testing.assert_allclose(net(x)[seed], hidden, atol=1e-5)
        assert (hidden < 0).any()


@pytest.mark.parametrize("description", DESCRIPTIONS, ids=lambda description: description["use"])
@torch.no_grad()
def test_a_stack_is_its_networks_one_by_one(description):
    together = networks.build(description, 3).draw([networks.generator(seed) for seed in (4, 5, 6)])
    x = inputs(3, 4)
    for position, seed in enumerate((4, 5, 6)):
        alone = networks.build(description, 1).draw([networks.generator(seed)])
        for name, array in alone.arrays().items():
            assert array[0].tobytes() == together.arrays()[name][position].tobytes()
        at = slice(position, position + 1)
        torch.testing.assert_close(alone(x[at]), together(x)[at])
    assert not np.array_equal(*next(iter(together.arrays().values()))[:2])


def test_weights_begin_uniform_within_one_over_the_root_of_their_inputs():
    bottleneck = Bottleneck(2, inputs=400, hidden=100, outputs=300).draw([networks.generator(s) for s in (0, 1)])
    smooth = Smooth(2, sizes=[400, 100, 300], activation="elu").draw([networks.generator(s) for s in (0, 1)])
    bounds = {400: [bottleneck.encoder, smooth.layers[0].weight], 100: [bottleneck.decoder, smooth.layers[1].weight]}
    for fan, weights in bounds.items():
        for weight in weights:
            assert weight.abs().max().item() == pytest.approx(fan**-0.5, rel=1e-3)
            assert weight.std().item() == pytest.approx(fan**-0.5 / 3**0.5, rel=0.02)
    assert not bottleneck.bias.any()
    assert smooth.layers[0].bias.abs().max().item() == pytest.approx(400**-0.5, rel=0.1)
