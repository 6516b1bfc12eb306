"""Atari as TWM's agent meets it: frames, lives, no-ops, FIRE, and full games for evaluation."""

from typing import get_args

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from agentomy.descriptions import Task
from agentomy.environments import arcade, published, simulators
from agentomy.environments.simulator import GOES_ON
from agentomy.seeds import Streams


def simulator(game: str, seed: int = 0, evaluation: bool = False):
    task = Task(use="arcade.atari", parameters={"game": game, "episodes": 2})
    return simulators.make(task, np.random.default_rng(seed), evaluation)


def until_the_end(game, action: int, most: int = 3000) -> tuple[int, bool, bool]:
    """Steps, terminated, truncated."""
    for step in range(1, most + 1):
        ends = game.step(action)[2:]
        if any(ends):
            return step, *ends
    raise AssertionError(f"no end within {most} steps")


def test_atari_passes_gymnasiums_checker():
    check_env(arcade.Atari("Breakout"), skip_render_check=True)


@pytest.mark.parametrize(("game", "actions"), [("Pong", 6), ("Breakout", 4), ("Freeway", 3), ("Boxing", 18)])
def test_an_observation_is_the_last_four_frames_and_actions_are_the_minimal_set(game, actions):
    played = simulator(game)
    assert played.actions == actions
    before = played.reset()
    assert (before.shape, before.dtype) == ((4, 64, 64), np.uint8)
    assert (before == before[0]).all()
    assert before.std() > 5
    for action in (2, 1, 0, 2, 2, 1):
        after = played.step(action)[0]
        assert (after.shape, after.dtype) == ((4, 64, 64), np.uint8)
        assert np.array_equal(after[:3], before[1:])
        before = after
    assert not np.array_equal(after[3], after[0])


def test_the_games_are_those_with_published_scores_and_there_is_a_machine_for_each():
    assert set(get_args(arcade.atari.__annotations__["game"])) == {
        game for _, game, *_ in published.read_means(published.DATA / published.MEANS)
    }
    assert arcade.Atari("UpNDown").ale.getMinimalActionSet()
    assert arcade.Atari("KungFuMaster").ale.getMinimalActionSet()


def test_in_training_a_lost_life_ends_an_episode_and_the_game_goes_on():
    game = simulator("Breakout")
    game.reset()
    lives = [game.env.ale.lives()]  # a ball may have been lost in the no-ops
    for _ in range(lives[0]):
        assert until_the_end(game, 0)[1:] == (True, False)
        lives.append(game.env.ale.lives())
        assert game.env.mid_game == (lives[-1] > 0)
        frames = game.reset()
        assert (frames == frames[0]).all()
    assert lives in ([5, 4, 3, 2, 1, 0], [4, 3, 2, 1, 0])
    assert game.env.ale.lives() >= 4  # all over: a new game
    assert GOES_ON not in game.state()["taken"]


def test_in_evaluation_a_whole_game_is_an_episode_and_fire_is_pressed():
    game = simulator("Breakout", evaluation=True)
    game.reset(3)
    seen = []
    for _ in range(3000):  # an agent that does nothing loses each ball, so each was served
        terminated = game.step(0)[2]
        seen.append(game.env.ale.lives())
        if terminated:
            break
    assert terminated
    assert sorted(set(seen), reverse=True) == [5, 4, 3, 2, 1, 0]


@pytest.mark.slow
def test_a_game_begins_with_no_ops_that_differ_by_seed_in_training_alone():
    starts = {
        evaluation: [simulator("Pong", evaluation=evaluation).reset(seed).tobytes() for seed in range(5)]
        for evaluation in (False, True)
    }
    assert len(set(starts[False])) > 1
    assert len(set(starts[True])) == 1
    freeway = [simulator("Freeway").reset(seed).tobytes() for seed in range(5)]
    assert len(set(freeway)) > 1
    assert simulator("Freeway").reset(2).tobytes() == freeway[2]


def test_a_game_does_not_depend_on_what_was_played_before_it():
    """ALE's own random numbers come to nothing without sticky actions."""
    one, other = simulator("Boxing", 1), simulator("Boxing", 2)
    one.reset()
    for action in range(18):
        one.step(action)
    one.env.ale.setInt("random_seed", 77)
    rng = np.random.default_rng(0)
    assert np.array_equal(one.reset(5), other.reset(5))
    for _ in range(60):
        action = int(rng.integers(18))
        assert np.array_equal(one.step(action)[0], other.step(action)[0])


def test_a_seed_begins_a_new_game_even_in_the_middle_of_one():
    game = simulator("Breakout")
    fresh = game.reset(4)
    until_the_end(game, 0)
    assert game.env.mid_game
    left = game.env.ale.lives()
    assert np.array_equal(game.reset(4), fresh)
    assert game.env.ale.lives() > left


@pytest.mark.parametrize("then_reset", [True, False])
def test_a_state_in_the_middle_of_a_game_is_restored_with_the_lives_that_were_left(then_reset):
    game = simulator("Breakout")
    game.reset()
    for _ in range(2):
        until_the_end(game, 0)
        game.reset()
    until_the_end(game, 0)
    if then_reset:
        game.reset()
        game.step(2)
    other = simulator("Breakout", 7)
    other.reset()
    until_the_end(other, 0)  # it was in the middle of something else
    other.restore(game.state())
    assert other.env.ale.lives() == game.env.ale.lives() in (1, 2)
    if not then_reset:
        assert np.array_equal(game.reset(), other.reset())
    rng = np.random.default_rng(0)
    for _ in range(300):
        action = int(rng.integers(4))
        one, two = game.step(action), other.step(action)
        assert np.array_equal(one[0], two[0])
        assert one[1:] == two[1:]
        if one[2] or one[3]:
            assert np.array_equal(game.reset(), other.reset())


def test_rewards_are_the_games_own():
    game = simulator("Pong", evaluation=True)
    game.reset()
    rewards = [game.step(0)[1] for _ in range(300)]  # nobody hits the ball
    assert set(rewards) == {0.0, -1.0}


def test_evaluation_episodes_of_a_table_begin_as_full_games_do():
    rows = arcade.atari(game="Pong", episodes=2, streams=Streams("s", "r", 0)).to_pydict()
    for seed, observation in zip(rows["reset_seed"], rows["observation"], strict=True):
        assert np.array_equal(simulator("Pong", evaluation=True).reset(seed).ravel(), observation)
