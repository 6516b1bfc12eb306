"""`python -m agentomy.explorer.static SCALE FILE`: the views that need no server, as one self-contained page."""

import re
import sys
from pathlib import Path

import torch
from bokeh.embed import file_html
from bokeh.models import Column, Div, LayoutDOM, TabPanel, Tabs
from bokeh.resources import INLINE

from agentomy.explorer import claims, still
from agentomy.explorer.drawing import WHOLE, message
from agentomy.explorer.pages import TEMPLATE
from agentomy.explorer.results import Results, planned
from agentomy.tables import TableError, replacing

# a tab and what fills it from the results
COPIES = {"claims": claims.copy, "mazes along training": still.copy}


def write(results: Results, path: Path) -> None:
    """Write the page; where a view cannot be shown, the page says why."""
    tabs = [TabPanel(child=_made(copy, results), title=name) for name, copy in COPIES.items()]
    head = f'<div style="font:15px sans-serif"><b>agentomy explorer</b> · scale {results.scale} · a copy</div>'
    page = Column(Div(text=head, **WHOLE), Tabs(tabs=tabs, **WHOLE), **WHOLE)
    html = file_html(page, INLINE, f"agentomy explorer: {results.scale}", template=TEMPLATE)
    with replacing(path) as file:
        file.write(same(html).encode())


def _made(copy, results: Results) -> LayoutDOM:
    try:
        return copy(results)
    except TableError as error:
        return message(str(error))


def same(html: str) -> str:
    """The page with its random identifiers numbered, so that the same results give the same bytes."""
    identifiers = dict.fromkeys(re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", html))
    for number, identifier in enumerate(identifiers):
        html = html.replace(identifier, f"00000000-0000-4000-8000-{number:012x}")
    return html


if __name__ == "__main__":
    torch.set_num_threads(1)
    scale, place = sys.argv[1:]
    write(Results("results", scale, planned(scale)), Path(place))
