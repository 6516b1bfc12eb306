"""Studies as data: reads the study files, checks every key before any job starts, and says what each job is.

A study file names, for each stage, which function makes which artifact from which parameters. `Plan` turns that
into jobs: function, parameters, inputs, outputs, and what the artifact depends on. It imports none of the
functions, so a Snakefile can read it quickly; signatures are read from the source.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any

from agentomy.mistakes import ConfigError, unknown
from agentomy.names import texts
from agentomy.pipeline.plan import config as configuration
from agentomy.pipeline.plan import imports, resources
from agentomy.pipeline.plan.checking import Checking
from agentomy.pipeline.plan.jobs import FORMAT, RULES, Job, maker
from agentomy.pipeline.plan.signatures import Signature
from agentomy.pipeline.plan.study_file import NAME, NAMES, STAGES, StudyFile
from agentomy.pipeline.plan.wiring import Part
from agentomy.pipeline.source import foreign
from agentomy.pipeline.source.provenance import Source

STUDIES = Path(__file__).parents[3] / "studies"


class Study(Checking):
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
        self._parts: dict[tuple[str, str, str], dict[str, Part]] = {}
        self._parameters: dict[tuple[str, str], dict[str, Any]] = {}
        self._given: dict[tuple[str, str], frozenset[str]] = {}
        self._files: dict[str, dict[int, list[imports.Checkpoint]]] = {}
        self.written = StudyFile(path, config.overrides, source)
        self.paper = self.written.paper
        # what is wrong at another scale is wrong: it is checked now, and the chosen scale last, to stay
        for scale in sorted({*self.written.scales, config.scale}, key=lambda name: (name == config.scale, name)):
            self.scale, self.entries, self.claims = scale, self.written.entries(scale), self.written.claims(scale)
            self._parameters = {}
            self._check()

    def _error(self, key: str, problem: str) -> ConfigError:
        return self.written.wrong(key, problem)

    def _at_scale(self, scale: str) -> "Study":
        """This study at another scale, to look things up in."""
        view = copy(self)
        view.scale, view.entries = scale, self.written.entries(scale)
        return view

    def _resolve(self, reference: Any) -> tuple["Study", Any]:
        """Which study an entry is of, and its name there: `NAME` is of this one, `STUDY.NAME` of another."""
        study, _, name = reference.partition(".") if isinstance(reference, str) else ("", "", "")
        other = self.neighbours(study) if name else None
        return (other._at_scale(self.scale), name) if other else (self, reference)

    # ---- what an entry says ----------------------------------------------------------------------------------------

    def signature(self, stage: str, name: str) -> Signature:
        return self.written.signature(stage, name, self.entries[stage][name].use)

    def _streams(self, name: str) -> str:
        """The run whose random streams a run uses: its own, unless it is one arm of a comparison."""
        run = self.entries["training"][name].streams or name
        if run not in self.entries["training"]:
            raise self._error(f"training.{name}.streams", unknown("training run", run, self.entries["training"]))
        return run

    def _plugin(self, name: str) -> dict[str, Any] | None:
        """What is put around the agent of a run: {"use": …, "parameters": …}."""
        key, plugin = f"training.{name}.plugin", self.entries["training"][name].plugin
        if plugin is None:
            return None
        takes = self.written.signature_at("plugin", f"{key}.use", plugin.use)
        return {"use": plugin.use, "parameters": self._fitting(takes, plugin, key, ["use"])}

    def resources(self, stage: str, name: str) -> dict[str, int]:
        """What a job asks of a cluster: mem_mb, runtime (minutes) and gpu."""
        entry = re.split("[./]", name)[0]  # the name of a job begins with that of its entry
        given = self.entries[stage][entry].resources if stage in STAGES else resources.Resources()
        gpu = stage in STAGES and self.config.device == "cuda" and self.signature(stage, entry).device
        return resources.wanted(given, stage, self.scale, gpu)

    # ---- jobs -----------------------------------------------------------------------------------------------------

    def job(self, stage: str, name: str) -> Job:
        """The job that makes one artifact, or (stage "claims") that judges the claims."""
        if stage == "claims":
            return self._claims_job()
        if (stage, name) not in self._jobs:
            if name not in self._known[stage]:
                entry = re.split("[./]", name)[0]
                known = self.parts(stage, entry) if entry in self.entries[stage] else self.entries[stage]
                raise self._error(stage, unknown("job", name, known))
            self._jobs[stage, name] = self._job(stage, name, self._known[stage][name])
        return self._jobs[stage, name]

    def part(self, stage: str, name: str) -> Part | None:
        """What a job is of; the claims are of no entry."""
        return None if stage == "claims" else self._known[stage][name]

    def names(self, stage: str) -> list[str]:
        """The jobs of a stage, in order."""
        return [*self._known[stage]]

    @cached_property
    def _known(self) -> dict[str, dict[str, Part]]:
        """What all jobs are of, by stage and name."""
        return {
            stage: {name: part for entry in self.entries[stage] for name, part in self.parts(stage, entry).items()}
            for stage in STAGES
        }

    def _job(self, stage: str, name: str, part: Part) -> Job:
        entry, takes = self.entries[stage][part.entry], self.signature(stage, part.entry)
        code = self.code(stage, part.entry)
        options: dict[str, Any] = {}
        outputs = [self.file(stage, name)]
        if stage == "training" and takes.series:
            options = {"run": part.run, "seeds": [*part.seeds], "files": self._imported(part), "device": "cpu"}
        elif stage == "training":
            plugin = self._plugin(part.entry)
            options = {
                "run": part.run,
                "seeds": [*part.seeds],
                "streams": self._streams(part.entry),
                "snapshots": entry.snapshots.model_dump(exclude_unset=True),
                "device": self.config.device,
                "plugin": plugin,
            }
        if stage == "training":
            outputs = [self.file(stage, name, "parameters"), self.file(stage, name, "log")]
        if stage == "checkpoints":
            options = {"run": part.run, "device": self.config.device if takes.device else ""}
        if stage == "figures":
            outputs.append(outputs[0].removesuffix("png") + "pdf")
        parameters, names = self._given_to(stage, part), self.names_given(stage, part)
        if outside := {key: foreign.digest(parameters[key]) for key in takes.foreign if parameters.get(key)}:
            options["foreign"] = outside
        if modules := self._modules(stage, part, names):
            options["modules"] = modules
        return Job(
            stage=stage,
            study=self.name,
            name=name,
            use=entry.use,
            parameters=parameters,
            inputs=self.inputs(stage, part),
            outputs=outputs,
            options=options,
            versions=self.source.versions(*code, names=names),
            code=f"{FORMAT[stage]}-{self.source.digest(*code, names=names)}",
        )

    def _given_to(self, stage: str, part: Part) -> dict[str, Any]:
        """The parameters of a job: those of its entry, and how the networks of its run are read, if lenses ask."""
        given = self._parameters[stage, part.entry]
        if stage == "checkpoints" and "adapter" in self.signature(stage, part.entry).parameters:
            home, run = self._resolve(part.run)
            adapter = home.entries["training"][run].adapter
            return given if adapter is None else {"adapter": adapter, **given}
        return given

    def checkpoints(self, run: str) -> dict[int, list[imports.Checkpoint]]:
        """The files of a run that was trained elsewhere, by seed; none of one that learns here."""
        for key in self.signature("training", run).series[:1]:
            pattern = self.entries["training"][run].parameters[key]
            if pattern not in self._files:
                with self._at(f"training.{run}.{key}"):
                    self._files[pattern] = imports.by_seed(pattern, self.written.path.parent)
            return self._files[pattern]
        return {}

    def _imported(self, part: Part) -> dict[str, imports.Files]:
        """What a job reads that was trained elsewhere, by parameter; looked at before any job starts."""
        first, *others = self.signature("training", part.entry).series
        given, root = self._parameters["training", part.entry], self.written.path.parent
        (checkpoints,) = [of_seed for seed, of_seed in self.checkpoints(part.run).items() if (seed,) == part.seeds]
        with self._at(f"training.{part.entry}.{first}"):
            files = {first: imports.described({checkpoint.update: checkpoint.path for checkpoint in checkpoints})}
            imports.look(first, files[first], given, self.written.modules)
        for key in others:
            if given.get(key) is not None:
                with self._at(f"training.{part.entry}.{key}"):
                    files[key] = imports.described(imports.beside(key, given[key], root, checkpoints))
                    imports.look(key, files[key], given, self.written.modules)
        return files

    def _modules(self, stage: str, part: Part, names: frozenset[str]) -> dict[str, dict[str, str]]:
        """The user's modules that a job uses: those that its parameters name, or what it reads was made with."""
        if stage not in ("environments", "training", "checkpoints"):
            return {}
        homes = [self, *([self._resolve(part.run)[0]] if stage == "checkpoints" else [])]
        known = {name: path for home in homes for name, path in home.written.modules.items()}
        used = sorted({re.split("[.:]", name)[0] for name in names} & known.keys())
        with self._at("modules"):
            return imports.described({name: known[name] for name in used})

    @contextmanager
    def _at(self, key: str) -> Iterator[None]:
        """A mistake in a file that an entry names is one of that entry's."""
        try:
            yield
        except ConfigError as error:
            raise self._error(key, str(error)) from None

    def code(self, stage: str, entry: str) -> list[str]:
        """The places of an entry's function, of its plug-in, and of what runs them."""
        plugin = self._plugin(entry) if stage == "training" else None
        used = [self.entries[stage][entry].use, f"pipeline.run.stages.run_{stage}"]
        return used + ([plugin["use"]] if plugin else [])

    def names_given(self, stage: str, part: Part) -> frozenset[str]:
        """The names that a job can meet: in its parameters, and in the tables that it reads."""
        key = (stage, part.entry, part.run)  # whatever the seeds
        if key not in self._given:
            use = self.entries[stage][part.entry].use.partition(".")[2]  # as artifacts say it
            names = set(texts([use, self._given_to(stage, part)]))
            if stage == "training":
                names.update(texts(self._plugin(part.entry)))
            for home, source_stage, source in self._made_of(stage, part):
                names |= home.names_made(source_stage, source)
            self._given[key] = frozenset(names)
        return self._given[key]

    def names_made(self, stage: str, part: Part) -> set[str]:
        """The names that the tables of a job can hold: those that it was given, and those in its code."""
        return self.source.words(*self.code(stage, part.entry), names=self.names_given(stage, part))

    def _made_of(self, stage: str, part: Part) -> list[tuple["Study", str, Part]]:
        """The jobs whose tables a job reads, one of each run."""
        sources = {}
        for path in (path for paths in self.inputs(stage, part).values() for path in paths):
            _, study, source_stage, name = maker(path)
            home = self if study == self.name else self.neighbours(study)
            source = home._known[source_stage][name]
            sources[study, source_stage, source.entry, source.run] = home, source_stage, source
        return [*sources.values()]

    def _claims_job(self) -> Job:
        """The job that judges this study's claims."""
        tested = {test.source for claim in self.claims.values() for test in claim.tests.values()}
        metrics = sorted(tested & set(self.entries["metrics"]))  # others belong to other scales
        claims = {name: claim.model_dump(by_alias=True, exclude_defaults=True) for name, claim in self.claims.items()}
        return Job(
            stage="claims",
            study=self.name,
            name="claims",
            use="judge",
            parameters={
                "claims": claims,
                "scale": self.config.scale,
                "planned": {name: self._planned(name) for name in metrics},
                "trained": self._trained(metrics),
            },
            inputs={name: self.files("metrics", name) for name in metrics},
            outputs=[f"{self.folder}/claims.{suffix}" for suffix in ("parquet", "md", "html")],
            options={"kinds": {name: self.signature("metrics", name).returns for name in metrics}},
            versions=self.source.versions(*JUDGING),
            code=f"{FORMAT['claims']}-{self.source.digest(*JUDGING)}",
        )

    def _planned(self, metric: str) -> dict[str, list[int]]:
        """run → [seeds, size of a stack] by the study files themselves, of all runs that a metric is made of."""
        planned = {}
        for run in self._runs_behind(metric):
            home, name = self._resolve(run)
            if elsewhere := home.checkpoints(name):
                planned[run] = [len(elsewhere), 1]
                continue
            seeds = home.written.seeds(name, home.scale)
            planned[run] = [seeds, home.entries["training"][name].stack or seeds]
        return planned

    def _trained(self, metrics: list[str]) -> dict[str, int]:
        """run → how many seeds it has here, of all runs that metrics are made of."""
        runs = [run for metric in metrics for run in self._runs_behind(metric)]
        homes = {run: self._resolve(run) for run in dict.fromkeys(runs)}
        return {run: home.seeds(name) for run, (home, name) in homes.items()}

    def _runs_behind(self, artifact: str) -> list[str]:
        """The runs of which a metric, an extraction or a log is made."""
        stage, _, run = artifact.partition(".")
        if stage == "training":
            return [run]
        if artifact in self.entries["checkpoints"]:
            return self.entries["checkpoints"][artifact].of
        entry = self.entries["metrics"].get(artifact)  # else it is an environment
        runs = [run for source in (entry.sources if entry else ()) for run in self._runs_behind(source)]
        return [*dict.fromkeys(runs)]

    @property
    def keys(self) -> list[tuple[str, str, str]]:
        """(study, stage, name) of every job."""
        return [(self.name, stage, name) for stage in STAGES for name in self.names(stage)] + [
            (self.name, "claims", "claims")
        ]

    def benchmark(self, stage: str, name: str) -> str:
        """The file that says how long a job took."""
        return f"{self.folder}/benchmarks/{'' if stage == 'claims' else f'{stage}/'}{name}.tsv"

    @cached_property
    def targets(self) -> list[str]:
        """Every artifact of the study: one that is lost is made again even if nothing out of date needs it."""
        jobs = [self.job(stage, name) for stage in STAGES for name in self.names(stage)]
        return [output for job in [*jobs, self.job("claims", "claims")] for output in job.outputs]


# what judges claims, and what reads their tests: of a model's annotations, which a digest leaves out, with their checks
JUDGING = (
    "pipeline.run.stages.run_claims",
    *(f"judge.written.{name}" for name in ("Test", "_listed", "_each_once", "_threshold")),
)
TOGETHER = ("claims", "explorer", "explorer_copy")  # targets over all chosen studies
# Snakemake has a rule of each of these names, so no study may have it
TAKEN = ("all", *RULES.values(), *TOGETHER)


class Plan:
    """All studies of a configuration, read and checked now, or each when it is first asked for (`lazy`)."""

    def __init__(self, config: dict, folder: Path | str = STUDIES, source: Source | None = None, lazy: bool = False):
        self.config, self.folder = configuration.parse_config(config), Path(folder)
        paths = study_files(Path(folder))
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

    def with_seeds(self, seeds: Mapping[str, int]) -> "Plan":
        """The same plan, but these runs (STUDY.RUN) have so many seeds by decision."""
        config = self.config.model_dump()
        return Plan(config | {"decided": {**config["decided"], **seeds}}, self.folder, self.source, lazy=True)

    @property
    def left_out(self) -> list[str]:
        """The runs that have seeds by `agentomy decide`, and that no study has here any more."""
        studies = {name: self.studies[name].entries["training"] for name in self.names}
        split = [(full_name, *full_name.partition(".")[::2]) for full_name in self.config.decided]
        return [full_name for full_name, study, run in split if run not in studies.get(study, ())]


def study_files(folder: Path) -> dict[str, Path]:
    """name → file of all studies; hidden files, as editors leave them, are none."""
    paths = {path.stem: path for path in sorted(folder.glob("*.yaml")) if not path.name.startswith(".")}
    for name, path in paths.items():
        if not NAME.fullmatch(name):
            raise ConfigError(path, "", f"found a study of this name; allowed: {NAMES}")
        if name in TAKEN:
            raise ConfigError(path, "", f"found a study called like a target; allowed: none of {', '.join(TAKEN)}")
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
