"""Lenses on what is inside an agent: each finds what is planted in a network, and does not find it in the twins."""

import contextlib
import sys
from pathlib import Path
from types import ModuleType

import gymnasium
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import stable_baselines3 as sb3
import torch
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack

from agentomy import kinds, names
from agentomy.lenses.behaviour.play import Room
from agentomy.lenses.behaviour.subject import subjects
from agentomy.lenses.inside import draw
from agentomy.lenses.inside.beside import chosen_of
from agentomy.lenses.inside.edits import classes, edits, of_equal_norm
from agentomy.lenses.inside.measure import edit_ranks, probe_ranks, saliency_ranks
from agentomy.lenses.inside.probes import probes
from agentomy.lenses.inside.saliency import depends, saliency
from agentomy.lenses.rows import table_of
from agentomy.progress import Progress
from agentomy.seeds import Streams
from agentomy.tables import Table
from tests.foreign_agents.conftest import new_model, small
from tests.foreign_agents.test_import import MINE, WORLD, parameters, planned
from tests.foreign_agents.test_play import table
from tests.foreign_agents.worlds import CHOICE, PICTURE, VECTOR, World, drawn, shaken
from tests.pipeline import runners

ACTS_ON = 3  # the entry of the observation by whose sign the planted agent acts
TWINS = 9


def labels(observations: np.ndarray, episode: np.ndarray, step: np.ndarray) -> dict[str, np.ndarray]:
    """What no line divides; by what it acts; a coin that is thrown once a game; a number."""
    coins = np.random.default_rng(3).random(10_000) < 0.5
    return {
        "same sign": observations[:, 0] * observations[:, 1] > 0,
        "right": observations[:, ACTS_ON] > 0,
        "coin": coins[episode],
        "sum": observations.sum(axis=1).astype(float),
    }


@pytest.fixture(scope="module", autouse=True)
def _world():
    """Random observations as an environment with an id, and a module of a user."""
    gymnasium.register("Vectors-v0", lambda: World(VECTOR, CHOICE))
    module = ModuleType("planted")
    module.labels = labels
    sys.modules["planted"] = module
    names.LOADED.add("planted")
    yield
    names.LOADED.discard("planted")
    del sys.modules["planted"], gymnasium.registry["Vectors-v0"]


def imported(folder, model) -> Table:
    model.num_timesteps = 5
    model.save(folder / "5.zip")
    world = {**WORLD, "id": "Vectors-v0"}
    return parameters(planned(folder, {**MINE, "files": "{update}.zip"}, environments={"world": world}), folder)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A DQN that holds whether entries 0 and 1 have the same sign, and acts by the sign of entry 3 alone."""
    model = new_model("dqn")  # 5 → 16 → 12 → 4
    first, second, head = (model.policy.q_net.q_net[i] for i in (0, 2, 4))
    with torch.no_grad():
        for layer in (first, second, head):
            layer.weight.zero_()
            layer.bias.zero_()
        pairs = torch.tensor([[1.0, 1], [-1, -1], [1, -1], [-1, 1]])
        first.weight[:4, :2] = pairs
        first.weight[4:6, ACTS_ON] = torch.tensor([1.0, -1])
        # a step: |x0 + x1| is larger than |x0 - x1| where the signs are the same
        second.weight[:2, :4] = 4 * torch.tensor([1.0, 1, -1, -1])
        second.bias[1] = -1
        second.weight[2, 4] = second.weight[3, 5] = 1
        head.weight[0, 2] = head.weight[1, 3] = 1
        head.bias[2:] = -100
    return imported(tmp_path_factory.mktemp("planted"), model)


def given() -> dict:
    lent = {"run": "mine", "streams": Streams("t", "mine", 0), "device": "cpu", "progress": Progress("t", every=1e9)}
    return {**lent, "episodes": table("Vectors-v0", 60), "count": 300, "twins": TWINS}


@pytest.fixture(scope="module")
def probed(planted):
    return Table(kinds.inside.PROBED, rows=[*probes(planted, labels="planted.labels", **given())])


def test_a_probe_finds_the_planted_label_and_no_twin_has_it(probed):
    frame = probed.where(label="same sign", layer="policy.body.2").frame()
    scores = frame[frame["twin"] == -1].set_index("labels")["score"]
    assert scores["true"] > 0.85
    assert abs(scores["shuffled"] - 0.5) < 0.15
    raw = probed.where(label="same sign", layer="input", labels="true").values("score")
    assert abs(raw[0] - 0.5) < 0.15
    twins = frame[(frame["twin"] != -1) & (frame["labels"] == "true")]["score"]
    assert len(twins) == TWINS
    assert twins.max() < 0.8
    ranks = probe_ranks(probed).to_pandas().set_index(["layer", "quantity"])
    assert ranks.loc[("policy.body.2", "same sign"), "above"] == 1


def test_a_label_that_is_constant_in_each_game_is_read_by_no_probe(probed):
    """Split by observation every layer would seem to hold it: an observation's neighbours tell which game it is of."""
    scores = probed.where(label="coin", labels="true").frame().groupby("twin")["score"].mean()
    assert abs(scores - 0.5).mean() < 0.12


def test_a_number_is_explained_by_the_raw_input_alone(probed):
    frame = probed.where(label="sum", labels="true", twin=-1).frame().set_index("layer")
    assert set(frame["measure"]) == {"explained"}
    assert frame.loc["input", "score"] > 0.9
    assert frame.loc["policy.body.2", "score"] < 0.5


def test_saliency_finds_the_entry_by_which_it_acts(planted):
    salient = Table(kinds.inside.SALIENT, rows=[*saliency(planted, **given())])
    shares = salient.where(twin=-1, output="choice").array("values")[0]
    np.testing.assert_allclose(shares, np.eye(5)[ACTS_ON], atol=1e-6)
    twins = np.stack([row for row in salient.where(agent="untrained").array("values")])
    assert twins.max() < 0.7
    ranks = saliency_ranks(salient).to_pandas().set_index("quantity")
    assert ranks.loc[f"entry {ACTS_ON}", "above"] == 1
    assert ranks.loc["entries", "value"] == pytest.approx(1)


def test_saliency_of_pictures_is_pixel_by_pixel(tmp_path):
    """A CNN of whose first filters all but one corner of their pictures is cut off."""
    gymnasium.register("Pictures-v0", lambda: World(PICTURE, CHOICE))
    model = new_model("ppo cnn")
    model.save(tmp_path / "5.zip")
    world = {**WORLD, "id": "Pictures-v0"}
    checkpoint = parameters(planned(tmp_path, {**MINE, "files": "5.zip"}, environments={"world": world}), tmp_path)
    ((_, _, subject),) = subjects(checkpoint, "cpu")
    seen = drawn(PICTURE, 6)
    with torch.no_grad():
        subject.net.get_submodule("features.nature.cnn.0").weight[:, :, :, 4:] = 0
    sizes = depends(subject, seen)
    assert {name: size.shape for name, size in sizes.items()} == {
        "choice": (6, 40, 44),
        "value": (6, 40, 44),
    }
    unseen = np.arange(44) % 4 == 0
    assert sizes["choice"].sum() > 0
    strides = sizes["choice"].sum(axis=(0, 1))
    assert (strides[40:] == 0).all()  # the last window begins at column 36 and now sees four columns
    assert strides[:40][unseen[:40]].sum() > 0


@pytest.mark.parametrize("space", [VECTOR, PICTURE], ids=["vector", "picture"])
def test_an_agent_that_sees_two_frames_is_looked_at_with_the_frame_before(space, tmp_path):
    gymnasium.register("Framed-v0", lambda: World(space, CHOICE))
    policy = "CnnPolicy" if space is PICTURE else "MlpPolicy"
    env = VecFrameStack(
        DummyVecEnv([lambda: World(space, CHOICE)]), 2, channels_order="first" if space is PICTURE else None
    )
    shaken(sb3.DQN(policy, env, buffer_size=10, seed=0, **small())).save(tmp_path / "5.zip")
    run = {**MINE, "files": "5.zip", "frames": 2}
    weights = parameters(planned(tmp_path, run, environments={"world": {**WORLD, "id": "Framed-v0"}}), tmp_path)
    ((_, _, subject),) = subjects(weights, "cpu")
    played = Room(table("Framed-v0", 3)).play(subject, keep=True)
    shown = chosen_of(subject, played, 12)
    for state, episode, step in zip(shown.state[:, 0], shown.episode, shown.step, strict=True):
        before = played.seen[episode][step - 1] if step else np.zeros(space.shape)
        np.testing.assert_allclose(state, before, rtol=1e-6)
    sizes = depends(subject, shown.observations, shown.state)["choice"]
    assert len(sizes) == 12
    assert (sizes.sum(axis=(1, 2)) > 0).mean() > 0.5  # all units may be silent somewhere
    layers = [subject.hidden(shown.observations, state) for state in (shown.state, None)]
    differ = [not np.allclose(*(values[name] for values in layers)) for name in layers[0]]
    assert all(differ)
    del gymnasium.registry["Framed-v0"]


def test_maps_of_a_picture_are_drawn_beside_their_twins_in_one_scale():
    shares = {-1: np.eye(4) / 4, 0: np.full((4, 4), 1 / 16), 1: np.full((4, 4), 1 / 16)}
    rows = [
        kinds.inside.SALIENT.table(
            run="mine",
            seed=0,
            update=5 * (twin < 0),
            agent="trained" if twin < 0 else "untrained",
            twin=twin,
            output="choice",
            rows=4,
            columns=4,
            values=shares_of_twin[None],
            observations=np.array([9]),
        )
        for twin, shares_of_twin in shares.items()
    ]
    figure = draw.saliency(Table(kinds.inside.SALIENT, rows=pa.concat_tables(rows)), run="mine")
    agent, twins = (ax.images[0] for ax in figure.axes[:2])
    np.testing.assert_allclose(agent.get_array(), shares[-1])
    np.testing.assert_allclose(twins.get_array(), shares[0])
    assert agent.get_clim() == twins.get_clim() == (0, 0.25)
    assert figure.axes[1].get_title() == "mean of 2 untrained twins"


def test_edits_find_the_unit_and_the_direction_that_act(planted):
    effects = Table(kinds.inside.ACTIVATION_EDITS, rows=[*edits(planted, labels="planted.labels", **given())])
    agent = effects.where(twin=-1, layer="policy.body.2").frame()
    directions = agent[agent["edit"] == "direction"].set_index("label")
    assert directions.loc["right", "effect"] > directions.loc["right", "random"] + 0.1
    assert directions.loc["same sign", "effect"] < 0.15
    clamped = agent[agent["edit"] == "clamped"].set_index("unit")["effect"]
    assert set(clamped[clamped > 0].index) == {2, 3}
    resampled = agent[agent["edit"] == "resampled"]["effect"].item()
    assert resampled == pytest.approx(0.5, abs=0.1)
    assert set(agent["measure"]) == {"changed choices"}
    values = edit_ranks(effects).to_pandas().set_index(["layer", "quantity"])["value"]
    assert values["policy.body.2", "direction right"] > values["policy.body.2", "direction same sign"] + 0.1


def test_an_edit_is_ranked_beside_a_random_one_however_small_a_head_is():
    """Heads of A2C and PPO begin a hundred times smaller: by its effect alone each agent would be above its twins."""
    effects = {-1: (0.4, 0.4), 0: (0.006, 0.002), 1: (0.001, 0.003), 2: (0.0, 0.0)}
    rows = [
        ("mine", 0, 0 if twin >= 0 else 5, "untrained" if twin >= 0 else "trained", twin, "policy.body.0")
        + ("direction", "right", -1, 1.0, "total variation", *pair)
        for twin, pair in effects.items()
    ]
    rows += [(*row[:6], "clamped", "", unit, 1.0, "total variation", 0.1, 0.1) for row in rows for unit in (0, 1)]
    table = Table(kinds.inside.ACTIVATION_EDITS, rows=table_of(kinds.inside.ACTIVATION_EDITS, rows))
    ranks = edit_ranks(table).to_pandas().set_index("quantity")
    assert ranks.loc["direction right", ["value", "untrained", "above"]].tolist() == [0.5, 0.5, 0.5]
    assert ranks.loc["clamped, largest share", "value"] == 0.5


@pytest.mark.parametrize(
    ("lens", "rank"), [("probes", "probe_ranks"), ("edits", "edit_ranks"), ("saliency", "saliency_ranks")]
)
def test_a_lens_goes_from_checkpoints_to_ranks_and_a_figure(lens, rank, trained, tmp_path):
    study = planned(
        trained,
        MINE,
        checkpoints={"found": {"use": f"lenses.inside.{lens}.{lens}", "of": ["mine"], "twins": 2, "count": 60}},
        metrics={"ranks": {"use": f"lenses.inside.measure.{rank}", "from": ["found"]}},
        figures={"figure": {"use": f"lenses.inside.draw.{lens}", "from": ["found"], "run": "mine", "caption": "c"}},
    )
    parameters(study, tmp_path)
    with contextlib.chdir(tmp_path):
        for stage in ("checkpoints", "metrics", "figures"):
            for name in study.names(stage):
                runners.run(study.job(stage, name))
        ranks = pd.read_parquet(study.job("metrics", "ranks").outputs[0])
        assert all(Path(output).stat().st_size for output in study.job("figures", "figure").outputs)
    assert set(ranks["twins"]) == {2}
    assert np.isfinite(ranks["value"]).all()


def test_the_control_of_an_edit_is_as_long():
    change = np.random.default_rng(0).normal(size=(7, 5))
    control = of_equal_norm(change, np.random.default_rng(1))
    np.testing.assert_allclose(*(np.linalg.norm(rows, axis=1) for rows in (change, control)))
    assert np.abs(control - change).max() > 0.1


def test_labels_become_what_is_there_or_not():
    masks = classes({"sort": np.array(["a", "b", "b"]), "x": np.array([0.0, 1, 2]), "all": np.array([True] * 3)})
    assert {name: mask.tolist() for name, mask in masks.items()} == {
        "sort a": [True, False, False],
        "sort b": [False, True, True],
        "x": [False, False, True],
    }


def test_labels_of_a_module_that_nobody_named_are_refused(planted):
    with pytest.raises(ValueError, match="allowed: MODULE.FUNCTION"):
        [*probes(planted, labels="os.getcwd", **given())]
