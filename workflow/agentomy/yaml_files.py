"""YAML as users write it, read without surprises: a mistake in a file is reported in one line with its place.

What YAML allows and nobody needs is refused before anything is built from it: repeated keys (the last one would win
without a word), tags, keys that are no plain text, nesting or references without end (a file of a hundred bytes can
stand for millions of values, or for itself). Numbers such as 1e-3 are the numbers that they look like.
"""

import re
from pathlib import Path
from typing import Any, ClassVar

import yaml

from agentomy.mistakes import ConfigError, shown

CORE = "tag:yaml.org,2002"
LARGEST = 2**20  # bytes of a file
DIGITS = 30  # of a whole number
DEEPEST = 30  # lists and mappings within each other
MOST = 200_000  # values, each reference counted as what it stands for


class _Loader(yaml.CSafeLoader):
    """Parsed in C, since every job reads a study file. What looks like a date is text."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in (f"{CORE}:timestamp", f"{CORE}:value")]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    f"{CORE}:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def read_yaml(path: Path) -> dict:
    """The mapping in a file."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(path, "", error.strerror or str(error)) from None
    if len(content) > LARGEST:
        raise ConfigError(path, "", f"found {len(content)} bytes; allowed: at most {LARGEST}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(path, f"line {line}", "found bytes that are no UTF-8; allowed: text in UTF-8") from None
    mapping = parse_yaml(text, path)
    if not isinstance(mapping, dict):
        raise ConfigError(path, "", f"expected a mapping, found {shown(mapping)}")
    return mapping


def parse_yaml(text: str, file: Path | str) -> Any:
    """The value that a text stands for."""
    try:
        _refuse_depth_and_tags(text)
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _count(node, {})
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}" if mark else ""
        raise ConfigError(file, place, str(error.problem or error.context)) from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(file, "", " ".join(str(error).split())) from None


def _wrong(problem: str, mark: yaml.Mark) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _refuse_depth_and_tags(text: str) -> None:
    """Look at the text event by event: the C parser itself would recurse until the process dies."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.NodeEvent) and getattr(event, "tag", None):
            raise _wrong(f"found the tag '{event.tag}'; allowed: values without tags", event.start_mark)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise _wrong(f"lists and mappings lie more than {DEEPEST} deep in each other", event.start_mark)


def _count(node: yaml.Node, sizes: dict[yaml.Node, int | None]) -> int:
    """How many values a node stands for; refuses repeated keys, circles and too many.

    A merged key (<<) may be overridden: only what one mapping itself says twice is a mistake.
    """
    if isinstance(node, yaml.ScalarNode):
        if node.tag == f"{CORE}:int" and len(node.value) > DIGITS:
            raise _wrong(f"found a number of {len(node.value)} digits; allowed: {DIGITS}", node.start_mark)
        return 1
    if node in sizes:
        if sizes[node] is None:
            raise _wrong("an alias stands for something that it is part of", node.start_mark)
        return sizes[node]
    sizes[node] = None  # until it is known: whoever meets it again is inside it
    children = node.value
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _wrong("a key is not plain text", key.start_mark)
            if key.value in seen:
                raise _wrong(f"key '{key.value}' is given twice", key.start_mark)
            seen.add(key.value)
        children = [value for _, value in node.value]
    total = 1 + sum(_count(child, sizes) for child in children)
    if total > MOST:
        raise _wrong(f"aliases stand for more than {MOST} values", node.start_mark)
    sizes[node] = total
    return total
