"""Runs one job: in a fork of this Snakemake's warm server if there is one, else in this process.

`python -m agentomy.pipeline.run.job STUDY STAGE NAME LOG DIGEST`, with the server's socket in AGENTOMY_WARM. A short
job spends most of its time on starting Python and importing libraries; so this imports next to nothing until it must.

A request is one message that describes this process. It waits for a server that is still importing, which is ready
sooner than this process could be. If the server answers `ACCEPTED`, it is sent descriptors 0 to 2 (not earlier: as long
as a silent server holds them, a reader of this process's output would wait). From then on each byte sent is a signal
for the job. When the job has ended two bytes come back: the signal that killed it or 0, and its exit status. If
anything goes wrong before, the job is run here. If the server is killed its jobs die with it, and this process does the
job.
"""

import os
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from agentomy.pipeline.run import EXIT_STOPPED

BEGAN = time.monotonic()
ACCEPTED, REFUSED = b"+", b"-"
PATIENCE = 60.0  # seconds until a server that says nothing is given up, by all jobs
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
PAUSES = (signal.SIGTSTP, signal.SIGCONT)
# what a job is told of its environment; in all the rest it has to be that of the server, since libraries read it early
TOLD = {"_", "SHLVL", "PWD", "OLDPWD", "TMPDIR", "TMP", "TEMP", "TEMPDIR"}


def inherited() -> str:
    """What a process inherits: a fork of a server that differs in this would not be the same job."""
    from resource import getrlimit

    limits = [getrlimit(number) for number in range(16)]
    user = (os.getresuid(), os.getresgid(), sorted(os.getgroups()))
    turn = (os.nice(0), os.sched_getscheduler(0), sorted(os.sched_getaffinity(0)))
    blocked = sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))
    ignored = [number for number in sorted(signal.valid_signals()) if signal.getsignal(number) is signal.SIG_IGN]
    group = Path("/proc/self/cgroup").read_text(encoding="utf-8")
    variables = sorted((name, value) for name, value in os.environ.items() if name not in TOLD)
    python = (sys.executable, sys.version, sys.flags)
    return repr((limits, user, turn, blocked, ignored, group, variables, python))


def request(arguments: list[str]) -> bytes:
    """The message to the server: what has to be the same, umask, folder, number of arguments, arguments, variables."""
    umask = os.umask(0o077)
    os.umask(umask)
    variables = [f"{name}={os.environ[name]}" for name in TOLD if name in os.environ]
    fields = [inherited(), str(umask), os.getcwd(), str(len(arguments)), *arguments, *variables]
    return b"\0".join(map(os.fsencode, fields))


def run_warm(arguments: list[str], path: str) -> int | None:
    """The exit status of the job in a fork of the server at a socket; None if it has to be run here."""
    if not os.path.exists(path):
        return None
    received: list[int] = []
    waiting, stopped, accepted, ended = False, False, False, b""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def pass_on(number: int, frame=None) -> None:
        nonlocal waiting
        received.append(number)
        if accepted:
            with suppress(OSError):  # of a server that is gone; the signal takes effect below
                server.send(bytes([number]))
        if number == signal.SIGTSTP:
            os.kill(os.getpid(), signal.SIGSTOP)
        if waiting and number in STOPS:  # the job has not begun
            waiting = False
            raise KeyboardInterrupt

    try:
        message = request(arguments)
        before = {
            number: signal.signal(number, pass_on)
            for number in (*STOPS, *PAUSES)
            if signal.getsignal(number) is not signal.SIG_IGN
        }
        try:
            server.settimeout(PATIENCE)
            server.connect(path)
            server.send(message)
            waiting = True
            if any(number in STOPS for number in received):
                raise KeyboardInterrupt
            answer = server.recv(1)
            waiting = False
            if answer == ACCEPTED:
                signal.pthread_sigmask(signal.SIG_BLOCK, before)  # a signal comes before the job begins or after it
                socket.send_fds(server, [ACCEPTED], [0, 1, 2])
                for number in received:
                    server.send(bytes([number]))
                accepted = True
                server.settimeout(None)
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
                ended = server.recv(2)
        except KeyboardInterrupt:
            stopped = True
        finally:
            waiting = False
            server.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            for number, handler in before.items():  # one that is told to stop is often told so twice
                signal.signal(number, signal.SIG_IGN if stopped and number in STOPS else handler)
    except (ConnectionRefusedError, TimeoutError):  # the server was killed, or hangs: nobody needs to ask it again
        with suppress(OSError):
            os.unlink(path)
    except OSError:
        pass
    if stopped:
        print(*arguments[:3], "stopped", sep=" · ", flush=True)
        return EXIT_STOPPED
    if len(ended) == 2:
        killed, status = ended
        return status if not killed else die(killed)
    for number in received:
        if number in STOPS:
            signal.raise_signal(number)
    return None


def die(number: int) -> int:
    """End like a process that was killed by a signal."""
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number


def leave(status: int) -> NoReturn:
    """End this process now. Python would first wait for threads of libraries, which may wait for it: all is written."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def main(arguments: list[str]) -> int:
    status = run_warm(arguments, os.environ.get("AGENTOMY_WARM", ""))
    if status is None:
        from agentomy.pipeline.run import stages

        status = stages.main(*arguments, began=BEGAN)
    return status


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
