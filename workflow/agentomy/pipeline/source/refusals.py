"""Refuses code that cannot be followed, one line each: `python -m agentomy.pipeline.source.refusals`, in `make lint`.

What an artifact was made from is read from the source (provenance.py). That is exact only as long as the source says
what it uses. So in whatever a stage function reaches there is nothing that is known only when it runs: no registry that
is filled on the way, no import by a computed name, no attribute taken from a module by a computed name, …
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from agentomy.pipeline.source.definitions import PACKAGE, Reference, Refusal
from agentomy.pipeline.source.provenance import Source

# where stage functions live
SECTIONS = ("environments", "agents", "lenses", "papers")
PLUGINS = "agents.plugins"


def stage_functions(source: Source) -> list[str]:
    """The places of all functions and classes that a study file can name."""
    functions = []
    for name in source.modules:
        module = source.module(f"{PACKAGE}.{name}")
        if module is None or name.split(".")[0] not in SECTIONS:
            continue
        for key, (first, *_) in module.definitions.items():
            function = first
            if isinstance(first, ast.ClassDef):
                inside = [statement for statement in first.body if isinstance(statement, ast.FunctionDef)]
                function = next((statement for statement in inside if statement.name == "__init__"), None)
            if isinstance(function, ast.FunctionDef) and not key.startswith("_") and _is_stage(name, function):
                functions.append(f"{name}.{key}")
    return functions


def _is_stage(module: str, function: ast.FunctionDef) -> bool:
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    annotations = [argument.annotation for argument in arguments]
    if module.startswith(f"{PLUGINS}."):
        return any(argument.arg == "agent" for argument in arguments)
    if not module.startswith("agents."):
        annotations = [function.returns]
    return any(ast.unparse(annotation).startswith(("kinds.", "Figure")) for annotation in annotations if annotation)


def refused(source: Source, places: list[str]) -> Iterator[str]:
    """ "FILE:LINE: refusal" for everything that these places can reach."""
    lines: dict[tuple[Path, int, str], None] = {}
    seen, reached = set(), set()
    # an entry of a table counts for jobs that name it; here all are checked
    waiting = [source.resolved([PACKAGE, *place.split(".")])[0] for place in places]
    while waiting:
        place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        if source.is_engine(place.module):
            continue
        module, definition = source.module(place.module), source.definition(place)
        waiting += [*definition.references, *source.loose(place.module)]
        waiting += [place._replace(key=key) for key in source.entries(place._replace(key=""))] if place.key else []
        reached.add(place._replace(key=""))
        for refusal in (*module.refused, *definition.refused):
            lines[module.path, refusal.line, refusal.text] = None
    for place in reached:
        line = source.definition(place).reads_folder
        used = (reference for reference in source.definitions_of(place.module) if reference in reached)
        if line and not any(source.definition(reference).files for reference in used):
            text = "reads files from where it lies and names none of them: which are read cannot be seen"
            lines[source.module(place.module).path, line, text] = None
    for path, place, refusal in changes(source):  # no matter what changes it
        if place in reached:
            lines[path, refusal.line, refusal.text] = None
    for path, line, text in sorted(lines):
        yield f"{path}:{line}: {text}"


def changes(source: Source) -> Iterator[tuple[Path, Reference, Refusal]]:
    """Everything in the package that changes what some module defines: file, what is changed, where and how."""
    for name in source.modules:
        module = source.module(f"{PACKAGE}.{name}")
        if module is None or source.is_engine(module.name):
            continue
        for changed, refusal in module.changes.items():
            target = module.imports.get(changed, "").split(".")
            changed_definition, _ = source.resolved(target) if target[0] == PACKAGE else (None, [])
            if changed_definition:
                yield module.path, changed_definition, refusal
        for reference in source.definitions_of(module.name):
            for changed_definition, refusal in source.definition(reference).changes.items():
                yield module.path, changed_definition, refusal


def main() -> int:
    source = Source()
    lines = [*refused(source, stage_functions(source))]
    for line in lines:
        print(line, file=sys.stderr)
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
