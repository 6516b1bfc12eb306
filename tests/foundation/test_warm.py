"""The warm server and its clients: a fork is what its client would be, ends as it would, and nothing ever hangs."""

import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from agentomy.pipeline import run
from agentomy.pipeline.run import job, local, warm
from agentomy.pipeline.uptodate import edits
from tests.pipeline.trees import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere jobs are processes of their own")
COLD = 99  # what the clients of these tests say if there is nobody to do their job
CLIENT = f"""
import sys
from agentomy.pipeline.run import job
job.PATIENCE = float(sys.argv[2])
status = job.run_warm(sys.argv[3:], sys.argv[1])
sys.exit({COLD} if status is None else status)
"""
# sends as many fields of a request as it is told to, says what the answer is, hands over its streams, and is killed
RAW = """
import os, signal, socket, sys
from agentomy.pipeline.run import job
server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.connect(sys.argv[1])
fields = job.request(sys.argv[3:]).split(b"\\0")[: int(sys.argv[2])]
server.send(b"\\0".join(fields))
os.write(1, server.recv(1))
socket.send_fds(server, [job.ACCEPTED], [0, 1, 2])
os.kill(os.getpid(), signal.SIGKILL)
"""
LIMIT = 120.0  # seconds until a test says that something hangs
PATH = f"{ROOT / 'workflow'}{os.pathsep}{ROOT}"


def environment(**given: str) -> dict[str, str]:
    """The variables of this process, without the one in which pytest says what it does just now."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    return {**inherited, "PYTHONPATH": PATH, **given}


class Toys:
    """A server of toys in a folder, and its clients."""

    def __init__(self, folder: Path, *given: str):
        self.folder, self.socket, self.refusal = folder, folder / "socket", folder / "refusal"
        command = [sys.executable, "-m", "tests.foundation.warm_toy", "socket", "refusal", *given]
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment(), stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        until(self.socket.exists)

    def client(self, *arguments: str, patience: float = LIMIT, **options) -> subprocess.Popen:
        return self.python(CLIENT, str(patience), *arguments, **options)

    def python(self, script: str, *arguments: str, **options) -> subprocess.Popen:
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        options = {"cwd": self.folder, "env": environment(), "text": True, **streams, **options}
        return subprocess.Popen([sys.executable, "-c", script, str(self.socket), *arguments], **options)

    def status(self, *arguments: str, **options) -> int:
        process = self.client(*arguments, **options)
        process.communicate(timeout=LIMIT)
        return process.returncode

    @contextmanager
    def sleeping(self, seconds: str):
        """A client and its job's process, while the job sleeps."""
        file = self.folder / "number"
        file.unlink(missing_ok=True)
        with self.client("sleep", str(file), seconds) as client:
            try:
                until(file.exists)
                yield client, int(file.read_text())
            finally:
                client.kill()

    def connected(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        client.settimeout(LIMIT)
        client.connect(str(self.socket))
        return client

    def end(self) -> str:
        """Close the pipe as the end of Snakemake does; returns what the server had to say."""
        _, said = self.process.communicate(timeout=LIMIT)
        return said


@pytest.fixture
def toys(tmp_path):
    started = Toys(tmp_path)
    yield started
    started.process.kill()
    started.process.wait()


def until(true) -> None:
    limit = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < limit, "it did not come"
        time.sleep(0.01)


def condition(process: int) -> str:
    """R of a process that runs, S sleeps, T is stopped, Z is dead; empty if there is none."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return ""


def gone(process: int) -> bool:
    return condition(process) in ("", "Z")


# ---- what a fork is -------------------------------------------------------------------------------------------------


def test_a_job_has_the_folder_umask_variables_and_streams_of_its_client(toys, tmp_path):
    (tmp_path / "inside").mkdir()
    given = {"cwd": tmp_path / "inside", "env": environment(TMPDIR="/elsewhere"), "umask": 0o027}
    said, _ = toys.client("say", **given).communicate("of its own", timeout=LIMIT)
    assert said == f"{tmp_path / 'inside'} 0o27 /elsewhere ['0', '1', '2'] of its own\n"


@pytest.mark.parametrize(
    "other",
    [
        {"env": environment(MALLOC_TOP_PAD_="1")},
        {"env": environment(NUMEXPR_NUM_THREADS="7")},
        {"preexec_fn": partial(resource.setrlimit, resource.RLIMIT_FSIZE, (16384, 16384))},
        {"preexec_fn": partial(os.nice, 1)},
        {"preexec_fn": partial(signal.signal, signal.SIGHUP, signal.SIG_IGN)},
    ],
    ids=["memory", "threads", "file size", "niceness", "nohup"],
)
def test_what_a_fork_would_not_inherit_sends_the_job_back(toys, other):
    assert toys.status("0", **other) == COLD
    assert toys.status("0") == 0


def test_a_job_is_sent_back_as_soon_as_the_server_no_longer_fits(toys):
    toys.refusal.touch()
    assert toys.status("0") == COLD  # and `communicate` ended: the server let go of the client's streams
    toys.refusal.unlink()
    assert toys.status("0") == 0


def test_the_warm_state_changes_with_a_file_of_the_same_size_and_time(tmp_path, monkeypatch):
    monkeypatch.setattr(edits, "WORKFLOW", tmp_path)
    file = tmp_path / "studies" / "one.yaml"
    file.parent.mkdir()
    file.write_text("a: 1")
    before, times = warm.state(), file.stat()
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "one.pyc").touch()
    assert warm.state() == before
    file.write_text("a: 2")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert warm.state() != before


def test_the_socket_is_for_this_user_alone(toys):
    assert stat.S_IMODE(toys.socket.stat().st_mode) == 0o600


# ---- how a job ends -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [0, 1, 130])
def test_a_client_ends_with_the_status_of_its_job(toys, status):
    assert toys.status(str(status)) == status


def test_an_error_in_a_job_is_said_to_its_client_and_the_server_goes_on(toys):
    client = toys.client("fail")
    _, said = client.communicate(timeout=LIMIT)
    assert client.returncode == 1
    assert "ValueError: of a toy" in said
    assert toys.status("0") == 0
    assert toys.end() == ""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_client_dies_of_the_signal_that_killed_its_job(toys, number):
    with toys.sleeping("60") as (client, process):
        os.kill(process, number)
        assert client.wait(LIMIT) == -number


def test_a_job_dies_with_its_client(toys):
    with toys.sleeping("60") as (client, process):
        client.kill()
        until(lambda: gone(process))


def test_a_job_dies_with_a_client_that_is_killed_right_after_the_answer(toys, tmp_path):
    file = tmp_path / "number"
    answer, _ = toys.python(RAW, "1000", "sleep", str(file), "60").communicate(timeout=LIMIT)
    assert answer.encode() == job.ACCEPTED
    toys.process.stdin.close()
    assert toys.process.wait(LIMIT) == 0  # which waits for jobs
    assert not file.exists() or gone(int(file.read_text()))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_client_is_the_jobs(toys, number):
    with toys.sleeping("stoppable") as (client, _):
        client.send_signal(number)
        said, _ = client.communicate(timeout=LIMIT)
        assert (client.returncode, said) == (130, f"saved after {number.name}\n")


def test_a_signal_to_everybody_leaves_the_job_time_to_save(toys):
    with toys.sleeping("stoppable") as (client, process):
        for number in job.STOPS:
            toys.process.send_signal(number)
        os.kill(process, signal.SIGTERM)
        said, _ = client.communicate(timeout=LIMIT)
        assert (client.returncode, said) == (130, "saved after SIGTERM\n")
    assert toys.status("0") == 0


def test_ctrl_z_stops_the_job_until_its_client_goes_on(toys):
    with toys.sleeping("0.5") as (client, process):
        client.send_signal(signal.SIGTSTP)
        until(lambda: (condition(client.pid), condition(process)) == ("T", "T"))
        client.send_signal(signal.SIGCONT)
        assert client.wait(LIMIT) == 0


# ---- how a server ends ----------------------------------------------------------------------------------------------


def test_jobs_die_with_a_killed_server_and_their_clients_do_them(toys):
    with toys.sleeping("60") as (client, process):
        toys.process.kill()
        assert client.wait(LIMIT) == COLD
        until(lambda: gone(process))
    assert toys.socket.exists()
    assert toys.status("0") == COLD
    assert not toys.socket.exists()


def test_a_signal_that_a_killed_server_could_not_pass_on_is_the_clients(toys):
    with toys.sleeping("60") as (client, _):
        toys.process.send_signal(signal.SIGSTOP)
        client.send_signal(signal.SIGTERM)
        until(lambda: not waiting_signals(client.pid))
        toys.process.kill()
        assert client.wait(LIMIT) == -signal.SIGTERM


def waiting_signals(process: int) -> int:
    """The set of signals that a process has not taken yet, as bits."""
    return int(Path(f"/proc/{process}/status").read_text().partition("ShdPnd:")[2].split()[0], 16)


def test_a_server_whose_pipe_ends_takes_no_more_jobs_and_waits_for_those_that_run(toys):
    with toys.sleeping("0.5") as (client, process):
        toys.process.stdin.close()
        until(lambda: not toys.socket.exists())
        assert not gone(process)
        assert toys.status("0") == COLD
        assert client.wait(LIMIT) == 0
        assert toys.process.wait(LIMIT) == 0


def test_a_server_that_does_not_answer_is_given_up_and_starts_no_job_twice(toys, tmp_path):
    toys.process.send_signal(signal.SIGSTOP)
    file = tmp_path / "number"
    assert toys.status("sleep", str(file), "60", patience=0.1) == COLD
    assert not toys.socket.exists()  # so that no other job waits as long
    toys.process.send_signal(signal.SIGCONT)
    toys.process.stdin.close()
    assert toys.process.wait(LIMIT) == 0
    assert not file.exists() or gone(int(file.read_text()))


@pytest.fixture
def importing(tmp_path):
    """A client of a server that listens and does not serve yet."""
    toys, file = Toys(tmp_path, "importing"), tmp_path / "number"
    with toys.client("sleep", str(file), "0") as client:
        waits_for_an_answer(client.pid)
        yield toys, client, file
        client.kill()
    toys.process.kill()
    toys.process.wait()


def waits_for_an_answer(process: int) -> None:
    """Wait until a client has a socket and sleeps: it has nothing to do but to wait for its server."""

    def asks() -> bool:
        descriptors = psutil.Process(process).net_connections("unix")
        return bool(descriptors) and condition(process) == "S"

    until(asks)
    time.sleep(0.2)
    assert asks()


def test_a_job_waits_for_a_server_that_is_still_importing_and_is_done_once(importing):
    toys, client, file = importing
    assert not file.exists()
    (toys.folder / "ready").touch()
    assert client.wait(LIMIT) == 0
    assert file.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_job_that_waits_for_a_server_stops_in_one_line_however_often_it_is_told(importing, number):
    toys, client, file = importing
    client.send_signal(number)
    client.send_signal(signal.SIGTERM)
    said, trouble = client.communicate(timeout=LIMIT)
    assert (client.returncode, said, trouble) == (run.EXIT_STOPPED, f"sleep · {file} · 0 · stopped\n", "")
    (toys.folder / "ready").touch()
    assert toys.status("0") == 0
    assert toys.end() == ""
    assert not file.exists()


def test_a_server_that_turns_out_to_be_unfit_lets_those_who_wait_do_their_jobs(tmp_path):
    toys = Toys(tmp_path, "importing", "unfit")
    with toys.client("0") as client:
        waits_for_an_answer(client.pid)
        (tmp_path / "ready").touch()
        assert client.wait(LIMIT) == COLD
    assert toys.status("0") == COLD
    assert toys.end() == ""
    assert not toys.socket.exists()


def test_two_servers_in_one_folder_do_not_disturb_each_other(toys, tmp_path):
    (tmp_path / "other").mkdir()
    other = Toys(tmp_path / "other")
    with toys.sleeping("60") as (_, process):
        assert other.status("0") == 0
        assert other.end() == ""
        assert not gone(process)
    assert toys.status("0") == 0


# ---- who else may ask -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [b"x", b"\0" * 9, b"\0".join([b"y"] * 5), b"z" * 100_000, b""])
@pytest.mark.parametrize("descriptors", [[], [0], [0, 1, 2, 0, 1, 2]])
def test_a_request_that_is_none_is_refused_and_disturbs_nobody(toys, message, descriptors):
    silent = toys.connected()  # says nothing, all the time
    with toys.connected() as client:
        socket.send_fds(client, [message], descriptors)
        assert client.recv(1) in (job.REFUSED, b"")
    toys.connected().close()
    assert toys.status("0") == 0
    silent.close()
    assert toys.end() == ""


@pytest.mark.parametrize("fields", ["1", "2", "3"])
def test_half_a_request_is_refused(toys, fields):
    answer, _ = toys.python(RAW, fields, "0").communicate(timeout=LIMIT)
    assert answer.encode() == job.REFUSED
    assert toys.status("0") == 0


def test_more_connections_than_a_process_may_have_end_nothing(toys):
    server, (soft, hard) = toys.process.pid, resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.prlimit(server, resource.RLIMIT_NOFILE, (12, hard))
    many = [toys.connected() for _ in range(20)]
    until(lambda: len(os.listdir(f"/proc/{server}/fd")) == 12)
    resource.prlimit(server, resource.RLIMIT_NOFILE, (soft, hard))
    for connection in many:
        connection.close()
    assert toys.status("0") == 0
    assert "Too many open files" in toys.end()


def test_a_server_that_cannot_fork_sends_the_job_back_and_goes_on(tmp_path):
    toys = Toys(tmp_path, "cramped")
    assert toys.status("0") == COLD
    assert toys.status("0") == 0
    assert toys.end() == ""


def test_without_a_socket_a_job_is_run_at_once(tmp_path):
    assert job.run_warm(["0"], "") is None
    assert job.run_warm(["0"], str(tmp_path / "none")) is None
    assert job.run_warm(["0"], "/proc/self/exe") is None


def test_a_job_of_its_own_ends_though_a_thread_of_a_library_does_not():
    script = """
import runpy, sys, threading, types
import agentomy.pipeline.run

def main(*arguments, began):
    threading.Thread(target=threading.Event().wait).start()
    print(*arguments)
    return 7

agentomy.pipeline.run.stages = types.SimpleNamespace(main=main)
runpy.run_module("agentomy.pipeline.run.job", run_name="__main__")
"""
    command = [sys.executable, "-c", script, "study", "stage", "name", "log", "digest"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=LIMIT)
    assert (done.returncode, done.stdout) == (7, "study stage name log digest\n")


# ---- Snakemake's side -----------------------------------------------------------------------------------------------


def workflow(**other) -> SimpleNamespace:
    """A Snakemake that runs 40 jobs on this machine."""
    given = {
        "local_exec": True,
        "is_main_process": True,
        "touch": False,
        "deployment_settings": SimpleNamespace(deployment_method=set()),
        "storage_settings": SimpleNamespace(default_storage_provider=None),
        "dag": range(40),
    }
    return SimpleNamespace(**{**given, **other})


def test_a_server_is_started_only_where_jobs_are_children_of_this_snakemake():
    serves = local.can_serve
    assert serves(workflow(), "cpu") == (sys.platform == "linux")
    assert not serves(workflow(), "cuda")
    assert not serves(workflow(local_exec=False), "cpu")
    assert not serves(workflow(is_main_process=False), "cpu")
    assert not serves(workflow(touch=True), "cpu")
    assert not serves(workflow(deployment_settings=SimpleNamespace(deployment_method={"conda"})), "cpu")
    assert not serves(workflow(storage_settings=SimpleNamespace(default_storage_provider="s3")), "cpu")
    assert not serves(workflow(dag=range(local.FEWEST - 1)), "cpu")
