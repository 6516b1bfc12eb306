"""Writes workflow/studies/schema.json, by which editors complete and mark study files: `make docs`."""

import json
from typing import Any

from agentomy.pipeline.plan.catalogue import usable
from agentomy.pipeline.plan.schema import Writer
from agentomy.pipeline.source.provenance import Source

WIDTH = 120


def page(source: Source) -> str:
    return written(Writer(usable(source)).study()) + "\n"


def written(value: Any, indent: str = "") -> str:
    """JSON that is broken only where it does not fit into a line."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(line) <= WIDTH or not isinstance(value, (dict, list)) or not value:
        return line
    inner = f"{indent} "
    if isinstance(value, list):
        parts, ends = [written(element, inner) for element in value], "[]"
    else:
        parts, ends = [f"{json.dumps(key)}: {written(element, inner)}" for key, element in value.items()], "{}"
    return f"{ends[0]}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{ends[1]}"


if __name__ == "__main__":
    print(page(Source()), end="")
