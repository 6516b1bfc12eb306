"""Captions and titles of study files are text in the report, whatever they say."""

import html
import json
import re
from types import SimpleNamespace

import pytest
from docutils.core import publish_parts
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment

from agentomy.pipeline.plan.study import Plan
from agentomy.pipeline.report.text import paragraph, plain
from agentomy.yaml_files import read_yaml
from tests.pipeline.trees import ROOT

TEMPLATES = {name: (ROOT / f"workflow/report/{name}.rst").read_text() for name in ("figure", "claims")}
TARGETS = "\n\n.. _Workflow: javascript:show_panel('workflow')\n"  # what Snakemake adds below a caption
HOSTILE = [
    ".. include:: /etc/hostname",
    ".. raw:: html\n\n   <script>alert(1)</script>",
    "seen\n\n.. raw:: html\n\n   <script>alert(1)</script>\n",
    "</script><script>alert(1)</script><!-- <b>bold</b>",
    "|cos| is the cosine, |confidence - accuracy| a distance",
    "a link_, `another <javascript:alert(1)>`_, Workflow_, http://evil.example/ and mail@evil.example",
    ":raw-html:`<script>` :sub:`2` *much* **more** ``code`` [1]_ |substituted|",
    "Heading\n=======\n\n- a list\n- of things\n\n    quoted\n\n>>> doctest\n",
    "literal::\n\n   block",
    "1. first\n2. second",
    "• a bullet of another sort",
    "+---+\n| a |\n+---+",
    "back\\slashes \\ and {{ 7 * 7 }} {% raw %} and %s and {braces}",
    "\x00\x1b[31m\u2028\ud800\u202e",
    "|",
    " \n\t ",
]  # fmt: skip


def shown(text: str) -> tuple[str, str]:
    """A caption's HTML, as Snakemake makes it, and the text in the place of ours."""
    params = SimpleNamespace(caption=paragraph(text), title=paragraph(text))
    snakemake = SimpleNamespace(
        params=params,
        wildcards=SimpleNamespace(study="some-study"),
        output=["results/laptop/some-study/figures/F1.png"],
        config=SimpleNamespace(remaking=lambda file: paragraph(f"snakemake {file}")),
    )
    figure, claims = (
        publish_parts(Environment().from_string(template + TARGETS).render(snakemake=snakemake), writer="html")["body"]
        for template in TEMPLATES.values()
    )
    visible = [html.unescape(re.sub(r"<[^>]*>", "", page)) for page in (figure, claims)]
    first = visible[0].partition("Study some-study, after “")
    title = visible[1].partition("The claims of “")[2].partition("” and their verdicts")[0]
    assert title.strip() == first[2].rpartition("”.")[0].strip()
    assert first[0].strip() == title.strip()
    return figure, title


def seen(text: str) -> str:
    """What a reader is to see of it: all that can be seen, and spaces."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def holds_text_alone(text: str) -> None:
    figure, title = shown(text)
    assert " ".join(title.split()) == seen(text)
    assert set(re.findall(r"<[a-z][^>]*>", figure)) <= {"<p>", "<em>"}
    assert figure.count("<p>") == 2 + bool(seen(text))  # the study, and what makes the figure


@pytest.mark.parametrize("text", HOSTILE)
def test_a_caption_is_one_paragraph_of_what_it_says(text):
    holds_text_alone(text)


MARKUP = [*"|`*_:.<>\\-=+#[](){}'\"~^!@/&%$ \n", "ab", "Workflow", "1", "a.", "..", "::", "  ", "é", "’", "—"]


@given(st.lists(st.sampled_from(MARKUP), max_size=30).map("".join) | st.text(max_size=60))
def test_no_text_becomes_markup(text):
    holds_text_alone(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_ends_the_script_in_which_the_report_holds_it(text):
    """Snakemake writes parameters and captions as JSON between <script> tags as they are."""
    held = json.dumps([paragraph(text), shown(text)[0]]).lower()
    assert "</script" not in held
    assert "<!--" not in held


@pytest.mark.parametrize("text", HOSTILE)
def test_a_title_in_the_menu_names_no_wildcard_and_ends_no_script(text):
    """Snakemake fills in the braces of a label, and writes it between <script> tags."""
    assert not set("{}<>") & set(plain(text))
    assert plain(text).isprintable()


def test_our_own_captions_say_what_is_in_the_study_files():
    for study in Plan(read_yaml(ROOT / "config.yaml") | {"scale": "smoke"}).chosen:
        for figure in study.entries["figures"].values():
            holds_text_alone(figure.caption)
