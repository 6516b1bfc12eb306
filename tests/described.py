"""What planted tables say about themselves."""

from typing import Any

from agentomy.descriptions import Extracted, Task, Trained

SOME = Task(use="test", parameters={})  # an environment of which nobody asks anything


def trained(
    network: dict[str, Any] | None = None, environment: Task | None = None, run: str = "run", **parameters: Any
) -> Trained:
    """A training run: of a network, in an environment, with these parameters of its agent."""
    network = network or {"use": "none"}
    return Trained(run=run, seeds=[], use="test", parameters=parameters, network=network, environment=environment)


def extracted(run: str = "run", environment: Task | None = None, **parameters: Any) -> Extracted:
    """What was extracted of a run."""
    return Extracted(run=run, seeds=[], parameters=parameters, environment=environment)
