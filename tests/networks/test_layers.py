"""Layers whose seeds share a batch give each seed what it has alone, and draw from its own generator."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, embedding, layer_norm, linear

from agentomy import networks
from agentomy.networks import layers
from agentomy.networks.layers import Convolution, Embedding, Linear, Norm
from tests.networks.test_world_model import GRID, TINY, experience, grids

SEEDS, BATCH = 3, 4


def drawn(layer: nn.Module) -> nn.Module:
    with torch.no_grad():
        for number, parameter in enumerate(layer.parameters()):
            parameter.copy_(torch.randn(parameter.shape, generator=networks.generator(number)))
    return layer.double()


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=networks.generator(9), dtype=torch.float64)


CASES = {
    "linear": (Linear(SEEDS, 5, 2), numbers(SEEDS * BATCH, 3, 5), linear),
    "linear without biases": (Linear(SEEDS, 5, 2, bias=False), numbers(SEEDS * BATCH, 5), linear),
    "norm": (Norm(SEEDS, 5), numbers(SEEDS * BATCH, 3, 5), lambda x, weight, bias: layer_norm(x, (5,), weight, bias)),
    "embedding": (
        Embedding(SEEDS, 7, 2),
        torch.randint(7, (SEEDS * BATCH, 3), generator=networks.generator(9)),
        embedding,
    ),
    "convolution": (
        Convolution(SEEDS, 2, 3, 3, stride=2),
        numbers(SEEDS * BATCH, 2, 6, 6),
        lambda x, weight, bias: conv2d(x, weight, bias, stride=2),
    ),
    "transposed convolution": (
        Convolution(SEEDS, 2, 3, 3, stride=2, transposed=True),
        numbers(SEEDS * BATCH, 2, 6, 6),
        lambda x, weight, bias: conv_transpose2d(x, weight, bias, stride=2),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_layer_gives_each_seed_what_pytorchs_layer_gives_it_alone(name):
    layer, inputs, plain = CASES[name]
    drawn(layer)
    outputs = layer(inputs).chunk(SEEDS)
    for seed, rows in enumerate(inputs.chunk(SEEDS)):
        torch.testing.assert_close(outputs[seed], plain(rows, *(weight[seed] for weight in layer.parameters())))


def test_a_stack_of_world_models_says_of_each_seed_what_it_says_alone():
    generators = [networks.generator(seed) for seed in range(2)]
    stack = networks.build(GRID | TINY, 2).draw(generators)
    codes, *steps = experience()
    observations = grids(3, 2)
    told = stack.dynamics(*(values.repeat(2, *[1] * (values.dim() - 1)) for values in (codes, *steps)))[0]
    latents = stack.observation.encode(observations.repeat(2, 1, 1, 1, 1))
    for seed in range(2):
        alone = networks.build(GRID | TINY, 1).draw([networks.generator(seed)])
        for mine, theirs in zip(alone.dynamics(codes, *steps)[0], told, strict=True):
            torch.testing.assert_close(theirs.chunk(2)[seed], mine)
        torch.testing.assert_close(latents.chunk(2)[seed], alone.observation.encode(observations))
        for name, array in alone.arrays().items():
            np.testing.assert_array_equal(stack.arrays()[name][seed], array[0])


# ---- random numbers --------------------------------------------------------------------------------------------------


def noise(*seeds: int) -> list[torch.Generator]:
    return [networks.generator(seed) for seed in seeds]


@pytest.mark.parametrize("draw", [
    lambda generators: layers.uniform((len(generators) * BATCH, 3), generators),
    lambda generators: layers.drop(torch.ones(len(generators) * BATCH, 3), 0.5, generators),
])  # fmt: skip
def test_what_a_seed_draws_does_not_depend_on_the_others(draw):
    together = draw(noise(0, 1, 2)).chunk(3)
    for seed, values in enumerate(together):
        assert torch.equal(values, draw(noise(seed)))
    assert not torch.equal(*together[:2])


def test_uniform_numbers_are_spread_from_0_to_below_1():
    values = layers.uniform((20_000,), noise(0))
    assert 0 <= values.min() < 0.001
    assert 0.999 < values.max() < 1
    assert values.mean().item() == pytest.approx(0.5, abs=0.01)


@settings(max_examples=20)
@given(share=st.floats(0.01, 0.9), size=st.integers(1, 9))
def test_dropout_zeroes_its_share_and_keeps_the_mean(share, size):
    values = layers.drop(torch.ones(6000, size), share, noise(4))
    dropped = (values == 0).float().mean().item()
    assert dropped == pytest.approx(share, abs=5 * (share * (1 - share) / (6000 * size)) ** 0.5)
    kept = values[values != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - share)), rtol=2e-4, atol=0)


def test_dropout_is_drawn_anew_each_time_and_each_value_by_itself():
    generators = noise(0)
    one, other = (layers.drop(torch.ones(4000), 0.5, generators) > 0 for _ in range(2))
    assert 0.45 < (one == other).float().mean() < 0.55
    for step in range(1, 5):  # four values come from one random number
        assert 0.45 < (one[step:] == one[:-step]).float().mean() < 0.55


def test_without_noise_or_share_nothing_is_dropped():
    values = numbers(5, 3)
    assert layers.drop(values, 0.5, None) is values
    assert layers.drop(values, 0.0, noise(0)) is values


# ---- probabilities and gradients -------------------------------------------------------------------------------------


def test_log_probabilities_and_gradients_are_pytorchs_however_large_the_logits():
    logits = numbers(6, 4) * torch.tensor([1.0, 1, 30, 100, 500, 0]).unsqueeze(1)
    one, other = (logits.clone().requires_grad_() for _ in range(2))
    mine, theirs = layers.log_softmax(one), other.log_softmax(dim=-1)
    torch.testing.assert_close(mine, theirs)
    weights = numbers(6, 4).square()
    for values in (mine, theirs):
        (values * weights).sum().backward()
    torch.testing.assert_close(one.grad, other.grad)


@pytest.mark.parametrize("limit", [0.5, 3.0, 1e6])
def test_gradients_are_clipped_seed_by_seed(limit):
    shapes = [(SEEDS, 4, 2), (SEEDS, 4), (SEEDS, 1)]
    parameters = [nn.Parameter(torch.zeros(shape, dtype=torch.float64)) for shape in shapes]
    size = torch.tensor([0.1, 1.0, 10.0])
    for parameter in parameters[:2]:
        parameter.grad = numbers(*parameter.shape) * size.view(-1, *[1] * (parameter.dim() - 1))
    alone = [[nn.Parameter(parameter[seed].detach().clone()) for parameter in parameters[:2]] for seed in range(SEEDS)]
    for seed, network in enumerate(alone):
        for mine, parameter in zip(network, parameters[:2], strict=True):
            mine.grad = parameter.grad[seed].clone()
        nn.utils.clip_grad_norm_(network, limit)
    layers.clip_gradients(parameters, limit)
    for seed, network in enumerate(alone):
        for mine, parameter in zip(network, parameters[:2], strict=True):
            torch.testing.assert_close(parameter.grad[seed], mine.grad)
    assert parameters[2].grad is None


def test_where_there_is_no_gradient_nothing_is_clipped():
    layers.clip_gradients([nn.Parameter(torch.zeros(2, 3))], 1.0)
