"""What names, arguments and weights in a file stand for, and what is said where they don't fit."""

import numpy as np
import pytest

from agentomy import names, networks
from agentomy.names import Unfit


@pytest.mark.parametrize("use", ["nothing.There", "toy.Nothing", "Nothing", "", ".", "toy.", "<img>.There"])
def test_a_place_that_the_package_does_not_have_is_unfit(use):
    with pytest.raises(Unfit, match="there is no"):
        names.place("networks", use)


def test_a_library_that_is_missing_inside_a_module_is_not_taken_for_an_unknown_name(monkeypatch):
    def missing(module):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(names, "import_module", missing)
    with pytest.raises(ModuleNotFoundError, match="torch"):
        names.place("networks", "toy.Anything")


def test_other_arguments_are_unfit_and_an_error_inside_of_the_function_is_its_own():
    def halved(*, number):
        return number / 2

    assert names.make(halved, number=4) == 2
    with pytest.raises(Unfit, match=r"halved: missing a required .*'number'"):
        names.make(halved, amount=4)
    with pytest.raises(TypeError, match="unsupported operand"):
        names.make(halved, number="four")


def test_weights_of_another_network_are_unfit():
    stack = networks.build({"use": "toy.Bottleneck", "inputs": 3, "hidden": 2, "outputs": 3}, 2)
    weights = stack.arrays()
    assert stack.load(weights) is stack
    with pytest.raises(Unfit, match="encoder"):
        stack.load({**weights, "encoder": np.zeros((2, 4, 2), np.float32)})
    with pytest.raises(Unfit, match="bias"):
        stack.load({name: array for name, array in weights.items() if name != "bias"})
    with pytest.raises(Unfit, match="Bottleneck"):
        networks.build({"use": "toy.Bottleneck", "sizes": [3, 2, 3]}, 2)
