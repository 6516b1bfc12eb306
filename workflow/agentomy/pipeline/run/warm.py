"""A server that has imported what jobs import, and forks a process for each job.

`python -m agentomy.pipeline.run.warm SOCKET` ends when its standard input ends, whose other end Snakemake holds. It
has one thread, opens no table and draws no random number: a fork of it differs from a fresh process only in the time
that it takes. It serves as long as no file of the package, no study and no installed library changes.
"""

import ctypes
import gc
import importlib
import json
import os
import pkgutil
import select
import selectors
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from agentomy.pipeline.run import job
from agentomy.pipeline.uptodate import edits

SECTIONS = ("environments", "networks", "agents", "lenses", "papers")
LIBRARIES = (
    "torch",
    "torch._dynamo",  # which the first optimiser imports
    "torch.func",
    "pandas",
    "pyarrow.compute",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "scipy.stats",
    "matplotlib.pyplot",
    "matplotlib.backends.backend_pdf",
    "seaborn",
    "sklearn.cluster",
    "sklearn.datasets",
    "sklearn.linear_model",
    "sklearn.manifold",
)
# they hold on to what a fork can't share: drawing contexts, threads
UNFIT = {"mujoco", "dm_control", "OpenGL", "glfw", "ale_py"}
LARGEST = 2**20  # bytes of a request
PR_SET_PDEATHSIG = 1


class Server:
    """Forks a process for each request, passes signals on to it, and says how it ended.

    `run` is called in the fork with the job's arguments; `fits` says whether a fork still does what a fresh process
    would. `inherited` is what a client has to have in common with this process.
    """

    def __init__(self, path: str, inherited: str, fits: Callable[[], bool], run: Callable[[list[str]], int]):
        self.path, self.inherited, self.fits, self.run = path, inherited, fits, run
        self.jobs: dict[socket.socket, int] = {}  # client → process
        self.process, self.prctl = os.getpid(), ctypes.CDLL(None).prctl
        self.selector = selectors.DefaultSelector()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.woken, self.waker = socket.socketpair()
        self.ending = False

    def serve(self) -> None:
        """Serve until standard input ends, and then until the last job has."""
        # left pending here, and the fork's own from its first moment. A shutdown tells all processes: training saves
        # its state meanwhile.
        signal.pthread_sigmask(signal.SIG_BLOCK, job.STOPS)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self.waker.setblocking(False)
        signal.set_wakeup_fd(self.waker.fileno())
        gc.collect()
        gc.freeze()
        for file, action in ((self.listener, self.accept), (self.woken, self.reap), (sys.stdin, self.end)):
            self.selector.register(file, selectors.EVENT_READ, action)
        while self.jobs or not self.ending:
            for key, _ in self.selector.select():
                if key.fd in self.selector.get_map():  # not closed by the one before it
                    try:
                        key.data(key.fileobj)
                    except Exception:  # of one client only: the jobs of the others go on
                        traceback.print_exc()
                        time.sleep(0.1)  # what is still there to be read is tried again

    def listen(self) -> None:
        """Begin to listen under a name that exists only while somebody does."""
        part, umask = f"{self.path}.part", os.umask(0o177)
        with suppress(FileNotFoundError):
            os.unlink(part)
        try:
            self.listener.bind(part)
        finally:
            os.umask(umask)
        self.listener.listen(128)
        os.replace(part, self.path)

    def retire(self) -> None:
        """Take no more jobs; clients that wait for an answer hear that there will be none."""
        with suppress(FileNotFoundError):
            os.unlink(self.path)
        self.listener.close()

    def end(self, stdin) -> None:
        if not os.read(stdin.fileno(), 1):
            self.ending = True
            self.selector.unregister(stdin)
            self.selector.unregister(self.listener)
            self.retire()

    def accept(self, listener: socket.socket) -> None:
        client, _ = listener.accept()
        client.setblocking(False)
        self.selector.register(client, selectors.EVENT_READ, self.request)

    def close(self, client: socket.socket) -> None:
        self.selector.unregister(client)
        client.close()

    def request(self, client: socket.socket) -> None:
        """Say to a client whether its job is run here."""
        try:
            inherited, umask, folder, count, *rest = map(os.fsdecode, client.recv(LARGEST).split(b"\0"))
            arguments, variables = rest[: int(count)], rest[int(count) :]
            if inherited != self.inherited or not self.fits():
                raise ValueError("refused")
            become = partial(self.become, variables, int(umask), folder)
            self.selector.modify(client, selectors.EVENT_READ, partial(self.start, arguments, become))
            client.send(job.ACCEPTED)
        except (OSError, ValueError):
            with suppress(OSError):
                client.send(job.REFUSED)
            self.close(client)

    def start(self, arguments: list[str], become: Callable[[list[int]], None], client: socket.socket) -> None:
        """Start the job of a client that hands over its descriptors; without them, or without a fork, it does it."""
        descriptors: list[int] = []
        try:
            _, descriptors, _, _ = socket.recv_fds(client, 1, 3)
            if len(descriptors) < 3:
                raise ValueError("refused")
            self.jobs[client] = self.fork(arguments, partial(become, descriptors))
            self.selector.modify(client, selectors.EVENT_READ, self.hear)
        except (OSError, ValueError):
            self.close(client)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def hear(self, client: socket.socket) -> None:
        """Pass signals on to a job; one without a client is killed, as the job would be."""
        try:
            numbers = client.recv(64)
        except BlockingIOError:
            return
        except OSError:
            numbers = b""
        if not numbers:
            self.kill(client)
        for number in numbers:
            with suppress(ProcessLookupError):
                if number in job.STOPS:
                    os.kill(self.jobs[client], number)
                elif number in job.PAUSES:  # outside a terminal's session there is no SIGTSTP
                    os.killpg(self.jobs[client], signal.SIGSTOP if number == signal.SIGTSTP else number)

    def kill(self, client: socket.socket) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.jobs[client], signal.SIGKILL)
        del self.jobs[client]
        self.close(client)

    def reap(self, woken: socket.socket) -> None:
        """Tell clients how their jobs ended."""
        woken.recv(4096)
        clients = {process: client for client, process in self.jobs.items()}
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                process, status = ended
                if client := clients.get(process):
                    killed = os.WIFSIGNALED(status)
                    with suppress(OSError):
                        client.send(bytes([os.WTERMSIG(status), 0] if killed else [0, os.WEXITSTATUS(status)]))
                    del self.jobs[client]
                    self.close(client)

    def fork(self, arguments: list[str], become: Callable[[], None]) -> int:
        """Start a job; returns its process, the leader of a group of its own."""
        sys.stdout.flush()
        sys.stderr.flush()
        process = os.fork()
        if process:
            with suppress(OSError):  # here too, so that a client that is killed at once takes its job with it
                os.setpgid(process, process)
            return process
        status = 1
        try:
            become()
            status = self.run(arguments)
        except KeyboardInterrupt:
            status = 130
        except BaseException:
            traceback.print_exc()
        finally:
            job.leave(status)

    def become(self, variables: list[str], umask: int, folder: str, descriptors: list[int]) -> None:
        """Turn a fork of this process into what its client would be."""
        self.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != self.process:  # killed before it was asked for
            job.leave(1)
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
            os.close(descriptor)
        for key in [*self.selector.get_map().values()]:
            if key.fileobj is not sys.stdin:
                key.fileobj.close()
        self.selector.close()
        self.waker.close()
        os.umask(umask)
        os.chdir(folder)
        for name in job.TOLD:
            os.environ.pop(name, None)
        os.environ.update(variable.split("=", 1) for variable in variables)
        tempfile.tempdir = None  # found anew
        signal.pthread_sigmask(signal.SIG_UNBLOCK, job.STOPS)


def state() -> dict[str, tuple[int, ...]]:
    """All that jobs are made of: the files of the package and the studies, and the folders of installed libraries."""
    libraries = {path: edits.state(path) for path in sys.path if path.endswith("-packages")}
    return {**edits.sources(), **libraries}


def preload(ended: Callable[[], None]) -> None:
    """Import what jobs import; if Snakemake ends meanwhile, so does this process, when it has called `ended`."""
    import matplotlib

    matplotlib.use("agg")
    names = [*LIBRARIES]
    for section in SECTIONS:
        package = importlib.import_module(f"agentomy.{section}")
        names += [module.name for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    for name in names:
        if select.select([sys.stdin], [], [], 0)[0]:
            ended()
            os._exit(0)
        with suppress(ImportError):  # a job that needs it reports it
            importlib.import_module(name)


def unfit() -> str:
    """Why forks of this process would not be like fresh ones; empty if they are."""
    loaded = sorted(UNFIT & set(sys.modules))
    threads = len(os.listdir("/proc/self/task"))
    return f"{', '.join(loaded)} imported" if loaded else f"{threads} threads" if threads > 1 else ""


def main(path: str) -> None:
    """Serve the jobs of the Snakemake that holds the other end of standard input.

    Clients may ask from the first moment, and wait until everything is imported: sooner than they could do it.
    """
    inherited, began = job.inherited(), state()
    signal.pthread_sigmask(signal.SIG_BLOCK, job.STOPS)

    def run(arguments: list[str]) -> int:
        return stages.main(*arguments, began=time.monotonic(), plan=plan)

    server = Server(path, inherited, lambda: state() == began, run)
    try:
        server.listen()
        preload(ended=server.retire)
        from agentomy.mistakes import ConfigError
        from agentomy.pipeline.plan.study import Plan
        from agentomy.pipeline.run import stages

        plan = Plan(json.loads(os.environ["AGENTOMY_CONFIG"]), lazy=True)
        for study in plan.chosen:
            with suppress(ConfigError):  # of jobs that nobody asked for
                study.targets  # noqa: B018  read, checked and traced once for all jobs
        if problem := unfit():
            raise OSError(problem)
    except OSError as error:
        server.retire()
        sys.exit(f"agentomy: no warm server, jobs start by themselves ({error})")
    server.serve()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
