"""How Sphinx makes the site of README, CHANGELOG, CONTRIBUTING and docs/: `make docs`.

The pages are Markdown that GitHub shows too, so what only a site has is added here: the table of contents, the way in
(index.html) and the report of a run.
"""

import re
from pathlib import Path

from pygments.lexers.special import TextLexer

ROOT = Path(__file__).parents[2]

project = "agentomy"
html_title = "agentomy"
author = copyright = "The agentomy developers"
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["*.md", "docs/*.md", "docs/studies/*.md"]
# not walked: there may be a million files in them
exclude_patterns = [".*", "envs", "examples", "profiles", "results", "rules", "site", "tests", "workflow"]
myst_heading_anchors = 4  # links to headings, as on GitHub

html_theme = "furo"
html_static_path = ["wide.css"]
html_css_files = ["wide.css"]
html_extra_path = ["index.html"]
html_copy_source = False
html_use_index = False

# what stands beside every page, after the start
CONTENTS = {
    "A first look": ("docs/tour", "docs/report"),
    "Studies": tuple(f"docs/studies/{page.stem}" for page in sorted((ROOT / "docs" / "studies").glob("*.md"))),
    "Use it": (
        "docs/install",
        "docs/explorer",
        "docs/own-agent",
        "docs/verdicts",
        "docs/reruns",
        "docs/pack",
        "docs/cluster",
    ),
    "Look up": ("docs/study-file", "docs/lenses", "docs/agents", "docs/artifacts"),
    "Rely on it": ("docs/trust", "docs/performance", "docs/dependencies"),
    "Change it": ("docs/ARCHITECTURE", "CONTRIBUTING", "CHANGELOG"),
}


def with_contents(_, page: str, source: list[str]) -> None:
    """The start is followed by the table of contents."""
    if page == root_doc:
        for caption, pages in CONTENTS.items():
            lines = ["```{toctree}", ":hidden:", ":titlesonly:", f":caption: {caption}", "", *pages, "```"]
            source[0] += "\n" + "\n".join(lines) + "\n"


def without_folders(_, page: str, source: list[str]) -> None:
    """Links to folders, which GitHub lists, are plain text."""
    here = (ROOT / page).parent

    def text(link: re.Match) -> str:
        return link[1] if (here / link[2]).is_dir() else link[0]

    source[0] = re.sub(r"\[([^\]]*)\]\(([\w./-]+)\)", text, source[0])


def with_report(app, page: str, source: list[str]) -> None:
    """Links to the report and the copy of the explorer, instead of what docs/report.md says without them."""
    names = {Path(path).name: says for path, says in copied(app.config).items()}
    if page == "docs/report" and names:
        links = "\n".join(f'- <a href="../{name}">{says}</a>' for name, says in names.items())
        source[0] = re.sub("<!-- report -->.*?<!-- end -->", lambda _: links, source[0], flags=re.DOTALL)


def copied(config) -> dict[str, str]:
    """The files of a run that the site has a copy of, and what each is."""
    said = {
        config.report: "The report: every claim and every figure",
        config.explorer: "The explorer's copy: what needs no server",
    }
    return {path: says for path, says in said.items() if path}


def copy(_, config) -> None:
    config.html_extra_path += [str(ROOT / path) for path in copied(config)]


def setup(app) -> None:
    app.add_config_value("report", "", "env")
    app.add_config_value("explorer", "", "env")
    app.add_lexer("csv", TextLexer)  # Pygments knows none
    app.connect("config-inited", copy)
    app.connect("source-read", with_contents)
    app.connect("source-read", with_report)
    app.connect("source-read", without_folders)
