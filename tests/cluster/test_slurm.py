"""The pipeline on a real Slurm with the shipped profile: same bytes, whatever happens to its jobs."""

import re
import subprocess

from tests.cluster.conftest import given
from tests.pipeline.test_interruption import wait_for_newer

RUN = "results/smoke/bayes/training/cat-3"
TRAINED = [f"{RUN}.{part}.parquet" for part in ("parameters", "log")]
LOG = "results/smoke/bayes/logs/training/cat-3.log"


def bytes_of(tree, names) -> list[bytes]:
    return [(tree.path / name).read_bytes() for name in names]


def test_all_stages_of_two_studies_give_the_bytes_of_a_local_run(cluster, local):
    smaller = given(
        "bayes.checkpoints.predictions.of: [cat-3]",
        "bayes.checkpoints.states-prediction.of: [cat-3]",
        "maze.checkpoints.outcomes-training.of: [region-2]",
        "maze.training.region-2.seeds: 1",
    )
    targets = [
        "results/smoke/bayes/metrics/distance.parquet",
        "results/smoke/bayes/figures/F3-convergence-prediction.png",
        "results/smoke/maze/checkpoints/outcomes-training.parquet",
    ]
    done = cluster.snakemake(*targets, *smaller)
    assert done.returncode == 0, done.stdout[-5000:]
    assert local.snakemake(*targets, *smaller, scale=False).returncode == 0
    made = [path.relative_to(local.path) for path in local.path.glob("results/smoke/*/*/*.p*")]
    assert len(made) >= 12
    assert bytes_of(cluster, made) == bytes_of(local, made)
    logs = list(cluster.path.glob("results/smoke/*/logs/*/*.log"))
    ids = {re.search(r"Slurm job (\d+) on localhost", log.read_text())[1] for log in logs}
    assert 4 <= len(ids) < len(logs)  # short ones of a study travel together
    assert ids == {path.stem for path in (cluster.path / "results" / "slurm-logs").rglob("*.log")}


def test_a_job_that_is_cancelled_in_mid_training_is_sent_again_and_goes_on(cluster, local):
    longer = given("bayes.training.cat-3.updates: 4000")
    state = cluster.path / "results/smoke/bayes/training/.restart/cat-3/state.safetensors"
    with cluster.start(TRAINED[0], *longer) as process:
        wait_for_newer(state, 0)
        (first,) = re.findall(r"Slurm job (\d+)", (cluster.path / LOG).read_text())
        subprocess.run(["scancel", first], env=cluster.environment, check=True)
        output, _ = process.communicate(timeout=180)
    assert process.returncode == 0, output[-3000:]
    log = (cluster.path / LOG).read_text()
    assert "goes on from update" in log
    assert f"Slurm job {first} " not in log
    assert local.snakemake(TRAINED[0], *longer, scale=False).returncode == 0
    assert bytes_of(cluster, TRAINED) == bytes_of(local, TRAINED)


def test_training_that_needs_longer_than_its_job_may_run_goes_on_in_slices(cluster, local):
    longer = given("bayes.training.cat-3.updates: 20000", "bayes.training.cat-3.resources: {runtime: 1}")
    cluster.replace("workflow/agentomy/slurm.py", "SHARE = 60.0, 1 / 3", "SHARE = 60.0, 0.75")  # slices of 15 seconds
    done = cluster.snakemake(TRAINED[0], *longer)
    assert done.returncode == 0, done.stdout[-5000:]
    assert "goes on from update" in (cluster.path / LOG).read_text()
    assert (
        len(re.findall("has been submitted with SLURM jobid", done.stdout)) == 1 + 1
    )  # its environment, and itself once
    assert local.snakemake(TRAINED[0], *longer, scale=False).returncode == 0
    assert bytes_of(cluster, TRAINED) == bytes_of(local, TRAINED)


def test_a_request_that_no_node_can_fulfil_fails_at_once_and_says_why(cluster):
    done = cluster.snakemake(TRAINED[0], *given("bayes.training.cat-3.resources: {mem_mb: 1000000000}"))
    assert done.returncode != 0
    assert re.search("SLURM sbatch failed.*(Memory|Requested node configuration)", done.stdout), done.stdout[-3000:]
    assert not (cluster.path / LOG).exists()
