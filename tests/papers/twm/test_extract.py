"""What is taken from world models is what plain loops, the agent's own losses and planted weights give (TWM)."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch

from agentomy import kinds, networks, tables
from agentomy.agents import twm_losses
from agentomy.agents.history import Window
from agentomy.agents.world_model import WorldModelAgent
from agentomy.descriptions import Task
from agentomy.environments import arcade, simulators
from agentomy.networks.acting import Player
from agentomy.networks.layers import uniform
from agentomy.networks.observation_model import choice, likeliest, sampled
from agentomy.networks.transformer_xl import TransformerXL
from agentomy.papers.twm.extract import layout, world_model, worlds
from agentomy.papers.twm.extract.subjects import of_worlds
from agentomy.seeds import Streams
from agentomy.tables import Table
from tests.described import trained
from tests.networks.test_acting import hidden_by_hand, listen
from tests.small_runs import streams

torch.set_num_threads(1)
GIVEN = {"game": "breakout", "episodes": 3, "trails": False}
SMALL = {"size": "xs", "interactions": 80, "prefill": 60, "total_budget": 1584.0, "pretraining_budget": 1200.0}
SMALL |= {"batch": 4, "length": 6, "imagination_batch": 8, "horizon": 3}
SEEDS, UPDATES = (0, 1), (0, 20, 40)
WINDOW = 8  # of size xs


@pytest.fixture(scope="module")
def episodes() -> Table:
    rows = arcade.minatar(**GIVEN, streams=streams("environment"))
    return Table(kinds.paths.EPISODES, rows=rows, description=Task(use="arcade.minatar", parameters=GIVEN))


@pytest.fixture(scope="module")
def parameters(episodes, tmp_path_factory) -> Table:
    """A run of two seeds, in one stack."""
    agent = WorldModelAgent(episodes, [Streams("test", "twm", seed) for seed in SEEDS], "cpu", **SMALL)
    pieces = []
    for update in range(UPDATES[-1] + 1):
        if update in UPDATES:
            pieces.append(kinds.common.PARAMETERS.table(seed=np.array(SEEDS), update=update, **agent.parameters()))
        agent.advance()
    path = tmp_path_factory.mktemp("run") / "run.parquet"
    tables.write(path, kinds.common.PARAMETERS, pieces, trained(agent.network))
    return Table(kinds.common.PARAMETERS, [path])


@pytest.fixture
def given(parameters, episodes):
    return {"parameters": parameters, "episodes": episodes, "run": "r", "device": "cpu", "streams": streams()}


def joined(kind, pieces) -> Table:
    return Table(kind, rows=pa.concat_tables(pieces))


def last_world(parameters, seed: int = 0):
    return next(world for _, number, world in worlds.worlds(parameters, "cpu", {UPDATES[-1]}) if number == seed)


def stream(world, episodes, steps: int = 120) -> worlds.Lived:
    return worlds.fresh(world, episodes.description, steps, streams(), (0, 0), "cpu")[0]


def noise(seed: int = 5) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed)]


# ---- reading, playing ------------------------------------------------------------------------------------------------


def test_each_seed_is_read_by_itself_along_training(parameters):
    read = [(seed, update) for update, seed, _ in worlds.worlds(parameters, "cpu")]
    assert read == [(seed, update) for seed in SEEDS for update in UPDATES]


def test_returns_are_those_of_a_plain_loop_with_the_same_draws(given, parameters, episodes, quiet):
    rollouts = joined(kinds.paths.ROLLOUTS, world_model.returns(**given, snapshots=3, progress=quiet)).frame()
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
    rollouts = joined(
        kinds.paths.ROLLOUTS, world_model.returns(**given, snapshots=3, before_last=1, progress=quiet)
    ).frame()
    every = joined(kinds.paths.ROLLOUTS, world_model.returns(**given, snapshots=3, progress=quiet)).frame()
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
        joined(kinds.paths.ROLLOUTS, world_model.returns(**given, snapshots=3, progress=quiet)).arrow()
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
        joined(kinds.paths.ROLLOUTS, world_model.returns(**given, snapshots=count, progress=quiet)).frame()
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
    rows = joined(kinds.twm.IMAGINED, world_model.imagined(**given, rollouts=4, horizon=5, steps=60))
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


def test_the_loss_of_a_reconstruction_is_the_cross_entropy_of_the_pictures_beside_it(given):
    rows = joined(kinds.twm.RECONSTRUCTIONS, world_model.reconstructions(**given, pictures=6, steps=40))
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


# ---- attention -------------------------------------------------------------------------------------------------------


def test_attention_of_a_head_adds_up_to_one_and_covers_the_window(given):
    rows = joined(kinds.twm.ATTENTION, world_model.attention(**given, steps=150)).frame()
    sums = rows.groupby(["seed", "update", "view", "layer", "head"])["weight"].sum()
    np.testing.assert_allclose(sums, 1, rtol=1e-5)
    assert len(sums) == len(SEEDS) * 2 * 2 * 2 * 4
    assert set(rows["update"]) == {UPDATES[0], UPDATES[-1]}
    by_age = rows.groupby("modality")["age"].agg(["min", "max"])
    assert by_age.to_dict("index") == {
        "a": {"min": 0, "max": WINDOW},
        "r": {"min": 1, "max": WINDOW},
        "z": {"min": 0, "max": WINDOW},
    }
    assert (rows.loc[rows["view"] == "mean", "readers"] > 1).all()


@pytest.mark.parametrize("reward_tokens", [True, False])
def test_planted_attention_is_found_at_its_age_and_modality(parameters, episodes, monkeypatch, reward_tokens):
    """The tokens themselves say what they are; who attends to one of them alone is planted in the softmax."""
    description = {**parameters.description.network, "reward_tokens": reward_tokens}
    world = networks.build(description, 1).draw(noise())
    lived = stream(world, episodes, 100)
    tokens = 2 + reward_tokens
    wanted = [(0, "a"), (3, "z"), (8, "a"), *([(1, "r"), (8, "r")] if reward_tokens else [])]
    for age, modality in wanted:
        back = tokens * age + {"a": 0, "z": 1, "r": -1}[modality]  # tokens before the reader

        class Planted(torch.nn.Module):
            def __init__(self, apart, back=back):
                super().__init__()
                self.apart, self.back = apart, back

            def forward(self, scores):
                seen = torch.zeros_like(scores)
                rows = torch.arange(scores.shape[-2])
                columns = scores.shape[-1] - 1 - self.apart * rows.flip(0) - self.back
                keep = columns >= 0
                seen[..., rows[keep], columns[keep]] = 1
                return seen

        *layers, last = world.dynamics.transformer.layers
        for layer in layers:
            layer.attention.softmax = Planted(1)
        last.attention.softmax = Planted(tokens)  # in the last layer actions alone read
        weights, modalities, ages = world_model.attended(world, lived, noise())
        mean = weights.mean(dim=(0, 1, 2)).numpy()
        assert [(int(ages[k]), str(modalities[k])) for k in mean.nonzero()[0]] == [(age, modality)]


def test_readers_are_actions_before_which_a_whole_window_is_of_one_episode(parameters, episodes):
    world = last_world(parameters)
    lived = stream(world, episodes, 150)
    weights, _, _ = world_model.attended(world, lived, noise())
    plain = sum(not lived.ended[t - WINDOW : t].any() for t in range(WINDOW, 150))
    assert len(weights) == plain
    np.testing.assert_allclose(weights.sum(dim=-1), 1, rtol=1e-5)  # nothing of what they see was left out
    with pytest.raises(ValueError, match="steps: found 5; allowed: more than the 8"):
        world_model.attended(world, stream(world, episodes, 5), noise())


def test_where_episodes_are_shorter_than_the_window_readers_are_at_their_ends():
    ended = [step % 4 == 3 for step in range(20)]
    assert world_model.with_a_past(ended, 8) == [11, 15, 19]
    assert world_model.with_a_past([False] * 12, 8) == [8, 9, 10, 11]
    assert world_model.with_a_past([False, False, True] + [False] * 6, 3) == [6, 7, 8]


def test_reading_attention_leaves_the_transformer_without_hooks(parameters, episodes):
    world = last_world(parameters)
    world_model.attended(world, stream(world, episodes), noise())
    assert not any(module._forward_hooks for module in world.modules())
    assert isinstance(world.dynamics.transformer, TransformerXL)


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
    rows = joined(
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


# ---- decomposing it --------------------------------------------------------------------------------------------------


def windows_of(given, trained: bool = True) -> Table:
    return joined(kinds.subnetworks.SUBJECTS, of_worlds(**given, count=12, steps=60, trained=trained))


@pytest.mark.parametrize("trained", [True, False])
def test_windows_are_steps_that_each_world_model_lived_one_after_another(given, parameters, episodes, trained):
    rows, update = windows_of(given, trained), UPDATES[-1] if trained else 0
    own_worlds = {seed: world for _, seed, world in worlds.worlds(parameters, "cpu", {update})}
    assert rows.values("seed").tolist() == list(SEEDS)
    windows = rows.array("inputs", 12, WINDOW + 1, 64 + 3)
    for seed, of_seed in zip(SEEDS, windows, strict=True):
        lived, _ = worlds.fresh(own_worlds[seed], episodes.description, 60, streams(), (seed, update), "cpu")
        told = np.stack([lived.actions[1:], lived.rewards[:-1], lived.ended[:-1]], axis=-1)
        places = [
            np.flatnonzero((sliding == window[:, 64:]).all(axis=(1, 2)))
            for window in of_seed
            for sliding in [np.stack([told[first : first + WINDOW + 1] for first in range(60 - WINDOW - 1)])]
        ]
        assert sum(len(place) > 0 for place in places) >= 11  # all but the window from the first step on
        np.testing.assert_array_equal(of_seed[..., :64].reshape(12, -1, 8, 8).sum(axis=-1), 1)
    assert not np.array_equal(windows[0], windows[1])


def test_a_world_model_that_has_not_learned_is_the_first_snapshot(given, parameters):
    first = next(worlds.worlds(parameters, "cpu", {0}))[2].arrays()
    before, after = (tables.tensors(windows_of(given, trained).arrow()) for trained in (False, True))
    np.testing.assert_array_equal(
        before["dynamics.transformer.content_bias"][:1], first["dynamics.transformer.content_bias"]
    )
    assert not np.array_equal(before["dynamics.transformer.content_bias"], after["dynamics.transformer.content_bias"])


def test_more_windows_than_steps_are_refused(given):
    with pytest.raises(ValueError, match="steps: found 60; allowed: count \\+ 9 or more"):
        next(of_worlds(**given, count=55, steps=60))


def test_the_layout_has_every_tensor_and_all_parameters(given, parameters):
    rows = joined(kinds.twm.LAYOUT, layout.tensors_of(parameters, run="r")).where(seed=1)
    world = last_world(parameters)
    assert rows.values("tensor").tolist() == list(world.state_dict())
    assert rows.values("size").sum() == sum(weights.numel() for weights in world.parameters())
    shapes = [tuple(json.loads(shape)) for shape in rows.values("shape")]
    assert shapes == [tuple(weights.shape[1:]) for weights in world.state_dict().values()]
