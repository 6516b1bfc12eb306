"""What is taken from world models is what plain loops and the agent's own losses give (TWM)."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from agentomy import kinds, networks
from agentomy.agents import twm_losses
from agentomy.agents.history import Window
from agentomy.agents.world_model import WorldModelAgent
from agentomy.descriptions import Task
from agentomy.environments import simulators
from agentomy.networks.acting import Player
from agentomy.networks.layers import uniform
from agentomy.networks.observation_model import choice, likeliest, sampled
from agentomy.papers.twm.extract import world_model, worlds
from agentomy.seeds import Streams
from tests import in_memory
from tests.networks.test_acting import hidden_by_hand, listen
from tests.papers.twm.small_worlds import GIVEN, SEEDS, SMALL, UPDATES, last_world, noise, stream
from tests.small_runs import streams

# ---- reading, playing ------------------------------------------------------------------------------------------------


def test_each_seed_is_read_by_itself_along_training(parameters):
    read = [(seed, update) for update, seed, _ in worlds.worlds(parameters, "cpu")]
    assert read == [(seed, update) for seed in SEEDS for update in UPDATES]


def test_returns_are_those_of_a_plain_loop_with_the_same_draws(given, parameters, episodes, quiet):
    rollouts = in_memory.of_pieces(
        kinds.paths.ROLLOUTS, world_model.returns(**given, snapshots=3, progress=quiet)
    ).frame()
    assert len(rollouts) == len(SEEDS) * len(UPDATES) * GIVEN["episodes"]
    world, draws = last_world(parameters, 1), [networks.generator(streams().entropy("actions seed 1 update 40"))]
    games = [simulators.make(episodes.description, np.random.default_rng(9)) for _ in range(GIVEN["episodes"])]
    seen = [game.reset(int(seed)) for game, seed in zip(games, episodes.values("reset_seed"), strict=True)]
    totals, lengths, over = [0.0] * 3, [0] * 3, [False] * 3
    while not all(over):
        policy = world.policy(likeliest(world.observation.encode(torch.as_tensor(np.stack(seen)))))
        actions = choice(policy, uniform((len(seen),), draws))
        for e, game in enumerate(games):
            if not over[e]:
                seen[e], reward, terminated, truncated = game.step(int(actions[e]))
                totals[e], lengths[e], over[e] = totals[e] + reward, lengths[e] + 1, terminated or truncated
    chosen = rollouts[(rollouts["seed"] == 1) & (rollouts["update"] == 40)]
    assert chosen["return"].tolist() == totals
    assert chosen["length"].tolist() == lengths


def test_snapshots_before_the_last_may_play_fewer_episodes(given, quiet):
    rollouts = in_memory.of_pieces(
        kinds.paths.ROLLOUTS, world_model.returns(**given, snapshots=3, before_last=1, progress=quiet)
    ).frame()
    every = in_memory.of_pieces(kinds.paths.ROLLOUTS, world_model.returns(**given, snapshots=3, progress=quiet)).frame()
    counts = rollouts.groupby("update").size().to_dict()
    assert counts == {0: len(SEEDS), 20: len(SEEDS), 40: len(SEEDS) * GIVEN["episodes"]}
    last = [frame[frame["update"] == 40].reset_index(drop=True) for frame in (rollouts, every)]
    assert last[0].equals(last[1])


def test_full_games_are_played_by_the_rules_of_evaluation(monkeypatch):
    """All lives of Breakout, though a lost life ends an episode of training."""
    task = Task(use="arcade.atari", parameters={"game": "Breakout", "episodes": 2})
    monkeypatch.setattr(worlds, "Player", lambda *_: SimpleNamespace(act=lambda seen, *_: torch.zeros(len(seen))))
    _, lengths = worlds.play(None, task, np.array([1, 2]), noise(), "cpu")
    game = simulators.make(task, np.random.default_rng(0))
    game.reset()
    life = next(step for step in range(1, 1000) if game.step(0)[2])
    assert lengths[0] == lengths[1] > 3 * life


def test_a_policy_that_never_ends_is_cut_off(monkeypatch):
    given = {"game": "freeway", "idle_limit": 10**6, "max_episode_steps": 30}
    task = Task(use="arcade.minatar", parameters=given)
    still = SimpleNamespace(act=lambda seen, *_: torch.zeros(len(seen), dtype=torch.int64))
    monkeypatch.setattr(worlds, "Player", lambda *_: still)
    returns, lengths = worlds.play(None, task, np.arange(3), noise(), "cpu")
    assert (returns.tolist(), lengths.tolist()) == ([0, 0, 0], [30, 30, 30])


def test_evaluation_draws_its_actions_and_is_the_same_every_time(given, parameters, episodes, quiet):
    first, again = (
        in_memory.of_pieces(kinds.paths.ROLLOUTS, world_model.returns(**given, snapshots=3, progress=quiet)).arrow()
        for _ in range(2)
    )
    assert first.equals(again)
    lived = stream(last_world(parameters), episodes)
    assert len(set(lived.actions.tolist())) > 1


def looking_back(episodes):
    """One that has not learnt, but whose codes differ."""
    world = WorldModelAgent(episodes, [Streams("test", "twm", 0)], "cpu", **SMALL, policy_input="zh").world
    with torch.no_grad():
        world.observation.encoder.perceptron.layers[-1].weight.mul_(20)
    return world


def test_in_a_stream_of_steps_the_policy_reads_the_past_of_each_episode(episodes):
    world = looking_back(episodes)
    heard = listen(world)
    lived = stream(world, episodes, 40)
    assert lived.ended.any()
    codes = likeliest(world.observation.encode(lived.observations))
    hidden = hidden_by_hand(world, codes, lived.actions, lived.rewards, lived.ended)
    torch.testing.assert_close(torch.cat(heard), torch.cat([codes, hidden], dim=1)[:-1], rtol=1e-5, atol=1e-5)


def test_in_episodes_side_by_side_the_policy_is_told_what_happened_in_each(episodes, monkeypatch):
    told, act = [], Player.act

    def spied(player, *given):
        told.append([*(tensor.clone() for tensor in given), act(player, *given)])
        return told[-1][-1]

    monkeypatch.setattr(Player, "act", spied)
    returns, lengths = worlds.play(looking_back(episodes), episodes.description, np.arange(40), noise(), "cpu")
    assert returns.any()
    for e, length in enumerate(lengths):
        game, reward = simulators.make(episodes.description, np.random.default_rng(9)), 0.0
        seen = game.reset(e)
        for observations, rewards, ended, actions in told[:length]:
            assert np.array_equal(observations[e], seen)
            assert rewards[e].item() == pytest.approx(np.tanh(reward))
            assert not ended[e]
            seen, reward, *_ = game.step(int(actions[e]))


def test_of_fewer_snapshots_both_ends_are_played_with_the_same_draws(given, quiet):
    every, some = (
        in_memory.of_pieces(kinds.paths.ROLLOUTS, world_model.returns(**given, snapshots=count, progress=quiet)).frame()
        for count in (9, 2)
    )
    ends = every[every["update"] != UPDATES[1]].reset_index(drop=True)
    assert some.equals(ends)
    assert len(ends) == len(every) * 2 // 3


def test_a_stream_of_steps_goes_on_in_the_next_episode(parameters, episodes):
    lived = stream(last_world(parameters), episodes, 200)
    assert lived.ended.any()
    begins = lived.observations[1:][
        lived.ended
    ].float()  # Breakout begins with the ball at one side, and no bricks gone
    assert (begins.sum(dim=(1, 2)) == begins[0].sum(dim=(0, 1))).all()
    assert not lived.terminated[~lived.ended].any()
    torch.testing.assert_close(lived.rewards.unique(), torch.tensor([0.0, np.tanh(1.0)], dtype=torch.float32))


# ---- imagination, pictures -------------------------------------------------------------------------------------------


def test_imagined_rollouts_stand_beside_what_followed_the_same_start(given, parameters, episodes):
    rows = in_memory.of_pieces(kinds.twm.IMAGINED, world_model.imagined(**given, rollouts=4, horizon=5, steps=60))
    frame = rows.frame()
    assert len(frame) == len(SEEDS) * 2 * 4 * 5
    assert set(frame["update"]) == {UPDATES[-1]}
    (channels,) = set(frame["channels"])
    pictures = rows.array("picture", 10, 10, channels)
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    real = (frame["source"] == "real").to_numpy()
    assert set(np.unique(pictures[real])) == {0, 1}
    world = last_world(parameters)
    lived, draws = worlds.fresh(world, episodes.description, 60, streams(), (0, UPDATES[-1]), "cpu")
    starts = torch.randperm(55, generator=draws[0])[:4].sort().values + 1
    real_rows = frame[real & (frame["seed"] == 0)]
    assert real_rows["action"].tolist() == [int(lived.actions[start + step]) for start in starts for step in range(5)]
    expected = [lived.observations[start + step].numpy() for start in starts for step in range(5)]
    np.testing.assert_array_equal(pictures[real_rows.index], np.stack(expected))


def test_weights_of_real_steps_are_products_of_discounts_since_the_last_beginning():
    flags = torch.tensor([False, False, True, False, True, False, False])
    task = torch.tensor([False, False, True, False, False, False, False])  # the second end only cuts the episode off
    lived = worlds.Lived(torch.zeros(8, 1), torch.arange(7), torch.zeros(7), task, flags)
    continued = world_model.continuation(lived, torch.tensor([0, 2]), 5, 0.9)
    np.testing.assert_allclose(continued.weights, [[1, 0.9, 0.81, 1, 0.9], [1, 1, 0.9, 1, 0.9]], rtol=1e-6)
    np.testing.assert_allclose(continued.discounts[0], [0.9, 0.9, 0, 0.9, 0.9], rtol=1e-6)
    assert continued.actions[1].tolist() == [2, 3, 4, 5, 6]


def test_rollouts_that_do_not_fit_into_the_steps_are_refused(given):
    with pytest.raises(ValueError, match="steps: found 10; allowed: horizon"):
        list(world_model.imagined(**given, rollouts=6, horizon=5, steps=10))


def test_the_loss_of_a_reconstruction_is_the_cross_entropy_of_its_pictures(given):
    rows = in_memory.of_pieces(kinds.twm.RECONSTRUCTIONS, world_model.reconstructions(**given, pictures=6, steps=40))
    seen, decoded = rows.array("seen"), rows.array("decoded").astype(float)
    expected = -np.where(seen == 1, np.log(decoded), np.log(1 - decoded)).sum(axis=1)
    np.testing.assert_allclose(rows.values("loss"), expected, rtol=1e-4)
    assert len(rows) == 6 * len(SEEDS)


def test_pictures_of_frames_have_their_channels_last_and_run_from_0_to_1():
    from agentomy.networks.observation_model import FrameDecoder

    decoder = FrameDecoder(1, 4, 2, [8], 16)
    world = SimpleNamespace(observation=SimpleNamespace(decoder=decoder))
    frames = torch.randint(256, (3, 4, 64, 64), dtype=torch.uint8, generator=noise()[0])
    shown = world_model.as_pictures(world, frames)
    assert shown.shape == (3, 64, 64, 4)
    np.testing.assert_allclose(shown[1, 5, 6], frames[1, :, 5, 6].float() / 255)


# ---- losses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [False, True])
def test_losses_are_those_that_the_agent_learns_from_without_dropout(parameters, episodes, cut):
    world, length = last_world(parameters), 6
    lived = stream(world, episodes, 100)
    assert lived.ended[1:-1].any()
    if cut:  # as if no task had ended, but every episode been cut off
        lived = replace(lived, terminated=torch.zeros_like(lived.terminated))
    losses, _ = world_model.losses(world, lived, length, 0.99, noise())
    starts = range(0, 100 - length, length)
    windows = [[start + step for step in range(length + 2)] for start in starts]
    pieces = [
        Window(
            lived.observations[w],
            *(array[w[:-1]] for array in (lived.actions, lived.rewards, lived.terminated, lived.ended)),
        )
        for w in windows
    ]
    seen = Window(*(torch.stack(parts) for parts in zip(*pieces, strict=True)))
    agent = WorldModelAgent(episodes, [Streams("test", "twm", 0)], "cpu", **SMALL)
    agent.world, agent.noise["dropout"] = world, None
    with torch.no_grad():
        latents = world.observation.encode(seen.observations)
        _, terms = agent.dynamics_terms(sampled(latents, noise()), latents, seen)
    for name, value in terms.items():
        assert float(losses[name]) == pytest.approx(float(value), rel=1e-5), name
    entropy = twm_losses.entropy(latents[:, 2:]).sum(dim=-1)
    expected = twm_losses.masked_mean(entropy[None], ~seen.ended[None, :, 1:])
    assert float(losses["latent_entropy"]) == pytest.approx(float(expected), rel=1e-4)


def test_no_constant_prediction_is_better_than_the_constant_one(parameters, episodes):
    world = last_world(parameters)
    lived = stream(world, episodes, 200)
    losses, constant = world_model.losses(world, lived, 6, 0.99, noise())
    assert losses["latent_entropy"] <= constant["next_latent"]
    after = torch.cat([torch.arange(start + 1, start + 7) for start in range(0, 194, 6)])
    gammas, rewards = 0.99 * (~lived.terminated[after]).double(), lived.rewards[after].double()
    for guess in (0.5, 0.9, float(gammas.mean()) + 0.01):
        other = -(gammas * np.log(guess) + (1 - gammas) * np.log(1 - guess)).mean()
        assert float(constant["discount"]) < float(other)
    for guess in (-0.1, 0.5):
        other = 0.5 * (rewards - guess).square().mean() + 0.5 * np.log(2 * np.pi)
        assert float(constant["reward"]) < float(other)


def test_the_untrained_network_is_measured_on_the_steps_of_each_snapshot(given, parameters, episodes, quiet):
    rows = in_memory.of_pieces(
        kinds.twm.MODEL_LOSSES, world_model.model_losses(**given, snapshots=3, steps=60, length=6, progress=quiet)
    ).frame()
    wide = rows.pivot(index=["seed", "update", "quantity"], columns="model", values="value")
    assert len(wide) == len(SEEDS) * len(UPDATES) * 4
    first = wide.xs("reward", level="quantity").xs(0, level="update")
    np.testing.assert_allclose(first["snapshot"], first["untrained"], rtol=0.05)  # the codes are drawn anew
    for seed in SEEDS:
        snapshots = {update: world for update, number, world in worlds.worlds(parameters, "cpu") if number == seed}
        for update in UPDATES:
            lived, draws = worlds.fresh(snapshots[update], episodes.description, 60, streams(), (seed, update), "cpu")
            for model, world in {"snapshot": snapshots[update], "untrained": snapshots[0]}.items():
                plain, _ = world_model.losses(world, lived, 6, 0.99, draws)
                assert wide.loc[(seed, update), model].to_dict() == {k: float(v) for k, v in plain.items()}
