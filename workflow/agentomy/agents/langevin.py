"""Natural Langevin dynamics (arXiv 1712.01076): classifiers whose parameters are samples of a posterior, and baselines.

The networks that make up an ensemble are the snapshots.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from agentomy import kinds, networks
from agentomy.agents.rates import set_rate
from agentomy.agents.state import Saved
from agentomy.networks.classifier import Averaged
from agentomy.networks.langevin import Langevin
from agentomy.values import Count, NonNegative, Positive, Share


class Classifier(Saved):
    """A stack of seeds, each with its own noise and order of images; one update is one batch.

    Without noise (`temperature` 0) and prior the Euclidean sampler is stochastic gradient descent.
    """

    saved = ("update", "net", "optimiser", "order", "noise", "batches")

    def __init__(
        self,
        environment: kinds.nld.IMAGES,
        streams: list,
        device: str,
        *,
        updates: Count,
        method: Literal["euclidean", "rmsprop", "dop", "qdop", "adam"],  # the sampler's metric, or plain Adam
        step: Positive,  # η, or Adam's learning rate
        hidden: list[Count],  # units of each hidden layer
        batch: Count = 100,
        epsilon: NonNegative = 1e-7,  # ε, added to the metric
        prior: Literal["1/fan-in", "1", "none"] = "1/fan-in",  # variance of the weights
        temperature: NonNegative = 1.0,  # of the noise
        dropout: Share = 0.0,  # share of hidden units that are left out of an update
        halved_every: Count = 10_000,  # updates after which the step is halved
    ):
        self.updates, self.step, self.halved_every = updates, step, halved_every
        self.batch, self.dropout, self.device = batch, dropout, device
        train = environment.values("split") == "train"
        pixels = environment.array("pixels")[train].astype(np.float32) / 255
        self.inputs = torch.from_numpy(pixels).to(device)  # [N, pixels]
        self.labels = torch.from_numpy(environment.values("label")[train]).to(device)
        if batch > len(self.labels):
            raise ValueError(f"langevin: batch: found {batch}; allowed: up to the {len(self.labels)} training images")
        sizes = [self.inputs.shape[1], *hidden, int(self.labels.max()) + 1]
        self.network = {"use": networks.use(Averaged), "sizes": sizes}
        weights = [networks.generator(seed_streams.entropy("weights")) for seed_streams in streams]
        self.net = networks.build(self.network, len(streams)).draw(weights).to(device)
        self.noise = [networks.generator(seed_streams.entropy("noise"), device) for seed_streams in streams]
        if method == "adam":
            self.optimiser = torch.optim.Adam(self.net.current.parameters(), lr=step, fused=True)
        else:
            options = {"size": len(self.labels), "batch": batch, "epsilon": epsilon, "prior": prior}
            self.optimiser = Langevin(
                self.net.current, self.noise, metric=method, step=step, temperature=temperature, **options
            )
        self.batches = [seed_streams.numpy("batches") for seed_streams in streams]
        self.order = np.zeros((len(streams), len(self.labels)), dtype=np.int64)
        self.update = 0

    def advance(self) -> dict[str, np.ndarray]:
        """Learn from one batch. Returns its mean negative log-likelihood in nats."""
        rows = self.sample()
        logits = self.logits(self.inputs[rows])
        losses = cross_entropy(logits.flatten(0, 1), self.labels[rows].flatten(), reduction="none")
        loss = losses.view(len(rows), self.batch).mean(dim=1)
        self.optimiser.zero_grad()
        loss.sum().backward()  # the seeds share no weight
        set_rate(self.optimiser, self.step * 0.5 ** (self.update // self.halved_every))
        self.optimiser.step()
        self.net.average((1 + self.update) ** -0.5)  # g₀ = 1, 1/g² grows by 1
        self.update += 1
        return {"loss": loss.detach().cpu().numpy()}

    def sample(self) -> Tensor:
        """Rows of the next batch of each seed [S, B]; each epoch goes through all images in a new random order."""
        steps = len(self.labels) // self.batch
        at = self.update % steps
        if at == 0:
            self.order = np.stack([rng.permutation(len(self.labels)) for rng in self.batches])
        return torch.from_numpy(self.order[:, at * self.batch : (at + 1) * self.batch]).to(self.device)

    def logits(self, x: Tensor) -> Tensor:
        """A pass of [S, B, pixels]; dropout leaves out some hidden units and scales up the others."""
        if not self.dropout:
            return self.net.current(x)
        *hidden, last = self.net.current.layers
        for layer in hidden:
            x = torch.relu(layer(x))
            kept = torch.empty_like(x)
            for values, generator in zip(kept, self.noise, strict=True):
                values.bernoulli_(1 - self.dropout, generator=generator)
            x = x * kept / (1 - self.dropout)
        return last(x)

    def parameters(self) -> dict[str, np.ndarray]:
        return self.net.arrays()

    def load(self, parameters: Mapping[str, np.ndarray]) -> None:
        self.net.load(parameters)
