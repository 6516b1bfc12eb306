"""What jobs ask of a cluster: memory, time, GPUs. Nothing here makes an artifact another.

Defaults at scale laptop are at least 1.8 times the most memory that any job of its stage took in whole runs of the six
studies (the benchmark files `results/laptop/*/benchmarks` of 2026-11-25, of two busy cores): 570 MB for
environments, 1,650 training, 1,140 checkpoints, 500 metrics, 1,120 figures, 230 claims; and four times the longest: 0.5
minutes, 13, 7, 0.8, 1.6 and 0.2. None is below ten minutes, since a cluster's file system may be slow. Those at scale
paper are estimates: nobody has measured them; a workstation is given what a laptop is. Training goes on in slices of
its time, however long it takes. Those runs were made of cold processes, as on a cluster: the peak memory of a fork
(`warm` in its benchmark file) begins at that of the server, about 450 MB.
"""

from pydantic import Field

from agentomy.values import Closed, Count, Natural

# stage → scale → (memory in MB, time in minutes)
DEFAULTS = {
    "environments": {"smoke": (1500, 10), "laptop": (1500, 10), "workstation": (1500, 10), "paper": (8000, 60)},
    "training": {"smoke": (1500, 10), "laptop": (3000, 60), "workstation": (3000, 60), "paper": (16000, 1440)},
    "checkpoints": {"smoke": (1500, 10), "laptop": (2500, 30), "workstation": (2500, 30), "paper": (16000, 240)},
    "metrics": {"smoke": (1000, 10), "laptop": (1500, 15), "workstation": (1500, 15), "paper": (16000, 120)},
    "figures": {"smoke": (1000, 10), "laptop": (2500, 10), "workstation": (2500, 10), "paper": (8000, 30)},
    "claims": {"smoke": (1000, 10), "laptop": (1000, 10), "workstation": (1000, 10), "paper": (2000, 10)},
}


class Resources(Closed):
    """What a job of the entry asks of a cluster, instead of the defaults of its stage."""

    mem_mb: Count | None = Field(None, description="memory, in MB", examples=[8000])
    runtime: Count | None = Field(None, description="time, in minutes", examples=[120])
    gpu: Natural | None = Field(None, description="number of GPUs", examples=[1])


def wanted(given: Resources, stage: str, scale: str, gpu: bool) -> dict[str, int]:
    """Memory, time and GPUs of a job, by its entry and else by defaults."""
    mem_mb, runtime = DEFAULTS[stage][scale]
    default = {"mem_mb": mem_mb, "runtime": runtime, "gpu": int(gpu)}
    return {**default, **given.model_dump(exclude_none=True)}
