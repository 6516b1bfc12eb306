"""PPO is the plain algorithm, and learns to run mazes."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from agentomy import kinds
from agentomy.agents.ppo import PPO, ReturnScale, Rollout
from agentomy.environments import mazes
from agentomy.environments.maze_batch import MOVE_OF, MazeBatch
from agentomy.environments.maze_pictures import Painter
from agentomy.seeds import Streams
from agentomy.tables import Table

torch.set_num_threads(1)
SMALL = {
    "pixels": 5,
    "channels": [4, 6],
    "pools": [1],
    "hidden": 16,
    "max_episode_steps": 12,
    "num_envs": 8,
    "num_steps": 6,
    "minibatch_size": 16,
    "updates": 40,
}


def levels(count: int = 50, world: int = 5, region: int | None = None) -> Table:
    rows = mazes.levels(world=world, count=count, corner=2, region=region, streams=Streams("test", "levels", 0))
    return Table(kinds.maze.LEVELS, rows=rows)


def ppo(*seeds: int, environment: Table | None = None, **parameters) -> PPO:
    streams = [Streams("test", "ppo", seed) for seed in seeds]
    return PPO(environment or levels(), streams, "cpu", **SMALL | parameters)


def learn(agent: PPO, updates: int) -> dict[str, np.ndarray]:
    """What was reported, each [updates, S]."""
    records = [agent.advance() for _ in range(updates)]
    return {name: np.stack([record[name] for record in records]) for name in records[0]}


@torch.no_grad()
def solved(agent: PPO, world: int, limit: int, region: int | None = None, count: int = 500) -> np.ndarray:
    """Share of unseen mazes in which each seed's sampled policy gets the cheese [S]."""
    shares, seen = [], np.random.default_rng(123).integers(mazes.SEEDS, size=count)
    for net in agent.net.nets:
        rng, reached = np.random.default_rng(0), np.zeros(count, bool)
        painter = Painter(agent.net.palette, world, agent.net.pixels)
        played = MazeBatch(mazes.generate(seen, world, region), count, painter, limit, rng)
        for _ in range(limit):
            policy = torch.softmax(net(torch.from_numpy(played.observations))[0], dim=1).numpy()
            actions = (policy.cumsum(axis=1) > rng.random((count, 1))).argmax(axis=1)
            reached |= played.step(MOVE_OF[agent.net.actions][actions])[1]
        shares.append(reached.mean())
    return np.array(shares)


# ---- it learns -------------------------------------------------------------------------------------------------------

TASK = {
    "channels": [16],
    "pools": [],
    "hidden": 64,
    "max_episode_steps": 20,
    "num_envs": 64,
    "num_steps": 16,
    "minibatch_size": 256,
    "learning_rate": 3e-3,
}


@pytest.mark.slow
def test_small_mazes_are_solved_after_a_while_and_the_log_says_so():
    agent = ppo(0, environment=levels(3000), **TASK, updates=100)
    before = solved(agent, 5, 20)[0]
    log = learn(agent, 100)
    assert before < 0.5
    assert solved(agent, 5, 20)[0] > 0.85
    assert log["success"][:5].mean() < 0.7
    assert log["success"][-20:].mean() > 0.85
    assert log["entropy"][0] == pytest.approx(np.log(5), abs=0.05)
    assert log["entropy"][-1] < log["entropy"][0] - 0.5


@pytest.mark.slow
def test_it_learns_with_fifteen_actions_from_colours():
    colours = {"palette": "rgb", "scale": "rgb", "actions": 15}
    agent = ppo(0, environment=levels(3000, region=2), **TASK | colours, updates=80)
    before = solved(agent, 5, 20, region=2)[0]
    log = learn(agent, 80)
    assert before < 0.15
    assert solved(agent, 5, 20, region=2)[0] > 0.5
    assert log["entropy"][0] == pytest.approx(np.log(15), abs=0.1)


# ---- it is the plain algorithm ---------------------------------------------------------------------------------------


def plain_advantages(rewards, values, following, ended, discount: float, gae_lambda: float) -> torch.Tensor:
    """Σ (γλ)^l δ up to the end of the episode or of the rollout; `following` is the value of what came next."""
    advantages = torch.zeros_like(rewards)
    for e in range(rewards.shape[1]):
        for t in range(len(rewards)):
            for later in range(t, len(rewards)):
                error = rewards[later, e] + discount * following[later, e] - values[later, e]
                advantages[t, e] += (discount * gae_lambda) ** (later - t) * error
                if ended[later, e]:
                    break
    return advantages


@given(st.integers(0, 2**32), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=30)
def test_advantages_are_sums_of_errors_up_to_the_episodes_end(seed, discount, trace, ends):
    agent, generator = ppo(0, discount=discount, gae_lambda=trace), torch.Generator().manual_seed(seed)
    rewards, values, last = (torch.randn(shape, generator=generator) for shape in ((7, 3), (7, 3), (1, 3)))
    ended = torch.rand((7, 3), generator=generator) < ends
    following = torch.cat([values[1:], last])
    expected = plain_advantages(rewards, values, following * ~ended, ended, discount, trace)
    torch.testing.assert_close(agent.advantages(rewards, values, following, ended), expected, atol=1e-5, rtol=1e-5)


def test_with_trace_one_advantages_are_discounted_returns_less_values():
    agent = ppo(0, discount=0.9, gae_lambda=1.0)
    rewards, values = torch.tensor([[0.0], [0.0], [10.0], [0.0]]), torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    ended = torch.tensor([[False], [False], [True], [False]])
    following = torch.tensor([[2.0], [3.0], [4.0], [5.0]])
    expected = torch.tensor([[8.1 - 1], [9.0 - 2], [10.0 - 3], [0.9 * 5 - 4]])
    torch.testing.assert_close(agent.advantages(rewards, values, following, ended), expected)


@pytest.mark.parametrize("bootstrap", [True, False])
@pytest.mark.parametrize("actions", [5, 15])
@torch.no_grad()
def test_a_rollout_is_what_the_mazes_gave_and_truncated_episodes_bootstrap(bootstrap, actions):
    settings = {"max_episode_steps": 5, "num_steps": 14, "reward_scale": 0.5, "precision": "single"}
    agent, twin = (ppo(0, bootstrap=bootstrap, actions=actions, **settings) for _ in range(2))
    net, played = agent.net.nets[0], twin.seeds[0].mazes
    for learner in (agent, twin):
        learner.net.nets[0].value.bias.fill_(3.0)  # so that it matters what follows
    rollout = agent.play(agent.seeds[0])
    pictures, chosen = rollout.pictures.view(14, 8, 5, 5, 3), rollout.actions.view(14, 8)
    values, log_chosen, rewards, following = (torch.zeros(14, 8) for _ in range(4))
    ended, cut = torch.zeros(14, 8, dtype=torch.bool), 0
    for t in range(14):
        assert np.array_equal(pictures[t].numpy(), played.observations)
        logits, values[t] = net(torch.from_numpy(played.observations))
        log_chosen[t] = torch.distributions.Categorical(logits=logits).log_prob(chosen[t])
        reward, terminated, truncated, last = played.step(MOVE_OF[actions][chosen[t].numpy()])
        rewards[t], ended[t] = torch.from_numpy(0.5 * reward), torch.from_numpy(terminated | truncated)
        following[t] = net(torch.from_numpy(played.observations))[1] * ~ended[t]
        if bootstrap and truncated.any():
            following[t, truncated] = net(torch.from_numpy(last))[1]
        cut += truncated.sum()
    assert cut
    assert rewards.any()
    torch.testing.assert_close(rollout.values, values.flatten())
    torch.testing.assert_close(rollout.log_chosen, log_chosen.flatten())
    expected = plain_advantages(rewards, values, following, ended, agent.discount, agent.gae_lambda)
    torch.testing.assert_close(rollout.advantages, expected.flatten(), atol=1e-5, rtol=1e-4)


def keeping_rollouts(agent: PPO) -> list[Rollout]:
    """The rollouts that the agent learns from, as they come."""
    kept, play = [], agent.play

    def keep(seed) -> Rollout:
        kept.append(play(seed))
        return kept[-1]

    agent.play = keep
    return kept


class Plain:
    """The learning of PPO (Schulman et al. 2017, eq. 9) from whole rollouts, with autograd and `nn.functional`."""

    def __init__(self, agent: PPO, clip_range_vf: float | None):
        self.net, self.clip_range_vf = copy.deepcopy(agent.net.nets[0]), clip_range_vf
        self.optimiser = torch.optim.Adam(self.net.parameters(), eps=1e-5)

    def learn(self, rollout: Rollout, rate: float, epochs: int) -> None:
        self.optimiser.param_groups[0]["lr"] = rate
        advantages = rollout.advantages
        scaled = (advantages - advantages.mean()) / advantages.std()
        targets = advantages + rollout.values
        for _ in range(epochs):
            logits, values = self.net(rollout.pictures)
            policy = torch.distributions.Categorical(logits=logits)
            ratios = (policy.log_prob(rollout.actions) - rollout.log_chosen).exp()
            gains = [
                min(ratio * advantage, max(min(ratio, 1.05), 0.95) * advantage)
                for ratio, advantage in zip(ratios, scaled, strict=True)
            ]
            errors = []
            for value, old, target in zip(values, rollout.values, targets, strict=True):
                errors.append((value - target) ** 2)
                if self.clip_range_vf is not None:
                    held = max(min(value, old + self.clip_range_vf), old - self.clip_range_vf)
                    errors[-1] = max(errors[-1], (held - target) ** 2)
            loss = -sum(gains) / len(gains) + 0.7 * sum(errors) / (2 * len(errors)) - 0.02 * policy.entropy().mean()
            self.optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.net.parameters(), 0.3)
            self.optimiser.step()


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("clip_range_vf", [None, 0.05])
def test_it_learns_as_the_plain_algorithm_does(clip_range_vf):
    """Three updates of three passes each, in which probabilities and values leave their ranges."""
    costs = {"clip_range": 0.05, "clip_range_vf": clip_range_vf, "vf_coef": 0.7, "ent_coef": 0.02, "max_grad_norm": 0.3}
    rates = {"learning_rate": 0.02, "final_learning_rate": 0.1, "updates": 4}
    agent = ppo(0, minibatch_size=48, epochs=3, precision="single", **costs, **rates)
    twin, rollouts = Plain(agent, clip_range_vf), keeping_rollouts(agent)
    before = agent.parameters()
    for rate in (0.02, 0.0155, 0.011):  # falls linearly to a tenth after four updates
        agent.advance()
        twin.learn(rollouts[-1], rate, epochs=3)
    ours, theirs = agent.net.nets[0].state_dict(), twin.net.state_dict()
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], atol=1e-6, rtol=1e-5)
        assert not np.array_equal(before[name][0], theirs[name].numpy().astype(np.float32))


def crafted(agent: PPO, advantages: torch.Tensor, ratio: float, value_moved: float = 0.0) -> Rollout:
    """A rollout after which the policy seems to have moved by a ratio: up where it gained, down where it lost.

    Or the other way round, if the ratio is below one. Values seem to have moved too.
    """
    rollout = agent.play(agent.seeds[0])
    up = advantages > advantages.mean()
    moved = torch.where(up, np.log(ratio), -np.log(ratio)).to(rollout.log_chosen)
    values = rollout.values - value_moved
    return Rollout(rollout.pictures, rollout.actions, rollout.log_chosen - moved, values, advantages)


def moves(agent: PPO, rollout: Rollout) -> bool:
    """Whether learning from this rollout changes any weight."""
    before, agent.play = agent.parameters(), lambda seed: rollout
    agent.advance()
    return any(not np.array_equal(array, before[name]) for name, array in agent.parameters().items())


ALONE = {"ent_coef": 0.0, "vf_coef": 0.0, "precision": "single"}


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (1.3, False),  # gained, and beyond the range: nothing more to be had
        (1.15, True),
        (1.0, True),
        (0.8, True),  # lost, and beyond the range: the way back stays open
    ],
)
def test_the_policy_learns_nothing_from_what_it_has_gained_beyond_the_range(ratio, expected):
    agent = ppo(0, clip_range=0.2, **ALONE)
    advantages = torch.randn(48, generator=torch.Generator().manual_seed(0))
    assert moves(agent, crafted(agent, advantages, ratio)) == expected


@pytest.mark.parametrize(("clip_range_vf", "expected"), [(0.2, False), (2.0, True), (None, True)])
def test_a_value_that_has_moved_towards_its_target_beyond_the_range_stays(clip_range_vf, expected):
    agent = ppo(0, clip_range_vf=clip_range_vf, **ALONE | {"vf_coef": 1.0})
    advantages = 0.9 + 0.1 * torch.rand(48, generator=torch.Generator().manual_seed(0))
    # values moved by one, and had to move by nearly one; the policy has nothing to learn
    assert moves(agent, crafted(agent, advantages, 1.3, value_moved=1.0)) == expected


def test_each_step_of_a_rollout_is_learnt_from_once_a_pass():
    agent = ppo(0, epochs=3, minibatch_size=20)
    batches = list(agent.minibatches(agent.seeds[0], 48))
    assert [len(batch) for batch in batches] == [20, 20, 8] * 3
    passes = [torch.cat(batches[i : i + 3]) for i in (0, 3, 6)]
    assert all(sorted(rows.tolist()) == list(range(48)) for rows in passes)
    assert not torch.equal(passes[0], passes[1])


# ---- rewards ---------------------------------------------------------------------------------------------------------


def test_rewards_are_divided_by_the_running_spread_of_the_discounted_return():
    rng, scale = np.random.default_rng(0), ReturnScale(5, None)
    returns, seen = np.zeros(5), []
    for _ in range(200):
        rewards, ended = 10.0 * (rng.random(5) < 0.1), rng.random(5) < 0.2
        returns = 0.99 * returns + rewards
        seen.extend(returns)
        expected = np.clip(rewards / np.sqrt(np.var(seen) + 1e-8), -10, 10)
        np.testing.assert_allclose(scale(rewards, ended), expected, rtol=1e-9)
        returns[ended] = 0
    assert len(seen) == 1000


def test_a_fixed_scale_is_a_factor():
    np.testing.assert_allclose(ReturnScale(3, 0.1)(np.array([0.0, 10, 0]), np.zeros(3, bool)), [0, 1, 0])


# ---- stacks ----------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_seeds_draw_their_own_levels_actions_and_minibatches():
    agent = ppo(0, 1)
    one, other = agent.seeds
    assert not np.array_equal(one.mazes.level, other.mazes.level)
    other.mazes.restore(one.mazes.state())
    other.net.load_state_dict(one.net.state_dict())
    assert not torch.equal(agent.play(one).actions, agent.play(other).actions)
    assert not torch.equal(next(agent.minibatches(one, 48)), next(agent.minibatches(other, 48)))


def test_it_never_trains_on_held_out_levels():
    rows = mazes.levels(world=5, count=7, held_out=30, corner=2, streams=Streams("test", "levels", 0))
    agent = ppo(0, environment=Table(kinds.maze.LEVELS, rows=rows))
    assert agent.seeds[0].mazes.levels.seed.tolist() == rows["level"].to_pylist()[:7]
