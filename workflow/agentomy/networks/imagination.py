"""Rollouts in a world model (arXiv 2303.07109): what a policy would meet if the predictions were right."""

from typing import NamedTuple

import torch
from torch import Tensor

from agentomy.networks.layers import Noise, uniform
from agentomy.networks.observation_model import choice, code
from agentomy.networks.world_model import WorldModel

DOUBT = 0.1  # an imagined episode has ended where the chance that it goes on, discount included, is below this


class Start(NamedTuple):
    """The step before a rollout, and where that led."""

    codes: Tensor  # of both [B, 2, V × K]
    actions: Tensor  # of the first [B, 1]
    rewards: Tensor  # [B, 1]
    ended: Tensor  # whether the episode ended between the two [B, 1]


class Imagined(NamedTuple):
    """B rollouts of T steps. After an end another episode begins, at the code of a replayed observation."""

    codes: Tensor  # [B, T + 1, V × K]
    actions: Tensor  # [B, T]
    rewards: Tensor  # predicted [B, T]
    discounts: Tensor  # predicted [B, T]
    ended: Tensor  # [B, T]
    weights: Tensor  # wₜ, the product of the discounts before t since the last beginning [B, T]
    inputs: Tensor  # what actor and critic read at each code [B, T + 1, inputs]


def imagine(world: WorldModel, start: Start, restarts: Tensor, horizon: int, noise: Noise) -> Imagined:
    """Let the policy act in the world model, without dropout.

    Where the product of the predicted discounts falls below `DOUBT` an episode is ended: attention is cut, and the next
    code is one of `restarts` [B, V × K]. Each step of a rollout has another of its seed's restarts in reserve. The
    policy remembers what it would of the same steps at play, from the step before the rollout on.
    """
    spare = restarts.unflatten(0, (len(noise), -1))
    luck = uniform((len(restarts), horizon, 1 + world.dynamics.latents[0]), noise)
    with torch.inference_mode():
        seen, codes, weight = start, start.codes[:, -1], torch.ones_like(start.rewards[:, 0])
        inputs = world.inputs_along(*start)[:, -1]
        visited, read, steps, memory = [codes], [inputs], [], None
        for number in range(1, horizon + 1):
            action = choice(world.policy(inputs), luck[:, number - 1, 0])
            actions = action.unsqueeze(1) if memory is not None else torch.cat([seen.actions, action[:, None]], dim=1)
            prediction, memory = world.dynamics(seen.codes, actions, seen.rewards, seen.ended, memory)
            reward, discount = prediction.reward[:, -1], prediction.discount[:, -1].sigmoid()
            remaining = weight * discount
            ended = remaining < DOUBT
            expected = code(choice(prediction.latent[:, -1], luck[:, number - 1, 1:]), prediction.latent)
            codes = torch.where(ended.unsqueeze(1), spare.roll(number, dims=1).flatten(0, 1), expected)
            steps.append((action, reward, discount, ended, weight))
            visited.append(codes)
            inputs = world.policy_input(codes, prediction.hidden[:, -1], ended)
            read.append(inputs)
            weight = torch.where(ended, 1.0, remaining)
            seen = Start(codes.unsqueeze(1), action.unsqueeze(1), reward.unsqueeze(1), ended.unsqueeze(1))
    # what is put together here is copied, and so can be learnt from
    visited, read = torch.stack(visited, dim=1), torch.stack(read, dim=1)
    return Imagined(visited, *(torch.stack(values, dim=1) for values in zip(*steps, strict=True)), inputs=read)
