"""What stage functions take and return, read from their source so that nothing heavy is imported."""

import ast
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from agentomy import kinds
from agentomy.foreign import FOREIGN, Foreign
from agentomy.provenance import Source, UnknownName

# what the runner hands over by itself, if a function asks for it; the name of a run only to checkpoint extraction,
# which looks at one run at a time: elsewhere it is a parameter like others
PROVIDED = ("self", "agent", "streams", "device", "progress")
TYPES = {each.__name__: each for each in (int, float, str, bool, list, dict)} | {"Literal": Literal, "None": None}
TYPES["Foreign"] = Foreign


@dataclass(frozen=True)
class Signature:
    """What a stage function takes: tables by kind, parameters with types, perhaps a device; and the kind it returns."""

    tables: dict[str, str]
    parameters: dict[str, Any]
    required: tuple[str, ...]
    returns: str
    device: bool

    @property
    def foreign(self) -> list[str]:
        """The parameters that are paths of data which is no table of ours."""
        return [name for name, each in self.parameters.items() if FOREIGN in getattr(each, "__metadata__", ())]


@cache
def signature(source: Source, place: str) -> Signature:
    """Read a stage function's (or agent class's) signature from its source."""
    found = source.find(place)
    if isinstance(found, ast.ClassDef):
        found = next(
            (each for each in found.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"), None
        )
        if found is None:
            raise UnknownName("a class without __init__")
    arguments = found.args
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + arguments.defaults
    everything = [
        *zip(positional, defaults, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    tables, parameters, required = {}, {}, []
    for argument, default in everything:
        kind = _kind(argument.annotation)
        if kind:
            tables[argument.arg] = kind
        elif argument.arg not in PROVIDED and (argument.arg, place.split(".")[0]) != ("run", "checkpoints"):
            parameters[argument.arg] = _type(argument.annotation, place, argument.arg)
            required += [argument.arg] if default is None else []
    returns = _kind(found.returns)
    if not returns and place.split(".")[0] in ("environments", "checkpoints", "metrics"):
        raise UnknownName("it is no stage function (it does not return a table of a kind)")
    device = any(argument.arg == "device" for argument, _ in everything)
    return Signature(tables, parameters, tuple(required), returns, device)


def _kind(annotation: ast.expr | None) -> str:
    """The name of a kind in an annotation such as `kinds.PREDICTIONS`."""
    text = ast.unparse(annotation) if annotation else ""
    return text.removeprefix("kinds.") if text.startswith("kinds.") else ""


def _type(annotation: ast.expr | None, place: str, name: str) -> Any:
    if annotation is None:
        raise UnknownName(f"'{place}' gives no type for '{name}'")
    try:
        return eval(ast.unparse(annotation), {"__builtins__": {}}, TYPES)  # our own source, names limited to TYPES
    except NameError:
        raise UnknownName(f"it is no stage function ('{name}' is a {ast.unparse(annotation)})") from None


def columns(kind: str) -> dict[str, str]:
    """The columns of a kind, with their types."""
    return {column.name: column.type for column in kinds.ALL[kind].columns}
