"""Langevin classifiers and Q-learners learn, and explore by their samples (NLD)."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from agentomy import kinds, networks
from agentomy.agents.double_dqn import DoubleDQN
from agentomy.agents.langevin import Classifier
from agentomy.agents.langevin_dqn import LangevinDQN
from agentomy.environments import digits, simulators
from agentomy.seeds import Streams
from agentomy.tables import Table
from tests.agents.test_double_dqn import Lights, learn
from tests.described import SOME

torch.set_num_threads(1)
STEPS = {"euclidean": 0.1, "rmsprop": 3e-3, "dop": 3e-3, "qdop": 3e-3, "adam": 3e-3}  # of the same worth, about
COLD = {"method": "euclidean", "temperature": 0.0, "prior": "none"}
TRAIN = 600


@pytest.fixture(scope="module")
def small() -> Table:
    rows = digits.images(source="scikit-learn", validation=597, test=600, streams=Streams("test", "digits", 0))
    return Table(kinds.nld.IMAGES, rows=rows)


def streams(seeds: tuple[int, ...]) -> list[Streams]:
    return [Streams("test", "langevin", seed) for seed in seeds]


def classifier(table: Table, *seeds: int, **given) -> Classifier:
    given = {"updates": 200, "method": "qdop", "hidden": [16], "batch": 50, "epsilon": 1e-3} | given
    return Classifier(table, streams(seeds), "cpu", **{"step": STEPS[given["method"]]} | given)


# ---- classifiers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", STEPS)
def test_every_method_learns_to_tell_digits(small, method):
    losses = learn(classifier(small, 0, 1, method=method), 250)["loss"]
    assert (abs(losses[0] - np.log(10)) < 0.7).all()
    assert (losses[-10:].mean(axis=0) < 0.5 * np.log(10)).all()


def test_without_noise_and_prior_it_is_plain_gradient_descent(small):
    agent = classifier(small, 0, hidden=[16, 8], step=0.2, **COLD)
    plain = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 10))
    start = [torch.from_numpy(array[0]) for name, array in agent.parameters().items() if "current" in name]
    for mine, theirs in zip(plain.parameters(), start, strict=True):
        mine.data = theirs
    optimiser, order = torch.optim.SGD(plain.parameters(), lr=0.2), streams((0,))[0].numpy("batches").permutation(TRAIN)
    train = small.where(split="train")
    inputs, labels = torch.from_numpy(train.array("pixels") / np.float32(255)), torch.tensor(train.values("label"))
    for number in range(12):
        rows = order[50 * number : 50 * (number + 1)]
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(plain(inputs[rows]), labels[rows])
        loss.backward()
        optimiser.step()
        assert agent.advance()["loss"][0] == pytest.approx(loss.item(), rel=1e-4)


def test_the_running_mean_starts_as_the_network_and_forgets_with_the_root_of_time(small):
    agent = classifier(small, 0, 1)
    names = [name.removeprefix("current.") for name in agent.parameters() if name.startswith("current.")]
    expected = {name: agent.parameters()[f"current.{name}"] for name in names}
    for update in range(30):
        for name in names:
            np.testing.assert_allclose(agent.parameters()[f"mean.{name}"], expected[name], rtol=1e-4, atol=1e-6)
        agent.advance()
        rate = 1 / np.sqrt(1 + update)
        parameters = agent.parameters()
        expected = {name: (1 - rate) * expected[name] + rate * parameters[f"current.{name}"] for name in names}


def test_dropout_leaves_out_the_stated_share_of_units_and_the_others_count_for_them(small):
    agent = classifier(small, 0, 1, dropout=0.3, hidden=[10])
    arrays = {name: np.zeros_like(array) for name, array in agent.parameters().items()}
    arrays["current.layer1.bias"] += 1  # every hidden unit gives 1, and every output is one hidden unit
    arrays["current.layer2.weight"] += np.eye(10, dtype=np.float32)
    agent.load(arrays)
    logits = agent.logits(torch.zeros(2, 5000, 64)).detach().numpy()
    assert np.all((logits == 0) | np.isclose(logits, 1 / 0.7))
    np.testing.assert_allclose((logits == 0).mean(axis=(1, 2)), 0.3, atol=4 * (0.21 / 50_000) ** 0.5)
    np.testing.assert_allclose((logits == 0).mean(axis=1), 0.3, atol=5 * (0.21 / 5000) ** 0.5)
    np.testing.assert_allclose(logits.mean(axis=(1, 2)), 1, atol=4 * (0.21 / 50_000) ** 0.5 / 0.7)
    assert ((logits[0] == 0) != (logits[1] == 0)).mean() == pytest.approx(2 * 0.3 * 0.7, abs=0.02)  # luck of their own


def test_the_step_is_halved_at_every_interval(small):
    def moves(halved_every: int) -> list[np.ndarray]:
        """How far the weights go in each update, on one and the same batch and from the same place."""
        agent, steps = classifier(small, 0, **COLD, halved_every=halved_every), []
        start = agent.parameters()
        agent.sample = lambda: torch.arange(50).unsqueeze(0)
        for _ in range(9):
            agent.load(start)
            agent.advance()
            steps.append(agent.parameters()["current.layer1.weight"] - start["current.layer1.weight"])
        return steps

    plain, halved = moves(10_000), moves(3)
    for update in range(9):
        np.testing.assert_allclose(halved[update], plain[update] / 2 ** (update // 3), rtol=1e-3, atol=1e-6)


def test_every_image_is_used_once_an_epoch_in_an_order_of_each_seeds_own(small):
    agent, epochs = classifier(small, 0, 1), []
    draw, rows = agent.sample, []
    agent.sample = lambda: rows.append(draw()) or rows[-1]
    for _ in range(3):
        rows.clear()
        learn(agent, TRAIN // 50)
        epochs.append(torch.cat(rows, dim=1).numpy())
        assert (np.sort(epochs[-1], axis=1) == np.arange(TRAIN)).all()
    for one, other in [(epochs[0], epochs[1]), (epochs[1], epochs[2]), (epochs[0][0], epochs[0][1])]:
        assert (one == other).mean() < 0.05


def test_a_batch_of_more_images_than_there_are_is_refused(small):
    with pytest.raises(ValueError, match="langevin: batch: found 601; allowed: up to the 600 training images"):
        classifier(small, 0, batch=601)
    learn(classifier(small, 0, batch=600), 2)


# ---- Q-learners ------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def lights(monkeypatch):
    monkeypatch.setattr(simulators, "make", lambda source, rng: Lights(rng))


SCHEDULE = {
    "batch": 8,
    "learning_starts": 20,
    "exploration_steps": 100,
    "target_update_interval": 10,
    "buffer_size": 60,
}


def episodes() -> Table:
    return Table(kinds.paths.EPISODES, description=SOME)


def langevin_dqn(*seeds: int, **given) -> LangevinDQN:
    sampling = {"explores": "samples", "metric": "qdop", "step": 1e-2, "spread": 0.05, "epsilon": 1.0}
    return LangevinDQN(episodes(), streams(seeds), "cpu", **{"updates": 200, **SCHEDULE, **sampling} | given)


@pytest.mark.slow
@pytest.mark.parametrize("explores", ["epsilon", "samples"])
def test_a_sampler_of_values_learns_to_play(explores):
    agent = langevin_dqn(0, 1, explores=explores, discount=0.5, batch=32, buffer_size=1000)
    learn(agent, 200)
    simulator = Lights(np.random.default_rng(5))
    observations = np.stack([simulator.look() for _ in range(50)])
    actions = agent.net.act(torch.from_numpy(observations).expand(2, *observations.shape))
    assert np.array_equal(actions, np.tile(observations.any(axis=(1, 2))[:, :3].argmax(axis=1), (2, 1)))


def test_an_episode_is_played_by_the_sample_of_its_start_and_the_next_by_another():
    agent = langevin_dqn(0, 1, steps_per_update=2)
    agent.advance()
    step_envs, ended = agent.step_envs, []
    agent.step_envs = lambda actions: ended.append(step_envs(actions)) or ended[-1]
    kept, replaced = 0, 0
    for _ in range(40):
        before, learned = copy.deepcopy(agent.actor.state_dict()), copy.deepcopy(agent.net.state_dict())
        ended.clear()
        agent.advance()
        for seed, over in enumerate(np.any(ended, axis=0)):
            for name, values in agent.actor.state_dict().items():
                assert torch.equal(values[seed], (learned if over else before)[name][seed])
            kept, replaced = kept + (not over), replaced + over
    assert kept > 10
    assert replaced > 10


def test_behind_the_random_steps_samples_alone_choose_the_actions():
    agent, plain = langevin_dqn(0, 1), DoubleDQN(episodes(), streams((0, 1)), "cpu", updates=200, **SCHEDULE)
    for agent.steps in range(20):
        assert np.array_equal(agent.explore(), plain.explore())  # by chance
    agent.actor.draw([networks.generator(seed) for seed in (7, 8)])
    for agent.steps in range(20, 60):
        agent.observations = np.stack([Lights(np.random.default_rng([agent.steps, seed])).look() for seed in (0, 1)])
        seen = torch.from_numpy(agent.observations).unsqueeze(1)
        assert np.array_equal(agent.explore(), agent.actor.act(seen)[:, 0])
    assert not all(torch.equal(*pair) for pair in zip(agent.actor.parameters(), agent.net.parameters(), strict=True))


def test_exploration_by_chance_is_that_of_double_dqn():
    ours = langevin_dqn(0, 1, explores="epsilon")
    plain = DoubleDQN(episodes(), streams((0, 1)), "cpu", updates=200, **SCHEDULE)
    for number in range(150):
        if number % 30 == 0:  # what is valued most changes along learning, alike for both
            weights = [networks.generator(number + seed) for seed in range(2)]
            plain.net.load(ours.net.draw(weights).arrays())
        actions = ours.explore()
        assert np.array_equal(actions, plain.explore())
        assert np.array_equal(ours.step_envs(actions), plain.step_envs(actions))
        assert np.array_equal(ours.observations, plain.observations)


def test_the_data_are_the_transitions_in_the_replay():
    agent = langevin_dqn(0, steps_per_update=3)
    for update in range(1, 25):
        agent.advance()
        sizes = {group["size"] for group in agent.optimiser.param_groups}
        assert sizes == {min(20 + 3 * update, 60)} == {min(agent.replay.added, 60)}


@pytest.mark.usefixtures("double_precision")
def test_a_step_without_noise_follows_the_gaussian_likelihood():
    agent = langevin_dqn(0, metric="euclidean", step=1e-4, spread=0.5, temperature=0.0, prior="none", batch=16)
    agent.advance()
    drawn = agent.replay.sample([np.random.default_rng(0)], 16)
    with torch.no_grad():
        targets = agent.td_targets(drawn)[0]
    copied = networks.build(agent.network, 1)
    copied.load_state_dict(agent.net.state_dict())
    values = copied(drawn["observation"])[0, torch.arange(16), drawn["action"][0]]
    (-torch.distributions.Normal(values, 0.5).log_prob(targets).mean()).backward()
    errors = agent.learn(drawn)
    assert errors[0].item() == pytest.approx((values - targets).square().mean().item())
    for moved, before in zip(agent.net.parameters(), copied.parameters(), strict=True):
        torch.testing.assert_close(moved, before - 1e-4 * before.grad)
