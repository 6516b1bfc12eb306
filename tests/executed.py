"""Which definitions of the package a job executes, beside those that its digest is of."""

import cProfile
import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import CodeType

import agentomy
from agentomy.pipeline.plan.study import JUDGING, Study
from agentomy.pipeline.source.definitions import PACKAGE
from agentomy.pipeline.source.provenance import Source

OPTIMISED = 0x1  # of code: a function's body, not a module's or a class's


def unknown(study: Study, stage: str, name: str, run: Callable[[], None]) -> set[tuple[str, str]]:
    """(module, definition) of all that is executed while `run` runs a job and that its digest does not hold.

    The engine apart; and what runs only while a module is imported, as that depends on who imported it before.
    """
    source = study.source
    if stage == "claims":
        used, _ = source.closure(*JUDGING)
    else:
        part = study.parts(stage, name.partition("/")[0].partition(".")[0])[name]
        used, _ = source.closure(*study.code(stage, part.entry), names=study.names_given(stage, part))
    return executed(source, run) - set(used)


def executed(source: Source, run: Callable[[], None]) -> set[tuple[str, str]]:
    """(module, definition) of all functions of the package that are called meanwhile, the engine's apart."""
    _import_all()
    # it is written in C, so that a job takes little longer while it is watched
    profile = cProfile.Profile(builtins=False, subcalls=False)
    profile.enable()
    try:
        run()
    finally:
        profile.disable()
    called = (entry.code for entry in profile.getstats())
    places = {_place(source, code) for code in called if isinstance(code, CodeType) and code.co_flags & OPTIMISED}
    return {(module, name) for module, name in places if name and not source.is_engine(module)}


@cache
def _import_all() -> None:
    """Import the whole package: from then on nothing of it runs because a job is the first to import it."""
    for module in pkgutil.walk_packages(agentomy.__path__, "agentomy."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)


def _place(source: Source, code: CodeType) -> tuple[str, str]:
    """Module and top-level definition in which a piece of code stands; ("", "") if it is not the package's."""
    path = Path(code.co_filename)
    if not path.is_relative_to(source.root):
        return "", ""
    parts = path.relative_to(source.root).with_suffix("").parts
    name = ".".join([PACKAGE, *(part for part in parts if part != "__init__")])
    for definition, statements in source.module(name).definitions.items():
        for statement in statements:
            first = min([statement.lineno, *(other.lineno for other in getattr(statement, "decorator_list", []))])
            if first <= code.co_firstlineno <= statement.end_lineno:
                return name, definition
    return "", ""
