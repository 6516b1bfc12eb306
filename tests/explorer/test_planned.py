"""The explorer shows what is planned, by the plan of the Snakemake that started it."""

from agentomy import kinds, tables
from agentomy.explorer.results import Results, planned
from agentomy.pipeline.plan.study import Plan
from tests.explorer.conftest import planted


def planted_as_planned(folder) -> Results:
    """Runs `corner` and `anywhere` by the names that the study maze has for runs, one of them with a stack too many."""
    results = planted(folder)
    training = results.folder / "maze" / "training"
    for path in [*training.iterdir()]:
        table = tables.Table(kinds.common.PARAMETERS, [path])
        run = {"corner": "region-2", "anywhere": "anywhere"}[path.name.partition(".")[0]]
        for seed in (0, 1, 5):
            pieces = (
                kinds.common.PARAMETERS.table(seed=seed, update=rows["update"][:1], **only(tables.tensors(rows)))
                for rows in table.groups()
            )
            name = f"{run}.seeds{seed}-{seed}.parameters.parquet"
            tables.write(training / name, kinds.common.PARAMETERS, pieces, table.description)
    return results


def only(arrays: dict) -> dict:
    return {name: array[:1] for name, array in arrays.items()}


def test_only_what_is_planned_is_shown(tmp_path):
    """A stack that is wanted no more, and a run that is in no study file, may still lie there."""
    results = planted_as_planned(tmp_path / "results")
    everything = {run.name: list(run.files) for run in results.runs()}
    assert everything["region-2"] == [0, 1, 5]
    assert "corner" in everything
    shown = Results(results.root, "smoke", Plan({"scale": "smoke", "studies": ["maze"]}, lazy=True))
    assert {run.name: list(run.files) for run in shown.runs()} == {"region-2": [0, 1], "anywhere": [0, 1]}
    assert not shown.pieces("maze")  # features of `corner`
    more = Results(results.root, "smoke", Plan({"scale": "smoke", "studies": ["maze"], "seeds": 6}, lazy=True))
    assert {run.name: list(run.files) for run in more.runs()}["region-2"] == [0, 1, 5]


def test_the_plan_is_that_of_the_snakemake_that_started_it_or_of_config_yaml(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AGENTOMY_CONFIG", raising=False)
    assert planned("smoke") is None
    (tmp_path / "config.yaml").write_text("scale: laptop\nstudies: [maze]\nseeds: 4\n")
    assert (planned("smoke").config.scale, planned("smoke").config.seeds) == ("smoke", 4)
    monkeypatch.setenv("AGENTOMY_CONFIG", '{"scale": "smoke", "studies": ["maze"], "seeds": 7}')
    assert planned("smoke").config.seeds == 7
