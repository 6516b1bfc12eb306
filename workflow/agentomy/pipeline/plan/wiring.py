"""Which jobs a study has, by name, and which files each of them reads and writes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agentomy.foreign_agents.series import Checkpoint
from agentomy.mistakes import ConfigError, unknown
from agentomy.pipeline.plan import config as configuration
from agentomy.pipeline.plan import decided
from agentomy.pipeline.plan.entries import Entry
from agentomy.pipeline.plan.signatures import Signature
from agentomy.pipeline.plan.study_file import StudyFile


@dataclass(frozen=True)
class Part:
    """What one job is of: an entry, and of training and extraction one run and one stack of its seeds."""

    entry: str
    run: str = ""  # as the entry names it: `STUDY.RUN` is of another study
    seeds: tuple[int, ...] = ()  # none: of a whole run, such as what no network has a part in


class MissingSeeds(ConfigError):
    """A run learns from what was extracted of another study's run, which has not all of its seeds."""

    def __init__(self, wrong: ConfigError):
        Exception.__init__(self, str(wrong))


class Wiring:
    """The half of a study that names jobs and files.

    Training jobs are stacks of seeds, `RUN.seedsA-B`; extraction jobs are ENTRY/RUN.seedsA-B, or ENTRY/RUN where the
    function takes no networks; all others are one an entry. So a new run, or more seeds, add jobs and change none.
    """

    name: str
    scale: str
    config: configuration.Config
    written: StudyFile
    entries: dict[str, dict[str, Entry]]
    signature: Callable[[str, str], Signature]
    checkpoints: Callable[[str], dict[int, list[Checkpoint]]]
    _parts: dict[tuple[str, str, str], dict[str, Part]]
    _resolve: Callable[[Any], tuple["Wiring", Any]]
    _error: Callable[[str, str], ConfigError]

    # ---- jobs -----------------------------------------------------------------------------------------------------

    def parts(self, stage: str, entry: str) -> dict[str, Part]:
        """The jobs of an entry by name."""
        key = (self.scale, stage, entry)
        if key not in self._parts:
            self._parts[key] = self._parts_of(stage, entry)
        return self._parts[key]

    def _parts_of(self, stage: str, entry: str) -> dict[str, Part]:
        if stage == "training":
            return {job: Part(entry, entry, seeds) for job, seeds in self.stacks(entry).items()}
        if stage != "checkpoints":
            return {entry: Part(entry)}
        whole, parts = "PARAMETERS" not in self.signature(stage, entry).tables.values(), {}
        for run in self.entries[stage][entry].of:
            home, name = self._resolve(run)
            if name not in home.entries["training"]:
                known = home.entries["training"]
                raise self._error(f"checkpoints.{entry}.of", unknown("training run", run, known))
            stacks = [()] if whole else home.stacks(name).values()
            parts |= {f"{entry}/{stacked(run, seeds)}": Part(entry, run, seeds) for seeds in stacks}
        return parts

    def full_name(self, run: str) -> str:
        """STUDY.RUN, also of a run that is named without its study."""
        home, name = self._resolve(run)
        return f"{home.name}.{name}"

    def seeds(self, run: str) -> int:
        """How many seeds a run has, in whole stacks."""
        return sum(map(len, self.stacks(run).values()))

    def given_by(self, run: str) -> str:
        """What fixes the number of a run's seeds, said by the user; empty if nothing does."""
        if self.checkpoints(run):
            return f"{self.name}.yaml: the files of its checkpoints"
        if self.written.overrides("training", run, "seeds"):
            return f"config.yaml: overrides.{self.name}.training.{run}.seeds"
        return "config.yaml: seeds" if self.config.seeds else ""

    def _without_decided(self, run: str) -> int:
        return self.config.seeds if self.given_by(run) == "config.yaml: seeds" else self.entries["training"][run].seeds

    def stack(self, run: str) -> int:
        """How many seeds one training job of a run has."""
        if self.checkpoints(run):
            return 1
        return self.entries["training"][run].stack or self.written.seeds(run, self.scale)

    def stacks(self, run: str) -> dict[str, tuple[int, ...]]:
        """The training jobs of a run and their seeds.

        The size of a stack is the study's, whatever number of seeds a user wants: for some agents the bytes of a seed
        depend on its stack. Seeds are rounded up to whole stacks. Each seed of an imported run is a job of its own.
        """
        if elsewhere := self.checkpoints(run):
            return {stacked(run, (seed,)): (seed,) for seed in elsewhere}
        size, wanted = self.stack(run), self._without_decided(run)
        if self.scale == self.config.scale and not self.given_by(run):
            wanted = max(wanted, self.config.decided.get(f"{self.name}.{run}", 0))
        parts = [tuple(range(first, first + size)) for first in range(0, wanted, size)]
        return {stacked(run, part): part for part in parts}

    # ---- outputs --------------------------------------------------------------------------------------------------

    @property
    def folder(self) -> str:
        return f"results/{self.config.scale}/{self.name}"

    def file(self, stage: str, job: str, part: str = "") -> str:
        suffix = "png" if stage == "figures" else "parquet"
        return f"{self.folder}/{stage}/{job}{f'.{part}' if part else ''}.{suffix}"

    def files(self, stage: str, entry: str, part: str = "") -> list[str]:
        """The files of all jobs of an entry, in the order of its runs and their stacks."""
        return [self.file(stage, job, part) for job in self.parts(stage, entry)]

    # ---- inputs ---------------------------------------------------------------------------------------------------

    def inputs(self, stage: str, part: Part) -> dict[str, list[str]]:
        """Which files a job reads, by the function's parameter."""
        takes = self.signature(stage, part.entry).tables
        if stage == "training":
            key, kind, files = self._trained_on(part.entry, part.seeds)
            if not files:
                return {}
            if [kind] != list(takes.values()):
                source = self.entries[stage][part.entry].learns_from or self.entries[stage][part.entry].environment
                raise self._error(key, f"found '{source}', a table of {kind}; allowed: {', '.join(takes.values())}")
            return {parameter: files for parameter in takes}
        if stage == "checkpoints":
            return self._inputs_of_run(takes, part)
        if stage in ("metrics", "figures"):
            return self._inputs_from(takes, stage, part.entry)
        return {}

    def _environment(self, reference: Any, key: str) -> tuple[str, list[str]]:
        home, name = self._resolve(reference)
        if reference in self.entries["checkpoints"] and key.startswith("training."):
            problem = f"found '{reference}', an extraction; allowed: an environment, or 'learns_from: {reference}'"
            raise self._error(key, problem)
        if not isinstance(name, str) or name not in home.entries["environments"]:
            raise self._error(key, unknown("environment", reference, home.entries["environments"]))
        return home.signature("environments", name).returns, home.files("environments", name)

    def _trained_on(self, run: str, seeds: tuple[int, ...]) -> tuple[str, str, list[str]]:
        """What seeds of a run learn from, an environment or what was extracted for them: its key, kind and files."""
        entry, key = self.entries["training"][run], f"training.{run}"
        if entry.environment is not None and entry.learns_from is not None:
            raise self._error(f"{key}.learns_from", "found beside 'environment'; allowed: one of the two")
        if entry.learns_from is None:
            key = f"{key}.environment"
            if entry.environment is None and self.checkpoints(run):
                return key, "", []
            if entry.environment is None:
                raise self._error(key, "missing; allowed: an environment, or 'learns_from' with an extraction")
            return key, *self._environment(entry.environment, key)
        key, name = f"{key}.learns_from", entry.learns_from
        if name not in self.entries["checkpoints"]:
            raise self._error(key, unknown("extraction", name, self.entries["checkpoints"]))
        parts = {job: self._seeds_within(part) for job, part in self.parts("checkpoints", name).items()}
        known = {seed for within in parts.values() for seed in within}
        if known and not known.issuperset(seeds):
            if seeds[-1] >= self._without_decided(run):
                raise ConfigError(
                    decided.place(self.scale),
                    f"seeds.{self.name}.{run}",
                    f"found {seeds[-1] + 1}; it learns from '{name}', of the seeds 0 to {max(known)}; allowed: as many "
                    "of both; without this file all runs have the seeds of their study files",
                )
            wrong = self._error(
                key,
                f"found '{name}', of the seeds 0 to {max(known)}; allowed: one with all seeds of a stack that learns "
                f"from it, here {seeds[0]} to {seeds[-1]}",
            )
            raise MissingSeeds(wrong) if any("." in of for of in self.entries["checkpoints"][name].of) else wrong
        chosen = [job for job, within in parts.items() if not (seeds and within) or set(seeds) & set(within)]
        return key, self.signature("checkpoints", name).returns, [self.file("checkpoints", job) for job in chosen]

    def _seeds_within(self, part: Part) -> tuple[int, ...]:
        """The seeds of the networks that a piece of an extraction holds: its own, or of each so many twins."""
        twins = self.entries["checkpoints"][part.entry].parameters.get("twins")
        if not twins or self.signature("checkpoints", part.entry).returns != "SUBJECTS":
            return part.seeds
        return tuple(seed * twins + twin for seed in part.seeds for twin in range(twins))

    def _inputs_of_run(self, takes: dict[str, str], part: Part) -> dict[str, list[str]]:
        """For one stack of a run: its parameters and an environment, to whoever asks for the kind.

        The environment is that which the entry names, or else what this stack was trained on.
        """
        home, name = self._resolve(part.run)
        chosen = self.entries["checkpoints"][part.entry].environment
        if chosen is not None:
            place = f"checkpoints.{part.entry}.environment"
            kind, files = self._environment(chosen, place)
            if kind not in takes.values():
                asked = ", ".join(table for table in takes.values() if table != "PARAMETERS") or "none"
                raise self._error(place, f"found '{chosen}', a table of {kind}; allowed: {asked}")
        else:
            _, kind, files = home._trained_on(name, part.seeds)
        have = {kind: files}
        if part.seeds:
            have["PARAMETERS"] = [home.file("training", stacked(name, part.seeds), "parameters")]
        for wanted in takes.values():
            if wanted not in have:
                raise self._error(
                    f"checkpoints.{part.entry}.of",
                    f"found '{part.run}', which has tables of {', '.join(sorted({'PARAMETERS', kind}))}; "
                    f"allowed: runs with {wanted}",
                )
        return {parameter: have[wanted] for parameter, wanted in takes.items()}

    def _inputs_from(self, takes: dict[str, str], stage: str, name: str) -> dict[str, list[str]]:
        """For metrics and figures: the files of each parameter, which `from` names or whose kind says which it is."""
        key, given = f"{stage}.{name}.from", self.entries[stage][name].inputs
        inputs: dict[str, list[str]] = {parameter: [] for parameter in takes}
        if isinstance(given, dict):
            for parameter, references in given.items():
                if parameter not in takes:
                    raise self._error(f"{key}.{parameter}", unknown("table among the parameters", parameter, takes))
                for reference in references:
                    inputs[parameter] += self._files_of(reference, [takes[parameter]], f"{key}.{parameter}")[1]
        else:
            kinds = list(takes.values())
            for reference in given:
                kind, files = self._files_of(reference, kinds, key)
                fitting = [parameter for parameter, wanted in takes.items() if wanted == kind]
                if len(fitting) > 1:
                    problem = f"'{reference}' could be each of {', '.join(fitting)}; allowed: a mapping from parameters"
                    raise self._error(key, problem)
                inputs[fitting[0]] += files
        for parameter, files in inputs.items():
            if not files:
                raise self._error(key, f"nothing for '{parameter}'; allowed: a table of {takes[parameter]}")
        return inputs

    def _files_of(self, reference: str, kinds: list[str], key: str) -> tuple[str, list[str]]:
        """Kind and files of an artifact, which has to be of one of some kinds."""
        kind, files = self._artifact(reference, key)
        if kind not in kinds:
            raise self._error(key, f"found '{reference}', a table of {kind}; allowed: tables of {', '.join(kinds)}")
        return kind, files

    def _artifact(self, reference: str, key: str) -> tuple[str, list[str]]:
        """Kind and files of a checkpoint or metric NAME, of environments.NAME, or of training.NAME (its log)."""
        stage, _, name = reference.partition(".")
        if stage == "training" and name in self.entries["training"]:
            return "LOG", self.files("training", name, "log")
        if stage == "environments" and name:
            return self._environment(name, key)
        for stage in ("checkpoints", "metrics"):
            if reference in self.entries[stage]:
                return self.signature(stage, reference).returns, self.files(stage, reference)
        known = [*self.entries["checkpoints"], *self.entries["metrics"], "environments.NAME", "training.NAME"]
        raise self._error(key, unknown("artifact", reference, known))


def stacked(run: str, seeds: tuple[int, ...]) -> str:
    """The name of a stack of a run, or of the whole run without seeds."""
    return f"{run}.seeds{seeds[0]}-{seeds[-1]}" if seeds else run
