"""In which order tests go to the processes of pytest-xdist, and which of them stay together."""

from xdist.scheduler import LoadScopeScheduling

# What takes minutes comes first, so that the end is even: a cluster, on which one process waits while another computes,
# the whole run at scale smoke, kills, and whatever else starts Snakemake.
FIRST = (
    "tests/cluster",
    "tests/pipeline/test_reruns.py",
    "tests/pipeline/test_interruption.py",
    "tests/pipeline/test_paper_scale.py",
    "tests/pipeline/",
    "tests/foreign_agents/test_command.py",
    "tests/explorer/",
)
REPLAY = "tests/pipeline/test_same_bytes.py"


def unit(test: str) -> str:
    """What a test is handed out with: its file, mostly.

    All tests on a cluster go together, since there is one; studies are replayed each for itself.
    """
    file = test.partition("::")[0]
    if file == REPLAY:
        return test
    return "tests/cluster" if file.startswith("tests/cluster/") else file


def turn(test: str) -> int:
    """Its place in the order: that of the first beginning of `FIRST` that its unit has."""
    return next((place for place, begins in enumerate(FIRST) if unit(test).startswith(begins)), len(FIRST))


class Scheduler(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)
