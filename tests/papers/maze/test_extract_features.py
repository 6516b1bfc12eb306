"""Feature maps, saliency and what probes are fitted on: each is what the network says, of mazes that are right."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from agentomy import kinds, networks
from agentomy.environments import mazes
from agentomy.environments.maze_batch import STEP
from agentomy.environments.maze_pictures import Painter
from agentomy.networks.impala import Impala, ImpalaStack
from agentomy.papers.maze.extract import features as maze_features
from agentomy.papers.maze.extract import probes, saliency
from agentomy.progress import Progress
from agentomy.tables import Table
from tests.described import trained
from tests.papers.maze.maze_agents import level_table
from tests.papers.maze.maze_planted import CHANNELS, NETWORK, WORLD, weights

SHAPE = {"pixels": 9, "channels": [4, 6], "pools": [1], "hidden": 10, "actions": 5}
LAYERS = ["input", "block1.conv", "block1.maxpool", "block2.res1.resadd", "relufc"]
UPDATES = (0, 3, 7)


def parameters(palette: str = "planes", seeds: int = 2) -> Table:
    """A run with random networks at every update."""
    network = {"use": networks.use(ImpalaStack), "palette": palette, "scale": palette, **SHAPE}
    pieces = []
    for update in UPDATES:
        stack = networks.build(network, seeds, "cpu")
        stack.draw([networks.generator(100 * update + seed) for seed in range(seeds)], "orthogonal")
        pieces.append(kinds.common.PARAMETERS.table(seed=np.arange(seeds), update=update, **stack.arrays()))
    return Table(kinds.common.PARAMETERS, rows=pieces, description=trained(network))


def extracted(function, run: Table, levels: Table, name: str = "run", **given) -> Table:
    progress = Progress("test", every=1e9)
    pieces = function(run, levels, run=name, device="cpu", progress=progress, **given)
    return Table(function.__annotations__["return"], rows=pa.concat_tables(list(pieces)))


@pytest.fixture(scope="module")
def levels() -> Table:
    return level_table(60)


@pytest.fixture(scope="module", params=["planes", "rgb"])
def features(request, levels) -> tuple[Table, Table]:
    run = parameters(request.param)
    return run, extracted(maze_features.features, run, levels, layers=LAYERS, count=6, smallest_side=5)


# ---- feature maps ---------------------------------------------------------------------------------------------------


def test_features_are_what_a_layer_gives_for_the_picture_in_the_same_row(features):
    run, rows = features
    for piece in run.groups():
        update = piece["update"][0].as_py()
        if update == 3:  # neither untrained nor trained
            continue
        stack = networks.build(run.description.network, 2, "cpu").load(kinds_tensors(piece))
        for seed, net in enumerate(stack.nets):
            mine = rows.where(seed=seed, update=update)
            pictures = mine.where(layer="input").array("values", 3, 9, 9).transpose(0, 2, 3, 1).astype(np.uint8)
            with torch.no_grad():
                inputs = net.encode(torch.from_numpy(pictures))
                first = net.block1.conv(inputs)
                pooled = torch.nn.functional.max_pool2d(first, 3, 2, 1)
                site = net.block2.res1(net.block2.conv(net.block1.res2(net.block1.res1(pooled))))
                hidden = torch.relu(net.fc(torch.relu(net.block2.res2(site)).flatten(1)))
            plain = {"block1.conv": first, "block1.maxpool": pooled, "block2.res1.resadd": site}
            for layer, output in {**plain, "relufc": hidden[:, :, None, None]}.items():
                rows_of_layer = mine.where(layer=layer)
                size = tuple(int(rows_of_layer.values(name)[0]) for name in ("channels", "rows", "columns"))
                assert size == tuple(output.shape[1:])
                np.testing.assert_allclose(rows_of_layer.array("values", *size), output, atol=1e-5)


def kinds_tensors(piece: pa.Table) -> dict[str, np.ndarray]:
    from agentomy.tables import tensors

    return tensors(piece)


def test_the_first_and_the_last_snapshot_are_looked_at_in_large_enough_mazes(features, levels):
    _, rows = features
    frame = rows.frame()
    assert set(frame["update"]) == {UPDATES[0], UPDATES[-1]}
    assert len(frame) == 2 * 2 * len(LAYERS) * 6
    large = levels.frame().query("side >= 5")["level"].head(6)
    assert list(frame["level"].unique()) == list(large)


def test_codes_say_what_the_picture_shows(features, levels):
    _, rows = features
    inputs = rows.where(layer="input", seed=0, update=0)
    geometry = levels.frame().set_index("level")
    for row in inputs.arrow().to_pylist():
        shown = np.reshape(row["shown"], (9, 9))[::-1]  # y up
        where = geometry.loc[row["level"]]
        expected = levels.where(level=row["level"]).array("walls", 9, 9)[0].astype(int)
        assert expected[row["mouse_y"], row["mouse_x"]] == 0
        assert (row["mouse_x"], row["mouse_y"]) != (where["cheese_x"], where["cheese_y"])
        expected[where["cheese_y"], where["cheese_x"]] = kinds.maze_pixels.SHOWS.index("cheese")
        expected[row["mouse_y"], row["mouse_x"]] = kinds.maze_pixels.SHOWS.index("mouse")
        np.testing.assert_array_equal(shown, expected)


def test_every_network_of_every_run_is_shown_the_same(features, levels):
    _, rows = features
    again = extracted(maze_features.features, parameters(), levels, "other", layers=["input"], count=6, smallest_side=5)
    shown = [tuple(row["shown"]) for row in rows.where(layer="input").arrow().to_pylist()]
    assert shown == [tuple(row["shown"]) for row in again.arrow().to_pylist()]
    assert len(set(shown)) == 6
    assert len(shown) == 4 * 6


def test_codes_of_a_picture_with_objects_of_several_pixels():
    levels = mazes.generate(np.arange(4), 9)
    codes = maze_features.shows(Painter("rgb", 9, 18), levels, levels.start)
    for name in kinds.maze_pixels.OBJECTS:
        np.testing.assert_array_equal((codes == kinds.maze_pixels.SHOWS.index(name)).sum(axis=(1, 2)), 4)
    np.testing.assert_array_equal((codes == 1).sum(axis=(1, 2)), 4 * levels.walls.sum(axis=(1, 2)))


def test_mice_are_scattered_over_all_cells_but_the_goals():
    levels = mazes.generate(np.zeros(1, int), 9)
    level, cells = maze_features.scattered(levels, 10**6)
    assert (level == 0).all()
    there = {tuple(cell) for cell in cells}
    assert len(there) == len(cells)
    y, x = np.nonzero(~levels.walls[0])
    assert there == set(zip(x, y, strict=True)) - {tuple(levels.cheese[0]), tuple(levels.corner[0])}


def test_mistakes_are_one_line(levels):
    with pytest.raises(ValueError, match="layers: found 'block9.conv'; allowed: input, block1, block1.conv"):
        extracted(maze_features.features, parameters(), levels, layers=["block9.conv"], count=1, smallest_side=3)
    with pytest.raises(ValueError, match="none has a side of 11 or more"):
        extracted(maze_features.features, parameters(), levels, layers=["input"], count=1, smallest_side=11)


# ---- saliency -------------------------------------------------------------------------------------------------------


@pytest.fixture
def linear(rng) -> tuple[Impala, np.ndarray, np.ndarray]:
    """A network whose value and logits are linear in the picture, with their weights [C, W, W] and [5, C, W, W]."""
    value, policy = rng.normal(size=(CHANNELS, WORLD, WORLD)), rng.normal(0, 0.03, (5, CHANNELS, WORLD, WORLD))
    net = ImpalaStack(1, **NETWORK).load(weights(policy)).nets[0]
    with torch.no_grad():
        net.block1.conv.bias.fill_(1)  # no ReLU is ever in the way
        net.value.weight[0] = torch.from_numpy(value.ravel())
    return net, value, policy


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_saliency_of_a_linear_network_is_the_size_of_its_weights(linear):
    net, value, policy = linear
    levels = mazes.generate(np.arange(7), WORLD)
    pictures = Painter("planes", WORLD, WORLD).mice(levels, levels.start)
    gradients = saliency.gradients(net, pictures, "cpu")
    np.testing.assert_allclose(gradients["value"], np.tile(np.abs(value[:3]).sum(axis=0), (7, 1, 1)), rtol=1e-5)
    planes = pictures.transpose(0, 3, 1, 2) + 1.0
    logits = np.einsum("ncyx,acyx->na", planes, policy[:, :3]) + policy[:, 3].sum(axis=(1, 2))
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    likeliest = policy[logits.argmax(axis=1)] - np.einsum("na,acyx->ncyx", chances, policy)
    assert chances.max() < 0.9  # else no gradient is left
    np.testing.assert_allclose(gradients["move"], np.abs(likeliest[:, :3]).sum(axis=1), rtol=1e-4)


def test_saliency_is_the_slope_of_the_outputs(levels):
    net = networks.build({"use": networks.use(ImpalaStack), "palette": "rgb", "scale": "rgb", **SHAPE}, 1, "cpu")
    net = net.draw([networks.generator(5)], "orthogonal").nets[0].double()
    few = mazes.read(levels)[:3]
    pictures = Painter("rgb", 9, 9).mice(few, few.start)
    gradients = saliency.gradients(net, pictures, "cpu")
    inputs = net.encode(torch.from_numpy(pictures))
    with torch.no_grad():
        likeliest = net.decide(inputs)[0].argmax(dim=1)
        slopes = {"value": 0.0, "move": 0.0}
        for colour in range(3):
            ends = []
            for step in (-1e-6, 1e-6):
                moved = inputs.clone()
                moved[:, colour, 4, 6] += step
                logits, value = net.decide(moved)
                chance = torch.log_softmax(logits, dim=1)[torch.arange(3), likeliest]
                ends.append({"value": value, "move": chance})
            for head in slopes:
                slopes[head] = slopes[head] + ((ends[1][head] - ends[0][head]) / 2e-6).abs()
    for head, slope in slopes.items():
        np.testing.assert_allclose(gradients[head][:, 4, 6], slope, rtol=1e-4, atol=1e-8)


def test_every_snapshot_is_looked_at_with_cheese_and_without(levels):
    rows = extracted(saliency.saliency, parameters(), levels, count=4, smallest_side=7)
    frame = rows.frame()
    assert len(frame) == len(UPDATES) * 2 * 2 * 2 * 4
    by = ["seed", "update", "cheese", "head"]
    assert (frame.groupby(by).size() == 4).all()
    assert len(frame.groupby(by)) == len(UPDATES) * 8
    sides = levels.frame().set_index("level").loc[frame["level"], "side"].to_numpy()
    np.testing.assert_array_equal(frame["mouse_x"], (9 - sides) // 2)
    run = parameters()
    last = [piece for piece in run.groups()][-1]
    net = networks.build(run.description.network, 2, "cpu").load(kinds_tensors(last)).nets[1]
    shown = maze_features.chosen(levels, 4, 7)
    for cheese in (True, False):
        plain = saliency.gradients(net, Painter("planes", 9, 9).mice(shown, shown.start, cheese), "cpu")
        for head, values in plain.items():
            mine = rows.where(seed=1, update=UPDATES[-1], head=head, cheese=cheese).array("values", 9, 9)
            np.testing.assert_allclose(mine, values, rtol=1e-5)


# ---- probes ---------------------------------------------------------------------------------------------------------


def plainly_towards(walls: np.ndarray, cell: tuple, goal: tuple) -> str:
    """The next move on the only way to the goal, by trying all ways."""
    seen, ways = {cell}, [(cell, None)]
    for here, first in ways:
        if here == goal:
            return kinds.maze.MAZE_MOVES[first]
        for move, (dx, dy) in enumerate(STEP[:4]):
            there = (here[0] + dx, here[1] + dy)
            inside = 0 <= there[0] < len(walls) and 0 <= there[1] < len(walls)
            if inside and not walls[there[1], there[0]] and there not in seen:
                seen.add(there)
                ways.append((there, move if first is None else first))
    raise AssertionError("no way")


def test_probes_get_the_right_next_moves_and_the_layer_at_that_place(levels):
    run = parameters()
    given = {"layers": ["input", "relufc"], "count": 5, "cells": 3, "smallest_side": 5}
    rows = extracted(probes.probes, run, levels, **given)
    assert len(rows) == 2 * 2 * 2 * 5 * 3
    geometry = levels.frame().set_index("level")
    for row in rows.where(layer="input", seed=0, update=0).arrow().to_pylist():
        walls = levels.where(level=row["level"]).array("walls", 9, 9)[0].astype(bool)
        where, cell = geometry.loc[row["level"]], (row["mouse_x"], row["mouse_y"])
        corner = ((9 - where["side"]) // 2 + where["side"] - 1,) * 2
        assert row["to_corner"] == plainly_towards(walls, cell, corner)
        assert row["to_cheese"] == plainly_towards(walls, cell, (where["cheese_x"], where["cheese_y"]))
        mouse = np.reshape(row["activations"], (3, 9, 9))[1]
        assert np.argwhere(mouse).tolist() == [[8 - cell[1], cell[0]]]
    assert rows.where(layer="relufc").array("activations").shape == (60, 10)
