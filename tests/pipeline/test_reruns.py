"""What a change remakes: the artifact and what follows from it, and nothing else."""

import pytest

STAGES = ("environments", "training", "checkpoints", "metrics", "figures")


def test_the_whole_chain_leaves_every_artifact_log_and_benchmark(smoke):
    for stage in STAGES:
        names = names_of(smoke.study / stage, ".parameters.parquet", ".log.parquet", ".parquet", ".png", ".pdf")
        assert names
        assert names == names_of(smoke.study / "logs" / stage, ".log")
        assert names == names_of(smoke.study / "benchmarks" / stage, ".tsv")
    assert (smoke.study / "claims.parquet").exists()
    assert not list(smoke.study.rglob("*.part"))
    assert not list((smoke.study / "training").glob(".restart/*"))


def names_of(folder, *endings: str) -> set[str]:
    """Of the jobs whose files with these endings are there."""
    files = [str(path.relative_to(folder)) for path in folder.rglob("*.*") if path.is_file()]
    return {next(file.removesuffix(ending) for ending in endings if file.endswith(ending)) for file in files}


def test_an_up_to_date_tree_has_nothing_to_be_done(smoke):
    assert "Nothing to be done" in smoke.snakemake("-n").stdout  # as Snakemake itself sees it


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (
            {"bayes.metrics.acquisition-bandit.threshold": 0.3},
            {"metrics acquisition-bandit", "metrics order", "figures F8-order-bandit", "claims claims"},
        ),
        ({"bayes.figures.F5-states-prediction.episode": 4}, {"figures F5-states-prediction"}),
        (
            {"bayes.metrics.embedding-prediction.snapshots": 5},
            {"metrics embedding-prediction", "figures F3-convergence-prediction"},
        ),
    ],
)
def test_a_parameter_remakes_its_artifact_and_what_follows(smoke, override, expected):
    assert smoke.planned(overrides=override) == expected


def test_a_runs_parameter_retrains_it_and_remakes_what_it_feeds(smoke):
    planned = smoke.planned(overrides={"bayes.training.cat-3.updates": 160})
    assert {job for job in planned if job.split()[0] in ("environments", "training")} == {"training cat-3.seeds0-0"}
    assert {job for job in planned if job.startswith("checkpoints")} == {
        "checkpoints predictions/cat-3.seeds0-0",
        "checkpoints states-prediction/cat-3.seeds0-0",
        "checkpoints maps-drawn-prediction/cat-3.seeds0-0",
    }  # and neither the other runs' nor the closed forms, which need the environment alone
    assert "metrics gap" not in planned


BANDITS = ("bb-1-1", "bb-bias", "bb-half", "bb-2-2", "bb-5-5", "gb", "eb")
OPTIMUM = {f"checkpoints optimum-bandit/{task}" for task in BANDITS}
OPTIMUM |= {"metrics losses", "metrics summary", "figures T1-tasks", "claims claims"}
ORDER = {"metrics acquisition-bandit", "metrics order", "figures F8-order-bandit", "claims claims"}


@pytest.mark.parametrize(
    ("file", "before", "after", "expected"),
    [
        ("papers/bayes/draw/behaviour.py", "def convergence(", "# why\n\n\ndef convergence(", set()),
        ("papers/bayes/draw/structure.py", "def table(summary", "@print\ndef table(summary", {"figures T1-tasks"}),
        (
            "papers/bayes/measure/learning.py",
            "def acquisition_of_bandits(",
            "@print\ndef acquisition_of_bandits(",
            ORDER,
        ),
        ("papers/bayes/extract/optimum.py", '"random return": steps', '"random return": 1.0 * steps', OPTIMUM),
    ],
)
def test_a_change_of_code_remakes_those_who_use_it_and_what_follows(copied, file, before, after, expected):
    copied.replace(f"workflow/agentomy/{file}", before, after)
    assert copied.planned() == expected


def test_code_that_all_agents_of_one_kind_share_retrains_them_alone(copied):
    copied.replace("workflow/agentomy/agents/predictor.py", "self.update += 1", "self.update += 1 * 1")
    trained = {job.split()[1] for job in copied.planned() if job.startswith("training")}
    assert trained == {
        f"{run}.seeds0-0" for run in ("bern-1-1", "bern-2-1", "cat-3", "cat-5", "exp", "gauss", "gauss-ng")
    }


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("networks/recurrent.py", "torch.sigmoid(f) * cell", "torch.sigmoid(f) * cell * 1"),
        ("seeds.py", "np.random.PCG64(", "np.random.PCG64DXSM("),
    ],
)
def test_what_every_training_run_uses_retrains_them_all(copied, file, before, after):
    copied.replace(f"workflow/agentomy/{file}", before, after)
    planned = copied.planned()
    assert len({job for job in planned if job.startswith("training")}) == 14
    assert ("environments cat-3" in planned) == (file == "seeds.py")


def test_more_seeds_train_and_extract_what_is_new_and_measure_all(smoke):
    planned = smoke.planned(seeds=2)
    trained = {job for job in planned if job.startswith("training")}
    assert len(trained) == 14
    assert all(job.endswith(".seeds1-1") for job in [*trained, *extractions(planned)])
    assert "metrics distance" in planned
    assert not any(job.startswith("environments") for job in planned)


def test_seeds_of_one_run_are_added_to_it_alone(smoke):
    planned = smoke.planned(overrides={"bayes.training.cat-3.seeds": 2})
    assert {job for job in planned if job.startswith("training")} == {"training cat-3.seeds1-1"}
    assert {job.rpartition("/")[2] for job in extractions(planned)} == {"cat-3.seeds1-1"}


def test_a_run_that_is_added_to_an_extraction_is_extracted_alone(smoke):
    planned = smoke.planned(overrides={"bayes.checkpoints.maps-drawn-prediction.of": ["cat-3", "cat-5"]})
    assert extractions(planned) == {"checkpoints maps-drawn-prediction/cat-5.seeds0-0"}


def extractions(planned: set[str]) -> set[str]:
    return {job for job in planned if job.startswith("checkpoints")}


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("agents/driver.py", "SAVE_PAUSE, SAVE_SHARE = 1.0, 0.02", "SAVE_PAUSE, SAVE_SHARE = 2.0, 0.02"),
        ("tables.py", "found an empty cell", "there is an empty cell"),
    ],
)
def test_the_engine_counts_by_its_format_and_not_by_its_code(copied, file, before, after):
    copied.replace(f"workflow/agentomy/{file}", before, after)
    assert copied.planned() == set()
