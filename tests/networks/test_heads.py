"""Raw outputs become valid predictive distributions, with the log-probabilities of known formulas."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import distributions

from agentomy.networks.heads import LEAST_FREEDOM, log_probability, predictive

OUTPUTS = {"categorical": 4, "normal": 2, "lomax": 2, "student_t": 3}


def raw_outputs(family: str, scale: float = 2.0, rows: int = 500) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return scale * torch.randn(rows, OUTPUTS[family], generator=generator, dtype=torch.float64)


def observed(family: str, rows: int = 500) -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    x = 3 * torch.randn(rows, generator=generator, dtype=torch.float64)
    if family == "categorical":
        return torch.randint(0, OUTPUTS[family], (rows,), generator=generator).double()
    return x.abs() if family == "lomax" else x


def reference(family: str, vector: torch.Tensor) -> distributions.Distribution:
    if family == "categorical":
        return distributions.Categorical(probs=vector)
    return {"normal": distributions.Normal, "student_t": distributions.StudentT}[family](*vector.unbind(-1))


@pytest.mark.parametrize("family", ["categorical", "normal", "student_t"])
def test_log_probability_is_that_of_torch_distributions(family):
    raw, x = raw_outputs(family), observed(family)
    torch.testing.assert_close(log_probability(family, raw, x), reference(family, predictive(family, raw)).log_prob(x))


def test_log_probability_of_a_lomax_is_that_of_scipy():
    raw, x = raw_outputs("lomax"), observed("lomax")
    shape, rate = predictive("lomax", raw).numpy().T
    expected = stats.lomax.logpdf(x.numpy(), shape, scale=rate)
    np.testing.assert_allclose(log_probability("lomax", raw, x).numpy(), expected, rtol=1e-9)


@pytest.mark.parametrize("family", OUTPUTS)
def test_predictive_vectors_are_valid_however_wild_the_outputs(family):
    vector = predictive(family, raw_outputs(family, scale=50.0).float())
    assert torch.isfinite(vector).all()
    if family == "categorical":
        torch.testing.assert_close(vector.sum(-1), torch.ones(len(vector)))
    elif family == "lomax":
        assert (vector > 0).all()
    else:
        assert (vector[:, -1] > 0).all()
    if family == "student_t":
        assert (vector[:, 0] >= LEAST_FREEDOM).all()


@pytest.mark.parametrize("family", OUTPUTS)
def test_single_precision_loses_nothing_that_matters(family):
    raw, x = raw_outputs(family, scale=5.0), observed(family)
    exact = log_probability(family, raw, x)
    single = log_probability(family, raw.float(), x.float()).double()
    torch.testing.assert_close(single, exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", OUTPUTS)
def test_gradients_are_finite_however_wild_the_outputs(family):
    raw = raw_outputs(family, scale=50.0).float().requires_grad_()
    log_probability(family, raw, observed(family).float()).sum().backward()
    assert torch.isfinite(raw.grad).all()


@pytest.mark.parametrize("family", OUTPUTS)
def test_gradients_are_those_of_finite_differences(family):
    raw, x = raw_outputs(family, rows=20).requires_grad_(), observed(family, rows=20)
    assert torch.autograd.gradcheck(lambda outputs: log_probability(family, outputs, x), raw)


def test_an_unknown_family_is_named():
    with pytest.raises(ValueError, match="no predictive family 'poisson'; known: categorical"):
        predictive("poisson", torch.zeros(1, 2))
