"""The smallest whole study, which docs/study-file.md explains, does what it says."""

import contextlib

import pandas as pd
import pytest

from agentomy.pipeline.plan.study import Plan
from agentomy.pipeline.plan.study_file import STAGES
from tests.pipeline import runners
from tests.pipeline.trees import ROOT
from tests.studies import SOURCE


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The study and the folder of its results."""
    folder = tmp_path_factory.mktemp("tiny")
    study = Plan({"scale": "smoke", "studies": ["tiny"]}, ROOT / "examples", SOURCE).studies["tiny"]
    with contextlib.chdir(folder):
        for _, stage, name in study.keys:
            runners.run(study.job(stage, name))
    return study, folder


def test_the_tiny_study_has_one_of_everything(tiny):
    study, folder = tiny
    assert [len(study.names(stage)) for stage in STAGES] == [1] * len(STAGES)
    assert all((folder / target).stat().st_size for target in study.targets)


def test_the_claim_of_the_tiny_study_holds_beside_its_control(tiny):
    study, folder = tiny
    judged = pd.read_parquet(folder / study.folder / "claims.parquet")
    assert list(judged["verdict"]) == ["holds"] * 3  # the claim and its two tests
    path, walk = judged["value"].iloc[1:]
    assert path > 1.5 * walk
