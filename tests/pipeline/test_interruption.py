"""Kills, full disks and truncated files: the next run goes on, and ends with the bytes of an unbroken one."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

RUN = "results/smoke/bayes/training/cat-3.seeds0-0.parameters.parquet"
LONG = "overrides={bayes.training.cat-3.updates: 4000}"  # long enough for three lives of up to two seconds each


def kill(process: subprocess.Popen) -> None:
    """SIGKILL to Snakemake and to every process that it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for_newer(path: Path, since: float, limit: float = 60) -> None:
    until = time.monotonic() + limit
    while not path.exists() or path.stat().st_mtime <= since:
        assert time.monotonic() < until, f"{path} did not come"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("study", "run", "longer"),
    [
        ("bayes", "cat-3.seeds0-0", LONG),
        # a plug-in around TD3: a window of snapshots, a replay and episodes of a simulator have to go on too
        (
            "path",
            "pptb.seeds0-1",
            "overrides={path.training.pptb.updates: 8000, path.training.pptb.snapshots.every: 1000}",
        ),
        # PPO: mazes that are being run, and fused steps on weights whose channels lie last in memory
        ("maze", "region-2.seeds0-0", "overrides={maze.training.region-2.updates: 400}"),
        # L3D: several starts, an order of the inputs for each epoch
        ("l3d", "tms-mse.seeds0-1", "overrides={l3d.training.tms-mse.epochs: 700}"),
    ],
)
def test_three_kills_at_random_moments_and_then_the_same_bytes(empty, study, run, longer):
    made = [f"results/smoke/{study}/training/{run}.{part}.parquet" for part in ("parameters", "log")]
    arguments = [made[0], "--config", "scale=smoke", longer]
    assert empty.snakemake(*arguments, scale=False).returncode == 0
    unbroken = [(empty.path / name).read_bytes() for name in made]
    for name in made:
        (empty.path / name).unlink()

    results = empty.path / "results" / "smoke" / study
    state = results / "training" / ".restart" / run / "state.safetensors"
    log = results / "logs" / "training" / f"{run}.log"
    for _ in range(3):
        began = time.time()
        with empty.start(*arguments) as process:
            wait_for_newer(state, began)  # so each life gets further than the last
            time.sleep(random.random())
            kill(process)
        assert not (empty.path / made[0]).exists(), "the run ended before it was killed"
    assert "goes on from update" in log.read_text()

    done = empty.snakemake(*arguments, scale=False)
    assert done.returncode == 0, done.stdout
    assert "goes on from update" in done.stdout
    assert [(empty.path / name).read_bytes() for name in made] == unbroken
    assert not state.exists()


def test_ctrl_c_saves_and_the_next_run_goes_on(empty):
    arguments = [RUN, "--config", "scale=smoke", LONG]
    state = empty.study / "training" / ".restart" / "cat-3.seeds0-0" / "state.safetensors"
    with empty.start(*arguments) as process:
        wait_for_newer(state, 0)
        os.killpg(process.pid, signal.SIGINT)  # what a terminal does
        output, _ = process.communicate(timeout=60)
    assert "stopped at update" in output
    assert "goes on from update" in empty.snakemake(*arguments, scale=False).stdout


def test_a_signal_to_snakemake_alone_is_passed_on_to_its_jobs_which_save(empty):
    arguments = [RUN, "--config", "scale=smoke", LONG]
    state = empty.study / "training" / ".restart" / "cat-3.seeds0-0" / "state.safetensors"
    for number in (signal.SIGINT, signal.SIGTERM):
        began = time.time()
        with empty.start(*arguments) as process:
            wait_for_newer(state, began)
            process.send_signal(number)
            output, _ = process.communicate(timeout=60)
        assert "running jobs are told to save their state and stop" in output
        assert "stopped at update" in output
    assert "goes on from update" in output


def test_a_full_disk_is_named_and_the_next_run_repairs_it(empty):
    target = "results/smoke/bayes/environments/gauss.parquet"
    # no file may grow beyond 16 KiB: writing fails as on a full disk, with another word for it
    command = ["bash", "-c", 'ulimit -f 16; exec "$0" "$@"', *empty.command(target)]
    full = subprocess.run(command, cwd=empty.path, env=empty.environment, capture_output=True, text=True)
    assert full.returncode != 0
    assert f"{target}: cannot be written (File too large)" in full.stdout + full.stderr
    assert not list((empty.study / "environments").glob(".*.part"))
    assert empty.snakemake(target).returncode == 0


@pytest.mark.parametrize("part", ["checkpoints/optimum-prediction/cat-3", "training/cat-3.seeds0-0.parameters"])
def test_a_truncated_file_is_named_and_the_next_run_repairs_it(copied, part):
    path = copied.study / f"{part}.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    broken = copied.snakemake()
    assert broken.returncode != 0
    assert f"results/smoke/bayes/{part}.parquet: not a whole Parquet file" in broken.stdout
    repaired = copied.snakemake()
    assert repaired.returncode == 0, repaired.stdout[-3000:]
    assert path.read_bytes() == whole
