"""TWM: an agent that learns to play in what its transformer imagines (Robine et al. 2023, arXiv 2303.07109).

It begins with random steps, on which observation model, dynamics model and critic are pre-trained. From then on it
acts; its world model learns from sequences of its whole history, and its policy from rollouts imagined after these.
"""

import math
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from agentomy import kinds, networks
from agentomy.agents import twm_losses as losses
from agentomy.agents.history import History, Window
from agentomy.agents.state import Saved
from agentomy.environments import simulators
from agentomy.networks.acting import Player
from agentomy.networks.imagination import Imagined, Start, imagine
from agentomy.networks.observation_model import sampled
from agentomy.networks.world_model import SIZES, WorldModel
from agentomy.values import Count, NonNegative, Positive, Rate, Share

PRETRAINING = {"observation": 0.6, "dynamics": 0.3, "policy": 0.1}  # shares of the pre-training budget
# what each unit of learning reports; a quantity that it does not measure keeps its last value, at first 0
REPORTED = (
    "reconstruction", "latent_entropy", "consistency", "next_latent", "reward", "discount", "actor", "critic",
    "policy_entropy", "imagined_reward", "imagined_ends", "evenness", "interactions", "return",
)  # fmt: skip
NOISES = ("actions", "batches", "latents", "dropout", "imagination")  # one stream of random numbers for each


class WorldModelAgent(Saved):
    """One seed; a unit of learning is one update of pre-training, or steps and the joint update due after them.

    Budgets are in samples: steps of sequences, frames, and imagined steps. They say how many updates there are.
    Defaults are those of the official code, whose sizes are the paper's. Size xs goes with 16 sequences of 8 steps, 64
    rollouts of 8 and a learning rate of 1e-3 for the world model; size s with 32 of 8 and 128 of 10.
    """

    saved = (
        "update", "world", "optimisers", "noise", "player", "history", "order", "simulator", "episode_return", "record",
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
        batch: Count = 100,  # sequences an update of the world model …
        length: Count = 16,  # … of so many steps; one more on each side is read
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
        self.random = streams[0].numpy("exploration")
        self.simulator = simulators.make(environment.description, streams[0].numpy("environment"))
        first = self.simulator.reset()
        grid = first.dtype == bool
        self.network = {
            "use": networks.use(WorldModel),
            "view": "grid" if grid else "frames",
            "channels": first.shape[-1 if grid else 0],
            "actions": self.simulator.actions,
            **SIZES[size],
            "dropout": dropout,
            "reward_tokens": reward_tokens,
            "policy_input": policy_input,
        }
        weights = [networks.generator(each.entropy("weights")) for each in streams]
        self.world = networks.build(self.network, len(streams)).draw(weights).to(device)
        self.noise = {name: networks.generator(streams[0].entropy(name), device) for name in NOISES}
        self.player = Player(self.world, 1, self.noise["actions"])
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
        self.order = torch.empty(0, dtype=torch.int64, device=device)  # the rest of a pass of pre-training
        self.record: dict[str, float | Tensor] = dict.fromkeys(REPORTED, 0.0)
        self.update, self.episode_return = 0, 0.0

    def advance(self) -> dict[str, np.ndarray]:
        """One unit of learning; returns `REPORTED`, losses without their weights.

        The first call begins with the random steps. Return (not discounted) is that of the last finished episode.
        """
        if self.update == 0:
            self.step_env(int(action) for action in self.random.integers(self.simulator.actions, size=self.prefill))
        getattr(self, f"learn_{self.stage()}")()
        self.update += 1
        self.record["interactions"] = float(len(self.history))
        measured = {name: each for name, each in self.record.items() if isinstance(each, Tensor)}
        self.record |= zip(measured, torch.stack(list(measured.values())).tolist(), strict=True)  # one wait for all
        return {name: np.array([value]) for name, value in self.record.items()}

    def stage(self) -> str:
        """What the next unit is for, a name in the `schedule`."""
        ends = zip(self.schedule, accumulate(self.schedule.values()), strict=True)
        return next(stage for stage, end in ends if self.update < end)

    # ---- acting ------------------------------------------------------------------------------------------------------

    def step_env(self, actions: Iterable[int]) -> None:
        """Take steps and store them; where an episode ends, the next begins."""
        for action in actions:
            observation, reward, terminated, truncated = self.simulator.step(action)
            self.episode_return += reward
            ended = terminated or truncated
            if ended:
                self.record["return"], self.episode_return = self.episode_return, 0.0
                observation = self.simulator.reset()
            self.history.add(action, math.tanh(reward), terminated, ended, observation)

    def policy_actions(self, until: int) -> Iterable[int]:
        """The policy's actions, each chosen after the one before was taken, until the history has so many steps."""
        while len(self.history) < until:
            last = (self.history.steps[name][len(self.history) - 1].unsqueeze(0) for name in ("rewards", "ended"))
            yield int(self.player.act(self.history.latest.unsqueeze(0), *last))

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
        entropy = losses.policy_entropy(self.world.policy(inputs[:, :-1]), real)
        self.descend(critic + self.eta * losses.entropy_cost(entropy, None), "actor", "critic")
        self.report({"critic": critic, "policy_entropy": entropy})

    def next_of_pass(self, things: int, taken: int, count: int) -> Tensor:
        """The next `count` of a pass (fewer at its end): a pass is `taken` of so many things, in random order."""
        if len(self.order) == 0:
            device = self.order.device
            self.order = torch.randperm(things, generator=self.noise["batches"], device=device)[:taken]
        drawn, self.order = self.order[:count], self.order[count:]
        return drawn

    # ---- learning from the history, and from what is imagined after it -----------------------------------------------

    def learn_joint(self) -> None:
        """Act until the update is due; then update the world model, and actor and critic, once."""
        remaining = self.updates - self.update - 1  # joint updates after this one
        share = (self.interactions - self.prefill) * remaining // self.schedule["joint"]
        self.step_env(self.policy_actions(until=self.interactions - share))
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
        latents = self.world.observation.encode(seen.observations)  # [B, context, length, following]
        codes = sampled(latents, self.noise["latents"])
        predicted, terms = self.dynamics_terms(codes.detach(), latents, seen)
        inner = slice(1, -1)
        likelihood = self.log_likelihood(codes[:, inner], seen.observations[:, inner])
        expected, foreseeable = predicted[:, :-1].detach(), ~seen.ended[:, :-1]
        terms |= losses.l_obs(likelihood, latents[:, inner], expected, foreseeable, self.threshold)
        weights = self.observation_weights | self.consistency_weights | self.dynamics_weights
        self.descend(losses.total(terms, weights), "observation", "dynamics")
        self.report(terms | {"evenness": self.history.evenness(steps)})
        return self.beginnings(codes.detach(), seen)

    def beginnings(self, codes: Tensor, seen: Window) -> Start:
        """Random steps of the sequences after their context, each with the step before it."""
        count, device = len(codes) * self.length, codes.device
        chosen = torch.randperm(count, generator=self.noise["batches"], device=device)[: self.imagination_batch]
        sequence, before = (chosen // self.length).unsqueeze(1), (chosen % self.length).unsqueeze(1)
        led = (each[sequence, before] for each in (seen.actions, seen.rewards, seen.ended))
        return Start(codes[sequence, torch.cat([before, before + 1], dim=1)], *led)

    @torch.no_grad()
    def restarts(self) -> Tensor:
        """Codes of random observations, for the imagined episodes that begin within a rollout."""
        noise, device = self.noise["batches"], self.history.kept.device
        chosen = torch.randint(len(self.history) + 1, (self.imagination_batch,), generator=noise, device=device)
        return sampled(self.world.observation.encode(self.history.observed(chosen)), self.noise["latents"])

    def learn_behaviour(self, imagined: Imagined) -> None:
        """Update actor and critic once, from rollouts."""
        advantages, critic = self.judge(imagined)
        policy = self.world.policy(imagined.inputs[:, :-1])
        entropy = losses.policy_entropy(policy, imagined.weights)
        actor = losses.l_actor(policy, imagined.actions, advantages, imagined.weights)
        cost = losses.entropy_cost(entropy, self.policy_threshold)
        self.descend(critic + actor + self.eta * cost, "actor", "critic")
        self.report({"critic": critic, "actor": actor, "policy_entropy": entropy})
        self.report({"imagined_reward": imagined.rewards.mean(), "imagined_ends": imagined.ended.float().mean()})

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
        after = type(prediction)(*(each[:, 1:] for each in prediction))
        terms = losses.l_dyn(
            after, latents[:, 2:], seen.rewards[:, 1:], self.discounts(seen)[:, 1:], ~seen.ended[:, 1:]
        )
        return prediction.latent, terms

    def discounts(self, seen: Window) -> Tensor:
        """γₜ: 0 where the task terminated. A truncated episode would have gone on."""
        return self.discount * (~seen.terminated).to(seen.rewards)

    def judge(self, lived: Imagined, cut: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Advantages [B, T], and L_critic; an episode that was `cut` off would have gone on."""
        values = self.world.value(lived.inputs)
        past = values.detach()
        advantages = losses.gae(lived.rewards, lived.discounts, lived.ended, past, self.gae_lambda, cut)
        return advantages, losses.l_critic(values[:, :-1], advantages + past[:, :-1], lived.weights)

    def descend(self, loss: Tensor, *parts: str) -> None:
        """A step of the optimisers of these parts, each with its gradient clipped."""
        for part in parts:
            self.optimisers[part].zero_grad()
        loss.backward()
        for part in parts:
            clip_grad_norm_(getattr(self.world, part).parameters(), self.limits[part])
            self.optimisers[part].step()

    def report(self, values: Mapping[str, Tensor]) -> None:
        self.record |= {name: value.detach() for name, value in values.items()}

    # ---- what every agent offers -------------------------------------------------------------------------------------

    def parameters(self) -> dict[str, np.ndarray]:
        return self.world.arrays()

    def load(self, parameters: Mapping[str, np.ndarray]) -> None:
        self.world.load(parameters)


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
