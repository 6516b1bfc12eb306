"""What Snakemake itself makes of records: copies, clocks, forced jobs, and changes that change nothing."""

import os
import shutil

import pytest

TRAINED = "results/smoke/bayes/training/cat-3.seeds0-0.parameters.parquet"
LOOKED_AT = "results/smoke/bayes/checkpoints/predictions/cat-3.seeds0-0.parquet"


def how(output: str) -> dict[str, str]:
    """job → done or kept, by the lines that jobs print."""
    lines = [line.split(" · ") for line in output.splitlines() if line.startswith("bayes · ")]
    return {f"{stage} {name}": said.split()[0] for _, stage, name, said in filter(lambda parts: len(parts) == 4, lines)}


@pytest.fixture
def moved(copied):
    """A copy of the results alone, with other times than those of their making."""
    shutil.rmtree(copied.path / ".snakemake")
    for number, path in enumerate(copied.path.glob("results/**/*")):
        os.utime(path, (10**9 * (1 + number % 2),) * 2)
    return copied


def test_a_copy_without_snakemakes_memory_and_with_other_times_is_up_to_date(moved):
    done = moved.snakemake("-n")
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout


def test_a_change_of_code_that_changes_no_table_calls_no_function_behind_it(moved):
    before = {path: (moved.path / path).read_bytes() for path in (TRAINED, LOOKED_AT)}
    moved.replace("workflow/agentomy/agents/predictor.py", "self.update += 1", "self.update += 1 * 1")
    done = moved.snakemake(LOOKED_AT)
    assert done.returncode == 0, done.stdout
    said = how(done.stdout)
    assert said["training cat-3.seeds0-0"] == "done"
    assert said["checkpoints predictions/cat-3.seeds0-0"] == "kept"
    assert {path: (moved.path / path).read_bytes() for path in before} == before
    assert "Nothing to be done" in moved.snakemake("-n", LOOKED_AT).stdout


def test_an_environment_from_the_future_costs_no_training(moved):
    environment = moved.path / "results/smoke/bayes/environments/cat-3.parquet"
    ahead = environment.stat().st_mtime + 10**10
    os.utime(environment, (ahead, ahead))
    given = (TRAINED, "--config", "scale=smoke", "overrides={bayes.training.cat-3.updates: 20}")
    done = moved.snakemake(*given, scale=False)
    assert done.returncode == 0, done.stdout
    assert how(done.stdout) == {"training cat-3.seeds0-0": "done"}
    assert "Nothing to be done" in moved.snakemake("-n", *given, scale=False).stdout


def test_what_is_forced_is_made_and_what_is_behind_it_finds_that_nothing_changed(moved):
    done = moved.snakemake(LOOKED_AT, "--forcerun", "results/smoke/bayes/environments/cat-3.parquet")
    assert done.returncode == 0, done.stdout
    assert how(done.stdout) == {
        "environments cat-3": "done",
        "training cat-3.seeds0-0": "kept",
        "checkpoints predictions/cat-3.seeds0-0": "kept",
    }


def test_other_triggers_are_refused_in_one_line(empty):
    done = empty.snakemake("-n", "bayes", "--rerun-triggers", "code", "mtime")
    assert done.returncode != 0
    assert "agentomy: rerun-triggers: found code, mtime; allowed: mtime, as in profiles/default" in done.stdout
    assert "Traceback" not in done.stdout
