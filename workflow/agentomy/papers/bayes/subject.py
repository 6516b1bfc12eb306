"""Recurrent networks as lenses on any agent see them: one step at a time, with their memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import relu

from agentomy import networks
from agentomy.descriptions import Trained
from agentomy.lenses.behaviour.subject import Subject, flat
from agentomy.networks.recurrent import LSTMNetwork

# what lenses call the read-outs of agents and of predictors
NAMES = {"policy": "logits", "value": "value", "predictive": "prediction"}


class Recurrent(Subject):
    """One agent of a bandit, or one predictor: inputs [B, inputs] of a step, and the memory (h, c) [B, 2N] before it.

    Its hidden layers are encoder, memory (h after the step) and decoder.

    Lacks convolution: it has none.
    """

    def __init__(self, stack: LSTMNetwork, trained: Trained):
        self.net, self.trained = stack, trained
        self.outputs = ("latent", *(NAMES[name] for name in stack.readouts))
        self.distribution = "logits" in self.outputs
        self.changes: dict[str, Callable[[Tensor], Tensor]] = {}

    def start(self, batch: int) -> Tensor:
        return self.net.start(batch)[0]

    def _layers(self, observations: np.ndarray | Tensor, state: Tensor | None) -> tuple[dict[str, Tensor], Tensor]:
        """What each layer gives [B, N], and the memory after the step [B, 2N]."""
        like = self.net.decoder.weight
        inputs = torch.as_tensor(observations, device=like.device).to(like.dtype)[None]
        before = self.start(inputs.shape[1]) if state is None else state
        encoded = self._changed("encoder", relu(self.net.encoder(inputs)))
        hidden, cell = self.net.memory.step(encoded, *before[None].chunk(2, dim=2))
        hidden = self._changed("memory", hidden)
        decoded = self._changed("decoder", relu(self.net.decoder(hidden)))
        layers = {"encoder": encoded[0], "memory": hidden[0], "decoder": decoded[0]}
        return layers, torch.cat([hidden, cell], dim=2)[0]

    def _changed(self, layer: str, values: Tensor) -> Tensor:
        return self.changes[layer](values[0])[None] if layer in self.changes else values

    def read(
        self, observations: np.ndarray | Tensor, state: Tensor | None = None
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        layers, after = self._layers(observations, state)
        given = {NAMES[name]: readout(layers["decoder"][None])[0] for name, readout in self.net.readouts.items()}
        if "value" in given:
            given["value"] = given["value"].squeeze(1)
        return {"latent": layers["memory"], **given}, after

    @torch.no_grad()
    def hidden(self, observations: np.ndarray, state: Tensor | None = None) -> dict[str, np.ndarray]:
        return flat(self._layers(observations, state)[0])

    @contextmanager
    def editing(self, layer: str, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
        self.changes[layer] = change
        try:
            yield
        finally:
            del self.changes[layer]

    def twin(self, seed: int) -> "Recurrent":
        drawn = networks.build(self.trained.network, 1).draw([networks.generator(seed)])
        return Recurrent(drawn.to(self.net.decoder.weight.device).eval(), self.trained)
