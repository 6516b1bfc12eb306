"""What jobs ask of a cluster: by stage and scale, by entry, and never part of what makes an artifact."""

import pytest

from agentomy.mistakes import ConfigError
from agentomy.pipeline.plan.resources import DEFAULTS
from tests.foundation.test_study import plan  # noqa: F401  # a fixture

ASKED = ("training/coin/resources", {"mem_mb": {"smoke": 1, "laptop": 2, "paper": 3}, "runtime": 5})


@pytest.mark.parametrize(("scale", "mem_mb"), [("smoke", 1), ("laptop", 2), ("paper", 3)])
def test_an_entry_says_what_its_job_needs_at_each_scale(plan, scale, mem_mb):  # noqa: F811
    study = plan({"scale": scale}, ASKED).studies["toy"]
    assert study.resources("training", "coin") == {"mem_mb": mem_mb, "runtime": 5, "gpu": 0}


def test_what_an_entry_does_not_say_is_by_stage_and_scale(plan):  # noqa: F811
    study = plan({"scale": "paper"}, ("training/coin/resources", {"mem_mb": 7})).studies["toy"]
    assert study.resources("training", "coin") == {"mem_mb": 7, "runtime": DEFAULTS["training"]["paper"][1], "gpu": 0}
    assert study.resources("claims", "claims")["mem_mb"] == DEFAULTS["claims"]["paper"][0]


def test_a_stack_of_seeds_asks_for_what_its_run_says(plan):  # noqa: F811
    study = plan({"scale": "paper"}, ("training/coin/resources", {"mem_mb": 7})).studies["toy"]
    assert study.resources("training", "coin.seeds0-4")["mem_mb"] == 7


def test_a_gpu_is_asked_for_by_jobs_that_use_one(plan):  # noqa: F811
    study = plan({"device": "cuda"}).studies["toy"]
    places = [("environments", "coin"), ("training", "coin"), ("metrics", "distance"), ("claims", "claims")]
    assert [study.resources(*place)["gpu"] for place in places] == [0, 1, 0, 0]


def test_more_memory_makes_no_other_artifact(plan):  # noqa: F811
    plain, more = plan().studies["toy"], plan(edit=ASKED).studies["toy"]
    assert plain.job("training", "coin.seeds0-0").digest() == more.job("training", "coin.seeds0-0").digest()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"mem": 1}, ["resources.mem", "did you mean 'mem_mb'", "runtime"]),
        ({"mem_mb": "4G"}, ["resources.mem_mb", "'4G' (str)", "valid integer"]),
        ({"runtime": 0}, ["resources.runtime", "0 (int)", "1 or more"]),
        ({"runtime": {"smoke": 1}}, ["resources.runtime", "all of smoke, laptop and paper"]),
        (4000, ["resources", "4000 (int)"]),
    ],
)
def test_a_mistake_is_one_line(plan, given, words):  # noqa: F811
    with pytest.raises(ConfigError) as error:
        plan(edit=("training/coin/resources", given))
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in ["toy.yaml: training.coin.", *words]), str(error.value)


def test_an_override_is_named_when_it_is_wrong(plan):  # noqa: F811
    with pytest.raises(ConfigError, match="config.yaml: overrides.toy.training.coin.resources.mem_mb: found -1"):
        plan({"overrides": {"toy.training.coin.resources": {"mem_mb": -1}}})
