"""The claims page: every claim of every study with its verdict, its tests, and what they rest on."""

from dataclasses import fields
from functools import cache
from html import escape
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from bokeh.models import Column, Div, LayoutDOM, MultiChoice, Row

from agentomy import kinds
from agentomy.drawing.style import COLOURS, GREY
from agentomy.explorer.drawing import message
from agentomy.explorer.results import Results
from agentomy.explorer.session import Session
from agentomy.judge.results import Result
from agentomy.judge.showing import NOTE, counted, in_full, with_interval
from agentomy.mistakes import ConfigError
from agentomy.pipeline.plan.study import Plan
from agentomy.tables import TableError

NAME = "claims"
DOCS = Path(__file__).parents[3] / "docs" / "studies"
# a sign and a colour for each verdict: neither is needed to understand the other
VERDICTS = {
    "holds": ("✓", COLOURS["green"]),
    "fails": ("✗", COLOURS["vermillion"]),
    "undecided": ("?", "#8A6000"),
    "not at this scale": ("–", GREY),
    "untested": ("–", GREY),
    "reported": ("·", GREY),
}


class Links(NamedTuple):
    """Where figures and the studies' pages are, seen from the page."""

    figure: str
    docs: str


SERVED = Links("/results/{scale}/{study}/figures/{name}", "/docs/{study}.md")
COPY = Links("{study}/figures/{name}", "../../docs/studies/{study}.md")  # from results/SCALE/explorer.html
STYLE = """<style>
.claims table {border-collapse: collapse; font: 13px/1.4 sans-serif}
.claims th, .claims td {padding: .3em .7em; text-align: left; vertical-align: top; border-bottom: 1px solid #E4E4E4}
.claims td.number {white-space: nowrap; font-variant-numeric: tabular-nums}
.claims h2 {font: 600 16px sans-serif; margin: 1.2em 0 .3em} .claims summary {cursor: pointer}
.claims details table {margin: .3em 0 .6em; background: #FAFAFA}
.claims .verdict {font-weight: 600; white-space: nowrap}
.claims p {margin: .2em 0}
</style>"""
OPEN = "Open a claim to see all its tests, and the tables and figures behind them."
HEADS = "<th>value [interval]<th>n<th>threshold<th>verdict<th>look<th>to decide it</tr>"


def view(session: Session) -> LayoutDOM:
    """The claims, and what to show of them."""
    claims_of, problems = tables(session.results)
    if not claims_of:
        return message("; ".join(problems) or f"no claims below {session.results.folder}; make some: snakemake claims")
    page = Div(width=1230, name="claims")
    studies = MultiChoice(
        title="studies (none: all)",
        options=[(study, escape(study)) for study in claims_of],
        width=500,
        name="claims-studies",
    )  # it shows HTML
    verdicts = MultiChoice(title="verdicts (none: all)", options=list(VERDICTS)[:5], width=500, name="claims-verdicts")

    def show() -> None:
        chosen = {name: frame for name, frame in claims_of.items() if name in (studies.value or claims_of)}
        page.text = html(session.results, chosen, verdicts.value, SERVED)

    draw = session.drawing(NAME, show)
    for widget in (studies, verdicts):
        widget.on_change("value", lambda attr, old, new: draw())
    draw()
    return Column(*(message(problem) for problem in problems), Row(studies, verdicts), page)


def copy(results: Results) -> LayoutDOM:
    """The claims as a page that needs no server; its links lead to files beside it."""
    claims_of, problems = tables(results)
    return Column(*(message(problem) for problem in problems), Div(text=html(results, claims_of, [], COPY), width=1230))


def tables(results: Results) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """The verdicts of each study that has some, and what is wrong with the others' files."""
    claims_of, problems = {}, []
    for study in results.studies:
        path = results.folder / study / "claims.parquet"
        if path.exists():
            try:
                claims_of[study] = results.table(kinds.common.CLAIMS, path).frame()
            except TableError as error:
                problems.append(str(error))
    return claims_of, problems


def html(results: Results, claims_of: dict[str, pd.DataFrame], verdicts: list[str], links: Links) -> str:
    """The claims of some studies with some verdicts (none: all)."""
    behind = sources(results.scale)
    parts = [STYLE, f'<div class="claims"><p>{NOTE} {OPEN}</p>']
    for study, frame in claims_of.items():
        whole = frame[frame["test"] == ""]
        shown = whole[whole["verdict"].isin(verdicts)] if verdicts else whole
        counts = ", ".join(f"{count} {name}" for name, count in whole["verdict"].value_counts().items())
        parts.append(f"<h2>{escape(study)}</h2><p>{escape(counts)}{_docs(study, links)}</p><table>")
        parts.append(f"<tr><th>claim<th>says<th>paper<th>decided by{HEADS}")
        for _, claim in shown.iterrows():
            tests = frame[(frame["claim"] == claim["claim"]) & (frame["test"] != "")]
            rests_on = _rests_on(results, study, behind.get((study, claim["claim"]), ([], [])), links)
            parts.append(_claim(claim, tests, rests_on))
        parts.append("</table>")
    return "".join([*parts, "</div>"])


def _claim(claim: pd.Series, tests: pd.DataFrame, rests_on: str) -> str:
    rows = "".join(
        f"<tr><td>{escape(test['test'])}<td>{escape(test['group'])}{_numbers(test)}" for _, test in tests.iterrows()
    )
    head = f"<tr><th>test<th>on{HEADS}"
    details = f"<details><summary>{escape(claim['says'])}</summary><table>{head}{rows}</table>{rests_on}</details>"
    name, paper, decided = (escape(claim[key]) for key in ("claim", "paper", "group"))
    return f"<tr><td><b>{name}</b><td>{details}<td>{paper}<td>{decided}{_numbers(claim)}</tr>"


def _numbers(row: pd.Series) -> str:
    result = Result(**{field.name: row[field.name] for field in fields(Result)})
    sign, colour = VERDICTS.get(result.verdict, ("", GREY))
    cells = [with_interval(result), counted(result), result.holds]
    numbers = "".join(f'<td class="number">{escape(cell)}' for cell in cells)
    words = in_full(result, row["differs"]).removeprefix(result.verdict)
    verdict = f'<td><span class="verdict" style="color:{colour}">{sign} {escape(result.verdict)}</span>{escape(words)}'
    return f"{numbers}{verdict}<td>{result.look or ''}<td>{escape(result.needs)}"


@cache
def sources(scale: str) -> dict[tuple[str, str], tuple[list[str], list[str]]]:
    """For each (study, claim): the metrics that it is judged on, and the figures drawn from these or what made them."""
    try:
        studies = Plan({"scale": scale, "studies": ["bayes"]}).studies
    except ConfigError:  # links are not worth losing the page
        return {}
    behind_claims = {}
    for name, study in studies.items():
        metrics, figures = study.entries["metrics"], study.entries["figures"]
        for number, claim in study.claims.items():
            judged = [
                metric for metric in dict.fromkeys(test.source for test in claim.tests.values()) if metric in metrics
            ]
            behind = set(judged) | {source for metric in judged for source in metrics[metric].sources}
            behind = {entry for entry in behind if not entry.startswith("environments.")}
            drawn = [figure for figure, entry in figures.items() if behind & set(entry.sources)]
            behind_claims[name, number] = judged, drawn
    return behind_claims


def _rests_on(results: Results, study: str, behind: tuple[list[str], list[str]], links: Links) -> str:
    metrics, figures = behind
    folder = results.folder / study / "figures"
    drawn = [
        f'{escape(name)} (<a target="_blank" href="{place}.png">PNG</a>, <a target="_blank" href="{place}.pdf">PDF</a>)'
        for name in figures
        if (folder / f"{name}.png").exists()
        for place in [links.figure.format(scale=results.scale, study=study, name=name)]
    ]
    paths = [f"<code>{escape(str(results.path(study, 'metrics', name)))}</code>" for name in metrics]
    return f"<p>Tables: {', '.join(paths) or '–'}</p><p>Figures: {', '.join(drawn) or '–'}</p>"


def _docs(study: str, links: Links) -> str:
    if not (DOCS / f"{study}.md").exists():
        return ""
    return f' · <a target="_blank" href="{links.docs.format(study=study)}">about this study</a>'
