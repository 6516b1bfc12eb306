"""Double deep Q-learning (van Hasselt et al. 2016, arXiv 1509.06461), many seeds at once.

A network learns the values of actions from a replay buffer. For the next state it chooses the action, and an older copy
of it, the target network, gives that action's value. So no action is chosen because it is overrated.
"""

import copy
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from agentomy import kinds, networks
from agentomy.agents.replay import Replay
from agentomy.agents.state import Saved
from agentomy.environments import simulators
from agentomy.networks.q_network import QNetwork
from agentomy.values import Count, Rate, Share


class DoubleDQN(Saved):
    """A stack of seeds that learn to play; one update is some environment steps and one gradient step of each."""

    saved = (
        "update", "steps", "net", "target", "optimiser", "replay", "simulators", "observations",
        "episode_return", "returns", "exploration", "batches",
    )  # fmt: skip

    def __init__(
        self,
        environment: kinds.paths.EPISODES,
        streams: list,
        device: str,
        *,
        updates: Count,
        batch: Count = 32,  # transitions an update
        learning_rate: Rate = 3e-4,
        discount: Share = 0.99,
        target_update_interval: Count = 1000,  # updates between two copies of the network to the target network
        learning_starts: Count = 10_000,  # steps by random actions before learning starts …
        exploration_steps: Count = 100_000,  # … and those over which ε then falls linearly from 1 …
        exploration_final_eps: Share = 0.1,  # … to this
        steps_per_update: Count = 1,
        buffer_size: Count = 100_000,
    ):
        self.updates, self.batch, self.discount, self.device = updates, batch, discount, device
        self.target_update_interval, self.learning_starts, self.steps_per_update = (
            target_update_interval,
            learning_starts,
            steps_per_update,
        )
        self.exploration_steps, self.exploration_final_eps = exploration_steps, exploration_final_eps
        self.simulators = [
            simulators.make(environment.description, seed_streams.numpy("environment")) for seed_streams in streams
        ]
        self.observations = np.stack([simulator.reset() for simulator in self.simulators])  # [S, 10, 10, channels]
        shape, seeds = self.observations.shape[1:], len(streams)
        self.actions = self.simulators[0].actions
        self.network = {"use": networks.use(QNetwork), "channels": shape[-1], "actions": self.actions}
        weights = [networks.generator(seed_streams.entropy("weights")) for seed_streams in streams]
        self.net = networks.build(self.network, seeds).draw(weights).to(device)
        self.target = copy.deepcopy(self.net)
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=learning_rate, fused=True)
        fields = {
            "observation": (shape, torch.bool),
            "next_observation": (shape, torch.bool),
            "action": ((), torch.int64),
            "reward": ((), self.net.output.weight.dtype),
            "nonterminal": ((), torch.bool),
        }
        self.replay = Replay(seeds, min(buffer_size, learning_starts + updates * steps_per_update), fields, device)
        self.exploration = [seed_streams.numpy("exploration") for seed_streams in streams]
        self.batches = [seed_streams.numpy("batches") for seed_streams in streams]
        self.episode_return, self.returns = np.zeros(seeds), np.zeros(seeds)
        self.steps = self.update = 0

    @torch.no_grad()
    def advance(self) -> dict[str, np.ndarray]:
        """Step the environments and learn. Returns the loss and the return of the last finished episode of each seed.

        The return is undiscounted, and 0 until an episode has finished. The first call begins with the random steps.
        """
        for _ in range(self.steps_per_update + (self.learning_starts if self.update == 0 else 0)):
            self.step_envs(self.explore())
        loss = self.learn(self.replay.sample(self.batches, self.batch))
        self.update += 1
        if self.update % self.target_update_interval == 0:
            self.target.load_state_dict(self.net.state_dict())
        return {"loss": loss.cpu().numpy(), "return": self.returns.copy()}

    def epsilon(self) -> float:
        """The probability that the next action is a random one."""
        gone = min(1.0, max(0, self.steps - self.learning_starts) / self.exploration_steps)
        return 1 - gone * (1 - self.exploration_final_eps)

    def explore(self) -> np.ndarray:
        """Each seed's next action [S]: with probability ε a random one, else the one of the highest value."""
        # Random numbers are drawn in any case, so that the streams do not depend on the networks.
        any_action = np.array([rng.integers(self.actions) for rng in self.exploration])
        luck = np.array([rng.random() for rng in self.exploration])
        if self.steps < self.learning_starts:
            return any_action
        observations = torch.from_numpy(self.observations).to(self.device)
        best = self.net.act(observations.unsqueeze(1)).squeeze(1).cpu().numpy()
        return np.where(luck < self.epsilon(), any_action, best)

    def step_envs(self, actions: np.ndarray) -> np.ndarray:
        """Take one step in every seed's environment and store it; where an episode ends, the next begins.

        Returns which seeds' episodes have ended [S].
        """
        stepped = [simulator.step(action) for simulator, action in zip(self.simulators, actions, strict=True)]
        next_observations, rewards, terminated, truncated = (np.array(column) for column in zip(*stepped, strict=True))
        # Only termination makes the next state worth nothing: a truncated episode would have gone on.
        self.replay.add(
            observation=self.observations,
            action=actions,
            next_observation=next_observations,
            reward=rewards,
            nonterminal=~terminated,
        )
        self.observations = next_observations
        self.episode_return += rewards
        ended = terminated | truncated
        for seed in np.flatnonzero(ended):
            self.returns[seed], self.episode_return[seed] = self.episode_return[seed], 0.0
            self.observations[seed] = self.simulators[seed].reset()
        self.steps += 1
        return ended

    def learn(self, drawn: Mapping[str, Tensor]) -> Tensor:
        """One step towards the targets, from transitions [S, B, …]; the mean squared error of each seed [S]."""
        patches = self.net.convolution.patches(drawn["observation"])
        trace = self.net.trace(patches)
        chosen = drawn["action"].unsqueeze(2)
        errors = trace[-1].gather(2, chosen) - self.td_targets(drawn).unsqueeze(2)  # [S, B, 1]
        gradient = torch.zeros_like(trace[-1]).scatter_(2, chosen, 2 / self.batch * errors)
        self.net.learn(trace, gradient)
        self.optimiser.step()
        return errors.square().mean(dim=(1, 2))

    def td_targets(self, drawn: Mapping[str, Tensor]) -> Tensor:
        """Reward and discounted value of the network's next action, as the target network values it [S, B]."""
        patches = self.net.convolution.patches(drawn["next_observation"])
        best = self.net.trace(patches)[-1].argmax(dim=2, keepdim=True)
        values = self.target.trace(patches)[-1].gather(2, best).squeeze(2)
        return drawn["reward"] + self.discount * drawn["nonterminal"] * values

    def parameters(self) -> dict[str, np.ndarray]:
        return self.net.arrays()

    def load(self, parameters: Mapping[str, np.ndarray]) -> None:
        self.net.load(parameters)
