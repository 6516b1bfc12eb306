"""Runs one job: reads its tables, calls its function, writes its tables.

`agentomy.pipeline.run.job` calls `main`, with the configuration as JSON in AGENTOMY_CONFIG. The digest is that of the
job which Snakemake planned: an artifact is never made from a study file or code edited since then. Only this
module reaches all rooms, and it does so by name.
"""

import fcntl
import inspect
import json
import os
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from agentomy import kinds, names, tables
from agentomy.agents.protocol import Stopped
from agentomy.descriptions import Description, Extracted, Task, Trained
from agentomy.mistakes import ConfigError
from agentomy.pipeline.plan import imports
from agentomy.pipeline.plan.entries import Claim
from agentomy.pipeline.plan.study import Plan
from agentomy.pipeline.run import EXIT_FAILED, EXIT_STOPPED, benchmarks, modules, slurm
from agentomy.pipeline.uptodate import keeping
from agentomy.pipeline.uptodate.session import count_done
from agentomy.progress import Progress, duration
from agentomy.seeds import Streams
from agentomy.tables import BrokenTable, Kind, Table, TableError


def main(
    study: str, stage: str, name: str, log: str, digest: str, began: float | None = None, plan: Plan | None = None
) -> int:
    """Run a job; returns its exit status. The warm server gives the plan; `began` is a time of `time.monotonic`."""
    progress = Progress(f"{study} · {stage} · {name}", log)
    began, limit, process = began or time.monotonic(), slurm.TimeLimit(), "warm" if plan else "cold"
    benchmark = benchmarks.place(stage, name, Path(log).absolute())
    try:
        plan = plan or Plan(json.loads(os.environ["AGENTOMY_CONFIG"]), lazy=True)
        home = plan.studies[study]
        planned = home.job(stage, name)
        if planned.edited_since(digest):
            raise ConfigError(study, name, "study file or code was edited after this run began; run snakemake again")
        job = asdict(planned)
        # with results on object storage, Snakemake keeps the copies of this job's files in a folder of its own
        os.chdir(log.rpartition(f"{home.folder}/logs/")[0] or ".")
        if slurm.place():
            progress.say(slurm.place())
        with exclusive(job, progress):
            if stage == "training":  # it goes on in the next slice if it needs longer than this job may run
                limit.watch()
            done = keeping.do(planned, digest, partial(run, home.column_names), progress)
            if done == "done":  # and the function was called
                benchmarks.write(benchmark, began, process)
    except BrokenTable as error:
        aside = error.path.with_name(error.path.name + ".broken")
        with suppress(FileNotFoundError):  # another job may have met it too
            os.replace(error.path, aside)
        progress.say(f"{error}; moved to {aside.name}, run again to make it anew")
        return EXIT_FAILED
    except (TableError, ConfigError) as error:
        progress.say(str(error))
        return EXIT_FAILED
    except KeyboardInterrupt:
        progress.say("stopped")
        return EXIT_STOPPED
    except Stopped as error:
        progress.say(str(error))
        if limit.near:
            queued = slurm.queue_again()
            progress.say("back in the queue" if queued else "Slurm does not queue it again; run snakemake again")
        return EXIT_STOPPED
    except Exception as error:
        progress.note(traceback.format_exc())
        progress.say(str(error) if refused(error) else f"{type(error).__name__}: {error} (traceback in {log})")
        return EXIT_FAILED
    progress.say(f"{done} in {duration(time.monotonic() - began)}{count_done(os.environ.get('AGENTOMY_RUN', ''))}")
    return 0


def refused(error: Exception) -> bool:
    """Whether a line of this package raised it on purpose, because of what a user wrote: its message says what."""
    raised = traceback.extract_tb(error.__traceback__)[-1]
    ours = Path(raised.filename).is_relative_to(Path(__file__).parents[2])
    return isinstance(error, ValueError) and ours and (raised.line or "").startswith("raise ")


def run(names: tables.Names, job: dict, progress: Progress) -> Callable[[], None] | None:
    """Do a job of a study whose runs and environments have these names."""
    return RUNNERS[job["stage"]]({**job, "names": names}, progress)


def run_environments(job: dict, progress: Progress) -> None:
    modules.load(job)
    function = find(job["use"])
    kind = function.__annotations__["return"]
    rows = call(function, job, {"streams": streams(job, job["name"]), "progress": progress})
    task = Task(use=named(job), parameters=resolved(function, job)) if kind.description else None
    tables.write(job["outputs"][0], kind, rows, task)


def run_training(job: dict, progress: Progress) -> Callable[[], None] | None:
    """Returns what is to be done once the record is in place: from then on no restart file is needed."""
    if "files" in job["options"]:
        return run_import(job, progress)
    modules.load(job)
    device = prepare_torch(job)
    from agentomy.agents import driver

    agent_class = find(job["use"])
    kind = agent_class.__init__.__annotations__["environment"]
    environment = Table(kind, job["inputs"]["environment"])
    seeds, plugin = job["options"]["seeds"], job["options"]["plugin"]
    artifacts = []

    def make():
        stack = [streams(job, job["options"]["streams"], seed) for seed in seeds]
        agent = agent_class(environment, stack, device, **job["parameters"])
        if plugin:
            agent = find(plugin["use"])(agent, stack, **plugin["parameters"])
        artifacts.append(agent)
        return agent

    parameters, log = (Path(output) for output in job["outputs"])
    folder = parameters.parent / ".restart" / job["name"]
    progress.say(f"{named(job)}, {len(seeds)} seed{'s' * (len(seeds) > 1)}")
    run, schedule = job["options"]["run"], job["options"]["snapshots"]
    try:
        snapshots, rows = driver.train(make, run, seeds, schedule, folder, job["key"], progress)
    except driver.Diverged as error:
        reason = f"run {run}, {error}; allowed: parameters with which it stays finite"
        raise TableError(reason) from None
    trained = Trained(
        run=run,
        seeds=seeds,
        use=named(job),
        parameters=resolved(agent_class.__init__, job),
        network=artifacts[-1].network,
        environment=task_of(environment.description),
    )
    tables.write(parameters, kinds.common.PARAMETERS, snapshots, trained)
    tables.write(log, kinds.common.LOG, rows, trained)
    return lambda: driver.clear(folder)


def run_import(job: dict, progress: Progress) -> None:
    """Take in a run that was trained elsewhere; its files have to be those that were planned."""
    prepare_torch(job)
    modules.load(job)
    importer, (seed,), run = find(job["use"]), job["options"]["seeds"], job["options"]["run"]
    given = job["parameters"] | {name: imports.verified(files) for name, files in job["options"]["files"].items()}
    kind = importer.__init__.__annotations__["environment"]
    environment = Table(kind, job["inputs"]["environment"]) if job["inputs"] else None
    imported = importer(environment, **given)
    progress.say(f"{named(job)}, {len(imported.files)} files")
    trained = Trained(
        run=run,
        seeds=[seed],
        use=named(job),
        parameters={**resolved(importer.__init__, job), "originals": imported.originals},
        network=imported.network,
        environment=task_of(environment.description) if environment else None,
    )
    parameters, log = job["outputs"]
    tables.write(parameters, kinds.common.PARAMETERS, imported.snapshots(seed), trained)
    tables.write(log, kinds.common.LOG, imported.log(run, seed), trained)


def run_checkpoints(job: dict, progress: Progress) -> None:
    modules.load(job)
    function = find(job["use"])
    device = prepare_torch(job) if "device" in inspect.signature(function).parameters else ""
    kind = function.__annotations__["return"]
    run, inputs = job["options"]["run"], read_inputs(function, job)
    given = {"run": run, "streams": streams(job, run), "device": device, "progress": progress}
    rows = call(function, job, {**inputs, **given})
    described = extracted(run, [*inputs.values()], resolved(function, job))
    tables.write(job["outputs"][0], kind, rows, described, job.get("names", tables.NO_NAMES))


def extracted(run: str, inputs: list[Table], parameters: dict) -> Extracted:
    """What a piece extracted of a run says about itself, from the tables of which it is made."""
    trained = [table.description for table in inputs if table.kind is kinds.common.PARAMETERS]
    described = trained or [table.description for table in inputs]
    return Extracted(
        run=run,
        seeds=trained[0].seeds if trained else [],
        parameters=parameters,
        environment=task_of(described[0]),
    )


def task_of(description: Description) -> Task | None:
    """The environment that a table stands for: its own, or that of the run of which it was made."""
    return description if isinstance(description, Task) else description.environment


def run_metrics(job: dict, progress: Progress) -> None:
    function = find(job["use"])
    given = {"streams": streams(job, job["name"]), "progress": progress}
    rows = call(function, job, {**read_inputs(function, job), **given})
    tables.write(job["outputs"][0], function.__annotations__["return"], rows, names=job.get("names", tables.NO_NAMES))


def run_figures(job: dict, progress: Progress) -> None:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_pdf import FigureCanvasPdf

    function = find(job["use"])
    figure = call(function, job, read_inputs(function, job))
    png, pdf = job["outputs"]
    # Drawn once for each format, which `savefig` would do twice. No dates: the same tables give the same bytes.
    with tables.replacing(png) as handle:
        FigureCanvasAgg(figure).print_png(handle, metadata={"Software": None})
    figure.set_layout_engine("none")  # what is laid out once is so for the other format too
    with tables.replacing(pdf) as handle:
        FigureCanvasPdf(figure).print_pdf(handle, metadata={"CreationDate": None})


def run_claims(job: dict, progress: Progress) -> None:
    from agentomy import claims

    named = job["options"]["kinds"]
    verdicts = judged(job, {name: Table(kinds.ALL[named[name]], paths) for name, paths in job["inputs"].items()})
    parquet, markdown, html = job["outputs"]
    tables.write(parquet, kinds.common.CLAIMS, verdicts)
    for path, text in [
        (markdown, claims.markdown(job["study"], verdicts)),
        (html, claims.html(job["study"], verdicts)),
    ]:
        with tables.replacing(path) as handle:
            handle.write(text.encode())


def judged(job: dict, metrics: dict[str, Table]) -> pa.Table:
    """The verdicts on the claims of a job, from the metrics that it reads."""
    from agentomy import claims

    asked = job["parameters"]
    written = {name: Claim.model_validate(claim) for name, claim in asked["claims"].items()}
    return claims.judged(metrics, job["study"], written, asked["scale"], asked["planned"], asked["trained"])


RUNNERS = {
    "environments": run_environments,
    "training": run_training,
    "checkpoints": run_checkpoints,
    "metrics": run_metrics,
    "figures": run_figures,
    "claims": run_claims,
}


def find(use: str) -> Callable:
    """The function or class that a study file names."""
    return names.place("", use)


def named(job: dict) -> str:
    """An environment or agent by its place in its room, as artifacts name it."""
    return job["use"].partition(".")[2]


def table_kinds(function: Callable) -> dict[str, Kind]:
    return {name: kind for name, kind in function.__annotations__.items() if isinstance(kind, Kind)}


def read_inputs(function: Callable, job: dict) -> dict[str, Table]:
    kinds_of_tables = table_kinds(function)
    return {name: Table(kinds_of_tables[name], paths) for name, paths in job["inputs"].items()}


def call(function: Callable, job: dict, provided: dict[str, Any]) -> Any:
    """Call a stage function with its parameters and with what it asks for."""
    parameters = inspect.signature(function).parameters
    return function(**{name: value for name, value in provided.items() if name in parameters}, **job["parameters"])


def streams(job: dict, name: str, seed: int = 0) -> Streams:
    """The random streams of an artifact, or of a run that a checkpoint extraction looks at.

    The stage is part of their name: training never meets the episodes that it is evaluated on.
    """
    return Streams(job["study"], f"{job['stage']}.{name}", seed)


def resolved(function: Callable, job: dict) -> dict[str, Any]:
    """The parameters that a function works with: those of the study file, and defaults of its signature."""
    parameters = inspect.signature(function).parameters.values()
    defaults = {
        parameter.name: parameter.default for parameter in parameters if parameter.default is not parameter.empty
    }
    return defaults | job["parameters"]


def prepare_torch(job: dict) -> str:
    """One thread and deterministic kernels, so that the same inputs give the same bytes; returns the device."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.set_num_threads(1)
    torch.set_deterministic_debug_mode("error")  # as use_deterministic_algorithms(True), without importing a compiler
    device = job["options"]["device"]
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("config.yaml: device: found 'cuda', but torch sees no GPU here; allowed: cpu")
    return device


@contextmanager
def exclusive(job: dict, progress: Progress) -> Iterator[None]:
    """Let one process at a time make an artifact, even if an earlier Snakemake was killed and left its job running."""
    results = Path(job["outputs"][0]).parts[:3]  # results/SCALE/STUDY
    with locked(Path(*results, ".locks", f"{job['stage']}-{job['name'].replace('/', '-')}"), progress):
        yield


def locked(path: Path, progress: Progress) -> TextIO:
    """A lock that this process holds until it closes the file; waits for another that has it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("w")
    except OSError as error:
        reason = f"cannot be written ({error.strerror}); allowed: a folder of results that you may write to"
        raise TableError(f"{path}: {reason}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        progress.say("another process is making this; waiting for it")
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError as error:
        reason = f"cannot be locked ({error.strerror}); allowed: results on a file system that has locks"
        raise TableError(f"{path}: {reason}") from None
    return handle
