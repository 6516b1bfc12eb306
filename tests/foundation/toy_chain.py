"""A chain of real stage functions, small: an environment, two trainings, what is extracted of them, a metric.

Jobs are done as Snakemake would have them done.
"""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

import agentomy
from agentomy.pipeline.plan.study import Plan
from agentomy.pipeline.run import stages
from agentomy.pipeline.source.provenance import Source
from agentomy.pipeline.uptodate import keeping, records
from agentomy.pipeline.uptodate.session import Forced
from agentomy.pipeline.uptodate.states import STALE, States
from agentomy.pipeline.uptodate.store import Store
from agentomy.progress import Progress

PACKAGE = Path(agentomy.__file__).parent
STUDY = """
paper: {title: t, authors: a, url: u}
environments:
  coin: {use: environments.sequences.bernoulli, prior: [1, 1], steps: 4, episodes: 20}
training:
  one: &run
    {use: agents.predictor.Predictor, environment: coin, width: 2, updates: 2, batch: 4, seeds: 1, snapshots: {}}
  two: {<<: *run, updates: 3}
checkpoints:
  predictions: {use: papers.bayes.extract.predictions.predictions, of: [one, two]}
  optimal: {use: papers.bayes.extract.predictions.optimal, of: [one]}
  optimum: {use: papers.bayes.extract.predictions.optimal, of: [two]}
metrics:
  distance: {use: papers.bayes.measure.optimality.kl_to_bayes, from: [predictions, optimal, optimum]}
figures: {}
claims:
  C1:
    says: s
    paper: p
    tests: {t: {from: distance, value: kl, where: {update: last, t: last}, each: run, holds: "< 1"}}
"""


class Folder:
    """A folder of results and of study and package sources, in which jobs are done one by one."""

    def __init__(self, path: Path, monkeypatch):
        self.path, self.monkeypatch, self.called = path, monkeypatch, Counter()
        (path / "studies").mkdir(parents=True)
        (path / "studies" / "toy.yaml").write_text(STUDY)
        shutil.copytree(PACKAGE, path / "agentomy", ignore=shutil.ignore_patterns("__pycache__"))

    def plan(self, **config) -> Plan:
        given = {"scale": "smoke", "studies": ["toy"], **config}
        self.monkeypatch.setenv("AGENTOMY_CONFIG", json.dumps(given))
        return Plan(given, self.path / "studies", Source(self.path / "agentomy"))

    def states(self, forced=lambda job: False, **config) -> dict[str, str]:
        """name → state of the jobs that do not fit."""
        return {name: state.is_ for name, (state, _) in self._look(forced, **config).items() if not state.fits}

    def whys(self, **config) -> dict[str, str]:
        return {name: state.why for name, (state, _) in self._look(**config).items() if state.is_ == STALE}

    def _look(self, forced=lambda job: False, **config):
        plan = self.plan(**config)
        states = States(lambda key: plan.studies[key[0]].job(*key[1:]), forced)
        for key in plan.studies["toy"].keys:
            states[key]
        return {key[2]: (state, plan.studies["toy"].job(*key[1:])) for key, state in states.known().items()}

    def run(self, forced=lambda job: False, keep=True, **config) -> list[str]:
        """Do what has to be done, as Snakemake would, which deletes outputs first; returns what was called."""
        todo = {name: job for name, (state, job) in self._look(forced, **config).items() if not state.fits}
        if keep:  # as the Snakefile does before the first job
            for job in todo.values():
                record = records.read(job.record)
                if record is not None and all(Path(path).exists() for path in job.outputs):
                    Store(job.record, 2).put(record)
        self.called.clear()
        with pytest.MonkeyPatch.context() as patch:
            if forced is not self._nothing:
                patch.setattr(Forced, "saved", classmethod(lambda cls, folder: forced))
            for job in todo.values():
                for path in [*job.outputs, job.record]:
                    Path(path).unlink(missing_ok=True)
                self.do(job)
        return sorted(self.called)

    @staticmethod
    def _nothing(job):
        return False

    def do(self, job, digest: str | None = None):
        def counted(given, progress):
            self.called[job.name] += 1
            return stages.RUNNERS[job.stage](given, progress)

        return keeping.do(job, digest or job.digest(), counted, Progress("test", every=1e9))

    def edit(self, file: str, before: str, after: str):
        path = self.path / "agentomy" / file
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after, 1))

    def job(self, stage: str, name: str, **config):
        return self.plan(**config).studies["toy"].job(stage, name)

    def bytes(self) -> dict[str, bytes]:
        """Everything that was made, logs and the store apart."""
        files = [path for path in Path("results").rglob("*.*") if path.is_file() and ".store" not in path.parts]
        return {str(path): path.read_bytes() for path in sorted(files) if ".locks" not in path.parts}


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Path:
    """The chain, made once; tests take copies."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("chain"))
        folder = Folder(Path.cwd(), patch)
        assert len(folder.run()) == 9
    return folder.path


@pytest.fixture
def toy(whole, tmp_path, monkeypatch) -> Folder:
    path = tmp_path / "tree"
    shutil.copytree(whole, path, copy_function=shutil.copy)  # other times, other inodes
    monkeypatch.chdir(path)
    folder = Folder.__new__(Folder)
    folder.path, folder.monkeypatch, folder.called = path, monkeypatch, Counter()
    return folder


ONE, TWO = "one.seeds0-0", "two.seeds0-0"
UPDATES = {"overrides": {"toy.training.two.updates": 4}}
