"""Toy models: a stack of seeds learns a regression by AdamW on the mean squared error (L3D, section 3).

Some initialisations never learn the whole task. So each seed has several attempts, trained side by side (a stack costs
hardly more than one), and keeps the first that has learned. If none has, the best is kept and the log says so:
`learned` is 0, and all attempts were `passed over`.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from agentomy import kinds, networks
from agentomy.agents.rates import annealed, set_rate
from agentomy.agents.state import Saved
from agentomy.networks.toy import Bottleneck, Smooth
from agentomy.values import Count, NonNegative, Positive, Rate, Share

SMOOTHING = 0.005  # weight of the newest batch in the running loss: the last 200 batches or so count


class Regression(Saved):
    """A stack of seeds, each with its attempts; one update is one batch of points."""

    saved = ("update", "net", "optimiser", "running", "batches")

    def __init__(
        self,
        environment: kinds.subnetworks.POINTS,
        streams: list,
        device: str,
        *,
        updates: Count,
        network: Literal["bottleneck", "mlp"],  # an encoder and a decoder, or a perceptron with several layers
        hidden: list[Count],  # units of each hidden layer; a bottleneck has one
        learned: Positive,  # the mean squared error from which on a model has learned its task
        tied: bool = False,  # whether the decoder is the encoder's transpose, in a bottleneck
        activation: Literal["relu", "gelu", "elu"] = "relu",  # of an mlp
        attempts: Count = 1,  # initialisations of each seed; one that has learned is kept
        batch: Count = 128,  # points an update
        learning_rate: Rate = 3e-3,
        final_learning_rate: Share = 0.1,  # share of the rate left at the end, reached linearly
        weight_decay: NonNegative = 1e-3,  # of AdamW
    ):
        self.updates, self.learned, self.tied, self.attempts = updates, learned, tied, attempts
        self.batch, self.device = batch, device
        self.learning_rate, self.final_learning_rate = learning_rate, final_learning_rate
        train = environment.where(split="train")
        self.inputs, self.targets = (
            torch.from_numpy(train.array(name).copy()).to(device) for name in ("inputs", "targets")
        )
        ends = {"inputs": self.inputs.shape[1], "outputs": self.targets.shape[1]}
        if network == "bottleneck":
            self.network = {"use": networks.use(Bottleneck), "hidden": hidden[0], **ends}
        else:
            sizes = [ends["inputs"], *hidden, ends["outputs"]]
            self.network = {"use": networks.use(Smooth), "sizes": sizes, "activation": activation}
        weights = [
            networks.generator(seed_streams.entropy(f"weights {a}"))
            for seed_streams in streams
            for a in range(attempts)
        ]
        self.net = networks.build(self.network, len(weights)).draw(weights).to(device)
        self.tie()
        free = [weight for name, weight in self.net.named_parameters() if not (tied and name == "decoder")]
        self.optimiser = torch.optim.AdamW(free, lr=learning_rate, weight_decay=weight_decay, fused=True)
        self.batches = [seed_streams.numpy("batches") for seed_streams in streams]
        self.running = torch.full((len(weights),), torch.inf)  # each attempt's running loss
        self.update = 0

    def advance(self) -> dict[str, np.ndarray]:
        """Learn from one batch; of each seed the running loss, whether it has learned, and the attempts passed over."""
        rows = np.stack([rng.integers(len(self.inputs), size=self.batch) for rng in self.batches])
        rows = torch.from_numpy(rows.repeat(self.attempts, axis=0)).to(self.device)
        loss = (self.net(self.inputs[rows]) - self.targets[rows]).square().mean(dim=(1, 2))
        self.optimiser.zero_grad()
        self.net.zero_grad()
        loss.sum().backward()  # the attempts share no weight
        if self.tied:
            self.net.encoder.grad += self.net.decoder.grad.transpose(1, 2)
        rate = annealed(self.learning_rate, self.final_learning_rate, self.update / self.updates, "line")
        set_rate(self.optimiser, rate)
        self.optimiser.step()
        self.tie()
        loss = loss.detach().cpu()
        self.running = loss if self.update == 0 else self.running.lerp(loss, SMOOTHING)
        self.update += 1
        kept = self.kept()
        losses = self.running.view(-1, self.attempts).gather(1, kept.unsqueeze(1)).squeeze(1)
        learned = losses <= self.learned
        passed = torch.where(learned, kept, self.attempts)
        return {"loss": losses.numpy(), "learned": learned.numpy(), "passed over": passed.numpy()}

    @torch.no_grad()
    def tie(self) -> None:
        if self.tied:
            self.net.decoder.copy_(self.net.encoder.transpose(1, 2))

    def kept(self) -> Tensor:
        """The attempt of each seed that counts: the first that has learned, else the best."""
        running = self.running.view(-1, self.attempts)
        have = running <= self.learned
        return torch.where(have.any(dim=1), have.int().argmax(dim=1), running.argmin(dim=1))

    def parameters(self) -> dict[str, np.ndarray]:
        kept = self.kept().numpy()
        which = np.arange(len(kept)) * self.attempts + kept
        return {name: array[which] for name, array in self.net.arrays().items()}

    def load(self, parameters: Mapping[str, np.ndarray]) -> None:
        self.net.load({name: array.repeat(self.attempts, axis=0) for name, array in parameters.items()})
