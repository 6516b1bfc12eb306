"""Maze networks as lenses on any agent see them."""

import numpy as np
import torch
from torch import Tensor, nn

from agentomy import networks
from agentomy.descriptions import Trained
from agentomy.lenses.behaviour.subject import Subject, flat
from agentomy.lenses.hooks import recording
from agentomy.networks.impala import ImpalaStack

LATENT = "relufc"  # what both heads read
BATCH = 256  # pictures of a pass in which all layers are kept


class Mouse(Subject):
    """One network that sees a maze whole: pictures uint8 [B, pixels, pixels, 3] → a choice among 5 or 15 actions.

    Its hidden layers are its ReLUs; those inside a residual unit see a part of what goes by.

    Lacks convolution: the paper groups its maps by itself.
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
    def hidden(self, observations: np.ndarray, state: Tensor | None = None) -> dict[str, np.ndarray]:
        layers = [name for name, module in self.net.named_modules() if isinstance(module, nn.ReLU)]
        parts = []
        with recording(self.net, layers) as given:
            for pictures in self._given(observations).split(BATCH):
                self.net(pictures)
                parts.append(flat(given))
        return {layer: np.concatenate([part[layer] for part in parts]) for layer in parts[0]}

    def twin(self, seed: int) -> "Mouse":
        stack = networks.build(self.trained.network, 1)
        drawn = stack.draw([networks.generator(seed)], self.trained.parameters["initialisation"])
        return Mouse(drawn.to(self.net.fc.weight.device).eval(), self.trained)
