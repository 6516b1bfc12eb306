"""What was worked out of the source is kept for the next process, and never believed of another source."""

import ast
import json

import pytest

from agentomy.pipeline.source import provenance
from agentomy.pipeline.source.provenance import Source
from tests.toy_package import edited, package

FILES = {"lenses/lens.py": "import numpy\ndef look(table):\n    return numpy.abs(table)\n"}
LOOK = "lenses.lens.look"


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(provenance.atexit, "register", lambda keep: None)
    (tmp_path / ".snakemake").mkdir()
    return package(tmp_path, FILES)


def remembering(root) -> Source:
    """A source that has answered and kept its answers, as at the end of a process."""
    source = Source(root, remember=True)
    source.digest(LOOK, names=["one"])
    source.keep()
    return source


def test_a_second_process_reads_no_code(root, monkeypatch):
    first = remembering(root)
    monkeypatch.setattr(Source, "trace", None)
    second = Source(root, remember=True)
    for ask in ("digest", "versions", "words"):
        assert getattr(second, ask)(LOOK, names=["one"]) == getattr(first, ask)(LOOK, names=["one"])


def test_how_a_function_is_called_is_remembered_without_what_it_does(root, monkeypatch):
    text = "class Lens:\n    width = 1\n    def __init__(self, table, *, by: int = 2):\n        self.by = by\n"
    (root / "lenses" / "lens.py").write_text(text + "def look(table, *, by: float) -> int:\n    return by\n")
    source = Source(root, remember=True)
    signatures = {name: ast.unparse(source.find(f"lenses.lens.{name}")) for name in ("Lens", "look")}
    assert signatures == {
        "Lens": "class Lens:\n\n    def __init__(self, table, *, by: int=2):\n        pass",
        "look": "def look(table, *, by: float) -> int:\n    pass",
    }
    source.keep()
    monkeypatch.setattr(Source, "module", None)
    again = Source(root, remember=True)
    assert {name: ast.unparse(again.find(f"lenses.lens.{name}")) for name in signatures} == signatures


def test_any_edit_of_the_package_forgets_everything(root):
    before = remembering(root).digest(LOOK, names=["one"])
    edited(root, "lenses/lens.py", "abs", "sign")
    assert Source(root, remember=True).digest(LOOK, names=["one"]) != before
    edited(root, "lenses/lens.py", "sign", "abs")
    assert Source(root, remember=True).digest(LOOK, names=["one"]) == before


def test_other_names_are_another_question(root):
    (root / "names.py").write_text("def resolve(table, name):\n    return table[name]\n")
    (root / "lenses" / "lens.py").write_text(
        "from agentomy.names import resolve\nTABLE = {'one': 1, 'two': 2}\ndef look(x):\n    return resolve(TABLE, x)\n"
    )
    remembering(root)
    second = Source(root, remember=True)
    assert second.digest(LOOK, names=["two"]) == Source(root).digest(LOOK, names=["two"])
    assert second.digest(LOOK, names=["two"]) != second.digest(LOOK, names=["one"])


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"state": 1}), "\xff"])
def test_broken_notes_are_passed_over(root, text):
    before = remembering(root).digest(LOOK, names=["one"])
    (root.parent / ".snakemake" / "agentomy-code.json").write_bytes(text.encode("latin-1"))
    assert Source(root, remember=True).digest(LOOK, names=["one"]) == before


def test_what_is_kept_lies_where_it_was_looked_for(root, tmp_path, monkeypatch):
    source = Source(root, remember=True)
    source.digest(LOOK)
    (tmp_path / "elsewhere" / ".snakemake").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    source.keep()
    assert not list((tmp_path / "elsewhere" / ".snakemake").iterdir())
    assert (tmp_path / ".snakemake" / "agentomy-code.json").exists()


def test_two_processes_keep_what_both_found(root):
    one, other = Source(root, remember=True), Source(root, remember=True)
    one.digest(LOOK)
    other.digest(LOOK, names=["one"])
    one.keep()
    other.keep()
    assert len(Source(root, remember=True)._remembered.answers) == 2


def test_nothing_is_written_where_snakemake_is_not(root):
    (root.parent / ".snakemake").rmdir()
    remembering(root)
    assert not (root.parent / ".snakemake").exists()
