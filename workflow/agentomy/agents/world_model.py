"""TWM: an agent that learns to play in what its transformer imagines (Robine et al. 2023, arXiv 2303.07109).

It begins with random steps, on which observation model, dynamics model and critic are pre-trained. From then on it
acts; its world model learns from sequences of its whole history, and its policy from rollouts imagined after these.
"""

import math
from collections.abc import Mapping
from itertools import accumulate
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from agentomy import kinds, networks
from agentomy.agents import twm_losses as losses
from agentomy.agents.history import History, Window
from agentomy.agents.state import Saved
from agentomy.environments import simulators
from agentomy.networks.acting import Player
from agentomy.networks.imagination import Imagined, Start, imagine
from agentomy.networks.layers import Noise, clip_gradients
from agentomy.networks.observation_model import sampled
from agentomy.networks.world_model import SIZES, WorldModel
from agentomy.values import Count, NonNegative, Positive, Rate, Share

PRETRAINING = {"observation": 0.6, "dynamics": 0.3, "policy": 0.1}  # shares of the pre-training budget
# what each unit of learning reports; a quantity that it does not measure keeps its last value, at first 0
REPORTED = (
    "reconstruction", "latent_entropy", "consistency", "next_latent", "reward", "discount", "actor", "critic",
    "policy_entropy", "imagined_reward", "imagined_ends", "evenness", "interactions", "return",
)  # fmt: skip
# what random numbers are for: each seed has a stream for each
NOISES = ("actions", "batches", "latents", "dropout", "imagination")


class WorldModelAgent(Saved):
    """A stack of seeds; a unit of learning is one update of pre-training, or steps and the joint update due after them.

    Budgets are in samples: steps of sequences, frames, and imagined steps. They say how many updates there are.
    Defaults are those of the official code, whose sizes are the paper's. Size xs goes with 16 sequences of 8 steps, 64
    rollouts of 8 and a learning rate of 1e-3 for the world model; size s with 32 of 8 and 128 of 10.
    """

    saved = (
        "update", "world", "optimisers", "noise", "player", "history", "order", "simulators", "episode_return",
        "record",
    )  # fmt: skip

    def __init__(
        self,
        environment: kinds.paths.EPISODES,
        streams: list,
        device: str,
        *,
        size: Literal["xs", "s", "paper"],  # of the networks; see `networks.world_model.SIZES`
        interactions: Count = 100_000,  # steps in the environment, random ones included
        prefill: Count = 5_000,  # random steps
        total_budget: Positive = 1e9,  # work in the whole run, by which updates are spread over the interactions
        pretraining_budget: NonNegative = 5e7,  # a part of the total
        batch: Count = 100,  # sequences in an update of the world model
        length: Count = 16,  # steps of a sequence; one more on each side is read
        imagination_batch: Count = 400,  # rollouts an update of the policy
        horizon: Count = 15,  # steps of a rollout
        sampling: Literal["balanced", "uniform"] = "balanced",  # of the replay; balanced: what was drawn less
        temperature: Positive = 20.0,  # τ of balanced sampling, in visits
        world_learning_rate: Rate = 1e-4,  # of the world model
        actor_learning_rate: Rate = 1e-4,  # of the policy
        critic_learning_rate: Rate = 1e-5,  # of the values
        world_max_grad_norm: Positive = 100.0,  # of the observation model and of the dynamics model
        policy_max_grad_norm: Positive = 1.0,  # of the actor and of the critic
        dropout: Share = 0.1,  # of the transformer
        discount: Share = 0.99,
        gae_lambda: Share = 0.95,
        latent_entropy_weight: NonNegative = 5.0,  # α1
        latent_entropy_threshold: NonNegative = 0.1,  # shares of the largest entropy
        consistency_weight: NonNegative = 0.01,  # α2
        reward_weight: NonNegative = 10.0,  # β1
        discount_weight: NonNegative = 50.0,  # β2
        latent_loss: bool = True,  # false: the next latent is not learnt, as in the published code
        reward_tokens: bool = True,  # whether the transformer reads rewards
        policy_input: Literal["z", "h", "zh"] = "z",  # the code, what the transformer said of the past, or both
        policy_entropy: Literal["thresholded", "plain"] = "thresholded",  # whether only too little of it costs
        policy_entropy_weight: NonNegative = 0.01,  # η
        policy_entropy_threshold: NonNegative = 0.1,  # share of the largest entropy
    ):
        sizes = {"prefill": prefill, "batch": batch, "length": length}
        if interactions < prefill or prefill - length < batch:
            raise ValueError(
                f"interactions: {interactions}, {sizes}: it takes prefill ≤ interactions, batch ≤ prefill - length"
            )
        if imagination_batch > batch * length:
            raise ValueError(f"imagination_batch: found {imagination_batch}; allowed: up to batch × length")
        dreamt = imagination_batch * horizon
        self.schedule = schedule(total_budget, pretraining_budget, dreamt=dreamt, **sizes)
        self.updates = sum(self.schedule.values())
        if self.schedule["joint"] < 1:
            raise ValueError(f"total_budget: {total_budget:g} leaves nothing after pre-training")
        self.interactions, self.prefill, self.batch, self.length = interactions, prefill, batch, length
        self.imagination_batch, self.horizon, self.discount, self.gae_lambda = (
            imagination_batch,
            horizon,
            discount,
            gae_lambda,
        )
        self.temperature = temperature if sampling == "balanced" else None
        self.threshold, self.eta = latent_entropy_threshold, policy_entropy_weight
        self.policy_threshold = policy_entropy_threshold if policy_entropy == "thresholded" else None
        self.observation_weights = {"reconstruction": 1.0, "latent_entropy": latent_entropy_weight}
        self.consistency_weights = {"consistency": consistency_weight}
        self.dynamics_weights = {"reward": reward_weight, "discount": discount_weight}
        if latent_loss:
            self.dynamics_weights["next_latent"] = 1.0
        self.seeds = len(streams)
        self.random = [seed_streams.numpy("exploration") for seed_streams in streams]
        self.simulators = [
            simulators.make(environment.description, seed_streams.numpy("environment")) for seed_streams in streams
        ]
        first = np.stack([simulator.reset() for simulator in self.simulators])  # [S, *shape]
        grid = first.dtype == bool
        self.network = {
            "use": networks.use(WorldModel),
            "view": "grid" if grid else "frames",
            "channels": first.shape[-1 if grid else 1],
            "actions": self.simulators[0].actions,
            **SIZES[size],
            "dropout": dropout,
            "reward_tokens": reward_tokens,
            "policy_input": policy_input,
        }
        weights = [networks.generator(seed_streams.entropy("weights")) for seed_streams in streams]
        self.world = networks.build(self.network, self.seeds).draw(weights).to(device)
        self.noise = {
            name: [networks.generator(seed_streams.entropy(name), device) for seed_streams in streams]
            for name in NOISES
        }
        self.player = Player(self.world, self.seeds, self.noise["actions"])
        rates = {"observation": world_learning_rate, "dynamics": world_learning_rate}
        rates |= {"actor": actor_learning_rate, "critic": critic_learning_rate}
        self.optimisers = {
            part: torch.optim.Adam(
                getattr(self.world, part).parameters(), lr=rate, eps=1e-5, weight_decay=1e-6, fused=True
            )
            for part, rate in rates.items()
        }
        limits = [world_max_grad_norm] * 2 + [policy_max_grad_norm] * 2
        self.limits = dict(zip(rates, limits, strict=True))
        self.history = History(interactions, first, device, stacked=not grid)
        # the rest of a pass of pre-training [S, things]
        self.order = torch.empty(self.seeds, 0, dtype=torch.int64, device=device)
        self.record: dict[str, np.ndarray | Tensor] = {name: np.zeros(self.seeds) for name in REPORTED}
        self.update, self.episode_return = 0, np.zeros(self.seeds)

    def advance(self) -> dict[str, np.ndarray]:
        """One unit of learning; returns `REPORTED` of each seed, losses without their weights.

        The first call begins with the random steps. Return (not discounted) is that of the last finished episode.
        """
        if self.update == 0:
            choices = [rng.integers(self.network["actions"], size=self.prefill) for rng in self.random]
            for actions in np.stack(choices, axis=1):
                self.step_envs(actions)
        getattr(self, f"learn_{self.stage()}")()
        self.update += 1
        self.record["interactions"] = np.full(self.seeds, float(len(self.history)))
        measured = {name: value for name, value in self.record.items() if isinstance(value, Tensor)}
        self.record |= zip(measured, torch.stack(list(measured.values())).double().cpu().numpy(), strict=True)
        return {name: values.copy() for name, values in self.record.items()}

    def stage(self) -> str:
        """What the next unit is for, a name in the `schedule`."""
        ends = zip(self.schedule, accumulate(self.schedule.values()), strict=True)
        return next(stage for stage, end in ends if self.update < end)

    # ---- acting ------------------------------------------------------------------------------------------------------

    def play(self, until: int) -> None:
        """Let the policies act until each history has `until` steps."""
        while len(self.history) < until:
            rewards, ended = (self.history.steps[name][:, len(self.history) - 1] for name in ("rewards", "ended"))
            self.step_envs(self.player.act(self.history.latest, rewards, ended).cpu().numpy())

    def step_envs(self, actions: np.ndarray) -> None:
        """Take one step in every seed's environment and store it; where an episode ends, the next begins."""
        stepped = [simulator.step(int(action)) for simulator, action in zip(self.simulators, actions, strict=True)]
        observations, rewards, terminated, truncated = (np.stack(values) for values in zip(*stepped, strict=True))
        ended = terminated | truncated
        self.episode_return += rewards
        for seed in np.flatnonzero(ended):
            self.record["return"][seed], self.episode_return[seed] = self.episode_return[seed], 0.0
            observations[seed] = self.simulators[seed].reset()
        self.history.add(actions, np.tanh(rewards), terminated, ended, observations)

    # ---- pre-training, on the random steps ---------------------------------------------------------------------------

    def learn_observation(self) -> None:
        """Train encoder and decoder on shuffled frames."""
        frames = self.history.observed(self.next_of_pass(self.prefill, self.prefill, self.batch * self.length))
        latents = self.world.observation.encode(frames)
        likelihood = self.log_likelihood(sampled(latents, self.noise["latents"]), frames)
        terms = losses.l_obs(likelihood, latents, None, None, self.threshold)
        self.descend(losses.total(terms, self.observation_weights), "observation")
        self.report(terms)

    def learn_dynamics(self) -> None:
        """Train the dynamics model on sequences whose latents stay as they are."""
        starts = self.next_of_pass(self.history.starts(self.length + 1), self.prefill // self.length, self.batch)
        seen = self.history.windows(starts, self.length + 1)
        with torch.no_grad():
            latents = self.world.observation.encode(seen.observations)
        codes = sampled(latents, self.noise["latents"])
        _, terms = self.dynamics_terms(codes, latents, seen)
        self.descend(losses.total(terms, self.dynamics_weights), "dynamics")
        self.report(terms)

    def learn_policy(self) -> None:
        """Train the critic on a whole pass of real sequences, and the actor towards the uniform policy."""
        windows = self.prefill // self.length
        starts = self.next_of_pass(self.history.starts(self.length), windows, windows)
        seen = self.history.windows(starts, self.length)
        with torch.no_grad():
            codes = sampled(self.world.observation.encode(seen.observations), self.noise["latents"])
        real = torch.ones_like(seen.rewards)  # real steps have full weight
        inputs = self.world.inputs_along(codes, seen.actions, seen.rewards, seen.ended)
        lived = Imagined(codes, seen.actions, seen.rewards, self.discounts(seen), seen.ended, real, inputs)
        _, critic = self.judge(lived, cut=seen.ended & ~seen.terminated)
        entropy = losses.policy_entropy(self.by_seed(self.world.policy(inputs[:, :-1])), self.by_seed(real))
        self.descend(critic + self.eta * losses.entropy_cost(entropy, None), "actor", "critic")
        self.report({"critic": critic, "policy_entropy": entropy})

    def next_of_pass(self, things: int, taken: int, count: int) -> Tensor:
        """The next `count` [S, count] of a pass, fewer at its end. A pass is `taken` of all things, in random order."""
        if self.order.shape[1] == 0:
            self.order = permutations(things, self.noise["batches"])[:, :taken]
        drawn, self.order = self.order[:, :count], self.order[:, count:]
        return drawn

    # ---- learning from the history, and from what is imagined after it -----------------------------------------------

    def learn_joint(self) -> None:
        """Act until the update is due; then update the world model, and actor and critic, once."""
        remaining = self.updates - self.update - 1  # joint updates after this one
        share = (self.interactions - self.prefill) * remaining // self.schedule["joint"]
        self.play(until=self.interactions - share)
        start = self.learn_world()
        imagined = imagine(self.world, start, self.restarts(), self.horizon, self.noise["imagination"])
        self.learn_behaviour(imagined)

    def learn_world(self) -> Start:
        """Update the world model once. Returns the places in its sequences from which rollouts start.

        Sequences have a step of context before and an observation after them. The context says what the first latent
        was expected to be, and it comes before rollouts that start at the first step.
        """
        steps = self.length + 1
        starts = self.history.draw(self.batch, steps, self.temperature, self.noise["batches"])
        seen = self.history.windows(starts, steps)
        latents = self.world.observation.encode(seen.observations)  # [S × B, 1 + length + 1, V, K]
        codes = sampled(latents, self.noise["latents"])
        predicted, terms = self.dynamics_terms(codes.detach(), latents, seen)
        inner = slice(1, -1)
        likelihood = self.log_likelihood(codes[:, inner], seen.observations[:, inner])
        told = likelihood, latents[:, inner], predicted[:, :-1].detach(), ~seen.ended[:, :-1]
        terms |= losses.l_obs(*map(self.by_seed, told), self.threshold)
        weights = self.observation_weights | self.consistency_weights | self.dynamics_weights
        self.descend(losses.total(terms, weights), "observation", "dynamics")
        self.report(terms | {"evenness": self.history.evenness(steps)})
        return self.beginnings(codes.detach(), seen)

    def beginnings(self, codes: Tensor, seen: Window) -> Start:
        """Random steps of the sequences after their context, each with the step before it."""
        chosen = permutations(self.batch * self.length, self.noise["batches"])[:, : self.imagination_batch]
        first = torch.arange(0, len(codes), self.batch, device=codes.device).unsqueeze(1)  # of each seed's sequences
        sequence, before = (chosen // self.length + first).view(-1, 1), (chosen % self.length).view(-1, 1)
        led = (values[sequence, before] for values in (seen.actions, seen.rewards, seen.ended))
        return Start(codes[sequence, torch.cat([before, before + 1], dim=1)], *led)

    @torch.no_grad()
    def restarts(self) -> Tensor:
        """Codes of random observations, for the imagined episodes that begin within a rollout."""
        size, options = (self.imagination_batch,), len(self.history) + 1
        numbers = [torch.randint(options, size, generator=one, device=one.device) for one in self.noise["batches"]]
        seen = self.history.observed(torch.stack(numbers)).flatten(0, 1)
        return sampled(self.world.observation.encode(seen), self.noise["latents"])

    def learn_behaviour(self, imagined: Imagined) -> None:
        """Update actor and critic once, from rollouts."""
        advantages, critic = self.judge(imagined)
        policy, weights = self.by_seed(self.world.policy(imagined.inputs[:, :-1])), self.by_seed(imagined.weights)
        entropy = losses.policy_entropy(policy, weights)
        actor = losses.l_actor(policy, self.by_seed(imagined.actions), advantages, weights)
        cost = losses.entropy_cost(entropy, self.policy_threshold)
        self.descend(critic + actor + self.eta * cost, "actor", "critic")
        self.report({"critic": critic, "actor": actor, "policy_entropy": entropy})
        rewards, ends = self.by_seed(imagined.rewards), self.by_seed(imagined.ended).float()
        self.report({"imagined_reward": losses.mean(rewards), "imagined_ends": losses.mean(ends)})

    # ---- losses ------------------------------------------------------------------------------------------------------

    def log_likelihood(self, codes: Tensor, observations: Tensor) -> Tensor:
        """ln p(o | z) of observations [...]."""
        model = self.world.observation
        return model.decoder.log_probability(model.decode(codes), observations)

    def dynamics_terms(self, codes: Tensor, latents: Tensor, seen: Window) -> tuple[Tensor, dict[str, Tensor]]:
        """The latents expected after each of T steps [B, T, V, K], and the terms of L_dyn for all but the first.

        From codes [B, T + 1, V × K] and what the encoder says, ln q [B, T + 1, V, K].
        """
        before = (seen.rewards[:, :-1], seen.ended[:, :-1])
        prediction, _ = self.world.dynamics(codes[:, :-1], seen.actions, *before, noise=self.noise["dropout"])
        after = type(prediction)(*(self.by_seed(values[:, 1:]) for values in prediction))
        real = latents[:, 2:], seen.rewards[:, 1:], self.discounts(seen)[:, 1:], ~seen.ended[:, 1:]
        return prediction.latent, losses.l_dyn(after, *map(self.by_seed, real))

    def discounts(self, seen: Window) -> Tensor:
        """γₜ: 0 where the task terminated. A truncated episode would have gone on."""
        return self.discount * (~seen.terminated).to(seen.rewards)

    def judge(self, lived: Imagined, cut: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Advantages [S, B, T], and L_critic [S]; an episode that was `cut` off would have gone on."""
        values = self.by_seed(self.world.value(lived.inputs))
        past, cut = values.detach(), None if cut is None else self.by_seed(cut)
        rewards, discounts, ended, weights = map(self.by_seed, lived[2:6])
        advantages = losses.gae(rewards, discounts, ended, past, self.gae_lambda, cut)
        return advantages, losses.l_critic(values[..., :-1], advantages + past[..., :-1], weights)

    def by_seed(self, values: Tensor) -> Tensor:
        """[S × B, …] → [S, B, …]."""
        return values.unflatten(0, (self.seeds, -1))

    def descend(self, loss: Tensor, *parts: str) -> None:
        """A step of the optimisers of these parts down the losses [S], each seed's gradient of each part clipped."""
        for part in parts:
            self.optimisers[part].zero_grad()
        loss.sum().backward()  # seeds share no weight
        for part in parts:
            clip_gradients(getattr(self.world, part).parameters(), self.limits[part])
            self.optimisers[part].step()

    def report(self, values: Mapping[str, Tensor]) -> None:
        self.record |= {name: value.detach() for name, value in values.items()}

    # ---- what every agent offers -------------------------------------------------------------------------------------

    def parameters(self) -> dict[str, np.ndarray]:
        return self.world.arrays()

    def load(self, parameters: Mapping[str, np.ndarray]) -> None:
        self.world.load(parameters)


def permutations(things: int, noise: Noise) -> Tensor:
    """A random order of the numbers from 0 to below `things`, for each seed [S, things]."""
    return torch.stack([torch.randperm(things, generator=one, device=one.device) for one in noise])


def schedule(
    total_budget: float, pretraining_budget: float, *, prefill: int, batch: int, length: int, dreamt: int
) -> dict[str, int]:
    """How many updates of each sort the budgets allow; `dreamt` are the imagined steps of a joint update.

    Pre-training makes whole passes over the random steps: the observation model in batches of as many frames as the
    sequences have, the dynamics model in batches of sequences, the policy all at once. The policy gets what the others
    leave, 0.1 of the budget; the official code gives it 0.7.
    """
    passes = {name: round(share * pretraining_budget / prefill) for name, share in PRETRAINING.items()}
    return {
        "observation": passes["observation"] * math.ceil(prefill / (batch * length)),
        "dynamics": passes["dynamics"] * math.ceil(prefill // length / batch),
        "policy": passes["policy"],
        "joint": int((total_budget - pretraining_budget) // (batch * length + dreamt)),
    }
