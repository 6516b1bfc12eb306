"""What an artifact was made from: the source code it really uses, and the versions of the libraries under it.

Code is followed statically, definition by definition: a function, what it names in its own module, and what that
imports inside the package, transitively (reading.py says what counts of each). So editing one figure redraws one
figure, and editing a line that a training run really uses retrains it. Two things are not followed:

- **The engine** (`ENGINE`), which runs every job: it counts by the number of its format (`jobs.FORMAT`), which whoever
  changes what it makes has to raise. What it calls outside itself is followed.
- **Tables of names** that are looked up through `names.resolve`: an entry counts where its name can occur, in what the
  job is given or in the code that it uses.

What cannot be followed is refused by `python -m agentomy.refusals`, which is part of `make lint`.

The minor version of Python counts as a library does (`jobs.PYTHON`): not because it reads the code differently, but
because its own arithmetic changes with it (since 3.12 `sum` of floats is compensated).
"""

import ast
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path

from agentomy.definitions import PACKAGE, Module
from agentomy.reading import DATA, KINDS, LOOKED_UP, Definition, Reader, Reference
from agentomy.syntax import unused

# what runs all jobs alike, below the package
ENGINE = {
    *("config", "definitions", "foreign", "jobs", "names", "progress", "provenance", "reading", "refusals"),
    *("resources", "signatures", "slurm", "stages", "study", "study_file", "syntax", "tables"),
    *("agents.driver", "agents.protocol", "agents.restart"),
}
LOOSE = "import"  # in the place of a key: what a module does when it is imported


class UnknownName(Exception):
    """A dotted name that is not in the package; the message says what is."""


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


class Source:
    """The package's source tree as a graph of definitions."""

    def __init__(self, root: Path | str | None = None):
        self.root = Path(root) if root else Path(__file__).parent
        self._modules: dict[str, Module | None] = {}
        self._definitions: dict[Reference, Definition] = {}
        self._traces: dict[tuple[str, ...], list[tuple[frozenset[str], Trace]]] = {}
        self._digests: dict[int, str] = {}
        self._resolved: dict[tuple[str, ...], tuple[Reference | None, list[str]]] = {}
        self.loose = cache(self._loose)
        self.beside = cache(self._beside)
        self.unused = cache(self._unused)
        self.entries = cache(self._entries)
        self.beyond = cache(self._beyond)

    # ---- modules --------------------------------------------------------------------------------------------------

    def module(self, name: str) -> Module | None:
        if name not in self._modules:
            self._modules[name] = self._module(name)
        return self._modules[name]

    def _module(self, name: str) -> Module | None:
        base = self.root.joinpath(*name.split(".")[1:])
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file() and name.split(".")[0] == PACKAGE:
                return Module(name, path)
        return None

    @cached_property
    def modules(self) -> list[str]:
        """The dotted names of all modules, without the package's own."""
        paths = sorted(self.root.rglob("*.py"))
        return [".".join(path.relative_to(self.root).with_suffix("").parts) for path in paths]

    def is_engine(self, module: str) -> bool:
        return module.removeprefix(f"{PACKAGE}.") in ENGINE

    def find(self, place: str) -> ast.FunctionDef | ast.ClassDef:
        """The function or class at a dotted place below the package, such as `metrics.optimality.gap`."""
        module_name, _, name = f"{PACKAGE}.{place}".rpartition(".")
        module = self.module(module_name)
        if module is None:
            stage = place.split(".")[0]
            known = [name.partition(".")[2] for name in self.modules if name.startswith(f"{stage}.")]
            raise UnknownName(f"no module '{module_name.split('.', 2)[-1]}'; allowed: {', '.join(_public(known))}")
        functions = {
            key: found[-1]
            for key, found in module.definitions.items()
            if isinstance(found[-1], (ast.FunctionDef, ast.ClassDef))
        }
        if name not in functions:
            raise UnknownName(f"no '{name}' in {module.path.name}; allowed: {', '.join(_public(functions))}")
        return functions[name]

    def resolved(self, parts: list[str]) -> tuple[Reference | None, list[str]]:
        """The definition at a dotted place and the attributes that are left; a module itself has no name."""
        key = tuple(parts)
        if key not in self._resolved:
            self._resolved[key] = self._resolve(parts)
        return self._resolved[key]

    def _resolve(self, parts: list[str]) -> tuple[Reference | None, list[str]]:
        module = self.module(parts[0])
        for depth in range(1, len(parts)):
            if module is None:
                return None, []
            name, rest = parts[depth], parts[depth + 1 :]
            if name in module.definitions:
                return Reference(module.name, name), rest
            passed_on = module.imports.get(name)
            if passed_on and passed_on != f"{module.name}.{name}":
                target = passed_on.split(".")
                return self.resolved([*target, *rest]) if target[0] == PACKAGE else (None, [])
            module = self.module(f"{module.name}.{name}")
        return (Reference(module.name, ""), []) if module else (None, [])

    def _loose(self, name: str) -> list[Reference]:
        """What importing a module does besides defining: in it, its packages, and the modules that it imports."""
        seen, waiting, found = set(), [name], set()
        while waiting:
            parts = waiting.pop().split(".")
            for depth in range(1, len(parts) + 1):
                inner = ".".join(parts[:depth])
                module = self.module(inner)
                if module is None or inner in seen or self.is_engine(inner):
                    continue
                seen.add(inner)
                waiting += [target for target in module.loads if target.startswith(f"{PACKAGE}.")]
                if module.loose:
                    found.add(Reference(inner, "", LOOSE))
        return sorted(found)

    def _beside(self, folder: Path) -> list[Path]:
        """The data files in a folder of the package and below it."""
        return sorted(each for each in folder.rglob("*") if each.suffix in DATA and each.is_file())

    # ---- definitions ----------------------------------------------------------------------------------------------

    def definition(self, place: Reference) -> Definition:
        if place not in self._definitions:
            self._definitions[place] = self._read(place)
        return self._definitions[place]

    def _read(self, place: Reference) -> Definition:
        module = self.module(place.module)
        if place.key == LOOSE:
            return Reader(self, module, module.loose).made
        if place.key == LOOKED_UP:
            return Definition([])
        if place.key:
            return Reader(self, module, [self.entries(place._replace(key=""))[place.key][1]]).made
        if not place.name:  # a whole module: reached through something dynamic
            return Definition([], [*self.own(module.name)])
        return Reader(self, module, module.definitions[place.name]).made

    def own(self, module: str) -> list[Reference]:
        """All definitions of a module."""
        return [Reference(module, name) for name in self.module(module).definitions]

    def _unused(self, place: Reference) -> tuple[list[str], set[str]]:
        """The positional parameters of a function in order, and those that it makes nothing of."""
        found = self.module(place.module).definitions.get(place.name, [None])[-1]
        if not isinstance(found, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return [], set()
        return [each.arg for each in (*found.args.posonlyargs, *found.args.args)], set(unused(found))

    def _entries(self, place: Reference) -> dict[str, tuple[Reference | None, ast.expr]]:
        """The entries of a table of names: by the text of the key, the class that is the key, and the value."""
        module = self.module(place.module)
        statements = module.definitions.get(place.name, [])
        value = statements[0].value if len(statements) == 1 and hasattr(statements[0], "value") else None
        found = {}
        for key, each in zip(value.keys, value.values, strict=True) if isinstance(value, ast.Dict) else ():
            named = Reader(self, module, []).place(key) if key is not None else None
            if named is None and not (isinstance(key, ast.Constant) and isinstance(key.value, str)):
                return {}
            found[named.name if named else key.value] = named, each
        return found

    def is_table(self, place: Reference) -> bool:
        return bool(self.entries(place))

    # ---- closures -------------------------------------------------------------------------------------------------

    def trace(self, *places: str, names: Iterable[str] = ()) -> Trace:
        """Everything that the given places use, if data can hold these names."""
        names = frozenset(names)
        known = self._traces.setdefault(places, [])
        for given, trace in known:
            if trace.asks(given) == trace.asks(names):
                return trace
        trace = self._trace(places, names)
        known.append((names, trace))
        return trace

    def _trace(self, places: tuple[str, ...], names: frozenset[str]) -> Trace:
        trace = Trace()
        for place in places:
            found, rest = self.resolved([PACKAGE, *place.split(".")])
            if found is None or rest:
                self.find(place)  # says what there is
            trace.roots.append(found)
        waiting, named = [*trace.roots], {}
        while waiting:
            self._follow(trace, waiting)
            # what names can mean, now that all of these are known
            waiting = self._meant(trace, names | trace.words)
            for word in names | trace.named:
                found, rest = self.resolved([PACKAGE, *word.split(".")]) if trace.is_place(word) else (None, [])
                if found and found.name and not rest and found not in trace.used:
                    named[word] = found
                    waiting.append(found)
        trace.roots += [named[word] for word in sorted(named)]
        return trace

    def _follow(self, trace: Trace, waiting: list[Reference]) -> None:
        """Take in everything that can be reached."""
        while waiting:
            place = waiting.pop()
            if place in trace.used:
                continue
            made = trace.used[place] = self.definition(place)
            trace.libraries |= made.libraries
            if self.is_engine(place.module):
                waiting += self._called(made)
                continue
            if made.attributes & self._gives_frames:
                trace.libraries.add("pandas")
            waiting += [*made.references, *self.loose(place.module)]
            trace.words |= made.words
            trace.named |= made.named
            trace.sections |= made.sections
            if place.key == LOOKED_UP:
                trace.meant[place] = []
                trace.asked |= set(self.entries(place._replace(key="")))

    def _called(self, made: Definition) -> list[Reference]:
        """What a definition of the engine uses; the kinds that the engine itself writes belong to its format."""
        return [each for each in made.references if not f"{each.module}.".startswith(f"{KINDS}.")]

    def _meant(self, trace: Trace, names: set[str]) -> list[Reference]:
        """Entries of tables that count and are not there yet: of a name that can occur, of a class that is used."""
        found = []
        for table, entries in trace.meant.items():
            for key, (named, _) in self.entries(table._replace(key="")).items():
                entry = table._replace(key=key)
                if entry not in entries and (named in trace.used if named else key in names):
                    entries.append(entry)
                    found.append(entry)
        return found

    @cached_property
    def _gives_frames(self) -> set[str]:
        """Names of attributes that give a pandas frame, without an import of pandas: `to_pandas`, `Table.frame`, …"""
        module = self.module(f"{PACKAGE}.tables")
        methods = [each for found in (module.definitions.values() if module else ()) for each in ast.walk(found[-1])]
        return {"to_pandas"} | {
            each.name
            for each in methods
            if isinstance(each, ast.FunctionDef)
            and any(isinstance(inner, ast.Attribute) and inner.attr == "to_pandas" for inner in ast.walk(each))
        }

    def closure(self, *places: str, names: Iterable[str] = ()) -> tuple[dict[tuple[str, str], list[ast.AST]], set[str]]:
        """Everything the given places use: package definitions by (module, name), and third-party packages."""
        trace = self.trace(*places, names=names)
        used: dict[tuple[str, str], list[ast.AST]] = {}
        for place, made in trace.used.items():
            if not self.is_engine(place.module):
                used.setdefault((place.module, place.name), []).extend(made.statements)
        return used, trace.libraries

    # ---- answers --------------------------------------------------------------------------------------------------

    def digest(self, *places: str, names: Iterable[str] = ()) -> str:
        """A hash of the code that the given places really use, if data can hold these names."""
        trace = self.trace(*places, names=names)
        if id(trace) not in self._digests:
            self._digests[id(trace)] = self._digest(trace)
        return self._digests[id(trace)]

    def _digest(self, trace: Trace) -> str:
        """Definitions are numbered in the order in which reading from the places meets them, and name each other so.

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
                for each in self.beyond(place):
                    number(each)
                continue
            pieces = trace.used[place].pieces
            if place.key == LOOKED_UP:
                pieces = [each for entry in sorted(trace.meant[place]) for each in (entry.key, entry)]
            for piece in pieces:
                if isinstance(piece, Reference):
                    total.update(number(piece))
                else:
                    total.update(piece if isinstance(piece, bytes) else piece.encode())
            total.update(b"\0")
            for each in self.loose(place.module):
                number(each)
        return total.hexdigest()[:16]

    def _beyond(self, place: Reference) -> list[Reference]:
        """What the engine calls outside itself, from one of its definitions on; its own order is no matter."""
        seen, waiting = set(), [place]
        while waiting:
            each = waiting.pop()
            if each not in seen:
                seen.add(each)
                waiting += self._called(self.definition(each)) if self.is_engine(each.module) else []
        return sorted((each for each in seen if not self.is_engine(each.module)), key=lambda each: (each.name, each))

    def words(self, *places: str, names: Iterable[str] = ()) -> set[str]:
        """The names that data can hold behind these places: those that it held before, and those in their code.

        Of all the texts there only those that mean something in some table of the package, and places that are named.
        """
        trace = self.trace(*places, names=names)
        return (trace.words & self._keys) | trace.named | set(names)

    @cached_property
    def _keys(self) -> set[str]:
        """Every name in a table of the package (nobody whose code counts knows the explorer)."""
        names = [f"{PACKAGE}.{name}" for name in self.modules if not name.startswith("explorer")]
        modules = [module for module in map(self.module, names) if module]
        return {key for module in modules for each in self.own(module.name) for key in self.entries(each)}

    def versions(self, *places: str, names: Iterable[str] = ()) -> dict[str, str]:
        """The versions of the third-party distributions that the given places import."""
        libraries = self.trace(*places, names=names).libraries
        found = {name: _distribution_version(name) for name in sorted(libraries)}
        return {name: version for name, version in found.items() if version}


def _public(names) -> list[str]:
    return sorted(name for name in names if not name.split(".")[-1].startswith("_"))


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
