"""What an artifact was made from: the source code that it really uses, and the versions of the libraries below it.

Code is followed statically, definition by definition: a function, what it names in its own module, and what that
imports inside the package, transitively (reading.py says what counts of each). So editing one figure redraws one
figure, and editing a line that a training run really uses retrains it. Two things are not followed:

- **The engine** (`package.ENGINE`), which runs every job: it counts by the number of its format (`jobs.FORMAT`), which
  has to be raised when its output changes. What it calls outside itself is followed.
- **Tables of names** that are looked up through `names.resolve`: an entry counts where its name can occur, in what the
  job is given or in the code that it uses.

Code that cannot be followed is refused by `python -m agentomy.pipeline.source.refusals`, which is part of `make lint`.

The minor version of Python counts as a library does (`jobs.PYTHON`): not because it reads the code differently, but
because its own arithmetic changes with it (since 3.12 `sum` of floats is compensated).
"""

import ast
import atexit
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from agentomy.pipeline.source.definitions import LOOKED_UP, PACKAGE, Definition, Reference
from agentomy.pipeline.source.package import Package, UnknownName
from agentomy.pipeline.source.reading import KINDS
from agentomy.pipeline.source.remembered import Remembered

__all__ = ["Source", "UnknownName"]


@dataclass
class Trace:
    """Everything that some places use, given the names that data can hold."""

    used: dict[Reference, Definition] = field(default_factory=dict)
    libraries: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)  # all texts in the code
    named: set[str] = field(default_factory=set)  # places that it names
    meant: dict[Reference, list[Reference]] = field(default_factory=dict)  # table → the entries that count
    roots: list[Reference] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)  # the names in these tables
    sections: set[str] = field(default_factory=set)  # of the package, in which places are looked up by name

    def is_place(self, name: str) -> bool:
        return name.partition(".")[0] in self.sections

    def asks(self, names: frozenset[str]) -> set[str]:
        """Which of these names make a difference."""
        return (names & self.asked) | ({name for name in names if self.is_place(name)} if self.sections else set())


class Source(Package):
    """The package's source tree as a graph of definitions."""

    def __init__(self, root: Path | str | None = None, remember: bool = False):
        """The package below `root`; with `remember`, answers are kept for the next process."""
        super().__init__(root)
        self._remembered = Remembered("agentomy-code.json", self._content()) if remember else None
        if remember:
            atexit.register(self.keep)
        self._traces: dict[tuple[str, ...], list[tuple[frozenset[str], Trace]]] = {}
        self._answers: dict[tuple[tuple[str, ...], frozenset[str]], dict[str, Any]] = {}
        self.beyond = cache(self._beyond)

    def keep(self) -> None:
        """Write what was found so far, for processes that start before this one ends."""
        if self._remembered:
            self._remembered.keep()

    # ---- closures -------------------------------------------------------------------------------------------------

    def trace(self, *places: str, names: Iterable[str] = ()) -> Trace:
        """Everything that the given places use, if data can hold these names."""
        names = frozenset(names)
        traces = self._traces.setdefault(places, [])
        for given, trace in traces:
            if trace.asks(given) == trace.asks(names):
                return trace
        trace = self._trace(places, names)
        traces.append((names, trace))
        return trace

    def _trace(self, places: tuple[str, ...], names: frozenset[str]) -> Trace:
        trace = Trace()
        for place in places:
            definition, rest = self.resolved([PACKAGE, *place.split(".")])
            if definition is None or rest:
                self.find(place)  # says what there is
            trace.roots.append(definition)
        waiting, named = [*trace.roots], {}
        while waiting:
            self._follow(trace, waiting)
            # what names can mean, now that all of these are known
            waiting = self._meant(trace, names | trace.words)
            for word in names | trace.named:
                definition, rest = self.resolved([PACKAGE, *word.split(".")]) if trace.is_place(word) else (None, [])
                if definition and definition.name and not rest and definition not in trace.used:
                    named[word] = definition
                    waiting.append(definition)
        trace.roots += [named[word] for word in sorted(named)]
        return trace

    def _follow(self, trace: Trace, waiting: list[Reference]) -> None:
        """Add everything that can be reached."""
        while waiting:
            place = waiting.pop()
            if place in trace.used:
                continue
            definition = trace.used[place] = self.definition(place)
            trace.libraries |= definition.libraries
            if self.is_engine(place.module):
                waiting += self._called(definition)
                continue
            if definition.attributes & self._gives_frames:
                trace.libraries.add("pandas")
            waiting += [*definition.references, *self.loose(place.module)]
            trace.words |= definition.words
            trace.named |= definition.named
            trace.sections |= definition.sections
            if place.key == LOOKED_UP:
                trace.meant[place] = []
                trace.asked |= set(self.entries(place._replace(key="")))

    def _called(self, definition: Definition) -> list[Reference]:
        """What a definition of the engine uses; the kinds that the engine itself writes belong to its format."""
        return [reference for reference in definition.references if not f"{reference.module}.".startswith(f"{KINDS}.")]

    def _meant(self, trace: Trace, names: set[str]) -> list[Reference]:
        """The entries of tables that count but are missing: those of names that can occur and of classes in use."""
        implied = []
        for table, entries in trace.meant.items():
            for key, (named, _) in self.entries(table._replace(key="")).items():
                entry = table._replace(key=key)
                if entry not in entries and (named in trace.used if named else key in names):
                    entries.append(entry)
                    implied.append(entry)
        return implied

    @cached_property
    def _gives_frames(self) -> set[str]:
        """Names of attributes that give a pandas frame, without an import of pandas: `to_pandas`, `Table.frame`, …"""
        module = self.module(f"{PACKAGE}.tables")
        definitions = module.definitions.values() if module else ()
        nodes = [node for definition in definitions for node in ast.walk(definition[-1])]
        return {"to_pandas"} | {
            node.name
            for node in nodes
            if isinstance(node, ast.FunctionDef)
            and any(isinstance(inner, ast.Attribute) and inner.attr == "to_pandas" for inner in ast.walk(node))
        }

    def closure(self, *places: str, names: Iterable[str] = ()) -> tuple[dict[tuple[str, str], list[ast.AST]], set[str]]:
        """Everything the given places use: package definitions by (module, name), and third-party packages."""
        trace = self.trace(*places, names=names)
        used: dict[tuple[str, str], list[ast.AST]] = {}
        for place, definition in trace.used.items():
            if not self.is_engine(place.module):
                used.setdefault((place.module, place.name), []).extend(definition.statements)
        return used, trace.libraries

    # ---- answers --------------------------------------------------------------------------------------------------

    def digest(self, *places: str, names: Iterable[str] = ()) -> str:
        """A hash of the code that the given places really use, if data can hold these names."""
        return self._answer(places, frozenset(names))["digest"]

    def words(self, *places: str, names: Iterable[str] = ()) -> set[str]:
        """The names that data can hold behind these places: those that it held before, and those in their code.

        Of all the texts there only those that mean something in some table of the package, and places that are named.
        """
        return {*names, *self._answer(places, frozenset(names))["words"]}

    def versions(self, *places: str, names: Iterable[str] = ()) -> dict[str, str]:
        """The versions of the third-party distributions that the given places import."""
        versions = {name: _distribution_version(name) for name in self._answer(places, frozenset(names))["libraries"]}
        return {name: version for name, version in versions.items() if version}

    def _answer(self, places: tuple[str, ...], names: frozenset[str]) -> dict[str, Any]:
        asked = places, names
        if asked not in self._answers:
            kept, question = self._remembered, json.dumps([places, sorted(names)])
            if kept is None or question not in kept.answers:
                trace = self.trace(*places, names=names)
                answer = {"digest": self._digest(trace), "libraries": sorted(trace.libraries)}
                answer["words"] = sorted((trace.words & self._keys) | trace.named)
                if kept is not None:
                    kept.answers[question], kept.new = answer, True
            self._answers[asked] = answer if kept is None else kept.answers[question]
        return self._answers[asked]

    def find(self, place: str) -> ast.FunctionDef | ast.ClassDef:
        """The function or class at a dotted place below the package, perhaps without its body."""
        kept, question = self._remembered, f"find {place}"
        if kept is None:
            return super().find(place)
        if question not in kept.answers:
            kept.answers[question], kept.new = ast.unparse(_head(super().find(place))), True
        return ast.parse(kept.answers[question]).body[0]

    def _content(self) -> str:
        """A hash of all files of the package."""
        total = hashlib.sha256()
        for path in sorted(self.root.rglob("*")):
            if path.is_file() and path.parent.name != "__pycache__":
                total.update(b"%s\0%s\0" % (str(path.relative_to(self.root)).encode(), path.read_bytes()))
        return total.hexdigest()

    def _digest(self, trace: Trace) -> str:
        """Definitions are numbered in the order in which they are met, and refer to each other by these numbers.

        Two closures have the same text if and only if they are the same code, wherever it stands.
        """
        total = hashlib.sha256()
        order, numbers = [], {}

        def number(place: Reference) -> bytes:
            if place not in numbers:
                numbers[place] = b"#%d" % len(numbers)
                order.append(place)
            return numbers[place]

        for root in trace.roots:
            total.update(number(root))
        for place in order:  # which grows
            if self.is_engine(place.module):
                total.update(place.name.encode())
                for reference in self.beyond(place):
                    number(reference)
                continue
            pieces = trace.used[place].pieces
            if place.key == LOOKED_UP:
                pieces = [piece for entry in sorted(trace.meant[place]) for piece in (entry.key, entry)]
            for piece in pieces:
                if isinstance(piece, Reference):
                    total.update(number(piece))
                else:
                    total.update(piece if isinstance(piece, bytes) else piece.encode())
            total.update(b"\0")
            for reference in self.loose(place.module):
                number(reference)
        return total.hexdigest()[:16]

    def _beyond(self, place: Reference) -> list[Reference]:
        """What the engine calls outside itself, from one of its definitions on; the order inside it does not matter."""
        seen, waiting = set(), [place]
        while waiting:
            reference = waiting.pop()
            if reference not in seen:
                seen.add(reference)
                waiting += self._called(self.definition(reference)) if self.is_engine(reference.module) else []
        outside = [reference for reference in seen if not self.is_engine(reference.module)]
        return sorted(outside, key=lambda reference: (reference.name, reference))

    @cached_property
    def _keys(self) -> set[str]:
        """Every name in a table of the package (nobody whose code counts knows the explorer)."""
        names = [f"{PACKAGE}.{name}" for name in self.modules if not name.startswith("explorer")]
        modules = [module for module in map(self.module, names) if module]
        return {
            key
            for module in modules
            for reference in self.definitions_of(module.name)
            for key in self.entries(reference)
        }


def _head(definition: ast.FunctionDef | ast.ClassDef) -> ast.FunctionDef | ast.ClassDef:
    """The part of a definition that says how it is called."""
    if isinstance(definition, ast.ClassDef):
        functions = [statement for statement in definition.body if isinstance(statement, ast.FunctionDef)]
        heads = [_head(function) for function in functions if function.name == "__init__"]
        return ast.ClassDef(definition.name, [], [], heads or [ast.Pass()], [])
    name, line = definition.name, definition.lineno
    return ast.FunctionDef(name, definition.args, [ast.Pass()], [], definition.returns, lineno=line)


@cache
def _distribution_version(library: str) -> str:
    """The version of the distribution that provides an importable name; '' for the standard library."""
    for name in (library, {"sklearn": "scikit-learn", "PIL": "pillow", "yaml": "PyYAML"}.get(library, library)):
        try:
            # a local label such as +cpu names a build, not other code
            return metadata.version(name).partition("+")[0]
        except metadata.PackageNotFoundError:
            continue
    return ""
