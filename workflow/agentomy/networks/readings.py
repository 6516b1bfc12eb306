"""A network's outputs as a function of its weights: what is differentiated when weights are the question.

A reading is called with a stack of networks, weights by name, each [S, *shape], and inputs [S, B, *shape]; it returns
[S, B, outputs].
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap


def values(stack: nn.Module, weights: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
    """What the network answers."""
    return functional_call(stack, dict(weights), (inputs,))


def policy(stack: nn.Module, weights: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
    """Logits of the actions of an IMPALA network, at pictures."""
    logits = []
    for seed, pictures in enumerate(inputs):
        seed_weights = {name: tensor[seed] for name, tensor in weights.items()}
        logits.append(functional_call(stack.nets[0], seed_weights, (pictures,))[0])
    return torch.stack(logits)


class Prediction(nn.Module):
    """What a recurrent predictor says after a sequence; steps are written out, for gradients of single samples."""

    def __init__(self, stack: nn.Module):
        super().__init__()
        self.stack = stack

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs [S, B, T, features] → raw outputs after the last step [S, B, outputs]."""
        state = self.stack.start(inputs.shape[1])
        for x in inputs.unbind(dim=2):
            state = self.stack.advance(state, x)
        return self.stack.read_out(state[:, :, : self.stack.width])["predictive"]


def prediction(stack: nn.Module, weights: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
    """Logits of the next observation, after the sequences."""
    stack_weights = {f"stack.{name}": tensor for name, tensor in weights.items()}
    return functional_call(Prediction(stack), stack_weights, (inputs,))


class NextLatent(nn.Module):
    """What a world model's dynamics say follows the last step of a window."""

    def __init__(self, world: nn.Module):
        super().__init__()
        self.world = world

    def forward(self, windows: Tensor) -> Tensor:
        """Windows [S, B, T, V × K + 3], as `subjects.of_worlds` puts them together → ln p̂ / V [S, B, V × K]."""
        codes, told = windows.flatten(0, 1).split((windows.shape[-1] - 3, 3), dim=-1)
        actions, rewards, ends = told.unbind(dim=-1)
        # of the step before each, so the first says nothing
        predicted, _ = self.world.dynamics(codes, actions.long(), rewards[:, 1:], ends[:, 1:] > 0)
        logits = predicted.latent[:, -1].flatten(1) - math.log(predicted.latent.shape[-2])
        return logits.unflatten(0, windows.shape[:2])


def next_latent(stack: nn.Module, weights: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
    """Logits of pairs (variable, class) of the next latent: any of its V variables, then a class of that.

    So divergences of this distribution are means over variables of theirs.
    """
    stack_weights = {f"world.{name}": tensor for name, tensor in weights.items()}
    return functional_call(NextLatent(stack), stack_weights, (inputs,))


def answers(stack: nn.Module, weights: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
    """What agents of a foreign network (`foreign.answers.Answers`) act by, at inputs as its first layer takes them."""
    return vmap(stack)(dict(weights), inputs)


READINGS = {
    "values": values,
    "policy": policy,
    "prediction": prediction,
    "next_latent": next_latent,
    "foreign_values": answers,
    "foreign_logits": answers,
}
# whether a reading gives the logits of a distribution
DISTRIBUTIONS = ("policy", "prediction", "next_latent", "foreign_logits")
# whether it takes one network, and each seed's weights in turn
ONE_BY_ONE = ("policy",)
