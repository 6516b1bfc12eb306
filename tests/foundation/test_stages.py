"""One job: its exit, its line, and what it leaves behind when something is wrong."""

import errno
import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from agentomy import kinds
from agentomy.agents.predictor import Predictor
from agentomy.environments import sequences
from agentomy.pipeline.plan.study import Plan
from agentomy.pipeline.run import stages
from agentomy.tables import Table
from tests.studies import SOURCE

CONFIG = {"scale": "smoke", "studies": ["bayes"]}
COIN = "results/smoke/bayes/environments/bern-1-1.parquet"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AGENTOMY_CONFIG", json.dumps(CONFIG))
    return tmp_path


def planned(stage, name, config=CONFIG):
    return Plan(config, source=SOURCE, lazy=True).studies["bayes"].job(stage, name).digest()


def run(stage, name, digest=None):
    return stages.main("bayes", stage, name, "job.log", digest or planned(stage, name))


def test_a_job_writes_its_table_and_what_it_was_made_with(folder, capsys):
    assert run("environments", "bern-1-1") == 0
    table = Table(kinds.bayes.SEQUENCES, [folder / COIN])
    assert len(table) == 60
    assert table.description.use == "sequences.bernoulli"
    assert table.description.parameters["prior"] == [1, 1]
    assert "bayes · environments · bern-1-1 · done" in capsys.readouterr().err


def test_a_job_planned_from_other_code_does_not_run(folder, capsys):
    assert run("environments", "bern-1-1", planned("environments", "cat-3")) == 1
    assert "edited after this run began" in capsys.readouterr().err
    assert not (folder / COIN).exists()


def test_a_job_planned_by_another_python_runs(folder):
    assert run("environments", "bern-1-1", "3.99-0123456789abcdef") == 0


def test_a_broken_input_is_named_and_moved_aside(folder, capsys):
    run("environments", "bern-1-1")
    (folder / COIN).unlink()
    (folder / COIN).write_bytes(b"PAR1 and no more")
    assert run("training", "bern-1-1.seeds0-0") == 1
    assert f"{COIN}: not a whole Parquet file" in capsys.readouterr().err
    assert not (folder / COIN).exists()
    assert (folder / f"{COIN}.broken").exists()


def test_an_input_without_a_record_is_not_used(folder, capsys):
    run("environments", "bern-1-1")
    (folder / "results/smoke/bayes/.made/environments/bern-1-1.json").unlink()
    assert run("training", "bern-1-1.seeds0-0") == 1
    assert f"{COIN}: has no record of how it was made; run snakemake again" in capsys.readouterr().err
    assert (folder / COIN).exists()


def test_an_input_that_cannot_be_read_stays_where_it_is(folder, capsys, monkeypatch):
    run("environments", "bern-1-1")

    def refuse(path, **given):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("agentomy.parquet.pq.ParquetFile", refuse)
    assert run("training", "bern-1-1.seeds0-0") == 1
    assert f"{COIN}: cannot be read (Permission denied)" in capsys.readouterr().err
    assert (folder / COIN).exists()


def test_a_job_that_waited_for_another_to_make_the_same_does_not_make_it_again(folder, capsys, monkeypatch):
    run("environments", "bern-1-1")
    written = (folder / COIN).stat().st_mtime_ns
    lock = folder / "results/smoke/bayes/.locks/environments-bern-1-1"
    with lock.open("a") as other:
        flock = fcntl.flock
        flock(other, fcntl.LOCK_EX)

        def release_first(handle, operation):
            if operation == fcntl.LOCK_EX:  # the job has found the lock taken, and waits
                flock(other, fcntl.LOCK_UN)
            flock(handle, operation)

        monkeypatch.setattr(stages.fcntl, "flock", release_first)
        assert run("environments", "bern-1-1") == 0
    assert "waiting for it" in capsys.readouterr().err
    assert (folder / COIN).stat().st_mtime_ns == written


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO])
def test_a_file_system_without_locks_is_a_line_that_says_what_to_do(folder, capsys, monkeypatch, number):
    def refuse(handle, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(stages.fcntl, "flock", refuse)
    assert run("environments", "bern-1-1") == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert f"cannot be locked ({os.strerror(number)}); allowed: results on a file system that has locks" in lines[0]


@pytest.mark.parametrize("place", [".locks", "environments"])
def test_results_that_cannot_be_written_are_a_line_that_says_what_to_do(folder, capsys, monkeypatch, place):
    make = Path.mkdir

    def refuse(self, *arguments, **given):
        if self.name == place:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        make(self, *arguments, **given)

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert run("environments", "bern-1-1") == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "cannot be written (Read-only file system)" in lines[0]


def test_a_log_that_cannot_be_written_stops_no_job(folder):
    (folder / "job.log").mkdir()
    assert run("environments", "bern-1-1") == 0


def test_a_run_that_diverges_is_a_line_with_run_seed_and_update(folder, capsys, monkeypatch):
    advance = Predictor.advance

    def diverges(self):
        record = advance(self)
        return {**record, "loss": record["loss"] * (np.nan if self.update == 3 else 1)}

    monkeypatch.setattr(Predictor, "advance", diverges)
    run("environments", "bern-1-1")
    capsys.readouterr()
    assert run("training", "bern-1-1.seeds0-0") == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.endswith(
        "run bern-1-1, seed 0 diverged at update 3: loss is not finite; allowed: parameters with which it stays finite"
    )
    assert not [*folder.glob("results/smoke/bayes/training/*.parquet")]


def test_training_never_meets_the_random_numbers_of_its_evaluation():
    jobs = [{"study": "s", "stage": stage, "name": "cat-3"} for stage in ("environments", "training", "checkpoints")]
    assert len({stages.streams(job, "cat-3").entropy("episodes") for job in jobs}) == 3


def test_an_error_of_the_function_is_a_line_and_the_log_has_the_rest(folder, capsys, monkeypatch):
    def impossible(*arguments):
        raise ValueError("such a source is impossible")

    monkeypatch.setattr(sequences, "_episodes", impossible)
    assert run("environments", "bern-1-1") == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "ValueError: such a source is impossible" in lines[0]
    assert "Traceback" in (folder / "job.log").read_text()


def test_a_mistake_that_only_a_job_can_see_is_a_line_without_a_traceback(folder, capsys, monkeypatch):
    monkeypatch.setenv("AGENTOMY_CONFIG", json.dumps(CONFIG | {"overrides": {"maze.environments.test.world": 8}}))
    home = Plan(json.loads(os.environ["AGENTOMY_CONFIG"]), source=SOURCE, lazy=True).studies["maze"]
    assert stages.main("maze", "environments", "test", "job.log", home.job("environments", "test").digest()) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("mazes: world: found 8; allowed: an odd number, 3 or more")


def test_torch_is_deterministic_and_imports_no_compiler_for_it():
    lines = [
        "import sys",
        "from agentomy.pipeline.run import stages",
        "stages.prepare_torch({'options': {'device': 'cpu'}})",
        "import torch",
        "assert torch.are_deterministic_algorithms_enabled()",
        "assert not torch.is_deterministic_algorithms_warn_only_enabled()",
        "assert torch.get_num_threads() == 1",
        "assert 'torch._dynamo' not in sys.modules",
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)
