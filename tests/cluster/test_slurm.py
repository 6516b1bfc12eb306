"""The pipeline on a real Slurm with the shipped profile: same bytes, whatever happens to its jobs."""

import re
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.cluster.conftest import given
from tests.pipeline.runners import made_here
from tests.pipeline.test_interruption import wait_for_newer

TARGETS = [
    "results/smoke/bayes/metrics/distance.parquet",
    "results/smoke/bayes/figures/F3-convergence-prediction.png",
    "results/smoke/maze/checkpoints/outcomes-training/region-2.seeds0-0.parquet",
    # short jobs that travel together are more than the node has cores
    *(f"results/smoke/bayes/environments/{name}.parquet" for name in ("bern-1-1", "cat-5", "gauss")),
]
OVERRIDES = {
    # one run of each study, long enough to be stopped in mid-training
    "bayes.checkpoints.predictions.of": ["cat-3"],
    "bayes.checkpoints.predictions-optimal.of": ["cat-3"],
    "bayes.checkpoints.states-prediction.of": ["cat-3"],
    "bayes.training.cat-3.updates": 1200,
    "maze.checkpoints.outcomes-training.of": ["region-2"],
    "maze.training.region-2.updates": 150,
    "maze.training.region-2.resources": {"runtime": 4},
}
CUT = given(OVERRIDES)
CANCELLED, SLICED = "bayes/training/cat-3.seeds0-0", "maze/training/region-2.seeds0-0"
STATE = "{}/training/.restart/{}/state.safetensors"
ONCE = "results/stopped-once"


def log(tree, job: str) -> str:
    return (tree.path / "results/smoke" / f"{job.replace('/', '/logs/', 1)}.log").read_text()


def slurm_id(text: str) -> str:
    return re.search(r"Slurm job (\d+) on localhost", text)[1]


@pytest.fixture(scope="module")
def done(clusters, tmp_path_factory) -> SimpleNamespace:
    """Two studies on Slurm; one of their trainings is cancelled on its way, the other is told that its time is over."""
    tree = clusters(tmp_path_factory.mktemp("cluster") / "tree")
    # what may run for four minutes, not ten, is once told that they are over: when it has saved its state, so that it
    # can go on from there however slow this machine is
    tree.replace(
        "workflow/agentomy/pipeline/run/slurm.py",
        "            timer.daemon = True\n",
        f"            if left < 300 and not os.path.exists('{ONCE}'):\n"
        f"                open('{ONCE}', 'w').close()\n"
        "                def over():\n"
        f"                    while not os.path.exists('results/smoke/{STATE.format(*SLICED.split('/training/'))}'):\n"
        "                        threading.Event().wait(0.05)\n"
        "                    self._stop()\n"
        "                timer = threading.Thread(target=over)\n"
        "            timer.daemon = True\n",
    )
    results = tree.path / "results/smoke"
    with tree.start(*TARGETS, *CUT) as process:
        try:
            wait_for_newer(results / STATE.format(*CANCELLED.split("/training/")), 0, limit=900)
            first = slurm_id(log(tree, CANCELLED))
            subprocess.run(["scancel", first], env=tree.environment, check=True, timeout=300)
            until = time.monotonic() + 300
            while "stopped at update" not in (said := log(tree, CANCELLED)) and time.monotonic() < until:
                time.sleep(0.1)
            output, _ = process.communicate(timeout=900)
        finally:
            process.kill()
    assert process.returncode == 0, output[-5000:]
    return SimpleNamespace(tree=tree, output=output, first=first, said=said)


def test_all_stages_of_two_studies_give_the_bytes_of_a_local_run(done, tmp_path):
    artifacts = made_here(tmp_path / "local", TARGETS, OVERRIDES)
    stages = {Path(path).parts[3] for path in artifacts}
    assert stages == {"environments", "training", "checkpoints", "metrics", "figures"}
    assert [path for path in artifacts if (done.tree.path / path).read_bytes() != artifacts[path]] == []


def test_each_log_says_on_which_slurm_job_and_short_ones_of_a_study_travel_together(done):
    logs = [path for path in done.tree.path.glob("results/smoke/*/logs/*/**/*.log")]
    ids = {slurm_id(path.read_text()) for path in logs}
    # what Slurm says is kept of each, and of the one that was cancelled and whose own log is another's now
    assert ids | {done.first} <= {path.stem for path in (done.tree.path / "results/slurm-logs").rglob("*.log")}
    assert 4 < len(ids) < len(logs)


def test_a_cancelled_training_job_saves_its_state_is_sent_again_and_goes_on(done):
    update = int(re.search(r"stopped at update (\d+) of 1200", done.said)[1])  # Slurm kills what is not gone in 10 s
    assert f"goes on from update {update}\n" in log(done.tree, CANCELLED)
    assert slurm_id(log(done.tree, CANCELLED)) != done.first
    # the training process has ended by itself, and no shell around it before
    (around,) = (done.tree.path / "results/slurm-logs").rglob(f"{done.first}.log")
    text = around.read_text()
    assert "Error in rule training" in text
    assert re.findall("training · cat-3.* · (killed by|ended with)", text) == []


def test_training_that_needs_longer_than_its_job_may_run_goes_on_in_slices(done):
    assert "goes on from update" in log(done.tree, SLICED)
    # Snakemake has sent it once; Slurm took it back by itself
    assert len(re.findall("maze: training region-2.seeds0-0\n", done.output)) == 1


def test_a_request_that_no_node_can_fulfil_fails_at_once_and_says_why(clusters, tmp_path):
    tree = clusters(tmp_path / "tree")
    more = given({"bayes.training.cat-3.resources": {"mem_mb": 1000000000}})
    refused = tree.snakemake("results/smoke/bayes/training/cat-3.seeds0-0.log.parquet", *more, timeout=600)
    assert refused.returncode != 0
    assert re.search("SLURM sbatch failed.*(Memory|Requested node configuration)", refused.stdout), refused.stdout
    assert not list((tree.path / "results/slurm-logs").glob("rule_training/**/*.log"))
