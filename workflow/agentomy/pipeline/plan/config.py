"""config.yaml and what is said over it on the command line, as checked data."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from agentomy.mistakes import ConfigError, shown, validated
from agentomy.values import Closed, Line
from agentomy.yaml_files import parse_yaml, read_yaml

Scale = Literal["smoke", "laptop", "workstation", "paper"]
SCALES: tuple[str, ...] = get_args(Scale)
Seeds = Annotated[int, Field(ge=1, le=10_000)]


class Config(Closed):
    """config.yaml."""

    scale: Scale = Field(description="size of everything")
    studies: list[Line] = Field(min_length=1, description="studies that `all` makes")
    seeds: Seeds | None = Field(None, description="training seeds of every run; null: as the study says")
    device: Literal["cpu", "cuda"] = Field("cpu", description="where networks are trained and run")
    versions: Annotated[int, Field(ge=0)] = Field(2, description="versions of each output that are kept")
    overrides: dict[Line, Any] = Field({}, description="single parameters of studies by dotted path")
    decided: dict[Line, Seeds] = Field({}, description="run → seeds that `agentomy decide` has added (`decided.py`)")


def gathered(files: Iterable[Path | str], command_line: Mapping[str, Any]) -> dict[str, Any]:
    """What a user configures: files, later ones over earlier ones, and `--config` over all of them.

    On the command line everything nested arrives as text, and is read as YAML.
    """
    given: dict[str, Any] = {}
    for path in files:
        _merge(given, read_yaml(Path(path)))
    said = {}
    for key, value in command_line.items():
        if key == "studies" and isinstance(value, str):
            said[key] = value.replace(",", " ").split()
        else:
            said[key] = _parsed(value, f"--config: {key}") if key in ("seeds", "overrides") else value
    _merge(given, said)
    return given


def _merge(given: dict, over: Mapping) -> None:
    for key, value in over.items():
        if key == "overrides" and isinstance(value, dict) and isinstance(given.get(key), dict):
            given[key] = {**given[key], **value}
        else:
            given[key] = value


def _parsed(value: Any, place: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _parsed(inner, f"{place}.{key}") for key, inner in value.items()}
    if isinstance(value, list):
        return [_parsed(inner, place) for inner in value]
    return parse_yaml(value, place) if isinstance(value, str) else value


def parse_config(given: dict, file: Path | str = "config.yaml") -> Config:
    """Check a configuration."""
    given = {key: value for key, value in given.items() if key != "overrides" or value is not None}
    if not isinstance(given.get("overrides", {}), dict):
        example = "{bayes.training.cat-3.updates: 500}"
        overrides = shown(given["overrides"])
        raise ConfigError(file, "overrides", f"found {overrides}; allowed: dotted paths to values, as in {example}")
    return validated(Config, given, file, "")
