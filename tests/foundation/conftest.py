"""What the tests of the foundation share."""

from pathlib import Path

import pytest
import yaml

from agentomy.provenance import Source
from agentomy.study import Plan

CONFIG = Path(__file__).parents[2] / "config.yaml"


@pytest.fixture(scope="session")
def source():
    """The package as it is; reading it takes a second."""
    return Source()


@pytest.fixture(scope="session")
def plan(source):
    """All studies at scale smoke."""
    return Plan({**yaml.safe_load(CONFIG.read_text()), "scale": "smoke"}, source=source)
