"""Spectra and moves of paths whose answers are known."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentomy import kinds
from agentomy.lenses.paths import change, measure
from agentomy.lenses.paths.temporal import periods
from agentomy.tables import Table


def gram(theta, layer="layer1"):
    delta = theta - theta[0]
    return kinds.paths.GRAM.table(
        run="r", seed=[0], path="real", layer=layer, size=theta.shape[1], updates=np.arange(len(theta))[None] * 1.0,
        delta=(delta @ delta.T)[None], start=(delta @ theta[0])[None], origin=theta[0] @ theta[0],
    )  # fmt: skip


def table(kind, *rows):
    return Table(kind, rows=pa.concat_tables(rows))


def test_a_random_walk_gives_the_known_constants(rng):
    walk = rng.normal(size=(140, 20000)).cumsum(axis=0)
    made = table(kinds.paths.COURSES, *measure.directions(table(kinds.paths.GRAM, gram(walk)), directions=[1, 2, 3, 4]))
    found = made.where(layer="all", period="whole", variant="delta").frame()
    k = np.arange(1, 5)
    np.testing.assert_allclose(found["energy"], 8 / (np.pi * (2 * k - 1)) ** 2, rtol=0.03)
    np.testing.assert_allclose(found["detour"], 2 * k - 1, rtol=0.03)
    np.testing.assert_array_equal(found["crossings"], k)
    assert found["cosine"].min() > 0.99


def test_spectra_are_those_of_a_plain_svd_in_every_period_and_layers_add_up(rng):
    one, two = rng.normal(size=(2, 13, 40))
    made = list(measure._spectra(table(kinds.paths.GRAM, gram(one, "layer1"), gram(two, "layer2"))))
    whole = {"layer1": one, "layer2": two, "all": np.concatenate([one, two], axis=1)}
    assert len(made) == 3 * 4 * 2
    for (_, _, _, period, layer, variant), _, values, _ in made:
        theta = whole[layer][periods(13)[period]]
        exact = np.linalg.svd(theta - theta[0] * (variant == "delta"), compute_uv=False)
        np.testing.assert_allclose(values, exact, atol=1e-6)


def test_a_straight_path_has_one_direction_and_no_detour(rng):
    line = rng.normal(size=50) + np.arange(10)[:, None] * rng.normal(size=50)
    made = table(kinds.paths.COURSES, *measure.directions(table(kinds.paths.GRAM, gram(line)), directions=[1]))
    found = made.where(layer="all", period="whole", variant="delta").frame().iloc[0]
    np.testing.assert_allclose([found["energy"], found["detour"]], 1, atol=1e-9)


@pytest.mark.filterwarnings("error")
def test_a_layer_that_never_moves_has_no_dimensions_and_no_shares(rng):
    still, moving = np.tile(rng.normal(size=9), (10, 1)), rng.normal(size=(10, 9)).cumsum(axis=0)
    given = table(kinds.paths.GRAM, gram(still, "still"), gram(moving, "moving"))
    dimensions = table(kinds.paths.DIMENSIONS, *measure.dimensions(given, betas=[0.3, 0.6, 0.9]))
    courses = table(kinds.paths.COURSES, *measure.directions(given, directions=[1, 2]))
    for layer, missing in (("still", True), ("moving", False), ("all", False)):
        chosen = {"layer": layer, "variant": "delta"}
        assert (np.isnan(dimensions.where(**chosen).values("dimensions")) == missing).all()
        for name in ("share", "energy"):
            assert (np.isnan(courses.where(**chosen).values(name)) == missing).all()
    found = values(measure.of_spectrum(courses, dimensions))
    assert np.isnan(found["r", 0, "dimensions 0.6 still real"])
    assert found["r", 0, "dimensions 0.6 moving real"] == found["r", 0, "dimensions 0.6 real"] >= 1


def test_dimensions_in_closed_form():
    np.testing.assert_array_equal(measure.needed(np.array([4.0, 3, 2, 1]), [0.4, 0.5, 0.7, 0.9, 0.95]), [1, 2, 2, 3, 4])


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=20).filter(lambda x: abs(x[-1] - x[0]) > 1e-3))
def test_detours_are_at_least_one_and_one_exactly_where_the_way_is_monotone(values):
    course = np.array(values)[:, None]
    assert measure.detours(course)[0] >= 1
    assert measure.detours(np.sort(course, axis=0))[0] <= 1 + 1e-9


def test_activity_in_closed_form_and_whatever_the_order(rng):
    accumulated, final = np.array([0.0, 1, 1, 2]), np.array([0.0, 1, 0, 0.5])
    found = change.numbers(accumulated, final, final, np.array([1, 0, 0, 0]))
    assert found["gini"] == (-3 * 0 - 1 + 1 + 3 * 2) / (4 * 4)
    assert (found["never moved"], found["capped"], found["dead"]) == (0.25, 0.25, 0.25)
    assert (found["detour p50"], found["detour > 2"]) == (4, 2 / 3)
    order = [2, 0, 3, 1]
    assert change.numbers(accumulated[order], final[order], final, np.array([1, 0, 0, 0])) == found


def moves(accumulated, final, dead, layer="layer1", **who):
    lists = {"accumulated": accumulated, "final": final, "flips": np.zeros(len(dead)), "dead": dead}
    who = {"run": "r", "seed": [0], "path": "real", "period": "whole", "layer": layer, "tensor": layer} | who
    return kinds.paths.MOVES.table(**who, **{name: np.array(each)[None] for name, each in lists.items()})


def test_alive_parameters_are_those_of_no_dead_unit():
    """Two layers, of whose parameters the dead moved most, or not at all."""
    given = table(
        kinds.paths.MOVES,
        moves([8.0, 1, 2, 1], [1.0, 1, 1, 1], [1, 0, 0, 0], "one"),
        moves([0.0, 6], [0.0, 1], [1, 0], "two"),
        moves([3.0], [1.0], [1], "three"),  # nothing is alive here
    )
    (made,) = change.activity(given)
    found = made.to_pandas().set_index(["layer", "parameters", "quantity"])["value"].sort_index()
    assert {key[:2] for key in found.index} == {
        *((layer, which) for layer in ("one", "two", "all") for which in ("all", "alive")), ("three", "all")
    }  # fmt: skip
    wanted = {
        ("one", "all"): {"dead": 1 / 4, "never moved": 0, "detour p50": 1.5, "top tenth": 8 / 12, "detour > 2": 1 / 4},
        ("one", "alive"): {"dead": 0, "never moved": 0, "detour p50": 1, "top tenth": 2 / 4, "detour > 2": 0},
        ("two", "all"): {"dead": 1 / 2, "never moved": 1 / 2, "detour p50": 6, "top tenth": 1, "detour > 2": 1},
        ("two", "alive"): {"dead": 0, "never moved": 0, "detour p50": 6, "top tenth": 1, "detour > 2": 1},
        ("all", "all"): {"dead": 3 / 7, "never moved": 1 / 7, "top tenth": 8 / 21, "detour > 2": 3 / 6},
        ("all", "alive"): {"dead": 0, "never moved": 0, "top tenth": 6 / 10, "detour > 2": 1 / 4},
    }
    for key, quantities in wanted.items():
        assert found[key][list(quantities)].to_dict() == pytest.approx(quantities), key
    (made,) = change.change(given, quantiles=3)
    longest = made.to_pandas().query("quantity == 'accumulated' and quantile == 1")
    longest = longest.set_index(["layer", "parameters"])["value"].to_dict()
    assert (longest["all", "all"], longest["all", "alive"], longest["one", "alive"]) == (8, 6, 2)


def test_thirds_meet_in_one_snapshot_and_cover_the_whole():
    snapshots = np.arange(13)
    found = {name: snapshots[window].tolist() for name, window in periods(13).items()}
    assert found == {
        "whole": list(range(13)), "first": [0, 1, 2, 3, 4], "second": [4, 5, 6, 7, 8], "third": [8, 9, 10, 11, 12]
    }  # fmt: skip
    for count in range(4, 40):
        first, second, third = (np.arange(count)[periods(count)[name]] for name in ("first", "second", "third"))
        assert (first[0], third[-1]) == (0, count - 1)
        assert (first[-1], second[-1]) == (second[0], third[0])
        assert max(map(len, (first, second, third))) - min(map(len, (first, second, third))) <= 1


def spectrum(dimensions: dict):
    """`of_spectrum` of a path's one time course of each number, and of D over β."""
    who = {"run": "r", "seed": 0, "path": "real", "layer": "all", "period": "whole", "variant": "delta"}
    unused = {"singular_value": 1.0, "updates": np.zeros((1, 4)), "course": np.zeros((1, 4))}
    numbers = {"share": 0.5, "energy": 0.25, "detour": 1.5, "change": 0.75, "crossings": 1, "cosine": 0.125}
    rows = [
        kinds.paths.COURSES.table(**who, **unused, direction=np.array([k]), **{n: v * k for n, v in numbers.items()})
        for k in (1, 2)
    ]
    betas, needed = np.array(list(dimensions)), np.array(list(dimensions.values()))
    found = table(kinds.paths.DIMENSIONS, kinds.paths.DIMENSIONS.table(**who, beta=betas, dimensions=needed))
    return {
        name: value
        for (_, _, name), value in values(measure.of_spectrum(table(kinds.paths.COURSES, *rows), found)).items()
    }


def test_convexity_is_the_mean_second_derivative_of_dimensions_over_beta():
    """D = 100 β² has second derivative 200, whatever the spacing; a concave D a negative one, a line none."""
    betas = np.array([0.1, 0.2, 0.5, 0.6, 0.9])
    for curve, wanted in ((100 * betas**2, 200), (100 - 100 * (1 - betas) ** 2, -200), (10 + 10 * betas, 0)):
        # rounded to whole directions these would be others, so that their scale is made large
        found = spectrum(dimensions=dict(zip(betas[::-1], np.round(1e6 * curve[::-1]).astype(int), strict=True)))
        assert found["convexity real"] == pytest.approx(1e6 * wanted, abs=20)


def test_claims_get_the_numbers_of_each_time_course():
    found = spectrum(dimensions={0.5: 3, 0.9: 7})
    wanted = {"first share": 0.5, "first energy": 0.25, "dimensions 0.5": 3, "dimensions 0.9": 7}
    for k in (1, 2):
        numbers = {"detour": 1.5, "change": 0.75, "crossings": 1, "cosine": 0.125}
        wanted |= {f"{name} of course {k}": value * k for name, value in numbers.items()}
    assert {name: found[f"{name} real"] for name in wanted} == pytest.approx(wanted)
    assert "convexity real" not in found  # of two points


def test_claims_get_each_path_and_its_difference_from_the_nulls():
    rows = [("r", 0, "real", " layer1", "gini", 0.5), ("r", 0, "walk", " layer1", "gini", 0.2)]
    frame = change.beside_nulls(rows, ratios=True).to_pandas().set_index("quantity")["value"]
    np.testing.assert_allclose(frame["gini layer1 real - walk"], 0.3)
    np.testing.assert_allclose(frame["gini layer1 real / walk"], 2.5)
    assert (frame["gini layer1 real"], frame["gini layer1 walk"]) == (0.5, 0.2)
    assert np.isnan(frame["gini layer1 real - shuffled"])


@given(st.lists(st.integers(-4, 4), min_size=2, max_size=8))
def test_a_detour_is_one_if_and_only_if_the_way_is_monotone(values):
    monotone = values in (sorted(values), sorted(values, reverse=True))
    assert (measure.detours(np.array(values, float)[:, None])[0] == 1) == monotone


LENGTH = st.integers(0, 80).map(lambda eighths: eighths / 8)
MOVES = st.tuples(LENGTH, LENGTH, st.floats(0, 1), st.integers(0, 1))


@given(st.lists(MOVES, min_size=1, max_size=30).flatmap(lambda rows: st.tuples(st.just(rows), st.permutations(rows))))
def test_the_order_of_parameters_does_not_matter(both):
    one, other = (change.numbers(*np.array(rows, float).T) for rows in both)
    assert one == pytest.approx(other, rel=1e-9, abs=1e-9, nan_ok=True)


def rollouts(*rows):
    """From (run, seed, update, period, directions, returns of the episodes)."""
    return table(
        kinds.paths.ROLLOUTS,
        *(
            kinds.paths.ROLLOUTS.table(
                run=run, seed=seed, update=update, period=period, directions=directions, length=7,
                episode=np.arange(len(returns)), **{"return": np.array(returns, float)},
            )
            for run, seed, update, period, directions, returns in rows
        ),
    )  # fmt: skip


def values(found):
    """(run, seed, quantity) → value."""
    return {(row["run"], row["seed"], row["quantity"]): row["value"] for row in found.to_pylist()}


def test_scores_are_the_best_the_mean_and_the_last_average_return_of_the_snapshots():
    found = measure.scores(
        rollouts(
            ("r", 0, 0, "whole", -1, [0, 2]),
            ("r", 0, 10, "whole", -1, [5, 7]),
            ("r", 0, 20, "whole", -1, [1, 3]),
            ("r", 1, 0, "whole", -1, [-4, -2]),
            ("r", 0, 10, "whole", 4, [100, 100]),  # neither what was rebuilt …
            ("r", 0, 10, "half1", -1, [100, 100]),  # … nor what it is compared with
        )
    )
    assert found.to_pylist() == [
        {"run": "r", "seed": 0, "score": 6, "auc": 3, "final": 2},
        {"run": "r", "seed": 1, "score": -3, "auc": -3, "final": -3},
    ]


def test_gains_are_shares_of_the_bases_mean_over_seeds():
    base = {"run": "base", "seed": np.arange(2), "score": np.array([1, 3]), "auc": -2.0, "final": np.array([4, 0])}
    arm = {"run": "arm", "seed": np.arange(2), "score": np.array([2, 3]), "auc": -1.0, "final": np.array([3, 1])}
    both = table(kinds.paths.SCORES, *(kinds.paths.SCORES.table(**each) for each in (base, arm)))
    assert values(measure.of_scores(both, pairs={"arm": "base"})) == {
        ("arm", 0, "score gain"): 0.5,
        ("arm", 1, "score gain"): 0,
        ("arm", 0, "auc gain"): 0.5,  # less of a loss is a gain
        ("arm", 1, "auc gain"): 0.5,
        ("arm", 0, "final gain"): -0.5,
        ("arm", 1, "final gain"): 0.5,
    }


def test_a_seed_that_one_of_two_runs_lacks_has_no_gain_and_no_part_in_the_mean():
    score = np.array([1.0, 1.0, 70.0])
    base = kinds.paths.SCORES.table(run="base", seed=np.arange(3), score=score, auc=score, final=score)
    arm = kinds.paths.SCORES.table(run="arm", seed=np.arange(2), score=2.0, auc=2.0, final=2.0)
    found = measure.of_scores(table(kinds.paths.SCORES, base, arm), pairs={"arm": "base"})
    assert {(seed, value) for (_, seed, _), value in values(found).items()} == {(0, 1.0), (1, 1.0)}


def rebuilt():
    """Two snapshots a half; one direction is 4 off, three are 1 off in the first half and 4 in the second."""
    originals = {"half1": {0: 10, 5: 30}, "half2": {5: 30, 10: 50}}
    off = {("half1", 1): (-4, 4), ("half1", 3): (1, -1), ("half2", 1): (-4, 4), ("half2", 3): (-4, 4)}
    return rollouts(
        *(
            ("r", 0, update, period, k, [mean + by - 1, mean + by + 1])
            for period, means in originals.items()
            for k in (-1, 1, 3)
            for (update, mean), by in zip(means.items(), off.get((period, k), (0, 0)), strict=True)
        )
    )


def test_a_reconstruction_is_compared_with_its_own_snapshot():
    found = {(row.pop("period"), row.pop("directions")): row for row in measure.reconstruction(rebuilt()).to_pylist()}
    who = {"run": "r", "seed": 0, "snapshots": 2}
    assert found["half1", -1] == {**who, "mean": 20, "difference": 0, "maximum": 30, "minimum": 10}
    assert found["half1", 1] == {**who, "mean": 20, "difference": 4, "maximum": 34, "minimum": 6}
    assert found["half1", 3] == {**who, "mean": 20, "difference": 1, "maximum": 29, "minimum": 11}
    assert found["half2", 3] == {**who, "mean": 40, "difference": 4, "maximum": 54, "minimum": 26}
    assert len(found) == 6


def test_a_snapshot_that_was_not_rebuilt_is_left_out():
    rows = [("r", 0, 0, "half1", -1, [1]), ("r", 0, 5, "half1", -1, [9]), ("r", 0, 0, "half1", 2, [4])]
    found = {row["directions"]: row for row in measure.reconstruction(rollouts(*rows)).to_pylist()}
    assert (found[2]["snapshots"], found[2]["difference"], found[-1]["snapshots"]) == (1, 3, 2)


def test_claims_get_the_difference_as_a_share_and_its_fall_from_few_to_many_directions():
    found = measure.of_reconstruction(table(kinds.paths.RECONSTRUCTION, measure.reconstruction(rebuilt()))).to_pylist()
    falls = [row["value"] for row in found if row["quantity"].startswith("fall of difference")]
    np.testing.assert_allclose(falls, [1 / 20 - 4 / 20, 0])  # of each half
    found = {row["quantity"]: row["value"] for row in found}
    assert (found["difference at 1 half1"], found["difference at 3 half1"]) == (0.2, 0.05)
    assert found["directions for 10 % half1"] == 3
    assert np.isnan(found["directions for 10 % half2"])  # exactly 10 % is not less
    assert found["maximum above originals' half1"] == 4 / 20
    assert found["mean maximum above originals' half1"] == pytest.approx((34 + 29 - 2 * 30) / 2 / 20)
