"""Source files taken apart into their top-level definitions, and what in them cannot be followed."""

import ast
from ast import parse
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

PACKAGE = "agentomy"
# methods that change what they are called on
CHANGING = {"add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove", "setdefault", "update"}
BRANCHING = (ast.If, ast.Try, ast.TryStar, ast.For, ast.While, ast.With, ast.Match, ast.Delete)
MAKING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Refusal(NamedTuple):
    """Code that cannot be followed by reading the source."""

    line: int
    text: str


class Reference(NamedTuple):
    """A definition of the package; with `key` one entry of a table, `LOOKED_UP` those that names can mean."""

    module: str
    name: str
    key: str = ""


LOOKED_UP = "*"


def joined(pieces: list[str | bytes | Reference]) -> list[str | bytes | Reference]:
    """The same pieces, with neighbouring texts joined."""
    joined_pieces, texts = [], []
    for piece in pieces:
        if isinstance(piece, str):
            texts.append(piece)
        else:
            joined_pieces += ["".join(texts), piece]
            texts = []
    return [*joined_pieces, "".join(texts)]


@dataclass
class Definition:
    """What one definition is and depends on."""

    statements: list[ast.AST]
    pieces: list[str | bytes | Reference] = field(default_factory=list)
    libraries: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)  # texts in it
    named: set[str] = field(default_factory=set)  # places that it names, and that so get into an artifact
    sections: set[str] = field(default_factory=set)  # in which it looks up places by name
    attributes: set[str] = field(default_factory=set)
    changes: dict[Reference, Refusal] = field(default_factory=dict)
    reads_folder: int = 0  # the line where it asks for its module's own
    files: list[Path] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)

    @property
    def references(self) -> list[Reference]:
        return [piece for piece in self.pieces if isinstance(piece, Reference)]


@dataclass
class Module:
    """One source file: what it defines, what it imports, and what it does besides when it is imported."""

    name: str
    path: Path
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)  # bound name → dotted target
    loads: set[str] = field(default_factory=set)  # modules that it imports, or places in them
    changes: dict[str, Refusal] = field(default_factory=dict)  # names of others that it changes when it is imported
    loose: list[ast.stmt] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    reads_folder: bool = False  # whether it asks where it is, to read files from there

    def __post_init__(self):
        text = self.path.read_bytes()
        self.reads_folder = b"__file__" in text
        for statement in parse(text, str(self.path)).body:
            self._take(statement)
        for name in set(self.definitions) & set(self.imports):
            self.refuse(self.definitions[name][0], f"'{name}' is bound by an import and otherwise")

    @property
    def package(self) -> str:
        """The package that its relative imports start from."""
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    def _take(self, statement: ast.stmt) -> None:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            self._import(statement)
        elif isinstance(statement, MAKING):
            self._define(statement, [statement.name, *self._registered(statement)])
            if statement.name == "__getattr__":
                self.refuse(statement, "__getattr__ of a module: what it gives is known only when it runs")
        elif isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            self._define(statement, [name for target in targets for name in stored(target)])
            self._changed(statement, [name for target in targets for name in written_into(target)])
        elif isinstance(statement, ast.If) and _is_main(statement):
            pass  # an import does not run it
        elif isinstance(statement, ast.If) and ast.unparse(statement.test).endswith("TYPE_CHECKING"):
            pass  # for annotations alone
        elif isinstance(statement, BRANCHING):
            kind = type(statement).__name__.lower()
            self.refuse(statement, f"'{kind}' at the top of a module: what it leaves is known only when it runs")
            self._define(statement, [name for node in ast.walk(statement) for name in _bound(node)])
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            pass
        elif isinstance(statement, ast.Expr) and changed_by_call(statement.value):
            self._changed(statement, [changed_by_call(statement.value)])
        elif not isinstance(statement, ast.Pass):
            self.loose.append(statement)

    def _import(self, statement: ast.Import | ast.ImportFrom) -> None:
        if isinstance(statement, ast.Import):
            self.loads.update(alias.name for alias in statement.names)
        for bound, target in imported(statement, self.package):
            self.loads.add(target)
            if bound == "*":
                self.refuse(statement, f"'from {target} import *': whose names these are cannot be seen")
            elif bound in self.imports and self.imports[bound] != target:
                self.refuse(statement, f"'{bound}' is imported twice, from different places")
            self.imports[bound] = target

    def _define(self, statement: ast.stmt, names: list[str]) -> None:
        for name in dict.fromkeys(names):
            self.definitions.setdefault(name, []).append(statement)

    def _registered(self, statement: ast.FunctionDef | ast.ClassDef) -> list[str]:
        """Other names of this module that a decorator adds it to, as in `@convert.register`."""
        decorators = [
            decorator.func if isinstance(decorator, ast.Call) else decorator for decorator in statement.decorator_list
        ]
        bases = [base(decorator) for decorator in decorators if isinstance(decorator, ast.Attribute)]
        return [name for name in bases if name in self.definitions]

    def _changed(self, statement: ast.stmt, names: list[str]) -> None:
        """Statements that go on defining something, such as `TABLE[key] = …`, belong to its definition."""
        for name in names:
            if name in self.definitions:
                self._define(statement, [name])
            else:
                text = f"changes '{name}', which is not of this module, when it is imported"
                self.changes[name] = Refusal(statement.lineno, text)

    def refuse(self, node: ast.AST, text: str) -> None:
        self.refused.append(Refusal(node.lineno, text))


def imported(node: ast.Import | ast.ImportFrom, package: str):
    """(bound name, dotted target) for every alias of an import statement; for a star ("*", module)."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
        return
    parts = package.split(".")
    base_parts = parts[: len(parts) - node.level + 1] if node.level else []
    base_name = ".".join([*base_parts, *filter(None, [node.module])])
    for alias in node.names:
        yield alias.asname or alias.name, base_name if alias.name == "*" else f"{base_name}.{alias.name}"


def stored(target: ast.AST) -> list[str]:
    """The names that an assignment to `target` binds."""
    if isinstance(target, ast.Name):
        return [target.id]
    if isinstance(target, (ast.Tuple, ast.List)):
        return [name for element in target.elts for name in stored(element)]
    return stored(target.value) if isinstance(target, ast.Starred) else []


def written_into(target: ast.AST) -> list[str]:
    """The names whose things an assignment to `target` changes, as in `TABLE["key"] = …` or `module.LIMIT = …`."""
    if isinstance(target, (ast.Attribute, ast.Subscript)):
        return [base(target)] if base(target) else []
    if isinstance(target, (ast.Tuple, ast.List)):
        return [name for element in target.elts for name in written_into(element)]
    return []


def changed_by_call(node: ast.AST) -> str:
    """The name on which a call such as `TABLE.update(…)` is made; '' if it is none."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGING:
        return base(node.func)
    return ""


def base(node: ast.AST) -> str:
    """The name at the left of `name.a[b].c`; '' if something else is there."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _bound(node: ast.AST) -> list[str]:
    if isinstance(node, MAKING):
        return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [alias.asname or alias.name.split(".")[0] for alias in node.names]
    return [node.id] if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else []


def _is_main(statement: ast.If) -> bool:
    return "__main__" in ast.unparse(statement.test)
