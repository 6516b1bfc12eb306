"""Which jobs a study has, by name, and which files each of them reads and writes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agentomy import config as configuration
from agentomy.config import ConfigError, shown, unknown
from agentomy.signatures import Signature
from agentomy.study_file import StudyFile


@dataclass(frozen=True)
class Part:
    """What one job is of: an entry, and of training and extraction one run and one stack of its seeds."""

    entry: str
    run: str = ""  # as the entry names it: `STUDY.RUN` is of another study
    seeds: tuple[int, ...] = ()  # none: of a whole run, such as what no network has a part in


class Wiring:
    """The half of a study that names jobs and files.

    Training jobs are stacks of seeds, `RUN.seedsA-B`; extraction jobs are ENTRY/RUN.seedsA-B, or ENTRY/RUN where the
    function takes no networks; all others are one an entry. So a new run, or more seeds, add jobs and change none.
    """

    name: str
    scale: str
    config: configuration.Config
    written: StudyFile
    entries: dict[str, dict[str, dict]]
    signature: Callable[[str, str], Signature]
    _home: Callable[[Any], tuple["Wiring", Any]]
    _wrong: Callable[[str, str], ConfigError]

    # ---- jobs -----------------------------------------------------------------------------------------------------

    def parts(self, stage: str, entry: str) -> dict[str, Part]:
        """The jobs of an entry by name."""
        if stage == "training":
            return {job: Part(entry, entry, seeds) for job, seeds in self.stacks(entry).items()}
        if stage != "checkpoints":
            return {entry: Part(entry)}
        whole, found = "PARAMETERS" not in self.signature(stage, entry).tables.values(), {}
        for run in self._names(stage, entry, "of"):
            home, own = self._home(run)
            if own not in home.entries["training"]:
                known = home.entries["training"]
                raise self._wrong(f"checkpoints.{entry}.of", unknown("training run", run, known))
            stacks = [()] if whole else home.stacks(own).values()
            found |= {f"{entry}/{stacked(run, seeds)}": Part(entry, run, seeds) for seeds in stacks}
        return found

    def stacks(self, run: str) -> dict[str, tuple[int, ...]]:
        """The training jobs of a run and their seeds.

        The size of a stack is the study's, whatever number of seeds a user wants: for some agents the bytes of a seed
        depend on its stack. Seeds are rounded up to whole stacks.
        """
        wanted = self._number(run, "seeds")
        size = self._number(run, "stack", self.written.seeds(run, self.scale))
        if self.config.seeds and not self.written.overrides("training", run, "seeds"):
            wanted = self.config.seeds
        parts = [tuple(range(first, first + size)) for first in range(0, wanted, size)]
        return {stacked(run, part): part for part in parts}

    def _number(self, name: str, key: str, default: Any = None) -> int:
        found = self.entries["training"][name].get(key, default)
        if not isinstance(found, int) or isinstance(found, bool) or found < 1:
            raise self._wrong(f"training.{name}.{key}", f"found {shown(found)}; allowed: a number, 1 or more")
        return found

    def _names(self, stage: str, name: str, key: str) -> list[str]:
        value = self.entries[stage][name].get(key)
        if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
            raise self._wrong(f"{stage}.{name}.{key}", f"found {shown(value)}; allowed: a list of names")
        if len(set(value)) < len(value):
            raise self._wrong(f"{stage}.{name}.{key}", f"found {shown(value)}; allowed: each name once")
        return value

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
            key, environment = f"training.{part.entry}.environment", self._environment_of(part.entry)
            kind, files = self._trained_on(environment, key, part.seeds)
            if [kind] != list(takes.values()):
                raise self._wrong(
                    key, f"found '{environment}', a table of {kind}; allowed: {', '.join(takes.values())}"
                )
            return {"environment": files}
        if stage == "checkpoints":
            return self._inputs_of_run(takes, part)
        if stage in ("metrics", "figures"):
            return self._inputs_by_kind(takes, stage, part.entry)
        return {}

    def _environment_of(self, run: str) -> Any:
        return self.entries["training"][run].get("environment")

    def _environment(self, reference: Any, key: str) -> tuple[str, list[str]]:
        home, name = self._home(reference)
        if not isinstance(name, str) or name not in home.entries["environments"]:
            raise self._wrong(key, unknown("environment", reference, home.entries["environments"]))
        return home.signature("environments", name).returns, home.files("environments", name)

    def _trained_on(self, name: Any, key: str, seeds: tuple[int, ...]) -> tuple[str, list[str]]:
        """Kind and files of an environment, or of what was extracted for these seeds, such as demonstrations."""
        if not isinstance(name, str) or name not in self.entries["checkpoints"]:
            return self._environment(name, key)
        parts = self.parts("checkpoints", name)
        known = {seed for part in parts.values() for seed in part.seeds}
        if known and not known.issuperset(seeds):
            raise self._wrong(
                key,
                f"found '{name}', of the seeds 0 to {max(known)}; allowed: one with all seeds of a stack that learns from "
                f"it, here {seeds[0]} to {seeds[-1]}",
            )
        chosen = [job for job, part in parts.items() if not (seeds and part.seeds) or set(seeds) & set(part.seeds)]
        return self.signature("checkpoints", name).returns, [self.file("checkpoints", job) for job in chosen]

    def _inputs_of_run(self, takes: dict[str, str], part: Part) -> dict[str, list[str]]:
        """For one stack of a run: its parameters and an environment, to whoever asks for the kind.

        The environment is that which the entry names, or else what this stack was trained on.
        """
        home, own = self._home(part.run)
        if "environment" in self.entries["checkpoints"][part.entry]:
            place = f"checkpoints.{part.entry}.environment"
            chosen = self.entries["checkpoints"][part.entry]["environment"]
            kind, files = self._environment(chosen, place)
            if kind not in takes.values():
                asked = ", ".join(each for each in takes.values() if each != "PARAMETERS") or "none"
                raise self._wrong(place, f"found '{chosen}', a table of {kind}; allowed: {asked}")
        else:
            kind, files = home._trained_on(home._environment_of(own), f"training.{own}.environment", part.seeds)
        have = {kind: files}
        if part.seeds:
            have["PARAMETERS"] = [home.file("training", stacked(own, part.seeds), "parameters")]
        for wanted in takes.values():
            if wanted not in have:
                raise self._wrong(
                    f"checkpoints.{part.entry}.of",
                    f"found '{part.run}', which has tables of {', '.join(sorted({'PARAMETERS', kind}))}; "
                    f"allowed: runs with {wanted}",
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
            return "LOG", self.files("training", name, "log")
        if stage == "environments" and name:
            return self._environment(name, key)
        for stage in ("checkpoints", "metrics"):
            if reference in self.entries[stage]:
                return self.signature(stage, reference).returns, self.files(stage, reference)
        known = [*self.entries["checkpoints"], *self.entries["metrics"], "environments.NAME", "training.NAME"]
        raise self._wrong(key, unknown("artifact", reference, known))


def stacked(run: str, seeds: tuple[int, ...]) -> str:
    """The name of a stack of a run, or of the whole run without seeds."""
    return f"{run}.seeds{seeds[0]}-{seeds[-1]}" if seeds else run
