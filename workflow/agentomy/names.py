"""Looks up the functions and classes that parameters and descriptions name; nothing else does.

There is one resolver because the digest of a job holds the code of what its names stand for (provenance.py). Of a table
that is looked up through `resolve`, an entry counts where its name can occur; of a package that is looked up through
`place`, what some agent's code named. So one more line in such a table makes nothing out of date.
"""

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from inspect import signature
from typing import Any, TypeVar

LOADED: set[str] = set()  # the user's modules of this job (pipeline/run/modules.py)
Key, Thing = TypeVar("Key"), TypeVar("Thing")


class Unfit(ValueError):
    """What a file describes cannot be made here: an unknown name, other arguments, weights of another network.

    The file may come from another version of this package. One line says what does not fit.
    """


def resolve(table: Mapping[Key, Thing], name: Key) -> Thing:
    """The entry of a table, by its name (or class); `Unfit` if there is none."""
    if name not in table:
        raise Unfit(f"found {_shown(name)}; allowed: {', '.join(map(_shown, table))}")
    return table[name]


def place(section: str, use: str) -> Any:
    """The function or class `use` ("module.name") of a section of the package, such as "networks"; of "": anywhere.

    `Unfit` if the package has no such module or name.
    """
    module, _, name = use.rpartition(".")
    try:
        return getattr(import_module(".".join(filter(None, ["agentomy", section, module]))), name)
    except (ModuleNotFoundError, AttributeError) as error:
        if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("agentomy"):
            raise  # a library that is not installed
        raise Unfit(f"there is no '{use}' here") from None


def make(function: Callable[..., Thing], *arguments: Any, **named: Any) -> Thing:
    """Call a function or class with arguments from a file; `Unfit` if it takes others."""
    try:
        signature(function).bind(*arguments, **named)
    except TypeError as error:
        raise Unfit(f"{function.__name__}: {error}") from None
    return function(*arguments, **named)


def outside(use: str, *libraries: str) -> Any:
    """A class of a user's module ("MODULE.NAME", loaded for this job) or of some libraries; `ValueError` for others."""
    module, _, name = use.rpartition(".")
    if module not in LOADED and module not in libraries:
        allowed = ", ".join(f"{library}.NAME" for library in (*libraries, *LOADED))
        raise ValueError(f"found '{use}'; allowed: {allowed}, or of a module that `modules:` names")
    cls = getattr(import_module(module), name, None)
    if not isinstance(cls, type):
        raise ValueError(f"found '{use}', and {module} has no such class")
    return cls


def function(use: str) -> Callable:
    """A function of a user's module ("MODULE.NAME", loaded for this job); `ValueError` for others."""
    module, _, name = use.rpartition(".")
    named = getattr(import_module(module), name, None) if module in LOADED else None
    if not callable(named):
        raise ValueError(f"found '{use}'; allowed: MODULE.FUNCTION of a module that `modules:` names")
    return named


def texts(value: Any) -> Iterator[str]:
    """All names that are somewhere in a value from a study file: a place such as "module.name" holds a name too."""
    if isinstance(value, str):
        yield from (value, value.rpartition(".")[2])
    elif isinstance(value, Mapping):
        yield from texts([*value, *value.values()])
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from texts(part)


def _shown(name: Any) -> str:
    return name.__name__ if isinstance(name, type) else f"'{name}'"
