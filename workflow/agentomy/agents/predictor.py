"""Meta-learned prediction: a recurrent network is trained by log-loss on sequences fresh from the prior.

Each episode has its own task, so the network can only do well by learning it from the observations so far. The
loss is a Monte-Carlo estimate of the Bayes risk (Ortega et al. 2019, arXiv 1905.03030; Mikulik et al. 2020).
"""

from collections.abc import Mapping

import numpy as np
import torch

from agentomy import kinds, networks
from agentomy.agents.rates import annealed, set_rate
from agentomy.agents.state import Saved
from agentomy.environments import sequences
from agentomy.networks.heads import log_probability
from agentomy.networks.recurrent import LSTMNetwork
from agentomy.networks.stacked import clip_gradients
from agentomy.values import Count, Positive, Rate, Share


class Predictor(Saved):
    """A stack of seeds that learn to predict the next observation; one update is one batch of fresh episodes."""

    saved = ("update", "net", "optimiser", "episodes")

    def __init__(
        self,
        environment: kinds.bayes.SEQUENCES,
        streams: list,
        device: str,
        *,
        width: Count,  # units of encoder, LSTM and decoder
        updates: Count,
        batch: Count = 128,  # episodes an update
        learning_rate: Rate = 3e-3,
        final_learning_rate: Share = 0.01,  # share of the rate left at the end; the decay gives the last factor of ten
        max_grad_norm: Positive = 1.0,  # early batches of heavy-tailed sources have huge gradients
        forget_bias: float = 0.0,
    ):
        self.updates, self.batch, self.max_grad_norm, self.device = updates, batch, max_grad_norm, device
        self.learning_rate, self.final_learning_rate = learning_rate, final_learning_rate
        self.task, self.steps = sequences.task(environment.description), environment.description.parameters["steps"]
        self.network = {
            "use": networks.use(LSTMNetwork),
            "inputs": self.task.inputs,
            "width": width,
            "outputs": {"predictive": self.task.outputs},
            "forget_bias": forget_bias,
        }
        weights = [networks.generator(seed_streams.entropy("weights")) for seed_streams in streams]
        self.net = networks.build(self.network, len(streams)).draw(weights).to(device)
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=learning_rate, fused=True)
        self.episodes = [seed_streams.numpy("episodes") for seed_streams in streams]
        self.update = 0

    def advance(self) -> dict[str, np.ndarray]:
        """Learn from one batch. Returns each seed's loss in nats per step."""
        observations = np.stack([self.task.sample(rng, self.batch, self.steps)[1] for rng in self.episodes])
        inputs = sequences.previous(self.task.encode(observations))  # [S, B, T, inputs]; x_t from x_1 … x_{t-1}

        dtype = self.net.encoder.weight.dtype
        raw = self.net(torch.from_numpy(inputs).to(self.device, dtype))["predictive"]
        x = torch.from_numpy(observations).to(self.device, dtype)
        loss = -log_probability(self.task.family, raw, x).mean(dim=(1, 2))  # [S]

        rate = annealed(self.learning_rate, self.final_learning_rate, self.update / self.updates, "cosine")
        set_rate(self.optimiser, rate)
        self.optimiser.zero_grad()
        loss.sum().backward()  # the seeds share no weight, so each gets the gradient of its own loss
        clip_gradients(self.net, self.max_grad_norm)
        self.optimiser.step()
        self.update += 1
        return {"loss": loss.detach().cpu().numpy()}

    def parameters(self) -> dict[str, np.ndarray]:
        return self.net.arrays()

    def load(self, parameters: Mapping[str, np.ndarray]) -> None:
        self.net.load(parameters)
