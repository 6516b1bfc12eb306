"""The documentation as a site: it builds without a warning, its links lead somewhere, and it fetches nothing."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.pipeline.trees import ROOT

pytestmark = pytest.mark.slow
EXTRA = ROOT / ".venv" / "docs"
# where a page makes a browser load something
LOADED = {("script", "src"), ("link", "href"), ("img", "src"), ("source", "src"), ("iframe", "src")}


class Page(HTMLParser):
    """The places that links lead to, what is loaded with the page, and its anchors."""

    def __init__(self, text: str):
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name == "id":
                self.anchors.add(value)
            elif (tag, name) in LOADED:
                self.loaded.append(value)
            elif (tag, name) == ("a", "href"):
                self.links.append(value)


def build(out: Path, *options: str, source: Path = ROOT) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", "--conf-dir"]
    places = [str(source / "docs" / "site"), "--doctree-dir", f"{out}.doctrees", *options, str(source), str(out)]
    environment = {**os.environ, "PYTHONPATH": str(EXTRA)}
    return subprocess.run([*command, *places], env=environment, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module", autouse=True)
def installed():
    if not (EXTRA / "ready").exists():
        pytest.skip("Sphinx is not installed: make .venv/docs/ready")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site with a report and a copy of the explorer; its pages by path."""
    folder = tmp_path_factory.mktemp("site")
    for name in ("report.html", "explorer.html"):
        (folder / name).write_text("<!doctype html><title>of a run</title>")
    run = [f"--define={name}={folder / name}.html" for name in ("report", "explorer")]
    built = build(folder / "site", *run)
    assert built.returncode == 0, built.stderr
    return {path: Page(path.read_text(encoding="utf-8")) for path in (folder / "site").rglob("*.html")}


def folder(site) -> Path:
    return next(path.parent for path in site if path.name == "README.html")


def test_every_page_is_there(site):
    written = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "studies").glob("*.md")]
    wanted = {folder(site) / path.relative_to(ROOT).with_suffix(".html") for path in written}
    assert wanted <= set(site)


def test_every_link_and_picture_leads_somewhere(site):
    for path, page in site.items():
        for link in [*page.links, *page.loaded]:
            split = urlsplit(link)
            if split.scheme or split.netloc:
                continue
            target = (path.parent / unquote(split.path)).resolve() if split.path else path
            assert target.is_file(), f"{path.name}: {link}"
            if split.fragment and target in site:
                assert unquote(split.fragment) in {"", *site[target].anchors}, f"{path.name}: {link}"


def test_nothing_is_fetched_from_the_network(site):
    outside = re.compile(r"^(?!data:)([\w+.-]+:|//)")
    for path, page in site.items():
        assert not [address for address in page.loaded if outside.match(address)], path
    for path in folder(site).rglob("*.css"):
        places = re.findall(r"""(?:url\(|@import)\s*['"]?([^'")\s;]+)""", path.read_text(encoding="utf-8"))
        assert not [address for address in places if outside.match(address)], path


def test_it_has_the_report_of_a_run(site):
    links = site[folder(site) / "docs" / "report.html"].links
    assert {"../report.html", "../explorer.html"} <= set(links)


@pytest.mark.parametrize(
    "wrong", ["[a page](nothing.md)", "[a heading](README.md#nothing)", "![a picture](nothing.png)"]
)
def test_a_dead_link_fails(wrong, tmp_path):
    (tmp_path / "README.md").write_text(f"# A page\n\n{wrong}\n")
    conf = (ROOT / "docs" / "site" / "conf.py").read_text(encoding="utf-8")
    (tmp_path / "docs" / "site").mkdir(parents=True)
    for name in ("index.html", "wide.css"):
        (tmp_path / "docs" / "site" / name).write_text("")
    alone = re.sub(r"^CONTENTS = \{.*?^\}", "CONTENTS = {}", conf, flags=re.DOTALL | re.MULTILINE)
    (tmp_path / "docs" / "site" / "conf.py").write_text(alone, encoding="utf-8")
    built = build(tmp_path / "built", source=tmp_path)
    assert built.returncode != 0
    assert "nothing" in built.stderr
