"""What foreign agents of one architecture answer, as a function of their weights: for gradients in these.

An answer is what an agent acts by: logits, values of actions, or the mean of a continuous action. Observations are as
the first layer takes them (`Agent.prepared`), so that neither statistics nor the sort of a space is asked for again.
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from agentomy.foreign_agents.architecture import Architecture
from agentomy.foreign_agents.recognised import BUFFER
from agentomy.foreign_agents.spaces import Space
from agentomy.networks.foreign.agent import Agent
from agentomy.networks.foreign.custom import Custom


class Answers(nn.Module):
    """One network, which any number of agents lend their weights."""

    def __init__(self, seeds: int, *, architecture: Mapping):
        super().__init__()
        of = Architecture.model_validate(architecture)
        self.agent = Custom(of) if of.custom else Agent(of)
        self.name = "q" if of.head == "quantiles" else of.head
        self.sizes = of.action.sizes

    def forward(self, weights: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """Of one agent [B, outputs] at inputs [B, *shape]; logits of several choices as logits of any of them."""
        prefix = "net." if self.agent.of.custom else ""
        given = functional_call(self.agent, {f"{prefix}{name}": weight for name, weight in weights.items()}, (inputs,))
        answer = given[self.name]
        if self.name != "logits":
            return answer
        if self.sizes:
            parts = answer.split(self.sizes, dim=-1)
        else:  # switches, each of which is on or off
            parts = torch.stack([answer, torch.zeros_like(answer)], dim=-1).unbind(dim=-2)
        return torch.cat([part.log_softmax(dim=-1) for part in parts], dim=-1) - math.log(len(parts))


def acting(of: Architecture, inputs: list[int]) -> Architecture:
    """The part of an architecture by which it acts, of observations as its first layer takes them [B, *inputs]."""
    part = {"observation": Space(sort="box", shape=inputs), "scale": 1.0, "spread": "none", "spread_width": 0}
    if of.value is not None and not of.value.features:
        part |= {"value": None, "critics": 0}
    return of.model_copy(update=part)


def reached(answers: Answers, arrays: Mapping[str, np.ndarray], inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Of one agent's weights [1, *shape] those on which its answer at some inputs depends.

    `ValueError` for statistics among them: they would count as weights, and nothing learnt them.
    """
    if buffers := [name.removeprefix(BUFFER) for name in arrays if name.startswith(BUFFER)]:
        raise ValueError(f"found {', '.join(buffers)}, which no gradient reaches; allowed: a network of weights alone")
    learnt = dict(answers.agent.tensors())
    weights = {name: torch.tensor(array[0]).requires_grad_() for name, array in arrays.items() if name in learnt}
    given = answers(weights, torch.as_tensor(inputs)).sum()
    gradients = torch.autograd.grad(given, [*weights.values()], allow_unused=True)
    return {name: arrays[name] for name, gradient in zip(weights, gradients, strict=True) if gradient is not None}
