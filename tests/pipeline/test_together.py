"""Several Snakemakes in one results folder at a time: none disturbs another, and what both need is made once."""

import json
import signal

from tests.pipeline.runners import Jobs, made_here
from tests.pipeline.test_interruption import CAT, LONGER, STATE, UPDATES, wait_for_newer
from tests.pipeline.trees import finished


def test_two_studies_at_the_same_time_give_the_bytes_of_one_after_the_other(empty, tmp_path):
    targets = ["results/smoke/bayes/metrics/distance.parquet", "results/smoke/nld/environments/digits.parquet"]
    of = {f"bayes.checkpoints.{entry}.of": ["cat-3"] for entry in ("predictions", "predictions-optimal")}
    smaller = ("--config", "scale=smoke", f"overrides={json.dumps(of)}")
    finished(*(empty.start(target, *smaller) for target in targets))
    alone = made_here(tmp_path / "alone", targets, of)
    assert len(alone) == 7
    assert {str(path.relative_to(empty.path)) for path in empty.path.glob("results/smoke/*/*/**/*.parquet")} == {*alone}
    assert [path for path in alone if (empty.path / path).read_bytes() != alone[path]] == []
    assert "Nothing to be done" in empty.snakemake(*targets, *smaller, scale=False, timeout=600).stdout


def test_a_run_that_two_need_is_trained_once(tmp_path):
    jobs = Jobs(tmp_path / "jobs", "bayes", {"bayes.training.cat-3.updates": LONGER})
    jobs.prepare("training", CAT)
    first = jobs.start("training", CAT)
    wait_for_newer(jobs.folder / STATE, 0)
    outputs = finished(first, jobs.start("training", CAT))
    assert "another process is making this; waiting for it" in outputs[1]
    assert "made meanwhile" in outputs[1]
    assert f"/{LONGER} updates" in outputs[0]
    assert f"/{LONGER} updates" not in outputs[1]


def test_a_restart_file_is_not_taken_by_a_run_of_other_settings(tmp_path):
    jobs = Jobs(tmp_path / "jobs", "bayes", {"bayes.training.cat-3.updates": UPDATES})
    jobs.prepare("training", CAT)
    with jobs.start("training", CAT) as first:
        wait_for_newer(jobs.folder / STATE, 0)
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=600)
    assert (jobs.folder / STATE).exists()
    others = {"bayes.training.cat-3.learning_rate": 0.001, "bayes.training.cat-3.updates": 20}
    (said,) = finished(Jobs(jobs.folder, "bayes", others).start("training", CAT))
    assert "predictor.Predictor, 1 seed" in said
    assert "goes on from update" not in said
