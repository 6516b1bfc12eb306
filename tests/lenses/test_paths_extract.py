"""Policy paths: reading in pieces, nulls, Gram matrices, moves and dead units."""

from types import SimpleNamespace

import numpy as np
import pytest

from agentomy import kinds
from agentomy.lenses.paths import extract
from agentomy.lenses.paths.temporal import temporal_svd
from agentomy.seeds import Streams
from agentomy.tables import Table, write
from tests.described import trained

STREAMS = Streams("test", "run", 0)
SHAPES = {"layer1.weight": (300, 250), "layer1.bias": (300,), "layer2.weight": (2, 300), "layer2.bias": (2,)}


def walks(rng, seeds, snapshots=12):
    """A random walk of every tensor, each [T, seeds, *shape]."""
    return {
        name: rng.normal(size=(snapshots, seeds, *shape)).cumsum(axis=0, dtype=np.float32)
        for name, shape in SHAPES.items()
    }


def stored(folder, paths, *groups, every=10):
    """Parameters tables in files, one for each group of seeds."""
    for number, seeds in enumerate(groups):
        rows = (
            kinds.common.PARAMETERS.table(
                seed=np.array(seeds), update=every * t, **{k: v[t, seeds] for k, v in paths.items()}
            )
            for t in range(len(paths["layer1.bias"]))
        )
        write(folder / f"{number}.parquet", kinds.common.PARAMETERS, rows, trained())
    return Table(kinds.common.PARAMETERS, [folder / f"{number}.parquet" for number in range(len(groups))])


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def grams(table, quiet, **options):
    rows = extract.gram(table, run="r", streams=STREAMS, progress=quiet, **options)
    return {(cell["seed"], cell["path"], cell["layer"]): cell for row in rows for cell in row.to_pylist()}


def test_a_path_in_several_files_and_split_columns_gives_the_gram_of_the_whole(rng, tmp_path, quiet):
    paths = walks(rng, 3)
    table = stored(tmp_path, paths, [0, 2], [1])
    assert "layer1.weight[1]" in extract.columns_of(table)
    by_layer = grams(table, quiet)
    for seed in range(3):
        for layer in ("layer1", "layer2"):
            flat = np.concatenate([v[:, seed].reshape(12, -1) for k, v in paths.items() if layer in k], 1).astype(float)
            row = by_layer[seed, "real", layer]
            delta = flat - flat[0]
            np.testing.assert_allclose(np.reshape(row["delta"], (12, 12)), delta @ delta.T, rtol=1e-9)
            start = np.array(row["start"])
            raw = np.reshape(row["delta"], (12, 12)) + start + start[:, None] + row["origin"]
            np.testing.assert_allclose(raw, flat @ flat.T, rtol=1e-9, atol=1e-6)
            assert row["size"] == flat.shape[1]
            values, courses = temporal_svd(delta @ delta.T)
            left, exact, _ = np.linalg.svd(delta, full_matrices=False)
            np.testing.assert_allclose(values[:11], exact[:11], rtol=1e-9)
            np.testing.assert_allclose(np.abs((courses * left).sum(axis=0))[:11], 1, rtol=1e-6)


def test_a_part_takes_only_its_tensors(rng, tmp_path, quiet):
    by_layer = grams(stored(tmp_path, walks(rng, 1), [0]), quiet, part="layer2")
    assert {layer for _, _, layer in by_layer} == {"layer2"}


def test_unequal_intervals_are_refused(quiet):
    rows = kinds.common.PARAMETERS.table(seed=0, update=np.array([0, 1, 2, 4]), **{"layer1.bias": np.zeros((4, 2))})
    with pytest.raises(ValueError, match="run 'r'.*equal intervals"):
        grams(Table(kinds.common.PARAMETERS, rows=rows), quiet)


def test_intervals_may_be_rounded_as_an_even_number_of_snapshots_is(rng, quiet):
    values = rng.normal(size=(7, 2))
    for updates, allowed in (([0, 8, 16, 24, 33, 41, 49], True), ([0, 8, 16, 24, 32, 40, 49], False)):
        rows = kinds.common.PARAMETERS.table(seed=0, update=np.array(updates), **{"layer1.bias": values})
        if allowed:
            assert grams(Table(kinds.common.PARAMETERS, rows=rows), quiet)[0, "real", "layer1"]["updates"] == updates
        else:
            with pytest.raises(ValueError, match="equal intervals"):
                grams(Table(kinds.common.PARAMETERS, rows=rows), quiet)


@pytest.mark.slow
def test_a_path_since_an_update_is_that_of_later_snapshots_alone(rng, tmp_path, quiet):
    """Here all rests until the sixth snapshot; with that rest it has fewer directions than its null, without not."""
    moving = walks(rng, 2, snapshots=30)
    resting = {name: np.concatenate([values[:1].repeat(5, axis=0), values]) for name, values in moving.items()}
    for name, paths in (("whole", moving), ("rested", resting)):
        (tmp_path / name).mkdir()
        stored(tmp_path / name, paths, [0], [1])
    whole, rested = (
        Table(kinds.common.PARAMETERS, [tmp_path / name / f"{number}.parquet" for number in range(2)])
        for name in ("whole", "rested")
    )
    later, expected = grams(rested, quiet, since=45), grams(whole, quiet)
    assert later[0, "real", "layer1"]["updates"] == list(np.arange(50, 350, 10))
    for key, row in expected.items():
        np.testing.assert_array_equal(later[key]["delta"], row["delta"])
    assert grams(rested, quiet, since=50) == later  # a snapshot at that very update is one of them
    with pytest.raises(ValueError, match="at least 4 snapshots from update 320 on"):
        grams(rested, quiet, since=320)

    def rank(row) -> int:
        return np.linalg.matrix_rank(np.reshape(row["delta"], (len(row["updates"]),) * 2), tol=1e-3)

    for by_path, less in ((grams(rested, quiet), 5), (later, 0)):
        assert rank(by_path[0, "walk", "layer1"]) - rank(by_path[0, "real", "layer1"]) == less


def test_nulls_keep_what_they_should(rng):
    real = (rng.normal(size=(400, 5000)) * np.linspace(0.1, 3, 5000)).cumsum(axis=0).astype(np.float32)
    parts = {kind: [] for kind in extract.PATHS}
    for kind, piece in extract.pieces(real, 3, "layer1.weight", STREAMS):
        parts[kind].append(piece)
    real, walk, shuffled = (np.concatenate(parts[kind], axis=1) for kind in extract.PATHS)
    np.testing.assert_allclose(extract.moved(shuffled)[:2], extract.moved(real)[:2], rtol=1e-6, atol=1e-6)
    assert not np.allclose(shuffled, real)
    sizes = [np.sqrt((np.diff(path, axis=0) ** 2).mean(axis=0)) for path in (real, walk)]
    np.testing.assert_allclose((sizes[1] / sizes[0]).mean(), 1, atol=0.01)
    np.testing.assert_array_equal(walk[0], real[0])


def test_the_null_of_shuffled_steps_is_one_path_of_the_whole_policy(rng):
    """Every tensor's steps come in the same new order; the walks of two tensors have nothing in common."""
    real = rng.normal(size=(60, 5)).cumsum(axis=0)
    tensors = [dict(extract.pieces(real, 3, name, STREAMS)) for name in ("layer1.weight", "layer1.bias")]
    np.testing.assert_array_equal(tensors[0]["shuffled"], tensors[1]["shuffled"])
    steps = [np.diff(tensor["walk"], axis=0).ravel() for tensor in tensors]
    assert abs(np.corrcoef(*steps)[0, 1]) < 0.3
    other = dict(extract.pieces(real, 4, "layer1.weight", STREAMS))  # another seed
    for null in ("walk", "shuffled"):
        assert not np.allclose(other[null], tensors[0][null])


def test_moves_of_a_known_zigzag():
    zigzag = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 2.0], [1.0, 3.0]])
    np.testing.assert_allclose(extract.moved(zigzag), [[3, 3], [1, 3], [1, 0]])


@pytest.mark.parametrize("channels_last", [False, True])
def test_planted_dead_units_mark_their_weights(channels_last):
    shapes = {"conv.weight": (2, 1, 3, 3), "conv.bias": (2,), "out.weight": (3, 8), "out.bias": (3,)}
    silent = np.array([[0, 1], [0, 1], [1, 1], [0, 1]], bool)  # [places, filters]: the second filter never fires
    masks = extract.marked(shapes, {"conv": (silent if channels_last else silent.T).ravel()}, channels_last)
    np.testing.assert_array_equal(masks["conv.bias"], [0, 1])
    np.testing.assert_array_equal(masks["conv.weight"], np.repeat([0, 1], 9))
    inputs = [0, 1] * 4 if channels_last else [0] * 4 + [1] * 4
    np.testing.assert_array_equal(masks["out.weight"].reshape(3, 8), [inputs] * 3)
    assert not masks["out.bias"].any()


def test_moves_of_a_stack_with_a_planted_dead_unit(rng, tmp_path, quiet):
    """The biases of unit 2 are far below 0, so that it never fires."""
    shapes = {"layer1.weight": (4, 3), "layer1.bias": (4,), "layer2.weight": (2, 4), "layer2.bias": (2,)}
    network = {"use": "continuous.Actor", "inputs": 3, "outputs": 2, "widths": [4], "low": [-1] * 2, "high": [1] * 2}
    values = {name: rng.normal(size=(7, 2, *shape)) for name, shape in shapes.items()}
    values["layer1.bias"] += 10
    values["layer1.bias"][:, :, 2] = -100
    rows = [
        kinds.common.PARAMETERS.table(seed=np.arange(2), update=t, **{k: v[t] for k, v in values.items()})
        for t in range(7)
    ]
    write(tmp_path / "path.parquet", kinds.common.PARAMETERS, rows, trained(network))
    table = Table(kinds.common.PARAMETERS, [tmp_path / "path.parquet"])
    shown = {"seed": [0, 1], "observations": rng.normal(size=(2, 50, 3)) / 9, "actions": [[0.0]] * 2}
    seen = kinds.paths.DEMONSTRATIONS.table(run="r", episode=0, **shown, **{"return": 0.0})
    clones = Table(kinds.paths.DEMONSTRATIONS, rows=seen)
    given = {"run": "r", "streams": STREAMS, "device": "cpu", "progress": quiet}
    moves = [row for rows in extract.moves_of_clones(table, clones, **given) for row in rows.to_pylist()]
    assert len(moves) == 2 * 3 * 4 * 4
    for row in moves:
        if row["tensor"] == "layer1.bias":
            assert row["dead"] == [0, 0, 1, 0]
        if row["tensor"] == "layer2.weight":
            assert row["dead"] == [0, 0, 1, 0] * 2
        if (row["path"], row["period"]) == ("real", "third"):
            steps = np.diff(values[row["tensor"]][4:, row["seed"]].reshape(3, -1).astype(np.float32), axis=0)
            np.testing.assert_allclose(row["accumulated"], np.abs(steps).sum(axis=0), rtol=1e-5)


def test_a_unit_is_dead_in_a_period_if_it_never_fires_at_its_end(rng, tmp_path, quiet):
    """Units 0, 1 and 2 rest at the end of one third each; unit 3 is always silent on half the states."""
    shapes = {"layer1.weight": (4, 3), "layer1.bias": (4,), "layer2.weight": (2, 4), "layer2.bias": (2,)}
    network = {"use": "continuous.Actor", "inputs": 3, "outputs": 2, "widths": [4], "low": [-1] * 2, "high": [1] * 2}
    values = {name: rng.normal(size=(7, 1, *shape)) for name, shape in shapes.items()}
    values["layer1.weight"][:] = 0
    values["layer1.weight"][:, :, 3, 0] = 1
    values["layer1.bias"][:] = [10, 10, 10, 0]
    for unit, end in enumerate((2, 4, 6)):
        values["layer1.bias"][end, 0, unit] = -100
    rows = [kinds.common.PARAMETERS.table(seed=[0], update=t, **{k: v[t] for k, v in values.items()}) for t in range(7)]
    write(tmp_path / "path.parquet", kinds.common.PARAMETERS, rows, trained(network))
    table = Table(kinds.common.PARAMETERS, [tmp_path / "path.parquet"])
    states = np.tile([[1.0, 0, 0], [-1.0, 0, 0]], (10, 1))
    seen = kinds.paths.DEMONSTRATIONS.table(
        run="r", episode=0, seed=[0], observations=states[None], actions=[[0.0]], **{"return": 0.0}
    )
    given = {"run": "r", "streams": STREAMS, "device": "cpu", "progress": quiet}
    moves = extract.moves_of_clones(table, Table(kinds.paths.DEMONSTRATIONS, rows=seen), **given)
    dead = {row["period"]: row["dead"] for rows in moves for row in rows.to_pylist() if row["tensor"] == "layer1.bias"}
    assert dead == {"first": [1, 0, 0, 0], "second": [0, 1, 0, 0], "third": [0, 0, 1, 0], "whole": [0, 0, 1, 0]}


ONE_UNIT = {"layer1.weight": (1, 1), "layer1.bias": (1,), "layer2.weight": (1, 1), "layer2.bias": (1,)}


def of_one_unit(folder, bias):
    """Seven snapshots, all alike, of two networks whose one unit fires where the state is above -bias."""
    network = {"use": "continuous.Actor", "inputs": 1, "outputs": 1, "widths": [1], "low": [-1], "high": [1]}
    values = {name: np.ones((2, *shape), np.float32) for name, shape in ONE_UNIT.items()} | {
        "layer1.bias": np.full((2, 1), bias, np.float32)
    }
    rows = [kinds.common.PARAMETERS.table(seed=np.arange(2), update=t, **values) for t in range(7)]
    write(folder / "path.parquet", kinds.common.PARAMETERS, rows, trained(network))
    return Table(kinds.common.PARAMETERS, [folder / "path.parquet"])


def dead_of(moves):
    rows = [row for rows in moves for row in rows.to_pylist() if row["tensor"] == "layer1.bias"]
    return {seed: {row["dead"][0] for row in rows if row["seed"] == seed} for seed in (0, 1)}


def test_a_seed_with_fewer_states_takes_none_from_another(tmp_path, quiet):
    """Only the last state of the second seed makes the unit fire."""
    table = of_one_unit(tmp_path, -5.5)
    shown = [
        kinds.paths.DEMONSTRATIONS.table(
            run="r",
            seed=[seed],
            episode=0,
            observations=np.arange(count)[None, :, None],
            actions=[[0.0]],
            **{"return": 0.0},
        )
        for seed, count in ((0, 3), (1, 7))
    ]
    clones = Table(kinds.paths.DEMONSTRATIONS, rows=shown)
    given = {"run": "r", "streams": STREAMS, "device": "cpu", "progress": quiet}
    assert dead_of(extract.moves_of_clones(table, clones, **given)) == {0: {1}, 1: {0}}


def test_states_that_units_are_tried_on_are_of_all_players(tmp_path, quiet, monkeypatch):
    """The first snapshot meets state 0, the next one state 1, and so on: only the last meets what makes it fire."""
    met = []

    class Arena:
        def __init__(self, episodes, device, starts):
            pass

        def play(self, stack, seeds, keep):
            met.append(len(met))
            return SimpleNamespace(observations=[[[np.full(1, met[-1], np.float32)] * 5]] * seeds)

    monkeypatch.setattr("agentomy.lenses.arena.Arena", Arena)
    given = {"probe_states": 3, "run": "r", "streams": STREAMS, "device": "cpu", "progress": quiet}
    moves = extract.moves(of_one_unit(tmp_path, -5.5), Table(kinds.paths.EPISODES), **given)
    assert dead_of(moves) == {0: {0}, 1: {0}}
    assert met == [*range(7)]
