"""The one place in which the rules reach into Snakemake: its limit of started jobs per second."""

import subprocess
import sys

from tests.pipeline.trees import ROOT

LINE = "workflow.scheduler.job_rate_limiter = None"
TOY = """
import threading

onstart:
    {line}

onsuccess:
    print("threads:", threading.active_count())

rule all:
    input: [f"{{number}}.txt" for number in range(60)]

rule one:
    output: "{{number}}.txt"
    shell: "exec touch {{output}}"
"""


def threads_at_the_end(folder, line: str) -> int:
    """How many threads Snakemake has after 60 short jobs."""
    folder.mkdir()
    (folder / "Snakefile").write_text(TOY.format(line=line))
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", "all"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.partition("threads:")[2])


def test_the_scheduler_keeps_no_timer_for_each_job_that_was_started(tmp_path):
    assert LINE in (ROOT / "rules" / "session.smk").read_text()
    assert threads_at_the_end(tmp_path / "limited", "pass") > 30  # else the line has nothing to do any more
    assert threads_at_the_end(tmp_path / "unlimited", LINE) < 10  # else the attribute has another name
