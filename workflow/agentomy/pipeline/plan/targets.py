"""What may be asked of Snakemake, so that a target that is none ends in one line which helps."""

import os
from collections.abc import Iterable
from pathlib import PurePath

from agentomy.mistakes import ConfigError, unknown
from agentomy.pipeline.plan.config import SCALES
from agentomy.pipeline.plan.study import TAKEN, TOGETHER, Plan


def check(plan: Plan, wanted: Iterable[str]) -> None:
    """Refuse what no rule makes, with what was perhaps meant."""
    named = ["all", *TOGETHER, *plan.names]
    for target in wanted:
        path = PurePath(os.path.relpath(target))
        if target in named or "://" in target:  # places in a bucket have the bucket's names
            continue
        if target in TAKEN:
            raise ConfigError("target", target, "this rule makes many files; allowed: one of them, below results/")
        if path.parts[0] != "results":
            raise ConfigError("target", target, unknown("target", target, [*named, "files below results/"]))
        _check_file(plan, target, path.parts[1:])


def _check_file(plan: Plan, target: str, parts: tuple[str, ...]) -> None:
    scale, study, *rest = [*parts, "", ""]
    file, here = "/".join(filter(None, rest)), plan.config.scale
    if scale not in SCALES:
        raise ConfigError("target", target, unknown("scale", scale, SCALES))
    if scale != here:
        problem = f"of scale {scale}, and the configuration says {here}; allowed: with --config scale={scale}"
        raise ConfigError("target", target, problem)
    if study == "explorer.html" and not file:
        return
    if study not in plan.names:
        raise ConfigError("target", target, unknown("study", study, plan.names))
    files = [path.removeprefix(f"{plan.studies[study].folder}/") for path in plan.studies[study].targets]
    if file in files or file.startswith("."):
        return
    stage = rest[0]
    near = [path for path in files if path.startswith(f"{stage}/")] or sorted({path.split("/")[0] for path in files})
    raise ConfigError("target", target, unknown("file", file, near))
