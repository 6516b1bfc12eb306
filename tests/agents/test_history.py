"""A history of stacked frames keeps each frame once, and gives back the stacks that the environment gave."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from agentomy.agents.history import History

DEPTH = 4
ends = st.lists(st.booleans(), max_size=40)


def lived(ended: list[bool], room: int = 0) -> tuple[History, np.ndarray]:
    """A history of two seeds whose frames are all different, and the stacks that the environments gave.

    The episodes of the second seed end where those of the first go on. Stacks are [2, steps + 1, 4, 2, 1].
    """
    numbers = iter(range(1000))

    def frame() -> np.ndarray:
        return np.array([[divmod(next(numbers), 250)]], dtype=np.uint8).reshape(1, 2, 1)

    given = [[np.repeat(frame(), DEPTH, axis=0)] for _ in range(2)]
    history = History(len(ended) + room, np.stack([stacks[0] for stacks in given]), "cpu", stacked=True)
    for over in ended:
        for stacks, ends_here in zip(given, (over, not over), strict=True):
            newest = frame()
            stacks.append(np.repeat(newest, DEPTH, axis=0) if ends_here else np.concatenate([stacks[-1][1:], newest]))
        add(history, over, np.stack([stacks[-1] for stacks in given]))
    return history, np.stack([np.stack(stacks) for stacks in given])


def add(history: History, over: bool, stacks: np.ndarray) -> None:
    history.add(np.zeros(2, int), np.zeros(2), np.zeros(2, bool), np.array([over, not over]), stacks)


@given(ends)
def test_stacks_are_those_that_the_environment_gave(ended):
    history, stacks = lived(ended)
    numbers = torch.arange(stacks.shape[1]).expand(2, -1)
    assert np.array_equal(history.observed(numbers), stacks)
    assert np.array_equal(history.latest, stacks[:, -1])


@given(ends.filter(lambda drawn: len(drawn) >= 3), st.data())
def test_windows_are_of_the_same_stacks(ended, data):
    history, stacks = lived(ended)
    steps = data.draw(st.integers(1, len(ended)))
    possible = range(history.starts(steps))
    # each seed's in an order of its own
    starts = [list(possible), list(reversed(possible))]
    seen = history.windows(torch.tensor(starts), steps).observations.numpy()
    expected = [
        of_seed[start : start + steps + 1]
        for of_seed, starts_of_seed in zip(stacks, starts, strict=True)
        for start in starts_of_seed
    ]
    assert np.array_equal(seen, np.stack(expected))


@given(before=ends, after=ends)
def test_a_restored_history_gives_the_same_stacks_and_goes_on(before, after):
    broken, _ = lived(before)
    unbroken, stacks = lived(before + after)
    resumed, _ = lived([True, False], room=len(before + after))  # of something else
    resumed.restore(broken.state())
    for number, over in enumerate(after, start=len(before) + 1):
        add(resumed, over, stacks[:, number])
    numbers = torch.arange(stacks.shape[1]).expand(2, -1)
    assert torch.equal(resumed.observed(numbers), unbroken.observed(numbers))


def test_each_frame_is_kept_once():
    frames = History(1000, np.zeros((1, 4, 64, 64), np.uint8), "cpu", stacked=True)
    assert (frames.kept.dtype, frames.kept.nbytes) == (torch.uint8, 1001 * 64 * 64)


def test_grids_are_kept_whole():
    grids = History(10, np.zeros((1, 10, 10, 4), bool), "cpu")
    grids.add(np.array([0]), np.array([0.0]), np.array([False]), np.array([False]), np.ones((1, 10, 10, 4), bool))
    assert grids.latest.all()
    assert not grids.observed(torch.tensor([[0]])).any()
