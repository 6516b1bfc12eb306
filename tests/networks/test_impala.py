"""The IMPALA network has the paper's parts, sizes and beginnings, and a stack is its networks one by one."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from agentomy import networks
from agentomy.networks.impala import SCALES, Impala, ImpalaStack, Residual

PAPER = {"pixels": 64, "channels": [64, 128, 128], "pools": [1, 2, 3], "hidden": 256, "actions": 15, "scale": "unit"}
SMALL = {"pixels": 9, "channels": [4, 6], "pools": [1], "hidden": 10, "actions": 5, "scale": "planes"}


def stack(*seeds: int, initialisation: str = "orthogonal", **changes) -> ImpalaStack:
    net = ImpalaStack(len(seeds), palette="planes", **SMALL | changes)
    return net.draw([networks.generator(seed) for seed in seeds], initialisation)


def pictures(pixels: int, count: int = 3, high: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(high, (count, pixels, pixels, 3), generator=generator, dtype=torch.uint8)


def shapes(net: nn.Module, seen: torch.Tensor) -> dict[str, tuple]:
    """What every part of the network gives for one picture."""
    by_layer = {}

    def note(name: str):
        return lambda module, inputs, output: by_layer.update({name: tuple(output.shape[1:])})

    handles = [module.register_forward_hook(note(name)) for name, module in net.named_modules() if name]
    with torch.no_grad():
        net(seen)
    for handle in handles:
        handle.remove()
    return by_layer


def test_the_papers_network_has_the_papers_number_of_parameters():
    """3,653,136: three times that in 4 bytes is the published checkpoint of 43.9 MB (sheet, section 3)."""
    net = Impala(**PAPER)
    assert sum(weight.numel() for weight in net.parameters()) == 3_653_136
    assert sum(isinstance(module, nn.Conv2d) for module in net.modules()) == 15


def test_the_papers_network_has_the_papers_layers():
    expected = {}
    for block, (channels, side) in enumerate([(64, 64), (128, 32), (128, 16)], start=1):
        expected[f"block{block}.conv"] = (channels, side, side)
        small = (channels, side // 2, side // 2)
        expected |= {f"block{block}.{part}": small for part in ("maxpool", "res1", "res2")}
        parts = ("relu1", "conv1", "relu2", "conv2", "resadd")
        expected |= {f"block{block}.res{unit}.{part}": small for unit in (1, 2) for part in parts}
        expected[f"block{block}"] = small
    expected |= {"relu3": (128, 8, 8), "flatten": (8192,), "fc": (256,), "relufc": (256,), "policy": (15,)}
    assert shapes(Impala(**PAPER), pictures(64, 1, 256)) == {**expected, "value": (1,)}


@pytest.mark.parametrize(("pools", "site"), [([1], 5), ([2], 5), ([], 9), ([1, 2], 3)])
def test_the_map_shrinks_in_the_named_blocks(pools, site):
    net = stack(0, pools=pools).nets[0]
    logits, values = net(pictures(9))
    assert (logits.shape, values.shape) == ((3, 5), (3,))
    assert shapes(net, pictures(9, 1))["block2.res1.resadd"] == (6, site, site)


def plain(net: Impala) -> nn.Module:
    """The same computation written out with functions, and no memory format."""

    def residual(unit: Residual, x: torch.Tensor) -> torch.Tensor:
        inside = nn.functional.conv2d(x.relu(), unit.conv1.weight, unit.conv1.bias, padding=1)
        return x + nn.functional.conv2d(inside.relu(), unit.conv2.weight, unit.conv2.bias, padding=1)

    def compute(seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        factor, offset = SCALES["planes"]
        x = seen.float().permute(0, 3, 1, 2).contiguous() * factor + offset
        for number, pool in ((1, True), (2, False)):
            block = net.get_submodule(f"block{number}")
            x = nn.functional.conv2d(x, block.conv.weight, block.conv.bias, padding=1)
            x = nn.functional.max_pool2d(x, 3, stride=2, padding=1) if pool else x
            x = residual(block.res2, residual(block.res1, x))
        x = (x.relu().flatten(1) @ net.fc.weight.T + net.fc.bias).relu()
        return x @ net.policy.weight.T + net.policy.bias, (x @ net.value.weight.T + net.value.bias)[:, 0]

    return compute


def test_logits_and_values_are_those_of_the_written_out_network():
    net = stack(0).nets[0]
    with torch.no_grad():
        for weight in net.parameters():  # so that the biases and the small policy head count too
            weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel())))
        for one, other in zip(net(pictures(9)), plain(net)(pictures(9)), strict=True):
            torch.testing.assert_close(one, other)


def test_a_residual_unit_whose_second_convolution_is_zero_passes_its_input_on():
    unit, inputs = Residual(5), torch.randn(2, 5, 7, 7, generator=torch.Generator().manual_seed(0))
    assert not torch.equal(unit(inputs), inputs)
    for weight in unit.conv2.parameters():
        nn.init.zeros_(weight)
    assert torch.equal(unit(inputs), inputs)


def test_inputs_are_scaled_as_the_scale_says():
    seen = torch.tensor([0, 128, 255], dtype=torch.uint8).view(1, 1, 1, 3).expand(1, 9, 9, 3)
    encoded = {scale: stack(0, scale=scale).nets[0].encode(seen)[0, :, 4, 4].tolist() for scale in SCALES}
    assert encoded["unit"] == pytest.approx([0, 128 / 255, 1])
    assert encoded["rgb"] == pytest.approx([-1.2, (128 / 255 - 0.4) * 3, 1.8], abs=1e-5)  # sheet, section 8.1 (h)
    assert encoded["planes"] == [0, 128, 255]


# ---- stacks ----------------------------------------------------------------------------------------------------------


def test_weights_come_back_as_they_went():
    together = stack(0, 1).arrays()
    assert all(array.dtype == np.float32 and len(array) == 2 for array in together.values())
    again = stack(2, 3).load(together).arrays()
    assert list(again) == list(together)
    assert all(array.tobytes() == together[name].tobytes() for name, array in again.items())


def test_arrays_are_copies():
    net = stack(0)
    before = net.arrays()
    kept = copy.deepcopy(before)
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(1)
    assert all(np.array_equal(before[name], kept[name]) for name in kept)


def test_a_stack_is_its_networks_one_by_one():
    together = stack(4, 5)
    for position, seed in enumerate((4, 5)):
        alone = stack(seed)
        for name, array in alone.arrays().items():
            assert array[0].tobytes() == together.arrays()[name][position].tobytes()
        for one, other in zip(alone.nets[0](pictures(9)), together.nets[position](pictures(9)), strict=True):
            assert torch.equal(one, other)
    assert not torch.equal(together.nets[0](pictures(9))[1], together.nets[1](pictures(9))[1])


def test_a_description_rebuilds_the_stack():
    description = {"use": networks.use(ImpalaStack), "palette": "planes", **SMALL}
    rebuilt = networks.build(description, 2).load(stack(0, 1).arrays())
    assert torch.equal(rebuilt.nets[1](pictures(9))[0], stack(1).nets[0](pictures(9))[0])
    assert (rebuilt.palette, rebuilt.pixels, rebuilt.actions) == ("planes", 9, 5)


# ---- beginnings ------------------------------------------------------------------------------------------------------


def test_orthogonal_weights_are_orthogonal_of_their_gains():
    net = stack(0, channels=[8, 8], hidden=20).nets[0]
    for name, module in net.named_modules():
        if not isinstance(module, (nn.Conv2d, nn.Linear)):
            continue
        assert not module.bias.any()
        gain = {"policy": 0.01, "value": 1.0}.get(name, 2**0.5 * (0.5 if name.endswith("conv2") else 1.0))
        weight = module.weight.detach().reshape(len(module.weight), -1)
        products = weight @ weight.T if weight.shape[0] <= weight.shape[1] else weight.T @ weight
        torch.testing.assert_close(products, gain**2 * torch.eye(len(products)), atol=1e-5, rtol=0)


def test_xavier_weights_are_uniform_within_their_bounds():
    net = stack(0, initialisation="xavier", channels=[16, 16], hidden=64).nets[0]
    for name, module in net.named_modules():
        if not isinstance(module, (nn.Conv2d, nn.Linear)) or name in ("policy", "value"):
            continue
        assert not module.bias.any()
        around = module.weight[0, 0].numel()  # pixels of a kernel
        bound = (6 / (around * sum(module.weight.shape[:2]))) ** 0.5
        assert module.weight.abs().max().item() == pytest.approx(bound, rel=0.02)
        assert module.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)
    torch.testing.assert_close(net.policy.weight @ net.policy.weight.T, 1e-4 * torch.eye(5), atol=1e-7, rtol=0)


def test_an_untrained_policy_is_nearly_uniform():
    with torch.no_grad():
        logits, _ = stack(0).nets[0](pictures(9))
    assert torch.softmax(logits, dim=1).numpy() == pytest.approx(0.2, abs=0.02)
