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

from pydantic import ValidationError

from agentomy import config as configuration
from agentomy import resources
from agentomy.entries import ENTRIES, Entry, Named, Test, Training
from agentomy.jobs import Job
from agentomy.mistakes import ConfigError, explained, keys, unknown
from agentomy.provenance import Source
from agentomy.signatures import Signature, columns
from agentomy.study_file import CODE, NAME, NAMES, STAGES, StudyFile, words

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
        self.written = StudyFile(path, config.overrides, source)
        self.paper = self.written.paper
        # what is wrong at another scale is wrong: it is checked now, and the chosen scale last, to stay
        for scale in sorted({*self.written.scales, config.scale}, key=lambda each: (each == config.scale, each)):
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
        for name in self.entries["training"]:
            self.stacks(name)
            self._origins(name)
            self._streams(name)
            self._plugin(name)
        # what a claim may call a run: a metric may name groups of runs, or take differences
        given = [value for (stage, _), value in self._parameters.items() if stage == "metrics"]
        runs = {*self.entries["training"], *words(given)}
        for name, claim in self.claims.items():
            for test, each in claim.tests.items():
                if self.scale in each.scales:
                    self._check_test(each, f"claims.{name}.tests.{test}", runs)

    def _checked_parameters(self, stage: str, name: str, entry: Entry) -> dict[str, Any]:
        """What is handed to the function: the entry's parameters, with the types that its signature says."""
        takes = self.written.signature(stage, name, entry.use)
        return self._fitting(takes, entry, f"{stage}.{name}", keys(ENTRIES[stage]))

    def _fitting(self, takes: Signature, named: Named, place: str, allowed: list[str]) -> dict[str, Any]:
        given = named.parameters
        for key in given:
            if key not in takes.parameters:
                problem = unknown(f"parameter of {named.use}", key, [*allowed, *takes.parameters])
                raise self._wrong(f"{place}.{key}", problem)
        for key in takes.required:
            if key not in given:
                raise self._wrong(f"{place}.{key}", f"missing; {named.use} requires it")
        for key, value in given.items():
            try:
                given[key] = takes.checked(key, value)
            except ValidationError as error:
                raise self._wrong(*explained(error, f"{place}.{key}", value)) from None
        return given

    def _check_test(self, test: Test, key: str, runs: set[str]) -> None:
        if test.source not in self.entries["metrics"]:
            raise self._wrong(f"{key}.from", unknown("metric", test.source, self.entries["metrics"]))
        known = columns(self.signature("metrics", test.source).returns)
        for run in [part for each in test.where.get("run", []) for part in str(each).split(" - ")]:
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
        return self.written.signature(stage, name, self.entries[stage][name].use)

    def stacks(self, name: str) -> dict[str, list[int]]:
        """The training jobs of a run and their seeds: one for all seeds, or several if the stack is smaller."""
        run: Training = self.entries["training"][name]
        seeds = list(range(self.config.seeds or run.seeds))
        size = run.stack or len(seeds)
        if size >= len(seeds):
            return {name: seeds}
        parts = [seeds[first : first + size] for first in range(0, len(seeds), size)]
        return {f"{name}.seeds{part[0]}-{part[-1]}": part for part in parts}

    def _origins(self, run: str, seen: tuple[str, ...] = ()) -> None:
        """Refuse a run that is trained on what was made of itself."""
        if run in seen:
            raise self._wrong(f"training.{run}.learns_from", f"found a circle: {' ← '.join([run, *seen])}")
        extraction = self.entries["checkpoints"].get(self.entries["training"][run].learns_from)
        for origin in extraction.of if extraction else ():
            if self._home(origin)[0] is self:
                self._origins(origin, (run, *seen))

    def _streams(self, name: str) -> str:
        """The run whose random streams a run uses: its own, unless it is one arm of a comparison."""
        found = self.entries["training"][name].streams or name
        if found not in self.entries["training"]:
            raise self._wrong(f"training.{name}.streams", unknown("training run", found, self.entries["training"]))
        return found

    def _plugin(self, name: str) -> dict[str, Any] | None:
        """What is put around the agent of a run: {"use": …, "parameters": …}."""
        key, plugin = f"training.{name}.plugin", self.entries["training"][name].plugin
        if plugin is None:
            return None
        takes = self.written.signature_at(f"{PLUGINS}.{plugin.use}", f"{key}.use", plugin.use)
        return {"use": plugin.use, "parameters": self._fitting(takes, plugin, key, ["use"])}

    def resources(self, stage: str, name: str) -> dict[str, int]:
        """What a job asks of a cluster: mem_mb, runtime (minutes) and gpu."""
        entry = name.partition(".")[0]  # of training: the name of a stack begins with that of its run
        given = self.entries[stage][entry].resources if stage in STAGES else resources.Resources()
        gpu = stage in STAGES and self.config.device == "cuda" and self.signature(stage, entry).device
        return resources.wanted(given, stage, self.scale, gpu)

    # ---- inputs and outputs ---------------------------------------------------------------------------------------

    def inputs(self, stage: str, name: str) -> dict[str, Any]:
        """Which files a job reads: by run for checkpoints, else by the function's parameter."""
        takes = self.signature(stage, name).tables
        if stage == "training":
            key, kind, file = self._trained_on(name)
            if [kind] != list(takes.values()):
                found = self.entries[stage][name].learns_from or self.entries[stage][name].environment
                raise self._wrong(key, f"found '{found}', a table of {kind}; allowed: {', '.join(takes.values())}")
            return {parameter: file for parameter in takes}
        if stage == "checkpoints":
            return {run: self._inputs_of_run(takes, name, run) for run in self.entries[stage][name].of}
        if stage in ("metrics", "figures"):
            return self._inputs_from(takes, stage, name)
        return {}

    def _environment(self, reference: Any, key: str) -> tuple[str, list[str]]:
        home, name = self._home(reference)
        if reference in self.entries["checkpoints"] and key.startswith("training."):
            problem = f"found '{reference}', an extraction; allowed: an environment, or 'learns_from: {reference}'"
            raise self._wrong(key, problem)
        if not isinstance(name, str) or name not in home.entries["environments"]:
            raise self._wrong(key, unknown("environment", reference, home.entries["environments"]))
        return home.signature("environments", name).returns, [home.file("environments", name)]

    def _trained_on(self, run: str) -> tuple[str, str, list[str]]:
        """What a run learns from, an environment or an extraction of another run: its key, its kind and its files."""
        entry, key = self.entries["training"][run], f"training.{run}"
        if entry.environment is not None and entry.learns_from is not None:
            raise self._wrong(f"{key}.learns_from", "found beside 'environment'; allowed: one of the two")
        if entry.learns_from is None:
            key = f"{key}.environment"
            if entry.environment is None:
                raise self._wrong(key, "missing; allowed: an environment, or 'learns_from' with an extraction")
            return key, *self._environment(entry.environment, key)
        key = f"{key}.learns_from"
        if entry.learns_from not in self.entries["checkpoints"]:
            raise self._wrong(key, unknown("extraction", entry.learns_from, self.entries["checkpoints"]))
        kind = self.signature("checkpoints", entry.learns_from).returns
        return key, kind, [self.file("checkpoints", entry.learns_from)]

    def _inputs_of_run(self, takes: dict[str, str], name: str, run: str) -> dict[str, list[str]]:
        """For one run of a checkpoint extraction: its parameters and an environment, to whoever asks for the kind.

        The environment is that which the entry names, or else that in which the run was trained.
        """
        key, (home, own) = f"checkpoints.{name}.of", self._home(run)
        if own not in home.entries["training"]:
            raise self._wrong(key, unknown("training run", run, home.entries["training"]))
        chosen = self.entries["checkpoints"][name].environment
        if chosen is not None:
            place = f"checkpoints.{name}.environment"
            kind, file = self._environment(chosen, place)
            if kind not in takes.values():
                asked = ", ".join(each for each in takes.values() if each != "PARAMETERS") or "none"
                raise self._wrong(place, f"found '{chosen}', a table of {kind}; allowed: {asked}")
        else:
            _, kind, file = home._trained_on(own)
        have = {"PARAMETERS": home.files_of_run(own, "parameters"), kind: file}
        for wanted in takes.values():
            if wanted not in have:
                raise self._wrong(
                    key, f"found '{run}', which has tables of {', '.join(have)}; allowed: runs with {wanted}"
                )
        return {parameter: have[wanted] for parameter, wanted in takes.items()}

    def _inputs_from(self, takes: dict[str, str], stage: str, name: str) -> dict[str, list[str]]:
        """For metrics and figures: the files of each parameter, which `from` names or whose kind says which it is."""
        key, given = f"{stage}.{name}.from", self.entries[stage][name].inputs
        found: dict[str, list[str]] = {parameter: [] for parameter in takes}
        if isinstance(given, dict):
            for parameter, references in given.items():
                if parameter not in takes:
                    raise self._wrong(f"{key}.{parameter}", unknown("table among the parameters", parameter, takes))
                for reference in references:
                    found[parameter] += self._files_of(reference, [takes[parameter]], f"{key}.{parameter}")[1]
        else:
            kinds = list(takes.values())
            for reference in given:
                kind, files = self._files_of(reference, kinds, key)
                fitting = [parameter for parameter, each in takes.items() if each == kind]
                if len(fitting) > 1:
                    problem = f"'{reference}' could be each of {', '.join(fitting)}; allowed: a mapping from parameters"
                    raise self._wrong(key, problem)
                found[fitting[0]] += files
        for parameter, files in found.items():
            if not files:
                raise self._wrong(key, f"nothing for '{parameter}'; allowed: a table of {takes[parameter]}")
        return found

    def _files_of(self, reference: str, kinds: list[str], key: str) -> tuple[str, list[str]]:
        """Kind and files of an artifact, which has to be of one of some kinds."""
        kind, files = self._artifact(reference, key)
        if kind not in kinds:
            raise self._wrong(key, f"found '{reference}', a table of {kind}; allowed: tables of {', '.join(kinds)}")
        return kind, files

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
        code = [f"{CODE[stage]}.{entry.use}", f"stages.run_{stage}"]
        options: dict[str, Any] = {}
        outputs = [self.file(stage, name)]
        if stage == "training":
            plugin = self._plugin(run)
            code += [f"{PLUGINS}.{plugin['use']}"] if plugin else []
            options = {
                "seeds": self.stacks(run)[name],
                "streams": self._streams(run),
                "snapshots": entry.snapshots.model_dump(exclude_unset=True),
                "device": self.config.device,
                "plugin": plugin,
            }
            outputs = [self.file(stage, name, "parameters"), self.file(stage, name, "log")]
        if stage == "checkpoints":
            # networks are rebuilt by name from what their run says, which no reading of the source can see
            if "PARAMETERS" in takes.tables.values():
                for home, own in map(self._home, entry.of):
                    code.append(f"{CODE['training']}.{home.entries['training'][own].use}")
            options = {"device": self.config.device}
        if stage == "figures":
            outputs.append(outputs[0].removesuffix("png") + "pdf")
        return Job(
            stage=stage,
            study=self.name,
            name=name,
            use=entry.use,
            parameters=self._parameters[stage, run],
            inputs=self.inputs(stage, run),
            outputs=outputs,
            options=options,
            versions=self.source.versions(*code),
            code=self.source.digest(*code),
        )

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
            code=self.source.digest(*code),
        )

    @cached_property
    def targets(self) -> list[str]:
        """Every artifact of the study: one that is lost is made again even if nothing out of date needs it."""
        jobs = [self.job(stage, name) for stage in STAGES for name in self.names(stage)]
        return [output for job in [*jobs, self.job("claims", "claims")] for output in job.outputs]


TOGETHER = ("claims", "explorer", "explorer_copy")  # targets over all chosen studies
# what Snakemake knows by these names is a rule, so no study may be called so
RULES = ("all", "environment", "training", "checkpoint", "metric", "figure", "verdicts", *TOGETHER)


class Plan:
    """All studies of a configuration, read and checked now, or each when it is first asked for (`lazy`)."""

    def __init__(self, config: dict, folder: Path | str = STUDIES, source: Source | None = None, lazy: bool = False):
        self.config = configuration.parse_config(config)
        paths = study_files(Path(folder))
        for name in self.config.studies:
            if name not in paths:
                raise ConfigError("config.yaml", "studies", unknown("study", name, paths))
        for dotted in self.config.overrides:
            if dotted.partition(".")[0] not in paths:
                raise ConfigError(
                    "config.yaml", f"overrides.{dotted}", unknown("study", dotted.partition(".")[0], paths)
                )
        self.source, self.names = source or Source(), [*paths]
        self.studies = _Studies(paths, self.config, self.source)
        for name in [] if lazy else paths:
            self.studies[name]

    @property
    def chosen(self) -> list[Study]:
        return [self.studies[name] for name in self.config.studies]


def study_files(folder: Path) -> dict[str, Path]:
    """name → file of all studies; hidden files, as editors leave them, are none."""
    paths = {path.stem: path for path in sorted(folder.glob("*.yaml")) if not path.name.startswith(".")}
    for name, path in paths.items():
        if not NAME.fullmatch(name):
            raise ConfigError(path, "", f"found a study of this name; allowed: {NAMES}")
        if name in RULES:
            raise ConfigError(path, "", f"found a study called like a target; allowed: none of {', '.join(RULES)}")
    return paths


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
