"""A user's own modules, which run in the jobs that use them and nowhere else."""

import hashlib
import sys
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

from agentomy import names
from agentomy.mistakes import ConfigError


def load(job: dict) -> None:
    """Load the modules that a job names, from files that have to be those which were planned."""
    for name, file in job["options"].get("modules", {}).items():
        try:
            content = Path(file["path"]).read_bytes()
        except OSError as error:
            raise ConfigError(file["path"], "", f"cannot be read ({error.strerror})") from None
        if hashlib.sha256(content).hexdigest() != file["sha256"]:
            raise ConfigError(file["path"], "", "was edited since this run began; run snakemake again")
        module = module_from_spec(spec_from_loader(name, None, origin=file["path"]))
        module.__file__ = file["path"]
        sys.modules[name] = module
        exec(compile(content, file["path"], "exec"), module.__dict__)
        names.LOADED.add(name)
