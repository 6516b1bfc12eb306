"""What a person reads when a job fails: its own line or one in its place, and nothing of the command behind it."""

import logging
import signal
import subprocess

import pytest

from agentomy.pipeline.run import stages
from agentomy.pipeline.run.local import SAID, left_to_say

COMMAND = (
    "export X='{\"a\": 1}'; exec  python -m agentomy.pipeline.run.job bayes checkpoints maps/cat-3.seeds0-0 a.log 9f"
)


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("snakemake.logging", logging.ERROR, "", 0, text, None, None)


def failed(status: int) -> logging.LogRecord:
    """As Snakemake tells of it."""
    error = subprocess.CalledProcessError(status, COMMAND)
    return record(f'RuleException:\nCalledProcessError in file "rules/checkpoints.smk", line 27:\n{error}')


def test_what_a_job_has_said_is_not_said_again():
    assert {str(stages.EXIT_FAILED), str(stages.EXIT_STOPPED)} == SAID
    for status in (stages.EXIT_FAILED, stages.EXIT_STOPPED):
        assert not left_to_say(failed(status))


@pytest.mark.parametrize(
    ("status", "how"),
    [(-signal.SIGKILL, "killed by SIGKILL"), (127, "ended with exit status 127"), (-77, "died with unknown signal 77")],
)
def test_of_a_job_that_could_say_nothing_one_line_says_how_it_ended(status, how):
    told = failed(status)
    assert left_to_say(told)
    assert told.msg == f"bayes · checkpoints · maps/cat-3.seeds0-0 · {how}"


@pytest.mark.parametrize("text", ["Missing files after 5 seconds", "WorkflowError:\nFailed to open source file"])
def test_whatever_else_snakemake_says_is_left_as_it_is(text):
    told = record(text)
    assert left_to_say(told)
    assert told.msg == text


@pytest.mark.parametrize(
    "text", ["Select jobs to execute...", "WorkflowError:\nAt least one job did not complete successfully."]
)
def test_what_is_known_without_it_is_left_out(text):
    assert not left_to_say(record(text))
