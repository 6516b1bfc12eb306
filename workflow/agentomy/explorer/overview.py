"""The overview: what there is to look into, by study and by view."""

from collections.abc import Callable
from html import escape

from bokeh.models import Button, Column, Div, LayoutDOM, Row

from agentomy.explorer import activations, beliefs, claims, evidence, paths
from agentomy.explorer.choices import maze_runs
from agentomy.explorer.drawing import WHOLE, few, said_why
from agentomy.explorer.results import Results, Run
from agentomy.explorer.session import Session
from agentomy.tables import TableError

NAME = "overview"
STYLE = """<style>
table {border-collapse: collapse; font: 13px/1.4 sans-serif; margin: .4em 0 1em}
th, td {padding: .3em .8em; text-align: left; vertical-align: top; border-bottom: 1px solid #E4E4E4}
tr.total td {font-weight: 600; border-top: 2px solid #999} p {margin: .3em 0} .verdict {font-weight: 600}
</style>"""


def of_agents(results: Results) -> str:
    findings, problems = evidence.evidence(results)
    return (
        _counted(len(findings), "agent", "agents") + " beside untrained twins" + "".join(map(said_why, few(problems)))
    )


def of_mazes(results: Results) -> str:
    return _counted(len(maze_runs(results)), "agent that runs", "agents that run") + " through mazes"


def of_groups(results: Results) -> str:
    tables, problems = activations.feature_tables(results)
    if not tables:
        raise TableError(f"no features of layers: {'; '.join(problems) or results.missing('maze')}")
    return _counted(len(tables), "table", "tables") + " of features of layers"


def of_paths(results: Results) -> str:
    return _counted(len(paths.routes(results)[0]), "path", "paths") + " through parameter space"


def of_memory(results: Results) -> str:
    return _counted(len(beliefs.predictors(results)), "predictor", "predictors") + " beside the exact posterior"


def of_claims(results: Results) -> str:
    claims_of, problems = claims.tables(results)
    if not claims_of:
        raise TableError("; ".join(problems) or claims.missing(results))
    return claims.total(claims_of) + "".join(map(said_why, few(problems)))


# what each view is for, and what it has to show: HTML, or a `TableError` that says how to make some
VIEWS: dict[str, tuple[str, Callable[[Results], str]]] = {
    "agents": ("Your own agent, or one of the studies: returns, use of layers, and a game step by step.", of_agents),
    "maze": ("Change a maze and a policy's activations by hand, and see what the agent makes of it.", of_mazes),
    "along training": ("The same maze at every snapshot of two agents, side by side.", of_mazes),
    "pixel groups": ("Pixels of a layer that are alike: name the groups and repair them.", of_groups),
    "path": ("Where training led an agent, and policies near its path.", of_paths),
    "memory": ("What a predictor remembers of a sequence of outcomes.", of_memory),
    "claims": ("Each claim with its verdict, its tests, and what they rest on.", of_claims),
}


def view(session: Session) -> LayoutDOM:
    """A table of studies, and a button for each view with what it has to show."""
    results = session.results
    table = Div(text=STYLE + studies(results), name="overview-studies", **WHOLE)
    rows = []
    for name, (purpose, count) in VIEWS.items():
        button = Button(label=f"open: {name}", width=150, name=f"open-{name.replace(' ', '-')}")
        button.on_click(lambda name=name: session.go(name))
        try:
            there = f"{escape(purpose)} Here: {count(results)}"
        except TableError as error:
            there = f"{escape(purpose)} {said_why(str(error))}"
        rows.append(Row(button, Div(text=STYLE + there, **WHOLE), **WHOLE))
    return Column(table, *rows, **WHOLE)


def studies(results: Results) -> str:
    """The studies with their runs and claims, and the totals, as HTML."""
    if not results.studies:
        command = f"snakemake --cores 2 --config scale={results.scale}"
        return said_why(f"There is nothing below {results.folder} yet; to make everything at this scale: {command}")
    claims_of, _ = claims.tables(results)
    runs = list(results.runs())
    rows = [_row(results, study, [run for run in runs if run.study == study], claims_of) for study in results.studies]
    if len(rows) > 1:
        rows.append(f"<tr class=total><td>in all{_runs(runs)}<td>{_verdicts(claims_of)}<td></tr>")
    head = "<tr><th>study<th>runs<th>seeds<th>imported<th>claims<th>about</tr>"
    note = (
        "<p>Runs are agents and other networks whose parameters are here; <i>imported</i> are those that were trained "
        "elsewhere.</p>"
    )
    return f"<table>{head}{''.join(rows)}</table>{note}"


def _row(results: Results, study: str, runs: list[Run], claims_of: dict) -> str:
    claims_here = {study: claims_of[study]} if study in claims_of else {}
    page = f'<a target="_blank" href="/docs/{study}.md">page</a>' if claims.has_page(study) else ""
    return f"<tr><td>{escape(study)}{_runs(runs)}<td>{_verdicts(claims_here)}<td>{page}</tr>"


def _runs(runs: list[Run]) -> str:
    return f"<td>{len(runs)}<td>{sum(len(run.files) for run in runs)}<td>{sum(run.imported for run in runs)}"


def _verdicts(claims_of: dict) -> str:
    return claims.total(claims_of) if claims_of else "none judged here"


def _counted(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"
