"""The losses of TWM (arXiv 2303.07109), by the paper's formulas.

Latents are log probabilities [..., V, K] of V variables of K classes; q is what the encoder says of an observation, p̂
what the dynamics model expected. A loss is a sum of named terms, each a mean over what counts; the weights are given
with `total`. Tensors [S, B, …] are of S seeds, and so is each term [S]. The published code leaves the next latent out
of L_dyn (it looks for a key that is never there); to have that, leave out its weight.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from agentomy.networks.world_model import Prediction

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def total(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """The weighted sum of those terms that have a weight: without one nothing is learnt from a term at all."""
    return sum(weight * terms[name] for name, weight in weights.items())


# ---- world model -----------------------------------------------------------------------------------------------------


def l_obs(
    log_likelihood: Tensor, latents: Tensor, predicted: Tensor | None, foreseeable: Tensor | None, threshold: float
) -> dict[str, Tensor]:
    """L_obs, of the observation model.

    From ln p(o | z) [S, B, T], ln q [S, B, T, V, K], ln p̂ of the same latents and whether they could be expected
    [S, B, T]: the first of an episode can't. Without these (pre-training) there is no consistency term.
    - reconstruction: - ln p(o | z)
    - latent_entropy: max(0, threshold - H(q) / (V ln K)), a hinge, as in the official code
    - consistency: - Σ sg(p̂) ln q
    """
    variables, classes = latents.shape[-2:]
    normalised = entropy(latents).sum(dim=-1) / (variables * math.log(classes))
    terms = {"reconstruction": -mean(log_likelihood), "latent_entropy": mean((threshold - normalised).relu())}
    if predicted is not None:
        terms["consistency"] = masked_mean(cross_entropy(predicted, latents), foreseeable)
    return terms


def l_dyn(
    prediction: Prediction, following: Tensor, rewards: Tensor, discounts: Tensor, foreseeable: Tensor
) -> dict[str, Tensor]:
    """L_dyn, of the dynamics model.

    From predictions after each of T steps: ln q of the latents that followed [S, B, T, V, K], rewards and discounts
    [S, B, T], and whether the episode went on, so that what followed could be foreseen [S, B, T].
    - next_latent: - Σ sg(q) ln p̂
    - reward: - ln N(r | r̂, 1)
    - discount: - γ ln γ̂ - (1 - γ) ln(1 - γ̂)
    """
    return {
        "next_latent": masked_mean(cross_entropy(following, prediction.latent), foreseeable),
        "reward": -mean(log_normal(rewards, prediction.reward)),
        "discount": mean(binary_cross_entropy_with_logits(prediction.discount, discounts, reduction="none")),
    }


# ---- actor and critic ------------------------------------------------------------------------------------------------


def gae(
    rewards: Tensor, discounts: Tensor, ended: Tensor, values: Tensor, gae_lambda: float, cut: Tensor | None = None
) -> Tensor:
    """Advantages [..., T] (Schulman et al. 2016) from rewards, discounts and ends [..., T] and values [..., T + 1].

    δₜ = rₜ + γₜ (1 - dₜ) V(zₜ₊₁) - V(zₜ) and Aₜ = δₜ + λ γₜ (1 - dₜ) Aₜ₊₁: each step has a discount of its own. Steps
    with which an episode was `cut` off [..., T] are worth what was expected of them, δₜ = 0: what would have followed
    was not seen.
    """
    continuation = discounts * ~ended
    errors = rewards + continuation * values[..., 1:] - values[..., :-1]
    if cut is not None:
        errors = errors.masked_fill(cut, 0.0)
    advantages, last_advantage = [], torch.zeros_like(errors[..., 0])
    for error, share in zip(reversed(errors.unbind(dim=-1)), reversed(continuation.unbind(dim=-1)), strict=True):
        last_advantage = error + gae_lambda * share * last_advantage
        advantages.append(last_advantage)
    return torch.stack(advantages[::-1], dim=-1)


def l_critic(values: Tensor, returns: Tensor, weights: Tensor) -> Tensor:
    """L_critic = - mean wₜ ln N(Rₜ | V(zₜ), 1), all [S, B, T]."""
    return -mean(weights * log_normal(returns.detach(), values))


def l_actor(policy: Tensor, actions: Tensor, advantages: Tensor, weights: Tensor) -> Tensor:
    """The first term of L_actor, - mean wₜ Aₜ ln π(aₜ | zₜ), from ln π [S, B, T, actions] and the rest [S, B, T]."""
    chosen = policy.gather(-1, actions.unsqueeze(-1)).squeeze(-1)
    return -mean(weights * advantages.detach() * chosen)


def policy_entropy(policy: Tensor, weights: Tensor) -> Tensor:
    """Mean wₜ H(πₜ) / ln |A| from ln π [S, B, T, actions] and weights [S, B, T]."""
    return mean(weights * entropy(policy)) / math.log(policy.shape[-1])


def entropy_cost(normalised: Tensor, threshold: float | None) -> Tensor:
    """The second term of L_actor: max(0, threshold - H), or without a threshold - H, the plain bonus."""
    return -normalised if threshold is None else (threshold - normalised).relu()


# ---- parts -----------------------------------------------------------------------------------------------------------


def cross_entropy(target: Tensor, guess: Tensor) -> Tensor:
    """- Σ sg(p) ln q in nats [...], over variables and classes, from ln p and ln q [..., V, K]."""
    return -(target.detach().exp() * guess).sum(dim=(-2, -1))


def entropy(log_probabilities: Tensor) -> Tensor:
    """The entropy in nats [...] of log probabilities [..., K]."""
    return -(log_probabilities.exp() * log_probabilities).sum(dim=-1)


def log_normal(values: Tensor, means: Tensor) -> Tensor:
    """ln N(values | means, 1)."""
    return -0.5 * (values - means).square() - HALF_LOG_2PI


def mean(values: Tensor) -> Tensor:
    """Each seed's mean [S] of [S, ...]."""
    return values.flatten(1).mean(dim=1)


def masked_mean(values: Tensor, counts: Tensor) -> Tensor:
    """Each seed's mean [S] of those of its values [S, ...] that count; 0 if none does."""
    return torch.where(counts, values, 0.0).flatten(1).sum(dim=1) / counts.flatten(1).sum(dim=1).clamp(min=1)
