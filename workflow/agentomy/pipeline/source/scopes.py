"""What a name stands for at a place in a module: Python's rules of scopes, for code that is read and not run."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from agentomy.pipeline.source.definitions import Module

FUNCTION, CLASS, COMPREHENSION = "function", "class", "comprehension"


class Scopes:
    """The scopes around the place that is being read, innermost last."""

    def __init__(self, module: Module):
        self.module = module
        self._open: list[tuple[Mapping[str, str | None], str]] = []

    @contextmanager
    def within(self, bound: Mapping[str, str | None], kind: str) -> Iterator[None]:
        """Enter a scope that binds names, each to the dotted place that it imports or (None) to something local."""
        self._open.append((bound, kind))
        yield
        self._open.pop()

    @property
    def at_top(self) -> bool:
        """Whether this is the top level of the module."""
        return not self._open

    def meaning(self, name: str) -> list[str] | None:
        """The parts of the dotted place that a name stands for; none if it is local, None if nothing here binds it."""
        in_function = False
        for bound, kind in reversed(self._open):
            # functions in a class do not see the names of the class
            if name in bound and not (kind == CLASS and in_function):
                place = bound[name]
                return place.split(".") if place else []
            in_function |= kind == FUNCTION
        if name in self.module.definitions:
            return [*self.module.name.split("."), name]
        if name in self.module.imports:
            return self.module.imports[name].split(".")
        return None
