"""Divergences between predictive distributions: adaptive quadrature, invariances, and sampling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from agentomy.papers.bayes.measure.divergence import kl

SCIPY = {
    "normal": lambda mean, deviation: stats.norm(mean, deviation),
    "lomax": lambda shape, rate: stats.lomax(shape, scale=rate),
    "student_t": lambda degrees, location, scale: stats.t(degrees, location, scale),
}
PAIRS = {
    "normal": [((0.0, 1.0), (0.5, 2.0)), ((3.0, 0.1), (3.1, 0.12))],
    "lomax": [((3.0, 2.0), (3.0, 2.5)), ((3.0, 2.0), (1.2, 0.1)), ((22.0, 9.0), (2.0, 50.0)), ((0.7, 1.0), (3.0, 8.0))],
    "student_t": [
        ((4.0, 0.0, 1.0), (4.0, 0.0, 1.1)),
        ((4.0, 0.0, 1.0), (30.0, 1.0, 0.5)),
        ((44.0, 2.0, 0.3), (1.0, 1.0, 3.0)),
        ((1.0, 0.0, 1.0), (3.0, 0.5, 2.0)),
    ],
}


def any_pair(family, seed, count=200):
    rng = np.random.default_rng(seed)

    def draw():
        first = rng.uniform(1, 40, count) if family != "normal" else rng.normal(size=count)
        scale = rng.uniform(0.5, 2, count)
        columns = {
            "normal": [first, scale],
            "lomax": [first, scale],
            "student_t": [first, 0.5 * rng.normal(size=count), scale],
        }
        return np.stack(columns[family], axis=-1)

    if family == "categorical":
        return rng.dirichlet(np.ones(4), count), rng.dirichlet(np.ones(4), count)
    return draw(), draw()


FAMILIES = ["categorical", "normal", "lomax", "student_t"]
every_family = pytest.mark.parametrize("family", FAMILIES)
any_seed = given(seed=st.integers(0, 10_000))
few = settings(max_examples=20)


@pytest.mark.parametrize(("family", "p", "q"), [(family, *pair) for family, pairs in PAIRS.items() for pair in pairs])
def test_divergences_equal_adaptive_quadrature(family, p, q):
    first, second = SCIPY[family](*p), SCIPY[family](*q)

    def integrand(x):
        return first.pdf(x) * (first.logpdf(x) - second.logpdf(x))

    low = 0 if family == "lomax" else -np.inf
    middle = first.median()
    expected = sum(
        integrate.quad(integrand, *limits, epsabs=1e-11, limit=500)[0] for limits in [(low, middle), (middle, np.inf)]
    )
    assert kl(family, np.array(p), np.array(q)) == pytest.approx(expected, rel=1e-6)


@every_family
@any_seed
@few
def test_divergences_are_never_negative(family, seed):
    p, q = any_pair(family, seed)
    assert (kl(family, p, q) > -1e-12).all()


@every_family
@any_seed
@few
def test_a_distribution_does_not_diverge_from_itself(family, seed):
    p, _ = any_pair(family, seed)
    np.testing.assert_allclose(kl(family, p, p), 0, atol=1e-10)


@pytest.mark.parametrize("family", SCIPY)
@any_seed
@few
def test_the_unit_of_measurement_does_not_matter(family, seed):
    p, q = any_pair(family, seed)
    unit = {"normal": [7, 7], "lomax": [1, 7], "student_t": [1, 7, 7]}[family]
    np.testing.assert_allclose(kl(family, p * unit, q * unit), kl(family, p, q), rtol=1e-9, atol=1e-11)


@every_family
def test_the_divergence_is_the_expected_excess_of_log_loss(family):
    p, q = (pair[0] for pair in any_pair(family, 5))
    rng = np.random.default_rng(6)
    if family == "categorical":
        x = rng.choice(4, 100_000, p=p)
        excess = np.log(p[x] / q[x])
    else:
        p_density, q_density = SCIPY[family](*p), SCIPY[family](*q)
        x = p_density.rvs(100_000, random_state=rng)
        excess = p_density.logpdf(x) - q_density.logpdf(x)
    assert kl(family, p, q) == pytest.approx(excess.mean(), abs=4 * excess.std() / np.sqrt(len(x)))


def test_impossible_categories_count_nothing_and_unforeseen_ones_everything():
    p, q = np.array([0.0, 0.5, 0.5]), np.array([0.5, 0.25, 0.25])
    assert kl("categorical", p, q) == pytest.approx(np.log(2))
    assert kl("categorical", q, p) == np.inf


def test_a_student_t_of_many_degrees_is_a_normal():
    p, q = np.array([0.3, 1.2]), np.array([0.0, 1.0])
    many = [np.concatenate([[1e8], row]) for row in (p, q)]
    assert kl("student_t", *many) == pytest.approx(float(kl("normal", p, q)), abs=1e-6)


@every_family
def test_any_leading_shape_is_kept_and_broadcast(family):
    p, q = any_pair(family, 2, count=24)
    table = kl(family, p.reshape(4, 6, -1), q[:1])
    assert table.shape == (4, 6)
    np.testing.assert_allclose(table.ravel(), [kl(family, row, q[0]) for row in p], rtol=1e-12)
    assert kl(family, p[:0], q[:0]).shape == (0,)


def test_student_t_is_finite_for_the_heaviest_tails_and_in_pieces(monkeypatch):
    p = np.array([[0.1, 0.0, 1.0], [0.5, 0.0, 1.0], [1e6, 0.0, 1.0]])
    q = np.array([[5.0, 100.0, 0.01]])
    whole = kl("student_t", p, q)
    assert np.isfinite(whole).all()
    monkeypatch.setattr("agentomy.papers.bayes.measure.divergence._CHUNK", 2)
    np.testing.assert_array_equal(kl("student_t", p, q), whole)


def test_an_unknown_family_is_named():
    with pytest.raises(ValueError, match="found 'poisson'; allowed: 'categorical'"):
        kl("poisson", np.ones(2), np.ones(2))
