"""Meta-learned exploration: a recurrent agent is trained by actor-critic on bandits fresh from the prior.

The paper trains with IMPALA. Here the policy that learns from a batch has also played it. V-trace's importance
ratios are then 1, and what remains is a synchronous advantage actor-critic.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from agentomy import kinds, networks
from agentomy.agents.rates import annealed, set_rate
from agentomy.agents.state import Saved
from agentomy.environments import bandits
from agentomy.networks.recurrent import LSTMNetwork
from agentomy.networks.stacked import clip_gradients
from agentomy.values import Count, NonNegative, Positive, Rate, Share


class ActorCritic(Saved):
    """A stack of seeds that learn to play bandits; one update is one batch of fresh episodes, played to their end."""

    saved = ("update", "net", "optimiser", "baseline", "episodes", "choices")

    def __init__(
        self,
        environment: kinds.bayes.BANDITS,
        streams: list,
        device: str,
        *,
        width: Count,  # units of encoder, LSTM and decoder
        updates: Count,
        signal: Literal["reward", "regret"] = "reward",  # what the agent learns from, see `learning_signal`
        batch: Count = 256,  # episodes an update
        learning_rate: Rate = 5e-3,
        final_learning_rate: Share = 0.02,  # share of the rate left at the end
        discount: Share = 0.95,  # as in the Gittins agent that the policy is compared with
        gae_lambda: Share = 0.3,  # of the generalised advantage estimate: low, as rewards are mostly noise
        ent_coef: NonNegative = 0.1,  # at first; it falls linearly to 0 …
        entropy_until: Share = 0.9,  # … over this share of the updates, so that training ends with pure exploitation
        vf_coef: NonNegative = 0.1,  # for signals of unit spread; with much more the critic would take over the memory
        baseline_rate: Rate = 0.05,  # weight of a new batch in the running mean return
        max_grad_norm: Positive = 1.0,
        forget_bias: float = 1.0,
    ):
        self.updates, self.batch, self.max_grad_norm, self.device = updates, batch, max_grad_norm, device
        self.learning_rate, self.final_learning_rate = learning_rate, final_learning_rate
        self.discount, self.gae_lambda, self.vf_coef, self.baseline_rate = discount, gae_lambda, vf_coef, baseline_rate
        self.ent_coef, self.entropy_until = ent_coef, entropy_until
        self.signal, self.task = signal, bandits.task(environment.description)
        self.steps = steps = environment.description.parameters["steps"]
        self.network = {
            "use": networks.use(LSTMNetwork),
            "inputs": bandits.ARMS + 1,  # previous action one-hot, previous reward
            "width": width,
            "outputs": {"policy": bandits.ARMS, "value": 1},
            "forget_bias": forget_bias,
            "zero": ["policy"],
        }
        weights = [networks.generator(seed_streams.entropy("weights")) for seed_streams in streams]
        self.net = networks.build(self.network, len(streams)).draw(weights).to(device)
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=learning_rate, fused=True)
        self.episodes = [seed_streams.numpy("episodes") for seed_streams in streams]
        self.choices = [seed_streams.numpy("choices") for seed_streams in streams]
        # Return-to-go falls with t for every policy. A critic that must first learn to count time gives advantages
        # that t dominates. So a running mean holds the return at each t, and the critic learns the rest. The mean
        # starts at the return of random play. Signals are in units of their spread: one recipe then suits all tasks.
        samples = [
            self.learning_signal(*self.task.sample(seed_streams.numpy("scale"), 10_000, steps))
            for seed_streams in streams
        ]
        mean, spread = (self.tensor(np.array([pick(signals) for signals in samples])) for pick in (np.mean, np.std))
        self.scale = spread.view(-1, 1, 1)
        self.baseline = self.discounted((mean / spread).view(-1, 1, 1).expand(-1, 1, steps), discount).squeeze(1)
        self.update = 0

    def advance(self) -> dict[str, np.ndarray]:
        """Play one batch and learn from it. Returns the loss, undiscounted return and policy entropy of each seed."""
        inputs, actions, rewards, signals = self.play()
        signals = signals / self.scale
        done = self.update / self.updates

        outputs = self.net(inputs)
        values = outputs["value"].squeeze(-1)  # [S, B, T], above the baseline
        log_policy = torch.log_softmax(outputs["policy"], dim=-1)
        entropy = -(log_policy.exp() * log_policy).sum(dim=-1).mean(dim=(1, 2))
        chosen = log_policy.gather(-1, actions.unsqueeze(-1)).squeeze(-1)

        advantages = self.advantages(signals, values.detach() + self.baseline.unsqueeze(1))
        targets = advantages + values.detach()
        mean, spread = advantages.mean(dim=(1, 2), keepdim=True), advantages.std(dim=(1, 2), keepdim=True)
        policy_loss = -((advantages - mean) / (spread + 1e-8) * chosen).mean(dim=(1, 2))
        value_loss = (values - targets).square().mean(dim=(1, 2))
        ent_coef = self.ent_coef * max(0.0, 1 - done / self.entropy_until)
        loss = policy_loss + self.vf_coef * value_loss - ent_coef * entropy  # [S]

        set_rate(self.optimiser, annealed(self.learning_rate, self.final_learning_rate, done, "cosine"))
        self.optimiser.zero_grad()
        loss.sum().backward()  # the seeds share no weight, so each gets the gradient of its own loss
        clip_gradients(self.net, self.max_grad_norm)
        self.optimiser.step()

        returns = self.discounted(signals, self.discount).mean(dim=1)
        self.baseline += self.baseline_rate * (returns - self.baseline)
        self.update += 1
        record = {"loss": loss, "return": rewards.sum(dim=2).mean(dim=1), "entropy": entropy}
        return {name: values.detach().cpu().numpy() for name, values in record.items()}

    def learning_signal(self, means: np.ndarray, rewards: np.ndarray) -> np.ndarray:
        """The learning signal of pulling each arm [E, T, arms], from mean rewards [E, arms] and rewards [E, T, arms].

        Either the reward itself, or minus the expected regret: the arm's mean less that of the better arm. The
        expected gradient is the same, since the two differ by noise and by what no policy can influence; regret has
        far less variance, and needs a simulator that knows the means. The agent is fed rewards in both cases.
        """
        if self.signal == "reward":
            return rewards
        return np.broadcast_to((means - means.max(axis=-1, keepdims=True))[:, None], rewards.shape)

    @torch.no_grad()
    def play(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Play a batch of fresh bandits: inputs [S, B, T, arms + 1]; actions, rewards and signals [S, B, T]."""
        drawn = [self.task.sample(rng, self.batch, self.steps) for rng in self.episodes]
        rewards = np.stack([rewards for _, rewards in drawn])
        encoded = self.tensor(self.task.encode_reward(rewards))  # [S, B, T, arms], as the two that follow
        signals = self.tensor(np.stack([self.learning_signal(*episodes) for episodes in drawn]))
        rewards = self.tensor(rewards)
        # The arm with the largest logit + Gumbel noise is a draw from the softmax of the logits.
        luck = self.tensor(np.stack([rng.gumbel(size=rewards.shape[1:]) for rng in self.choices]))
        one_hot = torch.eye(bandits.ARMS).to(rewards)

        state = self.net.start(self.batch)
        inputs = rewards.new_zeros(*rewards.shape[:-1], bandits.ARMS + 1)
        actions = torch.zeros(rewards.shape[:-1], dtype=torch.long, device=self.device)
        for t in range(self.steps):
            outputs, state = self.net.step(state, inputs[:, :, t], "policy")
            actions[:, :, t] = (outputs["policy"] + luck[:, :, t]).argmax(dim=-1)
            if t + 1 < self.steps:
                inputs[:, :, t + 1, :-1] = one_hot[actions[:, :, t]]
                inputs[:, :, t + 1, -1:] = encoded[:, :, t].gather(-1, actions[:, :, t, None])
        pulled = actions.unsqueeze(-1)
        return inputs, actions, rewards.gather(-1, pulled).squeeze(-1), signals.gather(-1, pulled).squeeze(-1)

    def advantages(self, signals: Tensor, values: Tensor) -> Tensor:
        """Generalised advantage estimates [S, B, T] of finished episodes (Schulman et al. 2016, eq. 16)."""
        following = torch.cat([values[:, :, 1:], torch.zeros_like(values[:, :, :1])], dim=2)
        errors = signals + self.discount * following - values
        return self.discounted(errors, self.discount * self.gae_lambda)

    @staticmethod
    def discounted(signals: Tensor, discount: float) -> Tensor:
        """Discounted sums from each step on: [S, B, T] → [S, B, T]."""
        steps = torch.arange(signals.shape[2], device=signals.device)
        ahead = steps[:, None] - steps[None, :]  # [later, now]
        return signals @ torch.tril(torch.as_tensor(discount).to(signals) ** ahead.clamp(min=0))

    def tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device, self.net.encoder.weight.dtype)

    def parameters(self) -> dict[str, np.ndarray]:
        return self.net.arrays()

    def load(self, parameters: Mapping[str, np.ndarray]) -> None:
        self.net.load(parameters)
