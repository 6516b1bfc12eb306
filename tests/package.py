"""The package's own source and its studies, read once for all tests of a process: nobody edits them while they run."""

from functools import cache

from agentomy.provenance import Source
from agentomy.study import Plan

SOURCE = Source()


@cache
def smoke() -> Plan:
    """All studies at scale smoke."""
    return Plan({"scale": "smoke", "studies": ["bayes"]}, source=SOURCE)
