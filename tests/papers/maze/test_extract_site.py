"""The place of an edit: the rest of a network goes on from a layer, and cells are found on its maps."""

import numpy as np
import pytest
import torch

from agentomy import networks
from agentomy.environments import mazes
from agentomy.environments.maze_batch import STEP
from agentomy.networks.impala import ImpalaStack
from agentomy.papers.maze.extract import views
from agentomy.papers.maze.extract.site import Site, pieces, place_of, towards


def drawn(pools: list, actions: int = 5) -> ImpalaStack:
    shape = {"pixels": 9, "palette": "planes", "channels": [4, 6], "pools": pools, "hidden": 20, "actions": actions}
    stack = ImpalaStack(1, **shape, scale="planes").draw([networks.generator(3)], "orthogonal")
    with torch.no_grad():
        stack.nets[0].policy.weight *= 100  # so that moves are not all equally likely
    return stack


@pytest.fixture(scope="module")
def levels():
    return mazes.generate(np.arange(30), 9)


@pytest.mark.parametrize("layer", ["block1.conv", "block1.maxpool", "block2.res1.resadd", "block2.res2.resadd", "fc"])
@pytest.mark.parametrize("actions", [5, 15])
def test_going_on_from_a_layer_gives_the_policy_of_the_pictures(levels, layer, actions):
    stack = drawn([1], actions)
    level, cells = views.open_cells(levels)
    site = Site(stack.nets[0], layer, views.painter_of(stack, levels), "cpu")
    moves, values = site.policy(site.activations(levels[level], cells))
    pictures = site.painter.mice(levels[level], cells)
    wanted_moves, wanted_values = views.policy(stack.nets[0], pictures, "cpu")
    np.testing.assert_allclose(moves, wanted_moves, atol=1e-5)
    np.testing.assert_allclose(values, wanted_values, atol=1e-4)
    assert moves.std(axis=0).max() > 0.01


@pytest.mark.parametrize("layer", ["block1.res1.conv2", "block2.res1.relu1", "block2.res2.conv1"])
def test_a_layer_inside_a_residual_unit_is_refused(levels, layer):
    stack = drawn([1])
    with pytest.raises(ValueError, match=layer):
        Site(stack.nets[0], layer, views.painter_of(stack, levels), "cpu")


@pytest.mark.parametrize(("world", "size"), [(9, 9), (9, 5), (25, 16), (13, 4)])
def test_places_are_those_of_the_cells_middles_with_rows_from_the_top(world, size):
    for x in range(world):
        for y in range(world):
            row, column = place_of(np.array([[x, y]]), world, size)
            assert column == int((x + 0.5) * size / world + 1e-9)
            assert row == size - 1 - int((y + 0.5) * size / world + 1e-9)


def test_a_place_is_one_where_the_pooled_map_shows_the_cell():
    """A network that only pools: the map of its cheese plane is largest where the cheese is."""
    stack = drawn([1])
    net = stack.nets[0]
    with torch.no_grad():
        for name, weight in net.named_parameters():
            if name.startswith("block1"):
                weight.zero_()
        net.block1.conv.weight[0, 2, 1, 1] = 1  # cheese
    everything = mazes.generate(np.arange(400), 9)
    shown = everything[(everything.cheese != everything.start).any(axis=1)]
    site = Site(net, "block1.res2.resadd", views.painter_of(stack, shown), "cpu")
    maps = site.activations(shown, shown.start)[:, 0].numpy()
    row, column = place_of(shown.cheese, 9, maps.shape[-1])
    assert maps.shape[-1] == 5
    np.testing.assert_array_equal(maps[np.arange(len(maps)), row, column], 1)


def test_moves_lead_to_the_goal_by_the_shortest_way(levels):
    moves = towards(levels.walls, levels.cheese)
    steps = mazes.steps_from(levels.walls, levels.cheese)
    for level, (y, x) in [(i, cell) for i in range(len(levels)) for cell in np.argwhere(~levels.walls[i])]:
        cell, taken = np.array([x, y]), 0
        while (move := moves[level, cell[1], cell[0]]) >= 0:
            cell, taken = cell + STEP[move], taken + 1
        assert tuple(cell) == tuple(levels.cheese[level])
        assert taken == steps[level, y, x]
    assert (moves[levels.walls] == -1).all()


def test_pieces_hold_every_level_once_and_few_cells(levels, monkeypatch):
    monkeypatch.setattr("agentomy.papers.maze.extract.site.BATCH", 60)
    parts = list(pieces(levels))
    assert [i for part in parts for i in range(len(levels))[part]] == list(range(len(levels)))
    cells = [(~levels.walls[part]).sum() for part in parts]
    assert max(cells) <= 60
    assert len(parts) < len(levels)
