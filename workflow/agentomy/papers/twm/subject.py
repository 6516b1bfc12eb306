"""Policies of world models as lenses on any agent see them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor

from agentomy import networks
from agentomy.descriptions import Trained
from agentomy.lenses.behaviour.subject import Subject, flat
from agentomy.lenses.hooks import feeding
from agentomy.networks.observation_model import likeliest
from agentomy.networks.world_model import WorldModel


class Policy(Subject):
    """The actor of one world model, at the likeliest code of each observation, as it plays.

    Its hidden layers are the code and what follows it in the actor. Gradients pass a code straight through, as in
    training. One that reads what the transformer says of the past needs rewards too, and is refused.

    Lacks convolution: maps of its encoder are not asked for.
    """

    outputs = ("latent", "logits", "value")
    distribution = True

    def __init__(self, stack: WorldModel, trained: Trained):
        if stack.reads != "z":
            raise ValueError(f"found a policy that reads {stack.reads}; allowed: one that reads the code alone (z)")
        self.net, self.trained = stack, trained
        # activations are functions here: what one gives is what the next layer is given
        first, *others = stack.actor.layers
        self.readers = {"code": first, **{f"actor.layers.{number}": layer for number, layer in enumerate(others)}}

    def _codes(self, observations: np.ndarray | Tensor) -> Tensor:
        device = next(self.net.parameters()).device
        latents = self.net.observation.encode(torch.as_tensor(observations, device=device))
        probabilities = latents.exp().flatten(-2)
        return likeliest(latents) + (probabilities - probabilities.detach())

    def read(
        self, observations: np.ndarray | Tensor, state: Tensor | None = None
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        codes = self._codes(observations)
        return {"latent": codes, "logits": self.net.policy(codes), "value": self.net.value(codes)}, None

    @torch.no_grad()
    def hidden(self, observations: np.ndarray, state: Tensor | None = None) -> dict[str, np.ndarray]:
        given: dict[str, Tensor] = {}

        def keep(layer: str) -> Callable[[Tensor], Tensor]:
            return lambda values: given.setdefault(layer, values)

        with ExitStack() as hooks:
            for layer, reader in self.readers.items():
                hooks.enter_context(feeding(reader, keep(layer)))
            self.net.policy(self._codes(observations))
        return flat(given)

    @contextmanager
    def editing(self, layer: str, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
        with feeding(self.readers[layer], change):
            yield

    def twin(self, seed: int) -> "Policy":
        drawn = networks.build(self.trained.network, 1).draw([networks.generator(seed)])
        return Policy(drawn.to(next(self.net.parameters()).device).eval(), self.trained)
