"""The path view: a planted path of small policies in a task that ends soon, beside numpy's own decomposition."""

import shutil

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.events import Pan, PanEnd

from agentomy import kinds, tables
from agentomy.checkpoints import path as checkpoints
from agentomy.checkpoints import rollouts
from agentomy.environments import control
from agentomy.explorer import path, paths
from agentomy.explorer.pages import fill
from agentomy.explorer.results import Results
from agentomy.seeds import Streams
from tests.explorer.test_server import said

TASK, INPUTS, OUTPUTS, WIDTH = "Hopper-v5", 11, 3, 8  # untrained, it falls soon
UPDATES, SEEDS, EPISODES = [0, 10, 20, 30, 40, 50], [2, 4], 3
BOUNDS = {"low": [-1.0] * OUTPUTS, "high": [1.0] * OUTPUTS}
NETWORK = {"use": "continuous.Actor", "inputs": INPUTS, "outputs": OUTPUTS, "widths": [WIDTH], **BOUNDS}
SHAPES = {
    "layer1.weight": (WIDTH, INPUTS), "layer1.bias": (WIDTH,), "layer2.weight": (OUTPUTS, WIDTH),
    "layer2.bias": (OUTPUTS,),
}  # fmt: skip


class Silent:
    def step(self, *arguments) -> None:
        pass


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    """Tensor → [T, S, *shape]."""
    rng = np.random.default_rng(3)
    size = (len(UPDATES), len(SEEDS))
    return {name: rng.normal(size=(*size, *shape)).cumsum(axis=0).astype("f4") for name, shape in SHAPES.items()}


@pytest.fixture(scope="module")
def planted(weights, tmp_path_factory) -> Results:
    folder = tmp_path_factory.mktemp("path") / "results"
    study, given = folder / "smoke" / "path", {"task": TASK, "episodes": EPISODES}
    environment = {"study": "path", "name": "hopper", "use": "control.mujoco", "parameters": given}
    rows = control.mujoco(**given, streams=Streams("path", "hopper", 0))
    tables.write(study / "environments" / "hopper.parquet", kinds.EPISODES, rows, environment)
    pieces = [
        kinds.PARAMETERS.table(seed=np.array(SEEDS), update=update, **{n: w[t] for n, w in weights.items()})
        for t, update in enumerate(UPDATES)
    ]
    file = study / "training" / "hopper.parameters.parquet"
    tables.write(file, kinds.PARAMETERS, pieces, {"network": NETWORK, "environment": environment})
    parameters = tables.Table(kinds.PARAMETERS, [file])
    for name, part in (("gram", ""), ("gram-pixels", "layer2")):
        source = {"use": "path.gram", "parameters": {"part": part} if part else {}}
        streams = Streams("path", "gram", 0)
        made = checkpoints.gram(parameters, part=part, run="hopper", streams=streams, progress=Silent())
        tables.write(study / "checkpoints" / f"{name}.parquet", kinds.GRAM, made, source)
        if part:
            (study / "checkpoints" / f"{name}.parquet").rename(folder.parent / f"{name}.parquet")  # for one test
    return Results(folder, "smoke")


def matrix(weights, seed: int) -> np.ndarray:
    """The path of a seed [T, P], its tensors in the order of their names."""
    at = SEEDS.index(seed)
    return np.concatenate([weights[name][:, at].reshape(len(UPDATES), -1) for name in SHAPES], axis=1).astype(float)


def opened(results: Results) -> Document:
    document = Document()
    fill(document, results)
    tabs = document.get_model_by_name("tabs")
    tabs.active = [tab.title for tab in tabs.tabs].index(path.NAME)
    return document


def press(document: Document, *keys: str) -> None:
    bridge = document.get_model_by_name("keys")
    for key in keys:
        bridge.value = f"{int(bridge.value.partition(':')[0] or 0) + 1}:{key}"


def text(document: Document, name: str = "path-status") -> str:
    return document.get_model_by_name(name).text


def test_the_directions_are_numpys_and_nulls_have_theirs(planted, weights):
    route = paths.routes(planted)["path: hopper"]
    walk = paths.walk(planted, route, 4)
    plain = matrix(weights, 4)
    for variant, rows in (("raw", plain), ("delta", plain - plain[0])):
        left, values, _ = np.linalg.svd(rows, full_matrices=False)
        found = walk.spectra[variant]["real"]
        np.testing.assert_allclose(found.values[:5], values[:5], rtol=1e-6)
        np.testing.assert_allclose(np.abs(found.courses[:, :5]), np.abs(left[:, :5]), atol=1e-6)
        assert found.share(2) == pytest.approx(values[1] / values.sum(), rel=1e-4)
        for null in ("walk", "shuffled"):
            assert not np.allclose(walk.spectra[variant][null].courses[:, 1], found.courses[:, 1], atol=0.01)
    assert [walk.place(update) for update in (0, 31, 99)] == [0, 3, 5]


def test_a_policy_is_rebuilt_from_its_directions(planted, weights):
    route = paths.routes(planted)["path: hopper"]
    courses = paths.walk(planted, route, 4).spectra["raw"]["real"].courses
    player, plain = paths.player(planted, route, 4), matrix(weights, 4)
    left, values, right = np.linalg.svd(plain, full_matrices=False)

    def flat(theta):
        return np.concatenate([theta[name].ravel() for name in SHAPES])

    np.testing.assert_array_equal(flat(player.snapshot(3)), plain[3])
    for kept in (1, 2, 6):
        expected = (left[3, :kept] * values[:kept]) @ right[:kept]
        np.testing.assert_allclose(flat(player.rebuilt(3, courses[3, :kept], courses)), expected, atol=1e-5)
    moved = courses[3, :3].copy()
    moved[1] += 0.1
    step = flat(player.rebuilt(3, moved, courses)) - flat(player.rebuilt(3, courses[3, :3], courses))
    np.testing.assert_allclose(np.abs(step), np.abs(0.1 * values[1] * right[1]), atol=1e-5)


def test_only_the_tensors_of_the_path_move(planted, tmp_path):
    shutil.copytree(planted.root, tmp_path / "results")
    results = Results(tmp_path / "results", "smoke")
    results.path("path", "checkpoints", "gram").unlink()
    shutil.copy(planted.root.parent / "gram-pixels.parquet", results.folder / "path" / "checkpoints")
    route = paths.routes(results)["path: hopper"]
    player = paths.player(results, route, 2)
    courses = paths.walk(results, route, 2).spectra["raw"]["real"].courses
    theta, snapshot = player.rebuilt(1, 2 * courses[1], courses), player.snapshot(1)
    np.testing.assert_array_equal(theta["layer1.weight"], snapshot["layer1.weight"])
    np.testing.assert_allclose(theta["layer2.weight"], 2 * snapshot["layer2.weight"], atol=1e-5)


def test_it_plays_what_the_pipeline_plays(planted):
    route = paths.routes(planted)["path: hopper"]
    played = paths.player(planted, route, 4)
    parameters = tables.Table(kinds.PARAMETERS, [route.run.files[4]])
    episodes = tables.Table(kinds.EPISODES, [planted.path("path", "environments", "hopper")])
    made = next(iter(rollouts.returns(parameters, episodes, every=50, run="r", device="cpu", progress=Silent())))
    rows = made.to_pandas().query("seed == 4")
    found = played.play(played.snapshot(0), EPISODES)
    np.testing.assert_allclose(found.returns, rows["return"], rtol=1e-4)
    np.testing.assert_array_equal(found.lengths, rows["length"])
    assert found.actions.shape == (OUTPUTS, found.lengths[0])
    assert found.observations.shape == (found.lengths[0], INPUTS)
    assert np.abs(found.actions).max() <= 1


def test_keys_and_drags_move_the_point_and_play(planted):
    document = opened(planted)
    assert "Nothing played yet" in text(document)
    press(document, "ArrowRight", "ArrowUp")
    assert "Nothing played yet" in text(document)  # moving alone plays nothing
    press(document, "Enter")
    first = text(document)
    assert "the snapshot: mean return" in first
    assert "the policy at the point: mean return" in first
    assert first.count(f"n = {EPISODES} episodes") == 2
    plane = document.get_model_by_name("path-plane")
    for event in (Pan(plane, x=0.2, y=-0.3), Pan(plane, x=0.3, y=-0.4)):
        plane._trigger_event(event)
    assert text(document) == first
    plane._trigger_event(PanEnd(plane, x=0.9, y=0.9))
    assert text(document) != first
    assert "Nothing" not in text(document)
    press(document, "[")
    assert document.get_model_by_name("path-update").value == "40"
    assert "Nothing played yet" in text(document)
    document.get_model_by_name("path-kept").value = len(UPDATES)
    press(document, "Enter")  # all directions and the snapshot's own place: the snapshot
    one, other = text(document).partition("; the policy at the point: ")[::2]
    assert one == f"the snapshot: {other}"


def test_without_paths_it_says_so(results):
    assert "no path of a policy" in said(results)


@pytest.mark.parametrize(
    ("stage", "name", "damage", "message"),
    [
        ("checkpoints", "gram", lambda file: file.unlink(), "no path of a policy"),
        ("checkpoints", "gram", lambda file: file.write_text("hello"), "gram.parquet: not a whole Parquet file"),
        ("environments", "hopper", lambda file: file.unlink(), "hopper.parquet: no such file"),
        ("environments", "hopper", lambda file: file.write_text("hello"), "not a whole Parquet file"),
        ("environments", "hopper", lambda file: _write(file, "nothing.there"), "path: hopper: cannot be played here"),
        ("environments", "hopper", lambda file: _write(file, "arcade.minatar"), "path: hopper: cannot be played here"),
    ],
)
def test_missing_broken_or_foreign_files_are_a_message(planted, tmp_path, stage, name, damage, message):
    shutil.copytree(planted.root, tmp_path / "results")
    results = Results(tmp_path / "results", "smoke")
    damage(results.path("path", stage, name))
    document = opened(results)
    if stage == "environments":
        press(document, "Enter")
        assert message in text(document, "said")
    else:
        assert message in said(results)


def _write(file, use: str) -> None:
    table = tables.Table(kinds.EPISODES, [file])
    pieces = [piece.replace_schema_metadata(None) for piece in table.groups()]
    tables.write(file, kinds.EPISODES, pieces, {"use": use, "parameters": {"task": TASK}})


def test_pictures_are_upright_and_in_their_colours():
    kinds_of = np.zeros((3, 3, 2), bool)
    kinds_of[0, 2, 1] = True  # top right, of the second kind
    np.testing.assert_array_equal(path.pictured(kinds_of)["picture"], [[0, 0, 0], [0, 0, 0], [0, 0, 2]])
    frames = np.zeros((6, 4, 5), np.uint8)
    frames[3, 0, 0], frames[5, 3, 4] = 255, 255  # of the last frame: red at the top left, blue at the bottom right
    found = path.pictured(frames)["colours"].view(np.uint8).reshape(4, 5, 4)
    assert found[3, 0].tolist() == [255, 0, 0, 255]
    assert found[0, 4].tolist() == [0, 0, 255, 255]
    assert found[1, 1].tolist() == [0, 0, 0, 255]
