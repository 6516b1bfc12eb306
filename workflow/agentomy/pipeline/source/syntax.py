"""What a piece of code binds, uses and does, by its syntax tree alone."""

import ast

from agentomy.pipeline.source.definitions import MAKING, imported

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
HARMLESS = (ast.Constant, ast.Name, ast.Attribute, ast.JoinedStr, ast.FormattedValue, ast.BinOp, ast.Compare)
HARMLESS += (ast.operator, ast.cmpop, ast.expr_context, ast.Tuple, ast.UnaryOp, ast.unaryop, ast.Subscript)


def children(node: ast.AST) -> list[ast.AST]:
    """The nodes right below a node, without those that only say whether a name is read or written."""
    nodes = []
    for field in node._fields:
        value = getattr(node, field, None)
        if isinstance(value, list):
            nodes += [item for item in value if isinstance(item, ast.AST)]
        elif isinstance(value, ast.AST) and field not in ("ctx", "op"):
            nodes.append(value)
    return nodes


def is_progress(node: ast.expr) -> bool:
    """Whether this is a call such as `progress.step(…)` or `self.progress.say(…)`."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    on = node.func.value
    return (isinstance(on, ast.Name) and on.id == "progress") or (
        isinstance(on, ast.Attribute) and on.attr == "progress"
    )


def attributes_of(node: ast.expr) -> tuple[ast.expr, list[str]]:
    """What `name.a.b` begins with, and the attributes that are taken from it one after the other."""
    taken: list[str] = []
    while isinstance(node, ast.Attribute):
        taken.insert(0, node.attr)
        node = node.value
    return node, taken


def is_nothing(node: ast.AST) -> bool:
    """Whether a statement makes no difference to what is computed."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) or is_progress(node.value)
    return isinstance(node, ast.Pass)


def unused(function: ast.AST) -> list[str]:
    """The parameters that a function uses nowhere, or only in code that doesn't count, such as error messages."""
    if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return []
    arguments = function.args
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    used, waiting = set(), [*function.body, *arguments.defaults, *filter(None, arguments.kw_defaults)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name):
            used.add(node.id)
        elif isinstance(node, ast.Expr) and is_progress(node.value):
            continue
        elif isinstance(node, ast.Raise):
            waiting += [node.exc.func if isinstance(node.exc, ast.Call) else node.exc] if node.exc else []
        elif isinstance(node, ast.Assert):
            waiting.append(node.test)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("locals", "vars"):
            return []
        else:
            waiting += children(node)
    return [name for name in names if name not in used]


def harmless(node: ast.expr) -> bool:
    """Whether evaluating an expression has no side effect."""
    return all(isinstance(part, HARMLESS) for part in ast.walk(node))


def names_stored(node: ast.AST) -> list[str]:
    return [part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)]


def local_names(node: ast.AST, body: list[ast.AST], package: str) -> tuple[dict[str, str | None], dict[str, ast.AST]]:
    """The names that a function or class binds itself (target of those that it imports), and those bound both ways."""
    bound: dict[str, str | None] = {}
    twice: dict[str, ast.AST] = {}
    arguments = getattr(node, "args", None)
    if arguments:
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        bound |= {argument.arg: None for argument in (*named, arguments.vararg, arguments.kwarg) if argument}
    waiting: list[ast.AST] = [*body]
    outer: set[str] = set()

    def bind(name: str, target: str | None, where: ast.AST) -> None:
        if name in bound and bound[name] != target:
            twice[name] = where
        bound[name] = target

    for child in waiting:  # which grows
        if isinstance(child, ast.Name):
            if not isinstance(child.ctx, ast.Load):
                bind(child.id, None, child)
            continue
        if isinstance(child, (ast.Constant, ast.Lambda)):
            continue
        if isinstance(child, MAKING):
            bind(child.name, None, child)
            waiting += child.decorator_list
            continue
        if isinstance(child, COMPREHENSIONS):
            walrus = [inner.target for inner in ast.walk(child) if isinstance(inner, ast.NamedExpr)]
            for target in walrus:
                bind(target.id, None, child)
            continue
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            for name, target in imported(child, package):
                bind(name, target, child)
        elif isinstance(child, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and child.name:
            bind(child.name, None, child)
        elif isinstance(child, ast.MatchMapping) and child.rest:
            bind(child.rest, None, child)
        elif isinstance(child, (ast.Global, ast.Nonlocal)):
            outer.update(child.names)
        waiting += children(child)
    return {name: target for name, target in bound.items() if name not in outer}, twice
