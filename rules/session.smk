# What all rules share: the inputs, record, digest and priority of a job; and what a run prints.
import logging

BUCKET = workflow.storage_settings.default_storage_provider is not None


def begun():
    """The session, begun when first needed: Snakemake knows its own options only after it has read the Snakefile."""
    if session.states is None:
        settings = workflow.dag_settings
        triggers = sorted(map(str, settings.rerun_triggers))
        if triggers != ["mtime"]:
            sys.exit(
                f"agentomy: rerun-triggers: found {', '.join(triggers)}; allowed: mtime, as in profiles/default"
            )
        forced = {
            *settings.forcerun,
            *(settings.targets if settings.forcetargets else ()),
        }
        try:
            session.begin(
                settings.targets,
                Forced(settings.forceall, frozenset(map(str, forced))),
            )
        except ConfigError as error:  # in the targets
            sys.exit(f"agentomy: {error}")
        if workflow.output_settings.dryrun:
            print(session.plan_text(), file=sys.stderr)
    return session


# The wildcards of a job's name. An extraction has two, so that a profile can group the extractions of one stack.
NAMES = {"checkpoints": "{entry}/{stack}", "claims": "claims"}


def name_of(stage, wildcards):
    return NAMES.get(stage, "{name}").format(**wildcards)


def job_of(stage, wildcards):
    return plan.studies[wildcards.study].job(stage, name_of(stage, wildcards))


def needed(stage):
    """What a job reads. In a bucket Snakemake decides what is up to date, elsewhere records do."""

    def files(wildcards):
        job = job_of(stage, wildcards)
        if BUCKET:
            if len(workflow.dag_settings.rerun_triggers) == 1:
                sys.exit(
                    "agentomy: results in a bucket need Snakemake's memory of runs; "
                    "allowed: --workflow-profile workflow/profiles/s3"
                )
            return job.needed
        # on another node Snakemake is told which job to do
        if not workflow.is_main_process:
            return [ancient(file) for file in job.needed]
        return begun().inputs(job, (wildcards.study, stage, job.name), ancient)

    return files


def wanted_of(names):
    """Everything of these studies."""

    def files(wildcards):
        targets = [target for name in names for target in plan.studies[name].targets]
        if not workflow.is_main_process or BUCKET:
            return targets
        return [target for target in targets if target not in begun().absent]

    return files


def record_of(stage):
    """The record of how a job was done, written last."""
    return f"{RESULTS}/{{study}}/.made/{stage}/{NAMES.get(stage, '{name}')}.json"


def digest(stage):
    return lambda wildcards: job_of(stage, wildcards).digest()


def adopted(stage):
    """What a figure or verdict depends on that was adopted: made by other code, and declared the same by a person."""

    def text(wildcards):
        if BUCKET or not workflow.is_main_process:
            return ""
        key = (wildcards.study, stage, name_of(stage, wildcards))
        return report_text.paragraph(begun().adopted_text(key))

    return text


def title(wildcards):
    """The title of a study's paper, for the report."""
    return report_text.paragraph(plan.studies[wildcards.study].paper.title)


def priority(stage):
    """Where this process starts the jobs itself, studies are finished one after the other."""

    def urgency(wildcards):
        key = (wildcards.study, stage, name_of(stage, wildcards))
        here = workflow.local_exec and workflow.is_main_process and not BUCKET
        return begun().priorities.get(key, 0) if here else 0

    return urgency


logging.getLogger("snakemake.logging").addFilter(local.left_to_say)


onstart:
    if workflow.is_main_process and not BUCKET:
        if begun().todo:
            print(session.header(), file=sys.stderr)
        session.start(plan.config.versions)
    if workflow.is_main_process:
        plan.source.keep()  # jobs that start Snakemake on other nodes need not read the code through
    # Here Snakemake starts jobs as fast as cores are free. Its limit of jobs per second would wake the scheduler once a
    # second for each job that was ever started: half a core after 80 minutes.
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None
    if workflow.local_exec and workflow.is_main_process:
        local.pass_on_stop_signals()
    if local.can_serve(workflow, plan.config.device):
        local.start_server(ENVIRONMENT["AGENTOMY_WARM"], ENVIRONMENT, log)


onsuccess:
    if workflow.is_main_process and not BUCKET and session.made_studies:
        print(session.conclusion(), file=sys.stderr)
