"""Behaviour cloning: a policy learns to do what an expert did, by least squares on a fixed set of its actions.

Only the network is left of reinforcement learning. So it shows what in a policy's path is due to the optimiser.
"""

from collections.abc import Mapping
from math import prod
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from agentomy import kinds, networks
from agentomy.agents.state import Saved
from agentomy.environments import simulators
from agentomy.names import resolve
from agentomy.networks.continuous import Actor
from agentomy.networks.stacked import traced
from agentomy.tables import TableError
from agentomy.values import Count, Rate

OPTIMISERS = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}


class BehaviourCloning(Saved):
    """A stack of seeds, each of which learns from the expert of its own seed; one update is one batch of steps."""

    saved = ("update", "net", "optimiser", "batches")

    def __init__(
        self,
        environment: kinds.paths.DEMONSTRATIONS,
        streams: list,
        device: str,
        *,
        updates: Count,
        widths: list[Count],  # of the hidden layers
        optimiser: Literal["adam", "sgd"],  # sgd: plain, without momentum
        learning_rate: Rate,
        batch: Count = 256,  # steps an update
    ):
        self.updates, self.batch, self.device = updates, batch, device
        # It only tells sizes and bounds; nothing is played.
        simulator = simulators.make(environment.description.environment, streams[0].numpy("environment"))
        inputs, outputs = prod(simulator.observation_shape), prod(simulator.low.shape)
        self.network = {
            "use": networks.use(Actor),
            "inputs": inputs,
            "outputs": outputs,
            "widths": list(widths),
            "low": simulator.low.tolist(),
            "high": simulator.high.tolist(),
        }
        weights = [networks.generator(seed_streams.entropy("weights")) for seed_streams in streams]
        self.net = networks.build(self.network, len(streams)).draw(weights).to(device)
        self.optimiser = resolve(OPTIMISERS, optimiser)(self.net.parameters(), lr=learning_rate, fused=True)
        # All experts' steps one after the other, so that one gather fetches the rows of all seeds.
        demonstrations = [environment.where(seed=seed_streams.seed) for seed_streams in streams]
        for expert, stream in zip(demonstrations, streams, strict=True):
            if not len(expert):
                raise TableError(f"{environment.kind.name}: nothing of seed {stream.seed}, the expert of a pupil")
        observations = [self.steps(expert, "observations", inputs) for expert in demonstrations]
        self.observations = torch.cat(observations)
        self.expert_actions = torch.cat([self.steps(expert, "actions", outputs) for expert in demonstrations])
        lengths = [len(steps) for steps in observations]
        self.spans = list(zip(np.cumsum([0, *lengths[:-1]]), lengths, strict=True))  # first row and number of rows
        self.batches = [seed_streams.numpy("batches") for seed_streams in streams]
        self.update = 0

    def steps(self, demonstrations, column: str, size: int) -> Tensor:
        """One column of an expert's episodes, step after step: [steps, size]."""
        flat = np.concatenate(demonstrations.values(column)).reshape(-1, size)
        return torch.from_numpy(flat).to(self.device, self.net.layer1.weight.dtype)

    @torch.no_grad()
    def advance(self) -> dict[str, np.ndarray]:
        """Learn from one batch. Returns the mean squared error of each seed's actions."""
        observations, expert_actions = self.sample()
        trace = traced(self.net.weights(), observations)
        squashed = trace[-1].tanh_()
        errors = self.net.bounded(squashed) - expert_actions  # [S, B, outputs]
        gradient = 2 / errors[0].numel() * errors * self.net.half() * (1 - squashed.square())
        self.net.learn(trace, gradient)
        self.optimiser.step()
        self.update += 1
        return {"loss": errors.square().mean(dim=(1, 2)).cpu().numpy()}

    def sample(self) -> tuple[Tensor, Tensor]:
        """Observations [S, B, inputs] and the experts' actions [S, B, outputs], drawn with replacement."""
        drawn = [
            first + rng.integers(steps, size=self.batch)
            for rng, (first, steps) in zip(self.batches, self.spans, strict=True)
        ]
        rows = torch.from_numpy(np.stack(drawn)).to(self.device)
        return self.observations[rows], self.expert_actions[rows]

    def parameters(self) -> dict[str, np.ndarray]:
        return self.net.arrays()

    def load(self, parameters: Mapping[str, np.ndarray]) -> None:
        self.net.load(parameters)
