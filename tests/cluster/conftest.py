"""A Slurm and an object storage on loopback for these tests; where they cannot be had, the tests say so and are skipped."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.pipeline.trees import ROOT, Tree, fresh

HERE = Path(__file__).parent
EXTRA = ROOT / ".venv" / "cluster"  # where the Makefile installs what only clusters and these tests need


def with_plugins(tree: Tree) -> dict[str, str]:
    """An environment in which Snakemake finds its plugins, which elsewhere would only slow down its start."""
    return {**tree.environment, "PYTHONPATH": os.pathsep.join([str(tree.path / "workflow"), str(EXTRA)])}
