"""How training runs relate: stacks of seeds, shared random streams, plug-ins, runs on what other runs made, scales."""

from dataclasses import asdict

import pytest
import yaml

from agentomy import claims, kinds, tables
from agentomy.mistakes import ConfigError
from agentomy.pipeline.plan.study import Plan
from agentomy.pipeline.run import stages
from tests.foundation.toy_study import CLONE, DEMONSTRATIONS, PLUGIN, RUN, STUDY, WALKER


def test_a_run_is_split_into_stacks_of_one_size_and_readers_join_them(study):
    toy = study(training__plain__stack=2)
    assert toy.names("training") == ["plain.seeds0-1", "plain.seeds2-3", "plain.seeds4-5"]
    jobs = [toy.job("training", name) for name in toy.names("training")]
    assert [job.options["seeds"] for job in jobs] == [[0, 1], [2, 3], [4, 5]]
    assert {job.options["streams"] for job in jobs} == {"plain"}
    extractions = [toy.job("checkpoints", name) for name in toy.names("checkpoints")]
    assert [extraction.inputs["parameters"] for extraction in extractions] == [job.outputs[:1] for job in jobs]
    assert [extraction.name for extraction in extractions] == [f"returns/{job.name}" for job in jobs]
    read = toy.job("metrics", "scores").inputs["rollouts"]
    assert read == [output for extraction in extractions for output in extraction.outputs]
    assert set(read) <= set(toy.targets)


def test_seeds_add_up(study, tmp_path):
    """More seeds add stacks and change none, for all runs or for one; fewer leave out whole stacks."""
    study(training__plain__seeds=3, training__other={**RUN, "seeds": 4, "stack": 2})

    def jobs(**config):
        toy = Plan({"scale": "smoke", "studies": ["toy"], **config}, tmp_path).studies["toy"]
        return {name: toy.job("training", name).digest() for name in toy.names("training")}

    whole = jobs()
    assert [*whole] == ["other.seeds0-1", "other.seeds2-3", "plain.seeds0-2"]
    more = jobs(seeds=5)
    assert more.items() > whole.items()
    assert more.keys() - whole.keys() == {"other.seeds4-5", "plain.seeds3-5"}
    assert jobs(seeds=1).items() <= whole.items()
    assert [*jobs(seeds=1)] == ["other.seeds0-1", "plain.seeds0-2"]
    one = {"toy.training.plain.seeds": 6}
    assert jobs(overrides=one).keys() - whole.keys() == {"plain.seeds3-5"}
    assert jobs(overrides=one, seeds=1).keys() == {"other.seeds0-1", "plain.seeds0-2", "plain.seeds3-5"}


def test_what_takes_no_networks_is_one_job_a_run(study):
    exact = {"use": "papers.bayes.extract.predictions.optimal", "of": ["coin"]}
    coin = {"use": "environments.sequences.bernoulli", "prior": [1.0, 1.0], "steps": 3, "episodes": 2}
    predictor = {
        "use": "agents.predictor.Predictor",
        "environment": "coin",
        "width": 4,
        "updates": 2,
        "seeds": 4,
        "stack": 2,
    }
    toy = study(
        environments__coin=coin, training__coin={**predictor, "snapshots": {"log": 2}}, checkpoints__exact=exact
    )
    assert [name for name in toy.names("checkpoints") if name.startswith("exact")] == ["exact/coin"]
    job = toy.job("checkpoints", "exact/coin")
    assert job.inputs == {"sequences": toy.job("environments", "coin").outputs}
    assert job.outputs == ["results/smoke/toy/checkpoints/exact/coin.parquet"]


def test_an_arm_uses_the_streams_of_another_run_and_has_its_plugin(study):
    toy = study(training__arm={**RUN, "streams": "plain", "plugin": PLUGIN})
    job = toy.job("training", "arm.seeds0-4")
    assert job.options["streams"] == "plain"
    assert job.options["plugin"] == {
        "use": "agents.plugins.paths.PPTB",
        "parameters": {k: v for k, v in PLUGIN.items() if k != "use"},
    }
    assert job.code != toy.job("training", "plain.seeds0-4").code


@pytest.mark.parametrize(
    ("experts", "pupils", "read"),
    [
        ((4, 2), (4, 2), {"0-1": ["0-1"], "2-3": ["2-3"]}),
        ((4, 1), (4, 2), {"0-1": ["0-0", "1-1"], "2-3": ["2-2", "3-3"]}),
        ((6, 3), (3, 1), {"0-0": ["0-2"], "1-1": ["0-2"], "2-2": ["0-2"]}),
    ],
)
def test_a_stack_that_learns_from_an_extraction_reads_only_its_own_seeds(study, experts, pupils, read):
    (many, size), (few, stack) = experts, pupils
    toy = study(
        training__plain={**RUN, "seeds": many, "stack": size},
        training__clone={**CLONE, "seeds": few, "stack": stack},
        checkpoints__demonstrations=DEMONSTRATIONS,
        checkpoints__moves={"use": "lenses.paths.extract.moves_of_clones", "of": ["clone"]},
    )
    for seeds, pieces in read.items():
        wanted = [f"results/smoke/toy/checkpoints/demonstrations/plain.seeds{seeds}.parquet" for seeds in pieces]
        assert toy.job("training", f"clone.seeds{seeds}").inputs["environment"] == wanted
        assert toy.job("checkpoints", f"moves/clone.seeds{seeds}").inputs["demonstrations"] == wanted


def test_a_stack_whose_seeds_are_not_all_there_to_learn_from_is_refused(study):
    edits = {"training__clone": {**CLONE, "seeds": 6, "stack": 3}, "checkpoints__demonstrations": DEMONSTRATIONS}
    with pytest.raises(
        ConfigError,
        match="training.clone.learns_from: found 'demonstrations', of the seeds 0 to 4; allowed: .* here 3 to 5",
    ):
        study(**edits)


def test_an_entry_exists_at_its_scales_alone(study):
    walker = {**WALKER, "scales": ["paper"]}
    edits = {"environments__walker": walker, "training__walker": {**RUN, "environment": "walker", "scales": ["paper"]}}
    assert study("laptop", **edits).names("training") == ["plain.seeds0-4"]
    assert study("paper", **edits).names("training") == ["plain.seeds0-4", "walker.seeds0-4"]


BANDITS = {"use": "environments.bandits.bernoulli", "prior": [[1.0, 1.0], [1.0, 1.0]], "steps": 3, "episodes": 2}
MISTAKES = [
    ({"training__plain__stack": 0}, ["training.plain.stack", "0", "1 or more"]),
    ({"training__plain__streams": "plan"}, ["training.plain.streams", "'plan'", "did you mean 'plain'"]),
    ({"training__plain__plugin": "PPTB"}, ["training.plain.plugin", "'PPTB'", "a mapping"]),
    (
        {"training__plain__plugin": {**PLUGIN, "use": "agents.plugins.paths.PPBT"}},
        ["training.plain.plugin.use", "PPBT", "PPTB"],
    ),
    ({"training__plain__plugin": {**PLUGIN, "wndow": 3}}, ["plugin.wndow", "did you mean 'window'"]),
    ({"training__plain__plugin": {"use": "agents.plugins.paths.PPTB"}}, ["training.plain.plugin.interval", "missing"]),
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
        {"checkpoints__of-path": {"use": "lenses.paths.extract.gram", "of": ["plain"], "environment": "hopper"}},
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
    demonstrations = {"use": "lenses.rollouts.demonstrations", "of": ["clone"], "episodes_per_seed": 1}
    with pytest.raises(ConfigError, match="clone"):
        study(checkpoints__demonstrations=demonstrations, training__clone=CLONE)


def looks_of(toy, metric="scores"):
    return toy.job("claims", "claims").parameters["planned"][metric]


def test_the_first_look_is_at_the_seeds_of_the_study_file_whatever_a_user_asks_for(study, tmp_path):
    study(training__plain={**RUN, "seeds": {"smoke": 2, "laptop": 3, "paper": 6}, "stack": 1})
    for scale, seeds in (("smoke", 2), ("laptop", 3), ("workstation", 3), ("paper", 6)):
        for asked in ({}, {"seeds": 24}, {"overrides": {"toy.training.plain.seeds": 12}}):
            toy = Plan({"scale": scale, "studies": ["toy"], **asked}, tmp_path).studies["toy"]
            assert looks_of(toy) == {"plain": [seeds, 1]}
    assert looks_of(study(training__plain={**RUN, "seeds": 4})) == {"plain": [4, 4]}


def test_the_runs_behind_a_metric_are_all_of_which_its_inputs_are_made(study):
    learned = {"use": "lenses.paths.measure.scores", "from": ["returns", "more"]}
    toy = study(
        training__other={**RUN, "seeds": 2},
        training__alone=RUN,
        checkpoints__more={"use": "lenses.rollouts.returns", "of": ["other"], "every": 10},
        metrics__learned=learned,
        claims__C1__tests__learned={"from": "learned", "value": "value", "each": ["run", "measure"]},
    )
    assert looks_of(toy, "learned") == {"plain": [5, 5], "other": [2, 2]}
    assert looks_of(toy) == {"plain": [5, 5]}


def test_a_workstation_is_as_a_laptop_unless_the_study_says_otherwise(study):
    sizes = {"smoke": 10, "laptop": 20, "paper": 40}
    walker = {**WALKER, "scales": ["smoke", "laptop"]}
    toy = study("workstation", training__plain__updates=sizes, environments__walker=walker)
    assert toy.job("training", toy.names("training")[0]).parameters["updates"] == 20
    assert toy.names("environments") == ["hopper", "walker"]
    assert toy.targets[0].startswith("results/workstation/toy/")
    assert "workstation" in toy.claims["C1"].tests["score"].scales
    larger = study("workstation", training__plain__updates={**sizes, "workstation": 30})
    assert larger.job("training", larger.names("training")[0]).parameters["updates"] == 30
    with pytest.raises(ConfigError, match="training.plain.updates: found 'x'"):  # whatever scale is asked for
        study("smoke", training__plain__updates={**sizes, "workstation": "x"})


def test_a_value_may_depend_on_the_scale_inside_a_list(study):
    widths = [8, {"smoke": 4, "laptop": 16, "paper": 256}]
    toys = [study(scale, training__plain={**RUN, "widths": widths}) for scale in ("smoke", "laptop", "paper")]
    assert [toy.job("training", toy.names("training")[0]).parameters["widths"] for toy in toys] == [
        [8, 4],
        [8, 16],
        [8, 256],
    ]


def test_a_study_of_which_only_the_paper_is_written_has_nothing_but_claims_to_print(tmp_path, capsys):
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump({"paper": STUDY["paper"]}), encoding="utf-8")
    toy = Plan({"scale": "smoke", "studies": ["toy"]}, tmp_path).studies["toy"]
    job = toy.job("claims", "claims")
    verdicts = stages.judged(asdict(job), {})
    assert len(verdicts) == 0
    assert "Claims of" in claims.markdown("toy", verdicts)
    assert "Claims of toy" in claims.html("toy", verdicts)
    folder = tmp_path / "toy"
    tables.write(folder / "claims.parquet", kinds.common.CLAIMS, verdicts)
    claims.show(str(folder / "claims.parquet"))
    assert "no claims" in capsys.readouterr().out


def test_a_claim_that_nothing_can_show_says_why_and_is_not_judged(study):
    untested = {"says": "It flies.", "paper": "a film", "untested": "there is no wind here"}
    toy = study(claims={"C1": untested})
    (whole, test) = stages.judged(asdict(toy.job("claims", "claims")), {}).to_pylist()
    assert (whole["verdict"], whole["test"], whole["group"]) == ("untested", "", "untested: there is no wind here")
    assert test["test"] == "untested: there is no wind here"
    for wrong in ({**untested, "tests": STUDY["claims"]["C1"]["tests"]}, {"says": "It flies.", "paper": "a film"}):
        with pytest.raises(ConfigError, match="claims.C1: found tests and 'untested', or neither"):
            study(claims={"C1": wrong})
