"""What is said of sampled classifiers is what plain loops say, and the formulas keep what they promise (NLD)."""

from itertools import pairwise, product

import numpy as np
import pytest
import torch

from agentomy import kinds
from agentomy.agents.langevin import Classifier
from agentomy.environments import digits, simulators
from agentomy.networks.langevin import DOP, METRICS
from agentomy.papers.nld.extract import doubt, langevin, theory
from agentomy.progress import Progress
from agentomy.seeds import Streams
from agentomy.tables import Table, write
from tests import described, in_memory

torch.set_num_threads(1)
SEEDS, SIZES, UPDATES = (3, 4), [16, 6, 5, 4], [0, 10, 20, 30]
PREDICTORS = {"last": "current", "mean": "mean", "ensemble": "current"}  # and whose parameters they are of
PARTS = {"train": 20, "validation": 15, "test": 25, "rotated": 25}
GIVEN = {"method": "dop", "step": 0.02, "epsilon": 1e-3, "batch": 60, "prior": "1/fan-in"}
STREAMS = Streams("test", "langevin", 0)
AVERAGED = {"use": "classifier.Averaged", "sizes": SIZES}


def stored(folder, arrays: dict[int, dict[str, np.ndarray]], network: dict, **given) -> Table:
    """Update → tensors [S, …], in a file a seed."""
    folder = folder / given.get("method", "planted")
    for number, seed in enumerate(SEEDS):
        pieces = (
            kinds.common.PARAMETERS.table(
                seed=[seed], update=update, **{k: np.array(v)[[number]] for k, v in tensors.items()}
            )
            for update, tensors in arrays.items()
        )
        write(
            folder / f"{seed}.parquet", kinds.common.PARAMETERS, pieces, described.trained(network, **(GIVEN | given))
        )
    return Table(kinds.common.PARAMETERS, [folder / f"{seed}.parquet" for seed in SEEDS])


def random_weights(rng, sizes: list[int]) -> dict[str, np.ndarray]:
    arrays = {}
    for which, (number, (inputs, outputs)) in product(("current", "mean"), enumerate(pairwise(sizes), start=1)):
        arrays[f"{which}.layer{number}.weight"] = rng.normal(size=(2, outputs, inputs), scale=2 / inputs**0.5)
        arrays[f"{which}.layer{number}.bias"] = rng.normal(size=(2, outputs))
    return {name: array.astype(np.float32) for name, array in arrays.items()}


@pytest.fixture(scope="module")
def images() -> Table:
    """Random images 4 × 4 whose first and last row are always black; 40 training images are copies of the first 20."""
    rng = np.random.default_rng(1)
    split = np.repeat(["train", "train", *list(PARTS)[1:]], [20, 40, *list(PARTS.values())[1:]])
    sample = np.arange(len(split))
    shown = rng.integers(256, size=(len(split), 4, 4)) * np.array([0, 1, 1, 0])[:, None]
    origin = np.where((sample >= 20) & (sample < 60), sample % 20, sample)
    given = {"sample": sample, "origin": origin, "split": split, "label": rng.integers(4, size=len(split))}
    return in_memory.of_pieces(kinds.nld.IMAGES, [kinds.nld.IMAGES.table(**given, pixels=shown)])


@pytest.fixture(scope="module")
def weights() -> dict[int, dict[str, np.ndarray]]:
    return {update: random_weights(np.random.default_rng(update), SIZES) for update in UPDATES}


@pytest.fixture
def parameters(tmp_path, weights) -> Table:
    return stored(tmp_path, weights, AVERAGED)


def plain(tensors: dict[str, np.ndarray], which: str, seed: int, image: np.ndarray) -> np.ndarray:
    """Probabilities of the classes of one image."""
    x = image / 255
    for number in (1, 2, 3):
        x = tensors[f"{which}.layer{number}.weight"][seed].astype(float) @ x
        x = x + tensors[f"{which}.layer{number}.bias"][seed]
        x = np.maximum(x, 0) if number < 3 else np.exp(x - x.max())
    return x / x.sum()


def expected(weights, images: Table, predictor: str, update: int, burn_in: int, seed: int, part: str, count=None):
    """Labels [n] and probabilities [n, classes], by loops."""
    rows = images.where(split=part)
    kept = [past for past in UPDATES if burn_in <= past <= update] if predictor == "ensemble" else [update]
    nets = [(weights[past], PREDICTORS[predictor], seed - SEEDS[0]) for past in kept]
    means = [np.mean([plain(*net, image) for net in nets], axis=0) for image in rows.array("pixels")[:count]]
    return rows.values("label")[:count], np.array(means)


# ---- predictions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("burn_in", [0, 15, 20])
def test_losses_are_those_of_plain_loops(parameters, images, weights, burn_in):
    options = {"burn_in": burn_in, "train": 17, "run": "r", "device": "cpu", "progress": Progress("test", every=1e9)}
    rows = Table(kinds.nld.PREDICTIVE, rows=langevin.predictive(parameters, images, **options)).frame()
    assert set(rows["split"]) == {"train", "shifted", "validation", "test"}
    rows = rows[rows["split"] != "shifted"].set_index(["update", "seed", "predictor", "split"])
    assert (rows[["run", "method", "step", "epsilon"]] == ["r", "dop", 0.02, 1e-3]).all(axis=None)
    kept = [update for update in UPDATES if update >= burn_in]
    assert len(rows) == 2 * 3 * (2 * 4 + len(kept))
    for (update, seed, predictor, part), row in rows.iterrows():
        count = 17 if part == "train" else None  # the shifted copies come behind
        labels, p = expected(weights, images, predictor, update, burn_in, seed, part, count)
        assert row["nll"] == pytest.approx(np.mean([-np.log(p[i, label]) for i, label in enumerate(labels)]), rel=1e-5)
        assert row["accuracy"] == pytest.approx(np.mean([np.argmax(p[i]) == label for i, label in enumerate(labels)]))
        assert row["networks"] == sum(past <= update for past in kept)


def test_shifted_training_images_are_read_apart_from_the_others(images):
    pixels = images.array("pixels").astype(np.float32) / 255
    parts = langevin.read(images, {"train": 9, "shifted": 5, "learned": None, "test": None}, "cpu")
    for part, wanted in {"train": slice(9), "learned": slice(60), "test": slice(75, 100)}.items():
        assert np.array_equal(parts[part][0], pixels[wanted])
    rows = [np.flatnonzero((pixels == image.numpy()).all(axis=1))[0] for image in parts["shifted"][0]]
    assert (np.min(rows), np.max(rows)) == (20, 59)
    assert set(np.diff(rows)) <= {9, 10}
    assert np.array_equal(parts["shifted"][1], images.values("label")[rows])
    assert len(langevin.read(images, {"shifted": 1000}, "cpu")["shifted"][0]) == 40
    upright = images.with_rows(images.arrow().slice(60))
    assert set(langevin.read(upright, {"shifted": 5, "test": None}, "cpu")) == {"test"}  # none were shifted


@pytest.mark.parametrize("burn_in", [15, 20])
def test_classes_have_the_probabilities_of_the_last_snapshot(parameters, images, weights, burn_in):
    table = in_memory.of_pieces(
        kinds.nld.CLASSES, langevin.classes(parameters, images, burn_in=burn_in, run="r", device="cpu")
    )
    assert len(table) == 2 * 3 * 2 * 25
    for seed, predictor, part in product(SEEDS, PREDICTORS, ("test", "rotated")):
        rows = table.where(seed=seed, predictor=predictor, split=part)
        labels, p = expected(weights, images, predictor, 30, burn_in, seed, part)
        np.testing.assert_allclose(rows.array("probabilities"), p, atol=1e-5)
        assert np.array_equal(rows.values("label"), labels)
        assert np.array_equal(rows.values("sample"), images.where(split=part).values("sample"))


# ---- noise -----------------------------------------------------------------------------------------------------------


def deviations(parameters: Table, images: Table) -> Table:
    return in_memory.of_pieces(
        kinds.nld.NOISE, langevin.noise(parameters, images, batches=3, run="r", streams=STREAMS, device="cpu")
    )


def squared_gradients(tensors: dict, images: Table, seed: int, chosen=slice(None)) -> dict[str, np.ndarray]:
    """Mean over training images of the squared gradient of one image's loss, of each weight [outputs, inputs]."""
    rows, sums = images.where(split="train"), {}
    shown, labels = rows.array("pixels")[chosen], rows.values("label")[chosen]
    names = [name for name in tensors if name.startswith("current")]
    values = {name: torch.tensor(tensors[name][seed], dtype=torch.float64, requires_grad=True) for name in names}
    for image, label in zip(shown, labels, strict=True):
        x = torch.tensor(image / 255)
        for number in (1, 2, 3):
            x = values[f"current.layer{number}.weight"] @ x + values[f"current.layer{number}.bias"]
            x = torch.relu(x) if number < 3 else x
        gradients = torch.autograd.grad(torch.logsumexp(x, 0) - x[label], list(values.values()))
        for name, gradient in zip(names, gradients, strict=True):
            sums[name] = sums.get(name, 0) + gradient.square().numpy() / len(labels)
    return {name.split(".")[1]: mean for name, mean in sums.items() if "weight" in name}


def test_the_noise_of_dop_is_small_where_single_images_pull_hard(parameters, images, weights):
    table = deviations(parameters, images)  # 3 batches of all 60 training images, shifted numbers among them
    black = np.repeat([True, False, True], [4, 8, 4])
    for number, seed in enumerate(SEEDS):
        for layer, squares in squared_gradients(weights[30], images, number).items():
            wanted = (2 * 0.02 / 60) ** 0.5 / np.sqrt(squares + 1e-3)
            for zero in (False, True) if layer == "layer1" else (False,):
                noise = table.where(seed=seed, layer=layer, always_zero=zero).array("deviations")[0]
                columns = black == zero if layer == "layer1" else slice(None)
                np.testing.assert_allclose(noise, wanted[:, columns].ravel(), rtol=1e-3)
    assert len(table) == 2 * 4
    # weights from pixels that are always black have that of ε alone
    np.testing.assert_allclose(table.where(always_zero=True).array("deviations"), (0.04 / 60e-3) ** 0.5, rtol=1e-5)


def test_the_metric_of_the_noise_is_the_mean_over_all_batches(tmp_path, images, weights):
    table = deviations(stored(tmp_path, weights, AVERAGED, batch=10), images)
    rng = STREAMS.numpy("batches")
    drawn = np.concatenate([rng.choice(60, 10, replace=False) for _ in range(3)])
    for number, seed in enumerate(SEEDS):
        squares = squared_gradients(weights[30], images, number, drawn)["layer2"]
        noise = table.where(seed=seed, layer="layer2").array("deviations")[0]
        np.testing.assert_allclose(noise, ((2 * 0.02 / 60) ** 0.5 / np.sqrt(squares + 1e-3)).ravel(), rtol=1e-3)


def test_the_noise_of_the_euclidean_metric_is_the_same_everywhere(tmp_path, images, weights):
    table = deviations(stored(tmp_path, weights, AVERAGED, method="euclidean", batch=10), images)
    np.testing.assert_allclose(
        table.arrow()["deviations"].combine_chunks().flatten(), (2 * 0.02 / 60) ** 0.5, rtol=1e-6
    )


# ---- what the formulas promise ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real() -> Table:
    return Table(kinds.nld.IMAGES, rows=digits.images(source="scikit-learn", validation=10, test=1387, streams=STREAMS))


@pytest.fixture(scope="module")
def trained(real, tmp_path_factory):
    """Metric → the parameters of one network, little trained."""
    given = {"updates": 80, "method": "euclidean", "step": 0.3, "temperature": 0.0, "hidden": [12], "batch": 50}
    agent = Classifier(real, [Streams("test", "langevin", seed) for seed in SEEDS], "cpu", **given)
    for _ in range(agent.updates):
        agent.advance()
    steps = dict.fromkeys(METRICS, 1e-3) | {"euclidean": 0.1}
    where = (tmp_path_factory.mktemp("trained"), {agent.updates: agent.parameters()}, agent.network)
    return {metric: stored(*where, method=metric, batch=100, step=step) for metric, step in steps.items()}


@pytest.mark.parametrize("metric", METRICS)
def test_outputs_move_apart_only_where_the_metric_feels_the_change(trained, real, metric):
    options = {"steps": 20, "train": 400, "scaled": 3.0, "shifted": 1.0, "run": "r", "streams": STREAMS}
    rows = Table(kinds.nld.INVARIANCE, rows=theory.invariance(trained[metric], real, **options)).frame()
    assert rows[["seed", "change"]].to_numpy().tolist() == [[s, c] for s in SEEDS for c in ("scaled", "shifted")]
    for change, same in (("scaled", ("dop", "qdop")), ("shifted", ("qdop",))):
        differences = rows.loc[rows["change"] == change, "difference"]
        assert (differences < 1e-10).all() if metric in same else (differences > 1e-3).all()


def errors_of(parameters: Table, real: Table):
    options = {"shares": [0.001, 0.01, 0.1], "train": 400, "run": "r", "streams": STREAMS}
    rows = Table(kinds.nld.STATIONARY, rows=theory.stationary(parameters, real, **options)).frame()
    assert (rows["mean_error"] < 1e-6).all()
    return rows.pivot(index="seed", columns="step", values="covariance_error").to_numpy()


@pytest.mark.parametrize("metric", METRICS)
def test_the_error_of_the_covariance_falls_in_proportion_to_the_step(trained, real, metric):
    errors = errors_of(trained[metric], real)
    assert (errors[:, 0] < 0.01).all()
    np.testing.assert_allclose(errors[:, 1] / errors[:, 0], 10, rtol=0.1)


def test_noise_that_does_not_fit_the_metric_misses_the_posterior(trained, real, monkeypatch):
    class Unfit(DOP):
        def move(self, state, gradients, normals, drift, noise):
            weights, biases = super().move(state, gradients, [0 * normal for normal in normals], drift, noise)
            return weights + noise * normals[0], biases + noise * normals[1]

    monkeypatch.setitem(METRICS, "dop", Unfit)
    assert (errors_of(trained["dop"], real) > 0.1).all()


def test_a_step_of_qdop_costs_about_two_of_back_propagation(tmp_path):
    rng, sizes, n = np.random.default_rng(0), [784, 100, 100, 10], np.arange(150)
    given = {"sample": n, "origin": n, "label": n % 10, "pixels": rng.integers(256, size=(150, 28, 28))}
    images = in_memory.of_pieces(kinds.nld.IMAGES, [kinds.nld.IMAGES.table(**given, split="train")])
    arrays, count = {0: random_weights(rng, sizes)}, 784 * 100 + 100 * 100 + 100 * 10
    plain = 2 * 100 * (3 * count - 784 * 100)  # forth, and back to weights and, but of the first layer, to inputs
    for metric, products in {"euclidean": 0, "rmsprop": 0, "dop": 1, "qdop": 2}.items():
        parameters = stored(tmp_path, arrays, AVERAGED | {"sizes": sizes}, method=metric, batch=100)
        rows = theory.operations(parameters, images, run="r", streams=STREAMS).to_pylist()
        assert [(row["seed"], row["plain"]) for row in rows] == [(seed, plain) for seed in SEEDS]
        assert {row["whole"] - row["plain"] for row in rows} == {2 * 100 * count * products}
    assert 1.5 < rows[0]["whole"] / rows[0]["plain"] < 2.2  # of qdop, the last


# ---- doubt -----------------------------------------------------------------------------------------------------------

PATHS = {0: [(2, 2), (2, 2), (3, 2), (4, 7)], 1: [(3, 2), (3, 2), (2, 2)]}  # of the ball, by the seed of a reset


class Ball:
    """The ball goes its way, whatever is done."""

    def reset(self, seed: int) -> np.ndarray:
        self.path = list(PATHS[seed])
        return self.step(0)[0]

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool]:
        seen = np.zeros((10, 10, 4), dtype=bool)
        seen[8, 4, [0, 2, 3]] = True  # paddle, trail and a brick
        seen[(*(self.path or [(0, 0)])[0], 1)] = True
        self.path, over = self.path[1:], not self.path
        return seen, 0.0, over, False


def valued(ball_at_the_right: list[float], bias: list[float]) -> dict[str, np.ndarray]:
    """Values `bias`, but of action 1 more by so much (a seed) if the ball is in column 7."""
    convolution, hidden, output = np.zeros((2, 16, 3, 3, 4)), np.zeros((2, 128, 8, 8, 16)), np.zeros((2, 3, 128))
    convolution[:, 0, 1, 1, 1] = 1
    hidden[:, 0, :, 6, 0] = 1  # places of the window's middle begin at 1
    output[:, 1, 0] = ball_at_the_right
    weights = {"convolution.weight": convolution, "hidden.weight": hidden.reshape(2, 128, -1), "output.weight": output}
    return weights | {
        "convolution.bias": np.zeros((2, 16)),
        "hidden.bias": np.zeros((2, 128)),
        "output.bias": [bias] * 2,
    }


@pytest.mark.parametrize("states", [1000, 5])
def test_disagreement_is_found_where_q_networks_were_made_to_disagree(tmp_path, monkeypatch, states):
    monkeypatch.setattr(simulators, "make", lambda source, rng, evaluation=False: Ball())
    samples = {0: valued([9.0, 9.0], [7.0, 50.0, 7.0])}  # before the burn-in, of another opinion everywhere
    for update, more in {10: [0.0, 0.0], 20: [3.0, 0.0], 30: [3.0, 5.0]}.items():
        samples[update] = valued(more, [1.0, 0.0, -1.0])
    parameters = stored(tmp_path, samples, {"use": "q_network.QNetwork", "channels": 4, "actions": 3})
    rows = kinds.paths.EPISODES.table(episode=[0, 1], reset_seed=[0, 1], observation=[[0]] * 2)
    starts = Table(kinds.paths.EPISODES, rows=rows, description=described.SOME)
    options = {"burn_in": 10, "states": states, "run": "r", "streams": STREAMS, "device": "cpu"}
    rows = in_memory.of_pieces(
        kinds.nld.DOUBT, doubt.disagreement_by_ball_position(parameters, starts, **options)
    ).frame()
    rows = rows[rows["networks"] == 3].set_index(["seed", "row", "column"])
    for seed, values in {3: [1, 3, 3], 4: [1, 1, 5]}.items():
        places = rows.loc[seed]
        assert places["visits"].sum() == min(states, 7)
        assert (places["visits"] <= [{2: 3, 3: 3, 4: 1}[row] for row, _ in places.index]).all()
        for place, row in places.iterrows():
            best, dissent = (values, 1 / 3) if place == (4, 7) else ([1, 1, 1], 0)
            wanted = [np.mean(best), np.std(best), dissent]
            assert row[["value", "deviation", "dissent"]].tolist() == pytest.approx(wanted)


def test_doubt_is_between_samples_and_not_between_states_of_a_place(tmp_path, monkeypatch):
    """The ball stays where it is, but at every other step there is no trail, to which all samples give 7 more."""
    path = [(2, 2)] * 30 + [(4, 4)] * 30

    class Blinking(Ball):
        def step(self, action):
            seen, *rest = super().step(action)
            seen[:, :, 2] &= len(self.path) % 2 == 0
            return seen, *rest

    monkeypatch.setattr(simulators, "make", lambda source, rng, evaluation=False: Blinking())
    monkeypatch.setitem(PATHS, 0, path)
    samples = {update: valued([0.0, 0.0], [1.0, 0.0, 0.0]) for update in (10, 20)}
    for arrays in samples.values():
        arrays["convolution.weight"][:, 0, 1, 1, 1], arrays["convolution.weight"][:, 0, 1, 1, 2] = 0, 1
        arrays["hidden.weight"][:, 0] = 0
        arrays["hidden.weight"].reshape(2, 128, 8, 8, 16)[:, 0, 7, 3, 0] = 1  # the trail is at (8, 4)
        arrays["output.weight"][:, :, 0] = 7
    parameters = stored(tmp_path, samples, {"use": "q_network.QNetwork", "channels": 4, "actions": 3})
    rows = kinds.paths.EPISODES.table(episode=[0], reset_seed=[0], observation=[[0]])
    starts = Table(kinds.paths.EPISODES, rows=rows, description=described.SOME)
    options = {"burn_in": 0, "states": 20, "run": "r", "streams": STREAMS, "device": "cpu"}
    rows = in_memory.of_pieces(
        kinds.nld.DOUBT, doubt.disagreement_by_ball_position(parameters, starts, **options)
    ).frame()
    assert (rows["deviation"] == 0).all()
    assert (rows["value"] > 1).all()
    assert (rows["value"] < 8).all()
    # the 20 states are of the whole episode
    assert rows[["row", "column"]].to_numpy().tolist() == [[2, 2], [4, 4]] * 2
    assert (rows["visits"] >= 3).all()
    assert rows.groupby("seed")["visits"].sum().tolist() == [20, 20]
