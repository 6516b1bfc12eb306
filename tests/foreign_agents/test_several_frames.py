"""An agent that sees three frames at once, and one of whose features is what has gone out between first and last."""

import sys

import gymnasium
import numpy as np
import pytest
import stable_baselines3 as sb3
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack

from agentomy import kinds, names
from agentomy.lenses.behaviour.play import Room
from agentomy.lenses.behaviour.subject import Foreign, subjects
from agentomy.lenses.inside.features import features
from agentomy.lenses.rollouts import reconstructed
from agentomy.progress import Progress
from agentomy.seeds import Streams
from agentomy.tables import Table
from tests.foreign_agents.conftest import small
from tests.foreign_agents.test_import import MINE, WORLD, parameters, planned
from tests.foreign_agents.test_play import table
from tests.foreign_agents.worlds import CHOICE, World, shaken

FRAMES, EACH, SIDE, GAMES, TWINS = 3, 4, 10, 3, 2
CHANNELS = FRAMES * EACH  # more than a side, so that no shape tells which of them channels are
NET = '''
from torch import nn


class Net(nn.Module):
    """One convolution on frames, channels first."""

    def __init__(self):
        super().__init__()
        self.first, self.on = nn.Conv2d(12, 2, 3, padding=1), nn.ReLU()
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(200, 4))

    def forward(self, pictures):
        return {"q": self.head(self.on(self.first(pictures)))}
'''


class Bits(World):
    """Pictures of random bits, channels last; whatever is done, a seed's game is the same."""

    def __init__(self):
        super().__init__(spaces.Box(0, 255, (SIDE, SIDE, EACH), np.uint8), CHOICE)

    def observation(self):
        return (255 * self.np_random.integers(2, size=(SIDE, SIDE, EACH))).astype(np.uint8)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames") / "studies"
    folder.mkdir()
    gymnasium.register("Flicker-v0", Bits)
    (folder / "flicker.py").write_text(NET)
    scope: dict = {}
    exec(NET, scope)
    net = scope["Net"]()
    with torch.no_grad():
        net.first.weight.zero_()
        net.first.bias.zero_()
        net.first.weight[0, 1, 1, 1], net.first.weight[0, -3, 1, 1] = 1, -1  # was on two steps before, is off now
    torch.save(net.state_dict(), folder / "5.pt")
    run = {**MINE, "files": "5.pt", "frames": FRAMES, "network": {"use": "flicker.Net", "scale": 255}}
    world = {**WORLD, "id": "Flicker-v0"}
    yield parameters(planned(folder, run, modules=["flicker.py"], environments={"world": world}), folder.parent)
    names.LOADED.discard("flicker")
    sys.modules.pop("flicker", None)
    del gymnasium.registry["Flicker-v0"]


@pytest.fixture(scope="module")
def maps(found):
    lent = {"run": "mine", "streams": Streams("t", "mine", 0), "device": "cpu", "progress": Progress("t", every=1e9)}
    rows = features(found, table("Flicker-v0", GAMES), count=15, twins=TWINS, **lent)
    return Table(kinds.inside.FEATURE_MAPS, rows=[*rows])


def stacks() -> dict[bytes, np.ndarray]:
    """Newest frame → all channels that an agent sees with it; before a game all is dark. Played by nobody."""
    env, seen = Bits(), {}
    for seed in table("Flicker-v0", GAMES).values("reset_seed"):
        frames = [np.zeros((EACH, SIDE, SIDE), bool)] * (FRAMES - 1)
        frames.append(env.reset(seed=int(seed))[0].transpose(2, 0, 1) > 0)
        for _ in range(10):
            seen[frames[-1].tobytes()] = np.concatenate(frames[-FRAMES:])
            frames.append(env.step(0)[0].transpose(2, 0, 1) > 0)
    return seen


def pictures(maps: Table) -> np.ndarray:
    return maps.where(twin=-1, layer="input").array("values", CHANNELS, SIDE, SIDE) > 0


def test_a_feature_of_the_first_and_the_last_frame_is_found_place_by_place(maps):
    seen, of = pictures(maps), stacks()
    known = np.stack([of[picture[-EACH:].tobytes()] for picture in seen])
    np.testing.assert_array_equal(seen, known)
    given = maps.where(twin=-1, layer="on").array("values", 2, SIDE, SIDE)
    np.testing.assert_allclose(given[:, 0], known[:, 1] & ~known[:, -3], atol=1e-6)
    assert not given[:, 1].any()


def test_twins_see_the_same_frames(maps, found):
    ((_, _, subject),) = subjects(found, "cpu")
    twins = [subject.twin(Streams("t", "mine", 0).for_seed(0).entropy(f"twin {twin}")) for twin in range(TWINS)]
    for number, twin in enumerate(twins):
        with torch.no_grad():
            theirs = twin.net.net.on(twin.net.net.first(torch.tensor(pictures(maps)).float()))
        np.testing.assert_allclose(maps.where(twin=number).array("values", 2, SIDE, SIDE), theirs, atol=1e-6)


def test_places_are_where_windows_are(maps):
    layer = maps.where(twin=-1, layer="on")
    np.testing.assert_array_equal(layer.array("places", 4)[0], [0, 0, 1, 1])
    assert layer.array("marks", SIDE, SIDE).any()


def test_what_changes_is_told_by_the_present_frame(maps):
    seen = pictures(maps)
    later = seen[:, EACH : 2 * EACH].any(axis=(1, 2, 3))
    changed = maps.where(twin=-1, layer="input").array("marks", SIDE, SIDE) > 0
    before, now = seen[later, EACH : 2 * EACH], seen[later, 2 * EACH :]
    np.testing.assert_array_equal(changed[later], (before != now).any(axis=1))


def test_frames_without_channels_are_no_pictures(found):
    ((_, _, subject),) = subjects(found, "cpu")
    flat = Foreign.__new__(Foreign)
    flat.__dict__ |= subject.__dict__
    flat._seen = lambda observations, state: torch.zeros(1, SIDE, 3 * SIDE)
    with pytest.raises(ValueError, match="allowed: pictures with channels"):
        flat.pictures(np.zeros((1, SIDE, SIDE), np.uint8))


def test_a_policy_of_several_frames_is_rebuilt_and_plays_with_its_memory(tmp_path):
    """In CartPole, where how long a game lasts depends on what is done in it."""
    env = VecFrameStack(DummyVecEnv([lambda: gymnasium.make("CartPole-v1")]), 2)
    model = sb3.DQN("MlpPolicy", env, buffer_size=10, seed=0, **small())
    for number in range(1, 5):
        shaken(model).save(tmp_path / f"{number}.zip")
    run = {**MINE, "files": "{update}.zip", "frames": 2}
    path = parameters(planned(tmp_path, run), tmp_path)
    lent = {"run": "mine", "device": "cpu", "progress": Progress("t", every=1e9)}
    rows = [*reconstructed(path, table("CartPole-v1", 4), directions=[1, 3], snapshots_per_period=3, **lent)]
    frame = Table(kinds.paths.ROLLOUTS, rows=rows).frame().set_index(["update", "episode"]).sort_index()
    ends = {k: frame[(frame["directions"] == k) & (frame["period"] == "half1")]["return"] for k in (-1, 1, 3)}
    ((_, _, subject),) = subjects(path, "cpu", [3])
    np.testing.assert_array_equal(ends[-1].loc[3], Room(table("CartPole-v1", 4)).play(subject).returns)
    np.testing.assert_array_equal(ends[3], ends[-1])
    assert (ends[1] != ends[-1]).any()
