"""A network's outputs as a function of its weights: what is differentiated when weights are the question.

A reading is called with a stack of networks, weights by name, each [S, *shape], and inputs [S, B, *shape]; it returns
[S, B, outputs].
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call


def values(stack: nn.Module, weights: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
    """What the network answers."""
    return functional_call(stack, dict(weights), (inputs,))


def policy(stack: nn.Module, weights: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
    """Logits of the actions of an IMPALA network, at pictures."""
    logits = []
    for seed, pictures in enumerate(inputs):
        own = {name: tensor[seed] for name, tensor in weights.items()}
        logits.append(functional_call(stack.nets[0], own, (pictures,))[0])
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
    own = {f"stack.{name}": tensor for name, tensor in weights.items()}
    return functional_call(Prediction(stack), own, (inputs,))


READINGS = {"values": values, "policy": policy, "prediction": prediction}
# whether a reading gives the logits of a distribution
DISTRIBUTIONS = ("policy", "prediction")
