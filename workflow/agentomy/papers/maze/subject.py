"""Maze networks as lenses on any agent see them."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from agentomy import networks
from agentomy.descriptions import Trained
from agentomy.lenses.behaviour.subject import Subject, flat, pictured
from agentomy.lenses.hooks import recording
from agentomy.lenses.places import Windows, windows
from agentomy.networks.impala import ImpalaStack

LATENT = "relufc"  # what both heads read
BATCH = 256  # pictures of a pass in which all layers are kept


class Mouse(Subject):
    """One network that sees a maze whole: pictures uint8 [B, pixels, pixels, 3] → a choice among 5 or 15 actions.

    Its hidden layers are its ReLUs; those inside a residual unit see a part of what goes by.
    """

    outputs = ("latent", "logits", "value")
    distribution = True

    def __init__(self, stack: ImpalaStack, trained: Trained):
        (self.net,), self.trained = stack.nets, trained

    def _given(self, pictures: np.ndarray | Tensor) -> Tensor:
        return torch.as_tensor(pictures, device=self.net.fc.weight.device)

    def read(
        self, observations: np.ndarray | Tensor, state: Tensor | None = None
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        with recording(self.net, [LATENT]) as seen:
            logits, value = self.net(self._given(observations))
        return {"latent": seen[LATENT], "logits": logits, "value": value}, None

    @torch.no_grad()
    def _layers(self, observations: np.ndarray) -> Iterator[dict[str, Tensor]]:
        """What its ReLUs give for parts of the pictures."""
        layers = [name for name, module in self.net.named_modules() if isinstance(module, nn.ReLU)]
        with recording(self.net, layers) as given:
            for pictures in self._given(observations).split(BATCH):
                self.net(pictures)
                yield given

    def hidden(self, observations: np.ndarray, state: Tensor | None = None) -> dict[str, np.ndarray]:
        return together(map(flat, self._layers(observations)))

    def maps(self, observations: np.ndarray, state: Tensor | None = None) -> dict[str, np.ndarray]:
        return together(map(pictured, self._layers(observations)))

    def windows(self) -> dict[str, Windows]:
        other, pixels = self.twin(0).net, self.trained.network["pixels"]
        layers = [*self.maps(np.zeros((1, pixels, pixels, 3), np.uint8))]
        return windows(other, layers, (3, pixels, pixels), 0, other.decide)  # what is decided is of encoded pictures

    def twin(self, seed: int) -> "Mouse":
        stack = networks.build(self.trained.network, 1)
        drawn = stack.draw([networks.generator(seed)], self.trained.parameters["initialisation"])
        return Mouse(drawn.to(self.net.fc.weight.device).eval(), self.trained)


def together(parts: Iterable[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What layers give for all pictures, of what they give for parts of them."""
    whole = [*parts]
    return {layer: np.concatenate([part[layer] for part in whole]) for layer in whole[0]}
