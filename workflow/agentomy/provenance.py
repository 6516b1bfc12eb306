"""What an artifact was made from: the source code it really uses, and the versions of the libraries under it.

Code is followed statically, definition by definition: a function, what it names in its own module, and what that
imports inside the package, transitively. Comments, layout and docstrings do not count. So editing one figure
redraws one figure, and editing a line that a training run really uses retrains it. Data files that lie beside a module
count as its code, where its code names them.
"""

import ast
import hashlib
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path

PACKAGE = "agentomy"
DATA = ".csv"  # how the names of data files end
WHOLE = "*"


class UnknownName(Exception):
    """A dotted name that is not in the package; the message says what is."""


@dataclass
class Module:
    """One source file, taken apart into its top-level definitions."""

    name: str
    path: Path
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    always: list[ast.stmt] = field(default_factory=list)  # statements that run at import and define nothing

    def __post_init__(self):
        for statement in ast.parse(self.path.read_text(encoding="utf-8"), str(self.path)).body:
            names = list(_defined(statement))
            for name in names:
                self.definitions.setdefault(name, []).append(statement)
            if not names and not _is_docstring(statement) and not _is_main(statement):
                self.always.append(statement)


class Source:
    """The package's source tree as a graph of definitions."""

    def __init__(self, root: Path | str | None = None):
        self.root = Path(root) if root else Path(__file__).parent
        self._modules: dict[str, Module | None] = {}
        self._referred: dict[ast.stmt, tuple[list[tuple[str, str]], set[str]]] = {}
        self._closures: dict[tuple[str, ...], tuple[dict, set[str]]] = {}
        self._digests: dict[tuple[str, ...], str] = {}

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

    def closure(self, *places: str) -> tuple[dict[tuple[str, str], list[ast.stmt]], set[str]]:
        """Everything the given places use: package definitions by (module, name), and third-party packages."""
        if places in self._closures:
            return self._closures[places]
        used: dict[tuple[str, str], list[ast.stmt]] = {}
        libraries: set[str] = set()
        waiting = [tuple(f"{PACKAGE}.{place}".rsplit(".", 1)) for place in places]
        while waiting:
            module_name, name = waiting.pop()
            module = self.module(module_name)
            if module is None or (module_name, name) in used:
                continue
            if name == WHOLE:
                statements = []
                waiting += [(module_name, each) for each, found in module.definitions.items() if not _imported(found)]
            elif _imported(module.definitions.get(name, [])):  # passed on from another module: not hashed itself
                statements = []
                target = dict(_imports(module.definitions[name][-1], module))[name]
                self._follow(target, {()}, waiting, libraries)
            elif name == "":
                statements = module.always
            else:
                if name not in module.definitions:  # reached through something dynamic: take everything
                    waiting.append((module_name, WHOLE))
                statements = module.definitions.get(name, [])
            used[module_name, name] = statements
            # importing a module runs its package's __init__ and its own loose statements
            parents = module_name.split(".")
            waiting += [(".".join(parents[:depth]), "") for depth in range(1, len(parents) + 1)]
            for statement in statements:
                inside, outside = self._references(module, statement)
                waiting += inside
                libraries |= outside
        self._closures[places] = used, libraries
        return used, libraries

    def digest(self, *places: str) -> str:
        """A hash of the code that the given places really use."""
        if places not in self._digests:
            self._digests[places] = self._digest(*places)
        return self._digests[places]

    def _digest(self, *places: str) -> str:
        used, _ = self.closure(*places)
        total = hashlib.sha256()
        for (module, name), statements in sorted(used.items()):
            total.update(f"{module}:{name}\n".encode())
            for statement in statements:
                total.update(_dumped(statement).encode())
                for path in _data(statement, self.module(module).path.parent):
                    total.update(path.read_bytes())
        return total.hexdigest()[:16]

    def versions(self, *places: str) -> dict[str, str]:
        """The versions of the third-party distributions that the given places import."""
        _, libraries = self.closure(*places)
        found = {name: _distribution_version(name) for name in sorted(libraries)}
        return {name: version for name, version in found.items() if version}

    def _references(self, module: Module, statement: ast.stmt) -> tuple[list[tuple[str, str]], set[str]]:
        """What one statement names: (module, name) pairs inside the package, and packages outside it."""
        if statement not in self._referred:
            self._referred[statement] = self._references_of(module, statement)
        return self._referred[statement]

    def _references_of(self, module: Module, statement: ast.stmt) -> tuple[list[tuple[str, str]], set[str]]:
        inside: list[tuple[str, str]] = []
        outside: set[str] = set()
        imports: dict[str, ast.alias | tuple[str, ast.alias]] = {}
        for node in ast.walk(statement):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                for bound, target in _imports(node, module):
                    imports[bound] = target
        chains = _chains(statement)
        for bound, target in imports.items():
            if bound not in module.definitions:  # an import inside a function: it is used where it stands
                self._follow(target, chains.get(bound, set()), inside, outside)
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            return inside, outside
        for name in _named(statement):
            for definition in module.definitions.get(name, []):
                if isinstance(definition, (ast.Import, ast.ImportFrom)):
                    target = dict(_imports(definition, module))[name]
                    self._follow(target, chains.get(name, set()), inside, outside)
                else:
                    inside.append((module.name, name))
        return inside, outside

    def _follow(self, target: str, chains: set[tuple[str, ...]], inside: list, outside: set) -> None:
        """Resolve a bound name and the attributes taken from it to definitions."""
        if target.split(".")[0] != PACKAGE:
            outside.add(target.split(".")[0])
            return
        for chain in chains or {()}:
            parts = [*target.split("."), *chain]
            depth = len(parts)
            while depth and self.module(".".join(parts[:depth])) is None:
                depth -= 1
            name = parts[depth] if depth < len(parts) else WHOLE
            inside.append((".".join(parts[:depth]), name))


def _defined(statement: ast.stmt):
    """The names that a top-level statement binds."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.name
    elif isinstance(statement, (ast.Import, ast.ImportFrom)):
        for alias in statement.names:
            yield alias.asname or alias.name.split(".")[0]
    elif isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.If, ast.Try, ast.For, ast.With)):
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id


def _imports(node: ast.Import | ast.ImportFrom, module: Module):
    """(bound name, dotted target) for every alias of an import statement."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
        return
    base = node.module or ""
    if node.level:
        package = module.name.split(".") if module.path.name == "__init__.py" else module.name.split(".")[:-1]
        base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
    for alias in node.names:
        yield alias.asname or alias.name, base if alias.name == "*" else f"{base}.{alias.name}"


def _named(statement: ast.stmt) -> set[str]:
    """The names in a statement, without those that stand only in a function's type annotations."""
    names = set()
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name):
            names.add(node.id)
        for field_name, value in ast.iter_fields(node):
            if field_name in ("annotation", "returns"):
                continue
            waiting += [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, ast.AST)]
    return names


def _chains(statement: ast.stmt) -> dict[str, set[tuple[str, ...]]]:
    """The attribute chains taken from each name: `a.b.c(a.d, a)` gives a: (b, c), (d) and ()."""
    chains: dict[str, set[tuple[str, ...]]] = {}
    waiting: list[tuple[ast.AST, tuple[str, ...]]] = [(statement, ())]
    while waiting:
        node, taken = waiting.pop()
        if isinstance(node, ast.Attribute):
            waiting.append((node.value, (node.attr, *taken)))
        elif isinstance(node, ast.Name):
            chains.setdefault(node.id, set()).add(taken)
        else:
            waiting += [(child, ()) for child in ast.iter_child_nodes(node)]
    return chains


def _imported(definition: list[ast.stmt]) -> bool:
    """Whether a name is bound by an import alone."""
    return bool(definition) and all(isinstance(each, (ast.Import, ast.ImportFrom)) for each in definition)


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _is_main(statement: ast.stmt) -> bool:
    """Whether it is `if __name__ == "__main__"`, which an import does not run."""
    return isinstance(statement, ast.If) and "__main__" in ast.unparse(statement.test)


# what a kind says for people, by place among the arguments: a column's meaning, unit and shape, a kind's meaning
DOCUMENTATION = {"Column": slice(2, None), "Kind": slice(1, 2)}


@cache
def _dumped(statement: ast.stmt) -> str:
    """A statement as text that ignores layout, comments and docstrings."""
    for node in ast.walk(statement):
        body = getattr(node, "body", None)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and _is_docstring(body[0]):
            node.body = body[1:]
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in DOCUMENTATION:
            del node.args[DOCUMENTATION[node.func.id]]
    return ast.dump(statement)


@cache
def _data(statement: ast.stmt, folder: Path) -> tuple[Path, ...]:
    """The data files below a module's folder that a statement names, as in `RUNS = "data/runs.csv"`."""
    texts = [node.value for node in ast.walk(statement) if isinstance(node, ast.Constant)]
    named = [folder / text for text in texts if isinstance(text, str) and text.endswith(DATA)]
    return tuple(path for path in named if path.is_file())


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
