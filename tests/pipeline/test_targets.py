"""Named targets, mistakes in the configuration, the claims on the terminal, and the report."""

import json
import re

import pytest

from agentomy import kinds
from agentomy.pipeline.plan import signatures
from agentomy.pipeline.plan.study import Plan
from agentomy.pipeline.report import scoreboard, text
from agentomy.tables import Table
from tests.pipeline.trees import ROOT
from tests.studies import SOURCE


@pytest.mark.parametrize(
    ("target", "last"),
    [
        ("bayes", "claims claims"),
        ("results/smoke/bayes/figures/T1-tasks.png", "figures T1-tasks"),
        ("results/smoke/bayes/metrics/distance.parquet", "metrics distance"),
    ],
)
def test_a_study_a_figure_and_a_metric_are_targets(empty, target, last):
    assert last in empty.planned(target)


def test_a_metric_target_needs_no_figure_and_no_other_metric(empty):
    planned = empty.planned("results/smoke/bayes/metrics/distance.parquet")
    assert {job for job in planned if job.split()[0] in ("metrics", "figures")} == {"metrics distance"}


TEMPLATE = '__use_yte__: true\nscale: ?open("ran", "w") and "smoke"\nstudies: [bayes]\n'


@pytest.mark.parametrize(
    ("file", "arguments", "line"),
    [
        (None, ["--config", "scale=smok"], "config.yaml: scale: found 'smok' (str); allowed: 'smoke', 'laptop', "),
        ("scale: smoke\nscale: laptop\n", [], "config.yaml: line 2: key 'scale' is given twice"),
        (TEMPLATE, [], "config.yaml: __use_yte__: no key '__use_yte__'"),
        (None, ["--configfile", "other.yaml"], "config.yaml: sclae: no key 'sclae' (did you mean 'scale'?)"),
        (None, ["byes"], "target: byes: no target 'byes' (did you mean 'bayes'?)"),
    ],
)
def test_a_mistake_stops_before_any_job_with_one_line(empty, file, arguments, line):
    (empty.path / "other.yaml").write_text("sclae: smoke\n", encoding="utf-8")
    if file:
        (empty.path / "config.yaml").write_text(file, encoding="utf-8")
    done = empty.snakemake(*arguments, scale=False)
    assert done.returncode != 0
    profile, said, *more = done.stdout.splitlines()
    assert profile.startswith("Using ")
    assert said.startswith(f"agentomy: {line}")
    assert not more
    assert not (empty.path / "results").exists()
    assert not (empty.path / "ran").exists()


def test_a_mistake_that_only_a_job_can_see_is_one_line(empty):
    spread = "results/smoke/twm/metrics/spread.parquet"
    mistake = "overrides={twm.metrics.spread.methods: [TWM, TMW]}"
    done = empty.snakemake(spread, "--config", "scale=smoke", mistake, scale=False)
    assert done.returncode != 0
    lines = done.stdout.splitlines()
    said = next(number for number, line in enumerate(lines) if "spread" in line)
    assert lines[said].startswith("twm · metrics · spread · normalised: no method 'TMW'; there are: ")
    assert "traceback" not in done.stdout.lower()
    # and behind it how Snakemake ends: where its log is, and how long it took
    assert [line.split()[0] for line in lines[said + 1 :] if line] == ["Exiting", "Complete", "Elapsed"]


def test_a_home_that_cannot_be_written_stops_nothing(empty, monkeypatch):
    monkeypatch.setenv("HOME", "/dev/null/home")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    done = empty.snakemake("results/smoke/bayes/environments/gb.parquet")
    assert done.returncode == 0, done.stdout
    assert (empty.study / "environments" / "gb.parquet").exists()


def test_every_artifact_of_the_run_is_of_its_kind_and_describes_itself(smoke):
    study = Plan({"scale": "smoke", "studies": ["bayes"]}, source=SOURCE).studies["bayes"]
    for stage in ("environments", "checkpoints", "metrics"):
        for name, entry in study.entries[stage].items():
            kind = signatures.signature(SOURCE, stage, entry.use).returns
            table = Table(kinds.ALL[kind], [smoke.path / file for file in study.files(stage, name)])
            assert len(table) > 0
            if kinds.ALL[kind].description:
                parameters = study.job(stage, next(iter(study.parts(stage, name)))).parameters
                assert all(described.parameters.items() >= parameters.items() for described in table.descriptions)


def test_learning_lowers_every_distance_even_at_this_scale(smoke):
    distance = Table(kinds.bayes.DISTANCE, [smoke.study / "metrics" / "distance.parquet"]).frame()
    means = distance.groupby(["run", "update"])["kl"].mean().unstack()
    assert (means[means.columns.max()] < means[0]).all()


def test_the_claims_are_printed_as_a_table(smoke):
    done = smoke.snakemake("claims")
    assert done.returncode == 0
    for number in range(1, 9):
        assert re.search(rf"^C{number} .*not at this scale", done.stdout, re.MULTILINE)


def test_the_report_holds_every_figure_and_the_claims_and_needs_no_network(smoke):
    done = smoke.snakemake("--report", "report.html")
    assert done.returncode == 0, done.stdout
    report = (smoke.path / "report.html").read_text()
    study = Plan({"scale": "smoke", "studies": ["bayes"]}, source=SOURCE).studies["bayes"]
    for name in study.entries["figures"]:
        assert f"{name}.png" in report
        assert json.dumps(text.label(study.entries["figures"][name]))[1:-1] in report
        command = f"snakemake --cores all results/smoke/bayes/figures/{name}.png --config scale=smoke"
        assert report.count(command) >= 2  # on the first page, and beside the figure
    assert "claims.html" in report
    first = json.loads(re.search(r"var workflow_desc = (.*);\n", report)[1])
    score = scoreboard.score(smoke.study)
    assert "".join(f'<td class="number">{cell}' for cell in score.cells) in first
    assert score.cells[0] == str(len(study.claims))
    assert first.count("snakemake --cores all results/smoke/bayes/claims.parquet --config scale=smoke") == len(
        study.claims
    )
    assert re.search(r"<th>up to date</th><td>all \d+ jobs are as this code", first)
    assert "One episode of a categorical task" in report
    assert not re.findall(r"<(?:script|img|link|iframe)[^>]+(?:src|href)=\\?[\"']https?://", report)


def test_the_conda_environment_has_the_pins_of_the_requirements():
    lines = (ROOT / "envs" / "requirements.txt").read_text().splitlines()
    locked = dict(line.lower().split("==") for line in lines if "==" in line)
    conda = re.findall(r"^ +- ([\w-]+)==?([\d.]+)$", (ROOT / "envs" / "agentomy.yaml").read_text(), re.MULTILINE)
    names = {"pytorch": "torch"}
    pins = {names.get(name, name).lower(): version for name, version in conda if name != "python"}
    asked = [re.split(r"[\[=<>]", line)[0].lower() for line in (ROOT / "envs" / "requirements.in").read_text().split()]
    assert set(pins) - {"imageio"} == set(asked)  # conda's gymnasium does not bring what its MuJoCo tasks ask for
    assert pins == {name: locked[name] for name in pins}


def test_the_page_of_artifacts_is_what_the_kinds_say():
    namespace: dict = {"__name__": "page"}
    exec((ROOT / "docs" / "artifacts.py").read_text(), namespace)
    assert (ROOT / "docs" / "artifacts.md").read_text() == namespace["page"](), "run `make docs`"


def test_the_lens_of_the_readme_works_in_the_study(copied):
    readme = (ROOT / "README.md").read_text()
    (code,) = re.findall(r"```python\n# (workflow/agentomy/papers/\w+/measure/\w+\.py)\n(.*?)```", readme, re.DOTALL)
    (entry,) = re.findall(r"```yaml\n# workflow/studies/bayes.yaml\nmetrics:\n(.*?)```", readme, re.DOTALL)
    (copied.path / code[0]).write_text(code[1])
    copied.replace("workflow/studies/bayes.yaml", "\nmetrics:\n", f"\nmetrics:\n{entry}")
    name = entry.split(":")[0].strip()
    done = copied.snakemake(f"results/smoke/bayes/metrics/{name}.parquet")
    assert done.returncode == 0, done.stdout
    norms = Table(kinds.common.COMPARISON, [copied.study / "metrics" / f"{name}.parquet"]).frame()
    assert (norms["value"] > 0).all()
    assert set(norms["quantity"]) == {"trained", "untrained", "untrained, other forget bias"}
