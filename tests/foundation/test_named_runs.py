"""Verdicts of named runs are kept as text and shown side by side; what was not run is never shown as if it was."""

import numpy as np
import pandas as pd
import pytest

from agentomy import kinds, tables
from agentomy.pipeline.plan.study import Plan
from tests.pages import script
from tests.studies import SOURCE

RUNS, RECORD, PAGES = script("runs"), script("record"), script("pages")
ARMS = ("pptb", "trimmed", "boosted", "averaged", "extrapolated", "random")


def row(claim, verdict, test="", **said):
    unknown = {"value": np.nan, "low": -np.inf, "high": np.inf, "level": np.nan}
    numbers = {"n": 3, "there": 3, "look": 0, "shared": 0}
    words = {"group": "a, b", "holds": "> 0", "words": "", "needs": ""}
    return {"study": "toy", "claim": claim, "test": test, "verdict": verdict, **unknown, **numbers, **words, **said}


def run(scale, *rows, **said):
    frame = pd.DataFrame(rows)[[*RUNS["COLUMNS"]]]
    name = RUNS["name_of"](scale, said.get("seeds", {}))
    return RUNS["Run"](name, scale, "0123456", "2026-01-31", "two cores", frame, **said)


def lines(text):
    return [" ".join(line.split()) for line in text.splitlines()]


def test_runs_are_read_as_they_were_written_in_the_order_of_their_scales(tmp_path):
    many = run("laptop", row("C1", "holds", value=0.5, low=0.25), seeds={"toy.a": [3, 6]}, failed={"job": "why"})
    written = [run("workstation", row("C1", "fails")), many, run("laptop", row("C1", "undecided", words="nan"))]
    for kept in written:
        RUNS["write"](kept, tmp_path)
    kept_runs = RUNS["read"](tmp_path)
    assert [kept.name for kept in kept_runs] == ["laptop", "laptop-decided", "workstation"]
    assert kept_runs == [written[2], written[1], written[0]]
    for one, other in zip(kept_runs, [written[2], written[1], written[0]], strict=True):
        pd.testing.assert_frame_equal(one.verdicts, other.verdicts, check_dtype=False)


def test_each_claim_stands_in_one_row_of_all_runs_and_what_was_not_run_is_said():
    laptop = run("laptop", row("C1", "undecided"), row("C2", "holds"), row("C3", "untested", n=0, there=0))
    more = run("laptop", row("C1", "holds", n=6, there=6), row("C2", "holds"), seeds={"toy.a": [3, 6]})
    shown = lines(RUNS["side_by_side"]([laptop, more], "toy", {"C3": "untested"}))
    assert "| claim | laptop | laptop, more seeds | workstation |" in shown
    assert "| C1 | undecided, n = 3 | **holds, n = 6** | sized, not run |" in shown
    assert "| C2 | holds, n = 3 | holds, n = 3 | sized, not run |" in shown
    assert "| C3 | untested | sized, not run | untested |" in shown
    part = run(
        "workstation", row("C1", "run in part", n=0, there=0), row("C1", "fails", "gain", value=-1.0, n=6, there=6)
    )
    shown = lines(RUNS["side_by_side"]([laptop, part], "toy", {}))
    assert "| C1 | undecided, n = 3 | run in part |" in shown
    assert "- workstation, C1: gain, a, b: −1 [−∞, ∞], n = 6, threshold > 0" in shown


def test_the_tests_of_a_claim_that_was_run_whole_are_kept():
    more = run("laptop", row("C1", "holds"), row("C1", "holds", "gain", value=1.0), seeds={"toy.a": [3, 6]})
    assert len(more.claims) == 1
    assert "gain" not in RUNS["side_by_side"]([more], "toy", {})


def test_all_claims_are_counted_in_every_run():
    laptop = run("laptop", *(row(f"C{i}", "holds") for i in range(3)), row("C3", "reported"), seconds={"toy": 61.0})
    part = run("workstation", row("C0", "fails"), row("C1", "run in part"))
    first, second = lines(RUNS["summary"]([laptop, part]))[2:]
    assert first.startswith("| laptop | 3 | 0 | 0 | 1 | 0 | 1 min 1 s |")
    assert second.startswith("| workstation | 0 | 1 | 0 | 0 | 3 |")
    assert "| workstation | – | – | – | – | 4 | – |" in lines(RUNS["summary"]([laptop]))[-1]


@pytest.fixture(scope="module")
def path():
    return Plan({"scale": "workstation", "studies": ["path"]}, source=SOURCE, lazy=True).studies["path"]


def gains(folder, arms):
    """The metric of a run of some arms: six seeds, each of which is better with the plug-in."""
    cells = [(arm, seed, measure) for arm in arms for seed in range(6) for measure in ("score", "auc")]
    named, seeds, measures = (np.array(column, dtype=object) for column in zip(*cells, strict=True))
    table = kinds.paths.GAINS.table(
        run=named,
        base=np.full(len(cells), "base", dtype=object),
        seed=seeds.astype(int),
        measure=measures,
        gain=1 + seeds.astype(float) / 10,
    )
    tables.write(folder / "metrics" / "gains.parquet", kinds.paths.GAINS, table)


def test_a_claim_is_judged_only_if_all_its_tests_were_run(tmp_path, path):
    gains(tmp_path, ARMS)
    assert RECORD["of_claim"](path, "C0", tmp_path) is None
    part = RECORD["of_claim"](path, "C7", tmp_path)
    assert part["verdict"].tolist()[0] == "run in part"
    assert part["test"].tolist() == [
        "",
        *(f"relative gain in {what}, HalfCheetah" for what in ("score", "area under the curve")),
    ]
    assert {*RECORD["of_claim"](path, "C8", tmp_path)["verdict"]} == {"not at this scale"}
    gains(tmp_path, [*ARMS, "hopper-arm-pptb"])
    whole, *of_tests = RECORD["of_claim"](path, "C7", tmp_path).to_dict("records")
    assert (whole["test"], whole["verdict"], whole["n"]) == ("", "holds", 6)
    assert [test["verdict"] for test in of_tests] == ["holds"] * 4 + ["not at this scale"] * 2


def test_a_test_of_every_run_needs_them_all(tmp_path, path):
    """C10 names its five arms: one of them alone is not the claim."""
    gains(tmp_path, ["pptb", "trimmed"])
    assert RECORD["of_claim"](path, "C10", tmp_path) is None


def test_every_kept_run_has_the_claims_of_the_pages():
    kept = RUNS["read"]()
    assert [kept_run.name for kept_run in kept][:1] == ["laptop"]
    for kept_run in kept:
        assert not kept_run.claims.duplicated(["study", "claim"]).any()
    assert set(kept[0].claims["study"]) == {"bayes", "path", "maze", "l3d", "nld", "twm"}


def test_a_workstation_is_not_said_to_be_sized_for_what_it_does_not_judge():
    assert PAGES["not_sized"]("path") == {"C8": "not at this scale"}
