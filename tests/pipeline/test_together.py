"""Several Snakemakes in one results folder at a time: none disturbs another, and what both need is made once."""

import os
import signal

from tests.pipeline.test_interruption import LONG, RUN, wait_for_newer
from tests.pipeline.trees import finished, fresh

GIVEN = ("--config", "scale=smoke", LONG)
STATE = "training/.restart/cat-3.seeds0-0/state.safetensors"


def test_two_studies_at_the_same_time_give_the_bytes_of_one_after_the_other(empty, tmp_path):
    targets = ["results/smoke/bayes/metrics/distance.parquet", "results/smoke/nld/environments/digits.parquet"]
    of = [f"bayes.checkpoints.{entry}.of: [cat-3]" for entry in ("predictions", "predictions-optimal")]
    smaller = ("--config", "scale=smoke", f"overrides={{{', '.join(of)}}}")
    finished(*(empty.start(target, *smaller) for target in targets))
    made = {
        path.relative_to(empty.path): path.read_bytes() for path in empty.path.glob("results/smoke/*/*/**/*.parquet")
    }
    assert len(made) == 7
    alone = fresh(tmp_path / "alone")
    finished(alone.start(*targets, *smaller))
    assert [path for path in made if (alone.path / path).read_bytes() != made[path]] == []
    assert "Nothing to be done" in empty.snakemake(*targets, *smaller, scale=False, timeout=120).stdout


def test_a_run_that_two_need_is_trained_once(empty):
    first = empty.start(RUN, *GIVEN)
    wait_for_newer(empty.study / STATE, 0)
    second = empty.start(RUN, *GIVEN)
    outputs = finished(first, second)
    assert "another process is making this; waiting for it" in outputs[1]
    assert "/4000 updates" in outputs[0]
    assert "/4000 updates" not in outputs[1]


def test_a_restart_file_is_not_taken_by_a_run_of_other_settings(empty):
    with empty.start(RUN, *GIVEN) as first:
        wait_for_newer(empty.study / STATE, 0)
        os.killpg(first.pid, signal.SIGINT)
        first.communicate(timeout=60)
    other = ("--config", "scale=smoke", LONG.replace("}", ", bayes.training.cat-3.learning_rate: 0.001}"))
    assert (empty.study / STATE).exists()
    (said,) = finished(empty.start(RUN, *other))
    assert "predictor.Predictor, 1 seed" in said
    assert "goes on from update" not in said
