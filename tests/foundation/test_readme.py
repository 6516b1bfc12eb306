"""The README's numbers are those of the run that the studies' pages are about, and what it names is there."""

import re

import pytest

from agentomy.pipeline.report.scoreboard import Score
from agentomy.pipeline.uptodate.session import Forced, Session
from tests.pages import script
from tests.pipeline.trees import ROOT
from tests.studies import smoke

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = script("pages")
FUNCTIONS = script("functions")


def between(text: str, name: str) -> str:
    (inside,) = re.findall(rf"<!-- {name} -->\n(.*?)<!-- end -->", text, re.DOTALL)
    return inside


def rows(table: str) -> list[list[str]]:
    """The cells of a Markdown table, without its head."""
    lines = table.strip().splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_the_scoreboard_has_every_study_with_its_paper_those_of_a_plain_run_first():
    first_two = [row[:2] for row in rows(between(README, "scoreboard"))[:-1]]
    named = {re.match(r"\[`([\w-]+)`\]", study)[1]: paper for study, paper in first_two}
    papers = {name: smoke().studies[name].paper for name in smoke().names}
    assert named == {name: f"[{paper.title}]({paper.url})" for name, paper in papers.items()}
    assert [*named] == PAGES["studies"](), "run `make docs` with the run that the pages name"
    assert [*named][:6] == ["bayes", "path", "maze", "l3d", "nld", "twm"]


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "studies").glob("*.md")), ids=lambda page: page.stem)
def test_the_scoreboard_counts_the_verdicts_of_the_pages(page):
    text = page.read_text(encoding="utf-8")
    assert between(text, "run") == between(README, "run")
    head = between(text, "claims").splitlines()[0].split(" | ")
    verdicts = [row[[cell.strip("| ") for cell in head].index("verdict")] for row in rows(between(text, "claims"))]
    (row,) = [row for row in rows(between(README, "scoreboard")) if row[0].startswith(f"[`{page.stem}`]")]
    counted = [sum(verdict.startswith(word) for verdict in verdicts) for word in ("holds", "fails", "undecided")]
    expected = [len(verdicts), *counted, len(verdicts) - sum(counted)]
    assert row[2:7] == [*map(str, expected)], "run `make docs` with the run that the pages name"


def test_the_last_row_adds_up():
    *studies, last = rows(between(README, "scoreboard"))
    columns = zip(*[row[2:7] for row in studies if row[2] != "–"], strict=True)
    assert [str(sum(map(int, column))) for column in columns] == last[2:7]


def test_the_scoreboard_is_written_from_the_scores_of_a_run():
    scores = {"nld": Score({"holds": 3, "fails": 1, "reported": 2}, 61.0), "twm": Score({"undecided": 4}, None)}
    by_study = {row[0].partition("`]")[0].strip("[`"): row[2:] for row in rows(PAGES["scoreboard"](scores))}
    assert by_study["nld"] == ["6", "3", "1", "0", "2", "1 min 1 s"]
    assert by_study["twm"] == ["4", "0", "0", "4", "0", "–"]
    assert by_study["bayes"] == ["–"] * 6
    assert by_study["in all"] == ["10", "3", "1", "4", "2", "1 min 1 s"]


def test_links_and_pictures_of_the_readme_lead_somewhere():
    headings = set(map(FUNCTIONS["anchor"], re.findall("^#+ (.*)$", README, re.MULTILINE)))
    for target, place in re.findall(r"\]\(((?!https?:)[^)#]*)(?:#([\w-]+))?\)", README):
        assert (ROOT / target).exists(), target
        assert target or place in headings, place


def test_no_sentence_says_a_verdict_of_its_own():
    """What holds, fails or is undecided, and by which number, stands in what is generated."""
    prose = re.sub(r"<!-- (\w+) -->.*?<!-- end -->|```.*?```", "", README, flags=re.DOTALL)
    gallery = prose.partition("## Gallery")[2].partition("\n## ")[0]
    assert gallery
    assert not re.findall(r"\d\.\d|\b(?:holds|fails|undecided|lowest|fewer|better|worse)\b", gallery)


def test_targets_of_the_readme_are_made_by_some_job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session = Session(smoke())
    targets = re.findall(r"^snakemake [^#\n]*?(results/laptop/\S+)", README, re.MULTILINE)
    assert len(targets) >= 3
    for target in targets:
        session.begin([target.replace("laptop", "smoke")], Forced())
        assert session.targets, target
        session.states, session.targets = None, []


def test_targets_after_config_stand_behind_two_dashes():
    """Snakemake would take them for more of the configuration."""
    commands = re.findall(r"^snakemake .*?(?=#|$)", README, re.MULTILINE)
    assert any(" -- " in command for command in commands)
    for command in commands:
        given = command.partition("--config")[2].partition(" -- ")[0]
        assert all("=" in word for word in re.split(r"\s(?![^{]*})", given) if word), command
