"""Twin delayed deep deterministic policy gradients (Fujimoto et al. 2018, arXiv 1802.09477), many seeds at once.

Two critics learn the value of actions, and the lower of the two is believed. The actor climbs the first critic's value
and is updated less often than the critics. Slowly moving targets of all three keep the recursion from running away.
"""

import copy
from math import prod

import numpy as np
import torch
from torch import Tensor

from agentomy import kinds, networks
from agentomy.agents.replay import Replay
from agentomy.agents.state import Saved
from agentomy.environments import simulators
from agentomy.networks.continuous import Actor, Critics
from agentomy.networks.stacked import input_gradient, polyak_update, traced
from agentomy.values import Count, NonNegative, Rate, Share


class TD3(Saved):
    """A stack of seeds that learn to control; one update is one environment step and one gradient step of each."""

    saved = (
        "update", "net", "critics", "target_net", "target_critics", "optimisers", "replay", "simulators",
        "observations", "episode_return", "returns", "noise", "batches", "jitter",
    )  # fmt: skip

    def __init__(
        self,
        environment: kinds.paths.EPISODES,
        streams: list,
        device: str,
        *,
        widths: list[Count],  # of the hidden layers, of actor and critics alike
        updates: Count,
        batch: Count = 256,  # transitions an update
        learning_rate: Rate = 3e-4,
        discount: Share = 0.99,
        tau: Rate = 0.005,  # share of the way to the networks that their targets move at a time
        policy_delay: Count = 2,  # the actor and the targets move once every `policy_delay` critic updates
        exploration_noise: NonNegative = 0.1,  # on actions taken: a standard deviation, in units of their bound
        target_noise: NonNegative = 0.2,  # on the target actor's actions, likewise …
        target_noise_clip: NonNegative = 0.5,  # … and where that noise is clipped
        learning_starts: Count = 25_000,  # steps by uniformly random actions before learning starts
        buffer_size: Count = 1_000_000,
    ):
        self.updates, self.batch, self.learning_starts, self.device = updates, batch, learning_starts, device
        self.discount, self.tau, self.policy_delay = discount, tau, policy_delay
        self.exploration_noise, self.target_noise, self.target_noise_clip = (
            exploration_noise,
            target_noise,
            target_noise_clip,
        )
        self.simulators = [
            simulators.make(environment.description, seed_streams.numpy("environment")) for seed_streams in streams
        ]
        self.observations = np.stack([simulator.reset() for simulator in self.simulators])  # [S, inputs]
        simulator, seeds = self.simulators[0], len(streams)
        self.low, self.high = simulator.low, simulator.high
        inputs, actions = prod(simulator.observation_shape), prod(self.low.shape)
        self.network = {
            "use": networks.use(Actor),
            "inputs": inputs,
            "outputs": actions,
            "widths": list(widths),
            "low": self.low.tolist(),
            "high": self.high.tolist(),
        }
        weights = [networks.generator(seed_streams.entropy("weights")) for seed_streams in streams]
        self.net = networks.build(self.network, seeds).draw(weights).to(device)
        self.critics = Critics(seeds, inputs=inputs, actions=actions, widths=widths).draw(weights).to(device)
        self.target_net, self.target_critics = copy.deepcopy(self.net), copy.deepcopy(self.critics)
        self.optimisers = [
            torch.optim.Adam(module.parameters(), lr=learning_rate, fused=True) for module in (self.net, self.critics)
        ]
        self.dtype = self.net.layer1.weight.dtype
        # One row holds a whole transition, so that one gather fetches it.
        # observation, action, next observation, reward, nonterminal
        self.parts = [inputs, actions, inputs, 1, 1]
        fields = {"transition": ((sum(self.parts),), self.dtype)}
        self.replay = Replay(seeds, min(buffer_size, learning_starts + updates), fields, device)
        self.noise = [seed_streams.numpy("exploration") for seed_streams in streams]
        self.batches = [seed_streams.numpy("batches") for seed_streams in streams]
        self.jitter = [seed_streams.numpy("smoothing") for seed_streams in streams]
        self.episode_return, self.returns = np.zeros(seeds), np.zeros(seeds)
        self.update = 0

    def advance(self) -> dict[str, np.ndarray]:
        """Take a step and learn. Returns the critics' loss and the return of the last finished episode of each seed.

        The return is undiscounted, and 0 until an episode has finished. The first call begins with the random steps.
        """
        if self.update == 0:
            for _ in range(self.learning_starts):
                self.step_envs(np.stack([rng.uniform(self.low, self.high) for rng in self.noise]))
        self.step_envs(self.explore())
        loss = self.learn()
        return {"loss": loss.cpu().numpy(), "return": self.returns.copy()}

    @torch.no_grad()
    def learn(self) -> Tensor:
        """One gradient step of both critics and, every `policy_delay` updates, of the actor; the critics' loss [S]."""
        self.update += 1
        transitions = self.replay.sample(self.batches, self.batch)["transition"]
        parts = transitions.split(self.parts, dim=2)  # [S, B, …] each
        observations, actions, next_observations, rewards, nonterminal = parts
        loss = self.update_critics(observations, actions, self.td_targets(next_observations, rewards, nonterminal))
        if self.update % self.policy_delay == 0:
            self.update_actor(observations)
            polyak_update([self.target_net, self.target_critics], [self.net, self.critics], self.tau)
        return loss

    def explore(self) -> np.ndarray:
        """The actor's actions with noise [S, actions]."""
        actions = self.net.act(self.tensor(self.observations).unsqueeze(1)).squeeze(1).cpu().numpy()
        noise = np.stack([rng.standard_normal(self.low.shape) for rng in self.noise])
        return (actions + self.exploration_noise * (self.high - self.low) / 2 * noise).clip(self.low, self.high)

    def step_envs(self, actions: np.ndarray) -> None:
        """Take one step in every seed's environment and store it; where an episode ends, the next begins."""
        stepped = [simulator.step(action) for simulator, action in zip(self.simulators, actions, strict=True)]
        next_observations, rewards, terminated, truncated = (np.array(column) for column in zip(*stepped, strict=True))
        # Only termination makes the next state worth nothing: a truncated episode would have gone on.
        parts = self.observations, actions, next_observations, rewards[:, None], ~terminated[:, None]
        self.replay.add(transition=np.concatenate(parts, axis=1))
        self.observations = next_observations
        self.episode_return += rewards
        for seed in np.flatnonzero(terminated | truncated):
            self.returns[seed], self.episode_return[seed] = self.episode_return[seed], 0.0
            self.observations[seed] = self.simulators[seed].reset()

    def td_targets(self, next_observations: Tensor, rewards: Tensor, nonterminal: Tensor) -> Tensor:
        """The critics' targets [S, B, 1]: reward and discounted value of the target actor's action with noise."""
        actor = self.target_net
        shape = (self.batch, len(actor.low))
        noise = self.tensor(np.stack([rng.standard_normal(shape, dtype=np.float32) for rng in self.jitter]))
        limit = self.target_noise_clip
        actions = actor.act(next_observations) + actor.half() * noise.mul_(self.target_noise).clamp_(-limit, limit)
        values = self.values(self.target_critics, next_observations, actions.clamp_(actor.low, actor.high))[-1]
        lower = torch.minimum(*values.chunk(2))
        return rewards + self.discount * nonterminal * lower

    def update_critics(self, observations: Tensor, actions: Tensor, targets: Tensor) -> Tensor:
        """One step of both critics towards the targets; their squared errors, summed over the two [S]."""
        trace = self.values(self.critics, observations, actions)
        errors = trace[-1] - targets.repeat(2, 1, 1)  # [2S, B, 1]
        self.critics.learn(trace, 2 / self.batch * errors)
        self.optimisers[1].step()
        return torch.stack(errors.square().mean(dim=(1, 2)).chunk(2)).sum(dim=0)

    def update_actor(self, observations: Tensor) -> None:
        """One step of the actor up the first critic's mean value of its actions."""
        trace = traced(self.net.weights(), observations)
        squashed = trace[-1].tanh_()
        critic = self.critics.weights(self.critics.first)
        values = traced(critic, torch.cat([observations, self.net.bounded(squashed)], dim=2))
        uphill = torch.full_like(values[-1], -1 / self.batch)  # the gradient of minus the mean value
        gradient = input_gradient(critic, values, uphill, entries=slice(observations.shape[2], None))
        self.net.learn(trace, gradient * self.net.half() * (1 - squashed.square()))
        self.optimisers[0].step()

    @staticmethod
    def values(critics: Critics, observations: Tensor, actions: Tensor) -> list[Tensor]:
        """The trace of a pass of both critics of each seed, whose last is the values [2S, B, 1]."""
        return traced(critics.weights(), torch.cat([observations, actions], dim=2).repeat(2, 1, 1))

    def tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device, self.dtype)

    def parameters(self) -> dict[str, np.ndarray]:
        return self.net.arrays()

    def load(self, parameters: dict[str, np.ndarray]) -> None:
        """Go on with these weights of the actor; everything else stays as it is, Adam's moments included."""
        self.net.load(parameters)
