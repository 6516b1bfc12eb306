"""One definition as it counts: its code as text in which every name of the package is a reference.

Left out is what cannot reach an artifact: comments, layout, docstrings, type annotations (but kinds of tables count),
the arguments of exceptions and the messages of assertions, progress, what columns and kinds say for people, and what is
handed to parameters that a function uses for nothing else. References stand for definitions, not for the places where
these are: what moves unchanged stays what it is. The text is written by `Reader` itself and not by `ast.dump`, so that
other versions of Python read the same code as the same.
"""

import ast
import builtins
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from agentomy.pipeline.source.definitions import (
    CHANGING,
    LOOKED_UP,
    MAKING,
    PACKAGE,
    Definition,
    Module,
    Reference,
    Refusal,
    base,
    imported,
    joined,
)
from agentomy.pipeline.source.scopes import CLASS, COMPREHENSION, FUNCTION, Scopes
from agentomy.pipeline.source.syntax import attributes_of, harmless, is_nothing, local_names, names_stored, unused

# the resolver, the function by which agents name their networks, and where kinds are
RESOLVE, PLACE, NAMED, KINDS = "names.resolve", "names.place", "networks.use", f"{PACKAGE}.kinds"
# what is for people alone among the arguments, or only refuses, by position and by name
DOCUMENTATION = {
    "tables.Column": (
        {2, 3, 4, 6, 7},
        {"meaning", "unit", "shape", "values", "names"},
    ),
    "tables.Kind": ({1}, {"meaning"}),
}
# fields of syntax trees that say nothing of what the code does
UNREAD = {"ctx", "type_comment", "kind", "annotation", "returns", "lineno", "type_params"}
MATTERING = ("ClassVar", "InitVar", "KW_ONLY")  # annotations that change what a class is
DATA = (".csv", ".tsv", ".json", ".txt", ".npy", ".npz", ".parquet", ".yaml", ".yml", ".toml", ".gz", ".safetensors")
DYNAMIC = {"eval", "exec", "compile", "globals", "__import__"}
IMPORTERS = {"importlib", "pkgutil", "runpy", "imp"}


class Tree(Protocol):
    """What a reader needs to know of the package."""

    def module(self, name: str) -> Module | None: ...
    def is_engine(self, module: str) -> bool: ...
    def resolved(self, parts: list[str]) -> tuple[Reference | None, list[str]]: ...
    def unused(self, place: Reference) -> tuple[list[str], set[str]]: ...
    def is_table(self, place: Reference) -> bool: ...
    def beside(self, folder: Path) -> list[Path]: ...


class Reader:
    """Reads statements of a module into a `Definition`."""

    def __init__(self, tree: Tree, module: Module, statements: list[ast.AST]):
        self.tree, self.module = tree, module
        self.readers: dict[type, Callable[[Any], None]] = {}
        self.definition = Definition(statements)
        self.scopes = Scopes(module)
        for statement in statements:
            self.visit(statement)
        self.definition.pieces = joined(self.definition.pieces)

    # ---- text -----------------------------------------------------------------------------------------------------

    def say(self, *pieces: str | bytes | Reference) -> None:
        self.definition.pieces.extend(pieces)

    def refuse(self, node: ast.AST, text: str) -> None:
        self.definition.refused.append(Refusal(node.lineno, text))

    def visit(self, node: ast.AST) -> None:
        reader = self.readers.get(type(node))
        if reader is None:
            reader = getattr(self, f"visit_{type(node).__name__}", self.any)
            self.readers[type(node)] = reader
        reader(node)

    def any(self, node: ast.AST) -> None:
        self.say(type(node).__name__ + "(")
        self.fields(node)
        self.say(")")

    def fields(self, node: ast.AST, without: Iterable[str] = ()) -> None:
        for name in node._fields:
            value = getattr(node, name, None)
            if name in UNREAD or name in without or value is None or value == []:
                continue
            self.say(name + "=")
            for item in value if isinstance(value, list) else [value]:
                if not isinstance(item, ast.AST):
                    self.say(repr(item), ",")
                elif not is_nothing(item):
                    self.visit(item)
                    self.say(",")

    def visit_Constant(self, node: ast.Constant) -> None:
        self.say(repr(node.value))
        if isinstance(node.value, str):
            self.definition.words.add(node.value)
            if node.value.endswith(DATA):
                self.file(node)

    def file(self, node: ast.Constant) -> None:
        """A data file beside the module, or below it: its content counts where it is named."""
        ends = Path(node.value).parts
        files = [file for file in self.tree.beside(self.module.path.parent) if file.parts[-len(ends) :] == ends]
        self.definition.files += files
        if self.module.reads_folder and not files:
            self.refuse(node, f"'{node.value}' is no file below the module's folder: which are read cannot be seen")
        for path in files:
            self.say(path.read_bytes())

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        last = node.values[-1] if node.values else None
        if isinstance(last, ast.Constant) and last.value.endswith(DATA):
            self.refuse(node, "a file name put together: which file is read is known only when it runs")
        self.say("f(")
        self.fields(node)
        self.say(")")

    def visit_Raise(self, node: ast.Raise) -> None:
        self.say("raise ")
        if node.exc:
            self.visit(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)

    def visit_Assert(self, node: ast.Assert) -> None:
        self.say("assert ")
        self.visit(node.test)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """The annotation counts only where it changes what a field of a class is."""
        self.check_target(node, node.target)
        text = ast.unparse(node.annotation)
        matters = text.rpartition("dataclasses.")[2].startswith(MATTERING)
        self.say("AnnAssign(", text.partition("[")[0] if matters else "", " ")
        self.fields(node)
        self.say(")")

    # ---- scopes ---------------------------------------------------------------------------------------------------

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        top = self.scopes.at_top and node in self.definition.statements
        dead = set(unused(node)) if top else set()
        for decorator in node.decorator_list:
            self.say("@")
            self.visit(decorator)
        self.say(f"{type(node).__name__} {node.name}(")
        self.arguments(node.args, dead)
        if isinstance(node.returns, ast.Attribute):
            self.kind(node.returns)
        self.say("):")
        self.body(node, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.say("lambda ")
        self.arguments(node.args, set())
        self.body(node, [node.body])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        if any(isinstance(statement, MAKING) and statement.name == "__init_subclass__" for statement in node.body):
            self.refuse(node, "__init_subclass__: who is derived from it cannot be seen")
        for decorator in node.decorator_list:
            self.say("@")
            self.visit(decorator)
        self.say(f"class {node.name}(")
        self.fields(node, without=("name", "body", "decorator_list"))
        self.say("):")
        self.body(node, node.body)

    def body(self, node: ast.AST, body: list[ast.AST]) -> None:
        bound, twice = local_names(node, body, self.module.package)
        for name in twice:
            self.refuse(twice[name], f"'{name}' is bound by an import and otherwise: which one is known when it runs")
        with self.scopes.within(bound, CLASS if isinstance(node, ast.ClassDef) else FUNCTION):
            for statement in body:
                if not is_nothing(statement):
                    self.visit(statement)
                    self.say(",")

    def arguments(self, node: ast.arguments, dead: set[str]) -> None:
        positional = [*node.posonlyargs, *node.args]
        defaults = [None] * (len(positional) - len(node.defaults)) + node.defaults
        arguments = [*zip(positional, defaults, strict=True), (node.vararg, None)]
        arguments += [(None, None), *zip(node.kwonlyargs, node.kw_defaults, strict=True), (node.kwarg, None)]
        for argument, default in arguments:
            if argument is None or argument.arg in dead:
                continue
            self.say(argument.arg)
            if isinstance(argument.annotation, ast.Attribute):
                self.kind(argument.annotation)
            if default is not None:
                self.say("=")
                self.visit(default)
            self.say("," if argument is not node.vararg else "*,")

    def kind(self, annotation: ast.expr) -> None:
        """The kind of a table, which the runner reads from an annotation such as `kinds.bayes.STATES`."""
        target = self.module.imports.get(base(annotation), "")
        if target == KINDS:
            self.say(":")
            self.visit(annotation)

    def comprehension(self, node: ast.AST) -> None:
        bound = {name: None for generator in node.generators for name in names_stored(generator.target)}
        with self.scopes.within(bound, COMPREHENSION):
            self.say(type(node).__name__, "(")
            self.fields(node)
            self.say(")")

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = comprehension

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        """An import inside a function: libraries count where they are imported, names of the package where used."""
        for bound, target in imported(node, self.module.package):
            root = target.split(".")[0]
            if bound == "*":
                self.refuse(node, f"'from {target} import *': whose names these are cannot be seen")
            if root in IMPORTERS:
                self.refuse(node, f"'{target}': what it finds is known only when it runs")
            elif root != PACKAGE:
                self.definition.libraries.add(root)

    visit_ImportFrom = visit_Import

    def visit_Global(self, node: ast.Global) -> None:
        self.refuse(node, f"'global {', '.join(node.names)}': it changes what the module defines")

    # ---- names ----------------------------------------------------------------------------------------------------

    def visit_Name(self, node: ast.Name) -> None:
        self.chain(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr == "__subclasses__":
            self.refuse(node, "__subclasses__: who is derived from it cannot be seen")
        self.chain(node)

    def chain(self, node: ast.Name | ast.Attribute) -> None:
        """`name.a.b`, or attributes of some other expression."""
        inner, taken = attributes_of(node)
        is_self = isinstance(inner, ast.Name) and inner.id == "self"  # its own methods, which are read with its class
        self.definition.attributes.update(taken[is_self:])
        if not isinstance(inner, ast.Name):
            self.visit(inner)
            self.say("".join(f".{attribute}" for attribute in taken))
            return
        place = self.scopes.meaning(inner.id)
        if place:
            self.follow(node, [*place, *taken])
            return
        if place is None:
            self.check_builtin(inner)
        self.say(".".join([inner.id, *taken]))

    def check_builtin(self, node: ast.Name) -> None:
        """Refuse a name that neither the module nor Python defines, and one that reaches anything."""
        if node.id == "__file__":
            self.definition.reads_folder = node.lineno
        if node.id in DYNAMIC:
            self.refuse(node, f"'{node.id}': what it reaches is known only when it runs")
        elif not hasattr(builtins, node.id) and node.id not in ("__file__", "__name__", "__doc__", "__class__"):
            self.refuse(node, f"'{node.id}' is defined nowhere in {self.module.name}")

    def follow(self, node: ast.AST, parts: list[str], lookup: bool = False) -> None:
        root = parts[0]
        if root != PACKAGE:
            self.definition.libraries.add(root)
            if root in IMPORTERS and parts[:2] != ["importlib", "metadata"]:
                self.refuse(node, f"'{'.'.join(parts)}': what it finds is known only when it runs")
            if parts[:2] == ["sys", "modules"]:
                self.refuse(node, "'sys.modules': what is in it is known only when it runs")
            self.say(".".join(parts))
            return
        definition, rest = self.tree.resolved(parts)
        if definition is None:
            self.refuse(node, f"'{'.'.join(parts)}': there is no such name in the package")
        elif not definition.name:
            self.refuse(node, f"the module '{definition.module}' as a value: what is taken from it cannot be seen")
            self.say(definition)
        else:
            stored = isinstance(getattr(node, "ctx", None), ast.Store) and not rest
            if not stored:
                self.say(Reference(definition.module, definition.name, LOOKED_UP) if lookup else definition)
            elif self.scopes.at_top:  # its own name, at the place where it is made
                self.say(definition.name)
        self.say("".join(f".{attribute}" for attribute in rest))

    def place(self, node: ast.AST) -> Reference | None:
        """The definition that an expression names, if it is just a name of one."""
        inner, taken = attributes_of(node)
        place = self.scopes.meaning(inner.id) if isinstance(inner, ast.Name) else None
        if not place or place[0] != PACKAGE:
            return None
        definition, rest = self.tree.resolved([*place, *taken])
        return definition if definition and definition.name and not rest else None

    # ---- calls and changes ----------------------------------------------------------------------------------------

    def visit_Call(self, node: ast.Call) -> None:
        called = self.place(node.func)
        called_name = f"{called.module}.{called.name}".removeprefix(f"{PACKAGE}.") if called else ""
        self.say("call ")
        self.visit(node.func)
        self.say("(")
        arguments = list(self.counting(node, called, called_name))
        if called_name == RESOLVE and len(node.args) == 2:
            self.lookup(*node.args)
            arguments = []
        elif called_name == PLACE and node.args and isinstance(node.args[0], ast.Constant):
            self.definition.sections.add(node.args[0].value)
        elif called_name == NAMED and len(node.args) == 1 and self.place(node.args[0]):
            named = self.place(node.args[0])
            text = f"{named.module}.{named.name}".removeprefix(f"{PACKAGE}.")
            self.say(text)  # it stands in the artifact, so here the place counts
            self.definition.named.add(text)
        for name, value in arguments:
            self.say(name)
            self.visit(value)
            self.say(",")
        self.say(")")
        self.check_call(node)

    def counting(self, node: ast.Call, called: Reference | None, called_name: str) -> Iterator[tuple[str, ast.expr]]:
        """The arguments that count."""
        order, dead = self.tree.unused(called) if called else ([], set())
        positions, keywords = DOCUMENTATION.get(called_name, (set(), set()))
        starred = False
        for number, value in enumerate(node.args):
            starred |= isinstance(value, ast.Starred)
            if starred or number not in positions:
                name = order[number] if not starred and number < len(order) else ""
                if name not in dead or not harmless(value):
                    yield "", value
        for keyword in node.keywords:
            if keyword.arg in keywords or (keyword.arg in dead and harmless(keyword.value)):
                continue
            yield f"{keyword.arg or '**'}=", keyword.value

    def lookup(self, table: ast.expr, name: ast.expr) -> None:
        """`resolve(TABLE, name)`: only those entries of the table count that the name can mean."""
        definition = self.place(table)
        if definition and self.tree.is_table(definition):
            self.say(Reference(definition.module, definition.name, LOOKED_UP))
        else:
            self.visit(table)
        if any(isinstance(part, (ast.JoinedStr, ast.BinOp)) for part in ast.walk(name)):
            self.refuse(name, "a name put together: which one is looked up is known only when it runs")
        self.visit(name)

    def check_call(self, node: ast.Call) -> None:
        function = node.func
        if isinstance(function, ast.Name) and function.id == "setattr" and node.args:
            self.check_change(node, node.args[0])
        if isinstance(function, ast.Attribute) and function.attr in CHANGING:
            self.check_change(node, function.value)

    def check_change(self, node: ast.AST, changed: ast.expr) -> None:
        """Whether a function changes something that a module of ours defines, such as a registry."""
        while isinstance(changed, (ast.Subscript, ast.Starred)):
            changed = changed.value
        definition = self.place(changed)
        if definition and not self.scopes.at_top and not self.tree.is_engine(definition.module):
            what = f"changes '{definition.name}' of {definition.module}"
            self.refuse(node, f"{what}: what it holds is known only when it runs")
            self.definition.changes[definition] = self.definition.refused[-1]

    def visit_Assign(self, node: ast.Assign | ast.AugAssign | ast.Delete) -> None:
        targets = [node.target] if isinstance(node, ast.AugAssign) else node.targets
        for target in targets:
            self.check_target(node, target)
        self.say(type(node).__name__, "(")
        self.fields(node)
        self.say(")")

    visit_AugAssign = visit_Delete = visit_Assign

    def check_target(self, node: ast.AST, target: ast.expr) -> None:
        for part in [target, *getattr(target, "elts", [])]:
            if isinstance(part, (ast.Attribute, ast.Subscript)):
                self.check_change(node, part)
                self.check_change(node, part.value)
