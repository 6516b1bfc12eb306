"""Choices, calibration and doubt of planted tables are those that were planted (NLD)."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentomy import kinds
from agentomy.papers.nld.measure import langevin
from agentomy.tables import Table

UNTRAINED = 9.0  # loss of the first snapshot


def predictive(losses: dict, accuracy: float = 0.5, seeds=(0, 1), earlier: float = UNTRAINED) -> Table:
    """Of (run, step) → {(predictor, split): nll of each seed}, at update 20; at 10 all losses are `earlier`."""
    rows = []
    for (run, step), found in losses.items():
        for (predictor, split), values in found.items():
            for seed, value in zip(seeds, values, strict=True):
                where = {"run": run, "method": "qdop", "step": step, "epsilon": step / 10, "seed": seed}
                for update, nll in ((10, earlier), (20, value)):
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
    rows = langevin.chosen(table, methods=methods, predictors=dict.fromkeys(methods, predictor)).to_pylist()
    return {row["method"]: row for row in rows}


def quantities(found: pa.Table) -> dict[tuple, float]:
    return {(row["run"], row["seed"], row["quantity"]): row["value"] for row in found.to_pylist()}


# ---- choice ----------------------------------------------------------------------------------------------------------

STEPS = {("a", 0.1): both([0.5, 0.5], [0.1, 0.1]), ("b", 0.2): both([0.1, 0.7], [0.9, 0.9]),
         ("c", 0.4): both([0.6, 0.6], [0.2, 0.2])}  # fmt: skip


def test_the_choice_takes_the_mean_validation_loss_over_seeds_and_looks_at_no_test_image():
    found = the_chosen(predictive(STEPS), {"QDOP": ["a", "b", "c"]})["QDOP"]
    assert (found["run"], found["step"], found["epsilon"]) == ("b", 0.2, 0.02)  # the worst by test loss
    assert found["validation"] == pytest.approx(0.4)
    turned = {key: both(each["ensemble", "test"], each["ensemble", "validation"]) for key, each in STEPS.items()}
    assert the_chosen(predictive(turned), {"QDOP": ["a", "b", "c"]})["QDOP"]["run"] == "a"


def test_only_the_end_of_learning_counts():
    assert the_chosen(predictive(STEPS, earlier=0.0), {"QDOP": ["a", "b", "c"]})["QDOP"]["validation"] > 0.1


@pytest.mark.parametrize(
    ("runs", "best", "inner"),
    [("abc", "b", True), ("ab", "b", False), ("ac", "a", False), ("bc", "b", False), ("c", "c", False)],
)
def test_a_step_is_inner_if_larger_and_smaller_ones_were_tried(runs, best, inner):
    found = the_chosen(predictive(STEPS), {"other": ["b"], "QDOP": list(runs)})
    assert (found["QDOP"]["run"], found["QDOP"]["inner"]) == (best, inner)
    assert found["other"]["run"] == "b"


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


# ---- comparisons -----------------------------------------------------------------------------------------------------


def table_of_two(shifted: bool) -> tuple[Table, Table]:
    """Two chosen runs and one that was not; losses in eighths, so that sums are exact."""
    losses = {
        ("last", "train"): [0.25, 0.5], ("mean", "train"): [0.125, 0.25], ("ensemble", "train"): [0.25, 0.25],
        ("last", "test"): [1.0, 2.0], ("mean", "test"): [0.5, 2.25], ("ensemble", "test"): [0.75, 1.0],
        ("ensemble", "validation"): [0.5, 0.5],
    }  # fmt: skip
    if shifted:
        losses |= {(predictor, "shifted"): [0.5, 0.5] for predictor in langevin.PREDICTORS}
    more = {key: [value + 1 for value in values] for key, values in losses.items()}
    table = predictive({("a", 0.1): losses, ("b", 0.2): more, ("c", 0.1): more})
    options = {"methods": {"QDOP": ["a", "b"], "SGD": ["c"]}, "predictors": {"QDOP": "ensemble", "SGD": "ensemble"}}
    return table, Table(kinds.nld.CHOSEN, rows=langevin.chosen(table, **options))


@pytest.mark.parametrize("shifted", [False, True])
def test_losses_gaps_and_gains_of_chosen_runs_go_by_the_methods_name(shifted):
    found = quantities(langevin.of_chosen(*table_of_two(shifted)))
    assert {run for run, _, _ in found} == {"QDOP", "SGD"}
    expected = {
        (0, "nll test last"): 1.0, (1, "nll train mean"): 0.25, (0, "gap last"): 0.75, (1, "gap mean"): 2.0,
        (0, "gap ensemble"): 0.5, (0, "nll gain"): 0.25, (1, "nll gain"): 1.0, (0, "nll gain of the mean"): 0.5,
        (1, "nll gain of the mean"): -0.25, (0, "accuracy gain"): 0.025, (1, "accuracy test ensemble"): 0.4,
        (0, "nll test ensemble untrained"): UNTRAINED, (1, "nll test last untrained"): UNTRAINED,
    }  # fmt: skip
    if shifted:
        expected |= {(0, "gap to shifted last"): 0.5, (1, "gap to shifted mean"): 1.75}
    for (seed, quantity), value in expected.items():
        assert found["QDOP", seed, quantity] == pytest.approx(value)
    assert found["SGD", 0, "nll test last"] == 2.0
    assert any("shifted" in quantity for _, _, quantity in found) == shifted


def test_methods_are_set_beside_others_each_with_the_predictor_that_counts_for_it():
    values = Table(kinds.common.COMPARISON, rows=langevin.of_chosen(*table_of_two(False)))
    found = quantities(langevin.beside(values, method="QDOP", predictor="ensemble", others={"SGD": "last"}))
    assert found == pytest.approx({
        ("QDOP - SGD", 0, "nll test"): 0.75 - 2.0, ("QDOP - SGD", 1, "nll test"): 1.0 - 3.0,
        ("QDOP - SGD", 0, "accuracy test"): 0.125, ("QDOP - SGD", 1, "accuracy test"): 0.2,
    })  # fmt: skip


def test_a_seed_that_one_of_two_methods_lacks_is_left_out():
    values = langevin.of_chosen(*table_of_two(False)).to_pandas()
    values = values[(values["run"] != "SGD") | (values["seed"] != 1)]
    rows = kinds.common.COMPARISON.table(**{name: values[name].to_numpy() for name in values})
    given = {"method": "QDOP", "predictor": "ensemble", "others": {"SGD": "last"}}
    found = quantities(langevin.beside(Table(kinds.common.COMPARISON, rows=rows), **given))
    assert {seed for _, seed, _ in found} == {0}
    assert not any(np.isnan(value) for value in found.values())


@pytest.mark.parametrize("power", [1, 2])
def test_an_error_that_is_a_power_of_the_step_has_that_slope(power):
    steps = np.array([0.1, 0.001, 0.01])
    who = {"run": "q", "method": "qdop", "seed": 5}
    stationary = kinds.nld.STATIONARY.table(**who, step=steps, mean_error=3 * steps, covariance_error=2 * steps**power)
    invariance = kinds.nld.INVARIANCE.table(**who, change=["scaled", "shifted"], steps=30, difference=[0.5, 1e-12])
    operations = kinds.nld.OPERATIONS.table(**who, plain=200.0, whole=390.0)
    tables = [Table(kinds.nld.INVARIANCE, rows=invariance), Table(kinds.nld.STATIONARY, rows=stationary)]
    moved = {"scaled": ["q"], "shifted": ["q"]}
    found = quantities(langevin.of_theory(*tables, Table(kinds.nld.OPERATIONS, rows=operations), moved=moved))
    expected = {"scaled": 0.5, "shifted": 1e-12, "mean error": 0.003, "covariance error": 2 * 0.001**power}
    expected |= {"slope": power, "operations": 1.95, "scaled over others": 1, "shifted over others": 1}
    assert found == pytest.approx({("q", 5, name): value for name, value in expected.items()})


def test_what_an_identity_leaves_is_a_share_of_what_the_same_change_does_to_other_metrics():
    """However large logits become, and with them rounding; the least of the others counts, seed by seed."""
    differences = {  # run → by seed: (scaled, shifted)
        "sgld": [(6.0, 8.0), (600.0, 800.0)],
        "dop": [(1e-12, 2.0), (1e-9, 1000.0)],
        "qdop": [(3e-12, 4e-11), (6e-9, 4e-9)],
    }
    rows = [
        kinds.nld.INVARIANCE.table(
            run=run, method=run, seed=s, change=["scaled", "shifted"], steps=30, difference=values
        )
        for run, seeds in differences.items()
        for s, values in enumerate(seeds)
    ]
    stationary = kinds.nld.STATIONARY.table(
        run="q", method="q", seed=0, step=np.array([0.1, 0.2]), mean_error=1.0, covariance_error=1.0
    )
    operations = kinds.nld.OPERATIONS.table(run="q", method="q", seed=0, plain=1.0, whole=1.0)
    given = (Table(kinds.nld.INVARIANCE, rows=pa.concat_tables(rows)), Table(kinds.nld.STATIONARY, rows=stationary))
    moved = {"scaled": ["sgld"], "shifted": ["sgld", "dop"]}
    found = quantities(langevin.of_theory(*given, Table(kinds.nld.OPERATIONS, rows=operations), moved=moved))
    expected = {
        ("dop", 0, "scaled"): 1e-12 / 6, ("dop", 1, "scaled"): 1e-9 / 600,
        ("qdop", 0, "scaled"): 3e-12 / 6, ("qdop", 1, "scaled"): 6e-9 / 600,
        ("qdop", 0, "shifted"): 4e-11 / 2, ("qdop", 1, "shifted"): 4e-9 / 800,
        ("dop", 0, "shifted"): 1.0, ("sgld", 1, "shifted"): 1.0,
    }  # fmt: skip
    for (run, seed, change), value in expected.items():
        assert found[run, seed, f"{change} over others"] == pytest.approx(value, rel=1e-9)


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
    """What is said of the one method, and its reliability."""
    tables = classes(np.array(test), np.array(labels), rotated)
    reliability = Table(kinds.nld.RELIABILITY, rows=langevin.reliability(*tables, bins=bins))
    found = quantities(langevin.of_calibration(*tables, reliability))
    assert {(run, seed) for run, seed, _ in found} == {("QDOP", 0)}
    return {name.removesuffix(" ensemble"): value for (_, _, name), value in found.items()}, reliability


def two(confidence: float) -> list[float]:
    return [confidence, 1 - confidence]


def test_who_is_right_as_often_as_confident_is_perfectly_calibrated():
    confidences = [0.55, 0.65, 0.85, 0.95]
    test = [two(c) for c in confidences for _ in range(20)]
    labels = [int(i >= round(20 * c)) for c in confidences for i in range(20)]  # class 0 for a share c of 20
    found, reliability = calibrated(test, labels)
    assert found["calibration error"] == pytest.approx(0, abs=1e-6)
    frame = reliability.frame()
    assert frame["bin"].tolist() == [5, 6, 8, 9]
    np.testing.assert_allclose(frame[["confidence", "accuracy"]], np.array([confidences] * 2).T, atol=1e-6)
    np.testing.assert_allclose(frame["share"], 0.25)


def test_who_is_always_sure_and_wrong_half_the_time_errs_by_a_half():
    found, reliability = calibrated([two(1.0)] * 10, [0, 1] * 5)
    assert found["calibration error"] == found["overconfidence"] == 0.5
    assert reliability.frame()[["bin", "confidence", "accuracy", "share"]].to_numpy().tolist() == [[9, 1.0, 0.5, 1.0]]


def test_the_modest_err_as_far_but_the_other_way():
    found, _ = calibrated([two(0.55)] * 10, [0] * 10)
    assert found["calibration error"] == pytest.approx(0.45)
    assert found["overconfidence"] == pytest.approx(-0.45)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.floats(0.5, 1), st.booleans()), min_size=1, max_size=30), st.integers(1, 12))
def test_overconfidence_is_mean_confidence_less_accuracy_and_never_above_the_calibration_error(answers, bins):
    test, labels = np.array([two(c) for c, _ in answers]), np.array([int(wrong) for _, wrong in answers])
    found, reliability = calibrated(test, labels, bins=bins)
    seen = test.astype(np.float32).astype(float)
    right = seen.argmax(axis=1) == labels
    assert found["overconfidence"] == pytest.approx(seen.max(axis=1).mean() - right.mean(), abs=1e-9)
    assert found["calibration error"] >= abs(found["overconfidence"]) - 1e-9
    assert reliability.values("share").sum() == pytest.approx(1)
    if bins == 1:
        assert found["calibration error"] == pytest.approx(abs(found["overconfidence"]), abs=1e-9)


def test_entropies_are_those_in_closed_form():
    even = np.full((1, 10), 0.1)
    sure = np.eye(10)[:1]
    halves = np.array([[0.5, 0.25, 0.25] + [0.0] * 7])
    np.testing.assert_allclose(
        langevin.entropy(np.concatenate([even, sure, halves])), [np.log(10), 0, 1.5 * np.log(2)], atol=1e-12
    )
    found, _ = calibrated(np.repeat(halves, 4, axis=0), [0] * 4, np.repeat(even, 6, axis=0))
    assert found["entropy test"] == pytest.approx(1.5 * np.log(2))
    assert found["entropy rotated"] == pytest.approx(np.log(10))


@pytest.mark.parametrize(("rotated", "detection"), [([0.6, 0.55], 1.0), ([0.9, 0.8], 0.5), ([0.99, 0.95], 0.0)])
def test_doubt_tells_unfamiliar_images_from_others_as_far_as_it_is_greater_there(rotated, detection):
    found, _ = calibrated([two(0.9), two(0.8)] * 3, [0] * 6, np.array([two(c) for c in rotated] * 4))
    assert found["detection"] == detection


# ---- agents ----------------------------------------------------------------------------------------------------------


def test_returns_are_means_over_episodes_at_the_end_at_best_and_along_learning():
    returns = {(0, -1): [1, 3], (30, -1): [4, 4], (20, -1): [9, 11], (10, -1): [6, 8], (30, 2): [99, 99]}
    rows = [
        kinds.paths.ROLLOUTS.table(
            run="r", seed=seed, update=update, period="whole", directions=directions, episode=np.arange(2), length=7,
            **{"return": np.array(values) + 100.0 * seed},
        )
        for seed, ((update, directions), values) in itertools.product((0, 1), returns.items())
    ]  # fmt: skip
    found = quantities(langevin.of_exploration(Table(kinds.paths.ROLLOUTS, rows=pa.concat_tables(rows))))
    expected = {"untrained return": 2, "return": 4, "best return": 10, "mean return": 7}
    assert found == {("r", s, name): value + 100 * s for s in (0, 1) for name, value in expected.items()}


def doubted(visits, deviation, value=2.0, dissent=0.0) -> dict[str, float]:
    made = kinds.nld.DOUBT.table(
        run="r", seed=0, networks=5, row=np.arange(len(visits)), column=0, visits=np.array(visits), value=value,
        deviation=np.array(deviation, float), dissent=dissent,
    )  # fmt: skip
    return {key[2]: value for key, value in quantities(langevin.of_doubt(Table(kinds.nld.DOUBT, rows=made))).items()}


@pytest.mark.parametrize(
    ("deviation", "correlation"), [([9, 4, 2, 1], -1), ([1, 2, 4, 9], 1), ([2, 1, 9, 4], 0.6), ([9, 1, 2, 4], -0.2)]
)
def test_doubt_goes_with_how_seldom_a_place_was_visited_by_ranks(deviation, correlation):
    # 1 - 6 Σd² / (n (n² - 1)): rank differences 1 1 1 1 give 0.6, and 3 1 1 1 give -0.2
    assert doubted([1, 10, 100, 1000], deviation)["rank correlation"] == pytest.approx(correlation)


def test_two_places_say_nothing_of_a_correlation():
    assert np.isnan(doubted([1, 5], [3, 2])["rank correlation"])
    assert not np.isnan(doubted([1, 5, 7], [3, 2, 1])["rank correlation"])


def test_doubt_is_averaged_over_states_and_not_over_places():
    found = doubted([1, 3], [4.0, 8.0], value=np.array([-1.0, -5.0]), dissent=np.array([0.0, 0.4]))
    assert found["deviation"] == pytest.approx(7)
    assert found["dissent"] == pytest.approx(0.3)
    assert found["relative deviation"] == pytest.approx(7 / 4)
