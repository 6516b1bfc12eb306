"""Numbers that go wrong in a Langevin sampler are counted, lifted, or stop the run."""

import pytest
import torch

from agentomy.networks.langevin import METRICS
from tests.networks.samplers import (  # noqa: F401  double_precision is a fixture of every test
    CLASSES,
    INPUTS,
    back,
    data,
    double_precision,
    drawn,
    sampler,
)


def test_determinants_below_what_they_can_be_are_counted_and_lifted():
    metric = METRICS["qdop"](1e-3)
    state = {
        "weights": torch.tensor([[[1.0, 4.0, 4.0]], [[1.0, 1.0, 1.0]]]),
        "biases": torch.tensor([[1.0], [2.0]]),
        "mixed": torch.tensor([[[1.0, 1.0, 2.1]], [[0.0, 1.0, 0.0]]]),  # determinants 0, 3, -0.41 and 2, 1, 2
        "clamped": torch.zeros(2),
    }
    zero = (torch.zeros(2, 1, 3), torch.zeros(2, 1))
    moved, _ = metric.move(state, (torch.ones(2, 1, 3), zero[1]), zero, 1.0, 0.0)
    assert state["clamped"].tolist() == [2.0, 0.0]
    torch.testing.assert_close(moved, torch.tensor([[[1e3, 1 / 3, 1e3]], [[1.0, 2.0, 1.0]]]))


@pytest.mark.parametrize("metric", METRICS)
def test_numbers_that_overflow_stop_the_run_and_say_why(metric):
    net, (inputs, labels) = drawn([INPUTS, CLASSES]), data()
    optimiser = sampler(net, metric, step=1e308, epsilon=1e-300, size=1, prior="1/fan-in")
    net.layers[0].weight.data *= 1e10

    def two_steps() -> None:
        for _ in range(2):
            back(net, inputs, labels, optimiser)
            optimiser.step()

    with pytest.raises(FloatingPointError, match=rf"{metric}: weights are not finite; .*1e\+308.* 1e-300"):
        two_steps()


def test_determinants_of_ordinary_inputs_are_left_alone():
    net, (inputs, labels) = drawn([INPUTS, 4, CLASSES]), data()
    optimiser = sampler(net, "qdop", epsilon=1e-7)
    for _ in range(20):
        back(net, inputs, labels, optimiser)
        optimiser.step()
    assert optimiser.clamped().tolist() == [0.0]
