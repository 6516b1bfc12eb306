"""What stage functions take and return, read from their source so that nothing heavy is imported."""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal, get_args
from weakref import WeakKeyDictionary

from pydantic import Field, TypeAdapter

from agentomy import kinds, values
from agentomy.judge.columns import Column
from agentomy.pipeline.source.provenance import Source, UnknownName

# what the runner hands over by itself, if a function asks for it; the name of a run only to checkpoint extraction,
# which looks at one run at a time: elsewhere it is a parameter like others
PROVIDED = ("self", "agent", "streams", "device", "progress")
# what a name in an annotation stands for: plain numbers and texts are such that a table, a log and JSON can hold them
TYPES = {
    "int": values.Whole,
    "float": values.Finite,
    "str": values.Line,
    "bool": bool,
    **{name: getattr(values, name) for name in values.NAMES},
}


@dataclass(frozen=True)
class Signature:
    """What a stage function takes: tables by kind, parameters with types, perhaps a device; and the kind it returns."""

    tables: dict[str, str]
    parameters: dict[str, Any]
    required: tuple[str, ...]
    returns: str
    device: bool
    _adapters: dict[str, TypeAdapter] = field(default_factory=dict, compare=False, repr=False)

    def checked(self, parameter: str, value: Any) -> Any:
        """A value of a parameter, as its type has it; raises pydantic's ValidationError."""
        if parameter not in self._adapters:  # costly to make, and many entries name the same function
            self._adapters[parameter] = TypeAdapter(self.parameters[parameter])
        return self._adapters[parameter].validate_python(value, strict=True)

    @cached_property
    def foreign(self) -> list[str]:
        """The parameters that are paths of data which is no table of ours."""
        return [name for name, type_ in self.parameters.items() if _marked(type_, values.FOREIGN)]

    @cached_property
    def series(self) -> list[str]:
        """The parameters that are patterns of files, the first of which says what a run imports."""
        return [name for name, type_ in self.parameters.items() if _marked(type_, values.SERIES)]


def _marked(type_: Any, mark: str) -> bool:
    """Whether a type, or one of several that a value may be of, is marked so."""
    return mark in getattr(type_, "__metadata__", ()) or any(_marked(part, mark) for part in get_args(type_))


_KNOWN: WeakKeyDictionary[Source, dict[tuple[str, str], Signature]] = (
    WeakKeyDictionary()
)  # as long as somebody has the source


# where the functions and classes of a stage live; what looks into agents, in a lens or in a paper
ROOMS = {"environments": ("environments",), "training": ("agents",), "plugin": ("agents.plugins",)}
LOOKING = ("lenses", "papers")


def signature(source: Source, stage: str, place: str) -> Signature:
    """A stage function's (or agent class's) signature, read from its source once."""
    known = _KNOWN.setdefault(source, {})
    if (stage, place) not in known:
        known[stage, place] = _signature(source, stage, place)
    return known[stage, place]


def _signature(source: Source, stage: str, place: str) -> Signature:
    rooms = [f"{room}." for room in ROOMS.get(stage, LOOKING)]
    if not place.startswith(tuple(rooms)):
        raise UnknownName(f"it is in another room; allowed: {' or '.join(f'{room}…' for room in rooms)}")
    function = source.find(place)
    if isinstance(function, ast.ClassDef):
        methods = (statement for statement in function.body if isinstance(statement, ast.FunctionDef))
        function = next((method for method in methods if method.name == "__init__"), None)
        if function is None:
            raise UnknownName("a class without __init__")
    arguments = function.args
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
        elif argument.arg not in PROVIDED and (argument.arg, stage) != ("run", "checkpoints"):
            parameters[argument.arg] = _type(argument.annotation, place, argument.arg)
            required += [argument.arg] if default is None else []
    returns = _kind(function.returns)
    if not returns and stage in ("environments", "checkpoints", "metrics"):
        raise UnknownName("it is no stage function (it does not return a table of a kind)")
    if stage == "figures" and not _is_figure(function):
        raise UnknownName("it is no function that draws (it does not return a figure)")
    device = any(argument.arg == "device" for argument, _ in everything)
    return Signature(tables, parameters, tuple(required), returns, device)


def _kind(annotation: ast.expr | None) -> str:
    """The name of a kind in an annotation such as `kinds.bayes.PREDICTIONS`."""
    text = ast.unparse(annotation) if annotation else ""
    return text.rpartition(".")[2] if text.startswith("kinds.") else ""


def _is_figure(function: ast.AST) -> bool:
    returned = getattr(function, "returns", None)
    return isinstance(returned, ast.Name) and returned.id == "Figure"


def _type(annotation: ast.expr | None, place: str, name: str) -> Any:
    if annotation is None:
        raise UnknownName(f"'{place}' gives no type for '{name}'")
    try:
        return _meaning(annotation)
    except KeyError:
        raise UnknownName(f"it is no stage function ('{name}' is a {ast.unparse(annotation)})") from None


def _meaning(annotation: ast.expr) -> Any:
    """The type that an annotation names, found in `TYPES` and not by running it; raises KeyError."""
    match annotation:
        case ast.Constant(value=None):
            return None
        case ast.Name(id=name):
            return TYPES[name]
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _meaning(left) | _meaning(right)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=chosen):
            options = chosen.elts if isinstance(chosen, ast.Tuple) else [chosen]
            return Literal[tuple(ast.literal_eval(option) for option in options)]
        case ast.Subscript(value=ast.Name(id="list"), slice=inner):
            return Annotated[list[_meaning(inner)], Field(min_length=1)]
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[key, value])):
            return Annotated[dict[_meaning(key), _meaning(value)], Field(min_length=1)]
    raise KeyError(ast.unparse(annotation))


def columns(kind: str, names: Mapping[str, Sequence[str]]) -> dict[str, Column]:
    """The columns of a kind, each with its type and all values that it can have, if that is known.

    `names` are those of runs and environments.
    """
    typed = {}
    for column in kinds.ALL[kind].columns:
        values = [*column.values, *names.get(column.names, ())] if column.values or column.names else None
        typed[column.name] = Column("other" if column.name in kinds.ALL[kind].lists else column.type, values)
    return typed
