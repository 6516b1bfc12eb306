"""A study may look at the training runs of another: `STUDY.RUN` under `of`, `STUDY.ENVIRONMENT` under `environment`."""

import copy

import pytest
import yaml

from agentomy.mistakes import ConfigError
from agentomy.study import Plan
from tests.foundation.test_study import STUDY
from tests.package import SOURCE

CONFIG = {"scale": "smoke", "studies": ["toy", "visitor"]}
JOB = "seen/toy.coin.seeds0-0"


@pytest.fixture
def plan(tmp_path):
    def make(visits, home_visits=None, scales=None):
        home, visitor = copy.deepcopy(STUDY), copy.deepcopy(STUDY)
        visitor["training"], visitor["environments"], visitor["metrics"], visitor["claims"] = {}, {}, {}, {}
        visitor["checkpoints"] = {"seen": {"use": "predictions.predictions", **visits}}
        if home_visits:
            home["checkpoints"]["seen"] = {"use": "predictions.predictions", "of": home_visits}
        if scales:
            home["training"]["coin"]["scales"] = scales
            home["checkpoints"]["predictions"]["scales"] = scales
            home["metrics"]["distance"]["scales"] = scales
            home["claims"] = {}
        (tmp_path / "toy.yaml").write_text(yaml.safe_dump(home))
        (tmp_path / "visitor.yaml").write_text(yaml.safe_dump(visitor))
        return Plan(CONFIG, tmp_path, SOURCE)

    return make


def test_networks_and_environment_are_those_of_the_other_study(plan):
    job = plan({"of": ["toy.coin"]}).studies["visitor"].job("checkpoints", JOB)
    assert job.inputs == {
        "parameters": ["results/smoke/toy/training/coin.seeds0-0.parameters.parquet"],
        "sequences": ["results/smoke/toy/environments/coin.parquet"],
    }
    assert job.options["run"] == "toy.coin"
    assert job.outputs == ["results/smoke/visitor/checkpoints/seen/toy.coin.seeds0-0.parquet"]


def test_an_environment_of_another_study_can_be_named(plan):
    job = plan({"of": ["toy.coin"], "environment": "toy.coin"}).studies["visitor"].job("checkpoints", JOB)
    assert job.inputs["sequences"] == ["results/smoke/toy/environments/coin.parquet"]


def test_the_job_depends_on_the_code_of_the_agent_that_made_the_networks(plan):
    made = plan({"of": ["toy.coin"]})
    assert (
        made.studies["visitor"].job("checkpoints", JOB).code
        == made.studies["toy"].job("checkpoints", "predictions/coin.seeds0-0").code
    )


def test_a_run_that_the_other_study_does_not_have_is_refused(plan):
    with pytest.raises(
        ConfigError, match=r"visitor.yaml: checkpoints.seen.of: no training run 'toy.coi'.*allowed: coin"
    ):
        plan({"of": ["toy.coi"]})


def test_a_study_that_there_is_not_is_refused(plan):
    with pytest.raises(ConfigError, match=r"visitor.yaml: checkpoints.seen.of: no training run 'toi.coin'"):
        plan({"of": ["toi.coin"]})


def test_a_run_that_the_other_study_lacks_at_some_scale_is_refused(plan):
    with pytest.raises(ConfigError, match="no training run 'toy.coin'"):
        plan({"of": ["toy.coin"]}, scales=["smoke", "laptop"])


def test_studies_that_look_at_each_other_are_refused(plan):
    with pytest.raises(ConfigError, match="circle"):
        plan({"of": ["toy.coin"]}, home_visits=["visitor.coin"])
