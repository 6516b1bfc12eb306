"""L3D, local loss landscape decomposition (arXiv 2504.00194): sparsely active circuits of a trained network.

The gradient of the divergence between the outputs for two inputs tells which parameters matter for them. If each
circuit serves few inputs, these gradients are sparse combinations of few directions in parameter space; L3D learns
these directions.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from agentomy import kinds, networks
from agentomy.agents.rates import set_rate
from agentomy.agents.state import Saved
from agentomy.networks.gradients import TINY, Gradients, largest, others
from agentomy.networks.subnetworks import IN, OUT, Subnetworks
from agentomy.values import Count, Natural, Rate

WARM = 0.999  # share of the coefficients that is kept in the warm-up


class L3D(Saved):
    """Decomposes a stack of trained networks, one a seed; one update is one batch of inputs and references.

    Each seed is decomposed from several starts at once, which share gradients; the start with the least loss is kept.
    """

    saved = ("update", "net", "optimiser", "order", "running", "batches")

    def __init__(
        self,
        environment: kinds.subnetworks.SUBJECTS,
        streams: list,
        device: str,
        *,
        epochs: Count,  # times that learning goes over all samples
        count: Count,  # of subnetworks
        rank: Count,  # of a subnetwork in each tensor
        divergence: Literal["mse", "code", "kl"],  # see `gradients.DIVERGENCES`
        keep: Rate,  # share of the batch's coefficients that is kept
        batch: Count,  # inputs in one update
        starts: Count = 1,  # from which each seed is decomposed; the best is kept
        learning_rate: Rate = 0.01,
        decay: Rate = 0.8,  # of the learning rate, ten times in all
        warm_up: Natural = 1,  # epochs in which nearly all coefficients are kept
        tensors: list[str] | None = None,  # beginnings of the names of the tensors to decompose; null: all
        chunk: Count | None = None,  # samples whose gradients are held at once; null: the batch
    ):
        self.count, self.starts, self.keep, self.device = count, starts, keep, device
        self.batch, self.chunk = batch, chunk or batch
        self.learning_rate, self.decay = learning_rate, decay
        self.gradients = Gradients(
            environment, [seed_streams.seed for seed_streams in streams], divergence, tensors, device
        )
        self.steps = max(1, self.gradients.samples // batch)  # of an epoch
        self.updates, self.warm_up = epochs * self.steps, warm_up * self.steps
        self.network = {
            "use": networks.use(Subnetworks),
            "shapes": {name: list(tensor.shape[1:]) for name, tensor in self.gradients.weights.items()},
            "count": count,
            "rank": rank,
        }
        weights = [networks.generator(seed_streams.entropy("directions")) for seed_streams in streams]
        everything = {**self.network, "count": starts * count}
        self.net = networks.build(everything, len(streams)).draw(weights).to(device)
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=learning_rate, fused=True)
        self.batches = [seed_streams.numpy("batches") for seed_streams in streams]
        self.order = np.zeros((len(streams), self.gradients.samples), dtype=np.int64)
        self.running = torch.full((len(streams), starts), torch.inf)  # each start's loss, smoothed over an epoch
        self.update = 0

    @torch.no_grad()
    def advance(self) -> dict[str, np.ndarray]:
        """Learn from one batch. Returns the losses of each seed's best and worst start, smoothed over an epoch."""
        rows, references = self.sample()
        chunks = [slice(first, first + self.chunk) for first in range(0, rows.shape[1], self.chunk)]
        inside = []  # V_in g
        for part in chunks:
            gradients = self.net.flat(self.gradients(rows[:, part], references[:, part]))
            inside.append(self.net.inside(gradients))
        inside = torch.cat(inside, dim=1).unflatten(2, (self.starts, self.count)).movedim(2, 1)
        mask = largest(inside, self.keep if self.update >= self.warm_up else WARM)
        kept = inside * mask

        missed, size = 0.0, 0.0
        self.optimiser.zero_grad(set_to_none=False)
        for part in chunks:
            if len(chunks) > 1:  # too large to hold for all chunks: they are computed again
                gradients = self.net.flat(self.gradients(rows[:, part], references[:, part]))
            missed = missed + self.learn(gradients, kept[:, :, part], mask[:, :, part])
            size = size + sum(torch.linalg.vector_norm(gradient, dim=(1, 2)).square() for gradient in gradients)
        size = size.clamp_min(TINY)
        self.net.weights.grad /= size.view(-1, 1, 1, 1)
        set_rate(self.optimiser, self.learning_rate * self.decay ** (10 * self.update // self.updates))
        self.optimiser.step()
        self.net.rescale()

        loss = (missed / size.unsqueeze(1)).cpu()
        self.running = loss if self.update in (0, self.warm_up) else self.running.lerp(loss, 1 / self.steps)
        self.update += 1
        return {"loss": self.running.amin(dim=1).numpy(), "worst loss": self.running.amax(dim=1).numpy()}

    def learn(self, gradients: list[Tensor], kept: Tensor, mask: Tensor) -> Tensor:
        """Add the gradient of ‖g - V_out (V_in g ∘ mask)‖² to the directions'; its sum over samples [S, starts].

        Seeds and starts share no direction.
        """
        missed, back = 0.0, 0.0  # back: of the coefficients
        for block, (outside, error) in enumerate(self.net.rebuilding(gradients, kept)):
            missed = missed + torch.linalg.vector_norm(error, dim=(2, 3)).square()
            back = back + error @ outside.mT
            self.net.learn(block, OUT, (kept.mT @ error).flatten(1, 2) * -2)
        back = (back * mask).movedim(2, 1).flatten(2) * -2  # [S, B, starts × K]
        for block, gradient in enumerate(gradients):
            self.net.learn(block, IN, back.mT @ gradient)
        return missed

    def sample(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the next batch [S, B], and of each one's reference: any other row of the batch."""
        step = self.update % self.steps
        if step == 0:
            self.order = np.stack([rng.permutation(self.gradients.samples) for rng in self.batches])
        rows = self.order[:, step * self.batch : (step + 1) * self.batch]
        return rows, np.stack([others(rng, batch) for rng, batch in zip(self.batches, rows, strict=True)])

    def parameters(self) -> dict[str, np.ndarray]:
        best = self.running.argmin(dim=1)
        kept = {}
        for name, array in self.net.arrays().items():
            by_start = array.reshape(*array.shape[:2], self.starts, self.count, *array.shape[3:])
            kept[name] = np.stack([values[:, start] for values, start in zip(by_start, best, strict=True)])
        return kept

    def load(self, parameters: Mapping[str, np.ndarray]) -> None:
        self.net.load({name: np.concatenate([array] * self.starts, axis=2) for name, array in parameters.items()})
