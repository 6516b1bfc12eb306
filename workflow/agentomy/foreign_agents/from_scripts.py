"""Networks of single-file scripts (CleanRL's) and plain MLPs, recognised from shapes and what their owner states.

Shapes can't tell logits from values, nor which activation lies between two layers: both are stated, and so is what
pixels are divided by. Which tensors belong to the policy is told by the names that CleanRL uses (`actor`, `actor_mean`,
`critic`, `network`, `fc_mu`, …); without any of these all layers are one chain, the policy's.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from agentomy.foreign_agents.architecture import ACTIVATIONS, HEADS, Architecture, Branch
from agentomy.foreign_agents.files import Place, refused
from agentomy.foreign_agents.recognised import Recognised, Tray, unknown_network
from agentomy.foreign_agents.spaces import Space
from agentomy.foreign_agents.tensors import Tensors
from agentomy.mistakes import shown, unknown, validated

LOG_STD = ("actor_logstd", "log_std", "logstd", "policy.log_std", "actor.log_std")
BUFFERS = ("action_scale", "action_bias")  # of CleanRL's actors: the environment's bounds
VALUE = re.compile(r"^(critic|value|vf|value_net|v)(\.|$)")
TRUNK = re.compile(r"^(network|trunk|shared|features|base)(\.|$)")


class Stated(BaseModel):
    """What only the owner of a script's network knows.

    activation: between layers. head: what the outputs are: "logits", "q", "mean" (clipped to the bounds) or "tanh" (a
    mean that is squashed and stretched to them). scale: pixels are divided by it. initial: how layers are drawn before
    training: "orthogonal" (CleanRL's PPO) or "uniform" (PyTorch's own).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    activation: str | None = None
    head: str | None = None
    scale: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    initial: str = "uniform"


def stated(network: Mapping[str, Any] | None) -> Stated:
    """What a study file says of a network beside `use: recognised`."""
    said = dict(network or {})
    if said.pop("use", "recognised") != "recognised":
        raise refused("network", "use", f"found {shown(network['use'])}; allowed: recognised")
    return validated(Stated, said, "network", "")


def recognised(
    states: Sequence[Tensors], stated: Stated, file: Place, observation: Space | None, action: Space | None
) -> Recognised:
    """The agent in one state dict, or in several (an actor, then its critics)."""
    if observation is None or action is None:
        raise refused(file, "", "a state dict says nothing of its environment; allowed: with the environment's spaces")
    head, scale = _checked(stated, action, observation, file)
    names = [*(f"{i}: {name}" if i else name for i, state in enumerate(states) for name in state)]
    _refuse_memory(names, file)
    tray = Tray(
        {name if not i else f"{i}: {name}": tensor for i, state in enumerate(states) for name, tensor in state.items()},
        file,
    )
    left = [name for name in BUFFERS if tray.forget(name)]
    spread = _spread(tray)
    layers = _ordered(tray)
    groups: dict[str, list[str]] = {"trunk": [], "policy": [], "value": []}
    for name in layers:
        groups["value" if VALUE.match(name) else "trunk" if TRUNK.match(name) else "policy"].append(name)
    critics = [[name for name in layers if name.startswith(f"{i}: ")] for i in range(1, len(states))]
    groups["policy"] = [name for name in groups["policy"] if ": " not in name]
    if not groups["policy"]:  # one network and no heads beside it: CleanRL's DQN
        groups["policy"], groups["trunk"] = groups["trunk"], []
    features, inputs = _features(tray, groups, observation)
    policy, hidden = _branch(tray, groups["policy"], "policy", inputs)
    if policy.outputs != action.entries:
        name = f"{groups['policy'][-1]}.weight"
        raise refused(file, name, f"found {policy.outputs} outputs; allowed: {action.entries}, the environment's")
    value = None
    if groups["value"]:
        value, more = _branch(tray, groups["value"], "value", inputs)
        hidden = hidden or more
    for number, names in enumerate(critics):
        value, more = _branch(tray, names, f"value.q{number}", inputs + action.entries)
        hidden = hidden or more
    tray.done()
    if (hidden or features.get("shared")) and stated.activation is None:
        raise refused(file, "activation", f"missing; allowed: {', '.join(ACTIVATIONS)} (shapes don't tell it)")
    architecture = Architecture(
        family="state dict",
        observation=observation,
        action=action,
        scale=scale,
        activation=stated.activation or "ReLU",
        policy=policy,
        head="mean" if head == "tanh" else head,
        squash={"mean": "clip", "tanh": "tanh"}.get(head, "none"),
        value=value,
        critics=len(critics),
        in_units=bool(critics),
        initial=stated.initial,
        **features,
        **spread,
    )
    return Recognised(architecture, tray.tensors, tray.originals, left)


def _checked(stated: Stated, action: Space, observation: Space, file: Place) -> tuple[str, float]:
    """Head and scale, or one line about what is missing or does not go with the environment."""
    if stated.activation is not None and stated.activation not in ACTIVATIONS:
        raise refused(file, "activation", unknown("activation", stated.activation, ACTIVATIONS))
    if stated.initial not in ("orthogonal", "uniform"):
        raise refused(file, "initial", unknown("rule", stated.initial, ("orthogonal", "uniform")))
    if stated.head is None:
        raise refused(file, "head", f"missing; allowed: {', '.join(HEADS)} (shapes can't tell logits from values)")
    if stated.head not in HEADS:
        raise refused(file, "head", unknown("head", stated.head, HEADS))
    if (stated.head in ("mean", "tanh")) != (action.sort == "box") or (
        stated.head == "q" and action.sort != "discrete"
    ):
        raise refused(
            file, "head", f"found {stated.head} for actions of {action.text()}; allowed: one that goes with them"
        )
    if observation.pixels and stated.scale is None:
        raise refused(file, "scale", "missing; allowed: what pixels are divided by (255 or 1)")
    return stated.head, stated.scale or 1.0


def _refuse_memory(names: Sequence[str], file: Place) -> None:
    if any(re.search(r"(weight|bias)_(ih|hh)(_l\d+)?$", name) for name in names):
        raise refused(file, "", "found a recurrent network; allowed: networks without memory, or name your class")


def _spread(tray: Tray) -> dict:
    names = [name for name in LOG_STD if name in tray.free]
    if len(names) == 1:
        tray.take(names[0], "policy.log_std")
        tray.tensors["policy.log_std"] = tray.tensors["policy.log_std"].reshape(-1)  # CleanRL's is [1, A]
        return {"spread": "constant"}
    if "fc_logstd.weight" in tray.free:
        tray.layer("fc_logstd", "policy.log_std")
        return {"spread": "tanh layer"}
    return {}


def _ordered(tray: Tray) -> list[str]:
    """Layers by name, numbers in a name as numbers: `fc1`, `fc2`, `fc_mu`; `network.2` before `network.10`."""
    names = [name.removesuffix(".weight") for name in tray.free if name.endswith(".weight")]
    return sorted(
        names, key=lambda name: [(int(part), "") if part.isdigit() else (10**9, part) for part in _parts(name)]
    )


def _parts(name: str) -> list[str]:
    return [part for part in re.split(r"(\d{1,6})", name) if part]


def _features(tray: Tray, groups: dict[str, list[str]], observation: Space) -> tuple[dict, int]:
    """Take what comes before the branches: a NatureCNN (three convolutions and a layer), shared layers, or nothing."""
    first = groups["trunk"] or groups["policy"]
    cnn = 0
    if [tray.free[f"{name}.weight"].ndim for name in first[:4]] == [4, 4, 4, 2]:
        cnn = tray.nature("", "features.nature", observation, tuple(first[:4]))
        del first[:4]
    inputs = cnn or observation.entries
    shared = tray.body(groups["trunk"], "features.shared", inputs)
    return {"cnn": cnn, "shared": shared}, shared[-1] if shared else inputs


def _branch(tray: Tray, names: list[str], new: str, inputs: int) -> tuple[Branch, bool]:
    """Layers that follow on each other, the last of which is the head; and whether there are hidden ones."""
    if not names:
        raise unknown_network(tray.file, tray.given)
    hidden = tray.body(names[:-1], f"{new}.body", inputs)
    outputs, bias = tray.joined(names[-1], f"{new}.head", hidden[-1] if hidden else inputs)
    return Branch(hidden=hidden, outputs=outputs, bias=bias), bool(hidden)
