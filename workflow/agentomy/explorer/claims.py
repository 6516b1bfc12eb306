"""The claims page: every claim of every study with its verdict, its tests, and what they rest on."""

import re
from dataclasses import fields
from functools import cache
from html import escape
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from bokeh.models import Column, Div, LayoutDOM, MultiChoice

from agentomy import kinds
from agentomy.drawing.style import GREY
from agentomy.explorer.drawing import WHOLE, few, message, wrapping
from agentomy.explorer.results import Results
from agentomy.explorer.session import Session
from agentomy.judge.results import Result
from agentomy.judge.showing import NOTE, counted, in_full, with_interval
from agentomy.mistakes import ConfigError
from agentomy.pipeline.plan.study import Plan
from agentomy.pipeline.report.scoreboard import VERDICTS
from agentomy.pipeline.report.text import label
from agentomy.tables import TableError

NAME = "claims"
DOCS = Path(__file__).parents[3] / "docs" / "studies"


class Links(NamedTuple):
    """Where figures and the studies' pages are, seen from the page."""

    figure: str
    docs: str


SERVED = Links("/results/{scale}/{study}/figures/{name}", "/docs/{study}.md")
COPY = Links("{study}/figures/{name}", "../../docs/studies/{study}.md")  # from results/SCALE/explorer.html
STYLE = """<style>
.claims {font: 13px/1.4 sans-serif; overflow-wrap: anywhere}
.claims table {border-collapse: collapse; font-size: 12px; margin: .3em 0 .6em; background: #FAFAFA; width: 100%}
.claims th, .claims td {padding: .3em .5em; text-align: left; vertical-align: top; border-bottom: 1px solid #E4E4E4}
.claims h2 {font: 600 16px sans-serif; margin: 1.2em 0 .3em}
.claims .row {display: grid; grid-template-columns: 5.5em 7.5em minmax(0, 1fr) 9em 5em 6em; column-gap: 1em;
              padding: .35em 0; border-bottom: 1px solid #E4E4E4}
.claims summary.row {cursor: pointer} .claims .head {font-weight: 600}
.claims summary b::before {content: "▸ "} .claims details[open] > summary b::before {content: "▾ "}
.claims .more {margin-left: 1.2em}
.claims .verdict {font-weight: 600; overflow-wrap: normal}
.claims p {margin: .2em 0}
</style>"""
OPEN = "Open a claim to see all its tests, and the tables and figures behind them."
HEADS = "<th>test<th>on<th>value [interval]<th>n<th>threshold<th>verdict<th>look<th>to decide it"
COLUMNS = ("claim", "verdict", "says", "value [interval]", "n", "threshold")


def view(session: Session) -> LayoutDOM:
    """The claims, and what to show of them."""
    claims_of, problems = tables(session.results)
    if not claims_of:
        return message("; ".join(problems) or missing(session.results))
    page = Div(name="claims", **WHOLE)
    studies = MultiChoice(
        title="studies (none: all)",
        options=[(study, escape(study)) for study in claims_of],
        width=400,
        name="claims-studies",
    )  # it shows HTML
    verdicts = MultiChoice(title="verdicts (none: all)", options=list(VERDICTS)[:5], width=400, name="claims-verdicts")

    def show() -> None:
        chosen = {name: frame for name, frame in claims_of.items() if name in (studies.value or claims_of)}
        page.text = html(session.results, chosen, verdicts.value, SERVED)

    draw = session.drawing(NAME, show)
    for widget in (studies, verdicts):
        widget.on_change("value", lambda attr, old, new: draw())
    draw()
    return Column(*map(message, few(problems)), wrapping(studies, verdicts), page, **WHOLE)


def copy(results: Results) -> LayoutDOM:
    """The claims as a page that needs no server; its links lead to files beside it."""
    claims_of, problems = tables(results)
    return Column(*map(message, few(problems)), Div(text=html(results, claims_of, [], COPY), **WHOLE), **WHOLE)


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
    parts = [STYLE, f'<div class="claims"><p class="total"><b>In all: {total(claims_of)}.</b></p><p>{NOTE} {OPEN}</p>']
    for study, frame in claims_of.items():
        whole = frame[frame["test"] == ""]
        shown = whole[whole["verdict"].isin(verdicts)] if verdicts else whole
        parts.append(f"<h2>{escape(study)}</h2><p>{total({study: frame})}{_docs(study, links)}</p>")
        parts.append(f'<div class="row head">{"".join(f"<span>{name}</span>" for name in COLUMNS)}</div>')
        for _, claim in shown.iterrows():
            tests = frame[(frame["claim"] == claim["claim"]) & (frame["test"] != "")]
            rests_on = _rests_on(results, study, behind.get((study, claim["claim"]), ([], {})), links)
            parts.append(_claim(claim, tests, rests_on))
    return "".join([*parts, "</div>"])


def missing(results: Results) -> str:
    """What to say where no claim has been judged."""
    command = f"snakemake --cores 2 --config scale={results.scale} -- claims"
    return f"no claims below {results.folder}; to make some: {command}"


def has_page(study: str) -> bool:
    """Whether the documentation has a page about a study."""
    return (DOCS / f"{study}.md").exists()


def counts(claims_of: dict[str, pd.DataFrame]) -> dict[str, int]:
    """How many claims there are with each verdict, in the order of `VERDICTS`."""
    verdicts = pd.concat([frame.loc[frame["test"] == "", "verdict"] for frame in claims_of.values()]).value_counts()
    return {verdict: int(verdicts[verdict]) for verdict in VERDICTS if verdict in verdicts}


def total(claims_of: dict[str, pd.DataFrame]) -> str:
    """The number of claims, and how many have which verdict, as HTML."""
    count_of = counts(claims_of)
    named = ", ".join(f"{shown(verdict)} {count}" for verdict, count in count_of.items())
    return f"{sum(count_of.values())} claims: {named}"


def shown(verdict: str) -> str:
    """A verdict with its sign, in its colour."""
    sign, colour = VERDICTS.get(verdict, ("", GREY))
    return f'<span class="verdict" style="color:{colour}">{sign} {escape(verdict)}</span>'


def _claim(claim: pd.Series, tests: pd.DataFrame, rests_on: str) -> str:
    rows = "".join(f"<tr>{_test(test)}</tr>" for _, test in tests.iterrows())
    result, words = _result(claim)
    aside = escape(re.sub(r"^\((.*?)\)", r"\1", words.strip(" ;,")))  # it gets brackets of its own
    said = escape(claim["says"]) + (f" <i>({aside})</i>" if aside else "")
    cells = [f"<b>{escape(claim['claim'])}</b>", shown(result.verdict), said]
    cells += map(escape, (with_interval(result), counted(result), result.holds))
    facts = {
        "In the paper": claim["paper"], "Decided by": claim["group"], "Look": str(result.look or ""),
        "To decide it": result.needs,
    }  # fmt: skip
    about = " ".join(f"<b>{name}:</b> {escape(fact)}." for name, fact in facts.items() if fact)
    line = "".join(f"<span>{cell}</span>" for cell in cells)
    inside = f'<div class="more"><p>{about}</p><table><tr>{HEADS}</tr>{rows}</table>{rests_on}</div>'
    return f'<details><summary class="row">{line}</summary>{inside}</details>'


def _test(test: pd.Series) -> str:
    result, words = _result(test)
    texts = [test["test"], test["group"], with_interval(result), counted(result), result.holds]
    cells = "".join(f"<td>{escape(text)}" for text in texts)
    return f"{cells}<td>{shown(result.verdict)}{escape(words)}<td>{result.look or ''}<td>{escape(result.needs)}"


def _result(row: pd.Series) -> tuple[Result, str]:
    """A row as a result, and what belongs to its verdict."""
    result = Result(**{field.name: row[field.name] for field in fields(Result)})
    return result, in_full(result, row["differs"]).removeprefix(result.verdict)


@cache
def sources(scale: str) -> dict[tuple[str, str], tuple[list[str], dict[str, str]]]:
    """For each (study, claim): the metrics that it is judged on, and the figures drawn from these or what made them.

    Figures are name → title.
    """
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
            drawn = {name: label(entry) for name, entry in figures.items() if behind & set(entry.sources)}
            behind_claims[name, number] = judged, drawn
    return behind_claims


def _rests_on(results: Results, study: str, behind: tuple[list[str], dict[str, str]], links: Links) -> str:
    metrics, figures = behind
    folder = results.folder / study / "figures"
    drawn = [
        f'<span title="{escape(name)}">{escape(title)}</span> '
        f'(<a target="_blank" href="{place}.png">PNG</a>, <a target="_blank" href="{place}.pdf">PDF</a>)'
        for name, title in figures.items()
        if (folder / f"{name}.png").exists()
        for place in [links.figure.format(scale=results.scale, study=study, name=name)]
    ]
    paths = [f"<code>{escape(str(results.path(study, 'metrics', name)))}</code>" for name in metrics]
    return f"<p>Tables: {', '.join(paths) or '–'}</p><p>Figures: {'; '.join(drawn) or '–'}</p>"


def _docs(study: str, links: Links) -> str:
    if not has_page(study):
        return ""
    return f' · <a target="_blank" href="{links.docs.format(study=study)}">about this study</a>'
