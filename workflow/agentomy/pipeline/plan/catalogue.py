"""What a study file can name with `use:`, found in the source: the pages and the schema of docs/ are written from it.

Environments, agents and plug-ins have rooms of their own. What looks into agents is known by what it takes and returns:
a function that returns a figure draws, one that takes parameters of networks, or the name of a run, extracts.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from agentomy.pipeline.plan import glossary
from agentomy.pipeline.plan.needs import needs
from agentomy.pipeline.plan.signatures import Signature, signature
from agentomy.pipeline.source.definitions import Module
from agentomy.pipeline.source.provenance import Source, UnknownName


@dataclass(frozen=True)
class Parameter:
    """A parameter of a function: its type as `signatures` has it, and what it means in words."""

    name: str
    type: Any
    required: bool
    default: Any
    meaning: str  # its own comment, else the sentence of the docstring that names it, else what it means everywhere


@dataclass(frozen=True)
class Usable:
    """A function or class that an entry of a stage, or a plug-in, can name."""

    stage: str  # a stage of study files, or "plugin"
    use: str  # its place below the package, by which a study file names it
    says: str  # its docstring
    signature: Signature
    parameters: tuple[Parameter, ...]

    @property
    def module(self) -> str:
        return self.use.rpartition(".")[0]

    @property
    def first_line(self) -> str:
        """What it is, in a sentence."""
        return " ".join(self.says.partition("\n\n")[0].split())


def usable(source: Source) -> list[Usable]:
    """Everything that can be named, module by module, in the order of the source."""
    return [function for name in source.modules for function in _of_module(source, name)]


def lenses(source: Source) -> list[tuple[str, tuple[str, ...]]]:
    """Every lens that says what it needs, in the order of its place."""
    names = [name for name in source.modules if name.startswith("lenses.")]
    places = [f"{name}.{key}" for name in names for key in source.module(f"agentomy.{name}").definitions]
    return [(use, needed) for use in sorted(places) if (needed := needs(source, use))]


def said(source: Source, module: str) -> str:
    """The docstring of a module."""
    return ast.get_docstring(ast.parse(source.module(f"agentomy.{module}").path.read_text(encoding="utf-8"))) or ""


def _of_module(source: Source, name: str) -> Iterator[Usable]:
    module, comments = source.module(f"agentomy.{name}"), {}
    for key, (*_, definition) in module.definitions.items():
        function = _called(definition)
        if key.startswith("_") or function is None:
            continue
        stage = _stage(name, definition, function)
        with suppress(UnknownName):  # it takes or gives what no study file can say
            takes = signature(source, stage, f"{name}.{key}")
            if bool(takes.tables) == (stage not in ("environments", "plugin")):
                comments = comments or _comments(module)
                says = ast.get_docstring(definition) or ""
                parameters = tuple(_parameters(module, comments, function, takes, says))
                yield Usable(stage, f"{name}.{key}", says, takes, parameters)


def _called(definition: ast.stmt) -> ast.FunctionDef | None:
    """The function that a call runs: the function itself, or the `__init__` of a class."""
    inside = definition.body if isinstance(definition, ast.ClassDef) else [definition]
    functions = {function.name: function for function in inside if isinstance(function, ast.FunctionDef)}
    return functions.get("__init__" if isinstance(definition, ast.ClassDef) else getattr(definition, "name", ""))


def _stage(module: str, definition: ast.stmt, function: ast.FunctionDef) -> str:
    """The stage to which a function or class would belong."""
    if isinstance(definition, ast.ClassDef):
        return "plugin" if module.startswith("agents.plugins.") else "training"
    if module.startswith("environments."):
        return "environments"
    if function.returns and ast.unparse(function.returns) == "Figure":
        return "figures"
    arguments = [*function.args.args, *function.args.kwonlyargs]
    taken = {ast.unparse(argument.annotation) if argument.annotation else argument.arg for argument in arguments}
    return "checkpoints" if taken & {"run", "kinds.common.PARAMETERS"} else "metrics"


def _arguments(function: ast.FunctionDef) -> dict[str, tuple[ast.arg, ast.expr | None]]:
    """The arguments of a function, each with its default."""
    positional = [*function.args.posonlyargs, *function.args.args]
    defaults = [None] * (len(positional) - len(function.args.defaults)) + function.args.defaults
    pairs = [*zip(positional, defaults, strict=True)]
    pairs += zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    return {argument.arg: (argument, default) for argument, default in pairs}


def _parameters(
    module: Module, comments: dict[int, str], function: ast.FunctionDef, takes: Signature, says: str
) -> Iterator[Parameter]:
    arguments = _arguments(function)
    lines = [argument.lineno for argument, _ in arguments.values()]
    for name, type_ in takes.parameters.items():
        argument, default = arguments[name]
        last = default.end_lineno if default else argument.end_lineno
        comment = comments.get(last, "") if lines.count(argument.lineno) == 1 else ""
        meaning = comment or _sentence(says, f"`{name}`") or glossary.PARAMETERS.get(name, "")
        yield Parameter(name, type_, default is None, _value(module, default), meaning)


def _sentence(text: str, name: str) -> str:
    """The sentence of a docstring that names a parameter."""
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    sentences = (sentence for paragraph in paragraphs for sentence in re.split(r"(?<=\.) (?=[^a-z])", paragraph))
    return next((sentence for sentence in sentences if name in sentence), "")


def _value(module: Module, default: ast.expr | None) -> Any:
    """A default: a literal, or the name of a constant of the module."""
    if isinstance(default, ast.Name):
        (statement,) = module.definitions[default.id]
        (target,) = statement.targets
        value = ast.literal_eval(statement.value)
        return value[[name.id for name in target.elts].index(default.id)] if isinstance(target, ast.Tuple) else value
    return None if default is None else ast.literal_eval(default)


def _comments(module: Module) -> dict[int, str]:
    """The comments of a module by their lines."""
    tokens = tokenize.generate_tokens(io.StringIO(module.path.read_text(encoding="utf-8")).readline)
    return {token.start[0]: token.string.strip("# ") for token in tokens if token.type == tokenize.COMMENT}
