"""Refuses, before any job starts, what a study's jobs could not do: each mistake is one line that names its key."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from agentomy.judge.columns import SelectionError, check
from agentomy.mistakes import explained, keys, unknown
from agentomy.pipeline.plan import needs
from agentomy.pipeline.plan.entries import ENTRIES, LEARNERS, LEARNS, Claim, ClaimTest, Entry, Named
from agentomy.pipeline.plan.signatures import Signature, columns
from agentomy.pipeline.plan.study_file import STAGES
from agentomy.pipeline.plan.wiring import MissingSeeds, Wiring
from agentomy.pipeline.source.provenance import Source, UnknownName


class Checking(Wiring):
    """The part of a study that checks its entries."""

    source: Source
    claims: Mapping[str, Claim]
    _parameters: dict[tuple[str, str], dict[str, Any]]
    _streams: Callable[[str], str]
    _plugin: Callable[[str], dict[str, Any] | None]

    def _check(self) -> None:
        """Check every entry before any job starts: function, parameters and their types, inputs and their kinds."""
        for name in set(self.entries["checkpoints"]) & set(self.entries["metrics"]):
            raise self._error(
                f"metrics.{name}", "found a checkpoint entry of the same name; allowed: names of their own"
            )
        for stage in STAGES:
            for name, entry in self.entries[stage].items():
                self._parameters[stage, name] = self._checked_parameters(stage, name, entry)
        for stage in STAGES:
            for name in self.entries[stage]:
                for part in self.parts(stage, name).values():
                    try:
                        self.inputs(stage, part)
                    except MissingSeeds:
                        # a user who wants fewer seeds of another study need not want this one; its jobs say so again
                        if not (self.config.overrides or self.config.seeds):
                            raise
        for name in self.entries["checkpoints"]:
            self._refuse_needs(name)
        for name in self.entries["training"]:
            self._refuse_cycles(name)
            self._streams(name)
            self._plugin(name)
        for name, claim in self.claims.items():
            for key, test in claim.tests.items():
                if self.scale in test.scales:
                    self._check_test(test, f"claims.{name}.tests.{key}")

    def _checked_parameters(self, stage: str, name: str, entry: Entry) -> dict[str, Any]:
        """What is handed to the function: the entry's parameters, with the types that its signature says."""
        takes = self.written.signature(stage, name, entry.use)
        if stage == "training":
            self._check_learns(name, entry, bool(takes.series))
            self._check_adapter(f"training.{name}.adapter", entry.adapter)
        return self._fitting(takes, entry, f"{stage}.{name}", keys(ENTRIES[stage]))

    def _check_learns(self, name: str, entry: Entry, imported: bool) -> None:
        """A learner says how long and how often; a run that was trained elsewhere has nothing of that."""
        missing = [] if imported else [key for key in LEARNS if getattr(entry, key) is None]
        for key in missing:
            raise self._error(f"training.{name}.{key}", "missing")
        for key in LEARNERS if imported else ():
            if getattr(entry, key) is not None:
                problem = f"found beside {entry.use}, which learns nothing; allowed: nothing"
                raise self._error(f"training.{name}.{key}", problem)

    def _check_adapter(self, key: str, adapter: str | None) -> None:
        """An adapter is a class of a paper's module `subject`."""
        if adapter is None:
            return
        if not re.fullmatch(r"papers\.\w+\.subject\.\w+", adapter):
            raise self._error(key, f"found {adapter}; allowed: papers.NAME.subject.CLASS")
        try:
            self.source.find(adapter)
        except UnknownName as error:
            raise self._error(key, f"found {adapter}: {error}") from None

    def _fitting(self, takes: Signature, named: Named, place: str, allowed: list[str]) -> dict[str, Any]:
        given = named.parameters
        for key in given:
            if key not in takes.parameters:
                problem = unknown(f"parameter of {named.use}", key, [*allowed, *takes.parameters])
                raise self._error(f"{place}.{key}", problem)
        for key in takes.required:
            if key not in given:
                raise self._error(f"{place}.{key}", f"missing; {named.use} requires it")
        for key, value in given.items():
            try:
                given[key] = takes.checked(key, value)
            except ValidationError as error:
                raise self._error(*explained(error, f"{place}.{key}", value)) from None
        return given

    def _check_test(self, test: ClaimTest, key: str) -> None:
        """Refuse a test that its metric's columns can't answer."""
        if test.source not in self.entries["metrics"]:
            raise self._error(f"{key}.from", unknown("metric", test.source, self.entries["metrics"]))
        try:
            check(test, columns(self.signature("metrics", test.source).returns, self.column_names))
        except SelectionError as error:
            raise self._error(f"{key}.{error.key}", error.problem) from None

    @property
    def column_names(self) -> dict[str, list[str]]:
        """What columns of names can hold: this study's runs and environments, and those that it takes in of others."""
        looking, trained = self.entries["checkpoints"].values(), self.entries["training"].values()
        runs = [*self.entries["training"], *(run for entry in looking for run in entry.of)]
        taken_in = [entry.environment for entry in (*looking, *trained) if entry.environment]
        environments = [*self.entries["environments"], *taken_in]
        return {"runs": [*dict.fromkeys(runs)], "environments": [*dict.fromkeys(environments)]}

    def _refuse_cycles(self, run: str, seen: tuple[str, ...] = ()) -> None:
        """Refuse a run that is trained on what was made of itself."""
        if run in seen:
            raise self._error(f"training.{run}.learns_from", f"found a circle: {' ← '.join([run, *seen])}")
        extraction = self.entries["checkpoints"].get(self.entries["training"][run].learns_from)
        for origin in extraction.of if extraction else ():
            if self._resolve(origin)[0] is self:
                self._refuse_cycles(origin, (run, *seen))

    def lacks(self, run: str, since: int = 0) -> dict[str, str]:
        """What lenses may need and a run has not, from an update on; each with the reason (`needs.NEEDS`)."""
        entry = self.entries["training"][run]
        if not self.signature("training", run).series:
            kept = entry.snapshots
            even = needs.FEWEST if kept and kept.every else kept.even if kept and not kept.log else 0
            _, kind, _ = self._trained_on(run, ())
            adapter = None if entry.adapter is None else needs.lacked(self.source, entry.adapter)
            return needs.of_learner(entry.use, even, kind, adapter)
        series = next(iter(self.checkpoints(run).values()))
        updates = [
            checkpoint.update for checkpoint in series if checkpoint.update is not None and checkpoint.update >= since
        ]
        return needs.of_imported(updates, series[0].path, entry.parameters, entry.environment)

    def _refuse_needs(self, name: str) -> None:
        """A lens that needs what an imported run, or the adapter of a run, has not is refused before any job starts."""
        entry = self.entries["checkpoints"][name]
        needed = needs.needs(self.source, entry.use)
        for reference in entry.of if needed else ():
            home, run = self._resolve(reference)
            missing, adapter = {}, home.entries["training"][run].adapter
            if home.signature("training", run).series:
                missing = home.lacks(run, entry.parameters.get("since", 0))
            elif adapter is not None:
                missing = needs.lacked(self.source, adapter)
            if why := needs.lacking(needed, missing):
                raise self._error(f"checkpoints.{name}.of", f"{entry.use} can't look at {run}: {why}")
