"""A copy of the tree to run Snakemake in."""

import contextlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from agentomy.pipeline.plan.study import Plan
from agentomy.pipeline.source.provenance import Source
from agentomy.pipeline.uptodate.session import Forced, Session

ROOT = Path(__file__).parents[2]
PARTS = ("Snakefile", "config.yaml", "rules", "workflow", "envs", "profiles")
ANSWERS = Path(".snakemake/agentomy-code.json")


@dataclass(frozen=True)
class Tree:
    """A copy of the repository with results of its own."""

    path: Path

    @property
    def study(self) -> Path:
        return self.path / "results" / "smoke" / "bayes"

    def command(self, *arguments: str, scale: bool = True) -> list[str]:
        given = [*arguments] if not scale else [*arguments, "--config", "scale=smoke"]
        return [sys.executable, "-m", "snakemake", "--cores", "2", *given]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def snakemake(self, *arguments: str, scale: bool = True, **options) -> subprocess.CompletedProcess:
        """Run Snakemake here; stdout and stderr come back as one text in `stdout`."""
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, **options}
        return subprocess.run(self.command(*arguments, scale=scale), cwd=self.path, env=self.environment, **options)

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start Snakemake here in a process group of its own, which a test can signal as a terminal or a kill would."""
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        command = self.command(*arguments, scale=False)
        return subprocess.Popen(command, cwd=self.path, env=self.environment, start_new_session=True, **streams)

    def planned(self, *targets: str, **config) -> set[str]:
        """The jobs that a run would do, as "stage name", found as the Snakefile finds them."""
        given = {**yaml.safe_load((self.path / "config.yaml").read_text()), "scale": "smoke", **config}
        workflow = self.path / "workflow"
        with contextlib.chdir(self.path):
            plan = Plan(given, workflow / "studies", Source(workflow / "agentomy", remember=True))
            session = Session(plan)
            session.begin(targets or ["bayes"], Forced())
        return {f"{stage} {name}" for (_, stage, name), _ in session.todo}

    def replace(self, file: str, before: str, after: str) -> None:
        path = self.path / file
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after, 1))

    def copy(self, folder: Path) -> "Tree":
        """This tree with its results, the store's other names of them, and Snakemake's memory of how they were made."""
        subprocess.run(["cp", "--archive", self.path, folder], check=True)
        return Tree(folder)


def fresh(folder: Path) -> Tree:
    folder.mkdir(parents=True)
    # compiled modules go along: a tree that has to compile them anew pays for it at its first start
    ignore = shutil.ignore_patterns("*.pyc.*", "*.egg-info")
    for part in PARTS:
        source = ROOT / part
        shutil.copytree(source, folder / part, ignore=ignore) if source.is_dir() else shutil.copy2(source, folder)
    # and what is known of the code, which has to be read through otherwise; it holds as long as the code is the same
    if (ROOT / ANSWERS).exists():
        (folder / ANSWERS.parent).mkdir()
        shutil.copy2(ROOT / ANSWERS, folder / ANSWERS)
    return Tree(folder)


def finished(*processes: subprocess.Popen) -> list[str]:
    """What processes that run side by side have said, once all have ended well."""
    try:
        outputs = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * len(processes), outputs
    return outputs
