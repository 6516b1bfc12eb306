"""Several Snakemakes in one results folder at a time: none disturbs another, and what both need is made once."""

import os
import signal

from tests.pipeline.test_interruption import RUN, wait_for_newer

GIVEN = (
    "--config",
    "scale=smoke",
    "overrides={bayes.training.cat-3.updates: 4000, bayes.checkpoints.play.of: [bb-1-1]}",
)
LOG = "results/smoke/bayes/logs/training/cat-3.log"


def finished(*processes) -> list[str]:
    outputs = [process.communicate(timeout=180)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), outputs
    return outputs


def test_two_studies_at_the_same_time_give_the_bytes_of_one_after_the_other(empty, copied):
    targets = ["results/smoke/bayes/metrics/gap.parquet", "results/smoke/nld/environments/digits.parquet"]
    finished(*(empty.start(target, *GIVEN) for target in targets))
    made = [(empty.path / target).read_bytes() for target in targets]
    for target in targets:
        assert copied.snakemake(target, *GIVEN, scale=False).returncode == 0
    assert [(copied.path / target).read_bytes() for target in targets] == made
    assert "Nothing to be done" in empty.snakemake(*targets, *GIVEN, scale=False).stdout


def test_a_run_that_two_need_is_trained_once(empty):
    state = empty.study / "training" / ".restart" / "cat-3" / "state.safetensors"
    first = empty.start(RUN, *GIVEN)
    wait_for_newer(state, 0)
    second = empty.start(RUN, *GIVEN)
    outputs = finished(first, second)
    assert "another process is making this; waiting for it" in outputs[1]
    assert "updates" in outputs[0]
    assert "updates" not in outputs[1]


def test_a_restart_file_is_not_taken_by_a_run_of_other_settings(empty):
    state = empty.study / "training" / ".restart" / "cat-3" / "state.safetensors"
    other = ("--config", "scale=smoke", "overrides={bayes.training.cat-3.learning_rate: 0.001}")
    with empty.start(RUN, *GIVEN) as first:
        wait_for_newer(state, 0)
        os.killpg(first.pid, signal.SIGINT)
        first.communicate(timeout=60)
    done = empty.snakemake(RUN, *other, scale=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "goes on from update" not in done.stdout
