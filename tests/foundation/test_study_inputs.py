"""What the jobs of a study take: environments of extractions, tables of metrics."""

from pathlib import Path

import pytest

import agentomy
from agentomy import kinds, tables
from agentomy.mistakes import ConfigError
from agentomy.pipeline.plan import signatures
from agentomy.pipeline.plan.study import Plan
from agentomy.pipeline.source.provenance import Source
from tests.foundation.toy_study import CLONE, DEMONSTRATIONS, RUN, STUDY, WALKER
from tests.studies import SOURCE

RETURNS = STUDY["checkpoints"]["returns"]


def test_an_extraction_looks_at_the_environment_it_names_or_else_at_its_runs(study):
    elsewhere = {**RETURNS, "of": ["plain", "other"], "environment": "walker"}
    edits = {"environments__walker": WALKER, "training__other": RUN, "checkpoints__elsewhere": elsewhere}
    toy = study(**edits)
    walker, hopper = (toy.job("environments", name).outputs for name in ("walker", "hopper"))
    for run in ("plain", "other"):
        inputs = toy.job("checkpoints", f"elsewhere/{run}.seeds0-4").inputs
        assert inputs["episodes"] == walker
        assert inputs["parameters"] == [toy.job("training", f"{run}.seeds0-4").outputs[0]]
    assert toy.job("checkpoints", "returns/plain.seeds0-4").inputs["episodes"] == hopper
    # the key speaks to the pipeline, not to the function, and what it names is part of what the job depends on
    job = "elsewhere/plain.seeds0-4"
    assert "environment" not in toy.job("checkpoints", job).parameters
    here = study(**edits | {"checkpoints__elsewhere": {**elsewhere, "environment": "hopper"}})
    assert here.job("checkpoints", job).inputs["episodes"] == hopper
    assert here.job("checkpoints", job).digest() != toy.job("checkpoints", job).digest()


def test_an_extraction_of_a_clone_can_look_at_another_environment(study):
    edits = {
        "checkpoints__demonstrations": DEMONSTRATIONS,
        "training__clone": CLONE,
        "checkpoints__of-clone": {**RETURNS, "of": ["clone"], "environment": "hopper"},
    }
    toy = study(**edits)
    inputs = toy.job("checkpoints", "of-clone/clone.seeds0-0").inputs
    assert inputs["episodes"] == toy.job("environments", "hopper").outputs
    without = {key: value for key, value in edits["checkpoints__of-clone"].items() if key != "environment"}
    with pytest.raises(ConfigError, match="checkpoints.of-clone.of.*'clone', which has tables of.*DEMONSTRATIONS"):
        study(**edits | {"checkpoints__of-clone": without})


def test_the_environment_of_an_extraction_can_depend_on_the_scale_and_be_overridden(study, tmp_path):
    other = {**RETURNS, "environment": {"smoke": "hopper", "laptop": "walker", "paper": "walker"}}
    edits = {"environments__walker": WALKER, "checkpoints__returns": other}
    for scale, name in (("smoke", "hopper"), ("laptop", "walker")):
        paths = study(scale, **edits).job("checkpoints", "returns/plain.seeds0-4").inputs["episodes"]
        assert paths == [f"results/{scale}/toy/environments/{name}.parquet"]
    changed = {"scale": "smoke", "studies": ["toy"], "overrides": {"toy.checkpoints.returns.environment": "walker"}}
    toy = Plan(changed, tmp_path, SOURCE).studies["toy"]
    inputs = toy.job("checkpoints", "returns/plain.seeds0-4").inputs
    assert inputs["episodes"] == toy.job("environments", "walker").outputs


def test_a_column_can_have_its_values_and_the_names_of_a_study_alone(monkeypatch):
    words = (
        tables.Column("agent", "text", "which", values=("trained", "untrained")),
        tables.Column("run", "text", "of which run", values=("all",), names="runs"),
        tables.Column("method", "text", "whatever it is"),
        tables.Column("picture", "doubles", "a picture"),
    )
    monkeypatch.setitem(kinds.ALL, "WORDS", tables.Kind("words", "rows of words", words))
    columns = signatures.columns("WORDS", {"runs": ["plain"], "environments": ["hopper"]})
    assert {name: (column.type, column.values) for name, column in columns.items()} == {
        "agent": ("text", ["trained", "untrained"]),
        "run": ("text", ["all", "plain"]),
        "method": ("text", None),
        "picture": ("other", None),
    }


def test_inputs_may_be_named_by_parameter(study):
    listed, named = study(), study(metrics__scores__from={"rollouts": "returns"})
    assert named.job("metrics", "scores").inputs == listed.job("metrics", "scores").inputs
    assert named.job("metrics", "scores").digest() == listed.job("metrics", "scores").digest()


PAIR = """
from agentomy import kinds

def pair(one: kinds.paths.ROLLOUTS, other: kinds.paths.ROLLOUTS) -> kinds.common.COMPARISON:
    return kinds.common.COMPARISON
"""


@pytest.fixture
def source_with_a_pair(tmp_path):
    """The package with one more metric, which takes two tables of a kind."""
    root, package = tmp_path / "package", Path(agentomy.__file__).parent
    (root / "lenses").mkdir(parents=True)
    for path in package.iterdir():
        if path.name != "lenses":
            (root / path.name).symlink_to(path)
    for path in (package / "lenses").iterdir():
        (root / "lenses" / path.name).symlink_to(path)
    (root / "lenses" / "pairs.py").write_text(PAIR, encoding="utf-8")
    return Source(root)


def test_two_tables_of_a_kind_go_where_the_mapping_says(study, source_with_a_pair):
    other = {**RETURNS, "every": 20}

    def between(inputs):
        metrics = {**STUDY["metrics"], "between": {"use": "lenses.pairs.pair", "from": inputs}}
        return study(source=source_with_a_pair, checkpoints__other=other, metrics=metrics)

    toy = between({"one": "other", "other": ["returns"]})
    files = {name: toy.files("checkpoints", name) for name in ("returns", "other")}
    assert toy.job("metrics", "between").inputs == {"one": files["other"], "other": files["returns"]}
    with pytest.raises(ConfigError, match="metrics.between.from: 'returns' could be each of one, other"):
        between(["returns", "other"])
    with pytest.raises(ConfigError, match="metrics.between.from.two: no table among the parameters 'two'"):
        between({"one": "other", "two": "returns"})
