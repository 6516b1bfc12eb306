"""What the maze views show is what the pipeline's own functions say."""

import numpy as np
import pytest

from agentomy.environments import mazes
from agentomy.explorer import readings
from agentomy.explorer.drawing import heading, shades, tiled
from agentomy.explorer.readings import EDITED, Edit
from agentomy.explorer.scenes import Scene
from agentomy.papers.maze.extract import edits, views
from agentomy.papers.maze.extract.features import outputs
from agentomy.papers.maze.extract.saliency import gradients
from tests.explorer.conftest import UPDATES, stack


@pytest.fixture
def scene():
    levels = mazes.generate(np.arange(40), 9)
    return Scene(levels[[int((levels.side == 7).argmax())]])  # with a margin, which the top-right vector needs


@pytest.fixture
def agents(results):
    (run,) = (run for run in results.runs(readings.NETWORK) if run.name == "corner")
    return readings.load(results, run, 1)


def test_agents_are_those_of_their_seed_and_snapshot(agents):
    assert list(agents) == list(UPDATES)
    for update, agent in agents.items():
        wanted = stack(update).nets[1].state_dict()
        for name, tensor in agent.net.state_dict().items():
            np.testing.assert_array_equal(tensor, wanted[name])


def test_the_original_is_the_networks_own(agents, scene):
    agent = agents[9]
    original, edited = readings.read(agent, scene, "block1.conv", "value", Edit(EDITED))
    assert edited is original
    level, cells = views.open_cells(scene.levels)
    pictures = agent.painter.mice(scene.levels[level], cells)
    moves, values = views.policy(agent.net, pictures, "cpu")
    np.testing.assert_allclose(original.moves[cells[:, 1], cells[:, 0]], moves, atol=1e-5)
    np.testing.assert_allclose(original.values[cells[:, 1], cells[:, 0]], values, atol=1e-5)
    assert np.isnan(original.values[scene.levels.walls[0]]).all()
    picture = agent.painter.mice(scene.levels, np.array([scene.mouse]))
    np.testing.assert_array_equal(original.layer, outputs(agent.net, picture, ["block1.conv"], "cpu")["block1.conv"][0])
    np.testing.assert_array_equal(original.saliency, gradients(agent.net, picture, "cpu")["value"][0])


@pytest.mark.parametrize(
    ("edit", "name", "times"), [({"cheese": -2.0}, "cheese", -2), ({"top_right": 0.5}, "top-right", 0.5)]
)
def test_an_edited_field_is_that_of_the_fields_table(agents, scene, edit, name, times):
    agent = agents[9]
    _, edited = readings.read(agent, scene, "input", "move", Edit(EDITED, **edit))
    vectors = {"cheese": edits.cheese_vectors, "top-right": edits.top_right_vectors}
    site = agent.site(EDITED)
    wanted = {(name, times): (times * vectors[name](site, scene.levels), np.ones(1, bool))}
    (_, columns), _ = edits.edited(site, scene.levels, wanted)
    np.testing.assert_allclose(edited.moves, columns["moves"][0], atol=1e-5)
    np.testing.assert_allclose(edited.values, columns["values"][0], atol=1e-5)


def test_a_clamp_sets_one_value_of_the_edited_layer_and_what_comes_before_stays(agents, scene):
    agent, edit = agents[9], Edit(EDITED, clamp=(2, 1, 3, 7.5))
    for layer, changed in ((EDITED, 1), ("block2.conv", 0), ("input", 0)):
        original, edited = readings.read(agent, scene, layer, "move", edit)
        differs = edited.layer != original.layer
        assert differs.sum() == changed
    original, edited = readings.read(agent, scene, EDITED, "move", edit)
    assert edited.layer[2, 1, 3] == 7.5
    assert not np.allclose(edited.saliency, original.saliency)
    assert readings.read(agent, scene, "fc", "move", edit)[1].layer.shape == (16, 1, 1)


def test_layers_inside_residual_units_can_be_seen_but_not_edited(agents):
    agent = agents[0]
    assert "block1.res1.conv1" in agent.layers
    assert "block1.res1.conv1" not in agent.editable
    assert EDITED in agent.editable
    assert "fc" not in agent.editable


def test_the_course_follows_the_mouse_over_all_snapshots(agents, scene):
    course = readings.course(agents, scene)
    assert course["update"].tolist() == list(UPDATES)
    x, y = scene.mouse
    for row, agent in enumerate(agents.values()):
        original, _ = readings.read(agent, scene, "input", "move", Edit(EDITED))
        np.testing.assert_allclose(course["value"][row], original.values[y, x], atol=1e-5)
        right, up = original.moves[y, x, 3], original.moves[y, x, 2]
        assert min(abs(course["corner"][row] - right), abs(course["corner"][row] - up)) < 1e-5
    scene.put_mouse(scene.cheese)
    assert np.isnan(readings.course(agents, scene)["cheese"]).all()


def test_arrows_point_to_the_likelier_side():
    right, up = heading(np.array([0.1, 0.2, 0.5, 0.15, 0.05]))
    assert (right, up) == (pytest.approx(0.05), pytest.approx(0.3))


def test_tiles_show_channels_row_by_row():
    picture = tiled(np.arange(5.0)[:, None, None] * np.ones((5, 2, 2)), 3)
    assert picture.shape == (9, 9)
    assert picture[0, 0] == 0
    assert picture[0, 6] == 2
    assert picture[3, 3] == 4
    assert np.isnan(picture[3, 6])
    assert np.isnan(picture[2]).all()


def test_shades_go_from_colour_to_colour():
    colours = shades("#000000", "#FFFFFF", count=3)
    assert colours == ["#000000", "#808080", "#FFFFFF"]
