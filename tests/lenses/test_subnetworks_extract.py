"""What subnetworks are said to do is what hand-computed weights do, and losses are those of plain rebuilt gradients."""

import json

import numpy as np
import pytest
import torch

from agentomy import kinds, networks, tables
from agentomy.descriptions import Task
from agentomy.environments import mazes, superposition
from agentomy.environments import sequences as tasks
from agentomy.environments.maze_pictures import Painter
from agentomy.lenses import subjects
from agentomy.lenses.subnetworks import extract
from agentomy.networks.subnetworks import IN, OUT, Subnetworks
from agentomy.papers.maze.extract.subjects import of_mazes
from agentomy.papers.maze.extract.views import open_cells
from agentomy.seeds import Streams
from agentomy.tables import Table
from tests import in_memory
from tests.described import trained
from tests.lenses.l3d_tables import (
    BOTTLENECK,
    IMPALA,
    LSTM,
    SMOOTH,
    WORLD,
    decomposer,
    drawn,
    joined,
    learn,
    pictures,
    sequences,
    sparse_inputs,
    subject_table,
    windows,
)
from tests.papers.maze.maze_agents import level_table
from tests.small_runs import streams

torch.set_num_threads(1)
SAMPLES, SEEDS = 40, (3, 4)
SUBJECTS = {
    "bottleneck": (BOTTLENECK, sparse_inputs(SAMPLES, 4), "values"),
    "mlp": (SMOOTH, sparse_inputs(SAMPLES, 4), "values"),
    "policy": (IMPALA, pictures(SAMPLES), "policy"),
    "predictor": (LSTM, sequences(SAMPLES), "prediction"),
    "world model": (WORLD, windows(SAMPLES), "next_latent"),
}


def subjects_of(name: str) -> Table:
    description, inputs, reading = SUBJECTS[name]
    return subject_table(description, drawn(description), inputs, reading, first=SEEDS[0])


def decomposed(subject: Table, folder, updates: int = 6, **changes) -> Table:
    """Two snapshots of a decomposition, in a file as the pipeline makes it."""
    given = {"epochs": 9, "count": 3, "rank": 2, "divergence": "mse", "keep": 0.3, "batch": 16} | changes
    agent = decomposer(subject, *SEEDS, **given)
    pieces = [kinds.common.PARAMETERS.table(seed=np.array(SEEDS), update=0, **agent.parameters())]
    learn(agent, updates)
    pieces.append(kinds.common.PARAMETERS.table(seed=np.array(SEEDS), update=updates, **agent.parameters()))
    path = folder / "parameters.parquet"
    tables.write(path, kinds.common.PARAMETERS, iter(pieces), trained(agent.network, **({"tensors": None} | given)))
    return Table(kinds.common.PARAMETERS, [path])


@pytest.fixture(scope="module", params=SUBJECTS)
def case(request, tmp_path_factory):
    """(name, subjects, parameters)."""
    subject = subjects_of(request.param)
    return request.param, subject, decomposed(subject, tmp_path_factory.mktemp(request.param))


def learned(parameters: Table) -> Subnetworks:
    last = list(parameters.groups())[-1]
    return networks.build(parameters.description.network, len(SEEDS)).load(tables.tensors(last)).requires_grad_(False)


def moved_of(parameters, subject, **given) -> Table:
    given = {"deltas": [-0.5, 0.5], "count": 7, "run": "r", "device": "cpu"} | given
    return in_memory.of_pieces(kinds.subnetworks.MOVED, extract.moved(parameters, subject, **given))


def outputs(name: str, seed: int, weights: dict[str, np.ndarray], count: int) -> np.ndarray:
    """Of one network at its first inputs by a plain pass, distributions as probabilities."""
    description, inputs, reading = SUBJECTS[name]
    net = networks.build(description, 1).load({key: array[None] for key, array in weights.items()})
    x = torch.tensor(inputs[None, :count])
    with torch.no_grad():
        if reading == "policy":
            return torch.softmax(net.nets[0](x[0])[0], dim=1).numpy()
        if reading == "prediction":
            return torch.softmax(net(x)["predictive"][0, :, -1], dim=1).numpy()
        if reading == "next_latent":
            actions, rewards, ends = x[0, ..., 6].long(), x[0, :, 1:, 7], x[0, :, 1:, 8] == 1
            latent = net.dynamics(x[0, ..., :6], actions, rewards, ends)[0].latent[:, -1]
            return (latent.exp() / latent.shape[1]).flatten(1).numpy()
        return net(x)[0].numpy()


# ---- what is in them -------------------------------------------------------------------------------------------------


def test_subnetworks_are_written_out_beside_the_networks_own_weights(case):
    name, subject, parameters = case
    written = in_memory.of_pieces(
        kinds.subnetworks.SUBNETWORKS, extract.subnetworks(parameters, subject, run="r", device="cpu")
    )
    net, original = learned(parameters), drawn(SUBJECTS[name][0])
    for tensor in net.shapes:
        rows = written.where(tensor=tensor, condition="learned")
        assert rows.frame()[["seed", "subnetwork"]].to_numpy().tolist() == [[s, k] for s in SEEDS for k in range(-1, 3)]
        entries = rows.array("weights").reshape(2, 4, -1)
        np.testing.assert_array_equal(entries[:, 0], original[tensor].reshape(2, -1))
        np.testing.assert_allclose(entries[:, 1:], net.dense(tensor).flatten(2), atol=1e-7)
        assert np.prod(json.loads(rows.frame()["shape"][0])) == entries.shape[2]
    for condition in ("random", "learned"):
        rows = (
            written.where(condition=condition)
            .frame()
            .assign(
                squares=[
                    np.square(weights.as_py()).sum()
                    for weights in written.where(condition=condition).arrow()["weights"]
                ]
            )
        )
        norms = rows[rows["subnetwork"] >= 0].groupby(["seed", "subnetwork"])["squares"].sum()
        np.testing.assert_allclose(norms, 1, atol=1e-5)


# ---- moves -----------------------------------------------------------------------------------------------------------


def test_a_move_by_nothing_changes_nothing(case):
    _, subject, parameters = case
    moved = moved_of(parameters, subject, deltas=[0.0, 1.0])
    for condition in ("random", "learned"):
        still = moved.where(condition=condition, subnetwork=-1).array("outputs")
        for k in range(3):
            np.testing.assert_array_equal(
                moved.where(condition=condition, subnetwork=k, delta=0.0).array("outputs"), still
            )
            assert not np.array_equal(moved.where(condition=condition, subnetwork=k, delta=1.0).array("outputs"), still)


def test_a_move_gives_what_the_network_with_hand_computed_weights_gives(case):
    name, subject, parameters = case
    moved, net = moved_of(parameters, subject), learned(parameters)
    for position, seed in enumerate(SEEDS):
        original = {key: array[position] for key, array in drawn(SUBJECTS[name][0]).items()}
        for k, delta in ((-1, 0.0), (0, 0.5), (2, -0.5)):
            weights = dict(original)
            for tensor in net.shapes if k >= 0 else ():
                direction = net.dense(tensor)[position, k].numpy().reshape(original[tensor].shape)
                weights[tensor] = original[tensor] + np.float32(delta) * direction
            rows = moved.where(condition="learned", seed=seed, subnetwork=k, delta=delta)
            assert rows.values("sample").tolist() == list(range(7))
            np.testing.assert_allclose(rows.array("outputs"), outputs(name, position, weights, 7), atol=2e-5, rtol=1e-4)


def test_outputs_of_distributions_are_probabilities_and_values_are_not(case):
    name, subject, parameters = case
    outputs = moved_of(parameters, subject).array("outputs")
    if SUBJECTS[name][2] == "values":
        assert np.abs(outputs.sum(axis=1) - 1).max() > 0.1
    else:
        assert (outputs >= 0).all()
        np.testing.assert_allclose(outputs.sum(axis=1), 1, atol=1e-5)


def test_only_the_named_tensors_are_moved(tmp_path):
    subject = subjects_of("mlp")
    parameters = decomposed(subject, tmp_path)
    moved = moved_of(parameters, subject, within=["layer2.b", "layer1"])
    assert set(moved.values("within")) == {"layer2.b, layer1"}
    assert set(moved_of(parameters, subject).values("within")) == {"all"}
    net = learned(parameters)
    for position, seed in enumerate(SEEDS):
        weights = {key: array[position] for key, array in drawn(SMOOTH).items()}
        for tensor in ("layer1.weight", "layer1.bias", "layer2.bias"):
            weights[tensor] = weights[tensor] + 0.5 * net.dense(tensor)[position, 1].numpy()
        rows = moved.where(condition="learned", seed=seed, subnetwork=1, delta=0.5)
        np.testing.assert_allclose(rows.array("outputs"), outputs("mlp", position, weights, 7), atol=1e-5)


def test_tensors_that_were_not_decomposed_stay_where_they_are(tmp_path):
    subject = subjects_of("mlp")
    parameters = decomposed(subject, tmp_path, tensors=["layer2.weight"])
    moved = moved_of(parameters, subject, deltas=[3.0])
    still, there = (moved.where(condition="learned", subnetwork=k).array("outputs") for k in (-1, 0))
    hidden = subject_hidden(subject, 7)
    direction = learned(parameters).dense("layer2.weight")[:, 0].numpy()
    expected = np.einsum("sbh,soh->sbo", hidden, 3.0 * direction)
    np.testing.assert_allclose((there - still).reshape(expected.shape), expected, atol=1e-5)


def subject_hidden(subject: Table, count: int) -> np.ndarray:
    """Hidden units [S, B, hidden] of the perceptrons."""
    net = networks.build(SMOOTH, 2).load(tables.tensors(subject.arrow()))
    with torch.no_grad():
        return torch.nn.functional.gelu(net.layers[0](torch.tensor(subject.array("inputs", -1, 4))[:, :count])).numpy()


def test_pairs_move_by_both(tmp_path):
    subject = subjects_of("mlp")
    parameters = decomposed(subject, tmp_path)
    given = {"deltas": [-0.5, 0.0, 0.5], "count": 7, "run": "r", "device": "cpu"}
    pairs = in_memory.of_pieces(kinds.subnetworks.MOVED, extract.moved_in_pairs(parameters, subject, **given)).where(
        condition="learned"
    )
    frame = pairs.frame()
    assert len(frame) == 3 * 9 * 2 * 7
    assert set(map(tuple, frame[["subnetwork", "second"]].to_numpy())) == {(0, 1), (0, 2), (1, 2)}
    net = learned(parameters)
    for position, seed in enumerate(SEEDS):
        original = {key: array[position] for key, array in drawn(SMOOTH).items()}
        weights = {
            key: array + 0.5 * net.dense(key)[position, 0].numpy() - 0.5 * net.dense(key)[position, 2].numpy()
            for key, array in original.items()
        }
        rows = pairs.where(seed=seed, subnetwork=0, delta=0.5, second=2, second_delta=-0.5)
        np.testing.assert_allclose(rows.array("outputs"), outputs("mlp", position, weights, 7), atol=1e-5)
    one = moved_of(parameters, subject).where(condition="learned", subnetwork=1, delta=0.5).array("outputs")
    alone = pairs.where(subnetwork=1, delta=0.5, second=2, second_delta=0.0).array("outputs")
    np.testing.assert_allclose(alone, one, atol=1e-6)


# ---- impacts ---------------------------------------------------------------------------------------------------------


def impacts_of(parameters, subject, quiet, references=3, name="run") -> Table:
    given = {"references": references, "run": "r", "streams": streams(name), "device": "cpu", "progress": quiet}
    return in_memory.of_pieces(kinds.subnetworks.IMPACTS, extract.impacts(parameters, subject, **given))


def test_the_kept_share_is_active_and_the_loss_is_that_of_rebuilt_gradients(case, quiet):
    """With one reference, batches are those of the stream; what is rebuilt of each gradient is written out."""
    _, subject, parameters = case
    impacts = impacts_of(parameters, subject, quiet, references=1).where(condition="learned")
    gradients = decomposer(subject, *SEEDS).gradients
    net, rng = learned(parameters), streams().numpy("references")
    v_in, v_out = (joined({name: net.dense(name, side) for name in net.shapes}, 2).astype(float) for side in (IN, OUT))
    order = rng.permutation(SAMPLES)
    for rows in (order[:20], order[20:]):  # as long as the batches of learning, or longer
        references = rows[(np.arange(20) + rng.integers(1, 20, size=20)) % 20]
        per_sample = gradients(*(np.broadcast_to(samples, (2, 20)) for samples in (rows, references)))
        for position, seed in enumerate(SEEDS):
            g = joined({name: per_sample[name] for name in net.shapes}, 2)[position].astype(float)
            z = g @ v_in[position].T
            mask = np.abs(z) >= np.sort(np.abs(z), axis=None)[::-1][18 - 1]  # 0.3 of 20 × 3
            of_seed = impacts.where(seed=seed)
            scale = np.square(g).sum(axis=1).max()
            np.testing.assert_array_equal(of_seed.array("active")[rows], mask)
            np.testing.assert_allclose(of_seed.array("impact")[rows], np.abs(z), rtol=1e-3, atol=1e-5 * scale**0.5)
            left = np.square(g - (z * mask) @ v_out[position]).sum(axis=1)
            np.testing.assert_allclose(of_seed.values("missed")[rows], left, rtol=1e-3, atol=1e-5 * scale)
            np.testing.assert_allclose(
                of_seed.values("size")[rows], np.square(g).sum(axis=1), rtol=1e-4, atol=1e-7 * scale
            )


def test_means_over_references_keep_the_share_on_average_in_the_order_of_the_inputs(case, quiet):
    _, subject, parameters = case
    impacts = impacts_of(parameters, subject, quiet)
    for condition in ("random", "learned"):
        for seed in SEEDS:
            of_seed = impacts.where(condition=condition, seed=seed)
            assert of_seed.values("sample").tolist() == list(range(SAMPLES))
            active = of_seed.array("active")
            assert active.sum(axis=1).mean() == pytest.approx(0.3 * 3)
            np.testing.assert_allclose(active * 3, np.round(active * 3), atol=1e-5)
            assert ((active > 0.01) & (active < 0.99)).any()


def test_learning_lowers_what_is_missed(tmp_path, quiet):
    subject = subjects_of("mlp")
    impacts = impacts_of(decomposed(subject, tmp_path, updates=18), subject, quiet).frame()
    sums = impacts.groupby(["condition", "seed"])[["missed", "size"]].sum()
    loss = (sums["missed"] / sums["size"]).unstack("condition")
    assert (loss["learned"] < loss["random"] - 0.1).all()


# ---- what is decomposed ----------------------------------------------------------------------------------------------


def snapshots_of(description: dict, spreads=(0.1, 0.5)) -> Table:
    """A run with an untrained and a trained snapshot."""
    pieces = [
        kinds.common.PARAMETERS.table(seed=np.array(SEEDS), update=9 * number, **drawn(description, spread=spread))
        for number, spread in enumerate(spreads)
    ]
    return Table(kinds.common.PARAMETERS, rows=pieces, description=trained(description))


def assert_subjects(written: Table, description: dict, inputs: np.ndarray, spread: float) -> None:
    assert written.values("seed").tolist() == list(SEEDS)
    shape = json.loads(written.frame()["shape"][0])
    for shown in written.array("inputs", -1, *shape):
        np.testing.assert_allclose(shown, inputs)
    arrays = tables.tensors(written.arrow())
    for name, array in drawn(description, spread=spread).items():
        np.testing.assert_array_equal(arrays[name], array)


def test_toy_models_are_decomposed_on_fresh_points():
    given = {"inputs": 4, "task": "same", "train": 30, "decomposed": 12}
    points = Table(kinds.subnetworks.POINTS, rows=superposition.features(**given, streams=Streams("test", "points", 0)))
    written = in_memory.of_pieces(
        kinds.subnetworks.SUBJECTS, subjects.of_points(snapshots_of(BOTTLENECK), points, run="r")
    )
    assert_subjects(written, BOTTLENECK, points.where(split="decomposed").array("inputs"), 0.5)


@pytest.mark.parametrize("trained", [True, False])
def test_predictors_are_decomposed_after_observations_of_fresh_episodes(trained):
    parameters = {"concentration": [1.0, 1.0, 1.0], "steps": 4, "episodes": 5}
    rows = tasks.categorical(**parameters, streams=Streams("test", "environment", 0))
    table = Table(
        kinds.bayes.SEQUENCES, rows=rows, description=Task(use="sequences.categorical", parameters=parameters)
    )
    given = {"count": 9, "steps": 6, "trained": trained, "run": "r", "streams": streams()}
    written = in_memory.of_pieces(kinds.subnetworks.SUBJECTS, subjects.of_sequences(snapshots_of(LSTM), table, **given))
    assert json.loads(written.frame()["shape"][0]) == [7, 3]
    inputs = written.array("inputs", -1, 7, 3)[0]
    assert not inputs[:, 0].any()  # nothing was seen before the first observation
    assert (inputs[:, 1:].sum(axis=2) == 1).all()
    observed = tasks.task(table.description).sample(streams().numpy("episodes"), 9, 6)[1]
    assert_subjects(
        written,
        LSTM,
        np.concatenate([np.zeros((9, 1, 3)), np.eye(3)[observed.astype(int)]], axis=1),
        0.5 if trained else 0.1,
    )


@pytest.mark.parametrize("trained", [True, False])
def test_maze_policies_are_decomposed_at_different_open_cells_of_large_levels(trained):
    levels, description = level_table(40, world=5), {**IMPALA, "pixels": 5}
    given = {"count": 30, "smallest_side": 5, "trained": trained, "run": "r", "streams": streams()}
    written = in_memory.of_pieces(kinds.subnetworks.SUBJECTS, of_mazes(snapshots_of(description), levels, **given))
    inputs = written.array("inputs", -1, 5, 5, 3)[0]
    assert_subjects(written, description, inputs, 0.5 if trained else 0.1)
    assert inputs.shape == (30, 5, 5, 3)
    every = all_pictures(levels, 5)
    assert all(picture.astype(np.uint8).tobytes() in every for picture in inputs)
    assert len({picture.tobytes() for picture in inputs}) > 25


def all_pictures(levels: Table, side: int) -> set[bytes]:
    """Of every open cell of the levels of this side."""
    read = mazes.read(levels, "train")
    read = read[np.flatnonzero(read.side == side)]
    level, cells = open_cells(read)
    return {picture.tobytes() for picture in Painter("planes", 5, 5).mice(read[level], cells)}
