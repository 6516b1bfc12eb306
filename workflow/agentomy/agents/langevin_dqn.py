"""Double Q-learning whose parameters are posterior samples (arXiv 1712.01076), which can explore by themselves.

This is Thompson sampling: an agent that acts by a posterior sample of the values tries what may be good. One sample,
the parameters at its start, serves a whole episode, so that the agent follows a plan through.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from agentomy import kinds, networks
from agentomy.agents.double_dqn import DoubleDQN
from agentomy.networks.langevin import Langevin
from agentomy.values import Count, NonNegative, Positive, Share


class LangevinDQN(DoubleDQN):
    """Double DQN, with a sampler in the place of Adam.

    Values of actions are Gaussian with standard deviation `spread` around the targets; the data are the transitions
    in the replay.
    """

    saved = (*DoubleDQN.saved, "noise", "actor")

    def __init__(
        self,
        environment: kinds.paths.EPISODES,
        streams: list,
        device: str,
        *,
        updates: Count,
        explores: Literal["epsilon", "samples"],  # by random actions, or by posterior samples alone
        metric: Literal["euclidean", "rmsprop", "dop", "qdop"],  # of the sampler
        step: Positive,  # η, the sampler's step size
        spread: Positive,  # standard deviation of a target around the value
        epsilon: NonNegative = 1e-4,  # ε, added to the metric
        prior: Literal["1/fan-in", "1", "none"] = "1/fan-in",  # variance of the weights
        temperature: NonNegative = 1.0,
        batch: Count = 32,
        discount: Share = 0.99,
        target_update_interval: Count = 1000,  # updates between two copies of the network to its target
        learning_starts: Count = 10_000,
        exploration_steps: Count = 100_000,  # steps over which the share of chance actions falls, linearly from 1 …
        exploration_final_eps: Share = 0.1,  # … to this
        steps_per_update: Count = 1,
        buffer_size: Count = 100_000,
    ):
        super().__init__(
            environment,
            streams,
            device,
            updates=updates,
            batch=batch,
            discount=discount,
            target_update_interval=target_update_interval,
            learning_starts=learning_starts,
            exploration_steps=exploration_steps,
            exploration_final_eps=exploration_final_eps,
            steps_per_update=steps_per_update,
            buffer_size=buffer_size,
        )
        self.explores, self.spread, self.buffer_size = explores, spread, buffer_size
        self.noise = [networks.generator(seed_streams.entropy("noise"), device) for seed_streams in streams]
        options = {"size": 1, "batch": batch, "epsilon": epsilon, "prior": prior, "temperature": temperature}
        self.optimiser = Langevin(self.net, self.noise, metric=metric, step=step, **options)
        self.actor = networks.build(self.network, len(streams), device).load(self.net.arrays())

    def explore(self) -> np.ndarray:
        if self.explores == "epsilon" or self.steps < self.learning_starts:
            return super().explore()
        observations = torch.from_numpy(self.observations).to(self.device)
        return self.actor.act(observations.unsqueeze(1)).squeeze(1).cpu().numpy()

    def step_envs(self, actions: np.ndarray) -> np.ndarray:
        """As `DoubleDQN.step_envs`; a seed whose episode has ended acts by a new sample."""
        ended = super().step_envs(actions)
        for seed in np.flatnonzero(ended):
            for mine, current in zip(self.actor.parameters(), self.net.parameters(), strict=True):
                mine.data[seed] = current.data[seed]
        return ended

    @torch.enable_grad()
    def learn(self, drawn: Mapping[str, Tensor]) -> Tensor:
        """One step of the sampler, from transitions [S, B, …]; the mean squared error of each seed [S]."""
        with torch.no_grad():
            targets = self.td_targets(drawn)
        for group in self.optimiser.param_groups:
            group["size"] = min(self.steps, self.buffer_size)
        values = self.net(drawn["observation"]).gather(2, drawn["action"].unsqueeze(2)).squeeze(2)
        errors = (values - targets).square().mean(dim=1)
        self.optimiser.zero_grad()
        (errors.sum() / (2 * self.spread**2)).backward()  # the seeds share no weight
        self.optimiser.step()
        return errors.detach()
