"""Toy models learn their task, keep the first attempt that has, and stay tied."""

import numpy as np
import pytest
import torch

from agentomy import kinds, networks
from agentomy.agents.regression import SMOOTHING, Regression
from agentomy.environments import superposition
from agentomy.seeds import Streams
from agentomy.tables import Table
from tests.lenses.l3d_tables import learn

torch.set_num_threads(1)
TIED = {"network": "bottleneck", "hidden": [2], "tied": True}
MLP = {"network": "mlp", "tied": False, "hidden": [4, 3], "activation": "gelu"}


def points(inputs: int = 4, task: str = "same", train: int = 400, **parameters) -> Table:
    given = {"inputs": inputs, "task": task, "train": train, "decomposed": 5, "active": 0.2, **parameters}
    return Table(kinds.subnetworks.POINTS, rows=superposition.features(**given, streams=Streams("test", "points", 0)))


def regression(*seeds: int, environment: Table | None = None, **parameters) -> Regression:
    given = {**TIED, "updates": 60, "learned": 0.01, "batch": 32, "learning_rate": 0.01} | parameters
    return Regression(environment or points(), [Streams("test", "toy", seed) for seed in seeds], "cpu", **given)


def error_of(agent: Regression, environment: Table) -> np.ndarray:
    """Mean squared error of what the agent returns, of each seed on all points."""
    train, kept = environment.where(split="train"), agent.parameters()
    seeds = len(agent.batches)
    net = networks.build(agent.network, seeds).load(kept)
    x, y = (torch.tensor(train.array(name)) for name in ("inputs", "targets"))
    with torch.no_grad():
        return (net(x.expand(seeds, *x.shape)) - y).square().mean(dim=(1, 2)).numpy()


# ---- it learns -------------------------------------------------------------------------------------------------------


def test_a_linear_task_with_room_is_learned_to_the_end_and_the_log_says_so():
    environment = points(inputs=3)
    agent = regression(0, 1, environment=environment, hidden=[3], updates=800, learning_rate=0.03, attempts=2)
    log = learn(agent, 800)
    assert (error_of(agent, environment) < 1e-3).all()
    assert (log["loss"][0] > 0.03).all()
    assert (log["loss"][-1] < 2e-3).all()


def test_a_multilayer_perceptron_learns_to_square():
    environment = points(inputs=2, task="squared", low=-1.0, active=0.5)
    agent = regression(0, environment=environment, **MLP | {"hidden": [12]}, updates=600, learning_rate=0.02)
    before = error_of(agent, environment)[0]
    learn(agent, 600)
    assert error_of(agent, environment)[0] < 0.1 * before


# ---- it is the plain algorithm ---------------------------------------------------------------------------------------


def test_it_learns_as_plain_adamw_does_with_a_rate_that_falls_linearly():
    agent = regression(3, tied=False, updates=10, final_learning_rate=0.2, weight_decay=0.05)
    encoder, decoder, bias = (torch.tensor(agent.parameters()[name][0]) for name in ("encoder", "decoder", "bias"))
    leaves = [weight.requires_grad_() for weight in (encoder, decoder, bias)]
    optimiser = torch.optim.AdamW(leaves, weight_decay=0.05)
    rng = Streams("test", "toy", 3).numpy("batches")
    for update in range(8):
        rows = torch.from_numpy(rng.integers(len(agent.inputs), size=32))
        answer = torch.relu(agent.inputs[rows] @ encoder @ decoder + bias)
        loss = torch.nn.functional.mse_loss(answer, agent.targets[rows])
        optimiser.param_groups[0]["lr"] = 0.01 * (1 - 0.8 * update / 10)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        agent.advance()
    for name, leaf in zip(("encoder", "decoder", "bias"), leaves, strict=True):
        torch.testing.assert_close(torch.tensor(agent.parameters()[name][0]), leaf.detach(), atol=1e-6, rtol=1e-4)


def test_a_tied_model_learns_as_one_weight_that_is_used_twice():
    agent = regression(3, updates=10, weight_decay=0.05, final_learning_rate=1.0)
    encoder, bias = (torch.tensor(agent.parameters()[name][0]).requires_grad_() for name in ("encoder", "bias"))
    optimiser = torch.optim.AdamW([encoder, bias], lr=0.01, weight_decay=0.05)
    rng = Streams("test", "toy", 3).numpy("batches")
    for _ in range(8):
        rows = torch.from_numpy(rng.integers(len(agent.inputs), size=32))
        x = agent.inputs[rows]
        loss = (torch.relu(x @ encoder @ encoder.T + bias) - agent.targets[rows]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        agent.advance()
    torch.testing.assert_close(torch.tensor(agent.parameters()["encoder"][0]), encoder.detach(), atol=1e-6, rtol=1e-4)


def test_a_tied_decoder_stays_the_encoders_transpose():
    agent = regression(0, 1, attempts=2)
    for _ in range(5):
        kept = agent.parameters()
        assert np.array_equal(kept["decoder"], kept["encoder"].swapaxes(1, 2))
        agent.advance()
    free = regression(0, tied=False).parameters()
    assert not np.array_equal(free["decoder"], free["encoder"].swapaxes(1, 2))


# ---- attempts --------------------------------------------------------------------------------------------------------


def kill(agent: Regression, *attempts: int) -> None:
    """These can never learn: their outputs are off for all inputs."""
    with torch.no_grad():
        for attempt in attempts:
            agent.net.encoder[attempt], agent.net.decoder[attempt], agent.net.bias[attempt] = 0.0, 0.0, -1e3


def test_attempts_that_cannot_learn_are_passed_over_and_counted():
    environment = points(inputs=3)
    easy = {"hidden": [3], "updates": 800, "learning_rate": 0.03, "attempts": 4, "environment": environment}
    agent = regression(0, 1, **easy, learned=0.005)
    kill(agent, 0, 4, 5)  # the first attempt of one seed, the first two of the other
    log = learn(agent, 800)
    untouched = learn(regression(0, 1, **easy, learned=0.005), 800)
    for seed, dead in enumerate((1, 2)):
        assert log["passed over"][-1, seed] >= dead
    assert untouched["passed over"][-1].max() <= log["passed over"][-1].max()
    assert (log["loss"][-1] <= 0.005).all()
    assert (error_of(agent, environment) < 0.005).all()


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([0.5, 0.01, 0.001, 0.5], 1),  # the first that has learned, though a later one is better
        ([0.5, 0.4, 0.3, 0.6], 2),  # none has: the best
        ([0.01, 0.4, 0.3, 0.6], 0),
        ([np.inf] * 4, 0),
    ],
)
def test_the_first_attempt_that_has_learned_counts_else_the_best(losses, expected):
    agent = regression(0, 1, attempts=4, learned=0.01)
    agent.running = torch.tensor([*losses, 0.5, 0.5, 0.5, 0.002])
    kept, every = agent.parameters(), agent.net.arrays()
    for name in kept:
        assert np.array_equal(kept[name][0], every[name][expected])
        assert np.array_equal(kept[name][1], every[name][7])


def test_where_no_attempt_has_learned_all_were_passed_over():
    """And not none, as if the first had learned."""
    log = learn(regression(0, 1, attempts=3, learned=1e-9), 5)
    assert (log["passed over"] == 3).all()
    assert not log["learned"].any()
    easily = learn(regression(0, 1, attempts=3, learned=1e9), 5)
    assert (easily["passed over"] == 0).all()
    assert easily["learned"].all()


def test_attempts_see_the_same_points_and_do_not_feel_each_other():
    together = regression(0, attempts=3, learned=0.0)
    alone = regression(0, attempts=1, learned=0.0)
    alone.net.load({name: array[1:2] for name, array in together.net.arrays().items()})
    learn(together, 20), learn(alone, 20)
    for name, array in alone.net.arrays().items():
        np.testing.assert_allclose(array[0], together.net.arrays()[name][1], atol=1e-6)
        assert not np.allclose(array[0], together.net.arrays()[name][0], atol=1e-2)


def test_the_running_loss_forgets_slowly():
    agent, losses = regression(0), []
    for _ in range(30):
        running = agent.running.clone()
        agent.advance()
        losses.append((running, agent.running))
    assert torch.isfinite(agent.running).all()
    for before, after in losses[1:]:
        batch = (after - (1 - SMOOTHING) * before) / SMOOTHING
        assert 0 < batch < 1


# ---- what it learns from and gives back ------------------------------------------------------------------------------


def test_loaded_weights_replace_those_of_every_attempt():
    agent, other = regression(0, 1, attempts=3), regression(5, 6, attempts=3)
    learn(other, 3)
    agent.load(other.parameters())
    for name, array in agent.net.arrays().items():
        assert np.array_equal(array, other.parameters()[name].repeat(3, axis=0))
    for name, array in agent.parameters().items():
        assert np.array_equal(array, other.parameters()[name])


def test_it_learns_from_the_points_to_learn_from_alone():
    assert len(regression(0, environment=points(train=37)).inputs) == 37
