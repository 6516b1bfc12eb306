"""What of others may run in the explorer's own process: networks that are rebuilt from numbers, in known environments.

Tables may come in a pack, from anybody. A class or an environment of a user's module runs in its jobs alone, so that
nobody's code is imported here: no id with a module in it, no entry point outside of gymnasium and the ALE, no wrapper
that writes files, no argument that names one.
"""

import re

import gymnasium

from agentomy.explorer.results import Run

MAKERS = ("gymnasium.envs.", "ale_py.")
WRAPPERS = (
    "AtariPreprocessing", "ClipAction", "ClipReward", "DtypeObservation", "FilterObservation", "FlattenObservation",
    "FrameStackObservation", "GrayscaleObservation", "MaxAndSkipObservation", "NormalizeObservation",
    "NormalizeReward", "RescaleAction", "RescaleObservation", "ReshapeObservation", "ResizeObservation",
    "StickyAction", "TimeAwareObservation", "TimeLimit",
)  # fmt: skip
WORD = re.compile(r"[A-Za-z0-9_-]*")  # of an argument: no path


def why_not(run: Run) -> str:
    """Why an imported run is not played here; empty if it may be."""
    architecture = run.network.get("architecture")
    if isinstance(architecture, dict) and architecture.get("custom"):
        return "its network is a class of a user's module, which runs in jobs alone"
    if run.network.get("frames", 1) != 1:
        return f"it sees {run.network['frames']} observations at once"
    if run.environment is None or run.environment.use != "gym.make":
        return ""
    given = run.environment.parameters
    spec = gymnasium.registry.get(given.get("id"))
    if spec is None or not str(spec.entry_point).startswith(MAKERS):
        return f"'{given.get('id')}' is no environment of gymnasium itself, and others run in jobs alone"
    for wrapper in given.get("wrappers") or []:
        module, _, name = str(wrapper.get("use")).rpartition(".")
        if module != "gymnasium.wrappers" or name not in WRAPPERS:
            return f"the wrapper '{wrapper.get('use')}' runs in jobs alone"
    for name, value in (given.get("kwargs") or {}).items():
        if name == "render_mode" or (isinstance(value, str) and not WORD.fullmatch(value)):
            return f"the argument '{name}' of its environment is used in jobs alone"
    return ""
