"""Writes what docs/studies/*.md take from a run: its claims, its name and its pictures. `make docs RUN=...`.

Text between `<!-- claims -->` and the next `<!-- end -->` is replaced, and likewise for `tests` and `run`. A picture
STUDY-NAME.png or NAME.png that a page shows is the study's figure NAME.
"""

import argparse
import re
import sys
from pathlib import Path

import pandas as pd
from PIL import Image

from agentomy import claims, kinds
from agentomy.tables import Table

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
        page = comments.sub(lambda found, text=text: f"{found[1]}{text}\n{found[2]}", page)
    return page


def parts_of(path: Path, run: str) -> dict[str, str]:
    """What a page takes from one claims.parquet."""
    verdicts, tests = map(table, claims.parts(Table(kinds.common.CLAIMS, [path]).arrow()))
    return {"run": run, "claims": verdicts, "tests": tests}


def draw_anew(page: str, study: str, figures: Path) -> None:
    """Copies the figures that a page shows, in their true colours, without transparency.

    A palette of 256 colours would take a third of the bytes, but turns some oranges brown.
    """
    for picture in re.findall(r"\.\./pictures/([\w-]+)\.png", page):
        with Image.open(figures / f"{picture.removeprefix(f'{study}-')}.png") as figure:
            figure.convert("RGB").save(PICTURES / f"{picture}.png", optimize=True)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="a scale's folder, such as results/laptop")
    parser.add_argument("studies", nargs="*", help="only these; else all that have a page and claims there")
    parser.add_argument("--commit", required=True)
    parser.add_argument("--date", required=True)
    parser.add_argument("--machine", required=True, help="such as 'two cores of an AMD EPYC'")
    given = parser.parse_args(arguments)
    run = f"From a run at {given.results.name} scale on {given.machine}, {given.date}, commit `{given.commit}`."
    pages = {page.stem: page for page in sorted(STUDIES.glob("*.md"))}
    for study in given.studies or pages:
        found = given.results / study / "claims.parquet"
        if study not in pages or not found.exists():
            if given.studies:
                sys.exit(f"{study}: no page {STUDIES.name}/{study}.md, or no {found}")
            continue
        text = renewed(pages[study].read_text(encoding="utf-8"), parts_of(found, run))
        pages[study].write_text(text, encoding="utf-8")
        draw_anew(text, study, found.parent / "figures")
        print(pages[study])


if __name__ == "__main__":
    main(sys.argv[1:])
