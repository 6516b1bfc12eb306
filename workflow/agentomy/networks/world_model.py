"""TWM: a transformer that predicts what an agent will see, and a policy that learns from that (arXiv 2303.07109).

Codes and latents are as in `observation_model`, batches are those of all seeds of a stack (`layers`). What the paper's
text leaves open follows the official code.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, silu

from agentomy.networks.layers import Embedding, Linear, Noise, draw_he, log_softmax
from agentomy.networks.observation_model import ObservationModel, Perceptron
from agentomy.networks.stacked import Stack
from agentomy.networks.transformer_xl import Memory, TransformerXL

# Sizes of everything but the observations: for grids (trained in minutes and in hours on one core) and the paper's.
SIZES = {
    "xs": {
        "filters": 16,
        "widths": [128],
        "latents": [8, 8],
        "transformer": {"width": 64, "layers": 2, "heads": 4, "head": 16, "feedforward": 256, "window": 8},
        "heads": {"latent": [128, 128], "reward": [64, 64], "discount": [64, 64]},
        "policy": [128, 128],
    },
    "s": {
        "filters": 16,
        "widths": [256],
        "latents": [16, 16],
        "transformer": {"width": 128, "layers": 2, "heads": 4, "head": 32, "feedforward": 512, "window": 8},
        "heads": {"latent": [256, 256], "reward": [128, 128], "discount": [128, 128]},
        "policy": [256, 256],
    },
    "paper": {
        "filters": 48,
        "widths": [512, 512],
        "latents": [32, 32],
        "transformer": {"width": 256, "layers": 10, "heads": 4, "head": 64, "feedforward": 1024, "window": 16},
        "heads": {"latent": [512] * 4, "reward": [256] * 4, "discount": [256] * 4},
        "policy": [512] * 4,
    },
}


class Prediction(NamedTuple):
    """What the dynamics model says after each step, of T steps."""

    hidden: Tensor  # hₜ, the transformer's output at the action [B, T, width]
    latent: Tensor  # ln p̂ of the next latent [B, T, V, K]
    reward: Tensor  # mean of a unit-variance Gaussian, in units of what the rewards read are in [B, T]
    discount: Tensor  # logit of γ̂ [B, T]


class DynamicsModel(nn.Module):
    """Codes, actions and rewards as tokens zₜ, aₜ, rₜ of a Transformer-XL, and what it predicts at aₜ (section 3).

    Without `reward_tokens` rewards are predicted but not read (the paper's ablation).
    """

    def __init__(
        self,
        seeds: int,
        latents: Sequence[int],
        actions: int,
        transformer: Mapping[str, int],
        heads: Mapping[str, Sequence[int]],
        dropout: float,
        reward_tokens: bool,
    ):
        super().__init__()
        self.latents, self.dropout, self.reward_tokens = tuple(latents), dropout, reward_tokens
        width, size = transformer["width"], latents[0] * latents[1]
        self.latent, self.action = Linear(seeds, size, width), Embedding(seeds, actions, width)
        if reward_tokens:
            self.reward = Linear(seeds, 1, width)
        self.transformer = TransformerXL(seeds, **transformer, dropout=dropout)
        outputs = {"latent": size, "reward": 1, "discount": 1}
        self.heads = nn.ModuleDict(
            {name: Perceptron(seeds, [width, *heads[name], last], dropout) for name, last in outputs.items()}
        )

    @torch.no_grad()
    def draw(self, generators: Noise) -> None:
        draw_he(self.latent, generators)
        for values, generator in zip(self.action.weight, generators, strict=True):
            values.normal_(generator=generator)
        if self.reward_tokens:
            draw_he(self.reward, generators)
        self.transformer.draw(generators)
        for head in self.heads.values():
            head.draw(generators)
        self.heads["discount"].layers[-1].bias.fill_(0.99)  # the discount, though the bias is of its logit

    def forward(
        self,
        codes: Tensor,
        actions: Tensor,
        rewards: Tensor,
        ends: Tensor,
        memory: Memory | None = None,
        noise: Noise | None = None,
    ) -> tuple[Prediction, Memory]:
        """Read codes [B, T, V × K] and actions int [B, T], and predict what follows each.

        `rewards` [B, T] and `ends` bool [B, T] are of the step before each of these: what its action brought, and
        whether the episode ended with it. If nothing was read before, they are [B, T - 1]. The memory returned is as
        long as the transformer can see. Without `noise` there is no dropout.
        """
        ends = ends.long()
        if memory is None:
            rewards, ends = pad(rewards, (1, 0)), pad(ends, (1, 0))
        episodes, steps = ends.cumsum(dim=1), torch.arange(codes.shape[1], device=codes.device)
        if memory is not None:
            episodes, steps = episodes + memory.episodes[:, -1:], steps + memory.steps[-1] + 1
        tokens, owners, times = [silu(self.latent(codes)), self.action(actions)], [episodes] * 2, [steps] * 2
        if self.reward_tokens:  # a reward is read with the step that follows, but belongs to the one before
            tokens.insert(0, silu(self.reward(rewards.unsqueeze(-1))))
            owners.insert(0, episodes - ends)
            times.insert(0, steps - 1)
        kinds = len(tokens)
        first = int(self.reward_tokens and memory is None)  # nothing came before the first step
        hidden, memory = self.transformer(
            torch.stack(tokens, dim=2).flatten(1, 2)[:, first:],
            torch.stack(times, dim=1).flatten()[first:],
            torch.stack(owners, dim=2).flatten(1, 2)[:, first:],
            memory,
            noise,
            every=kinds,  # a step's action is its last token
        )
        memory = memory.last(kinds * self.transformer.window + 2)  # enough for the reward of the last step
        return self.predict(hidden, noise), memory

    def predict(self, hidden: Tensor, noise: Noise | None = None) -> Prediction:
        """What follows from the transformer's outputs at actions [B, T, width]."""
        latent, reward, discount = (head(silu(hidden), noise) for head in self.heads.values())
        latent = log_softmax(latent.unflatten(-1, self.latents))
        return Prediction(hidden, latent, reward.squeeze(-1), discount.squeeze(-1))


class WorldModel(Stack):
    """Observation model, dynamics model, actor and critic: four parts that are trained by an optimiser each."""

    def __init__(
        self,
        seeds: int,
        *,
        view: Literal["frames", "grid"],
        channels: int,
        actions: int,
        filters: int,  # of the first convolution
        widths: Sequence[int],  # of the hidden layers between convolutions and latents
        latents: Sequence[int],  # V, K
        transformer: Mapping[str, int],
        heads: Mapping[str, Sequence[int]],  # widths of the hidden layers by what is predicted
        policy: Sequence[int],  # widths of the hidden layers of actor and of critic
        dropout: float = 0.1,
        reward_tokens: bool = True,
        policy_input: Literal["z", "h", "zh"] = "z",  # the code, what the transformer said of the past, or both
    ):
        super().__init__()
        self.reads, size = policy_input, latents[0] * latents[1]
        self.observation = ObservationModel(seeds, view, channels, filters, widths, latents)
        self.dynamics = DynamicsModel(seeds, latents, actions, transformer, heads, dropout, reward_tokens)
        read = sum({"z": size, "h": transformer["width"]}[source] for source in policy_input)
        self.actor, self.critic = (Perceptron(seeds, [read, *policy, last]) for last in (actions, 1))

    @torch.no_grad()
    def draw(self, generators: Noise) -> "WorldModel":
        """Draw each seed's weights from its own generator: He-uniform with zero biases; actor and critic orthogonal.

        Transformer and transposed convolutions are as PyTorch draws them, as in the official code.
        """
        self.observation.draw(generators)
        self.dynamics.draw(generators)
        self.actor.draw(generators, orthogonal=True)
        self.critic.draw(generators, orthogonal=True)
        return self

    def policy_input(self, codes: Tensor, hidden: Tensor, began: Tensor) -> Tensor:
        """What actor and critic read [..., inputs] at codes [..., V × K]: these, hₜ₋₁ [..., width], or both.

        hₜ₋₁ is what the transformer gave at the action that led here. Where an episode `began` bool [...] none did, and
        it is 0.
        """
        if self.reads == "z":
            return codes
        hidden = hidden.masked_fill(began.unsqueeze(-1), 0)
        return hidden if self.reads == "h" else torch.cat([codes, hidden], dim=-1)

    @torch.no_grad()
    def inputs_along(self, codes: Tensor, actions: Tensor, rewards: Tensor, ended: Tensor) -> Tensor:
        """What actor and critic read along whole sequences [B, T + 1, inputs], the last after their last step.

        Of codes [B, T + 1, V × K], and actions, rewards and ends [B, T]. Nothing is read before, so to its first step a
        sequence begins an episode. No gradient of the policy's reaches what it reads.
        """
        if self.reads == "z":
            return codes
        prediction, _ = self.dynamics(codes[:, :-1], actions, rewards[:, :-1], ended[:, :-1])
        hidden, began = pad(prediction.hidden, (0, 0, 1, 0)), pad(ended, (1, 0), value=True)
        return self.policy_input(codes, hidden, began)

    def policy(self, inputs: Tensor) -> Tensor:
        """Log probabilities of actions [..., actions] given what is read [..., inputs]."""
        return log_softmax(self.actor(inputs))

    def value(self, inputs: Tensor) -> Tensor:
        """Expected returns [...] from there on, given what is read [..., inputs]."""
        return self.critic(inputs).squeeze(-1)
