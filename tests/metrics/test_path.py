"""Spectra and moves of paths whose answers are known."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from agentomy import kinds
from agentomy.metrics import path, path_change
from agentomy.tables import Table


def gram(theta, layer="layer1"):
    delta = theta - theta[0]
    return kinds.GRAM.table(
        run="r", seed=[0], path="real", layer=layer, size=theta.shape[1], updates=np.arange(len(theta))[None] * 1.0,
        delta=(delta @ delta.T)[None], start=(delta @ theta[0])[None], origin=theta[0] @ theta[0],
    )  # fmt: skip


def table(kind, *rows):
    return Table(kind, rows=pa.concat_tables(rows))


def test_a_random_walk_gives_the_known_constants(rng):
    walk = rng.normal(size=(140, 20000)).cumsum(axis=0)
    made = table(kinds.COURSES, *path.directions(table(kinds.GRAM, gram(walk)), directions=[1, 2, 3, 4]))
    found = made.where(layer="all", period="whole", variant="delta").frame()
    k = np.arange(1, 5)
    np.testing.assert_allclose(found["energy"], 8 / (np.pi * (2 * k - 1)) ** 2, rtol=0.03)
    np.testing.assert_allclose(found["detour"], 2 * k - 1, rtol=0.05)
    np.testing.assert_array_equal(found["crossings"], k)
    assert found["cosine"].min() > 0.99


def test_spectra_are_those_of_a_plain_svd_in_every_period_and_layers_add_up(rng):
    one, two = rng.normal(size=(2, 13, 40))
    made = list(path._spectra(table(kinds.GRAM, gram(one, "layer1"), gram(two, "layer2"))))
    whole = {"layer1": one, "layer2": two, "all": np.concatenate([one, two], axis=1)}
    assert len(made) == 3 * 4 * 2
    for (_, _, _, period, layer, variant), _, values, _ in made:
        theta = whole[layer][path.periods(13)[period]]
        exact = np.linalg.svd(theta - theta[0] * (variant == "delta"), compute_uv=False)
        np.testing.assert_allclose(values, exact, atol=1e-6)


def test_a_straight_path_has_one_direction_and_no_detour(rng):
    line = rng.normal(size=50) + np.arange(10)[:, None] * rng.normal(size=50)
    made = table(kinds.COURSES, *path.directions(table(kinds.GRAM, gram(line)), directions=[1]))
    found = made.where(layer="all", period="whole", variant="delta").frame().iloc[0]
    np.testing.assert_allclose([found["energy"], found["detour"]], 1, atol=1e-9)


def test_dimensions_in_closed_form():
    np.testing.assert_array_equal(path.needed(np.array([4.0, 3, 2, 1]), [0.4, 0.5, 0.7, 0.9, 0.95]), [1, 2, 2, 3, 4])


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=20).filter(lambda x: abs(x[-1] - x[0]) > 1e-3))
def test_detours_are_at_least_one_and_one_exactly_where_the_way_is_monotone(values):
    course = np.array(values)[:, None]
    assert path.detours(course)[0] >= 1
    assert path.detours(np.sort(course, axis=0))[0] <= 1 + 1e-9


def test_activity_in_closed_form_and_whatever_the_order(rng):
    accumulated, final = np.array([0.0, 1, 1, 2]), np.array([0.0, 1, 0, 0.5])
    found = path_change.numbers(accumulated, final, final, np.array([1, 0, 0, 0]))
    assert found["gini"] == (-3 * 0 - 1 + 1 + 3 * 2) / (4 * 4)
    assert (found["never moved"], found["capped"], found["dead"]) == (0.25, 0.25, 0.25)
    assert (found["detour p50"], found["detour > 2"]) == (4, 2 / 3)
    order = [2, 0, 3, 1]
    assert path_change.numbers(accumulated[order], final[order], final, np.array([1, 0, 0, 0])) == found


def test_claims_get_each_path_and_its_difference_from_the_nulls():
    rows = [("r", 0, "real", " layer1", "gini", 0.5), ("r", 0, "walk", " layer1", "gini", 0.2)]
    frame = path_change.beside_nulls(rows, ratios=True).to_pandas().set_index("quantity")["value"]
    np.testing.assert_allclose(frame["gini layer1 real - walk"], 0.3)
    np.testing.assert_allclose(frame["gini layer1 real / walk"], 2.5)
    assert (frame["gini layer1 real"], frame["gini layer1 walk"]) == (0.5, 0.2)
    assert np.isnan(frame["gini layer1 real - shuffled"])
