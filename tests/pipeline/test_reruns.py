"""What a change remakes: the artifact and what follows from it, and nothing else."""

import hashlib

import pytest

from pipeline_tree import fresh

STAGES = ("environments", "training", "checkpoints", "metrics", "figures")


def test_the_whole_chain_leaves_every_artifact_log_and_benchmark(smoke):
    for stage in STAGES:
        names = {path.name.split(".")[0] for path in (smoke.study / stage).glob("*.p*")}
        assert names
        assert names == {path.stem for path in (smoke.study / "logs" / stage).glob("*.log")}
        assert names == {path.stem for path in (smoke.study / "benchmarks" / stage).glob("*.tsv")}
    assert (smoke.study / "claims.parquet").exists()
    assert not list(smoke.study.rglob("*.part"))


def test_a_second_run_from_nothing_gives_the_same_bytes(smoke, tmp_path):
    other = fresh(tmp_path / "other")
    assert other.snakemake().returncode == 0
    files = [
        path.relative_to(smoke.study)
        for path in smoke.study.rglob("*.p*")
        if path.suffix in (".parquet", ".png", ".pdf")
    ]
    assert len(files) > 60
    digests = [
        {file: hashlib.sha256((tree.study / file).read_bytes()).hexdigest() for file in files}
        for tree in (smoke, other)
    ]
    assert [file for file in files if digests[0][file] != digests[1][file]] == []


def test_an_up_to_date_tree_has_nothing_to_be_done(smoke):
    assert "Nothing to be done" in smoke.snakemake("-n").stdout


def test_a_metrics_parameter_remakes_it_and_what_follows(smoke):
    override = "overrides={bayes.metrics.acquisition.threshold: 0.3}"
    planned = smoke.planned("--config", "scale=smoke", override, scale=False)
    assert planned == {"metrics acquisition", "metrics comparison-predictors", "figures F8-acquisition", "claims"}


def test_a_runs_parameter_remakes_what_it_feeds(smoke):
    planned = smoke.planned("--config", "scale=smoke", "overrides={bayes.training.cat-3.updates: 160}", scale=False)
    assert "training cat-3" in planned
    assert "checkpoints predictions" in planned
    assert not any(job.startswith("environments") or job == "checkpoints play" for job in planned)
    assert {job for job in planned if job.startswith("training")} == {"training cat-3"}


@pytest.mark.parametrize(
    ("file", "before", "after", "expected"),
    [
        ("workflow/agentomy/figures/bayes.py", "def convergence(", "# a comment\ndef convergence(", set()),
    ],
)
def test_a_change_of_code_remakes_those_who_use_it(copied, file, before, after, expected):
    copied.replace(file, before, after)
    assert copied.planned() == expected
