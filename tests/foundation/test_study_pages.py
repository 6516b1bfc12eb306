"""The pages of studies take their claims from a run, and nothing else of a page changes."""

import numpy as np
import pytest

from agentomy import kinds, tables
from agentomy.pipeline.plan.entries import Figure
from tests.pages import script
from tests.pipeline.trees import ROOT

PAGES = script("pages")


@pytest.fixture
def parts(tmp_path):
    """What a page takes from a study of one claim, which has one test."""
    text = {"study": "toy", "claim": "C1", "says": "|cos| is large", "paper": "", "holds": "> 0", "verdict": "holds"}
    text |= {"unit": "seed", "words": "", "needs": "", "differs": ""}
    verdicts = kinds.common.CLAIMS.table(
        **{name: np.array([value] * 2, dtype=object) for name, value in text.items()},
        test=np.array(["", "cosine"], dtype=object),
        group=np.array(["cosine", ""], dtype=object),
        **{name: np.full(2, value) for name, value in {"value": 0.5, "low": 0.25, "high": 0.75}.items()},
        **{name: np.array([value] * 2) for name, value in {"n": 3, "there": 3, "look": 1, "shared": 1}.items()},
        level=np.array([0.025] * 2),
    )
    tables.write(tmp_path / "claims.parquet", kinds.common.CLAIMS, verdicts)
    return PAGES["parts_of"](tmp_path / "claims.parquet", "From a run.")


def test_a_page_takes_its_claims_and_the_name_of_their_run_and_keeps_its_prose(parts):
    page = (
        "a\n<!-- run -->\n<!-- end -->\n<!-- claims -->\n| old |\n<!-- end -->\nb\n<!-- tests -->\nold\n<!-- end -->\n"
    )
    renewed = PAGES["renewed"](page, parts)
    assert renewed.splitlines() == [
        *["a", "<!-- run -->", "From a run.", "<!-- end -->", "<!-- claims -->"],
        "| claim | says | paper | on | value [interval] | n | threshold | verdict | look | to decide it |",
        "|---|---|---|---|---|---|---|---|---|---|",
        r"| C1 | \|cos\| is large | | cosine | 0.5 [0.25, 0.75] | 3 | > 0 | holds | 1 | |",
        *["<!-- end -->", "b", "<!-- tests -->"],
        "| claim | test | on | value [interval] | n | threshold | verdict | look | to decide it |",
        "|---|---|---|---|---|---|---|---|---|",
        "| C1 | cosine | | 0.5 [0.25, 0.75] | 3 | > 0 | holds | 1 | |",
        "<!-- end -->",
    ]
    assert PAGES["renewed"](renewed, parts) == renewed


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "studies").glob("*.md")), ids=lambda page: page.stem)
def test_every_page_has_one_place_for_its_run_and_one_for_its_claims(page):
    text = page.read_text(encoding="utf-8")
    assert [text.count(f"<!-- {name} -->\n") for name in ("run", "claims")] == [1, 1]


def test_figures_go_by_their_titles_and_have_their_captions_where_they_stand_alone():
    entry = {"use": "room.module.function", "from": ["table"]}
    figures = {
        "F1": Figure.model_validate({**entry, "title": "What is shown", "caption": "P_act along *training*."}),
        "F2": Figure.model_validate({**entry, "caption": "No title. But more."}),
    }
    first, second = "../pictures/toy-F1.png", "../pictures/F2.png"
    page = f"| ![old]({second}) | b |\n\n![old]({first})\n\nprose\n\n![]({second})\n"
    renewed = PAGES["captioned"](page, "toy", figures)
    assert renewed == (
        f"| ![No title]({second}) | b |\n\n"
        f"![What is shown]({first})\\\n**What is shown.** P\\_act along \\*training\\*.\n\n"
        f"prose\n\n![No title]({second})\\\n**No title** . But more.\n"
    )
    assert PAGES["captioned"](renewed, "toy", figures) == renewed
