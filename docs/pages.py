"""Writes what docs/studies/*.md take from a run: its claims, its name and its pictures. `make docs RUN=...`.

Text between `<!-- claims -->` and the next `<!-- end -->` is replaced, and likewise for `tests` and `run`. A picture
STUDY-NAME.png or NAME.png that a page shows is the study's figure NAME, and is called by its title; where it stands by
itself, its caption is below. The README takes its `scoreboard` and `run`. What the pages and the README show of all
`runs` comes from docs/runs, with or without a run that is named.
"""

import argparse
import re
import sys
from pathlib import Path

import pandas as pd
import runs
from PIL import Image

from agentomy import claims, kinds
from agentomy.pipeline.plan.entries import Figure
from agentomy.pipeline.plan.study import Plan, study_files
from agentomy.pipeline.report.scoreboard import COLUMNS, Score, score, total
from agentomy.pipeline.report.text import label, titled
from agentomy.tables import Table
from agentomy.yaml_files import read_yaml

README = Path(__file__).parents[1] / "README.md"
STUDY_FILES = README.parent / "workflow" / "studies"
STUDIES = Path(__file__).parent / "studies"
PICTURES = Path(__file__).parent / "pictures"


def table(frame: pd.DataFrame) -> str:
    """A Markdown table without padding, so that a changed cell is the only change of its line."""
    head, *rows = (
        "| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |"
        for row in [frame.columns, *frame.astype(str).to_numpy()]
    )
    return "\n".join([head, "|" + "---|" * len(frame.columns), *rows]).replace("|  |", "| |")


def renewed(page: str, parts: dict[str, str]) -> str:
    """The page with each part between its comments; parts that the page has no comment for are left out."""
    for name, text in parts.items():
        comments = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        page = comments.sub(lambda match, text=text: f"{match[1]}{text}\n{match[2]}", page)
    return page


def parts_of(path: Path, run: str) -> dict[str, str]:
    """What a page takes from one claims.parquet."""
    verdicts, tests = map(table, claims.parts(Table(kinds.common.CLAIMS, [path]).arrow()))
    return {"run": run, "claims": verdicts, "tests": tests}


def scoreboard(scores: dict[str, Score]) -> str:
    """The README's table of all studies; those that were not run have dashes."""
    rows = []
    for study in studies():
        paper, score = read_yaml(STUDY_FILES / f"{study}.yaml")["paper"], scores.get(study, Score())
        rows.append([f"[`{study}`]({page_of(study)})", f"[{paper['title']}]({paper['url']})", *score.cells])
    rows.append(["in all", "", *total(list(scores.values())).cells])
    return table(pd.DataFrame(rows, columns=["study", "paper", *COLUMNS]))


def studies() -> list[str]:
    """Those of a plain `snakemake` first."""
    return [*dict.fromkeys([*read_yaml(README.parent / "config.yaml")["studies"], *study_files(STUDY_FILES)])]


def page_of(study: str) -> str:
    """The page of a study; a study of another's paper, such as maze-13, is on that one's."""
    return f"docs/{STUDIES.name}/{study.partition('-')[0]}.md"


def captioned(page: str, study: str, figures: dict[str, Figure]) -> str:
    """The page with each figure called by its title; below one that stands by itself is its caption."""

    def renewed_picture(match: re.Match) -> str:
        figure = figures[match["name"].removeprefix(f"{study}-")]
        picture = f"![{label(figure)}]({match['path']})"
        if match["alone"] is None:
            return picture
        title, caption = titled(figure)
        words = (re.sub(r"[\\*_<>\[\]`]", r"\\\g<0>", text.strip()) for text in (title, caption))  # no markup
        return "{}\\\n**{}{}** {}\n".format(picture, next(words), "." * bool(figure.title), next(words))

    # alone: nothing but its own caption stands in its paragraph, up to the empty line
    alone = r"(?P<alone>\\?\n(?:\*\*.*\n)?(?=\n|\Z))"
    picture = r"!\[[^\]]*\]\((?P<path>\.\./pictures/(?P<name>[\w-]+)\.png)\)"
    return re.sub(rf"{picture}{alone}?", renewed_picture, page)


def draw_anew(page: str, study: str, figures: Path) -> None:
    """Copies the figures that a page shows, in their true colours, without transparency.

    A palette of 256 colours would take a third of the bytes, but turns some oranges brown.
    """
    for picture in re.findall(r"\.\./pictures/([\w-]+)\.png", page):
        with Image.open(figures / f"{picture.removeprefix(f'{study}-')}.png") as figure:
            figure.convert("RGB").save(PICTURES / f"{picture}.png", optimize=True)


def show_runs(pages: dict[str, Path]) -> None:
    """Writes the verdicts of all runs that are kept, side by side, into the README and the pages of studies."""
    kept = runs.read()
    if not kept:
        return
    README.write_text(renewed(README.read_text(encoding="utf-8"), {"runs": runs.summary(kept)}), encoding="utf-8")
    for study, page in pages.items():
        table = runs.side_by_side(kept, study, not_sized(study))
        text = renewed(page.read_text(encoding="utf-8"), {"runs": table})
        page.write_text(text, encoding="utf-8")


def not_sized(study: str) -> dict[str, str]:
    """The claims that a workstation does not judge, with the word for it."""
    words = {}
    for name, claim in read_yaml(STUDY_FILES / f"{study}.yaml")["claims"].items():
        tests = claim.get("tests", {}).values()
        if not any(runs.WORKSTATION in test.get("scales", [runs.WORKSTATION]) for test in tests):
            words[name] = claims.NOT_HERE if tests else claims.UNTESTED
    return words


def main(arguments: list[str]) -> None:
    pages = {page.stem: page for page in sorted(STUDIES.glob("*.md"))}
    show_runs(pages)
    if not arguments:
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="a scale's folder, such as results/laptop")
    parser.add_argument("studies", nargs="*", help="only these; else all that have a page and claims there")
    parser.add_argument("--commit", required=True)
    parser.add_argument("--date", required=True)
    parser.add_argument("--machine", required=True, help="such as 'two cores of an AMD EPYC'")
    given = parser.parse_args(arguments)
    run = f"From a run at {given.results.name} scale on {given.machine}, {given.date}, commit `{given.commit}`."
    plan = Plan({"scale": given.results.name, "studies": studies()})
    if not given.studies:
        scores = {study: score(given.results / study) for study in studies()}
        readme = README.read_text(encoding="utf-8")
        README.write_text(renewed(readme, {"run": run, "scoreboard": scoreboard(scores)}), encoding="utf-8")
    for study in given.studies or pages:
        verdicts = given.results / study / "claims.parquet"
        if study not in pages or not verdicts.exists():
            if given.studies:
                sys.exit(f"{study}: no page {STUDIES.name}/{study}.md, or no {verdicts}")
            continue
        text = renewed(pages[study].read_text(encoding="utf-8"), parts_of(verdicts, run))
        text = captioned(text, study, plan.studies[study].entries["figures"])
        pages[study].write_text(text, encoding="utf-8")
        draw_anew(text, study, verdicts.parent / "figures")
        print(pages[study])


if __name__ == "__main__":
    main(sys.argv[1:])
