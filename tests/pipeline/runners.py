"""Jobs run by their runners in the test's own process."""

from dataclasses import asdict

import matplotlib
import matplotlib.pyplot

from agentomy import stages
from agentomy.jobs import Job
from agentomy.progress import Progress


def run(job: Job) -> None:
    """Make a job's artifacts, and leave to the next one neither figures nor settings of matplotlib's."""
    with matplotlib.rc_context():
        given = {**asdict(job), "key": job.digest()}
        if finish := stages.RUNNERS[job.stage](given, Progress(job.name, every=1e9)):
            finish()
    matplotlib.pyplot.close("all")
