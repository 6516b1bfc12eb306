"""The page: a tab for each view."""

from functools import partial
from html import escape
from types import ModuleType

from bokeh.document import Document
from bokeh.models import Column, Div, LayoutDOM

from agentomy.explorer import agents, claims, groups, maze, memory, overview, path, training
from agentomy.explorer.drawing import WHOLE, few, message, said_why
from agentomy.explorer.results import Results
from agentomy.explorer.session import Session, in_a_line

VIEWS = (overview, agents, maze, training, groups, path, memory, claims)
TEMPLATE = """
{% block preamble %}<style>
body { margin: 8px 14px; font-family: sans-serif; color: #222 }
</style>{% endblock %}
"""


def fill(document: Document, results: Results) -> None:
    """Make the page of a visitor; where a view cannot be made, the page says why."""
    session = Session(results, document)
    session.offer({module.NAME: partial(view_or_reason, module, session) for module in VIEWS})
    head = f"<b>agentomy explorer</b> · scale {escape(results.scale)} · {escape(str(results.folder))}"
    problems = "".join(map(said_why, few(results.problems)))
    session.listen()
    document.title = f"agentomy explorer: {results.scale}"
    document.template = TEMPLATE
    top = Div(text=f'<div style="font:15px sans-serif">{head}</div>{problems}', name="head", **WHOLE)
    session.open()
    document.add_root(Column(top, session.said, session.tabs, session.bridge, session.known, name="page", **WHOLE))


def view_or_reason(module: ModuleType, session: Session) -> LayoutDOM:
    """What a view shows, or a message why it cannot be made."""
    try:
        return module.view(session)
    except Exception as error:
        return message(in_a_line(error))
