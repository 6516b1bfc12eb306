"""Kills, full disks and truncated files: the next run goes on, and ends with the bytes of an unbroken one."""

import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch

from tests.pipeline.runners import Jobs

CAT = "cat-3.seeds0-0"
RUN = f"results/smoke/bayes/training/{CAT}.parameters.parquet"
STATE = f"results/smoke/bayes/training/.restart/{CAT}/state.safetensors"
UPDATES = {"bayes.training.cat-3.updates": 3000}  # long enough for three lives of up to one and a half seconds each
LONG = "overrides={bayes.training.cat-3.updates: 3000}"


def wait_for_newer(path: Path, since: float, limit: float = 60) -> None:
    until = time.monotonic() + limit
    while not path.exists() or path.stat().st_mtime <= since:
        assert time.monotonic() < until, f"{path} did not come"
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def plain_torch():
    yield
    torch.set_deterministic_debug_mode("default")  # jobs in this process have set it


# study, run, what makes it long
LONGER = [
    ("bayes", "cat-3", {"updates": 3000}),
    # a plug-in around TD3: a window of snapshots, a replay and episodes of a simulator have to go on too
    ("path", "pptb", {"updates": 6000, "snapshots.every": 1000}),
    # PPO: mazes that are being run, and fused steps on weights whose channels lie last in memory
    ("maze", "region-2", {"updates": 300}),
    # L3D: several starts, an order of the inputs for each epoch
    ("l3d", "tms-mse", {"epochs": 500}),
]


def killed_and_unbroken(folder: Path, study: str, run: str, longer: dict, kills: int) -> None:
    """Kill a training job at moments drawn from its name; it ends with the bytes of one that nobody killed."""
    overrides = {f"{study}.training.{run}.{key}": value for key, value in longer.items()}
    unbroken, killed = (Jobs(folder / name, study, overrides) for name in ("unbroken", "killed"))
    job = next(iter(killed.study.parts("training", run)))
    expected = unbroken.make("training", job)
    killed.prepare("training", job)
    results, moments = killed.folder / killed.study.folder, random.Random(run)
    state = results / "training" / ".restart" / job / "state.safetensors"
    for _ in range(kills):
        began = time.time()
        with killed.start("training", job) as process:
            wait_for_newer(state, began)  # so each life gets further than the last
            time.sleep(moments.random() / 2)
            process.kill()
        assert process.returncode == -signal.SIGKILL, "the run ended before it was killed"
    log = results / "logs" / "training" / f"{job}.log"
    assert "goes on from update" in log.read_text()
    assert killed.make("training", job) == expected
    assert "goes on from update" in log.read_text()
    assert not state.exists()


@pytest.mark.parametrize(("study", "run", "longer"), LONGER)
def test_three_kills_at_random_moments_and_then_the_same_bytes(tmp_path, study, run, longer):
    killed_and_unbroken(tmp_path, study, run, longer, kills=3)


@pytest.mark.long
@pytest.mark.parametrize(("study", "run", "longer"), LONGER)
def test_twenty_kills_at_random_moments_and_then_the_same_bytes(tmp_path, study, run, longer):
    killed_and_unbroken(tmp_path, study, run, {key: 7 * value for key, value in longer.items()}, kills=20)


# eight jobs are worth a warm server, of which they are forks then; two are run as they are
@pytest.mark.parametrize("others", [(), ("bern-1-1", "bern-2-1", "cat-5", "exp", "gauss", "gauss-ng", "bb-1-1")])
def test_snakemake_is_killed_with_all_that_it_has_started_and_goes_on(empty, tmp_path, others):
    targets = [RUN, *(f"results/smoke/bayes/environments/{name}.parquet" for name in others)]
    arguments = [*targets, "--config", "scale=smoke", LONG]
    with empty.start(*arguments) as process:
        wait_for_newer(empty.path / STATE, 0)
        assert len(list(empty.path.glob("results/.warm*"))) == bool(others)
        os.killpg(process.pid, signal.SIGKILL)
    assert not (empty.path / RUN).exists()
    done = empty.snakemake(*arguments, scale=False)
    assert done.returncode == 0, done.stdout
    assert "goes on from update" in done.stdout
    unbroken = Jobs(tmp_path / "unbroken", "bayes", UPDATES).make("training", CAT)
    assert {name: (empty.path / name).read_bytes() for name in unbroken} == unbroken


def test_ctrl_c_and_signals_to_snakemake_alone_reach_its_jobs_which_save_and_go_on(empty):
    signals = [
        lambda process: os.killpg(process.pid, signal.SIGINT),  # what a terminal does
        lambda process: process.send_signal(signal.SIGINT),
        lambda process: process.send_signal(signal.SIGTERM),
    ]
    for tell in signals:
        began = time.time()
        with empty.start(RUN, "--config", "scale=smoke", LONG) as process:
            wait_for_newer(empty.path / STATE, began)
            tell(process)
            output, _ = process.communicate(timeout=60)
        assert "running jobs are told to save their state and stop" in output
        assert "stopped at update" in output
        assert ("goes on from update" in output) == (tell is not signals[0])


def test_a_full_disk_is_named_and_the_next_run_repairs_it(tmp_path):
    jobs = Jobs(tmp_path / "full", "bayes", {})
    # no file may grow beyond 16 KiB: writing fails as on a full disk, with another word for it
    with jobs.start("environments", "gauss", "bash", "-c", 'ulimit -f 16; exec "$0" "$@"') as process:
        said, _ = process.communicate()
    assert process.returncode != 0
    assert "environments/gauss.parquet: cannot be written (File too large)" in said
    assert not list(jobs.folder.rglob("*.part"))
    jobs.make("environments", "gauss")


@pytest.mark.parametrize("part", ["checkpoints/optimum-prediction/cat-3", f"training/{CAT}.parameters"])
def test_a_truncated_file_is_named_before_a_run_which_repairs_it(copied, part):
    path = copied.study / f"{part}.parquet"
    whole = path.read_bytes()
    path.unlink()  # other names of it are in the store
    path.write_bytes(whole[: len(whole) // 2])
    assert f"{path.name} is not the file that was made" in copied.snakemake("-n", "bayes").stdout
    repaired = copied.snakemake("bayes")
    assert repaired.returncode == 0, repaired.stdout[-3000:]
    assert path.read_bytes() == whole
