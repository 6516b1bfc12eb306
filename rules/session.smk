# What all rules share: what a job reads, its record, its digest, how urgent it is; and what a run says.
import logging

BUCKET = workflow.storage_settings.default_storage_provider is not None


def begun():
    """The session, once Snakemake knows its own options, which is after it has read the Snakefile."""
    if session.states is None:
        asked = workflow.dag_settings
        triggers = sorted(str(each) for each in asked.rerun_triggers)
        if triggers != ["mtime"]:
            sys.exit(
                f"agentomy: rerun-triggers: found {', '.join(triggers)}; allowed: mtime, as in profiles/default"
            )
        named = {*asked.forcerun, *(asked.targets if asked.forcetargets else ())}
        try:
            session.begin(
                asked.targets, Forced(asked.forceall, frozenset(map(str, named)))
            )
        except ConfigError as error:  # of what was asked for
            sys.exit(f"agentomy: {error}")
        if workflow.output_settings.dryrun:
            print(session.plan_text(), file=sys.stderr)
    return session


# the wildcards of a job's name; that of an extraction is in two parts, so that a profile can group those of one stack
NAMES = {"checkpoints": "{entry}/{stack}", "claims": "claims"}


def name_of(stage, wanted):
    return NAMES.get(stage, "{name}").format(**wanted)


def job_of(stage, wanted):
    return plan.studies[wanted.study].job(stage, name_of(stage, wanted))


def needed(stage):
    """What a job reads. In a bucket Snakemake decides what is up to date, elsewhere records do."""

    def files(wanted):
        job = job_of(stage, wanted)
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
        return begun().inputs(job, (wanted.study, stage, job.name), ancient)

    return files


def wanted_of(names):
    """Everything of these studies."""

    def files(wanted):
        if workflow.is_main_process and not BUCKET:
            begun()
        return [target for name in names for target in plan.studies[name].targets]

    return files


def record_of(stage):
    """The record of how a job was done, written last."""
    return f"{RESULTS}/{{study}}/.made/{stage}/{NAMES.get(stage, '{name}')}.json"


def digest(stage):
    return lambda wanted: job_of(stage, wanted).digest()


def adopted(stage):
    """What a figure or verdict rests on that was not made by the present code, but said to be the same by a person."""

    def said(wanted):
        if BUCKET or not workflow.is_main_process:
            return ""
        key = (wanted.study, stage, name_of(stage, wanted))
        return report_text.paragraph(begun().adopted_text(key))

    return said


def title(wanted):
    """That of a study's paper, for the report."""
    return report_text.paragraph(plan.studies[wanted.study].paper.title)


def priority(stage):
    """Studies are finished one after the other, where this process starts their jobs by itself."""

    def urgency(wanted):
        key = (wanted.study, stage, name_of(stage, wanted))
        here = workflow.local_exec and workflow.is_main_process and not BUCKET
        return begun().priorities.get(key, 0) if here else 0

    return urgency


logging.getLogger("snakemake.logging").addFilter(local.left_to_say)


onstart:
    if workflow.is_main_process and not BUCKET:
        if begun().todo:
            print(session.header(), file=sys.stderr)
        session.start(plan.config.versions)
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
