"""Measured speeds of Double DQN, as a Markdown table: `python -m tests.bench.path_speeds_dqn`.

All take turns in one run, so that their ratios hold.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from agentomy import kinds
from agentomy.agents.double_dqn import DoubleDQN
from agentomy.descriptions import Task
from agentomy.environments import simulators
from agentomy.seeds import Streams
from agentomy.tables import Table
from tests.bench.speeds import ROUNDS, UPDATES, interleaved, machine, repeated

STACKS, FILLED, BATCH = (1, 8, 16), 1000, 32
GAME = Task(use="arcade.minatar", parameters={"game": "breakout", "episodes": 1})


class PlainDoubleDQN:
    """The yardstick: one network of PyTorch's modules, trained on the same game in the plainest way."""

    def __init__(self):
        self.rng = np.random.default_rng(0)
        self.game = simulators.make(GAME, self.rng)
        self.now, self.memory = self.game.reset(), []
        self.net, self.target = self.network(), self.network()
        self.optimiser = torch.optim.Adam(self.net.parameters(), 3e-4)
        for _ in range(FILLED):
            self.live(int(self.rng.integers(self.game.actions)))

    def network(self) -> nn.Sequential:
        channels = self.game.observation_shape[-1]
        first, second, last = nn.Conv2d(channels, 16, 3), nn.Linear(1024, 128), nn.Linear(128, self.game.actions)
        return nn.Sequential(first, nn.ReLU(), nn.Flatten(), second, nn.ReLU(), last)

    def live(self, action: int) -> None:
        following, reward, terminated, truncated = self.game.step(action)
        self.memory.append((self.now, action, reward, following, terminated))
        self.now = self.game.reset() if terminated or truncated else following

    def seen(self, observations: list[np.ndarray]) -> torch.Tensor:
        return torch.from_numpy(np.stack(observations)).float().permute(0, 3, 1, 2)

    def advance(self) -> None:
        with torch.no_grad():
            best = int(self.net(self.seen([self.now])).argmax())
        self.live(best if self.rng.random() > 0.1 else int(self.rng.integers(self.game.actions)))
        drawn = [self.memory[i] for i in self.rng.integers(len(self.memory), size=BATCH)]
        now, actions, rewards, following, terminated = zip(*drawn, strict=True)
        with torch.no_grad():
            following = self.seen(following)
            value = self.target(following).gather(1, self.net(following).argmax(dim=1, keepdim=True))[:, 0]
            wanted = torch.tensor(rewards) + 0.99 * ~torch.tensor(terminated) * value
        chosen = self.net(self.seen(now)).gather(1, torch.tensor(actions)[:, None])[:, 0]
        loss = nn.functional.mse_loss(chosen, wanted)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()


def stack(seeds: int) -> DoubleDQN:
    streams = [Streams("bench", "run", seed) for seed in range(seeds)]
    table = Table(kinds.paths.EPISODES, description=GAME)
    options = {"updates": 10**6, "batch": BATCH, "learning_starts": FILLED, "buffer_size": 10_000}
    agent = DoubleDQN(table, streams, "cpu", exploration_steps=1, **options)
    agent.advance()
    return agent


def stable_baselines() -> Callable[[], None] | None:
    """Stable-Baselines3's DQN (not a double one) with the same network, if it is installed; else None."""
    try:
        from stable_baselines3 import DQN
        from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
    except ImportError:
        return None
    from gymnasium.spaces import Box
    from gymnasium.wrappers import TransformObservation

    class Convolution(BaseFeaturesExtractor):
        def __init__(self, space):
            super().__init__(space, 1024)
            self.layers = nn.Sequential(nn.Conv2d(space.shape[0], 16, 3), nn.ReLU(), nn.Flatten())

        def forward(self, observations):
            return self.layers(observations)

    env = simulators.make(GAME, np.random.default_rng(0)).env
    space = Box(0, 1, env.observation_space.shape[::-1], np.float32)
    env = TransformObservation(env, lambda seen: seen.transpose(2, 0, 1).astype(np.float32), space)
    policy = {"features_extractor_class": Convolution, "net_arch": [128], "normalize_images": False}
    options = {"learning_rate": 3e-4, "buffer_size": 10_000, "batch_size": BATCH, "train_freq": 1}
    model = DQN("CnnPolicy", env, learning_starts=FILLED, policy_kwargs=policy, device="cpu", **options)
    model.learn(FILLED + 1)
    return lambda: model.learn(UPDATES, reset_num_timesteps=False)


def main() -> None:
    """Updates a second, each with its environment step, summed over the seeds of a stack."""
    torch.set_num_threads(1)
    print(f"{machine()}; medians of {ROUNDS} rounds in which all take turns\n")
    runs = {"plain torch loop, 1 seed": (1, repeated(PlainDoubleDQN()))}
    runs |= {f"ours, {seeds} seed{'s' * (seeds > 1)}": (seeds, repeated(stack(seeds))) for seeds in STACKS}
    if theirs := stable_baselines():
        runs["Stable-Baselines3 DQN, 1 seed"] = (1, theirs)
    took = interleaved(**{name: run for name, (_, run) in runs.items()})
    plain = next(iter(took.values()))
    print("| Double DQN on Breakout, batch 32 | seed-updates/s | beside the plain loop |\n| --- | --- | --- |")
    for name, (seeds, _) in runs.items():
        print(f"| {name} | {UPDATES * seeds / took[name]:.0f} | {seeds * plain / took[name]:.2f} |")


if __name__ == "__main__":
    main()
