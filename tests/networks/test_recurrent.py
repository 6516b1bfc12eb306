"""The recurrent network is PyTorch's, S times side by side; acting step by step is the same as whole episodes."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from agentomy.networks import build
from agentomy.networks.recurrent import LSTMNetwork
from agentomy.networks.stacked import clip_gradients

SEEDS, EPISODES, STEPS, INPUTS, WIDTH = 3, 5, 7, 2, 6
DESCRIPTION = {
    "use": "recurrent.LSTMNetwork",
    "inputs": INPUTS,
    "width": WIDTH,
    "outputs": {"policy": 2, "value": 1},
    "forget_bias": 1.0,
}


def drawn(seeds=range(SEEDS), **changes) -> LSTMNetwork:
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return build(DESCRIPTION | changes, len(generators)).draw(generators)


def episodes() -> torch.Tensor:
    return torch.randn(SEEDS, EPISODES, STEPS, INPUTS, generator=torch.Generator().manual_seed(9), dtype=torch.float64)


class Plain(nn.Module):
    """The same network of one seed, from PyTorch's own modules."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(INPUTS, WIDTH)
        self.lstm = nn.LSTM(WIDTH, WIDTH, batch_first=True)
        self.decoder = nn.Linear(WIDTH, WIDTH)
        self.policy = nn.Linear(WIDTH, 2)
        self.value = nn.Linear(WIDTH, 1)

    def forward(self, inputs):
        hidden, _ = self.lstm(torch.relu(self.encoder(inputs)))
        decoded = torch.relu(self.decoder(hidden))
        return {"policy": self.policy(decoded), "value": self.value(decoded)}


NAMES = {
    "lstm.weight_ih_l0": "memory.weight_ih",
    "lstm.weight_hh_l0": "memory.weight_hh",
    "lstm.bias_ih_l0": "memory.bias",
    "policy.weight": "readouts.policy.weight",
    "policy.bias": "readouts.policy.bias",
    "value.weight": "readouts.value.weight",
    "value.bias": "readouts.value.bias",
}


def test_outputs_and_gradients_are_those_of_pytorchs_own_modules():
    stack, inputs = drawn().double(), episodes()
    outputs = stack(inputs)
    sum(values.pow(3).sum() for values in outputs.values()).backward()
    ours = dict(stack.named_parameters())
    for seed in range(SEEDS):
        plain = Plain().double()
        weights = {
            name: torch.zeros_like(value) if name == "lstm.bias_hh_l0" else ours[NAMES.get(name, name)][seed].detach()
            for name, value in plain.named_parameters()
        }
        weights = {name: value.requires_grad_() for name, value in weights.items()}
        expected = functional_call(plain, weights, inputs[seed])
        for name, values in expected.items():
            torch.testing.assert_close(outputs[name][seed], values)
        sum(values.pow(3).sum() for values in expected.values()).backward()
        for name, value in weights.items():
            if name != "lstm.bias_hh_l0":
                torch.testing.assert_close(ours[NAMES.get(name, name)].grad[seed], value.grad)


def test_a_memory_follows_the_equations_of_an_lstm():
    stack, inputs = drawn().double(), episodes()
    weights = stack.state_dict()

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    for seed in range(SEEDS):
        w = {name: value[seed].numpy() for name, value in weights.items()}
        hidden, cell = np.zeros((2, EPISODES, WIDTH))
        for t in range(STEPS):
            encoded = np.maximum(inputs[seed, :, t].numpy() @ w["encoder.weight"].T + w["encoder.bias"], 0)
            gates = encoded @ w["memory.weight_ih"].T + hidden @ w["memory.weight_hh"].T + w["memory.bias"]
            i, f, g, o = np.split(gates, 4, axis=1)
            cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
            hidden = sigmoid(o) * np.tanh(cell)
            state = stack.states(inputs)[seed, :, t].numpy()
            np.testing.assert_allclose(state, np.concatenate([hidden, cell], axis=1), atol=1e-12)


def test_acting_step_by_step_gives_the_outputs_of_the_whole_episode():
    stack, inputs = drawn().double(), episodes()
    whole, state = stack(inputs), stack.start(EPISODES)
    for t in range(STEPS):
        outputs, state = stack.step(state, inputs[:, :, t])
        for name, values in outputs.items():
            torch.testing.assert_close(values, whole[name][:, :, t])


def test_reading_out_the_states_gives_the_outputs():
    stack, inputs = drawn().double(), episodes()
    hidden = stack.states(inputs)[..., :WIDTH]
    for name, values in stack.read_out(hidden).items():
        torch.testing.assert_close(values, stack(inputs)[name])


def test_a_stack_is_its_single_networks_side_by_side():
    inputs = episodes()
    together = drawn().double()(inputs)
    for seed in range(SEEDS):
        alone = drawn([seed]).double()(inputs[seed : seed + 1])
        for name, values in alone.items():
            torch.testing.assert_close(values[0], together[name][seed])


def test_weights_are_drawn_like_pytorchs():
    stack = drawn(range(200), forget_bias=0.0, zero=["policy"])
    for name, values in stack.named_parameters():
        if name.startswith("readouts.policy"):
            assert not values.any()
            continue
        limit = (INPUTS if name.startswith("encoder") else WIDTH) ** -0.5
        assert 0.98 * limit < values.abs().max() <= limit
        assert abs(values.mean()) < 0.1 * limit


def test_forget_bias_is_added_to_the_forget_gate_only():
    difference = drawn(forget_bias=1.0).memory.bias - drawn(forget_bias=0.0).memory.bias
    expected = torch.zeros(4, WIDTH)
    expected[1] = 1
    torch.testing.assert_close(difference, expected.flatten().expand(SEEDS, -1))


def test_a_network_is_rebuilt_from_its_description_and_arrays():
    stack = drawn()
    arrays = stack.arrays()
    assert all(array.dtype == np.float32 and len(array) == SEEDS for array in arrays.values())
    rebuilt = build(DESCRIPTION, SEEDS).load(arrays)
    inputs = episodes().float()
    for name, values in rebuilt(inputs).items():
        assert torch.equal(values, stack(inputs)[name])


def test_arrays_are_copies():
    stack = drawn()
    arrays = stack.arrays()
    with torch.no_grad():
        stack.encoder.weight.zero_()
    assert arrays["encoder.weight"].any()


@pytest.mark.parametrize("limit", [0.5, 1e6])
def test_gradients_are_clipped_seed_by_seed(limit):
    stack, inputs = drawn(), episodes().float()
    scale = torch.tensor([1.0, 1e3, 0.0]).view(-1, 1, 1, 1)  # one seed's large gradient must not shrink another's
    sum((scale * values).sum() for values in stack(inputs).values()).backward()
    before = [parameter.grad.clone() for parameter in stack.parameters()]
    clip_gradients(stack, limit)
    for seed in range(SEEDS):
        singles = [nn.Parameter(torch.zeros_like(gradient[seed])) for gradient in before]
        for single, gradient in zip(singles, before, strict=True):
            single.grad = gradient[seed].clone()
        nn.utils.clip_grad_norm_(singles, limit)
        for single, parameter in zip(singles, stack.parameters(), strict=True):
            torch.testing.assert_close(single.grad, parameter.grad[seed])
