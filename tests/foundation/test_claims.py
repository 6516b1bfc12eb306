"""The claims of a study: which seeds are judged when, what a premise does, and what a reader is shown."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentomy import claims, kinds, tables
from agentomy.mistakes import ConfigError
from agentomy.pipeline.plan.entries import Claim
from agentomy.tables import Column, Kind, Table

AGENTS = ("trained", "untrained")
SCORES = Kind(
    "scores",
    "scores of runs",
    (
        kinds.common.RUN,
        kinds.common.SEED,
        Column("agent", "text", "which", values=AGENTS),
        Column("value", "number", "score", finite=False),
    ),
)
SEEDS = {"a": [3, 1], "b": [3, 1]}
HOLDING, OPEN = [1.0, 1.01, 1.02], [-1.0, 1.0, 3.0]


def rows(**runs) -> pd.DataFrame:
    """One score for each run and seed, of trained networks; those of untrained ones are 0.1, 0, -0.1, 0.1, …"""
    cells = [(run, seed, "trained", value) for run, values in runs.items() for seed, value in enumerate(values)]
    cells += [(run, seed, "untrained", [0.1, 0.0, -0.1][seed % 3]) for run, seed, *_ in cells]
    return pd.DataFrame(cells, columns=["run", "seed", "agent", "value"])


def judged(frame, tests=None, scale="laptop", seeds=SEEDS, claim=None, runs_have=None, **test) -> pd.DataFrame:
    table = Table(SCORES, rows=SCORES.table(**{name: frame[name].to_numpy(dtype=object) for name in frame}))
    trained = {"from": "scores", "value": "value", "where": {"agent": "trained"}, "holds": "> 0"}
    written = {name: {**trained, **changes} for name, changes in (tests or {"t": test}).items()}
    checked = Claim.model_validate({"says": "It learns.", "paper": "figure 1", "tests": written, **(claim or {})})
    given = {"scores": table}, "toy", {"C1": checked}, scale, {"scores": seeds}, runs_have or {}
    return claims.judged(*given).to_pandas()


def whole(*args, **keywords) -> pd.Series:
    return judged(*args, **keywords).iloc[0]


# ---- looks -----------------------------------------------------------------------------------------------------------


def test_the_first_look_is_at_as_many_seeds_as_the_study_file_gives():
    ten = rows(a=[*OPEN, *[1.0] * 7])
    assert [whole(ten, seeds={"a": [first, 1]})["n"] for first in (3, 8, 9, 10)] == [6, 8, 9, 10]
    few = whole(ten, seeds={"a": [11, 1]})
    assert (few["n"], few["there"], few["verdict"], few["words"]) == (0, 10, "undecided", "10 of 11 seeds")


def test_later_looks_are_rounded_up_to_whole_stacks():
    seeds = rows(a=[*OPEN, *[1.0, 1.1] * 6])
    assert [whole(seeds, holds="> 0.9", seeds={"a": [3, stack]})["n"] for stack in (1, 4, 5, 7)] == [12, 12, 15, 14]


@pytest.mark.slow
@given(st.lists(st.integers(-2, 6).map(float), min_size=1, max_size=30), st.integers(1, 7), st.integers(1, 4))
def test_what_is_decided_stays_so_however_many_seeds_are_added(values, first, stack):
    frame, said = rows(a=values), []
    for count in range(1, len(values) + 1):
        verdict = whole(frame[frame["seed"] < count], seeds={"a": [first, stack]})
        assert verdict["there"] == count
        said.append(tuple(verdict[["verdict", "look", "n", "value", "low", "high"]]) if verdict["look"] else None)
    decided = [decision for decision in said if decision]
    assert len(set(decided)) <= 1
    assert said == [None] * (len(said) - len(decided)) + decided


@pytest.mark.parametrize(
    ("test", "first"),
    [
        ({"where": {"run": "many"}}, 9),
        ({"where": {"run": "many"}, "less": {"run": "few"}}, 3),
        ({"where": {"run": "many", "agent": "trained"}, "less": {"agent": "untrained"}}, 9),
        ({"where": {"run": ["many", "few"], "agent": "trained"}, "mean": "run"}, 3),
        ({"where": {"agent": "trained"}, "mean": "run"}, 3),
    ],
)
def test_a_test_has_the_looks_of_those_of_its_runs_that_have_fewest_seeds(test, first):
    frame, seeds = rows(many=HOLDING * 3, few=[0.5, 0.6, 0.7]), {"many": [9, 1], "few": [3, 1]}
    frame = pd.concat([frame, frame[(frame["run"] == "few")].assign(seed=lambda f: f["seed"] + 3)])
    test = {**test, "where": {"agent": "trained", **test["where"]}}
    verdict = judged(frame, seeds=seeds, **test).iloc[1]
    assert (verdict["verdict"], verdict["look"], verdict["n"]) == ("holds", 1, first)


def test_each_group_has_the_looks_of_its_own_run():
    frame = rows(many=HOLDING * 2, few=[*HOLDING, 1.0])
    verdicts = judged(frame, each="run", seeds={"many": [6, 1], "few": [3, 1]})
    assert verdicts["n"].tolist()[1:] == [6, 3]
    assert verdicts["verdict"].tolist() == ["holds"] * 3


def test_a_seed_counts_once_all_runs_of_a_mean_have_it():
    # of the seeds 3 to 5 `b` has none: their mean would be that of `a` alone, which is another quantity
    frame, has = rows(a=[*OPEN, 9.0, 9.1, 9.2], b=OPEN), {"a": 6, "b": 3}
    verdict = judged(frame, runs_have=has, mean="run").iloc[1]
    assert (verdict["verdict"], verdict["n"], verdict["there"], verdict["value"]) == ("undecided", 3, 3, 1.0)
    alone = judged(frame, runs_have=has, each="run").set_index("group")
    assert alone.loc[["a", "b"], "n"].tolist() == [6, 3]  # each run by itself has its own seeds


def test_what_is_made_of_no_run_is_judged_once_on_all_that_there_is():
    verdict = whole(rows(simulated=[0.9, 1.0, 1.1, 1.0, 1.0]), seeds={})
    assert (verdict["verdict"], verdict["n"], verdict["look"], verdict["level"]) == ("holds", 5, 1, 0.025)


def test_a_missing_seed_is_named():
    frame = rows(a=[*OPEN, *HOLDING])
    assert whole(frame[frame["seed"] != 4])["words"] == "seed 4 is missing"


def test_a_seed_that_is_no_number_is_named_and_decides_nothing():
    verdict = whole(rows(a=[1.0, np.nan, 1.02]))
    assert (verdict["verdict"], verdict["words"], verdict["needs"]) == ("undecided", "seed 1 is NaN", "not by seeds")


@given(st.permutations(range(12)))
def test_pairs_are_made_by_seed_whatever_the_order_of_rows(order):
    frame = rows(a=[5.1, 9.2, 7.15], b=[5.0, 9.0, 7.0])
    verdict = judged(frame.iloc[order], where={"run": "a", "agent": "trained"}, less={"run": "b"}).iloc[1]
    assert (verdict["verdict"], verdict["value"]) == ("holds", pytest.approx(0.15))


def test_the_level_that_decides_is_in_the_table():
    verdicts = judged(rows(a=[*OPEN, 1.0, 1.0, 1.0], b=HOLDING), each="run").set_index("group")
    assert verdicts.loc[["a", "b"], "level"].tolist() == [0.016, 0.025]
    assert verdicts.loc[["a", "b"], "shared"].tolist() == [2, 2]


# ---- premises --------------------------------------------------------------------------------------------------------

PREMISE = {"learned": {"where": {"run": "b", "agent": "trained"}, "holds": "> 0.5", "premise": True}}


@pytest.mark.parametrize(
    ("learned", "tested", "said"),
    [
        (HOLDING, HOLDING, ("holds", "", "t")),
        (HOLDING, [-1.0, -1.01, -1.02], ("fails", "", "t")),
        (HOLDING, OPEN, ("undecided", "", "t")),
        (OPEN, [-1.0, -1.01, -1.02], ("undecided", "its premise is undecided", "learned")),
        ([0.0, 0.01, 0.02], [-1.0, -1.01, -1.02], ("undecided", "its premise fails", "learned")),
        ([0.0, 0.01, 0.02], HOLDING, ("undecided", "its premise fails", "learned")),
        ([0.6, np.nan, 0.6], HOLDING, ("undecided", "its premise is undecided, seed 1 is NaN", "learned")),
    ],
)
def test_without_its_premise_a_claim_is_undecided_whatever_else_fails(learned, tested, said):
    tests = {"t": {"where": {"run": "a", "agent": "trained"}}, **PREMISE}
    verdict = whole(rows(a=tested, b=learned), tests)
    assert tuple(verdict[["verdict", "words", "group"]]) == said
    elsewhere = judged(rows(a=tested, b=learned), tests, scale="smoke")  # nothing is judged, premise or not
    assert set(elsewhere["verdict"]) == {"not at this scale"}


def test_a_premise_fails_no_claim_and_takes_no_share_of_its_level():
    near = np.array([-1, 0, 1]) - 4.5 / np.sqrt(3)  # t = -4.5: it fails by itself, and not as one of two
    tests = {"t": {"where": {"run": "a", "agent": "trained"}}, **PREMISE}
    assert whole(rows(a=near, b=HOLDING), tests)["verdict"] == "fails"
    tests["learned"] = {**PREMISE["learned"], "premise": False}
    assert whole(rows(a=near, b=HOLDING), tests)["verdict"] == "undecided"


# ---- what isn't judged -----------------------------------------------------------------------------------------------


def test_at_another_scale_a_test_is_shown_and_not_judged():
    verdicts = judged(rows(a=HOLDING), scale="smoke")
    assert set(verdicts["verdict"]) == {"not at this scale"}
    assert verdicts["value"].tolist() == [pytest.approx(1.01)] * 2


def test_rows_that_only_another_scale_has_are_missed_by_nobody():
    verdicts = judged(rows(a=HOLDING), scale="smoke", where={"run": "of paper", "agent": "trained"})
    assert set(verdicts["verdict"]) == {"not at this scale"}
    assert verdicts["value"].isna().all()


@pytest.mark.parametrize(
    ("test", "line"),
    [
        ({"where": {"run": "c", "agent": "trained"}}, "where.run: no value 'c'; allowed: a, b"),
        ({}, r"where: found 2 rows of seed 0; allowed: one; still varying: run \(a, b\)"),
        ({"where": {"run": "a"}}, r"where: found 2 rows of seed 0; allowed: one; still varying: agent"),
        ({"each": "run", "mean": "seed"}, "mean: found 'seed', which is the unit"),
        ({"where": {"run": "a", "agent": "trained"}, "less": {"run": "a"}}, "less: found the rows themselves"),
    ],
)
def test_a_test_that_its_rows_do_not_answer_is_one_line(test, line):
    with pytest.raises(ConfigError, match=f"^toy.yaml: claims.C1.tests.t.{line}") as error:
        judged(rows(a=HOLDING, b=HOLDING), **{"where": {"agent": "trained"}, **test})
    assert "\n" not in str(error.value)


def test_a_claim_that_nothing_can_show_says_why():
    verdicts = judged(rows(a=HOLDING), claim={"tests": {}, "untested": "there is no wind here"})
    assert verdicts["verdict"].tolist() == ["untested"] * 2
    assert verdicts["group"][0] == verdicts["test"][1] == "untested: there is no wind here"


# ---- what readers see ------------------------------------------------------------------------------------------------


def shown(verdicts: pd.DataFrame, tmp_path, capsys) -> list[str]:
    """The claims as Markdown, as HTML and on the terminal."""
    table = kinds.common.CLAIMS.table(**{name: verdicts[name].to_numpy(dtype=object) for name in verdicts})
    tables.write(tmp_path / "claims.parquet", kinds.common.CLAIMS, table)
    claims.show(str(tmp_path / "claims.parquet"))
    return [claims.markdown("toy", table), claims.html("toy", table), capsys.readouterr().out]


def test_tables_say_value_interval_threshold_verdict_look_and_what_it_would_take(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "220")
    verdicts = judged(rows(a=HOLDING), claim={"differs": "score is not return"})
    for text in shown(verdicts, tmp_path, capsys):
        assert all(word in text for word in ["C1", "It learns.", "1.01 [0.985, 1.03]", "holds", "look"])
        assert all(word in text for word in ["not as in the", "score is not return"])
    verdicts = judged(rows(a=[0.0, 1.0, 2.0, 1.0]))
    for text in shown(verdicts, tmp_path, capsys):
        assert all(word in text for word in ["1 [−1.48, 3.48]", "3 of 4", "undecided", "about 12 seeds"])


def test_only_the_whole_claims_verdict_says_that_the_paper_shows_another_thing():
    verdicts = judged(rows(a=HOLDING), claim={"differs": "score is not return"})
    whole, test = claims.parts(pa.Table.from_pandas(verdicts, preserve_index=False))
    assert whole["verdict"].tolist() == ["holds; not as in the paper: score is not return"]
    assert test["verdict"].tolist() == ["holds"]
