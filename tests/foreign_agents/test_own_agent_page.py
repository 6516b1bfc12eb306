"""docs/own-agent.md does what it says: its agent is trained, its command imports it, its lens looks into it."""

import contextlib
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from agentomy import kinds
from agentomy.pipeline.plan import importing
from agentomy.pipeline.plan.study import Plan
from agentomy.tables import Table
from tests.foreign_agents.test_play import table
from tests.pipeline import runners
from tests.pipeline.trees import ROOT
from tests.studies import SOURCE

PAGE = (ROOT / "docs" / "own-agent.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """A folder in which the page's run was trained, and what its command said."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "workflow" / "studies").mkdir(parents=True)
    command = next(line for line in blocks("bash")[0].splitlines() if line.startswith("agentomy import"))
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        exec(blocks("python")[0], {})
        patch.setattr(importing, "STUDIES", Path("workflow/studies"))
        said: list[str] = []
        patch.setattr("builtins.print", lambda *given, **_: said.extend(map(str, given)))
        assert importing.main(shlex.split(command)[2:]) == 0
    return folder, "\n".join(said)


def test_its_command_says_what_the_page_shows(imported):
    assert imported[1].strip() == blocks("text")[0].strip()


def test_its_lens_looks_into_the_run(imported):
    folder, _ = imported
    study = Plan({"scale": "smoke", "studies": ["cartpole"]}, folder / "workflow" / "studies", SOURCE).studies[
        "cartpole"
    ]
    with contextlib.chdir(folder):
        for stage, name in (("environments", "world"), ("training", "cartpole.seeds0-0")):
            runners.run(study.job(stage, name))
        parameters = Table(kinds.common.PARAMETERS, study.job("training", "cartpole.seeds0-0").outputs[:1])
        scope: dict = {}
        exec(blocks("python")[-1], scope)
        rows = [*scope["confidence"](parameters, table("CartPole-v1", 2), run="cartpole", device="cpu")]
    values = {row["quantity"][0].as_py(): row["value"][0].as_py() for row in rows}
    assert len(values) == 20
    assert all(0.5 <= value <= 1 for value in values.values())
    assert values["untrained at 200"] == pytest.approx(0.5, abs=0.01)  # its head is drawn a hundred times smaller
    assert values["trained at 2000"] > np.max([value for name, value in values.items() if name.startswith("un")])
