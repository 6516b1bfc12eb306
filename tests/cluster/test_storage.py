"""Two people with one bucket: the bytes of local runs, nothing to do in a second one, a lost object is made again."""

from types import SimpleNamespace

import pytest

from tests.cluster.conftest import given
from tests.pipeline.runners import made_here
from tests.pipeline.trees import finished

OVERRIDES = {f"bayes.checkpoints.{entry}.of": ["cat-3"] for entry in ("predictions", "predictions-optimal")}
GIVEN = given(OVERRIDES)
MINE, YOURS = "results/smoke/bayes/metrics/distance.parquet", "results/smoke/nld/environments/digits.parquet"


@pytest.fixture(scope="module")
def shared(bucket, tmp_path_factory) -> SimpleNamespace:
    """Two machines that have filled one folder of a bucket at the same time, each with a study of its own."""
    folder = tmp_path_factory.mktemp("storage")
    trees, stored = bucket
    mine, yours = trees(folder / "mine"), trees(folder / "yours")
    finished(mine.start(MINE, *GIVEN), yours.start(YOURS, *GIVEN))
    return SimpleNamespace(mine=mine, yours=yours, stored=stored)


def test_a_bucket_holds_the_bytes_of_a_local_run(shared, tmp_path):
    artifacts = made_here(tmp_path / "local", [MINE, YOURS], OVERRIDES)
    assert len(artifacts) == 7
    stored = shared.stored()
    assert [name for name in artifacts if stored.get(name) != artifacts[name]] == []
    kept = [path for tree in (shared.mine, shared.yours) for path in tree.path.rglob("*.parquet")]
    assert kept == []  # not even copies


def test_neither_has_anything_to_do_again_nor_what_the_other_has_made(shared):
    for tree in (shared.mine, shared.yours):
        done = tree.snakemake(MINE, YOURS, *GIVEN, timeout=600)
        assert "Nothing to be done" in done.stdout, done.stdout[-3000:]


def test_a_lost_object_is_made_again(shared):
    before = shared.stored()[MINE]
    shared.stored(lose=MINE)
    assert MINE not in shared.stored()
    again = shared.mine.snakemake(MINE, *GIVEN, timeout=600)
    assert again.returncode == 0, again.stdout[-3000:]
    assert "1 of 1 steps (100%) done" in again.stdout, again.stdout[-2000:]
    assert shared.stored()[MINE] == before
