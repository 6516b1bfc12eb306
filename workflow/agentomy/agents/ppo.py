"""Proximal policy optimisation (Schulman et al. 2017) on mazes, for a stack of seeds, one after another."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from agentomy import kinds, networks
from agentomy.agents.rates import annealed, set_rate
from agentomy.agents.state import Saved
from agentomy.environments import mazes
from agentomy.environments.maze_batch import MOVE_OF, MazeBatch
from agentomy.environments.maze_pictures import Painter
from agentomy.networks.impala import ImpalaStack
from agentomy.values import Count, NonNegative, Positive, Rate, Share


class PPO(Saved):
    """A stack of seeds that learn to run mazes; one update is one rollout of every seed and the learning from it."""

    saved = ("update", "net", "seeds")

    def __init__(
        self,
        environment: kinds.maze.LEVELS,
        streams: list,
        device: str,
        *,
        updates: Count,
        pixels: Count,  # side of the pictures
        channels: list[Count],  # of each block
        pools: list[Count],  # the blocks that halve the picture's side
        max_episode_steps: Count,  # steps of an episode
        palette: Literal["planes", "rgb"] = "planes",  # how the mazes are drawn: three pictures of 0 and 1, or colours
        scale: Literal["planes", "rgb", "unit"] = "planes",  # of the network's inputs, see `impala.SCALES`
        actions: Literal[5, 15] = 5,  # 15: as in the original, some of them with the same effect
        hidden: Count = 256,  # units between the last block and the heads
        initialisation: Literal["orthogonal", "xavier"] = "orthogonal",  # of the weights
        num_envs: Count = 256,  # mazes that each seed plays side by side
        num_steps: Count = 16,  # of a rollout in each maze
        epochs: Count = 2,  # times that learning goes over a rollout
        minibatch_size: Count = 256,  # steps in one gradient step
        learning_rate: Rate = 2e-3,
        final_learning_rate: Share = 0.1,  # share of the rate left at the end, reached linearly
        discount: Share = 0.97,
        gae_lambda: Share = 0.95,  # λ of the generalised advantage
        clip_range: Positive = 0.2,  # how far the probability of an action may move, as a ratio
        clip_range_vf: Positive | None = None,  # how far a value may move in one update; null: any distance
        ent_coef: NonNegative = 0.01,  # weight of the policy's entropy, which is to stay large
        vf_coef: NonNegative = 0.5,  # weight of the value's squared error
        max_grad_norm: Positive = 0.5,  # of the gradient's norm
        reward_scale: Positive | None = 0.1,  # null: by the running spread of the discounted return
        bootstrap: bool = True,  # whether a truncated episode is worth the value of its last state
        precision: Literal["single", "bfloat16"] = "bfloat16",  # of the network's arithmetic
    ):
        self.updates, self.device, self.max_episode_steps = updates, device, max_episode_steps
        self.num_steps, self.epochs, self.minibatch_size = num_steps, epochs, minibatch_size
        self.learning_rate, self.final_learning_rate = learning_rate, final_learning_rate
        self.discount, self.gae_lambda = discount, gae_lambda
        self.clip_range, self.clip_range_vf = clip_range, clip_range_vf
        self.ent_coef, self.vf_coef, self.max_grad_norm = ent_coef, vf_coef, max_grad_norm
        self.bootstrap, self.precision = bootstrap, precision
        levels = mazes.read(environment, "train")
        painter = Painter(palette, levels.world, pixels)
        self.network = {
            "use": networks.use(ImpalaStack),
            "pixels": pixels,
            "palette": palette,
            "channels": channels,
            "pools": pools,
            "hidden": hidden,
            "actions": actions,
            "scale": scale,
        }
        weights = [networks.generator(seed_streams.entropy("weights")) for seed_streams in streams]
        self.net = networks.build(self.network, len(streams)).draw(weights, initialisation).to(device)
        self.seeds = [
            Seed(
                net,
                torch.optim.Adam(net.parameters(), lr=learning_rate, eps=1e-5, fused=True),
                MazeBatch(levels, num_envs, painter, max_episode_steps, stream.numpy("levels")),
                networks.generator(stream.entropy("choices"), device),
                networks.generator(stream.entropy("batches"), device),
                ReturnScale(num_envs, reward_scale),
            )
            for net, stream in zip(self.net.nets, streams, strict=True)
        ]
        self.update = 0

    def advance(self) -> dict[str, np.ndarray]:
        """Play and learn. Returns each seed's loss, policy entropy and success rate (see `Seed.success`)."""
        rate = annealed(self.learning_rate, self.final_learning_rate, self.update / self.updates, "line")
        records = [self.learn(seed, self.play(seed), rate) for seed in self.seeds]
        self.update += 1
        return {name: np.array([record[name] for record in records]) for name in records[0]}

    @torch.no_grad()
    def play(self, seed: "Seed") -> "Rollout":
        """Play `num_steps` steps in all mazes."""
        taken = []
        for _ in range(self.num_steps):
            pictures = self.pictures(seed)
            logits, value = self.policy_and_value(seed.net, pictures)
            log_policy = torch.log_softmax(logits, dim=-1)
            action = torch.multinomial(log_policy.exp(), 1, generator=seed.choices)
            moves = MOVE_OF[logits.shape[1]][action.squeeze(1).cpu().numpy()]
            rewards, terminated, truncated, last = seed.mazes.step(moves)
            ended = terminated | truncated
            reward = seed.scale(rewards, ended)
            if self.bootstrap and truncated.any():  # time ran out, not the maze: add the value of what would follow
                reward[truncated] += self.discount * self.policy_and_value(seed.net, self.tensor(last))[1].cpu().numpy()
            if ended.any():
                seed.success = float(terminated.sum() / ended.sum())
            step = (log_policy.gather(1, action).squeeze(1), value, self.tensor(reward).float(), self.tensor(ended))
            taken.append((pictures, action.squeeze(1), *step))
        pictures, actions, log_chosen, values, rewards, ended = map(torch.stack, zip(*taken, strict=True))
        next_values = torch.cat([values[1:], self.policy_and_value(seed.net, self.pictures(seed))[1].unsqueeze(0)])
        advantages = self.advantages(rewards, values, next_values, ended)
        flat = (column.flatten(0, 1) for column in (pictures, actions, log_chosen, values, advantages))
        return Rollout(*flat)

    def advantages(self, rewards: Tensor, values: Tensor, next_values: Tensor, ended: Tensor) -> Tensor:
        """Generalised advantage estimates [T, E] (Schulman et al. 2016, eq. 16); none reaches beyond its episode."""
        nonterminal = (~ended).to(values)
        errors = rewards + self.discount * nonterminal * next_values - values
        advantages = torch.zeros_like(errors)
        last_advantage = torch.zeros_like(errors[0])
        for t in reversed(range(len(errors))):
            last_advantage = errors[t] + self.discount * self.gae_lambda * nonterminal[t] * last_advantage
            advantages[t] = last_advantage
        return advantages

    def learn(self, seed: "Seed", rollout: "Rollout", rate: float) -> dict[str, float]:
        """Learn from a rollout: several passes over it in minibatches."""
        advantages = (rollout.advantages - rollout.advantages.mean()) / (rollout.advantages.std() + 1e-8)
        targets = rollout.advantages + rollout.values
        set_rate(seed.optimiser, rate)
        losses, entropies = [], []
        for rows in self.minibatches(seed, len(targets)):
            logits, values = self.policy_and_value(seed.net, rollout.pictures[rows])
            log_policy = torch.log_softmax(logits, dim=-1)
            log_chosen = log_policy.gather(1, rollout.actions[rows].unsqueeze(1)).squeeze(1)
            ratio = (log_chosen - rollout.log_chosen[rows]).exp()
            surrogate = torch.minimum(
                ratio * advantages[rows], ratio.clamp(1 - self.clip_range, 1 + self.clip_range) * advantages[rows]
            )
            value_error = (values - targets[rows]).square()
            if self.clip_range_vf is not None:
                old = rollout.values[rows]
                clipped = old + (values - old).clamp(-self.clip_range_vf, self.clip_range_vf)
                value_error = torch.maximum(value_error, (clipped - targets[rows]).square())
            entropy = -(log_policy.exp() * log_policy).sum(dim=-1).mean()
            loss = -surrogate.mean() + self.vf_coef * 0.5 * value_error.mean() - self.ent_coef * entropy
            seed.optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(seed.net.parameters(), self.max_grad_norm)
            seed.optimiser.step()
            losses.append(loss.detach())
            entropies.append(entropy.detach())
        means = {"loss": losses, "entropy": entropies}
        return {name: float(torch.stack(values).mean()) for name, values in means.items()} | {"success": seed.success}

    def minibatches(self, seed: "Seed", count: int) -> Iterator[Tensor]:
        for _ in range(self.epochs):
            order = torch.randperm(count, generator=seed.batches, device=self.device)
            yield from order.split(self.minibatch_size)

    def policy_and_value(self, net: torch.nn.Module, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and values in single precision, whatever the precision of the convolutions."""
        device = pictures.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.precision == "bfloat16"):
            logits, values = net(pictures)
        return logits.float(), values.float()

    def pictures(self, seed: "Seed") -> Tensor:
        return self.tensor(seed.mazes.observations.copy())

    def tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    def parameters(self) -> dict[str, np.ndarray]:
        return self.net.arrays()

    def load(self, parameters: Mapping[str, np.ndarray]) -> None:
        self.net.load(parameters)


@dataclass
class Rollout:
    """Steps of all mazes, [T × E, …]."""

    pictures: Tensor
    actions: Tensor
    log_chosen: Tensor  # log-probability of the action when the agent took it
    values: Tensor
    advantages: Tensor


@dataclass
class Seed(Saved):
    """The network, mazes and random generators of one seed of the stack."""

    saved = ("optimiser", "mazes", "choices", "batches", "scale", "success")

    net: torch.nn.Module
    optimiser: torch.optim.Optimizer
    mazes: MazeBatch
    choices: torch.Generator
    batches: torch.Generator
    scale: "ReturnScale"
    success: float = 0.0  # success rate over the most recent step at which any episode ended


class ReturnScale(Saved):
    """Scales rewards by a fixed factor or, as the original's filter, to a discounted return of unit spread (None)."""

    saved = ("returns", "seen", "mean", "squares")
    DISCOUNT, LIMIT = 0.99, 10.0

    def __init__(self, count: int, factor: float | None):
        self.factor = factor
        self.returns = np.zeros(count)
        self.seen, self.mean, self.squares = 0.0, 0.0, 0.0

    def __call__(self, rewards: np.ndarray, ended: np.ndarray) -> np.ndarray:
        """Count these rewards in, and return them scaled [E]."""
        if self.factor is not None:
            return rewards * self.factor
        self.returns = self.returns * self.DISCOUNT + rewards
        before = self.mean
        self.seen += len(rewards)
        self.mean += (self.returns - before).sum() / self.seen
        self.squares += ((self.returns - before) * (self.returns - self.mean)).sum()
        self.returns[ended] = 0.0
        spread = np.sqrt(self.squares / self.seen + 1e-8)
        return np.clip(rewards / spread, -self.LIMIT, self.LIMIT)
