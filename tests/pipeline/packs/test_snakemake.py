"""Snakemake, its report and the explorer's copy over a pack of a real study, in a tree that has made nothing."""

import contextlib

from agentomy.pipeline.packs import unpack
from agentomy.pipeline.packs.pack import Choice, pack
from agentomy.pipeline.plan.study import Plan
from tests.studies import SOURCE


def test_a_tree_that_has_made_nothing_uses_a_pack_without_training(smoke, empty, tmp_path):
    plan = Plan({"scale": "smoke", "studies": ["nld"]}, source=SOURCE)
    with contextlib.chdir(smoke.path):
        pack(plan, "nld", tmp_path / "nld.zip", Choice("none"))
    with contextlib.chdir(empty.path):
        said = unpack.unpack(tmp_path / "nld.zip", lambda scale: plan, False)
    assert said[-1].startswith("all of it fits")
    given = ("--config", "scale=smoke", "studies=[nld]")
    done = empty.snakemake("nld", *given, scale=False)
    assert done.returncode == 0, done.stdout
    assert "Nothing to be done" in done.stdout
    assert not list(empty.path.glob("results/smoke/nld/training/*.parameters.parquet"))
    done = empty.snakemake("--report", "report.html", *given, scale=False)
    assert done.returncode == 0, done.stdout
    for name in ("doubt.png", "claims.html"):
        assert f"Adding {name}" in done.stdout
    done = empty.snakemake("explorer_copy", *given, scale=False)
    assert done.returncode == 0, done.stdout
    assert (empty.path / "results/smoke/explorer.html").stat().st_size > 10**5
