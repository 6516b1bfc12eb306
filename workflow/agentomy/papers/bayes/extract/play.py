"""Bandit episodes played by networks and by reference agents, with the optimal values of their states (section 6.2)."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import torch

from agentomy import kinds
from agentomy.environments import bandits as arms
from agentomy.environments import dynamic_programming, gittins
from agentomy.lenses.snapshots import revived
from agentomy.seeds import Streams
from agentomy.tables import Table
from agentomy.values import Fraction


def play(
    parameters: kinds.common.PARAMETERS,
    bandits: kinds.bayes.BANDITS,
    *,
    discount: Fraction,
    run,
    streams,
    device,
    progress,
) -> kinds.bayes.PLAY:
    """All episodes of the table, played by every snapshot with its sampled and its argmax policy.

    `discount` is that of the Gittins indices. Actions are sampled with the same random numbers at all snapshots of a
    seed.
    """
    arena = Arena.from_table(bandits, discount)
    snapshots = len(np.unique(parameters.values("update")))
    for number, (update, seeds, stack) in enumerate(revived(parameters, device)):
        progress.step(number, snapshots, "snapshots", run)
        uniforms = drawn_by_seed(seeds, streams, "actions", (len(arena.rewards), arena.steps))
        for policy in ("sampled", "argmax"):
            played = arena.networks(stack, uniforms, policy, device)
            for seed, actions, probability in zip(seeds, *played, strict=True):
                labels = {"run": run, "agent": "network", "policy": policy, "seed": seed, "update": update}
                yield _rows(bandits, arena, labels, actions, probability)


def references(bandits: kinds.bayes.BANDITS, *, discount: Fraction, run, streams) -> kinds.bayes.PLAY:
    """The same episodes played by the reference agents."""
    arena = Arena.from_table(bandits, discount)
    for agent, (_, policy) in REFERENCES.items():
        labels = {"run": run, "agent": agent, "policy": policy, "seed": -1, "update": -1}
        yield _rows(bandits, arena, labels, *arena.reference(agent, streams.numpy(agent)))


def _rows(bandits: Table, arena: "Arena", labels: dict, actions: np.ndarray, probability: np.ndarray) -> pa.Table:
    """From actions and probabilities of arm 1, both [E, T]."""
    rewards = arena.received(actions)
    q_difference, index = arena.seen(arena.task.statistics(actions, rewards))
    episodes = {"episode": bandits.values("episode"), "means": bandits.array("means")}
    played = {"actions": actions, "rewards": rewards, "probability": probability}
    return kinds.bayes.PLAY.table(**labels, **episodes, **played, q_difference=q_difference, index=index)


def drawn_by_seed(seeds: np.ndarray, streams: Streams, purpose: str, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform numbers in [0, 1) [S, *shape], each seed's from its own stream."""
    return np.stack([streams.for_seed(seed).numpy(purpose).random(shape) for seed in seeds])


class Arena:
    """Bandit episodes with pre-drawn rewards [E, T, arms] that any agent can play, and their exact optimum."""

    def __init__(self, task: arms.Bandit, rewards: np.ndarray, discount: float):
        self.task, self.rewards, self.steps = task, rewards, rewards.shape[1]
        self.encoded = task.encode_reward(rewards).astype(np.float32)
        self.optimum = dynamic_programming.solve(task, self.steps)
        self.gittins = gittins.indices(task, self.steps, discount)

    @classmethod
    def from_table(cls, bandits: Table, discount: float) -> "Arena":
        """The episodes of a table."""
        steps = bandits.description.parameters["steps"]
        return cls(arms.task(bandits.description), bandits.array("rewards", steps, arms.ARMS), discount)

    def received(self, actions: np.ndarray) -> np.ndarray:
        """Rewards [..., E, T] of the arms pulled [..., E, T]."""
        rewards = np.broadcast_to(self.rewards, (*actions.shape, arms.ARMS))
        return np.take_along_axis(rewards, actions[..., None], axis=-1)[..., 0]

    def seen(self, statistics: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How much better arm 1 is than arm 0 at states [..., 4]: by the finite horizon's Q*, and by Gittins index."""
        return difference(self.optimum.q(statistics)), difference(self.gittins.index(statistics))

    def reference(self, agent: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Actions and probabilities of arm 1 [E, T] of a reference agent."""
        choose, _ = REFERENCES[agent]
        count = len(self.rewards)
        actions = np.zeros((count, self.steps), np.int8)
        probability = np.zeros((count, self.steps))
        statistics = np.zeros((count, 2 * arms.ARMS))
        for t in range(self.steps):
            probability[:, t] = choose(self, statistics, rng)
            actions[:, t] = rng.random(count) < probability[:, t]
            rewards = self.rewards[np.arange(count), t, actions[:, t]]
            statistics = statistics + self.task.evidence(actions[:, t], rewards)
        return actions, probability

    def networks(self, stack, uniforms: np.ndarray, policy: str, device: str) -> tuple[np.ndarray, np.ndarray]:
        """Actions and probabilities of arm 1 [S, E, T] of a stack of networks; `uniforms` [S, E, T] sample actions."""
        seeds, count, steps = uniforms.shape
        actions = np.zeros((seeds, count, steps), np.int8)
        probability = np.zeros((seeds, count, steps), np.float32)
        observation = np.zeros((seeds, count, arms.ARMS + 1), np.float32)
        state = stack.start(count)
        for t in range(steps):
            outputs, state = stack.step(state, torch.as_tensor(observation, device=device))
            chance = torch.softmax(outputs["policy"], dim=2)[..., 1].cpu().numpy()
            probability[:, :, t] = chance if policy == "sampled" else preference(chance - 0.5, 0.0)
            actions[:, :, t] = uniforms[:, :, t] < probability[:, :, t]
            observation = arms.observe(actions[:, :, t], self.encoded[:, t])
        return actions, probability


def preference(q_difference: np.ndarray, tie: float = kinds.bayes.TIE) -> np.ndarray:
    """Probability of arm 1, from how much better it looks than arm 0: 1, 0, or ½ at a tie."""
    return np.where(np.abs(q_difference) <= tie, 0.5, q_difference > 0)


def difference(values: np.ndarray) -> np.ndarray:
    """How much more arm 1 is worth than arm 0 [...], from values [..., arm]."""
    return values[..., 1] - values[..., 0]


Choice = Callable[[Arena, np.ndarray, np.random.Generator], np.ndarray]
# Thompson sampling pulls the arm whose drawn mean is higher. The draw is an unbiased estimate of its probability.
REFERENCES: dict[str, tuple[Choice, str]] = {
    "optimal": (lambda self, s, rng: preference(difference(self.optimum.q(s))), "argmax"),
    "gittins": (lambda self, s, rng: preference(difference(self.gittins.index(s))), "argmax"),
    "greedy": (lambda self, s, rng: preference(difference(self.task.posterior_mean(s))), "argmax"),
    "thompson": (lambda self, s, rng: preference(difference(self.task.posterior_sample(s, rng)), 0.0), "sampled"),
    "random": (lambda self, s, rng: np.full(len(s), 0.5), "sampled"),
}
