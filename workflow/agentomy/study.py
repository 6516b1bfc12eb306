"""Studies as data: reads the study files, checks every key before any job starts, and says what each job is.

A study file names, for each stage, which function makes which artifact from which parameters. `Plan` turns that
into jobs: function, parameters, inputs, outputs, and what the artifact depends on. It imports none of the
functions, so a Snakefile can read it quickly; signatures are read from the source.
"""

import re
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from agentomy import config as configuration
from agentomy.config import SCALES, ConfigError, shown, unknown
from agentomy.jobs import Job
from agentomy.provenance import Source, UnknownName
from agentomy.signatures import Signature, columns, signature

STAGES = ("environments", "training", "checkpoints", "metrics", "figures")
SECTIONS = ("paper", *STAGES, "claims")
STUDIES = Path(__file__).parents[1] / "studies"
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
    "environments": ("use",),
    "training": ("use", "environment", "seeds", "snapshots"),
    "checkpoints": ("use", "of"),
    "metrics": ("use", "from"),
    "figures": ("use", "from", "caption"),
}


class Study:
    """One study file at one scale, checked."""

    def __init__(self, path: Path, config: configuration.Config, source: Source):
        self.path, self.name, self.config, self.source = path, path.stem, config, source
        self._jobs: dict[tuple[str, str], Job] = {}
        self._parameters: dict[tuple[str, str], dict[str, Any]] = {}
        self._overridden: dict[str, str] = {}
        raw = self._sections(configuration.read_yaml(path))
        for dotted, value in config.overrides.items():
            if dotted.partition(".")[0] == self.name:
                self._override(raw, dotted, value)
        self.paper = configuration.validated(configuration.Paper, raw["paper"], path, "paper")
        self.claims = {
            name: configuration.validated(configuration.Claim, claim, path, f"claims.{name}")
            for name, claim in raw["claims"].items()
        }
        # what is wrong at another scale is wrong: it is checked now, and the chosen scale last, to stay
        for scale in sorted(SCALES, key=lambda each: each == config.scale):
            self.entries = {
                stage: {name: self._at_scale(entry, f"{stage}.{name}", scale) for name, entry in raw[stage].items()}
                for stage in STAGES
            }
            self._check()

    # ---- reading --------------------------------------------------------------------------------------------------

    def _sections(self, raw: dict) -> dict[str, dict]:
        """The sections of the file; those whose name begins with _ are homes of YAML anchors."""
        raw = {key: value for key, value in raw.items() if not str(key).startswith("_")}
        for key in [*raw, *SECTIONS]:
            if key not in SECTIONS:
                raise self._wrong(key, unknown("section", key, SECTIONS))
            if not isinstance(raw.get(key), dict):
                raise self._wrong(key, f"found {shown(raw.get(key))}; allowed: a mapping")
        for stage in (*STAGES, "claims"):
            for name, entry in raw[stage].items():
                if not isinstance(name, str) or not NAME.fullmatch(name):
                    raise self._wrong(stage, f"found the name {shown(name)}; allowed: letters, digits, - and _")
                if stage == "claims":
                    continue
                if not isinstance(entry, dict) or not isinstance(entry.get("use"), str):
                    raise self._wrong(
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
        takes = self._signature(stage, name, raw[stage][name])
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
            raise self._wrong(
                place, f"found a mapping over {', '.join(map(str, value))}; allowed: all of {', '.join(SCALES)}"
            )
        return value[scale]

    def _wrong(self, key: str, problem: str) -> ConfigError:
        """A mistake at a key of this file, or in the override that put it there."""
        for overridden, place in self._overridden.items():
            if f"{key}.".startswith(f"{overridden}."):
                return ConfigError("config.yaml", place, problem)
        return ConfigError(self.path, key, problem)

    # ---- checking -------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        """Check every entry before any job starts: function, parameters and their types, inputs and their kinds."""
        for name in set(self.entries["checkpoints"]) & set(self.entries["metrics"]):
            raise self._wrong(
                f"metrics.{name}", "found a checkpoint entry of the same name; allowed: names of their own"
            )
        for stage in STAGES:
            for name, entry in self.entries[stage].items():
                self._parameters[stage, name] = self._checked_parameters(stage, name, entry)
        for stage in STAGES:
            for name in self.entries[stage]:
                self.inputs(stage, name)
        for name, entry in self.entries["training"].items():
            self._seeds(name)
            updates = self._parameters["training", name].get("updates", 1)
            if updates < 1:
                raise self._wrong(f"training.{name}.updates", f"found {updates}; allowed: 1 or more")
            try:
                configuration.Snapshots.model_validate(entry.get("snapshots"))
            except ValidationError as error:
                key = f"training.{name}.snapshots"
                raise self._wrong(*configuration.explained(error, key, configuration.Snapshots)) from None
        for name, entry in self.entries["figures"].items():
            if not isinstance(entry.get("caption"), str):
                raise self._wrong(f"figures.{name}.caption", f"found {shown(entry.get('caption'))}; allowed: text")
        for name, claim in self.claims.items():
            for test, each in claim.tests.items():
                self._check_test(each, f"claims.{name}.tests.{test}")

    def _checked_parameters(self, stage: str, name: str, entry: dict) -> dict[str, Any]:
        """What is handed to the function: the entry's parameters, with the types that its signature says."""
        takes = self._signature(stage, name, entry)
        given = {key: value for key, value in entry.items() if key not in KEYS[stage]}
        for key in given:
            if key not in takes.parameters:
                problem = unknown(f"parameter of {entry['use']}", key, [*KEYS[stage], *takes.parameters])
                raise self._wrong(f"{stage}.{name}.{key}", problem)
        for key in takes.required:
            if key not in given:
                raise self._wrong(f"{stage}.{name}.{key}", f"missing; {entry['use']} requires it")
        for key, value in given.items():
            try:
                given[key] = TypeAdapter(takes.parameters[key]).validate_python(value, strict=True)
            except ValidationError as error:
                raise self._wrong(*configuration.explained(error, f"{stage}.{name}.{key}")) from None
        return given

    def _check_test(self, test: configuration.Test, key: str) -> None:
        if test.source not in self.entries["metrics"]:
            raise self._wrong(f"{key}.from", unknown("metric", test.source, self.entries["metrics"]))
        known = columns(self.signature("metrics", test.source).returns)
        for run in test.where.get("run", []):
            if run not in self.entries["training"]:
                raise self._wrong(f"{key}.where.run", unknown("training run", run, self.entries["training"]))
        for place, column in [("value", test.value), ("each", test.each), *(("where", each) for each in test.where)]:
            if column is not None and column not in known:
                raise self._wrong(f"{key}.{place}", unknown("column", column, known))
        if known[test.value] not in ("integer", "number"):
            raise self._wrong(
                f"{key}.value", f"found '{test.value}', a column of {known[test.value]}; allowed: numbers"
            )

    def _signature(self, stage: str, name: str, entry: dict) -> Signature:
        try:
            return signature(self.source, f"{CODE[stage]}.{entry['use']}")
        except UnknownName as error:
            raise self._wrong(f"{stage}.{name}.use", f"found '{entry['use']}': {error}") from None

    def signature(self, stage: str, name: str) -> Signature:
        return self._signature(stage, name, self.entries[stage][name])

    def _seeds(self, name: str) -> list[int]:
        found = self.entries["training"][name].get("seeds")
        if not isinstance(found, int) or isinstance(found, bool) or found < 1:
            raise self._wrong(f"training.{name}.seeds", f"found {shown(found)}; allowed: a number of seeds, 1 or more")
        return list(range(self.config.seeds or found))

    def _names(self, stage: str, name: str, key: str) -> list[str]:
        value = self.entries[stage][name].get(key)
        if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
            raise self._wrong(f"{stage}.{name}.{key}", f"found {shown(value)}; allowed: a list of names")
        if len(set(value)) < len(value):
            raise self._wrong(f"{stage}.{name}.{key}", f"found {shown(value)}; allowed: each name once")
        return value

    # ---- inputs and outputs ---------------------------------------------------------------------------------------

    def inputs(self, stage: str, name: str) -> dict[str, Any]:
        """Which files a job reads: by run for checkpoints, else by the function's parameter."""
        takes = self.signature(stage, name).tables
        if stage == "training":
            key, environment = f"training.{name}.environment", self.entries[stage][name].get("environment")
            kind, file = self._environment(environment, key)
            if [kind] != list(takes.values()):
                raise self._wrong(
                    key, f"found '{environment}', a table of {kind}; allowed: {', '.join(takes.values())}"
                )
            return {"environment": [file]}
        if stage == "checkpoints":
            return {run: self._inputs_of_run(takes, name, run) for run in self._names(stage, name, "of")}
        if stage in ("metrics", "figures"):
            return self._inputs_by_kind(takes, stage, name)
        return {}

    def _environment(self, name: Any, key: str) -> tuple[str, str]:
        if not isinstance(name, str) or name not in self.entries["environments"]:
            raise self._wrong(key, unknown("environment", name, self.entries["environments"]))
        return self.signature("environments", name).returns, self.file("environments", name)

    def _inputs_of_run(self, takes: dict[str, str], name: str, run: str) -> dict[str, str]:
        """For one run of a checkpoint extraction: its parameters and its environment, to whoever asks for the kind."""
        key = f"checkpoints.{name}.of"
        if run not in self.entries["training"]:
            raise self._wrong(key, unknown("training run", run, self.entries["training"]))
        kind, file = self._environment(self.entries["training"][run].get("environment"), f"training.{run}.environment")
        have = {"PARAMETERS": self.file("training", run, "parameters"), kind: file}
        for wanted in takes.values():
            if wanted not in have:
                raise self._wrong(
                    key, f"found '{run}', which has tables of {', '.join(have)}; allowed: runs with {wanted}"
                )
        return {parameter: have[wanted] for parameter, wanted in takes.items()}

    def _inputs_by_kind(self, takes: dict[str, str], stage: str, name: str) -> dict[str, list[str]]:
        """For metrics and figures: each artifact named under `from` goes to the parameter of its kind."""
        key = f"{stage}.{name}.from"
        by_kind = {kind: parameter for parameter, kind in takes.items()}
        found: dict[str, list[str]] = {parameter: [] for parameter in takes}
        for reference in self._names(stage, name, "from"):
            kind, file = self._artifact(reference, key)
            if kind not in by_kind:
                raise self._wrong(
                    key, f"found '{reference}', a table of {kind}; allowed: tables of {', '.join(by_kind)}"
                )
            found[by_kind[kind]].append(file)
        for parameter, files in found.items():
            if not files:
                raise self._wrong(key, f"nothing for '{parameter}'; allowed: a table of {takes[parameter]}")
        return found

    def _artifact(self, reference: str, key: str) -> tuple[str, str]:
        """Kind and file of a checkpoint or metric NAME, of environments.NAME, or of training.NAME (its log)."""
        stage, _, name = reference.partition(".")
        if stage == "training" and name in self.entries["training"]:
            return "LOG", self.file("training", name, "log")
        if stage == "environments" and name:
            return self._environment(name, key)
        for stage in ("checkpoints", "metrics"):
            if reference in self.entries[stage]:
                return self.signature(stage, reference).returns, self.file(stage, reference)
        known = [*self.entries["checkpoints"], *self.entries["metrics"], "environments.NAME", "training.NAME"]
        raise self._wrong(key, unknown("artifact", reference, known))

    @property
    def folder(self) -> str:
        return f"results/{self.config.scale}/{self.name}"

    def file(self, stage: str, name: str, part: str = "") -> str:
        suffix = "png" if stage == "figures" else "parquet"
        return f"{self.folder}/{stage}/{name}{f'.{part}' if part else ''}.{suffix}"

    # ---- jobs -----------------------------------------------------------------------------------------------------

    def job(self, stage: str, name: str) -> Job:
        """The job that makes one artifact, or (stage "claims") that judges the claims."""
        if stage == "claims":
            return self._claims_job()
        if name not in self.entries[stage]:
            raise self._wrong(stage, unknown("entry", name, self.entries[stage]))
        if (stage, name) not in self._jobs:
            self._jobs[stage, name] = self._job(stage, name)
        return self._jobs[stage, name]

    def _job(self, stage: str, name: str) -> Job:
        entry = self.entries[stage][name]
        takes = self.signature(stage, name)
        code = [f"{CODE[stage]}.{entry['use']}", f"stages.run_{stage}"]
        options: dict[str, Any] = {}
        outputs = [self.file(stage, name)]
        if stage == "training":
            options = {"seeds": self._seeds(name), "snapshots": entry["snapshots"], "device": self.config.device}
            outputs = [self.file(stage, name, "parameters"), self.file(stage, name, "log")]
        if stage == "checkpoints":
            # networks are rebuilt by name from what their run says, which no reading of the source can see
            if "PARAMETERS" in takes.tables.values():
                code += [f"{CODE['training']}.{self.entries['training'][run]['use']}" for run in entry["of"]]
            options = {"device": self.config.device}
        if stage == "figures":
            outputs.append(outputs[0].removesuffix("png") + "pdf")
        return Job(
            stage=stage,
            study=self.name,
            name=name,
            use=entry["use"],
            parameters=self._parameters[stage, name],
            inputs=self.inputs(stage, name),
            outputs=outputs,
            options=options,
            versions=self.source.versions(*code),
            code=self.source.digest(*code),
        )

    def _claims_job(self) -> Job:
        """The job that judges this study's claims."""
        metrics = sorted({test.source for claim in self.claims.values() for test in claim.tests.values()})
        code = ["stages.run_claims"]
        return Job(
            stage="claims",
            study=self.name,
            name="claims",
            use="judge",
            parameters={
                "claims": {name: claim.model_dump(by_alias=True) for name, claim in self.claims.items()},
                "scale": self.config.scale,
            },
            inputs={name: [self.file("metrics", name)] for name in metrics},
            outputs=[f"{self.folder}/claims.{suffix}" for suffix in ("parquet", "md", "html")],
            options={"kinds": {name: self.signature("metrics", name).returns for name in metrics}},
            versions=self.source.versions(*code),
            code=self.source.digest(*code),
        )

    @cached_property
    def targets(self) -> list[str]:
        """Every artifact of the study: one that is lost is made again even if nothing out of date needs it."""
        jobs = [self.job(stage, name) for stage in STAGES for name in self.entries[stage]]
        return [output for job in [*jobs, self.job("claims", "claims")] for output in job.outputs]


class Plan:
    """All studies of a configuration."""

    def __init__(self, config: dict, folder: Path | str = STUDIES, source: Source | None = None):
        self.config = configuration.parse_config(config)
        paths = {path.stem: path for path in sorted(Path(folder).glob("*.yaml"))}
        for name in self.config.studies:
            if name not in paths:
                raise ConfigError("config.yaml", "studies", unknown("study", name, paths))
        for dotted in self.config.overrides:
            if dotted.partition(".")[0] not in paths:
                raise ConfigError(
                    "config.yaml", f"overrides.{dotted}", unknown("study", dotted.partition(".")[0], paths)
                )
        source = source or Source()
        self.studies = {name: Study(path, self.config, source) for name, path in paths.items()}

    @property
    def chosen(self) -> list[Study]:
        return [self.studies[name] for name in self.config.studies]
