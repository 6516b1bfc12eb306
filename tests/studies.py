"""The package's own source and its studies, read once for all tests of a process: nobody edits them while they run."""

from functools import cache

from agentomy.pipeline.plan.study import Plan
from agentomy.pipeline.source.provenance import Source

SOURCE = Source()


@cache
def smoke() -> Plan:
    """All studies at scale smoke."""
    return Plan({"scale": "smoke", "studies": ["bayes"]}, source=SOURCE)
