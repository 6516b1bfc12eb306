"""The first page of Snakemake's report: a scoreboard, then each study's claims and figures with what makes them again.

It is HTML that Snakemake's page shows beside its menu (`workflow/report/workflow.rst`). All text of study files and
tables is escaped; nothing is loaded, and only links to papers lead out of the page.
"""

import json
import os
import platform
import re
import shlex
import subprocess
import time
from collections import Counter
from collections.abc import Collection, Mapping
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from agentomy import kinds
from agentomy.judge.showing import NOTE, parts
from agentomy.pipeline.plan.config import Config
from agentomy.pipeline.plan.study import Plan, Study
from agentomy.pipeline.report import scoreboard
from agentomy.pipeline.report.text import titled
from agentomy.pipeline.uptodate import records
from agentomy.pipeline.uptodate.states import States, said
from agentomy.tables import Table

# Snakemake gives its description half a column beside the graph of rules: here it has the page, and the graph is below
STYLE = """<style>
#app > div > .grow {align-items: flex-start; justify-content: flex-start}
#app > div > .grow > div:has(.agentomy) {flex-wrap: wrap; max-width: 100%}
#app div:has(> .prose > .agentomy), #app div:has(> .prose .agentomy) {max-width: 100%; width: 100%}
#app .prose:has(.agentomy) {max-width: 76rem}
.agentomy {font: 14px/1.45 sans-serif; overflow-wrap: anywhere}
.agentomy table {border-collapse: collapse; margin: .5em 0 1em; width: 100%; font-size: 13px}
.agentomy th, .agentomy td {padding: .3em .7em; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top}
.agentomy th {border-bottom: 2px solid #888; overflow-wrap: normal} .agentomy tr.total td {font-weight: 600}
.agentomy td.number {white-space: nowrap; overflow-wrap: normal}
.agentomy table.facts th {border: 0; font-weight: 600; width: 9em; padding-left: 0} .agentomy table.facts td {border: 0}
.agentomy h1 {font: 600 22px sans-serif; margin: .2em 0 .5em}
.agentomy h2 {font: 600 18px sans-serif; margin: 1.6em 0 .3em; border-top: 2px solid #888; padding-top: .6em}
.agentomy h3 {font: 600 15px sans-serif; margin: 1em 0 .2em} .agentomy p {margin: .3em 0}
.agentomy code {font-size: 12px; font-weight: 400; color: #444; background: #f3f3f3; padding: 0 .3em}
.agentomy code::before, .agentomy code::after {content: ""}
.agentomy .figure {margin: .7em 0} .agentomy .verdict {font-weight: 600; overflow-wrap: normal}
</style>"""


def page(plan: Plan, states: States | None, there: Collection[str], given: Mapping[str, Any]) -> str:
    """The page, as HTML.

    `states` say what is up to date (None: Snakemake decides it, as in a bucket), `there` are the files that the report
    holds, and `given` is what was said with --config.
    """
    held = {Path(file).parts[2] for file in there}
    studies = [plan.studies[name] for name in dict.fromkeys([*plan.config.studies, *plan.names]) if name in held]
    scores = {study.name: scoreboard.score(Path(study.folder)) for study in studies}
    option = options(given)
    sections = "".join(_section(study, there, option) for study in studies)
    head = f"<h1>agentomy: {_counted(len(studies), 'study', 'studies')} at scale {plan.config.scale}</h1>"
    html = (
        f'{STYLE}<div class="agentomy">{head}{_facts(plan, states, studies)}{_board(studies, scores)}'
        f"<p>{escape(NOTE)} A command makes what is missing or out of date; with <code>--force</code> it makes the "
        f"file again in any case.</p>{sections}</div>"
    )
    # docutils, which passes it on, refuses lines of more than 10,000 characters
    return re.sub(r"(?=<(?:tr|div|h2|h3|p)\b)", "\n", html)


def options(given: Mapping[str, Any]) -> str:
    """What has to stand behind a target so that the command means these results; a space first, or nothing."""
    named = {name: value for name, value in given.items() if name in Config.model_fields and name != "studies"}
    words = [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in named.items()]
    return "".join([" --config", *(f" {shlex.quote(word)}" for word in words)]) if words else ""


def command(target: str, option: str) -> str:
    """What makes a target again."""
    return f"snakemake --cores all {target}{option}"


# ---- the run ---------------------------------------------------------------------------------------------------------


def _facts(plan: Plan, states: States | None, studies: list[Study]) -> str:
    facts = {
        "scale": plan.config.scale,
        "report written": time.strftime("%Y-%m-%d %H:%M %Z"),
        "results judged": _judged(studies),
        "code": commit(Path(plan.folder).resolve().parents[1]),
        "up to date": _up_to_date(states),
        "machine": machine(),
        "made on": _made_on(states),
        "seeds": "" if plan.config.seeds is None else f"{plan.config.seeds} of every run",
        "device": plan.config.device,
    }
    rows = "".join(f"<tr><th>{name}</th><td>{escape(fact)}</td></tr>" for name, fact in facts.items() if fact)
    return f'<table class="facts">{rows}</table>'


def commit(folder: Path) -> str:
    """The commit of a working tree, and whether it has changes; empty where it is none."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != folder:
            return ""  # a copy inside somebody else's tree
        changes = git("status", "--porcelain", "--untracked-files=no")
        return f"commit {git('rev-parse', '--short', 'HEAD')}{', with changes' if changes else ''}"
    except (OSError, subprocess.CalledProcessError):
        return ""


def machine() -> str:
    """Platform, processor and cores of this machine."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return f"{platform.platform()}; {(named or [platform.machine()])[0]}; {_counted(cores, 'core', 'cores')}"


def _judged(studies: list[Study]) -> str:
    """The days on which studies were judged, by the dates of these files."""
    days = {
        time.strftime("%Y-%m-%d", time.localtime(path.stat().st_mtime))
        for study in studies
        if (path := Path(study.folder, "claims.parquet")).exists()
    }
    return " to ".join(dict.fromkeys([min(days), max(days)])) if days else ""


def _up_to_date(states: States | None) -> str:
    if states is None:
        return ""
    known = states.known()
    waiting = [key for key, state in known.items() if not state.fits]
    if not waiting:
        return f"all {len(known)} jobs are as this code and these parameters make them"
    return f"no: {len(waiting)} of {len(known)} jobs are not, such as {said(waiting[:1])} of {waiting[0][0]}"


def _made_on(states: States | None) -> str:
    """Kinds of processor, if not all is of this one: the last bits of a number may depend on them."""
    if states is None:
        return ""
    done = [states.record(states.find(key).record) for key in states.known()]
    kinds_of = Counter(record.processor for record in done if record is not None)
    if set(kinds_of) <= {records.processor()}:
        return ""
    return ", ".join(f"{count} jobs on {kind or 'an unknown processor'}" for kind, count in kinds_of.most_common())


# ---- the scoreboard, and the studies ---------------------------------------------------------------------------------


def _board(studies: list[Study], scores: Mapping[str, scoreboard.Score]) -> str:
    rows = [
        f'<td><a href="#study-{study.name}">{study.name}</a><td>{_paper(study)}{_numbers(scores[study.name])}'
        for study in studies
    ]
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    if len(rows) > 1:
        body += f'<tr class="total"><td>in all<td>{_numbers(scoreboard.total(list(scores.values())))}</tr>'
    heads = "".join(f"<th>{name}" for name in ("study", "paper", *scoreboard.COLUMNS))
    return f'<table class="board"><tr>{heads}</tr>{body}</table>'


def _numbers(score: scoreboard.Score) -> str:
    return "".join(f'<td class="number">{cell}' for cell in score.cells)


def _paper(study: Study) -> str:
    paper = study.paper
    title = escape(paper.title)
    # a study file may say anything: `javascript:…` is an address too
    return f'<a href="{escape(paper.url)}">{title}</a>' if re.match(r"https?://", paper.url) else title


def _section(study: Study, there: Collection[str], option: str) -> str:
    return (
        f'<h2 id="study-{study.name}">{study.name}: {_paper(study)}</h2><p>{escape(study.paper.authors)}</p>'
        f"<p><code>{escape(command(study.name, option))}</code></p>"
        f"{_claims(study, there, option)}{_figures(study, there, option)}"
    )


def _claims(study: Study, there: Collection[str], option: str) -> str:
    path, page_of = Path(study.folder, "claims.parquet"), f"{study.folder}/claims.html"
    if not path.exists():
        return ""
    records.compare(path)
    frame = Table(kinds.common.CLAIMS, [path]).frame()
    shown, _ = parts(frame)
    verdicts = frame.loc[frame["test"] == "", "verdict"]
    again = f"<br><code>{escape(command(str(path), option))}</code>"
    rows = "".join(
        f"<tr>{_claim(row, verdict, again)}</tr>" for (_, row), verdict in zip(shown.iterrows(), verdicts, strict=True)
    )
    heads = "".join(f"<th>{name}" for name in ("claim", "says", "verdict", "decided by", "value", "n", "threshold"))
    every = f" · {_open(page_of, 'every test', 'html')}" if page_of in there else ""
    return f"<h3>Claims{every}</h3><table><tr>{heads}</tr>{rows}</table>"


def _claim(row: pd.Series, verdict: str, again: str) -> str:
    sign, colour = scoreboard.VERDICTS.get(verdict, ("", "inherit"))
    words = escape(row["verdict"].removeprefix(verdict))
    paper = f"<br><i>In the paper: {escape(row['paper'])}.</i>" if row["paper"] else ""
    needs = f" To decide it: {escape(row['to decide it'])}." if row["to decide it"] else ""
    return (
        f"<td><b>{escape(row['claim'])}</b><td>{escape(row['says'])}{paper}{again}"
        f'<td><span class="verdict" style="color:{colour}">{sign} {escape(verdict)}</span>{words}{needs}'
        f'<td>{escape(row["on"])}<td class="number">{escape(row["value [interval]"])}'
        f'<td class="number">{escape(row["n"])}<td class="number">{escape(row["threshold"])}'
    )


def _figures(study: Study, there: Collection[str], option: str) -> str:
    items = []
    for name, entry in study.entries["figures"].items():
        path = f"{study.folder}/figures/{name}.png"
        if path in there:
            title, rest = titled(entry)
            rest = "<br>" * bool(entry.title) + escape(rest)
            again = f"<code>{escape(command(path, option))}</code>"
            items.append(f'<div class="figure"><b>{_open(path, title, "img")}</b>{rest}<br>{again}</div>')
    return f"<h3>Figures</h3>{''.join(items)}" if items else ""


def _open(path: str, text: str, content: str) -> str:
    """A link that shows a file of the report, and what is said of it in the menu."""
    place = json.dumps(path)
    script = f"void app.setView({{navbarMode: 'resultinfo', resultPath: {place}, content: '{content}', "
    script += f"contentPath: results[{place}].data_uri}})"
    return f'<a href="javascript:{escape(script)}">{escape(text)}</a>'


def _counted(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"
