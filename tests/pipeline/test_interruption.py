"""Kills, full disks and truncated files: the next run goes on, and ends with the bytes of an unbroken one."""

import os
import random
import signal
import tempfile
import time
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import psutil
import pytest
import torch

from agentomy.pipeline.plan.study import Plan
from tests.pipeline.runners import Jobs, serving
from tests.studies import SOURCE

CAT = "cat-3.seeds0-0"
RUN = f"results/smoke/bayes/training/{CAT}.parameters.parquet"
STATE = f"results/smoke/bayes/training/.restart/{CAT}/state.safetensors"
# long enough for a life of up to one and a half seconds, in which a restart file is written; and for three of them
UPDATES, LONGER = 1500, 3000


def updates(count: int) -> str:
    return f"overrides={{bayes.training.cat-3.updates: {count}}}"


def wait_for_newer(path: Path, since: float, limit: float = 600) -> None:
    until = time.monotonic() + limit
    while not path.exists() or path.stat().st_mtime <= since:
        assert time.monotonic() < until, f"{path} did not come"
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def plain_torch():
    yield
    torch.set_deterministic_debug_mode("default")  # jobs in this process have set it


# a run of each kind of agent: study, run, what makes it so long that it can be killed more than once
AGENTS = [
    ("bayes", "cat-3", {"updates": 800}),
    ("bayes", "bb-1-1", {"updates": 240}),
    # a plug-in around TD3: a window of snapshots, a replay and episodes of a simulator have to go on too
    ("path", "pptb", {"updates": 1500, "snapshots.every": 250}),
    ("path", "cloned-adam", {"updates": 5000, "snapshots.every": 500}),
    ("path", "cartpole", {"updates": 100, "snapshots.every": 50}),
    # PPO: mazes that are being run, and fused steps on weights whose channels lie last in memory
    ("maze", "region-2", {"updates": 60}),
    # L3D: several starts, an order of the inputs for each epoch
    ("l3d", "tms-mse", {"epochs": 120}),
    ("l3d", "tms", {"updates": 4000}),
    ("nld", "sgd-3e-1", {"updates": 5000, "snapshots.every": 500}),
    ("nld", "dqn", {"updates": 800, "snapshots.every": 100}),
    ("nld", "langevin", {"updates": 500, "snapshots.every": 125}),
    ("twm", "breakout", {"interactions": 800, "total_budget": 21300}),
]
SAVES_OFTEN = ("tests.pipeline.saves_often",)
STUDIES = sorted({study for study, *_ in AGENTS})
KILLS, LONG_KILLS = 2, 20
# runs that are killed as a process of their own too, which takes seconds to start and goes on as a fork does
ALONE = {"cat-3", "region-2"}


class Killed(Jobs):
    """Runs that are so many times as long, in a process of their own each or as forks of one server for all of them."""

    def __init__(self, folder: Path, study: str, longer: int, socket: Path | None = None):
        overrides = {
            f"{study}.training.{run}.{key}": value * longer
            for study, run, sizes in AGENTS
            for key, value in sizes.items()
        }
        super().__init__(folder, study, overrides, STUDIES, socket)


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """Start the server for runs that are so many times as long: its socket and its process."""
    with ExitStack() as stack:
        folder, short = tmp_path_factory.mktemp("warm"), stack.enter_context(tempfile.TemporaryDirectory())

        @cache
        def start(longer: int) -> tuple[Path, psutil.Process]:
            socket = Path(short) / str(longer)
            jobs = Killed(folder / str(longer), "bayes", longer, socket)
            server = stack.enter_context(serving(jobs.folder, jobs.environment, socket, SAVES_OFTEN))
            return socket, psutil.Process(server.pid)

        yield start


def killed_and_unbroken(folder: Path, warm, study: str, run: str, longer: int, kills: int, alone: bool) -> None:
    """Kill a training job at moments drawn from its name; it ends with the bytes of one that nobody killed.

    It is a fork of the server; if `alone`, in turn it is a process of its own.
    """
    socket, server = warm(longer)
    unbroken, cold = Killed(folder / "unbroken", study, longer), Killed(folder / "killed", study, longer)
    job = next(iter(cold.study.parts("training", run)))
    expected = unbroken.make("training", job)
    cold.prepare("training", job)
    results, moments = cold.folder / cold.study.folder, random.Random(run)
    state = results / "training" / ".restart" / job / "state.safetensors"
    for number in range(kills):
        began, forked = time.time(), bool(number % 2) or not alone
        life = Killed(cold.folder, study, longer, socket) if forked else cold
        # the client of a server knows nothing of training
        with life.start("training", job, by=() if forked else SAVES_OFTEN) as process:
            wait_for_newer(state, began)  # so each life gets further than the last
            assert bool(server.children()) == forked
            time.sleep(moments.random() / 10)
            process.kill()
        assert process.returncode == -signal.SIGKILL, "the run ended before it was killed"
    log = results / "logs" / "training" / f"{job}.log"
    assert "goes on from update" in log.read_text()
    assert cold.make("training", job) == expected
    assert "goes on from update" in log.read_text()
    assert not state.exists()


@pytest.mark.parametrize(("study", "run"), [agent[:2] for agent in AGENTS])
def test_kills_at_random_moments_and_then_the_same_bytes(tmp_path, warm, study, run):
    killed_and_unbroken(tmp_path, warm, study, run, 1, KILLS, alone=run in ALONE)


@pytest.mark.long
@pytest.mark.parametrize(("study", "run"), [agent[:2] for agent in AGENTS])
def test_twenty_kills_at_random_moments_and_then_the_same_bytes(tmp_path, warm, study, run):
    killed_and_unbroken(tmp_path, warm, study, run, 10, LONG_KILLS, alone=True)


def test_an_agent_of_each_kind_is_killed():
    """Whoever adds one adds a run of it above."""
    plan = Plan({"scale": "smoke", "studies": STUDIES}, source=SOURCE)
    uses = {entry.use for study in plan.studies.values() for entry in study.entries["training"].values()}
    assert {plan.studies[study].entries["training"][run].use for study, run, _ in AGENTS} == uses


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> dict[str, bytes]:
    """What a run of `UPDATES` makes that nobody kills."""
    folder = tmp_path_factory.mktemp("unbroken")
    return Jobs(folder, "bayes", {"bayes.training.cat-3.updates": UPDATES}).make("training", CAT)


# five jobs are worth a warm server, of which they are forks then; two are run as they are
@pytest.mark.parametrize("others", [(), ("bern-1-1", "cat-5", "gauss")])
def test_snakemake_is_killed_with_all_that_it_has_started_and_goes_on(empty, unbroken, others):
    targets = [RUN, *(f"results/smoke/bayes/environments/{name}.parquet" for name in others)]
    arguments = [*targets, "--config", "scale=smoke", updates(UPDATES)]
    with empty.start(*arguments) as process:
        wait_for_newer(empty.path / STATE, 0)
        assert len(list(empty.path.glob("results/.warm*"))) == bool(others)
        os.killpg(process.pid, signal.SIGKILL)
    assert not (empty.path / RUN).exists()
    done = empty.snakemake(*arguments, scale=False)
    assert done.returncode == 0, done.stdout
    assert "goes on from update" in done.stdout
    assert {name: (empty.path / name).read_bytes() for name in unbroken} == unbroken


def test_ctrl_c_and_signals_to_snakemake_alone_reach_its_jobs_which_save_and_go_on(empty):
    signals = [
        lambda process: os.killpg(process.pid, signal.SIGINT),  # what a terminal does
        lambda process: process.send_signal(signal.SIGINT),
        lambda process: process.send_signal(signal.SIGTERM),
    ]
    for tell in signals:
        began = time.time()
        with empty.start(RUN, "--config", "scale=smoke", updates(LONGER)) as process:
            wait_for_newer(empty.path / STATE, began)
            tell(process)
            output, _ = process.communicate(timeout=600)
        assert "running jobs are told to save their state and stop" in output
        assert "stopped at update" in output
        assert ("goes on from update" in output) == (tell is not signals[0])


def test_a_full_disk_is_named_and_the_next_run_repairs_it(tmp_path):
    jobs = Jobs(tmp_path / "full", "bayes", {})
    # no file may grow beyond 8 KiB: writing fails as on a full disk, with another word for it
    with jobs.start("environments", "gauss", "bash", "-c", 'ulimit -f 8; exec "$0" "$@"') as process:
        said, _ = process.communicate()
    assert process.returncode != 0
    assert "environments/gauss.parquet: cannot be written (File too large)" in said
    assert not list(jobs.folder.rglob("*.part"))
    jobs.make("environments", "gauss")


def test_truncated_files_are_named_before_a_run_which_repairs_them(copied):
    parts = ["checkpoints/optimum-prediction/cat-3", f"training/{CAT}.parameters"]
    whole = {path: path.read_bytes() for path in (copied.study / f"{part}.parquet" for part in parts)}
    for path, content in whole.items():
        path.unlink()  # other names of it are in the store
        path.write_bytes(content[: len(content) // 2])
    planned = copied.snakemake("-n", "bayes").stdout
    assert [path.name for path in whole if f"{path.name} is not the file that was made" not in planned] == []
    repaired = copied.snakemake("bayes")
    assert repaired.returncode == 0, repaired.stdout[-3000:]
    assert [path for path, content in whole.items() if path.read_bytes() != content] == []
