"""Studies as data: reads the study files, checks every key before any job starts, and says what each job is.

A study file names, for each stage, which function makes which artifact from which parameters. `Plan` turns that
into jobs: function, parameters, inputs, outputs, and what the artifact depends on. It imports none of the
functions, so a Snakefile can read it quickly; signatures are read from the source.
"""

from collections.abc import Callable
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from agentomy import config as configuration
from agentomy import foreign, resources
from agentomy.config import SCALES, ConfigError, shown, unknown, words
from agentomy.jobs import FORMAT, Job
from agentomy.names import texts
from agentomy.provenance import Source
from agentomy.signatures import Signature, columns
from agentomy.study_file import CODE, KEYS, STAGES, StudyFile

STUDIES = Path(__file__).parents[1] / "studies"
PLUGINS = "agents.plugins"


class Study:
    """One study file at one scale, checked."""

    def __init__(
        self,
        path: Path,
        config: configuration.Config,
        source: Source,
        neighbours: Callable[[str], "Study | None"] = lambda name: None,  # other studies, by name
    ):
        self.name, self.config, self.source, self.neighbours = path.stem, config, source, neighbours
        self._jobs: dict[tuple[str, str], Job] = {}
        self._parameters: dict[tuple[str, str], dict[str, Any]] = {}
        self._given: dict[tuple[str, str], frozenset[str]] = {}
        self.written = StudyFile(path, config.overrides, source)
        self.paper = self.written.paper
        # what is wrong at another scale is wrong: it is checked now, and the chosen scale last, to stay
        for scale in sorted(SCALES, key=lambda each: each == config.scale):
            self.scale, self.entries, self.claims = scale, self.written.entries(scale), self.written.claims(scale)
            self._parameters = {}
            self._check()

    def _wrong(self, key: str, problem: str) -> ConfigError:
        return self.written.wrong(key, problem)

    def _at(self, scale: str) -> "Study":
        """This study at another scale, to look things up in."""
        view = copy(self)
        view.scale, view.entries = scale, self.written.entries(scale)
        return view

    def _home(self, reference: Any) -> tuple["Study", Any]:
        """Which study an entry is of, and its name there: `NAME` is of this one, `STUDY.NAME` of another."""
        study, _, name = reference.partition(".") if isinstance(reference, str) else ("", "", "")
        other = self.neighbours(study) if name else None
        return (other._at(self.scale), name) if other else (self, reference)

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
                self.resources(stage, name)
        for name, entry in self.entries["training"].items():
            self.stacks(name)
            self._origins(name)
            self._streams(name)
            self._plugin(name)
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
                if self.scale in each.scales:
                    self._check_test(each, f"claims.{name}.tests.{test}")

    def _checked_parameters(self, stage: str, name: str, entry: dict) -> dict[str, Any]:
        """What is handed to the function: the entry's parameters, with the types that its signature says."""
        given = {key: value for key, value in entry.items() if key not in KEYS[stage]}
        takes = self.written.signature(stage, name, entry)
        return self._fitting(takes, given, entry["use"], f"{stage}.{name}", KEYS[stage])

    def _fitting(self, takes: Signature, given: dict, use: str, place: str, keys: tuple[str, ...]) -> dict[str, Any]:
        for key in given:
            if key not in takes.parameters:
                raise self._wrong(f"{place}.{key}", unknown(f"parameter of {use}", key, [*keys, *takes.parameters]))
        for key in takes.required:
            if key not in given:
                raise self._wrong(f"{place}.{key}", f"missing; {use} requires it")
        for key, value in given.items():
            try:
                given[key] = TypeAdapter(takes.parameters[key]).validate_python(value, strict=True)
            except ValidationError as error:
                raise self._wrong(*configuration.explained(error, f"{place}.{key}")) from None
        return given

    def _check_test(self, test: configuration.Test, key: str) -> None:
        if test.source not in self.entries["metrics"]:
            raise self._wrong(f"{key}.from", unknown("metric", test.source, self.entries["metrics"]))
        known = columns(self.signature("metrics", test.source).returns)
        given = [value for (stage, _), value in self._parameters.items() if stage == "metrics"]
        runs = [*self.entries["training"], *words(given)]  # a metric may name groups of runs, or take differences
        for run in [part for each in test.where.get("run", []) for part in each.split(" - ")]:
            if run not in runs:
                raise self._wrong(f"{key}.where.run", unknown("training run", run, self.entries["training"]))
        named = [("value", test.value), ("each", test.each), *(("where", each) for each in test.where)]
        named += [("interval", end) for end in ("low", "high") if test.interval == "given"]
        for place, column in named:
            if column is not None and column not in known:
                raise self._wrong(f"{key}.{place}", unknown("column", column, known))
        if known[test.value] not in ("integer", "number"):
            raise self._wrong(
                f"{key}.value", f"found '{test.value}', a column of {known[test.value]}; allowed: numbers"
            )

    def signature(self, stage: str, name: str) -> Signature:
        return self.written.signature(stage, name, self.entries[stage][name])

    def _number(self, name: str, key: str, default: int | None = None) -> int:
        found = self.entries["training"][name].get(key, default)
        if not isinstance(found, int) or isinstance(found, bool) or found < 1:
            raise self._wrong(f"training.{name}.{key}", f"found {shown(found)}; allowed: a number, 1 or more")
        return found

    def stacks(self, name: str) -> dict[str, list[int]]:
        """The training jobs of a run and their seeds: one for all seeds, or several if the stack is smaller."""
        wanted = self._number(name, "seeds")
        seeds = list(range(self.config.seeds or wanted))
        size = self._number(name, "stack", len(seeds))
        if size >= len(seeds):
            return {name: seeds}
        parts = [seeds[first : first + size] for first in range(0, len(seeds), size)]
        return {f"{name}.seeds{part[0]}-{part[-1]}": part for part in parts}

    def _origins(self, run: str, seen: tuple[str, ...] = ()) -> None:
        """Refuse a run that is trained on what was made of itself."""
        if run in seen:
            raise self._wrong(f"training.{run}.environment", f"found a circle: {' ← '.join([run, *seen])}")
        environment = self.entries["training"].get(run, {}).get("environment")
        for origin in self.entries["checkpoints"].get(environment, {}).get("of", ()):
            if self._home(origin)[0] is self:
                self._origins(origin, (run, *seen))

    def _streams(self, name: str) -> str:
        """The run whose random streams a run uses: its own, unless it is one arm of a comparison."""
        found = self.entries["training"][name].get("streams", name)
        if found not in self.entries["training"]:
            raise self._wrong(f"training.{name}.streams", unknown("training run", found, self.entries["training"]))
        return found

    def _plugin(self, name: str) -> dict[str, Any] | None:
        """What is put around the agent of a run: {"use": …, "parameters": …}."""
        key, found = f"training.{name}.plugin", self.entries["training"][name].get("plugin")
        if found is None:
            return None
        if not isinstance(found, dict) or not isinstance(found.get("use"), str):
            raise self._wrong(key, f"found {shown(found)}; allowed: a mapping with 'use: MODULE.CLASS'")
        given = {each: value for each, value in found.items() if each != "use"}
        takes = self.written.signature_at(f"{PLUGINS}.{found['use']}", f"{key}.use", found["use"])
        return {"use": found["use"], "parameters": self._fitting(takes, given, found["use"], key, ("use",))}

    def resources(self, stage: str, name: str) -> dict[str, int]:
        """What a job asks of a cluster: mem_mb, runtime (minutes) and gpu."""
        entry = name.partition(".")[0]  # of training: the name of a stack begins with that of its run
        given = self.entries[stage][entry].get("resources", {}) if stage in STAGES else {}
        gpu = stage in STAGES and self.config.device == "cuda" and self.signature(stage, entry).device
        try:
            return resources.wanted(given, stage, self.scale, gpu)
        except ValidationError as error:
            key = f"{stage}.{name}.resources"
            raise self._wrong(*configuration.explained(error, key, resources.Resources)) from None

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
            kind, file = self._trained_on(environment, key)
            if [kind] != list(takes.values()):
                raise self._wrong(
                    key, f"found '{environment}', a table of {kind}; allowed: {', '.join(takes.values())}"
                )
            return {"environment": file}
        if stage == "checkpoints":
            return {run: self._inputs_of_run(takes, name, run) for run in self._names(stage, name, "of")}
        if stage in ("metrics", "figures"):
            return self._inputs_by_kind(takes, stage, name)
        return {}

    def _environment(self, reference: Any, key: str) -> tuple[str, list[str]]:
        home, name = self._home(reference)
        if not isinstance(name, str) or name not in home.entries["environments"]:
            raise self._wrong(key, unknown("environment", reference, home.entries["environments"]))
        return home.signature("environments", name).returns, [home.file("environments", name)]

    def _trained_on(self, name: Any, key: str) -> tuple[str, list[str]]:
        """Kind and file of an environment, or of what was extracted from another run, such as demonstrations."""
        if isinstance(name, str) and name in self.entries["checkpoints"]:
            return self.signature("checkpoints", name).returns, [self.file("checkpoints", name)]
        return self._environment(name, key)

    def _inputs_of_run(self, takes: dict[str, str], name: str, run: str) -> dict[str, list[str]]:
        """For one run of a checkpoint extraction: its parameters and an environment, to whoever asks for the kind.

        The environment is that which the entry names, or else that in which the run was trained.
        """
        key, (home, own) = f"checkpoints.{name}.of", self._home(run)
        if own not in home.entries["training"]:
            raise self._wrong(key, unknown("training run", run, home.entries["training"]))
        if "environment" in self.entries["checkpoints"][name]:
            place, chosen = f"checkpoints.{name}.environment", self.entries["checkpoints"][name]["environment"]
            kind, file = self._environment(chosen, place)
            if kind not in takes.values():
                asked = ", ".join(each for each in takes.values() if each != "PARAMETERS") or "none"
                raise self._wrong(place, f"found '{chosen}', a table of {kind}; allowed: {asked}")
        else:
            place = f"training.{own}.environment"
            kind, file = home._trained_on(home.entries["training"][own].get("environment"), place)
        have = {"PARAMETERS": home.files_of_run(own, "parameters"), kind: file}
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
            kind, files = self._artifact(reference, key)
            if kind not in by_kind:
                raise self._wrong(
                    key, f"found '{reference}', a table of {kind}; allowed: tables of {', '.join(by_kind)}"
                )
            found[by_kind[kind]] += files
        for parameter, files in found.items():
            if not files:
                raise self._wrong(key, f"nothing for '{parameter}'; allowed: a table of {takes[parameter]}")
        return found

    def _artifact(self, reference: str, key: str) -> tuple[str, list[str]]:
        """Kind and files of a checkpoint or metric NAME, of environments.NAME, or of training.NAME (its log)."""
        stage, _, name = reference.partition(".")
        if stage == "training" and name in self.entries["training"]:
            return "LOG", self.files_of_run(name, "log")
        if stage == "environments" and name:
            return self._environment(name, key)
        for stage in ("checkpoints", "metrics"):
            if reference in self.entries[stage]:
                return self.signature(stage, reference).returns, [self.file(stage, reference)]
        known = [*self.entries["checkpoints"], *self.entries["metrics"], "environments.NAME", "training.NAME"]
        raise self._wrong(key, unknown("artifact", reference, known))

    @property
    def folder(self) -> str:
        return f"results/{self.config.scale}/{self.name}"

    def file(self, stage: str, name: str, part: str = "") -> str:
        suffix = "png" if stage == "figures" else "parquet"
        return f"{self.folder}/{stage}/{name}{f'.{part}' if part else ''}.{suffix}"

    def files_of_run(self, run: str, part: str) -> list[str]:
        return [self.file("training", job, part) for job in self.stacks(run)]

    # ---- jobs -----------------------------------------------------------------------------------------------------

    def job(self, stage: str, name: str) -> Job:
        """The job that makes one artifact, or (stage "claims") that judges the claims."""
        if stage == "claims":
            return self._claims_job()
        if (stage, name) not in self._jobs:
            if name not in self._known[stage]:
                raise self._wrong(stage, unknown("entry", name, self._known[stage]))
            self._jobs[stage, name] = self._job(stage, name)
        return self._jobs[stage, name]

    def names(self, stage: str) -> list[str]:
        """The jobs of a stage: one an entry, or in training one a stack of seeds."""
        entries = self.entries[stage]
        return [job for name in entries for job in self.stacks(name)] if stage == "training" else [*entries]

    @cached_property
    def _known(self) -> dict[str, dict[str, None]]:
        """The names of all jobs by stage, in order and quick to look up."""
        return {stage: dict.fromkeys(self.names(stage)) for stage in STAGES}

    def _job(self, stage: str, name: str) -> Job:
        run = name.partition(".")[0]  # of training: the name of a stack begins with that of its run
        entry = self.entries[stage][run]
        takes = self.signature(stage, run)
        code = self.code(stage, run)
        options: dict[str, Any] = {}
        outputs = [self.file(stage, name)]
        if stage == "training":
            plugin = self._plugin(run)
            options = {
                "seeds": self.stacks(run)[name],
                "streams": self._streams(run),
                "snapshots": entry["snapshots"],
                "device": self.config.device,
                "plugin": plugin,
            }
            outputs = [self.file(stage, name, "parameters"), self.file(stage, name, "log")]
        if stage == "checkpoints":
            options = {"device": self.config.device if takes.device else ""}
        if stage == "figures":
            outputs.append(outputs[0].removesuffix("png") + "pdf")
        parameters, names = self._parameters[stage, run], self.names_given(stage, run)
        if outside := {each: foreign.digest(parameters[each]) for each in takes.foreign if parameters.get(each)}:
            options["foreign"] = outside
        return Job(
            stage=stage,
            study=self.name,
            name=name,
            use=entry["use"],
            parameters=parameters,
            inputs=self.inputs(stage, run),
            outputs=outputs,
            options=options,
            versions=self.source.versions(*code, names=names),
            code=f"{FORMAT[stage]}-{self.source.digest(*code, names=names)}",
        )

    def code(self, stage: str, entry: str) -> list[str]:
        """The places of an entry's function, of its plug-in, and of what runs them."""
        plugin = self._plugin(entry) if stage == "training" else None
        used = [f"{CODE[stage]}.{self.entries[stage][entry]['use']}", f"stages.run_{stage}"]
        return used + ([f"{PLUGINS}.{plugin['use']}"] if plugin else [])

    def names_given(self, stage: str, entry: str) -> frozenset[str]:
        """The names that an entry can meet: in its parameters, and in the tables that it reads."""
        if (stage, entry) not in self._given:
            found = set(texts([self.entries[stage][entry]["use"], self._parameters[stage, entry]]))
            if stage == "training":
                found.update(texts(self._plugin(entry)))
            for home, *made in self._made_of(stage, entry):
                found |= home.names_made(*made)
            self._given[stage, entry] = frozenset(found)
        return self._given[stage, entry]

    def names_made(self, stage: str, entry: str) -> set[str]:
        """The names that the tables of an entry can hold: those that it was given, and those in its code."""
        return self.source.words(*self.code(stage, entry), names=self.names_given(stage, entry))

    def _made_of(self, stage: str, entry: str) -> set[tuple["Study", str, str]]:
        """The entries whose tables an entry reads: (study, stage, name)."""
        found = self.inputs(stage, entry).values()
        lists = [each for value in found for each in (value.values() if isinstance(value, dict) else [value])]
        parts = [path.split("/")[2:5] for paths in lists for path in paths]  # of results/SCALE/STUDY/STAGE/NAME…
        homes = {study: self if study == self.name else self.neighbours(study) for study, *_ in parts}
        return {(homes[study], made, name.partition(".")[0]) for study, made, name in parts}

    def _claims_job(self) -> Job:
        """The job that judges this study's claims."""
        tested = {test.source for claim in self.claims.values() for test in claim.tests.values()}
        metrics = sorted(tested & set(self.entries["metrics"]))  # others belong to other scales
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
            code=f"{FORMAT['claims']}-{self.source.digest(*code)}",
        )

    @cached_property
    def targets(self) -> list[str]:
        """Every artifact of the study: one that is lost is made again even if nothing out of date needs it."""
        jobs = [self.job(stage, name) for stage in STAGES for name in self.names(stage)]
        return [output for job in [*jobs, self.job("claims", "claims")] for output in job.outputs]


class Plan:
    """All studies of a configuration, read and checked now, or each when it is first asked for (`lazy`)."""

    def __init__(self, config: dict, folder: Path | str = STUDIES, source: Source | None = None, lazy: bool = False):
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
        self.source, self.names = source or Source(remember=True), [*paths]
        self.studies = _Studies(paths, self.config, self.source)
        for name in [] if lazy else paths:
            self.studies[name]

    @property
    def chosen(self) -> list[Study]:
        return [self.studies[name] for name in self.config.studies]


class _Studies(dict[str, Study]):
    """Studies by name; one that another looks at is read before it."""

    def __init__(self, paths: dict[str, Path], config: configuration.Config, source: Source):
        self.paths, self.config, self.source, self.reading = paths, config, source, []

    def __missing__(self, name: str) -> Study:
        if name in self.reading:
            raise ConfigError(self.paths[name], name, f"found a circle: {' → '.join([*self.reading, name])}")
        self.reading.append(name)
        self[name] = Study(self.paths[name], self.config, self.source, self.neighbour)
        self.reading.remove(name)
        return self[name]

    def neighbour(self, name: str) -> Study | None:
        """A study that another names, if there is one."""
        return self[name] if name in self.paths else None
