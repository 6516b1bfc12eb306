"""`agentomy judge` over files of anybody's: verdicts, exit statuses, and one line for each mistake."""

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from agentomy.judge import alone

EXAMPLE = Path(__file__).parents[2] / "examples" / "judge"
RUNS = "run,seed,value\na,0,1.0\na,1,1.1\na,2,1.2\nb,0,3.0\nb,1,3.3\nb,2,3.1\n"


@pytest.fixture
def judged(tmp_path, capsys):
    """Judge one test on a CSV text; gives the exit status, what was printed, and the error."""

    def run(csv=RUNS, claims=None, options=(), **test):
        (tmp_path / "runs.csv").write_text(csv)
        said = {"seeds": 3, "claims": {"C1": {"says": "x", "tests": {"t": {"value": "value", **test}}}}}
        written = claims if isinstance(claims, str) else yaml.safe_dump({**said, **(claims or {})})
        (tmp_path / "CLAIMS.yaml").write_text(written)
        status = alone.main([str(tmp_path / "runs.csv"), str(tmp_path / "CLAIMS.yaml"), *map(str, options)])
        out, error = capsys.readouterr()
        return status, out, error.replace(f"{tmp_path}/", "")

    return run


def test_the_example_comes_out_as_it_says(tmp_path, capsys):
    assert len((EXAMPLE / "runs.csv").read_text().splitlines()) == 10
    parquet = tmp_path / "verdicts.parquet"
    files = [str(EXAMPLE / "runs.csv"), str(EXAMPLE / "CLAIMS.yaml")]
    assert alone.main([*files, "--parquet", str(parquet), "--markdown", str(tmp_path / "verdicts.md")]) == 1
    verdicts = pd.read_parquet(parquet)
    claims = verdicts[verdicts["test"] == ""].set_index("claim")
    assert claims["verdict"].to_dict() == {"return": "holds", "levels": "undecided", "easy": "fails"}
    assert claims.loc["levels", "needs"] == "about 12 seeds"
    assert pq.read_schema(parquet).names == [column.name for column in alone.VERDICTS.columns]
    assert "## Every test" in (tmp_path / "verdicts.md").read_text(encoding="utf-8")
    assert "Our agent gets a" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("test", "status"),
    [
        ({"where": {"run": "a"}, "holds": "> 0"}, 0),
        ({"where": {"run": "a"}, "holds": "< 0"}, 1),
        ({"where": {"run": "a"}, "holds": "> 1"}, 3),
        ({"where": {"run": "a"}}, 0),
        ({"where": {"run": "b"}, "less": {"run": "a"}, "holds": "> 1.5"}, 0),
        ({"where": {"run": "c"}}, 2),
    ],
)
def test_the_exit_status_says_how_it_came_out(judged, test, status):
    assert judged(**test)[0] == status


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"where": {"run": "c"}}, "agentomy: CLAIMS.yaml: claims.C1.tests.t.where.run: no value 'c'; allowed: a, b\n"),
        (
            {"holds": "> 0"},
            "claims.C1.tests.t.where: found 2 rows of seed 0; allowed: one; still varying: run (a, b)\n",
        ),
        ({"hold": "> 0"}, "claims.C1.tests.t.hold: no key 'hold' (did you mean 'holds'?); allowed: from, value,"),
        ({"holds": "0"}, "claims.C1.tests.t.holds: found '0' (str); allowed: a comparison with a number"),
        ({"less": {"run": "a"}, "over": {"run": "b"}}, "claims.C1.tests.t.over: found"),
        (
            {"less": {"run": "a"}, "interval": "log"},
            "claims.C1.tests.t.interval: found 'log' (str); allowed: nothing beside 'less'",
        ),
        (
            {"within": [1.0, 0.0]},
            "claims.C1.tests.t.within: found [1.0, 0.0] (list); allowed: the smaller number first",
        ),
        ({"from": "walks"}, "claims.C1.tests.t.from: no table 'walks'; allowed: runs"),
        ({"claims": {"seeds": 0}}, "CLAIMS.yaml: seeds: found 0 (int); allowed: 1 or more"),
        ({"claims": {"seed": "trial"}, "where": {"run": "a"}}, "claims.C1.tests.t.unit: no column 'trial'"),
        ({"claims": "claims: {}\n"}, "CLAIMS.yaml: seeds: missing"),
        (
            {"claims": "seeds: 3\nclaims: {C1: {says: x, tests: {}}}\n"},
            "CLAIMS.yaml: claims.C1.tests: found {} (dict); allowed: at least 1",
        ),
        ({"csv": ""}, "agentomy: runs.csv: "),
        ({"csv": "run,seed,value\n"}, "agentomy: runs.csv: found no row; allowed: one or more"),
        ({"csv": "run,seed,run\na,1,b\n"}, "agentomy: runs.csv: column 'run': found twice; allowed: once"),
        ({"csv": "run,seed,value\na,1\n"}, "agentomy: runs.csv: "),
        ({"csv": "run,seed,value\na,,1\n"}, "claims.C1.tests.t.unit: found an empty cell in the column 'seed'"),
    ],
)
def test_each_mistake_is_one_line(judged, given, line):
    status, out, error = judged(**given)
    assert status == 2
    assert out == ""
    assert line in error
    assert error.count("\n") == 1


def test_an_empty_cell_is_named_and_leaves_the_test_open(judged):
    status, out, _ = judged("run,seed,value\na,0,1.0\na,1,\na,2,1.2\n", holds="> 0")
    assert status == 3
    assert "seed 1 is NaN" in out


def test_seeds_may_have_other_names_and_numbers(judged):
    csv = "run,trial,value\na,x,1.0\na,y,1.1\na,z,1.2\na,w,-9\n"
    assert judged(csv, {"seed": "trial"}, holds="> 0")[0] == 0


def test_words_that_look_like_dates_or_nothing_are_words(judged):
    csv = "run,seed,value\nNA,0,1.0\nNA,1,1.1\nNA,2,1.2\nnull,0,5\n"
    assert judged(csv, where={"run": "NA"}, holds="> 0")[0] == 0
    csv = "run,seed,value\n2026-01-01,0,1.0\n2026-01-01,1,1.1\n2026-01-01,2,1.2\n"
    assert judged(csv, where={"run": "2026-01-01"}, holds="> 0")[0] == 0


def test_a_mark_of_byte_order_is_no_part_of_a_name(judged):
    assert judged("\ufeff" + RUNS, where={"run": "a"}, holds="> 0")[0] == 0


def test_several_tables_are_named_by_their_files(tmp_path, capsys):
    for name in ("one", "two"):
        pd.DataFrame({"seed": [0, 1, 2], "value": [1.0, 1.1, 1.2]}).to_parquet(tmp_path / f"{name}.parquet")
    claims = {
        "seeds": 3,
        "claims": {"C": {"says": "x", "tests": {"t": {"from": "two", "value": "value", "holds": "> 0"}}}},
    }
    (tmp_path / "c.yaml").write_text(json.dumps(claims))
    files = [str(tmp_path / name) for name in ("one.parquet", "two.parquet", "c.yaml")]
    assert alone.main(files) == 0
    del claims["claims"]["C"]["tests"]["t"]["from"]
    (tmp_path / "c.yaml").write_text(json.dumps(claims))
    assert alone.main(files) == 2
    assert "tests.t.from: missing" in capsys.readouterr().err


def test_tables_of_other_endings_and_missing_files_are_refused(tmp_path, capsys):
    (tmp_path / "c.yaml").write_text("seeds: 3\nclaims: {C: {says: x, tests: {t: {value: v}}}}\n")
    for name in ("runs.txt", "gone.csv", "gone.parquet"):
        assert alone.main([str(tmp_path / name), str(tmp_path / "c.yaml")]) == 2
        error = capsys.readouterr().err
        assert name in error
        assert error.count("\n") == 1


def test_pipes_in_names_leave_a_table_of_markdown_whole(tmp_path, judged):
    page = tmp_path / "verdicts.md"
    judged(RUNS.replace("a,", "a|b,"), options=["--markdown", page], where={"run": "a|b"}, each="run")
    rows = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    assert "a\\|b" in rows[-1]
    assert len({line.replace("\\|", "").count("|") for line in rows[-3:]}) == 1
