"""A foreign agent's network in PyTorch, for one agent: rebuilt from its `Architecture`, read as its library reads it.

Layers have the names of the tables' tensors: `features.` (a NatureCNN, shared layers), `policy.`, `value.`. Sources:
Stable-Baselines3 (common/{policies, torch_layers, distributions}.py, sac, td3, dqn), sb3-contrib (tqc, qrdqn, ars),
CleanRL's single-file scripts.
"""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from agentomy.foreign_agents.architecture import CONVOLUTIONS, Architecture, Branch
from agentomy.foreign_agents.files import Place
from agentomy.foreign_agents.recognised import TARGET, Recognised, unknown_network
from agentomy.networks import generator

LOG_STD = (-20.0, 2.0)  # SAC's and TQC's bounds of the logarithm of a standard deviation
CLEANRL_LOG_STD = (-5.0, 2.0)  # of CleanRL's SAC, between which a tanh moves
EPSILON = 1e-6  # gSDE adds it to the variance


class NatureCNN(nn.Module):
    """Mnih et al. (2015): three convolutions and a layer, ReLU after each; pictures [B, C, H, W] → [B, width]."""

    def __init__(self, shape: list[int], width: int):
        super().__init__()
        channels, *sides = shape
        layers: list[nn.Module] = []
        for filters, field, stride in CONVOLUTIONS:
            layers += [nn.Conv2d(channels, filters, field, stride), nn.ReLU()]
            channels, sides = filters, [(side - field) // stride + 1 for side in sides]
        self.cnn = nn.Sequential(*layers, nn.Flatten())
        self.linear = nn.Sequential(nn.Linear(channels * int(np.prod(sides)), width), nn.ReLU())

    def forward(self, pictures: Tensor) -> Tensor:
        return self.linear(self.cnn(pictures))


class Features(nn.Module):
    """What policy and value have in common: a NatureCNN or nothing, then layers or none."""

    def __init__(self, of: Architecture):
        super().__init__()
        self.nature = NatureCNN(of.observation.shape, of.cnn) if of.cnn else None
        width = of.cnn or of.observation.entries
        self.shared = layers(width, of.shared, of.activation)

    def forward(self, observations: Tensor) -> Tensor:
        seen = self.nature(observations) if self.nature is not None else observations.flatten(1)
        return self.shared(seen)


class Layers(nn.Module):
    """A branch: hidden layers, and the linear head."""

    def __init__(self, of: Branch, inputs: int, activation: str):
        super().__init__()
        self.body = layers(inputs, of.hidden, activation, of.bias)
        self.head = nn.Linear(of.hidden[-1] if of.hidden else inputs, of.outputs, of.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.body(inputs))


class Policy(Layers):
    """The branch that acts, with the spread of its actions."""

    def __init__(self, of: Architecture, inputs: int):
        super().__init__(of.policy, inputs, of.activation)
        self.nature = NatureCNN(of.observation.shape, inputs) if of.policy.features else None
        actions, width = of.policy.outputs, self.head.in_features
        if of.spread in ("layer", "tanh layer"):
            self.log_std = nn.Linear(width, actions)
        elif of.spread != "none":
            self.log_std = nn.Parameter(torch.zeros(actions if of.spread == "constant" else (width, of.spread_width)))


class Critics(nn.Module):
    """Values of observation and action: `q0`, `q1`, … side by side."""

    def __init__(self, of: Architecture, inputs: int):
        super().__init__()
        self.nature = NatureCNN(of.observation.shape, inputs) if of.value.features else None
        self.count = of.critics
        for number in range(of.critics):
            self.add_module(f"q{number}", Layers(of.value, inputs + of.action.entries, of.activation))

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, features and actions] → [B, critics, outputs]."""
        return torch.stack([getattr(self, f"q{number}")(inputs) for number in range(self.count)], dim=1)


class Value(Layers):
    """The value of an observation."""

    def __init__(self, of: Architecture, inputs: int):
        super().__init__(of.value, inputs, of.activation)
        self.nature = NatureCNN(of.observation.shape, inputs) if of.value.features else None


def layers(inputs: int, widths: list[int], activation: str, bias: bool = True) -> nn.Sequential:
    """Linear layers of these widths, the activation after each."""
    modules: list[nn.Module] = []
    for width in widths:
        modules += [nn.Linear(inputs, width, bias), getattr(nn, activation)()]
        inputs = width
    return nn.Sequential(*modules)


class Agent(nn.Module):
    """One agent: what its network gives for observations, and the actions that it takes on that."""

    def __init__(self, architecture: Architecture):
        super().__init__()
        self.of = of = architecture
        separate = of.policy.features or (of.value is not None and of.value.features)
        self.features = None if separate else Features(of)
        width = of.shared[-1] if of.shared else of.cnn or of.observation.entries
        self.policy = Policy(of, width)
        self.value = None
        if of.value is not None:
            self.value = Critics(of, width) if of.critics else Value(of, width)
        self.set_bounds()
        self.eval()

    def set_bounds(self) -> None:
        """Register the bounds of actions as buffers: they belong to the environment and are no weights."""
        for name, space in (("low", self.of.action.low), ("high", self.of.action.high)):
            bound = torch.tensor(space, dtype=torch.float32) if space is not None else None
            self.register_buffer(name, bound, persistent=False)

    # ---- reading observations ------------------------------------------------------------------------------------

    def prepared(self, observations: Tensor | np.ndarray) -> Tensor:
        """Observations as the environment gives them, [B, *shape] → what the first layer takes, float32.

        Discrete ones become one-hot, pictures channels first and divided by the scale.
        """
        seen, space = torch.as_tensor(observations), self.of.observation
        if space.sizes:
            columns = seen.long().reshape(len(seen), len(space.sizes))
            hot = [one_hot(columns[:, i], size) for i, size in enumerate(space.sizes)]
            return torch.cat(hot, dim=1).to(self.device, torch.float32)
        if len(space.shape) == 3 and [*seen.shape[1:]] != space.shape:
            seen = seen.movedim(-1, 1)
        return seen.to(self.device, torch.float32) / self.of.scale

    @property
    def device(self) -> torch.device:
        return self.policy.head.weight.device

    def _seen(self, observations: Tensor, branch: nn.Module) -> Tensor:
        """The features that a branch reads [B, width]."""
        if branch.nature is not None:
            return branch.nature(observations)
        return self.features(observations) if self.features is not None else observations.flatten(1)

    # ---- what it gives -------------------------------------------------------------------------------------------

    def forward(self, observations: Tensor | np.ndarray) -> dict[str, Tensor]:
        return self.outputs(observations)

    def outputs(self, observations: Tensor | np.ndarray) -> dict[str, Tensor]:
        """Observations [B, *shape] → by name, of those that this agent has:

        latent [B, H]: of the policy's last hidden layer. logits [B, A]. q [B, A]. quantiles [B, N, A]. mean, std
        [B, A]: of a continuous action before it is squashed or clipped (no std: it is always the mean). value [B]: of
        the state; for critics of state and action the least, at the action that the agent thinks best.
        """
        seen, of = self.prepared(observations), self.of
        latent = self.policy.body(self._seen(seen, self.policy))
        outputs, raw = {"latent": latent}, self.policy.head(latent)
        match of.head:
            case "quantiles":
                outputs["quantiles"] = raw.view(len(raw), of.quantiles, -1)
                outputs["q"] = outputs["quantiles"].mean(dim=1)
            case "mean":
                outputs["mean"] = raw.clamp(-of.clip, of.clip) if of.clip else raw
                if of.spread != "none":
                    outputs["std"] = self._std(latent).expand_as(raw)
            case head:
                outputs[head] = raw
        if isinstance(self.value, Value):
            outputs["value"] = self.value(self._seen(seen, self.value)).squeeze(-1)
        elif isinstance(self.value, Critics):
            outputs["value"] = self._values(seen, self._squashed(outputs["mean"])).mean(dim=-1).amin(dim=-1)
        return outputs

    @torch.no_grad()
    def hidden(self, observations: Tensor | np.ndarray) -> dict[str, Tensor]:
        """The output of each layer behind its activation [B, units or C, H, W], by name, without critics'."""
        outputs: dict[str, Tensor] = {}
        hooks = []
        for name, sequence in self.named_modules():
            if isinstance(sequence, nn.Sequential) and not name.startswith("value.q"):
                for number, (layer, after) in enumerate(pairwise(sequence)):
                    if isinstance(layer, (nn.Linear, nn.Conv2d)):
                        place = f"{name}.{number}"
                        keep = lambda module, inputs, output, place=place: outputs.__setitem__(place, output)  # noqa: E731
                        hooks.append(after.register_forward_hook(keep))
        try:
            self.outputs(observations)
        finally:
            for hook in hooks:
                hook.remove()
        return outputs

    def values(self, observations: Tensor | np.ndarray, actions: Tensor) -> Tensor:
        """What each critic gives, [B, critics, quantiles]; actions [B, A] as critics take them (SB3: within ±1)."""
        return self._values(self.prepared(observations), actions)

    def _values(self, seen: Tensor, actions: Tensor) -> Tensor:
        return self.value(torch.cat([self._seen(seen, self.value), actions], dim=1))

    def _std(self, latent: Tensor) -> Tensor:
        of, given = self.of, self.policy.log_std
        match of.spread:
            case "constant":
                return given.exp()
            case "layer":
                return given(latent).clamp(*LOG_STD).exp()
            case "tanh layer":
                low, high = CLEANRL_LOG_STD
                return (low + 0.5 * (high - low) * (given(latent).tanh() + 1)).exp()
        std = given.exp()
        if of.expln:  # grows like a logarithm above zero
            std = torch.where(given <= 0, std, (given.clamp(min=0) + EPSILON).log1p() + 1)
        return (latent.square() @ std.square() + EPSILON).sqrt()

    # ---- acting --------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def act(self, observations: Tensor | np.ndarray, noise: torch.Generator | None = None) -> np.ndarray:
        """Actions in the environment's units, [B] or [B, *shape]; drawn with `noise`, else the ones it thinks best.

        Values (q) have no distribution: the best is taken either way. gSDE's noise is drawn anew for every step.
        """
        outputs, of = self.outputs(observations), self.of
        if of.head == "mean":
            action = outputs["mean"]
            if noise is not None and "std" in outputs:
                action = action + outputs["std"] * torch.randn(action.shape, generator=noise, device=action.device)
            bounded = self._bounded(action)
            return bounded.cpu().numpy().reshape(-1, *of.action.shape)
        if of.action.sort == "multibinary":
            chance = outputs["logits"].sigmoid()
            drawn = torch.rand(chance.shape, generator=noise, device=chance.device) if noise is not None else 0.5
            return (chance > drawn).to(torch.int8).cpu().numpy().reshape(-1, *of.action.shape)
        scores = outputs["logits" if of.head == "logits" else "q"]
        chosen = [
            _choice(part, noise if of.head == "logits" else None) for part in scores.split(of.action.sizes, dim=1)
        ]
        actions = torch.stack(chosen, dim=1).cpu().numpy()
        return actions.reshape(-1, *of.action.shape) + of.action.start

    def _squashed(self, mean: Tensor) -> Tensor:
        """The action as critics take it."""
        if self.of.in_units:
            return self._bounded(mean)
        return mean.tanh() if self.of.squash == "tanh" else mean

    def _bounded(self, action: Tensor) -> Tensor:
        if self.of.squash == "none":
            return action
        if self.low is None or self.high is None:
            raise ValueError("bounds of actions: found none; allowed: the environment's")
        if self.of.squash == "clip":
            return torch.minimum(torch.maximum(action, self.low), self.high)
        return self.low + 0.5 * (action.tanh() + 1) * (self.high - self.low)

    # ---- weights -------------------------------------------------------------------------------------------------

    def tensors(self) -> dict[str, Tensor]:
        """The weights by name, as `load` takes them."""
        return self.state_dict()

    def load(self, tensors: Mapping[str, np.ndarray]) -> "Agent":
        """Set the weights from a table's tensors; those of targets are passed over."""
        weights = {
            name: torch.as_tensor(np.array(array)) for name, array in tensors.items() if not name.startswith(TARGET)
        }
        self.load_state_dict({name: weight.reshape(self.get_parameter(name).shape) for name, weight in weights.items()})
        return self

    def twin(self, seed: int) -> "Agent":
        """The untrained agent of this architecture, as its library draws it before it learns."""
        twin = Agent(self.of)
        twin.draw(generator(seed))
        return twin.to(self.device)

    @property
    def twins_differ(self) -> bool:
        """Whether twins of two seeds differ: ARS begins at zero, so all its twins are the same and no control."""
        return self.of.initial != "zero"

    @torch.no_grad()
    def draw(self, noise: torch.Generator) -> None:
        """Draw all weights: orthogonal with gains (A2C, PPO, TRPO), PyTorch's own uniform ±1/√inputs, or zero.

        Source: stable_baselines3/common/policies.py, ActorCriticPolicy._build; torch.nn.Linear.reset_parameters.
        """
        heads = {self.policy.head: 0.01}
        if isinstance(self.value, Value):
            heads[self.value.head] = 1.0
        for layer in self.modules():
            if not isinstance(layer, (nn.Linear, nn.Conv2d)):
                continue
            if self.of.initial == "orthogonal":
                nn.init.orthogonal_(layer.weight, heads.get(layer, 2**0.5), generator=noise)
            elif self.of.initial == "zero":
                layer.weight.zero_()
            else:
                bound = layer.weight[0].numel() ** -0.5
                layer.weight.uniform_(-bound, bound, generator=noise)
            if layer.bias is not None:
                if self.of.initial == "uniform":
                    layer.bias.uniform_(-bound, bound, generator=noise)
                else:
                    layer.bias.zero_()
        if isinstance(getattr(self.policy, "log_std", None), nn.Parameter):
            self.policy.log_std.fill_(self.of.log_std)


def _choice(logits: Tensor, noise: torch.Generator | None) -> Tensor:
    """One of the columns [B, A] → [B]: the largest, or drawn by softmax."""
    if noise is None:
        return logits.argmax(dim=1)
    return torch.multinomial(logits.softmax(dim=1), 1, generator=noise).squeeze(1)


def rebuilt(recognised: Recognised, file: Place) -> Agent:
    """The agent that was recognised in a file; one line if its tensors are not just those of its architecture."""
    with torch.device("meta"):
        expected = {
            name: tuple(parameter.shape) for name, parameter in Agent(recognised.architecture).named_parameters()
        }
    shapes = {name: tensor.shape for name, tensor in recognised.tensors.items() if not name.startswith(TARGET)}
    wrong = [name for name in {**expected, **shapes} if shapes.get(name) != expected.get(name)]
    if wrong:
        raise unknown_network(file, [recognised.originals.get(name, name) for name in wrong])
    return Agent(recognised.architecture).load(recognised.tensors)
