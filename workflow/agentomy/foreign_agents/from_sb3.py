"""Networks of Stable-Baselines3 and sb3-contrib, recognised from tensor names, shapes and the text of `data`.

A2C, PPO, TRPO, DQN, QR-DQN, DDPG, TD3, SAC, TQC and ARS, with an MLP of any depth or a NatureCNN. What their
classes do is known by the module that they are defined in: tensors of a class of somebody's own, or of MaskablePPO, may
look the same and mean something else.
"""

from collections.abc import Callable
from typing import Any

from agentomy.foreign_agents import spaces
from agentomy.foreign_agents.architecture import ACTIVATIONS, Architecture, Branch
from agentomy.foreign_agents.files import Place, refused
from agentomy.foreign_agents.recognised import Recognised, Tray, unknown_network
from agentomy.foreign_agents.sb3 import Said
from agentomy.foreign_agents.spaces import Space
from agentomy.foreign_agents.tensors import Tensors
from agentomy.mistakes import validated

EXTRACTORS = ("FlattenExtractor", "NatureCNN")
TORCH_LAYERS = "stable_baselines3.common.torch_layers"
RECURRENT, MASKABLE = "sb3_contrib.common.recurrent.policies", "sb3_contrib.common.maskable.policies"
Options = dict[str, Any]  # of an `Architecture`


def recognised(
    tensors: Tensors, said: Said, file: Place, observation: Space | None = None, action: Space | None = None
) -> Recognised:
    """The agent in a zip; the environment's spaces, if given, are compared with the file's and set the bounds."""
    _refuse_strangers(tensors, said, file)
    observation = _agreed(said, "observation_space", observation, file)
    action = _agreed(said, "action_space", action, file)
    tray = Tray(tensors, file)
    options = FAMILIES[said.module](tray, said, observation, action)
    tray.done()
    pixels = observation.pixels and said.option("normalize_images", True)
    options |= {"observation": observation, "action": action, "scale": 255.0 if pixels else 1.0}
    architecture = validated(Architecture, options, file, "policy_kwargs")
    steps = said.data.get("num_timesteps")
    steps = steps if type(steps) is int and steps >= 0 else None
    return Recognised(architecture, tray.tensors, tray.originals, updates=steps)


def _refuse_strangers(tensors: Tensors, said: Said, file: Place) -> None:
    """Refuse, in one line each, what cannot be a network of this library."""
    if said.module.startswith(RECURRENT) or any("lstm" in name for name in tensors):
        raise refused(file, "policy_class", "found a recurrent policy; allowed: policies without memory")
    if said.module.startswith(MASKABLE):
        problem = "found MaskablePPO, which plays illegal actions without its masks; allowed: policies without masks"
        raise refused(file, "policy_class", problem)
    if said.policy.startswith("MultiInput") or any("features_extractor.extractors." in name for name in tensors):
        raise refused(file, "observation_space", "found a Dict observation; allowed: one array")
    if said.module not in FAMILIES:
        problem = f"found a policy of the module '{said.module}'; allowed: the libraries' own, or name your class"
        raise refused(file, "policy_class", problem)
    extractor = said.class_named("features_extractor_class")
    if extractor and (extractor[0] != TORCH_LAYERS or extractor[1] not in EXTRACTORS):
        full_name = ".".join(filter(None, extractor))[:80]
        problem = f"found the features extractor {full_name}; allowed: {', '.join(EXTRACTORS)}, or name your class"
        raise refused(file, "policy_kwargs.features_extractor_class", problem)


def _agreed(said: Said, name: str, given: Space | None, file: Place) -> Space:
    """The file's space with the environment's bounds; an error if they are not the same space."""
    try:
        space = said.space(name)
    except spaces.UnknownSpace as error:
        raise refused(file, name, f"found a {error} space; allowed: one array, or choices") from None
    if space is None:
        if given is None:
            raise refused(file, name, "found nothing said of it; allowed: the environment's, given beside the file")
        return given
    if given is None:
        return space
    turned = [*given.shape[-1:], *given.shape[:-1]]
    same = space.shape == given.shape or (len(space.shape) == 3 and space.shape == turned)
    if space.sort != given.sort or space.sizes != given.sizes or not same:
        problem = f"found {space.text()}, and the environment has {given.text()}; allowed: the same"
        frames = spaces.frames(space, given)
        why = f"its wrappers, or frames: {frames}" if frames else "or its wrappers"
        raise refused(file, name, f"{problem} (another environment, {why})")
    return space.model_copy(update={"low": given.low, "high": given.high, "start": given.start})


def _activation(tray: Tray, said: Said, default: str) -> str:
    activation = said.class_named("activation_fn")
    if activation is None:
        return default
    module, name = activation
    if not module.startswith("torch.nn.modules.") or name not in ACTIVATIONS:
        text = f"{module}.{name}".strip(".")[:80]
        raise refused(
            tray.file, "policy_kwargs.activation_fn", f"found {text}; allowed: torch.nn's {', '.join(ACTIVATIONS)}"
        )
    return name


# ---- features ----------------------------------------------------------------------------------------------------


def _features(tray: Tray, observation: Space, policy: str, value: str | None) -> tuple[int, bool, int]:
    """Take the NatureCNNs: the width that branches read, whether each has its own, and the CNN's width (0: none).

    `policy` and `value` are the prefixes of the extractors that the branches read. Where both hold the same numbers the
    extractor is shared, and is one.
    """
    if not any(name.startswith(f"{policy}cnn.") for name in tray.free):
        if any(name.startswith(policy) for name in tray.free):
            raise refused(tray.file, policy.rstrip("."), "found an unknown features extractor; name your class")
        return observation.entries, False, 0
    if value is None or tray.same(policy, value):
        width = tray.nature(policy.rstrip("."), "features.nature", observation)
        if value is not None and value != policy:
            tray.forget(value)
        return width, False, width
    width = tray.nature(policy.rstrip("."), "policy.nature", observation)
    if tray.nature(value.rstrip("."), "value.nature", observation) != width:
        raise refused(tray.file, value.rstrip("."), "found features of another width than the policy's")
    return width, True, width


# ---- families ----------------------------------------------------------------------------------------------------


def _actor_critic(tray: Tray, said: Said, observation: Space, action: Space) -> Options:
    """A2C, PPO, TRPO. Source: stable_baselines3/common/policies.py, ActorCriticPolicy."""
    family = "PPO" if "clip_range" in said.data else "TRPO" if "cg_max_steps" in said.data else "A2C"
    names = ("features_extractor.", "pi_features_extractor.", "vf_features_extractor.")
    if any(name.startswith(names[1]) for name in tray.free):
        if not (tray.same(names[0], names[1]) or tray.same(names[0], names[2])):
            raise refused(tray.file, names[0], "found three features extractors; allowed: the policy's, the value's")
        tray.forget(names[0])  # another name of one of the two
        inputs, separate, cnn = _features(tray, observation, names[1], names[2])
    else:
        inputs, separate, cnn = _features(tray, observation, names[0], None)
    shared = tray.body(tray.chain("mlp_extractor.shared_net"), "features.shared", inputs)  # before version 1.8
    inputs = shared[-1] if shared else inputs
    branches = {}
    for new, trunk, head in (("policy", "policy_net", "action_net"), ("value", "value_net", "value_net")):
        hidden = tray.body(tray.chain(f"mlp_extractor.{trunk}"), f"{new}.body", inputs)
        outputs, _ = tray.joined(head, f"{new}.head", hidden[-1] if hidden else inputs)
        branches[new] = Branch(hidden=hidden, outputs=outputs, features=separate)
    options: Options = {
        "family": family,
        "activation": _activation(tray, said, "Tanh"),
        "cnn": cnn,
        "shared": shared,
        **branches,
        "head": "logits",
        "initial": "orthogonal" if said.option("ortho_init", True) else "uniform",
        "log_std": said.option("log_std_init", 0.0),
    }
    if action.sort == "box":
        options |= {"head": "mean", "squash": "tanh" if said.option("squash_output", False) else "clip"}
        options |= _spread(tray, said, "log_std")
    _outputs(tray, "action_net.weight", branches["policy"].outputs, action.entries)
    return options


def _spread(tray: Tray, said: Said, name: str) -> Options:
    """A Gaussian's spread: a number for each action, or gSDE's matrix."""
    array = tray.take(name, "policy.log_std")
    if array.ndim == 1:
        return {"spread": "constant"}
    if array.ndim != 2:
        raise unknown_network(tray.file, [name])
    return {"spread": "state", "spread_width": array.shape[1], "expln": said.option("use_expln", False)}


def _outputs(tray: Tray, name: str, outputs: int, expected: int) -> None:
    if outputs != expected:
        raise refused(tray.file, name, f"found {outputs} outputs; allowed: {expected}, by the space of actions")


def _values_of_actions(part: str, family: str) -> Callable[[Tray, Said, Space, Space], Options]:
    """DQN and QR-DQN. Sources: stable_baselines3/dqn/policies.py, sb3_contrib/qrdqn/policies.py."""

    def recognise(tray: Tray, said: Said, observation: Space, action: Space) -> Options:
        if action.sort != "discrete":
            raise refused(tray.file, "action_space", f"found {action.text()}; allowed: choices, for {family}")
        inputs, _, cnn = _features(tray, observation, f"{part}.features_extractor.", None)
        *olds, last = tray.chain(f"{part}.{part}") or [f"{part}.{part}.0"]
        hidden = tray.body(olds, "policy.body", inputs)
        outputs, _ = tray.joined(last, "policy.head", hidden[-1] if hidden else inputs)
        quantiles = outputs // action.entries if family == "QR-DQN" else 1
        _outputs(tray, f"{last}.weight", outputs, quantiles * action.entries)
        tray.targets(f"{part}.", f"{part}_target.")
        return {
            "family": family,
            "activation": _activation(tray, said, "ReLU"),
            "cnn": cnn,
            "policy": Branch(hidden=hidden, outputs=outputs),
            "head": "quantiles" if family == "QR-DQN" else "q",
            "quantiles": quantiles,
        }

    return recognise


def _deterministic(tray: Tray, said: Said, observation: Space, action: Space) -> Options:
    """DDPG and TD3. Source: stable_baselines3/td3/policies.py."""
    inputs, separate, cnn = _actor_features(tray, observation)
    *olds, last = tray.chain("actor.mu") or ["actor.mu.0"]
    options = _actor_and_critics(tray, said, action, inputs, separate, olds, last)
    family = "DDPG" if options["critics"] == 1 and said.data.get("policy_delay") == 1 else "TD3"
    return {**options, "family": family, "cnn": cnn}


def _soft(tray: Tray, said: Said, observation: Space, action: Space) -> Options:
    """SAC and TQC. Sources: stable_baselines3/sac/policies.py, sb3_contrib/tqc/policies.py."""
    inputs, separate, cnn = _actor_features(tray, observation)
    last = "actor.mu.0" if "actor.mu.0.weight" in tray.free else "actor.mu"
    clip = said.option("clip_mean", 2.0) if last == "actor.mu.0" else 0.0
    spread: Options = {"spread": "layer"}
    if "actor.log_std" in tray.free:
        spread = _spread(tray, said, "actor.log_std")
    else:
        tray.layer("actor.log_std", "policy.log_std")
    options = _actor_and_critics(tray, said, action, inputs, separate, tray.chain("actor.latent_pi"), last)
    options |= {"clip": clip, "cnn": cnn, "log_std": said.option("log_std_init", -3.0), **spread}
    return {**options, "family": "TQC" if said.module.startswith("sb3_contrib") else "SAC"}


def _actor_features(tray: Tray, observation: Space) -> tuple[int, bool, int]:
    return _features(tray, observation, "actor.features_extractor.", "critic.features_extractor.")


def _actor_and_critics(
    tray: Tray, said: Said, action: Space, inputs: int, separate: bool, olds: list[str], last: str
) -> Options:
    """An actor whose last layer is `last`, critics `critic.qfN` of features and action, and the targets of both."""
    if action.sort != "box":
        raise refused(tray.file, "action_space", f"found {action.text()}; allowed: continuous actions")
    hidden = tray.body(olds, "policy.body", inputs)
    outputs, _ = tray.joined(last, "policy.head", hidden[-1] if hidden else inputs)
    _outputs(tray, f"{last}.weight", outputs, action.entries)
    branches = []
    while chain := tray.chain(f"critic.qf{len(branches)}"):
        new = f"value.q{len(branches)}"
        width = tray.body(chain[:-1], f"{new}.body", inputs + outputs)
        values, _ = tray.joined(chain[-1], f"{new}.head", width[-1] if width else inputs + outputs)
        branches.append(Branch(hidden=width, outputs=values, features=separate))
    if not branches or any(branch != branches[0] for branch in branches):
        raise unknown_network(tray.file, tray.given)
    _targets_of_actor(tray, separate)
    return {
        "activation": _activation(tray, said, "ReLU"),
        "policy": Branch(hidden=hidden, outputs=outputs, features=separate),
        "value": branches[0],
        "critics": len(branches),
        "quantiles": branches[0].outputs,
        "head": "mean",
        "squash": "tanh",
    }


def _targets_of_actor(tray: Tray, separate: bool) -> None:
    """Take the target networks; a shared extractor has two names there too, of which one is kept."""
    if not separate and tray.same("actor_target.features_extractor.", "critic_target.features_extractor."):
        tray.forget("critic_target.features_extractor.")
    tray.targets("actor.", "actor_target.")
    if not separate:  # SAC: the critics' target has an extractor of its own, of what actor and critics share
        tray.targets("actor.features_extractor.", "critic_target.features_extractor.")
    tray.targets("critic.", "critic_target.")


def _random_search(tray: Tray, said: Said, observation: Space, action: Space) -> Options:
    """ARS. Source: sb3_contrib/ars/policies.py."""
    *olds, last = tray.chain("action_net") or ["action_net.0"]
    linear = said.policy == "ARSLinearPolicy"
    hidden = tray.body(olds, "policy.body", observation.entries)
    outputs, bias = tray.joined(last, "policy.head", hidden[-1] if hidden else observation.entries)
    _outputs(tray, f"{last}.weight", outputs, action.entries)
    options: Options = {
        "family": "ARS",
        "activation": _activation(tray, said, "ReLU"),
        "policy": Branch(hidden=hidden, outputs=outputs, bias=bias),
        "head": "logits",
        "initial": "zero" if said.data.get("zero_policy", True) is True else "uniform",
    }
    if action.sort == "box":
        squash = "tanh" if said.option("squash_output", not linear) else "clip"
        options |= {"head": "mean", "squash": squash}
    return options


FAMILIES = {
    "stable_baselines3.common.policies": _actor_critic,
    "stable_baselines3.dqn.policies": _values_of_actions("q_net", "DQN"),
    "stable_baselines3.td3.policies": _deterministic,
    "stable_baselines3.sac.policies": _soft,
    "sb3_contrib.tqc.policies": _soft,
    "sb3_contrib.qrdqn.policies": _values_of_actions("quantile_net", "QR-DQN"),
    "sb3_contrib.ars.policies": _random_search,
}
