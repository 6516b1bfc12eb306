"""The maze in hand obeys the rules of the game."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from agentomy.environments import mazes
from agentomy.environments.maze_batch import LEFT, RIGHT, STAY, UP
from agentomy.explorer.scenes import Scene


def scene(seed: int = 3) -> Scene:
    return Scene(mazes.generate(np.array([seed]), 9))


def certainly(move: int) -> np.ndarray:
    return np.eye(5)[move]


RNG = np.random.default_rng(0)


@given(some.integers(0, 50), some.lists(some.tuples(some.integers(-1, 9), some.integers(-1, 9), some.integers(0, 2))))
def test_nothing_ever_stands_on_a_wall(seed, actions):
    it = scene(seed)
    for x, y, action in actions:
        (it.toggle, it.put_mouse, it.put_cheese)[action]((x, y))
        assert it.is_open(it.mouse)
        assert it.is_open(it.cheese)


def test_a_toggle_changes_one_cell_and_back_and_leaves_the_given_level_alone():
    it = scene()
    before = it.levels.walls.copy()
    assert it.toggle((1, 1))
    assert (it.levels.walls != before).sum() == 1
    assert (it.given.walls == before).all()
    it.toggle((1, 1))
    assert (it.levels.walls == before).all()


def test_steps_keep_to_the_rules_and_leave_a_trail():
    it = scene()
    start = it.mouse
    it.step(certainly(LEFT), RNG)
    assert it.mouse == start  # against a wall, or the edge of the world
    right = (start[0] + 1, start[1])
    it.set_wall(right, False)
    it.step(certainly(RIGHT), RNG)
    assert it.mouse == right
    assert it.trail == [start, start, right]


@pytest.mark.parametrize("shown", [True, False])
def test_an_episode_ends_at_the_cheese_if_that_is_there(shown):
    it = scene()
    up = (it.mouse[0], it.mouse[1] + 1)
    it.set_wall(up, False)
    it.put_cheese(up)
    it.show_cheese(shown)
    assert it.step(certainly(UP), RNG) is not shown
    assert it.mouse == up
    assert it.step(certainly(STAY), RNG) is not shown


def test_moves_are_drawn_with_their_probabilities():
    it, rng = scene(), np.random.default_rng(1)
    start, right = it.mouse, (it.mouse[0] + 1, it.mouse[1])
    it.set_wall(right, False)
    went = 0
    for _ in range(400):
        it.step(np.array([0, 0, 0, 0.3, 0.7]), rng)
        went += it.mouse == right
        it.put_mouse(start)
    assert 0.22 < went / 400 < 0.38


def test_followers_hear_of_every_change():
    it, heard = scene(), []
    it.followers.append(lambda: heard.append(it.cursor))
    it.move_cursor(RIGHT)
    it.toggle((1, 1))
    it.show_cheese(False)
    it.take(it.given)
    assert len(heard) == 4
    assert it.has_cheese
