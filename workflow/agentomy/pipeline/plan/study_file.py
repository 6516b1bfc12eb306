"""A study file as it is read: its sections, single parameters overridden, values taken at a scale."""

import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from agentomy import names
from agentomy.mistakes import ConfigError, explained, keys, shown, unknown
from agentomy.pipeline.plan.config import SCALES, Seeds
from agentomy.pipeline.plan.entries import ENTRIES, Claim, Entry, Named, Paper
from agentomy.pipeline.plan.signatures import Signature, signature
from agentomy.pipeline.source.provenance import Source, UnknownName
from agentomy.yaml_files import read_yaml

STAGES = ("environments", "training", "checkpoints", "metrics", "figures")
SECTIONS = ("paper", "modules", *STAGES, "claims")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")  # part of files' names, of dotted paths and of command lines
SEEDS = TypeAdapter(Seeds)
NAMES = "letters, digits, - and _, not beginning with - or _"


class StudyFile:
    """One study file with the user's overrides in it; `entries` and `claims` give it at one scale."""

    def __init__(self, path: Path, overrides: dict[str, Any], source: Source):
        self.path, self.source = path, source
        self._overridden: dict[str, str] = {}
        given = read_yaml(path)
        self.modules = self._modules(given.pop("modules", []))
        self.raw = self._sections(given)
        self._runs = dict(self.raw["training"])  # as they are in the file
        for dotted, value in overrides.items():
            if dotted.partition(".")[0] == path.stem:
                self._override(self.raw, dotted, value)
        self._entries: dict[str, dict[str, dict[str, Entry]]] = {}
        self.paper = self._made(Paper, self.raw["paper"], "paper")

    def entries(self, scale: str) -> dict[str, dict[str, Entry]]:
        """stage → name → entry, of what is made at a scale: all that does not say otherwise by `scales`."""
        if scale in self._entries:  # other studies look at it too
            return self._entries[scale]
        entries: dict[str, dict[str, Entry]] = {}
        for stage in STAGES:
            entries[stage] = {}
            for name, written in self.raw[stage].items():
                place = f"{stage}.{name}"
                entry = self._made(ENTRIES[stage], self._at_scale(written, place, scale), place)
                if entry.scales is None or scale in entry.scales:
                    entries[stage][name] = entry
        self._entries[scale] = entries
        return entries

    @property
    def scales(self) -> list[str]:
        """Those at which it can differ: a workstation is given what a laptop is, unless the file names it."""
        return [scale for scale in SCALES if scale != "workstation" or scale in words(self.raw)]

    def seeds(self, run: str, scale: str) -> int:
        """How many seeds a run has at a scale by the file itself, whatever a user overrides."""
        key = f"training.{run}.seeds"
        seeds = self._at_scale(self._runs[run].get("seeds"), key, scale)
        try:
            return SEEDS.validate_python(seeds, strict=True)
        except ValidationError as error:
            raise ConfigError(self.path, *explained(error, key, seeds)) from None

    def overrides(self, *place: str) -> bool:
        """Whether a user has overridden what is at this place."""
        return ".".join(place) in self._overridden

    def claims(self, scale: str) -> dict[str, Claim]:
        claims = {}
        for name, written in self.raw["claims"].items():
            if "tests" in written:  # only these depend on the scale: what a claim itself says is `says` and `paper`
                written = {**written, "tests": self._at_scale(written["tests"], f"claims.{name}.tests", scale)}
            claim = claims[name] = self._made(Claim, written, f"claims.{name}")
            if bool(claim.tests) == (claim.untested is not None):
                raise self.wrong(f"claims.{name}", "found tests and 'untested', or neither; allowed: one of the two")
        return claims

    def _made(self, model: type[BaseModel], written: Any, place: str) -> Any:
        """A part of the file as the model that it is written for."""
        try:
            return model.model_validate(written)
        except ValidationError as error:
            raise self.wrong(*explained(error, place, written, model)) from None

    def signature(self, stage: str, name: str, use: str) -> Signature:
        """What the function of an entry takes."""
        return self.signature_at(stage, f"{stage}.{name}.use", use)

    def signature_at(self, stage: str, key: str, use: str) -> Signature:
        try:
            return signature(self.source, stage, use)
        except UnknownName as error:
            raise self.wrong(key, f"found '{use}': {error}") from None

    def _modules(self, files: Any) -> dict[str, Path]:
        """name → path of the user's own modules, beside the study file; none may hide another."""
        if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
            raise ConfigError(
                self.path, "modules", f"found {shown(files)}; allowed: a list of files such as my_agent.py"
            )
        modules = {}
        for file in files:
            name, path = file.removesuffix(".py"), self.path.parent / file
            if not name.isidentifier() or name == file:
                raise ConfigError(self.path, "modules", f"found {shown(file)}; allowed: a file beside this, NAME.py")
            loaded = name in names.LOADED  # by the job that looks at its study once more
            if name in sys.stdlib_module_names or name == "agentomy" or (not loaded and find_spec(name)):
                raise ConfigError(
                    self.path, "modules", f"found '{file}', and '{name}' is installed; allowed: other names"
                )
            if not path.is_file():
                raise ConfigError(self.path, "modules", f"found '{file}', and there is no {path}")
            modules[name] = path.resolve()
        return modules

    def _sections(self, raw: dict) -> dict[str, dict]:
        """The sections of the file; those whose name begins with _ are homes of YAML anchors."""
        raw = {key: value for key, value in raw.items() if not str(key).startswith("_")}
        for key in raw:
            if key not in SECTIONS:
                raise self.wrong(str(key), unknown("section", key, SECTIONS))
        sections = {key: raw.get(key, {}) for key in SECTIONS}
        for key, section in sections.items():
            if not isinstance(section, dict):
                raise self.wrong(key, f"found {shown(section)}; allowed: a mapping")
        for stage in (*STAGES, "claims"):
            for name, entry in sections[stage].items():
                if not isinstance(name, str) or not NAME.fullmatch(name):
                    raise self.wrong(stage, f"found the name {shown(name)}; allowed: {NAMES}")
                if not isinstance(entry, dict):
                    raise self.wrong(f"{stage}.{name}", f"found {shown(entry)}; allowed: a mapping")
        return sections

    def _override(self, raw: dict, dotted: str, value: Any) -> None:
        """Put a single parameter from config.yaml or the command line in its place."""
        file, key = "config.yaml", f"overrides.{dotted}"
        _, stage, name, *rest = [*dotted.split("."), "", "", ""]
        if stage not in STAGES:
            raise ConfigError(file, key, unknown("stage", stage, STAGES))
        if name not in raw[stage]:
            raise ConfigError(file, key, unknown(f"entry of {stage}", name, raw[stage]))
        place, *inner = [part for part in rest if part] or [""]
        allowed = [*keys(ENTRIES[stage]), *self._parameters(stage, name)]
        if place not in allowed:
            raise ConfigError(file, key, unknown("parameter", place, allowed))
        target = raw[stage][name] = dict(raw[stage][name])  # a copy: entries may share a YAML anchor
        for part in inner:
            mapping = target.get(place)
            if not isinstance(mapping, dict) or part not in mapping:
                raise ConfigError(
                    file, key, unknown(f"part of {place}", part, mapping if isinstance(mapping, dict) else {})
                )
            target[place] = dict(target[place])
            target, place = target[place], part
        target[place] = value
        self._overridden[f"{stage}.{name}.{'.'.join(part for part in rest if part)}"] = key

    def _parameters(self, stage: str, name: str) -> list[str]:
        """What the function of an entry takes besides tables, before anything else of the entry is looked at."""
        use = self._made(Named, self.raw[stage][name], f"{stage}.{name}").use
        return [*self.signature(stage, name, use).parameters]

    def _at_scale(self, value: Any, place: str, scale: str) -> Any:
        """A value with every mapping over scales replaced by what it says for one scale."""
        if isinstance(value, list):
            return [self._at_scale(element, f"{place}.{number}", scale) for number, element in enumerate(value)]
        if not isinstance(value, dict):
            return value
        if not set(value) & set(SCALES):
            return {inner: self._at_scale(element, f"{place}.{inner}", scale) for inner, element in value.items()}
        if set(value) | {"workstation"} != set(SCALES):
            raise self.wrong(
                place,
                f"found a mapping over {', '.join(map(str, value))}; "
                "allowed: all of smoke, laptop and paper, and perhaps workstation",
            )
        return value[scale] if scale in value else value["laptop"]

    def wrong(self, key: str, problem: str) -> ConfigError:
        """A mistake at a key of this file, or in the override that put it there."""
        for overridden, place in self._overridden.items():
            if f"{key}.".startswith(f"{overridden}."):
                return ConfigError("config.yaml", f"{place}{key[len(overridden) :]}", problem)
        return ConfigError(self.path, key, problem)


def words(value: Any) -> Iterator[str]:
    """All texts in nested lists and mappings, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for part in [*value, *(value.values() if isinstance(value, dict) else ())]:
            yield from words(part)
