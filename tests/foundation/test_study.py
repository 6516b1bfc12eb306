"""Config and study files: every mistake is one line that names file, key, what was found and what is allowed."""

import copy
import json

import pytest
import yaml

from agentomy.mistakes import ConfigError
from agentomy.pipeline.plan.config import gathered
from agentomy.pipeline.plan.study import Plan
from agentomy.yaml_files import parse_yaml
from tests.studies import SOURCE

CONFIG = {"scale": "smoke", "studies": ["toy"]}
STUDY = {
    "paper": {"title": "A paper", "authors": "Somebody", "url": "https://example.org"},
    "environments": {
        "coin": {
            "use": "environments.sequences.bernoulli",
            "prior": [1, 1],
            "steps": 5,
            "episodes": {"smoke": 10, "laptop": 20, "paper": 30},
        },
        "arms": {
            "use": "environments.bandits.gaussian",
            "mean": 0,
            "variance": 1,
            "noise": 1,
            "steps": 5,
            "episodes": 10,
        },
    },
    "training": {
        "coin": {
            "use": "agents.predictor.Predictor",
            "environment": "coin",
            "width": 4,
            "updates": {"smoke": 3, "laptop": 30, "paper": 300},
            "seeds": {"smoke": 1, "laptop": 3, "paper": 10},
            "snapshots": {"log": 3},
        }
    },
    "checkpoints": {"predictions": {"use": "papers.bayes.extract.predictions.predictions", "of": ["coin"]}},
    "metrics": {"distance": {"use": "papers.bayes.measure.optimality.kl_to_bayes", "from": ["predictions"]}},
    "figures": {},
    "claims": {
        "C1": {
            "says": "It learns.",
            "paper": "a figure",
            "tests": {"kl": {"from": "distance", "value": "kl", "each": "run", "holds": "< 1e-3"}},
        }
    },
}


@pytest.fixture
def plan(tmp_path):
    def make(config=None, edit=None):
        study = copy.deepcopy(STUDY)
        if edit:
            place, value = edit
            *path, last = place.split("/")
            target = study
            for part in path:
                target = target[part]
            if value is None:
                del target[last]
            else:
                target[last] = value
        (tmp_path / "toy.yaml").write_text(yaml.safe_dump(study))
        (tmp_path / "config.txt").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
        return Plan(gathered([tmp_path / "config.txt"], config or {}), tmp_path, SOURCE)

    return make


def test_a_job_holds_everything_it_depends_on(plan):
    study = plan().studies["toy"]
    job = study.job("training", "coin.seeds0-0")
    assert job.parameters == {"width": 4, "updates": 3}
    assert job.options["seeds"] == [0]
    assert job.inputs == {"environment": ["results/smoke/toy/environments/coin.parquet"]}
    assert job.outputs[0] == "results/smoke/toy/training/coin.seeds0-0.parameters.parquet"
    assert "torch" in job.versions
    assert "torch" not in study.job("environments", "coin").versions
    assert json.loads(job.text())["code"] == job.code
    extraction = study.job("checkpoints", "predictions/coin.seeds0-0")
    assert extraction.inputs == {"sequences": job.inputs["environment"], "parameters": job.outputs[:1]}
    assert study.job("metrics", "distance").inputs == {"predictions": extraction.outputs}


def test_seeds_and_scale_of_the_configuration_reach_the_jobs(plan):
    study = plan({"scale": "paper", "seeds": 11}).studies["toy"]
    assert study.names("training") == ["coin.seeds0-9", "coin.seeds10-19"]
    job = study.job("training", "coin.seeds10-19")
    assert job.options["seeds"] == list(range(10, 20))
    assert job.parameters["updates"] == 300


@pytest.mark.parametrize("value", [7, "7"])  # --config hands nested values over as strings
def test_an_override_reaches_its_job_and_no_other(plan, value):
    plain, changed = plan().studies["toy"], plan({"overrides": {"toy.training.coin.updates": value}}).studies["toy"]
    assert changed.job("training", "coin.seeds0-0").parameters["updates"] == 7
    assert changed.job("environments", "coin").text() == plain.job("environments", "coin").text()
    assert changed.job("metrics", "distance").text() == plain.job("metrics", "distance").text()


def test_an_override_reaches_a_nested_value(plan):
    job = plan({"overrides": {"toy.training.coin.snapshots.log": "5"}}).studies["toy"].job("training", "coin.seeds0-0")
    assert job.options["snapshots"] == {"log": 5}


def test_a_job_changes_with_its_own_parameters_alone(plan):
    plain = plan().studies["toy"]
    changed = plan(edit=("training/coin/width", 5)).studies["toy"]
    differing = [
        stage
        for stage, name in [
            ("environments", "coin"),
            ("training", "coin.seeds0-0"),
            ("checkpoints", "predictions/coin.seeds0-0"),
            ("metrics", "distance"),
        ]
        if plain.job(stage, name).text() != changed.job(stage, name).text()
    ]
    assert differing == ["training"]


CONFIG_MISTAKES = [
    ({"scale": "smok"}, ["scale", "'smok'", "'smoke', 'laptop', 'workstation' or 'paper'"]),
    ({"sclae": "smoke"}, ["sclae", "did you mean 'scale'", "allowed"]),
    ({"studies": "tay"}, ["studies", "'tay'", "did you mean 'toy'"]),
    ({"studies": []}, ["studies", "[]", "at least 1"]),
    ({"seeds": 0}, ["seeds", "0", "1 or more"]),
    ({"seeds": "three"}, ["seeds", "'three'", "valid integer"]),
    ({"device": "gpu"}, ["device", "'gpu'", "'cpu' or 'cuda'"]),
    ({"overrides": "x"}, ["overrides", "'x'", "dotted paths"]),
    ({"overrides": {"tay.training.coin.width": 1}}, ["overrides.tay", "no study 'tay'", "toy"]),
    ({"overrides": {"toy.trainings.coin.width": 1}}, ["no stage 'trainings'", "training"]),
    ({"overrides": {"toy.training.con.width": 1}}, ["no entry of training 'con'", "did you mean 'coin'"]),
    ({"overrides": {"toy.training.coin.widht": 1}}, ["no parameter 'widht'", "did you mean 'width'"]),
    ({"overrides": {"toy.training.coin": 1}}, ["no parameter ''", "width"]),
    ({"overrides": {"toy.training.coin.snapshots.lag": 1}}, ["no part of snapshots 'lag'", "log"]),
    ({"overrides": {"toy.training.coin.width.x": 1}}, ["no part of width 'x'"]),
    ({"overrides": {"toy.training.coin.environment.x": 1}}, ["no part of environment 'x'; allowed: "]),
    (
        {"overrides": {"toy.training.coin.width": "wide"}},
        ["overrides.toy.training.coin.width: found 'wide'", "integer"],
    ),
    ({"overrides": {"toy.training.coin.snapshots.log": "x"}}, ["overrides.toy.training.coin.snapshots.log", "'x'"]),
    ({"overrides": {"toy.metrics.distance.from": "[coin]"}}, ["overrides.toy.metrics.distance.from", "'coin'"]),
]


@pytest.mark.parametrize(("config", "words"), CONFIG_MISTAKES)
def test_a_mistake_in_the_configuration_is_one_line(plan, config, words):
    with pytest.raises(ConfigError) as error:
        plan(config)
    line = str(error.value)
    assert "\n" not in line
    assert all(word in line for word in ["yaml", *words]), line


STUDY_MISTAKES = [
    ("metric", {}, ["metric", "no section", "did you mean 'metrics'"]),
    ("metrics", ["distance"], ["metrics", "['distance']", "a mapping"]),
    ("metrics", None, ["claims.C1.tests.kl.from", "no metric 'distance'; allowed: none"]),
    ("paper/url", None, ["paper.url", "missing"]),
    ("paper/year", 2020, ["paper.year", "no key 'year'", "title"]),
    (
        "environments/coin/use",
        "environments.sequences.bernouli",
        ["environments.coin.use", "bernouli", "bernoulli", "allowed"],
    ),
    ("environments/coin/use", "environments.sequence.bernoulli", ["environments.coin.use", "sequence", "sequences"]),
    ("environments/coin/use", 3, ["environments.coin.use", "3 (int)", "MODULE.FUNCTION"]),
    ("environments/coin/steps", "five", ["environments.coin.steps", "'five'", "integer"]),
    ("environments/coin/steps", 5.5, ["environments.coin.steps", "5.5"]),
    ("environments/coin/steps", None, ["environments.coin.steps", "missing", "requires"]),
    ("environments/coin/prior", [1, "a"], ["environments.coin.prior.1", "'a'", "number"]),
    ("environments/coin/streams", 1, ["no parameter of environments.sequences.bernoulli 'streams'"]),
    ("environments/coin/episodes", {"smoke": 1}, ["environments.coin.episodes", "smoke", "laptop"]),
    ("environments/coin/episodes", {"smoke": 1, "laptop": 1, "papr": 2}, ["papr", "paper"]),
    ("environments/a b", {"use": "environments.sequences.bernoulli"}, ["environments", "'a b'", "letters"]),
    ("training/coin/environment", "con", ["training.coin.environment", "no environment 'con'", "did you mean 'coin'"]),
    ("training/coin/environment", "arms", ["training.coin.environment", "BANDITS", "SEQUENCES"]),
    ("training/coin/seeds", 0, ["training.coin.seeds", "0", "1 or more"]),
    ("training/coin/seeds", None, ["training.coin.seeds", "missing"]),
    ("training/coin/seeds", 10**9, ["training.coin.seeds", "1000000000", "10000 or less"]),
    ("training/coin/snapshots", {"lag": 3}, ["training.coin.snapshots.lag", "did you mean 'log'"]),
    ("training/coin/snapshots/log", -1, ["training.coin.snapshots.log", "-1"]),
    ("training/coin/environment", ["coin"], ["training.coin.environment", "['coin']", "coin"]),
    ("training/coin/updates", {"smoke": 3, "laptop": "x", "paper": 3}, ["training.coin.updates", "'x'"]),
    ("training/coin/use", "predictor.Predictor", ["training.coin.use", "another room", "agents.…"]),
    (
        "metrics/distance/use",
        "agents.predictor.Predictor",
        ["metrics.distance.use", "another room", "lenses.… or papers.…"],
    ),
    ("metrics/distance/use", "lenses.paths.draw.null", ["metrics.distance.use", "does not return a table"]),
    ("training/coin/use", "agents.driver.train", ["training.coin.use", "no stage function"]),
    ("environments/coin/use", "environments.sequences.previous", ["environments.coin.use", "no stage function"]),
    ("metrics/distance/use", "papers.bayes.measure.optimality.regret", ["metrics.distance.use", "no stage function"]),
    ("metrics/distance/from", ["predictions", "predictions"], ["metrics.distance.from", "each name once"]),
    ("claims/C1/tests/kl/holds", "< 1.2.3", ["claims.C1.tests.kl.holds", "'< 1.2.3'", "a comparison with a number"]),
    ("claims/C1/tests/kl/where", {"run": ["con"]}, ["kl.where.run", "no value 'con'", "'coin'", "allowed: coin"]),
    ("claims/C1/tests/kl/where", {"run": "con"}, ["kl.where.run", "no value 'con'", "'coin'", "allowed: coin"]),
    ("claims/C1/tests/kl/where", {"seed": "0"}, ["kl.where.seed", "'0' (str)", "allowed: integer, first or last"]),
    ("claims/C1/tests/kl/where", {"run": []}, ["kl.where.run", "at least 1"]),
    ("claims/C1/tests/kl/less", {"run": "con"}, ["kl.less.run", "no value 'con'", "allowed: coin"]),
    ("claims/C1/tests/kl/over", {"rum": "coin"}, ["kl.over.rum", "no column 'rum'", "did you mean 'run'"]),
    ("claims/C1/tests/kl/mean", "seed", ["kl.mean", "found 'seed', which is the unit"]),
    ("claims/C1/tests/kl/median", ["runs"], ["kl.median", "no column 'runs'", "did you mean 'run'"]),
    ("claims/C1/tests/kl/unit", "maze", ["kl.unit", "no column 'maze'", "seed"]),
    ("claims/C1/tests/kl/count", "run", ["kl.count", "column 'run' of type text", "allowed: numbers"]),
    ("claims/C1/tests/kl/within", [1.0, 0.0], ["kl.within", "the smaller number first"]),
    ("claims/C1/tests/kl/premise", "yes", ["kl.premise", "'yes' (str)", "a valid boolean"]),
    ("claims/C1/differs", 3, ["claims.C1.differs", "found 3 (int)", "text"]),
    ("training/coin/wdth", 3, ["training.coin.wdth", "did you mean 'width'"]),
    ("checkpoints/predictions/of", ["con"], ["checkpoints.predictions.of", "no training run 'con'", "coin"]),
    ("checkpoints/predictions/of", "coin", ["checkpoints.predictions.of", "'coin'", "a list of names"]),
    ("checkpoints/predictions/use", "papers.bayes.extract.play.play", ["checkpoints.predictions", "missing"]),
    (
        "checkpoints/distance",
        {"use": "papers.bayes.extract.predictions.predictions", "of": ["coin"]},
        ["metrics.distance", "same name"],
    ),
    ("metrics/distance/from", ["prediction"], ["metrics.distance.from", "no artifact 'prediction'", "predictions"]),
    ("metrics/distance/from", ["training.coin"], ["metrics.distance.from", "LOG", "PREDICTIONS"]),
    ("metrics/distance/from", [], ["metrics.distance.from", "a list of names"]),
    ("claims/C1/tests/kl/from", "distanc", ["claims.C1.tests.kl.from", "no metric 'distanc'", "distance"]),
    ("claims/C1/tests/kl/value", "kll", ["claims.C1.tests.kl.value", "no column 'kll'", "did you mean 'kl'"]),
    ("claims/C1/tests/kl/value", "run", ["claims.C1.tests.kl.value", "'run'", "of type text", "numbers"]),
    ("training/coin/updates", 0, ["training.coin.updates", "found 0", "1 or more"]),
    ("claims/C1/tests/kl/where", {"steps": 1}, ["claims.C1.tests.kl.where", "no column 'steps'", "seed"]),
    ("claims/C1/tests/kl/each", "task", ["claims.C1.tests.kl.each", "no column 'task'", "run"]),
    ("claims/C1/tests/kl/holds", "below 3", ["claims.C1.tests.kl.holds", "'below 3'"]),
    ("claims/C1/tests/kl/interval", "loog", ["claims.C1.tests.kl.interval", "'loog'", "'linear'", "'log'"]),
    ("claims/C1/tests/kl/unit", "given", ["claims.C1.tests.kl.unit", "no column 'low'"]),
    ("claims/C1/tests/kl/scales", ["labtop"], ["claims.C1.tests.kl.scales", "'labtop'"]),
    ("claims/C1/say", "x", ["claims.C1.say", "did you mean 'says'"]),
]


@pytest.mark.parametrize(("place", "value", "words"), STUDY_MISTAKES)
def test_a_mistake_in_a_study_is_one_line(plan, place, value, words):
    with pytest.raises(ConfigError) as error:
        plan(edit=(place, value))
    line = str(error.value)
    assert "\n" not in line
    assert all(word in line for word in ["toy.yaml", *words]), line


def test_broken_yaml_on_the_command_line_is_one_line(plan):
    with pytest.raises(ConfigError) as error:
        plan({"overrides": {"toy.training.coin.width": "[1"}})
    assert str(error.value).startswith("--config: overrides.toy.training.coin.width: line ")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ({"bayes.training.gb.signal": "regert"}, ["'regert'", "'reward' or 'regret'"]),
        ({"bayes.checkpoints.maps-bandit.drive": "gitins"}, ["'gitins'", "'gittins' or 'network'"]),
        ({"bayes.figures.F7-structure.map": "mpl"}, ["'mpl'", "'mlp' or 'linear'"]),
    ],
)
def test_a_misspelt_choice_is_one_line_before_any_job(override, words):
    with pytest.raises(ConfigError) as error:
        Plan({"scale": "smoke", "studies": ["bayes"], "overrides": override}, source=SOURCE)
    assert all(word in str(error.value) for word in [*override, *words])


def test_a_repeated_key_and_broken_yaml_are_refused_with_the_line(tmp_path):
    texts = {
        "paper: {}\npaper: {}\n": ["line 2", "'paper'", "twice"],
        "a: [1\n": ["line"],
        "a: {{x}}\n": ["line 1", "a key is not plain text"],
        "2020: 3\n": ["2020", "no section"],
        "": ["None", "a mapping"],
    }
    for text, words in texts.items():
        (tmp_path / "toy.yaml").write_text(text)
        with pytest.raises(ConfigError) as error:
            Plan(CONFIG, tmp_path, SOURCE)
        assert all(word in str(error.value) for word in ["toy.yaml", *words])


def test_merged_keys_may_be_overridden_also_in_a_chain():
    text = "base: &base {a: 1, b: 2}\ntwo: {deep: &two {<<: *base, b: 3}}\nx: {<<: *two, a: 4}\n"
    assert parse_yaml(text, "toy.yaml")["x"] == {"a": 4, "b": 3}


def test_numbers_may_be_written_with_an_exponent():
    assert parse_yaml("[1e-3, 2E4, 1.5e2, -3]", "toy.yaml") == [0.001, 20000.0, 150.0, -3]


def test_every_study_of_the_repository_is_right_at_every_scale():
    for scale in ("smoke", "laptop", "paper"):
        for study in Plan({"scale": scale, "studies": ["bayes"]}, source=SOURCE).studies.values():
            assert study.targets


def test_a_study_read_alone_has_the_same_jobs_as_beside_the_others():
    config = {"scale": "smoke", "studies": ["l3d"]}  # it looks at runs of two other studies
    alone, together = (Plan(config, source=SOURCE, lazy=lazy).studies["l3d"] for lazy in (True, False))
    for stage in ("environments", "training", "checkpoints", "metrics", "figures"):
        jobs = {name: together.job(stage, name).digest() for name in together.names(stage)}
        assert jobs == {name: alone.job(stage, name).digest() for name in alone.names(stage)}
