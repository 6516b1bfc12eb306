"""What Snakemake does for jobs on its own machine: the warm server, and signals to stop.

Called when a run starts (`onstart` in the Snakefile), within Snakemake's process.
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from functools import partial
from types import FrameType

FEWEST = 8  # jobs that are worth a server: of fewer, most have ended before it has started


def can_serve(workflow, device: str) -> bool:
    """Whether jobs run as children of this process, from its own libraries and files, and on the processor alone."""
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
    """Start the warm server at a socket; what it has to say goes to Snakemake's own log (the first of `logs`)."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    # The other end is never closed: this process takes it along when it ends, however it ends.
    reading, _ = os.pipe()
    with open([*logs, os.devnull][0], "ab") as errors:
        subprocess.Popen(
            ["python", "-m", "agentomy.warm", path],
            env={**os.environ, **environment},
            stdin=reading,
            stdout=errors,
            stderr=errors,
            start_new_session=True,  # Ctrl-C is for the clients, which pass it on
        )
    os.close(reading)


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
