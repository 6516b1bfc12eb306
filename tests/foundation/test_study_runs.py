"""How training runs relate: stacks of seeds, shared random streams, plug-ins, runs on what other runs made, scales."""

import copy

import pytest
import yaml

from agentomy.mistakes import ConfigError
from agentomy.study import Plan

RUN = {
    "use": "td3.TD3",
    "environment": "hopper",
    "widths": [8],
    "updates": 20,
    "seeds": 5,
    "snapshots": {"every": 10},
}
STUDY = {
    "paper": {"title": "A paper", "authors": "Somebody", "url": "https://example.org"},
    "environments": {"hopper": {"use": "control.mujoco", "task": "Hopper-v5", "episodes": 2}},
    "training": {"plain": RUN},
    "checkpoints": {"returns": {"use": "rollouts.returns", "of": ["plain"], "every": 10}},
    "metrics": {"scores": {"use": "path.scores", "from": ["returns"]}},
    "figures": {},
    "claims": {
        "C1": {
            "says": "It learns.",
            "paper": "a table",
            "tests": {"score": {"from": "scores", "value": "score", "each": "run", "holds": "> 1"}},
        }
    },
}
CLONE = {
    "use": "cloning.BehaviourCloning",
    "learns_from": "demonstrations",
    "widths": [8],
    "updates": 20,
    "optimiser": "adam",
    "learning_rate": 0.1,
    "seeds": 1,
    "snapshots": {"every": 10},
}
PLUGIN = {"use": "paths.PPTB", "interval": 1, "window": 2, "period": 2}


@pytest.fixture
def study(tmp_path):
    def make(scale="smoke", **edits):
        written = copy.deepcopy(STUDY)
        for place, value in edits.items():
            *path, last = place.split("__")
            target = written
            for part in path:
                target = target[part]
            target[last] = value
        (tmp_path / "toy.yaml").write_text(yaml.safe_dump(written))
        return Plan({"scale": scale, "studies": ["toy"]}, tmp_path).studies["toy"]

    return make


def test_a_run_is_split_into_stacks_and_put_together_by_whoever_reads_it(study):
    toy = study(training__plain__stack=2)
    assert toy.names("training") == ["plain.seeds0-1", "plain.seeds2-3", "plain.seeds4-4"]
    jobs = [toy.job("training", name) for name in toy.names("training")]
    assert [job.options["seeds"] for job in jobs] == [[0, 1], [2, 3], [4]]
    assert {job.options["streams"] for job in jobs} == {"plain"}
    read = toy.job("checkpoints", "returns").inputs["plain"]["parameters"]
    assert read == [job.outputs[0] for job in jobs]
    assert set(read) <= set(toy.targets)


def test_a_stack_as_large_as_the_run_is_one_job(study):
    assert study(training__plain__stack=5).names("training") == ["plain"]
    assert study().names("training") == ["plain"]


def test_an_arm_uses_the_streams_of_another_run_and_has_its_plugin(study):
    toy = study(training__arm={**RUN, "streams": "plain", "plugin": PLUGIN})
    job = toy.job("training", "arm")
    assert job.options["streams"] == "plain"
    assert job.options["plugin"] == {"use": "paths.PPTB", "parameters": {k: v for k, v in PLUGIN.items() if k != "use"}}
    assert job.code != toy.job("training", "plain").code


def test_a_run_learns_from_what_was_extracted_from_another(study):
    demonstrations = {"use": "rollouts.demonstrations", "of": ["plain"], "episodes_per_seed": 1}
    toy = study(checkpoints__demonstrations=demonstrations, training__clone=CLONE)
    wanted = toy.job("training", "clone").inputs["environment"]
    assert wanted == toy.job("checkpoints", "demonstrations").outputs


WALKER = {"use": "control.mujoco", "task": "Walker2d-v5", "episodes": 2}
RETURNS = STUDY["checkpoints"]["returns"]


def test_an_extraction_looks_at_the_environment_that_it_names_or_else_at_its_runs_own(study):
    elsewhere = {**RETURNS, "of": ["plain", "other"], "environment": "walker"}
    edits = {"environments__walker": WALKER, "training__other": RUN, "checkpoints__elsewhere": elsewhere}
    toy = study(**edits)
    walker, hopper = (toy.job("environments", name).outputs for name in ("walker", "hopper"))
    for run in ("plain", "other"):
        inputs = toy.job("checkpoints", "elsewhere").inputs[run]
        assert inputs["episodes"] == walker
        assert inputs["parameters"] == [toy.job("training", run).outputs[0]]
    assert toy.job("checkpoints", "returns").inputs["plain"]["episodes"] == hopper
    # the key speaks to the pipeline, not to the function, and what it names is part of what the job depends on
    assert "environment" not in toy.job("checkpoints", "elsewhere").parameters
    here = study(**edits | {"checkpoints__elsewhere": {**elsewhere, "environment": "hopper"}})
    assert here.job("checkpoints", "elsewhere").inputs["plain"]["episodes"] == hopper
    assert here.job("checkpoints", "elsewhere").digest() != toy.job("checkpoints", "elsewhere").digest()


def test_an_extraction_can_look_at_another_environment_than_the_demonstrations_its_run_learnt_from(study):
    demonstrations = {"use": "rollouts.demonstrations", "of": ["plain"], "episodes_per_seed": 1}
    edits = {
        "checkpoints__demonstrations": demonstrations,
        "training__clone": CLONE,
        "checkpoints__of-clone": {**RETURNS, "of": ["clone"], "environment": "hopper"},
    }
    toy = study(**edits)
    inputs = toy.job("checkpoints", "of-clone").inputs["clone"]
    assert inputs["episodes"] == toy.job("environments", "hopper").outputs
    without = {key: value for key, value in edits["checkpoints__of-clone"].items() if key != "environment"}
    with pytest.raises(ConfigError, match="checkpoints.of-clone.of.*'clone', which has tables of.*DEMONSTRATIONS"):
        study(**edits | {"checkpoints__of-clone": without})


def test_the_environment_of_an_extraction_can_depend_on_the_scale_and_be_overridden(study, tmp_path):
    other = {**RETURNS, "environment": {"smoke": "hopper", "laptop": "walker", "paper": "walker"}}
    edits = {"environments__walker": WALKER, "checkpoints__returns": other}
    for scale, name in (("smoke", "hopper"), ("laptop", "walker")):
        found = study(scale, **edits).job("checkpoints", "returns").inputs["plain"]["episodes"]
        assert found == [f"results/{scale}/toy/environments/{name}.parquet"]
    changed = {"scale": "smoke", "studies": ["toy"], "overrides": {"toy.checkpoints.returns.environment": "walker"}}
    toy = Plan(changed, tmp_path).studies["toy"]
    assert toy.job("checkpoints", "returns").inputs["plain"]["episodes"] == toy.job("environments", "walker").outputs


def test_an_entry_exists_at_its_scales_alone(study):
    walker = {**WALKER, "scales": ["paper"]}
    edits = {"environments__walker": walker, "training__walker": {**RUN, "environment": "walker", "scales": ["paper"]}}
    assert "walker" not in study("laptop", **edits).names("training")
    assert "walker" in study("paper", **edits).names("training")


BANDITS = {"use": "bandits.bernoulli", "prior": [[1.0, 1.0], [1.0, 1.0]], "steps": 3, "episodes": 2}
MISTAKES = [
    ({"training__plain__stack": 0}, ["training.plain.stack", "0", "1 or more"]),
    ({"training__plain__streams": "plan"}, ["training.plain.streams", "'plan'", "did you mean 'plain'"]),
    ({"training__plain__plugin": "PPTB"}, ["training.plain.plugin", "'PPTB'", "a mapping"]),
    ({"training__plain__plugin": {**PLUGIN, "use": "paths.PPBT"}}, ["training.plain.plugin.use", "PPBT", "PPTB"]),
    ({"training__plain__plugin": {**PLUGIN, "wndow": 3}}, ["plugin.wndow", "did you mean 'window'"]),
    ({"training__plain__plugin": {"use": "paths.PPTB"}}, ["training.plain.plugin.interval", "missing"]),
    ({"training__plain__plugin": {**PLUGIN, "keep": "all"}}, ["training.plain.plugin.keep", "'all'", "integer"]),
    (
        {"training__plain__scales": ["papers"]},
        ["training.plain.scales.0", "papers", "'workstation' or 'paper'"],
    ),
    (
        {"training__plain__environment": "returns"},
        ["training.plain.environment", "'returns', an extraction", "learns_from: returns"],
    ),
    (
        {
            "training__plain": {
                **{key: value for key, value in RUN.items() if key != "environment"},
                "learns_from": "returns",
            }
        },
        ["training.plain.learns_from", "'returns', a table of ROLLOUTS; allowed: EPISODES"],
    ),
    (
        {"training__plain__learns_from": "returns"},
        ["training.plain.learns_from", "beside 'environment'"],
    ),
    ({"training__plain__environment": None}, ["training.plain.environment", "missing", "'learns_from'"]),
    ({"checkpoints__returns__environment": "hoper"}, ["checkpoints.returns.environment", "did you mean 'hopper'"]),
    ({"checkpoints__returns__environment": ["hopper"]}, ["checkpoints.returns.environment", "hopper"]),
    (
        {"environments__arms": BANDITS, "checkpoints__returns__environment": "arms"},
        ["checkpoints.returns.environment", "'arms', a table of BANDITS; allowed: EPISODES"],
    ),
    (
        {"checkpoints__of-path": {"use": "path.gram", "of": ["plain"], "environment": "hopper"}},
        ["checkpoints.of-path.environment", "'hopper', a table of EPISODES; allowed: none"],
    ),
    ({"training__plain__snapshots": {"every": 0}}, ["training.plain.snapshots.every", "0"]),
]


@pytest.mark.parametrize(("edits", "words"), MISTAKES)
def test_a_mistake_is_one_line(study, edits, words):
    with pytest.raises(ConfigError) as error:
        study(**edits)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_a_run_that_learns_from_itself_is_refused(study):
    demonstrations = {"use": "rollouts.demonstrations", "of": ["clone"], "episodes_per_seed": 1}
    with pytest.raises(ConfigError, match="clone"):
        study(checkpoints__demonstrations=demonstrations, training__clone=CLONE)


@pytest.mark.parametrize("run", ["plain", "good", "good - plain"])
def test_a_claim_may_name_groups_of_runs_that_a_metric_makes_and_their_differences(study, run):
    difference = {
        "use": "path_returns.differences",
        "from": ["learned"],
        "pairs": {"good": "plain"},
        "quantities": ["learned"],
    }
    metrics = {"learned": {"use": "path_returns.of_learning", "from": ["returns"]}, "between": difference}
    test = {"from": "between", "value": "value", "where": {"run": run}, "holds": "> 1"}
    claims = {"C1": {"says": "It learns.", "paper": "a table", "tests": {"gain": test}}}
    study(metrics=metrics, claims=claims)
    test["where"]["run"] = f"{run}, misspelt"
    with pytest.raises(ConfigError, match=r"claims.C1.tests.gain.where.run: no training run '.*, misspelt'"):
        study(metrics=metrics, claims=claims)
