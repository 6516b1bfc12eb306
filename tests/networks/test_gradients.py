"""Gradients of single samples are those of a plain loop, and what is missed of them is what the entries would miss."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Categorical, kl_divergence

from agentomy import networks
from agentomy.networks.gradients import DIVERGENCES, Gradients, largest, others
from agentomy.networks.readings import ONE_BY_ONE
from agentomy.tables import TableError
from tests.lenses.l3d_tables import (
    BOTTLENECK,
    IMPALA,
    LSTM,
    SMOOTH,
    WORLD,
    drawn,
    in_double,
    joined,
    pictures,
    sequences,
    sparse_inputs,
    subject_table,
    toy_subjects,
    windows,
)

some = settings(max_examples=60)
SAMPLES = 9


# what is decomposed: description, inputs, and a plain pass of one sample [S, 1, …] through one seed's network
READINGS = {
    "values, bottleneck": (BOTTLENECK, sparse_inputs(SAMPLES, 4), lambda net, x, seed: net(x)[seed, 0]),
    "values, mlp": (SMOOTH, sparse_inputs(SAMPLES, 4), lambda net, x, seed: net(x)[seed, 0]),
    "policy": (IMPALA, pictures(SAMPLES), lambda net, x, seed: net.nets[seed](x[seed])[0][0]),
    "prediction": (LSTM, sequences(SAMPLES), lambda net, x, seed: net(x)["predictive"][seed, 0, -1]),
    "next_latent": (WORLD, windows(SAMPLES), lambda net, x, seed: next_latent(net, x.flatten(0, 1), seed)),
}


def next_latent(world, window: torch.Tensor, seed: int) -> torch.Tensor:
    actions, rewards, ends = window[:, 1:, 6], window[:, 1:, 7], window[:, 1:, 8]
    actions = torch.cat([window[:, :1, 6], actions], dim=1).long()
    predicted, _ = world.dynamics(window[..., :6], actions, rewards, ends == 1)
    return (predicted.latent[seed, -1].exp() / 2).log().flatten()  # of a variable, and there of a class


def loaded(reading: str, seeds: int = 2):
    """A stack in double precision."""
    description = READINGS[reading][0]
    return networks.build(description, seeds).load(drawn(description, seeds)).double()


def frozen(reading: str, divergence: str = "mse", seeds: int = 2, beginnings: list | None = None) -> Gradients:
    description, inputs, _ = READINGS[reading]
    subjects = subject_table(description, drawn(description, seeds), inputs, reading.partition(",")[0])
    return in_double(Gradients(subjects, list(range(seeds)), divergence, beginnings, "cpu"))


def plain_divergence(name: str, output: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    if name == "kl":
        return kl_divergence(Categorical(logits=reference), Categorical(logits=output))
    terms = [y * (y - r) if name == "code" else (y - r) ** 2 for y, r in zip(output, reference, strict=True)]
    return sum(terms) / len(terms)


def plain_gradients(reading: str, divergence: str, rows, references) -> dict[str, np.ndarray]:
    """By name [S, B, *shape]: one seed, one sample after the other."""
    _, inputs, output_of = READINGS[reading]
    seeds = len(rows)
    net = loaded(reading, seeds)
    by_tensor: dict[str, np.ndarray] = {}
    for seed in range(seeds):
        network = net.nets[seed] if reading == "policy" else net
        for place, (row, reference) in enumerate(zip(rows[seed], references[seed], strict=True)):
            output, wanted = (
                output_of(net, torch.tensor(inputs[[sample]]).double().expand(seeds, 1, *inputs.shape[1:]), seed)
                for sample in (row, reference)
            )
            network.zero_grad()
            plain_divergence(divergence, output, wanted.detach()).backward()
            for name, weight in network.named_parameters():
                grad = torch.zeros_like(weight) if weight.grad is None else weight.grad
                grad = grad if reading in ONE_BY_ONE else grad[seed]
                by_tensor.setdefault(name, np.zeros((seeds, rows.shape[1], *grad.shape)))[seed, place] = grad
    return by_tensor


def some_rows(seeds: int = 2, count: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = np.stack([rng.permutation(SAMPLES)[:count] for _ in range(seeds)])
    return rows, np.stack([others(rng, chosen) for chosen in rows])


# ---- gradients -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("reading", READINGS)
def test_gradients_of_samples_are_those_of_a_plain_loop(reading, divergence):
    rows, references = some_rows()
    expected = plain_gradients(reading, divergence, rows, references)
    gradients = frozen(reading, divergence)(rows, references)
    assert set(gradients) == set(expected)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, expected[name], atol=1e-12, rtol=1e-9, err_msg=name)
    # most tensors of a world model have no part in the next latent
    assert joined(gradients, 2).std() > (1e-5 if reading == "next_latent" else 1e-3)


@pytest.mark.parametrize("reading", READINGS)
@torch.no_grad()
def test_outputs_are_those_of_a_plain_pass(reading):
    _, inputs, output_of = READINGS[reading]
    net, gradients = loaded(reading), frozen(reading)
    for sample in range(SAMPLES):
        x = torch.tensor(inputs[[sample]]).double().expand(2, 1, *inputs.shape[1:])
        for seed in range(2):
            torch.testing.assert_close(gradients.outputs[seed, sample], output_of(net, x, seed))


@pytest.mark.parametrize("reading", READINGS)
def test_a_gradient_in_some_tensors_is_its_part_in_them(reading):
    whole = frozen(reading)
    beginnings = {
        "policy": ["block1.res1.conv", "policy"],
        "prediction": ["memory", "decoder.b"],
        "next_latent": ["dynamics.transformer."],
        "values, bottleneck": ["encoder"],
        "values, mlp": ["layer1"],
    }[reading]
    part = frozen(reading, beginnings=beginnings)
    partial, every = part(*some_rows()), whole(*some_rows())
    assert set(partial) == {name for name in every if name.startswith(tuple(beginnings))}
    assert 0 < len(partial) < len(every)
    for name in partial:
        torch.testing.assert_close(partial[name], every[name])
    torch.testing.assert_close(part.outputs, whole.outputs)


def test_the_codes_divergence_pulls_by_the_reference_more_than_the_mean_square():
    """d/dy of mean y (y - r) is (2y - r) / outputs, and of mean (y - r)² it is 2 (y - r) / outputs."""
    y, r = torch.randn(2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for name, expected in (("code", (2 * y - r) / 5), ("mse", 2 * (y - r) / 5)):
        leaf = y.clone().requires_grad_()
        DIVERGENCES[name](leaf, r).backward()
        torch.testing.assert_close(leaf.grad, expected)


def test_no_divergence_moves_an_output_that_is_its_own_reference_but_the_codes_does():
    rows = np.array([[0, 3, 5], [1, 2, 8]])
    sizes = {name: np.square(joined(frozen("prediction", name)(rows, rows), 2)).sum(axis=2) for name in DIVERGENCES}
    assert sizes["mse"].max() < 1e-20
    assert sizes["kl"].max() < 1e-20
    assert sizes["code"].min() > 1e-6


def test_the_next_latents_kl_is_the_mean_over_its_variables():
    """Pairs (variable, class) are a distribution whose divergences are means over variables."""
    outputs = frozen("next_latent").outputs
    torch.testing.assert_close(outputs.exp().sum(dim=-1), torch.ones(2, SAMPLES, dtype=torch.float64))
    output, reference = (logits.unflatten(-1, (2, 3)) for logits in (outputs[0], outputs[1]))
    by_variable = kl_divergence(Categorical(logits=reference), Categorical(logits=output))
    torch.testing.assert_close(DIVERGENCES["kl"](outputs[0], outputs[1]), by_variable.mean(dim=-1))


def test_kl_does_not_depend_on_what_is_added_to_all_logits():
    output, reference = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    divergences = DIVERGENCES["kl"](output, reference)
    assert (divergences > 0).all()
    torch.testing.assert_close(DIVERGENCES["kl"](output + 5, reference - 2), divergences)


# ---- what is decomposed ----------------------------------------------------------------------------------------------


def test_seeds_that_are_not_there_are_named_in_one_line():
    with pytest.raises(TableError, match=r"subjects: found seeds \[0\]; wanted \[0, 7\]") as caught:
        Gradients(toy_subjects(), [0, 7], "mse", None, "cpu")
    assert "\n" not in str(caught.value)


def test_networks_come_in_the_order_of_the_seeds_that_were_asked_for():
    subjects = toy_subjects(seeds=3)
    every, some_seeds = (Gradients(subjects, seeds, "mse", None, "cpu") for seeds in ([0, 1, 2], [2, 0]))
    assert torch.equal(some_seeds.outputs, every.outputs[[2, 0]])
    for name, weight in some_seeds.weights.items():
        assert torch.equal(weight, every.weights[name][[2, 0]])


# ---- batches and their largest coefficients --------------------------------------------------------------------------


@given(st.integers(2, 40), st.integers(0, 2**32))
@some
def test_a_reference_is_another_row_of_the_batch(count, seed):
    rng = np.random.default_rng(seed)
    rows = rng.permutation(1000)[:count]
    chosen = others(rng, rows)
    assert (chosen != rows).all()
    assert set(chosen) <= set(rows)


def test_any_other_row_is_as_likely_a_reference():
    rng, rows = np.random.default_rng(0), np.array([7, 3, 9, 4])
    counts = {(a, b): 0 for a in rows for b in rows}
    for _ in range(6000):
        for pair in zip(rows, others(rng, rows), strict=True):
            counts[pair] += 1
    for (a, b), count in counts.items():
        assert count == (0 if a == b else pytest.approx(2000, abs=200))


@given(st.integers(1, 12), st.integers(1, 6), st.floats(0, 1), st.integers(0, 9), st.booleans())
@some
def test_the_largest_coefficients_of_a_batch_are_kept_as_many_as_asked_for(batch, count, share, seed, ties):
    z = torch.randn(2, 3, batch, count, generator=torch.Generator().manual_seed(seed))
    z = z.sign() * z.abs().round() if ties else z
    kept = largest(z, share)
    assert kept.shape == z.shape
    for size, which in zip(z.abs().flatten(0, 1), kept.flatten(0, 1), strict=True):
        assert which.sum() == round(share * batch * count)
        if which.any() and not which.all():
            assert size[which].min() >= size[~which].max()


def test_one_threshold_holds_for_the_whole_batch():
    z = torch.tensor([[[5.0, -6.0], [0.1, 4.0], [0.2, 0.3]]])
    assert largest(z, 0.5).tolist() == [[[True, True], [False, True], [False, False]]]


def test_of_equal_coefficients_just_as_many_are_kept():
    for z in (torch.ones(1, 10, 10), torch.zeros(1, 10, 10)):
        assert largest(z, 0.13).sum() == 13


def test_share_zero_keeps_none_and_share_one_all():
    z = torch.randn(2, 5, 4)
    assert not largest(z, 0.0).any()
    assert largest(z, 1.0).all()


def test_names_that_no_tensor_begins_with_are_refused_in_one_line():
    with pytest.raises(ValueError, match="found none that begins with 'layer9'; allowed: layer1.weight, layer1.bias"):
        frozen("values, mlp", beginnings=["layer1", "layer9"])
