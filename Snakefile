# agentomy: five stages and the claims, driven by the study files in workflow/studies.
import os
import shlex
import sys
from pathlib import Path

from snakemake.cli import get_argument_parser
from snakemake.utils import min_version

min_version("9.0")

sys.path.insert(0, f"{workflow.basedir}/workflow")
from agentomy.pipeline.plan import decided, targets
from agentomy.pipeline.plan.config import gathered
from agentomy.mistakes import ConfigError
from agentomy.pipeline.plan.study import Plan
from agentomy.pipeline.report import text as report_text
from agentomy.pipeline.run import local
from agentomy.pipeline.uptodate.session import Forced, Session


report: "workflow/report/workflow.rst"


try:
    # No `configfile:`, by which Snakemake would read config.yaml without telling what is wrong with it, and run the
    # templates in it. --configfile and --config go over it as they do there.
    given = gathered(
        ["config.yaml", *workflow.overwrite_configfiles],
        workflow.config_settings.config,
    )
    # a Slurm job starts Snakemake too, which then reads the job's own study alone
    plan = Plan(decided.added(given), lazy=not workflow.is_main_process)
    if workflow.is_main_process and plan.left_out:
        print(
            f"agentomy: {decided.ignored(plan.config.scale, plan.left_out)}",
            file=sys.stderr,
        )
    # `snakemake` or `python -m snakemake`, and no program that uses its API
    if workflow.is_main_process and "snakemake" in Path(sys.argv[0]).parts[-2:]:
        targets.check(plan, get_argument_parser().parse_known_args()[0].targets)
except ConfigError as error:
    sys.exit(f"agentomy: {error}")

RESULTS = f"results/{plan.config.scale}"
session = Session(plan)


include: "rules/session.smk"


# Every job finds the package (also in an environment of its own, --sdm conda) and the configuration. The latter is
# not among the params: each job tracks what it really depends on.
ENVIRONMENT = {
    "PYTHONPATH": f"{workflow.basedir}/workflow",
    "AGENTOMY_CONFIG": plan.config.model_copy(
        # a bucket keeps versions of its own
        update={"versions": 0} if BUCKET else {}
    ).model_dump_json(exclude_defaults=True),
    "AGENTOMY_RUN": str(session.folder),
    # glibc would give the memory of each update back to the system and ask for it again: training is a tenth slower
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "2147483647",
    "MALLOC_TOP_PAD_": "67108864",
    # one thread a job: with more, sums are rounded differently, and a job would use cores that others were given
    **dict.fromkeys(
        [
            "OMP_NUM_THREADS",
            "GOTO_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
            "MKL_NUM_THREADS",
            "NUMEXPR_NUM_THREADS",
            "VECLIB_MAXIMUM_THREADS",
        ],
        "1",
    ),
    # nor a thread in the background that gives memory back, which no fork of the warm server would have
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "AGENTOMY_WARM": f"results/.warm-{os.getpid()}",
}
EXPORTS = "; ".join(
    f"export {name}={shlex.quote(value)}" for name, value in ENVIRONMENT.items()
)
# exec: a signal to all processes of a job must not kill a shell around the one that saves its state
shell.prefix(
    f"set -euo pipefail; {EXPORTS}; exec ".replace("{", "{{").replace("}", "}}")
)


wildcard_constraints:
    study="[^/]+",
    name="[^/]+",
    entry="[^/]+",
    stack="[^/]+",


localrules:
    all,
    claims,
    explorer,
    explorer_copy,


rule all:
    input:
        wanted_of(plan.config.studies),
    message:
        "everything of the chosen studies"


include: "rules/resources.smk"
include: "rules/environments.smk"
include: "rules/training.smk"
include: "rules/checkpoints.smk"
include: "rules/metrics.smk"
include: "rules/figures.smk"
include: "rules/claims.smk"
include: "rules/explorer.smk"
include: "rules/report.smk"


for study in plan.names:

    rule:
        name:
            study
        input:
            wanted_of([study]),
        localrule: True
        message:
            "everything of the study"
