"""Evaluation episodes: those of a plain loop in gymnasium, whatever is played side by side or rebuilt."""

from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
import torch

from agentomy import kinds, tables
from agentomy.descriptions import Task
from agentomy.environments import arcade, control
from agentomy.lenses import arena, rollouts
from agentomy.lenses.paths import measure
from agentomy.tables import Table
from tests import in_memory
from tests.described import SOME, trained
from tests.small_runs import streams

TASK, INPUTS, OUTPUTS, WIDTH = "Hopper-v5", 11, 3, 8  # untrained, it falls soon
UPDATES, SEEDS, EPISODES = [0, 10, 20, 30, 40], [0, 1], 3
HALVES = {"half1": [0, 10, 20], "half2": [20, 30, 40]}
NETWORK = {
    "use": "continuous.Actor",
    "inputs": INPUTS,
    "outputs": OUTPUTS,
    "widths": [WIDTH],
    "low": [-1.0] * OUTPUTS,
    "high": [1.0] * OUTPUTS,
}


@pytest.fixture(autouse=True)
def double_precision():
    """So that a sum taken in another order makes no other episode."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def episodes():
    given = {"task": TASK, "episodes": EPISODES}
    rows = control.mujoco(**given, streams=streams("environment"))
    return Table(kinds.paths.EPISODES, rows=rows, description=Task(use="control.mujoco", parameters=given))


@pytest.fixture(scope="module")
def weights():
    """What a run went through: tensor → [T, S, *shape] float32."""
    rng = np.random.default_rng(3)
    shapes = {
        "layer1.weight": (WIDTH, INPUTS),
        "layer1.bias": (WIDTH,),
        "layer2.weight": (OUTPUTS, WIDTH),
        "layer2.bias": (OUTPUTS,),
    }
    size = (len(UPDATES), len(SEEDS))
    return {name: rng.normal(size=(*size, *shape)).cumsum(axis=0).astype("f4") for name, shape in shapes.items()}


def written(file, weights, seeds):
    """Parameters of some of the seeds, one row group a snapshot, as training writes them."""
    pieces = [
        kinds.common.PARAMETERS.table(
            seed=np.array(seeds), update=update, **{n: w[t][seeds] for n, w in weights.items()}
        )
        for t, update in enumerate(UPDATES)
    ]
    tables.write(file, kinds.common.PARAMETERS, pieces, trained(NETWORK))
    return file


@pytest.fixture
def parameters(weights, tmp_path):
    return Table(kinds.common.PARAMETERS, [written(tmp_path / "run.parquet", weights, SEEDS)])


def acts(theta, observation):
    """What a network of plain weights does."""
    hidden = np.maximum(theta["layer1.weight"] @ observation + theta["layer1.bias"], 0)
    return np.tanh(theta["layer2.weight"] @ hidden + theta["layer2.bias"])


def plain(theta, reset_seed):
    """Return and length of one episode."""
    env = gymnasium.make(TASK)
    observation, _ = env.reset(seed=int(reset_seed))
    total, length, over = 0.0, 0, False
    while not over:
        observation, reward, terminated, truncated, _ = env.step(acts(theta, observation))
        total, length, over = total + reward, length + 1, terminated or truncated
    env.close()
    return total, length


def weights_at(weights, update, seed):
    return {name: snapshots[UPDATES.index(update), seed].astype(float) for name, snapshots in weights.items()}


def returns(parameters, episodes, quiet, every=20):
    pieces = rollouts.returns(parameters, episodes, every=every, run="r", device="cpu", progress=quiet)
    return in_memory.of_pieces(kinds.paths.ROLLOUTS, pieces)


def rebuilt(parameters, episodes, quiet, **options):
    options = {"directions": [1, 3], "snapshots_per_period": 3, "run": "r", "device": "cpu", **options}
    return in_memory.of_pieces(
        kinds.paths.ROLLOUTS, rollouts.reconstructed(parameters, episodes, progress=quiet, **options)
    )


def test_returns_are_those_of_a_plain_loop(parameters, episodes, weights, quiet):
    played = returns(parameters, episodes, quiet).frame()
    assert sorted(set(played["update"])) == [0, 20, 40]
    assert len(played) == 3 * len(SEEDS) * EPISODES
    starts = episodes.values("reset_seed")
    for row in played.to_dict("records"):
        expected = plain(weights_at(weights, row["update"], row["seed"]), starts[row["episode"]])
        assert (row["return"], row["length"]) == (pytest.approx(expected[0], rel=1e-6), expected[1])
    assert played["return"].std() > 1  # they are not all alike


def test_all_directions_give_the_snapshots_back(parameters, episodes, quiet):
    reproduced = rebuilt(parameters, episodes, quiet)
    reconstruction = Table(kinds.paths.RECONSTRUCTION, rows=measure.reconstruction(reproduced)).frame()
    assert reconstruction["snapshots"].tolist() == [3] * len(reconstruction)
    by_directions = reconstruction.groupby("directions")["difference"]
    assert by_directions.max()[3] == pytest.approx(0, abs=1e-6)
    assert by_directions.min()[1] > 0.1
    for period, updates in HALVES.items():
        assert sorted(set(reproduced.where(period=period).values("update"))) == updates


def test_more_directions_than_there_are_snapshots_are_left_out(parameters, episodes, quiet):
    reproduced = rebuilt(parameters, episodes, quiet, directions=[2, 3, 4, 99], snapshots_per_period=2)
    assert set(reproduced.values("directions")) == {-1, 2, 3}
    assert [sorted(set(reproduced.where(period=period).values("update"))) for period in HALVES] == [[0, 20], [20, 40]]


@pytest.mark.parametrize("part", ["", "layer2"])
def test_a_rebuilt_policy_is_that_of_a_plain_svd_and_the_rest_is_the_snapshots(
    parameters, episodes, weights, quiet, part
):
    rows = rebuilt(parameters, episodes, quiet, directions=[2], part=part).where(directions=2, seed=1, episode=0)
    names = [name for name in weights if name.startswith(part)]
    starts = episodes.values("reset_seed")
    for row in rows.frame().to_dict("records"):
        updates = HALVES[row["period"]]
        snapshots = [weights_at(weights, update, 1) for update in updates]
        measure = np.stack([np.concatenate([snapshot[name].ravel() for name in names]) for snapshot in snapshots])
        u, s, v = np.linalg.svd(measure, full_matrices=False)
        place = updates.index(row["update"])
        flat, theta = u[place, :2] * s[:2] @ v[:2], dict(snapshots[place])
        for name in names:
            theta[name], flat = flat[: theta[name].size].reshape(theta[name].shape), flat[theta[name].size :]
        assert row["return"] == pytest.approx(plain(theta, starts[0])[0], rel=1e-5)


def test_demonstrations_are_what_the_last_policy_does(parameters, episodes, weights):
    options = {"episodes_per_seed": 2, "run": "r", "streams": streams(), "device": "cpu"}
    shown = (
        in_memory.of_pieces(kinds.paths.DEMONSTRATIONS, rollouts.demonstrations(parameters, episodes, **options))
        .arrow()
        .to_pylist()
    )
    assert [(row["seed"], row["episode"]) for row in shown] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    starts = streams().numpy("demonstrations").integers(2**31, size=2)
    for row in shown:
        theta = weights_at(weights, UPDATES[-1], row["seed"])
        observations = np.reshape(row["observations"], (-1, INPUTS))
        actions = np.reshape(row["actions"], (-1, OUTPUTS))
        expected = np.array([acts(theta, observation) for observation in observations])
        np.testing.assert_allclose(actions, expected, atol=1e-4)  # both are kept in single precision
        total, length = plain(theta, starts[row["episode"]])
        assert (row["return"], len(actions)) == (pytest.approx(total, rel=1e-6), length)
    assert not set(starts) & set(episodes.values("reset_seed"))


def test_two_files_give_what_one_does(parameters, episodes, weights, quiet, tmp_path):
    files = [written(tmp_path / f"run.seeds{seed}.parquet", weights, [seed]) for seed in SEEDS]
    stacks = Table(kinds.common.PARAMETERS, files)
    assert returns(stacks, episodes, quiet).arrow().equals(returns(parameters, episodes, quiet).arrow())
    assert rebuilt(stacks, episodes, quiet).arrow().equals(rebuilt(parameters, episodes, quiet).arrow())


class Counter:
    """A simulator of pictures that tell how many steps were taken; episode `seed` has as many steps."""

    def __init__(self, source, rng, evaluation=False):
        self.taken = self.steps = 0

    def picture(self):
        return np.full((1, 2, 2), 10 * self.steps + self.taken, np.uint8)

    def reset(self, seed):
        self.taken, self.steps = 0, seed
        return self.picture()

    def step(self, action):
        self.taken += 1
        return self.picture(), float(action), self.taken == self.steps, False


class Watcher(torch.nn.Module):
    """Sees three frames, and does what the newest has more than the oldest."""

    frames = 3

    def act(self, observations):
        assert observations.dtype == torch.uint8
        return (observations[:, :, -1] - observations[:, :, 0]).amax(dim=(2, 3))


def test_an_agent_that_sees_frames_sees_the_last_few_and_at_first_the_first(monkeypatch):
    monkeypatch.setattr(arena.simulators, "make", Counter)
    lengths = [1, 3, 5]
    two = arena.Arena(Table(kinds.paths.EPISODES, description=SOME), "cpu", np.array(lengths))
    for _ in range(2):  # nothing is left of the episodes before
        played = two.play(Watcher(), 2, keep=True)
        np.testing.assert_array_equal(played.lengths, [lengths] * 2)
        np.testing.assert_array_equal(played.returns, [[0, 0 + 1 + 2, 0 + 1 + 2 + 2 + 2]] * 2)
        for e, length in enumerate(lengths):
            seen = np.array(played.observations[1][e])[:, :, 0, 0].astype(int) - 10 * length
            np.testing.assert_array_equal(seen, [[max(t - 2, 0), max(t - 1, 0), t] for t in range(length)])


def test_a_policy_that_never_ends_is_cut_off():
    """A chicken that stays at the side of the road."""
    given = {"game": "freeway", "idle_limit": 10**6, "max_episode_steps": 30, "episodes": EPISODES}
    rows = arcade.minatar(**given, streams=streams("environment"))
    table = Table(kinds.paths.EPISODES, rows=rows, description=Task(use="arcade.minatar", parameters=given))
    still = SimpleNamespace(act=lambda seen: torch.zeros(seen.shape[:2], dtype=torch.int64))
    played = arena.Arena(table, "cpu").play(still, len(SEEDS))
    assert (played.lengths == 30).all()
    assert (played.returns == 0).all()
