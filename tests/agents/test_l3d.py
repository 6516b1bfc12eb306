"""L3D is the plain algorithm, and finds circuits that were planted."""

import numpy as np
import pytest
import torch

from agentomy import networks
from agentomy.agents.l3d import L3D
from agentomy.networks import subnetworks
from agentomy.networks.subnetworks import IN, OUT
from agentomy.networks.toy import Bottleneck
from agentomy.tables import Table
from tests.lenses.l3d_tables import (
    IMPALA,
    LSTM,
    SMOOTH,
    decomposer,
    drawn,
    factors_of,
    joined,
    learn,
    pictures,
    sequences,
    sparse_inputs,
    subject_table,
    toy_subjects,
)

torch.set_num_threads(1)


def directions(agent: L3D, side: int = OUT) -> np.ndarray:
    """Every start's subnetworks written out, [S, starts, K, parameters]."""
    dense = joined({name: agent.net.dense(name, side) for name in agent.net.shapes}, 2)
    return dense.reshape(len(dense), agent.starts, agent.count, -1)


# ---- circuits that are known -----------------------------------------------------------------------------------------

BLOCKS = 3


def blocks(samples: int = 96) -> tuple[Table, np.ndarray]:
    """Two features, two hidden units and two outputs a block, one block on at a time; the block of each parameter.

    All weights are positive: an output whose block is off is exactly 0, and so is every gradient through it.
    """
    rng, side = np.random.default_rng(0), 2 * BLOCKS
    inside = np.kron(np.eye(BLOCKS), np.ones((2, 2)))
    weights = {name: (inside * rng.uniform(0.5, 1, (2, side, side))).astype(np.float32) for name in MATRICES}
    weights["bias"] = np.zeros((2, side), np.float32)
    on = np.repeat(np.eye(BLOCKS)[rng.integers(BLOCKS, size=samples)], 2, axis=1)
    description = {"use": networks.use(Bottleneck), "inputs": side, "hidden": side, "outputs": side}
    owner = np.where(inside > 0, np.arange(side)[:, None] // 2, -1).ravel()
    arrays = {name: weights[name] for name in ("encoder", "decoder", "bias")}
    table = subject_table(description, arrays, (on * rng.uniform(0.2, 1, on.shape)).astype(np.float32))
    return table, np.concatenate([np.arange(side) // 2, owner, owner])


MATRICES = ("encoder", "decoder")


@pytest.mark.parametrize("divergence", ["mse", "code"])
def test_circuits_that_are_used_one_at_a_time_are_found_by_one_subnetwork_each(divergence):
    subjects, owner = blocks()
    agent = decomposer(
        subjects, 0, 1, epochs=60, count=BLOCKS, rank=2, divergence=divergence, keep=1 / BLOCKS, starts=6
    )
    assert list(agent.net.shapes) == ["bias", "decoder", "encoder"]  # as in the owners
    before = shares(agent, owner)
    log = learn(agent, agent.updates)
    assert before.max() < 0.7
    share = shares(agent, owner)  # [S, K, blocks]
    assert (share.max(axis=2) > 0.97).all()
    assert all(sorted(blocks) == list(range(BLOCKS)) for blocks in share.argmax(axis=2))
    assert (log["loss"][-1] < 0.25).all()


def shares(agent: L3D, owner: np.ndarray) -> np.ndarray:
    """Of the squared norm of each subnetwork of the best start, how much lies in each block, [S, K, blocks]."""
    best = agent.running.argmin(dim=1).numpy()
    squares = np.square(directions(agent)[np.arange(len(best)), best])
    return np.stack([squares[..., owner == block].sum(axis=2) for block in range(BLOCKS)], axis=2)


def test_as_many_subnetworks_as_parameters_of_full_rank_miss_nothing():
    subjects = toy_subjects({**SMOOTH, "sizes": [2, 3], "activation": "gelu"})
    agent = decomposer(subjects, 0, 1, epochs=250, count=9, rank=3, keep=1.0, warm_up=0, batch=24, learning_rate=0.02)
    losses = learn(agent, agent.updates)["loss"]
    assert (losses[0] > 0.02).all()
    assert (losses[-1] < 1e-3).all()


def permuted(order: dict[str, np.ndarray]) -> tuple[Table, dict]:
    """The network with its inputs, hidden units and outputs in other orders; and what that does to factors."""
    description = {"use": networks.use(Bottleneck), "inputs": 4, "hidden": 3, "outputs": 5}
    arrays, inputs = drawn(description), sparse_inputs(48, 4)
    i, h, o = order["inputs"], order["hidden"], order["outputs"]
    moved = {
        "encoder": arrays["encoder"][:, i][:, :, h],
        "decoder": arrays["decoder"][:, h][:, :, o],
        "bias": arrays["bias"][:, o],
    }
    axes = {"encoder/0": i, "encoder/1": h, "decoder/0": h, "decoder/1": o, "bias/0": o}
    return subject_table(description, moved, inputs[:, i]), axes


def test_permuting_a_networks_units_permutes_its_subnetworks_likewise():
    rng = np.random.default_rng(0)
    straight = {"inputs": np.arange(4), "hidden": np.arange(3), "outputs": np.arange(5)}
    crossed = {name: rng.permutation(order) for name, order in straight.items()}
    one, other = (decomposer(permuted(order)[0], 0, 1, double=True, starts=2) for order in (straight, crossed))
    axes = permuted(crossed)[1]
    with torch.no_grad():
        for name, factor in factors_of(one.net).items():
            factors_of(other.net)[name].copy_(factor[:, :, :, axes[name]])
    np.testing.assert_allclose(learn(other, 12)["loss"], learn(one, 12)["loss"], rtol=1e-9)
    for name, factor in factors_of(one.net).items():
        torch.testing.assert_close(factors_of(other.net)[name], factor[:, :, :, axes[name]])


# ---- it is the plain algorithm ---------------------------------------------------------------------------------------


class Plain:
    """One seed and one start, from gradients and subnetworks that are written out, with autograd and torch's Adam."""

    def __init__(self, agent: L3D):
        self.agent, self.losses = agent, []
        self.factors = {
            name: factor.detach()[0].clone().requires_grad_() for name, factor in factors_of(agent.net).items()
        }
        self.optimiser = torch.optim.Adam(self.factors.values())

    def entries(self, side: int) -> torch.Tensor:
        """[K, parameters]."""
        entries = []
        for name, shape in self.agent.net.shapes.items():
            first = self.factors[f"{name}/0"][side]
            entries.append(torch.einsum("kir,kjr->kij", first, self.factors[f"{name}/1"][side]) if shape[1:] else first)
        return torch.cat([tensor.flatten(1) for tensor in entries], dim=1)

    def learn(self, rows, references, rate: float, share: float) -> None:
        gradients = self.agent.gradients(rows, references)
        g = torch.cat([gradients[name][0].flatten(1) for name in self.agent.net.shapes], dim=1)
        z = g @ self.entries(IN).T
        limit = z.abs().flatten().sort(descending=True).values[round(share * z.numel()) - 1]
        rebuilt = (z * (z.abs() >= limit)) @ self.entries(OUT)
        loss = (g - rebuilt).square().sum() / g.square().sum()
        self.losses.append(loss.item())
        self.optimiser.param_groups[0]["lr"] = rate
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        with torch.no_grad():
            norms = self.entries(OUT).norm(dim=1)
            for name, factor in self.factors.items():
                halves = 2 if self.agent.net.shapes[name.partition("/")[0]][1:] else 1
                factor[OUT] /= norms.view(-1, *[1] * (factor.dim() - 2)) ** (1 / halves)


@pytest.mark.parametrize("divergence", ["mse", "code"])
def test_it_learns_as_the_plain_algorithm_from_warm_up_to_the_last_rate(
    divergence,
):
    agent = decomposer(toy_subjects(), 0, double=True, epochs=7, rank=2, decay=0.5, divergence=divergence)
    twin, batches, sample = Plain(agent), [], agent.sample
    agent.sample = lambda: batches.append(sample()) or batches[-1]
    losses = []
    assert agent.updates == 21  # three batches an epoch
    for update in range(21):
        agent.advance()
        losses.append(agent.running.item())
        share = 0.999 if update < 3 else 0.3
        twin.learn(*batches[-1], rate=0.01 * 0.5 ** (10 * update // 21), share=share)
    for name, factor in twin.factors.items():
        torch.testing.assert_close(factors_of(agent.net)[name][0], factor.detach(), rtol=1e-7, atol=1e-9)
    smoothed = twin.losses[0]
    for update, (loss, batch) in enumerate(zip(losses, twin.losses, strict=True)):
        smoothed = batch if update in (0, 3) else smoothed + (batch - smoothed) / 3
        assert loss == pytest.approx(smoothed, rel=1e-7)


def test_with_no_coefficients_kept_the_loss_is_one_and_nothing_is_learned():
    agent = decomposer(toy_subjects(), 0, 1, keep=0.0, warm_up=2)
    log = learn(agent, 6)
    assert (log["loss"] < 0.99).all()  # nearly all are kept
    log = learn(agent, 6)
    assert (log["loss"] == 1).all()
    assert (log["worst loss"] == 1).all()
    cold = decomposer(toy_subjects(), 0, keep=0.0, warm_up=0)
    kept = directions(cold)
    assert (learn(cold, 3)["loss"] == 1).all()
    np.testing.assert_allclose(directions(cold), kept, atol=1e-6)


def test_gradients_that_are_all_zero_teach_nothing_and_break_nothing():
    description = {"use": networks.use(Bottleneck), "inputs": 4, "hidden": 3, "outputs": 5}
    arrays = drawn(description)
    arrays["bias"][0] = -100  # one network is off, the other is not
    agent = decomposer(subject_table(description, arrays, sparse_inputs(48, 4)), 0, 1)
    before = directions(agent)
    log = learn(agent, 8)
    assert (log["loss"][:, 0] == 0).all()
    assert np.isfinite(directions(agent)).all()
    np.testing.assert_allclose(directions(agent)[0], before[0], atol=1e-6)
    assert not np.allclose(directions(agent)[1], before[1], atol=1e-3)


def test_an_epoch_sees_each_input_once_and_its_reference_is_of_the_same_batch():
    agent = decomposer(toy_subjects(samples=50), 0, 1, batch=16)  # two are left over
    for _ in range(2):
        seen = []
        for _ in range(3):
            rows, references = agent.sample()
            assert rows.shape == references.shape == (2, 16)
            assert (rows != references).all()
            assert all(set(b) <= set(a) for a, b in zip(rows, references, strict=True))
            seen.append(rows)
            agent.update += 1
        seen = np.concatenate(seen, axis=1)
        assert all(len(set(batch)) == 48 for batch in seen)
        assert not np.array_equal(*seen)


def test_fewer_inputs_than_a_batch_are_one_batch():
    agent = decomposer(toy_subjects(samples=10), 0)
    assert agent.steps == 1
    assert agent.sample()[0].shape == (1, 10)
    assert np.isfinite(learn(agent, 3)["loss"]).all()


def test_what_is_written_keeps_norm_one_and_what_is_read_does_not():
    agent = decomposer(toy_subjects(), 0, 1, starts=2)
    learn(agent, 9)
    np.testing.assert_allclose(np.linalg.norm(directions(agent), axis=3), 1, atol=1e-5)
    assert np.abs(np.linalg.norm(directions(agent, IN), axis=3) - 1).max() > 0.01


@pytest.mark.parametrize(
    ("description", "inputs", "reading"), [(IMPALA, pictures(32), "policy"), (LSTM, sequences(32), "prediction")]
)
def test_policies_and_predictors_are_decomposed_and_the_loss_falls(description, inputs, reading):
    subjects = subject_table(description, drawn(description, spread=0.3), inputs, reading)
    agent = decomposer(subjects, 0, 1, epochs=20, count=4, divergence="kl", keep=0.5, chunk=8, learning_rate=0.02)
    log = learn(agent, 20)
    assert (log["loss"][-1] < log["loss"][2] - 0.05).all()


def test_only_the_tensors_that_are_named_are_decomposed():
    agent = decomposer(toy_subjects(SMOOTH), 0, tensors=["layer2"])
    assert set(agent.net.shapes) == {"layer2.weight", "layer2.bias"}
    assert agent.network["shapes"] == {"layer2.weight": [2, 3], "layer2.bias": [2]}
    assert np.isfinite(learn(agent, 3)["loss"]).all()


# ---- chunks and starts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("chunk", "limit"), [(1, 2**25), (5, 2**25), (16, 2**25), (40, 2**25), (None, 50), (5, 50)])
def test_gradients_and_entries_held_a_few_at_a_time_make_no_difference(monkeypatch, chunk, limit):
    one, other = (decomposer(toy_subjects(), 0, 1, double=True, starts=2, chunk=most) for most in (None, chunk))
    learn(one, 10)
    monkeypatch.setattr(subnetworks, "LIMIT", limit)
    np.testing.assert_allclose(learn(other, 10)["loss"][-1], one.running.amin(dim=1), rtol=1e-9)
    np.testing.assert_allclose(directions(other), directions(one), atol=1e-9)


def test_starts_do_not_feel_each_other():
    together = decomposer(toy_subjects(), 0, 1, double=True, starts=3)
    assert not np.allclose(directions(together)[:, 0], directions(together)[:, 1], atol=0.01)
    alone = [decomposer(toy_subjects(), 0, 1, double=True) for _ in range(3)]
    for start, agent in enumerate(alone):
        with torch.no_grad():
            for name, factor in factors_of(agent.net).items():
                factor.copy_(factors_of(together.net)[name][:, :, 3 * start : 3 * start + 3])
    log = learn(together, 10)
    losses = np.stack([learn(agent, 10)["loss"] for agent in alone])
    for start, agent in enumerate(alone):
        np.testing.assert_allclose(directions(together)[:, [start]], directions(agent), atol=1e-9)
    np.testing.assert_allclose(log["loss"], losses.min(axis=0), rtol=1e-6)
    np.testing.assert_allclose(log["worst loss"], losses.max(axis=0), rtol=1e-6)


def test_the_start_with_the_least_loss_is_the_result():
    trained = decomposer(toy_subjects(), 0, 1, epochs=30)
    learn(trained, 90)
    agent = decomposer(toy_subjects(), 0, 1, starts=4, learning_rate=0.0, warm_up=0)
    with torch.no_grad():
        for name, factor in factors_of(agent.net).items():
            for seed, start in enumerate((2, 1)):  # of other starts for each seed
                factor[seed, :, 3 * start : 3 * start + 3] = factors_of(trained.net)[name][seed]
    log = learn(agent, 6)
    assert (log["loss"] < log["worst loss"] - 0.1).all()
    expected = trained.parameters()
    for name, array in agent.parameters().items():
        np.testing.assert_allclose(array, expected[name], atol=1e-5)
    assert agent.network["count"] == 3


def test_loaded_subnetworks_are_those_of_every_start():
    agent, other = (decomposer(toy_subjects(), *seeds, starts=3) for seeds in ((0, 1), (1, 0)))
    one = networks.build(other.network, 2).load(other.parameters())
    agent.load(other.parameters())
    for name in agent.net.shapes:
        torch.testing.assert_close(agent.net.dense(name), torch.cat([one.dense(name)] * 3, dim=1))
    for name, array in agent.parameters().items():
        assert np.array_equal(array, other.parameters()[name])
    agent.advance()  # and it goes on from there
    assert not np.array_equal(agent.parameters()["weights"], other.parameters()["weights"])


def test_seeds_start_from_their_own_directions_and_batches():
    agent = decomposer(toy_subjects(), 0, 1, starts=2)
    first, second = directions(agent)
    assert not np.allclose(first, second, atol=0.01)
    assert not np.array_equal(*agent.sample()[0])
