"""One whole run at scale smoke that the tests share."""

import fcntl
import os

import pytest

from tests.pipeline.trees import Tree, fresh


@pytest.fixture(scope="session")
def smoke(tmp_path_factory) -> Tree:
    """The whole chain, made once for all processes of pytest; tests that change anything take a `copy` of it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "smoke"
    folder.mkdir(exist_ok=True)
    tree, said = Tree(folder / "tree"), folder / "said"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            done = fresh(tree.path).snakemake()
            said.write_text(f"{done.returncode}\n{done.stdout}")
    status, _, output = said.read_text().partition("\n")
    assert status == "0", output[-5000:]
    return tree


@pytest.fixture
def copied(smoke, tmp_path) -> Tree:
    return smoke.copy(tmp_path / "tree")


@pytest.fixture
def empty(tmp_path) -> Tree:
    return fresh(tmp_path / "tree")
