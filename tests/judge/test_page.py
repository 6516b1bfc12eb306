"""docs/verdicts.md shows what the judge gives today, and which verdicts are others than before."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import stdtrit

from agentomy.judge.verdicts import UNKNOWN
from agentomy.mistakes import ConfigError
from tests.pages import script

SCRIPT, UNDECIDED = script("verdicts"), script("undecided")
Run = script("runs")["Run"]


def test_the_page_is_what_is_computed():
    text = SCRIPT["PAGE"].read_text(encoding="utf-8")
    assert SCRIPT["page"](text) == text, "run `make docs`"


def old(claim, verdict, why="", study="toy"):
    shown = {"on": "size", "value": "2", "low": "1.5", "high": "2.5", "holds": "> 1", "why": why}
    return {"study": study, "claim": claim, "verdict": verdict, **shown}


def new(claim, verdict, **said):
    words = {
        "says": "It is large.",
        "paper": "",
        "differs": "",
        "unit": "seed",
        "words": "",
        "needs": "",
        "holds": "> 1",
    }
    numbers = {"value": 2.0, "low": 1.0, "high": 3.0, "n": 3, "there": 3, "level": 0.025, "shared": 1}
    return {
        "study": "toy",
        "claim": claim,
        "test": "",
        "group": "size",
        "verdict": verdict,
        **UNKNOWN,
        **words,
        **numbers,
        **said,
    }


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ([old("C1", "holds")], [new("C1", "holds")], None),
        (
            [old("C1", "holds")],
            [new("C1", "undecided", words="3 equal seeds")],
            "| toy | C1 | holds: size, 2 [1.5, 2.5] | undecided: size, 2 [1, 3] | 3 equal seeds |",
        ),
        (
            [old("C1", "fails")],
            [new("C1", "undecided", shared=5)],
            "one of 5 tests, any of which may fail by chance: it fails at 0.50 %, not at 2.5 % |",
        ),
        ([old("C1", "undecided")], [new("C1", "holds", look=2, n=6)], "decided at look 2, by 6 seeds |"),
        (
            [old("C1", "fails")],
            [new("C1", "undecided", group="a | b")],
            r"| undecided: a \| b, 2 [1, 3] | another test decides |",
        ),
        ([old("C1", "fails", "said by hand")], [new("C1", "holds")], "| said by hand |"),
        (
            [old("C6", "holds", "split in two")],
            [new("C6a", "holds")],
            "| toy | C6 | holds: size, 2 [1.5, 2.5] | – | split in two |",
        ),
        (
            [old("C1", "holds")],
            [new("C1", "holds"), new("C2", "fails")],
            "| toy | C2 | – | fails: size, 2 [1, 3] | a new claim |",
        ),
        ([old("C1", "holds", study="not made"), old("C1", "fails")], [new("C1", "fails")], None),
    ],
)
def test_a_verdict_that_is_another_one_is_listed_with_the_reason(before, after, line):
    counts, table = SCRIPT["changed"](pd.DataFrame(before), run("laptop", after)).split("\n\n")
    assert counts.startswith("Before: 1 claim, 1 ")
    listed = [" ".join(row.split()) for row in table.splitlines()[2:]]
    assert len(listed) == (0 if line is None else 1 if "C6" not in line else 2)
    assert line is None or line in listed[0]


def run(name, verdicts, **said):
    return Run(name, "laptop", "0123456", "2026-01-31", "two cores", pd.DataFrame(verdicts), **said)


def test_what_more_seeds_decided_is_listed_with_what_they_took():
    before = run("laptop", [new("C1", "undecided"), new("C2", "undecided"), new("C3", "holds"), new("C4", "undecided")])
    after = run(
        "laptop-decided",
        [new("C1", "fails", n=6), new("C2", "undecided", n=6, needs="about 24 seeds"), new("C3", "holds")]
        + [new("C4", "undecided")],
        note="after two hours",
        seeds={"toy.slow": [3, 6], "toy.fast": [3, 6]},
        added={"toy": [4, 90.0]},
        failed={"toy training slow.seeds6-8": "diverged"},
    )
    text = " ".join(SCRIPT["decided"](before, after).split())
    assert text.startswith(
        "Commit `0123456`, 2026-01-31, two cores; after two hours. Before: 4 claims, 1 hold, 3 undecided."
    )
    assert "After: 4 claims, 1 hold, 1 fail, 2 undecided." in text
    assert "| toy | C1 | undecided: size, 2 [1, 3] | fails: size, 2 [1, 3] | 3 → 6 |" in text
    assert "still undecided: toy C2 (about 24 seeds)." in text
    assert "`toy training slow.seeds6-8`: diverged" in text
    assert "| toy | 3 → 6 seeds: `slow`, `fast` | 4 | 1.5 |" in text


def test_of_a_workstation_only_what_was_run_is_compared():
    laptop = run("laptop", [new("C1", "undecided"), new("C2", "fails"), new("C3", "holds")])
    workstation = run("workstation", [new("C1", "holds", n=6), new("C2", "run in part")], note="C1 alone")
    text = " ".join(SCRIPT["on_a_workstation"](laptop, workstation).split())
    assert "Run: 1 claim, 1 hold. The same on a laptop: 1 claim, 1 undecided." in text
    assert "2 claims are sized and were not run, or only in part." in text
    assert "| toy | C1 | undecided" in text
    assert "| C2 |" not in text
    assert SCRIPT["on_a_workstation"](laptop, None).startswith("Sized, not run")


def test_the_verdicts_before_are_those_of_every_claim_of_the_six_studies():
    before = pd.read_csv(SCRIPT["BEFORE"], dtype=str, keep_default_na=False)
    assert before["verdict"].value_counts().to_dict() == {
        **{"holds": 34, "undecided": 27, "fails": 13, "reported": 4},
        **{"untested": 2, "not at this scale": 2},
    }


def open_claim(value, low, high, **said):
    return new("C1", "undecided", value=value, low=low, high=high, needs="not by seeds", **said)


def test_each_claim_that_stays_undecided_is_listed_with_what_would_decide_it():
    rows = [new("C1", "holds"), {**open_claim(0.5, -0.742, 1.742, level=0.025, holds="> 0"), "claim": "C2"}]
    text = UNDECIDED["table"](run("laptop-decided", rows), {"toy": {"C2": "Larger levels | would."}})
    (line,) = [" ".join(each.split()) for each in text.splitlines()[2:]]
    assert line == (r"| toy | C2 | size | 0.5 [−0.742, 1.74] | 3 | > 0 | 97 % | Larger levels \| would. |")
    with pytest.raises(ConfigError, match=r"toy\.C2: missing"):
        UNDECIDED["table"](run("laptop-decided", rows), {"toy": {}})


@pytest.mark.parametrize(
    "row",
    [
        # three seeds, standard deviation 0.5: t = 4.303 at the level of 2.5 %
        open_claim(0.5, 0.5 - 1.242, 0.5 + 1.242, level=0.025, holds="> 0"),
        open_claim(0.25, 0.25 - 1.242, 0.25 + 1.242, level=0.025, holds="> 0"),
        open_claim(-0.25, -0.25 - 1.242, -0.25 + 1.242, level=0.025, holds="< 0"),
        # it seems to fail, and one of five tests shares the level
        open_claim(-0.5, -0.5 - 1.242, -0.5 + 2.865, level=0.025, shared=5, holds="> 0"),
    ],
)
def test_the_chance_of_the_last_look_is_that_of_a_t_test(row):
    """Simulated: 24 seeds of a normal distribution with the mean and the spread that were seen."""
    sign = 1 if row["holds"].startswith(">") else -1
    share = row["shared"] if sign * row["value"] < 0 else 1
    seeds = np.random.default_rng(0).normal(abs(row["value"]), 0.5, (20_000, 24))
    t = seeds.mean(axis=1) / seeds.std(axis=1, ddof=1) * np.sqrt(24)
    found = (t > stdtrit(23, 1 - 0.0045 / share)).mean()
    shown = int(UNDECIDED["by_last_look"](pd.Series(row)).removesuffix(" %"))
    assert shown == pytest.approx(100 * found, abs=1.5)


@pytest.mark.parametrize("row", [open_claim(0.5, 0.0, 0.9), open_claim(0.5, -np.inf, np.inf)])
def test_no_chance_is_given_where_the_interval_is_not_that_of_a_t_test(row):
    assert UNDECIDED["by_last_look"](pd.Series(row)) == "–"
