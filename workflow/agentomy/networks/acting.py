"""A policy of a world model at play (arXiv 2303.07109): step by step, with what it remembers of its episodes."""

from collections.abc import Mapping

import torch
from torch import Tensor

from agentomy.networks.layers import Noise, uniform
from agentomy.networks.observation_model import choice, likeliest
from agentomy.networks.transformer_xl import Memory
from agentomy.networks.world_model import WorldModel


class Player:
    """Acts in E episodes side by side, those of all seeds of a stack: codes by argmax, actions drawn from the policy.

    Where the policy reads what the transformer says of the past, each step is read as soon as its action is chosen. It
    is not read again when the weights change, as in the official code.
    """

    def __init__(self, world: WorldModel, episodes: int, noise: Noise):
        self.world, self.noise = world, noise
        self.hidden = torch.zeros(episodes, world.dynamics.transformer.width, device=noise[0].device)
        self.memory: Memory | None = None

    @torch.no_grad()
    def act(self, observations: Tensor, rewards: Tensor, ended: Tensor) -> Tensor:
        """Actions [E] at observations [E, …], from the rewards [E] of the steps before and whether episodes ended with
        them bool [E].

        What is said of steps before the first observations is not read.
        """
        codes = likeliest(self.world.observation.encode(observations))
        policy = self.world.policy(self.world.policy_input(codes, self.hidden, ended))
        actions = choice(policy, uniform(policy.shape[:-1], self.noise))
        if self.world.reads != "z":
            known = slice(int(self.memory is None), None)
            before = (values.unsqueeze(1)[:, known] for values in (rewards, ended))
            prediction, self.memory = self.world.dynamics(codes[:, None], actions[:, None], *before, self.memory)
            self.hidden = prediction.hidden[:, -1]
        return actions

    def state(self) -> dict:
        """All that is remembered."""
        return {"hidden": self.hidden, "memory": self.memory and dict(vars(self.memory))}

    def restore(self, state: Mapping) -> None:
        device = self.noise[0].device
        self.hidden = state["hidden"].to(device)
        self.memory = state["memory"] and Memory(**state["memory"]).to(device)
