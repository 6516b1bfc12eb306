"""Environments that are spaces and nothing else, agents of the libraries in them, and observations to act on."""

import gymnasium
import numpy as np
import torch
from gymnasium import spaces

VECTOR = spaces.Box(-np.inf, np.inf, (5,), np.float32)
PICTURE = spaces.Box(0, 255, (3, 40, 44), np.uint8)
CHOICE = spaces.Discrete(4)
REACH = spaces.Box(np.array([-2.0, 0.0], np.float32), np.array([6.0, 0.5], np.float32))


class World(gymnasium.Env):
    """Random observations, no reward, ends after ten steps."""

    def __init__(self, observation, action):
        self.observation_space, self.action_space = observation, action

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.observation(), {}

    def step(self, action):
        self.steps += 1
        return self.observation(), 0.0, self.steps == 10, False, {}

    def observation(self):
        return drawn(self.observation_space, 1, self.np_random)[0]


def drawn(space, count: int, random=None) -> np.ndarray:
    """Observations [count, *shape]."""
    random = random or np.random.default_rng(0)
    if isinstance(space, spaces.Discrete):
        return random.integers(space.n, size=count)
    if isinstance(space, spaces.MultiDiscrete):
        return random.integers(space.nvec, size=(count, len(space.nvec)))
    if isinstance(space, spaces.MultiBinary):
        return random.integers(2, size=(count, *space.shape)).astype(np.int8)
    if space.dtype == np.uint8:
        # some dark, some light, so that not all look alike to a convolution
        bright = random.integers(1, 257, size=(count, *(1 for _ in space.shape)))
        return random.integers(bright, size=(count, *space.shape)).astype(np.uint8)
    return random.normal(size=(count, *space.shape)).astype(space.dtype)


def shaken(model):
    """As if it had learned: every weight is moved far enough that it does one thing here and another there."""
    noise = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in model.policy.named_parameters():
            weight = name.endswith("weight")
            size = 2 / parameter[0].numel() ** 0.5 if weight else 0.2
            parameter.add_(size * torch.randn(parameter.shape, generator=noise))
    return model
