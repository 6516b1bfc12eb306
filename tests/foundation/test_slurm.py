"""What a job reads of Slurm's words, and what it does at the end of its time."""

import os
import signal

import pytest

from agentomy.pipeline.run import slurm


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("59", 59),
        ("1:30\n", 90),
        ("2:00:05", 7205),
        ("1-00:00:01", 86401),
        ("UNLIMITED", None),
        ("INVALID", None),
        ("", None),
    ],
)
def test_times_as_slurm_prints_them(text, seconds):
    assert slurm.parsed(text) == seconds


def test_without_slurm_there_is_no_limit_and_no_place(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert slurm.seconds_left() is None
    assert slurm.place() == ""


def test_a_process_is_told_to_stop_before_its_limit_and_knows_why(monkeypatch, tmp_path):
    squeue = tmp_path / "squeue"
    squeue.write_text("#!/bin/sh\necho 0:01\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    received = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    try:
        limit = slurm.TimeLimit()
        limit.watch()
        assert not limit.near
        assert signal.sigtimedwait([], 5) is None or received
    finally:
        signal.signal(signal.SIGTERM, before)
    assert received == [signal.SIGTERM]
    assert limit.near
