"""Choices, calibration and doubt of planted tables are those that were planted (NLD)."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentomy import kinds
from agentomy.papers.nld.measure import agents, calibration, predictions, theory
from agentomy.tables import Table

UNTRAINED = 9.0  # loss of the first snapshot


def predictive(losses: dict, accuracy: float = 0.5, seeds=(0, 1), earlier: float = UNTRAINED) -> Table:
    """Of (run, step) → {(predictor, split): nll of each seed}, at update 20; at 0 and 10 all losses are `earlier`."""
    rows = []
    for (run, step), by_predictor in losses.items():
        for (predictor, split), values in by_predictor.items():
            for seed, value in zip(seeds, values, strict=True):
                where = {"run": run, "method": "qdop", "step": step, "epsilon": step / 10, "seed": seed}
                for update, nll in ((0, earlier), (10, earlier), (20, value)):
                    rows.append(
                        kinds.nld.PREDICTIVE.table(
                            **where,
                            update=update,
                            predictor=predictor,
                            networks=1,
                            split=split,
                            nll=nll,
                            accuracy=accuracy - nll / 10,
                        )
                    )
    return Table(kinds.nld.PREDICTIVE, rows=pa.concat_tables(rows))


def both(validation: list[float], test: list[float], predictor: str = "ensemble") -> dict:
    return {(predictor, "validation"): validation, (predictor, "test"): test}


def the_chosen(table: Table, methods: dict, predictor: str = "ensemble") -> dict[str, dict]:
    rows = predictions.chosen(table, methods=methods, predictors=dict.fromkeys(methods, predictor)).to_pylist()
    return {row["method"]: row for row in rows}


# ---- choice ----------------------------------------------------------------------------------------------------------

STEPS = {("a", 0.1): both([0.5, 0.5], [0.1, 0.1]), ("b", 0.2): both([0.1, 0.7], [0.9, 0.9]),
         ("c", 0.4): both([0.6, 0.6], [0.2, 0.2])}  # fmt: skip


def test_the_choice_is_by_mean_validation_loss_and_sees_no_test_image():
    row = the_chosen(predictive(STEPS), {"QDOP": ["a", "b", "c"]})["QDOP"]
    assert (row["run"], row["step"], row["epsilon"]) == ("b", 0.2, 0.02)  # the worst by test loss
    assert row["validation"] == pytest.approx(0.4)
    turned = {run: both(loss["ensemble", "test"], loss["ensemble", "validation"]) for run, loss in STEPS.items()}
    assert the_chosen(predictive(turned), {"QDOP": ["a", "b", "c"]})["QDOP"]["run"] == "a"


def test_only_the_end_of_learning_counts():
    assert the_chosen(predictive(STEPS, earlier=0.0), {"QDOP": ["a", "b", "c"]})["QDOP"]["validation"] > 0.1


@pytest.mark.parametrize(
    ("runs", "best", "inner"),
    [("abc", "b", True), ("ab", "b", False), ("ac", "a", False), ("bc", "b", False), ("c", "c", False)],
)
def test_a_step_is_inner_if_larger_and_smaller_ones_were_tried(runs, best, inner):
    choice = the_chosen(predictive(STEPS), {"DOP": ["b"], "QDOP": list(runs)})
    assert (choice["QDOP"]["run"], choice["QDOP"]["inner"]) == (best, inner)
    assert choice["DOP"]["run"] == "b"


def test_each_method_is_chosen_by_its_own_predictor():
    losses = {("a", 0.1): both([0.5], [0.0]) | both([0.1], [0.0], "last"),
              ("b", 0.2): both([0.2], [0.0]) | both([0.3], [0.0], "last")}  # fmt: skip
    table = predictive(losses, seeds=[0])
    for predictor, best in (("ensemble", "b"), ("last", "a")):
        assert the_chosen(table, {"QDOP": ["a", "b"]}, predictor)["QDOP"]["run"] == best


def test_a_run_that_is_missing_or_lacks_the_predictor_is_named():
    for runs, predictor in ((["a", "zz"], "ensemble"), (["a"], "mean")):
        with pytest.raises(ValueError, match=f"method 'QDOP': no run '{runs[-1]}' with the predictor '{predictor}'"):
            the_chosen(predictive(STEPS), {"QDOP": runs}, predictor)


# ---- losses ----------------------------------------------------------------------------------------------------------

LOSSES = {("last", "train"): [0.25, 0.5], ("ensemble", "test"): [0.75, 1.0], ("ensemble", "validation"): [0.5, 0.5]}


def test_every_run_has_its_losses_before_and_after_learning():
    rows = predictions.of_runs(predictive({("a", 0.1): LOSSES, ("b", 0.2): LOSSES})).to_pandas()
    assert set(rows["run"]) == {"a", "b"}
    assert (rows.loc[rows["agent"] == "untrained", "nll"] == UNTRAINED).all()
    trained = rows[rows["agent"] == "trained"].set_index(["run", "predictor", "split", "seed"])
    for (predictor, split), losses in LOSSES.items():
        for seed, loss in enumerate(losses):
            assert trained.loc["b", predictor, split, seed][["nll", "accuracy"]].tolist() == [loss, 0.5 - loss / 10]
    assert len(rows) == 2 * 2 * 3 * 2


def test_a_method_has_the_losses_of_the_run_that_was_chosen_for_it():
    worse = {key: [value + 1 for value in values] for key, values in LOSSES.items()}
    table = predictive({("a", 0.1): LOSSES, ("b", 0.2): worse, ("c", 0.1): worse, ("d", 0.1): LOSSES})
    options = {"methods": {"QDOP": ["a", "b"], "SGD": ["c"]}, "predictors": {"QDOP": "ensemble", "SGD": "ensemble"}}
    chosen = Table(kinds.nld.CHOSEN, rows=predictions.chosen(table, **options))
    rows = predictions.of_methods(Table(kinds.nld.ENDS, rows=predictions.of_runs(table)), chosen).to_pandas()
    rows = rows.set_index(["method", "agent", "predictor", "split", "seed"])["nll"]
    assert len(rows) == 2 * 2 * 3 * 2
    assert rows["QDOP", "trained", "ensemble", "test", 1] == 1.0
    assert rows["SGD", "trained", "ensemble", "test", 1] == 2.0
    assert rows["SGD", "untrained", "last", "train", 0] == UNTRAINED


# ---- what the formulas promise ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [1, 2])
def test_an_error_that_is_a_power_of_the_step_has_that_slope(power):
    steps = np.array([0.1, 0.001, 0.01])
    errors = {"mean_error": 3 * steps, "covariance_error": 2 * steps**power}
    rows = kinds.nld.STATIONARY.table(run="q", method="qdop", seed=5, step=steps, **errors)
    (row,) = theory.stationary(Table(kinds.nld.STATIONARY, rows=rows)).to_pylist()
    expected = {"mean_error": 0.003, "covariance_error": 2 * 0.001**power, "slope": power}
    assert row == pytest.approx({"run": "q", "seed": 5, **expected})


def test_the_cost_of_an_update_is_a_multiple_of_back_propagation():
    rows = kinds.nld.OPERATIONS.table(run="q", method="qdop", seed=np.array([0, 1]), plain=200.0, whole=390.0)
    cost = theory.operations(Table(kinds.nld.OPERATIONS, rows=rows)).to_pylist()
    assert cost == [{"run": "q", "seed": seed, "operations": 1.95} for seed in (0, 1)]


def test_a_difference_is_set_beside_the_least_that_the_same_change_makes():
    """However large logits become, and with them rounding; the least of the metrics that feel it, seed by seed."""
    differences = {  # run → by seed: (scaled, shifted)
        "sgld": [(6.0, 8.0), (600.0, 800.0)],
        "dop": [(1e-12, 2.0), (1e-9, 1000.0)],
        "qdop": [(3e-12, 4e-11), (6e-9, 4e-9)],
    }
    pieces = [
        kinds.nld.INVARIANCE.table(
            run=run, method=run, seed=seed, change=["scaled", "shifted"], steps=30, difference=values
        )
        for run, by_seed in differences.items()
        for seed, values in enumerate(by_seed)
    ]
    felt_by = {"scaled": ["sgld"], "shifted": ["sgld", "dop"]}
    moved = theory.invariance(Table(kinds.nld.INVARIANCE, rows=pa.concat_tables(pieces)), felt_by=felt_by).to_pylist()
    shares = {(row["run"], row["seed"], row["change"]): row["share"] for row in moved}
    expected = {
        ("dop", 0, "scaled"): 1e-12 / 6, ("dop", 1, "scaled"): 1e-9 / 600,
        ("qdop", 0, "scaled"): 3e-12 / 6, ("qdop", 1, "scaled"): 6e-9 / 600,
        ("qdop", 0, "shifted"): 4e-11 / 2, ("qdop", 1, "shifted"): 4e-9 / 800,
        ("dop", 0, "shifted"): 1.0, ("sgld", 1, "shifted"): 1.0,
    }  # fmt: skip
    assert {key: shares[key] for key in expected} == pytest.approx(expected, rel=1e-9)
    assert {row["difference"] for row in moved} == {
        value for by_seed in differences.values() for pair in by_seed for value in pair
    }


# ---- calibration -----------------------------------------------------------------------------------------------------


def classes(test: np.ndarray, labels: np.ndarray, rotated: np.ndarray | None = None) -> tuple[Table, Table]:
    """Run `a` of method QDOP, seed 0; another run that is not to be looked at."""
    rotated = test if rotated is None else rotated
    rows = [
        kinds.nld.CLASSES.table(
            run=run, seed=0, predictor="ensemble", split=split, sample=np.arange(len(given)),
            label=labels if split == "test" else np.zeros(len(given), int), probabilities=given,
        )
        for run, upright in (("other", test[::-1]), ("a", test))
        for split, given in (("test", upright), ("rotated", rotated))
    ]  # fmt: skip
    chosen = kinds.nld.CHOSEN.table(
        method="QDOP", run="a", step=0.1, epsilon=0.1, predictor="ensemble", validation=0.1, inner=True
    )
    return Table(kinds.nld.CLASSES, rows=pa.concat_tables(rows)), Table(kinds.nld.CHOSEN, rows=chosen)


def calibrated(test, labels, rotated=None, bins: int = 10) -> tuple[dict[str, float], Table]:
    """The calibration of the one method, and its reliability."""
    tables = classes(np.array(test), np.array(labels), rotated)
    reliability = Table(kinds.nld.RELIABILITY, rows=calibration.reliability(*tables, bins=bins))
    (row,) = calibration.calibration(*tables, reliability).to_pylist()
    assert (row["method"], row["predictor"], row["seed"]) == ("QDOP", "ensemble", 0)
    return row, reliability


def two(confidence: float) -> list[float]:
    return [confidence, 1 - confidence]


def test_who_is_right_as_often_as_confident_is_perfectly_calibrated():
    confidences = [0.55, 0.65, 0.85, 0.95]
    test = [two(c) for c in confidences for _ in range(20)]
    labels = [int(i >= round(20 * c)) for c in confidences for i in range(20)]  # class 0 for a share c of 20
    row, reliability = calibrated(test, labels)
    assert row["error"] == pytest.approx(0, abs=1e-6)
    frame = reliability.frame()
    assert frame["bin"].tolist() == [5, 6, 8, 9]
    np.testing.assert_allclose(frame[["confidence", "accuracy"]], np.array([confidences] * 2).T, atol=1e-6)
    np.testing.assert_allclose(frame["share"], 0.25)


def test_who_is_always_sure_and_wrong_half_the_time_errs_by_a_half():
    row, reliability = calibrated([two(1.0)] * 10, [0, 1] * 5)
    assert row["error"] == row["overconfidence"] == 0.5
    assert reliability.frame()[["bin", "confidence", "accuracy", "share"]].to_numpy().tolist() == [[9, 1.0, 0.5, 1.0]]


def test_the_modest_err_as_far_but_the_other_way():
    row, _ = calibrated([two(0.55)] * 10, [0] * 10)
    assert row["error"] == pytest.approx(0.45)
    assert row["overconfidence"] == pytest.approx(-0.45)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.floats(0.5, 1), st.booleans()), min_size=1, max_size=30), st.integers(1, 12))
def test_overconfidence_is_confidence_less_accuracy_and_at_most_the_error(answers, bins):
    test, labels = np.array([two(c) for c, _ in answers]), np.array([int(wrong) for _, wrong in answers])
    row, reliability = calibrated(test, labels, bins=bins)
    seen = test.astype(np.float32).astype(float)
    right = seen.argmax(axis=1) == labels
    assert row["overconfidence"] == pytest.approx(seen.max(axis=1).mean() - right.mean(), abs=1e-9)
    assert row["error"] >= abs(row["overconfidence"]) - 1e-9
    assert reliability.values("share").sum() == pytest.approx(1)
    if bins == 1:
        assert row["error"] == pytest.approx(abs(row["overconfidence"]), abs=1e-9)


def test_entropies_are_those_in_closed_form():
    even = np.full((1, 10), 0.1)
    sure = np.eye(10)[:1]
    halves = np.array([[0.5, 0.25, 0.25] + [0.0] * 7])
    np.testing.assert_allclose(
        calibration.entropy(np.concatenate([even, sure, halves])), [np.log(10), 0, 1.5 * np.log(2)], atol=1e-12
    )
    row, _ = calibrated(np.repeat(halves, 4, axis=0), [0] * 4, np.repeat(even, 6, axis=0))
    assert row["entropy_test"] == pytest.approx(1.5 * np.log(2))
    assert row["entropy_rotated"] == pytest.approx(np.log(10))


@pytest.mark.parametrize(("rotated", "detection"), [([0.6, 0.55], 1.0), ([0.9, 0.8], 0.5), ([0.99, 0.95], 0.0)])
def test_doubt_detects_unfamiliar_images_as_far_as_it_is_greater_there(rotated, detection):
    row, _ = calibrated([two(0.9), two(0.8)] * 3, [0] * 6, np.array([two(c) for c in rotated] * 4))
    assert row["detection"] == detection


# ---- agents ----------------------------------------------------------------------------------------------------------


def test_returns_are_means_over_episodes_along_learning():
    returns = {(0, -1): [1, 3], (30, -1): [4, 4], (20, -1): [9, 11], (30, 2): [99, 99]}
    pieces = [
        kinds.paths.ROLLOUTS.table(
            run="r", seed=seed, update=update, period="whole", directions=directions, episode=np.arange(2), length=7,
            **{"return": np.array(values) + 100.0 * seed},
        )
        for seed, ((update, directions), values) in itertools.product((0, 1), returns.items())
    ]  # fmt: skip
    rows = agents.returns(Table(kinds.paths.ROLLOUTS, rows=pa.concat_tables(pieces))).to_pandas()
    assert (rows["episodes"] == 2).all()
    means = rows.set_index(["seed", "update"])["return"].to_dict()
    assert means == {(s, update): mean + 100 * s for s in (0, 1) for update, mean in {0: 2, 20: 10, 30: 4}.items()}


def doubted(visits, deviation, value=2.0, dissent=0.0) -> dict[str, float]:
    rows = kinds.nld.DOUBT.table(
        run="r", seed=0, networks=5, row=np.arange(len(visits)), column=0, visits=np.array(visits), value=value,
        deviation=np.array(deviation, float), dissent=dissent,
    )  # fmt: skip
    (row,) = agents.doubt(Table(kinds.nld.DOUBT, rows=rows)).to_pylist()
    return row


@pytest.mark.parametrize(
    ("deviation", "correlation"), [([9, 4, 2, 1], -1), ([1, 2, 4, 9], 1), ([2, 1, 9, 4], 0.6), ([9, 1, 2, 4], -0.2)]
)
def test_doubt_is_correlated_with_visits_by_ranks(deviation, correlation):
    # 1 - 6 Σd² / (n (n² - 1)): rank differences 1 1 1 1 give 0.6, and 3 1 1 1 give -0.2
    assert doubted([1, 10, 100, 1000], deviation)["rank_correlation"] == pytest.approx(correlation)


def test_two_places_say_nothing_of_a_correlation():
    assert np.isnan(doubted([1, 5], [3, 2])["rank_correlation"])
    assert not np.isnan(doubted([1, 5, 7], [3, 2, 1])["rank_correlation"])


def test_doubt_is_averaged_over_states_and_not_over_places():
    row = doubted([1, 3], [4.0, 8.0], value=np.array([-1.0, -5.0]), dissent=np.array([0.0, 0.4]))
    assert row["deviation"] == pytest.approx(7)
    assert row["dissent"] == pytest.approx(0.3)
    assert row["relative_deviation"] == pytest.approx(7 / 4)
