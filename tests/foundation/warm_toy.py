"""A server whose jobs are toys: `python -m tests.foundation.warm_toy SOCKET FILE [HOW …]`; refuses while FILE exists.

HOW: `cramped` cannot fork once, `importing` listens and serves when a file `ready` exists, `unfit` retires then.

Its jobs show what a fork is given, and end in all the ways in which a process can.
"""

import os
import signal
import sys
import time
from pathlib import Path

from agentomy.pipeline.run import job, warm


def say() -> int:
    """What this process is, as its client would say it."""
    umask = os.umask(0)
    print(os.getcwd(), oct(umask), os.environ.get("TMPDIR"), sorted(os.listdir("/proc/self/fd"))[:-1], sys.stdin.read())
    return 0


def sleep(file: str, seconds: str) -> int:
    """Leave the number of this process in a file, and sleep; a signal to stop is answered with 130."""
    if seconds == "stoppable":
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: sys.exit(f"saved after {signal.Signals(number).name}"))
    part = Path(f"{file}.part")
    part.write_text(str(os.getpid()))
    part.replace(file)
    try:
        time.sleep(60 if seconds == "stoppable" else float(seconds))
    except SystemExit as error:
        print(error)
        return 130
    return 0


def fail() -> int:
    raise ValueError("of a toy")


def run(arguments: list[str]) -> int:
    """Run one of the toys, or end with the number that is given."""
    name, *given = arguments
    return int(name) if name.isdigit() else {"say": say, "sleep": sleep, "fail": fail}[name](*given)


def fork_once_in_vain() -> None:
    """As when there are too many processes."""
    fork = os.fork

    def failing() -> int:
        os.fork = fork
        raise BlockingIOError("no more processes")

    os.fork = failing


if __name__ == "__main__":
    path, refusal, *given = sys.argv[1:]
    if "cramped" in given:
        fork_once_in_vain()
    server = warm.Server(path, job.inherited(), lambda: not os.path.exists(refusal), run)
    server.listen()
    if "importing" in given:
        while not os.path.exists("ready"):
            time.sleep(0.01)
        if "unfit" in given:
            server.retire()
            sys.exit()
    server.serve()
