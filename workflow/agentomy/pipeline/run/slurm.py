"""What a job on a Slurm cluster knows of itself: which one it is, how long it may run, how to queue up again."""

import os
import signal
import subprocess
import threading

# Kept free at the end of a time limit, to save a restart file and to queue again: a minute, of short limits a third.
MARGIN, SHARE = 60.0, 1 / 3


def place() -> str:
    """The Slurm job and node that this process runs on; empty elsewhere."""
    job = os.environ.get("SLURM_JOB_ID", "")
    return f"Slurm job {job} on {os.environ.get('SLURMD_NODENAME', 'a node without a name')}" if job else ""


class TimeLimit:
    """The time limit of this process's Slurm job, if there is one."""

    near = False  # whether the process was told to stop because of it

    def watch(self) -> None:
        """Tell this process to stop shortly before the limit, as Slurm itself would at it."""
        left = seconds_left()
        if left is not None:
            timer = threading.Timer(left - min(MARGIN, SHARE * left), self._stop)
            timer.daemon = True
            timer.start()

    def _stop(self) -> None:
        self.near = True
        os.kill(os.getpid(), signal.SIGTERM)


def seconds_left() -> float | None:
    """Seconds until this Slurm job reaches its time limit; None where there is none."""
    job = os.environ.get("SLURM_JOB_ID")
    return parsed(_ask("squeue", "--noheader", "--jobs", job, "--format", "%L") or "") if job else None


def parsed(text: str) -> float | None:
    """Seconds of a time that Slurm prints as [[DAYS-]HOURS:]MINUTES:SECONDS; None for words such as UNLIMITED."""
    days, _, clock = text.strip().rpartition("-")
    try:
        parts = [int(part) for part in clock.split(":")]
        total = int(days or 0) * 86400
    except ValueError:
        return None
    return float(total + sum(part * 60**power for power, part in enumerate(reversed(parts))))


def queue_again() -> bool:
    """Put this Slurm job back into the queue under its own number; whether Slurm accepted that."""
    return _ask("scontrol", "requeue", os.environ["SLURM_JOB_ID"]) is not None


def _ask(*command: str) -> str | None:
    """What a command of Slurm prints; None if it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return None
