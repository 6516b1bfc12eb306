"""Soft actor-critic from augmented pixels (RAD, Laskin et al. 2020, arXiv 2004.14990), many seeds at once.

Two critics learn the value of actions and of their entropy, and the lower of the two is believed. The actor climbs that
value, and the temperature holds the entropy at its target. The critics train the convolutions; the actor uses them.
"""

import copy
import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from agentomy import kinds, networks
from agentomy.agents import augmentation as augmentations
from agentomy.agents.frames import Frames
from agentomy.agents.state import Saved
from agentomy.environments import simulators
from agentomy.networks.pixels import PixelActor, PixelCritics, fit
from agentomy.networks.stacked import polyak_update
from agentomy.values import Count, Positive, Rate, Share


class RAD(Saved):
    """A stack of seeds that learn to control; one update is one environment step and one gradient step of each."""

    saved = (
        "update", "net", "critics", "target_critics", "log_temperature", "optimisers", "replays", "simulators",
        "episode_return", "returns", "streams",
    )  # fmt: skip

    def __init__(
        self,
        environment: kinds.paths.EPISODES,
        streams: list,
        device: str,
        *,
        updates: Count,
        augmentation: Literal[
            "none",
            "crop",
            "translate",
            "grayscale",
            "cutout",
            "cutout-color",
            "window",
            "flip",
            "rotate",
            "convolution",
            "jitter",
        ] = "translate",  # of the observations
        image_size: Count = 108,  # of augmented images; 84 for crop
        frame_stack: Count = 3,  # frames in an observation
        filters: Count = 32,  # of each convolution
        convolutions: Count = 4,  # number of convolutions
        features: Count = 50,  # that the encoder gives
        squash: bool = False,  # tanh after the layer norm; RAD's code has none
        width: Count = 1024,  # units of the hidden layers
        log_std_min: float = -10.0,  # least logarithm of an action's standard deviation …
        log_std_max: float = 2.0,  # … and largest
        batch: Count = 128,  # transitions an update
        learning_rate: Rate = 1e-3,
        initial_temperature: Positive = 0.1,  # at first
        temperature_learning_rate: Rate = 1e-4,  # its learning rate
        discount: Share = 0.99,
        critic_tau: Rate = 0.01,  # share of the way to the networks that their targets move at a time: the heads …
        encoder_tau: Rate = 0.05,  # … and the encoder
        policy_delay: Count = 2,  # actor, temperature and targets move once every `policy_delay` critic updates
        learning_starts: Count = 1000,  # steps by uniformly random actions before learning starts
        buffer_size: Count = 100_000,  # frames
    ):
        self.updates, self.batch, self.learning_starts, self.device = updates, batch, learning_starts, device
        self.augmentation, self.image_size, self.discount = augmentation, image_size, discount
        self.policy_delay, self.critic_tau, self.encoder_tau = policy_delay, critic_tau, encoder_tau
        self.simulators = [
            simulators.make(environment.description, seed_streams.numpy("environment")) for seed_streams in streams
        ]
        simulator, seeds = self.simulators[0], len(streams)
        self.low, self.high = simulator.low, simulator.high
        self.channels, height, _ = simulator.observation_shape
        augmentations.check(augmentation, height, image_size)
        eyes = {
            "channels": self.channels,
            "frames": frame_stack,
            "size": image_size,
            "filters": filters,
            "convolutions": convolutions,
            "features": features,
            "squash": squash,
        }
        self.network = {
            "use": networks.use(PixelActor),
            **eyes,
            "width": width,
            "low": self.low.tolist(),
            "high": self.high.tolist(),
            "log_std": [log_std_min, log_std_max],
        }
        weights = [networks.generator(seed_streams.entropy("weights")) for seed_streams in streams]
        self.net = networks.build(self.network, seeds).draw(weights).to(device)
        self.critics = PixelCritics(seeds, **eyes, width=width, actions=len(self.low)).draw(weights).to(device)
        self.critics.encoder.share(self.net.encoder)
        self.target_critics = copy.deepcopy(self.critics)
        self.dtype = self.net.encoder.linear.weight.dtype
        self.log_temperature = torch.full((seeds,), math.log(initial_temperature), dtype=self.dtype, device=device)
        parts = [self.net.encoder.linear, self.net.encoder.norm, self.net.policy]
        self.actor_weights = [parameter for part in parts for parameter in part.parameters()]
        adam = torch.optim.Adam
        self.optimisers = {
            "actor": adam(self.actor_weights, lr=learning_rate, fused=True),
            "critics": adam(self.critics.parameters(), lr=learning_rate, fused=True),
            "temperature": adam([self.log_temperature], lr=temperature_learning_rate, betas=(0.5, 0.999), fused=True),
        }
        # The most frames that there can be: a step adds one, and two if it ends an episode.
        buffer_size = min(buffer_size, 1 + 2 * (learning_starts + updates))
        self.replays = [Frames(buffer_size, simulator.observation_shape, len(self.low), frame_stack) for _ in streams]
        purposes = ("exploration", "batches", "augmentation")
        self.streams = {purpose: [seed_streams.numpy(purpose) for seed_streams in streams] for purpose in purposes}
        for replay, simulator in zip(self.replays, self.simulators, strict=True):
            replay.begin(simulator.reset())
        self.episode_return, self.returns = np.zeros(seeds), np.zeros(seeds)
        self.update = 0

    def advance(self) -> dict[str, np.ndarray]:
        """Take a step and learn. Returns the critics' loss, the return of the last finished episode, the temperature.

        The return is undiscounted, and 0 until an episode has finished. The first call begins with the random steps.
        """
        if self.update == 0:
            for _ in range(self.learning_starts):
                self.step_envs(np.stack([rng.uniform(-1, 1, self.low.shape) for rng in self.streams["exploration"]]))
        self.step_envs(self.explore())
        self.update += 1
        images, actions, rewards, nonterminal, next_images = self.sample_batch()
        loss = self.update_critics(images, actions, self.td_targets(rewards, nonterminal, next_images))
        if self.update % self.policy_delay == 0:
            self.update_actor(images)
            polyak_update([self.target_critics.heads], [self.critics.heads], self.critic_tau)
            polyak_update([self.target_critics.encoder], [self.critics.encoder], self.encoder_tau)
        temperature = self.log_temperature.exp().cpu().numpy()
        return {"loss": loss.cpu().numpy(), "return": self.returns.copy(), "temperature": temperature}

    @torch.no_grad()
    def explore(self) -> np.ndarray:
        """Actions drawn from the policy, in [-1, 1]: [S, a]."""
        now = torch.from_numpy(np.stack([replay.observation() for replay in self.replays])).to(self.device)
        seen = self.net.encoder.see(fit(now, self.image_size).unsqueeze(1))
        return self.net.sample(seen, self.noise(1))[0].squeeze(1).cpu().numpy()

    def step_envs(self, actions: np.ndarray) -> None:
        """Take one step in every seed's environment and store it; where an episode ends, the next begins."""
        bounded = self.low + (actions + 1) / 2 * (self.high - self.low)
        for seed, (simulator, replay) in enumerate(zip(self.simulators, self.replays, strict=True)):
            frame, reward, terminated, truncated = simulator.step(bounded[seed])
            # Only termination makes the next state worth nothing: a truncated episode would have gone on.
            replay.add(actions[seed], reward, terminated, frame)
            self.episode_return[seed] += reward
            if terminated or truncated:
                self.returns[seed], self.episode_return[seed] = self.episode_return[seed], 0.0
                replay.begin(simulator.reset())

    def sample_batch(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """A batch: images [S, B, C, size, size], actions [S, B, a], rewards, nonterminal [S, B], next images."""
        drawn = [
            replay.sample(rng, self.batch) for replay, rng in zip(self.replays, self.streams["batches"], strict=True)
        ]
        windows, *rest = (np.stack(column) for column in zip(*drawn, strict=True))
        images = augmentations.pair(
            self.augmentation, windows, self.streams["augmentation"], self.image_size, channels=self.channels
        )
        now, next_images = (torch.from_numpy(pictures).to(self.device) for pictures in images)
        actions, rewards, nonterminal = (torch.from_numpy(column).to(self.device, self.dtype) for column in rest)
        return now, actions, rewards, nonterminal, next_images

    @torch.no_grad()
    def td_targets(self, rewards: Tensor, nonterminal: Tensor, next_images: Tensor) -> Tensor:
        """The critics' targets [S, B]: reward and discounted soft value of the actor's next action."""
        actions, log_density = self.net.sample(self.net.encoder.see(next_images), self.noise(self.batch))
        lower = self.target_critics(self.target_critics.encoder.see(next_images), actions).amin(dim=0)
        soft = lower - self.log_temperature.exp().unsqueeze(1) * log_density
        return rewards + self.discount * nonterminal * soft

    def update_critics(self, images: Tensor, actions: Tensor, td_targets: Tensor) -> Tensor:
        """One step of both critics and the convolutions; the squared errors, summed over the two [S]."""
        loss = (self.critics(self.critics.encoder.see(images), actions) - td_targets).square().mean(dim=2).sum(dim=0)
        self.optimisers["critics"].zero_grad()
        loss.sum().backward()  # the seeds share no weight, so each gets the gradient of its own loss
        self.optimisers["critics"].step()
        return loss.detach()

    def update_actor(self, images: Tensor) -> None:
        """One step of the actor up the lower critic's soft value, and of the temperature."""
        with torch.no_grad():  # the actor takes the convolutions as they are
            seen = self.net.encoder.see(images)
        actions, log_density = self.net.sample(seen, self.noise(self.batch))
        temperature = self.log_temperature.exp()
        loss = (temperature.unsqueeze(1) * log_density - self.critics(seen, actions).amin(dim=0)).mean(dim=1)
        self.optimisers["actor"].zero_grad()
        loss.sum().backward(inputs=self.actor_weights)
        self.optimisers["actor"].step()
        # The target entropy is minus the number of actions: gradient of temperature × (entropy - target) by its log.
        self.log_temperature.grad = temperature * (len(self.low) - log_density.detach().mean(dim=1))
        self.optimisers["temperature"].step()

    def noise(self, rows: int) -> Tensor:
        """Standard normal [S, rows, a]."""
        drawn = [rng.standard_normal((rows, len(self.low))) for rng in self.streams["exploration"]]
        return torch.from_numpy(np.stack(drawn)).to(self.device, self.dtype)

    def parameters(self) -> dict[str, np.ndarray]:
        return self.net.arrays()

    def load(self, parameters: dict[str, np.ndarray]) -> None:
        """Go on with these weights of the actor, and so of the critics' convolutions; all else stays as it is."""
        self.net.load(parameters)
