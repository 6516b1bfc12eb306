"""CITATION.cff names this software and the papers whose studies it has; the container has the locked Python."""

import re
import runpy
from datetime import date

import pytest
import yaml

from agentomy.yaml_files import read_yaml
from tests.pipeline.trees import ROOT

SCRIPT = runpy.run_path(str(ROOT / "docs" / "citation.py"), run_name="page")
TEXT = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
CITED = yaml.safe_load(TEXT)
PAPERS = [read_yaml(path)["paper"] for path in sorted((ROOT / "workflow" / "studies").glob("*.yaml"))]


def test_the_file_is_what_the_studies_say():
    assert SCRIPT["page"]() == TEXT, "run `make docs`"


def test_it_has_what_version_1_2_0_of_the_format_asks_for():
    assert CITED["cff-version"] == "1.2.0"
    assert CITED["type"] == "software"
    assert all(isinstance(CITED[key], str) and CITED[key] for key in ("message", "title", "version", "license"))
    assert CITED["authors"] == [{"name": "The agentomy developers"}]
    for reference in CITED["references"]:
        assert reference["type"] in {"article", "conference-paper"}
        assert reference["title"]
        assert all(set(author) <= {"family-names", "given-names"} for author in reference["authors"])
        assert 2000 < reference["year"] <= date.today().year


def test_every_paper_of_a_study_is_cited_once_with_its_authors():
    cited = {reference["url"]: reference for reference in CITED["references"]}
    assert len(cited) == len(CITED["references"])
    assert set(cited) == {paper["url"] for paper in PAPERS}
    for paper in PAPERS:
        names = [" ".join(filter(None, map(author.get, ("given-names", "family-names"))))
                 for author in cited[paper["url"]]["authors"]]  # fmt: skip
        assert paper["authors"].startswith(f"{', '.join(names)} (")
        assert str(cited[paper["url"]]["year"]) in paper["authors"]
        assert cited[paper["url"]]["title"] == paper["title"]


@pytest.mark.parametrize("authors", ["A. Name", "A. Name (NeurIPS)", "(2020)"])
def test_authors_that_cannot_be_read_are_named(authors):
    with pytest.raises(ValueError, match="allowed"):
        SCRIPT["reference"]("A title", authors, "https://example.org")


def test_the_container_has_the_python_of_conda_and_says_that_it_was_not_tested():
    container = (ROOT / "Containerfile").read_text(encoding="utf-8")
    conda = (ROOT / "envs" / "agentomy.yaml").read_text(encoding="utf-8")
    assert (
        re.search(r"^FROM python:([\d.]+)-slim$", container, re.M)[1] == re.search(r"python=([\d.]+)$", conda, re.M)[1]
    )
    assert container.startswith("# NOT TESTED")
