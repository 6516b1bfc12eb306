"""Two studies whose results are packed, and folders in which packs are unpacked.

The chain of `toy_chain`, and a second study that takes in one of its runs.
"""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from agentomy.pipeline.packs import unpack
from agentomy.pipeline.packs.pack import Choice, pack
from agentomy.pipeline.plan.study import Plan
from tests.foundation.toy_chain import PACKAGE, STUDY, Folder
from tests.studies import SOURCE

TAKER = """
paper: {title: t, authors: a, url: u}
environments: {}
training: {}
checkpoints:
  taken: {use: papers.bayes.extract.predictions.predictions, of: [toy.one]}
metrics: {}
figures: {}
claims: {}
"""
EVERYTHING = Choice()


class Elsewhere(Folder):
    """A folder with the two studies; the package's code is copied into it when it is edited."""

    def __init__(self, path: Path, monkeypatch):
        self.path, self.monkeypatch, self.called = path, monkeypatch, Counter()
        (path / "studies").mkdir(parents=True)
        text = STUDY.replace("snapshots: {}", "snapshots: {every: 1}")
        (path / "studies" / "toy.yaml").write_text(text)
        (path / "studies" / "taker.yaml").write_text(TAKER)

    def plan(self, **config) -> Plan:
        if (self.path / "agentomy").exists():
            return super().plan(**config)
        given = {"scale": "smoke", "studies": ["toy"], **config}
        self.monkeypatch.setenv("AGENTOMY_CONFIG", json.dumps(given))
        return Plan(given, self.path / "studies", SOURCE)

    def edit(self, file: str, before: str, after: str) -> None:
        if not (self.path / "agentomy").exists():
            shutil.copytree(PACKAGE, self.path / "agentomy", ignore=shutil.ignore_patterns("__pycache__"))
        super().edit(file, before, after)

    def pack(self, out: Path, choice: Choice = EVERYTHING, study: str = "toy", **config) -> list[str]:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.path)
            before, self.monkeypatch = self.monkeypatch, patch
            try:
                return pack(self.plan(studies=[study], **config), study, out, choice)
            finally:
                self.monkeypatch = before

    def unpack(self, file: Path, replaces: bool = False, **config) -> list[str]:
        return unpack.unpack(file, lambda scale: self.plan(scale=scale, **config), replaces)

    @property
    def files(self) -> dict[str, bytes]:
        """What is in the results, but for locks, logs and the store."""
        files = (path.relative_to(self.path) for path in self.path.glob("results/**/*") if path.is_file())
        kept = (path for path in files if not {".locks", ".store", "logs"} & {*path.parts})
        return {str(path): (self.path / path).read_bytes() for path in kept}

    @property
    def toy(self) -> dict[str, bytes]:
        """What there is of the first study."""
        return {file: content for file, content in self.files.items() if "/toy/" in file}


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """Both studies, made once."""
    with pytest.MonkeyPatch.context() as patch:
        path = tmp_path_factory.mktemp("source")
        patch.chdir(path)
        folder = Elsewhere(path, patch)
        folder.run()
        for stage, name in (("checkpoints", "taken/toy.one.seeds0-0"), ("claims", "claims")):
            folder.do(folder.plan(studies=["taker"]).studies["taker"].job(stage, name))
    return folder


@pytest.fixture
def here(source, tmp_path, monkeypatch) -> Elsewhere:
    """Another folder with the same studies and code, and no results."""
    folder = Elsewhere(tmp_path / "here", monkeypatch)
    monkeypatch.chdir(folder.path)
    return folder


@pytest.fixture
def mine(source, here) -> Elsewhere:
    """A folder with results that a test may change."""
    shutil.copytree(source.path / "results", here.path / "results", copy_function=shutil.copy)
    return here
