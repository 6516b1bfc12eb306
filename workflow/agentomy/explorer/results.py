"""What the explorer can show: Parquet files below one folder of results, and nothing else."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from agentomy import kinds
from agentomy.descriptions import Task
from agentomy.mistakes import printable
from agentomy.pipeline.plan import decided
from agentomy.pipeline.plan.config import ConfigError, read_yaml
from agentomy.pipeline.plan.study import Plan
from agentomy.pipeline.plan.study_file import NAME, NAMES
from agentomy.pipeline.uptodate import records
from agentomy.tables import BrokenTable, Kind, Table, TableError

PARAMETERS, TABLE = ".parameters.parquet", ".parquet"
CONFIG = Path("config.yaml")
OWN = "explorer"  # the folder of what is saved in the explorer, beside those of the studies
# what is extracted of another study's run bears the names of both
FILE = re.compile(rf"{NAME.pattern}(\.{NAME.pattern})?(\.seeds[0-9]+-[0-9]+)?(\.parameters|\.log)?\.parquet")


@dataclass(frozen=True)
class Run:
    """A training run: which file holds each seed, the updates at which snapshots were taken, and what it trained."""

    study: str
    name: str
    files: dict[int, Path]  # by seed
    updates: tuple[int, ...]
    network: dict
    environment: Task | None  # where it learned; of a clone, where its experts did

    @property
    def label(self) -> str:
        return f"{self.study}: {self.name}"

    @property
    def imported(self) -> bool:
        """Whether it was trained elsewhere, and its networks were brought here."""
        return str(self.network.get("use", "")).startswith("foreign.")


@lru_cache(maxsize=10_000)
def _compare(path: Path, root: Path, size: int, changed: int) -> None:
    """Compare a file of this size, last changed then, with its record: once, as it may take a tenth of a second."""
    records.compare(path, root)


def planned(scale: str) -> Plan | None:
    """What Snakemake plans at a scale, by the configuration of the Snakemake that started this, or config.yaml."""
    if "AGENTOMY_CONFIG" in os.environ:
        config = json.loads(os.environ["AGENTOMY_CONFIG"])
    elif CONFIG.exists():
        config = read_yaml(CONFIG)
    else:
        return None
    return Plan(decided.added({**config, "scale": scale}), lazy=True)


class Results:
    """The results of one scale, results/SCALE/STUDY/STAGE/NAME.parquet.

    Only planned runs and extractions are listed, as stacks of seeds that are no longer planned may still exist. Without
    a plan, or for a study that is not in the plan, all are listed.
    """

    def __init__(self, folder: Path | str, scale: str, plan: Plan | None = None):
        self.root, self.scale, self.plan = Path(folder), scale, plan
        self.folder = self.root / scale

    @property
    def studies(self) -> list[str]:
        """The studies that have any results."""
        if not self.folder.is_dir():
            return []
        names = (folder.name for folder in self.folder.iterdir() if folder.is_dir() and NAME.fullmatch(folder.name))
        return sorted(name for name in names if name != OWN)

    def path(self, study: str, stage: str, name: str) -> Path:
        return self.folder / study / stage / f"{name}.parquet"

    def paths(self, study: str, stage: str) -> dict[str, Path]:
        """The files of a stage, by the names of their artifacts."""
        return self._files(self.folder / study / stage, TABLE)

    def pieces(self, study: str) -> dict[str, list[Path]]:
        """The files of a study's extractions, by the name of the entry."""
        pieces: dict[str, list[Path]] = {}
        planned_jobs = self._planned(study, "checkpoints")
        for folder in sorted((self.folder / study / "checkpoints").glob("*/")):
            if not NAME.fullmatch(folder.name):
                continue
            for name, path in self._files(folder, TABLE).items():
                if planned_jobs is None or f"{folder.name}/{name}" in planned_jobs:
                    pieces.setdefault(folder.name, []).append(path)
        return pieces

    def stacks(self, study: str) -> dict[str, list[Path]]:
        """The files of parameters of a study's runs, one for each stack of seeds, by the name of the run."""
        stacks: dict[str, list[Path]] = {}
        planned_jobs = self._planned(study, "training")
        for name, path in self._files(self.folder / study / "training", PARAMETERS).items():
            if planned_jobs is None or name in planned_jobs:
                stacks.setdefault(name.partition(".")[0], []).append(path)
        return stacks

    def _files(self, folder: Path, suffix: str) -> dict[str, Path]:
        paths = sorted(folder.glob(f"*{suffix}"))
        return {path.name.removesuffix(suffix): path for path in paths if FILE.fullmatch(path.name)}

    def _planned(self, study: str, stage: str) -> list[str] | None:
        """The names of a stage's planned jobs; None if there is no plan for them."""
        if self.plan is None or study not in self.plan.names:
            return None
        try:
            return self.plan.studies[study].names(stage)
        except ConfigError:  # of a study file that is being edited; Snakemake says what is wrong with it
            return None

    def inside(self, path: Path) -> Path:
        """This path, or a `TableError` if it leads out of the results."""
        if not path.resolve().is_relative_to(self.root.resolve()):
            raise TableError(f"{path}: leads out of {self.root}; allowed: files below it")
        return path

    def table(self, kind: Kind, *paths: Path) -> Table:
        """A table of this kind, or a `TableError`: missing, broken, of another kind, or outside of the results."""
        for path in paths:
            if self.inside(path).is_file():
                stat = path.stat()
                _compare(path, self.root, stat.st_size, stat.st_mtime_ns)
        return Table(kind, paths)

    @cached_property
    def _found(self) -> tuple[list[Run], list[str]]:
        runs, problems = [], list(self._strangers())
        for study in self.studies:
            problems += self._left_out(study)
            for name, paths in self.stacks(study).items():
                try:
                    runs.append(self._run(study, name, paths))
                except TableError as error:
                    problems.append(str(error))
        return runs, problems

    def _strangers(self) -> Iterator[str]:
        """A line for each file or folder whose name the pipeline never gives; names are part of the page."""
        for pattern, form in (("*/", NAME), ("*/checkpoints/*/", NAME), ("*/**/*.parquet", FILE)):
            for path in sorted(self.folder.glob(pattern)):
                hidden = any(part.startswith(".") for part in path.relative_to(self.folder).parts)
                if not hidden and not form.fullmatch(path.name):
                    yield printable(f"{path}: passed over because of its name; allowed: {NAMES}")

    def _left_out(self, study: str) -> list[str]:
        """One line, if networks of a study did not come whole with a pack."""
        count = self._thinned(study)
        line = f"{study}: of {count} training jobs not all networks came with the pack; a fuller one has them"
        return [line] if count else []

    def _thinned(self, study: str) -> int:
        """How many training jobs of a study came with a pack without some networks."""
        folder = self.folder / study / ".made" / "training"
        training_records = [records.read(path) for path in folder.glob("*.json")]
        return sum(record is not None and bool(record.instead) for record in training_records)

    def missing(self, study: str, make: str = "make", target: str = "") -> str:
        """Why there is nothing of a study to show, and what makes it: Snakemake, or a fuller pack.

        For Snakemake nothing is to be done where results came with a pack, whatever the pack left out.
        """
        why = f"none below {self.folder}"  # files that could not be read are named at the top of the page
        if study in self.studies and self._thinned(study):
            return (
                f"{why}; the pack of '{study}' came without them, and snakemake has nothing to do: unpack one with "
                f"networks (agentomy pack {study} --parameters last), or {make} them in a tree without the pack"
            )
        command = f"snakemake --cores 2 --config scale={self.scale} -- {target or study}"
        return f"{why}; to {make} some at scale {self.scale}: {command}"

    def _run(self, study: str, name: str, paths: list[Path]) -> Run:
        files, updates = {}, set()
        for path in paths:
            # compared with its record when it is opened: all runs of a laptop at once would take some seconds
            table = Table(kinds.common.PARAMETERS, [self.inside(path)])
            files |= {int(seed): path for seed in np.unique(table.values("seed"))}
            updates |= {int(update) for update in np.unique(table.values("update"))}
        description = Table(kinds.common.PARAMETERS, paths).description
        by_seed, in_order = dict(sorted(files.items())), tuple(sorted(updates))
        return Run(study, name, by_seed, in_order, description.network, description.environment)

    def environment(self, run: Run, kind: Kind) -> Path:
        """The table of the environment in which a run learned; of several with the same task, that of its study."""
        problem = TableError(f"{run.label}: no table of the environment in which it learned below {self.folder}")
        for study in sorted(self.studies, key=lambda name: name != run.study):
            for path in self.paths(study, "environments").values():
                try:
                    if self.table(kind, path).description == run.environment:
                        return path
                except BrokenTable as error:  # it may be the one
                    problem = error
                except TableError:  # another sort of environment
                    continue
        raise problem

    def runs(self, network: str | None = None) -> Iterator[Run]:
        """The training runs: all, or those of one class of networks, such as `impala.ImpalaStack`."""
        return (run for run in self._found[0] if network is None or run.network.get("use") == network)

    @property
    def problems(self) -> list[str]:
        """What is wrong with files of training runs and with names, in one line each."""
        return self._found[1]
