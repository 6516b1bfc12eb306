"""Runs one job: reads its tables, calls its function, writes its tables.

`python -m agentomy.stages STUDY STAGE NAME LOG DIGEST`, with the configuration as JSON in AGENTOMY_CONFIG. DIGEST is
that of the job which Snakemake planned: an artifact is never made from a study file or code edited since then. This is
the only module that knows everybody, and it does so by name.
"""

import fcntl
import hashlib
import inspect
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agentomy import kinds, names, slurm, tables
from agentomy.config import ConfigError
from agentomy.progress import Progress, duration
from agentomy.seeds import Streams
from agentomy.study import Plan
from agentomy.tables import BrokenTable, Table, TableError

EXIT_FAILED, EXIT_STOPPED = 1, 130


def main(study: str, stage: str, name: str, log: str, digest: str) -> int:
    progress = Progress(f"{study} · {stage} · {name}", log)
    began, limit = time.monotonic(), slurm.TimeLimit()
    try:
        home = Plan(json.loads(os.environ["AGENTOMY_CONFIG"]), lazy=True).studies[study]
        planned = home.job(stage, name)
        if planned.edited_since(digest):
            raise ConfigError(study, name, "study file or code was edited after this run began; run snakemake again")
        job = asdict(planned)
        # with results on object storage, Snakemake keeps the copies of this job's files in a folder of its own
        os.chdir(log.rpartition(f"{home.folder}/logs/")[0] or ".")
        if slurm.place():
            progress.say(slurm.place())
        with exclusive(job, progress) as waited:
            if not (waited and made_meanwhile(job)):
                if stage == "training":  # it goes on in the next slice if it needs longer than this job may run
                    limit.watch()
                RUNNERS[stage](job, progress)
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
    except Exception as error:
        if type(error).__name__ == "Stopped":  # the driver's; importing it here would import torch
            progress.say(str(error))
            if limit.near:
                queued = slurm.queue_again()
                progress.say("back in the queue" if queued else "Slurm does not queue it again; run snakemake again")
            return EXIT_STOPPED
        progress.note(traceback.format_exc())
        progress.say(f"{type(error).__name__}: {error} (traceback in {log})")
        return EXIT_FAILED
    progress.say(f"done in {duration(time.monotonic() - began)}")
    return 0


def run_environments(job: dict, progress: Progress) -> None:
    function = find("environments", job["use"])
    kind = function.__annotations__["return"]
    made = call(function, job, {"streams": streams(job, job["name"]), "progress": progress})
    tables.write(job["outputs"][0], kind, made, source(job))


def run_training(job: dict, progress: Progress) -> None:
    device = prepare_torch(job)
    from agentomy.agents import driver

    agent_class = find("agents", job["use"])
    kind = agent_class.__init__.__annotations__["environment"]
    environment = Table(kind, job["inputs"]["environment"])
    seeds, plugin = job["options"]["seeds"], job["options"]["plugin"]
    made = []

    def make():
        stack = [streams(job, job["options"]["streams"], seed) for seed in seeds]
        agent = agent_class(environment, stack, device, **job["parameters"])
        if plugin:
            agent = find("agents.plugins", plugin["use"])(agent, stack, **plugin["parameters"])
        made.append(agent)
        return agent

    parameters, log = (Path(output) for output in job["outputs"])
    folder = parameters.parent / ".restart" / job["name"]
    progress.say(f"{job['use']}, {len(seeds)} seed{'s' * (len(seeds) > 1)}")
    snapshots, rows = driver.train(make, seeds, job["options"]["snapshots"], folder, fingerprint(job), progress)
    made_of = {"network": made[-1].network, "environment": environment.source}
    tables.write(parameters, kinds.PARAMETERS, snapshots, {**source(job), **made_of})
    tables.write(log, kinds.LOG, rows, source(job))
    driver.clear(folder)


def run_checkpoints(job: dict, progress: Progress) -> None:
    function = find("checkpoints", job["use"])
    device = prepare_torch(job) if "device" in inspect.signature(function).parameters else ""
    kind = function.__annotations__["return"]
    wanted = table_kinds(function)

    def pieces() -> Iterator:
        for number, (run, files) in enumerate(job["inputs"].items()):
            progress.begin(number, len(job["inputs"]), f"run {number + 1}/{len(job['inputs'])}, {run}")
            inputs = {name: Table(wanted[name], paths) for name, paths in files.items()}
            given = {"run": run, "streams": streams(job, run), "device": device, "progress": progress}
            made = call(function, job, {**inputs, **given})
            yield from [made] if not isinstance(made, Iterator) else made

    tables.write(job["outputs"][0], kind, pieces(), {**source(job), "environments": environments_of(job)})


def environments_of(job: dict) -> dict[str, dict]:
    """Where the runs of a checkpoint extraction learned: run → provenance of its environment."""
    found = {}
    for run, files in job["inputs"].items():
        for path in files.get("parameters", [])[:1]:
            with tables.reading(path) as file:
                found[run] = tables.provenance(file.schema_arrow).get("environment", {})
    return found


def run_metrics(job: dict, progress: Progress) -> None:
    function = find("metrics", job["use"])
    given = {"streams": streams(job, job["name"]), "progress": progress}
    made = call(function, job, {**read_inputs(function, job), **given})
    tables.write(job["outputs"][0], function.__annotations__["return"], made, source(job))


def run_figures(job: dict, progress: Progress) -> None:
    import matplotlib

    matplotlib.use("agg")
    function = find("figures", job["use"])
    figure = call(function, job, read_inputs(function, job))
    for output in job["outputs"]:
        # no dates: the same tables give the same bytes
        metadata = {"CreationDate": None} if output.endswith("pdf") else {"Software": None}
        with tables.replacing(output) as handle:
            figure.savefig(handle, format=output.rpartition(".")[2], metadata=metadata)


def run_claims(job: dict, progress: Progress) -> None:
    from agentomy import claims

    named = job["options"]["kinds"]
    metrics = {name: Table(kinds.ALL[named[name]], paths) for name, paths in job["inputs"].items()}
    verdicts = claims.judge(metrics, job["study"], **job["parameters"])
    parquet, markdown, html = job["outputs"]
    tables.write(parquet, kinds.CLAIMS, verdicts, source(job))
    for path, text in [(markdown, claims.markdown(verdicts)), (html, claims.html(verdicts))]:
        with tables.replacing(path) as handle:
            handle.write(text.encode())


RUNNERS = {
    "environments": run_environments,
    "training": run_training,
    "checkpoints": run_checkpoints,
    "metrics": run_metrics,
    "figures": run_figures,
    "claims": run_claims,
}


def find(section: str, use: str) -> Callable:
    """The function or class that a study file names."""
    return names.place(section, use)


def table_kinds(function: Callable) -> dict[str, kinds.Kind]:
    return {name: kind for name, kind in function.__annotations__.items() if isinstance(kind, kinds.Kind)}


def read_inputs(function: Callable, job: dict) -> dict[str, Table]:
    wanted = table_kinds(function)
    return {name: Table(wanted[name], paths) for name, paths in job["inputs"].items()}


def call(function: Callable, job: dict, provided: dict[str, Any]) -> Any:
    """Call a stage function with its parameters and with what it asks for."""
    asked = inspect.signature(function).parameters
    return function(**{name: value for name, value in provided.items() if name in asked}, **job["parameters"])


def streams(job: dict, name: str, seed: int = 0) -> Streams:
    """The random streams of an artifact, or of a run that a checkpoint extraction looks at.

    The stage is part of their name: training never meets the episodes that it is evaluated on.
    """
    return Streams(job["study"], f"{job['stage']}.{name}", seed)


def source(job: dict) -> dict:
    """What an artifact says about its making; nothing of when or where."""
    return {key: job[key] for key in ("stage", "study", "name", "use", "parameters", "code", "versions")}


def fingerprint(job: dict) -> str:
    """What a restart file belongs to: the whole job and the content of its inputs."""
    total = hashlib.sha256(json.dumps(job, sort_keys=True).encode())
    for paths in job["inputs"].values():
        for path in paths:
            total.update(Path(path).read_bytes())
    return total.hexdigest()


def prepare_torch(job: dict) -> str:
    """One thread and deterministic kernels, so that the same inputs give the same bytes; returns the device."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    device = job["options"]["device"]
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("config.yaml: device: found 'cuda', but torch sees no GPU here; allowed: cpu")
    return device


def made_meanwhile(job: dict) -> bool:
    """Whether the process that this one waited for has made just what this one was to make."""
    outputs = [Path(output) for output in job["outputs"]]
    if not all(output.exists() for output in outputs) or outputs[0].suffix != ".parquet":
        return False
    with tables.reading(outputs[0]) as file:
        return tables.provenance(file.schema_arrow).items() >= source(job).items()


@contextmanager
def exclusive(job: dict, progress: Progress) -> Iterator[bool]:
    """Let one process at a time make an artifact, even if an earlier Snakemake was killed and left its job running.

    Yields whether it had to wait for another.
    """
    results = Path(job["outputs"][0]).parts[:3]  # results/SCALE/STUDY
    path = Path(*results, ".locks", f"{job['stage']}-{job['name']}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say("another process is making this; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield True
        else:
            yield False


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
