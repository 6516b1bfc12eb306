"""Folders of rl-baselines3-zoo: `config.yml` and `args.yml`, whose tags name Python objects and stay names.

`normalize: "dict(norm_obs=True, …)"` is code, which the zoo gives to `eval`. Here keywords with literal values are
read from its syntax tree; anything else stays text.
"""

import ast
from pathlib import Path
from typing import Any

import yaml

from agentomy.foreign_agents.files import contents, refused
from agentomy.mistakes import shown

LARGEST = 2**20  # bytes
DEEPEST = 30
MOST = 20_000  # events of a file
TAG = "tag:yaml.org,2002:python/"
ORDERED = f"{TAG}object/apply:collections.OrderedDict"


class _Inert(yaml.CSafeLoader):
    """Builds plain values; an object's tag becomes text."""


def _named(loader: _Inert, suffix: str, node: yaml.Node) -> Any:
    if f"{TAG}{suffix}" == ORDERED and isinstance(node, yaml.SequenceNode):
        pairs = loader.construct_sequence(node, deep=True)
        pairs = pairs[0] if len(pairs) == 1 and isinstance(pairs[0], list) else []
        return {str(pair[0]): pair[1] for pair in pairs if isinstance(pair, list) and len(pair) == 2}
    if suffix in ("tuple", "list") and isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    if suffix in ("str", "unicode") and isinstance(node, yaml.ScalarNode):
        return node.value
    return f"!!python/{suffix}"


_Inert.add_multi_constructor(TAG, _named)


def read_zoo(path: Path) -> dict[str, Any]:
    """The mapping in a `config.yml` or `args.yml`; what would be a Python object is the text of its tag."""
    content = contents(path, LARGEST)
    try:
        text = content.decode("utf-8")
        _refuse_depth(path, text)
        value = yaml.load(text, _Inert)
    except UnicodeDecodeError:
        raise refused(path, "", "found bytes that are no UTF-8; allowed: text in UTF-8") from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise refused(path, "", f"broken YAML ({' '.join(str(error).split())[:120]})") from None
    if not isinstance(value, dict):
        raise refused(path, "", f"expected a mapping, found a {type(value).__name__}")
    return value


def _refuse_depth(path: Path, text: str) -> None:
    depth = 0
    for number, event in enumerate(yaml.parse(text, yaml.CSafeLoader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            raise refused(path, f"line {event.start_mark.line + 1}", "found an alias; allowed: values")
        if depth > DEEPEST or number > MOST:
            problem = f"found more than {DEEPEST} levels or {MOST} values; allowed: at most that"
            raise refused(path, f"line {event.start_mark.line + 1}", problem)


def keywords(text: Any) -> Any:
    """A text such as "dict(norm_obs=True, clip_obs=10.)" as a mapping; names in it stay text, other code too."""
    if not isinstance(text, str) or len(text) > 5000:
        return text
    try:
        return _value(ast.parse(text.strip(), mode="eval").body, text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return text


def _value(node: ast.expr, text: str) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
        return {str(keyword.arg): _value(keyword.value, text) for keyword in node.keywords}
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(element, text) for element in node.elts]
    if isinstance(node, ast.Dict) and all(isinstance(key, ast.Constant) for key in node.keys):
        return {str(key.value): _value(element, text) for key, element in zip(node.keys, node.values, strict=True)}
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        return (ast.get_source_segment(text.strip(), node) or text)[:200]


def normalisation(config: dict[str, Any], path: Path) -> dict[str, Any] | None:
    """What a config says of VecNormalize, or None without it; one line where that is no literal."""
    said = keywords(config.get("normalize", False))
    if said is False or said is None:
        return None
    if said is True:
        return {}
    if not isinstance(said, dict) or not all(isinstance(option, (bool, int, float)) for option in said.values()):
        problem = f"found {shown(config['normalize'])}, which is not run; allowed: True, False, dict(norm_obs=True, …)"
        raise refused(path, "normalize", problem)
    return said
