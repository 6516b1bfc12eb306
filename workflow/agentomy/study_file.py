"""A study file as it is read: its sections, single parameters overridden, values taken at a scale."""

import re
from pathlib import Path
from typing import Any

from agentomy import config as configuration
from agentomy.config import SCALES, ConfigError, shown, unknown
from agentomy.provenance import Source, UnknownName
from agentomy.signatures import Signature, signature

STAGES = ("environments", "training", "checkpoints", "metrics", "figures")
SECTIONS = ("paper", *STAGES, "claims")
NAME = re.compile(r"[A-Za-z0-9_-]+")
# where the functions of each stage live in the package
CODE = {
    "environments": "environments",
    "training": "agents",
    "checkpoints": "checkpoints",
    "metrics": "metrics",
    "figures": "figures",
}
# keys of an entry that speak to the pipeline and not to the function
KEYS = {
    "environments": ("use", "scales", "resources"),
    "training": ("use", "scales", "resources", "environment", "seeds", "stack", "snapshots", "streams", "plugin"),
    "checkpoints": ("use", "scales", "resources", "of", "environment"),
    "metrics": ("use", "scales", "resources", "from"),
    "figures": ("use", "scales", "resources", "from", "caption"),
}


class StudyFile:
    """One study file with the user's overrides in it; `entries` and `claims` give it at one scale."""

    def __init__(self, path: Path, overrides: dict[str, Any], source: Source):
        self.path, self.source = path, source
        self._overridden: dict[str, str] = {}
        self.raw = self._sections(configuration.read_yaml(path))
        self._runs = dict(self.raw["training"])  # as they are in the file
        for dotted, value in overrides.items():
            if dotted.partition(".")[0] == path.stem:
                self._override(self.raw, dotted, value)
        self.paper = configuration.validated(configuration.Paper, self.raw["paper"], path, "paper")

    def entries(self, scale: str) -> dict[str, dict[str, dict]]:
        """stage → name → entry, of what is made at a scale: all that does not say otherwise by `scales`."""
        return {
            stage: {
                name: self._at_scale(entry, f"{stage}.{name}", scale)
                for name, entry in self.raw[stage].items()
                if scale in self._scales(entry, f"{stage}.{name}.scales")
            }
            for stage in STAGES
        }

    def claims(self, scale: str) -> dict[str, configuration.Claim]:
        at_scale = {}
        for name, claim in self.raw["claims"].items():
            tests = claim.get("tests") if isinstance(claim, dict) else None
            given = {"tests": self._at_scale(tests, f"claims.{name}.tests", scale)} if tests else {}
            at_scale[name] = {**claim, **given} if given else claim
        return {
            name: configuration.validated(configuration.Claim, claim, self.path, f"claims.{name}")
            for name, claim in at_scale.items()
        }

    def seeds(self, run: str, scale: str) -> Any:
        """How many seeds a run has at a scale by the file itself, whatever a user overrides."""
        return self._at_scale(self._runs[run].get("seeds"), f"training.{run}.seeds", scale)

    def overrides(self, *place: str) -> bool:
        """Whether a user has overridden what is at this place."""
        return ".".join(place) in self._overridden

    def signature(self, stage: str, name: str, entry: dict) -> Signature:
        """What the function of an entry takes."""
        return self.signature_at(f"{CODE[stage]}.{entry['use']}", f"{stage}.{name}.use", entry["use"])

    def signature_at(self, place: str, key: str, found: str) -> Signature:
        try:
            return signature(self.source, place)
        except UnknownName as error:
            raise self.wrong(key, f"found '{found}': {error}") from None

    def _scales(self, entry: dict, key: str) -> list[str]:
        found = entry.get("scales", SCALES)
        if not isinstance(found, (list, tuple)) or not found or not set(found) <= set(SCALES):
            raise self.wrong(key, f"found {shown(found)}; allowed: a list of {', '.join(SCALES)}")
        return found

    def _sections(self, raw: dict) -> dict[str, dict]:
        """The sections of the file; those whose name begins with _ are homes of YAML anchors."""
        raw = {key: value for key, value in raw.items() if not str(key).startswith("_")}
        for key in [*raw, *SECTIONS]:
            if key not in SECTIONS:
                raise self.wrong(key, unknown("section", key, SECTIONS))
            if not isinstance(raw.get(key), dict):
                raise self.wrong(key, f"found {shown(raw.get(key))}; allowed: a mapping")
        for stage in (*STAGES, "claims"):
            for name, entry in raw[stage].items():
                if not isinstance(name, str) or not NAME.fullmatch(name):
                    raise self.wrong(stage, f"found the name {shown(name)}; allowed: letters, digits, - and _")
                if stage == "claims":
                    continue
                if not isinstance(entry, dict) or not isinstance(entry.get("use"), str):
                    raise self.wrong(
                        f"{stage}.{name}", f"found {shown(entry)}; allowed: a mapping with 'use: MODULE.FUNCTION'"
                    )
        return raw

    def _override(self, raw: dict, dotted: str, value: Any) -> None:
        """Put a single parameter from config.yaml or the command line in its place."""
        file, key = "config.yaml", f"overrides.{dotted}"
        _, stage, name, *rest = [*dotted.split("."), "", "", ""]
        if stage not in STAGES:
            raise ConfigError(file, key, unknown("stage", stage, STAGES))
        if name not in raw[stage]:
            raise ConfigError(file, key, unknown(f"entry of {stage}", name, raw[stage]))
        place, *inner = [part for part in rest if part] or [""]
        takes = self.signature(stage, name, raw[stage][name])
        if place not in takes.parameters and place not in KEYS[stage]:
            raise ConfigError(file, key, unknown("parameter", place, [*KEYS[stage], *takes.parameters]))
        target = raw[stage][name] = dict(raw[stage][name])  # a copy: entries may share a YAML anchor
        for part in inner:
            found = target.get(place)
            if not isinstance(found, dict) or part not in found:
                raise ConfigError(
                    file, key, unknown(f"part of {place}", part, found if isinstance(found, dict) else {})
                )
            target[place] = dict(target[place])
            target, place = target[place], part
        target[place] = value
        self._overridden[f"{stage}.{name}.{'.'.join(part for part in rest if part)}"] = key

    def _at_scale(self, value: Any, place: str, scale: str) -> Any:
        """A value with every mapping over scales replaced by what it says for one scale."""
        if not isinstance(value, dict):
            return value
        if not set(value) & set(SCALES):
            return {inner: self._at_scale(each, f"{place}.{inner}", scale) for inner, each in value.items()}
        if set(value) != set(SCALES):
            raise self.wrong(
                place, f"found a mapping over {', '.join(map(str, value))}; allowed: all of {', '.join(SCALES)}"
            )
        return value[scale]

    def wrong(self, key: str, problem: str) -> ConfigError:
        """A mistake at a key of this file, or in the override that put it there."""
        for overridden, place in self._overridden.items():
            if f"{key}.".startswith(f"{overridden}."):
                return ConfigError("config.yaml", place, problem)
        return ConfigError(self.path, key, problem)
