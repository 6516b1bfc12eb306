"""Targets: what no rule makes ends in one line with what was perhaps meant."""

import re
from pathlib import Path

import pytest

from agentomy.mistakes import ConfigError
from agentomy.pipeline.plan import targets
from agentomy.pipeline.plan.study import TAKEN, Plan

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def plan():
    return Plan({"scale": "smoke", "studies": ["bayes"]}, lazy=True)


@pytest.mark.parametrize(
    "target",
    [
        *("all", "claims", "explorer", "explorer_copy", "bayes", "maze-13"),
        "results/smoke/bayes/metrics/distance.parquet",
        "./results/smoke/bayes/figures/../figures/T1-tasks.png",
        "results/smoke/bayes/checkpoints/predictions/cat-3.seeds0-0.parquet",
        "results/smoke/bayes/claims.md",
        "results/smoke/explorer.html",
        "s3://bucket/results/smoke/bayes/claims.md",
    ],
)
def test_what_a_rule_makes_is_a_target(plan, target):
    targets.check(plan, [target])


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("byes", "no target 'byes' (did you mean 'bayes'?); allowed: all, claims"),
        ("metric", "this rule makes many files"),
        ("results", "no scale ''"),
        ("results/laptp/bayes/claims.md", "no scale 'laptp' (did you mean 'laptop'?)"),
        ("results/laptop/bayes/claims.md", "the configuration says smoke; allowed: with --config scale=laptop"),
        ("results/smoke/byes/claims.md", "no study 'byes' (did you mean 'bayes'?)"),
        ("results/smoke/bayes", "no file ''; allowed: checkpoints, claims.html"),
        ("results/smoke/bayes/metrics/distnce.parquet", "did you mean 'metrics/distance.parquet'?"),
        ("results/smoke/bayes/training/cat-3.parameters.parquet", "did you mean 'training/cat-3.seeds0-0.parameters"),
        ("results/smoke/bayes/metric/distance.parquet", "no file 'metric/distance.parquet'; allowed: checkpoints"),
        ("/etc/passwd", "no target '/etc/passwd'"),
        ("a\nb", r"no target 'a\nb'"),
    ],
)
def test_what_no_rule_makes_is_one_line(plan, target, words):
    with pytest.raises(ConfigError) as error:
        targets.check(plan, ["bayes", target])
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_no_study_may_be_called_like_a_rule():
    texts = [(ROOT / "Snakefile").read_text(encoding="utf-8")]
    texts += [path.read_text(encoding="utf-8") for path in (ROOT / "rules").glob("*.smk")]
    assert sorted(TAKEN) == sorted(re.findall(r"^(?:rule|checkpoint) (\w+):", "\n".join(texts), re.MULTILINE))
