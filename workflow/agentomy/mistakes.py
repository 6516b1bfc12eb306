"""A user's mistake as one line: file, key, what was found, what is allowed."""

import difflib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

LONGEST = 60  # of a value or a name that is quoted


class ConfigError(Exception):
    """A mistake in a user's file; the message is one line: file, key, what was found, what is allowed."""

    def __init__(self, file: Path | str, key: str, problem: str):
        super().__init__(printable(f"{file}: {key}: {problem}" if key else f"{file}: {problem}"))


def printable(text: str) -> str:
    """A text in which nothing breaks or hides a line: control characters and lone surrogates are written as escapes."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def shown(value: Any) -> str:
    """A value as a user would recognise it, with its type."""
    return f"{_short(repr(value))} ({type(value).__name__})"


def unknown(what: str, name: Any, allowed) -> str:
    """The end of a line about a name that is not known: what was found, what was perhaps meant, what is allowed."""
    allowed, name = list(allowed), _short(str(name))
    close = difflib.get_close_matches(name, allowed, 1)
    meant = f" (did you mean '{close[0]}'?)" if close else ""
    return f"no {what} '{name}'{meant}; allowed: {', '.join(allowed) or 'none'}"


def _short(text: str) -> str:
    return text if len(text) < LONGEST else text[: LONGEST - 3] + "..."


def validated(model: type[BaseModel], given: Any, file: Path | str, key: str) -> Any:
    """Make a model of what was given, or say in one line what is wrong with it."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise ConfigError(file, *explained(error, key, given, model)) from None


def explained(error: ValidationError, key: str, given: Any, model: type[BaseModel] | None = None) -> tuple[str, str]:
    """The first of pydantic's errors about what was given: its key, and what was found and is allowed there."""
    # a key that is not known comes first: it may be one that is missing, misspelt
    errors = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    first, (path, value) = errors[0], _followed(given, errors[0]["loc"])
    place = ".".join(_short(str(part)) for part in (key, *path) if part != "")
    if first["type"] == "extra_forbidden":
        return place, unknown("key", path[-1], keys(_model_at(model, path[:-1])))
    if first["type"] == "missing":
        return f"{place}.{first['loc'][-1]}".removeprefix("."), "missing"
    # a value that may be of several types has an error from each
    allowed = dict.fromkeys(_allowed(problem) for problem in errors if _followed(given, problem["loc"])[0] == path)
    return place, f"found {shown(value)}; allowed: {' or '.join(allowed)}"


def _followed(given: Any, location: tuple) -> tuple[list, Any]:
    """The keys and numbers of an error's location, and what stands there; names of types among them are left out."""
    path: list = []
    for part in location:
        if (isinstance(given, dict) and part in given) or (isinstance(given, list) and isinstance(part, int)):
            given = given[part]
        else:
            continue
        path.append(part)
    return path, given


ALLOWED = {
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "list_type": "a list",
    "string_type": "text",
    "too_short": "at least {min_length}",
    "too_long": "at most {max_length}",
    "string_too_short": "some text",
    "string_too_long": "at most {max_length} characters",
    "greater_than_equal": "{ge:.12g} or more",
    "less_than_equal": "{le:.12g} or less",
    "greater_than": "more than {gt:.12g}",
    "less_than": "less than {lt:.12g}",
}


def _allowed(error: Any) -> str:
    """What one of pydantic's errors says is allowed."""
    said = error["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return ALLOWED.get(error["type"], said.replace("{", "{{").replace("}", "}}")).format(**error.get("ctx", {}))


def keys(model: type[BaseModel]) -> list[str]:
    """The keys of a model as a user writes them."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_at(model, location) -> type[BaseModel]:
    """The model in which an error lies: follows fields, and the values of mappings."""
    for part in location:
        for name, field in model.model_fields.items():
            if part in (name, field.alias):
                inner = [field.annotation, *getattr(field.annotation, "__args__", ())]
                model = next((cls for cls in inner if isinstance(cls, type) and issubclass(cls, BaseModel)), model)
    return model
