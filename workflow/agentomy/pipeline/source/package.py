"""The source tree of the package: where its names lead, and what each definition is."""

import ast
from functools import cache, cached_property
from pathlib import Path

from agentomy.pipeline.source.definitions import LOOKED_UP, PACKAGE, Definition, Module, Reference
from agentomy.pipeline.source.reading import DATA, Reader
from agentomy.pipeline.source.syntax import unused

# what runs all jobs alike, below the package: a room, and modules
ENGINE_ROOM = "pipeline."
ENGINE = {
    *("command", "descriptions", "mistakes", "names", "parquet", "progress", "tables", "values", "yaml_files"),
    *("agents.driver", "agents.protocol", "agents.restart"),
}
LOOSE = "import"  # in the place of a key: what a module does when it is imported


class UnknownName(Exception):
    """A dotted name that is not in the package; the message says which names are."""


class Package:
    """Modules and their definitions, each read once."""

    def __init__(self, root: Path | str | None = None):
        self.root = Path(root) if root else Path(__file__).parents[2]
        self._modules: dict[str, Module | None] = {}
        self._definitions: dict[Reference, Definition] = {}
        self._resolved: dict[tuple[str, ...], tuple[Reference | None, list[str]]] = {}
        self.loose = cache(self._loose)
        self.beside = cache(self._beside)
        self.unused = cache(self._unused)
        self.entries = cache(self._entries)

    # ---- modules -------------------------------------------------------------------------------------------------

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
        inside = module.removeprefix(f"{PACKAGE}.")
        return inside in ENGINE or inside.startswith(ENGINE_ROOM)

    def find(self, place: str) -> ast.FunctionDef | ast.ClassDef:
        """The function or class at a dotted place below the package, such as `lenses.paths.extract.gram`."""
        module_name, _, name = f"{PACKAGE}.{place}".rpartition(".")
        module = self.module(module_name)
        if module is None:
            raise UnknownName(f"no module '{module_name.partition('.')[2]}'; allowed: {self._near(module_name)}")
        functions = {
            key: statements[-1]
            for key, statements in module.definitions.items()
            if isinstance(statements[-1], (ast.FunctionDef, ast.ClassDef))
        }
        if name not in functions:
            raise UnknownName(f"no '{name}' in {module.path.name}; allowed: {', '.join(_public(functions))}")
        return functions[name]

    def _near(self, module: str) -> str:
        """The modules of the deepest existing room on the way to a module that does not exist."""
        room = module.partition(".")[2]
        while room:
            room = room.rpartition(".")[0]
            known = [name for name in self.modules if name.startswith(f"{room}." if room else "")]
            if known:
                return ", ".join(_public(known if room else {name.split(".")[0] for name in known}))
        return "none"

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
        seen, waiting, modules = set(), [name], set()
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
                    modules.add(Reference(inner, "", LOOSE))
        return sorted(modules)

    def _beside(self, folder: Path) -> list[Path]:
        """The data files in a folder of the package and below it."""
        return sorted(file for file in folder.rglob("*") if file.suffix in DATA and file.is_file())

    # ---- definitions ----------------------------------------------------------------------------------------------

    def definition(self, place: Reference) -> Definition:
        if place not in self._definitions:
            self._definitions[place] = self._read(place)
        return self._definitions[place]

    def _read(self, place: Reference) -> Definition:
        module = self.module(place.module)
        if place.key == LOOSE:
            return Reader(self, module, module.loose).definition
        if place.key == LOOKED_UP:
            return Definition([])
        if place.key:
            return Reader(self, module, [self.entries(place._replace(key=""))[place.key][1]]).definition
        if not place.name:  # a whole module: reached through something dynamic
            return Definition([], [*self.definitions_of(module.name)])
        return Reader(self, module, module.definitions[place.name]).definition

    def definitions_of(self, module: str) -> list[Reference]:
        """All definitions of a module."""
        return [Reference(module, name) for name in self.module(module).definitions]

    def _unused(self, place: Reference) -> tuple[list[str], set[str]]:
        """The positional parameters of a function in order, and those that have no effect."""
        function = self.module(place.module).definitions.get(place.name, [None])[-1]
        if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return [], set()
        return [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)], set(unused(function))

    def _entries(self, place: Reference) -> dict[str, tuple[Reference | None, ast.expr]]:
        """The entries of a table of names: by the text of the key, the class that is the key, and the value."""
        module = self.module(place.module)
        statements = module.definitions.get(place.name, [])
        value = statements[0].value if len(statements) == 1 and hasattr(statements[0], "value") else None
        entries = {}
        for key, entry in zip(value.keys, value.values, strict=True) if isinstance(value, ast.Dict) else ():
            named = Reader(self, module, []).place(key) if key is not None else None
            if named is None and not (isinstance(key, ast.Constant) and isinstance(key.value, str)):
                return {}
            entries[named.name if named else key.value] = named, entry
        return entries

    def is_table(self, place: Reference) -> bool:
        return bool(self.entries(place))


def _public(names) -> list[str]:
    return sorted(name for name in names if not name.split(".")[-1].startswith("_"))
