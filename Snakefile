# agentomy: five stages and the claims, driven by the study files in workflow/studies.
import sys

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.0")

sys.path.insert(0, f"{workflow.basedir}/workflow")
from agentomy.config import ConfigError
from agentomy.study import Plan


configfile: "config.yaml"


report: "workflow/report/workflow.rst"


# jobs find the package here, also in an environment of their own (--sdm conda)
shell.prefix(f"set -euo pipefail; export PYTHONPATH='{workflow.basedir}/workflow'; ")

try:
    plan = Plan(config)
except ConfigError as error:
    sys.exit(f"agentomy: {error}")

# not among the params: each job tracks what it really depends on
CONFIG = plan.config.model_dump_json(exclude_defaults=True)
RESULTS = f"results/{plan.config.scale}"


wildcard_constraints:
    study="[^/]+",
    name="[^/]+",


localrules:
    all,
    claims,


rule all:
    input:
        [target for study in plan.chosen for target in study.targets],
    message:
        "everything of the chosen studies"


include: "rules/environments.smk"
include: "rules/training.smk"
include: "rules/checkpoints.smk"
include: "rules/metrics.smk"
include: "rules/figures.smk"
include: "rules/claims.smk"


for study in plan.studies.values():

    rule:
        name:
            study.name
        input:
            study.targets,
        localrule: True
        message:
            "everything of the study"
