"""A study may look at the training runs of another: `STUDY.RUN` under `of`, `STUDY.ENVIRONMENT` under `environment`."""

import copy
import shutil

import pytest
import yaml

from agentomy.mistakes import ConfigError
from agentomy.pipeline.plan import targets
from agentomy.pipeline.plan.study import STUDIES, Plan
from agentomy.pipeline.uptodate.session import Forced, Session
from tests.foundation.test_study import STUDY
from tests.studies import SOURCE

CONFIG = {"scale": "smoke", "studies": ["toy", "visitor"]}
JOB = "seen/toy.coin.seeds0-0"


@pytest.fixture
def plan(tmp_path):
    def make(visits, home_visits=None, scales=None):
        home, visitor = copy.deepcopy(STUDY), copy.deepcopy(STUDY)
        visitor["training"], visitor["environments"], visitor["metrics"], visitor["claims"] = {}, {}, {}, {}
        visitor["checkpoints"] = {"seen": {"use": "papers.bayes.extract.predictions.predictions", **visits}}
        if home_visits:
            home["checkpoints"]["seen"] = {"use": "papers.bayes.extract.predictions.predictions", "of": home_visits}
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
    planned = plan({"of": ["toy.coin"]})
    assert (
        planned.studies["visitor"].job("checkpoints", JOB).code
        == planned.studies["toy"].job("checkpoints", "predictions/coin.seeds0-0").code
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


FEWER = {"scale": "laptop", "studies": ["l3d", "maze"], "overrides": {"maze.training.region-2.seeds": 1}}
RUN = "region-2: {<<: *ppo, environment: region-2}"


def begun(plan: Plan, target: str) -> Session:
    """As the Snakefile begins."""
    targets.check(plan, [target])
    session = Session(plan)
    session.begin([target], Forced())
    return session


def test_fewer_seeds_than_another_study_learns_from_are_refused_on_request(tmp_path, monkeypatch):
    plan = Plan(FEWER, source=SOURCE)
    monkeypatch.chdir(tmp_path)
    for target in ("maze", "results/laptop/maze/claims.md"):
        session = begun(plan, target)
        assert {key[0] for key, _ in session.todo} == {"maze"}
        assert session.priorities.keys() == {key for key, _ in session.todo}
    for target in ("all", "l3d", "results/laptop/l3d/training/maze.seeds2-2.parameters.parquet"):
        with pytest.raises(ConfigError, match="l3d.yaml: training.maze.* of the seeds 0 to 0; allowed: .* here [12]"):
            begun(plan, target)


def test_a_study_file_with_fewer_seeds_than_another_learns_from_is_refused(tmp_path):
    shutil.copytree(STUDIES, tmp_path / "studies")
    file = tmp_path / "studies" / "maze.yaml"
    text = file.read_text()
    assert text.count(RUN) == 1
    file.write_text(text.replace(RUN, f"{RUN[:-1]}, seeds: 1}}"))
    config = {key: value for key, value in FEWER.items() if key != "overrides"}
    with pytest.raises(ConfigError, match="l3d.yaml: training.maze.* of the seeds 0 to 0"):
        Plan(config, tmp_path / "studies", SOURCE)


def test_a_claim_names_the_runs_of_another_study_as_in_the_file_and_has_their_looks(plan, tmp_path):
    plan({"of": ["toy.coin"]})
    written = yaml.safe_load((tmp_path / "visitor.yaml").read_text())
    written["metrics"] = {"distance": {**STUDY["metrics"]["distance"], "from": ["seen"]}}
    written["claims"] = copy.deepcopy(STUDY["claims"])
    test = written["claims"]["C1"]["tests"]["kl"]

    def judged(run):
        test["where"] = {"run": run}
        (tmp_path / "visitor.yaml").write_text(yaml.safe_dump(written))
        return Plan({**CONFIG, "seeds": 6}, tmp_path, SOURCE).studies["visitor"].job("claims", "claims")

    assert judged("toy.coin").parameters["planned"] == {"distance": {"toy.coin": [1, 1]}}
    with pytest.raises(ConfigError, match=r"C1.tests.kl.where.run: no value 'coin'.*; allowed: toy.coin"):
        judged("coin")
