"""The path view: a planted path of small policies in a task that ends soon, beside numpy's own decomposition."""

import html
import re
import shutil

import numpy as np
import pytest
from bokeh.events import Pan, PanEnd, Tap
from bokeh.models import Div

from agentomy import kinds, tables
from agentomy.descriptions import Task
from agentomy.explorer import behaviour, path, paths, players
from agentomy.explorer.results import Results, Run
from agentomy.lenses import rollouts
from agentomy.lenses.paths import extract as checkpoints
from agentomy.seeds import Streams
from tests.described import extracted
from tests.explorer.agents import (
    EPISODES,
    GRAM,
    INPUTS,
    OUTPUTS,
    SEEDS,
    SHAPES,
    TASK,
    UPDATES,
    Silent,
    chosen,
    drifting,
    opened,
    plant_path,
    press,
    pressed,
    settle,
    status,
    text,
)
from tests.explorer.test_server import said

GONE = "no table of the environment in which it learned"


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    return drifting()


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Results:
    return plant_path(tmp_path_factory.mktemp("path") / "results")


def matrix(weights, seed: int) -> np.ndarray:
    """The path of a seed [T, P], its tensors in the order of their names."""
    at = SEEDS.index(seed)
    return np.concatenate([weights[name][:, at].reshape(len(UPDATES), -1) for name in SHAPES], axis=1).astype(float)


def test_the_directions_are_numpys_and_nulls_have_theirs(planted, weights):
    route = chosen(planted)
    walk = paths.walk(planted, route, 4)
    plain = matrix(weights, 4)
    for variant, rows in (("raw", plain), ("delta", plain - plain[0])):
        left, values, _ = np.linalg.svd(rows, full_matrices=False)
        spectrum = walk.spectra[variant]["real"]
        np.testing.assert_allclose(spectrum.values[:5], values[:5], rtol=1e-6)
        np.testing.assert_allclose(np.abs(spectrum.courses[:, :5]), np.abs(left[:, :5]), atol=1e-6)
        assert spectrum.share(2) == pytest.approx(values[1] / values.sum(), rel=1e-4)
        for null in ("walk", "shuffled"):
            assert not np.allclose(walk.spectra[variant][null].courses[:, 1], spectrum.courses[:, 1], atol=0.01)
    assert [walk.place(update) for update in (0, 31, 99)] == [0, 3, 5]


def test_a_policy_is_rebuilt_from_its_directions(planted, weights):
    route = chosen(planted)
    courses = paths.walk(planted, route, 4).spectra["raw"]["real"].courses
    player, plain = players.player(planted, route, 4), matrix(weights, 4)
    left, values, right = np.linalg.svd(plain, full_matrices=False)

    def flat(theta):
        return np.concatenate([theta[name].ravel() for name in SHAPES])

    np.testing.assert_array_equal(flat(player.snapshot(3)), plain[3])
    for kept in (1, 2, 6):
        expected = (left[3, :kept] * values[:kept]) @ right[:kept]
        np.testing.assert_allclose(flat(player.rebuilt(3, courses[3, :kept], courses)), expected, atol=1e-5)
    # of differences from the first snapshot
    delta = paths.walk(planted, route, 4).spectra["delta"]["real"].courses
    left_d, values_d, right_d = np.linalg.svd(plain - plain[0], full_matrices=False)
    expected = plain[0] + (left_d[3, :2] * values_d[:2]) @ right_d[:2]
    np.testing.assert_allclose(flat(player.rebuilt(3, delta[3, :2], delta, "delta")), expected, atol=1e-5)
    moved = courses[3, :3].copy()
    moved[1] += 0.1
    step = flat(player.rebuilt(3, moved, courses)) - flat(player.rebuilt(3, courses[3, :3], courses))
    np.testing.assert_allclose(np.abs(step), np.abs(0.1 * values[1] * right[1]), atol=1e-5)


def test_only_the_tensors_of_the_path_move(planted, tmp_path):
    shutil.copytree(planted.root, tmp_path / "results")
    results = Results(tmp_path / "results", "smoke")
    results.path("path", "checkpoints", GRAM).unlink()
    pixels = results.path("path", "checkpoints", "gram-pixels/hopper.seeds2-4")
    pixels.parent.mkdir()
    shutil.copy(planted.root.parent / "gram-pixels.parquet", pixels)
    route = chosen(results)
    player = players.player(results, route, 2)
    courses = paths.walk(results, route, 2).spectra["raw"]["real"].courses
    theta, snapshot = player.rebuilt(1, 2 * courses[1], courses), player.snapshot(1)
    np.testing.assert_array_equal(theta["layer1.weight"], snapshot["layer1.weight"])
    np.testing.assert_allclose(theta["layer2.weight"], 2 * snapshot["layer2.weight"], atol=1e-5)


def test_it_plays_what_the_pipeline_plays(planted):
    route = chosen(planted)
    played = players.player(planted, route, 4)
    parameters = tables.Table(kinds.common.PARAMETERS, [route.run.files[4]])
    episodes = tables.Table(kinds.paths.EPISODES, [planted.path("path", "environments", "hopper")])
    batch = next(iter(rollouts.returns(parameters, episodes, every=50, run="r", device="cpu", progress=Silent())))
    rows = batch.to_pandas().query("seed == 4")
    episode = played.play(played.snapshot(0), EPISODES)
    np.testing.assert_allclose(episode.returns, rows["return"], rtol=1e-4)
    np.testing.assert_array_equal(episode.lengths, rows["length"])
    assert episode.actions.shape == (OUTPUTS, episode.lengths[0])
    assert episode.observations.shape == (episode.lengths[0], INPUTS)
    assert np.abs(episode.actions).max() <= 1


def test_keys_and_drags_move_the_point_and_play(planted):
    document = opened(planted, path.NAME)
    assert "Nothing played yet" in status(document)
    press(document, "ArrowRight", "ArrowUp")
    assert "Nothing played yet" in status(document)  # moving alone plays nothing
    first = pressed(document, "Enter")
    assert "the snapshot: mean return" in first
    assert "the policy at the point: mean return" in first
    assert first.count(f"n = {EPISODES} episodes") == 2
    plane = document.get_model_by_name("path-plane")
    for event in (Pan(plane, x=0.2, y=-0.3), Pan(plane, x=0.3, y=-0.4)):
        plane._trigger_event(event)
    settle(document)
    assert status(document) == first
    plane._trigger_event(PanEnd(plane, x=0.9, y=0.9))
    settle(document)
    assert status(document) != first
    assert "Nothing" not in status(document)
    press(document, "[")
    assert document.get_model_by_name("path-update").value == "40"
    assert "Nothing played yet" in status(document)
    document.get_model_by_name("path-kept").value = len(UPDATES)
    # all directions and the snapshot's own place: the snapshot
    one, other = pressed(document, "Enter").partition("; the policy at the point: ")[::2]
    assert one == f"the snapshot: {other}"


def test_work_is_announced_and_done_once(planted, monkeypatch):
    played, play = [], players.Actor.play
    monkeypatch.setattr(players.Actor, "play", lambda *given: played.append(0) or play(*given))
    document = opened(planted, path.NAME)
    plane = document.get_model_by_name("path-plane")

    def tap(x: float) -> None:
        plane._trigger_event(Tap(plane, x=x, y=0.1))

    for _ in range(3):
        tap(0.2)
        press(document, "Enter")
    assert "playing" in status(document)
    assert played == []
    settle(document)
    assert len(played) == 2  # the snapshot and the point, once each
    press(document, "Enter")  # this has been played
    assert document.session_callbacks == []
    # what a visitor does during the work is heard after it: clicks count for nothing, of drags the last
    for x, count in ((0.3, 3), (0.4, 4)):
        tap(x)
        (begin,) = document.session_callbacks
        begin.callback()
        assert len(played) == count
        tap(0.6)
        if x == 0.4:
            for there in (0.7, 0.5):
                plane._trigger_event(Pan(plane, x=there, y=0.1))
                plane._trigger_event(PanEnd(plane, x=there, y=0.1))
        settle(document)
    assert len(played) == 5
    assert list(plane.renderers[2].data_source.data["x"]) == [0.2, 0.3, 0.4, 0.5]


# ---- paths without a table ------------------------------------------------------------------------------------------


def without_table(planted, folder) -> Results:
    shutil.copytree(planted.root, folder / "results")
    results = Results(folder / "results", "smoke")
    results.path("path", "checkpoints", GRAM).unlink()
    return results


def test_without_a_table_the_path_is_what_the_pipeline_makes_of_it(planted, tmp_path):
    results = without_table(planted, tmp_path)
    route = chosen(results)
    assert not route.grams
    parameters = tables.Table(kinds.common.PARAMETERS, [route.run.files[4]])
    streams = Streams("path", "explorer.hopper", 0)
    gram = checkpoints.gram(parameters, run="hopper", streams=streams, progress=Silent())
    table = results.root / "gram.parquet"
    tables.write(table, kinds.paths.GRAM, gram, extracted("hopper", part=""))
    wanted = paths.walk(results, paths.Route(route.run, {4: table}), 4)
    computed = paths.walk(results, route, 4)
    np.testing.assert_array_equal(computed.updates, wanted.updates)
    for variant, spectra in wanted.spectra.items():
        for name, spectrum in spectra.items():
            rebuilt = computed.spectra[variant][name]
            np.testing.assert_allclose(rebuilt.values[:5], spectrum.values[:5], rtol=1e-6)
            np.testing.assert_allclose(np.abs(rebuilt.courses[:, :5]), np.abs(spectrum.courses[:, :5]), atol=1e-6)
    document = opened(results, path.NAME)
    assert "mean return" in pressed(document, "Enter")


def test_nulls_of_unequal_intervals_have_steps_that_grow_as_a_random_walks(planted, tmp_path):
    results = without_table(planted, tmp_path)
    file, updates = chosen(results).run.files[4], np.array([0, 1, 5, 14, 30])
    described, rng = tables.Table(kinds.common.PARAMETERS, [file]).description, np.random.default_rng(0)
    start, drift = ({name: rng.normal(size=(2, *shape)) for name, shape in SHAPES.items()} for _ in range(2))
    grown = np.sqrt(np.diff(updates, prepend=0)).cumsum()  # steps as large as the root of their intervals: no order
    pieces = [
        kinds.common.PARAMETERS.table(
            seed=np.array(SEEDS), update=update, **{name: start[name] + grown[t] * drift[name] for name in SHAPES}
        )
        for t, update in enumerate(updates)
    ]
    tables.write(file, kinds.common.PARAMETERS, pieces, described)
    results = Results(results.root, "smoke")
    spectra = paths.walk(results, chosen(results), 4).spectra["delta"]
    np.testing.assert_allclose(spectra["real"].courses[:, 0], grown / np.linalg.norm(grown), atol=1e-5)
    np.testing.assert_allclose(spectra["shuffled"].values[0], spectra["real"].values[0], rtol=1e-5)
    np.testing.assert_allclose(spectra["shuffled"].courses[:, 0], spectra["real"].courses[:, 0], atol=1e-5)
    assert spectra["walk"].values[1] > 0.1 * spectra["walk"].values[0]  # and the other null is no line


def test_a_large_run_is_left_to_the_pipeline(planted, tmp_path, monkeypatch):
    results = without_table(planted, tmp_path)
    monkeypatch.setattr(paths, "LARGEST", 0.001)
    document = opened(results, path.NAME)
    entry = "path-hopper: {use: lenses.paths.extract.gram, of: \\[hopper\\]}"
    wanted = f"too many to decompose in a page.*{entry}.*workflow/studies/path"
    assert re.search(wanted, html.unescape(text(document, "path-reason")))
    press(document, "Enter", "ArrowUp", "r")  # there is nothing to play
    assert document.session_callbacks == []


@pytest.mark.parametrize(
    ("network", "line"),
    [
        ("continuous.Actor", ""), ("q_network.QNetwork", ""), ("pixels.PixelActor", ""), ("impala.ImpalaStack", ""),
        ("classifier.Averaged", "time courses only, since Averaged is no policy"),
        ("recurrent.LSTMNetwork", "time courses only"), ("world_model.WorldModel", "time courses only"),
        ("nothing.There", "no network 'nothing.There'"), ("", "no network"),
    ],
)  # fmt: skip
def test_what_is_no_policy_is_said(network, line):
    why = players.why_not(Run("s", "r", {}, (0,), {"use": network}, {}))
    assert line in why
    assert bool(why) == bool(line)


def test_what_a_file_says_of_its_network_is_text_on_the_page(planted, tmp_path):
    results = Results(shutil.copytree(planted.root, tmp_path / "results"), planted.scale)
    for file in results.folder.glob("*/training/*.parameters.parquet"):
        table = tables.Table(kinds.common.PARAMETERS, [file])
        named = {**table.description.network, "use": "<img src=x onerror=alert(1)>.There"}
        pieces = [rows.replace_schema_metadata(None) for rows in table.groups()]
        tables.write(file, kinds.common.PARAMETERS, pieces, table.description.model_copy(update={"network": named}))
    document = opened(results, "path")
    assert "no network '<img src=x" in html.unescape(text(document, "path-reason"))
    assert "<img" not in str(document.to_json())


# ---- files ----------------------------------------------------------------------------------------------------------


def test_without_paths_it_says_so(results):
    assert "no run with 4 snapshots" in said(results)


@pytest.mark.parametrize(
    ("stage", "name", "damage", "message"),
    [
        ("checkpoints", GRAM, lambda file: file.write_text("hello"), f"{GRAM}.parquet: not a whole Parquet file"),
        ("environments", "hopper", lambda file: file.unlink(), GONE),
        ("environments", "hopper", lambda file: file.write_text("hello"), "not a whole Parquet file"),
        (
            "environments",
            "hopper",
            lambda file: _write(file, "nothing.there"),
            GONE,
        ),
        (
            "environments",
            "hopper",
            lambda file: _write(file, "arcade.minatar"),
            GONE,
        ),
    ],
)
def test_missing_broken_or_foreign_files_are_a_message(planted, tmp_path, stage, name, damage, message):
    shutil.copytree(planted.root, tmp_path / "results")
    results = Results(tmp_path / "results", "smoke")
    damage(results.path("path", stage, name))
    document = opened(results, path.NAME)
    told = pressed(document, "Enter")
    if stage == "environments":
        assert message in text(document, "path-reason")
        assert "Nothing played yet" in told
    else:
        tabs = document.get_model_by_name("tabs")
        assert any(message in div.text for div in tabs.tabs[tabs.active].child.select({"type": Div}))
        assert "mean return" in told  # of the path made here


def _write(file, use: str) -> None:
    table = tables.Table(kinds.paths.EPISODES, [file])
    pieces = [piece.replace_schema_metadata(None) for piece in table.groups()]
    tables.write(file, kinds.paths.EPISODES, pieces, Task(use=use, parameters={"task": TASK}))


def test_pictures_are_upright_and_in_their_colours():
    kinds_of = np.zeros((3, 3, 2), bool)
    kinds_of[0, 2, 1] = True  # top right, of the second kind
    np.testing.assert_array_equal(behaviour.pictured(kinds_of)["picture"], [[0, 0, 0], [0, 0, 0], [0, 0, 2]])
    frames = np.zeros((6, 4, 5), np.uint8)
    frames[3, 0, 0], frames[5, 3, 4] = 255, 255  # of the last frame: red at the top left, blue at the bottom right
    pixels = behaviour.pictured(frames)["colours"].view(np.uint8).reshape(4, 5, 4)
    assert pixels[3, 0].tolist() == [255, 0, 0, 255]
    assert pixels[0, 4].tolist() == [0, 0, 255, 255]
    assert pixels[1, 1].tolist() == [0, 0, 0, 255]
