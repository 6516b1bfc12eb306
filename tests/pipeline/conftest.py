"""One whole run at scale smoke that the tests share."""

import pytest

from tests.pipeline.trees import Tree, fresh


@pytest.fixture(scope="session")
def smoke(tmp_path_factory) -> Tree:
    """The whole chain, made once; tests that change anything take a `copy` of it."""
    tree = fresh(tmp_path_factory.mktemp("smoke") / "tree")
    done = tree.snakemake()
    assert done.returncode == 0, done.stdout[-5000:]
    return tree


@pytest.fixture
def copied(smoke, tmp_path) -> Tree:
    return smoke.copy(tmp_path / "tree")


@pytest.fixture
def empty(tmp_path) -> Tree:
    return fresh(tmp_path / "tree")
