"""Small packages to read: files by name below `agentomy`."""

import textwrap
from pathlib import Path

from agentomy.pipeline.source.provenance import Source

TABLES = """
    from dataclasses import dataclass
    import pyarrow

    @dataclass(frozen=True)
    class Column:
        name: str
        type: str
        meaning: str
        unit: str = ""

    class Table:
        def frame(self):
            return self.arrow().to_pandas()

        def arrow(self):
            return pyarrow.table({})

    def read():
        return 1

    def write():
        return 2
    """
NAMES = """
    def resolve(table, name):
        return table[name]

    def place(section, use):
        return use
    """
NETWORKS = """
    from agentomy import names

    def use(network):
        return network.__name__

    def build(description, seeds):
        return names.place("networks", description)
    """


def package(folder: Path, files: dict[str, str]) -> Path:
    """Write a package with the modules that are treated in a special way, and these files."""
    given = {"tables.py": TABLES, "names.py": NAMES, "networks/__init__.py": NETWORKS, "kinds/__init__.py": "", **files}
    for name, text in given.items():
        path = folder / "agentomy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))
        for parent in path.relative_to(folder).parents[:-1]:
            (folder / parent / "__init__.py").touch()
    return folder / "agentomy"


def edited(root: Path, file: str, before: str, after: str) -> None:
    path = root / file
    assert before in path.read_text(), f"{file} has no {before!r}"
    path.write_text(path.read_text().replace(before, after))


def changed(root: Path, places: list[str], file: str, before: str, after: str, names=()) -> set[str]:
    """The places whose digest an edit changes."""
    first, second = Source(root), None
    digests = {place: first.digest(place, names=names) for place in places}
    edited(root, file, before, after)
    second = Source(root)
    return {place for place in places if second.digest(place, names=names) != digests[place]}
