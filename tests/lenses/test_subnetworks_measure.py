"""Planted subnetworks are matched with the features that they were planted for, and found as clean as they are."""

import json

import numpy as np
import pyarrow as pa
import pytest

from agentomy import kinds
from agentomy.lenses.subnetworks import measure
from agentomy.tables import Table
from tests.lenses.subnetwork_tables import (
    KEY,
    impact_rows,
    impact_table,
    log_files,
    matched_table,
    measures,
    models_table,
    point_table,
)


def matched_of(impacts: Table, points: Table, runs: tuple = ("r",), **given):
    models = models_table(model=[1] * 10)
    rows = measure.matched(impacts, points, models, **{"decompositions": {"model": [*runs]}} | given)
    return Table(kinds.subnetworks.MATCHED, rows=rows)


def presence_of(rng, samples: int, blocks: int, share: float = 0.3) -> np.ndarray:
    on = rng.random((samples, blocks)) < share
    on[~on.any(axis=1), 0] = True
    return on


# ---- whose a subnetwork is -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [1, 3])
def test_a_subnetwork_is_the_blocks_that_it_answers_to(rng, block):
    on = presence_of(rng, 200, 5)
    order = np.array([3, 0, 4, 1, 2, 0])  # the last one is a second for its block
    impact = on[:, order] * rng.uniform(0.5, 1, (200, 6))
    inputs = np.repeat(on, block, axis=1) * rng.uniform(-1, 1, (200, 5 * block))
    matched = matched_of(impact_table(impact_rows(impact)), point_table(inputs), block=block)
    assert matched.values("subnetwork").tolist() == list(range(6))
    np.testing.assert_array_equal(matched.values("block"), order)
    np.testing.assert_allclose(matched.values("selectivity"), 1)


def test_what_counts_is_what_the_block_adds_and_not_how_often_it_is_on(rng):
    on = presence_of(rng, 500, 3)
    on[:, 0] |= rng.random(500) < 0.8
    impact = 5.0 + on[:, [2, 1]]
    matched = matched_of(impact_table(impact_rows(impact)), point_table(on))
    assert matched.values("block").tolist() == [2, 1]
    share = [impact[on[:, block], k].sum() / impact[:, k].sum() for k, block in enumerate((2, 1))]
    np.testing.assert_allclose(matched.values("selectivity"), share, rtol=1e-6)


def test_a_feature_whose_absence_leaves_the_impact_high_does_not_raise_it_most():
    """The second is only on with the first, where the impact is a little higher: but it is the first's."""
    on = np.repeat([[1, 0, 0], [1, 1, 0], [0, 0, 1]], 10, axis=0)
    impact = np.repeat([[1.0], [1.2], [0.0]], 10, axis=0)
    assert matched_of(impact_table(impact_rows(impact)), point_table(on)).values("block").tolist() == [0]


def test_activity_decides_what_is_live(rng):
    active = np.zeros((1000, 3))
    active[:5, 0] = active[:6, 1] = 1
    active[:, 2] = 0.1
    on = presence_of(rng, 1000, 2)
    matched = matched_of(impact_table(impact_rows(np.ones((1000, 3)), active)), point_table(on))
    np.testing.assert_allclose(matched.values("active"), [0.005, 0.006, 0.1], rtol=1e-6)
    assert matched.values("live").tolist() == [False, True, True]


def test_a_subnetwork_without_any_impact_has_no_selectivity(rng):
    impact = np.zeros((50, 2))
    impact[:, 1] = 1.0
    matched = matched_of(impact_table(impact_rows(impact)), point_table(presence_of(rng, 50, 2)))
    assert matched.values("selectivity")[0] == 0
    assert matched.values("selectivity")[1] > 0


def test_a_block_that_is_never_on_is_nobodys(rng):
    on = presence_of(rng, 100, 3)
    on[:, 1] = False
    matched = matched_of(impact_table(impact_rows(on[:, [0, 2]] * 1.0)), point_table(on))
    assert matched.values("block").tolist() == [0, 2]


def test_runs_seeds_and_conditions_are_told_apart_and_other_runs_left_out(rng):
    on = presence_of(rng, 80, 3)
    orders = {("a", 0, "random"): [0, 1], ("a", 0, "learned"): [2, 1], ("a", 1, "random"): [1, 1], ("b", 0, "x"): [2]}
    names = ("run", "seed", "condition")
    rows = [impact_rows(on[:, order] * 1.0, **dict(zip(names, key, strict=True))) for key, order in orders.items()]
    rows.append(impact_rows(np.ones((7, 4)), run="on other points"))
    frame = matched_of(impact_table(*rows), point_table(on), runs=["a", "b"]).frame()
    for key, group in frame.groupby(list(names)):
        assert group.sort_values("subnetwork")["block"].tolist() == orders[key]
    assert len(frame) == 7


# ---- how good a decomposition is -------------------------------------------------------------------------------------


def test_losses_are_quotients_of_sums_over_inputs_with_one_or_several_features():
    on = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1], [1, 1, 1]])
    missed, size = np.array([1.0, 6.0, 3.0, 8.0]), np.array([10.0, 8.0, 30.0, 12.0])
    order = np.array([2, 0, 3, 1])  # rows may come in any order
    rows = impact_rows(np.ones((4, 1)), missed=missed, size=size).take(order)
    quality = measures(measure.quality(matched_table([0], [0.5], [0.9]), impact_table(rows), point_table(on * 0.3)))
    assert quality["loss"] == pytest.approx(18 / 60)
    assert quality["loss_at_one"] == pytest.approx(4 / 40)
    assert quality["loss_at_several"] == pytest.approx(14 / 20)
    assert quality["several_over_one"] == pytest.approx(7)
    assert measures(measure.losses(impact_table(rows))) == {"loss": pytest.approx(18 / 60)}


def test_blocks_of_features_count_as_one_feature():
    on = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 1]])
    rows = impact_rows(np.ones((3, 1)), missed=np.array([1.0, 2.0, 5.0]), size=np.array([10.0, 10.0, 10.0]))
    quality = measures(measure.quality(matched_table([0], [0.5], [1.0]), impact_table(rows), point_table(on), block=2))
    assert quality["loss_at_one"] == pytest.approx(0.15)
    assert quality["loss_at_several"] == pytest.approx(0.5)
    assert quality["blocks"] == 2


def test_coverage_counts_blocks_of_live_subnetworks():
    on = np.vstack([np.eye(4), np.ones((1, 4))])
    # of block 2 the first is the stronger one
    table = matched_table([0, 2, 2, 3, 1], [0.1, 0.3, 0.2, 0.001, 0.0], [0.5, 0.9, 0.4, 1.0, 1.0])
    quality = measures(measure.quality(table, impact_table(impact_rows(np.ones((5, 5)), missed=0.5)), point_table(on)))
    expected = {
        "coverage": 2 / 4,  # blocks 0 and 2
        "blocks": 4,
        "live": 3,
        "dead": 2,
        "surplus": 1,
        "selectivity": 0.6,
        "least_selectivity": 0.4,
        "selectivity_of_strongest": (0.5 + 0.9) / 2,
    }
    assert {name: quality[name] for name in expected} == pytest.approx(expected)


def test_a_seed_without_a_live_subnetwork_stays_without_numbers(rng):
    on, dead = np.eye(3), matched_table([2, 0, 1], [0.0] * 3, [1.0] * 3)
    quality = measures(measure.quality(dead, impact_table(impact_rows(np.ones((3, 3)), missed=0.5)), point_table(on)))
    assert (quality["coverage"], quality["live"], quality["dead"], quality["surplus"]) == (0, 0, 3, 0)
    assert np.isnan([quality[name] for name in ("selectivity", "least_selectivity", "selectivity_of_strongest")]).all()
    assert np.isnan(list(measures(measure.cleanness(dead, subnetwork_table(clean(rng)))).values())).all()
    _, _, subnets, points = planted_coefficients(rng)
    coefficients = Table(kinds.subnetworks.COEFFICIENTS, rows=measure.coefficients(subnets, points, runs=["r"]))
    dead = matched_table([2, 0, 3, 1], [0.0] * 4, [1.0] * 4)
    assert np.isnan(list(measures(measure.recovered(coefficients, dead)).values())).all()


def test_models_learned_is_the_share_of_a_runs_seeds():
    on = np.eye(2)
    both = [impact_rows(np.ones((2, 1)), seed=seed) for seed in (0, 1)]
    rows = [matched_table([0], [0.5], [1.0], learned=seed == 1, seed=seed).arrow() for seed in (0, 1)]
    matched = Table(kinds.subnetworks.MATCHED, rows=pa.concat_tables(rows))
    quality = measure.quality(matched, impact_table(*both), point_table(on))
    assert quality["model_learned"].to_pylist() == [False, True]
    assert quality["models_learned"].to_pylist() == [0.5, 0.5]


# ---- what is in them -------------------------------------------------------------------------------------------------


def subnetwork_table(tensors: dict[str, np.ndarray], **key) -> Table:
    """Of tensors [1 + K, *shape], the network's own first; rows in an order of no meaning."""
    pieces = [
        kinds.subnetworks.SUBNETWORKS.table(
            **KEY | key,
            subnetwork=np.arange(-1, len(entries) - 1),
            tensor=name,
            shape=json.dumps(entries.shape[1:]),
            weights=entries,
        ).take(np.random.default_rng(0).permutation(len(entries)))
        for name, entries in tensors.items()
    ]
    return Table(kinds.subnetworks.SUBNETWORKS, rows=pa.concat_tables(pieces))


def clean(rng, order=(2, 0, 1), features: int = 3, hidden: int = 2) -> dict[str, np.ndarray]:
    """A network, and one subnetwork a feature that is that feature's part of it, with either sign."""
    tensors = {"encoder": rng.normal(size=(features, hidden)), "decoder": rng.normal(size=(hidden, features))}
    tensors["bias"] = rng.normal(size=features)
    parts = {name: [array] for name, array in tensors.items()}
    for position, feature in enumerate(order):
        only = np.eye(features)[feature]
        sign = (-1) ** position
        parts["encoder"].append(sign * only[:, None] * tensors["encoder"])
        parts["decoder"].append(sign * tensors["decoder"] * only)
        parts["bias"].append(sign * tensors["bias"] * only)
    return {name: np.stack(arrays) for name, arrays in parts.items()}


def test_parts_of_single_features_are_clean_and_parallel_whatever_their_signs(rng):
    table = matched_table([2, 0, 1], [0.1] * 3, [1.0] * 3)
    cleanness = measures(measure.cleanness(table, subnetwork_table(clean(rng))))
    names = ("encoder_on_one_row", "decoder_on_one_column", "bias_on_one_entry", "agreement", "cosine")
    assert cleanness == {name: pytest.approx(1) for name in names}


def test_mixed_parts_are_as_unclean_as_they_are(rng):
    tensors = clean(rng)
    tensors["encoder"][0] = [[1, 0], [0, 1], [1, 1]]
    tensors["encoder"][1] = [[0, 0], [0.8, 0], [0, 0.6]]  # norms 0, 0.8, 0.6; at right angles to the network's row
    tensors["decoder"][1] = [[0, 3, 0], [0, 0, 4]]  # columns' norms 0, 3, 4
    tensors["bias"][1] = [0, -3, 1]
    table = matched_table([1, 0, 1], [0.1, 0.0, 0.0], [1.0] * 3)
    cleanness = measures(measure.cleanness(table, subnetwork_table(tensors)))
    assert cleanness["encoder_on_one_row"] == pytest.approx(0.8)
    assert cleanness["decoder_on_one_column"] == pytest.approx(0.8)
    assert cleanness["bias_on_one_entry"] == pytest.approx(0.75)
    assert cleanness["agreement"] == 0  # the column is another feature's
    assert cleanness["cosine"] == pytest.approx(0, abs=1e-9)


def test_dead_subnetworks_and_other_models_do_not_count(rng):
    tensors = clean(rng)
    tensors["encoder"][2] = 1.0  # of all features
    table = matched_table([2, 0, 1], [0.1, 0.0, 0.1], [1.0] * 3)
    perceptron = subnetwork_table({"layer1.weight": rng.normal(size=(3, 2, 2))}, run="other").arrow()
    both = Table(kinds.subnetworks.SUBNETWORKS, rows=pa.concat_tables([perceptron, subnetwork_table(tensors).arrow()]))
    cleanness = measure.cleanness(table, both)
    assert measures(cleanness)["encoder_on_one_row"] == pytest.approx(1)
    assert set(cleanness["run"].to_pylist()) == {"r"}
    all_live = matched_table([2, 0, 1], [0.1] * 3, [1.0] * 3)
    assert measures(measure.cleanness(all_live, both))["encoder_on_one_row"] < 0.9
    with pytest.raises(ValueError, match="subnetworks: none of run 'r', seed 3, learned"):
        measure.cleanness(table, Table(kinds.subnetworks.SUBNETWORKS, rows=perceptron))


# ---- coefficients read back ------------------------------------------------------------------------------------------


def planted_coefficients(rng, noise: float = 0.0):
    """A bottleneck of as many hidden units as features that computes xA, and one subnetwork a feature."""
    matrix = rng.uniform(0, 3, (4, 4))
    order, scales = [2, 0, 3, 1], [0.7, -0.7, 0.7, -0.7]
    encoder = np.stack([np.eye(4), *(np.diag(np.eye(4)[feature]) for feature in order)])
    decoder = np.stack([matrix, *(scale * (matrix + noise * rng.normal(size=(4, 4))) for scale in scales)])
    subnets = subnetwork_table({"encoder": encoder, "decoder": decoder, "bias": np.zeros((5, 4))})
    return matrix, order, subnets, point_table(np.eye(4), unit=matrix)


def test_coefficients_are_read_back_with_their_sign(rng):
    matrix, order, subnets, points = planted_coefficients(rng)
    coefficients = Table(kinds.subnetworks.COEFFICIENTS, rows=measure.coefficients(subnets, points, runs=["r"]))
    frame = coefficients.frame()
    assert frame.groupby("subnetwork")["feature"].first().tolist() == order
    for row in frame.itertuples():
        assert row.found == pytest.approx(0.7 * matrix[row.feature, row.output], rel=1e-5)
        assert row.true == pytest.approx(matrix[row.feature, row.output], rel=1e-5)
    r = measures(measure.recovered(coefficients, matched_table(order, [0.1] * 4, [1.0] * 4)))
    assert r == {"r": pytest.approx(1), "r_squared": pytest.approx(1)}


def test_r_is_pearsons_over_the_pairs_of_live_subnetworks(rng):
    _, order, subnets, points = planted_coefficients(rng, noise=0.8)
    coefficients = Table(kinds.subnetworks.COEFFICIENTS, rows=measure.coefficients(subnets, points, runs=["r"]))
    r = measures(measure.recovered(coefficients, matched_table(order, [0.1, 0.0, 0.1, 0.1], [1.0] * 4)))
    frame = coefficients.frame()
    live = frame[frame["subnetwork"] != 1]
    x, y = live["found"] - live["found"].mean(), live["true"] - live["true"].mean()
    expected = (x * y).sum() / np.sqrt((x**2).sum() * (y**2).sum())
    assert 0.3 < expected < 0.99
    assert r["r"] == pytest.approx(expected)
    assert r["r_squared"] == pytest.approx(expected**2)


def test_coefficients_of_other_runs_are_left_out(rng):
    _, _, subnets, points = planted_coefficients(rng)
    other = subnetwork_table({"layer1.weight": rng.normal(size=(3, 2, 2))}, run="other").arrow()
    both = Table(kinds.subnetworks.SUBNETWORKS, rows=pa.concat_tables([other, subnets.arrow()]))
    assert set(measure.coefficients(both, points, runs=["r"])["run"].to_pylist()) == {"r"}


class Said:
    """Progress whose lines are kept."""

    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)


def test_models_are_judged_by_the_end_of_their_logs(tmp_path):
    first = {"loss": [[0.5, 0.6], [0.1, 0.2]], "passed over": [[0, 3], [1, 0]], "learned": [[0, 1], [1, 1]]}
    other = {"loss": [[0.9]], "passed over": [[0]], "learned": [[1]]}
    said = Said()
    models = measure.models(log_files(tmp_path, {"tms": first, "squared": other}, learned=1), progress=said)
    assert measures(models, run="tms", seed=0) == {"mean_squared_error": 0.1, "passed_over": 1, "learned": True}
    assert measures(models, run="tms", seed=1) == {"mean_squared_error": 0.2, "passed_over": 0, "learned": True}
    assert measures(models, run="squared", seed=0) == {"mean_squared_error": 0.9, "passed_over": 0, "learned": True}
    assert said.lines == []


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_model_that_has_not_learned_is_named_with_what_it_came_to(tmp_path, share):
    """Also one that was good enough for a part of the last updates alone."""
    logs = {"loss": [[0.0061, 0.0082]], "passed over": [[1, 4]], "learned": [[1, share]]}
    said = Said()
    models = measure.models(log_files(tmp_path, {"squared": logs}, learned=0.007), progress=said)
    assert models["learned"].to_pylist() == [True, False]
    assert said.lines == ["run squared, seed 1: not learned; loss: found 0.0082; allowed: 0.007"]


# ---- models that have not learned ------------------------------------------------------------------------------------


def test_whether_its_model_has_learned_goes_with_every_subnetwork(rng):
    """Decomposition `a` is of `one`, `b` of `other`, seed by seed."""
    on = presence_of(rng, 60, 3)
    keys = [(run, seed, condition) for run in ("a", "b") for seed in (0, 1) for condition in ("random", "learned")]
    impacts = impact_table(
        *(
            impact_rows(on[:, [0, 2]] * 1.0, missed=0.5, run=run, seed=seed, condition=condition)
            for run, seed, condition in keys
        )
    )
    given = {"decompositions": {"one": ["a"], "other": ["b"]}}
    models = models_table(one=[1, 0], other=[0, 1])
    table = Table(kinds.subnetworks.MATCHED, rows=measure.matched(impacts, point_table(on), models, **given))
    expected = {("a", 0): 1, ("a", 1): 0, ("b", 0): 0, ("b", 1): 1}
    assert table.frame().groupby(["run", "seed"])["learned"].agg(["min", "max"]).T.to_dict() == {
        key: {"min": bool(value), "max": bool(value)} for key, value in expected.items()
    }
    quality = measure.quality(table, impacts, point_table(on))
    for (run, seed), learned in expected.items():
        assert measures(quality, run=run, seed=seed)["model_learned"] == learned
    with pytest.raises(ValueError, match="nothing is known of seed 1 of run 'one'"):
        measure.matched(impacts, point_table(on), models_table(one=[1], other=[0, 1]), **given)
