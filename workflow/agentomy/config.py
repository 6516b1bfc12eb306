"""config.yaml and the study files as checked data: what a user may write, and one clear line when it is wrong."""

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

SCALES = ("smoke", "laptop", "paper")


class ConfigError(Exception):
    """A mistake in a user's file; the message is one line: file, key, what was found, what is allowed."""

    def __init__(self, file: Path | str, key: str, problem: str):
        super().__init__(f"{file}: {key}: {problem}" if key else f"{file}: {problem}")


class Closed(BaseModel):
    """A mapping in which every key is known; types are taken as they are written."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Config(Closed):
    """config.yaml."""

    scale: Literal["smoke", "laptop", "paper"] = Field(description="size of everything")
    studies: list[str] = Field(min_length=1, description="studies that `all` makes")
    seeds: Annotated[int, Field(ge=1)] | None = Field(
        None, description="training seeds of every run; null: as the study says"
    )
    device: Literal["cpu", "cuda"] = Field("cpu", description="where networks are trained and run")
    versions: Annotated[int, Field(ge=0)] = Field(2, description="versions of each output that are kept")
    overrides: dict[str, Any] = Field({}, description="single parameters of studies by dotted path")


class Paper(Closed):
    """The head of a study file."""

    title: str
    authors: str
    url: str


class Snapshots(Closed):
    """Which snapshots a training run keeps: always the first and the last.

    `log` and `even` say how many, spaced so over the run; `every` is a fixed interval in updates.
    """

    log: Annotated[int, Field(ge=0)] = 0
    even: Annotated[int, Field(ge=0)] = 0
    every: Annotated[int, Field(ge=1)] | None = None


def _threshold(text: str) -> str:
    """A threshold as it is written, such as "< 1e-3"."""
    side, _, number = text.partition(" ")
    try:
        float(number)
    except ValueError:
        side = ""
    if side not in ("<", "<=", ">", ">="):
        raise ValueError("a comparison with a number, as in '< 1e-3'")
    return text


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


class Test(Closed):
    """One measured inequality of a claim.

    `value` is a column of the metric `from`; rows are those that equal `where`; each value of the column `each` is
    judged by itself; over seeds the mean and its 95 % interval are taken (on the logarithm, if `interval: log`).
    `interval: given` takes the interval from the metric's columns low and high, as of a bootstrap; `exact` is for what
    does not vary over seeds, such as a statement about published numbers: the value itself is compared.
    """

    source: str = Field(alias="from")
    value: str
    where: dict[str, Annotated[list[str] | list[int], BeforeValidator(_listed)]] = {}
    each: str | None = None
    interval: Literal["linear", "log", "given", "exact"] = "linear"
    holds: Annotated[str, AfterValidator(_threshold)] | None = None
    scales: list[Literal["smoke", "laptop", "paper"]] = ["laptop", "paper"]


class Claim(Closed):
    """A numbered claim of a paper; it holds if all its tests hold."""

    says: str
    paper: str
    tests: dict[str, Test] = Field(min_length=1)


class _Loader(yaml.CSafeLoader):
    """YAML in which 1e-3 is the number that it looks like; parsed in C, since every job reads a study file."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def parse_yaml(text: str, file: Path | str) -> Any:
    """Read YAML without repeated keys; whatever is wrong with it becomes one line with the place."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _refuse_repeated_keys(node)
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}" if mark else ""
        raise ConfigError(file, place, str(error.problem or error.context)) from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(file, "", " ".join(str(error).split())) from None


def _refuse_repeated_keys(node: yaml.Node) -> None:
    """YAML keeps the last of two equal keys without a word; merged ones (<<) may be overridden."""
    seen = set()
    for child in node.value if isinstance(node, (yaml.MappingNode, yaml.SequenceNode)) else ():
        if isinstance(node, yaml.SequenceNode):
            _refuse_repeated_keys(child)
            continue
        key, value = child
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(problem="a key is not plain text", problem_mark=key.start_mark)
        if key.value in seen:
            raise yaml.MarkedYAMLError(problem=f"key '{key.value}' is given twice", problem_mark=key.start_mark)
        seen.add(key.value)
        _refuse_repeated_keys(value)


def read_yaml(path: Path) -> dict:
    try:
        text = path.read_text()
    except OSError as error:
        raise ConfigError(path, "", error.strerror or str(error)) from None
    found = parse_yaml(text, path)
    if not isinstance(found, dict):
        raise ConfigError(path, "", f"expected a mapping, found {shown(found)}")
    return found


def parse_config(given: dict, file: Path | str = "config.yaml") -> Config:
    """Check config.yaml as Snakemake merged it with `--config`, which hands nested values over as strings."""
    given = dict(given)
    if isinstance(given.get("studies"), str):
        given["studies"] = given["studies"].replace(",", " ").split()
    overrides = given.get("overrides") or {}
    if not isinstance(overrides, dict):
        example = "{bayes.training.cat-3.updates: 500}"
        raise ConfigError(
            file, "overrides", f"found {shown(overrides)}; allowed: dotted paths to values, as in {example}"
        )
    given["overrides"] = {key: _parsed(value, f"{file}: overrides.{key}") for key, value in overrides.items()}
    return validated(Config, given, file, "")


def _parsed(value: Any, place: str) -> Any:
    """A value of `--config`, where all that is written arrives as text."""
    if isinstance(value, dict):
        return {key: _parsed(each, place) for key, each in value.items()}
    return parse_yaml(value, place) if isinstance(value, str) else value


def validated(model: type[BaseModel], given: Any, file: Path | str, key: str) -> Any:
    """Make a model of what was given, or say in one line what is wrong with it."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise ConfigError(file, *explained(error, key, model)) from None


def explained(error: ValidationError, key: str, model: type[BaseModel] | None = None) -> tuple[str, str]:
    """The first of pydantic's errors: its key, and what was found and is allowed there."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in (key, *first["loc"]) if part != "")
    if first["type"] == "extra_forbidden":
        allowed = [field.alias or name for name, field in _model_at(model, first["loc"][:-1]).model_fields.items()]
        return place, unknown("key", first["loc"][-1], allowed)
    if first["type"] == "missing":
        return place, "missing"
    allowed = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return place, f"found {shown(first['input'])}; allowed: {allowed}"


def _model_at(model, location) -> type[BaseModel]:
    """The model in which an error lies: follows fields, and the values of mappings."""
    for part in location:
        for name, field in model.model_fields.items():
            if part in (name, field.alias):
                inner = [field.annotation, *getattr(field.annotation, "__args__", ())]
                model = next((each for each in inner if isinstance(each, type) and issubclass(each, BaseModel)), model)
    return model


def words(value: Any) -> Iterator[str]:
    """All texts in nested lists and mappings, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for each in [*value, *(value.values() if isinstance(value, dict) else ())]:
            yield from words(each)


def unknown(what: str, found: Any, allowed) -> str:
    """The end of a line about a name that is not known: what was found, what was perhaps meant, what is allowed."""
    allowed = list(allowed)
    close = difflib.get_close_matches(str(found), allowed, 1)
    meant = f" (did you mean '{close[0]}'?)" if close else ""
    return f"no {what} '{found}'{meant}; allowed: {', '.join(allowed)}"


def shown(value: Any) -> str:
    """A value as a user would recognise it, with its type."""
    text = repr(value)
    return f"{text if len(text) < 60 else text[:57] + '...'} ({type(value).__name__})"
