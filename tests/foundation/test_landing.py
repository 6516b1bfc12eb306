"""The report's first page counts the claims that are there, shows what study files say as text, and gives commands."""

import html
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from docutils.core import publish_parts

from agentomy import kinds, tables
from agentomy.pipeline.plan.entries import LONGEST, Figure
from agentomy.pipeline.report import landing, scoreboard, text
from tests.studies import smoke

HOSTILE = '</script><script>alert(1)</script> "x" {{ 7 * 7 }} <b>bold</b> {wildcard}'
VERDICTS = ["holds", "holds", "fails", "undecided", "untested"]


def plant(folder: Path, verdicts=VERDICTS, says="A claim") -> None:
    """Claims with these verdicts, each with a test of another verdict; and benchmarks of two jobs, 100 s together."""
    rows = [(f"C{1 + number}", test, verdict) for number, verdict in enumerate(verdicts) for test in ("", "some test")]
    claims, tests, words = (np.array(column, dtype=object) for column in zip(*rows, strict=True))
    words[tests != ""] = "reported"
    text = dict.fromkeys(("study", "paper", "differs", "unit", "words", "needs", "holds"), "")
    text |= {"says": says, "group": "the deciding test, run-1"}
    verdicts = kinds.common.CLAIMS.table(
        claim=claims, test=tests, verdict=words,
        **{name: np.array([value] * len(rows), dtype=object) for name, value in text.items()},
        **{name: np.full(len(rows), value) for name, value in {"value": 0.5, "low": 0.25, "high": 0.75}.items()},
        **{name: np.full(len(rows), 3) for name in ("n", "there", "look", "shared")},
        level=np.full(len(rows), 0.025),
    )  # fmt: skip
    tables.write(folder / "claims.parquet", kinds.common.CLAIMS, verdicts)
    for name, seconds in {"training/a.tsv": 90.0, "figures/b.tsv": 10.0}.items():
        path = folder / "benchmarks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\tmax_rss\tcpu_time\tprocess\n200.0\t0:03:20\t1.0\t{seconds}\twarm\n")


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for study in ("bayes", "nld"):
        Path("results/smoke", study).mkdir(parents=True)
    plant(Path("results/smoke/bayes"))
    plant(Path("results/smoke/nld"), ["fails"])
    return tmp_path


THERE = [
    "results/smoke/bayes/claims.html",
    "results/smoke/nld/claims.html",
    "results/smoke/bayes/figures/F7-structure-own-policy.png",
]


def figure(**keys: str) -> Figure:
    return Figure.model_validate({"use": "room.module.function", "from": ["table"], **keys})


def rows(page: str) -> list[list[str]]:
    """The cells of the scoreboard, as a reader sees them."""
    (board,) = re.findall(r'<table class="board">(.*?)</table>', page, re.DOTALL)
    return [[seen(cell) for cell in re.split(r"<t[dh][^>]*>", row)[1:]] for row in board.split("<tr")[1:]]


def seen(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", markup)).strip().removesuffix(">").strip()


def test_the_scoreboard_counts_claims_and_not_their_tests_and_adds_up_the_time(results):
    head, *studies, last = rows(landing.page(smoke(), None, THERE, {}))
    assert head == ["study", "paper", "claims", "hold", "fail", "undecided", "not judged", "processor time"]
    assert [row[0] for row in studies] == ["bayes", "nld"]
    assert [row[2:] for row in studies] == [
        ["5", "2", "1", "1", "1", "1 min 40 s"],
        ["1", "0", "1", "0", "0", "1 min 40 s"],
    ]
    assert last == ["in all", "", "6", "2", "2", "1", "1", "3 min 20 s"]


def test_a_study_that_was_not_run_has_no_numbers(tmp_path):
    assert scoreboard.score(tmp_path / "twm-atari").cells == ["–"] * len(scoreboard.COLUMNS)


def test_benchmarks_that_cannot_be_read_cost_no_report(results):
    folder = Path("results/smoke/nld")
    (folder / "benchmarks" / "training" / "a.tsv").write_text("s\tcpu_time\n1.0\n")
    (folder / "benchmarks" / "figures" / "b.tsv").write_bytes(b"\xff\n")
    assert scoreboard.score(folder).cells[-1] == "–"


def test_claims_say_what_decides_them_and_claims_and_figures_what_makes_them_again(results):
    page = landing.page(smoke(), None, THERE, {"scale": "smoke", "studies": ["bayes"]})
    bayes = page.partition('id="study-bayes"')[2].partition('id="study-nld"')[0]
    assert bayes.count("the deciding test, run-1") == len(VERDICTS)
    claims = "snakemake --cores all results/smoke/bayes/claims.parquet --config scale=smoke"
    assert bayes.count(f"<code>{claims}</code>") == len(VERDICTS)
    figure = "snakemake --cores all results/smoke/bayes/figures/F7-structure-own-policy.png --config scale=smoke"
    assert f"<code>{figure}</code>" in bayes
    assert "F5-states-prediction" not in bayes  # a figure that the report does not hold


def test_a_figure_goes_by_its_title_and_has_its_caption(results):
    figures = landing.page(smoke(), None, THERE, {}).partition("<h3>Figures</h3>")[2].partition("<code>")[0]
    entry = smoke().studies["bayes"].entries["figures"]["F7-structure-own-policy"]
    assert [seen(part) for part in figures.split("<br>")][:2] == [entry.title, " ".join(entry.caption.split())]
    assert f"{entry.title}</a></b>" in html.unescape(figures)


def test_a_figure_without_a_title_goes_by_what_its_caption_begins_with(results, monkeypatch):
    plan = smoke()
    study = plan.studies["bayes"]
    untitled = figure(caption="Two lines: one is broad. The other is not.")
    monkeypatch.setattr(study, "entries", {**study.entries, "figures": {"F7-structure-own-policy": untitled}})
    page = landing.page(plan, None, THERE, {}).partition("<h3>Figures</h3>")[2]
    assert re.search(r"<b><a [^>]*>Two lines</a></b>: one is broad. The other is not.<br>", page)


def test_a_title_of_its_own_is_never_cut():
    titled = figure(title="A title: with two parts; or three", caption="Something else. And more.")
    assert text.label(titled) == titled.title
    assert text.titled(titled) == (titled.title, titled.caption)


@pytest.mark.parametrize(
    ("caption", "title"),
    [
        ("Goal misgeneralisation. An agent that met cheese", "Goal misgeneralisation"),
        ("Beyond the paper: MinAtar's Breakout. All begin", "Beyond the paper: MinAtar's Breakout"),
        ("A mean of 0.5 at\n  large scale; and more", "A mean of 0.5 at large scale"),
        ("word " * 40, ("word " * 18).strip() + "…"),
        ("x" * 200, "x" * LONGEST + "…"),
        ("No end", "No end"),
    ],
)  # fmt: skip
def test_a_title_is_what_a_caption_begins_with(caption, title):
    untitled = figure(caption=caption)
    assert text.label(untitled) == title
    assert "".join(text.titled(untitled)) == " ".join(caption.split())


def test_what_a_study_says_is_text_on_the_page_and_leads_nowhere(results, monkeypatch):
    plant(Path("results/smoke/bayes"), says=HOSTILE)
    plan = smoke()
    study = plan.studies["bayes"]
    figures = {
        name: entry.model_copy(update={"title": HOSTILE, "caption": HOSTILE})
        for name, entry in study.entries["figures"].items()
    }
    paper = study.paper.model_copy(update={"title": HOSTILE, "authors": HOSTILE, "url": "javascript:alert(1)"})
    monkeypatch.setattr(study, "paper", paper)
    monkeypatch.setattr(study, "entries", {**study.entries, "figures": figures})
    page = landing.page(plan, None, THERE, {"scale": HOSTILE})
    assert "<script" not in page
    assert "</script" not in page
    assert "<b>bold" not in page
    assert "javascript:alert" not in page
    assert page.count("&lt;/script&gt;") > len(VERDICTS)


def test_nothing_is_loaded_and_only_papers_are_linked(results):
    page = landing.page(smoke(), None, THERE, {})
    assert not re.findall(r"<(?:script|img|link|iframe)|\ssrc=|url\(|@import", page)
    links = re.findall(r'href="([^"]*)"', page)
    outside = {address for address in links if not address.startswith(("#", "javascript:"))}
    assert outside == {smoke().studies[name].paper.url for name in ("bayes", "nld")}


def test_docutils_passes_the_whole_page_on(results):
    page = landing.page(smoke(), None, THERE, {})
    source = ".. raw:: html\n\n" + "\n".join(f"   {line}" for line in page.splitlines())
    passed = publish_parts(source, writer="html")["body"]
    assert passed.split() == page.split()


def test_a_label_of_the_menu_has_no_wildcard_and_ends_no_script():
    assert not set("{}<>") & set(text.label(figure(caption=HOSTILE)))


@pytest.mark.parametrize(
    ("given", "option"),
    [
        ({}, ""),
        ({"studies": ["nld"]}, ""),
        ({"scale": "smoke"}, " --config scale=smoke"),
        ({"overrides": {"a.b": 1}, "seeds": 5}, " --config 'overrides={\"a.b\": 1}' seeds=5"),
    ],
)
def test_a_command_repeats_what_was_said_on_the_command_line(given, option):
    assert landing.options(given) == option


def test_results_that_are_not_what_this_code_makes_are_said_to_be_so(results):
    state, record = SimpleNamespace(fits=False), SimpleNamespace(processor="another kind")
    states = SimpleNamespace(
        known=lambda: {("bayes", "metrics", "distance"): state},
        find=lambda key: SimpleNamespace(record="record"),
        record=lambda path: record,
    )
    page = landing.page(smoke(), states, THERE, {})
    assert "no: 1 of 1 jobs are not, such as metrics distance of bayes" in page
    assert "1 jobs on another kind" in page
    state.fits, record.processor = True, landing.records.processor()
    page = landing.page(smoke(), states, THERE, {})
    assert "all 1 jobs are as this code" in page
    assert "made on" not in page


def test_a_commit_is_named_with_its_changes_and_only_of_a_tree_of_its_own(tmp_path):
    def git(*arguments):
        subprocess.run(["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", *arguments], check=True)

    assert landing.commit(tmp_path) == ""
    git("init", "-q")
    (tmp_path / "inside").mkdir()
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-qm", "first")
    named = landing.commit(tmp_path)
    assert re.fullmatch("commit [0-9a-f]{7,}", named)
    (tmp_path / "file").write_text("2")
    assert landing.commit(tmp_path) == f"{named}, with changes"
    assert landing.commit(tmp_path / "inside") == ""


def test_the_machine_is_named_with_its_cores():
    assert re.search(r"; .+; \d+ cores?$", landing.machine())
    assert (sys.platform == "linux") == landing.machine().startswith("Linux")
