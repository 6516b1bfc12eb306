"""Frames kept once give the observations that were seen, across episode starts and a full ring."""

import numpy as np
import pytest

from agentomy.agents.frames import Frames


def lived(capacity: int, steps: int, episode: int = 5) -> tuple[Frames, dict]:
    """A replay, and (observation, next observation) of every step by its reward, which is its number."""
    rng, replay, seen = np.random.default_rng(0), Frames(capacity, (3, 2, 2), 1, 3), {}
    for step in range(steps):
        if step % episode == 0:
            frames = [rng.integers(256, size=(3, 2, 2), dtype=np.uint8)] * 3
            replay.begin(frames[-1])
        before = np.concatenate(frames[-3:])
        np.testing.assert_array_equal(replay.observation(), before)
        frames = [*frames, rng.integers(256, size=(3, 2, 2), dtype=np.uint8)]
        replay.add(np.array([-step]), step, (step + 1) % episode == 0, frames[-1])
        seen[step] = before, np.concatenate(frames[-3:])
    return replay, seen


@pytest.mark.parametrize(("capacity", "steps"), [(100, 1), (100, 33), (20, 33), (20, 200), (7, 98)])
def test_transitions_are_those_that_were_lived(capacity, steps):
    replay, seen = lived(capacity, steps)
    windows, actions, rewards, nonterminal = replay.sample(np.random.default_rng(1), 500)
    for window, action, reward, on in zip(windows, actions, rewards, nonterminal, strict=True):
        before, after = seen[int(reward)]
        np.testing.assert_array_equal(window[:9], before)
        np.testing.assert_array_equal(window[3:], after)
        assert action == -reward
        assert on == ((reward + 1) % 5 != 0)
    if capacity == 100:
        assert set(rewards) == set(range(steps))
    else:  # at most the frames of an episode's end and those before a transition are not to be drawn
        assert len(replay) >= capacity - 3 - -(-capacity // 6)
        assert set(rewards) == set(range(steps - len(replay), steps))


def test_a_restored_replay_draws_the_same_and_only_the_filled_part_is_kept():
    replay, _ = lived(100, 12)
    state = replay.state()
    assert len(state["frame"]) == 12 + 3
    other = Frames(100, (3, 2, 2), 1, 3)
    other.restore(state)
    for one, two in zip(*(buffer.sample(np.random.default_rng(0), 50) for buffer in (replay, other)), strict=True):
        np.testing.assert_array_equal(one, two)
