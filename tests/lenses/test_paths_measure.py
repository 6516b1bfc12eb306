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
    courses = table(
        kinds.paths.COURSES, *measure.directions(table(kinds.paths.GRAM, gram(walk)), directions=[1, 2, 3, 4])
    )
    directions = courses.where(layer="all", period="whole", variant="delta").frame()
    k = np.arange(1, 5)
    np.testing.assert_allclose(directions["energy"], 8 / (np.pi * (2 * k - 1)) ** 2, rtol=0.03)
    np.testing.assert_allclose(directions["detour"], 2 * k - 1, rtol=0.03)
    np.testing.assert_array_equal(directions["crossings"], k)
    assert directions["cosine"].min() > 0.99


def test_spectra_are_those_of_a_plain_svd_in_every_period_and_layers_add_up(rng):
    one, two = rng.normal(size=(2, 13, 40))
    spectra = list(measure._spectra(table(kinds.paths.GRAM, gram(one, "layer1"), gram(two, "layer2"))))
    whole = {"layer1": one, "layer2": two, "all": np.concatenate([one, two], axis=1)}
    assert len(spectra) == 3 * 4 * 2
    for (_, _, _, period, layer, variant), _, values, _ in spectra:
        theta = whole[layer][periods(13)[period]]
        exact = np.linalg.svd(theta - theta[0] * (variant == "delta"), compute_uv=False)
        np.testing.assert_allclose(values, exact, atol=1e-6)


def test_a_straight_path_has_one_direction_and_no_detour(rng):
    line = rng.normal(size=50) + np.arange(10)[:, None] * rng.normal(size=50)
    courses = table(kinds.paths.COURSES, *measure.directions(table(kinds.paths.GRAM, gram(line)), directions=[1]))
    direction = courses.where(layer="all", period="whole", variant="delta").frame().iloc[0]
    np.testing.assert_allclose([direction["energy"], direction["detour"]], 1, atol=1e-9)


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
    convexity = measure.convexity(dimensions).to_pandas().query("variant == 'delta' and period == 'whole'")
    convexity = convexity.set_index("layer")["convexity"]
    assert np.isnan(convexity["still"])
    assert convexity["moving"] == convexity["all"]


def test_dimensions_in_closed_form():
    np.testing.assert_array_equal(measure.needed(np.array([4.0, 3, 2, 1]), [0.4, 0.5, 0.7, 0.9, 0.95]), [1, 2, 2, 3, 4])


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=20).filter(lambda x: abs(x[-1] - x[0]) > 1e-3))
def test_detours_are_at_least_one_and_one_exactly_where_the_way_is_monotone(values):
    course = np.array(values)[:, None]
    assert measure.detours(course)[0] >= 1
    assert measure.detours(np.sort(course, axis=0))[0] <= 1 + 1e-9


def test_activity_in_closed_form_and_whatever_the_order(rng):
    accumulated, final = np.array([0.0, 1, 1, 2]), np.array([0.0, 1, 0, 0.5])
    numbers = change.numbers(accumulated, final, final, np.array([1, 0, 0, 0]))
    assert numbers["gini"] == (-3 * 0 - 1 + 1 + 3 * 2) / (4 * 4)
    assert (numbers["never_moved"], numbers["capped"], numbers["dead"]) == (0.25, 0.25, 0.25)
    assert (numbers["detour_p50"], numbers["detour_above_2"]) == (4, 2 / 3)
    order = [2, 0, 3, 1]
    assert change.numbers(accumulated[order], final[order], final, np.array([1, 0, 0, 0])) == numbers


def moves(accumulated, final, dead, layer="layer1", **key):
    lists = {"accumulated": accumulated, "final": final, "flips": np.zeros(len(dead)), "dead": dead}
    key = {"run": "r", "seed": [0], "path": "real", "period": "whole", "layer": layer, "tensor": layer} | key
    return kinds.paths.MOVES.table(**key, **{name: np.array(values)[None] for name, values in lists.items()})


def test_alive_parameters_are_those_of_no_dead_unit():
    """Two layers, of whose parameters the dead moved most, or not at all."""
    given = table(
        kinds.paths.MOVES,
        moves([8.0, 1, 2, 1], [1.0, 1, 1, 1], [1, 0, 0, 0], "one"),
        moves([0.0, 6], [0.0, 1], [1, 0], "two"),
        moves([3.0], [1.0], [1], "three"),  # nothing is alive here
    )
    (activity,) = change.activity(given)
    shares = activity.to_pandas().set_index(["layer", "parameters"]).sort_index()
    assert set(shares.index) == {
        *((layer, which) for layer in ("one", "two", "all") for which in ("all", "alive")), ("three", "all")
    }  # fmt: skip
    wanted = {
        ("one", "all"): {
            "dead": 1 / 4,
            "never_moved": 0,
            "detour_p50": 1.5,
            "top_tenth": 8 / 12,
            "detour_above_2": 1 / 4,
        },
        ("one", "alive"): {"dead": 0, "never_moved": 0, "detour_p50": 1, "top_tenth": 2 / 4, "detour_above_2": 0},
        ("two", "all"): {"dead": 1 / 2, "never_moved": 1 / 2, "detour_p50": 6, "top_tenth": 1, "detour_above_2": 1},
        ("two", "alive"): {"dead": 0, "never_moved": 0, "detour_p50": 6, "top_tenth": 1, "detour_above_2": 1},
        ("all", "all"): {"dead": 3 / 7, "never_moved": 1 / 7, "top_tenth": 8 / 21, "detour_above_2": 3 / 6},
        ("all", "alive"): {"dead": 0, "never_moved": 0, "top_tenth": 6 / 10, "detour_above_2": 1 / 4},
    }
    for key, quantities in wanted.items():
        assert shares.loc[key, list(quantities)].to_dict() == pytest.approx(quantities), key
    (moved,) = change.change(given, quantiles=3)
    longest = moved.to_pandas().query("quantity == 'accumulated' and quantile == 1")
    longest = longest.set_index(["layer", "parameters"])["value"].to_dict()
    assert (longest["all", "all"], longest["all", "alive"], longest["one", "alive"]) == (8, 6, 2)


def test_thirds_meet_in_one_snapshot_and_cover_the_whole():
    snapshots = np.arange(13)
    windows = {name: snapshots[window].tolist() for name, window in periods(13).items()}
    assert windows == {
        "whole": list(range(13)), "first": [0, 1, 2, 3, 4], "second": [4, 5, 6, 7, 8], "third": [8, 9, 10, 11, 12]
    }  # fmt: skip
    for count in range(4, 40):
        first, second, third = (np.arange(count)[periods(count)[name]] for name in ("first", "second", "third"))
        assert (first[0], third[-1]) == (0, count - 1)
        assert (first[-1], second[-1]) == (second[0], third[0])
        assert max(map(len, (first, second, third))) - min(map(len, (first, second, third))) <= 1


def convexity(dimensions: dict) -> float:
    """Of D, β → directions."""
    key = {"run": "r", "seed": 0, "path": "real", "layer": "all", "period": "whole", "variant": "delta"}
    betas, needed = np.array(list(dimensions)), np.array(list(dimensions.values()))
    rows = kinds.paths.DIMENSIONS.table(**key, beta=betas, dimensions=needed)
    (row,) = measure.convexity(table(kinds.paths.DIMENSIONS, rows)).to_pylist()
    assert {name: row[name] for name in key} == key
    return row["convexity"]


def test_convexity_is_the_mean_second_derivative_of_dimensions_over_beta():
    """D = 100 β² has second derivative 200, whatever the spacing; a concave D a negative one, a line none."""
    betas = np.array([0.1, 0.2, 0.5, 0.6, 0.9])
    for curve, expected in ((100 * betas**2, 200), (100 - 100 * (1 - betas) ** 2, -200), (10 + 10 * betas, 0)):
        # at this scale rounding to whole directions changes little
        rounded = np.round(1e6 * curve[::-1]).astype(int)
        bend = convexity(dict(zip(betas[::-1], rounded, strict=True)))
        assert bend == pytest.approx(1e6 * expected, abs=20)


def test_two_points_have_no_second_difference():
    with pytest.raises(ValueError, match="run 'r': found 2 betas; allowed: 3 or more"):
        convexity({0.5: 3, 0.9: 7})


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


def test_scores_are_average_returns_of_the_snapshots_along_learning():
    scored = measure.scores(
        rollouts(
            ("r", 0, 20, "whole", -1, [1, 3]),  # the order of rows does not matter
            ("r", 0, 0, "whole", -1, [0, 2]),
            ("r", 0, 10, "whole", -1, [5, 7]),
            ("r", 1, 0, "whole", -1, [-4, -2]),
            ("r", 0, 10, "whole", 4, [100, 100]),  # neither rebuilt policies …
            ("r", 0, 10, "half1", -1, [100, 100]),  # … nor what they are compared with
        )
    )
    by_seed = scored.to_pandas().pivot(index=["run", "seed"], columns="measure", values="value")
    assert by_seed.loc["r", 0].to_dict() == {"untrained": 1, "score": 6, "auc": 3, "late": 4, "final": 2}
    assert set(by_seed.loc["r", 1]) == {-3}


def test_late_is_the_second_half_of_the_snapshots():
    returns = [50, 40, 30, 3, 2, 1]
    scored = measure.scores(rollouts(*(("r", 0, 10 * t, "whole", -1, [r]) for t, r in enumerate(returns))))
    assert scored.to_pandas().set_index("measure")["value"]["late"] == 2


def scores(values: dict) -> pa.Table:
    """(run, measure) → values by seed."""
    return table(
        kinds.paths.SCORES,
        *(
            kinds.paths.SCORES.table(
                run=run, seed=np.arange(len(by_seed)), measure=measure, value=np.array(by_seed, float)
            )
            for (run, measure), by_seed in values.items()
        ),
    )


def gains(values: dict, **pairs: str) -> dict:
    rows = measure.gains(scores(values), pairs=pairs).to_pylist()
    return {(row["run"], row["base"], row["measure"], row["seed"]): row["gain"] for row in rows}


def test_gains_are_shares_of_the_bases_mean_over_seeds():
    values = {("base", "score"): [1, 3], ("base", "auc"): [-2, -2], ("arm", "score"): [2, 3], ("arm", "auc"): [-1, -1]}
    assert gains(values, arm="base") == {
        ("arm", "base", "score", 0): 0.5,
        ("arm", "base", "score", 1): 0,
        ("arm", "base", "auc", 0): 0.5,  # a smaller loss is a gain
        ("arm", "base", "auc", 1): 0.5,
    }


def test_a_seed_that_one_of_two_runs_lacks_has_no_gain_and_no_part_in_the_mean():
    by_seed = gains({("base", "auc"): [1, 1, 70], ("arm", "auc"): [2, 2]}, arm="base")
    assert {key[-1]: gain for key, gain in by_seed.items()} == {0: 1.0, 1: 1.0}


def test_a_gain_over_nothing_is_not_a_number_in_every_seed():
    by_seed = gains({("base", "auc"): [1, -1], ("arm", "auc"): [2, 2]}, arm="base")
    assert len(by_seed) == 2
    assert np.isnan(list(by_seed.values())).all()


def test_runs_without_a_common_seed_have_no_gain():
    base = kinds.paths.SCORES.table(run="base", seed=np.array([7]), measure="auc", value=1.0)
    both = table(kinds.paths.SCORES, base, scores({("arm", "auc"): [1]}).arrow())
    with pytest.raises(ValueError, match="'arm' and 'base' have no seed in common"):
        measure.gains(both, pairs={"arm": "base"})


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
    compared = {
        (row.pop("period"), row.pop("directions")): row for row in measure.reconstruction(rebuilt()).to_pylist()
    }
    key = {"run": "r", "seed": 0, "snapshots": 2}
    assert compared["half1", -1] == {**key, "mean": 20, "difference": 0, "maximum": 30, "minimum": 10}
    assert compared["half1", 1] == {**key, "mean": 20, "difference": 4, "maximum": 34, "minimum": 6}
    assert compared["half1", 3] == {**key, "mean": 20, "difference": 1, "maximum": 29, "minimum": 11}
    assert compared["half2", 3] == {**key, "mean": 40, "difference": 4, "maximum": 54, "minimum": 26}
    assert len(compared) == 6


def test_a_snapshot_that_was_not_rebuilt_is_left_out():
    rows = [("r", 0, 0, "half1", -1, [1]), ("r", 0, 5, "half1", -1, [9]), ("r", 0, 0, "half1", 2, [4])]
    compared = {row["directions"]: row for row in measure.reconstruction(rollouts(*rows)).to_pylist()}
    assert (compared[2]["snapshots"], compared[2]["difference"], compared[-1]["snapshots"]) == (1, 3, 2)


def test_rebuilt_policies_are_compared_with_the_originals_as_shares_of_their_mean():
    differences = measure.against_originals(
        table(kinds.paths.RECONSTRUCTION, measure.reconstruction(rebuilt()))
    ).to_pandas()
    differences = differences.set_index(["period", "directions"])
    assert set(differences.index) == {(half, k) for half in ("half1", "half2") for k in (1, 3)}
    assert differences["difference"].to_dict() == pytest.approx(
        {("half1", 1): 4 / 20, ("half1", 3): 1 / 20, ("half2", 1): 4 / 40, ("half2", 3): 4 / 40}
    )
    first = differences.loc["half1"]
    assert first["above"].to_list() == pytest.approx([4 / 20, -1 / 20])
    assert first["best_above"].to_list() == pytest.approx([4 / 20, 4 / 20])
