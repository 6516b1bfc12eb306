"""A game to look at: frames where the environment draws, and at each step what the agent's choice depends on."""

import gymnasium
import numpy as np
import pytest
import stable_baselines3 as sb3
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack

from agentomy import kinds
from agentomy.lenses.behaviour.play import game_in
from agentomy.lenses.behaviour.subject import subjects
from agentomy.lenses.inside import watch
from agentomy.progress import Progress
from agentomy.seeds import Streams
from agentomy.tables import Table
from tests.foreign_agents.conftest import new_model, small
from tests.foreign_agents.test_import import MINE, WORLD, parameters, planned
from tests.foreign_agents.test_inside import planted  # noqa: F401
from tests.foreign_agents.test_play import table
from tests.foreign_agents.worlds import CHOICE, VECTOR, World, shaken


class Drawn(World):
    """A world that draws one thing of the observation: how far its entry 3 is right."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012

    def __init__(self, observation, action, render_mode=None):
        super().__init__(observation, action)
        self.render_mode = render_mode

    def observation(self):
        self.last = super().observation()
        return self.last

    def render(self):
        return np.full((400, 600, 3), [self.steps, 0, 255], np.uint8)


@pytest.fixture(scope="module", autouse=True)
def _world():
    gymnasium.register("Vectors-v0", lambda **given: World(VECTOR, CHOICE))
    gymnasium.register("Drawn-v0", lambda **given: Drawn(VECTOR, CHOICE, **given))
    yield
    del gymnasium.registry["Vectors-v0"], gymnasium.registry["Drawn-v0"]


class Heard(Progress):
    def __init__(self):
        super().__init__("t", every=1e9)
        self.lines = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def watched(agent: Table, id: str, **given) -> tuple[Table, list[str]]:
    heard = Heard()
    lent = {"run": "mine", "streams": Streams("t", "mine", 0), "device": "cpu", "progress": heard}
    rows = [*watch.watched(agent, table(id, 2), **lent, **given)]
    return Table(kinds.inside.WATCHED, rows=rows), heard.lines


def test_frames_are_those_of_the_step_and_no_larger_than_they_may_be(planted):  # noqa: F811
    rows, heard = watched(planted, "Drawn-v0")
    of_agent = rows.where(twin=-1)
    assert heard == []
    assert of_agent.values("step").tolist() == [*range(10)]
    frames = of_agent.array("frame", 133, 200, 3)
    assert (frames[..., 0] == np.arange(10)[:, None, None]).all()
    assert (frames[..., 2] == 255).all()


def test_the_entry_by_which_it_acts_has_all_of_its_saliency_and_of_a_twin_it_has_not(planted):  # noqa: F811
    rows, _ = watched(planted, "Vectors-v0")
    shares = {twin: rows.where(twin=twin).array("choice", 5) for twin in (-1, 0)}
    sees = shares[-1].sum(axis=1) > 0
    assert sees.sum() >= 5
    np.testing.assert_allclose(shares[-1][sees], np.eye(5)[[3] * sees.sum()], atol=1e-6)
    np.testing.assert_allclose(shares[0].sum(axis=1), 1, atol=1e-5)
    assert shares[0].max() < 0.9
    assert rows.where(twin=-1).array("value").size == 0  # a DQN has none of its own


def test_one_that_draws_nothing_is_watched_without_frames(planted):  # noqa: F811
    rows, heard = watched(planted, "Vectors-v0", twins=0)
    assert set(rows.values("frame_rows")) == {0}
    assert rows.array("seen", 1, 5).shape == (10, 1, 5)
    assert len(heard) <= 1


def test_one_that_cannot_draw_says_why(planted, monkeypatch):  # noqa: F811
    def broken(self):
        raise gymnasium.error.DependencyNotInstalled("pygame is not installed\nrun pip")

    monkeypatch.setattr(Drawn, "render", broken)
    rows, heard = watched(planted, "Drawn-v0", twins=0, steps=4)
    assert len(rows.values("step")) == 4
    assert heard == ["mine: no frames (pygame is not installed)"]


def test_choices_have_no_gradient(tmp_path):
    gymnasium.register("Choices-v0", lambda **given: World(spaces.Discrete(7), CHOICE))
    model = new_model("ppo one-hot")
    model.num_timesteps = 5
    model.save(tmp_path / "5.zip")
    world = {**WORLD, "id": "Choices-v0"}
    study = planned(tmp_path, {**MINE, "files": "{update}.zip"}, environments={"world": world})
    rows, _ = watched(parameters(study, tmp_path), "Choices-v0", twins=0)
    del gymnasium.registry["Choices-v0"]
    assert rows.array("choice").size == 0
    assert rows.array("seen").shape == (10, 1)


def test_saliency_of_one_that_sees_two_frames_is_of_the_present_one(tmp_path):
    """A life ends at step 4: what was seen in it is forgotten. The plain twin is SB3's network, frame by frame."""
    env = VecFrameStack(DummyVecEnv([lambda: World(VECTOR, CHOICE)]), 2)
    model = shaken(sb3.PPO("MlpPolicy", env, n_steps=16, batch_size=16, seed=0, **small()))
    model.save(tmp_path / "5.zip")
    run, world = {**MINE, "files": "5.zip", "frames": 2}, {**WORLD, "id": "Vectors-v0"}
    ((_, _, subject),) = subjects(parameters(planned(tmp_path, run, environments={"world": world}), tmp_path), "cpu")
    stage = watch.Stage(table("Vectors-v0", 1).description, print)
    stage.game = game_in(table("Vectors-v0", 1).description)
    step, stage.game.step = stage.game.step, lambda action: (step(action)[0], stage.game.steps == 4, "")
    game = {"run": "mine", "seed": 0, "update": 5, "agent": "trained", "twin": -1}
    rows = Table(kinds.inside.WATCHED, rows=[stage.play(subject, 3, 8, **game)])
    seen = rows.array("seen", 5)
    expected = {"choice": np.zeros((8, 5)), "value": np.zeros((8, 5))}
    for t, now in enumerate(seen):
        before = np.zeros(5, np.float32) if t in (0, 4) else seen[t - 1]
        both = torch.tensor(np.concatenate([before, now])[None], requires_grad=True)
        outputs = {
            "choice": model.policy.get_distribution(both).distribution.logits.max(),
            "value": model.policy.predict_values(both).sum(),
        }
        for name, output in outputs.items():
            (gradient,) = torch.autograd.grad(output, both)
            expected[name][t] = gradient[0, 5:].abs().numpy() * seen.std(axis=0)
    for name, sizes in expected.items():
        np.testing.assert_allclose(rows.array(name, 5), sizes / sizes.sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-6)
