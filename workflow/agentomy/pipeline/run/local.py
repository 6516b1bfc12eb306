"""What Snakemake does for jobs on its own machine: the warm server, signals to stop, messages about failed jobs.

Called when a run starts (`onstart` in the Snakefile), within Snakemake's process.
"""

import logging
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from types import FrameType

from agentomy.pipeline.run import EXIT_FAILED, EXIT_STOPPED

# how Snakemake reports that the command of a job has failed; for EXIT_FAILED and EXIT_STOPPED the job does so itself
FAILED = re.compile(
    r"python -m agentomy\.pipeline\.run\.job (\S+) (\S+) (\S+) .*?' "
    r"(returned non-zero exit status (\d+)|died with .*)\.$"
)
SAID = {str(EXIT_FAILED), str(EXIT_STOPPED)}
FEWEST = 4  # jobs for which a server is worth starting: it takes as long as two that start by themselves
SOON = 10.0  # seconds in which a server listens


def can_serve(workflow, device: str) -> bool:
    """Whether jobs run as children of this process, with its own libraries and files, and without a GPU."""
    return (
        sys.platform == "linux"
        and workflow.local_exec
        and workflow.is_main_process
        and not workflow.touch
        and not workflow.deployment_settings.deployment_method  # conda
        and workflow.storage_settings.default_storage_provider is None
        and device == "cpu"
        and len(workflow.dag) >= FEWEST
    )


def start_server(path: str, environment: dict[str, str], logs: list[str]) -> None:
    """Start the warm server, which is there when this returns: jobs wait until it has imported what they need.

    `path` is that of its socket. What it has to say goes to Snakemake's own log (the first of `logs`).
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    # The other end is never closed: this process takes it along when it ends, however it ends.
    reading, _ = os.pipe()
    with open([*logs, os.devnull][0], "ab") as errors:
        server = subprocess.Popen(
            ["python", "-m", "agentomy.pipeline.run.warm", path],
            env={**os.environ, **environment},
            stdin=reading,
            stdout=errors,
            stderr=errors,
            start_new_session=True,  # Ctrl-C is for the clients, which pass it on
        )
    os.close(reading)
    until = time.monotonic() + SOON
    while server.poll() is None and not os.path.exists(path) and time.monotonic() < until:
        time.sleep(0.01)


def pass_on_stop_signals() -> None:
    """Tell running jobs to stop when Snakemake is told to: by itself it waits for them to end.

    Training saves its state first. A terminal tells the jobs too; then they hear it twice.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.getsignal(number)
        if callable(before):
            signal.signal(number, partial(_pass_on, before))


def _pass_on(before, number: int, frame: FrameType | None) -> None:
    import psutil  # Snakemake brings it

    print("agentomy: running jobs are told to save their state and stop", file=sys.stderr, flush=True)
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            # the server's forks are in a session of their own: their clients pass it on
            if os.getsid(process.pid) == os.getsid(0):
                process.terminate()
    before(number, frame)


def left_to_say(record: logging.LogRecord) -> bool:
    """Whether one of Snakemake's messages says what no job and no line of ours has said.

    A job that fails says why in a line of its own. Of one that could not, because it was killed or never began, what is
    said is made a line like those.
    """
    text = str(record.msg)
    if text.startswith(("Select jobs", "Execute ", "WorkflowError:\nAt least one job did not complete")):
        return False
    if failure := FAILED.search(text):
        *job, how, status = failure.groups()
        how = re.sub(r"died with <Signals\.(\w+): \d+>", r"killed by \1", how).replace(
            "returned non-zero", "ended with"
        )
        record.msg = f"{' · '.join(job)} · {how}"
        return status not in SAID
    return True
