"""Foreign agents of one architecture side by side, as the pipeline's own networks are: stacks of seeds.

An agent here is all that lies between an environment and an action: statistics by which observations are scaled, the
last frames that it sees together, and its network. Scaling comes before stacking, and what was before an episode is
zero, as in Stable-Baselines3 (VecNormalize, then VecFrameStack).
"""

import re
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from agentomy.foreign_agents.architecture import Architecture
from agentomy.foreign_agents.recognised import NORMALISER, TARGET
from agentomy.networks.foreign.agent import Agent
from agentomy.networks.foreign.custom import Custom

PARTS = ("nature", "shared", "body", "head", "log_std")  # of a branch, in the order in which they read each other


class Agents(nn.Module):
    """S agents; observations are [S, B, *shape] as the environment gives them, actions [S, B] or [S, B, *shape].

    frames: how many observations a network sees at once. scaled: {"epsilon", "clip"} of its statistics of observations,
    or None without any; the statistics of each agent are weights among the others, and not trained.
    """

    def __init__(
        self, seeds: int, *, frames: int = 1, scaled: Mapping[str, float] | None = None, architecture: Mapping
    ):
        super().__init__()
        self.of, self.frame_count, self.scaled = Architecture.model_validate(architecture), frames, scaled
        kind = Custom if self.of.custom else Agent
        self.agents = nn.ModuleList(kind(self.of) for _ in range(seeds))
        self.statistics: dict[str, Tensor] = {}

    # ---- weights -------------------------------------------------------------------------------------------------

    def load(self, arrays: Mapping[str, np.ndarray]) -> "Agents":
        """Take weights by name, each [S, *shape]; those of targets are passed over."""
        self.statistics = {
            name: torch.tensor(array, device=self.device)
            for name, array in arrays.items()
            if name.startswith(NORMALISER)
        }
        if bool(self.statistics) != bool(self.scaled):
            raise ValueError("statistics of observations: found some or none; allowed: as the description says")
        weights = {name: array for name, array in arrays.items() if not name.startswith((NORMALISER, TARGET))}
        for number, agent in enumerate(self.agents):
            agent.load({name: array[number] for name, array in weights.items()})
        return self

    def arrays(self) -> dict[str, np.ndarray]:
        """The weights by name, each [S, *shape] float32, copied; within a branch as one layer reads the other."""
        states = [agent.tensors() for agent in self.agents]
        order = states[0] if self.of.custom else sorted(states[0], key=_place)
        weights = {name: torch.stack([state[name] for state in states]) for name in order}
        return {name: tensor.to("cpu", torch.float32).numpy() for name, tensor in (weights | self.statistics).items()}

    @property
    def device(self) -> torch.device:
        return self.agents[0].device

    def twins(self, seeds: list[int]) -> "Agents":
        """Untrained agents of this architecture, as their library draws them, with the statistics of this one."""
        twins = Agents(len(seeds), frames=self.frame_count, scaled=self.scaled, architecture=self.of.model_dump())
        twins.agents = nn.ModuleList(self.agents[0].twin(seed) for seed in seeds)
        twins.statistics = {
            name: tensor[:1].expand(len(seeds), *tensor.shape[1:]) for name, tensor in self.statistics.items()
        }
        return twins

    # ---- what they see -------------------------------------------------------------------------------------------

    def start(self, batch: int) -> Tensor | None:
        """What is remembered before an episode's first observation: [S, B, frames - 1, *shape] of zeros, or nothing."""
        if self.frame_count == 1:
            return None
        shape = list(self.of.observation.shape)
        shape[self.axis] //= self.frame_count
        kind = torch.uint8 if self.of.observation.pixels and not self.scaled else torch.float32
        return torch.zeros((len(self.agents), batch, self.frame_count - 1, *shape), dtype=kind, device=self.device)

    def seen(self, observations: Tensor | np.ndarray, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """What the networks are given of observations [S, B, *shape], and what is remembered from then on."""
        now = self._scaled(torch.as_tensor(observations, device=self.device))
        if self.frame_count == 1:
            return now, None
        if now.dim() == 5 and now.shape[2:] != state.shape[3:]:
            now = now.movedim(-1, 2)  # channels first
        frames = torch.cat([state, now.to(state.dtype).unsqueeze(2)], dim=2)
        return torch.cat(frames.unbind(2), dim=2 + self.axis), frames[:, :, 1:]

    @property
    def axis(self) -> int:
        """The axis of one observation along which frames are joined: channels of a picture, else the last."""
        shape = self.of.observation.shape
        return 0 if len(shape) == 3 else len(shape) - 1

    def _scaled(self, observations: Tensor) -> Tensor:
        if not self.scaled:
            return observations
        mean, variance = (self.statistics[f"{NORMALISER}{name}"].double().unsqueeze(1) for name in ("mean", "variance"))
        scaled = (observations.double() - mean) / (variance + self.scaled["epsilon"]).sqrt()
        return scaled.clamp(-self.scaled["clip"], self.scaled["clip"]).float()

    # ---- what they do --------------------------------------------------------------------------------------------

    def read(self, observations: Tensor | np.ndarray, state: Tensor | None) -> tuple[dict[str, Tensor], Tensor | None]:
        """The outputs of each agent by name, [S, B, …] (`Agent.outputs`), and what is remembered from then on."""
        seen, state = self.seen(observations, state)
        outputs = [agent.outputs(observed) for agent, observed in zip(self.agents, seen, strict=True)]
        return {name: torch.stack([output[name] for output in outputs]) for name in outputs[0]}, state

    @torch.no_grad()
    def act(self, observations: Tensor | np.ndarray) -> Tensor:
        """The action that each agent thinks best."""
        if self.frame_count > 1:
            raise ValueError(f"found agents that see {self.frame_count} frames; allowed here: those that see one")
        return self.taken(observations, None)[0]

    @torch.no_grad()
    def taken(
        self, observations: Tensor | np.ndarray, state: Tensor | None, noises: list[torch.Generator] | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Actions, the best ones or drawn with one generator an agent, and what is remembered from then on."""
        seen, state = self.seen(observations, state)
        given = noises or [None] * len(self.agents)
        chosen = [agent.act(observed, noise) for agent, observed, noise in zip(self.agents, seen, given, strict=True)]
        return torch.from_numpy(np.stack(chosen)), state

    @torch.no_grad()
    def activations(self, observations: Tensor | np.ndarray) -> dict[str, Tensor]:
        """What each hidden layer gives behind its activation, [S, B, units or C, H, W]; critics' are none of them."""
        seen = self.seen(observations, self.start(len(observations[0])))[0]
        layers: dict[str, list[Tensor]] = {}
        for agent, observed in zip(self.agents, seen, strict=True):
            for name, given in agent.hidden(observed).items():
                layers.setdefault(name, []).append(given)
        return {name: torch.stack(outputs) for name, outputs in layers.items()}


def _place(name: str) -> tuple:
    """Order of tensors: branch by branch, in each as one part reads the other, numbers as numbers."""
    branch, _, rest = name.partition(".")
    parts = [int(part) if part.isdigit() else -1 for part in rest.split(".")]
    part = next((i for i, word in enumerate(PARTS) if re.search(rf"(^|\.){word}(\.|$)", rest)), len(PARTS))
    critic = re.match(r"q(\d+)", rest)
    return ("features", "policy", "value").index(branch), int(critic[1]) if critic else -1, part, parts, rest
