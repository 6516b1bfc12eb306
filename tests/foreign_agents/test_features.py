"""Feature maps and groups of places: the lens finds what is planted in a convolution, and not in its twins."""

import contextlib
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pandas as pd
import pytest
import torch
from gymnasium import spaces
from torch import nn

from agentomy import kinds, names, networks
from agentomy.lenses import places
from agentomy.lenses.behaviour.subject import Own, subjects
from agentomy.lenses.inside import draw, draw_features
from agentomy.lenses.inside.features import features
from agentomy.lenses.inside.groups import groups, layer, thinned
from agentomy.lenses.inside.measure import group_ranks
from agentomy.networks.q_network import QNetwork
from agentomy.progress import Progress
from agentomy.seeds import Streams
from agentomy.tables import Table
from tests.foreign_agents.conftest import new_model
from tests.foreign_agents.test_import import MINE, WORLD, parameters, planned, refusal
from tests.foreign_agents.test_play import table
from tests.foreign_agents.worlds import CHOICE, PICTURE, World
from tests.pipeline import runners

NET = '''
import numpy as np
from torch import nn


class Net(nn.Module):
    """Two convolutions on bits."""

    def __init__(self):
        super().__init__()
        self.first, self.on = nn.Conv2d(1, 6, 3, padding=1), nn.ReLU()
        self.second, self.then = nn.Conv2d(6, 6, 1), nn.ReLU()
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(600, 4))

    def forward(self, pictures):
        return {"q": self.head(self.then(self.second(self.on(self.first(pictures)))))}


def labels(observations, episode, step):
    """Whether a pixel is as its right neighbour, beyond the rim 0: no line divides what is seen in two."""
    bits = np.pad(observations[:, 0] > 0, ((0, 0), (0, 0), (0, 1)))
    return {"as its neighbour": bits[:, :, 1:] == bits[:, :, :-1]}
'''
LABEL, SECOND = "as its neighbour", "then"
TWINS = 9


class Bits(World):
    """Pictures of random bits."""

    def __init__(self):
        super().__init__(spaces.Box(0, 255, (1, 10, 10), np.uint8), CHOICE)

    def observation(self):
        return (255 * self.np_random.integers(2, size=(1, 10, 10))).astype(np.uint8)


def written(folder: Path) -> nn.Module:
    """A network one of whose features is on where a pixel is as its right neighbour, and everything else is off."""
    (folder / "bits.py").write_text(NET)
    scope: dict = {}
    exec(NET, scope)
    net = scope["Net"]()
    with torch.no_grad():
        for weights in net.parameters():
            weights.zero_()
        net.first.weight[0, 0, 1, 1:] = 1  # both are on
        net.first.bias[0] = -1
        net.first.weight[1, 0, 1, 1:] = -1  # both are off
        net.first.bias[1] = 1
        net.second.weight[3, :2] = 1
    torch.save(net.state_dict(), folder / "5.pt")
    return net


RUN = {**MINE, "files": "5.pt", "network": {"use": "bits.Net", "scale": 255}}


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bits") / "studies"
    folder.mkdir()
    gymnasium.register("Bits-v0", Bits)
    written(folder)
    yield planned_bits(folder)
    names.LOADED.discard("bits")
    sys.modules.pop("bits", None)
    del gymnasium.registry["Bits-v0"]


def planned_bits(folder: Path, **sections):
    world = {**WORLD, "id": "Bits-v0"}
    return folder, planned(folder, RUN, modules=["bits.py"], environments={"world": world}, **sections)


@pytest.fixture(scope="module")
def maps(planted):
    folder, study = planted
    lent = {"run": "mine", "streams": Streams("t", "mine", 0), "device": "cpu", "progress": Progress("t", every=1e9)}
    rows = features(
        parameters(study, folder.parent), table("Bits-v0", 3), labels="bits.labels", count=4, twins=TWINS, **lent
    )
    return Table(kinds.inside.FEATURE_MAPS, rows=[*rows])


@pytest.fixture(scope="module")
def grouped(maps):
    return Table(kinds.inside.GROUPED, rows=[*groups(maps, streams=Streams("t", "groups", 0))])


def test_features_are_what_the_network_gives(maps):
    picture = maps.where(twin=-1, layer="input").array("values", 1, 10, 10)
    second = maps.where(twin=-1, layer=SECOND).array("values", 6, 10, 10)
    bits = np.pad(picture[:, 0] > 0, ((0, 0), (0, 0), (0, 1)))
    np.testing.assert_allclose(second[:, 3], bits[:, :, 1:] == bits[:, :, :-1], atol=1e-5)
    assert not second[:, [0, 1, 2, 4, 5]].any()


def test_the_planted_feature_and_groups_are_found_and_no_twin_has_them(grouped):
    frame = grouped.where(layer=SECOND).frame().set_index(["quantity", "method", "of"]).sort_index()
    auc = frame.loc[("auc", "none", LABEL)].set_index("twin")["value"]
    assert auc[-1] == 1
    assert auc.drop(-1).max() < 0.8
    for key in (("gap", "single linkage", ""), ("ari", "single linkage", "labels")):
        values = frame.loc[key].set_index("twin")["value"]
        assert values[-1] == pytest.approx(1)
        assert values.drop(-1).max() < 0.5
    assert frame.loc[("ari", "shuffled", "labels")].set_index("twin")["value"][-1] < 0.7
    ranks = group_ranks(grouped).to_pandas().set_index(["layer", "quantity"])
    assert ranks.loc[(SECOND, f"auc, {LABEL}"), ["above", "twins"]].tolist() == [1, TWINS]
    assert ranks.loc[(SECOND, "gap, single linkage"), "p"] == pytest.approx(2 / (TWINS + 1))


def test_the_picture_itself_does_not_tell_the_label(grouped):
    raw = grouped.where(layer="input", quantity="auc", twin=-1).values("value")
    assert abs(raw[0] - 0.5) < 0.1


def test_a_figure_shows_the_feature_that_was_planted_beside_a_twins(maps, grouped):
    figure = draw_features.features(maps, run="mine")
    titles = [ax.get_title() for ax in figure.axes]
    assert "feature 3\nAUC 1.00" in titles
    assert sum("AUC" in title for title in titles) == 4
    assert [title for title in titles if title.startswith("an untrained twin")]
    assert any("agreement" in ax.get_title() or "AUC" in ax.get_title() for ax in draw.groups(grouped, run="mine").axes)


def test_without_labels_pixels_that_have_changed_are_told(planted, tmp_path):
    _, study = planned_bits(
        planted[0],
        checkpoints={"found": {"use": "lenses.inside.features.features", "of": ["mine"], "twins": 2, "count": 3}},
        metrics={
            "grouped": {"use": "lenses.inside.groups.groups", "from": ["found"]},
            "ranks": {"use": "lenses.inside.measure.group_ranks", "from": ["grouped"]},
        },
        figures={
            "maps": {"use": "lenses.inside.draw_features.features", "from": ["found"], "run": "mine", "caption": "c"},
            "groups": {"use": "lenses.inside.draw.groups", "from": ["grouped"], "run": "mine", "caption": "c"},
        },
    )
    parameters(study, tmp_path)
    with contextlib.chdir(tmp_path):
        for stage in ("checkpoints", "metrics", "figures"):
            for name in study.names(stage):
                runners.run(study.job(stage, name))
        ranks = pd.read_parquet(study.job("metrics", "ranks").outputs[0])
    assert {"gap, single linkage", "auc, changes", "ari, windows, best cut"} <= set(ranks["quantity"])
    assert set(ranks["layer"]) == {"on", "then"}


# ---- where places are -----------------------------------------------------------------------------------------------


class Residual(nn.Module):
    """A pool, a padded convolution, and a sum that passes it by."""

    def __init__(self):
        super().__init__()
        self.down, self.conv, self.act = nn.MaxPool2d(3, 2, 1), nn.Conv2d(3, 4, 3, padding=1), nn.Tanh()
        self.skip = nn.Conv2d(3, 4, 1)

    def forward(self, pictures):
        low = self.down(pictures)
        return self.act(self.conv(low) + self.skip(low))


def test_places_are_where_windows_are_through_pools_and_sums():
    ((seen, across),) = places.windows(Residual(), ["act"], (3, 17, 21), 0).values()
    grid = places.grid((seen, across))
    np.testing.assert_allclose(grid.rows, 2 * np.arange(9))
    np.testing.assert_allclose(grid.columns, 2 * np.arange(11))
    assert (grid.apart, grid.window) == ((2, 2), (7, 7))


def test_places_of_a_nature_cnn_are_where_its_strides_put_them(tmp_path):
    gymnasium.register("Frames-v0", lambda: World(PICTURE, CHOICE))
    new_model("ppo cnn").save(tmp_path / "5.zip")
    world = {**WORLD, "id": "Frames-v0"}
    weights = parameters(planned(tmp_path, {**MINE, "files": "5.zip"}, environments={"world": world}), tmp_path)
    ((_, _, subject),) = subjects(weights, "cpu")
    before = {name: weight.copy() for name, weight in subject.stack.arrays().items()}
    grids = [places.grid(windows) for windows in subject.windows().values()]
    assert [grid.window for grid in grids] == [(8, 8), (20, 20), (36, 36)]
    assert [grid.apart for grid in grids[:2]] == [(4, 4), (8, 8)]
    np.testing.assert_allclose(grids[0].rows, 3.5 + 4 * np.arange(9))
    np.testing.assert_allclose(grids[1].columns, 9.5 + 8 * np.arange(4))
    for name, weight in subject.stack.arrays().items():  # only a copy loses its weights
        np.testing.assert_array_equal(weight, before[name])


def test_maps_of_the_pipelines_own_convolution_are_those_of_torch():
    description = {"use": networks.use(QNetwork), "channels": 4, "actions": 3}
    stack = networks.build(description, 1).draw([networks.generator(0)])
    subject = Own(stack.eval(), description, "q")
    seen = np.random.default_rng(0).random((5, 10, 10, 4)).astype(np.float32)
    weight = stack.convolution.weight[0].detach().permute(0, 3, 1, 2)
    given = torch.from_numpy(seen).permute(0, 3, 1, 2)
    theirs = nn.functional.conv2d(given, weight, stack.convolution.bias[0].detach()).relu()
    np.testing.assert_allclose(subject.maps(seen)["convolution"], theirs, atol=1e-5)
    grid = places.grid(subject.windows()["convolution"])
    np.testing.assert_array_equal(grid.rows, np.arange(1, 9))
    assert grid.window == (3, 3)


def test_what_windows_hold_is_equal_where_all_pixels_are():
    picture = np.zeros((1, 2, 6, 6), np.uint8)
    picture[0, 1, 2, 3] = 7
    at = places.Grid(np.arange(6.0), np.arange(6.0), (1, 1), (1, 1))
    held = places.contents(picture, at, (3, 3))[0]
    assert held[2, 1] == held[1, 1] == held[4, 4]  # all dark
    assert len(np.unique(held[1:4, 2:5])) == 9  # the bright pixel elsewhere in the window
    assert held[0, 1] != held[1, 1]  # outside is no darkness
    marked = places.near(picture[:, 1] > 0, places.Grid(np.array([0.5, 4.5]), np.array([0.5, 2.5]), (4, 2), (8, 8)))
    assert marked.tolist() == [[[False, True], [False, False]]]


def test_large_maps_are_thinned_evenly(maps):
    whole = layer(maps.where(twin=-1, layer=SECOND))
    assert thinned(whole, 100).holds.shape == (4, 10, 10)
    few = thinned(whole, 30)
    assert few.values.shape == (4, 6, 5, 5)
    np.testing.assert_array_equal(few.marks[LABEL], whole.marks[LABEL][:, ::2, ::2])


def test_a_network_without_convolution_is_refused_before_any_job(trained):
    lens = {"x": {"use": "lenses.inside.features.features", "of": ["mine"]}}
    assert "its network has no convolution" in refusal(trained, MINE, checkpoints=lens)
