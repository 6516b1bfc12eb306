"""Layers are read and changed by name, and what a network makes of mazes is what it makes of their pictures."""

import numpy as np
import pytest
import torch

from agentomy import networks
from agentomy.environments import mazes
from agentomy.environments.maze_batch import DOWN, LEFT, RIGHT, STAY, UP
from agentomy.lenses.hooks import editing, recording
from agentomy.networks.impala import Impala, ImpalaStack
from agentomy.papers.maze.extract import views

SITE = "block2.res1.resadd"


def stack(actions: int = 5, seeds: int = 1) -> ImpalaStack:
    net = ImpalaStack(
        seeds,
        pixels=9,
        palette="planes",
        channels=[4, 6],
        pools=[1],
        hidden=10,
        actions=actions,
        scale="planes",
    )
    net.draw([networks.generator(seed) for seed in range(seeds)], "xavier")
    with torch.no_grad():
        for network in net.nets:
            network.policy.weight.mul_(100)  # as different as those of a trained one
    return net


@pytest.fixture
def net() -> Impala:
    return stack().nets[0]


@pytest.fixture
def pictures() -> torch.Tensor:
    levels = mazes.generate(np.arange(8), 9)
    return torch.from_numpy(views.painter_of(stack(), levels).mice(levels, levels.start))


@torch.no_grad()
def head(net: Impala, site: torch.Tensor) -> torch.Tensor:
    """Logits from what the edit site gives: all that follows, written out."""
    x = net.block2.res2(site)
    return net.policy(net.relufc(net.fc(net.flatten(net.relu3(x)))))


@torch.no_grad()
def test_a_recorded_layer_is_what_the_rest_of_the_network_is_given(net, pictures):
    with recording(net, [SITE, "block1.conv", "relufc"]) as seen:
        logits, _ = net(pictures)
        assert seen[SITE].shape == (8, 6, 5, 5)
        assert seen["block1.conv"].shape == (8, 4, 9, 9)
        torch.testing.assert_close(head(net, seen[SITE]), logits)
        torch.testing.assert_close(net.policy(seen["relufc"]), logits)
        net(pictures[:2])
        assert len(seen[SITE]) == 2  # of the last pass


@torch.no_grad()
def test_an_edited_layer_changes_what_follows_and_nothing_else(net, pictures):
    vector = torch.randn(6, 5, 5, generator=torch.Generator().manual_seed(0))
    before = net(pictures)[0]
    with recording(net, [SITE, "block1.conv"]) as seen:
        net(pictures)
    kept = {name: output.clone() for name, output in seen.items()}
    with editing(net, SITE, lambda output: output + 2 * vector), recording(net, [SITE, "block1.conv"]) as seen:
        edited = net(pictures)[0]
    assert not torch.allclose(edited, before)
    torch.testing.assert_close(edited, head(net, kept[SITE] + 2 * vector))
    assert torch.equal(seen["block1.conv"], kept["block1.conv"])
    torch.testing.assert_close(seen[SITE], kept[SITE] + 2 * vector)  # who records within sees the edit
    assert torch.equal(net(pictures)[0], before)


@torch.no_grad()
def test_edits_compose_and_none_is_the_identity(net, pictures):
    before = net(pictures)[0]
    with editing(net, SITE, lambda output: output):
        assert torch.equal(net(pictures)[0], before)
    with editing(net, SITE, lambda output: output + 1), editing(net, SITE, lambda output: output * 2):
        twice = net(pictures)[0]
    with editing(net, SITE, lambda output: (output + 1) * 2):
        assert torch.equal(net(pictures)[0], twice)


def test_hooks_are_gone_even_after_an_error(net, pictures):
    with pytest.raises(RuntimeError, match="no"), editing(net, SITE, fail):
        net(pictures)
    with pytest.raises(RuntimeError, match="no"), recording(net, [SITE]):
        fail(None)
    assert not any(module._forward_hooks for module in net.modules())


def fail(output: torch.Tensor) -> torch.Tensor:
    raise RuntimeError("no")


def test_a_layer_that_there_is_not_is_named(net):
    with pytest.raises(AttributeError, match="res3"), recording(net, ["block2.res3"]):
        pass
    assert not any(module._forward_hooks for module in net.modules())


def test_open_cells_are_those_without_wall():
    levels = mazes.generate(np.arange(20), 9)
    level, cells = views.open_cells(levels)
    counts = np.zeros(levels.walls.shape, int)
    np.add.at(counts, (level, cells[:, 1], cells[:, 0]), 1)
    np.testing.assert_array_equal(counts, ~levels.walls)


@pytest.mark.parametrize("actions", [5, 15])
def test_probabilities_of_moves_are_sums_over_their_actions(actions):
    """Over more pictures than a batch holds."""
    levels = mazes.generate(np.arange(2100), 9)
    several = stack(actions, seeds=2)
    pictures = views.painter_of(several, levels).mice(levels, levels.start)
    moves, values = views.policy(several.nets[1], pictures, "cpu")
    assert (moves.shape, values.shape) == ((2100, 5), (2100,))
    assert moves.dtype == values.dtype == np.float32
    with torch.no_grad():
        logits, expected = several.nets[1](torch.from_numpy(pictures))
    chances = torch.softmax(logits, dim=1).numpy()
    members = {LEFT: [0, 1, 2], DOWN: [3], UP: [5], RIGHT: [6, 7, 8], STAY: [4, *range(9, 15)]}
    for move in range(5):
        of_move = chances[:, members[move] if actions == 15 else [move]]
        np.testing.assert_allclose(moves[:, move], of_move.sum(axis=1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-5)
