"""Effects of moves are those that were planted in outputs."""

import numpy as np
import pyarrow as pa
import pytest

from agentomy import kinds
from agentomy.lenses.subnetworks import moves
from agentomy.tables import Table
from tests.lenses.subnetwork_tables import (
    KEY,
    impact_rows,
    impact_table,
    log_files,
    matched_table,
    measures,
    point_table,
)

STILL = (-1, 0.0, -1, 0.0)


def moved_table(outputs_of, steps, **key) -> Table:
    """One piece a step (subnetwork, delta, second, its delta); outputs [samples, outputs] of it."""
    pieces = []
    for step in steps:
        outputs = np.asarray(outputs_of(*step), float)
        subnetwork, delta, second, second_delta = step
        pieces.append(
            kinds.subnetworks.MOVED.table(
                **{**KEY, "within": "all"} | key,
                subnetwork=subnetwork,
                delta=delta,
                second=second,
                second_delta=second_delta,
                sample=np.arange(len(outputs)),
                outputs=outputs,
            )
        )
    return Table(kinds.subnetworks.MOVED, rows=pa.concat_tables(pieces))


def alone(*steps: tuple[int, float]):
    return [STILL, *((k, delta, -1, 0.0) for k, delta in steps)]


# ---- effects on outputs ----------------------------------------------------------------------------------------------

ON = np.array([[1, 0], [1, 0], [1, 1], [0, 1]])
BEFORE = np.array([[0.5, 0.0], [0.4, 0.0], [0.3, 0.2], [0.0, 0.6]])
AFTER = np.array([[1.5, 0.0], [0.8, 0.0], [0.0, 0.4], [0.0, 0.5]])


@pytest.fixture
def effects():
    moved = moved_table(lambda k, delta, *_: BEFORE if k < 0 else AFTER, alone((0, 1.0), (1, -1.0)))
    rows = moves.effects(moved, matched_table([0, 1], [0.1, 0.1], [1.0, 1.0]), point_table(ON * 0.7))
    return Table(kinds.subnetworks.EFFECTS, rows=rows)


def test_effects_are_mean_changes_where_a_feature_is_on_and_where_it_is_off(effects):
    frame = effects.frame().set_index(["subnetwork", "output"])
    assert len(frame) == 4
    for k in (0, 1):
        assert frame.loc[(k, 0), "on"] == pytest.approx((1.0 + 0.4 + 0.3) / 3)
        assert frame.loc[(k, 0), "off"] == 0
        assert frame.loc[(k, 1), "on"] == pytest.approx((0.2 + 0.1) / 2)
        assert frame.loc[(k, 1), "off"] == 0
        assert frame.loc[(k, 0), "delta"] == (1.0, -1.0)[k]


def test_the_median_change_leaves_out_outputs_that_are_zero_before_and_after(effects):
    frame = effects.frame().set_index(["subnetwork", "output"])
    assert frame.loc[(0, 0), "median"] == pytest.approx(0.4)  # of 1, 0.4 and -0.3
    assert frame.loc[(0, 1), "median"] == pytest.approx(0.05)  # of 0.2 and -0.1
    nothing = moved_table(lambda *_: np.zeros((4, 2)), alone((0, 1.0)))
    rows = moves.effects(nothing, matched_table([0], [0.1], [1.0]), point_table(ON))
    assert rows["median"].to_pylist() == [0, 0]


def test_the_matching_output_is_that_of_the_subnetworks_feature(effects):
    frame = effects.frame()
    assert (frame["matching"] == (frame["subnetwork"] == frame["output"])).all()


def test_moves_of_parts_are_compared_with_what_was_before_and_kept_apart():
    whole, part = (
        moved_table(lambda k, delta, *_, step=step: BEFORE + step * (k >= 0) * delta, alone((0, 0.5)), within=within)
        for step, within in ((1.0, "all"), (0.1, "layer2"))
    )
    both = Table(kinds.subnetworks.MOVED, rows=pa.concat_tables([whole.arrow(), part.arrow()]))
    rows = moves.effects(both, matched_table([0], [0.1], [1.0]), point_table(ON)).to_pandas()
    np.testing.assert_allclose(rows.loc[rows["within"] == "all", "on"], 0.5, atol=1e-6)
    np.testing.assert_allclose(rows.loc[rows["within"] == "layer2", "on"], 0.05, atol=1e-6)


def effect_table(values: dict, **key) -> Table:
    """(subnetwork, output, delta) → (on, off); a subnetwork's own output has its number."""
    keys, (on, off) = np.array(list(values)), np.array(list(values.values()), float).T
    rows = kinds.subnetworks.EFFECTS.table(
        **{**KEY, "within": "all"} | key,
        subnetwork=keys[:, 0].astype(int),
        output=keys[:, 1].astype(int),
        delta=keys[:, 2],
        matching=keys[:, 0] == keys[:, 1],
        on=on,
        off=off,
        median=0.0,
    )
    return Table(kinds.subnetworks.EFFECTS, rows=rows)


VALUES = {(0, 0, 1.0): (0.8, 0.1), (0, 1, 1.0): (0.1, 0.0), (1, 0, 1.0): (0.1, 0.0), (1, 1, 1.0): (0.9, 0.3)}
OPPOSITE = {(k, o, -1.0): ((on, off) if (k, o) != (0, 0) else (0.4, 0.1)) for (k, o, _), (on, off) in VALUES.items()}
HALF = {(k, o, 0.5): (10.0, 10.0) for k, o, _ in VALUES}


def test_separation_is_a_geometric_mean_over_live_subnetworks_of_both_directions():
    dead = {(2, output, delta): (5.0, 5.0) for output in (0, 1, 2) for delta in (1.0, -1.0)}
    table = effect_table(VALUES | OPPOSITE | HALF | dead)
    matched = matched_table([0, 1, 2], [0.1, 0.1, 0.0], [1.0] * 3)
    separation = measures(moves.separation(table, matched, deltas=[1.0]), within="all", delta=1.0)
    assert separation == {
        "matching": pytest.approx((0.6 + 0.9) / 2),
        "others": pytest.approx(0.1),
        "matching_over_others": pytest.approx(np.sqrt(6 * 9)),
        "on_over_off": pytest.approx(np.sqrt(6 * 3)),
    }


def test_each_delta_and_each_part_that_was_moved_has_a_row():
    table = effect_table(VALUES | HALF, within="layer2, layer3")
    separation = moves.separation(table, matched_table([0, 1], [0.1, 0.1], [1.0] * 2), deltas=[0.5, 1])
    assert measures(separation, within="layer2, layer3", delta=0.5)["matching_over_others"] == pytest.approx(1)
    assert measures(separation, within="layer2, layer3", delta=1)["matching"] == pytest.approx(0.85)
    assert len(separation) == 2


def test_a_seed_without_a_live_subnetwork_stays_without_numbers():
    dead = matched_table([0, 1], [0.0, 0.0], [1.0] * 2)
    (row,) = moves.separation(effect_table(VALUES), dead, deltas=[1.0]).to_pylist()
    assert np.isnan([row[name] for name in ("matching", "others", "matching_over_others", "on_over_off")]).all()
    (row,) = moves.steering(steered_table([(0, 0.0, 0.4, 0.1)])).to_pylist()
    assert np.isnan([row[name] for name in ("own", "rest", "own_over_rest", "beside_others")]).all()


def test_a_delta_that_nothing_was_moved_by_is_named():
    matched = matched_table([0, 1], [0.1, 0.1], [1.0] * 2)
    with pytest.raises(ValueError, match="nothing of run 'r' was moved by 3, but by 0.5, 1"):
        moves.separation(effect_table(VALUES | HALF), matched, deltas=[3])


# ---- two at once -----------------------------------------------------------------------------------------------------


def pairs_of(outputs_of, deltas=(-0.3, 0.0, 0.3), **key) -> Table:
    return moved_table(outputs_of, [(0, a, 1, b) for a in deltas for b in deltas], **key)


def test_moves_that_add_up_do_not_interact_and_a_product_does():
    x = np.random.default_rng(0).normal(size=(20, 2))
    for key, product in ((3, 0.0), (4, 2.0)):
        pairs = pairs_of(lambda k, a, m, b, product=product: x + [a, 2 * b] + product * a * b, seed=key)
        interaction = measures(moves.interactions(pairs, delta=0.3), seed=key)["interaction"]
        if product:
            ends = [(a, b) for a in (-0.3, 0.3) for b in (-0.3, 0.3)]
            whole = sum(abs(a + product * a * b) + abs(2 * b + product * a * b) for a, b in ends)
            assert interaction == pytest.approx(sum(2 * abs(product * a * b) for a, b in ends) / whole, rel=1e-5)
        else:
            assert interaction == pytest.approx(0, abs=1e-6)


def test_moves_by_other_deltas_do_not_count():
    """At 1, and nowhere else, there is a product."""
    pairs = pairs_of(lambda k, a, m, b: np.full((3, 1), a + b + 9 * (abs(a * b) == 1)), deltas=(-1, -0.3, 0, 0.3, 1.0))
    assert measures(moves.interactions(pairs, delta=0.3))["interaction"] == pytest.approx(0, abs=1e-6)
    assert measures(moves.interactions(pairs, delta=1))["interaction"] > 0.5


# ---- behaviour -------------------------------------------------------------------------------------------------------

SAMPLES = 20
OWN = np.array([4, 11])  # a tenth: where the first subnetwork's impact is largest


def steering(at_own: float, rest: float):
    """A move by the first subnetwork takes probability from the first output: on its own inputs it goes to the last."""

    def outputs(k, delta, *_):
        moved = np.tile([0.8, 0.1, 0.1], (SAMPLES, 1))
        if k == 0:
            moved += rest * np.array([-1, 1, 0])
            moved[OWN] = np.array([0.8, 0.1, 0.1]) + at_own * np.array([-1, 0, 1])
        return moved

    return outputs


def impacts_with_own() -> Table:
    impact = np.full((SAMPLES, 2), 0.1)
    impact[OWN, 0] = 0.9
    active = np.zeros((SAMPLES, 2))
    active[OWN, 0] = 1
    return impact_table(impact_rows(impact, active), impact_rows(impact[:, ::-1], run="other"))


def test_steering_is_the_change_on_the_tenth_of_largest_impact_and_on_the_rest():
    moved = moved_table(steering(0.6, 0.05), alone((0, 2.0), (1, 2.0)))
    frame = Table(kinds.subnetworks.STEERED, rows=moves.steered(moved, impacts_with_own(), runs=["r", "other"])).frame()
    first, second = frame.sort_values("subnetwork").itertuples()
    assert (first.own, first.rest, first.output) == (pytest.approx(0.6), pytest.approx(0.05), 2)
    assert (first.active, first.delta) == (pytest.approx(0.1), 2.0)
    assert (second.own, second.rest, second.active) == (0, 0, 0)
    assert first.others == pytest.approx(1)  # the other moves nothing anywhere
    # its own inputs are two of those that the first moves by 0.05, on the rest are the two that go by 0.6
    assert second.others == pytest.approx(0.05 / ((2 * 0.6 + (SAMPLES - 4) * 0.05) / (SAMPLES - 2)))


def test_own_inputs_are_chosen_among_those_that_were_moved():
    def first_ten(k, delta, *_):
        return steering(0.6, 0.05)(k, delta)[:10]

    steered = moves.steered(moved_table(first_ten, alone((0, 2.0))), impacts_with_own(), runs=["r"])
    assert steered["own"].to_pylist() == [pytest.approx(0.6)]  # input 4 alone, as 11 is not there
    assert steered["rest"].to_pylist() == [pytest.approx(0.05)]


def steered_table(rows: list[tuple], **key) -> Table:
    k, active, at_own, rest = map(np.array, zip(*rows, strict=True))
    steered = kinds.subnetworks.STEERED.table(
        **KEY | key, subnetwork=k, delta=1.0, active=active, own=at_own, rest=rest, others=2.0, output=0
    )
    return Table(kinds.subnetworks.STEERED, rows=steered)


def test_behaviour_is_judged_by_live_subnetworks_but_of_random_ones_all_count():
    rows = [(0, 0.2, 0.4, 0.1), (1, 0.1, 0.9, 0.1), (2, 0.0, 0.5, 0.001)]
    assert measures(moves.steering(steered_table(rows))) == {
        "own": pytest.approx(0.65),
        "rest": pytest.approx(0.1),
        "own_over_rest": pytest.approx(6),  # √(4 × 9)
        "beside_others": pytest.approx(3),
    }
    steering = measures(moves.steering(steered_table(rows, condition="random")), condition="random")
    assert steering["own"] == pytest.approx(0.6)
    assert steering["own_over_rest"] == pytest.approx((4 * 9 * 500) ** (1 / 3))


# ---- along learning --------------------------------------------------------------------------------------------------


def test_curves_run_over_the_epochs_of_their_run(tmp_path):
    logs = {"one": {"loss": [[0.9, 0.8], [0.5, 0.4]], "worst loss": [[9, 9], [9, 9]]}, "two": {"loss": [[0.7]]}}
    frame = Table(kinds.subnetworks.CURVES, rows=moves.curves(log_files(tmp_path, logs, epochs=6))).frame()
    losses = frame.set_index(["run", "seed", "epoch"])["loss"].to_dict()
    assert losses == {
        ("one", 0, 3.0): 0.9,
        ("one", 0, 6.0): 0.5,
        ("one", 1, 3.0): 0.8,
        ("one", 1, 6.0): 0.4,
        ("two", 0, 6.0): 0.7,
    }
