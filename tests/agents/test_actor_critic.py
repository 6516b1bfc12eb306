"""A bandit agent learns to explore, as plain loops do."""

import copy

import numpy as np
import pytest
import torch

from agentomy import kinds, tables
from agentomy.agents.actor_critic import ActorCritic
from agentomy.descriptions import Task
from agentomy.environments import bandits, dynamic_programming, gym_bandits
from agentomy.seeds import Streams

STEPS = 10
torch.set_num_threads(1)  # networks this small are slower on two
BERNOULLI = {"prior": [[1.0, 1.0], [1.0, 1.0]]}


every_bandit = pytest.mark.parametrize(
    ("use", "parameters"),
    [
        ("bernoulli", BERNOULLI),
        ("gaussian", {"mean": 0.0, "variance": 1.0, "noise": 1.0}),
        ("exponential", {"shape": 5.0, "rate": 4.0}),
    ],
)


def environment(use: str = "bernoulli", **parameters) -> tables.Table:
    parameters = (parameters or BERNOULLI) | {"steps": STEPS, "episodes": 4}
    rows = getattr(bandits, use)(**parameters, streams=Streams("test", "environment", 0))
    return tables.Table(kinds.bayes.BANDITS, rows=rows, description=Task(use=f"bandits.{use}", parameters=parameters))


def actor_critic(*seeds: int, table: tables.Table | None = None, **parameters) -> ActorCritic:
    streams = [Streams("test", "actor-critic", seed) for seed in seeds]
    parameters = {"width": 8, "updates": 60, "batch": 16} | parameters
    return ActorCritic(table or environment(), streams, "cpu", **parameters)


def learn(agent: ActorCritic, updates: int) -> dict[str, np.ndarray]:
    """What was reported, each [updates, S]."""
    records = [agent.advance() for _ in range(updates)]
    return {name: np.stack([record[name] for record in records]) for name in records[0]}


@pytest.mark.slow
@every_bandit
def test_an_agent_learns_over_half_of_what_there_is_to_gain_over_random_play(use, parameters):
    signal = "regret" if use == "exponential" else "reward"  # rewards of heavy tails take longer
    agent = actor_critic(0, table=environment(use, **parameters), updates=200, width=16, batch=128, signal=signal)
    returns = learn(agent, 200)["return"][-50:, 0].mean()
    random = STEPS * agent.task.prior_mean().mean()
    assert returns - random > 0.5 * (dynamic_programming.solve(agent.task, STEPS).value - random)


def test_the_untrained_policy_is_uniform():
    assert actor_critic(0).advance()["entropy"][0] == pytest.approx(np.log(2), abs=1e-6)


@every_bandit
def test_transitions_are_those_of_the_gymnasium_environments(use, parameters):
    agent = actor_critic(0, 1, table=environment(use, **parameters), batch=8)
    learn(agent, 3)
    drawn = [agent.task.sample(rng, agent.batch, STEPS) for rng in copy.deepcopy(agent.episodes)]
    inputs, actions, rewards, signals = (tensor.numpy() for tensor in agent.play())
    env = gym_bandits.BanditEnv(agent.task, STEPS)
    for seed, (means, luck) in enumerate(drawn):
        for episode in range(agent.batch):
            observation, _ = env.reset(options={"means": means[episode], "rewards": luck[episode]})
            for t in range(STEPS):
                np.testing.assert_allclose(inputs[seed, episode, t], observation, rtol=1e-6)
                observation, reward, terminated, *_ = env.step(actions[seed, episode, t])
                assert rewards[seed, episode, t] == pytest.approx(reward, rel=1e-6)
                assert signals[seed, episode, t] == pytest.approx(reward, rel=1e-6)
                assert terminated == (t == STEPS - 1)
    assert {0, 1} == set(np.unique(actions))


def test_arms_are_pulled_as_often_as_the_policy_says():
    agent = actor_critic(0, batch=4000)
    with torch.no_grad():
        agent.net.readouts["policy"].bias.copy_(torch.tensor([[0.0, 1.0]]))
    _, actions, _, _ = agent.play()
    assert actions.float().mean() == pytest.approx(1 / (1 + np.exp(-1)), abs=0.01)


def test_advantages_are_those_of_the_plain_recursion():
    agent = actor_critic(0, 1)
    rewards, values = torch.randn(2, 2, 16, STEPS, generator=torch.Generator().manual_seed(0))
    expected, later = np.zeros((2, 16, STEPS)), np.zeros((2, 16))
    for t in reversed(range(STEPS)):
        following = values[:, :, t + 1].numpy() if t + 1 < STEPS else 0
        later = rewards[:, :, t].numpy() + 0.95 * following - values[:, :, t].numpy() + 0.95 * 0.3 * later
        expected[:, :, t] = later
    np.testing.assert_allclose(agent.advantages(rewards, values).numpy(), expected, atol=1e-5)


def test_the_baseline_starts_at_random_play_and_follows_the_mean_return():
    agent = actor_critic(0, baseline_rate=0.25)
    scale = agent.scale.item()
    random = agent.task.prior_mean().mean() * (1 - 0.95 ** np.arange(STEPS, 0, -1)) / (1 - 0.95) / scale
    assert scale == pytest.approx(0.5, abs=0.01)  # of a fair coin
    np.testing.assert_allclose(agent.baseline[0].numpy(), random, rtol=0.02)
    start, batch = agent.baseline[0].numpy().copy(), agent.play()
    agent.play = lambda: batch
    agent.advance()
    returns = [sum(0.95 ** (k - t) * batch[3][0, :, k] for k in range(t, STEPS)).mean() for t in range(STEPS)]
    np.testing.assert_allclose(agent.baseline[0].numpy(), 0.75 * start + 0.25 * np.array(returns) / scale, rtol=1e-5)


def test_regret_and_reward_differ_in_what_no_policy_can_influence():
    """Over many rewards of the same arms, a step's reward less its regret signal is the better arm's mean."""
    agent = actor_critic(0, signal="regret")
    means, rewards = agent.task.sample(np.random.default_rng(0), 20_000, STEPS)
    left = (rewards - agent.learning_signal(means, rewards)).mean(axis=(0, 1))
    np.testing.assert_allclose(left, means.max(axis=1).mean(), atol=0.01)


@pytest.mark.usefixtures("double_precision")
def test_an_update_is_that_of_plain_loops_and_autograd():
    """Of one seed, when the entropy is worth a third of what it was and the learning rate has fallen by the cosine."""
    agent = actor_critic(0, updates=100, ent_coef=0.4, vf_coef=0.3, discount=0.9, gae_lambda=0.6, max_grad_norm=0.05)
    learn(agent, 60)
    batch, net, baseline = agent.play(), copy.deepcopy(agent.net), agent.baseline[0].clone()
    inputs, actions, _, signals = batch
    agent.play = lambda: batch
    given = agent.optimiser.state_dict()
    optimiser = torch.optim.Adam(net.parameters())
    optimiser.load_state_dict(copy.deepcopy(given))
    optimiser.param_groups[0]["lr"] = agent.learning_rate * (
        agent.final_learning_rate + (1 - agent.final_learning_rate) * (1 + np.cos(np.pi * 0.6)) / 2
    )
    outputs = net(inputs)
    values, policy = outputs["value"][0, :, :, 0], torch.distributions.Categorical(logits=outputs["policy"][0])
    with torch.no_grad():
        expected, later = values + baseline, torch.zeros(16)
        advantages = torch.zeros(16, STEPS)
        for t in reversed(range(STEPS)):
            following = expected[:, t + 1] if t + 1 < STEPS else 0
            later = signals[0, :, t] / agent.scale.item() + 0.9 * following - expected[:, t] + 0.9 * 0.6 * later
            advantages[:, t] = later
        aims = values + advantages  # what is above the baseline
        scored = (advantages - advantages.mean()) / advantages.std()
    loss = -(scored * policy.log_prob(actions[0])).mean() + 0.3 * (values - aims).square().mean()
    loss = loss - 0.4 * (1 - 0.6 / 0.9) * policy.entropy().mean()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), 0.05)
    optimiser.step()
    assert agent.advance()["loss"][0] == pytest.approx(loss.item(), rel=1e-6)
    for name, weight in net.named_parameters():
        torch.testing.assert_close(agent.net.get_parameter(name), weight, rtol=1e-7, atol=1e-9)
