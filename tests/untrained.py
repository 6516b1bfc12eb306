"""Studies whose networks nobody trained: every snapshot of a run is drawn anew, and all that follows is really done.

A claim about what networks have learned must not hold here.
"""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd
import pyarrow as pa

from agentomy import kinds
from agentomy.descriptions import Task, Trained
from agentomy.pipeline.plan.jobs import maker
from agentomy.pipeline.plan.study import Plan
from agentomy.pipeline.run import stages
from agentomy.progress import Progress
from agentomy.seeds import Streams
from agentomy.tables import Table


class Untrained:
    """The artifacts of a plan, made in memory when asked for; snapshots are at `updates`."""

    def __init__(self, plan: Plan, updates: Sequence[int]):
        self.plan, self.updates = plan, updates
        self.made: dict[str, Table] = {}

    def plant(self, study: str, metric: str, rows: pa.Table) -> None:
        """A metric's table as it is given, instead of one that is made."""
        job = self.plan.studies[study].job("metrics", metric)
        kind = stages.find(job.use).__annotations__["return"]
        self.made[job.outputs[0]] = Table(kind, rows=rows)

    def verdicts(self, study: str, numbers: Sequence[str]) -> pd.DataFrame:
        """What is judged of claims at scale paper, one row a test and group, and one of test '' for the whole."""
        job = asdict(self.plan.studies[study].job("claims", "claims"))
        asked = {number: dict(job["parameters"]["claims"][number]) for number in numbers}
        for claim in asked.values():
            claim["tests"] = {name: test for name, test in claim["tests"].items() if test.get("holds")}
        sources = {test["from"] for claim in asked.values() for test in claim["tests"].values()}
        inputs = {name: self.table(job["inputs"][name]) for name in sorted(sources & set(job["inputs"]))}
        seeds = self.plan.config.seeds  # all of them at the first look
        planned = {metric: dict.fromkeys(runs, (seeds, 1)) for metric, runs in job["parameters"]["planned"].items()}
        parameters = {"claims": asked, "scale": "paper", "planned": planned, "trained": {}}
        return stages.judged({**job, "parameters": parameters}, inputs).to_pandas()

    def table(self, paths: Sequence[str]) -> Table:
        """The artifacts at these paths, as one table."""
        tables = [self._artifact(path) for path in paths]
        together = Table(tables[0].kind, rows=[piece for table in tables for piece in table.pieces])
        together.descriptions = [description for table in tables for description in table.descriptions]
        return together

    def _artifact(self, path: str) -> Table:
        if path not in self.made:
            _, study, stage, name = maker(path)
            job = asdict(self.plan.studies[study].job(stage, name))
            self.made[path] = getattr(self, f"_{stage}")(job)
        return self.made[path]

    def _environments(self, job: dict) -> Table:
        function = stages.find(job["use"])
        rows = stages.call(function, job, {"streams": stages.streams(job, job["name"]), "progress": QUIET})
        task = Task(use=stages.named(job), parameters=stages.resolved(function, job))
        return Table(function.__annotations__["return"], rows=_pieces(rows), description=task)

    def _training(self, job: dict) -> Table:
        agent_class, seeds = stages.find(job["use"]), job["options"]["seeds"]
        environment, pieces = self.table(job["inputs"]["environment"]), []
        for update in self.updates:
            streams = [Streams(job["study"], f"{job['options']['run']} at {update}", seed) for seed in seeds]
            agent = agent_class(environment, streams, "cpu", **job["parameters"])
            pieces.append(kinds.common.PARAMETERS.table(seed=np.array(seeds), update=update, **agent.parameters()))
        described = Trained(
            run=job["options"]["run"],
            seeds=seeds,
            use=stages.named(job),
            parameters=stages.resolved(agent_class.__init__, job),
            network=agent.network,
            environment=stages.task_of(environment.description),
        )
        return Table(kinds.common.PARAMETERS, rows=pieces, description=described)

    def _checkpoints(self, job: dict) -> Table:
        function, run = stages.find(job["use"]), job["options"]["run"]
        inputs = self._inputs(function, job)
        given = {"run": run, "streams": stages.streams(job, run), "device": "cpu", "progress": QUIET}
        rows = stages.call(function, job, {**inputs, **given})
        described = stages.extracted(run, [*inputs.values()], stages.resolved(function, job))
        return Table(function.__annotations__["return"], rows=_pieces(rows), description=described)

    def _metrics(self, job: dict) -> Table:
        function = stages.find(job["use"])
        given = {"streams": stages.streams(job, job["name"]), "progress": QUIET}
        rows = stages.call(function, job, {**self._inputs(function, job), **given})
        return Table(function.__annotations__["return"], rows=_pieces(rows))

    def _inputs(self, function, job: dict) -> dict[str, Table]:
        return {name: self.table(job["inputs"][name]) for name in stages.table_kinds(function) if name != "return"}


QUIET = Progress("untrained", every=1e9)


def _pieces(rows) -> list[pa.Table]:
    return [rows] if isinstance(rows, pa.Table) else [*rows]
